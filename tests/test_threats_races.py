"""Races, kills and lost history: whatever moves or dies in between, nothing is lost, doubled or half done."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support import APP, Answer, Forger, Person, World, access_policy, app
from tests.support.forgery import Forgery
from tests.support.verdicts import gate, refused, verified
from tests.support.world import run_maa

Call = tuple[Person, tuple[str, ...]]
"""Somebody, and the command line that they run."""


def start(person: Person, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """Run the command line in a process, and a process group, of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "maa_gitops", "-C", str(person.clone), "--key", str(person.key), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**person.world.variables(person.name), **variables},
        start_new_session=True,
    )


def together(*calls: Call) -> list[Answer]:
    """Run command lines at the same time; the answers are JSON and in the order of the calls."""
    running = [start(person, *arguments, "--format", "json") for person, arguments in calls]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    return [Answer(code, out.decode(), err.decode()) for (out, err), code in ended]


def hold_pushes(world: World, count: int) -> None:
    """Let the server take no push before so many have come in, so that they all were made from the same state."""
    waiting = world.folder / "waiting"
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir()
    hook = world.server / "hooks" / "pre-receive"
    come = f"$(ls {shlex.quote(str(waiting))} | wc -l)"
    hook.write_text(
        f"#!/bin/sh\ntouch {shlex.quote(str(waiting))}/$$\n"
        f"for try in $(seq 600); do [ {come} -ge {count} ] && exit 0; sleep 0.05; done\n"
    )
    hook.chmod(0o755)


def refs(world: World) -> dict[str, str]:
    """The server's branches."""
    listed = world.git(world.server, "for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/heads")
    return dict(line.rsplit(" ", 1) for line in listed.splitlines())


def actions(world: World, request: str, branch: str = "main") -> list[tuple[str, str]]:
    """The lines of a record on a server's branch: who did what."""
    listed = world.git(world.server, "ls-tree", "-r", "--name-only", branch, "requests/").splitlines()
    path = next(path for path in listed if path.endswith(f"/{request}.jsonl"))
    events = (json.loads(line) for line in world.read(path, branch).splitlines() if line)
    return [(event["account"], event["action"]) for event in events]


def race_past_the_lock(world: World) -> None:
    """A request of carol's on the same object, made by hand and approved by bob."""
    forger = Forger(world, world.carol)
    Forgery(forger, "raced", {APP: app(description="Raced.")}).submit(world.carol).approve(world.bob).push()


def submitted(world: World) -> str:
    """A request of alice's that waits."""
    return world.alice.submitted("update", {APP: app(description="New.")})


def approved(world: World) -> str:
    """A request of alice's that bob has approved."""
    request = submitted(world)
    world.bob.maa("approve", request)
    return request


# --- F1, F2: at the same moment --------------------------------------------------------------------------------------

ROUNDS = pytest.mark.parametrize("held", [True, False], ids=["from one state", "as it comes"])
"""Once with both pushes made from the same state for sure, and as it comes."""


@ROUNDS
def test_f1_two_approvals_at_once_both_stand(world: World, *, held: bool) -> None:
    """Two approvers who push at the same moment both succeed, and both lines are in the record."""
    request = submitted(world)
    if held:
        hold_pushes(world, 2)
    answers = together((world.bob, ("approve", request)), (world.carol, ("approve", request)))
    assert [(answer.code, answer.err) for answer in answers] == [(0, ""), (0, "")]
    assert sorted(actions(world, request, "change/update")) == [
        ("alice", "submit"), ("bob", "approve"), ("carol", "approve"),
    ]  # fmt: skip
    assert world.dave.show(request).json["policies"][0]["approvedBy"] == ["bob", "carol"]


@ROUNDS
def test_f1_two_merges_at_once_are_one(world: World, *, held: bool) -> None:
    """Of two who merge at the same moment one does, the other is told so; one commit, one completion."""
    request = approved(world)
    if held:
        hold_pushes(world, 2)
    answers = together((world.bob, ("merge", request)), (world.carol, ("merge", request)))
    assert [answer.code for answer in answers] == [0, 0]
    assert sorted(answer.err for answer in answers) == ["", "'update' is merged already\n"]
    assert [action for _, action in actions(world, request)] == ["submit", "approve", "complete"]
    assert world.git(world.server, "rev-list", "--count", "--first-parent", "main") == "2"
    assert set(refs(world)) == {"main"}
    assert verified(world.dave) == (0, [])


@ROUNDS
def test_f1_a_merge_and_a_rejection_at_once_are_one_of_the_two(world: World, *, held: bool) -> None:
    """Either it is merged and cannot be rejected any more, or it is rejected and cannot be merged."""
    request = approved(world)
    if held:
        hold_pushes(world, 2)
    merging, rejecting = together((world.bob, ("merge", request)), (world.carol, ("reject", request, "-m", "No.")))
    outcome = world.dave.show(request).json["status"]
    if outcome == "rejected":
        assert (refused(merging), rejecting.code) == ((3, ["rejected"]), 0)
        assert world.read(APP) == app()
    else:
        assert (merging.code, refused(rejecting), outcome) == (0, (3, ["alreadyMerged"]), "approved")
        assert world.read(APP) == app(description="New.")
    assert verified(world.dave) == (0, [])


@ROUNDS
def test_f1_an_approval_and_a_new_submit_at_once_approve_nothing_unseen(world: World, *, held: bool) -> None:
    """While the requestor submits something else the approver approves what was shown, or nothing."""
    request = submitted(world)
    world.alice.commit({APP: app(description="Evil.")})
    if held:
        hold_pushes(world, 2)
    approving, submitting = together((world.bob, ("approve", request)), (world.alice, ("submit", "-m", "More.")))
    assert submitting.code == 0
    assert approving.code == 0 or refused(approving) == (3, ["staleChange"])
    shown = world.dave.show(request).json
    assert (shown["status"], shown["policies"][0]["approvedBy"]) == ("needsApproval", [])
    assert refused(world.bob.maa("merge", request, "--format", "json", code=None)) == (3, ["needsApprovals"])


def test_f1_three_merges_at_once_all_land(world: World) -> None:
    """Requests on different objects, merged at the same moment from the same state, land one after the other."""
    circle = ((world.alice, world.bob), (world.bob, world.carol), (world.carol, world.alice))
    for asking, approving in circle:
        asking.submitted(f"of-{asking.name}", {f"resources/apps/{asking.name}.yaml": app(f"Of {asking.name}")})
        approving.maa("approve", f"of-{asking.name}")
    hold_pushes(world, 3)
    answers = together(*((person, ("merge", f"of-{person.name}")) for person, _ in circle))
    assert [(answer.code, answer.err) for answer in answers] == [(0, "")] * 3
    listed = world.git(world.server, "ls-tree", "--name-only", "main", "resources/apps/").splitlines()
    assert listed == [f"resources/apps/{name}.yaml" for name in ("alice", "bob", "carol", "company-portal")]
    assert verified(world.dave) == (0, [])
    assert set(refs(world)) == {"main"}


def test_f1_two_completions_at_once_apply_once(world: World) -> None:
    """Two deployers who complete at the same moment: one merge; what a lost race leaves undone the next apply does."""
    request = approved(world)
    answers = together((world.bob, ("complete", request)), (world.carol, ("complete", request)))
    assert {answer.code for answer in answers} <= {0, 4}
    assert [answer.err for answer in answers if "Traceback" in answer.err] == []
    assert [action for _, action in actions(world, request)] == ["submit", "approve", "complete"]
    for person in (world.bob, world.carol):
        person.maa("apply")
        held = person.maa("tenant", "--format", "json").json["objects"]
        assert [(found["marker"], found["properties"]["description"]) for found in held] == [
            ("maa:contoso:app/company-portal", "New.")
        ]
    assert world.dave.show(request).json["status"] == "completed"
    assert world.bob.maa("audit").code == 0


def test_f1_many_commands_in_one_clone(world: World, forger: Forger) -> None:
    """Commands that run side by side in one clone all answer, although all of them fetch and remember."""
    request = submitted(world)
    for description in ("before", "after"):
        commit = forger.commit([world.tip()], {f"docs/{description}.md": "x"})
        branches = ["main", *(f"change/free-{number}" for number in range(30))]
        refspecs = [f"{commit}:refs/heads/{branch}" for branch in branches]
        forger.person.git("push", "-q", "--force", "origin", *refspecs)
        if description == "before":
            world.bob.maa("requests")
    answers = together((world.bob, ("approve", request)), *[(world.bob, ("requests",))] * 4)
    assert [(answer.code, answer.err) for answer in answers] == [(0, "")] * 5
    assert world.dave.show(request).json["status"] == "approved"


def test_f1_what_another_command_holds_for_a_moment_is_fetched_again(world: World) -> None:
    """A ref of the clone that another command is just writing costs a second fetch, not the command."""
    request = submitted(world)
    lock = world.bob.clone / ".git" / "refs" / "remotes" / "origin" / "change" / "update.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("")
    program, once = world.folder / "upload-pack.sh", shlex.quote(str(world.folder / "once"))
    program.write_text(
        f'#!/bin/sh\n[ -e {once} ] && rm -f {shlex.quote(str(lock))}\ntouch {once}\nexec git-upload-pack "$@"\n'
    )
    program.chmod(0o755)
    world.bob.git("config", "remote.origin.uploadpack", str(program))
    assert world.bob.maa("approve", request, "--format", "json").json["status"] == "approved"


def test_f2_two_requests_on_one_object_that_raced(world: World) -> None:
    """The lock refuses a second request on an object; two that raced past it are both decided, the first one lands."""
    first = approved(world)
    world.bob.change("other", {APP: app(description="Other.")})
    answer = world.bob.maa("submit", "-m", "Too.", "--format", "json", code=3)
    assert (answer.error["code"], "update" in answer.error["message"]) == ("locked", True)
    race_past_the_lock(world)
    assert gate(world.dave, first) == (0, ["awaitingCompletion"])
    assert gate(world.dave, "raced") == (0, ["awaitingCompletion"])
    merging = together((world.alice, ("merge", first)), (world.carol, ("merge", "raced")))
    assert sorted(answer.code for answer in merging) == [0, 3]
    assert [refused(answer) for answer in merging if answer.code] == [(3, ["outdated"])]
    assert verified(world.dave) == (0, [])


def test_f2_two_submits_at_once_block_no_decision(world: World) -> None:
    """Two people who submit a change of one object at the same moment both may succeed; neither is stuck."""
    world.alice.change("one", {APP: app(description="One.")})
    world.bob.change("two", {APP: app(description="Two.")})
    hold_pushes(world, 2)
    answers = together((world.alice, ("submit", "-m", "One.")), (world.bob, ("submit", "-m", "Two.")))
    assert [answer.code for answer in answers] == [0, 0]
    world.carol.maa("approve", "two")
    world.carol.maa("approve", "one")
    world.carol.maa("merge", "two")
    assert gate(world.dave, "one") == (3, ["outdated"])


# --- F1: in between --------------------------------------------------------------------------------------------------


def when_pushing(person: Person, later: Mapping[str, str]) -> Path:
    """Bring the server's branches to another state once, in the moment when the person's push reaches it.

    Returns the program that does it, which is gone when it has.
    """
    world, program = person.world, person.world.folder / "receive-pack.sh"
    moves = [f"update refs/heads/{name} {oid}" for name, oid in later.items()]
    moves += [f"delete refs/heads/{name}" for name in refs(world) if name not in later]
    script = shlex.quote("\n".join(moves) + "\n")
    program.write_text(
        f'#!/bin/sh\nrm "$0"\ngit config --file {shlex.quote(str(person.clone / ".git" / "config"))} '
        "--unset remote.origin.receivepack\n"
        f"printf %s {script} | git --git-dir={shlex.quote(str(world.server))} update-ref --stdin\n"
        'exec git-receive-pack "$@"\n'
    )
    program.chmod(0o755)
    person.git("config", "remote.origin.receivepack", str(program))
    return program


def put_back(world: World, before: Mapping[str, str]) -> dict[str, str]:
    """Bring the server's branches back to a state before; returns the one that they had."""
    later = refs(world)
    for name, oid in before.items():
        world.git(world.server, "update-ref", f"refs/heads/{name}", oid)
    for name in later.keys() - before.keys():
        world.git(world.server, "update-ref", "-d", f"refs/heads/{name}")
    return later


def resubmit(world: World) -> None:
    """Alice submits something else."""
    world.alice.git("pull", "-q", "--ff-only", "origin", "change/update")
    world.alice.commit({APP: app(description="Evil.")})
    world.alice.maa("submit", "-m", "Other.")


def edit(world: World) -> None:
    """Alice pushes something else and submits nothing."""
    world.alice.git("pull", "-q", "--ff-only", "origin", "change/update")
    world.alice.commit({APP: app(description="Edited.")})
    world.alice.git("push", "-q", "origin", "change/update")


def land_another(world: World) -> None:
    """Another request on the same object is merged, past the lock."""
    race_past_the_lock(world)
    world.carol.maa("merge", "raced")


def tighten(world: World) -> None:
    """Two approvals are needed from now on."""
    policy = {"policies/apps.yaml": access_policy("app", "approvers", required=2)}
    world.carol.submitted("tighten", policy)
    world.bob.maa("approve", "tighten")
    world.carol.maa("merge", "tighten")


MEANWHILE: dict[str, tuple[Callable[[World], object], str, tuple[int, str | None]]] = {
    "merge, while somebody else approves": (lambda world: world.carol.maa("approve", "update"), "merge", (0, None)),
    "merge, while the branch is edited": (edit, "merge", (3, "editedSinceSubmit")),
    "merge, while it is submitted anew": (resubmit, "merge", (3, "needsApprovals")),
    "merge, while it is rejected": (
        lambda world: world.carol.maa("reject", "update", "-m", "No."),
        "merge",
        (3, "rejected"),
    ),
    "merge, while it is withdrawn": (lambda world: world.bob.maa("withdraw", "update"), "merge", (3, "needsApprovals")),
    "merge, while another lands": (land_another, "merge", (3, "outdated")),
    "merge, while the rules are tightened": (tighten, "merge", (3, "needsApprovals")),
    "merge, while it is merged": (lambda world: world.carol.maa("merge", "update"), "merge", (0, None)),
    "approve, while it is submitted anew": (resubmit, "approve", (3, "staleChange")),
    "approve, while the branch is edited": (edit, "approve", (3, "editedSinceSubmit")),
    "approve, while it is rejected": (
        lambda world: world.alice.maa("cancel", "update"),
        "approve",
        (3, "staleChange"),
    ),
    "approve, while somebody else does": (lambda world: world.bob.maa("approve", "update"), "approve", (0, None)),
}


@pytest.mark.parametrize(("happens", "act", "expected"), MEANWHILE.values(), ids=MEANWHILE)
def test_f1_what_moves_during_an_act_is_judged_again(
    world: World, happens: Callable[[World], object], act: str, expected: tuple[int, str | None]
) -> None:
    """Between looking and pushing somebody else is faster: the act is judged anew, and signs nothing unseen."""
    request = submitted(world) if act == "approve" else approved(world)
    world.dave.git("fetch", "-q", "origin")
    actor = world.people["bob" if act == "merge" else "carol"]
    before, lines = refs(world), []
    happens(world)
    lines = actions(world, request, "change/update" if "change/update" in refs(world) else "main")
    later = put_back(world, before)
    stand_in = World.copied(world.folder, world.folder.parent / "later")
    person = stand_in.people[actor.name]
    forget(person)
    program = when_pushing(person, later)
    answer = person.maa(act, request, "--format", "json", code=None)
    code, reason = expected
    assert not program.exists()
    assert (answer.code, answer.json.get("error", {}).get("code")) == (code, reason)
    if code:
        assert refs(stand_in) == later
        assert actions(stand_in, request, "change/update") == lines
    assert verified(stand_in.dave) == (0, [])


def forget(person: Person) -> None:
    """Let a clone know nothing of what it has seen of the protected branch."""
    person.git("update-ref", "-d", "refs/maa/verified/main")
    shutil.rmtree(person.clone / ".git" / "maa", ignore_errors=True)


def test_f1_an_approval_of_what_is_outdated_by_then_lands_nothing(world: World) -> None:
    """While somebody approves another request lands on the object: the approval stands, for what cannot be merged."""
    request = submitted(world)
    race_past_the_lock(world)
    before = refs(world)
    world.carol.maa("merge", "raced")
    later = put_back(world, before)
    when_pushing(world.bob, later)
    assert world.bob.maa("approve", request, "--format", "json").json["status"] == "needsApproval"
    assert gate(world.dave, request) == (3, ["outdated"])


def test_f1_an_approval_is_for_what_was_shown(world: World) -> None:
    """``--change`` holds an approval to the change that was looked at, however long ago."""
    request = submitted(world)
    seen = world.bob.show(request).json["change"]
    resubmit(world)
    answer = world.bob.maa("approve", request, "--change", seen, "--format", "json", code=None)
    assert refused(answer) == (3, ["staleChange"])
    now = world.bob.show(request).json["change"]
    assert world.bob.maa("approve", request, "--change", now, "--format", "json").json["status"] == "approved"
    edit(world)
    assert gate(world.dave, request) == (3, ["editedSinceSubmit"])
    assert refused(world.alice.maa("merge", request, "--format", "json", code=None)) == (3, ["editedSinceSubmit"])


def test_f1_a_yes_of_the_gate_holds_for_that_commit_only(world: World) -> None:
    """What ``check`` said of a head says nothing of the head that came after it."""
    request = approved(world)
    head = world.tip("change/update")
    assert gate(world.dave, "--head", head) == (0, ["awaitingCompletion"])
    edit(world)
    world.dave.git("fetch", "-q", "origin")
    assert gate(world.dave, "--head", head) == (0, ["awaitingCompletion"])
    assert gate(world.dave, "--head", world.tip("change/update")) == (3, ["editedSinceSubmit"])
    assert refused(world.bob.maa("merge", request, "--format", "json", code=None)) == (3, ["editedSinceSubmit"])


# --- F3: all or nothing ----------------------------------------------------------------------------------------------


def protect(world: World, pattern: str) -> None:
    """Let the server refuse every update of the branches that match a shell pattern."""
    hook = world.server / "hooks" / "update"
    hook.write_text(f'#!/bin/sh\ncase "$1" in {pattern}) echo "$1 is protected" >&2; exit 1;; esac\n')
    hook.chmod(0o755)


def test_f3_a_merge_moves_main_and_branch_or_neither(world: World) -> None:
    """If the server refuses one of the two branches, the other does not move either."""
    request = approved(world)
    before = refs(world)
    for pattern in ("refs/heads/main", "refs/heads/change/*"):
        protect(world, pattern)
        answer = world.bob.maa("merge", request, "--format", "json", code=None)
        assert refused(answer) == (4, ["refused"])
        assert "is protected" in answer.error["message"]
        assert refs(world) == before
    assert world.bob.git("status", "--porcelain") == ""
    (world.server / "hooks" / "update").unlink()
    world.bob.maa("merge", request)
    assert set(refs(world)) == {"main"}


def test_f3_a_veto_is_said_to_be_not_final_until_main_has_it(world: World) -> None:
    """Where only some may push to main, a rejection is on the change branch and says that it is not final."""
    request = approved(world)
    protect(world, "refs/heads/main")
    main = world.tip()
    answer = world.carol.maa("reject", request, "-m", "No.")
    assert "not final yet" in answer.err
    assert world.tip() == main
    assert actions(world, request, "change/update")[-1] == ("carol", "reject")
    assert refused(world.bob.maa("merge", request, "--format", "json", code=None)) == (3, ["rejected"])
    (world.server / "hooks" / "update").unlink()
    world.bob.maa("archive")
    assert actions(world, request)[-1] == ("carol", "reject")


@pytest.mark.parametrize("moved", ["main", "change/update"])
def test_f3_a_server_that_died_half_way_costs_nothing(world: World, moved: str) -> None:
    """Should a server move only one of two branches of a push, all the same the answer is one, and can be tidied up."""
    request = approved(world)
    before = refs(world)
    world.carol.maa("reject", request, "-m", "No.")
    later = put_back(world, before)
    world.git(world.server, "update-ref", f"refs/heads/{moved}", later[moved])
    fresh = World.copied(world.folder, world.folder.parent / "half").people
    for person in fresh.values():
        forget(person)
    assert gate(fresh["dave"], request)[1][0] == "rejected"
    assert refused(fresh["bob"].maa("merge", request, "--format", "json", code=None)) == (3, ["rejected"])
    fresh["bob"].maa("archive")
    assert actions(fresh["bob"].world, request)[-1] == ("carol", "reject")
    assert verified(fresh["dave"]) == (0, [])


# --- F4: killed ------------------------------------------------------------------------------------------------------


def deadly_git(world: World, step: int) -> str:
    """A PATH on which git kills whoever called it, right after the n-th step that moves something (0: before any)."""
    folder, count, git = world.folder / "bin", world.folder / "steps", shutil.which("git")
    folder.mkdir()
    count.write_text("0")
    (folder / "git").write_text(
        f"""#!/bin/sh
for word; do case $word in push|update-ref|read-tree) moves=1;; esac; done
[ "$moves" ] || exec {git} "$@"
n=$(($(cat {shlex.quote(str(count))}) + 1))
echo $n >{shlex.quote(str(count))}
if [ {step} = 0 ]; then kill -9 $PPID; exit 1; fi
{git} "$@"
code=$?
if [ $n = {step} ]; then kill -9 $PPID; fi
exit $code
"""
    )
    (folder / "git").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def leftovers(person: Person) -> list[str]:
    """What a clone must not keep: locks, notes of what was under way, changes in its files, odd refs."""
    git_dir = person.clone / ".git"
    files = [path.name for path in git_dir.rglob("*") if path.suffix == ".lock" or path.name == "moving.json"]
    kept = [name for name in files if name != "local.lock"]  # a database of its own, which dies with the process
    names = person.git("for-each-ref", "--format=%(refname)").splitlines()
    known = ("refs/heads/", "refs/remotes/origin/", "refs/maa/verified/main")
    odd = [name for name in names if not name.startswith(known)]
    return [*kept, *person.git("status", "--porcelain").splitlines(), *odd]


KILLED: dict[str, tuple[Callable[[World], object], str, tuple[str, ...], set[int], list[str], set[str]]] = {
    "submit": (
        lambda world: world.alice.change("update", {APP: app(description="New.")}),
        "alice",
        ("submit", "-m", "Wanted."),
        {0},
        ["submit"],
        {"main", "change/update"},
    ),
    "approve": (submitted, "bob", ("approve", "update"), {0}, ["submit", "approve"], {"main", "change/update"}),
    "reject": (
        approved,
        "bob",
        ("reject", "update", "-m", "No."),
        {0, 3},
        ["submit", "approve", "reject"],
        {"main", "change/update"},
    ),
    "complete": (
        approved,
        "bob",
        ("complete", "update"),
        {0},
        ["submit", "approve", "complete"],
        {"main", "maa/applied/local"},
    ),
}


@pytest.mark.parametrize(("prepare", "name", "command", "codes", "lines", "branches"), KILLED.values(), ids=KILLED)
def test_f4_a_command_killed_at_any_step_can_be_run_again(
    world: World,
    prepare: Callable[[World], object],
    name: str,
    command: tuple[str, ...],
    codes: set[int],
    lines: list[str],
    branches: set[str],
) -> None:
    """Killed around each push and each move of a ref or a file: the rerun ends it, once, and leaves nothing."""
    prepare(world)
    world.bob.maa("requests")
    killed = 0
    for step in range(20):
        place = World.copied(world.folder, world.folder.parent / f"killed-{step}")
        person = place.people[name]
        process = start(person, *command, PATH=deadly_git(place, step))
        process.communicate(timeout=120)
        again = person.maa(*command, "--format", "json", code=None)
        assert again.code in codes, (step, again)
        assert set(refs(place)) == branches
        on = "main" if command[0] in ("complete", "reject") else "change/update"
        assert [action for _, action in actions(place, "update", on)] == lines
        assert leftovers(person) == []
        assert verified(place.dave) == (0, [])
        if command[0] == "complete":
            assert (again.json["status"], place.read(APP)) == ("completed", app(description="New."))
            held = person.maa("tenant", "--format", "json").json["objects"]
            assert [found["properties"]["description"] for found in held] == ["New."]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        killed += 1
    assert killed >= 2


def test_f4_without_a_remote_a_killed_merge_is_ended_by_the_next_command(world: World) -> None:
    """In a lone clone branches, index and files move in steps; whichever is missing after a kill is made up for."""
    alice = world.alice
    alice.git("remote", "remove", "origin")
    alice.git("switch", "-q", "-c", "change/update", "main")
    alice.commit({APP: app(description="New.")})
    alice.maa("submit", "-m", "Wanted.")
    alice.git("switch", "-q", "main")
    with world.environment("bob"):
        assert run_maa("-C", str(alice.clone), "--key", str(world.bob.key), "approve", "update").code == 0
    for step in range(20):
        place = World.copied(world.folder, world.folder.parent / f"killed-{step}")
        person = place.alice
        process = start(person, "merge", "update", PATH=deadly_git(place, step))
        process.communicate(timeout=120)
        person.maa("merge", "update")
        assert (person.clone / APP).read_text() == app(description="New.")
        assert person.git("status", "--porcelain", "--branch") == "## main"
        assert leftovers(person) == []
        assert verified(person) == (0, [])
        if process.returncode == 0:
            break
    assert step >= 2


def test_f4_work_done_after_a_kill_is_not_touched(world: World) -> None:
    """What somebody wrote into the half-moved files since the kill stays; they are told by git, not by a surprise."""
    approved(world)
    person = world.bob
    process = start(person, "merge", "update", PATH=deadly_git(world, 2))
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert f"M  {APP}" in person.git("status", "--porcelain")
    person.write(APP, app(description="My own work."))
    person.maa("merge", "update")
    assert (person.clone / APP).read_text() == app(description="My own work.")
    assert verified(world.dave) == (0, [])


@pytest.mark.parametrize("milliseconds", [150, 300, 450, 700])
def test_f4_after_a_power_cut_the_same_command_ends_the_work(world: World, milliseconds: int) -> None:
    """The whole process group dies at some moment: once stale locks are gone the rerun merges and applies, once."""
    request = approved(world)
    process = start(world.bob, "complete", request)
    try:
        process.communicate(timeout=milliseconds / 1000)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for lock in (*world.bob.clone.rglob("*.lock"), *world.server.rglob("*.lock")):
        lock.unlink()
    answer = world.bob.maa("complete", request, "--format", "json")
    assert answer.json["status"] == "completed"
    assert [action for _, action in actions(world, request)] == ["submit", "approve", "complete"]
    assert world.git(world.server, "rev-list", "--count", "--first-parent", "main") == "2"
    held = world.bob.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["description"] for found in held] == ["New."]
    assert verified(world.dave) == (0, [])


STALE: dict[str, tuple[str, int, bool, str]] = {
    "a tracking ref": (".git/refs/remotes/origin/change/update.lock", 4, False, "update.lock': File exists."),
    "packed refs": (".git/packed-refs.lock", 4, True, "packed-refs.lock': File exists."),
    "the memory": (".git/refs/maa/verified/main.lock", 0, True, ""),
    "the own branch": (".git/refs/heads/main.lock", 0, True, "your main does not follow"),
    "the index": (".git/index.lock", 0, True, "when they are gone: git pull"),
    "the configuration": (".git/config.lock", 0, True, ""),
}


@pytest.mark.parametrize(("lock", "code", "stands", "said"), STALE.values(), ids=STALE)
def test_f4_a_stale_lock_is_named_and_halves_nothing(
    world: World, lock: str, code: int, said: str, *, stands: bool
) -> None:
    """A lock left in a clone stops what needs it, and says which file it is; what was pushed before stands whole."""
    request = approved(world)
    path = world.carol.clone / lock
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    before = refs(world)
    answer = world.carol.maa("merge", request, code=None)
    assert answer.code == code
    assert said in answer.err
    assert set(refs(world)) == ({"main"} if stands else set(before))
    path.unlink()
    world.carol.maa("merge", request)
    assert set(refs(world)) == {"main"}
    assert verified(world.carol) == (0, [])


@pytest.mark.parametrize("lock", ["refs/heads/main.lock", "refs/heads/change/update.lock"])
def test_f4_a_stale_lock_on_the_server_moves_nothing(world: World, lock: str) -> None:
    """A lock left on the server makes every push fail whole; once it is gone the same command succeeds."""
    request = approved(world)
    (world.server / lock).write_text("")
    before = refs(world)
    answer = world.bob.maa("merge", request, "--format", "json", code=None)
    assert (refused(answer), answer.error["retry"]) == ((4, ["lostRace"]), True)
    assert refs(world) == before
    (world.server / lock).unlink()
    world.bob.maa("merge", request)
    assert set(refs(world)) == {"main"}


# --- F5, F6, F7, F10: history and receipts ---------------------------------------------------------------------------


def merged(world: World, description: str, name: str) -> str:
    """Land an edit of the app; returns the commit."""
    world.alice.submitted(name, {APP: app(description=description)})
    world.bob.maa("approve", name)
    world.bob.maa("merge", name)
    return world.tip()


def test_f5_nothing_is_applied_from_a_tip_that_nobody_approved(world: World, forger: Forger) -> None:
    """A direct push by whoever may stops every apply, in every clone, until it is healed; nothing of it is sent."""
    main = world.tip()
    forger.push(forger.commit([main], {APP: app(description="Evil.")}))
    for person in (world.alice, world.bob):
        assert refused(person.maa("apply", "--format", "json", code=None)) == (3, ["unapprovedChange"])
    forger.push(forger.commit([world.tip()], {}, tree_of=main))
    world.bob.maa("apply")
    held = world.bob.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["description"] for found in held] == ["Apps for work."]


def test_f5_a_forged_memory_does_not_fool_verify(world: World, forger: Forger) -> None:
    """Who can write into a clone can make its commands go on from an evil commit; ``verify`` trusts no memory."""
    forger.push(evil := forger.commit([world.tip()], {APP: app(description="Evil.")}))
    world.bob.git("fetch", "-q", "origin")
    world.bob.git("update-ref", "refs/maa/verified/main", evil)
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (3, ["unapprovedChange"])
    memory = world.bob.clone / ".git" / "maa" / "verified" / "main.json"
    memory.write_text(json.dumps({"commit": evil, "time": None, "bad": []}))
    world.bob.git("update-ref", "refs/maa/verified/main", evil)
    assert verified(world.bob) == (3, ["unapprovedChange"])


def test_f6_applying_again_writes_nothing(world: World) -> None:
    """A second apply of the same commit, by whomever, finds nothing to do and leaves no receipt."""
    world.bob.maa("apply")
    receipts = world.tip("maa/applied/local")
    assert world.bob.maa("apply", "--format", "json").json["objects"] == []
    assert world.tip("maa/applied/local") == receipts


def test_f6_an_older_commit_is_not_applied_after_a_newer(world: World) -> None:
    """Main set back: clones that remember refuse it, and a fresh clone refuses the receipt of a commit that is gone."""
    old = merged(world, "One.", "one")
    world.bob.maa("apply")
    merged(world, "Two.", "two")
    world.bob.maa("apply")
    world.git(world.server, "update-ref", "refs/heads/main", old)
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (3, ["lostChain"])
    for person in (world.alice, world.bob):
        forget(person)
        assert refused(person.maa("apply", "--format", "json", code=None)) == (4, ["receiptsUnreadable"])
        assert refused(person.maa("drift", "--format", "json", code=None)) == (4, ["receiptsUnreadable"])


def test_f6_receipts_set_back_are_noticed(world: World) -> None:
    """A clone that has seen a receipt refuses a branch without it, and goes on only when told to rebuild."""
    merged(world, "One.", "one")
    world.bob.maa("apply")
    old = world.tip("maa/applied/local")
    merged(world, "Two.", "two")
    world.bob.maa("apply")
    world.git(world.server, "update-ref", "refs/heads/maa/applied/local", old)
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (4, ["receiptsRolledBack"])
    world.bob.maa("apply", "--rebuild")
    held = world.bob.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["description"] for found in held] == ["Two."]


COMMANDS = (["check", "two"], ["requests"], ["verify"], ["apply"])


@pytest.mark.parametrize("kind", ["cut", "rewritten", "first parent swapped", "unrelated"])
def test_f7_a_clone_that_remembers_refuses_lost_history(world: World, forger: Forger, kind: str) -> None:
    """Main cut, rewritten, joined the wrong way round or replaced: every command says which commit is lost."""
    start_commit = world.tip()
    old = merged(world, "One.", "one")
    lost = merged(world, "Two.", "two")
    world.dave.maa("requests")
    forger = Forger(world, world.alice)
    other = forger.commit([old], {"docs/x.md": "x"})
    evil = {
        "cut": old,
        "rewritten": other,
        "first parent swapped": forger.commit([other, lost], {}, tree_of=lost),
        "unrelated": forger.commit([], {}, tree_of=start_commit),
    }[kind]
    forger.push(evil, force=True)
    for command in COMMANDS:
        answer = world.dave.maa(*command, "--format", "json", code=None)
        assert refused(answer) == (3, ["lostChain"]), command
        assert lost in answer.error["message"]
        assert answer.error["hint"].endswith(f"git push --force origin {lost}:main")
    forger.push(lost, force=True)
    assert verified(world.dave) == (0, [])


RECORDS: dict[str, Callable[[list[bytes]], list[bytes] | None]] = {
    "taken away": lambda lines: None,
    "cut": lambda lines: lines[:-1],
    "reordered": lambda lines: [lines[1], lines[0], *lines[2:]],
    "rewritten": lambda lines: [lines[0].replace(b"Wanted.", b"Forged."), *lines[1:]],
    "gone on after its end": lambda lines: [*lines, lines[1]],
    "doubled": lambda lines: [*lines, *lines],
}


@pytest.mark.parametrize("alter", RECORDS.values(), ids=RECORDS)
def test_f7_a_landed_record_stays_as_it_is(world: World, alter: Callable[[list[bytes]], list[bytes] | None]) -> None:
    """A record on main is never taken away, shortened, rewritten or gone on with after its completion."""
    merged(world, "One.", "one")
    forger = Forger(world, world.alice)
    path = world.git(world.server, "ls-tree", "-r", "--name-only", "main", "requests/")
    lines = alter(world.read(path).encode().rstrip(b"\n").split(b"\n"))
    forger.push(forger.commit([world.tip()], {path: forger.record(*lines) if lines is not None else None}))
    assert verified(world.bob) == (3, ["recordAltered"])


@pytest.mark.parametrize(
    ("alter", "reasons"),
    [
        (lambda lines: [lines[1], lines[0]], ["brokenRecord", "notRequestor"]),
        (lambda lines: [lines[0], lines[1], lines[1]], ["brokenRecord"]),
        (lambda lines: [lines[0].replace(b"Wanted.", b"Forged."), lines[1]], ["brokenRecord", "badSignature"]),
        (lambda lines: [lines[1]], ["brokenRecord", "notSubmitted"]),
        (lambda lines: [lines[0]], ["needsApprovals"]),
    ],
    ids=["reordered", "doubled", "rewritten", "without its beginning", "cut"],
)
def test_f7_an_altered_record_of_a_branch_is_no_approval(
    world: World, alter: Callable[[list[bytes]], list[bytes]], reasons: list[str]
) -> None:
    """Lines of an approved request in another order, twice, changed or missing: no."""
    request = approved(world)
    forger = Forger(world, world.alice)
    head = world.tip("change/update")
    path = world.git(world.server, "ls-tree", "-r", "--name-only", head, "requests/")
    lines = alter(world.read(path, head).encode().rstrip(b"\n").split(b"\n"))
    forger.push(forger.commit([head], {path: forger.record(*lines)}), "change/update")
    code, found = gate(world.dave, request)
    assert (code, found[: len(reasons)]) == (3, reasons)


def test_f7_two_records_that_went_apart_are_none(world: World) -> None:
    """A branch whose record does not go on from the one on main is not approved."""
    request = approved(world)
    before = refs(world)["change/update"]
    world.carol.maa("reject", request, "-m", "No.")
    forger = Forger(world, world.alice)
    path = world.git(world.server, "ls-tree", "-r", "--name-only", before, "requests/")
    lines = world.read(path, before).encode().rstrip(b"\n").split(b"\n")
    plain = forger.fields("approve", "bob", request, change=json.loads(lines[1])["change"])
    lines.append(forger.line(world.bob.key, plain, previous=lines[-1]))
    forger.push(forger.commit([before], {path: forger.record(*lines)}), "change/update", force=True)
    code, found = gate(world.dave, request)
    assert (code, "recordAltered" in found) == (3, True)
    assert world.bob.maa("merge", request, code=None).code == 3


def test_f10_a_merge_without_completion_is_found_and_can_be_completed(world: World) -> None:
    """The forge's merge button, pressed while rules were off: ``complete`` heals it if all had been approved."""
    request = approved(world)
    carol = world.carol
    carol.git("fetch", "-q", "origin")
    carol.git("merge", "-q", "--no-ff", "-m", "Merge", "origin/change/update")
    carol.git("push", "-q", "origin", "main", ":change/update")
    assert verified(world.dave) == (3, ["unapprovedChange"])
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (3, ["unapprovedChange"])
    assert world.bob.maa("complete", request, "--format", "json").json["status"] == "completed"
    assert verified(world.dave) == (0, ["healed unapprovedChange"])


def test_f10_a_merge_that_nobody_approved_is_found_and_stays_out(world: World) -> None:
    """The same of a request that only its requestor wanted: no completion, no apply, and a violation for ever."""
    request = submitted(world)
    main = world.tip()
    world.alice.git("switch", "-q", "main")
    world.alice.git("merge", "-q", "--no-ff", "-m", "Merge", "change/update")
    world.alice.git("push", "-q", "origin", "main", ":change/update")
    assert verified(world.dave) == (3, ["unapprovedChange"])
    assert refused(world.alice.maa("complete", request, "--format", "json", code=None)) == (3, ["needsApprovals"])
    assert refused(world.bob.maa("apply", "--format", "json", code=None)) == (3, ["unapprovedChange"])
    forger = Forger(world, world.alice)
    forger.push(forger.commit([world.tip()], {}, tree_of=main))
    assert verified(world.dave) == (0, ["healed unapprovedChange"])
