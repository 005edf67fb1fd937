"""Running the git program: which one, with what environment, and what its complaints say; it knows no command."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maa_gitops.errors import RepositoryError

OLDEST = (2, 34)

# Everything else that begins with GIT_ could point git at another repository, index, object store or set of refs.
_KEPT = (
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_CONFIG_",
    "GIT_CURL_",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
    "GIT_TERMINAL_PROMPT",
    "GIT_TRACE",
)
_FIXED = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
_NOISE = re.compile(
    r"hint: |Please make sure you have the correct access rights|and the repository exists\."
    r"|fatal: Could not read from remote repository\.|fatal: the remote end hung up|error: failed to push some refs"
    r"|From |.* -> |Another git process seems to be running|an editor opened by|are terminated then try again"
    r"|may have crashed in this repository|remove the file manually"
)


@dataclass(frozen=True, slots=True)
class CompletedGit:
    """How a run of git ended."""

    returncode: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """What it printed, without the last line feed."""
        return self.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def last_words(self) -> str:
        """The last line of its complaints that says something, for a message."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        telling = [line for line in lines if not _NOISE.match(line)]
        return (telling or lines or [f"git ended with {self.returncode} and no explanation"])[-1]


@dataclass(frozen=True, slots=True)
class Git:
    """The git program with the environment and the folder that it is started in."""

    executable: str
    environment: Mapping[str, str]
    directory: Path

    @classmethod
    def find(cls, environment: Mapping[str, str], directory: Path) -> "Git":
        """Look git up on the environment's PATH.

        Raises:
            RepositoryError: there is none, or it is too old.
        """
        hint = f"install git {OLDEST[0]}.{OLDEST[1]} or newer"
        found = shutil.which("git", path=environment.get("PATH", os.defpath))
        if found is None:
            raise RepositoryError("git was not found on PATH", hint=hint, code="gitMissing")
        git = cls(str(Path(found).absolute()), scrubbed(environment), directory)
        version = git.version()
        if version < OLDEST:
            said = ".".join(map(str, version)) or "of an unknown version"
            raise RepositoryError(f"git at {found} is {said}, too old", hint=hint, code="gitTooOld")
        return git

    def version(self) -> tuple[int, ...]:
        """Its first two numbers; empty if it names none."""
        found = re.match(r"git version (\d+)\.(\d+)", self.run("version").text)
        return tuple(int(part) for part in found.groups()) if found else ()

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        input: bytes | None = None,  # noqa: A002 - named as in subprocess.run
        extra: Mapping[str, str] | None = None,
    ) -> CompletedGit:
        """Run git to its end; a failure is a return code. ``extra`` goes over the environment.

        Raises:
            RepositoryError: it cannot be started.
        """
        try:
            done = subprocess.run(
                [self.executable, "-c", "core.fsmonitor=false", *arguments],
                cwd=cwd or self.directory,
                env={**self.environment, **(extra or {})},
                capture_output=True,
                check=False,
                input=input or b"",
            )
        except (OSError, ValueError) as error:
            message = f"git cannot be started in {cwd or self.directory}: {error}"
            raise RepositoryError(message, code="gitFailed") from error
        return CompletedGit(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    def read(
        self,
        *arguments: str,
        cwd: Path | None = None,
        input: bytes | None = None,  # noqa: A002 - named as in subprocess.run
        extra: Mapping[str, str] | None = None,
    ) -> str:
        """What git prints, without the last line feed.

        Raises:
            RepositoryError: it fails.
        """
        done = self.run(*arguments, cwd=cwd, input=input, extra=extra)
        if done.returncode:
            raise RepositoryError(f"git {arguments[0]} failed: {done.last_words}", code="gitFailed")
        return done.text


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for git: nothing in it that redirects git or translates what it says, and none of our own keys.

    What git starts (transports, hooks of this clone, filters) would inherit a private key in ``MAA_SIGNING_KEY``.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name != "LANGUAGE"
        and not name.startswith("MAA_")
        and (not name.startswith("GIT_") or name.startswith(_KEPT))
    }
    return {**kept, **_FIXED}
