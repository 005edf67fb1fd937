"""Signing off on GitHub: what is recorded, for whom, and what is not."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.forge import Forger
from tests.support.on_github import BODY, Hub, login
from tests.support.world import APP, access_policy, app

Heard = list[tuple[str | None, str, str | None]]

SCRIPT, TEXT = "resources/scripts/rename.yaml", "resources/scripts/rename.sh"
SCRIPTED = {
    SCRIPT: "type: deviceShellScript\ndisplayName: Rename\nrunAsAccount: system\nscriptFile: rename.sh\n",
    TEXT: "#!/bin/sh\necho one\n",
}


def moment(seconds: float) -> datetime:
    """Some seconds from now; GitHub's clock has whole ones."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def acts(hub: Hub, request: str = "portal") -> list[tuple[str | None, str]]:
    """Who did what in a request's record."""
    return [(account, action) for account, action, _, _ in hub.events(request)]


def standing(hub: Hub, request: str = "portal") -> list[str]:
    """Whose approvals stand."""
    shown = hub.person("dave").show(request).json
    return sorted({name for policy in shown["policies"] for name in policy["approvedBy"]})


def status(hub: Hub, request: str = "portal") -> str:
    """A request's status."""
    return hub.person("dave").show(request).json["status"]


def dispatch(
    hub: Hub, tmp_path: Path, run: int, inputs: dict[str, Any], code: int | None = 0
) -> tuple[list[tuple[str | None, str, str | None]], str]:
    """Run the job of a dispatched run; returns what was heard, and the log."""
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(hub.fake.payload("workflow_dispatch", inputs=inputs)))
    answer = hub.maa(
        "github", "record", "--format", "json",
        event="workflow_dispatch", payload=payload, code=code, GITHUB_RUN_ID=str(run),
    )  # fmt: skip
    return [(one["action"], one["outcome"], one["code"]) for one in answer.json["heard"]], answer.err


def test_a_pull_request_is_submitted_reviewed_and_green(hub: Hub) -> None:
    """Submit by comment, approval by review, gate green, completed and applied: all of it as signed events."""
    number = hub.open()
    assert hub.gate(number)["verdict"] == "pending"
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    assert hub.record(number) == [("submit", "recorded", None)]
    assert hub.status(number)[0] == "pending"
    hub.fake.review(number, "bob-hub", "APPROVED", "Checked.")
    assert hub.record(number) == [("approve", "recorded", None)]
    assert hub.events() == [("alice", "submit", True, "maa-attestor"), ("bob", "approve", True, "maa-attestor")]
    assert hub.status(number)[0] == "success"
    assert hub.record(number) == []
    assert hub.complete() == [("portal", "merged")]
    shown = hub.person("dave").show("portal").json
    assert shown["status"] == "completed"
    assert hub.person("dave").maa("verify").code == 0


# --- comments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "words", "more", "code"),
    [
        ("bob-hub", "/maa approve {digits}", {"via_app": True}, "bot"),
        ("github-actions[bot]", "/maa approve {digits}", {}, "bot"),
        ("alice-hub", "/maa approve {digits} Fine.", {}, "selfApproval"),
        ("dave-hub", "/maa approve {digits}", {}, "notApprover"),
        ("eve-hub", "/maa approve {digits}", {}, "noAccount"),
        ("bob-hub", "/maa approve {fewer}", {}, "malformed"),
        ("bob-hub", "/maa approve", {}, "malformed"),
        ("bob-hub", "/maa approve 0000000000000000000000000000000000000000", {}, "staleChange"),
        ("bob-hub", "/maa approve {whole}0", {}, "staleChange"),
        ("bob-hub", "/maa complete {digits}", {}, "malformed"),
        ("bob-hub", "/maa submit {digits}", {}, "notRequestor"),
        ("bob-hub", "/maa cancel {digits}", {}, "notRequestor"),
        ("bob-hub", "/maa withdraw {digits}", {}, "notApprover"),
        ("alice-hub", "/maa reject {digits} I say so.", {}, "selfApproval"),
    ],
)
def test_what_is_not_recorded_is_told_with_its_reason(
    hub: Hub, who: str, words: str, more: dict[str, Any], code: str
) -> None:
    """Nothing is recorded, and the log and the comment say why."""
    number = hub.submitted()
    hub.fake.user("eve-hub", permission="write")
    whole = hub.digest(number)
    said = words.format(fewer=whole[:39], digits=whole[:40], whole=whole)
    hub.fake.comment(number, who, said, at=moment(2), **more)
    heard = hub.record(number)
    assert [(outcome, reason) for _, outcome, reason in heard] == [("refused", code)]
    assert acts(hub) == [("alice", "submit")]
    ours = [
        c.body for c in hub.fake.comments(number) if c.login == "github-actions[bot]" and "/maa app" not in c.body[:9]
    ]
    assert f"(`{code}`)" in ours[0]


@pytest.mark.parametrize("words", ["approve", "reject", "withdraw", "cancel", "submit"])
def test_an_edited_comment_says_nothing(hub: Hub, words: str) -> None:
    """Whoever may write can edit anybody's comment, so an edited one is nobody's word."""
    number = hub.submitted()
    who = "alice" if words in ("cancel", "submit") else "bob"
    said = hub.say(number, who, "Looks odd.", at=moment(1))
    hub.fake.edit_comment(said, f"/maa {words} {hub.digest(number)[:40]} Yes.")
    assert [(outcome, code) for _, outcome, code in hub.record(number)] == [("refused", "edited")]
    assert acts(hub) == [("alice", "submit")]


@pytest.mark.parametrize(
    "words",
    ["I would /maa approve {0}", "> /maa approve {0}", "/maaapprove {0}", "maa approve {0}", "`/maa approve {0}`"],
)
def test_words_that_are_no_command_are_not_heard(hub: Hub, words: str) -> None:
    """Only a comment that begins with the command is one."""
    number = hub.submitted()
    hub.say(number, "bob", words.format(hub.digest(number)[:40]))
    assert hub.record(number) == []
    assert acts(hub) == [("alice", "submit")]


@pytest.mark.parametrize("permission", ["none", "read", "triage"])
def test_who_may_not_write_is_not_heard(hub: Hub, permission: str) -> None:
    """An approver whose permission on the repository is gone approves nothing; given back, the word counts."""
    number = hub.submitted()
    hub.fake.set_permission("bob-hub", permission)
    hub.fake.review(number, "bob-hub", "APPROVED")
    assert hub.record(number) == [("approve", "refused", "noPermission")]
    hub.fake.set_permission("bob-hub", "maintain")
    assert hub.record(number) == [("approve", "recorded", None)]


def test_a_comment_beyond_the_first_page_is_heard(hub: Hub) -> None:
    """A veto is not buried under a hundred other comments."""
    number = hub.submitted()
    for index in range(120):
        hub.say(number, "alice", f"Ping {index}.")
    hub.say(number, "bob", f"/maa reject {hub.digest(number)[:40]} No.", at=moment(2))
    assert hub.record(number) == [("reject", "recorded", None)]
    assert status(hub) == "rejected"


def test_of_the_payload_only_ids_are_used(hub: Hub, tmp_path: Path) -> None:
    """An event that tells of an approval, a writer and another head is asked about, not believed."""
    number = hub.submitted()
    review = hub.fake.review(number, "dave-hub", "COMMENTED")
    payload = hub.fake.payload("pull_request_review.submitted", review=review)
    payload["review"] |= {"state": "approved", "user": {"login": "bob-hub", "id": 583232, "type": "User"}}
    payload["pull_request"] |= {"body": BODY, "user": {"login": "eve", "id": 1, "type": "User"}}
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(payload))
    answer = hub.maa("github", "record", "--format", "json", event="pull_request_review", payload=file)
    assert (answer.json["heard"], [p["pullRequest"] for p in answer.json["pullRequests"]]) == ([], [number])
    assert acts(hub) == [("alice", "submit")]


# --- submitting ------------------------------------------------------------------------------------------------------


def test_nobody_is_submitted_for(hub: Hub) -> None:
    """Opening a pull request, however it is described, submits nothing."""
    number = hub.open()
    hub.fake.review(number, "bob-hub", "APPROVED")
    assert hub.record(number) == [("approve", "refused", "notSubmitted")]
    assert hub.gate(number)["verdict"] == "pending"
    assert hub.complete() == []


@pytest.mark.parametrize(
    "body",
    [None, "", "Please.", "## Business justification\n\n", "## Business justification\n<!-- why? -->\n## Notes\nNone."],
)
def test_a_submit_needs_a_business_justification(hub: Hub, body: str | None) -> None:
    """A description without that section submits nothing."""
    number = hub.open()
    hub.fake.edit_pull_request(number, body=body)
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    assert hub.record(number) == [("submit", "refused", "noJustification")]


def test_the_justification_is_the_section_alone(hub: Hub) -> None:
    """The record holds the words of the section, and none of the rest."""
    hub.submitted()
    assert hub.person("dave").show("portal").json["requestJustification"] == "Version 11.2 fixes the enrolment loop."


def test_a_submit_comment_that_was_not_needed_reopens_nothing(hub: Hub) -> None:
    """A submit said while the round was open anyway is not recorded once that round was rejected."""
    hub.person("alice").submitted("portal", {APP: app(description="New.")})
    number = hub.fake.pull_request("change/portal", login("alice"), title="Portal", body=BODY)
    digest = hub.digest(number)[:40]
    hub.say(number, "alice", f"/maa submit {digest}")
    assert hub.record(number) == []
    hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", "Not this version.")
    assert hub.record(number) == [("reject", "recorded", None)]
    hub.record(number)
    assert acts(hub) == [("alice", "submit"), ("carol", "reject")]
    assert status(hub) == "rejected"


def test_a_veto_is_not_undone_by_words_older_than_it(hub: Hub) -> None:
    """Neither a spare submit nor an approval that was refused comes to life after a rejection."""
    hub.person("alice").submitted("portal", {APP: app(description="New.")})
    number = hub.fake.pull_request("change/portal", login("alice"), title="Portal", body=BODY)
    digest = hub.digest(number)[:40]
    hub.say(number, "alice", f"/maa submit {digest}")
    hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", "Not this version.", at=moment(1))
    hub.say(number, "bob", f"/maa approve {digest}", at=moment(2))
    for _ in range(3):
        hub.record(number)
    assert status(hub) == "rejected"
    assert hub.complete() == []


def test_a_submit_of_an_earlier_content_is_not_woken(hub: Hub) -> None:
    """Putting back what was once asked for does not ask for it again."""
    number = hub.open()
    old = hub.digest(number)[:40]
    hub.say(number, "alice", f"/maa submit {old}", at=moment(-60))
    alice = hub.person("alice")
    alice.commit({APP: app(description="Newer.")})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/portal")
    assert hub.record(number) == [("submit", "refused", "staleChange")]
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    hub.say(number, "bob", f"/maa reject {hub.digest(number)[:40]} No.", at=moment(1))
    assert [(action, outcome) for action, outcome, _ in hub.record(number) if outcome == "recorded"] == [
        ("submit", "recorded"),
        ("reject", "recorded"),
    ]
    alice.git("pull", "-q", "origin", "change/portal")
    alice.commit({APP: app(description="New.")})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/portal")
    hub.record(number)
    assert acts(hub) == [("alice", "submit"), ("bob", "reject")]


@pytest.mark.parametrize("name", ["port.al", "a" * 70, "ünï", "x';echo", "-x"])
def test_a_branch_whose_name_is_no_id_is_not_signed_for(hub: Hub, name: str) -> None:
    """The attestor signs nothing for a branch that no request can be named after, and other requests go on."""
    number = hub.open(name)
    hub.say(number, "alice", f"/maa submit {'0' * 40}")
    gate = hub.maa("github", "gate", "--pull-request", str(number), "--format", "json", code=None)
    digest = (gate.json["pullRequests"][0]["change"] or "sha256:").removeprefix("sha256:")
    if digest:
        hub.say(number, "alice", f"/maa submit {digest[:40]}", at=moment(1))
    before = hub.world.tip(f"change/{name}")
    other = hub.open("other", "carol", SCRIPTED)
    hub.say(other, "carol", f"/maa submit {hub.digest(other)[:40]}")
    hub.record(code=None)
    assert hub.world.tip(f"change/{name}") == before
    assert acts(hub, "other") == [("carol", "submit")]


# --- reviews ---------------------------------------------------------------------------------------------------------


def test_a_later_comment_does_not_cancel_an_approval(hub: Hub) -> None:
    """A review that only comments, after one that approved, leaves the approval as it is, waiting or recorded."""
    number = hub.submitted()
    hub.fake.review(number, "bob-hub", "APPROVED")
    hub.fake.review(number, "bob-hub", "COMMENTED", "Nice.")
    assert hub.record(number) == [("approve", "recorded", None)]
    hub.fake.review(number, "bob-hub", "COMMENTED", "Very nice.")
    assert hub.record(number) == []
    assert standing(hub) == ["bob"]


def test_all_that_waits_is_recorded_with_one_push(hub: Hub) -> None:
    """Two reviews and the submit before them move the branch once."""
    number = hub.open()
    log = hub.world.folder / "pushes"
    hook = hub.world.server / "hooks" / "post-receive"
    hook.write_text(f"#!/bin/sh\ncat >> {log}\n")
    hook.chmod(0o700)
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}", at=moment(-2))
    hub.fake.review(number, "bob-hub", "APPROVED")
    hub.fake.review(number, "carol-hub", "APPROVED")
    assert [outcome for _, outcome, _ in hub.record(number)] == ["recorded"] * 3
    assert [line.split()[2] for line in log.read_text().splitlines()] == ["refs/heads/change/portal"]
    assert standing(hub) == ["bob", "carol"]


def test_a_review_counts_while_the_change_is_the_same(hub: Hub) -> None:
    """A review on the commit before a line of the record counts; one on other content does not."""
    number = hub.open()
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}", at=moment(-2))
    hub.fake.review(number, "bob-hub", "APPROVED", commit=hub.world.tip("change/portal"))
    assert [outcome for _, outcome, _ in hub.record(number)] == ["recorded"] * 2
    assert standing(hub) == ["bob"]
    alice = hub.person("alice")
    alice.git("pull", "-q", "origin", "change/portal")
    alice.commit({APP: app(description="Worse.")})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/portal")
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}", at=moment(1))
    hub.fake.review(
        number,
        "carol-hub",
        "APPROVED",
        commit=hub.world.git(hub.world.server, "rev-parse", "change/portal~1"),
        at=moment(9),
    )
    assert hub.record(number) == [("submit", "recorded", None), ("approve", "refused", "staleChange")]
    assert standing(hub) == []


def test_a_review_in_anothers_pull_request_is_for_that_one(hub: Hub) -> None:
    """An approval of one pull request is recorded in no other."""
    first = hub.submitted()
    second = hub.submitted("rename", "carol", SCRIPTED)
    hub.fake.review(second, "bob-hub", "APPROVED")
    assert hub.record() == [("approve", "recorded", None)]
    assert (standing(hub), standing(hub, "rename")) == ([], ["bob"])
    assert hub.gate(first)["verdict"] == "pending"


# --- taking back -----------------------------------------------------------------------------------------------------


def test_a_dismissal_by_a_person_withdraws_once(hub: Hub) -> None:
    """It is recorded once, as the reviewer's; the review does not come back, another one counts."""
    number = hub.submitted()
    review = hub.fake.review(number, "bob-hub", "APPROVED")
    hub.record(number)
    hub.fake.dismiss(review, "carol-hub", "Wait.")
    assert hub.record(number) == [("withdraw", "recorded", None)]
    assert hub.record(number) == []
    assert (standing(hub), status(hub)) == ([], "needsApproval")
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(3))
    assert hub.record(number) == [("approve", "recorded", None)]
    assert hub.record(number) == []
    assert standing(hub) == ["bob"]


def test_a_dismissal_by_a_push_takes_nothing_back(hub: Hub) -> None:
    """Our own push of a line dismisses reviews where GitHub is set so; nothing is recorded for that."""
    number = hub.submitted()
    review = hub.fake.review(number, "bob-hub", "APPROVED")
    hub.record(number)
    hub.fake.dismiss(review, "github-actions[bot]", by_push=True)
    before = hub.world.tip("change/portal")
    assert (hub.record(number), hub.record(number)) == ([], [])
    assert (standing(hub), hub.world.tip("change/portal")) == (["bob"], before)


def test_a_dismissal_by_a_bot_takes_nothing_back(hub: Hub) -> None:
    """Only a person takes an approval back."""
    number = hub.submitted()
    review = hub.fake.review(number, "bob-hub", "APPROVED")
    hub.record(number)
    hub.fake.dismiss(review, "github-actions[bot]")
    assert hub.record(number) == [("withdraw", "refused", "dismissed")]
    assert standing(hub) == ["bob"]


def test_a_dismissal_counts_although_the_reviewer_may_not_write_any_more(hub: Hub) -> None:
    """Who dismisses is asked for a permission, not whose approval it was."""
    number = hub.submitted()
    review = hub.fake.review(number, "bob-hub", "APPROVED")
    hub.record(number)
    hub.fake.set_permission("bob-hub", "read")
    hub.fake.dismiss(review, "carol-hub", "Bob has left.")
    hub.record(number)
    assert standing(hub) == []


def test_a_review_that_asks_for_changes_is_a_veto_although_it_was_dismissed(hub: Hub) -> None:
    """Whoever may write dismisses a review before the job runs; its veto is not lost, for GitHub tells what it was."""
    number = hub.submitted()
    hub.fake.review(number, "carol-hub", "APPROVED")
    hub.record(number)
    review = hub.fake.review(number, "bob-hub", "CHANGES_REQUESTED", "This breaks enrolment.", at=moment(1))
    hub.fake.dismiss(review, "alice-hub", at=moment(2))
    hub.record(number)
    assert status(hub) == "rejected"


def test_an_approval_said_before_the_submit_does_not_come_back(hub: Hub) -> None:
    """It is refused, and refused again after the submit, however often the job runs."""
    number = hub.open()
    hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(-5))
    hub.fake.review(number, "carol-hub", "APPROVED", at=moment(-4))
    assert [outcome for _, outcome, _ in hub.record(number)] == ["refused"] * 2
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    hub.record(number)
    assert hub.record(number) == [("approve", "refused", "staleChange")] * 2
    assert standing(hub) == []


def test_an_approval_does_not_come_back_in_a_later_round(hub: Hub) -> None:
    """Rejected, and submitted again with the same content: everybody approves anew."""
    number = hub.submitted()
    digest = hub.digest(number)[:40]
    hub.say(number, "bob", f"/maa approve {digest}")
    hub.fake.review(number, "carol-hub", "APPROVED")
    hub.record(number)
    hub.say(number, "carol", f"/maa reject {digest} No.", at=moment(1))
    assert hub.record(number) == [("reject", "recorded", None)]
    hub.say(number, "alice", f"/maa submit {digest}", at=moment(2))
    assert hub.record(number) == [("submit", "recorded", None)]
    assert hub.record(number) == []
    assert (standing(hub), status(hub)) == ([], "needsApproval")


@pytest.mark.parametrize("how", ["comment", "terminal"])
def test_an_approval_does_not_come_back_after_a_withdrawal(hub: Hub, how: str) -> None:
    """Running the job again does not undo what a person took back, wherever they did it."""
    number = hub.submitted()
    digest = hub.digest(number)[:40]
    hub.fake.review(number, "bob-hub", "APPROVED")
    hub.record(number)
    if how == "comment":
        hub.say(number, "bob", f"/maa withdraw {digest} Hm.", at=moment(1))
        assert hub.record(number) == [("withdraw", "recorded", None)]
    else:
        hub.person("bob").maa("withdraw", "portal")
    hub.say(number, "bob", f"/maa approve {digest}", at=moment(-5))
    for _ in range(2):
        assert [outcome for _, outcome, _ in hub.record(number)] == ["refused"]
    assert standing(hub) == []


def test_a_withdrawal_that_was_refused_takes_no_later_approval_back(hub: Hub) -> None:
    """Somebody who withdrew nothing, and approved then, has approved, however often the job runs."""
    number = hub.submitted()
    digest = hub.digest(number)[:40]
    hub.say(number, "bob", f"/maa withdraw {digest}", at=moment(1))
    assert hub.record(number) == [("withdraw", "refused", "notApprover")]
    hub.say(number, "bob", f"/maa approve {digest}", at=moment(2))
    hub.record(number)
    hub.record(number)
    assert standing(hub) == ["bob"]


def test_an_approval_after_a_withdrawal_counts_though_both_are_heard_at_once(hub: Hub) -> None:
    """What counts is when it was said, not when the job ran."""
    number = hub.submitted()
    digest = hub.digest(number)[:40]
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.record(number)
    hub.say(number, "bob", f"/maa withdraw {digest}", at=moment(2))
    hub.say(number, "bob", f"/maa approve {digest}", at=moment(4))
    hub.record(number)
    assert standing(hub) == ["bob"]


# --- vetoes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["", "x" * 5000, "\x00\x01", "\u202eevil", "\u200b", "\U0001f600" * 2000, "a\x85b"])
@pytest.mark.parametrize("how", ["comment", "review"])
def test_a_veto_is_not_lost_over_its_words(hub: Hub, how: str, words: str) -> None:
    """Too long, none, control characters: the rejection stands, on the protected branch."""
    number = hub.submitted()
    if how == "comment":
        hub.say(number, "bob", f"/maa reject {hub.digest(number)[:40]} {words}")
    else:
        hub.fake.review(number, "bob-hub", "CHANGES_REQUESTED", words)
    assert hub.record(number) == [("reject", "recorded", None)]
    assert status(hub) == "rejected"
    assert '"action":"reject"' in hub.world.read(f"requests/{moment(0).year}/portal.jsonl")


def test_a_veto_stands_beside_approvals_that_wait_with_it(hub: Hub) -> None:
    """Heard at once, in any order, the rejection ends the round."""
    number = hub.submitted()
    hub.say(number, "bob", f"/maa reject {hub.digest(number)[:40]} No.", at=moment(2))
    hub.fake.review(number, "carol-hub", "APPROVED", at=moment(1))
    hub.record(number)
    assert (status(hub), hub.complete()) == ("rejected", [])


@pytest.mark.parametrize("how", ["closed", "retargeted", "draft"])
def test_a_veto_is_heard_whatever_became_of_the_pull_request(hub: Hub, how: str) -> None:
    """Its author closes or retargets the pull request of an approved request; a veto said on it is heard."""
    number = hub.submitted()
    hub.fake.review(number, "carol-hub", "APPROVED")
    hub.record(number)
    assert status(hub) == "approved"
    hub.say(number, "bob", f"/maa reject {hub.digest(number)[:40]} No.", at=moment(1))
    match how:
        case "closed":
            hub.fake.close(number)
        case "retargeted":
            hub.world.git(hub.world.server, "branch", "side", "main")
            hub.fake.edit_pull_request(number, base="side")
        case _:
            hub.fake.edit_pull_request(number, draft=True)
    hub.record(number)
    assert status(hub) == "rejected"


def test_a_veto_on_a_commit_that_was_pushed_away_is_not_lost(hub: Hub) -> None:
    """The commit of a review is rewritten to another one of the same content before the job runs."""
    number = hub.submitted()
    hub.fake.review(number, "carol-hub", "APPROVED")
    hub.record(number)
    kept = hub.world.tip("change/portal")
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([kept], {}), "change/portal")
    hub.fake.review(number, "bob-hub", "CHANGES_REQUESTED", "No.")
    forger.push(kept, "change/portal", force=True)
    hub.fake.refresh()
    hub.record(number)
    assert status(hub) == "rejected"


def test_a_rejected_round_is_not_rejected_again_by_the_same_words(hub: Hub) -> None:
    """Two rejections of one round, one of them spare: a new round is not ended by the spare one."""
    number = hub.submitted()
    digest = hub.digest(number)[:40]
    hub.say(number, "bob", f"/maa reject {digest} No.")
    hub.fake.review(number, "bob-hub", "CHANGES_REQUESTED", "No.")
    hub.record(number)
    hub.say(number, "alice", f"/maa submit {digest}", at=moment(2))
    hub.record(number)
    hub.record(number)
    assert (acts(hub)[-1], status(hub)) == (("alice", "submit"), "needsApproval")


# --- dispatched runs -------------------------------------------------------------------------------------------------


def test_a_dispatched_run_is_its_actors_word(hub: Hub, tmp_path: Path) -> None:
    """Inputs are recorded once for the person who started the run."""
    number = hub.submitted()
    inputs = {"action": "approve", "change": hub.digest(number)[:40], "request": "portal", "notes": "By hand."}
    run = hub.fake.run("bob-hub")
    assert dispatch(hub, tmp_path, run, inputs)[0] == [("approve", "recorded", None)]
    assert dispatch(hub, tmp_path, run, inputs)[0] == [("approve", "known", None)]
    assert hub.events()[1:] == [("bob", "approve", True, "maa-attestor")]
    assert hub.status(number)[0] == "success"


@pytest.mark.parametrize(
    ("who", "more", "inputs", "code"),
    [
        ("bob-hub", {"attempt": 2}, {}, "rerun"),
        ("bob-hub", {"attempt": 2, "triggering_actor": "alice-hub"}, {}, "rerun"),
        ("bob-hub", {"attempt": 1, "triggering_actor": "alice-hub"}, {}, "rerun"),
        ("bob-hub", {"branch": "change/portal"}, {}, "malformed"),
        ("bob-hub", {"event": "push"}, {}, "malformed"),
        ("github-actions[bot]", {}, {}, "bot"),
        ("alice-hub", {}, {}, "selfApproval"),
        ("bob-hub", {}, {"change": "0" * 40}, "staleChange"),
        ("bob-hub", {}, {"change": ""}, "malformed"),
        ("bob-hub", {}, {"change": "", "notes": "{0}"}, "malformed"),
        ("bob-hub", {}, {"action": "complete"}, "malformed"),
        ("bob-hub", {}, {"action": "merge"}, "malformed"),
    ],
)
def test_a_run_that_is_not_a_persons_own_says_nothing(
    hub: Hub, tmp_path: Path, who: str, more: dict[str, Any], inputs: dict[str, str], code: str
) -> None:
    """Run again, on another branch, by a bot, by the author: refused, with the reason and exit code 3."""
    number = hub.submitted()
    digest = hub.digest(number)[:40]
    usual = {"action": "approve", "change": digest, "request": "portal"}
    run = hub.fake.run(who, **more)
    given = {**usual, **{name: value.format(digest) for name, value in inputs.items()}}
    heard = dispatch(hub, tmp_path, run, given, code=3)[0]
    assert [(outcome, reason) for _, outcome, reason in heard] == [("refused", code)]
    assert acts(hub) == [("alice", "submit")]


@pytest.mark.parametrize("notes", ["\ud800", "x" * 9000, "\x00", ""])
def test_a_veto_by_a_run_is_not_lost_over_its_words(hub: Hub, tmp_path: Path, notes: str) -> None:
    """Whatever the form was filled with, half characters included."""
    number = hub.submitted()
    inputs = {"action": "reject", "change": hub.digest(number)[:40], "request": "portal", "notes": notes}
    assert dispatch(hub, tmp_path, hub.fake.run("bob-hub"), inputs, code=None)[0] == [("reject", "recorded", None)]
    assert status(hub) == "rejected"


@pytest.mark.parametrize("named", ["", "nosuch", "../x", "Portal\n", "x" * 99])
def test_a_run_for_no_request_is_refused(hub: Hub, tmp_path: Path, named: str) -> None:
    """A name that is nobody's is told, and nothing is recorded."""
    hub.submitted()
    payload = tmp_path / "payload.json"
    inputs = {"action": "approve", "change": "0" * 40, "request": named}
    payload.write_text(json.dumps(hub.fake.payload("workflow_dispatch", inputs=inputs)))
    run = hub.fake.run("bob-hub")
    answer = hub.maa(
        "github", "record", "--format", "json",
        event="workflow_dispatch", payload=payload, code=3, GITHUB_RUN_ID=str(run),
    )  # fmt: skip
    assert "error" in answer.json or [one["outcome"] for one in answer.json["heard"]] == ["refused"]


# --- whose key, which policies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["maa-deployer", "alice"])
def test_only_an_attestor_records(hub: Hub, key: str) -> None:
    """Another service's key, and a person's, sign for nobody."""
    number = hub.open()
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    before = hub.world.tip("change/portal")
    answer = hub.maa("github", "record", "--pull-request", str(number), "--format", "json", key=key, code=3)
    assert (answer.error["code"], hub.world.tip("change/portal")) == ("missingRole", before)


def test_rules_that_do_not_accept_it_take_no_sign_off_on_the_forge(hub: Hub) -> None:
    """Without ``attested: true`` neither submit nor approval is recorded; a rejection is."""
    files = {"policies/apps.yaml": access_policy("app", "approvers", required=2, extra="attested: true\n")}
    number = hub.open("rules", "alice", files)
    digest = hub.digest(number)[:40]
    hub.say(number, "alice", f"/maa submit {digest}")
    assert hub.record(number) == [("submit", "refused", "notAttested")]
    hub.person("alice").maa("submit", "-m", "Two of them.")
    hub.say(number, "bob", f"/maa approve {digest}", at=moment(2))
    heard = hub.record(number)
    assert heard[-1] == ("approve", "refused", "notAttested")
    hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", at=moment(3))
    assert hub.record(number)[-1] == ("reject", "recorded", None)
    assert status(hub, "rules") == "rejected"


# --- together with others --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/issues/1/comments", "/pulls/1/reviews"])
def test_a_pull_request_that_cannot_be_read_stops_no_other(hub: Hub, path: str) -> None:
    """The veto on the second pull request is recorded although GitHub fails for the first."""
    hub.submitted()
    second = hub.submitted("rename", "carol", SCRIPTED)
    hub.fake.review(second, "bob-hub", "CHANGES_REQUESTED", "No.")
    hub.fake.garble_next(times=9, match=f"GET .*{path}$")
    hub.maa("github", "record", "--format", "json", code=None)
    assert status(hub, "rename") == "rejected"


def test_a_lost_race_is_judged_again(hub: Hub) -> None:
    """Somebody pushes other content between the look and the push: the approval is not recorded."""
    number = hub.submitted()
    hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(1))
    forger = Forger(hub.world, hub.world.alice)
    other = forger.commit([hub.world.tip("change/portal")], {APP: app(description="Swapped.")})
    hub.fake.before_next(lambda: forger.push(other, "change/portal"), match="GET .*/permission$")
    assert hub.record(number) == [("approve", "refused", "staleChange")]
    assert (hub.world.tip("change/portal"), standing(hub)) == (other, [])


def test_a_lost_race_to_a_person_at_a_terminal_loses_nothing(hub: Hub) -> None:
    """Carol approves with her own key while bob's comment is recorded: both stand."""
    number = hub.submitted()
    hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(1))
    forger = Forger(hub.world, hub.world.alice)
    record = hub.world.read(f"requests/{moment(0).year}/portal.jsonl", "refs/heads/change/portal").encode()
    fields = forger.fields("approve", "carol", "portal", change=f"sha256:{hub.digest(number)}")
    line = forger.line(hub.person("carol").key, fields, record.splitlines()[-1])
    longer = forger.commit(
        [hub.world.tip("change/portal")], {f"requests/{moment(0).year}/portal.jsonl": record + line + b"\n"}
    )
    hub.fake.before_next(lambda: forger.push(longer, "change/portal"), match="GET .*/permission$")
    assert hub.record(number) == [("approve", "recorded", None)]
    assert standing(hub) == ["bob", "carol"]
