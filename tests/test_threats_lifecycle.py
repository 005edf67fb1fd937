"""Threats of family C: what an approval is for, how long it holds, and what takes it away.

Records and commits are forged with ssh-keygen and git plumbing; the verdict is asked of the real command line.
"""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import (
    APP,
    APPROVED,
    Forger,
    Forgery,
    Person,
    World,
    access_policy,
    account,
    app,
    applied,
    canonical,
    group,
    refused_until_healed,
    settings,
    stamp,
    verified,
)

if TYPE_CHECKING:
    from pathlib import Path

ADMINISTRATOR = "intuneServiceAdministrator, deployer"
APPS, RULES, GROUP = "policies/apps.yaml", "policies/access-policies.yaml", "groups/approvers.yaml"
SCRIPT, SHELL = "resources/scripts/clock.yaml", "resources/scripts/clock.sh"
LACKING = (3, "needsApproval", ["needsApprovals"])
BROKEN = (3, "needsApproval", ["brokenRecord", "needsApprovals"])
NOT_VALID = (3, "needsApproval", ["brokenRecord", "badSignature", "needsApprovals"])
EDITED = (3, "needsApproval", ["editedSinceSubmit"])
OUTDATED = (3, "needsApproval", ["outdated"])
ALTERED = (3, "needsApproval", ["recordAltered"])


def script(text: str) -> dict[str, str | None]:
    """A shell script with its document."""
    document = "type: deviceShellScript\ndisplayName: Clock\nrunAsAccount: system\nscriptFile: clock.sh\n"
    return {SCRIPT: document, SHELL: text}


def landed(forger: Forger, request: str, files: Mapping[str, str | None]) -> str:
    """Let a real request land, approved by carol; returns the commit."""
    world = forger.world
    made = Forgery(forger, request, files).submit(world.alice).approve(world.carol).complete(world.alice)
    commit = made.land()
    assert world.dave.maa("verify", commit, "--format", "json").json["good"] is True
    return commit


def ago(**units: float) -> dict[str, str]:
    """The field ``at``, so long ago."""
    return {"at": stamp(-timedelta(**units))}


# --- C1, C2: approved is this content --------------------------------------------------------------------------------


def test_c1_every_byte_edited_after_the_approval_voids_it(world: World, forger: Forger) -> None:
    """Content, files more or fewer, even unprotected ones: what was approved is exactly what may land."""
    both = {APP: app(description="New."), "README.md": "Read me.\n"}
    forged = Forgery(forger, files=both).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    edits: list[dict[str, str | None]] = [
        {APP: app(description="Evil."), "README.md": "Read me.\n"},
        {APP: app(description="New.") + "\n", "README.md": "Read me.\n"},
        {**both, "resources/apps/evil.yaml": app("Evil")},
        {**both, "LICENSE": "Anything goes.\n"},
        {APP: app(description="New.")},
    ]
    for files in edits:
        forged.files = files
        assert forged.push().check() == EDITED, files
        assert world.alice.maa("complete", "forged", "--format", "json", code=3).error["code"] == "editedSinceSubmit"
    forged.files = dict(both)
    assert forged.push(modes={"README.md": "100755"}).check() == EDITED
    assert forged.push().check() == APPROVED


def test_c1_other_content_landed_with_an_approved_record_is_a_violation(world: World, forger: Forger) -> None:
    """The digest is of what landed."""
    good = world.tip()
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    forged.complete(world.alice)
    forged.files[APP] = app(description="Evil.")
    forged.land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "editedSinceSubmit" in message


def test_c1_a_protected_file_more_in_the_step_is_a_violation(world: World, forger: Forger) -> None:
    """A merge brings what was signed; a script that rides along makes it none."""
    good = world.tip()
    forged = Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice)
    forged.files.update(script("#!/bin/sh\nrm -rf /\n"))
    forged.land()
    assert refused_until_healed(forger, good)[0] == ["unapprovedChange"]
    again = Forgery(forger, "again").submit(world.alice).approve(world.bob).complete(world.alice)
    again.files["README.md"] = "Unprotected, so it may go along.\n"
    again.land()
    assert verified(world) == (0, ["unapprovedChange"])


def test_c2_an_equal_patch_id_is_not_equal_content(world: World, forger: Forger) -> None:
    """Blanks do not count in git's patch id and do in a shell: the approval is for bytes."""
    kept = "rm -rf /tmp/cache\n"
    approved = Forgery(forger, files=script(f"#!/bin/sh\n{kept}")).submit(world.alice).approve(world.bob).push()
    assert approved.check() == APPROVED

    def patch_id() -> str:
        patch = world.alice.git("diff-tree", "-p", "origin/main", "origin/change/forged", "--", SHELL)
        return world.alice.git("patch-id", "--stable", data=patch.encode()).split()[0]

    before = patch_id()
    approved.files[SHELL] = "#!/bin/sh\n" + kept.replace("/tmp", "/ tmp")
    approved.push()
    assert patch_id() == before
    assert approved.check() == EDITED


# --- C3: approved is this request ------------------------------------------------------------------------------------


def test_c3_a_record_does_not_serve_another_request(world: World, forger: Forger) -> None:
    """Lines that were signed for one id are nothing under another, even for the same change."""
    honest = Forgery.honest(forger)
    copied = Forgery(forger, "copied")
    copied.lines = list(honest.lines)
    assert copied.push().check() == BROKEN
    grafted = Forgery(forger, "grafted").submit(world.alice)
    grafted.lines.append(honest.lines[-1])
    assert grafted.push().check() == BROKEN


def test_c3_an_approval_signed_for_another_request_breaks_this_one(world: World, forger: Forger) -> None:
    """Chained and signed right, for the same digest, but with another id in it."""
    Forgery.honest(forger)
    forged = Forgery(forger).submit(world.alice).approve(world.bob, request="honest").push()
    assert forged.check() == BROKEN
    other = Forgery(forger).submit(world.alice).approve(world.bob, change="sha256:" + "0" * 64).push()
    assert other.check() == (3, "needsApproval", ["needsApprovals", "staleChange"])


def test_c3_a_completed_request_does_not_serve_twice(world: World, forger: Forger) -> None:
    """After the change was put back, its record under its own id, another id or another year brings nothing again."""
    start = world.tip()
    first = Forgery(forger, "first").submit(world.alice).approve(world.bob).complete(world.alice)
    first.land()
    back = {APP: world.git(world.server, "show", f"{start}:{APP}") + "\n"}
    good = landed(forger, "back", back)
    forger.push(forger.commit([good], dict(first.files)))
    assert refused_until_healed(forger, good)[0] == ["unapprovedChange"]
    for path, codes in (
        (first.path.replace("first", "second"), {"brokenRecord", "unapprovedChange"}),
        ("requests/2019/first.jsonl", {"recordAltered"}),
    ):
        forger.push(forger.commit([world.tip()], {**first.files, path: forger.record(*first.lines)}))
        assert set(refused_until_healed(forger, good)[0]) == codes
    first.approve(world.bob).complete(world.alice).land()
    assert refused_until_healed(forger, good)[0] == ["recordAltered"]
    assert world.dave.show("first").json["status"] == "approved"


def test_c3_a_completed_request_is_no_yes_for_what_its_branch_goes_on_with(world: World, forger: Forger) -> None:
    """That the id is merged says nothing of later commits, not even where a harmless branch has the same id."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    forged.complete(world.alice).land()
    forger.push(None, "change/forged")
    assert world.dave.maa("check", "forged", "--format", "json").json["merged"]["by"] == "alice"
    head = forger.commit([world.tip()], {APP: app(description="Evil.")})
    forger.push(head, "change/forged", force=True)
    asked = (["forged"], ["--head", head], ["forged", "--head", head])
    for rival in (None, "change/FORGED"):
        if rival is not None:
            forger.push(forged.start, rival)
        for arguments in asked:
            refused = world.dave.maa("check", *arguments, "--format", "json", code=3)
            assert refused.error["code"] == "alreadyMerged"


def test_c3_an_approval_of_an_earlier_round_is_over(world: World, forger: Forger) -> None:
    """A new submit, even of the same content, asks anew."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    forged.submit(world.alice).push()
    assert forged.check() == LACKING
    assert forged.worth() == [("alice", False, "staleChange"), ("bob", False, "staleChange"), ("alice", True, None)]
    assert forged.approve(world.bob).push().check() == APPROVED


def test_c3_an_approval_in_advance_is_none(world: World, forger: Forger) -> None:
    """Signed before the submit that it is for, it belongs to the round before."""
    harmless = Forgery(forger, files={APP: app(description="Harmless.")})
    forged = Forgery(forger)
    forged.submit(world.alice, changes=harmless.changes).approve(world.bob).submit(world.alice).push()
    assert forged.check() == LACKING
    first = Forgery(forger, "first").approve(world.bob).submit(world.alice).push()
    assert first.check() == (3, "needsApproval", ["brokenRecord", "notRequestor", "needsApprovals"])
    assert forged.approve(world.bob).push().check() == APPROVED


# --- C4: what it stood on has moved ----------------------------------------------------------------------------------


def test_c4_a_change_of_the_same_file_makes_an_approval_outdated(world: World, forger: Forger) -> None:
    """Whole files are merged, never lines; a change elsewhere does no harm."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    landed(forger, "elsewhere", script("#!/bin/sh\ndate\n"))
    assert forged.check() == APPROVED
    landed(forger, "same", {APP: app(description="Meanwhile.")})
    assert forged.check() == OUTDATED
    assert world.alice.maa("complete", "forged", "--format", "json", code=3).error["code"] == "outdated"


def test_c4_a_sibling_that_arrived_makes_an_approval_outdated(world: World, forger: Forger) -> None:
    """Every file of a touched object is part of what was approved."""
    forger.refound(script("#!/bin/sh\ndate\n"))
    forged = Forgery(forger, files={SHELL: "#!/bin/sh\ndate -u\n"})
    document = world.git(world.server, "show", f"main:{SCRIPT}") + "\n"
    forged.changes.append(forger.change(SCRIPT, document, document))
    forged.submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    landed_too = Forgery(forger, "sibling", {SCRIPT: document + "description: More.\n"})
    shell = world.git(world.server, "show", f"main:{SHELL}") + "\n"
    landed_too.changes.insert(0, forger.change(SHELL, shell, shell))
    landed_too.submit(world.alice).approve(world.carol).complete(world.alice).land()
    assert verified(world) == (0, [])
    assert forged.check() == OUTDATED


def test_c4_a_merge_of_the_protected_branch_edits_what_was_approved(world: World, forger: Forger) -> None:
    """Git may join two edits of a file; nobody signed the outcome."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    landed(forger, "same", {APP: app("Portal")})
    joined: dict[str, str | bytes | None] = {APP: app("Portal", "New."), forged.path: forger.record(*forged.lines)}
    forger.push(forger.commit([world.tip(), world.tip("change/forged")], joined), "change/forged", force=True)
    assert forged.check() == EDITED


def test_c4_an_outdated_approval_landed_is_a_violation(world: World, forger: Forger) -> None:
    """Pushed on top of what landed meanwhile, it takes that away again: not what was approved."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    good = landed(forger, "same", {APP: app(description="Meanwhile.")})
    forged.complete(world.alice).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "editedSinceSubmit" in message


# --- C5, C6: people and rules that change meanwhile ------------------------------------------------------------------


def bob(world: World, *keys: str, extra: str = "") -> dict[str, str | None]:
    """Bob's file, with his own key if none is given."""
    return {"accounts/bob.yaml": account("bob", *(keys or (world.bob.public_key,)), roles=ADMINISTRATOR, extra=extra)}


def bobs_end(world: World) -> dict[str, tuple[Mapping[str, str | None], str]]:
    """Ways in which bob stops being an approver, and what then becomes of his approval."""
    public = world.key("bobs-new")[1]
    moved = {**bob(world, public), "accounts/carol.yaml": account("carol", world.bob.public_key, roles=ADMINISTRATOR)}
    swapped = {
        "accounts/bob.yaml": account("bob", world.dave.public_key, roles=ADMINISTRATOR),
        "accounts/dave.yaml": account("dave", world.bob.public_key),
    }
    renamed = {
        "accounts/bob.yaml": None,
        "accounts/robert.yaml": bob(world)["accounts/bob.yaml"],
        GROUP: group("alice", "robert", "carol"),
    }
    return {
        "left the group": ({GROUP: group("alice", "carol", "dave")}, "notApprover"),
        "disabled": (bob(world, extra="enabled: false\n"), "accountDisabled"),
        "a service": (bob(world, extra="kind: service\n"), "serviceAccount"),
        "another key": (bob(world, public), "unknownSigner"),
        "key now carol's": (moved, "unknownSigner"),
        "keys swapped with dave": (swapped, "unknownSigner"),
        "account renamed": (renamed, "unknownSigner"),
        "account gone": ({"accounts/bob.yaml": None, GROUP: group("alice", "carol", "dave")}, "unknownSigner"),
        "another group": ({"groups/daves.yaml": group("dave"), APPS: access_policy("app", "daves")}, "notApprover"),
    }


@pytest.mark.parametrize(
    "way",
    [
        "left the group",
        "disabled",
        "a service",
        "another key",
        "key now carol's",
        "keys swapped with dave",
        "account renamed",
        "account gone",
        "another group",
    ],
)
def test_c5_who_is_no_approver_at_the_merge_has_not_approved(world: World, forger: Forger, way: str) -> None:
    """Membership, account and key are those of the last good commit at the merge, and judged so where it lands."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    files, code = bobs_end(world)[way]
    good = landed(forger, "end", files)
    assert forged.check() == (3, "needsApproval", ["needsApprovals", code])
    forged.complete(world.alice).land()
    verdict = world.dave.maa("verify", "--format", "json", code=3).json["violations"]
    assert [found["code"] for found in verdict] == ["unapprovedChange"]
    assert code in verdict[0]["message"]
    assert world.alice.maa("apply", "--format", "json", code=3).error["code"] == "unapprovedChange"
    assert world.tip() != good


def test_c5_what_was_approved_at_the_merge_stays_so(world: World, forger: Forger) -> None:
    """An approver who leaves afterwards takes nothing back; a stranger with his name neither."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice)
    forged.land()
    landed(forger, "end", bobs_end(world)["account gone"][0])
    assert verified(world) == (0, [])
    shown = forged.show()
    assert (shown["status"], shown["approver"]) == ("approved", "bob")
    world.alice.maa("apply")
    assert forged.show()["status"] == "completed"


def test_c5_a_requestor_without_account_or_role_has_no_request(world: World, forger: Forger) -> None:
    """The requestor is judged at the merge as well."""
    apps = Forgery(forger, "apps").submit(world.alice).approve(world.bob).push()
    rules = Forgery(forger, "rules", {APPS: access_policy("app", "approvers", required=2)})
    rules.submit(world.alice).approve(world.bob).push()
    assert (apps.check(), rules.check()) == (APPROVED, APPROVED)
    plain = {"accounts/alice.yaml": account("alice", world.alice.public_key)}
    Forgery(forger, "plain", plain).submit(world.bob, contributors=["alice", "bob"]).approve(world.carol).complete(
        world.bob
    ).land()
    assert apps.check() == APPROVED
    assert rules.check() == (3, "needsApproval", ["missingRole"])
    off = {"accounts/alice.yaml": account("alice", world.alice.public_key, extra="enabled: false\n")}
    Forgery(forger, "off", off).submit(world.bob).approve(world.carol).complete(world.bob).land()
    assert apps.check() == (3, "needsApproval", ["accountDisabled"])
    assert rules.check() == (3, "needsApproval", ["accountDisabled", "missingRole"])


def test_c6_who_becomes_an_approver_has_approved(world: World, forger: Forger) -> None:
    """A member now is a member: an approval given before counts from then on."""
    forged = Forgery(forger).submit(world.alice).approve(world.dave).push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "notApprover"])
    landed(forger, "dave", {GROUP: group("alice", "bob", "carol", "dave")})
    assert forged.check() == APPROVED


def test_c6_rules_that_change_meanwhile_judge_what_is_open(world: World, forger: Forger) -> None:
    """A renamed group keeps its approvals, a raised threshold asks for more, a deleted policy for none."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    renamed = {
        GROUP: None,
        "groups/reviewers.yaml": group("alice", "bob", "carol"),
        **{f"policies/{name}.yaml": access_policy(kind, "reviewers") for name, kind in POLICIES.items()},
    }
    landed(forger, "renamed", renamed)
    assert forged.check() == APPROVED
    landed(forger, "raised", {APPS: access_policy("app", "reviewers", required=2)})
    assert forged.check() == LACKING
    landed(forger, "gone", {APPS: None})
    assert forged.check() == (0, None, ["nothingProtected"])
    landed(forger, "again", {APPS: access_policy("app", "reviewers", required=2)})
    assert forged.check() == LACKING


POLICIES = {"apps": "app", "scripts": "script", "access-policies": "accessPolicy"}


# --- C7: several decisions -------------------------------------------------------------------------------------------


REJECTED = (3, "rejected", ["rejected"])
CANCELLED = (3, "cancelled", ["cancelled"])
WITHDRAWN = (3, "needsApproval", ["needsApprovals", "withdrawn"])
DECISIONS = {
    "approve bob": APPROVED,
    "approve bob, reject carol": REJECTED,
    "approve bob, reject bob": REJECTED,
    "reject bob, approve bob, approve carol": REJECTED,
    "approve bob, reject alice": REJECTED,
    "approve bob, reject dave": REJECTED,
    "approve bob, withdraw bob": WITHDRAWN,
    "approve bob, withdraw bob, withdraw bob": WITHDRAWN,
    "approve bob, withdraw carol": APPROVED,
    "approve bob, withdraw bob, approve bob": APPROVED,
    "approve bob, approve carol, withdraw bob": APPROVED,
    "approve bob, cancel alice": CANCELLED,
    "approve bob, cancel dave": CANCELLED,
    "approve bob, cancel alice, reject bob": CANCELLED,
    "reject bob, cancel alice": (3, "rejected", ["rejected", "needsApprovals"]),
    "approve bob, reject carol, submit alice": LACKING,
    "approve bob, reject carol, submit alice, approve bob": APPROVED,
    "approve bob, reject carol, submit carol, approve bob": (3, "needsApproval", ["notRequestor"]),
    "approve bob, complete alice": (3, "needsApproval", ["brokenRecord"]),
}


def test_c7_of_several_decisions_doubt_wins(world: World, forger: Forger) -> None:
    """A reject or cancel ends the round whoever follows; a withdrawal takes back one person's approval."""
    found = {}
    for events in DECISIONS:
        forged = Forgery(forger).submit(world.alice)
        for step in events.split(", "):
            action, name = step.split()
            more: dict[str, Any] = {"contributors": sorted({"alice", name})} if action == "submit" else {}
            forged.event(action, world.people[name], **more)
        found[events] = forged.push().check()
    assert found == DECISIONS


def test_c7_a_reject_by_nobody_known_still_takes_away(world: World, forger: Forger) -> None:
    """Doubt needs no account, but it is nobody's word."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    forged.event("reject", world.key("mallory")[0], "carol").push()
    assert forged.check() == (3, "rejected", ["rejected"])
    shown = forged.show()
    assert (shown["approver"], shown["events"][-1]["account"]) == (None, None)


def test_c7_a_reject_that_was_cut_off_holds_on_the_protected_branch(world: World, forger: Forger) -> None:
    """Once there, no shorter record on the branch and no landing of one goes past it."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    kept = list(forged.lines)
    forged.event("reject", world.carol)
    good = forger.commit([world.tip()], {forged.path: forger.record(*forged.lines)})
    forger.push(good)
    assert verified(world) == (0, [])
    assert forged.check() == (3, "rejected", ["rejected"])
    forged.lines = list(kept)
    assert forged.push().check() == (3, "rejected", ["rejected"])
    forged.complete(world.alice).land()
    assert refused_until_healed(forger, good)[0] == ["recordAltered"]
    forged.lines = list(kept)
    assert forged.approve(world.carol).push().check() == ALTERED


# --- C8: time --------------------------------------------------------------------------------------------------------


def test_c8_a_request_expires_by_the_verifiers_clock(world: World, forger: Forger) -> None:
    """Thirty days without decision, or after the approval; git's dates say nothing."""
    young = {"GIT_AUTHOR_DATE": stamp(), "GIT_COMMITTER_DATE": stamp()}
    old = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}
    waiting = Forgery(forger, "waiting").submit(world.alice, **ago(days=31)).push(variables=young)
    assert waiting.check() == (3, "expired", ["expired", "needsApprovals"])
    late = Forgery(forger, "late").submit(world.alice, **ago(days=31)).approve(world.bob).push(variables=young)
    assert late.check() == (3, "expired", ["expired", "needsApprovals", "expired"])
    stale = Forgery(forger, "stale").submit(world.alice, **ago(days=60)).approve(world.bob, **ago(days=31))
    assert stale.push(variables=young).check() == (3, "expired", ["expired"])
    fresh = Forgery(forger, "fresh").submit(world.alice, **ago(days=29)).approve(world.bob, **ago(days=28))
    assert fresh.push(variables=old).check() == APPROVED
    again = stale.submit(world.alice).approve(world.bob).push(variables=young)
    assert again.check() == APPROVED


def test_c8_an_expired_approval_landed_is_a_violation(world: World, forger: Forger) -> None:
    """It is judged at the merge, by the time of the completion."""
    good = world.tip()
    forged = Forgery(forger).submit(world.alice, **ago(days=60)).approve(world.bob, **ago(days=31))
    forged.complete(world.alice).land(variables={"GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"})
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "expired" in message
    fine = Forgery(forger, "fine").submit(world.alice, **ago(days=50)).approve(world.bob, **ago(days=29))
    fine.complete(world.alice).land()
    assert verified(world) == (0, ["unapprovedChange"])


def test_c8_expired_by_the_settings_of_today(world: World, forger: Forger) -> None:
    """``expireAfterDays`` is a rule like any other: a shorter one ends what is open, a longer one keeps it."""
    forged = Forgery(forger).submit(world.alice, **ago(days=6)).approve(world.bob, **ago(days=5)).push()
    assert forged.check() == APPROVED
    good = landed(forger, "shorter", {"maa.yaml": settings("requests: {expireAfterDays: 3}\n")})
    assert forged.check() == (3, "expired", ["expired"])
    forged.complete(world.alice)
    forged.land()
    assert refused_until_healed(forger, good)[0] == ["unapprovedChange"]
    forged.lines.pop()
    landed(forger, "longer", {"maa.yaml": settings("requests: {expireAfterDays: 30}\n")})
    assert forged.check() == APPROVED


def test_c8_clocks_may_be_five_minutes_apart(world: World, forger: Forger) -> None:
    """An event from the future, or from well before the one it follows, breaks the record."""
    late = (3, "needsApproval", ["brokenRecord", "outOfTime", "needsApprovals"])
    expected = {
        (0, 600): late,
        (0, -600): late,
        (600, 600): (3, "needsApproval", ["brokenRecord", "outOfTime", "outOfTime", "needsApprovals"]),
        (0, 240): APPROVED,
        (0, -240): APPROVED,
        (240, 0): APPROVED,
    }
    found = {}
    for submitted, approved in expected:
        forged = Forgery(forger).submit(world.alice, **ago(seconds=-submitted))
        found[submitted, approved] = forged.approve(world.bob, **ago(seconds=-approved)).push().check()
    assert found == expected


def test_c8_moments_at_the_ends_of_time_are_answered(world: World, forger: Forger) -> None:
    """The first and the last year there is give a no and no crash."""
    Forgery.honest(forger)
    expired = (3, "expired", ["expired"])
    expected = {
        "0001-01-01T00:00:00Z": expired,
        "1969-12-31T23:59:59Z": expired,
        "9999-12-31T23:59:59Z": (3, "needsApproval", ["brokenRecord", "outOfTime", "outOfTime", "needsApprovals"]),
    }
    found = {at: Forgery(forger).submit(world.alice, at=at).approve(world.bob, at=at).push().check() for at in expected}
    assert found == expected


def test_c8_a_moment_has_one_spelling(world: World, forger: Forger) -> None:
    """Any other is no event."""
    Forgery.honest(forger)
    moment = stamp()
    others = [
        moment.replace("T", " "),
        moment.replace("Z", "+00:00"),
        moment.replace("Z", ".0Z"),
        moment.replace("Z", "z"),
        moment[:-4] + "Z",
        f" {moment}",
        "2026-02-30T10:00:00Z",
        "2026-01-01T24:00:00Z",
        "1",
        "",
    ]
    found = {at: Forgery(forger).submit(world.alice).approve(world.bob, at=at).push().check() for at in others}
    assert found == dict.fromkeys(others, BROKEN)


def test_c8_a_completion_from_the_future_or_the_past_is_a_violation(world: World, forger: Forger) -> None:
    """A step is not later than the verifier's clock and not earlier than the steps before it."""
    good = landed(forger, "before", script("#!/bin/sh\ndate\n"))
    for number, (offset, codes) in enumerate(
        ((timedelta(minutes=10), ["outOfTime"]), (timedelta(minutes=-10), ["outOfTime"]))
    ):
        made = {"at": stamp(min(offset, timedelta()))}
        forged = Forgery(forger, f"forged-{number}").submit(world.alice, **made).approve(world.bob, **made)
        forged.complete(world.alice, at=stamp(offset)).land()
        assert refused_until_healed(forger, good)[0] == codes
    Forgery(forger, "now").submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert verified(world) == (0, ["outOfTime", "outOfTime"])


# --- C9, C10: the record ---------------------------------------------------------------------------------------------


def test_c9_a_line_that_was_edited_after_it_was_signed_breaks_the_record(world: World, forger: Forger) -> None:
    """Every field is signed."""
    forged = Forgery(forger).submit(world.alice, contributors=["alice", "dave"]).approve(world.bob, notes="Fine.")
    whole = list(forged.lines)
    edits: list[tuple[int, dict[str, Any]]] = [
        (0, {"justification": "Harmless."}),
        (0, {"contributors": ["alice"]}),
        (0, {"at": stamp(timedelta(seconds=-60))}),
        (0, {"account": "carol"}),
        (1, {"notes": "Fine, whatever comes."}),
        (1, {"at": stamp(timedelta(seconds=60))}),
        (1, {"account": "carol"}),
        (1, {"action": "withdraw"}),
    ]
    for index, fields in edits:
        forged.lines = list(whole)
        forged.lines[index] = canonical({**json.loads(whole[index]), **fields})
        code, status, reasons = forged.push().check()
        assert (code, status, reasons[:2]) == (3, "needsApproval", ["brokenRecord", "badSignature"]), fields
    forged.lines = whole
    assert forged.push().check() == APPROVED


RESPELLED: dict[str, Callable[[bytes], bytes]] = {
    "blanks": lambda line: line.replace(b'":', b'": '),
    "blank at the end": lambda line: line + b" ",
    "carriage return": lambda line: line + b"\r",
    "byte order mark": lambda line: b"\xef\xbb\xbf" + line,
    "UTF-16": lambda line: line.decode().encode("utf-16"),
    "escapes": lambda line: line.replace(b"approve", b"\\u0061pprove"),
    "other order": lambda line: (
        canonical(json.loads(line))[:1] + b'"version":1,' + line[1:].replace(b',"version":1', b"")
    ),
    "key twice": lambda line: line.replace(b'"version":1}', b'"version":1,"version":1}'),
    "another account first": lambda line: line.replace(b'"account":"bob"', b'"account":"alice","account":"bob"'),
    "another account last": lambda line: line.replace(b'"account":"bob"', b'"account":"bob","account":"carol"'),
    "float": lambda line: line.replace(b'"version":1', b'"version":1.0'),
    "exponent": lambda line: line.replace(b'"version":1', b'"version":1e0'),
    "true": lambda line: line.replace(b'"version":1', b'"version":true'),
    "endless number": lambda line: line.replace(b'"version":1', b'"version":' + b"1" * 5000),
    "not a number": lambda line: line.replace(b'"version":1', b'"version":NaN'),
    "lone surrogate": lambda line: line.replace(b'"bob"', b'"\\ud800"'),
    "not UTF-8": lambda line: line.replace(b'"bob"', b'"\xff"'),
    "NUL": lambda line: line.replace(b'"bob"', b'"\0bob"'),
    "deep": lambda line: b"[" * 100_000 + line,
    "a field more": lambda line: line.replace(b'"version":1', b'"verdict":"approved","version":1'),
    "null notes": lambda line: line.replace(b'"previous"', b'"notes":null,"previous"'),
    "a comment": lambda line: b"// " + line,
    "an empty line": lambda line: b"\n" + line,
    "a list": lambda line: b"[" + line + b"]",
    "two in one": lambda line: line + line,
    "cut off": lambda line: line[:-1],
    "nothing": lambda _line: b"",
}


def test_c9_a_line_has_one_spelling(world: World, forger: Forger) -> None:
    """Bytes that another reader could take for the same, or for another event, are no event at all."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    line, found = forged.lines[-1], {}
    for name, change in RESPELLED.items():
        forged.lines[-1] = change(line)
        found[name] = forged.push().check()
    assert found == dict.fromkeys(RESPELLED, BROKEN)
    forged.lines[-1] = line
    assert forged.push().check() == APPROVED


def test_c9_what_follows_the_last_line_feed_is_seen(world: World, forger: Forger) -> None:
    """A record whose last line is not ended is broken, even if that line alone would be good."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob)
    for tail in (forged.lines.pop(), b"x"):
        data = forger.record(*forged.lines) + tail
        forger.push(forger.commit([forged.start], {**forged.files, forged.path: data}), "change/forged", force=True)
        assert forged.check() == BROKEN
    assert forged.approve(world.bob).push().check() == APPROVED


def test_c10_approvals_that_the_requestor_pushes_verify_by_themselves(world: World, forger: Forger) -> None:
    """Alice may carry bob's line; she cannot write it."""
    honest = Forgery.honest(forger)
    forged = Forgery(forger).submit(world.alice).approve(world.alice, "bob").push()
    assert forged.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
    assert honest.worth() == [("alice", True, None), ("bob", True, None)]


def test_c10_a_branch_brings_its_own_record_only(world: World, forger: Forger) -> None:
    """Anything else under requests/ alters what is not its own, on the branch and where it lands."""
    good = Forgery.honest(forger).start
    paths = {
        "requests/2019/other.jsonl": ["brokenRecord"],
        "requests/README.md": ["recordAltered"],
        "requests/.gitkeep": ["recordAltered"],
        "requests/approved": ["recordAltered"],
        f"requests/{stamp()[:4]}/forged.json": ["recordAltered"],
        f"requests/{stamp()[:4]}/forged/x.jsonl": ["recordAltered"],
    }
    found = {}
    for path in paths:
        forged = Forgery(forger).submit(world.alice).approve(world.bob)
        forged.files[path] = "approved\n"
        assert forged.push().check() == ALTERED
        forged.complete(world.alice).land()
        found[path] = refused_until_healed(forger, good)[0]
    assert found == paths


def test_c10_a_record_under_no_real_year_is_another_path(world: World, forger: Forger) -> None:
    """Four digits are a year; whatever else a number may be read from is not, and crashes nobody's list."""
    Forgery.honest(forger)
    forged, now = Forgery(forger).submit(world.alice).approve(world.bob), stamp()[:4]
    arabic = "".join(chr(0x660 + int(digit)) for digit in now)
    for year in ("abcd", f"{now[0]}_{now[1:]}", f"0{now}", f"+{now}", f" {now}", arabic, now[2:], f"{now}/{now}"):
        files = {**forged.files, f"requests/{year}/forged.jsonl": forger.record(*forged.lines)}
        commit = forger.commit([forged.start], files)
        forger.push(commit, "change/forged", force=True)
        assert forged.check() == (3, "needsApproval", ["notSubmitted", "recordAltered"]), year
        by_head = world.dave.maa("check", "--head", commit, "--format", "json", code=3)
        assert by_head.reasons == ["notSubmitted", "recordAltered"]
        listed = world.dave.maa("requests", "--format", "json").json["requests"]
        assert [found["id"] for found in listed] == ["honest"]


def test_c10_a_record_under_another_year_than_its_own_is_broken(world: World, forger: Forger) -> None:
    """The year is that of the first event."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    files = {**forged.files, "requests/2019/forged.jsonl": forger.record(*forged.lines)}
    forger.push(forger.commit([forged.start], files), "change/forged", force=True)
    assert forged.check() == (3, "needsApproval", ["brokenRecord"])
    both = {**files, forged.path: forger.record(*forged.lines)}
    forger.push(forger.commit([forged.start], both), "change/forged", force=True)
    code, status, reasons = forged.check()
    assert (code, status) == (3, "needsApproval")
    assert "recordAltered" in reasons


def test_c10_two_branches_of_one_id_are_both_refused(world: World, forger: Forger) -> None:
    """change/forged and change/FORGED would be one request: neither is approved, by name or by commit."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    head = world.tip("change/forged")
    assert forged.check() == APPROVED
    forger.push(forger.commit([forged.start], {APP: app(description="Evil.")}), "change/FORGED")
    assert forged.check()[0] == 3
    assert "recordAltered" in forged.check()[2]
    for arguments in (("--head", head), ("forged", "--head", head)):
        refused = world.dave.maa("check", *arguments, "--format", "json", code=3)
        assert refused.reasons == ["recordAltered"]
    assert "recordAltered" in world.alice.maa("show", "forged", "--format", "json").reasons
    world.alice.maa("complete", "forged", code=3)
    forger.push(None, "change/FORGED")
    assert forged.check() == APPROVED


@pytest.mark.parametrize("shape", ["file for folder", "file for year", "folder for record", "link", "program"])
def test_c10_a_record_is_a_file_in_its_folder(world: World, forger: Forger, shape: str) -> None:
    """``requests`` as a file, a record as a folder, a link or a program: no approval, and no crash."""
    forged = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert forged.check() == APPROVED
    data, year = forger.record(*forged.lines), forged.path.rpartition("/")[0]
    path, mode, reasons, landing = {
        "file for folder": (
            "requests",
            "100644",
            ["notSubmitted", "recordAltered"],
            ["invalidDocument", "recordAltered"],
        ),
        "file for year": (year, "100644", ["notSubmitted", "recordAltered"], ["recordAltered"]),
        "folder for record": (f"{forged.path}/x", "100644", ["notSubmitted", "recordAltered"], ["recordAltered"]),
        "link": (forged.path, "120000", ["brokenRecord", "notSubmitted"], ["recordAltered"]),
        "program": (forged.path, "100755", ["brokenRecord", "notSubmitted"], ["recordAltered"]),
    }[shape]
    commit = forger.commit([forged.start], {**forged.files, path: data}, modes={path: mode})
    forger.push(commit, "change/forged", force=True)
    assert forged.check() == (3, "needsApproval", reasons)
    world.dave.maa("requests")
    good = world.tip()
    forger.push(forger.commit([good], {path: data}, modes={path: mode}))
    codes, _ = refused_until_healed(forger, good)
    assert codes == landing


def test_c10_records_on_the_protected_branch_are_only_extended(world: World, forger: Forger) -> None:
    """Taking one away, cutting it or writing it anew is a violation, approved change or not."""
    first = Forgery(forger, "first").submit(world.alice).approve(world.bob).complete(world.alice)
    first.land()
    good = world.tip()
    rewritten = Forgery(forger, "first").submit(world.bob)
    for data in (None, forger.record(*first.lines[:-1]), forger.record(*rewritten.lines), b""):
        forger.push(forger.commit([world.tip()], {first.path: data}))
        assert refused_until_healed(forger, good)[0] == ["recordAltered"]
    assert first.show()["status"] == "approved"


# --- C11: acts of the wrong person -----------------------------------------------------------------------------------


def test_c11_only_the_requestor_completes_where_it_is_so(world: World, forger: Forger) -> None:
    """Under ``completeBy: requestor`` somebody else's completion is refused, and a violation where it lands."""
    good = forger.refound({"maa.yaml": settings("requests: {completeBy: requestor}\n")})
    forged = Forgery.honest(forger)
    refused = world.carol.maa("complete", "honest", "--format", "json", code=3)
    assert refused.error["code"] == "notRequestor"
    kept = list(forged.lines)
    forged.complete(world.carol).land()
    codes, message = refused_until_healed(forger, good)
    assert codes == ["unapprovedChange"]
    assert "notRequestor" in message
    forged.lines = kept
    forged.complete(world.alice).land()
    assert verified(world) == (0, ["unapprovedChange"])


def test_c11_a_completion_is_an_enabled_accounts(world: World, forger: Forger) -> None:
    """Not by an unknown key, not under another name, not by who is disabled, not by what the change itself brings."""
    off = account("dave", world.dave.public_key, extra="enabled: false\n")
    good = forger.refound({"accounts/dave.yaml": off})
    mallory = world.key("mallory")[0]
    found = []
    signers: list[tuple[Person | Path, str]] = [(mallory, "alice"), (world.carol, "alice"), (world.dave, "dave")]
    for number, (signer, name) in enumerate(signers):
        forged = Forgery(forger, f"forged-{number}").submit(world.alice).approve(world.bob).complete(signer, name)
        forged.land()
        found.append(refused_until_healed(forger, good)[0])
    unknown = ["unknownSigner", "unapprovedChange"]
    assert found == [unknown, unknown, ["unapprovedChange"]]
    Forgery(forger, "good").submit(world.alice).approve(world.bob).complete(world.carol).land()
    assert verified(world)[0] == 0


def test_c11_a_completion_is_for_this_change_and_the_last_event(world: World, forger: Forger) -> None:
    """One that names another digest, stands before the end or is missing lets nothing land."""
    good = Forgery.honest(forger).start
    cases: list[tuple[Forgery, list[str]]] = [
        (
            Forgery(forger, "a")
            .submit(world.alice)
            .approve(world.bob)
            .complete(world.alice, change="sha256:" + "0" * 64),
            ["unapprovedChange"],
        ),
        (
            Forgery(forger, "b").submit(world.alice).approve(world.bob).complete(world.alice).approve(world.carol),
            ["brokenRecord", "unapprovedChange"],
        ),
        (
            Forgery(forger, "c").submit(world.alice).approve(world.bob).complete(world.alice).complete(world.alice),
            ["brokenRecord", "unapprovedChange"],
        ),
        (Forgery(forger, "d").submit(world.alice).approve(world.bob), ["unapprovedChange"]),
        (Forgery(forger, "e").complete(world.alice), ["brokenRecord", "unapprovedChange"]),
        (Forgery(forger, "f").submit(world.alice).complete(world.alice), ["unapprovedChange"]),
        (Forgery(forger, "g"), ["unapprovedChange"]),
    ]
    for forged, codes in cases:
        forged.land()
        assert refused_until_healed(forger, good)[0] == codes, forged.request


def test_c11_the_commands_leave_vetoes_to_whom_they_belong(world: World, forger: Forger) -> None:
    """Cancel is the requestor's, reject and withdraw are an approver's; dave and the requestor are told so."""
    Forgery.honest(forger)
    Forgery(forger, "open").submit(world.alice).push()
    refusals = {
        ("dave", "cancel open"): "notRequestor",
        ("bob", "cancel open"): "notRequestor",
        ("alice", "cancel honest"): "awaitingCompletion",
        ("dave", "reject open -m No."): "notApprover",
        ("alice", "reject open -m No."): "selfApproval",
        ("dave", "approve open"): "notApprover",
        ("alice", "approve open"): "selfApproval",
        ("carol", "withdraw honest"): "notApprover",
        ("alice", "withdraw honest"): "selfApproval",
    }
    found = {
        (name, command): world.people[name].maa(*command.split(), "--format", "json", code=3).error["code"]
        for name, command in refusals
    }
    assert found == refusals
    assert world.bob.maa("withdraw", "honest", "--format", "json").json["status"] == "needsApproval"
    assert world.alice.maa("cancel", "open", "--format", "json").json["status"] == "cancelled"


def test_c11_nothing_unapproved_is_ever_applied(world: World, forger: Forger) -> None:
    """The local tenant holds what was good throughout a run of attacks on it, and takes the good after them."""
    assert applied(world) == (0, None)
    good = world.tip()

    def description() -> object:
        (held,) = world.bob.maa("tenant", "--format", "json").json["objects"]
        return held["properties"]["description"]

    forger.push(forger.commit([good], {APP: app(description="Evil.")}))
    assert (applied(world), description()) == ((3, "unapprovedChange"), "Apps for work.")
    forger.push(forger.commit([world.tip()], {"README.md": "Harmless, on top.\n"}))
    assert (applied(world), description()) == ((3, "unapprovedChange"), "Apps for work.")
    forged = Forgery(forger, "late")
    forged.changes = [forger.change(APP, app(), app(description="Evil."))]
    forged.files = {}
    forged.submit(world.alice, base=good).approve(world.bob, base=good).complete(world.alice, base=good).land()
    assert verified(world) == (0, ["unapprovedChange", "unapprovedChange"])
    assert (applied(world), description()) == ((0, None), "Evil.")
