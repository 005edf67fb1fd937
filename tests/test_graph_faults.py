"""Applying to Graph while everything goes wrong: afterwards the tenant is as planned, nothing twice, nothing lost."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maa_gitops.apply import Report, applied
from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer, Connection
from maa_gitops.model import Outcome
from maa_gitops.providers.graph.client import LONGEST_WAIT
from maa_gitops.receipt import Applied
from tests.applying import Wrapped, make_keys
from tests.graph_applying import (
    APPS,
    NAME,
    OWN,
    SHELL_SCRIPTS,
    GraphWorld,
    Heard,
    Held,
    Line,
    Trouble,
    Troubles,
    make_graph_world,
    tenant_of,
)
from tests.graph_samples import ASSIGNED, KINDS, VARIANTS, Sample, files_of
from tests.support.graph import Graph, serve

REQUESTS = "deviceManagement/operationApprovalRequests"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's keys."""
    return make_keys(tmp_path_factory.mktemp("faults") / "keys")


class PassingError(Exception):
    """A run was given up, and says that it may go better later, or once somebody has signed in again."""


@dataclass(repr=False)
class Stage:
    """A served tenant, what goes wrong there, and a tenant repository for it; ``waits`` are what a run waited."""

    graph: Graph
    troubles: Troubles
    world: GraphWorld
    groups: Mapping[str, str]
    waits: list[float] = field(default_factory=list)
    runs: int = 0

    def wait(self, seconds: float) -> None:
        """Wait: nobody sleeps, but the tenant's clock goes on."""
        self.waits.append(seconds)
        self.graph.clock.forward(seconds=seconds)

    def anew(self, root: Path) -> "Stage":
        """The same tenant, empty, with a copy of the repository."""
        self.troubles.plan()
        self.graph.clock.forward(minutes=1)
        with self.graph.store() as store:
            for remote_id in store.objects():
                store.remove(remote_id)
        return self.copied(root)

    def copied(self, root: Path) -> "Stage":
        """The same tenant with a copy of the repository."""
        shutil.copytree(self.world.root, root)
        return replace(self, world=replace(self.world, root=root, ids=[]), waits=[], runs=0)

    def commit(self, *samples: Sample) -> None:
        """Commit these samples, and no others."""
        resources = self.world.folder / "resources"
        there = {str(found.relative_to(self.world.folder)) for found in resources.rglob("*") if found.is_file()}
        files = files_of(samples)
        if there or files:
            self.world.commit({"docs/notes.md": f"{self.runs}", **dict.fromkeys(there - files.keys()), **files})

    def apply(
        self, *troubles: Trouble, heard: Heard | None = None, rebuild: bool = False, wrap: Any = lambda found: found
    ) -> Report:
        """Apply a minute after the run before, while things go wrong and somebody listens in."""
        self.troubles.plan(*troubles)
        self.waits.clear()
        self.runs += 1
        world = replace(self.world, connection=lambda: Line(heard) if heard else Connection(), wait=self.wait)
        try:
            return world.apply(self.runs, rebuild=rebuild, wrap=wrap)
        except RemoteError as error:
            if error.retry or error.code == "graphUnauthorized":
                raise PassingError(error.message) from error
            raise
        finally:
            self.troubles.planned = ()

    def received(self) -> Applied:
        """What the receipts branch holds, verified."""
        return applied(self.world.context(60), NAME)

    def as_planned(self, *samples: Sample, foreign: Sequence[Held] = ()) -> None:
        """Hold the tenant to what was planned; there is nothing left to do, and the receipts say what is there."""
        self.troubles.plan()
        held = tenant_of(self.graph)
        ours = {str(found.marker): found for found in held if found.marker is not None}
        planned = Counter(sample.marker for sample in samples)
        assert Counter(found.marker for found in held if found not in foreign) == planned
        assert [found for found in held if found in foreign] == list(foreign)
        for sample in samples:
            found = ours[sample.marker]
            assert (found.collection, found.says(sample.properties())) == (sample.collection, True), (sample, found)
            assert sorted(found.assigned()) == sorted(sample.assignments(self.groups)), sample
        receipts = self.received()
        assert receipts.newest is not None
        assert (receipts.newest.failed, receipts.intent) == ((), None)
        ids = {name: one.remote_id for name, one in receipts.objects.items()}
        assert ids == {sample.resource: ours[sample.marker].id for sample in samples}
        again = self.apply()
        assert (again.objects, again.receipt, self.troubles.writes) == ((), None, [])
        assert tenant_of(self.graph) == held


@contextmanager
def staged(folder: Path, keys: Path, **options: Any) -> Iterator[Stage]:
    """Serve a tenant with two groups, with options."""
    troubles = Troubles()
    given: dict[str, Any] = {"types": OWN, "faults": troubles, **options}
    with serve(folder / "graph.sqlite3", identity="reader", **given) as graph:
        groups = {name: graph.group(name, "bob") for name in ("Staff", "IT")}
        yield Stage(graph, troubles, make_graph_world(folder / "world", keys, graph), groups)


@pytest.fixture
def staging(tmp_path: Path, keys: Path) -> Iterator[Callable[..., Stage]]:
    """Serve a tenant with options until the test ends."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(staged(tmp_path, keys, **options))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Stage]:
    """A tenant as Graph is, for one test after the other."""
    with staged(tmp_path_factory.mktemp("served"), keys) as found:
        yield found


@pytest.fixture
def stage(served: Stage, tmp_path: Path) -> Stage:
    """A tenant as Graph is, empty."""
    return served.anew(tmp_path / "world")


def outcomes(report: Report) -> dict[str, str]:
    """What a report says of each object."""
    return {found.object: f"{found.operation} {found.outcome}" for found in report.objects}


def messages(report: Report) -> str:
    """What a report says of what failed."""
    return "; ".join(found.message or "" for found in report.failed)


# --- whatever happens ------------------------------------------------------------------------------------------------


class Died(BaseException):
    """The process was killed."""


@dataclass(frozen=True)
class Run:
    """A run of apply, and what goes wrong in it.

    Of the exchanges in ``gateway`` nobody gets the answer but 504, and at the one in ``dies`` the process ends.
    """

    troubles: Sequence[Trouble]
    gateway: frozenset[int]
    dies: int | None

    def heard(self) -> Heard:
        """Listen in on a run of these."""
        exchanges = count(1)
        number = 0

        def heard(_method: str, _url: str, answer: Answer | None) -> Answer | None:
            nonlocal number
            if answer is None:
                number = next(exchanges)
            if number == self.dies:
                raise Died
            return Answer(504, {}, b"") if answer is not None and number in self.gateway else None

        return heard


State = Mapping[tuple[str, str], tuple[int, int]]

FAULTS = (401, 429, 500, 502, 503, 504, "reset", "reset-after", "half")
some_faults = st.sampled_from(FAULTS)
lengths = st.sampled_from((1, 1, 2, 7, 60))
some_troubles = st.one_of(
    st.builds(Trouble, some_faults, st.integers(1, 40), lengths),
    st.builds(Trouble, some_faults, st.integers(1, 8), lengths, st.just(True)),
)
some_runs = st.builds(
    Run,
    st.lists(some_troubles, min_size=1, max_size=3),
    st.frozensets(st.integers(1, 50), max_size=3),
    st.none() | st.integers(1, 60),
)
some_states: st.SearchStrategy[State] = st.dictionaries(
    st.tuples(st.sampled_from(KINDS), st.sampled_from("ab")),
    st.tuples(st.integers(0, VARIANTS - 1), st.integers(0, ASSIGNED - 1)),
    max_size=5,
)
stories = st.lists(st.tuples(some_states, st.lists(some_runs, min_size=1, max_size=2)), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Stage]:
    """A tenant that is used again and again."""
    folder = tmp_path_factory.mktemp("common")
    with staged(folder, keys, page=3, publishing=timedelta(seconds=3)) as found:
        yield found


def begin(common: Stage, root: Path) -> tuple[Stage, list[Held]]:
    """Begin anew, with a tenant that holds nothing but two objects of somebody else's; gives these."""
    stage = common.anew(root)
    for name, notes in (("Mine", ""), ("A webApp", "[maa:other:app/webapp-a]")):
        body = {"@odata.type": "#microsoft.graph.webApp", "displayName": name, "appUrl": "https://one.example"}
        assert stage.graph.post(APPS, {**body, "notes": notes}).status == 201
    stage.graph.clock.forward(minutes=1)
    return stage, tenant_of(stage.graph)


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=stories)
def test_whatever_goes_wrong_the_tenant_is_as_planned_in_the_end(
    common: Stage, tmp_path_factory: pytest.TempPathFactory, story: Sequence[tuple[State, Sequence[Run]]]
) -> None:
    """However runs fail or die on the way, the next goes on: one object a resource, and nobody else's is touched."""
    stage, foreign = begin(common, tmp_path_factory.mktemp("story") / "world")
    samples: list[Sample] = []
    for state, runs in story:
        samples = [Sample(kind, name, *how) for (kind, name), how in sorted(state.items())]
        stage.commit(*samples)
        for run in runs:
            with suppress(Died, PassingError):
                stage.apply(*run.troubles, heard=run.heard())
    assert stage.apply().failed == ()
    stage.as_planned(*samples, foreign=foreign)
    shutil.rmtree(stage.world.root)


# --- killed ----------------------------------------------------------------------------------------------------------


class Killer:
    """Applies in another process, which is killed on the way."""

    def __init__(self) -> None:
        """Start the process that begins others."""
        command = [sys.executable, "-W", "error", "-m", "tests.graph_applying"]
        folder, pipe = Path(__file__).parent.parent, subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, text=True)

    def kill(self, world: GraphWorld, step: int, *, reads: bool) -> bool:
        """Apply, and die at the step; whether there were so many. Without ``reads`` only writes are steps."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = {"root": str(world.root), "keys": str(world.keys), "step": step, "reads": reads}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        ended = self.process.stdout.readline().strip()
        assert ended in ("killed", "ended"), (step, ended)
        return ended == "killed"

    def deaths(self, stage: Stage, *, reads: bool = True) -> Iterator[Stage]:
        """Kill a run at its first step, another at its second, and so on, each going on from what is there now.

        Only deaths that leave something new behind are given; in the end all is as it was at first.
        """
        kept = stage.graph.path.with_name("kept.sqlite3")
        copy_tenant(stage.graph.path, kept)
        seen: set[str] = set()
        for step in count(1):
            died = stage.copied(stage.world.root.with_name(f"step-{step}"))
            died.troubles.plan()
            is_dead = self.kill(died.world, step, reads=reads)
            left = left_by(died)
            if left not in seen:
                seen.add(left)
                died.runs = 1
                yield died
            copy_tenant(kept, stage.graph.path)
            shutil.rmtree(died.world.root)
            if not is_dead:
                assert step > (20 if reads else 4)
                return


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    """A process that waits for worlds to apply."""
    found = Killer()
    with found.process:
        yield found
        assert found.process.stdin is not None
        found.process.stdin.close()


def copy_tenant(old: Path, new: Path) -> None:
    """Make a tenant's file what another is; whoever serves it sees it."""
    with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(new)) as copy:
        source.backup(copy)


def left_by(stage: Stage) -> str:
    """What a dead run has left behind, without ids: from the same, the next run goes on in the same way."""
    with stage.graph.store() as store:
        sides = list(store.graph_sides().values())
        requests = list(store.entries("operationApprovalRequest").values())
    objects = [[one.path, one.properties, one.assignments, sorted(one.reported)] for one in sides]
    filed = [[one["status"], one["payloadOperation"], one["payload"]] for one in requests]
    repository = stage.world.repository()
    tip = repository.ref(stage.world.branch)
    entries = repository.tree(repository.commit(tip).tree) if tip is not None else ()
    own = stage.world.folder / ".git" / "maa"
    files = sorted(str(path.relative_to(own)) for path in own.rglob("*"))
    spelled = sorted(json.dumps(one, sort_keys=True) for one in (*objects, *filed))
    return json.dumps([spelled, sorted(entry.name for entry in entries), files])


FIRST = (
    Sample("webApp", "a", 0, 3),
    Sample("webApp", "b", 1, 0),
    Sample("winGetApp", "a", 0, 0),
    Sample("deviceShellScript", "a", 0, 1),
)
SECOND = (
    Sample("webApp", "b", 1, 2),
    Sample("winGetApp", "b", 0, 0),
    Sample("deviceShellScript", "a", 1, 1),
    Sample("windows10GeneralConfiguration", "a", 2, 4),
)
"""After the first: an app is gone, one is assigned, one has another name, a script is edited, something is new."""

UNLIMITED = {"writes": 10**6, "calls": 10**6}
"""For runs of another process, which cannot move the clock on."""


@pytest.mark.parametrize("before", [(), FIRST], ids=["at first", "later"])
def test_a_run_can_be_killed_at_any_step(
    staging: Callable[..., Stage], killer: Killer, before: tuple[Sample, ...]
) -> None:
    """Before and after every exchange and every move of the receipts branch: the next run ends what was begun."""
    stage = staging(**UNLIMITED)
    after = SECOND if before else FIRST
    if before:
        stage.commit(*before)
        assert stage.apply().failed == ()
    stage.commit(*after)
    found = 0
    for died in killer.deaths(stage):
        assert died.apply().failed == ()
        died.as_planned(*after)
        found += 1
    assert found >= 9


# --- a create, of which nobody knows ---------------------------------------------------------------------------------

APP = Sample("webApp", "a", 0, 1)
POST_APP = ("POST", APPS)


def spoiled(method: str, end: str, spoil: Callable[[int, Answer], Answer | None]) -> Heard:
    """Listen in, and put another answer in the place of those to a method at addresses that end so; they count."""
    numbers = count(1)

    def heard(asked: str, url: str, answer: Answer | None) -> Answer | None:
        return spoil(next(numbers), answer) if answer is not None and asked == method and url.endswith(end) else None

    return heard


@pytest.mark.parametrize("fault", ["reset-after", "half"])
def test_a_create_whose_answer_is_lost_makes_no_second_object(stage: Stage, fault: str) -> None:
    """What it made is looked for by its mark at once, and gone on with."""
    stage.commit(APP)
    report = stage.apply(Trouble(fault, 1, writes=True))
    assert (outcomes(report), stage.troubles.writes.count(POST_APP)) == ({APP.resource: "create applied"}, 1)
    stage.as_planned(APP)


def test_a_create_that_a_gateway_lost_sight_of_makes_no_second_object(stage: Stage) -> None:
    """504 says nothing of what became of it."""
    stage.commit(APP)
    report = stage.apply(heard=spoiled("POST", APPS, lambda _number, _answer: Answer(504, {}, b"")))
    assert (outcomes(report), stage.troubles.writes.count(POST_APP)) == ({APP.resource: "create applied"}, 1)
    stage.as_planned(APP)


def test_a_create_that_does_not_say_what_it_made_is_found_by_the_next_run(stage: Stage) -> None:
    """An answer without an id is no reason to make another."""
    stage.commit(APP)
    report = stage.apply(heard=spoiled("POST", APPS, lambda _number, answer: replace(answer, data=b"{}")))
    assert (outcomes(report), messages(report)[:27]) == ({APP.resource: "create failed"}, "Graph does not say what it ")
    assert outcomes(stage.apply()) == {APP.resource: "assign applied"}
    stage.as_planned(APP)


@pytest.mark.parametrize("fault", ["reset", 500, 502, 503, 504])
def test_a_create_that_never_arrived_is_not_claimed(stage: Stage, fault: int | str) -> None:
    """Nobody knows, so it is sent once, looked for, and told as failed; the next run makes it."""
    stage.commit(APP)
    report = stage.apply(Trouble(fault, 1, writes=True))
    assert (outcomes(report), stage.troubles.writes) == ({APP.resource: "create failed"}, [POST_APP])
    received = stage.received()
    assert received.newest is not None
    assert (received.newest.failed, dict(received.objects), tenant_of(stage.graph)) == ((APP.resource,), {}, [])
    assert outcomes(stage.apply()) == {APP.resource: "create applied"}
    stage.as_planned(APP)


def lost_with_the_list() -> Heard:
    """Lose the answer to a create, and every answer after it."""
    posted = False

    def heard(method: str, url: str, answer: Answer | None) -> Answer | None:
        nonlocal posted
        posted = posted or (method == "POST" and url.endswith(APPS) and answer is not None)
        return Answer(503, {}, b"") if posted and answer is not None else None

    return heard


def test_a_create_is_not_sent_again_where_nobody_can_look_for_it(stage: Stage) -> None:
    """Its answer is lost, and so is the list: the run fails, and the next one finds the object."""
    stage.commit(APP)
    report = stage.apply(heard=lost_with_the_list())
    assert (outcomes(report), stage.troubles.writes) == ({APP.resource: "create failed"}, [POST_APP])
    assert outcomes(stage.apply()) == {APP.resource: "assign applied"}
    stage.as_planned(APP)


def test_what_a_failed_run_made_goes_with_its_resource(stage: Stage) -> None:
    """The receipt says that it failed, so that it may be there all the same."""
    stage.commit(APP)
    stage.apply(heard=lost_with_the_list())
    stage.commit()
    assert outcomes(stage.apply()) == {APP.resource: "delete applied"}
    stage.as_planned()


@pytest.mark.parametrize("fault", ["reset", "reset-after", "half", 503])
def test_what_can_be_sent_twice_is_sent_again_in_the_same_run(stage: Stage, fault: int | str) -> None:
    """An edit, an assignment, a delete: trouble that passes is not even told of."""
    stage.commit(*FIRST)
    stage.apply()
    stage.commit(*(sample for sample in SECOND if sample.kind != "windows10GeneralConfiguration"))
    troubles = [Trouble(fault, number, writes=True) for number in (1, 3, 5, 7)]
    assert stage.apply(*troubles).failed == ()
    assert len(stage.troubles.writes) == (5 if fault == "half" else 8)  # there is no half of no content
    stage.as_planned(*SECOND[:3])


def test_what_a_dead_run_made_goes_with_its_resource(stage: Stage) -> None:
    """No receipt tells of it, and its resource is gone when the next run begins; its mark and history tell."""
    stage.commit(APP)
    with pytest.raises(Died):
        stage.apply(heard=dying("assign"))
    stage.commit()
    assert outcomes(stage.apply()) == {APP.resource: "delete applied"}
    stage.as_planned()


def test_what_a_dead_run_made_moves_with_its_resource(stage: Stage) -> None:
    """It has another name when the next run begins: the object is the same, and no second one is made."""
    renamed = replace(APP, name="b")
    unassigned = [replace(one, assigned=0) for one in (APP, renamed)]
    stage.commit(unassigned[0])
    with pytest.raises(Died):
        stage.apply(heard=dying(APPS, after=True))
    (made,) = tenant_of(stage.graph)
    stage.commit(unassigned[1])
    assert outcomes(stage.apply()) == {renamed.resource: "move applied"}
    assert [found.id for found in tenant_of(stage.graph)] == [made.id]
    stage.as_planned(unassigned[1])


@pytest.mark.parametrize("name", ["webapp-never", "../webapp-a"])
def test_a_mark_of_a_resource_that_never_was_is_nobodys(stage: Stage, name: str) -> None:
    """Whoever writes a mark into an object of theirs does not have it taken away; drift tells of it."""
    stage.commit(APP)
    body = {"@odata.type": "#microsoft.graph.webApp", "displayName": "X", "appUrl": "https://x.example"}
    stage.graph.post(APPS, {**body, "notes": f"[maa:contoso:app/{name}]"})
    script = {"displayName": "X", "runAsAccount": "system", "fileName": "x.sh", "scriptContent": "eA=="}
    stage.graph.post(SHELL_SCRIPTS, {**script, "description": f"[{APP.marker}-other]"})
    foreign = tenant_of(stage.graph)
    assert outcomes(stage.apply()) == {APP.resource: "create applied"}
    stage.as_planned(APP, foreign=foreign)


def dying(end: str, *, after: bool = False) -> Heard:
    """Die before the first POST to an address that ends so, or after it."""

    def heard(method: str, url: str, answer: Answer | None) -> None:
        if method == "POST" and url.endswith(end) and (answer is not None) is after:
            raise Died

    return heard


# --- limits, pages, slow and senseless answers -----------------------------------------------------------------------


def test_publishing_that_takes_longer_than_a_run_is_gone_on_with_later(staging: Callable[..., Stage]) -> None:
    """The app is there and told as failed, and nothing is made again; it is assigned once it is published."""
    stage = staging(publishing=timedelta(hours=1))
    stage.commit(APP)
    for operation in ("create", "assign"):
        report = stage.apply()
        assert outcomes(report) == {APP.resource: f"{operation} failed"}
        assert "not published yet (processing); maa apply assigns it later" in messages(report)
        assert sum(stage.waits) < 120
    stage.graph.clock.forward(hours=1)
    assert outcomes(stage.apply()) == {APP.resource: "assign applied"}
    stage.as_planned(APP)


@pytest.mark.parametrize("senseless", [b"", b"[]", b"{}"])
def test_publishing_of_which_graph_says_nothing_is_not_believed(stage: Stage, senseless: bytes) -> None:
    """An app is assigned once Graph has said that it is published."""
    stage.commit(APP)

    def heard(method: str, url: str, answer: Answer | None) -> Answer | None:
        is_one = method == "GET" and f"{APPS}/" in url
        return Answer(200, {}, senseless) if is_one and answer is not None else None

    assert "not published yet (None)" in messages(stage.apply(heard=heard))
    assert outcomes(stage.apply()) == {APP.resource: "assign applied"}
    stage.as_planned(APP)


def test_a_limit_is_waited_out_for_as_long_as_graph_says(staging: Callable[..., Stage]) -> None:
    """With two writes in 20 seconds, and eight calls, everything is there after one run, and nothing twice."""
    stage = staging(writes=2, calls=8, publishing=timedelta(0))
    stage.commit(*FIRST)
    assert stage.apply().failed == ()
    assert {*stage.waits} == {20.0}
    stage.graph.clock.forward(minutes=1)
    stage.as_planned(*FIRST)


@pytest.mark.parametrize("end", [APPS, "$batch", "mobileApps?$filter="])
def test_a_limit_without_a_word_about_how_long_is_waited_out_longer_each_time(
    staging: Callable[..., Stage], end: str
) -> None:
    """Nobody asks again at once; and a create that was limited has not been made, so it is sent again."""
    stage = staging(publishing=timedelta(0))
    stage.commit(APP)
    numbers = count(1)

    def heard(method: str, url: str, answer: Answer | None) -> Answer | None:
        is_it = answer is None and end in url and (method == "POST") is ("?" not in end)
        return Answer(429, {}, b"") if is_it and next(numbers) < 4 else None

    report = stage.apply(heard=heard)
    assert outcomes(report) == {APP.resource: "create applied"}
    first, second, third = stage.waits
    assert 5 <= first <= 10 <= second <= 20 <= third <= 40
    stage.as_planned(APP)


def test_a_storm_that_does_not_end_is_given_up_in_time(stage: Stage) -> None:
    """Reading: nothing was written, not even an intent. Writing: told of each object. Both say that it can be later."""
    stage.commit(*FIRST)
    with pytest.raises(PassingError, match="limits how often it is asked"):
        stage.apply(Trouble(429, 1, 1000))
    assert (stage.received().commit, stage.troubles.writes, sum(stage.waits) <= LONGEST_WAIT) == (None, [], True)
    report = stage.apply(Trouble(429, 2, 1000, writes=True))
    assert [found.outcome for found in report.objects].count("failed") == 4
    assert stage.apply().failed == ()
    stage.as_planned(*FIRST)


def test_a_wait_that_is_too_long_is_not_waited(stage: Stage) -> None:
    """Graph may ask for an hour; then the run says so and ends."""
    stage.commit(APP)
    hour = Answer(429, {"retry-after": "3600"}, b"")
    with pytest.raises(PassingError, match="for another 3600 s"):
        stage.apply(heard=lambda _method, _url, answer: hour if answer is None else None)
    assert stage.waits == []


@pytest.mark.parametrize("fault", ["reset", 503, "half"])
def test_a_list_that_ends_too_early_is_no_list(staging: Callable[..., Stage], fault: int | str) -> None:
    """Of three pages the second never comes: nothing is written, least of all what the other pages hold."""
    stage = staging(page=2)
    stage.commit(*FIRST, *(Sample("webApp", name) for name in "cde"))
    stage.apply()
    held = tenant_of(stage.graph)
    number = next(n for n, (_, path) in enumerate(stage.troubles.calls, start=1) if path == APPS)
    for rebuild in (False, True):
        with pytest.raises(PassingError):
            stage.apply(Trouble(fault, number + 1, 1000), rebuild=rebuild)
        assert (stage.troubles.writes, tenant_of(stage.graph)) == ([], held)
    stage.apply(rebuild=True)
    stage.as_planned(*FIRST, *(Sample("webApp", name) for name in "cde"))


@pytest.mark.parametrize(
    "link", ["https://graph.contoso.example/beta/deviceAppManagement/mobileApps?$skiptoken=x", "same", 7, "/x"]
)
def test_pages_that_lead_elsewhere_or_in_a_circle_are_not_followed(stage: Stage, link: Any) -> None:
    """Our token goes to nobody else, and a run ends."""
    stage.commit(APP)
    asked = []

    def heard(_method: str, url: str, answer: Answer | None) -> Answer | None:
        asked.append(url)
        if answer is None or APPS not in url:
            return None
        plain = {**json.loads(answer.data), "@odata.nextLink": url if link == "same" else link}
        return replace(answer, data=json.dumps(plain).encode())

    with pytest.raises(RemoteError) as caught:
        stage.apply(heard=heard)
    assert caught.value.code == "graphMisunderstood"
    assert {url.partition("/beta/")[0] for url in asked} == {stage.graph.url.removesuffix("/beta")}
    assert stage.apply().failed == ()
    stage.as_planned(APP)


def test_an_answer_that_drips_is_given_up_and_asked_for_again(stage: Stage) -> None:
    """Byte by byte it never is silent for long, and never ends in time."""
    ticks = count()
    connection = Connection(deadline=4, clock=lambda: float(next(ticks)))
    stage.world = replace(stage.world, connection=lambda: connection)
    stage.commit(APP)
    stage.troubles.plan(Trouble("slow", 1, 2), Trouble("slow", 1, writes=True), Trouble("slow", 2, writes=True))
    assert outcomes(stage.world.apply(1)) == {APP.resource: "create applied"}
    assert stage.troubles.calls.count(("GET", "organization")) == 3
    assert stage.troubles.writes.count(POST_APP) == 1
    stage.as_planned(APP)


SENSELESS = (
    b"",
    b"null",
    b"[]",
    b"7",
    b"<html>",
    b"{" * 9,
    b'{"value": 7}',
    b'{"value": [7]}',
    b'{"value": [], "@odata.nextLink": [7]}',
    b'{"id": 7, "value": []}',
    b'{"responses": [7]}',
    b'{"responses": []}',
    b'{"responses": [{"id": "0", "status": "x"}]}',
    b'{"responses": [{"id": "0", "status": 200, "body": [7]}]}',
)
"""Answers that are whole and mean nothing, or not what was asked for."""


@settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(1, 24), senseless=st.sampled_from(SENSELESS))
def test_answers_without_sense_are_told_as_such(
    common: Stage, tmp_path_factory: pytest.TempPathFactory, number: int, senseless: bytes
) -> None:
    """Whichever answer of a run it is, however often: nothing but an error that says so, and the next run goes on."""
    stage, foreign = begin(common, tmp_path_factory.mktemp("senseless") / "world")
    stage.commit(APP, SECOND[-1])
    exchanges = count(1)

    def heard(_method: str, _url: str, answer: Answer | None) -> Answer | None:
        return Answer(200, {}, senseless) if answer is not None and next(exchanges) >= number else None

    with suppress(PassingError, RemoteError):
        stage.apply(heard=heard)
    assert stage.apply().failed == ()
    stage.as_planned(APP, SECOND[-1], foreign=foreign)


class Expiring:
    """A credential whose token is renewed when it is asked for afresh."""

    def __init__(self) -> None:
        """Begin with the first token."""
        self.asked: list[bool] = []

    def token(self, *, fresh: bool = False) -> str:
        """Give a name that the tenant takes."""
        self.asked.append(fresh)
        return "local"


@pytest.mark.parametrize("number", [1, 4, 9, 13])
def test_a_token_that_expires_on_the_way_is_renewed_once(stage: Stage, number: int) -> None:
    """401 once, at whatever call: the run does not even tell of it."""
    credential = Expiring()
    stage.world = replace(stage.world, credential=credential)
    stage.commit(APP)
    assert outcomes(stage.apply(Trouble(401, number))) == {APP.resource: "create applied"}
    assert (credential.asked.count(True), credential.asked.index(True)) == (1, number)
    stage.as_planned(APP)


def test_a_token_that_is_taken_by_nobody_ends_a_run(stage: Stage) -> None:
    """A new one that is not accepted either is not asked for again and again."""
    credential = Expiring()
    stage.world = replace(stage.world, credential=credential)
    stage.commit(APP)
    with pytest.raises(PassingError, match="does not accept the token"):
        stage.apply(Trouble(401, 1, 1000))
    assert credential.asked == [False, True]
    report = stage.apply(Trouble(401, 1, 1000, writes=True))
    assert "does not accept the token" in messages(report)
    assert stage.apply().failed == ()
    stage.as_planned(APP)


# --- others who change the tenant meanwhile --------------------------------------------------------------------------

OTHER = ("webApp", "windows10GeneralConfiguration", "deviceShellScript")


def meanwhile(act: Callable[[], None]) -> Callable[[Any], Wrapped]:
    """A provider at which, once the plan has read what is there, somebody acts."""

    def tell(call: str) -> None:
        if call == "done objects":
            act()

    return lambda provider: Wrapped(provider, tell)


def one(stage: Stage) -> Held:
    """The only object."""
    (found,) = tenant_of(stage.graph)
    return found


@pytest.mark.parametrize("kind", OTHER)
@pytest.mark.parametrize("operation", ["edit", "assign", "delete"])
def test_an_object_that_is_deleted_meanwhile(stage: Stage, kind: str, operation: str) -> None:
    """It is gone, which is all that a delete wanted; else the run says so, and the next one makes it again."""
    stage.commit(Sample(kind, "a"))
    stage.apply()
    after = {"edit": [Sample(kind, "a", 1, 1)], "assign": [Sample(kind, "a", 0, 1)], "delete": []}[operation]
    stage.commit(*after)
    gone = one(stage)
    report = stage.apply(wrap=meanwhile(lambda: delete(stage, gone)))
    assert [*outcomes(report).values()] == [f"{operation} {'failed' if after else 'applied'}"]
    again = stage.apply()
    assert [*outcomes(again).values()] == (["create applied"] if after else [])
    stage.as_planned(*after)


def delete(stage: Stage, held: Held) -> None:
    """Delete an object as somebody else would."""
    assert stage.graph.delete(f"{held.collection}/{held.id}").status == 204


@pytest.mark.parametrize("kind", OTHER)
@pytest.mark.parametrize("operation", ["edit", "assign"])
def test_an_object_that_is_renamed_meanwhile(stage: Stage, kind: str, operation: str) -> None:
    """Its mark is ours, so it is the same; an edit puts the name back, else the next run does."""
    stage.commit(Sample(kind, "a"))
    stage.apply()
    after = Sample(kind, "a", 1, 1) if operation == "edit" else Sample(kind, "a", 0, 1)
    stage.commit(after)
    found = one(stage)
    mine = {"displayName": "Mine", **({"@odata.type": f"#microsoft.graph.{kind}"} if kind == OTHER[0] else {})}
    report = stage.apply(wrap=meanwhile(lambda: patch(stage, found, mine)))
    assert [*outcomes(report).values()] == [f"{operation} applied"]
    again = stage.apply()
    assert [*outcomes(again).values()] == ([] if operation == "edit" else ["edit applied"])
    stage.as_planned(after)
    assert one(stage).id == found.id


def patch(stage: Stage, held: Held, properties: Mapping[str, Any]) -> None:
    """Change an object as somebody else would."""
    assert stage.graph.patch(f"{held.collection}/{held.id}", properties).status == 200


@pytest.mark.parametrize("kind", OTHER)
def test_an_object_that_is_assigned_meanwhile(stage: Stage, kind: str) -> None:
    """An edit that leaves the assignments alone sees that they are others by now, and puts them back."""
    stage.commit(Sample(kind, "a", 0, 1))
    stage.apply()
    stage.commit(Sample(kind, "a", 1, 1))
    found = one(stage)
    assert outcomes(stage.apply(wrap=meanwhile(lambda: assign_nobody(stage, found)))) == {
        Sample(kind, "a").resource: "edit applied"
    }
    stage.as_planned(Sample(kind, "a", 1, 1))


def assign_nobody(stage: Stage, held: Held) -> None:
    """Take all assignments away as somebody else would."""
    members = {APPS: "mobileAppAssignments", SHELL_SCRIPTS: "deviceManagementScriptAssignments"}
    body: dict[str, list[object]] = {members.get(held.collection, "assignments"): []}
    assert stage.graph.post(f"{held.collection}/{held.id}/assign", body).status < 300


@pytest.mark.parametrize("kind", OTHER)
def test_an_object_whose_mark_is_removed_meanwhile(stage: Stage, kind: str) -> None:
    """It is known by its id for this run and the next, and bears its mark again."""
    stage.commit(Sample(kind, "a"))
    stage.apply()
    stage.commit(Sample(kind, "a", 1))
    found = one(stage)
    plain = {"notes" if found.collection == APPS else "description": ""}
    mine = {**plain, **({"@odata.type": f"#microsoft.graph.{kind}"} if kind == OTHER[0] else {})}
    assert stage.apply(wrap=meanwhile(lambda: patch(stage, found, mine))).failed == ()
    stage.as_planned(Sample(kind, "a", 1))
    assert one(stage).id == found.id


def test_an_object_that_somebody_makes_meanwhile(stage: Stage) -> None:
    """One that bears the mark is gone on with; one that only has the name is somebody else's."""
    stage.commit(APP, Sample("webApp", "b"))
    body = {"@odata.type": "#microsoft.graph.webApp", "displayName": "A webApp", "appUrl": "https://x.example"}
    foreign: list[Held] = []

    def act() -> None:
        stage.graph.post(APPS, {**body, "notes": f"[{APP.marker}]"})
        made = stage.graph.post(APPS, body).body["id"]
        foreign.extend(held for held in tenant_of(stage.graph) if held.id == made)

    assert stage.apply(wrap=meanwhile(act)).failed == ()
    stage.as_planned(APP, Sample("webApp", "b"), foreign=foreign)


# --- with Intune's own approval --------------------------------------------------------------------------------------


def guarded(staging: Callable[..., Stage], **options: Any) -> Stage:
    """A tenant in which bob approves what is done to apps."""
    stage = staging(**options)
    stage.graph.protect("app")
    return stage


def filed(stage: Stage) -> list[tuple[str, str]]:
    """What was filed in the tenant: the operations, each with its status; no call is filed twice."""
    found = stage.graph.get(REQUESTS).value
    calls = [(one["payloadOperation"], one["payload"]) for one in found]
    assert len({*calls}) == len(calls), calls
    return [(one["payloadOperation"], one["status"]) for one in found]


def approve_all(stage: Stage) -> None:
    """Approve whatever waits."""
    for request in stage.graph.get(REQUESTS).value:
        if request["status"] == "needsApproval":
            assert stage.graph.decide(request["id"]).status == 200


def settle(stage: Stage) -> None:
    """Apply and approve until nothing fails."""
    for _ in range(9):
        report = stage.apply()
        if not report.failed:
            return
        assert {found.outcome for found in report.failed} == {Outcome.AWAITING_NATIVE_APPROVAL}, messages(report)
        approve_all(stage)
    pytest.fail("it does not settle")


def test_what_a_run_filed_before_it_died_is_gone_on_with(staging: Callable[..., Stage], killer: Killer) -> None:
    """Killed before and after every write of every run on the way: no call is filed twice, and all is done in the end.

    Making an app and assigning it are two calls that wait, one after the other.
    """
    stage = guarded(staging, **UNLIMITED)
    stage.commit(APP)
    expected = ["Create", "Assign"]
    for _ in range(3):
        for died in killer.deaths(stage, reads=False):
            settle(died)
            died.as_planned(APP)
            assert filed(died) == [(operation, "completed") for operation in expected]
        stage.apply()
        approve_all(stage)
    stage.as_planned(APP)


@pytest.mark.parametrize(
    ("number", "fault"), [(1, "reset"), (1, "reset-after"), (1, 503), (2, "reset-after"), (2, "half"), (2, 429)]
)
def test_an_approved_call_whose_answer_is_lost_is_done_once(
    staging: Callable[..., Stage], number: int, fault: int | str
) -> None:
    """Filing (the first run) and doing (the second) alike: each call is filed once and done once."""
    stage = guarded(staging)
    states: tuple[list[Sample], ...] = ([replace(APP, assigned=0)], [APP], [replace(APP, variant=1)], [])
    for samples in states:
        stage.commit(*samples)
        if number == 2:
            stage.apply()
        approve_all(stage)
        report = stage.apply(Trouble(fault, 1, writes=True))
        assert "does not allow" not in messages(report)
        settle(stage)
        stage.as_planned(*samples)
    assert filed(stage) == [(operation, "completed") for operation in ("Create", "Assign", "Update", "Delete")]


def test_what_a_dead_run_filed_for_another_state_is_taken_back(staging: Callable[..., Stage]) -> None:
    """The resource is another by the next run: the request that no receipt tells of makes way for the one wanted."""
    stage = guarded(staging)
    stage.commit(APP)
    with pytest.raises(Died):
        stage.apply(heard=dying(APPS, after=True))
    later = Sample("webApp", "a", 1)
    stage.commit(later)
    assert [found.outcome for found in stage.apply().failed] == [Outcome.AWAITING_NATIVE_APPROVAL]
    assert filed(stage) == [("Create", "cancelled"), ("Create", "needsApproval")]
    settle(stage)
    stage.as_planned(later)


def test_an_approval_for_another_state_is_told_and_waited_out(staging: Callable[..., Stage]) -> None:
    """Only an approver can take it back; it is neither used nor called somebody else's."""
    stage = guarded(staging)
    stage.commit(APP)
    stage.apply()
    approve_all(stage)
    (request,) = stage.graph.get(REQUESTS).value
    later = Sample("webApp", "a", 1)
    stage.commit(later)
    for _ in range(2):
        assert f"request {request['id']}, was given for another state" in messages(stage.apply())
    assert tenant_of(stage.graph) == []
    stage.graph.clock.forward(days=3)
    settle(stage)
    stage.as_planned(later)
    assert filed(stage) == [("Create", "expired"), ("Create", "completed")]


def test_a_rejection_outlives_a_run_that_fails_for_another_reason(staging: Callable[..., Stage]) -> None:
    """What was rejected in Intune is not asked for again, though the run in between learned nothing of it."""
    stage = guarded(staging)
    stage.commit(APP)
    stage.apply()
    (request,) = stage.graph.get(REQUESTS).value
    assert stage.graph.decide(request["id"], "reject").status == 200
    down = Answer(503, {}, b"")
    for failing in (REQUESTS, "$batch"):  # where it asks for the request, where it asks for the groups
        stage.commit(APP)  # with another note, so that there is something to tell in a receipt
        report = stage.apply(heard=lambda _method, url, _answer, failing=failing: down if failing in url else None)
        assert messages(report).endswith("failed with 503")
    report = stage.apply()
    assert "was rejected: Checked.; maa revert takes it back" in messages(report)
    assert filed(stage) == [("Create", "rejected")]
