"""What happens to a person's own branches and files when an act is pushed; and the tired administrator."""

from pathlib import Path

import pytest

from tests.support import APP, Person, World, app, stamp

OTHER = "resources/apps/other.yaml"
NEW = app(description="New.")
MERGED = "merge"


def record(request: str) -> str:
    """Where the record of a request of now lies."""
    return f"requests/{stamp()[:4]}/{request}.jsonl"


def approved(world: World, files: dict[str, str | bytes | None] | None = None, branch: str = "update") -> str:
    """A request of alice's that bob has approved."""
    request = world.alice.submitted(branch, files or {APP: NEW})
    world.bob.maa("approve", request)
    return request


def status(person: Person) -> list[str]:
    """What git says of index and files."""
    return person.git("status", "--short", "--untracked-files=all").splitlines()


def text(person: Person, path: str) -> str:
    """A file of the work tree."""
    return (person.clone / path).read_text()


# --- following -------------------------------------------------------------------------------------------------------


def test_the_submitted_branch_follows_with_its_files(world: World) -> None:
    """The requestor's own branch is what was pushed; index and files are clean."""
    world.alice.submitted("update", {APP: NEW})
    assert world.alice.git("rev-parse", "HEAD") == world.tip("change/update")
    assert (status(world.alice), text(world.alice, record("update")).count("\n")) == ([], 1)


def test_a_checked_out_main_follows_a_merge_with_its_files(world: World) -> None:
    """Files come, change and go."""
    request = approved(world, {APP: None, OTHER: app("Other")})
    answer = world.bob.maa("merge", request)
    assert answer.err == ""
    assert world.bob.git("rev-parse", "main") == world.tip()
    assert status(world.bob) == []
    assert (text(world.bob, OTHER), (world.bob.clone / APP).exists()) == (app("Other"), False)


def test_a_main_that_is_not_checked_out_follows_too(world: World) -> None:
    """Only the ref moves; the files of the branch that is checked out stay."""
    request = approved(world)
    world.bob.git("switch", "-q", "-c", "mine")
    world.bob.maa("merge", request)
    assert world.bob.git("rev-parse", "main") == world.tip()
    assert (text(world.bob, APP), status(world.bob)) == (app(), [])


def test_a_main_that_is_behind_catches_up(world: World) -> None:
    """Its own tip is an ancestor of the new one, however many commits lie between."""
    world.alice.commit({"notes.txt": "x\n"})
    world.alice.git("push", "-q", "origin", "main")
    request = approved(world)
    world.bob.maa("merge", request)
    assert world.bob.git("rev-parse", "main") == world.tip()
    assert (text(world.bob, "notes.txt"), status(world.bob)) == ("x\n", [])


def test_a_main_in_another_work_tree_follows_with_its_files(world: World) -> None:
    """It is checked out there."""
    request = approved(world)
    world.bob.git("switch", "-q", "-c", "mine")
    linked = world.folder / "linked"
    world.bob.git("worktree", "add", "-q", str(linked), "main")
    world.bob.maa("merge", request)
    assert world.git(linked, "status", "--short") == ""
    assert (linked / APP).read_text() == NEW


# --- not following ---------------------------------------------------------------------------------------------------


def test_a_main_with_commits_of_its_own_is_left_and_the_act_stands(world: World) -> None:
    """The command says ``git pull``, exit code 0; nothing of the person's is touched."""
    request = approved(world)
    own = world.bob.commit({"notes.txt": "mine\n"})
    answer = world.bob.maa("merge", request)
    assert answer.err == "your main has commits of its own; bring them together with: git pull\n"
    assert (world.bob.git("rev-parse", "main"), status(world.bob)) == (own, [])
    assert world.read(APP) == NEW
    world.bob.git("pull", "-q", "--no-rebase", "origin", "main")
    assert (text(world.bob, APP), text(world.bob, "notes.txt")) == (NEW, "mine\n")


@pytest.mark.parametrize("dirt", ["changed", "staged", "untracked", "ignored"])
def test_a_main_with_uncommitted_work_in_the_way_is_left_and_the_act_stands(world: World, dirt: str) -> None:
    """Branch, index and files are as they were; the command says ``git pull``."""
    request = approved(world, {APP: NEW, OTHER: app("Other")})
    bob = world.bob
    place = APP if dirt in ("changed", "staged") else OTHER
    bob.write(place, "mine\n")
    if dirt == "staged":
        bob.git("add", APP)
    if dirt == "ignored":
        bob.write(".git/info/exclude", OTHER + "\n")
    before = (bob.git("rev-parse", "main"), status(bob), bob.git("ls-files", "--stage"))
    answer = bob.maa("merge", request)
    assert answer.err == "your main has uncommitted changes in the way; when they are gone: git pull\n"
    assert (bob.git("rev-parse", "main"), status(bob), bob.git("ls-files", "--stage")) == before
    assert (text(bob, place), world.read(APP)) == ("mine\n", NEW)


def test_a_main_in_the_middle_of_a_merge_is_left(world: World) -> None:
    """A conflict that the person is settling is not disturbed."""
    bob = world.bob
    request = approved(world, {OTHER: app("Other")})
    bob.git("switch", "-q", "-c", "one", "main")
    bob.commit({"notes.txt": "one\n", OTHER: app("Mine")})
    bob.git("switch", "-q", "main")
    bob.git("switch", "-q", "-c", "two")
    bob.commit({"notes.txt": "two\n"})
    bob.git("merge", "-q", "one", check=False)
    before = (status(bob), bob.git("ls-files", "--stage"), text(bob, "notes.txt"))
    bob.maa("merge", request)
    assert (status(bob), bob.git("ls-files", "--stage"), text(bob, "notes.txt")) == before
    assert (bob.clone / ".git" / "MERGE_HEAD").exists()


def test_a_change_branch_with_newer_commits_is_left_and_the_act_stands(world: World) -> None:
    """Alice went on working while bob approved; when she cancels, her own commits stay hers."""
    world.alice.submitted("update", {APP: NEW})
    own = world.alice.commit({OTHER: app("Other")})
    answer = world.alice.maa("cancel", "update")
    assert "your change/update has commits of its own; bring them together with: git pull" in answer.err
    assert (world.alice.git("rev-parse", "HEAD"), status(world.alice)) == (own, [])
    assert world.dave.show("update").json["status"] == "cancelled"


def test_unrelated_uncommitted_work_survives_every_act(world: World) -> None:
    """Changed, staged, deleted and untracked files elsewhere are as they were, with everybody, and in no commit."""
    world.alice.commit({"a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n"})
    world.alice.git("push", "-q", "origin", "main")
    world.alice.change("update", {APP: NEW})
    for person in (world.bob, world.carol):
        person.git("pull", "-q", "origin", "main")
    for person in (world.alice, world.bob, world.carol):
        person.write("a.txt", "mine\n")
        person.write("b.txt", "staged\n")
        person.git("add", "b.txt")
        (person.clone / "c.txt").unlink()
        person.write("d.txt", "untracked\n")
    dirt = [" M a.txt", "M  b.txt", " D c.txt", "?? d.txt"]
    for person, arguments in (
        (world.alice, ("submit", "-m", "Wanted.")),
        (world.bob, ("approve", "update")),
        (world.bob, ("withdraw", "update")),
        (world.carol, ("reject", "update", "-m", "No.")),
        (world.alice, ("submit", "-m", "Please.")),
        (world.carol, ("approve", "update")),
        (world.bob, ("complete", "update")),
        (world.carol, ("revert", "update")),
        (world.carol, ("archive",)),
    ):
        person.maa(*arguments)
        assert (person.name, arguments[0], status(person)) == (person.name, arguments[0], dirt)
        assert [text(person, f"{name}.txt") for name in "abd"] == ["mine\n", "staged\n", "untracked\n"]
        assert person.git("stash", "list") == ""
    assert (text(world.bob, APP), world.read("a.txt")) == (NEW, "a\n")


def test_reading_changes_nothing_of_the_persons(world: World) -> None:
    """Fetching moves what is known of the remote, never a branch, the index or a file."""
    approved(world)
    bob = world.bob
    bob.write(APP, "mine\n")
    bob.git("add", APP)
    before = (bob.git("for-each-ref", "refs/heads"), status(bob), bob.git("symbolic-ref", "HEAD"))
    for command in ((), ("requests",), ("show", "update"), ("diff", "update"), ("check", "update"), ("validate",),
                    ("explain",), ("verify",), ("plan",), ("audit",), ("drift",)):  # fmt: skip
        bob.maa(*command, code=None)
        assert (bob.git("for-each-ref", "refs/heads"), status(bob), bob.git("symbolic-ref", "HEAD")) == before


# --- the tired administrator -----------------------------------------------------------------------------------------


def test_tired_committed_on_main_and_then_remembered(world: World) -> None:
    """The hint makes the branch; the commit is submitted from there, and main can be put back."""
    alice = world.alice
    alice.commit({APP: NEW})
    hint = alice.maa("submit", "-m", "Wanted.", "--format", "json", code=3).error["hint"]
    assert hint == "git switch -c change/<name>"
    alice.git("switch", "-q", "-c", "change/update")
    assert alice.maa("submit", "-m", "Wanted.", "--format", "json").json["status"] == "needsApproval"
    world.bob.maa("approve", "update")
    answer = alice.maa("complete", "update", "--format", "json")
    assert answer.json["status"] == "completed"
    assert alice.git("rev-parse", "main") == world.tip()
    assert status(alice) == []


def test_tired_pushed_the_branch_and_then_submitted(world: World) -> None:
    """A branch that git has pushed is submitted like any other."""
    world.alice.change("update", {APP: NEW})
    world.alice.git("push", "-q", "-u", "origin", "change/update")
    assert world.alice.maa("submit", "-m", "Wanted.", "--format", "json").json["status"] == "needsApproval"
    assert (world.alice.git("rev-parse", "HEAD"), status(world.alice)) == (world.tip("change/update"), [])


def test_tired_forgot_to_pull_before_going_on(world: World) -> None:
    """Bob approved meanwhile; what alice submits from her older branch keeps his event and asks him again."""
    world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", "update")
    world.alice.commit({APP: app(description="Newer.")})
    answer = world.alice.maa("submit", "-m", "Newer.", "--format", "json").json
    assert ([event["action"] for event in answer["events"]], answer["status"]) == (
        ["submit", "approve", "submit"],
        "needsApproval",
    )
    assert status(world.alice) == []


def test_tired_merged_main_into_an_approved_branch(world: World) -> None:
    """Nothing of the change is different, so the approval stands."""
    request = approved(world)
    other = world.carol.submitted("other", {OTHER: app("Other")})
    world.bob.maa("approve", other)
    world.bob.maa("merge", other)
    world.alice.git("pull", "-q", "--no-rebase", "origin", "change/update")
    world.alice.git("pull", "-q", "--no-rebase", "--no-edit", "origin", "main")
    world.alice.git("push", "-q", "origin", "change/update")
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"
    assert (world.read(APP), world.read(OTHER)) == (NEW, app("Other"))


def test_tired_rebased_an_approved_branch(world: World) -> None:
    """The commits are transport: rebased and pushed by force with the record in it, the approval stands."""
    request = approved(world)
    world.carol.commit({"notes.txt": "x\n"})
    world.carol.git("push", "-q", "origin", "main")
    world.alice.git("pull", "-q", "--no-rebase", "origin", "change/update")
    world.alice.git("fetch", "-q", "origin")
    world.alice.git("rebase", "-q", "origin/main")
    world.alice.git("push", "-q", "--force", "origin", "change/update")
    assert world.alice.maa("check", request, "--format", "json").json["status"] == "approved"
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_tired_pushed_main_instead_of_completing(world: World) -> None:
    """Landed without the completion it is no good commit; ``complete`` adds what was missing."""
    request = approved(world)
    world.alice.git("fetch", "-q", "origin")
    world.alice.git("push", "-q", "origin", "origin/change/update:main")
    assert world.dave.maa("verify", "--format", "json", code=3).json["good"] is False
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"
    assert world.dave.maa("verify", "--format", "json").json["good"] is True


def test_tired_deleted_the_remote_branch_of_an_open_request(world: World) -> None:
    """The request is gone from the lists; from the own branch it is submitted again, with its record."""
    request = approved(world)
    world.alice.git("pull", "-q", "--no-rebase", "origin", "change/update")
    world.alice.git("push", "-q", "origin", ":change/update")
    assert world.bob.maa("requests", "--format", "json").json["requests"] == []
    assert world.bob.maa("show", request, "--format", "json", code=3).error["code"] == "noOpenRequest"
    answer = world.alice.maa("submit", "-m", "Wanted.", "--format", "json")
    assert answer.json["status"] == "approved"
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_tired_ran_everything_twice(world: World) -> None:
    """The second time is nothing to do, or says what is so; no second event, no second merge."""
    world.alice.change("update", {APP: NEW})
    for _ in range(2):
        world.alice.maa("submit", "-m", "Wanted.")
    for _ in range(2):
        world.bob.maa("approve", "update")
    for _ in range(2):
        world.alice.maa("complete", "update")
    tip = world.tip()
    for _ in range(2):
        world.bob.maa("merge", "update")
        world.bob.maa("archive")
    assert world.tip() == tip
    assert [event["action"] for event in world.dave.show("update").json["events"]] == ["submit", "approve", "complete"]


def test_tired_went_on_working_on_a_merged_branch(world: World) -> None:
    """The id is used up; renamed as the hint says, only what is new is asked for."""
    request = approved(world)
    world.bob.maa("merge", request)
    world.alice.commit({OTHER: app("Other")})
    error = world.alice.maa("submit", "-m", "More.", "--format", "json", code=3).error
    assert (error["code"], error["hint"]) == ("alreadyMerged", "git branch -m change/update-2")
    world.alice.git("branch", "-m", "change/update-2")
    answer = world.alice.maa("submit", "-m", "More.", "--format", "json").json
    assert answer["objects"] == [{"object": "app/other", "operation": "create"}]


def test_tired_edited_the_record_by_hand(world: World) -> None:
    """A record is signed bytes: the request is not approved any more, and the next submit puts that right."""
    request = approved(world)
    world.alice.git("pull", "-q", "--no-rebase", "origin", "change/update")
    path = world.alice.clone / record(request)
    path.write_text(path.read_text().replace("Wanted.", "Badly wanted."))
    world.alice.git("commit", "-q", "-a", "-m", "Better words")
    world.alice.git("push", "-q", "origin", "change/update")
    assert "brokenRecord" in world.bob.maa("check", request, "--format", "json", code=3).reasons
    answer = world.alice.maa("submit", "-m", "Badly wanted.")
    assert "dropped 2 broken lines at the end of the record" in answer.err
    assert [event["action"] for event in world.bob.show(request).json["events"]] == ["submit"]


def test_tired_works_in_a_copy_of_the_clone_that_is_old(world: World, tmp_path: Path) -> None:
    """An old clone fetches before it acts: nothing of what happened since is lost or forgotten."""
    request = approved(world)
    world.alice.maa("complete", request)
    later = world.dave
    assert later.git("rev-parse", "origin/main") != world.tip()
    assert later.maa("show", request, "--format", "json").json["merged"]["commit"] == world.tip()
    later.change("rules", {"groups/more.yaml": "displayName: More\nmembers: [bob]\n"})
    assert later.maa("submit", "-m", "Wanted.", "--format", "json", code=3).error["code"] == "missingRole"
