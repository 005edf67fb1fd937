"""Which object of a target is a resource's: marks, the object map, adopted ids; and waiting for a target's approval."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from maa_gitops.apply import Landed, Report, outcome_reader
from maa_gitops.model import ObjectId, Outcome
from maa_gitops.providers import Approval, DesiredObject, NativeApprovalError, Occasion, Provider
from maa_gitops.providers.local import location
from tests.applying import TARGET, World, Wrapped, git, make_keys, make_world, operations, received, web_app

PORTAL = "app/portal"
FILE, OTHER = "resources/apps/portal.yaml", "resources/apps/other.yaml"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's keys."""
    return make_keys(tmp_path_factory.mktemp("adopt") / "keys")


@pytest.fixture
def world(tmp_path: Path, keys: Path) -> World:
    """A tenant repository without resources."""
    return make_world(tmp_path / "world", keys, has_remote=False)


def adopting(document: str, remote_id: str) -> str:
    """A document that takes over an object."""
    return f"{document}adopt: {{local: {remote_id}}}\n"


def change(world: World, statement: str, *values: str) -> None:
    """Do something to the local tenant that the tool would not do."""
    with closing(sqlite3.connect(location(TARGET, world.folder / ".git"))) as connection, connection:
        connection.execute(statement, values)


def foreign(world: World, name: str = "portal", marker: str | None = None) -> str:
    """An object that somebody made in the tenant itself; gives its id."""
    data = {"type": "webApp", "displayName": name, "publisher": "Contoso", "appUrl": f"https://{name}.example"}
    provider = world.provider()
    try:
        remote_id = provider.create(DesiredObject("app", data), f"temporary-{name}")
    finally:
        provider.close()
    if marker is None:
        change(world, "UPDATE objects SET marker = NULL WHERE id = ?", remote_id)
    else:
        change(world, "UPDATE objects SET marker = ? WHERE id = ?", marker, remote_id)
    return remote_id


def held(world: World) -> dict[str, str | None]:
    """The ids of what the local tenant holds, each with its mark."""
    provider = world.provider()
    try:
        return {remote_id: remote.marker for remote_id, remote in provider.objects().items()}
    finally:
        provider.close()


def messages(report: Report) -> list[str]:
    """What a report says of its objects."""
    return [result.message or "" for result in report.objects]


# --- adopting --------------------------------------------------------------------------------------------------------


def test_an_adopted_object_is_taken_over_as_it_is(world: World) -> None:
    """Nothing is written to the target, not even a mark; from then on it is the resource's."""
    remote_id = foreign(world)
    world.commit({FILE: adopting(web_app("portal"), remote_id)})
    calls: list[str] = []
    report = world.apply(wrap=lambda provider: Wrapped(provider, calls.append))
    assert (operations(report), calls) == ({PORTAL: "adopt applied"}, ["objects", "done objects"])
    assert (held(world), world.plan().objects, world.drift().objects) == ({remote_id: None}, (), ())
    assert received(world).objects[PORTAL].remote_id == remote_id


def test_an_adopted_object_that_differs_is_brought_to_what_was_approved(world: World) -> None:
    """It stays the same object, and bears the mark from then on."""
    remote_id = foreign(world)
    world.commit({FILE: adopting(web_app("portal", "required"), remote_id)})
    assert operations(world.plan()) == {PORTAL: "assign"}
    world.apply()
    world.commit({FILE: adopting(web_app("portal-2", "required"), remote_id)})
    world.apply(1)
    assert held(world) == {remote_id: f"maa:contoso:{PORTAL}"}


def test_an_adopted_object_is_edited_and_deleted_like_any_other(world: World) -> None:
    """The object map knows it although it bears no mark."""
    remote_id = foreign(world)
    world.commit({FILE: adopting(web_app("portal"), remote_id)})
    world.apply()
    world.commit({FILE: None})
    assert operations(world.apply(1)) == {PORTAL: "delete applied"}
    assert held(world) == {}


def test_what_is_to_be_adopted_must_be_there(world: World) -> None:
    """Nothing is made in its place."""
    world.commit({FILE: adopting(web_app("portal"), "gone")})
    report = world.apply()
    assert (operations(report), held(world)) == ({PORTAL: "none failed"}, {})
    assert messages(report) == ["it adopts gone, which the target does not have"]


@pytest.mark.parametrize("marker", ["maa:contoso:app/other", "maa:fabrikam:app/portal"])
def test_an_object_of_somebody_else_is_not_adopted(world: World, marker: str) -> None:
    """The mark of another resource, or of another tenant, is respected."""
    remote_id = foreign(world, marker=marker)
    world.commit({FILE: adopting(web_app("portal"), remote_id)})
    report = world.apply()
    assert (operations(report), held(world)) == ({PORTAL: "none failed"}, {remote_id: marker})
    assert messages(report) == [f"it adopts {remote_id}, which bears the mark {marker}"]


def test_two_resources_do_not_adopt_one_object(world: World) -> None:
    """Neither gets it; the rest is applied."""
    remote_id = foreign(world)
    both = adopting(web_app("portal"), remote_id)
    world.commit({FILE: both, OTHER: both, "resources/apps/new.yaml": web_app("new")})
    report = world.apply()
    expected = {"app/new": "create applied", "app/other": "none failed", PORTAL: "none failed"}
    assert operations(report) == expected
    assert held(world)[remote_id] is None


def test_an_object_is_the_protected_resources_whoever_else_adopts_it(world: World) -> None:
    """Somebody who may change something unprotected alone takes nothing, and stops nobody."""
    remote_id = foreign(world)
    protects = "displayName: P\nprofileType: {}\napproverGroups: [a]\n"
    rules = {
        "groups/a.yaml": "displayName: A\nmembers: [alice, bob, carol]\n",
        "policies/rules.yaml": protects.format("accessPolicy"),
        "policies/apps.yaml": protects.format("app") + "scope: [portal]\n",
    }
    for path, text in rules.items():
        place = world.folder / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    git(world.folder, "add", "-A")
    git(world.folder, "commit", "-q", "--amend", "--no-edit")
    both = adopting(web_app("portal"), remote_id)
    world.commit({FILE: both, OTHER: both})
    tree = git(world.folder, "rev-parse", "main^{tree}")
    assert operations(world.plan(tree)) == {PORTAL: "adopt", "app/other": "none failed"}


def test_a_renamed_resource_keeps_the_object_that_it_adopted(world: World) -> None:
    """The file moves with its adopted id: nothing is deleted, whatever else changes in it."""
    remote_id = foreign(world)
    world.commit({FILE: adopting(web_app("portal"), remote_id)})
    world.apply()
    world.commit({FILE: None, OTHER: adopting(web_app("new-name"), remote_id)})
    assert operations(world.plan()) == {"app/other": "move"}
    world.apply(1)
    assert held(world) == {remote_id: "maa:contoso:app/other"}
    assert {name: one.remote_id for name, one in received(world).objects.items()} == {"app/other": remote_id}


def test_a_renamed_resource_that_cannot_be_sent_deletes_nothing(world: World) -> None:
    """What lives on under another name stays, although that name has a problem."""
    remote_id = foreign(world)
    world.commit({FILE: adopting(web_app("portal"), remote_id)})
    world.apply()
    world.commit({FILE: None, OTHER: adopting(web_app("portal-2"), remote_id)})

    class Refusing(Wrapped):
        def as_sent(self, desired: DesiredObject) -> DesiredObject:
            from maa_gitops.errors import RemoteError

            raise RemoteError("no such group")

    assert operations(world.apply(1, wrap=lambda provider: Refusing(provider, print))) == {"app/other": "none failed"}
    assert set(held(world)) == {remote_id}


def test_what_a_resource_adopts_is_read_only_while_it_has_received_nothing(world: World) -> None:
    """Later the object map and the mark tell, whatever the document says."""
    first, second = foreign(world), foreign(world, "second")
    world.commit({FILE: adopting(web_app("portal"), first)})
    world.apply()
    world.commit({FILE: adopting(web_app("portal"), second)})
    assert operations(world.apply(1)) == {PORTAL: "none applied"}
    assert received(world).objects[PORTAL].remote_id == first


def test_a_rebuilt_chain_finds_what_was_adopted(world: World) -> None:
    """Without an object map the adopted id still tells."""
    remote_id = foreign(world)
    world.commit({FILE: adopting(web_app("portal"), remote_id)})
    world.apply()
    assert operations(world.apply(1, rebuild=True)) == {PORTAL: "adopt applied"}
    assert set(held(world)) == {remote_id}


# --- marks that were meddled with ------------------------------------------------------------------------------------


def test_an_object_whose_mark_was_taken_off_is_known_by_its_id(world: World) -> None:
    """Taking the mark off makes no second object and hides no drift; the next edit puts it back."""
    world.commit({FILE: web_app("portal")})
    world.apply()
    (remote_id,) = held(world)
    change(
        world, "UPDATE objects SET marker = NULL, data = replace(data, 'Contoso', 'Mallory') WHERE id = ?", remote_id
    )
    assert operations(world.drift()) == {PORTAL: "edit changed"}
    assert operations(world.apply(1)) == {PORTAL: "edit applied"}
    assert held(world) == {remote_id: f"maa:contoso:{PORTAL}"}


def test_a_mark_that_was_moved_to_another_object_is_reported(world: World) -> None:
    """Neither object is written; drift says which two there are."""
    world.commit({FILE: web_app("portal")})
    world.apply()
    (ours,) = held(world)
    change(world, "UPDATE objects SET marker = NULL WHERE id = ?", ours)
    wrong = foreign(world, marker=f"maa:contoso:{PORTAL}")
    expected = f"{wrong} bears its mark, but it was applied to {ours}, which is still there; delete the wrong one"
    for report in (world.plan(), world.drift(), world.apply(1)):
        assert expected in messages(report)
    assert set(held(world)) == {ours, wrong}


# --- a target with an approval of its own ----------------------------------------------------------------------------


class Guarded(Wrapped):
    """A provider whose target asks for its own approval of every write."""

    decided: str | None = None
    granted: Sequence[Approval] = ()
    occasion: Occasion | None = None

    def on(self, occasion: Occasion) -> "Wrapped":
        """Remember what a write is done for."""
        other = super().on(occasion)
        assert isinstance(other, Guarded)
        other.occasion = occasion
        return other

    def create(self, desired: DesiredObject, marker: str) -> str:
        """Make it once it is granted."""
        self._asked("create")
        return super().create(desired, marker)

    def delete(self, remote_id: str) -> None:
        """Take it away once it is granted."""
        self._asked("delete")
        super().delete(remote_id)

    def _asked(self, call: str) -> None:
        approval = Approval(f"code-{call}", "sha256:" + "0" * 64)
        if approval not in self.granted:
            raise NativeApprovalError(self.decided or "waits", approval, waits=self.decided is None)


def guarded(granted: Sequence[Approval] = (), decided: str | None = None) -> "tuple[list[Guarded], object]":
    """A wrapper, and where it is seen afterwards."""
    made: list[Guarded] = []

    def wrap(provider: Provider) -> Provider:
        found = Guarded(provider, lambda _what: None)
        found.granted, found.decided = granted, decided
        made.append(found)
        return found

    return made, wrap


REQUESTS: Mapping[str, Sequence[Landed]] = {PORTAL: [Landed("update-portal", "alice", ("bob", "carol"))]}


def outcomes(world: World, commit: str) -> list[Outcome]:
    """How a merged request stands."""
    return [found.outcome for found in outcome_reader(world.context(60))(commit, (ObjectId("app", "portal"),))]


def test_what_waits_for_the_targets_own_approval_is_kept_and_resumed(world: World) -> None:
    """It is not there yet, the receipt keeps what it waits for, and the next run gives it to the provider."""
    commit = world.commit({FILE: web_app("portal")})
    made, wrap = guarded()
    report = world.apply(wrap=wrap, requests=REQUESTS)  # type: ignore[arg-type]
    assert (operations(report), held(world)) == ({PORTAL: "create awaitingNativeApproval"}, {})
    assert (len(report.failed), outcomes(world, commit)) == (1, [Outcome.AWAITING_NATIVE_APPROVAL])
    newest = received(world).newest
    assert newest is not None
    assert (newest.failed, newest.outcomes[0].approval) == ((PORTAL,), Approval("code-create", "sha256:" + "0" * 64))

    made, wrap = guarded([Approval("code-create", "sha256:" + "0" * 64)])
    report = world.apply(1, wrap=wrap)  # type: ignore[arg-type]
    assert made[0].occasions[0].approval == Approval("code-create", "sha256:" + "0" * 64)
    assert (operations(report), outcomes(world, commit)) == ({PORTAL: "create applied"}, [Outcome.APPLIED])


def test_the_targets_own_approvers_are_told_who_asked_and_who_approved(world: World) -> None:
    """Requestor, approvers, request and commit stand in the justification, which fits into Graph's."""
    commit = world.commit({FILE: web_app("portal")})
    made, wrap = guarded()
    world.apply(wrap=wrap, requests=REQUESTS)  # type: ignore[arg-type]
    words = made[0].occasions[0].justification
    request = "request update-portal by alice, approved by bob, carol"
    assert words == f"maa contoso: create {PORTAL}; {request}; commit {commit}"
    many = {PORTAL: [Landed(f"r{number}" * 20, "alice", ("bob",)) for number in range(50)]}
    made, wrap = guarded()
    world.apply(1, wrap=wrap, requests=many)  # type: ignore[arg-type]
    words = made[0].occasions[0].justification
    assert (len(words), words[-48:]) == (992, f"; commit {commit}"[-48:])


def test_what_the_targets_own_approver_denied_has_failed(world: World) -> None:
    """It says so; the approval is kept, so that the next run does not ask anew for the same."""
    commit = world.commit({FILE: web_app("portal")})
    _, wrap = guarded(decided="was rejected: not now")
    report = world.apply(wrap=wrap)  # type: ignore[arg-type]
    assert operations(report) == {PORTAL: "create failed"}
    newest = received(world).newest
    assert newest is not None
    assert newest.outcomes[0].approval is not None
    assert outcomes(world, commit) == [Outcome.FAILED]


def test_a_delete_waits_as_well(world: World) -> None:
    """The object map keeps the object until it is gone."""
    world.commit({FILE: web_app("portal")})
    world.apply()
    world.commit({FILE: None})
    _, wrap = guarded()
    world.apply(1, wrap=wrap)  # type: ignore[arg-type]
    assert list(received(world).objects) == [PORTAL]
    _, wrap = guarded([Approval("code-delete", "sha256:" + "0" * 64)])
    assert operations(world.apply(2, wrap=wrap)) == {PORTAL: "delete applied"}  # type: ignore[arg-type]
    assert (list(received(world).objects), git(world.folder, "status", "--porcelain")) == ([], "")
