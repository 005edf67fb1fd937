"""Completing on GitHub: what is merged, what is kept, and what waits."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.forge import Forger, stamp
from tests.support.forgery import Forgery
from tests.support.on_github import BODY, Hub, login
from tests.support.world import APP, app, settings

RECORD = f"requests/{stamp()[:4]}/portal.jsonl"
SCRIPT, TEXT = "resources/scripts/rename.yaml", "resources/scripts/rename.sh"
SCRIPTED = {
    SCRIPT: "type: deviceShellScript\ndisplayName: Rename\nrunAsAccount: system\nscriptFile: rename.sh\n",
    TEXT: "#!/bin/sh\necho one\n",
}


def moment(seconds: float) -> datetime:
    """Some seconds from now; GitHub's clock has whole ones."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def approved(hub: Hub, branch: str = "portal", author: str = "alice", files: Mapping[str, Any] | None = None) -> int:
    """A pull request that is submitted and approved."""
    number = hub.submitted(branch, author, files)
    hub.fake.review(number, "bob-hub", "APPROVED", at=moment(1))
    assert hub.record(number) == [("approve", "recorded", None)]
    return number


def docs(hub: Hub, branch: str = "docs", files: Mapping[str, Any] | None = None) -> tuple[int, str]:
    """A pull request that changes nothing protected, by alice; returns its number and head."""
    forger = Forger(hub.world, hub.world.alice)
    head = forger.commit([hub.world.tip()], files or {"docs/x.md": "Hello.\n"})
    forger.push(head, branch)
    return hub.fake.pull_request(branch, login("alice"), title="Docs", body=""), head


def close_main(hub: Hub) -> Callable[[], None]:
    """Let nobody push to main, as a ruleset does for people; returns what lets the job do it."""
    hook = hub.world.server / "hooks" / "update"
    hook.write_text('#!/bin/sh\ntest "$1" != refs/heads/main\n')
    hook.chmod(0o700)
    return hook.unlink


def status(hub: Hub, request: str = "portal") -> str:
    """A request's status."""
    return hub.person("dave").show(request).json["status"]


def verified(hub: Hub) -> None:
    """Hold that everything on main is good."""
    assert hub.person("dave").maa("verify").code == 0


# --- requests --------------------------------------------------------------------------------------------------------


def test_only_what_is_approved_is_merged(hub: Hub) -> None:
    """Of two requests the approved one is merged and applied, exactly; the other one stays."""
    approved(hub)
    hub.submitted("rename", "carol", SCRIPTED)
    assert hub.complete() == [("portal", "merged")]
    assert hub.world.read(APP) == app(description="New.")
    assert (status(hub), status(hub, "rename")) == ("completed", "needsApproval")
    verified(hub)


def test_a_request_by_name_is_merged_alone(hub: Hub) -> None:
    """Named, one that is not approved is exit code 3, one that is approved is merged, and no other."""
    approved(hub)
    approved(hub, "rename", "carol", SCRIPTED)
    hub.submitted("third", "carol", {"resources/apps/other.yaml": app(name="Other").replace("PJ3PZ", "PJ3PA")})
    assert hub.complete("third", code=3) == [("third", "waits")]
    assert hub.complete("change/rename") == [("rename", "merged")]
    assert status(hub) == "approved"


def test_a_request_that_is_nobodys_is_no_success(hub: Hub) -> None:
    """A name that no request has is not "merged"."""
    before = hub.world.tip()
    answer = hub.maa("github", "complete", "nosuch", "--format", "json", key="maa-deployer", code=None)
    assert (answer.code, hub.world.tip()) == (3, before)


def test_a_draft_waits(hub: Hub) -> None:
    """An approved request whose pull request is a draft is not merged before it is ready."""
    number = approved(hub)
    hub.fake.edit_pull_request(number, draft=True)
    assert hub.complete() == [("portal", "waits")]
    hub.fake.edit_pull_request(number, draft=False)
    assert hub.complete() == [("portal", "merged")]


def test_content_swapped_after_the_approval_is_not_merged(hub: Hub) -> None:
    """Before the job, and between its look and its push: what was not signed stays out."""
    approved(hub)
    forger = Forger(hub.world, hub.world.alice)
    other = forger.commit([hub.world.tip("change/portal")], {APP: app(description="Swapped.")})
    before = hub.world.tip()
    hub.fake.before_next(lambda: forger.push(other, "change/portal"), match="GET .*/pulls$")
    steps = hub.complete(code=None)
    assert ([what for _, what in steps], hub.world.tip()) == (["failed"], before)
    assert hub.complete() == []
    assert hub.world.read(APP) == app()


def test_a_veto_that_is_faster_than_the_merge_wins(hub: Hub) -> None:
    """Carol rejects at a terminal while the job is about to merge."""
    number = approved(hub)
    carol = hub.person("carol")
    forger = Forger(hub.world, carol)
    record = hub.world.read(RECORD, "refs/heads/change/portal").encode()
    fields = forger.fields("reject", "carol", "portal", change=f"sha256:{hub.digest(number)}", notes="No.")
    line = forger.line(carol.key, fields, record.splitlines()[-1])
    vetoed = forger.commit([hub.world.tip("change/portal")], {RECORD: record + line + b"\n"})
    hub.fake.before_next(lambda: forger.push(vetoed, "change/portal"), match="GET .*/pulls$")
    hub.complete(code=None)
    assert status(hub) == "rejected"
    assert hub.world.read(APP) == app()


@pytest.mark.parametrize(
    "broken", ["change/broken", "change/po.rt", "change/ünï", "change/" + "x" * 90, "change/PORTAL/x"]
)
def test_a_broken_branch_stops_no_other(hub: Hub, broken: str) -> None:
    """A branch with junk for a record, a symbolic link, or a name that is no id: the others go on."""
    approved(hub)
    forger = Forger(hub.world, hub.world.alice)
    junk = {f"requests/{stamp()[:4]}/broken.jsonl": b"\xff\x00\n", "resources/apps/x.yaml": "link"}
    forger.push(forger.commit([hub.world.tip()], junk, modes={"resources/apps/x.yaml": "120000"}), broken)
    hub.fake.pull_request(broken, login("alice"), title="x", body=BODY)
    steps = hub.complete(code=None)
    assert ("portal", "merged") in steps
    verified(hub)


def test_a_branch_whose_name_is_no_text_stops_no_other(hub: Hub) -> None:
    """Git takes any bytes for a name."""
    approved(hub)
    packed = hub.world.server / "packed-refs"
    text = packed.read_bytes() if packed.exists() else b"# pack-refs with: peeled fully-peeled sorted \n"
    packed.write_bytes(text + f"{hub.world.tip('change/portal')} refs/heads/change/z".encode() + b"\xff\n")
    assert ("portal", "merged") in hub.complete(code=None)


def test_a_fork_does_not_touch_the_status_of_ours(hub: Hub) -> None:
    """A fork's branch of the same name is judged for itself, in every job."""
    number = hub.submitted()
    hub.fake.user("eve-hub")
    forger = Forger(hub.world, hub.world.alice)
    theirs = forger.commit([hub.world.tip("change/portal")], {APP: app(description="Evil.")})
    hub.person("alice").git("push", "-q", "origin", f"{theirs}:refs/pull/2/head")
    hub.fake.pull_request(
        "change/portal", "eve-hub", title="x", body=BODY, head_repository="eve-hub/tenant", head=theirs
    )
    hub.complete()
    assert (hub.status(number) or ("none",))[0] == "pending"
    assert (hub.fake.status_of(theirs, "maa/approval") or ("none",))[0] == "failure"


# --- vetoes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["reject", "withdraw", "cancel"])
def test_a_veto_made_at_a_terminal_is_kept(hub: Hub, act: str) -> None:
    """People may not push to main, so the job puts it there; cutting it off the branch afterwards helps nobody."""
    number = approved(hub) if act == "withdraw" else hub.submitted()
    before = hub.world.tip("change/portal")
    open_main = close_main(hub)
    who = hub.person("alice" if act == "cancel" else "bob")
    assert "not final yet" in who.maa(act, "portal", *(("-m", "No.") if act == "reject" else ())).err
    open_main()
    assert hub.complete() == [("portal", "kept")]
    assert hub.complete() == []
    assert f'"action":"{act}"' in hub.world.read(RECORD)
    Forger(hub.world, hub.world.alice).push(before, "change/portal", force=True)
    assert hub.complete() == []
    assert hub.gate(number, code=None)["verdict"] != "approved"
    verified(hub)


def test_a_veto_is_kept_although_another_branch_claims_the_id(hub: Hub) -> None:
    """A branch whose name differs by case is no way around a rejection."""
    approved(hub)
    kept = hub.world.tip("change/portal")
    open_main = close_main(hub)
    hub.person("carol").maa("reject", "portal", "-m", "No.")
    open_main()
    forger = Forger(hub.world, hub.world.alice)
    forger.push(kept, "change/PORTAL")
    hub.complete(code=None)
    forger.push(None, "change/portal")
    hub.complete(code=None)
    assert (status(hub), hub.world.read(APP)) == ("rejected", app())


def test_a_veto_is_kept_although_junk_follows_it(hub: Hub) -> None:
    """Whatever is put behind a rejection, the job keeps the rejection."""
    hub.submitted()
    open_main = close_main(hub)
    hub.person("bob").maa("reject", "portal", "-m", "No.")
    open_main()
    forger = Forger(hub.world, hub.world.alice)
    tip = hub.world.tip("change/portal")
    longer = hub.world.read(RECORD, "refs/heads/change/portal") + '{"action":"approve"}\n'
    forger.push(forger.commit([tip], {RECORD: longer}), "change/portal")
    hub.complete(code=None)
    assert '"action":"reject"' in hub.world.read(RECORD)
    verified(hub)


def test_a_veto_that_a_job_could_not_put_there_is_kept_later(hub: Hub) -> None:
    """The job that records may not push to main either: it says so, and the completing one keeps it."""
    number = hub.submitted()
    open_main = close_main(hub)
    hub.say(number, "bob", f"/maa reject {hub.digest(number)[:40]} No.", at=moment(1))
    answer = hub.maa("github", "record", "--pull-request", str(number))
    assert "not final yet" in answer.err
    open_main()
    assert hub.complete() == [("portal", "kept")]


# --- what is not protected -------------------------------------------------------------------------------------------


def test_what_is_not_protected_is_merged_when_somebody_asks(hub: Hub) -> None:
    """Not by itself; by a person who names the head; exactly what is there."""
    number, head = docs(hub)
    assert hub.complete() == []
    hub.say(number, "carol", f"/maa merge {head[:40]}")
    assert hub.complete() == [(f"#{number}", "merged")]
    assert hub.world.read("docs/x.md") == "Hello.\n"
    assert hub.complete() == []
    verified(hub)


@pytest.mark.parametrize(
    ("who", "words", "more"),
    [
        ("carol-hub", "/maa merge {0:.11}", {}),
        ("carol-hub", "/maa merge", {}),
        ("carol-hub", "/maa merge 000000000000", {}),
        ("carol-hub", "/maa merge {0}0", {}),
        ("carol-hub", "please /maa merge {0}", {}),
        ("carol-hub", "/maa approve {0}", {}),
        ("carol-hub", "/maa merge {0}", {"via_app": True}),
        ("github-actions[bot]", "/maa merge {0}", {}),
        ("reader-hub", "/maa merge {0}", {}),
    ],
)
def test_nobody_asked_for_it(hub: Hub, who: str, words: str, more: dict[str, Any]) -> None:
    """Too few digits, another head, an app, a bot, somebody who may only read: nothing is merged."""
    number, head = docs(hub)
    hub.fake.user("reader-hub", permission="triage")
    hub.fake.comment(number, who, words.format(head), **more)
    before = hub.world.tip()
    hub.complete(code=None)
    assert hub.world.tip() == before


def test_an_edited_merge_comment_asks_for_nothing(hub: Hub) -> None:
    """Whoever may write can edit it."""
    number, head = docs(hub)
    hub.fake.edit_comment(hub.say(number, "carol", "Nice."), f"/maa merge {head[:40]}")
    assert hub.complete() == []


@pytest.mark.parametrize(
    "state", ["pending", "failure", "error", None, "timed_out", "cancelled", "action_required", "draft"]
)
def test_what_is_not_green_waits(hub: Hub, state: str | None) -> None:
    """Every other status and check must be green, and it must be no draft."""
    number, head = docs(hub)
    hub.say(number, "carol", f"/maa merge {head[:40]}")
    if state in ("pending", "failure", "error"):
        hub.fake.set_status(head, "ci/other", state)
    elif state == "draft":
        hub.fake.edit_pull_request(number, draft=True)
    else:
        hub.fake.check_run(head, "test", state)
    before = hub.world.tip()
    assert (hub.complete(), hub.world.tip()) == ([(f"#{number}", "waits")], before)


@pytest.mark.parametrize("branch", ["docs", "change/docs"])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_head_swapped_after_the_comment_is_not_merged(hub: Hub, branch: str, when: str) -> None:
    """Neither before the job nor while it runs does another head land than the one that was asked for."""
    number, head = docs(hub, branch)
    hub.say(number, "carol", f"/maa merge {head[:40]}")
    forger = Forger(hub.world, hub.world.alice)
    other = forger.commit([head], {"docs/x.md": "Evil.\n"})
    if when == "before":
        forger.push(other, branch)
    else:
        hub.fake.before_next(lambda: forger.push(other, branch), match="GET .*/check-runs$")
    hub.complete(code=None)
    assert "Evil" not in hub.world.git(hub.world.server, "show", "main:docs/x.md", check=False)
    verified(hub)


@pytest.mark.parametrize(
    "files",
    [
        {APP: app(description="New.")},
        {".github/workflows/x.yml": "on: push\n"},
        {".Github/workflows/x.yml": "on: push\n"},
        {"MAA.yaml": settings()},
        {"resources/x.txt": "x\n"},
        {"Requests/x": "x\n"},
        {"requests/2026/README.md": "x\n"},
        {f"requests/{stamp()[:4]}/x.jsonl": "{}\n"},
        {"schemas/x.schema.json": "{}\n"},
        {".gitattributes": "* -diff\n"},
    ],
)
def test_what_is_protected_is_not_merged_by_a_comment(hub: Hub, files: dict[str, str]) -> None:
    """The rules, workflows, records, resources, and paths that look like them, go through a request."""
    number, head = docs(hub, "docs", {"docs/x.md": "Hello.\n", **files})
    hub.say(number, "carol", f"/maa merge {head[:40]}")
    before = hub.world.tip()
    hub.complete(code=None)
    assert hub.world.tip() == before


def test_a_merge_commit_in_the_branch_hides_nothing(hub: Hub) -> None:
    """What is protected is found in the trees, whatever the parents are."""
    forger = Forger(hub.world, hub.world.alice)
    evil = forger.commit([hub.world.tip()], {APP: app(description="Evil.")})
    merged = forger.commit([hub.world.tip(), evil], {"docs/x.md": "Hello.\n", APP: app(description="Evil.")})
    forger.push(merged, "docs")
    number = hub.fake.pull_request("docs", login("alice"), title="x", body="")
    hub.say(number, "carol", f"/maa merge {merged[:40]}")
    hub.complete(code=None)
    assert hub.world.read(APP) == app()


def test_a_stale_branch_undoes_nothing(hub: Hub) -> None:
    """A branch from before a file changed on main brings only its own files."""
    number, head = docs(hub)
    forger = Forger(hub.world, hub.world.alice)
    forger.push(forger.commit([hub.world.tip()], {"docs/y.md": "Newer.\n"}))
    hub.say(number, "carol", f"/maa merge {head[:40]}")
    assert hub.complete() == [(f"#{number}", "merged")]
    assert hub.world.read("docs/y.md") == "Newer.\n"


# --- one broken pull request stops no other --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/issues/1/comments", "/pulls/1/reviews", "/commits/{head}/check-runs", "/commits/{head}/status"]
)
def test_a_pull_request_that_cannot_be_read_stops_no_other(hub: Hub, path: str) -> None:
    """The second pull request is merged, and what was merged is applied, although GitHub fails for the first."""
    first, head = docs(hub)
    second, other = docs(hub, "more", {"docs/y.md": "Hello.\n"})
    hub.say(first, "carol", f"/maa merge {head[:40]}")
    hub.say(second, "carol", f"/maa merge {other[:40]}")
    hub.fake.garble_next(times=20, match=f"GET .*{path.format(head=head)}$")
    hub.maa("github", "complete", key="maa-deployer", code=4)
    assert hub.world.git(hub.world.server, "show", "main:docs/y.md", check=False) == "Hello."


def test_a_request_is_applied_although_a_pull_request_cannot_be_read(hub: Hub) -> None:
    """What was merged in this run reaches the target in this run."""
    first, head = docs(hub)
    approved(hub)
    hub.say(first, "carol", f"/maa merge {head[:40]}")
    hub.fake.garble_next(times=20, match=f"GET .*/issues/{first}/comments$")
    hub.maa("github", "complete", key="maa-deployer", code=4)
    assert status(hub) == "completed"


def test_a_status_that_cannot_be_written_does_not_hide_what_was_done(hub: Hub) -> None:
    """The answer tells what was merged, although GitHub takes no status afterwards."""
    approved(hub)
    hub.submitted("rename", "carol", SCRIPTED)
    hub.fake.fail_next(422, times=20, match="POST .*/statuses/")
    answer = hub.maa("github", "complete", "--format", "json", key="maa-deployer", code=4)
    assert [(step["name"], step["outcome"]) for step in answer.json.get("steps", [])] == [("portal", "merged")]


def test_a_request_that_only_its_requestor_may_complete_is_no_failure(hub: Hub) -> None:
    """Under ``completeBy: requestor`` the job leaves it to alice and says so."""
    rules = {"maa.yaml": settings("requests: {completeBy: requestor}\n")}
    people = hub.world.people
    Forgery(Forger(hub.world, people["alice"]), "rules", rules).submit(people["alice"]).approve(people["bob"]).complete(
        people["carol"]
    ).land()
    approved(hub)
    before = hub.world.tip()
    hub.complete(code=None)
    assert hub.world.tip() == before
    hub.person("alice").maa("merge", "portal")
    assert hub.world.read(APP) == app(description="New.")
