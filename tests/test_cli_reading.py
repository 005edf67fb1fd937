"""Commands that only read: lists, the gate, documents, what covers what, history, targets."""

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import APP, Forger, Person, World, access_policy, app, settings, stamp
from tests.support.forgery import Forgery

OTHER = "resources/apps/other.yaml"
NEW = app(description="New.")
ROLES = "intuneServiceAdministrator, deployer"


def refused(person: Person, *arguments: str, code: int = 3) -> tuple[str | None, str | None]:
    """Code and hint of what is refused."""
    error = person.maa(*arguments, "--format", "json", code=code).error
    return error["code"], error["hint"]


def codes(person: Person, *arguments: str, code: int = 0) -> list[tuple[str, str]]:
    """Path and code of every problem that ``validate`` finds."""
    answer = person.maa("validate", *arguments, "--format", "json", code=code)
    return [(found["path"], found["code"]) for found in answer.json["problems"]]


# --- overview and lists ----------------------------------------------------------------------------------------------


def test_without_a_command_it_says_what_waits_and_what_became_of_yours(world: World) -> None:
    """With the commands to run; other people's requests that need nothing of the caller are not there."""
    assert world.dave.maa().out.splitlines()[1].startswith("Nothing waits. To change something: git switch -c change/")
    world.alice.submitted("update", {APP: NEW})
    world.bob.submitted("other", {OTHER: app("Other")})
    world.carol.maa("approve", "other")
    shown = world.bob.maa().out
    assert "Waits for you (maa show ID, then maa approve ID or maa reject ID -m NOTES)\nupdate\t" in shown
    assert "Yours (maa show ID)\nother\tApproved" in shown
    assert "Approved (maa complete ID)\nother\t" in world.dave.maa().out
    assert "update" not in world.dave.maa().out


def test_a_bad_tip_is_told_first(world: World) -> None:
    """Whoever looks sees that something landed that was not approved."""
    world.alice.commit({APP: NEW})
    world.alice.git("push", "-q", "origin", "main")
    assert "The tip of main is not good: maa verify" in world.bob.maa().out


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize(("ended", "listed"), [(29, ["forged"]), (31, [])])
def test_lists_hold_what_ended_within_30_days(
    world: World, forger: Forger, ended: int, listed: list[str], landed: bool
) -> None:
    """Wherever the record is: on the change branch, or only on the protected branch."""
    at = {"at": stamp(timedelta(days=-ended))}
    forged = Forgery(forger).submit(world.alice, **at).event("cancel", world.alice, **at)
    if landed:
        forger.push(forger.commit([world.tip()], {forged.path: forger.record(*forged.lines)}))
    else:
        forged.push()
    found = world.dave.maa("requests", "--format", "json").json["requests"]
    assert [request["id"] for request in found] == listed


def test_a_named_request_needs_no_name_on_its_branch(world: World) -> None:
    """``show``, ``diff`` and ``check`` without ID mean the branch that is checked out."""
    world.alice.submitted("update", {APP: NEW})
    assert world.alice.maa("show").out.startswith("Request update: ")
    assert "+description: New." in world.alice.maa("diff").out
    assert world.alice.maa("check", "--format", "json", code=3).json["id"] == "update"
    for command in ("show", "diff", "check"):
        assert refused(world.bob, command) == ("noOpenRequest", "maa requests")


def test_show_ends_with_the_commands_that_are_open(world: World) -> None:
    """For the approver, for the requestor, for somebody who can do nothing, and after the merge."""
    request = world.alice.submitted("update", {APP: NEW})

    def last(person: Person, number: int) -> list[str]:
        return person.maa("show", request).out.splitlines()[-number:]

    assert last(world.bob, 3) == ["Next", "  maa approve update [-m NOTES]", "  maa reject update -m NOTES"]
    assert last(world.alice, 3) == ["Next", "  maa cancel update", "  maa submit, on its branch, after a change"]
    assert last(world.dave, 1) == ["Nothing here is for you to do."]
    world.bob.maa("approve", request)
    assert last(world.dave, 2) == ["Next", "  maa complete update"]
    world.dave.maa("merge", request)
    assert last(world.dave, 3) == ["Next", "  maa apply", "  maa revert update"]


# --- the gate --------------------------------------------------------------------------------------------------------


def test_check_is_0_when_it_may_be_merged_and_3_otherwise(world: World) -> None:
    """Not submitted, waiting, approved, merged."""
    world.alice.change("update", {APP: NEW})
    world.alice.git("push", "-q", "origin", "change/update")
    assert world.dave.maa("check", "update", "--format", "json", code=3).reasons == ["notSubmitted"]
    world.alice.maa("submit", "-m", "Wanted.")
    assert world.dave.maa("check", "update", "--format", "json", code=3).reasons == ["needsApprovals"]
    world.bob.maa("approve", "update")
    assert world.dave.maa("check", "update", "--format", "json").reasons == ["awaitingCompletion"]
    world.bob.maa("merge", "update")
    world.dave.maa("check", "update")


def test_check_in_a_fresh_clone_on_a_detached_head(world: World) -> None:
    """As CI does it: no configuration, no branch, no key; the commit says which request is meant."""
    request = world.alice.submitted("update", {APP: NEW})
    runner = world.folder / "runner"
    world.git(world.folder, "clone", "-q", str(world.server), str(runner))
    world.git(runner, "switch", "-q", "--detach", "origin/change/update")
    ci = Person("nobody", world.folder / "no-key", "", runner, world)
    head = world.git(runner, "rev-parse", "HEAD")
    answer = ci.maa("check", "--head", head, "--format", "json", code=3)
    assert (answer.json["id"], answer.reasons) == (request, ["needsApprovals"])
    world.bob.maa("approve", request)
    world.git(runner, "fetch", "-q", "origin")
    approved = world.git(runner, "rev-parse", "origin/change/update")
    assert ci.maa("check", "--head", approved, "--format", "json").json["status"] == "approved"
    assert ci.maa("check", request, "--head", approved, "--format", "json").json["status"] == "approved"


def test_check_of_an_older_head_is_judged_as_that_commit(world: World) -> None:
    """What is not the branch's head any more has no approval of the newer content."""
    request = world.alice.submitted("update", {APP: NEW})
    old = world.tip("change/update")
    world.alice.commit({APP: app(description="Newer.")})
    world.alice.maa("submit", "-m", "Newer.")
    world.bob.maa("approve", request)
    world.dave.git("fetch", "-q", "origin")
    assert world.dave.maa("check", request, "--head", old, "--format", "json", code=3).json["status"] == "needsApproval"


def test_check_of_a_commit_of_no_request(world: World) -> None:
    """Something protected: not submitted, 3; nothing protected: 0 without status; no such commit: 4."""
    loose = world.alice.change("loose", {APP: NEW})
    assert world.alice.maa("check", "--head", loose, "--format", "json", code=3).reasons == ["notSubmitted"]
    notes = world.alice.change("notes", {"notes.txt": "x\n"})
    answer = world.alice.maa("check", "--head", notes, "--format", "json")
    assert (answer.json["status"], answer.reasons) == (None, ["nothingProtected"])
    assert world.alice.maa("check", "--head", notes).out == "nothing protected changes: merge it as usual\n"
    assert refused(world.alice, "check", "--head", "f" * 40, code=4)[1] == "git fetch"


def test_check_of_what_goes_on_after_the_merge_is_3(world: World) -> None:
    """A branch that was merged and then got more commits would land something that nobody approved."""
    request = world.alice.submitted("update", {APP: NEW})
    world.bob.maa("approve", request)
    head = world.tip("change/update")
    world.bob.maa("merge", request)
    world.dave.git("fetch", "-q", "origin")
    world.dave.maa("check", request, "--head", head)
    more = world.alice.commit({APP: app(description="Sneaky.")})
    world.alice.git("push", "-q", "origin", "change/update")
    expected = ("alreadyMerged", "git branch -m change/update-2, then submit")
    assert refused(world.dave, "check", request) == expected
    assert refused(world.dave, "check", "--head", more) == expected


# --- validate --------------------------------------------------------------------------------------------------------


def test_validate_sees_the_work_tree_as_it_is(world: World) -> None:
    """Changed, untracked and deleted files count; ignored ones do not; nothing is staged by looking."""
    alice = world.alice
    alice.write(".git/info/exclude", "resources/apps/ignored.yaml\n")
    alice.write("resources/apps/ignored.yaml", "nonsense: true\n")
    assert codes(alice) == []
    alice.write(APP, "type: winGetApp\ntype: winGetApp\n")
    alice.write("resources/apps/new.yaml", "type: [\n")
    alice.write("resources/scripts/lonely.ps1", "Get-Date\n")
    (alice.clone / "groups" / "approvers.yaml").unlink()
    before = alice.git("status", "--short")
    found = codes(alice, code=3)
    assert {path for path, _ in found} >= {"policies/apps.yaml", "policies/scripts.yaml"}
    alice.git("restore", "groups")
    paths = {path for path, _ in codes(alice, code=3)}
    assert paths == {APP, "resources/apps/new.yaml", "resources/scripts/lonely.ps1"}
    assert before.replace(" D groups/approvers.yaml\n", "") == alice.git("status", "--short")


def test_validate_looks_at_a_commit(world: World) -> None:
    """``--commit`` takes what git takes, and leaves the work tree out of it."""
    broken = world.alice.change("broken", {APP: "type: nonsense\n"})
    world.alice.git("tag", "v1")
    world.alice.git("switch", "-q", "main")
    world.alice.write(OTHER, "type: nonsense\n")
    assert {path for path, _ in codes(world.alice, "--commit", broken, code=3)} == {APP}
    assert {path for path, _ in codes(world.alice, "--commit", "v1", code=3)} == {APP}
    assert codes(world.alice, "--commit", "main") == []
    assert refused(world.alice, "validate", "--commit", "nonsense", code=4)[1] == "git log --oneline"


def test_validate_takes_paths_from_where_the_caller_is(world: World) -> None:
    """Files and folders, relative to the current folder; problems elsewhere are left out."""
    alice = world.alice
    apps = str(alice.clone / "resources" / "apps")
    for path in (APP, OTHER, "resources/scripts/x.yaml"):
        alice.write(path, "type: nonsense\n")
    for folder, named, found in (
        (apps, ["company-portal.yaml"], {APP}),
        (apps, ["."], {APP, OTHER}),
        (apps, ["../scripts", "other.yaml"], {OTHER, "resources/scripts/x.yaml"}),
        (str(alice.clone), ["resources/apps"], {APP, OTHER}),
        (str(alice.clone), [APP], {APP}),
        (str(alice.clone), ["."], {APP, OTHER, "resources/scripts/x.yaml"}),
        (str(alice.clone), [apps + "/other.yaml"], {OTHER}),
    ):
        answer = alice.maa("-C", folder, "validate", *named, "--format", "json", code=3)
        assert {problem["path"] for problem in answer.json["problems"]} == found
    assert alice.maa("validate", "policies").err == "no problems\n"


@pytest.mark.parametrize("path", ["resouces", "resources/apps/nothing.yaml", "..", "/", "resources/app"])
def test_validate_of_a_path_that_is_not_there_is_wrong_usage(world: World, path: str) -> None:
    """A misspelt path must not pass for one without problems."""
    assert "there is no file or folder" in world.alice.maa("validate", path, code=2).err


def test_warnings_alone_are_0(world: World) -> None:
    """They are told, with place and level, and stop nothing."""
    world.alice.write("groups/empty.yaml", "displayName: Empty\nmembers: []\n")
    answer = world.alice.maa("validate")
    assert answer.out == "groups/empty.yaml:2:10: warning: has no members [emptyGroup]\n"


def test_problems_are_lines_that_editors_understand(world: World) -> None:
    """``path:line:column: level: message [code]``, sorted by place."""
    world.alice.write(APP, app() + "nonsense: true\nmore: true\n")
    lines = world.alice.maa("validate", code=3).out.splitlines()
    places = [line.split(" ")[:2] for line in lines]
    assert places == [[f"{APP}:{7 + row}:1:", "error:"] for row in range(2)]
    assert all(line.endswith("[unknownKey]") for line in lines)


# --- explain ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A tenant with a scoped policy and an unprotected type; for tests that only read."""
    types = "profileTypes:\n  compliancePolicy: {folder: compliance-policies}\n"
    return World.with_tenant(
        tmp_path_factory.mktemp("explained") / "world",
        {
            "maa.yaml": settings(types),
            "policies/finance.yaml": access_policy("app", "approvers", required=2, extra='scope: ["finance/*"]\n'),
            "resources/apps/finance/payroll.yaml": app("Payroll"),
            "resources/compliance-policies/ios.yaml": "displayName: iOS\n",
        },
    )


@pytest.mark.parametrize(
    ("named", "governed", "path", "policies"),
    [
        (APP, "app/company-portal", APP, ["apps"]),
        ("app/company-portal", "app/company-portal", APP, ["apps"]),
        ("app/finance/payroll", "app/finance/payroll", "resources/apps/finance/payroll.yaml", ["apps", "finance"]),
        ("resources/apps/new.yaml", "app/new", "resources/apps/new.yaml", ["apps"]),
        ("resources/scripts/x.detection.ps1", "script/x", "resources/scripts/x.yaml", ["scripts"]),
        ("accessPolicy/maa.yaml", "accessPolicy/maa.yaml", "maa.yaml", ["access-policies"]),
        ("groups/approvers.yaml", "accessPolicy/groups/approvers.yaml", "groups/approvers.yaml", ["access-policies"]),
        (
            ".github/workflows/x.yml",
            "accessPolicy/.github/workflows/x.yml",
            ".github/workflows/x.yml",
            ["access-policies"],
        ),
        ("compliancePolicy/ios", "compliancePolicy/ios", "resources/compliance-policies/ios.yaml", []),
    ],
)
def test_explain_by_path_and_by_object(
    explained: World, named: str, governed: str, path: str, policies: list[str]
) -> None:
    """What is not there yet is explained, too; siblings belong to their object."""
    plain = explained.dave.maa("explain", named, "--format", "json").json
    assert (plain["object"], plain["path"]) == (governed, path)
    assert [policy["policy"] for policy in plain["policies"]] == policies
    assert plain["protected"] is bool(policies)
    roles = ["globalAdministrator", "intuneServiceAdministrator"] if governed.startswith("accessPolicy/") else None
    assert plain["requiredRole"] == roles


def test_explain_by_a_path_from_where_the_caller_is(explained: World) -> None:
    """In a subfolder, names of files there mean those files."""
    folder = explained.dave.clone / "resources" / "apps"
    answer = explained.dave.maa("-C", str(folder), "explain", "finance/payroll.yaml", "--format", "json")
    assert answer.json["object"] == "app/finance/payroll"


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("notes.txt", "nothing protects it"),
        ("resources/Apps/x.yaml", "resources live in resources/apps/"),
        ("resources/apps/X.yaml", "names are lower-case letters"),
        ("app/Company-Portal", "names are lower-case letters"),
        ("Policies/apps.yaml", "takes the place of a name that this tool reserves"),
        ("MAA.yaml", "takes the place of a name that this tool reserves"),
        ("requests/2026/update.jsonl", "nothing protects it"),
        ("../elsewhere", "nothing protects it"),
    ],
)
def test_explain_says_why_a_path_is_no_object(explained: World, named: str, why: str) -> None:
    """Names that differ only by case are refused, not taken for the protected ones."""
    error = explained.dave.maa("explain", named, "--format", "json", code=3).error
    assert error["code"] == "nothingProtected"
    assert why in error["message"]


def test_explain_names_who_could_approve_with_addresses(explained: World) -> None:
    """In text: policy by policy."""
    assert explained.dave.maa("explain", "app/finance/payroll").out.splitlines() == [
        "app/finance/payroll is protected",
        "  apps (Protect app): 1 approval from approvers; who can:",
        "    Alice (alice) <alice@contoso.com>",
        "    Bob (bob) <bob@contoso.com>",
        "    Carol (carol) <carol@contoso.com>",
        "  finance (Protect app): 2 approvals from approvers, scope finance/*; who can:",
        "    Alice (alice) <alice@contoso.com>",
        "    Bob (bob) <bob@contoso.com>",
        "    Carol (carol) <carol@contoso.com>",
    ]


def test_explain_without_argument_tells_the_covered_from_the_others(explained: World) -> None:
    """Types, their policies, and each resource that no policy covers."""
    plain = explained.dave.maa("explain", "--format", "json").json
    assert plain["covered"] == ["app/company-portal", "app/finance/payroll"]
    assert plain["uncovered"] == ["compliancePolicy/ios"]
    assert plain["profileTypes"] == ["accessPolicy", "app", "compliancePolicy", "script"]
    text = explained.dave.maa("explain").out
    assert "compliancePolicy: not protected\n" in text
    assert text.endswith("2 resources covered, 1 not\n  compliancePolicy/ios\n")


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_prints_the_trusted_start_so_that_it_can_be_pinned(world: World) -> None:
    """Beside the answer, with the command; once it is pinned, or given, it is not printed."""
    start = world.tip()
    note = f"trusted start: {start}; pin it with: git config maa.trustedStart {start}\n"
    assert world.dave.maa("verify").err == note
    answer = world.dave.maa("verify", "--format", "json")
    assert (answer.err, answer.json["from"]) == (note, start)
    assert world.dave.maa("verify", "--from", start).err == ""
    world.dave.git("config", "maa.trustedStart", start)
    assert world.dave.maa("verify").err == ""


def test_verify_of_another_commit(world: World) -> None:
    """REV is judged instead of the tip; the answer is for that commit."""
    good = world.tip()
    world.alice.commit({APP: NEW})
    world.alice.git("push", "-q", "origin", "main")
    world.dave.git("fetch", "-q", "origin")
    assert world.dave.maa("verify", "origin/main", "--format", "json", code=3).json["good"] is False
    assert world.dave.maa("verify", good, "--format", "json").json["to"] == good


def test_healed_violations_are_listed_and_change_nothing(world: World) -> None:
    """Exit code 0 once every path is back, in text with what healed it."""
    world.alice.commit({APP: NEW})
    bad = world.alice.git("rev-parse", "HEAD")
    world.alice.git("push", "-q", "origin", "main")
    answer = world.dave.maa("verify", code=3)
    assert "NOT GOOD: " in answer.out
    world.alice.git("revert", "--no-edit", "HEAD")
    world.alice.git("push", "-q", "origin", "main")
    answer = world.dave.maa("verify")
    assert f"{bad[:12]} unapprovedChange: " in answer.out
    assert f"(healed by {world.tip()[:12]})" in answer.out
    assert world.dave.maa("verify", "--format", "json").json["violations"][0]["healedBy"] == world.tip()


def test_a_pinned_start_that_is_not_there_is_4(world: World) -> None:
    """What cannot be found cannot be trusted."""
    world.dave.git("config", "maa.trustedStart", "f" * 40)
    assert refused(world.dave, "verify", code=4)[1] == "git fetch --unshallow"
    assert refused(world.dave, "verify", "--from", "nonsense", code=4)[1] == "git fetch --unshallow"


def test_a_lost_chain_names_the_commit_and_the_command(world: World) -> None:
    """Whoever pushed by force is found out by every clone that looked before."""
    world.alice.commit({"notes.txt": "x\n"})
    world.alice.git("push", "-q", "origin", "main")
    good = world.tip()
    world.dave.maa("requests")
    world.alice.git("push", "-q", "--force", "origin", "HEAD~1:main")
    for command in ("requests", "verify"):
        error = world.dave.maa(command, "--format", "json", code=3).error
        assert error["code"] == "lostChain"
        assert good in f"{error['message']} {error['hint']}"
        assert "git push" in (error["hint"] or "")


# --- targets ---------------------------------------------------------------------------------------------------------


def test_plan_says_what_to_do_and_with_exit_code_3_that_there_is_something(world: World) -> None:
    """For the tip, and for the tip with one request."""
    answer = world.alice.maa("plan", "--exit-code", code=3)
    assert answer.out.startswith("local at ")
    assert "  create app/company-portal\n" in answer.out
    world.alice.maa("apply")
    assert "nothing to do" in world.alice.maa("plan", "--exit-code").out
    request = world.alice.submitted("update", {APP: NEW, OTHER: app("Other")})
    found = world.bob.maa("plan", request, "--format", "json").json["objects"]
    assert [(change["object"], change["operation"]) for change in found] == [
        ("app/company-portal", "create"),
        ("app/other", "create"),
    ]
    assert '+description: "New."' in world.alice.maa("plan", request).out
    assert "nothing to do" in world.alice.maa("plan").out


def test_only_deployers_apply(world: World) -> None:
    """Anybody else is refused, and told who may."""
    error = world.dave.maa("apply", "--format", "json", code=3).error
    assert error["code"] == "missingRole"


def test_apply_says_whose_requests_it_brought(world: World) -> None:
    """Several requests that landed are brought in one run."""
    for branch, files in (("one", {APP: NEW}), ("two", {OTHER: app("Other")})):
        request = world.alice.submitted(branch, files)
        world.bob.maa("approve", request)
        world.bob.maa("merge", request)
    answer = world.bob.maa("apply")
    assert "  create app/company-portal (one): applied\n  create app/other (two): applied\n" in answer.out
    assert world.bob.maa("apply").out.endswith(": up to date\n")


def store(person: Person) -> Path:
    """The file of the embedded tenant in a person's clone."""
    return person.clone / ".git" / "maa" / "tenants" / "local.sqlite3"


def test_drift_is_3_and_names_what_was_changed_around_the_gate(world: World) -> None:
    """A changed and a deleted object; ``apply`` puts both back."""
    request = world.alice.submitted("more", {OTHER: app("Other")})
    world.bob.maa("approve", request)
    world.alice.maa("complete", request)
    assert "no drift" in world.alice.maa("drift").out
    with sqlite3.connect(store(world.alice)) as connection:
        rows = connection.execute("SELECT id, data FROM objects ORDER BY data").fetchall()
        data = {**json.loads(rows[0][1]), "publisher": "Somebody else"}
        connection.execute("UPDATE objects SET data = ? WHERE id = ?", (json.dumps(data), rows[0][0]))
        connection.execute("DELETE FROM objects WHERE id = ?", (rows[1][0],))
    connection.close()
    found = world.alice.maa("drift", "--format", "json", code=3).json["objects"]
    assert sorted((row["object"], row["operation"]) for row in found) == [
        ("app/company-portal", "edit"),
        ("app/other", "delete"),
    ]
    assert "Somebody else" in world.alice.maa("drift", code=3).out
    world.alice.maa("apply")
    assert "no drift" in world.alice.maa("drift").out


def test_a_clone_without_a_copy_of_the_local_tenant_says_so(world: World) -> None:
    """It is no drift; ``apply`` rebuilds it."""
    world.alice.maa("apply")
    message = "this clone has no copy of the local tenant; `maa apply` rebuilds it"
    assert message in world.bob.maa("drift").out
    assert world.bob.maa("drift", "--format", "json").json["objects"] == []
    world.bob.maa("apply")
    assert "no drift" in world.bob.maa("drift").out


def test_tenant_shows_what_the_targets_hold(world: World) -> None:
    """Nothing before the first run; then type, name and properties."""
    empty = world.alice.maa("tenant")
    assert (empty.out, "holds nothing" in empty.err) == ("", True)
    world.alice.maa("apply")
    row = world.alice.maa("tenant").out.split("\t")
    assert row[:3] == ["local", "app", "Company Portal"]
    held = world.alice.maa("tenant", "--format", "json").json["objects"][0]
    assert held["properties"]["packageIdentifier"] == "9WZDNCRFJ3PZ"


def test_schemas_are_listed_and_printed(world: World) -> None:
    """Each name that is listed gives a JSON Schema, in text exactly that."""
    names = world.alice.maa("schema").out.split()
    assert {"app", "script", "account", "group", "access-policy", "settings", "event", "receipt"} <= set(names)
    for name in names:
        assert json.loads(world.alice.maa("schema", name).out)["$schema"].endswith("/draft/2020-12/schema")


def test_several_targets_are_listed(tmp_path: Path) -> None:
    """``--target`` chooses one; without it there is a report for each."""
    more = settings().replace("targets:\n", "targets:\n  eu: {provider: local}\n")
    world = World.with_tenant(tmp_path / "world", {"maa.yaml": more})
    both = world.alice.maa("plan", "--format", "json").json["targets"]
    assert [report["target"] for report in both] == ["eu", "local"]
    assert world.alice.maa("plan", "--target", "eu", "--format", "json").json["target"] == "eu"
