"""How `maa check` grows with the repository: 1,000 against 100,000 resource files, in one run.

Makes two tenants whose resources lie in folders of 250 files, with one approved request each, and times the whole
process, taking turns. Prints the medians and their ratio; exits with 1 if the ratio is over 1.2.

Run with ``make bench`` or ``python bench/check_growth.py [RUNS]``.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import World, app  # noqa: E402 - the checkout is not installed as a package

SIZES = (1_000, 100_000)
FOLDER = 250
LIMIT = 1.2


def resource_stream(count: int) -> bytes:
    """A fast-import stream that adds so many apps on top of main."""
    lines = [b"commit refs/heads/main\ncommitter Alice <alice@contoso.com> 1700000000 +0000\ndata 5\nFill\n\n"]
    lines.append(b"from refs/heads/main^0\n")
    for number in range(count):
        text = app(name=f"App {number}").encode()
        path = f"resources/apps/f{number // FOLDER:04}/app-{number:06}.yaml"
        lines.append(f"M 100644 inline {path}\ndata {len(text)}\n".encode() + text + b"\n")
    return b"".join(lines)


def grown_world(folder: Path, count: int) -> World:
    """The usual tenant with many resources, before any access policy looked at them, and one approved request."""
    world = World.with_tenant(folder)
    world.git(world.server, "fast-import", "--quiet", data=resource_stream(count))
    world.git(world.server, "gc", "--quiet")
    for person in (world.alice, world.bob):
        person.git("fetch", "-q", "origin")
        person.git("config", "maa.trustedStart", world.tip())
    head = world.alice.git("rev-parse", "origin/main")
    world.alice.git("update-ref", "refs/heads/main", head)
    world.alice.git("symbolic-ref", "HEAD", "refs/heads/change/bench")
    world.alice.git("update-ref", "refs/heads/change/bench", head)
    world.alice.git("read-tree", "HEAD")
    world.alice.git("sparse-checkout", "set", "--no-cone", "/resources/apps/f0000/", "/maa.yaml")
    world.alice.write("resources/apps/f0000/app-000000.yaml", app(name="App zero"))
    world.alice.git("add", "resources/apps/f0000/app-000000.yaml")
    world.alice.git("commit", "-q", "-m", "Change one app")
    world.alice.maa("submit", "-m", "One of many.")
    world.bob.maa("approve", "bench")
    return world


def timed_check(world: World) -> float:
    """Seconds of one whole `maa check` in alice's clone."""
    command = [sys.executable, "-m", "maa_gitops", "-C", str(world.alice.clone), "check", "bench"]
    environment = {**world.variables(), "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"check failed: {done.stdout}{done.stderr}")
    return elapsed


def main() -> None:
    """Measure and judge."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with TemporaryDirectory(prefix="maa-bench-") as temporary:
        worlds = []
        for size in SIZES:
            folder = Path(temporary, str(size))
            folder.mkdir()
            worlds.append(grown_world(folder, size))
        for world in worlds:
            timed_check(world)
        times = [[timed_check(world) for world in worlds] for _ in range(runs)]
    medians = [statistics.median(pair[index] for pair in times) for index in range(len(SIZES))]
    for size, median in zip(SIZES, medians, strict=True):
        print(f"{size:>7} resource files: {median * 1000:.0f} ms (median of {runs})")
    ratio = medians[1] / medians[0]
    print(f"ratio {ratio:.2f}, at most {LIMIT}")
    sys.exit(0 if ratio <= LIMIT else 1)


if __name__ == "__main__":
    main()
