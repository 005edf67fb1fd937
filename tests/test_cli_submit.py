"""``maa submit``: ids and branches, what it takes in, what it refuses, and how it brings branches together."""

import pytest

from tests.support import APP, Forger, Person, World, app, stamp
from tests.support.process import run_at_terminal

OTHER = "resources/apps/other.yaml"
NEW = app(description="New.")
EXTRA = "assignments:\n  - intent: required\n    target: {group: All Staff}\n"


def record(request: str) -> str:
    """Where the record of a request of now lies."""
    return f"requests/{stamp()[:4]}/{request}.jsonl"


def refused(person: Person, *arguments: str, code: int = 3) -> tuple[str | None, str | None]:
    """Code and hint of a submit that is refused."""
    error = person.maa("submit", "-m", "Wanted.", *arguments, "--format", "json", code=code).error
    return error["code"], error["hint"]


def events(world: World, request: str) -> list[str]:
    """The actions of a record, as anybody sees them."""
    return [event["action"] for event in world.dave.show(request).json["events"]]


def moved_on(world: World, files: dict[str, str | bytes | None]) -> None:
    """Land a change of bob's on the protected branch."""
    request = world.bob.submitted("moved-on", files)
    world.carol.maa("approve", request)
    world.bob.maa("merge", request)


# --- branch and id ---------------------------------------------------------------------------------------------------


def test_the_id_is_the_branch_in_lower_case_with_dashes(world: World) -> None:
    """``change/Finance/Payroll_2`` is request ``finance-payroll_2``; commands take either name."""
    world.alice.submitted("Finance/Payroll_2", {APP: NEW})
    answer = world.bob.show("finance-payroll_2").json
    assert (answer["id"], answer["branch"]) == ("finance-payroll_2", "change/Finance/Payroll_2")
    assert world.bob.show("change/Finance/Payroll_2").json == answer
    listed = world.git(world.server, "ls-tree", "-r", "--name-only", "change/Finance/Payroll_2")
    assert record("finance-payroll_2") in listed.splitlines()


@pytest.mark.parametrize("branch", ["x" * 65, "with.dot", "naïve", "-dash", "a@b"])
def test_a_name_that_gives_no_id_is_refused(world: World, branch: str) -> None:
    """Longer than 64, or with other characters: the hint renames the branch."""
    world.alice.change(branch, {APP: NEW})
    assert refused(world.alice) == ("invalidName", "git branch -m change/<shorter-name>")
    assert world.git(world.server, "branch", "--list", "change/*") == ""


def test_a_name_of_64_characters_is_an_id(world: World) -> None:
    """The limit itself is allowed."""
    assert world.bob.show(world.alice.submitted("x" * 64, {APP: NEW})).json["id"] == "x" * 64


@pytest.mark.parametrize("where", ["main", "feature", "--detach"])
def test_it_wants_a_change_branch(world: World, where: str) -> None:
    """On the protected branch, on any other branch, or on none there is nothing to submit."""
    world.alice.git("switch", "-q", *(["-C"] if where == "feature" else []), where)
    assert refused(world.alice) == ("notOnChangeBranch", "git switch -c change/<name>")


def test_an_id_of_another_branch_is_refused(world: World) -> None:
    """Two branches would map to one id; the hint's name is free."""
    world.bob.submitted("up-date", {OTHER: app("Other")})
    world.alice.change("up/date", {APP: NEW})
    code, hint = refused(world.alice)
    assert (code, hint) == ("recordAltered", "git branch -m change/up-date-2")
    assert world.bob.show("up-date").json["requestor"] == "bob"
    world.alice.git("branch", "-m", "change/up-date-2")
    world.alice.maa("submit", "-m", "Wanted.")


def test_a_merged_id_is_refused(world: World) -> None:
    """An id is used once, over all years; the hint's name is free."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request)
    world.bob.maa("merge", request)
    world.alice.change("update", {APP: app(description="Newer.")})
    assert refused(world.alice) == ("alreadyMerged", "git branch -m change/update-2")
    world.alice.git("branch", "-m", "change/update-2")
    world.alice.maa("submit", "-m", "Wanted.")


def test_another_ones_record_is_not_gone_on_with(world: World) -> None:
    """Who opened the record goes on in it; anybody else takes another name."""
    world.bob.submitted("update", {OTHER: app("Other")})
    world.alice.git("fetch", "-q", "origin")
    world.alice.git("switch", "-q", "change/update")
    world.alice.commit({OTHER: app("Better")})
    assert refused(world.alice) == ("notRequestor", "git branch -m change/update-2")


# --- -a --------------------------------------------------------------------------------------------------------------


def test_a_takes_new_changed_and_deleted_files_of_the_tenant_only(world: World) -> None:
    """Resources are committed whatever git knows of them; other files are left as they were, staged or not."""
    alice = world.alice
    alice.change("update", {OTHER: app("Other"), "README.md": "Old.\n"})
    (alice.clone / APP).unlink()
    alice.write(OTHER, app("Another"))
    alice.write("resources/apps/finance/payroll.yaml", app("Payroll"))
    alice.write("README.md", "Being rewritten.\n")
    alice.write("notes.txt", "Staged.\n")
    alice.write("scratch.txt", "Not staged.\n")
    alice.git("add", "notes.txt")
    answer = alice.maa("submit", "-a", "-m", "Wanted.\n\nBadly.", "--format", "json")
    assert [(found["object"], found["operation"]) for found in answer.json["objects"]] == [
        ("app/company-portal", "delete"),
        ("app/finance/payroll", "create"),
        ("app/other", "create"),
    ]
    assert alice.git("status", "--short").splitlines() == [" M README.md", "A  notes.txt", "?? scratch.txt"]
    assert alice.git("log", "-1", "--format=%s", "HEAD~1") == "Wanted."
    assert alice.git("show", "--format=", "--name-only", "--no-renames", "HEAD~1").splitlines() == [
        APP,
        "resources/apps/finance/payroll.yaml",
        OTHER,
    ]


def test_a_takes_rules_in_too_from_any_folder(world: World) -> None:
    """Started below the top of the work tree it means the whole tenant."""
    world.alice.git("switch", "-q", "-c", "change/rules")
    world.alice.write("groups/more.yaml", "displayName: More\nmembers: [bob, carol, dave]\n")
    world.alice.write("schemas/own.schema.json", '{"type": "object"}\n')
    answer = world.alice.maa("-C", str(world.alice.clone / "resources" / "apps"), "submit", "-a", "-m", "Wanted.")
    assert "create accessPolicy/groups/more.yaml" in answer.out
    assert "create accessPolicy/schemas/own.schema.json" in answer.out
    assert answer.err == ""


def test_without_a_uncommitted_files_are_named_and_stay(world: World) -> None:
    """What is not committed is not sent, and that is said."""
    world.alice.change("update", {APP: NEW})
    world.alice.write(APP, app(description="Newer."))
    world.alice.write(OTHER, app("Other"))
    assert f"not sent, because not committed: {APP}, {OTHER}" in world.alice.maa("submit", "-m", "Wanted.").err
    assert world.read(APP, "change/update") == NEW
    assert world.alice.git("status", "--short").splitlines() == [f" M {APP}", f"?? {OTHER}"]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 1025])
def test_a_refused_justification_leaves_everything_uncommitted(world: World, text: str) -> None:
    """Wrong usage is found before ``-a`` commits anything."""
    world.alice.git("switch", "-q", "-c", "change/update")
    world.alice.write(APP, NEW)
    assert "the business justification is refused" in world.alice.maa("submit", "-a", "-m", text, code=2).err
    assert "a business justification is needed: -m TEXT" in world.alice.maa("submit", "-a", code=2).err
    assert world.alice.git("status", "--short") == f" M {APP}"


def test_a_commit_that_a_hook_refuses_is_4(world: World) -> None:
    """A pre-commit hook of the clone is heeded; nothing is sent."""
    hook = world.alice.clone / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no tabs please >&2\nexit 1\n")
    hook.chmod(0o700)
    world.alice.git("switch", "-q", "-c", "change/update")
    world.alice.write(APP, NEW)
    answer = world.alice.maa("submit", "-a", "-m", "Wanted.", code=4)
    assert "no tabs please" in answer.err
    assert world.git(world.server, "branch", "--list", "change/*") == ""


# --- the justification -----------------------------------------------------------------------------------------------


def editor(world: World, script: str) -> str:
    """A script for git to use as its editor."""
    file = world.folder / "editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o700)
    return str(file)


def test_at_a_terminal_gits_editor_asks_for_it(world: World) -> None:
    """Comment lines are left out; the template names what is changed."""
    world.alice.change("update", {APP: NEW})
    keep = world.folder / "template"
    script = f'cp "$1" "{keep}"\nprintf "# why\\n\\nVersion 11.2\\nfixes it.\\n# end\\n" > "$1"'
    answer = run_at_terminal(world.alice, "submit", GIT_EDITOR=editor(world, script))
    assert answer.code == 0, answer
    assert world.bob.show("update").json["requestJustification"] == "Version 11.2\nfixes it."
    assert "#   edit app/company-portal\n" in keep.read_text()


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("exit 0", 2, "the business justification is refused"),
        ("exit 1", 4, "ended with 1"),
        ('printf "\\377" > "$1"', 4, "left no text"),
    ],
)
def test_an_editor_that_leaves_nothing_stops_it(world: World, script: str, code: int, said: str) -> None:
    """Blank text is refused, a failing editor cannot be done without; nothing is sent."""
    world.alice.change("update", {APP: NEW})
    answer = run_at_terminal(world.alice, "submit", GIT_EDITOR=editor(world, script))
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert world.git(world.server, "branch", "--list", "change/*") == ""


# --- what it refuses, and what it need not do ------------------------------------------------------------------------


def test_nothing_protected_is_refused(world: World) -> None:
    """Other files need no approval: merge it as usual."""
    world.alice.change("notes", {"notes.txt": "x\n"})
    assert refused(world.alice) == ("nothingProtected", "merge it as usual")
    world.alice.git("switch", "-q", "-C", "change/empty", "origin/main")
    assert refused(world.alice) == ("nothingProtected", "merge it as usual")


def test_whoever_forgot_to_commit_is_told_of_a(world: World) -> None:
    """Where nothing is changed on the branch, but something in the work tree, the hint is not to merge."""
    world.alice.git("switch", "-q", "-C", "change/empty", "origin/main")
    world.alice.write(APP, app(description="Newer."))
    assert refused(world.alice) == ("nothingProtected", "maa submit -a -m TEXT")


def test_of_many_uncommitted_files_some_are_named(world: World) -> None:
    """After an import there are a thousand of them."""
    world.alice.git("switch", "-q", "-C", "change/many", "origin/main")
    for number in range(12):
        world.alice.write(f"resources/apps/many-{number:02}.yaml", app(f"Many {number}"))
    said = world.alice.maa("submit", "-m", "Wanted.", code=3).err
    assert "resources/apps/many-09.yaml and 2 more (maa submit -a takes them in)" in said


def test_a_broken_document_is_refused(world: World) -> None:
    """What could never be approved is not sent; the hint finds every problem."""
    world.alice.change("update", {APP: "type: winGetApp\n"})
    assert refused(world.alice) == ("invalidDocument", "maa validate")


def test_rules_and_resources_in_one_request_are_refused(world: World) -> None:
    """The rules first, then what they rule."""
    world.alice.change("both", {APP: NEW, "groups/more.yaml": "displayName: More\nmembers: [bob]\n"})
    assert refused(world.alice)[0] == "mixedRequest"


def test_on_a_tip_that_is_not_good_it_is_refused(world: World) -> None:
    """Nothing is built on what was not approved."""
    world.bob.commit({OTHER: app("Sneaked in")})
    world.bob.git("push", "-q", "origin", "main")
    world.alice.change("update", {APP: NEW})
    assert refused(world.alice) == ("unapprovedChange", "maa verify")


def test_the_same_content_in_an_open_round_is_nothing_to_do(world: World) -> None:
    """Exit code 0, no new event, the approval stands; also from a branch that only gained what is not protected."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request)
    before = world.tip("change/update")
    answer = world.alice.maa("submit", "-m", "Once more.")
    assert answer.err == "nothing to do: exactly this change is submitted already\n"
    assert "Request update: Approved" in answer.out
    assert (events(world, request), world.tip("change/update")) == (["submit", "approve"], before)


def test_other_content_starts_a_new_round(world: World) -> None:
    """The earlier approval is void."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request)
    world.alice.git("pull", "-q", "origin", "change/update")
    world.alice.commit({APP: app(description="Newer.")})
    assert world.alice.maa("submit", "-m", "Edited.", "--format", "json").json["status"] == "needsApproval"
    assert events(world, request) == ["submit", "approve", "submit"]


def test_it_ends_with_who_can_approve_and_how(world: World) -> None:
    """The last words are for the person to send to the approvers."""
    world.alice.change("update", {APP: NEW})
    last = world.alice.maa("submit", "-m", "Wanted.").out.splitlines()[-3:]
    assert last == [
        "Who can approve it, with: maa approve update",
        "  Bob (bob) <bob@contoso.com>",
        "  Carol (carol) <carol@contoso.com>",
    ]


def test_a_dry_run_signs_and_sends_nothing(world: World) -> None:
    """It says what submit would come to, refusals included."""
    world.alice.change("update", {APP: NEW})
    answer = world.alice.maa("submit", "--dry-run")
    assert answer.err == "dry run: nothing was signed or pushed\n"
    assert "can approve: Bob (bob) <bob@contoso.com>, Carol (carol) <carol@contoso.com>" in answer.out
    assert world.git(world.server, "branch", "--list", "change/*") == ""
    world.alice.change("notes", {"notes.txt": "x\n"})
    assert world.alice.maa("submit", "--dry-run", "--format", "json", code=3).error["code"] == "nothingProtected"


# --- a branch that was rewritten -------------------------------------------------------------------------------------


def test_a_rewritten_branch_is_joined_never_forced(world: World) -> None:
    """An amended branch keeps its own files and takes the remote's record; the remote tip stays an ancestor."""
    world.git(world.server, "config", "receive.denyNonFastForwards", "true")
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request)
    before = world.tip("change/update")
    world.alice.git("reset", "-q", "--hard", "HEAD~1")
    world.alice.write(APP, app(description="Amended."))
    world.alice.git("commit", "-q", "-a", "--amend", "--no-edit")
    amended = world.alice.git("rev-parse", "HEAD")
    assert world.alice.maa("submit", "-m", "Amended.", "--format", "json").json["status"] == "needsApproval"
    assert events(world, request) == ["submit", "approve", "submit"]
    assert world.read(APP, "change/update") == app(description="Amended.")
    for commit in (before, amended):
        world.alice.git("merge-base", "--is-ancestor", commit, world.tip("change/update"))
    assert world.alice.git("status", "--short") == ""


def test_a_rewritten_branch_with_the_same_content_is_joined_without_a_new_round(world: World) -> None:
    """Only the message was amended: nothing is signed, and the approval stands."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request)
    world.alice.git("reset", "-q", "--hard", "HEAD~1")
    world.alice.git("commit", "-q", "--amend", "-m", "Better words")
    answer = world.alice.maa("submit", "-m", "Wanted.", "--format", "json")
    assert answer.err == "nothing to do: exactly this change is submitted already\n"
    assert (answer.json["status"], events(world, request)) == ("approved", ["submit", "approve"])
    assert "Better words" in world.git(world.server, "log", "--format=%s", "change/update")


def test_records_that_went_apart_are_refused(world: World, forger: Forger) -> None:
    """Where neither record extends the other, the person has to choose."""
    request = world.alice.submitted("update", {APP: NEW})
    world.alice.git("reset", "-q", "--hard", "HEAD~1")
    fields = forger.submit_fields("alice", request, [forger.change(APP, app(), NEW)], justification="Other.")
    world.alice.commit({record(request): forger.record(forger.line(world.alice.key, fields))})
    code, hint = refused(world.alice)
    assert code == "recordAltered"
    assert hint == "git checkout origin/change/update -- requests, commit, then submit again"


# --- a branch that is behind -----------------------------------------------------------------------------------------


def behind(world: World) -> str:
    """A branch of alice's whose app bob has changed elsewhere in the file; returns alice's commit."""
    commit = world.alice.change("update", {APP: NEW})
    moved_on(world, {APP: app(extra=EXTRA)})
    return commit


def test_an_outdated_branch_is_refused_where_nobody_can_be_asked(world: World) -> None:
    """The hint is the merge; the branch is left alone."""
    commit = behind(world)
    assert refused(world.alice) == ("outdated", "git merge origin/main, then submit again")
    assert world.alice.git("rev-parse", "HEAD") == commit


@pytest.mark.parametrize("answer", ["y", "n"])
def test_at_a_terminal_the_merge_is_offered(world: World, answer: str) -> None:
    """Yes merges and goes on; no is 3, and nothing is done."""
    commit = behind(world)
    done = run_at_terminal(world.alice, "submit", "-m", "Wanted.", typed=[answer])
    assert "main has moved on; merge it into change/update? [y/N]" in done.err
    if answer == "n":
        assert (done.code, world.alice.git("rev-parse", "HEAD")) == (3, commit)
        assert "change/update" not in world.git(world.server, "branch", "--list")
    else:
        assert done.code == 0, done
        assert world.read(APP, "change/update") == app(description="New.", extra=EXTRA)
        changed = world.bob.maa("diff", "update", "--format", "json").json["changes"]
        assert "description: New." in changed[0]["text"]


def test_y_merges_and_resolves_the_record_to_the_longer_one(world: World) -> None:
    """A rejection that reached the protected branch stays in the record; the files merge as git merges them."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("reject", request, "-m", "No.")
    moved_on(world, {APP: app(extra=EXTRA)})
    world.alice.commit({APP: app(description="Better.")})
    answer = world.alice.maa("submit", "-y", "-m", "Better.", "--format", "json")
    assert answer.json["status"] == "needsApproval"
    assert events(world, request) == ["submit", "reject", "submit"]
    assert world.read(APP, "change/update") == app(description="Better.", extra=EXTRA)
    assert world.alice.git("status", "--short") == ""
    world.carol.maa("approve", request)
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_other_conflicts_are_the_persons_and_leave_the_branch_as_it_was(world: World) -> None:
    """The message names the paths, the hint the merge; no merge is left half done."""
    commit = world.alice.change("update", {APP: NEW})
    moved_on(world, {APP: app(description="Theirs.")})
    error = world.alice.maa("submit", "-y", "-m", "Wanted.", "--format", "json", code=3).error
    assert (error["code"], error["hint"]) == (
        "outdated",
        "git merge origin/main, settle it, commit, then submit again",
    )
    assert APP in error["message"]
    assert (world.alice.git("rev-parse", "HEAD"), world.alice.git("status", "--short")) == (commit, "")
    assert not (world.alice.clone / ".git" / "MERGE_HEAD").exists()
    world.alice.git("merge", "-q", "origin/main", check=False)
    world.alice.commit({APP: app(description="Both.")})
    world.alice.maa("submit", "-m", "Settled.")


def test_uncommitted_work_in_the_way_of_the_merge_is_kept(world: World) -> None:
    """Git refuses such a merge, and so nothing happens."""
    commit = behind(world)
    mine = app(description="New.", extra="isFeatured: true\n")
    world.alice.write(APP, mine)
    answer = world.alice.maa("submit", "-y", "-m", "Wanted.", code=4)
    assert "git merge failed" in answer.err
    assert (world.alice.git("rev-parse", "HEAD"), (world.alice.clone / APP).read_text()) == (commit, mine)


def test_a_branch_that_is_behind_elsewhere_needs_no_merge(world: World) -> None:
    """Other objects may move on: whole files are compared, not commits."""
    world.alice.change("update", {APP: NEW})
    moved_on(world, {OTHER: app("Other")})
    assert world.alice.maa("submit", "-m", "Wanted.", "--format", "json").json["status"] == "needsApproval"
