"""Build the wheel, install it into an empty environment, and run it there; run as ``python -m tests.wheel_check``.

Not a pytest test: it needs the package index, and is a step of CI of its own.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run a program that must succeed; returns what it prints."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def begin_on_github(maa: Path, folder: Path, environment: dict[str, str]) -> None:
    """Make a tenant with the workflows, whose templates the wheel must hold."""
    run("git", "init", "-q", "-b", "main", folder, cwd=folder.parent, environment=environment)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder.parent / "key", cwd=folder.parent)
    named = {f"GIT_{who}_{what}": "alice@contoso.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    tool = f"maa-gitops/maa-gitops@{'0' * 40}"
    arguments = ("--tenant", "contoso", "--account", f"alice={folder.parent / 'key.pub'}", "--github", tool)
    run(maa, "--key", folder.parent / "key", "init", *arguments, cwd=folder, environment={**environment, **named})
    if not (folder / ".github" / "workflows" / "maa-record.yml").is_file():
        sys.exit("the wheel does not hold the workflows' templates")


def main() -> None:
    """Build, install, run: the schemas and starter policies must be found, and the demo must hold."""
    with TemporaryDirectory(prefix="maa-wheel-") as temporary:
        folder = Path(temporary)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
        wheel = next(folder.glob("*.whl"))
        venv.create(folder / "empty", with_pip=True)
        python = folder / "empty" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
        maa = folder / "empty" / "bin" / "maa"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        version = run(maa, "--version", cwd=folder, environment=environment).strip()
        names = run(maa, "schema", cwd=folder, environment=environment).split()
        for name in names:
            run(maa, "schema", name, cwd=folder, environment=environment)
        run(maa, "demo", cwd=folder, environment=environment)
        begin_on_github(maa, folder / "tenant", environment)
    sys.stdout.write(f"{version}: the wheel works in an empty environment; schemas: {', '.join(names)}\n")


if __name__ == "__main__":
    main()
