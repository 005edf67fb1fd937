"""The gate on GitHub: statuses, the one comment, and what people wrote in neither of them."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.forge import Forger, stamp
from tests.support.forgery import Forgery
from tests.support.on_github import BODY, Hub, login
from tests.support.world import APP, access_policy, app, group, settings

MARK = "<!-- maa-gitops"
BOT = "github-actions[bot]"
SCRIPT, TEXT = "resources/scripts/rename.yaml", "resources/scripts/rename.sh"
SCRIPTED = {
    SCRIPT: "type: deviceShellScript\ndisplayName: Rename\nrunAsAccount: system\nscriptFile: rename.sh\n",
    TEXT: "#!/bin/sh\necho one\n",
}
BROKEN = {APP: app().replace("publisher: Microsoft Corporation", "publisher: [1")}


def moment(seconds: float) -> datetime:
    """Some seconds from now; GitHub's clock has whole ones."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def approved(hub: Hub, branch: str = "portal", author: str = "alice", files: Mapping[str, Any] | None = None) -> int:
    """A pull request that is submitted and approved, with a green head."""
    number = hub.submitted(branch, author, files)
    hub.fake.review(number, "bob-hub" if author != "bob" else "carol-hub", "APPROVED", at=moment(1))
    assert hub.record(number) == [("approve", "recorded", None)]
    assert state(hub, number) == "success"
    return number


def state(hub: Hub, number: int) -> str | None:
    """What our status on a pull request's head says."""
    found = hub.status(number)
    return found[0] if found is not None else None


def ours(hub: Hub, number: int) -> list[str]:
    """Our comments on a pull request."""
    return [c.body for c in hub.fake.comments(number) if c.body.startswith(MARK) and c.login == BOT]


def push(hub: Hub, number: int, files: Mapping[str, Any], count: int = 1) -> str:
    """Add commits to a pull request's branch, as somebody with push rights; returns the new head."""
    forger = Forger(hub.world, hub.world.alice)
    branch = hub.branch(number)
    head = hub.world.tip(branch)
    for _ in range(count):
        head = forger.commit([head], files)
    forger.push(head, branch)
    return head


# --- what the status says --------------------------------------------------------------------------------------------


def test_a_status_waits_while_approval_is_missing(hub: Hub) -> None:
    """Pending with exit code 0: not submitted, submitted, edited since; success once approved."""
    number = hub.open()
    assert (hub.gate(number, code=0)["verdict"], state(hub, number)) == ("pending", "pending")
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    hub.record(number)
    assert (hub.gate(number, code=0)["verdict"], state(hub, number)) == ("pending", "pending")
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.record(number)
    assert (hub.gate(number, code=0)["verdict"], state(hub, number)) == ("approved", "success")
    push(hub, number, {APP: app(description="Worse.")})
    assert (hub.gate(number, code=0)["verdict"], state(hub, number)) == ("pending", "pending")


def test_what_is_not_protected_is_green(hub: Hub) -> None:
    """A pull request that changes nothing protected may be merged, whatever its branch is called."""
    alice = hub.person("alice")
    alice.git("switch", "-q", "-c", "docs", "origin/main")
    alice.commit({"docs/x.md": "Hello.\n"})
    alice.git("push", "-q", "origin", "docs")
    number = hub.fake.pull_request("docs", login("alice"), title="Docs", body="")
    assert (hub.gate(number, code=0)["verdict"], state(hub, number)) == ("unprotected", "success")
    assert f"/maa merge {hub.world.tip('docs')[:40]}" in ours(hub, number)[0]


@pytest.mark.parametrize(
    ("files", "code"),
    [
        (BROKEN, 3),
        ({APP: app(extra="nosuchProperty: 1\n")}, 3),
        ({"policies/apps.yaml": "displayName: x\nprofileType: app\napproverGroups: [nosuch]\n"}, 3),
        ({"maa.yaml": settings("nosuch: 1\n")}, 3),
        ({f"requests/{stamp()[:4]}/other.jsonl": "{}\n", APP: app(description="New.")}, 3),
        ({f"requests/{stamp()[:4]}/portal.jsonl": "{}\n", APP: app(description="New.")}, 3),
    ],
)
def test_what_must_be_mended_fails(hub: Hub, files: dict[str, str], code: int) -> None:
    """Bad documents and a bad record: status failure, exit code 3, before and without a submit."""
    number = hub.open(files=files)
    assert (hub.gate(number, code=code)["verdict"], state(hub, number)) == ("refused", "failure")


def test_a_protected_change_on_another_branch_fails(hub: Hub) -> None:
    """Only a change branch holds a request."""
    alice = hub.person("alice")
    alice.git("switch", "-q", "-c", "feature", "origin/main")
    alice.commit({APP: app(description="New.")})
    alice.git("push", "-q", "origin", "feature")
    number = hub.fake.pull_request("feature", login("alice"), title="x", body=BODY)
    assert (hub.gate(number)["verdict"], state(hub, number)) == ("refused", "failure")


def test_a_pull_request_for_another_branch_gets_no_status(hub: Hub) -> None:
    """Nothing is said of what does not go into the protected branch, so no green can be earned there."""
    number = hub.open()
    hub.world.git(hub.world.server, "branch", "side", "main")
    hub.fake.edit_pull_request(number, base="side")
    assert (hub.gate(number)["verdict"], hub.status(number), ours(hub, number)) == ("skipped", None, [])


def test_a_fork_is_refused(hub: Hub) -> None:
    """A branch of the same name in a fork is no request, and changes nothing for ours."""
    number = approved(hub)
    head = hub.world.tip("change/portal")
    forger = Forger(hub.world, hub.world.alice)
    theirs = forger.commit([head], {APP: app(description="Evil.")})
    hub.person("alice").git("push", "-q", "origin", f"{theirs}:refs/pull/2/head")
    hub.fake.user("eve-hub")
    fork = hub.fake.pull_request(
        "change/portal", "eve-hub", title="x", body=BODY, head_repository="eve-hub/tenant", head=theirs
    )
    assert hub.gate(fork)["verdict"] == "refused"
    assert hub.fake.status_of(theirs, "maa/approval")[0] == "failure"
    assert state(hub, number) == "success"


# --- a status belongs to a commit ------------------------------------------------------------------------------------


def second(hub: Hub, number: int, branch: str) -> int:
    """Another pull request with the head of the first one."""
    hub.world.git(hub.world.server, "branch", branch, hub.world.tip(hub.branch(number)))
    return hub.fake.pull_request(branch, login("alice"), title="Second", body=BODY)


@pytest.mark.parametrize("branch", ["change/second", "second"])
@pytest.mark.parametrize("job", ["gate first", "gate second", "gate all", "record first", "record all"])
def test_two_pull_requests_with_one_head_get_the_worst(hub: Hub, branch: str, job: str) -> None:
    """Whichever job looks at whichever of them, an approved head is red while another request claims it."""
    number = approved(hub)
    other = second(hub, number, branch)
    what, which = job.split()
    named = {"first": ("--pull-request", str(number)), "second": ("--pull-request", str(other)), "all": ()}[which]
    hub.maa("github", what, *named, code=None)
    assert state(hub, number) == "failure"


def test_a_forged_green_status_is_overwritten(hub: Hub) -> None:
    """Anybody with write permission can set it; the next look puts it right."""
    number = hub.submitted()
    head = hub.world.tip("change/portal")
    hub.fake.set_status(head, "maa/approval", "success", "alice-hub", description="approved by bob")
    hub.gate(number)
    assert state(hub, number) == "pending"
    hub.fake.set_status(head, "maa/approval", "success", "alice-hub", description="approved by bob")
    hub.record(number)
    assert state(hub, number) == "pending"


def test_a_status_that_is_right_is_not_written_again(hub: Hub) -> None:
    """GitHub keeps at most a thousand statuses of a commit."""
    number = hub.submitted()
    hub.gate(number)
    before = len(hub.fake.statuses)
    hub.gate(number)
    assert len(hub.fake.statuses) == before


# --- green turns red -------------------------------------------------------------------------------------------------


def test_green_turns_red_after_a_withdrawal(hub: Hub) -> None:
    """The head that was green, and the new one with the line, are green no more."""
    number = approved(hub)
    old = hub.world.tip("change/portal")
    hub.person("bob").maa("withdraw", "portal")
    hub.gate(number)
    assert (state(hub, number), hub.fake.status_of(old, "maa/approval")[0]) == ("pending", "failure")


def test_green_turns_red_after_a_rejection(hub: Hub) -> None:
    """Rejected by comment, recorded, and red in the same run."""
    number = approved(hub)
    old = hub.world.tip("change/portal")
    hub.say(number, "carol", f"/maa reject {hub.digest(number)[:40]} No.", at=moment(2))
    hub.record(number)
    assert (state(hub, number), hub.fake.status_of(old, "maa/approval")[0]) == ("failure", "failure")


@pytest.mark.parametrize("count", [1, 60])
def test_green_turns_red_after_an_edit(hub: Hub, count: int) -> None:
    """However many commits are put on top of what was approved."""
    number = approved(hub)
    old = hub.world.tip("change/portal")
    push(hub, number, {APP: app(description="Worse.")}, count)
    hub.gate(number)
    assert (state(hub, number), hub.fake.status_of(old, "maa/approval")[0]) == ("pending", "failure")


def test_green_turns_red_when_the_protected_branch_moves_on(hub: Hub) -> None:
    """Another request on the same file lands: the first one is outdated."""
    number = approved(hub)
    Forgery(Forger(hub.world, hub.world.alice), "faster", {APP: app(description="Other.")}).submit(
        hub.person("alice")
    ).approve(hub.person("carol")).complete(hub.person("bob")).land()
    hub.gate(number)
    assert state(hub, number) == "failure"


def test_green_turns_red_when_it_expires(hub: Hub) -> None:
    """An approved request whose time is over."""
    forger = Forger(hub.world, hub.world.alice)
    made = Forgery(forger, "portal").submit(hub.person("alice"), at=stamp(timedelta(days=-40)))
    made.approve(hub.person("bob"), at=stamp(timedelta(days=-39))).push()
    number = hub.fake.pull_request("change/portal", login("alice"), title="x", body=BODY)
    hub.fake.set_status(hub.world.tip("change/portal"), "maa/approval", "success", description="approved by bob")
    hub.gate(number)
    assert state(hub, number) == "failure"


def test_green_turns_red_when_the_rules_change(hub: Hub) -> None:
    """The access policy wants two from now on."""
    number = approved(hub)
    rules = {"policies/apps.yaml": access_policy("app", "approvers", required=2, extra="attested: true\n")}
    Forgery(Forger(hub.world, hub.world.alice), "rules", rules).submit(hub.person("alice")).approve(
        hub.person("carol")
    ).complete(hub.person("bob")).land()
    hub.gate(number)
    assert state(hub, number) == "pending"


def test_green_turns_red_when_the_approver_leaves(hub: Hub) -> None:
    """The group is without bob from now on."""
    number = approved(hub)
    Forgery(
        Forger(hub.world, hub.world.alice), "rules", {"groups/approvers.yaml": group("alice", "carol", "dave")}
    ).submit(hub.person("alice")).approve(hub.person("carol")).complete(hub.person("bob")).land()
    hub.maa("github", "gate")
    assert state(hub, number) == "pending"


def test_a_request_on_top_of_an_approved_one_does_not_turn_that_red(hub: Hub) -> None:
    """A stacked branch that waits leaves the approved one below it green."""
    number = approved(hub)
    hub.world.git(hub.world.server, "branch", "change/stacked", hub.world.tip("change/portal"))
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip("change/portal")], SCRIPTED), "change/stacked")
    hub.fake.pull_request("change/stacked", login("carol"), title="x", body=BODY)
    hub.maa("github", "gate", code=None)
    assert state(hub, number) == "success"


# --- one comment -----------------------------------------------------------------------------------------------------


def test_there_is_one_comment_and_it_is_kept_up_to_date(hub: Hub) -> None:
    """Gate, record and complete mend the same one."""
    number = hub.open()
    hub.gate(number)
    assert len(ours(hub, number)) == 1
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    hub.record(number)
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    hub.record(number)
    assert [body.splitlines()[1] for body in ours(hub, number)] == ["### Multi Admin Approval: Approved"]
    before = len(hub.fake.asked("PATCH"))
    hub.gate(number)
    assert len(hub.fake.asked("PATCH")) == before


def test_a_comment_of_ours_that_somebody_edited_is_put_right(hub: Hub) -> None:
    """Whoever may write can edit it; what stands there is ours again after the next look."""
    number = hub.submitted()
    said = next(c for c in hub.fake.comments(number) if c.body.startswith(MARK))
    hub.fake.edit_comment(said.id, said.body.replace("Needs approval", "Approved"))
    hub.gate(number)
    assert ours(hub, number) == [said.body]


@pytest.mark.parametrize("who", ["alice-hub", "eve-hub"])
def test_a_persons_comment_is_never_edited(hub: Hub, who: str) -> None:
    """One that begins with our mark stays as it is, and ours is beside it."""
    number = hub.open()
    hub.fake.user("eve-hub")
    words = f"{MARK}: this comment is kept up to date by the tool -->\n### Multi Admin Approval: Approved"
    said = hub.fake.comment(number, who, words)
    hub.gate(number)
    assert hub.fake.issue_comments[said].body == words
    assert len(ours(hub, number)) == 1


def test_a_person_who_runs_the_gate_writes_no_second_comment(hub: Hub) -> None:
    """With a token of one's own, at a terminal, the gate may be run as often as one likes."""
    number = hub.open()
    hub.token = hub.fake.token("carol-hub")
    hub.gate(number)
    hub.gate(number)
    assert len([c for c in hub.fake.comments(number) if c.body.startswith(MARK)]) == 1


def test_a_comment_is_not_longer_than_github_takes(hub: Hub) -> None:
    """A document with thousands of problems, and hundreds of words that are not recorded, are cut; others go on."""
    number = hub.open(files={APP: app(extra="".join(f"wrong{index:04}: 1\n" for index in range(1500)))})
    other = hub.open("rename", "carol", SCRIPTED)
    hub.maa("github", "gate", code=3)
    assert (len(ours(hub, number)), len(ours(hub, other))) == (1, 1)


def test_a_comment_is_not_longer_than_github_takes_whatever_people_say(hub: Hub) -> None:
    """Hundreds of comments that are not recorded do not keep ours from being written."""
    number = hub.submitted()
    for _ in range(500):
        hub.say(number, "dave", "/maa approve 000000000000 Please.", at=moment(1))
    answer = hub.maa("github", "gate", "--pull-request", str(number), code=None)
    assert (answer.code, answer.err) == (0, "")
    assert "Not recorded" in ours(hub, number)[0]


def test_what_was_said_before_the_submit_is_told_to_be_in_vain(hub: Hub) -> None:
    """Somebody who approved too early reads in the comment that it must be said again."""
    number = hub.open()
    hub.say(number, "bob", f"/maa approve {hub.digest(number)[:40]}", at=moment(-5))
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}", at=moment(-1))
    hub.record(number)
    assert "approve again" in ours(hub, number)[0].replace("&#45;", "-")


# --- what people wrote -----------------------------------------------------------------------------------------------

EVIL = "</details><b>x</b> @alice-hub #1 ![x](https://evil) `a` | ~~~ ``` <!-- --> :tada: [x](y) https://evil.example"


def outside_code(markdown: str) -> str:
    """The text of a comment that is not in a fenced block or a code span, without entities."""
    kept, fence = [], ""
    for line in markdown.split("\n")[1:]:
        found = re.match(r"`{3,}", line)
        if fence:
            fence = "" if line.strip() == fence else fence
        elif found is not None:
            fence = found[0]
        else:
            kept.append(re.sub(r"`[^`]*`", "", line))
    assert fence == ""
    return "\n".join(kept)


def test_g10_nothing_that_people_wrote_is_markdown(hub: Hub, tmp_path: Path) -> None:
    """Justification, file content, login, display name, notes: no HTML, mention, link, image, heading of theirs."""
    number = hub.open(files={APP: app(description=f"'{EVIL}'"), "README.md": EVIL + "\n```\n@bob-hub\n"})
    hub.fake.edit_pull_request(
        number, title=EVIL, body=f"## Business justification\n\n{EVIL}\n```\n@bob-hub <b>\n````\n"
    )
    hub.fake.user("eve-hub", permission="write")
    hub.fake.comment(number, "eve-hub", f"/maa approve {'0' * 40} {EVIL}", at=moment(2))
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    summary = tmp_path / "summary"
    hub.record(number)
    hub.maa("github", "gate", "--pull-request", str(number), GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    for text in (ours(hub, number)[0], "\n" + summary.read_text()):
        shown = outside_code(text)
        for bad in ("<b>", "@alice", "@bob", "](", "https://evil", ":tada:", "~~~", "<!--"):
            assert bad not in shown, bad
        assert shown.count("</details>") == shown.count("<details>")


@pytest.mark.parametrize("name", ["@alice-hub", "<img src=x>", "a`b", "x](y)", "::error::x", "##[error]x"])
def test_a_branch_and_a_path_are_no_markdown(hub: Hub, name: str) -> None:
    """Names of branches and of unprotected files are anybody's to choose."""
    branch = f"change/{name.replace(' ', '').replace(':', '').replace('[', '')}"
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip()], {APP: app(description="New."), f"docs/{name}\n{name}": "x\n"}), branch)
    number = hub.fake.pull_request(branch, login("alice"), title="x", body=BODY)
    answer = hub.maa("github", "gate", "--pull-request", str(number), code=None, GITHUB_ACTIONS="true")
    shown = outside_code(ours(hub, number)[0])
    for bad in ("@alice", "<img", "](y)"):
        assert bad not in shown
    assert runner_commands(answer.out + answer.err) == []


def runner_commands(log: str) -> list[str]:
    """The lines of a log that GitHub's runner takes for commands: it trims white space as .NET does, then looks."""
    lines = re.split(r"\r\n|\n|\r", log)
    return [line for line in lines if line.strip().startswith("::") or "##[" in line]


@pytest.mark.parametrize(
    ("blank", "form"), [("", "text"), ("\t", "text"), ("\xa0", "text"), ("\u3000", "text"), ("\u3000", "json")]
)
def test_a_path_is_no_command_to_the_runner(hub: Hub, blank: str, form: str) -> None:
    """A file's name with a line feed, white space of any kind and a command after it is shown, not obeyed."""
    evil = f"docs/x\n{blank}::add-mask::e"
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip()], {evil: "old\n"}))
    head = forger.commit([hub.world.tip()], {evil: "new\n"})
    forger.push(head, "docs")
    number = hub.fake.pull_request("docs", login("alice"), title="x", body="")
    forger.push(forger.commit([hub.world.tip()], {evil: "other\n"}))
    hub.say(number, "alice", f"/maa merge {head[:40]}")
    answer = hub.maa("github", "complete", "--format", form, key="maa-deployer", code=None, GITHUB_ACTIONS="true")
    assert "has moved on" in answer.out
    assert runner_commands(answer.out + answer.err) == []


def test_outputs_hold_what_they_say(hub: Hub, tmp_path: Path) -> None:
    """No text of anybody's ends an output and begins another one."""
    number = hub.open(files={APP: app(description="'x\\nverdict<<E\\napproved\\nE'")})
    evil = "end-\nverdict=approved\nverdict<<E\napproved\nE\n::set-output name=verdict::approved\n"
    body = f"## Business justification\n\nx\n{evil}"
    hub.fake.edit_pull_request(number, body=body)
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:40]}")
    hub.record(number)
    file = tmp_path / "output"
    answer = hub.maa("github", "gate", "--pull-request", str(number), GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(file))
    found: dict[str, str] = {}
    lines = iter(file.read_text().split("\n")[:-1])
    for line in lines:
        name, end = line.split("<<")
        found[name] = "\n".join(iter(lambda end=end: next(lines), end))
    assert (found["verdict"], found["status"], found["request"]) == ("pending", "needsApproval", "portal")
    assert json.loads(found["report"])["pullRequests"][0]["pullRequest"] == number
    assert runner_commands(answer.out + answer.err) == []


def test_problems_are_announced_at_their_place_only(hub: Hub) -> None:
    """A bad document is announced with file and line; its text is no command."""
    number = hub.open(files={APP: app(extra='"x\\n::error::y%0A::z": 1\n')})
    answer = hub.maa("github", "gate", "--pull-request", str(number), code=3, GITHUB_ACTIONS="true")
    found = runner_commands(answer.out + answer.err)
    assert found != []
    assert all(line.startswith(f"::error file={APP},line=") for line in found)


# --- one broken pull request stops no other --------------------------------------------------------------------------


def test_a_status_that_cannot_be_written_stops_no_other(hub: Hub) -> None:
    """GitHub takes a thousand statuses of a context and commit, which anybody with write permission can use up."""
    first, other = hub.submitted(), hub.submitted("rename", "carol", SCRIPTED)
    for number in (first, other):
        hub.fake.set_status(hub.world.tip(hub.branch(number)), "maa/approval", "success", "alice-hub")
    hub.fake.fail_next(422, times=9, match=f"POST .*/statuses/{hub.world.tip('change/portal')}")
    answer = hub.maa("github", "gate", code=None)
    assert (answer.code, state(hub, other)) == (4, "pending")


def test_a_comment_that_cannot_be_written_stops_no_other(hub: Hub) -> None:
    """Somebody deletes our comment while we mend it: the other pull request is told all the same."""
    first, other = hub.open(), hub.open("rename", "carol", SCRIPTED)
    hub.fake.fail_next(403, times=9, match=f"POST .*/issues/{first}/comments")
    hub.maa("github", "gate", code=None)
    assert len(ours(hub, other)) == 1


def test_a_head_that_is_not_there_stops_no_other(hub: Hub) -> None:
    """A pull request whose commit neither git nor GitHub has any more."""
    hub.open()
    broken = hub.fake.pull_request("change/portal", login("alice"), title="x", body=BODY, head="a" * 40)
    other = hub.open("rename", "carol", SCRIPTED)
    answer = hub.maa("github", "gate", code=None)
    assert (answer.code, state(hub, other)) == (4, "pending")
    assert hub.fake.pull_requests[broken].head_sha == "a" * 40
