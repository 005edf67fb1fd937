"""Plan, apply and drift on the local tenant: the story, what goes wrong, who races, and being killed at every step."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from maa_gitops import receipt
from maa_gitops.apply import Report, applied, outcome_reader, readable
from maa_gitops.apply import apply as apply_target
from maa_gitops.apply import plan as plan_target
from maa_gitops.apply.clone import only_run
from maa_gitops.errors import NotAllowedError, RemoteError, RepositoryError
from maa_gitops.git import RefUpdate, Repository
from maa_gitops.model import ObjectId, Outcome
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from maa_gitops.receipt import Applied
from tests.applying import NOW, SCRIPT, SETTINGS, TARGET, World, Wrapped, git, make_keys, make_world, web_app

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


def operations(report: Report) -> dict[str, str]:
    """What a report says of each object."""
    return {
        result.object: result.operation.value + (f" {result.outcome}" if result.outcome else "")
        for result in report.objects
    }


def received(world: World, minutes: float = 60) -> Applied:
    """What the receipts branch holds, verified."""
    return applied(world.context(minutes), "local")


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
    done = world.apply(1)
    assert operations(done) == {name: f"{operation} applied" for name, operation in expected.items()}
    assert texts(done) == texts(planned)
    assert (world.names(), world.plan().objects) == ({PORTAL, RENAME, "app/new"}, ())


def test_several_requests_for_one_object_are_one_operation(world: World) -> None:
    """An object is brought to the tip's state once; all requests that led there are named."""
    world.apply()
    world.commit({"resources/apps/portal.yaml": web_app("one")})
    world.commit({"resources/apps/portal.yaml": web_app("two")})
    report = world.apply(1, requests={PORTAL: ["second", "first"], PAYROLL: ["other"]})
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


def test_a_rename_moves_the_remote_object(world: World) -> None:
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
    report = world.apply(1, requests={PAYROLL: ["move"], "script/rename-mac": ["move"]})
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

    assert replace(shared, repository_class=Watched).apply(1).receipt is None
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


def test_own_profile_types_are_applied_with_the_files_that_they_name(alone: World) -> None:
    """Any key that ends in File takes its file in; progress tells how far it is."""
    alone.apply()
    # The rules change here without a request, which a walk would refuse: a tenant of its own is what is wanted.
    other = make_world(alone.root / "other", alone.keys, has_remote=False)
    types = "profileTypes:\n  profile: {folder: profiles}\n"
    git(other.folder, "rm", "-q", "maa.yaml")
    git(other.folder, "checkout", "-q", "--orphan", "fresh")
    other.commit(
        {
            "maa.yaml": SETTINGS + types,
            "resources/profiles/wifi.yaml": "payloadFile: wifi.xml\nassignments: []\n",
            "resources/profiles/wifi.xml": "<x/>\n",
        }
    ) if False else None
    _amend(other, {"maa.yaml": SETTINGS + types})
    other.commit(
        {
            "resources/profiles/wifi.yaml": "payloadFile: wifi.xml\nassignments: []\n",
            "resources/profiles/wifi.xml": "<x/>\n",
        }
    )
    other.apply()
    (remote,) = other.objects().values()
    assert remote.held == DesiredObject("profile", {"payloadContent": "<x/>\n"})
