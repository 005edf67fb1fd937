"""The embedded Graph for tests: served from a thread of this process, asked over real HTTP, stopped by itself."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from maa_gitops.embedded import fill_with_sample
from maa_gitops.embedded.options import Options
from maa_gitops.embedded.server import Server
from maa_gitops.embedded.tenant import FILTER, GROUP, new_group
from maa_gitops.providers.store import Store

Json = Any


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def forward(self, **units: float) -> None:
        """Move it on: ``forward(days=3)``."""
        self.now += timedelta(**units)


@dataclass(frozen=True)
class Reply:
    """An answer: ``body`` is JSON, text if it is none, None if there is nothing."""

    status: int
    body: Json
    headers: Mapping[str, str]

    @property
    def error(self) -> str:
        """The message of Graph's error."""
        return str(self.body["error"]["message"])

    @property
    def value(self) -> list[Json]:
        """The items of a list."""
        items: list[Json] = self.body["value"]
        return items


@dataclass
class Graph:
    """A served tenant.

    ``url`` is what a target's ``url`` would be. Calls are made in the name of ``identity`` unless they say otherwise.
    """

    url: str
    path: Path
    clock: Clock
    identity: str = "local"
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=30))

    def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        identity: str | None = None,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Reply:
        """Ask; ``path`` is below the version, or a whole address. ``top="2"`` is sent as ``$top=2``."""
        address = path if path.startswith("http") else f"{self.url}/{quote(path, safe='/$?&=,:@()')}"
        if query:
            address += "?" + urlencode({f"${name}": value for name, value in query.items()})
        sent = {"Authorization": f"Bearer {identity or self.identity}", **(headers or {})}
        if body is not None:
            sent = {"Content-Type": "application/json", **sent}
        data = json.dumps(body).encode() if body is not None else None
        answer = self.pool.request(method, address, body=data, headers=sent)
        return Reply(answer.status, _plain(answer.data), {key.lower(): item for key, item in answer.headers.items()})

    def get(self, path: str, **more: Any) -> Reply:
        """Read."""
        return self.call("GET", path, **more)

    def post(self, path: str, body: Json = None, **more: Any) -> Reply:
        """Make, or act."""
        return self.call("POST", path, body, **more)

    def patch(self, path: str, body: Json, **more: Any) -> Reply:
        """Change."""
        return self.call("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> Reply:
        """Take away."""
        return self.call("DELETE", path, **more)

    # What tests begin with

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The file itself, in a transaction: what is written here is there at the next call."""
        store = Store.open(self.path)
        try:
            with store.transaction():
                yield store
        finally:
            store.close()

    def group(self, name: str, *members: str) -> str:
        """Make a group with these users in it, who are made if they are not there; gives its id."""
        with self.store() as store:
            users = {found["displayName"]: key for key, found in store.entries("user").items()}
            for person in members:
                if person not in users:
                    users[person] = f"00000000-0000-4000-8000-{len(users) + 1:012}"
                    plain = {"displayName": person, "userPrincipalName": f"{person}@contoso.com"}
                    store.put_entry("user", users[person], plain)
            group_id = f"00000000-0000-4000-9000-{len(store.entries(GROUP)) + 1:012}"
            store.put_entry(GROUP, group_id, {**new_group(name), "members": [users[one] for one in members]})
        return group_id

    def filter(self, name: str) -> str:
        """Make an assignment filter; gives its id."""
        with self.store() as store:
            filter_id = f"00000000-0000-4000-a000-{len(store.entries(FILTER)) + 1:012}"
            rule = {"platform": "windows10AndLater", "rule": '(device.deviceOwnership -eq "Corporate")'}
            store.put_entry(FILTER, filter_id, {"displayName": name, **rule})
        return filter_id

    def protect(self, *types: str, approvers: tuple[str, ...] = ("bob",)) -> None:
        """Demand native approval for policy types such as ``app``; ``approvers`` may give it, by their names."""
        group_id = self.group("Approvers", *approvers)
        for name in types:
            body = {"displayName": f"Protect {name}", "policyType": name, "approverGroupIds": [group_id]}
            assert self.post("deviceManagement/operationApprovalPolicies", body).status == 201

    def decide(self, code: str, action: str = "approve", identity: str = "bob") -> Reply:
        """Approve a request, or ``reject`` or ``cancelApproval`` it, in somebody's name."""
        body = {"justification": "Checked.", "approvalSource": "adminConsole"}
        path = f"deviceManagement/operationApprovalRequests/{code}/{action}"
        return self.post(path, body, identity=identity)


def _plain(data: bytes) -> Json:
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return data.decode()


@contextmanager
def serve(
    path: Path, *, identity: str = "local", clock: Clock | None = None, sample: bool = False, **options: Any
) -> Iterator[Graph]:
    """Serve the file ``path`` on a free port until the block ends.

    ``sample`` puts the small existing tenant into it. ``options`` are those of the server: ``page``, ``publishing``,
    ``faults``, ``writes``, ``excluded`` and so on. Every thread has ended when the block has.
    """
    clock = clock or Clock()
    settings = Options(clock=clock, **options)
    Store.open(path).close()
    if sample:
        assert fill_with_sample(path, settings), "the file holds something"
    server = Server(path, settings)
    thread = Thread(target=server.run, name="embedded-graph")
    thread.start()
    graph = Graph(server.url, path, clock, identity)
    try:
        yield graph
    finally:
        graph.pool.clear()
        server.stop()
        thread.join(10)
        assert not thread.is_alive(), "the server does not end"
