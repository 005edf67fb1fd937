"""Threats of family G, and what a malicious administrator tries around sign-off on GitHub."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.forge import Forger, stamp
from tests.support.forgery import Forgery
from tests.support.on_github import BODY, Hub, login
from tests.support.world import APP, app

RECORD = f"requests/{stamp()[:4]}/portal.jsonl"

HARMLESS = app(description="Build 00e013ed.")
EVIL = app(description="Build 00487fa5.").replace("system", "user")
"""Two contents of the usual app whose change digests share twelve digits: 40 million tries, half a minute."""

SHARED = "9b899686845d"


def moment(seconds: float) -> datetime:
    """Some seconds from now; GitHub's clock has whole ones."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def standing(hub: Hub, request: str = "portal") -> list[str]:
    """Whose approvals stand."""
    shown = hub.person("dave").show(request).json
    return sorted({name for policy in shown["policies"] for name in policy["approvedBy"]})


def test_g1_the_gate_runs_nothing_of_the_change(hub: Hub) -> None:
    """Hooks, attributes, filters and programs that a branch brings are data to every job."""
    mark = hub.world.folder / "ran"
    files = {
        ".gitattributes": "* filter=evil diff=evil merge=evil\n",
        ".maa/hook": f"#!/bin/sh\ntouch {mark}\n",
        "maa_gitops/__init__.py": f"open({str(mark)!r}, 'w')\n",
        "conftest.py": f"open({str(mark)!r}, 'w')\n",
    }
    number = hub.open(files=files)
    for command in (("gate",), ("record",), ("complete",)):
        hub.maa("github", *command, key="maa-deployer" if command == ("complete",) else "maa-attestor", code=None)
    assert (mark.exists(), hub.gate(number)["verdict"]) == (False, "pending")


def test_g2_a_branch_name_is_data(hub: Hub) -> None:
    """A name with shell metacharacters reaches no shell."""
    mark = hub.world.folder / "ran"
    branch = f"change/x$(touch${{IFS}}{mark.name})`touch${{IFS}}ran`;'"
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip()], {APP: app(description="New.")}), branch)
    number = hub.fake.pull_request(branch, login("alice"), title="$(touch ran)", body="`touch ran`")
    hub.say(number, "alice", "/maa submit 000000000000 $(touch ran)")
    hub.maa("github", "record", code=None)
    hub.maa("github", "complete", key="maa-deployer", code=None)
    assert list(hub.world.folder.rglob("ran")) == []


def test_g6_g8_a_label_a_title_or_a_review_request_approves_nothing(hub: Hub) -> None:
    """Only a review or a comment that carries the digest does."""
    number = hub.submitted()
    hub.fake.edit_pull_request(number, title=f"/maa approve {hub.digest(number)[:40]}")
    hub.say(number, "bob", "LGTM :+1: approved")
    assert (hub.record(number), standing(hub)) == ([], [])


def test_g9_an_output_holds_no_other_output(hub: Hub, tmp_path: Path) -> None:
    """Delimiters are made up for each value."""
    number = hub.submitted()
    ends = set()
    for index in range(2):
        file = tmp_path / f"output{index}"
        hub.maa("github", "gate", "--pull-request", str(number), GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(file))
        ends |= {line.split("<<")[1] for line in file.read_text().splitlines() if "<<end-" in line}
    assert len(ends) == 8


def test_a13_the_workflows_own_token_approves_nothing(hub: Hub) -> None:
    """A review or comment by github-actions[bot], or by an app in bob's name, is no person's."""
    number = hub.submitted()
    hub.fake.review(number, "github-actions[bot]", "APPROVED")
    hub.fake.comment(number, "bob-hub", f"/maa approve {hub.digest(number)[:40]}", via_app=True)
    assert sorted(code or "" for _, _, code in hub.record(number)) == ["bot", "bot"]
    assert standing(hub) == []


@pytest.mark.parametrize("how", ["review", "comment"])
def test_a_login_that_was_taken_over_is_not_its_former_owner(hub: Hub, how: str) -> None:
    """Bob renames himself, somebody takes his login and gets write permission: the number decides, for both."""
    number = hub.submitted()
    hub.fake.rename("bob-hub", "robert")
    hub.fake.user("bob-hub", permission="write")
    digest = hub.digest(number)[:40]
    for name in ("bob-hub", "robert"):
        if how == "review":
            hub.fake.review(number, name, "APPROVED", at=moment(1))
        else:
            hub.fake.comment(number, name, f"/maa approve {digest}", at=moment(1))
    found = {(outcome, code) for _, outcome, code in hub.record(number)}
    assert (found, standing(hub)) == ({("refused", "noAccount"), ("recorded", None)}, ["bob"])


def test_a_login_taken_over_after_the_approval_does_not_lend_its_permission(hub: Hub) -> None:
    """Bob, who may not write any more, is not let in by the permission of whoever has his login now."""
    number = hub.submitted()
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.fake.alter_next(
        lambda plain: {**plain, "user": {**plain["user"], "id": 99}}, match="GET .*/bob-hub/permission$", times=2
    )
    assert hub.record(number) == [("approve", "refused", "noPermission")]


def test_b2_an_approval_of_a_pull_request_for_another_branch_is_not_used(hub: Hub) -> None:
    """Approved while it was for a side branch: no job hears that."""
    number = hub.submitted()
    hub.world.git(hub.world.server, "branch", "side", "main")
    hub.fake.edit_pull_request(number, base="side")
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.record()
    assert (standing(hub), hub.gate(number)["verdict"]) == ([], "skipped")


def test_content_swapped_between_comment_and_runner_is_not_approved(hub: Hub) -> None:
    """The branch holds other content when the job runs, and still when it runs again."""
    number = hub.submitted()
    hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(1))
    hub.fake.review(number, "carol-hub", "APPROVED", at=moment(1))
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip("change/portal")], {APP: app(description="Evil.")}), "change/portal")
    hub.person("alice").git("fetch", "-q", "origin")
    assert {code for _, _, code in hub.record(number)} == {"staleChange"}
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}", at=moment(2))
    hub.record(number)
    hub.record(number)
    assert standing(hub) == []


@pytest.mark.parametrize("digits", [12, 40])
def test_twelve_digits_that_two_changes_share_approve_neither_for_the_other(hub: Hub, digits: int) -> None:
    """Alice submits evil content, shows harmless content with the same digits while bob looks, and puts it back."""
    number = hub.submitted(files={APP: EVIL})
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip("change/portal")], {APP: HARMLESS}), "change/portal")
    seen = hub.digest(number)
    assert seen.startswith(SHARED)
    hub.say(number, "bob", f"/maa approve {seen[:digits]} This very build.", at=moment(1))
    hub.record(number)
    forger.push(forger.commit([hub.world.tip("change/portal")], {APP: EVIL}), "change/portal")
    hub.record(number)
    hub.complete(code=None)
    assert (standing(hub), hub.world.read(APP)) == ([], app())


@pytest.mark.parametrize("how", ["comment", "review"])
def test_a_submit_dated_back_takes_no_older_approval_along(hub: Hub, how: str) -> None:
    """Alice signs a second submit, with another justification, dated before bob's approval that no job has heard."""
    number = hub.open()
    forger = Forger(hub.world, hub.world.alice)
    alice = hub.person("alice")
    if how == "comment":
        hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(-20))
    else:
        hub.fake.review(number, "bob-hub", "APPROVED", at=moment(-20))
    assert [code for _, _, code in hub.record(number)] == ["notSubmitted"]
    made = Forgery(forger, "portal").submit(
        alice, at=stamp(timedelta(seconds=-40)), justification="Bob has never seen this."
    )
    tip = hub.world.tip("change/portal")
    forger.push(forger.commit([tip], {RECORD: forger.record(*made.lines)}), "change/portal")
    hub.record(number)
    assert standing(hub) == []


def test_a_second_pull_request_for_an_approved_commit_merges_nothing_else(hub: Hub) -> None:
    """Neither under another branch's name nor for another request is an approval worth anything."""
    number = hub.submitted()
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.record(number)
    head, digest = hub.world.tip("change/portal"), hub.digest(number)
    hub.world.git(hub.world.server, "branch", "change/twin", head)
    twin = hub.fake.pull_request("change/twin", login("carol"), title="x", body=BODY)
    assert hub.gate(twin, code=None)["verdict"] == "refused"
    hub.say(twin, "carol", f"/maa submit {digest[:40]}", at=moment(2))
    hub.say(twin, "carol", f"/maa merge {head[:40]}", at=moment(2))
    hub.maa("github", "record", code=None)
    assert hub.complete("twin", code=3) == [("twin", "waits")]
    assert hub.complete()[0] == ("portal", "merged")
    assert hub.world.read(APP) == app(description="New.")
    assert hub.person("dave").maa("verify").code == 0


def test_f9_a_forged_green_status_merges_nothing(hub: Hub) -> None:
    """The status is for the eye: what is merged is judged from the record."""
    number = hub.submitted()
    head = hub.world.tip("change/portal")
    hub.fake.set_status(head, "maa/approval", "success", "alice-hub", description="approved by bob")
    hub.fake.check_run(head, "maa/approval", "success")
    assert hub.complete() == []
    assert hub.status(number) is not None
    assert (hub.status(number) or ("",))[0] == "pending"


def test_f1_a_lost_race_is_judged_again(hub: Hub) -> None:
    """A rejection lands while an approval is recorded: the approval is refused, the rejection stands."""
    number = hub.submitted()
    hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(1))
    forger = Forger(hub.world, hub.person("carol"))
    record = hub.world.read(RECORD, "refs/heads/change/portal").encode()
    fields = forger.fields("reject", "carol", "portal", change=f"sha256:{hub.digest(number)}", notes="No.")
    line = forger.line(hub.person("carol").key, fields, record.splitlines()[-1])
    vetoed = forger.commit([hub.world.tip("change/portal")], {RECORD: record + line + b"\n"})
    hub.fake.before_next(lambda: forger.push(vetoed, "change/portal"), match="GET .*/permission$")
    assert hub.record(number) == [("approve", "refused", "rejected")]
    assert hub.person("dave").show("portal").json["status"] == "rejected"


def test_the_attestors_key_alone_leaves_its_trace(hub: Hub) -> None:
    """Whoever has it can speak for people on GitHub; what it signed names the place where nothing was said."""
    hub.submitted()
    forger = Forger(hub.world, hub.world.alice)
    record = hub.world.read(RECORD, "refs/heads/change/portal").encode()
    tip = hub.world.tip("change/portal")
    url = "https://github.com/contoso/tenant/pull/1#issuecomment-666"
    digest = json.loads(hub.person("dave").maa("show", "portal", "--format", "json").out)["change"]
    evidence = {"source": "github", "userId": 583232, "login": "bob-hub", "url": url, "commit": tip}
    fields = forger.fields("approve", "bob", "portal", change=digest, attestedBy="maa-attestor", evidence=evidence)
    line = forger.line(hub.key("maa-attestor"), fields, record.splitlines()[-1])
    forger.push(forger.commit([tip], {RECORD: record + line + b"\n"}), "change/portal")
    assert hub.events()[-1] == ("bob", "approve", True, "maa-attestor")
    hub.complete()
    rows = hub.person("dave").maa("audit", "--format", "json").json["entries"]
    told = [row["detail"] for row in rows if row["action"] == "approve"]
    assert [f"attested by maa-attestor for bob-hub on github: {url}" in detail for detail in told] == [True]


@pytest.mark.parametrize(("user", "key"), [(583231, "maa-attestor"), (583232, "maa-deployer"), (583232, "alice")])
def test_an_attested_event_that_does_not_hold_together_counts_for_nobody(hub: Hub, user: int, key: str) -> None:
    """Another person's number, or a key that is no attestor's."""
    hub.submitted()
    forger = Forger(hub.world, hub.world.alice)
    record = hub.world.read(RECORD, "refs/heads/change/portal").encode()
    tip = hub.world.tip("change/portal")
    evidence = {"source": "github", "userId": user, "login": "bob-hub", "url": "https://github.com/x", "commit": tip}
    digest = hub.person("dave").show("portal").json["change"]
    fields = forger.fields("approve", "bob", "portal", change=digest, attestedBy="maa-attestor", evidence=evidence)
    line = forger.line(hub.key(key), fields, record.splitlines()[-1])
    forger.push(forger.commit([tip], {RECORD: record + line + b"\n"}), "change/portal")
    assert (standing(hub), hub.complete()) == ([], [])
