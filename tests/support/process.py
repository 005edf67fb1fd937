"""The command line in a process of its own: behind pipes, or on a terminal at which somebody types."""

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Sequence

from tests.support.world import Answer, Person

COMMAND = (sys.executable, "-m", "maa_gitops")


def variables(person: Person, **more: str) -> dict[str, str]:
    """A person's environment, in which warnings are errors."""
    return {**person.world.variables(person.name), "PYTHONWARNINGS": "error", "TERM": "xterm", **more}


def run_process(person: Person, *arguments: str, **more: str) -> Answer:
    """Run the command line in the person's clone, with pipes for input and output; ``more`` are variables."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=person.clone,
        env=variables(person, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_at_terminal(
    person: Person, *arguments: str, typed: Sequence[str] = (), piped: bool = False, **more: str
) -> Answer:
    """Run the command line with the person's key at a terminal; ``err`` is what that shows, results included.

    ``typed`` are lines, there before they are asked for. With ``piped`` the results go into a pipe instead: ``out``.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, 120))
    process = subprocess.Popen(
        [*COMMAND, "--key", str(person.key), *arguments],
        cwd=person.clone,
        env=variables(person, **more),
        stdin=theirs,
        stdout=subprocess.PIPE if piped else theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, "".join(f"{line}\n" for line in typed).encode())
    screen = _read_all(ours)
    out = process.communicate()[0] or b""
    return Answer(process.returncode, out.decode(), screen.replace("\r\n", "\n"))


def _read_all(terminal: int) -> str:
    """What a terminal shows until nobody holds its other end any more."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux tells that the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return shown.decode()
        shown += part
