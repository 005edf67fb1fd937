"""What one administrator with write permission tries between a word that was said and the job that hears it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.forge import Forger
from tests.support.on_github import JUSTIFICATION, Hub, login
from tests.support.world import APP, app
from tests.test_github_complete import close_main

README = {"README.md": "Hello.\n"}


def moment(seconds: float) -> datetime:
    """Some seconds from now; GitHub's clock has whole ones."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def state(hub: Hub, request: str = "portal") -> tuple[str, bool]:
    """A request's status, and whether it is merged."""
    shown = hub.person("dave").show(request).json
    return shown["status"], shown["merged"] is not None


def approved(hub: Hub) -> int:
    """A request that bob approved with a review."""
    number = hub.submitted()
    hub.fake.review(number, "bob-hub", "APPROVED")
    hub.record(number)
    assert state(hub) == ("approved", False)
    return number


def test_a_review_of_less_than_the_whole_change_is_not_recorded(hub: Hub) -> None:
    """Aimed at a branch that holds the evil part, the page shows the rest; aimed back, the review is for neither."""
    number = hub.submitted(files={APP: app(description="Evil."), **README})
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip()], {APP: app(description="Evil.")}), "alice-base")
    hub.fake.edit_pull_request(number, base="alice-base", at=moment(-3))
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.record(number)
    hub.fake.edit_pull_request(number, base="main", at=moment(2))
    assert hub.record(number) == [("approve", "refused", "retargeted")]
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(3))
    assert hub.record(number) == [("approve", "recorded", None)]


def test_a_record_that_is_cut_gives_no_old_approval_another_justification(hub: Hub) -> None:
    """What is recorded anew is a new round: bob approves what it says now, or not at all."""
    number = approved(hub)
    said = moment(0).replace(microsecond=0)
    forger = Forger(hub.world, hub.world.alice)
    record = f"requests/{moment(0).year}/portal.jsonl"
    forger.push(forger.commit([hub.world.tip("change/portal")], {record: None}), "change/portal")
    while moment(0).replace(microsecond=0) == said:
        hub.gate(number)  # a job begins in a later second than the review was made in
    hub.fake.edit_pull_request(number, body="## Business justification\n\nSomething that bob never read.\n")
    for _ in range(3):
        hub.record(number)
        hub.complete(code=None)
    status, merged = state(hub)
    approvals = [account for account, action, counts, _ in hub.events() if action == "approve" and counts]
    assert (merged, approvals) in ((False, []), (False, ["bob"]))
    if approvals:
        assert hub.person("dave").show("portal").json["requestJustification"] == JUSTIFICATION
    assert status != "completed"


def test_a_submit_that_was_said_too_long_ago_asks_for_nothing(hub: Hub) -> None:
    """Words of a hundred days ago do not begin a round today."""
    number = hub.open()
    hub.say(number, "alice", f"/maa submit {hub.digest(number)}", at=moment(-100 * 86400))
    assert hub.record(number) == [("submit", "refused", "expired")]


@pytest.mark.parametrize("again", [False, True])
def test_a_veto_made_at_a_terminal_survives_being_cut_off(hub: Hub, again: bool) -> None:
    """A later commit takes carol's line away, perhaps with a new submit on top: the veto is kept all the same."""
    approved(hub)
    kept = hub.world.tip("change/portal")
    open_main = close_main(hub)
    hub.person("carol").maa("reject", "portal", "-m", "No.")
    open_main()
    forger = Forger(hub.world, hub.world.alice)
    record = f"requests/{moment(0).year}/portal.jsonl"
    before = hub.world.read(record, kept)
    cut = forger.commit([hub.world.tip("change/portal")], {record: before})
    forger.push(cut, "change/portal")
    if again:
        alice = hub.person("alice")
        alice.git("fetch", "-q", "origin")
        alice.git("switch", "-q", "-C", "change/portal", "origin/change/portal")
        alice.maa("submit", "-m", "Again.", code=None)
    hub.complete(code=None)
    hub.complete(code=None)
    assert '"action":"reject"' in hub.world.read(record)
    assert state(hub)[1] is False


def older_commit(hub: Hub, number: int) -> None:
    """Carol requests changes on the commit before the last."""
    commit = hub.world.git(hub.world.server, "rev-parse", "main")
    hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", "No.", commit=commit, at=moment(2))


def other_digest(hub: Hub, number: int) -> None:
    """Carol rejects with the digits of what was there before."""
    hub.say(number, "carol", f"/maa reject {'0' * 12} No.", at=moment(2))


def framed(hub: Hub, number: int) -> None:
    """Alice names carol as an author; carol rejects."""
    forger = Forger(hub.world, hub.world.alice)
    tip = hub.world.tip("change/portal")
    named = {"GIT_AUTHOR_EMAIL": "carol@contoso.com"}
    forger.push(forger.commit([tip], {"notes.txt": "x\n"}, variables=named), "change/portal")
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}", at=moment(1))
    hub.record(number)
    hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", "No.", at=moment(2))


def closed_long_ago(hub: Hub, number: int) -> None:
    """Carol's veto is on a pull request that was closed, and a hundred others were touched since."""
    hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", "No.", at=moment(2))
    hub.fake.close(number, at=moment(-1000))
    for n in range(101):
        hub.world.git(hub.world.server, "branch", f"x{n}", "change/portal")
        hub.fake.close(hub.fake.pull_request(f"x{n}", login("alice"), title="x"))


@pytest.mark.parametrize("how", [older_commit, other_digest, framed, closed_long_ago])
def test_a_veto_of_this_round_counts_whatever_it_is_about(hub: Hub, how: Callable[[Hub, int], Any]) -> None:
    """Said after the submit by somebody who could approve, it ends the round: doubt takes approval away."""
    number = approved(hub)
    how(hub, number)
    hub.record()
    hub.complete(code=None)
    assert state(hub) == ("rejected", False)


def test_a_dismissed_review_that_cannot_be_read_yet_holds_the_merge(hub: Hub) -> None:
    """GitHub says that a review was dismissed, and not yet what it had said: it may have been a veto."""
    number = approved(hub)
    review = hub.fake.review(number, "carol-hub", "CHANGES_REQUESTED", "No.", at=moment(2))
    hub.fake.dismiss(review, "alice-hub")
    dismissals, hub.fake.dismissals = hub.fake.dismissals, []
    assert (hub.complete(), state(hub)) == ([("portal", "waits")], ("approved", False))
    hub.fake.dismissals = dismissals
    hub.record()
    assert state(hub) == ("rejected", False)


def test_a_draft_for_another_branch_holds_nothing(hub: Hub) -> None:
    """Somebody opens a draft of bob's branch for a branch of their own: the request is completed all the same."""
    approved(hub)
    hub.world.git(hub.world.server, "branch", "side", "main")
    hub.fake.pull_request("change/portal", login("dave"), title="x", base="side", draft=True)
    assert hub.complete() == [("portal", "merged")]


def test_a_bomb_of_trees_stops_no_other(hub: Hub) -> None:
    """Ten levels of ten equal folders name ten thousand million files: that branch is told to be malformed, no more."""
    approved(hub)
    alice = hub.person("alice")
    tree = alice.git("mktree", data=f"100644 blob {alice.git('hash-object', '-w', '--stdin', data=b'x')}\tf\n".encode())
    for _ in range(10):
        tree = alice.git("mktree", data="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
    top = alice.git("ls-tree", "origin/main") + f"\n040000 tree {tree}\tx\n"
    commit = alice.git("commit-tree", alice.git("mktree", data=top.encode()), "-p", "origin/main", "-m", "x")
    alice.git("push", "-q", "origin", f"{commit}:refs/heads/change/bomb")
    number = hub.fake.pull_request("change/bomb", login("alice"), title="x")
    assert hub.complete(code=None) == [("portal", "merged")]
    assert hub.gate(number, code=None)["verdict"] in ("refused", "pending")


def test_no_program_of_gits_inherits_a_key(hub: Hub) -> None:
    """What git starts finds no private key of ours in its environment."""
    from maa_gitops.git.program import scrubbed

    given = {"MAA_SIGNING_KEY": "secret", "MAA_PUSH_KEY": "secret", "PATH": "/bin", "GIT_SSH_COMMAND": "ssh"}
    kept = scrubbed(given)
    assert "secret" not in kept.values()
    assert (kept["PATH"], kept["GIT_SSH_COMMAND"]) == ("/bin", "ssh")
