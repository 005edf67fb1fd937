"""Where a story happens: running what people type, telling it line by line, holding what came of it to what is told."""

import json
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maa_gitops.errors import RepositoryError

CLONE = "contoso"
"""The name of everybody's clone, in their home."""

_WIDEST = 130
_FOREIGN = re.compile(r"GIT|SSH|MAA|GPG|GNUPG|XDG|EMAIL\Z")
"""Variables by which the caller's own keys, agent, settings or name could come into the story."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story happens and how it is told."""

    folder: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    programs: Mapping[str, tuple[str, ...]]


Scene = tuple[str, Callable[[Stage], None]]
"""A title, and what happens under it."""


def set_stage(folder: Path, environment: Mapping[str, str], say: Callable[[str], None], maa: Sequence[str]) -> Stage:
    """Make an empty folder the stage.

    Raises:
        RepositoryError: ``demoFailed``, a program is missing; ``folderNotEmpty``.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise RepositoryError(f"{folder} is not empty", hint="name a new folder", code="folderNotEmpty")
    programs = {"maa": tuple(maa), **{name: (_found(name, environment),) for name in ("git", "ssh-keygen")}}
    (folder / "tmp").mkdir()
    kept = {name: value for name, value in environment.items() if not _FOREIGN.match(name)}
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "TMPDIR": str(folder / "tmp")}
    return Stage(folder, {**kept, **fixed}, say, programs)


def _found(name: str, environment: Mapping[str, str]) -> str:
    path = shutil.which(name, path=environment.get("PATH", os.defpath))
    if path is None:
        raise failed(name, "it was not found on PATH")
    return str(Path(path).absolute())


# --- telling ---------------------------------------------------------------------------------------------------------


def narrate(stage: Stage, text: str) -> None:
    """Tell in a paragraph what comes now."""
    stage.say("")
    for line in textwrap.wrap(text, 100, break_long_words=False, break_on_hyphens=False):
        stage.say(line)


def type_(stage: Stage, person: str, *words: str) -> None:
    """Tell what a person types."""
    stage.say(f"  {person}$ {shlex.join(words)}")


def _tell_lines(stage: Stage, lines: Sequence[str], shows: Sequence[str] | None) -> None:
    """Tell the lines that hold one of ``shows``, a mark for what is between them; all of them if it is None."""
    told = [line if shows is None or any(what in line for what in shows) else "..." for line in lines]
    for before, line in zip(["", *told], told, strict=False):
        if line != "..." or before != "...":
            stage.say("      " + (line if len(line) <= _WIDEST else line[:_WIDEST] + "...").replace("\t", "  "))


def failed(step: str, why: str, hint: str = "maa demo --keep, to look at what is left") -> RepositoryError:
    """The error for a story that does not go as it is told."""
    return RepositoryError(f"the story did not happen as told, at '{step}': {why}", hint=hint, code="demoFailed")


# --- running and checking --------------------------------------------------------------------------------------------


def maa(stage: Stage, person: str, *words: str, exits: int = 0, shows: Sequence[str] = ()) -> None:
    """Run maa. The exit code must be ``exits``, and each of ``shows`` in a line that it prints; those are told.

    Raises:
        RepositoryError: ``demoFailed``, it is not so; all that it printed is told before.
    """
    type_(stage, person, "maa", *words)
    done = run(stage, person, "maa", *words, exits=exits)
    lines = _lines(done)
    missing = [what for what in shows if not any(what in line for line in lines)]
    _tell_lines(stage, lines, None if missing else shows)
    if missing:
        raise failed(f"maa {words[0]}", f"it does not say {' or '.join(map(repr, missing))}")


def state_of(stage: Stage, request: str) -> dict[str, object]:
    """What ``maa show`` says of a request, as data."""
    done = run(stage, "alice", "maa", "show", request, "--format", "json")
    try:
        state = json.loads(done.stdout)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise failed(f"maa show {request} --format json", "it does not answer with one JSON object")
    return state


def expect(stage: Stage, request: str, *, reason: str | None = None, **fields: object) -> None:
    """Hold a request to the story: fields, and a code that its reasons must have."""
    state = state_of(stage, request)
    found = {name: state.get(name) for name in fields}
    if found != fields or (reason is not None and f'"{reason}"' not in json.dumps(state.get("reasons"))):
        raise failed(f"maa show {request}", f"it is {found}, not {fields}, or the reason is not {reason}")


def git(stage: Stage, person: str, *words: str, extra: Mapping[str, str] | None = None, given: bytes = b"") -> str:
    """Run git, untold, and return what it prints."""
    done = run(stage, person, "git", *words, extra=extra, given=given)
    return done.stdout.decode("utf-8", "replace").removesuffix("\n")


def type_git(stage: Stage, person: str, *words: str, extra: Mapping[str, str] | None = None) -> str:
    """Run git as a person who types it, and return what it prints."""
    type_(stage, person, "git", *words)
    return git(stage, person, *words, extra=extra)


def run(
    stage: Stage,
    person: str,
    *words: str,
    exits: int = 0,
    extra: Mapping[str, str] | None = None,
    given: bytes = b"",
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program as a person: in their clone once there is one, with their home and nobody else's.

    Raises:
        RepositoryError: ``demoFailed``, its exit code is not ``exits``; all that it printed is told before.
    """
    command, place = (*stage.programs[words[0]], *words[1:]), place_of(stage, person)
    environment = {**surroundings(stage, person), **(extra or {})}
    try:
        done = subprocess.run(command, cwd=place, env=environment, input=given, capture_output=True, check=False)
    except OSError as error:
        raise failed(words[0], f"it cannot be started: {error}") from error
    if done.returncode != exits:
        for line in _lines(done):
            stage.say(f"      {line}")
        raise failed(shlex.join(words), f"it ended with exit code {done.returncode}, not {exits}")
    return done


def place_of(stage: Stage, person: str) -> Path:
    """Where a person is: in their clone, before there is one in their home."""
    home = stage.folder / person
    return home / CLONE if (home / CLONE).is_dir() else home


def surroundings(stage: Stage, person: str) -> dict[str, str]:
    """A person's environment."""
    home = stage.folder / person
    return {**stage.environment, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")}


def _lines(done: "subprocess.CompletedProcess[bytes]") -> list[str]:
    return (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
