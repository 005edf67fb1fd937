"""Support for the tests of applying to Graph: worlds with that target, what goes wrong, and what the tenant holds.

Run as a program it kills apply runs: ``python -m tests.graph_applying`` reads lines of JSON, each with the ``root`` of
a world, its ``keys`` and the ``step`` to die at, applies there in a process of its own, and writes how that ended.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maa_gitops.apply import Landed, Report, apply, plan
from maa_gitops.http import Answer, Connection
from maa_gitops.model import ProfileType, Target
from maa_gitops.providers import Provider, Surroundings
from maa_gitops.providers.graph.client import GraphClient
from maa_gitops.providers.graph.credentials import Credential, credential
from maa_gitops.providers.graph.provider import GraphProvider
from tests import applying
from tests.applying import MortalRepository, World, make_world
from tests.support.graph import Graph

Json = Any

NAME = "intune"
"""The target."""

_PLACE = {"path": "deviceManagement/deviceConfigurations", "assignProperty": "assignments"}
OWN = (ProfileType("deviceConfiguration", "device-configurations", graph=_PLACE),)
"""The profile type that the tenant defines."""

APPS, SHELL_SCRIPTS, HEALTH_SCRIPTS, CONFIGURATIONS = (
    "deviceAppManagement/mobileApps",
    "deviceManagement/deviceShellScripts",
    "deviceManagement/deviceHealthScripts",
    _PLACE["path"],
)
COLLECTIONS = (APPS, SHELL_SCRIPTS, HEALTH_SCRIPTS, "deviceManagement/deviceManagementScripts", CONFIGURATIONS)

_SETTINGS = """version: 1
tenant: contoso
protectedBranch: main
targets:
  intune: {{provider: graph, tenantId: {tenant}, url: "{url}"}}
profileTypes:
  deviceConfiguration:
    folder: device-configurations
    graph: {place}
"""


def no_wait(_seconds: float) -> None:
    """Wait for nothing."""


class Line(Connection):
    """A connection that is listened in on.

    ``heard`` is told of every exchange before it (without an answer) and after it; an answer that it gives is the one
    that comes, before the exchange in its place.
    """

    def __init__(self, heard: "Heard", **more: Any) -> None:
        super().__init__(**more)
        self.heard = heard

    def exchange(self, method: str, url: str, **more: Any) -> Answer:
        """Ask once."""
        instead = self.heard(method, url, None)
        if instead is not None:
            return instead
        answer = super().exchange(method, url, **more)
        return self.heard(method, url, answer) or answer


Heard = Callable[[str, str, Answer | None], Answer | None]


@dataclass(frozen=True)
class GraphWorld(World):
    """A tenant repository whose one target is a served Graph."""

    connection: Callable[[], Connection] = Connection
    wait: Callable[[float], None] = no_wait
    credential: Credential | None = None

    @property
    def branch(self) -> str:
        """The ref under which this clone reads the receipts."""
        return f"refs/{'remotes/origin' if self.has_remote else 'heads'}/maa/applied/{NAME}"

    def target(self) -> Target:
        """The target, as the tip has it."""
        (found,) = self.context().tenant.settings.targets
        return found

    def provider(self) -> Provider:
        """Open the tenant; the caller closes it."""
        return self._opened(self.target())

    def _opened(self, target: Target) -> GraphProvider:
        connection = self.connection()
        token = self.credential or credential(target.options, {}, connection)
        client = GraphClient(target.options["url"], token, connection, self.wait)
        return GraphProvider.open(target, Surroundings(), client)

    def apply(
        self,
        minutes: float = 0,
        *,
        wrap: "Callable[[Provider], Provider]" = lambda provider: provider,
        rebuild: bool = False,
        requests: Mapping[str, Sequence[Landed]] | None = None,
    ) -> Report:
        """Apply the tip to the tenant."""
        context = self.context(minutes)
        (target,) = context.tenant.settings.targets
        provider = self._opened(target)
        try:
            return apply(context, self.deployer(), target, wrap(provider), rebuild=rebuild, requests=requests)
        finally:
            provider.close()

    def plan(self, tree: str | None = None) -> Report:
        """Plan."""
        context = self.context()
        (target,) = context.tenant.settings.targets
        provider = self._opened(target)
        try:
            return plan(context, target, provider, tree=tree)
        finally:
            provider.close()


def make_graph_world(root: Path, keys: Path, graph: Graph, *, has_remote: bool = False, **more: Any) -> GraphWorld:
    """Make a tenant repository with accounts, without access policies, for a served Graph."""
    tenant = graph.get("organization").value[0]["id"]
    settings = _SETTINGS.format(tenant=tenant, url=graph.url, place=json.dumps(_PLACE))
    made = make_world(root, keys, has_remote=has_remote, settings=settings)
    return GraphWorld(made.root, keys, **more)


# --- what the tenant holds -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """An object as Graph gives it."""

    collection: str
    properties: Mapping[str, Json]
    assignments: Sequence[Mapping[str, Json]]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.properties["id"])

    @property
    def marker(self) -> str | None:
        """What stands between brackets at the end of the text in which the mark is kept."""
        text = self.properties.get("notes" if self.collection == APPS else "description") or ""
        last = text.splitlines()[-1] if text else ""
        return last[1:-1] if last.startswith("[maa:") else None

    def says(self, properties: Mapping[str, Json]) -> bool:
        """Whether it has these properties; None: nothing that means anything."""
        there = {key: _meant(self.properties.get(key)) for key in properties}
        return there == {key: _meant(value) for key, value in properties.items()}

    def assigned(self) -> list[tuple[str, str, str]]:
        """Its assignments: the kind of target, the group's id, the intent or the hours between two runs."""
        return [
            (
                found["target"]["@odata.type"],
                found["target"].get("groupId", ""),
                found.get("intent") or str((found.get("runSchedule") or {}).get("interval", "")),
            )
            for found in self.assignments
        ]


def _meant(value: Json) -> Json:
    """A value without the names of types; None: it is as Graph has what nobody said."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if "@odata" not in key}
    return None if not value or value == ["0"] else value


def tenant_of(graph: Graph) -> list[Held]:
    """Read every object, over plain HTTP, but how far its publishing is."""
    found = []
    for path in COLLECTIONS:
        address: str | None = path
        while address is not None:
            page = _read(graph, address)
            for item in page["value"]:
                whole = {
                    key: value
                    for key, value in _read(graph, f"{path}/{item['id']}").items()
                    if key != "publishingState"
                }
                found.append(Held(path, whole, _read(graph, f"{path}/{item['id']}/assignments")["value"]))
            address = page.get("@odata.nextLink")
    return found


def _read(graph: Graph, address: str) -> Json:
    """Read; a tenant that limits how often it is asked is waited for."""
    while (reply := graph.get(address)).status == 429:
        graph.clock.forward(seconds=float(reply.headers["retry-after"]))
    return reply.body


# --- what goes wrong -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """A fault of some requests in a row: of all requests, or of writes, which are counted for themselves."""

    fault: int | str
    first: int
    length: int = 1
    writes: bool = False


@dataclass
class Troubles:
    """A plan of faults that can be changed while the server runs."""

    planned: Sequence[Trouble] = ()
    calls: list[tuple[str, str]] = field(default_factory=list)
    writes: list[tuple[str, str]] = field(default_factory=list)

    def plan(self, *troubles: Trouble) -> None:
        """Count from here, and let these go wrong."""
        self.calls.clear()
        self.writes.clear()
        self.planned = troubles

    def __call__(self, _number: int, method: str, path: str) -> int | str | None:
        """What goes wrong with a request."""
        path = path.removeprefix("/beta/")
        is_write = method != "GET" and path != "$batch"
        self.calls.append((method, path))
        if is_write:
            self.writes.append((method, path))
        for trouble in self.planned:
            number = len(self.writes if trouble.writes else self.calls)
            concerned = is_write or not trouble.writes
            if concerned and trouble.first <= number < trouble.first + trouble.length:
                return trouble.fault
        return None


# --- killing ---------------------------------------------------------------------------------------------------------


def _apply_until_killed(world: GraphWorld, step: int, *, reads: bool) -> None:
    """Apply in this process, which dies at the step, if the run has so many."""

    def heard(method: str, url: str, _answer: Answer | None) -> None:
        if reads or (method != "GET" and not url.endswith("/$batch")):
            applying._step()

    applying._steps_left = step
    replace(world, repository_class=MortalRepository, connection=lambda: Line(heard)).apply(1)


def _killed(world: GraphWorld, step: int, *, reads: bool) -> str:
    """Apply in a process that is killed; tells how that ended."""
    child = os.fork()
    if child == 0:
        try:
            _apply_until_killed(world, step, reads=reads)
        finally:
            traceback.print_exc() if sys.exception() else None
            os._exit(0 if sys.exception() is None else 1)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else "failed" if status else "ended"


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        world = GraphWorld(Path(asked["root"]), Path(asked["keys"]))
        if asked["step"] == 1:
            world.context()  # what that imports, no other process needs to
        sys.stdout.write(_killed(world, asked["step"], reads=asked["reads"]) + "\n")
        sys.stdout.flush()
