"""Everything without a remote: branches move here, together with index and files, or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import APP, World, app, settings, stamp
from tests.support.world import run_maa

OTHER = "resources/apps/other.yaml"
NEW = app(description="New.")


@pytest.fixture
def local(world: World) -> World:
    """Everybody works in one clone that has no remote; main is checked out."""
    world.alice.git("remote", "remove", "origin")
    for name, person in world.people.items():
        world.people[name] = replace(person, clone=world.alice.clone)
    return world


def record(request: str) -> str:
    """Where the record of a request of now lies."""
    return f"requests/{stamp()[:4]}/{request}.jsonl"


def change(world: World, branch: str, files: dict[str, str | bytes | None]) -> None:
    """Commit files on a fresh change branch from main, which is checked out afterwards."""
    world.alice.git("switch", "-q", "-C", f"change/{branch}", "main")
    world.alice.commit(files)


def submitted(world: World, branch: str = "update", files: dict[str, str | bytes | None] | None = None) -> str:
    """A request of alice's that waits; main is checked out afterwards."""
    change(world, branch, files or {APP: NEW})
    world.alice.maa("submit", "-m", "Wanted.")
    world.alice.git("switch", "-q", "main")
    return branch


def approved(world: World, branch: str = "update", files: dict[str, str | bytes | None] | None = None) -> str:
    """The same, approved by bob."""
    world.bob.maa("approve", submitted(world, branch, files))
    return branch


def refs(world: World) -> dict[str, str]:
    """Every branch of the clone and its commit."""
    listed = world.alice.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
    return dict(line.split() for line in listed.splitlines())


def status(world: World) -> list[str]:
    """What git says of index and files."""
    return world.alice.git("status", "--short", "--untracked-files=all").splitlines()


def text(world: World, path: str) -> str:
    """A file of the work tree."""
    return (world.alice.clone / path).read_text()


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_a_request_goes_all_the_way_without_a_remote(local: World) -> None:
    """Submit, approve, complete, revert: nothing is fetched or pushed, and history is good."""
    request = approved(local)
    answer = local.alice.maa("complete", request)
    assert answer.out.startswith("Request update: Completed\n")
    assert sorted(refs(local)) == ["maa/applied/local", "main"]
    assert (text(local, APP), status(local)) == (NEW, [])
    assert local.dave.maa("verify", "--format", "json").json["good"] is True
    assert "no drift" in local.dave.maa("drift").out
    assert [row["action"] for row in local.dave.maa("audit", "--format", "json").json["entries"]] == [
        "bootstrap",
        "submit",
        "approve",
        "complete",
        "apply",
    ]
    branch = local.alice.maa("revert", request, "--format", "json").json["branch"]
    local.alice.git("switch", "-q", branch)
    local.alice.maa("submit", "-m", "Put back.")
    local.bob.maa("approve", "revert-update")
    local.alice.git("switch", "-q", "main")
    local.alice.maa("complete", "revert-update")
    assert text(local, APP) == app()


def test_from_an_empty_repository_to_the_first_request(world: World, tmp_path: Path) -> None:
    """``init`` pins branch and start in its clone; what it says to do next works."""
    folder = tmp_path / "new"
    world.git(tmp_path, "init", "-q", "-b", "trunk", str(folder))
    people = [replace(person, clone=folder) for person in (world.alice, world.bob, world.carol)]
    accounts = [part for person in people for part in ("--account", f"{person.name}={person.key}.pub")]
    alice, bob, _ = people
    answer = alice.maa("init", "--tenant", "contoso", "--admin", "alice", "--admin", "bob", *accounts)
    commit = alice.git("rev-parse", "HEAD")
    assert f"git config maa.trustedStart {commit}" in answer.out
    assert (alice.git("config", "maa.protectedBranch"), alice.git("config", "maa.trustedStart")) == ("trunk", commit)
    assert alice.git("status", "--short") == ""
    alice.git("switch", "-q", "-c", "change/first")
    alice.write(APP, app())
    alice.maa("submit", "-a", "-m", "The first app.")
    bob.maa("approve", "first")
    alice.git("switch", "-q", "trunk")
    assert alice.maa("complete", "first", "--format", "json").json["status"] == "completed"


def test_init_with_the_callers_own_key_says_what_to_do_next(world: World, tmp_path: Path) -> None:
    """One account, of git's name and address; nobody could approve yet, so there is no access policy."""
    folder = tmp_path / "alone"
    world.git(tmp_path, "init", "-q", "-b", "main", str(folder))
    world.git(folder, "config", "user.name", "Alice Nguyen")
    world.git(folder, "config", "user.email", "alice@contoso.com")
    alice = replace(world.alice, clone=folder)
    answer = alice.maa("init", "--tenant", "contoso", "--format", "json").json
    assert "accounts/alice.yaml" in answer["files"]
    assert [path for path in answer["files"] if path.startswith("policies/")] == []
    assert answer["notes"][0].startswith("no access policy is written, since nobody could satisfy it")
    assert answer["notes"][1].startswith(
        "add a second account: git switch -c change/second-account, maa init --account"
    )
    assert alice.maa("validate").err == "no problems\n"
    assert [path.name for path in (folder / "accounts").iterdir()] == ["alice.yaml"]
    assert "userPrincipalName: alice@contoso.com\n" in (folder / "accounts" / "alice.yaml").read_text()


def test_init_again_adds_what_is_missing_and_leaves_committing_to_submit(world: World) -> None:
    """On a change branch, like any change to the rules; on the protected branch it is refused. Nothing is pushed."""
    _, public = world.key("erin")
    file = world.folder / "erin.pub"
    file.write_text(f"{public} erin@contoso.com\n")
    more = ("init", "--account", f"erin={file}")
    assert world.alice.maa(*more, "--format", "json", code=3).error["code"] == "notOnChangeBranch"
    before = world.git(world.server, "for-each-ref")
    world.alice.git("switch", "-q", "-c", "change/erin")
    answer = world.alice.maa(*more, "--format", "json").json
    assert (answer["branch"], answer["commit"]) == ("change/erin", None)
    assert {"accounts/erin.yaml", "groups/approvers.yaml"} <= set(answer["files"])
    assert world.git(world.server, "for-each-ref") == before
    assert world.alice.maa("submit", "-a", "-m", "Erin joins.", "--format", "json").json["status"] == "needsApproval"


@pytest.mark.parametrize(
    "arguments",
    [("--account", "alice"), ("--account", "=x.pub"), ("--account", "alice=nothing.pub"), ("--account", "alice=.")],
)
def test_init_with_an_account_that_cannot_be_read_is_wrong_usage(
    world: World, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """``--account`` takes a name and a file that is there."""
    world.git(tmp_path, "init", "-q", "-b", "main", str(tmp_path / "new"))
    alice = replace(world.alice, clone=tmp_path / "new")
    assert "Error: " in alice.maa("init", "--tenant", "contoso", *arguments, code=2).err


def test_init_refuses_a_repository_whose_files_are_in_the_way(world: World, tmp_path: Path) -> None:
    """With a list of them; nothing is written."""
    folder = tmp_path / "taken"
    world.git(tmp_path, "init", "-q", "-b", "main", str(folder))
    alice = replace(world.alice, clone=folder)
    alice.commit({"Policies/x.yaml": "mine\n", "requests": "mine\n"})
    answer = alice.maa("init", "--tenant", "contoso", "--account", f"alice={alice.key}.pub", code=3)
    assert [line.partition(":")[0] for line in answer.out.splitlines()] == ["Policies", "requests"]
    assert alice.git("status", "--short") == ""
    assert alice.git("config", "maa.protectedBranch", check=False) == ""


# --- which branch is protected ---------------------------------------------------------------------------------------


def test_without_remote_and_setting_it_cannot_be_told(local: World) -> None:
    """Exit code 4, and the hint is the setting."""
    local.alice.git("config", "--unset", "maa.protectedBranch")
    error = local.alice.maa("requests", "--format", "json", code=4).error
    assert error["code"] == "noProtectedBranch"
    assert error["hint"].startswith("git config maa.protectedBranch main")


@pytest.mark.parametrize("known", [True, False])
def test_the_remotes_head_names_it_where_no_setting_does(world: World, known: bool) -> None:
    """As the clone remembers it, else as the remote says when asked."""
    world.bob.git("config", "--unset", "maa.protectedBranch")
    world.bob.git("remote", "set-head", "origin", *(["main"] if known else ["--delete"]))
    assert world.bob.maa("verify", "--format", "json").json["to"] == world.tip()


def test_the_setting_wins_over_the_remotes_head(world: World) -> None:
    """Whoever can move the server's HEAD does not choose what is protected here."""
    world.alice.git("push", "-q", "origin", "main:evil")
    world.git(world.server, "symbolic-ref", "HEAD", "refs/heads/evil")
    world.bob.git("fetch", "-q", "origin")
    world.bob.git("remote", "set-head", "origin", "evil")
    assert world.bob.maa("verify", "--format", "json").json["to"] == world.tip("main")
    world.bob.git("config", "--unset", "maa.protectedBranch")
    error = world.bob.maa("requests", "--format", "json", code=4).error
    assert (error["code"], error["hint"]) == (
        "noProtectedBranch",
        "git config maa.protectedBranch main, if maa.yaml is right",
    )


def test_a_setting_that_names_no_branch_is_4(local: World) -> None:
    """What is protected must be there."""
    local.alice.git("config", "maa.protectedBranch", "trunk")
    assert "there is no branch 'trunk' here" in local.alice.maa("requests", code=4).err


def test_a_setting_that_maa_yaml_contradicts_is_4(local: World) -> None:
    """The clone says one branch, the rules on it another: nobody may choose."""
    local.alice.git("branch", "trunk", "main")
    local.alice.git("config", "maa.protectedBranch", "trunk")
    assert local.alice.maa("check", "x", "--format", "json", code=4).error["code"] == "noProtectedBranch"


def test_h11_a_change_branch_does_not_name_the_protected_branch(local: World) -> None:
    """``maa.yaml`` of the branch that is checked out is not asked."""
    change(local, "evil", {"maa.yaml": settings().replace("main", "change/evil")})
    error = local.alice.maa("submit", "-m", "Wanted.", "--format", "json", code=3).error
    assert error["code"] == "invalidDocument"
    assert local.alice.maa("verify", "--format", "json").json["to"] == refs(local)["main"]


# --- a branch that is checked out ------------------------------------------------------------------------------------


def test_a_checked_out_change_branch_moves_with_index_and_files(local: World) -> None:
    """Submit and approve add to the record, and the work tree is clean afterwards."""
    change(local, "update", {APP: NEW})
    local.alice.maa("submit", "-m", "Wanted.")
    assert (status(local), text(local, record("update")).count("\n")) == ([], 1)
    local.bob.maa("approve", "update")
    assert (status(local), text(local, record("update")).count("\n")) == ([], 2)
    assert local.alice.git("rev-parse", "HEAD") == refs(local)["change/update"]


def test_a_checked_out_protected_branch_moves_with_index_and_files(local: World) -> None:
    """Files come, change and go, as if main had been checked out anew."""
    request = approved(local, "update", {APP: None, OTHER: app("Other"), "maa.txt": "x\n"})
    local.alice.maa("merge", request)
    assert status(local) == []
    assert not (local.alice.clone / APP).exists()
    assert text(local, OTHER) == app("Other")
    assert text(local, record(request)).count("\n") == 3


def test_a_veto_moves_both_branches(local: World) -> None:
    """The record of a rejection is on main, and in main's files, at once."""
    request = submitted(local)
    local.bob.maa("reject", request, "-m", "No.")
    assert (status(local), text(local, record(request)).count("\n")) == ([], 2)
    assert local.alice.git("show", f"change/update:{record(request)}") + "\n" == text(local, record(request))


@pytest.mark.parametrize("dirt", ["changed", "staged", "deleted", "untracked", "ignored", "folder"])
def test_uncommitted_work_in_the_way_refuses_the_act_before_it(local: World, dirt: str) -> None:
    """Exit code 4, naming the path; no branch, no file and no index entry has changed."""
    request = approved(local, "update", {APP: NEW, OTHER: app("Other")})
    alice = local.alice
    place = APP if dirt in ("changed", "staged", "deleted") else OTHER
    if dirt == "deleted":
        (alice.clone / APP).unlink()
    else:
        alice.write(place + ("/inside.txt" if dirt == "folder" else ""), "mine\n")
    if dirt == "staged":
        alice.git("add", APP)
    if dirt == "ignored":
        alice.write(".git/info/exclude", OTHER + "\n")
    before = (refs(local), status(local), alice.git("ls-files", "--stage"))
    error = alice.maa("merge", request, "--format", "json", code=4).error
    assert (error["code"], error["hint"]) == ("dirtyWorkTree", "commit or stash them, then try again")
    assert place in error["message"]
    assert (refs(local), status(local), alice.git("ls-files", "--stage")) == before
    if dirt not in ("deleted", "folder"):
        assert text(local, place) == "mine\n"
    assert local.dave.show(request).json["status"] == "approved"


def test_a_veto_is_refused_too_if_its_record_is_in_the_way(local: World) -> None:
    """An untracked file where the record would go: nothing moves, not even the change branch."""
    request = submitted(local)
    local.alice.write(record(request), "mine\n")
    before = refs(local)
    assert local.bob.maa("reject", request, "-m", "No.", "--format", "json", code=4).error["code"] == "dirtyWorkTree"
    assert (refs(local), text(local, record(request))) == (before, "mine\n")


def test_unrelated_uncommitted_work_survives_every_act(local: World) -> None:
    """Changed, staged, deleted and untracked files elsewhere are as they were, and in no commit."""
    alice = local.alice
    alice.commit({"a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n"})
    change(local, "update", {APP: NEW})
    alice.write("a.txt", "mine\n")
    alice.write("b.txt", "staged\n")
    alice.git("add", "b.txt")
    (alice.clone / "c.txt").unlink()
    alice.write("d.txt", "untracked\n")
    dirt = [" M a.txt", "M  b.txt", " D c.txt", "?? d.txt"]
    alice.maa("submit", "-m", "Wanted.")
    assert status(local) == dirt
    for person, arguments in (
        (local.bob, ("approve", "update")),
        (local.bob, ("withdraw", "update")),
        (local.bob, ("reject", "update", "-m", "No.")),
        (alice, ("submit", "-m", "Please.")),
        (local.carol, ("approve", "update")),
    ):
        person.maa(*arguments)
        assert status(local) == dirt
    alice.git("switch", "-q", "main")
    alice.maa("complete", "update")
    assert status(local) == dirt
    assert (text(local, "a.txt"), text(local, "b.txt"), text(local, "d.txt")) == ("mine\n", "staged\n", "untracked\n")
    assert (text(local, APP), alice.git("show", "main:a.txt")) == (NEW, "a")


def test_a_checked_out_change_branch_is_never_deleted(local: World) -> None:
    """Merging says so and leaves it; ``archive`` takes it once it is left."""
    request = approved(local)
    local.alice.git("switch", "-q", "change/update")
    before = refs(local)["change/update"]
    answer = local.alice.maa("merge", request)
    assert answer.err == "branch change/update is checked out, so it stays; delete it when you have left it\n"
    assert (refs(local)["change/update"], local.alice.git("symbolic-ref", "--short", "HEAD")) == (
        before,
        "change/update",
    )
    assert status(local) == []
    local.alice.maa("archive")
    assert "change/update" in refs(local)
    local.alice.git("switch", "-q", "main")
    assert local.alice.maa("archive").out == "update\tdeleted\tchange/update\tit has landed\n"
    assert "change/update" not in refs(local)


def test_branches_in_other_work_trees_are_checked_out_too(local: World) -> None:
    """They move with their files, are refused if dirty, and are not deleted."""
    linked = local.folder / "linked"
    request = approved(local)
    local.alice.git("worktree", "add", "-q", str(linked), "change/update")
    local.carol.maa("approve", request)
    assert local.git(linked, "status", "--short") == ""
    assert (linked / record(request)).read_text().count("\n") == 3
    (linked / record(request)).write_text("mine\n")
    error = local.bob.maa("withdraw", request, "--format", "json", code=4).error
    assert str(linked) in error["message"]
    local.git(linked, "restore", ".")
    elsewhere = replace(local.bob, clone=linked)
    answer = elsewhere.maa("merge", request)
    assert "branch change/update is checked out, so it stays" in answer.err
    assert (text(local, APP), status(local)) == (NEW, [])


def test_on_a_detached_head_only_branches_move(local: World) -> None:
    """The work tree is nobody's branch then, and stays as it is."""
    request = approved(local)
    local.alice.git("switch", "-q", "--detach", "main")
    local.alice.write(APP, "mine\n")
    local.alice.maa("merge", request)
    assert (text(local, APP), status(local)) == ("mine\n", [f" M {APP}"])
    assert local.alice.git("show", f"main:{APP}") + "\n" == NEW


def test_an_outdated_branch_is_merged_from_main_itself(local: World) -> None:
    """The hint and the merge name the local branch."""
    change(local, "update", {APP: NEW})
    assignments = "assignments:\n  - intent: required\n    target: {group: All Staff}\n"
    local.alice.maa("merge", approved(local, "first", {APP: app(extra=assignments)}))
    local.alice.git("switch", "-q", "change/update")
    error = local.alice.maa("submit", "-m", "Wanted.", "--format", "json", code=3).error
    assert (error["code"], error["hint"]) == ("outdated", "git merge main, then submit again")
    local.alice.maa("submit", "-y", "-m", "Wanted.")
    assert (text(local, APP), status(local)) == (app(description="New.", extra=assignments), [])


def test_a_bare_repository_can_be_asked_and_acted_in(world: World) -> None:
    """On the server itself there is no work tree: the gate, history and an approval need none."""
    request = world.alice.submitted("update", {APP: NEW})
    world.git(world.server, "config", "maa.protectedBranch", "main")
    bob = replace(world.bob, clone=world.server)
    assert bob.maa("check", request, "--format", "json", code=3).reasons == ["needsApprovals"]
    bob.maa("approve", request)
    bob.maa("merge", request)
    assert bob.maa("verify", "--format", "json").json["good"] is True
    assert world.read(APP) == NEW
    assert bob.maa("validate", "--commit", "main", "resources").err == "no problems\n"
    assert "--commit REV" in bob.maa("validate", code=4).err


def test_a_folder_that_is_no_repository_is_4(tmp_path: Path) -> None:
    """The hint begins one."""
    answer = run_maa("-C", str(tmp_path), "submit", "-m", "x")
    assert (answer.code, "git init -b main" in answer.err) == (4, True)


def test_a_branch_that_another_process_is_moving_is_not_forced(local: World) -> None:
    """Exit code 4, nothing has moved, and the next try does it."""
    request = approved(local)
    before = refs(local)["main"]
    lock = local.alice.clone / ".git" / "refs" / "heads" / "main.lock"
    lock.touch()
    answer = local.alice.maa("merge", request, "--format", "json", code=4)
    assert answer.error["code"] == "lostRace"
    lock.unlink()
    assert refs(local)["main"] == before
    local.alice.maa("merge", request)
