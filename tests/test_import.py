"""``maa import``: from what a target holds, or a backup, to resources on a change branch that somebody can submit."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, Provider, open_provider
from tests.support import APP, Answer, Person, World, app, settings
from tests.support.backups import (
    GONE,
    STAFF,
    Json,
    an_id,
    base64_of,
    category,
    export,
    remediation,
    script,
    shell_script,
    to_group,
    win_get_app,
    write_intunecd,
)
from tests.support.world import run_maa

TARGETS = (
    "  intune: {provider: graph, tenantId: 7a3e9c52-1d84-4f06-b6a9-0c5d2e7f4813}\n"
    "profileTypes:\n  tenantConfiguration: {folder: categories}\n"
)
ATTRIBUTES = "* text=auto eol=lf\n"
LOCAL = Target("local", "local")
BRANCH = "change/import-intune"


@pytest.fixture(scope="module")
def with_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual tenant with a graph target and a type of its own, made once."""
    folder = tmp_path_factory.mktemp("with-graph") / "world"
    folder.mkdir()
    World.with_tenant(folder, {"maa.yaml": settings(TARGETS), ".gitattributes": ATTRIBUTES})
    return folder


@pytest.fixture
def world(with_graph: Path, tmp_path: Path) -> World:
    """The usual tenant with a graph target, for one test."""
    return World.copied(with_graph, tmp_path / "world")


@pytest.fixture
def alice(world: World) -> Person:
    """Who imports."""
    return world.alice


def apps(*ones: Json) -> dict[str, Sequence[Json]]:
    """Objects that are apps."""
    return {"Applications": ones}


def scripts(*ones: Json) -> dict[str, Sequence[Json]]:
    """Objects that are PowerShell scripts."""
    return {"PowerShellScripts": ones}


def put_out(answer: Answer, part: str) -> dict[str, Any]:
    """A part of the answer, by object or, of what stays out, the reasons by name."""
    rows = answer.json[part]
    return {row["name"]: row["why"] for row in rows} if part == "leftOut" else {row["object"]: row for row in rows}


def files(person: Person) -> dict[str, bytes]:
    """What stands below resources/ in the work tree."""
    top = person.clone / "resources"
    return {str(file.relative_to(person.clone)): file.read_bytes() for file in top.rglob("*") if file.is_file()}


@contextmanager
def local_tenant(person: Person) -> Iterator[Provider]:
    """The local tenant of a clone."""
    provider = open_provider(LOCAL, person.clone / ".git")
    try:
        yield provider
    finally:
        provider.close()


def hold(person: Person, name: str, marker: str | None = None, **more: object) -> str:
    """Put an app into the local tenant; returns its id."""
    data = {"type": "webApp", "displayName": name, "publisher": "Contoso", "appUrl": "https://contoso.com", **more}
    with local_tenant(person) as provider:
        return hold_state(provider, DesiredObject("app", data), marker)


def hold_state(provider: Provider, state: DesiredObject, marker: str | None = None) -> str:
    """Put an object into a local tenant, with a mark or with one that is taken away by ``unmark``."""
    return provider.create(state, marker or f"none:{len(provider.objects())}")


def unmark(person: Person, like: str = "none:%") -> None:
    """Take marks away in the local tenant of a clone, as a person can in a portal."""
    with closing(sqlite3.connect(person.clone / ".git/maa/tenants/local.sqlite3")) as connection, connection:
        connection.execute("UPDATE objects SET marker = NULL WHERE marker LIKE ?", (like,))


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_an_import_is_submitted_approved_and_landed_as_any_change(world: World) -> None:
    """It writes to a change branch and commits nothing; ``submit -a`` sends it; what lands is sound."""
    alice, bob = world.alice, world.bob
    assigned = script(assignments=[to_group(STAFF)])
    answer = alice.maa("import", export(alice, {**scripts(assigned), **apps(win_get_app(1, "Portal"))}))
    assert alice.git("branch", "--show-current") == BRANCH
    assert alice.git("status", "--porcelain", "--untracked-files=all").splitlines() == [
        "?? resources/apps/portal.yaml",
        "?? resources/scripts/set-time-zone.ps1",
        "?? resources/scripts/set-time-zone.yaml",
    ]
    assert answer.out.startswith(f"on {BRANCH}:\n  written 1 app\n  written 1 script\n")
    assert alice.maa("validate").err == "no problems\n"
    alice.maa("submit", "-a", "-m", "Import.")
    bob.maa("approve", "import-intune")
    bob.maa("merge", "import-intune")
    assert world.read("resources/scripts/set-time-zone.yaml") == (
        "type: deviceManagementScript\ndisplayName: Set time zone\ndescription: Sets it.\nfileName: tz.ps1\n"
        "runAsAccount: system\n"
        "scriptFile: set-time-zone.ps1\nassignments:\n  - target:\n      group: All Staff\n"
        f'adopt:\n  intune: "{an_id(3)}"\n'
    )
    assert world.read("resources/scripts/set-time-zone.ps1") == "Set-TimeZone UTC\n"


def test_importing_twice_changes_nothing(alice: Person) -> None:
    """Byte-identical files, nothing new: at once, after the commit, and with objects in another order."""
    ones = [win_get_app(number, name) for number, name in enumerate(["Mail", "mail", "Ärger", "日本"], 10)]
    alice.maa("import", export(alice, apps(*ones)))
    before = files(alice)
    assert len(before) == 5
    for step in ("git add", "git commit", "other order"):
        if step == "git add":
            alice.git("add", "--all")
        elif step == "git commit":
            alice.git("commit", "-q", "-m", "Import")
        else:
            export(alice, apps(*reversed(ones)))
        answer = alice.maa("import", export(alice, apps(*ones)))
        assert answer.out == "nothing new\n  unchanged 4 app\nleft out 1:\n" + answer.out.split("left out 1:\n")[1]
        assert files(alice) == before


def test_an_object_that_comes_later_gets_a_name_beside_the_others(alice: Person) -> None:
    """What was imported keeps its name, although it would now be called otherwise."""
    alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))))
    answer = alice.maa(
        "import", export(alice, apps(win_get_app(9, "Mail 2"), win_get_app(11, "mail"))), "--format", "json"
    )
    assert set(put_out(answer, "written")) == {"app/mail-2", "app/mail-6612ebf9"}
    assert "resources/apps/mail.yaml" in files(alice)


def test_a_renamed_resource_stays_renamed_and_its_content_is_left_alone(alice: Person) -> None:
    """The adopted id tells; an edit of the resource is not overwritten, and is told."""
    alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))))
    (alice.clone / "resources/apps/teams").mkdir()
    mine = (alice.clone / "resources/apps/mail.yaml").rename(alice.clone / "resources/apps/teams/post.yaml")
    again = alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))), "--format", "json")
    assert set(put_out(again, "unchanged")) == {"app/teams/post"}
    mine.write_text(mine.read_text().replace("displayName: Mail", "displayName: Post"))
    before = files(alice)
    answer = alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))), "--format", "json")
    assert put_out(answer, "leftOut")["Mail"] == "it differs from resources/apps/teams/post.yaml, which stays as it is"
    assert files(alice) == before


def test_resources_of_the_tip_count_as_well_as_those_of_the_work_tree(world: World) -> None:
    """What was imported and landed is known on a new branch; the landed branch is not gone on with."""
    alice, bob = world.alice, world.bob
    objects = apps(win_get_app(10, "Mail"))
    alice.maa("import", export(alice, objects))
    alice.maa("submit", "-a", "-m", "Import.")
    bob.maa("approve", "import-intune")
    bob.maa("merge", "import-intune")
    answer = alice.maa("import", export(alice, objects), "--format", "json")
    assert (set(put_out(answer, "unchanged")), answer.json["branch"]) == ({"app/mail"}, "change/import-intune-2")
    assert alice.git("branch", "--list", "change/import-intune-2") == ""
    alice.maa("import", export(alice, apps(win_get_app(10, "Mail"), win_get_app(11, "Maps"))))
    assert alice.git("branch", "--show-current") == "change/import-intune-2"
    assert {"resources/apps/mail.yaml", "resources/apps/maps.yaml"} <= set(files(alice))


# --- branches and work trees -----------------------------------------------------------------------------------------


def test_a_change_branch_that_is_checked_out_is_used(alice: Person) -> None:
    """So is the one that is asked for, with or without the prefix; it begins at the protected branch."""
    alice.change("mine", {"notes.txt": "x"})
    alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))))
    assert alice.git("branch", "--show-current") == "change/mine"
    alice.git("add", "--all")
    alice.git("commit", "-q", "-m", "Import")
    alice.maa("import", export(alice, apps(win_get_app(11, "Maps"))), "--branch", "change/maps")
    assert alice.git("branch", "--show-current") == "change/maps"
    assert alice.git("rev-parse", "HEAD") == alice.git("rev-parse", "origin/main")
    assert set(files(alice)) == {APP, "resources/apps/maps.yaml"}
    alice.git("add", "--all")
    alice.git("commit", "-q", "-m", "Import")
    alice.maa("import", export(alice, apps(win_get_app(12, "Music"))), "--branch", "mine")
    assert set(files(alice)) == {APP, "resources/apps/mail.yaml", "resources/apps/music.yaml"}


def test_a_branch_that_only_the_remote_has_is_gone_on_with(world: World) -> None:
    """What somebody else has begun to import is known."""
    world.alice.maa("import", export(world.alice, apps(win_get_app(10, "Mail"))))
    world.alice.maa("submit", "-a", "-m", "Import.")
    objects = apps(win_get_app(10, "Mail"), win_get_app(11, "Maps"))
    answer = world.bob.maa("import", export(world.bob, objects), "--format", "json")
    assert (set(put_out(answer, "unchanged")), set(put_out(answer, "written"))) == ({"app/mail"}, {"app/maps"})
    assert world.bob.git("rev-parse", BRANCH) == world.tip(BRANCH)


def test_a_branch_name_that_gives_no_id_is_refused(alice: Person) -> None:
    """Before anything is written."""
    answer = alice.maa("import", export(alice, apps(win_get_app())), "--branch", "a b", code=3)
    assert answer.err.startswith("error: 'a b' cannot be the name of a change branch")


def test_uncommitted_work_is_carried_along_or_stops_it(alice: Person) -> None:
    """Other files do not matter; a resource that is not committed is known, and its name is taken."""
    alice.write("notes.txt", "not mine")
    alice.write("resources/apps/mail.yaml", app("Other"))
    answer = alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))), "--format", "json")
    assert [row["path"] for row in answer.json["written"]] == ["resources/apps/mail-fb38dfa0.yaml"]
    assert (alice.clone / "resources/apps/mail.yaml").read_text() == app("Other")
    assert (alice.clone / "notes.txt").read_text() == "not mine"


def test_a_switch_that_git_refuses_changes_nothing(alice: Person) -> None:
    """Uncommitted edits that another branch would overwrite are not lost."""
    alice.change("import-intune", {APP: app(description="On the branch.")})
    alice.git("switch", "-q", "main")
    alice.write(APP, app(description="Not committed."))
    answer = alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))), code=4)
    assert answer.err.startswith(f"error: git does not switch to {BRANCH}: ")
    assert files(alice) == {APP: app(description="Not committed.").encode()}


def test_a_dry_run_writes_nothing_and_switches_nowhere(alice: Person) -> None:
    """It says what would be written, in the same words."""
    answer = alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))), "--dry-run")
    assert answer.out.startswith(f"would be on {BRANCH}:\n  written 1 app\n")
    assert (alice.git("branch", "--show-current"), alice.git("branch", "--list", "change/*")) == ("main", "")
    assert set(files(alice)) == {APP}


def test_a_bare_repository_has_no_place_for_files(world: World, tmp_path: Path) -> None:
    """Resources are files in a work tree."""
    folder = export(world.alice, apps(win_get_app()))
    world.git(world.server, "config", "maa.protectedBranch", "main")
    with world.environment("alice"):
        answer = run_maa("-C", str(world.server), "import", folder)
    assert (answer.code, answer.err.splitlines()[0].endswith("and resources are files")) == (4, True)


def test_files_are_written_all_or_none(alice: Person) -> None:
    """A folder that cannot be written to leaves the work tree as it was."""
    alice.git("switch", "-q", "-c", BRANCH)
    (alice.clone / "resources" / "scripts").symlink_to(alice.clone.parent)
    answer = alice.maa("import", export(alice, {**apps(win_get_app(10, "Mail")), **scripts(script())}), code=None)
    assert set(files(alice)) == {APP}
    assert answer.code == 4


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"exit", b"a", b"\xef\xbb\xbfWrite-Host '\xc3\xa4'\n", b"a\n\n\n", b"tab\t\x0b\x00", b"a\rb"]
)
def test_a_script_keeps_its_bytes_through_a_commit(world: World, content: bytes) -> None:
    """Byte order mark, no final line feed, odd characters: what git has is what the target has."""
    alice = world.alice
    one = {**remediation(), "remediationScriptContent": None, "detectionScriptContent": base64_of(content)}
    alice.maa("import", export(alice, {"DeviceHealthScripts": [one]}))
    alice.git("add", "--all")
    alice.git("commit", "-q", "-m", "Import", "--", "resources")
    kept = world.folder / "kept"
    kept.write_bytes(content)
    blob = alice.git("rev-parse", "HEAD:resources/scripts/fix-spooler.detection.ps1")
    assert blob == alice.git("hash-object", "--no-filters", str(kept))


def test_line_ends_that_a_commit_would_change_leave_the_script_out(alice: Person) -> None:
    """With the line that would keep them; once ``.gitattributes`` has it the script is imported, byte for byte."""
    objects = scripts(script(text="a\r\nb\r\n"))
    answer = alice.maa("import", export(alice, objects), "--format", "json")
    assert put_out(answer, "leftOut")["Set time zone"] == (
        "git would turn the line ends of its text, CRLF, into LF; .gitattributes has to say: resources/**/*.ps1 -text"
    )
    assert set(files(alice)) == {APP}
    alice.git("switch", "-q", "main")
    alice.commit({".gitattributes": ATTRIBUTES + "resources/**/*.ps1 -text\n"})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/attributes")
    alice.git("switch", "-q", "-c", "change/scripts")
    alice.maa("import", export(alice, objects))
    alice.git("add", "--all")
    alice.git("commit", "-q", "-m", "Import", "--", "resources")
    assert alice.git("show", "HEAD:resources/scripts/set-time-zone.ps1") == "a\r\nb\r"


@pytest.mark.parametrize(
    ("attributes", "config", "why"),
    [
        ("*.ps1 filter=lfs", None, ".gitattributes has 'filter' for it"),
        ("*.ps1 ident", None, ".gitattributes has 'ident' for it"),
        ("*.ps1 working-tree-encoding=UTF-16", None, ".gitattributes has 'working-tree-encoding' for it"),
        ("", "core.autocrlf=true", "git would turn the line ends"),
        ("*.ps1 eol=crlf", None, "git would turn the line ends"),
    ],
)
def test_whatever_else_git_would_change_leaves_it_out(
    alice: Person, attributes: str, config: str | None, why: str
) -> None:
    """Filters, keywords, encodings and the settings of this machine."""
    alice.write(".gitattributes", attributes)
    if config is not None:
        alice.git("config", *config.split("="))
    answer = alice.maa("import", export(alice, scripts(script(text="a\r\n"))), "--format", "json", "--dry-run")
    assert why in put_out(answer, "leftOut")["Set time zone"]


def test_without_attributes_line_ends_are_kept(alice: Person) -> None:
    """Git changes nothing then."""
    alice.write(".gitattributes", "")
    answer = alice.maa("import", export(alice, scripts(script(text="a\r\n"))), "--format", "json", "--dry-run")
    assert set(put_out(answer, "written")) == {"script/set-time-zone"}


def test_what_git_ignores_is_not_written(alice: Person) -> None:
    """``submit -a`` would not take it in."""
    alice.write(".gitignore", "resources/apps/mail*\n")
    answer = alice.maa("import", export(alice, apps(win_get_app(10, "Mail"))), "--format", "json")
    assert put_out(answer, "leftOut")["Mail"] == "git ignores it (.gitignore)"
    assert set(files(alice)) == {APP}


@pytest.mark.parametrize(
    ("objects", "name", "why"),
    [
        (apps(win_get_app(10, "Mail", description="a\r\nb")), "Mail", "carriage return U+000D"),
        (apps(win_get_app(10, "Mail", packageIdentifier=None)), "Mail", "key 'packageIdentifier' is missing"),
        (apps(win_get_app(10, "Mail", appUrl=1, publisher=" x")), "Mail", "publisher: expected one line of text"),
        (scripts(script(text="x".encode("utf-16"))), "Set time zone", "scriptContent is not UTF-8"),
        (scripts(script(runAsAccount="somebody")), "Set time zone", "runAsAccount"),
        ({"MacScripts": [{**shell_script(), "scriptContent": "ZWNobw=="}]}, "Rename: Macs", "interpreter line"),
        (apps(win_get_app(10, "Mail", notes="x" * 1024 * 1024)), "Mail", "more than 1048576 bytes"),
        ({"MacScripts": [{**shell_script(), "description": "half \ud83c"}]}, "Rename: Macs", "is not UTF-8"),
    ],
)
def test_what_no_resource_can_be_stays_out_with_the_first_reason(
    alice: Person, objects: Mapping[str, Sequence[Json]], name: str, why: str
) -> None:
    """The reader, the schema and the rules for scripts are asked; nothing of it is written."""
    folder = write_intunecd(alice.clone.parent / "backup", objects, append_id=True) if "MacScripts" in objects else None
    answer = alice.maa("import", str(folder) if folder is not None else export(alice, objects), "--format", "json")
    assert why in put_out(answer, "leftOut")[name]
    assert set(files(alice)) == {APP}


def test_an_object_that_does_not_read_back_as_it_is_takes_others_with_it_nowhere(alice: Person) -> None:
    """One object of many stays out; the others are written."""
    ones = [win_get_app(10, "Mail", description="a\r\nb"), win_get_app(11, "Maps")]
    answer = alice.maa("import", export(alice, apps(*ones)), "--format", "json")
    assert (set(put_out(answer, "written")), set(put_out(answer, "leftOut"))) == (
        {"app/maps"}, {"Mail", "Owned by Contoso"}
    )  # fmt: skip


def test_a_remediation_is_noted(alice: Person) -> None:
    """What no target tells is said beside the answer."""
    answer = alice.maa("import", export(alice, {"DeviceHealthScripts": [remediation()], **scripts(script())}))
    assert "note: no target tells whether a remediation runs or only detects" in answer.err


def test_only_some_types_are_imported(alice: Person) -> None:
    """Others are not spoken of; a type that there is not is a usage error."""
    objects = {**apps(win_get_app(10, "Mail")), **scripts(script()), "DeviceCategories": [category()]}
    chosen = ("--only", "app", "--only", "tenantConfiguration")
    answer = alice.maa("import", export(alice, objects), *chosen, "--format", "json")
    assert set(put_out(answer, "written")) == {"app/mail", "tenantConfiguration/kiosk"}
    refused = alice.maa("import", export(alice, objects), "--only", "apps", code=2)
    assert "there is no profile type 'apps'; there are: app, script, tenantConfiguration" in refused.err


def test_the_answer_as_json(alice: Person) -> None:
    """Objects with their paths and ids; what stays out with where it was found and why."""
    objects = apps(win_get_app(10, "Mail", intent_to_nobody()))
    answer = alice.maa("import", export(alice, objects), "--format", "json")
    assert answer.json == {
        "version": 1,
        "branch": BRANCH,
        "written": [{"object": "app/mail", "path": "resources/apps/mail.yaml", "remoteId": an_id(10)}],
        "rewritten": [],
        "deleted": [],
        "unchanged": [],
        "leftOut": [
            {
                "origin": "Applications/Mail.json",
                "name": "Mail",
                "why": f"one of its assignments: nothing says what the group {GONE} is called",
            },
            {
                "origin": "AssignmentFilters/Owned by Contoso.json",
                "name": "Owned by Contoso",
                "why": "maa.yaml has no profile type for deviceManagement/assignmentFilters; to add one: profileTypes: "
                "{assignmentFilter: {folder: assignment-filters, graph: {path: deviceManagement/assignmentFilters}}}",
            },
        ],
        "notes": [],
    }


def intent_to_nobody() -> Json:
    """An assignment to a group that is gone."""
    return {**to_group(GONE), "intent": "required"}


def test_many_objects_that_stay_out_for_one_reason_are_one_line(alice: Person) -> None:
    """The first of them by name, the others by number; control characters of names are escaped."""
    ones = [win_get_app(number, f"App\n{number}", description="\r") for number in range(10, 20)]
    answer = alice.maa("import", export(alice, apps(*ones)))
    (line,) = [line for line in answer.out.splitlines() if "carriage return" in line]
    assert line.startswith("  App\\n10 (Applications/App")
    assert "and 5 more (all of them with --format json): " in line


# --- what a target holds ---------------------------------------------------------------------------------------------


def test_a_target_is_imported_and_adopted(world: World) -> None:
    """Objects without a mark become resources, with their ids; those with this tenant's mark keep their names."""
    alice = world.alice
    free, ours = hold(alice, "Holidays"), hold(alice, "Pay", "maa:contoso:app/finance/payroll")
    hold(alice, "Theirs", "maa:fabrikam:app/theirs")
    with local_tenant(alice) as provider:
        data = {"type": "deviceShellScript", "displayName": "Rename", "runAsAccount": "system", "fileName": "r.py"}
        state = DesiredObject(
            "script", {**data, "scriptContent": "#!/usr/bin/python3\n"}, ({"target": {"group": "Macs"}},)
        )
        held = hold_state(provider, state)
    unmark(alice)
    answer = alice.maa("import", "--target", "local", "--format", "json")
    written = {"app/holidays": free, "app/finance/payroll": ours, "script/rename": held}
    assert {name: row["remoteId"] for name, row in put_out(answer, "written").items()} == written
    assert (answer.json["branch"], put_out(answer, "leftOut")["Theirs"]) == (
        "change/import-local", "it bears the mark maa:fabrikam:app/theirs, so another repository keeps it"
    )  # fmt: skip
    assert (alice.clone / "resources/scripts/rename.yaml").read_text() == (
        "type: deviceShellScript\ndisplayName: Rename\nfileName: r.py\nrunAsAccount: system\nscriptFile: rename.py\n"
        f"assignments:\n  - target:\n      group: Macs\nadopt:\n  local: {quoted(held)}\n"
    )
    assert alice.maa("validate").err == "no problems\n"
    again = alice.maa("import", "--target", "local", "--format", "json")
    assert (again.json["written"], set(put_out(again, "unchanged"))) == ([], set(written))


def quoted(text: str) -> str:
    """An id as it stands in a document: quoted where it begins with a digit."""
    return json.dumps(text) if text[0].isdigit() else text


def test_what_was_applied_from_here_is_known_by_its_mark_and_by_the_object_map(world: World) -> None:
    """Also when somebody took the mark away; what was changed around the gate is told, not taken over."""
    alice = world.alice
    alice.maa("apply", "--target", "local")
    answer = alice.maa("import", "--target", "local", "--format", "json")
    assert set(put_out(answer, "unchanged")) == {"app/company-portal"}
    unmark(alice, "maa:%")
    answer = alice.maa("import", "--target", "local", "--format", "json")
    assert set(put_out(answer, "unchanged")) == {"app/company-portal"}
    with local_tenant(alice) as provider:
        (remote,) = provider.objects().values()
        changed = DesiredObject("app", {**remote.held.data, "description": "Changed."})
        provider.update(remote.remote_id, changed, "maa:contoso:app/company-portal")
    answer = alice.maa("import", "--target", "local", "--format", "json")
    assert put_out(answer, "leftOut")["Company Portal"] == (
        f"it differs from {APP}, which stays as it is; maa drift --open-request takes over what is there"
    )


def test_objects_that_a_resource_cannot_say_stay_out(world: World) -> None:
    """Assignments without names, types that the tenant does not have."""
    with local_tenant(world.alice) as provider:
        data = {"type": "webApp", "displayName": "Mail", "publisher": "C", "appUrl": "https://contoso.com"}
        hold_state(provider, DesiredObject("app", data, ({"intent": "required", "target": {"groupId": GONE}},)))
        hold_state(provider, DesiredObject("gone", {"displayName": "Old"}))
    unmark(world.alice)
    why = put_out(world.alice.maa("import", "--target", "local", "--format", "json"), "leftOut")
    assert why == {
        "Mail": f"one of its assignments: nothing says what the group {GONE} is called",
        "Old": "maa.yaml has no profile type 'gone'",
    }


def test_without_a_folder_the_only_graph_target_is_read(world: World, tmp_path: Path) -> None:
    """It cannot be reached here; where there is none, a target has to be named."""
    answer = world.alice.maa("import", code=4)
    assert answer.err.startswith("error: ")
    other = World.with_tenant(tmp_path / "other" if (tmp_path / "other").mkdir() is None else tmp_path)
    refused = other.alice.maa("import", code=2)
    assert "name the target to read with --target, or a folder; maa.yaml has: local" in refused.err
    assert "there is no target 'x'" in other.alice.maa("import", "--target", "x", code=2).err


def test_a_folder_that_is_no_backup_is_an_error(alice: Person) -> None:
    """With what was expected."""
    answer = alice.maa("import", str(alice.clone), code=3)
    assert "it is neither a backup of IntuneCD nor an export of IntuneManagement" in answer.err
