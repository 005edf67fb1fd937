"""What an embedded Graph does to its callers: batches, limits, faults on purpose, and how it is served."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from maa_gitops import embedded
from maa_gitops.embedded.app import BODY_LIMIT
from maa_gitops.embedded.options import Options
from maa_gitops.errors import RemoteError
from tests.support import World
from tests.support.graph import Clock, Graph, serve
from tests.support.process import COMMAND, variables

CATEGORIES = "deviceManagement/deviceCategories"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """An empty tenant that is served."""
    with serve(tmp_path / "tenant.sqlite3") as served:
        yield served


def make(name: str, **more: Any) -> dict[str, Any]:
    """A request of a batch that makes a category."""
    return {"method": "POST", "url": f"/{CATEGORIES}", "body": {"displayName": name}, "headers": JSON, **more}


def batch(graph: Graph, *requests: dict[str, Any]) -> dict[str, Any]:
    """Send a batch; gives the responses by id."""
    reply = graph.post("$batch", {"requests": list(requests)})
    assert reply.status == 200, reply.body
    return {response["id"]: response for response in reply.body["responses"]}


def names(graph: Graph) -> list[str]:
    """The categories that are there."""
    return [item["displayName"] for item in graph.get(CATEGORIES).value]


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_is_several_calls(graph: Graph) -> None:
    """Each with a status of its own, whatever the whole says; an address may have options and keys in brackets."""
    made = graph.post(CATEGORIES, {"displayName": "Kiosk"}).body["id"]
    found = batch(
        graph,
        {"id": 1, "method": "GET", "url": f"{CATEGORIES}/{made}?$select=displayName"},
        {"id": "2", "method": "GET", "url": f"/{CATEGORIES}('{made}')"},
        {"id": "3", "method": "get", "url": f"/{CATEGORIES}?$filter=displayName%20eq%20'kiosk'"},
        {"id": "4", "method": "DELETE", "url": f"/{CATEGORIES}/{made}"},
        {"id": "5", "method": "GET", "url": f"/{CATEGORIES}/{made}"},
    )
    assert [found[key]["status"] for key in "12345"] == [200, 200, 200, 204, 404]
    assert (found["1"]["body"]["displayName"], len(found["3"]["body"]["value"])) == ("Kiosk", 1)
    assert ("body" in found["4"], found["1"]["headers"]) == (False, JSON)


def test_what_depends_on_a_failure_is_not_tried(graph: Graph) -> None:
    """424, and what depends on that as well; the others are done."""
    found = batch(
        graph,
        make("A", id="1"),
        make("", id="2"),
        make("B", id="3", dependsOn=["2"]),
        make("C", id="4", dependsOn=["3"]),
        make("D", id="5", dependsOn=["1"]),
        make("E", id="6", dependsOn=["nothing"]),
    )
    assert [found[key]["status"] for key in "123456"] == [201, 400, 424, 424, 201, 424]
    assert names(graph) == ["A", "D"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"requests": []},
        {"requests": ["x"]},
        {"requests": [make("A")]},
        {"requests": [make("A", id="1"), make("B", id=1)]},
        {"requests": [make(str(number), id=str(number)) for number in range(21)]},
    ],
)
def test_a_batch_that_is_none_is_refused(graph: Graph, body: dict[str, Any]) -> None:
    """At most 20 requests with an id each; none of them is done."""
    assert (graph.post("$batch", body).status, names(graph)) == (400, [])


@pytest.mark.parametrize(
    "request_",
    [
        {"id": "1", "method": "GET"},
        {"id": "1", "method": "TRACE", "url": "/groups"},
        {"id": "1", "url": "/groups"},
        {"id": "1", "method": "POST", "url": "/$batch", "body": {"requests": []}, "headers": JSON},
        {"id": "1", "method": "POST", "url": f"/{CATEGORIES}", "body": {"displayName": "x"}},
        {"id": "1", "method": "GET", "url": "/groups?$top=1&$top=2"},
        {"id": "1", "method": "GET", "url": 7},
    ],
)
def test_a_request_of_a_batch_that_is_none_fails_alone(graph: Graph, request_: dict[str, Any]) -> None:
    """The others are done."""
    found = batch(graph, request_, make("A", id="2"))
    assert (found["1"]["status"], found["2"]["status"]) == (400, 201)


def test_a_batch_is_posted(graph: Graph) -> None:
    """Reading it is no such thing."""
    assert graph.get("$batch").status == 405


def test_native_approval_holds_in_a_batch(graph: Graph) -> None:
    """Each request brings its own headers."""
    graph.protect("tenantConfiguration")
    why = {"x-msft-approval-justification": "V2FudGVkLg=="}
    found = batch(graph, make("A", id="1"), make("A", id="2", headers={**JSON, **why}))
    assert [found[key]["status"] for key in "12"] == [400, 412]
    code = found["2"]["headers"]["x-msft-approval-code"]
    graph.decide(code)
    again = make("A", id="3", headers={**JSON, "x-msft-approval-code": code})
    assert (batch(graph, again)["3"]["status"], names(graph)) == (201, ["A"])


# --- limits ----------------------------------------------------------------------------------------------------------


def test_too_many_writes_are_told_to_wait(tmp_path: Path) -> None:
    """Until those of 20 seconds ago are forgotten; reading goes on, and so does everybody else."""
    with serve(tmp_path / "t.sqlite3", writes=2) as graph:

        def post(identity: str = "alice") -> int:
            return graph.post(CATEGORIES, {"displayName": "x"}, identity=identity).status

        first = post()
        graph.clock.forward(seconds=5)
        assert (first, post(), post()) == (201, 201, 429)
        refused = graph.post(CATEGORIES, {"displayName": "x"}, identity="alice")
        assert (refused.headers["retry-after"], refused.body["error"]["code"]) == ("15", "TooManyRequests")
        assert (graph.get(CATEGORIES, identity="alice").status, post("bob")) == (200, 201)
        graph.clock.forward(seconds=15)
        assert (post(), post()) == (201, 429)


def test_too_many_calls_are_told_to_wait(tmp_path: Path) -> None:
    """Whatever they do; a refused one does not count."""
    with serve(tmp_path / "t.sqlite3", calls=3) as graph:
        statuses = [graph.get("groups").status for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        graph.clock.forward(seconds=20)
        assert graph.get("groups").status == 200


def test_a_batch_counts_as_what_is_in_it(tmp_path: Path) -> None:
    """A request in it is told to wait by itself."""
    with serve(tmp_path / "t.sqlite3", writes=2) as graph:
        found = batch(graph, *(make(key, id=key) for key in "123"), {"id": "4", "method": "GET", "url": "/groups"})
        assert [found[key]["status"] for key in "1234"] == [201, 201, 429, 200]
        assert found["3"]["headers"]["Retry-After"] == "20"


def test_the_limits_are_those_of_graph() -> None:
    """100 writes and 1,000 calls of one application in 20 seconds."""
    options = Options(clock=Clock())
    assert (options.writes, options.calls) == (100, 1000)


def test_a_body_has_a_limit(graph: Graph) -> None:
    """More is refused before it is read to its end."""
    headers = {"Authorization": "Bearer local", **JSON}
    body = b'"' + b"x" * BODY_LIMIT + b'"'
    answer = graph.pool.request("POST", f"{graph.url}/{CATEGORIES}", body=body, headers=headers)
    assert answer.status == 413


# --- faults ----------------------------------------------------------------------------------------------------------


@contextmanager
def faulty(path: Path, *faults: int | str | None) -> Iterator[Graph]:
    """A tenant whose first requests have these faults."""
    plan = dict(enumerate(faults, 1))
    with serve(path / "t.sqlite3", faults=lambda number, _method, _path: plan.get(number)) as graph:
        yield graph


def sent(graph: Graph) -> int:
    """Make a category; gives the status."""
    return graph.post(CATEGORIES, {"displayName": "x"}).status


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_fault_can_be_a_status(tmp_path: Path, status: int) -> None:
    """Nothing is done; the next request finds everything well."""
    with faulty(tmp_path, status) as graph:
        assert (sent(graph), sent(graph), names(graph)) == (status, 201, ["x"])


@pytest.mark.parametrize(("fault", "done"), [("reset", []), ("reset-after", ["x"]), ("half", ["x"])])
def test_a_connection_can_end_too_early(tmp_path: Path, fault: str, done: list[str]) -> None:
    """Before anything is done, or after it; the caller gets no whole answer."""
    with faulty(tmp_path, fault) as graph:
        with pytest.raises(urllib3.exceptions.ProtocolError):
            sent(graph)
        assert names(graph) == done


def test_an_answer_can_come_in_drops(tmp_path: Path) -> None:
    """It is whole in the end."""
    with faulty(tmp_path, "slow") as graph:
        graph.group("Staff")
        assert graph.get("groups/$count", headers={"ConsistencyLevel": "eventual"}).body == 1


def test_a_slow_answer_ends_with_the_caller(tmp_path: Path) -> None:
    """Who leaves in the middle of it stops nobody."""
    with faulty(tmp_path, "slow") as graph:
        host, port = graph.url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), 10) as caller:
            caller.sendall(f"GET /beta/groups HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer a\r\n\r\n".encode())
            assert caller.recv(1) == b"H"
        assert graph.get("groups").status == 200


def test_a_plan_of_faults_sees_every_request(tmp_path: Path) -> None:
    """Its number, its method, and its path; a batch is one."""
    seen: list[tuple[int, str, str]] = []

    def plan(number: int, method: str, path: str) -> None:
        seen.append((number, method, path))

    with serve(tmp_path / "t.sqlite3", faults=plan) as graph:
        graph.get("groups", top="1")
        batch(graph, {"id": "1", "method": "GET", "url": "/groups"})
    assert seen == [(1, "GET", "/beta/groups"), (2, "POST", "/beta/$batch")]


# --- the server ------------------------------------------------------------------------------------------------------


def test_a_server_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its thread has ended, its port is free, also if nobody has asked it anything."""
    before = {*threading.enumerate()}
    with serve(tmp_path / "t.sqlite3") as graph:
        assert {*threading.enumerate()} - before
        port = int(graph.url.rpartition(":")[2].partition("/")[0])
    assert {*threading.enumerate()} == before
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_a_server_that_is_stopped_before_it_runs_ends_at_once(tmp_path: Path) -> None:
    """Whatever comes first."""
    server = embedded.open_server(tmp_path / "t.sqlite3", Options(clock=Clock()))
    server.stop()
    server.run()


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    """Before anything is served."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RemoteError, match=f"port {port} cannot be had"):
            embedded.open_server(tmp_path / "t.sqlite3", Options(clock=Clock()), port)


def test_without_the_extra_there_is_a_hint(tmp_path: Path) -> None:
    """A plain installation says what to install, and everything else goes on."""
    code = (
        "import sys\nsys.modules['uvicorn'] = None\nfrom maa_gitops.cli import main\n"
        "main(['tenant', 'serve', '--file', sys.argv[1]])"
    )
    file = tmp_path / "t.sqlite3"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert "error: serving needs uvicorn, which is not installed" in done.stderr
    assert "hint: pip install 'maa-gitops[web]'" in done.stderr


# --- the command -----------------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run ``maa tenant serve`` in a folder; whatever happens, it has ended when the block has."""
    words = [*COMMAND, "tenant", "serve", *arguments]
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment or {**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path, sign: signal.Signals) -> None:
    """It says where in one line, fills an empty file with the sample, and ends well."""
    with served(tmp_path, "--file", "tenant.sqlite3", "--sample") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving http://127.0.0.1:")
        assert line.endswith("/beta (tenant.sqlite3); stop with Ctrl-C\n")
        answer = urllib3.request("GET", f"{line.split()[1]}/groups", headers={"Authorization": "Bearer a"})
        assert len(answer.json()["value"]) == 6
        process.send_signal(sign)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "stopped\n")


def test_the_command_says_where_in_json(tmp_path: Path) -> None:
    """One document; a file that holds something keeps what it has."""
    for expected in ("", "tenant.sqlite3 holds something already; it stays as it is\n"):
        with served(tmp_path, "--file", "tenant.sqlite3", "--sample", "--format", "json") as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(5)]
            plain = json.loads("".join(lines))
            assert ({*plain}, plain["file"]) == ({"version", "url", "file"}, "tenant.sqlite3")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
            assert (process.returncode, err) == (0, f"{expected}stopped\n")


def test_the_command_serves_the_local_target_of_a_repository(world: World) -> None:
    """What ``maa apply`` brought is there; what is changed there is drift."""
    world.alice.maa("apply")
    clone = world.alice.clone
    with served(clone, environment=variables(world.alice)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert f"({clone / '.git' / 'maa' / 'tenants' / 'local.sqlite3'})" in line
        url, headers = f"{line.split()[1]}/deviceAppManagement/mobileApps", {"Authorization": "Bearer a"}
        (app,) = urllib3.request("GET", url, headers=headers).json()["value"]
        assert app["notes"] == "[maa:contoso:app/company-portal]"
        urllib3.request("PATCH", f"{url}/{app['id']}", headers=headers, json={"description": "Mine."})
        assert "Mine." in world.alice.maa("drift", code=3).out
        assert "company-portal" in world.alice.maa("tenant").out
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "local", "--file", "x"), "--target and --file say two things"),
        (("--target", "nothing"), "there is no target 'nothing'"),
        (("--port", "65536"), "65536"),
    ],
)
def test_a_wrong_use_of_the_command_is_said_to_be(world: World, arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2, nothing is served."""
    assert words in world.alice.maa("tenant", "serve", *arguments, code=2).err


def test_several_local_targets_must_be_told_apart(world: World) -> None:
    """The message has their names; a target that is not local cannot be served."""
    tenant = "00000000-0000-4000-8000-000000000000"
    cloud = f"  cloud: {{provider: graph, tenantId: {tenant}}}"
    lines = f"targets:\n  staging: {{provider: local}}\n{cloud}\n"
    settings = world.read("maa.yaml").replace("targets:\n", lines)
    request = world.alice.submitted("targets", {"maa.yaml": settings})
    world.bob.maa("approve", request)
    world.alice.maa("merge", request)
    assert "maa.yaml has: local, staging" in world.alice.maa("tenant", "serve", code=2).err
    assert "'cloud' is not local" in world.alice.maa("tenant", "serve", "--target", "cloud", code=2).err


def test_a_target_goes_after_the_command_that_serves(world: World) -> None:
    """Before it, it would belong to the command that shows."""
    assert "--target goes after 'serve'" in world.alice.maa("tenant", "--target", "local", "serve", code=2).err
