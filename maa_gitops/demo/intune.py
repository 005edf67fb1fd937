"""The Intune of the story: an embedded Graph as a process of its own, and what administrators do there by hand."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any
from urllib.parse import quote

from maa_gitops.demo.stage import Stage, failed, surroundings, type_
from maa_gitops.errors import RemoteError
from maa_gitops.http import Connection

APPS = "deviceAppManagement/mobileApps"

Json = Any
"""Plain data as it came."""

_WORDS = ("tenant", "serve", "--file", "tenant.sqlite3", "--sample")
_SERVING = re.compile(r"serving (http://\S+) ")
_PATIENCE = 60.0
_HOME = "intune"


@dataclass(frozen=True, slots=True)
class Intune:
    """A tenant that answers at an address, and everything in it."""

    stage: Stage
    url: str
    connection: Connection

    def read(self, path: str) -> Json:
        """What is there, untold."""
        return self._call("alice", "GET", path, None)

    def act(self, person: str, method: str, path: str, body: Mapping[str, object]) -> Json:
        """Let a person do something in Intune, past the tenant repository."""
        self.stage.say(f"  ({person}, in Intune: {method} {path}")
        self.stage.say(f"     {json.dumps(body)})")
        return self._call(person, method, path, body)

    def named(self, path: str, name: str) -> list[Json]:
        """The objects of a collection that have a name."""
        wanted = quote(f"displayName eq '{name}'")
        found: list[Json] = self.read(f"{path}?$filter={wanted}")["value"]
        return found

    def the_only(self, path: str, name: str) -> str:
        """The id of the one object that has a name.

        Raises:
            RepositoryError: ``demoFailed``, there is none, or more than one.
        """
        found = self.named(path, name)
        if len(found) != 1:
            raise failed(f"GET {path}", f"there are {len(found)} objects named '{name}', not one")
        return str(found[0]["id"])

    def hold(self, path: str, **wanted: object) -> None:
        """Hold what is there to the story.

        Raises:
            RepositoryError: ``demoFailed``, it is not so.
        """
        there = self.read(path)
        found = {name: there.get(name) for name in wanted}
        if found != wanted:
            raise failed(f"GET {path}", f"it is {found}, not {wanted}")

    def _call(self, person: str, method: str, path: str, body: Mapping[str, object] | None) -> Json:
        headers = {"Authorization": f"Bearer {person}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self.connection.exchange(method, f"{self.url}/{path}", headers=headers, body=data)
        except RemoteError as error:
            raise failed(f"{method} {path}", error.message) from error
        if answer.status >= 300:
            raise failed(f"{method} {path}", f"it ended with {answer.status}: {answer.data.decode()}")
        return json.loads(answer.data) if answer.data else None


@contextmanager
def serving(stage: Stage) -> Iterator[Intune]:
    """Serve a small existing tenant until the end, whatever that is.

    Raises:
        RepositoryError: ``demoFailed``, it cannot be served; the hint says what is missing.
    """
    home = stage.folder / _HOME
    home.mkdir()
    type_(stage, _HOME, "maa", *_WORDS)
    command = (*stage.programs["maa"], *_WORDS)
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(command, cwd=home, env=surroundings(stage, _HOME), text=True, **pipes)
    except OSError as error:
        raise failed("maa", f"it cannot be started: {error}") from error
    connection = Connection()
    with process:
        try:
            yield Intune(stage, _address(stage, process), connection)
        finally:
            connection.close()
            _end(process)


def _address(stage: Stage, process: "subprocess.Popen[str]") -> str:
    """Where it is served, as soon as it says so."""
    said: dict[str, str] = {}
    limit = Timer(_PATIENCE, process.kill)
    limit.start()
    try:
        for line in process.stdout or ():
            stage.say(f"      {line.rstrip()}")
            if found := _SERVING.match(line):
                return found[1]
            word, _, rest = line.rstrip().partition(": ")
            said[word] = rest
    finally:
        limit.cancel()
    why = said.get("error", "it does not say where it serves")
    raise failed("maa tenant serve", why, **({"hint": said["hint"]} if "hint" in said else {}))


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
