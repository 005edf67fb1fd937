"""The story on a local tenant: a self-approval, a lock, an edit after approval, a rejection, and two forgeries."""

from maa_gitops.demo.forging import forged_line, plant, record_of
from maa_gitops.demo.people import edit, found_repository, settle, start_branch
from maa_gitops.demo.stage import Scene, Stage, expect, git, maa, narrate, state_of, type_git

_APP = "resources/apps/company-portal.yaml"
_COMPANY_PORTAL = """\
type: winGetApp
displayName: Company Portal
description: Where staff find their apps.
publisher: Microsoft Corporation
packageIdentifier: 9WZDNCRFJ3PZ
installExperience: {runAsAccount: system}
"""
_OFFERED = _COMPANY_PORTAL + "assignments: [{intent: available, target: {group: All Staff}}]\n"
_REQUIRED = _OFFERED.replace("available", "required")
_SWAPPED = _REQUIRED.replace("9WZDNCRFJ3PZ", "9NBLGGH4NNS1")
_TIME_ZONE = {
    "resources/scripts/set-time-zone.yaml": """\
type: deviceManagementScript
displayName: Set time zone
runAsAccount: system
scriptFile: set-time-zone.ps1
assignments: [{target: {group: All Staff}}]
""",
    "resources/scripts/set-time-zone.ps1": 'Set-TimeZone -Id "W. Europe Standard Time"\n',
}
_TIME_ZONE_BRANCH = "change/set-time-zone"


# --- the scenes ------------------------------------------------------------------------------------------------------


def _found_tenant(stage: Stage) -> None:
    narrate(stage, "Alice, Bob and Carol each get a home and a new SSH key. A bare repository is the server.")
    settle(stage)
    narrate(stage, "Alice makes the tenant repository. All three may approve: one another's changes, never their own.")
    found_repository(stage)


def _approve_and_apply(stage: Stage) -> None:
    narrate(stage, "Alice adds the Company Portal app on a branch, and asks for approval with a reason.")
    start_branch(stage, "alice", "company-portal", {_APP: _COMPANY_PORTAL})
    reason = "Staff need a place to find their apps."
    maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "create app/", "can approve:"))
    narrate(stage, "She cannot approve it herself.")
    maa(stage, "alice", "approve", "company-portal", exits=3, shows=("alice submitted this request", "hint:"))
    narrate(stage, "Bob can. His decision is signed with his key, over a digest of exactly this change.")
    notes = "9WZDNCRFJ3PZ is the right package."
    maa(
        stage, "bob", "approve", "company-portal", "-m", notes, shows=("Approved", "satisfied", "approve by Bob", notes)
    )
    narrate(stage, "Alice completes it: what was signed is merged into main and applied to the local tenant.")
    maa(stage, "alice", "complete", "company-portal", shows=("Completed", "Merged", "local: applied"))
    expect(stage, "company-portal", status="completed", requestor="alice", approver="bob")
    maa(stage, "alice", "tenant", shows=("Company Portal",))


def _lock_object(stage: Stage) -> None:
    narrate(stage, "Alice wants the app to be offered to all staff: only its assignments change.")
    start_branch(stage, "alice", "offer-portal", {_APP: _OFFERED})
    reason = "Offer the portal to everybody."
    maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "assign app/"))
    narrate(stage, "Meanwhile Bob wants to change the same app. He is told who was first.")
    start_branch(
        stage, "bob", "describe-portal", {_APP: _COMPANY_PORTAL.replace("Where staff", "The place where staff")}
    )
    maa(stage, "bob", "submit", "-a", "-m", "A better description.", exits=3, shows=("'offer-portal' of alice",))


def _void_approval(stage: Stage) -> None:
    narrate(stage, "Bob approves Alice's request. After that, Alice makes the app required on every device.")
    maa(stage, "bob", "approve", "offer-portal", shows=("Approved", "satisfied"))
    type_git(stage, "alice", "pull", "origin", "change/offer-portal")
    edit(stage, "alice", {_APP: _REQUIRED})
    type_git(stage, "alice", "commit", "-a", "-m", "Make it required")
    type_git(stage, "alice", "push", "origin", "change/offer-portal")
    narrate(stage, "Bob approved something else. His approval is void, and nothing can be merged.")
    maa(stage, "alice", "complete", "offer-portal", exits=3, shows=("not the one that was submitted",))
    expect(stage, "offer-portal", reason="editedSinceSubmit", status="needsApproval")
    narrate(stage, "She has to submit again. Carol looks at what would change now, and approves that.")
    maa(stage, "alice", "submit", "-m", "Every device needs the portal.", shows=("Needs approval", "can approve:"))
    expect(stage, "offer-portal", status="needsApproval", approver=None)
    maa(stage, "carol", "diff", "offer-portal", shows=("+assignments",))
    maa(stage, "carol", "approve", "offer-portal", shows=("Approved", "satisfied"))
    maa(stage, "alice", "complete", "offer-portal", shows=("Completed", "local: applied"))


def _reject_with_notes(stage: Stage) -> None:
    narrate(stage, "Alice submits a PowerShell script that sets the time zone. Bob rejects it, and says why.")
    start_branch(stage, "alice", "set-time-zone", _TIME_ZONE)
    reason = "Devices in Utrecht are an hour off."
    maa(stage, "alice", "submit", "-a", "-m", reason, shows=("Needs approval", "create script/"))
    notes = "London is in All Staff, too."
    maa(stage, "bob", "reject", "set-time-zone", "-m", notes, shows=("Rejected", "reject by Bob", notes))
    narrate(stage, "Alice reads why. Nothing but a new submit opens her request again.")
    maa(stage, "alice", "show", "set-time-zone", shows=("Request", "reject by Bob", notes, "submit, on its branch"))
    expect(stage, "set-time-zone", status="rejected", approver="bob", approvalJustification=notes)


def _read_log(stage: Stage) -> None:
    narrate(stage, "Carol audits. Her clone alone holds every signed event: who did what, when and why.")
    maa(
        stage,
        "carol",
        "audit",
        shows=[f"\t{action}\t" for action in ("submit", "approve", "reject", "complete", "apply")],
    )
    narrate(stage, "And it proves that nothing landed on main which was not approved.")
    maa(stage, "carol", "verify", shows=("good:",))


def _push_past_approvers(stage: Stage) -> None:
    narrate(
        stage,
        "Without maa, Alice builds a commit with git's own tools that swaps the app's package for another one, writes"
        " Bob's name on it, and pushes it to main. The server in this story lets her.",
    )
    git(stage, "alice", "fetch", "--quiet")
    plant(stage, ("origin/main",), {_APP: _SWAPPED.encode()}, "Routine clean-up", author="bob")
    narrate(stage, "No approval covers that. Every clone sees it, names the commit, and nothing is applied.")
    maa(stage, "carol", "verify", exits=3, shows=("unapprovedChange", "NOT GOOD"))
    maa(stage, "alice", "apply", exits=3, shows=("is not good",))
    narrate(stage, "Carol puts main back to what was approved, which needs no approval.")
    _heal(stage)


def _forge_approval(stage: Stage) -> None:
    narrate(
        stage,
        "Alice submits her rejected script again, and writes Bob's approval herself: the right words in Bob's name."
        " But she has to sign it with her own key, since only Bob has his.",
    )
    type_git(stage, "alice", "switch", _TIME_ZONE_BRANCH)
    maa(stage, "alice", "submit", "-m", "Utrecht is still an hour off.", shows=("Needs approval",))
    path, record = record_of(stage, "set-time-zone")
    change = state_of(stage, "set-time-zone").get("change")
    record += forged_line(stage, record, action="approve", account="bob", change=change, notes="Fine now.")
    plant(stage, (f"origin/{_TIME_ZONE_BRANCH}",), {path: record}, "approve set-time-zone", author="bob")
    narrate(stage, "The gate sees that the key is not Bob's.")
    maa(stage, "carol", "check", "set-time-zone", exits=3, shows=("claiming to be bob", "unknownSigner:"))
    narrate(stage, "So Alice merges by hand, with a completion that she may sign. Every clone sees that, too.")
    record += forged_line(stage, record, action="complete", account="alice", change=change)
    files = {path: record, **{name: text.encode() for name, text in _TIME_ZONE.items()}}
    plant(stage, ("origin/main", f"origin/{_TIME_ZONE_BRANCH}"), files, "complete set-time-zone")
    maa(stage, "carol", "verify", exits=3, shows=("set-time-zone.jsonl was not approved", "NOT GOOD"))
    _heal(stage)
    narrate(stage, "Both attempts, and the false approval, are in the audit log.")
    maa(stage, "carol", "audit", shows=("\tviolation\t", "\tunknownSigner\t"))


SCENES: tuple[Scene, ...] = (
    ("A tenant repository, three people, three keys", _found_tenant),
    ("A self-approval is refused; an approval is merged and applied", _approve_and_apply),
    ("A second request on the same object is refused", _lock_object),
    ("A later edit voids an approval", _void_approval),
    ("A rejection with notes", _reject_with_notes),
    ("The audit log", _read_log),
    ("First forgery: a change is pushed past the approvers", _push_past_approvers),
    ("Second forgery: an approval is signed with the wrong key", _forge_approval),
)


def _heal(stage: Stage) -> None:
    """As Carol, take the newest commit of main back, and see that main is good again."""
    git(stage, "carol", "fetch", "--quiet")
    type_git(stage, "carol", "merge", "origin/main")
    is_merge = " " in git(stage, "carol", "log", "-1", "--format=%P")
    type_git(stage, "carol", "revert", "--no-edit", *(("-m", "1") if is_merge else ()), "HEAD")
    type_git(stage, "carol", "push", "origin", "main")
    maa(stage, "carol", "verify", shows=("healed by", "good:"))
