"""Approve, reject, withdraw, cancel, merge, complete, archive, revert: what each does, refuses and says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support import APP, Forger, Person, World, access_policy, account, app, settings, stamp
from tests.support.forgery import Forgery
from tests.support.process import COMMAND, run_process, variables

OTHER = "resources/apps/other.yaml"
NEW = app(description="New.")


def refused(person: Person, *arguments: str) -> tuple[str | None, str | None]:
    """Code and hint of an act that is refused."""
    error = person.maa(*arguments, "--format", "json", code=3).error
    return error["code"], error["hint"]


def actions(world: World, request: str) -> list[tuple[str, str]]:
    """Who did what, as anybody sees it."""
    return [(event["account"], event["action"]) for event in world.dave.show(request).json["events"]]


def branches(world: World) -> list[str]:
    """The server's change branches."""
    return world.git(world.server, "for-each-ref", "--format=%(refname:short)", "refs/heads/change").splitlines()


def meanwhile(world: World, slow: Person, quick: Person, *arguments: str) -> None:
    """Let somebody's command run between the fetch and the push of the other one's next act."""
    hook = slow.clone / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    words = ["env", "-i", *(f"{name}={value}" for name, value in variables(quick).items())]
    words += [*COMMAND, "-C", str(quick.clone), "--key", str(quick.key), *arguments]
    quoted = " ".join(f"'{word}'" for word in words)
    hook.write_text(f'#!/bin/sh\nrm "$0"\ncat > /dev/null\n{quoted} > "{world.folder}/meanwhile" 2>&1\n')
    hook.chmod(0o700)


# --- decisions -------------------------------------------------------------------------------------------------------


def test_approve_can_be_pinned_to_the_change_that_was_reviewed(world: World) -> None:
    """``--change`` with another digest is refused; with the right one it is signed."""
    request = world.alice.submitted("update", {APP: NEW})
    digest = world.bob.show(request).json["change"]
    assert refused(world.bob, "approve", request, "--change", "sha256:" + "0" * 64) == (
        "staleChange",
        "look again: maa show update",
    )
    assert refused(world.bob, "approve", request, "--change", digest[:-1])[0] == "staleChange"
    assert world.bob.maa("approve", request, "--change", digest, "--format", "json").json["status"] == "approved"


def test_approving_twice_is_nothing_to_do(world: World) -> None:
    """Exit code 0, and no second event; with notes it is said again, and the later one counts."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request, "-m", "First.")
    answer = world.bob.maa("approve", request)
    assert answer.err == "nothing to do: you have approved this change already\n"
    assert actions(world, request) == [("alice", "submit"), ("bob", "approve")]
    again = world.bob.maa("approve", request, "-m", "Second.", "--format", "json").json
    assert [(event["action"], event["counts"]) for event in again["events"][1:]] == [
        ("approve", False),
        ("approve", True),
    ]
    assert again["approvalJustification"] == "Second."


def test_h18_another_approval_in_between_is_no_reason_to_stop(world: World) -> None:
    """Somebody was faster with an approval of the same change: signed again on top of it."""
    request = world.alice.submitted("update", {APP: NEW})
    meanwhile(world, world.bob, world.carol, "approve", request)
    world.bob.maa("approve", request)
    assert actions(world, request) == [("alice", "submit"), ("carol", "approve"), ("bob", "approve")]


def test_h18_what_was_not_shown_is_not_signed(world: World) -> None:
    """The requestor submitted something else in between: refused, nothing signed."""
    request = world.alice.submitted("update", {APP: NEW})
    world.alice.commit({APP: app(description="Something else.")})
    meanwhile(world, world.bob, world.alice, "submit", "-m", "Wanted.")
    assert refused(world.bob, "approve", request) == ("staleChange", "look again: maa show update")
    assert actions(world, request) == [("alice", "submit"), ("alice", "submit")]


def test_h18_a_veto_in_between_stops_an_approval(world: World) -> None:
    """Carol rejected while bob was approving: his approval is not signed."""
    request = world.alice.submitted("update", {APP: NEW})
    meanwhile(world, world.bob, world.carol, "reject", request, "-m", "No.")
    assert refused(world.bob, "approve", request)[0] == "staleChange"
    assert actions(world, request) == [("alice", "submit"), ("carol", "reject")]


@pytest.mark.parametrize(("minutes", "outcome"), [(4, None), (6, "outOfTime")])
def test_a_clock_that_is_behind_is_refused(world: World, forger: Forger, minutes: int, outcome: str | None) -> None:
    """Five minutes are forgiven; beyond them nobody's act is signed on top of an event from the future."""
    ahead = stamp(timedelta(minutes=minutes))
    Forgery(forger).submit(world.alice, at=ahead).push()
    for person, arguments in (
        (world.bob, ("approve", "forged")),
        (world.bob, ("reject", "forged", "-m", "No.")),
    ):
        answer = person.maa(*arguments, "--format", "json", code=None)
        found = answer.error["code"] if answer.code else None
        assert found == outcome


def test_a_veto_is_said_to_be_not_final_where_main_is_closed(world: World) -> None:
    """A server that lets nobody push to the protected branch gets the change branch alone, and that is said."""
    request = world.alice.submitted("update", {APP: NEW})
    hook = world.server / "hooks" / "update"
    hook.write_text('#!/bin/sh\ntest "$1" != refs/heads/main\n')
    hook.chmod(0o700)
    before = world.tip()
    answer = world.bob.maa("reject", request, "-m", "No.")
    assert "not final yet: the record is not on main, where only some may push" in answer.err
    assert answer.out.startswith("Request update: Rejected\n")
    assert world.tip() == before


def test_a_push_that_is_refused_is_4(world: World) -> None:
    """The server's words are in the message, and nothing is half done."""
    request = world.alice.submitted("update", {APP: NEW})
    hook = world.server / "hooks" / "update"
    hook.write_text("#!/bin/sh\necho closed for today >&2\nexit 1\n")
    hook.chmod(0o700)
    error = world.bob.maa("approve", request, "--format", "json", code=4).error
    assert (error["kind"], error["code"], error["retry"]) == ("remote", "refused", False)
    assert "closed for today" in error["message"]
    assert actions(world, request) == [("alice", "submit")]


def test_a_decision_is_about_what_is_in_git_not_about_files_here(world: World) -> None:
    """Edited rules and an edited record in the work tree change nothing, whoever acts in that clone."""
    request = world.alice.submitted("update", {APP: NEW})
    world.dave.git("fetch", "-q", "origin")
    world.dave.git("switch", "-q", "change/update")
    world.dave.write("groups/approvers.yaml", "displayName: Mine\nmembers: [dave]\n")
    (world.dave.clone / "policies" / "apps.yaml").unlink()
    (world.dave.clone / f"requests/{stamp()[:4]}/update.jsonl").unlink()
    assert refused(world.dave, "approve", request) == ("notApprover", "who can: bob, carol")
    assert refused(world.dave, "merge", request)[0] == "needsApprovals"
    bob = replace(world.bob, clone=world.dave.clone)
    assert bob.maa("approve", request, "--format", "json").json["status"] == "approved"


def test_of_several_approvers_the_last_one_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    """``approver`` and the notes are those of the event with which it was approved, by record order."""
    two = access_policy("app", "approvers", required=2)
    world = World.with_tenant(tmp_path_factory.mktemp("quorum") / "world", {"policies/apps.yaml": two})
    request = world.alice.submitted("update", {APP: NEW})
    first = world.carol.maa("approve", request, "-m", "One.", "--format", "json").json
    assert (first["status"], first["policies"][0]["approvedBy"]) == ("needsApproval", ["carol"])
    second = world.bob.maa("approve", request, "-m", "Two.", "--format", "json").json
    assert (second["approver"], second["approvalJustification"]) == ("bob", "Two.")
    assert second["policies"][0]["approvedBy"] == ["bob", "carol"]


def test_nothing_but_the_machine_sets_the_clock(world: World) -> None:
    """Dates that git and build tools take from the environment are not the time of an event."""
    dates = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE", "MAA_NOW", "MAA_CLOCK"), "2001-01-01T00:00:00Z")
    request = world.alice.submitted("update", {APP: NEW})
    before = stamp()
    answer = run_process(
        world.bob, "--key", str(world.bob.key), "approve", request, "--format", "json",
        **dates, SOURCE_DATE_EPOCH="0", TZ="Pacific/Kiritimati",
    )  # fmt: skip
    assert before <= answer.json["events"][1]["at"] <= stamp()


def test_an_administrator_with_a_lost_key_gets_a_new_one(world: World) -> None:
    """The other administrator submits the new public key, a third person approves; the old key is then nobody's."""
    request = world.alice.submitted("update", {APP: NEW})
    key, public = world.key("alice-new")
    roles = "intuneServiceAdministrator, deployer"
    world.bob.submitted("new-key", {"accounts/alice.yaml": account("alice", public, roles=roles)})
    world.carol.maa("approve", "new-key")
    world.bob.maa("complete", "new-key")
    assert refused(world.alice, "cancel", request)[0] == "unknownSigner"
    world.alice.maa("cancel", request, "--key", str(key))
    world.alice.maa("submit", "-m", "Once more.", "--key", str(key))
    world.bob.maa("approve", request)
    assert world.bob.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_with_two_people_a_lost_key_locks_the_tenant_and_validate_warned(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nobody else can approve then; the warning says so while it is time."""
    world = World(tmp_path_factory.mktemp("two") / "world")
    people = [world.person(name) for name in ("alice", "bob")]
    files = {
        "maa.yaml": settings(),
        "groups/approvers.yaml": "displayName: Both\nmembers: [alice, bob]\n",
        "policies/access-policies.yaml": "displayName: Rules\nprofileType: accessPolicy\napproverGroups: [approvers]\n",
    }
    for person in people:
        held = "intuneServiceAdministrator"
        files[f"accounts/{person.name}.yaml"] = account(person.name, person.public_key, roles=held)
    world.found(files)
    problems = world.bob.maa("validate", "--format", "json").json["problems"]
    assert [(found["level"], found["code"]) for found in problems] == [("warning", "fewApprovers")]
    _, public = world.key("alice-new")
    held = "intuneServiceAdministrator"
    world.bob.submitted("new-key", {"accounts/alice.yaml": account("alice", public, roles=held)})
    assert refused(world.bob, "approve", "new-key") == ("selfApproval", "who can: alice")


# --- merge and complete ----------------------------------------------------------------------------------------------


def approved(world: World, branch: str = "update") -> str:
    """A request of alice's that bob has approved."""
    request = world.alice.submitted(branch, {APP: NEW})
    world.bob.maa("approve", request)
    return request


def test_after_merging_the_remote_change_branch_is_deleted(world: World) -> None:
    """The merge has both parents; the requestor's own branch stays."""
    request = approved(world)
    head = world.tip("change/update")
    before = world.tip()
    merged = world.carol.maa("merge", request, "--format", "json").json["merged"]
    assert branches(world) == []
    assert (merged["commit"], merged["by"]) == (world.tip(), "carol")
    assert world.git(world.server, "log", "-1", "--format=%P", "main").split() == [before, head]
    assert world.alice.git("branch", "--list", "change/update", "--format=%(refname:short)") == "change/update"


def test_on_a_merged_request_merge_says_so_and_complete_goes_on(world: World) -> None:
    """Both are 0: what is asked for is so, or comes to be so."""
    request = approved(world)
    world.alice.maa("merge", request)
    tip = world.tip()
    answer = world.bob.maa("merge", request)
    assert answer.err == "'update' is merged already\n"
    assert answer.out.startswith("Request update: Approved, being applied\n")
    done = world.bob.maa("complete", request)
    assert done.out.startswith("Request update: Completed\n")
    assert "create app/company-portal (update): applied" in done.err
    assert world.tip() == tip
    assert world.bob.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_complete_by_somebody_who_is_no_deployer_merges_and_says_who_is(world: World) -> None:
    """Exit code 0: the merge is what this person can do."""
    request = approved(world)
    answer = world.dave.maa("complete", request)
    assert answer.err.endswith("merged; a deployer applies it with: maa apply (deployers: alice, bob, carol)\n")
    assert answer.out.startswith("Request update: Approved, being applied\n")
    assert "merged; a deployer" in world.dave.maa("complete", request).err


def test_an_apply_that_fails_after_the_merge_is_4(world: World) -> None:
    """The merge stands and is said to; once the target is there, ``complete`` goes on."""
    request = approved(world)
    obstacle = world.alice.clone / ".git" / "maa" / "tenants"
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file where a folder should be\n")
    answer = world.alice.maa("complete", request, code=4)
    assert "merged, but not applied: " in answer.err
    assert answer.out.startswith("Request update: Approved, being applied\n")
    assert "Traceback" not in answer.err
    assert world.alice.maa("complete", request, "--format", "json", code=4).json["status"] == "approved"
    obstacle.unlink()
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_only_the_requestor_merges_where_the_tenant_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """``completeBy: requestor`` holds for ``merge`` too, and lists offer it to nobody else."""
    only = settings("requests:\n  completeBy: requestor\n")
    world = World.with_tenant(tmp_path_factory.mktemp("requestor") / "world", {"maa.yaml": only})
    request = approved(world)
    assert refused(world.bob, "merge", request)[0] == "notRequestor"
    assert refused(world.bob, "complete", request)[0] == "notRequestor"
    assert world.alice.maa("merge", request, "--format", "json").json["merged"]["by"] == "alice"


def test_a_merge_that_lost_a_race_is_judged_again(world: World) -> None:
    """The approval was withdrawn in between: not merged."""
    request = approved(world)
    meanwhile(world, world.carol, world.bob, "withdraw", request)
    assert refused(world.carol, "merge", request)[0] == "needsApprovals"
    assert branches(world) == ["change/update"]


def test_a_merge_is_all_or_nothing(world: World) -> None:
    """A server that keeps the change branch keeps the protected branch, too."""
    request = approved(world)
    hook = world.server / "hooks" / "update"
    hook.write_text('#!/bin/sh\ntest "$1" = refs/heads/main\n')
    hook.chmod(0o700)
    before = world.tip()
    assert world.alice.maa("merge", request, "--format", "json", code=4).error["code"] == "refused"
    assert (world.tip(), branches(world)) == (before, ["change/update"])


def test_an_object_that_is_not_applied_is_4_and_stops_no_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A broken resource that nothing protects: named with its error, the others are applied."""
    world = World(tmp_path_factory.mktemp("partial") / "world")
    alice = world.person("alice")
    held = account("alice", alice.public_key, roles="intuneServiceAdministrator, deployer")
    world.found({"maa.yaml": settings(), "accounts/alice.yaml": held})
    alice.commit({APP: "type: nonsense\n", OTHER: app("Other")})
    alice.git("push", "-q", "origin", "main")
    found = alice.maa("apply", "--format", "json", code=4).json["objects"]
    assert [(row["object"], row["outcome"]) for row in found] == [
        ("app/company-portal", "failed"),
        ("app/other", "applied"),
    ]
    assert APP in found[0]["message"]


def test_two_who_merge_at_once_are_both_told_yes(world: World) -> None:
    """Whoever was slower finds it merged."""
    request = approved(world)
    meanwhile(world, world.carol, world.bob, "merge", request)
    answer = world.carol.maa("merge", request)
    assert answer.err == "'update' is merged already\n"
    assert world.dave.show(request).json["merged"]["by"] == "bob"


# --- archive ---------------------------------------------------------------------------------------------------------


def days(number: int) -> str:
    """So many days ago."""
    return stamp(timedelta(days=-number))


@pytest.mark.parametrize(("ended", "outcome", "left"), [(31, "deleted", []), (29, "kept", ["change/forged"])])
def test_archive_keeps_the_record_and_deletes_the_branch_after_30_days(
    world: World, forger: Forger, ended: int, outcome: str, left: list[str]
) -> None:
    """Counted from the end; the record is on the protected branch from then on."""
    forged = Forgery(forger).submit(world.alice, at=days(40)).event("reject", world.bob, at=days(ended)).push()
    rows = world.carol.maa("archive", "--format", "json").json["archived"]
    assert [(row["request"], row["branch"], row["outcome"]) for row in rows] == [("forged", "change/forged", outcome)]
    assert branches(world) == left
    assert world.read(forged.path) == forger.record(*forged.lines).decode()
    assert world.dave.maa("verify", "--format", "json").json["good"] is True
    assert world.dave.show("forged").json["status"] == "rejected"
    assert world.carol.maa("archive", "--format", "json").json["archived"] == []


@pytest.mark.parametrize(("submitted", "outcome"), [(61, "deleted"), (59, "kept"), (29, None)])
def test_archive_counts_from_the_expiry(world: World, forger: Forger, submitted: int, outcome: str | None) -> None:
    """A request that waited for 30 days has ended then; one that still waits is left alone."""
    Forgery(forger).submit(world.alice, at=days(submitted)).push()
    rows = world.carol.maa("archive", "--format", "json").json["archived"]
    assert [row["outcome"] for row in rows] == ([outcome] if outcome is not None else [])


def test_archive_deletes_landed_branches_and_names_what_it_cannot_keep(world: World, forger: Forger) -> None:
    """A branch that went on after its merge is not deleted, and the exit code says that something is left."""
    request = approved(world)
    head = world.tip("change/update")
    world.alice.maa("merge", request)
    forger.push(head, "change/update")
    answer = world.carol.maa("archive")
    assert answer.out == "update\tdeleted\tchange/update\tit has landed\n"
    more = forger.commit([head], {OTHER: app("Other")})
    forger.push(more, "change/update")
    answer = world.carol.maa("archive", code=4)
    assert answer.out == "update\tfailed\tchange/update\tit has commits that did not land\n"
    assert branches(world) == ["change/update"]


def test_archive_leaves_open_requests_alone(world: World) -> None:
    """Nothing to archive: said beside the (empty) answer, 0."""
    approved(world)
    answer = world.carol.maa("archive")
    assert (answer.out, answer.err) == ("", "nothing to archive\n")
    assert branches(world) == ["change/update"]


# --- revert ----------------------------------------------------------------------------------------------------------


def test_revert_is_refused_where_something_has_changed_again(world: World) -> None:
    """The paths are named: what others did since is not to be undone unseen."""
    request = world.alice.submitted("update", {APP: NEW, OTHER: app("Other")})
    world.bob.maa("approve", request)
    world.alice.maa("merge", request)
    later = world.alice.submitted("later", {OTHER: None, APP: app(description="Newer.")})
    world.bob.maa("approve", later)
    world.alice.maa("merge", later)
    error = world.alice.maa("revert", request, "--format", "json", code=3).error
    assert (error["code"], error["message"]) == ("outdated", f"changed again since: {APP}, {OTHER}")
    assert world.alice.git("branch", "--list", "change/revert-*") == ""


def test_revert_puts_back_created_changed_and_deleted_files(world: World) -> None:
    """Also what was not protected but signed; the branch is ready to submit."""
    files: dict[str, str | bytes | None] = {APP: None, OTHER: app("Other"), "notes.txt": "Signed, too.\n"}
    request = world.alice.submitted("update", files)
    world.bob.maa("approve", request)
    world.alice.maa("merge", request)
    answer = world.carol.maa("revert", request)
    assert answer.out.splitlines()[1:] == [
        "  git switch change/revert-update",
        "  maa submit -m 'Put back update: ...'",
    ]
    world.carol.git("switch", "-q", "change/revert-update")
    assert (world.carol.clone / APP).read_text() == app()
    assert not (world.carol.clone / OTHER).exists()
    assert not (world.carol.clone / "notes.txt").exists()
    world.carol.maa("submit", "-m", "Put back.")
    world.bob.maa("approve", "revert-update")
    assert world.carol.maa("complete", "revert-update", "--format", "json").json["status"] == "completed"


def test_revert_wants_a_merged_request_and_a_free_branch(world: World) -> None:
    """Otherwise there is nothing to put back, or somebody is at it already."""
    request = approved(world)
    assert refused(world.alice, "revert", request) == ("notMerged", "maa show update")
    world.alice.maa("merge", request)
    world.alice.maa("revert", request)
    assert refused(world.alice, "revert", request) == ("branchExists", "git switch change/revert-update")
