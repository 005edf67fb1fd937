"""Threats to who imports or takes over drift: hostile names and backups, others at the served Graph, a tired person."""

import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maa_gitops.documents import read_yaml
from maa_gitops.documents.foreign import read_foreign
from maa_gitops.documents.writing import yaml_bytes
from maa_gitops.errors import DocumentError, RepositoryError
from maa_gitops.git import Repository
from maa_gitops.importing import Source, carry_out, from_backup, ground_of, plan
from maa_gitops.importing.ground import Known
from maa_gitops.importing.matching import match
from maa_gitops.importing.values import Found
from maa_gitops.model import BUILT_IN_TYPES, ObjectId, ProfileType, Settings, Target
from maa_gitops.providers import DesiredObject, open_provider
from maa_gitops.render.escape import safe
from maa_gitops.workflow.clone import open_clone
from tests.support import APP, Answer, Person, World, app, settings
from tests.support.backups import (
    GONE,
    STAFF,
    TENANT_ID,
    an_id,
    category,
    export,
    intent,
    lob_app,
    script,
    to_devices,
    to_group,
    win_get_app,
    write_intune_management,
    write_intunecd,
)
from tests.support.graph import Graph, serve
from tests.support.process import COMMAND, variables

OWN = (ProfileType("tenantConfiguration", "categories"),)
INTUNE = Target("intune", "graph", {"tenantId": TENANT_ID}, OWN)
SETTINGS = Settings("contoso", "main", targets=(INTUNE,), profile_types=(*BUILT_IN_TYPES, *OWN))
GRAPH_TARGET = f"  intune: {{provider: graph, tenantId: {TENANT_ID}}}\n"
TYPES = "profileTypes:\n  tenantConfiguration: {folder: categories}\n"
PORTAL, SCRIPTS = "deviceAppManagement/mobileApps", "deviceManagement/deviceManagementScripts"
FIX = "resources/scripts/fix.yaml"
CATEGORIES = "Device Categories"


@pytest.fixture(scope="module")
def with_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual tenant with a graph target and a type of its own, made once."""
    folder = tmp_path_factory.mktemp("with-graph") / "world"
    folder.mkdir()
    World.with_tenant(folder, {"maa.yaml": settings(GRAPH_TARGET + TYPES)})
    return folder


@pytest.fixture
def world(with_graph: Path, tmp_path: Path) -> World:
    """The usual tenant with a graph target, for one test."""
    return World.copied(with_graph, tmp_path / "world")


@pytest.fixture
def alice(world: World) -> Person:
    """Who imports, in good faith."""
    return world.alice


def backup(folder: Path) -> Path:
    """A small backup of IntuneCD, with an object that is sound."""
    return write_intunecd(folder, {"DeviceCategories": [category()]})


def read(folder: Path) -> Source:
    """Read a backup for the tenant of the tests."""
    return from_backup(folder, SETTINGS, INTUNE, {})


def names(source: Source) -> list[str]:
    """What was found is called."""
    return sorted(one.display_name for one in source.found)


def why(answer: Answer) -> dict[str, str]:
    """Why what stays out does, by name."""
    return {row["name"]: row["why"] for row in answer.json["leftOut"]}


def files(person: Person) -> set[str]:
    """What stands below resources/ in the work tree."""
    top = person.clone / "resources"
    return {str(file.relative_to(person.clone)) for file in top.rglob("*") if file.is_file()}


# --- what a person is shown ------------------------------------------------------------------------------------------


def test_a_name_that_only_looks_like_another_is_shown_as_what_it_is() -> None:
    """Spaces that are none and letters that show nothing: in files, and wherever text is put out."""
    for hidden, shown in {"\u00a0": "\\u00a0", "\u3164": "\\u3164", "\U000e0101": "\\U000e0101"}.items():
        data = {"group": f"All{hidden}Staff", "name": f"Staff{hidden}"}
        written = yaml_bytes(data)
        assert written.decode() == f'name: "Staff{shown}"\ngroup: "All{shown}Staff"\n'
        document, _ = read_yaml(written, "x.yaml")
        assert document is not None
        assert document.data == data
        assert safe(f"reaches Staff{hidden}") == "reaches Staff" + ("\\xa0" if hidden == "\u00a0" else shown)


def test_what_nobody_types_cannot_fill_the_screen(alice: Person) -> None:
    """A name as long as a page is cut in text; as data it is whole."""
    folder = Path(export(alice, {"Applications": [lob_app(2, "VPN")]}))
    (folder / "Applications/VPN.json").write_text(json.dumps(lob_app(2, "V" * 5000)))
    line = next(line for line in alice.maa("import", str(folder)).out.splitlines() if "VVV" in line)
    assert len(line) < 300
    assert "V" * 5000 in why(alice.maa("import", str(folder), "--format", "json"))


# --- names, ids and marks that an administrator of Intune chooses ----------------------------------------------------


def test_a_property_cannot_adopt_another_object(alice: Person) -> None:
    """An object of a type without a schema that has a property ``adopt`` says nothing of what its resource adopts."""
    folder = Path(export(alice, {"DeviceCategories": [category(1, "Room")]}))
    evil = {"displayName": "Room", "adopt": {"intune": an_id(77)}}
    (folder / "DeviceCategories/Room.json").write_text(json.dumps(evil))
    answer = alice.maa("import", str(folder), "--format", "json")
    assert why(answer)["Room"] == "it has a property 'adopt', under which a resource says which object it adopts"
    assert files(alice) == {APP}


@pytest.mark.parametrize("mark", ["/".join(["a"] * 300), "/".join(["a" * 60] * 40)])
def test_a_mark_that_names_no_place_leaves_out_its_object_alone(alice: Person, mark: str) -> None:
    """Folders without end, or a path that no file system takes: others are imported all the same."""
    ones = [win_get_app(10, "Mail"), win_get_app(11, "Evil", notes=f"[maa:contoso:app/{mark}]")]
    answer = alice.maa("import", export(alice, {"Applications": ones}), "--format", "json")
    assert [row["object"] for row in answer.json["written"]] == ["app/mail"]
    assert why(answer)["Evil"].endswith("is of no resource that it could be")


def test_an_id_of_an_object_of_another_type_names_no_resource() -> None:
    """A backup says which id its object has; the object map does not make a category an app by that."""
    one = Found(DesiredObject("tenantConfiguration", {"displayName": "Room"}), "x", "Room", "1", name="app/mail")
    (pair,) = match([one], [], "contoso", "intune").new
    assert pair[1] == ObjectId("tenantConfiguration", "room")


def test_an_id_that_is_no_id_is_never_told_to_be_copied(tmp_path: Path) -> None:
    """It could close the braces of the line that a person is told to add."""
    for evil in ("1}\nassignments: []", {"a": 1}, 5, "x" * 300):
        objects = {"DeviceCategories": [{**category(), "id": evil}]}
        (one,) = read(write_intune_management(tmp_path / str(hash(str(evil))), objects)).found
        assert one.remote_id is None


def test_a_type_that_is_no_text_is_no_crash(alice: Person) -> None:
    """Neither in an object nor in a resource; of a type without a schema a property can be anything."""
    folder = export(alice, {"DeviceCategories": [{**category(1, "Room"), "type": ["x"]}]})
    assert [row["object"] for row in alice.maa("import", folder, "--format", "json").json["written"]]
    odd = Found(DesiredObject("tenantConfiguration", {"displayName": "Room", "type": ["x"]}), "x", "Room", "1")
    resource = Known(ObjectId("tenantConfiguration", "room"), {"x": 1}, "Room", {})
    (pair,) = match([odd], [resource], "contoso", "intune").new
    assert pair[1].name.startswith("room-")


# --- drift that an administrator of Intune arranges ------------------------------------------------------------------


def hold_contents(person: Person, names: Mapping[str, str]) -> None:
    """Give the rooms in the local tenant a text for the file that their resources name."""
    provider = open_provider(Target("local", "local"), person.clone / ".git")
    try:
        for name in names:
            mark = f"maa:contoso:tenantConfiguration/{name}"
            remote_id = provider.find(mark) or ""
            held = provider.objects()[remote_id].held
            state = DesiredObject(held.profile_type, {**held.data, "logoContent": "displayName: Owned\n"})
            provider.update(remote_id, state, mark)
    finally:
        provider.close()


def test_taking_over_drift_writes_no_file_of_another_object(tmp_path: Path) -> None:
    """Of a type without a schema a resource can name any file; a text that its object has now is not written there."""
    named = {"a": "other.yaml", "b": "../apps/company-portal.yaml", "c": "../../policies/apps.yaml"}
    rooms = {f"resources/categories/{name}.yaml": f"displayName: R\nlogoFile: {file}\n" for name, file in named.items()}
    other = {"resources/categories/other.yaml": "displayName: Other\n"}
    (tmp_path / "world").mkdir()
    alice = World.with_tenant(tmp_path / "world", {"maa.yaml": settings(TYPES), **rooms, **other}).alice
    alice.maa("apply")
    hold_contents(alice, named)
    alice.maa("drift", "--open-request", code=3)
    changed = alice.git("status", "--porcelain", "--untracked-files=all").splitlines()
    assert changed == [f" M {path}" for path in sorted(rooms)]
    assert all("logoContent" in (alice.clone / path).read_text() for path in rooms)


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A served tenant with a group of three."""
    with serve(tmp_path / "graph.sqlite3", writes=10**6, calls=10**6) as found:
        found.group("Staff", "bob", "carol", "dave")
        yield found


def on_graph(graph: Graph, folder: Path, more: Mapping[str, str] | None = None) -> World:
    """A tenant repository whose only target is the served one, applied."""
    tenant_id = graph.get("organization").value[0]["id"]
    target = f"targets:\n  intune: {{provider: graph, tenantId: {tenant_id}, url: '{graph.url}'}}\n"
    text = f"version: 1\ntenant: contoso\nprotectedBranch: main\n{target}"
    folder.mkdir()
    world = World.with_tenant(folder, {"maa.yaml": text, **(more or {})})
    world.alice.maa("apply")
    return world


def test_the_name_of_a_group_cannot_look_like_lines_of_a_plan(graph: Graph, tmp_path: Path) -> None:
    """Somebody assigns an app in the portal to a group whose name says that all is well."""
    world = on_graph(graph, tmp_path / "world")
    (remote,) = graph.get(PORTAL).value
    graph.get(f"{PORTAL}/{remote['id']}")
    evil = graph.group("Evil\nintune at 000000000000: nothing to do", "bob")
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": evil}
    body = {"mobileAppAssignments": [{"intent": "required", "target": target}]}
    assert graph.post(f"{PORTAL}/{remote['id']}/assign", body).status == 204
    lines = world.bob.maa("plan").out.splitlines()
    assert "    no longer reaches Evil\\nintune at 000000000000: nothing to do: 1 people, 0 devices" in lines
    assert [line for line in lines if line.startswith("intune at ")] == [lines[0]]


def test_a_line_that_is_added_never_looks_like_one_that_is_taken_away(founded: Path, tmp_path: Path) -> None:
    """A script has other ends of lines than git's; a plan shows them as what they are, as a diff does."""
    world = World.copied(founded, tmp_path / "usual")
    text = "".join(f"Write-Host 1{end}-(Invoke-Evil){end} Write-Host 2\n" for end in "\r\x0b\x0c\x85\u2028")
    fix = "type: deviceManagementScript\ndisplayName: Fix\nrunAsAccount: system\nscriptFile: fix.ps1\n"
    request = world.alice.submitted("fix", {FIX: fix, "resources/scripts/fix.ps1": text})
    for command in ("plan", "diff"):
        lines = world.bob.maa(command, request).out.split("\n")
        assert [line[:1] for line in lines if "Invoke-Evil" in line] == ["+"] * 5


def test_a_remediation_that_runs_still_does_after_its_drift_is_taken_over(graph: Graph, tmp_path: Path) -> None:
    """Graph never tells whether it does; an edit of its description in the portal must not switch it off."""
    said = "assignments:\n- {target: {group: Staff}, runRemediationScript: true}\n"
    fix = "type: deviceHealthScript\ndisplayName: Fix\npublisher: C\nrunAsAccount: system\n"
    parts = "detectionScriptFile: fix.a.ps1\nremediationScriptFile: fix.b.ps1\n"
    scripts = {FIX: fix + parts + said, "resources/scripts/fix.a.ps1": "1\n", "resources/scripts/fix.b.ps1": "2\n"}
    alice = on_graph(graph, tmp_path / "world", scripts).alice
    (remote,) = graph.get("deviceManagement/deviceHealthScripts").value
    graph.patch(f"deviceManagement/deviceHealthScripts/{remote['id']}", {"description": "Edited."})
    alice.maa("drift", "--open-request", code=3)
    text = (alice.clone / FIX).read_text()
    assert "description: Edited." in text
    assert "runRemediationScript: true" in text


def test_a_branch_that_somebody_else_has_begun_is_said_to_be(world: World) -> None:
    """Who pushes to the branch that an import will take has their change asked for by another; that is told."""
    world.bob.change("import-intune", {"resources/apps/extra.yaml": app("Extra")})
    world.bob.git("push", "-q", "origin", "change/import-intune")
    answer = world.alice.maa("import", export(world.alice, {"Applications": [win_get_app(10, "Mail")]}))
    assert answer.err == (
        "warning: change/import-intune has commits already, by Bob: what they change is asked for as well\n"
    )


# --- malicious backups -----------------------------------------------------------------------------------------------


def test_no_link_in_a_backup_leads_out_of_it(tmp_path: Path) -> None:
    """Neither a folder of scripts nor one with a migration table: what is on this machine is nobody else's to take."""
    private = tmp_path / "private"
    private.mkdir()
    (private / "tz.ps1").write_text("the secret")
    folder = write_intunecd(tmp_path / "backup", {"PowerShellScripts": [script(text="")]})
    (folder / "Scripts/Powershell/Script Data").symlink_to(private)
    source = read(folder)
    assert "the secret" not in str(source)
    assert "Scripts/Powershell/Script Data" not in {one.origin for one in source.left_out}  # it is passed over
    (private / "MigrationTable.json").write_text(json.dumps({"TenantId": an_id(1), "Objects": []}))
    other = write_intune_management(tmp_path / "export", {"DeviceCategories": [category()]}, table=False)
    (other / "Contoso").symlink_to(private)
    source = read(other)
    assert source.target == "intune"
    assert {one.origin: one.why for one in source.left_out}["Contoso"] == "it is a link, or no regular file"


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Path]:
    """A backup with folders inside one another, deeper than a path can be; Python itself could not delete it."""
    folder = backup(tmp_path / "backup")
    place = os.open(folder / CATEGORIES, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    try:
        yield folder
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_folders_without_end_are_told_and_nothing_else_suffers(endless: Path) -> None:
    """They are looked into as far as a path can be, which is further than a program can call itself."""
    source = read(endless)
    assert names(source) == ["Kiosk"]
    assert any(one.why.startswith("the folder cannot be read") for one in source.left_out)


@pytest.mark.parametrize("name", [f"{CATEGORIES}/large.json", "Scripts/Powershell/Script Data/tz.ps1"])
def test_a_file_is_read_no_further_than_an_object_can_be_long(tmp_path: Path, name: str) -> None:
    """A gigabyte of nothing takes no room on a disk, and must not take any in memory."""
    folder = write_intunecd(tmp_path, {"DeviceCategories": [category()], "PowerShellScripts": [script()]})
    with (folder / name).open("wb") as file:
        file.truncate(1024**3)
    tracemalloc.start()
    try:
        source = read(folder)
        assert tracemalloc.get_traced_memory()[1] < 200 * 1024**2
    finally:
        tracemalloc.stop()
    assert names(source) == ["Kiosk", "Set time zone"]


@pytest.mark.parametrize(
    "text",
    [
        'a: !!int ""',
        'a: !!float ""',
        "a: !!bool maybe",
        "a: !!timestamp soon",
        "a: !!str x",
        "a: 1" + ":1" * 400 + ":1.5",
        "a: 0x" + "f" * 5000,
        "a: 1_0",
        "a: &a {x: 1}\nb: {<<: *a}",
        "[" * 60,
    ],
)
def test_yaml_is_plain_data_or_an_error(text: str) -> None:
    """No tag makes a value, no number is anything but digits, nothing is merged: never a crash, never a bomb."""
    try:
        found = read_foreign(text.encode(), "x.yaml")
    except DocumentError:
        return
    assert isinstance(found, dict)
    assert all(isinstance(value, str | dict) for value in found.values())
    assert found.get("b") in (None, {"<<": {"x": 1}})


def test_yaml_of_many_values_is_refused_before_it_is_built() -> None:
    """Sixteen megabytes of it would take gigabytes."""
    code = (
        "import resource\n"
        "from maa_gitops.documents.foreign import DocumentError, read_foreign\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 * 1024**2,) * 2)\n"
        "try:\n    read_foreign(b'[' + b'a,' * 4_000_000 + b']', 'x.yaml')\n"
        "except DocumentError as error:\n    print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:20]) == (0, "it holds more values")


def test_a_scope_tag_that_is_a_list_is_no_crash(tmp_path: Path) -> None:
    """Whatever a file holds becomes a reason."""
    folder = backup(tmp_path)
    (folder / CATEGORIES / "Odd.json").write_text('{"displayName": "Odd", "roleScopeTagIds": [["0"]]}')
    source = read(folder)
    assert names(source) == ["Kiosk"]
    assert "nothing says which id the scope tag" in {one.name: one.why for one in source.left_out}["Odd"]


def test_a_tenant_that_is_no_id_is_not_put_into_texts(tmp_path: Path) -> None:
    """The word for the tenant stands in texts a thousand times; a long name for it would be a bomb."""
    folder = write_intune_management(tmp_path, {"DeviceCategories": [category()]})
    (folder / "MigrationTable.json").write_text(json.dumps({"TenantId": "x" * 100_000, "Objects": []}))
    with pytest.raises(DocumentError, match="TenantId is no id"):
        read(folder)


def test_several_files_of_one_object_are_not_several_resources(alice: Person) -> None:
    """Whichever of them is right: two resources that adopt one object could neither be applied."""
    folder = Path(export(alice, {"DeviceCategories": [category(1, "Room"), category(2, "Kiosk")]}))
    shutil.copytree(folder / "DeviceCategories", folder / "Old" / "DeviceCategories")
    old = folder / "Old/DeviceCategories"
    (old / "Kiosk.json").unlink()
    (old / "Room.json").write_text(json.dumps(category(1, "Room of old")))
    answer = alice.maa("import", str(folder), "--format", "json")
    assert [row["object"] for row in answer.json["written"]] == ["tenantConfiguration/kiosk"]
    assert {name for name, reason in why(answer).items() if "several files" in reason} == {"Room", "Room of old"}


def test_what_applying_would_take_away_is_said(alice: Person) -> None:
    """An app that is adopted without one of its assignments loses that one; a policy set's stays where it is."""
    known, gone = intent(to_devices(), "available"), intent(to_group(GONE), "required")
    ones = [
        win_get_app(10, "Mail", known, gone),
        win_get_app(11, "Maps", known, {**intent(to_group(STAFF), "required"), "source": "policySets"}),
    ]
    folder = export(alice, {"Applications": ones})
    said = "warning: applying would take away the assignments that are left out of 'Mail': add them to the resource"
    assert alice.maa("import", folder, "--dry-run").err == f"{said}, or delete it\n"


# --- somebody at the served Graph ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ['{"displayName": ' + "[" * 400 + "]" * 400 + "}", '{"displayName": 1e999}'])
def test_nothing_can_be_kept_that_nobody_can_read_any_more(graph: Graph, body: str) -> None:
    """A value nested without end, or without measure, is refused, and the tenant is served as before."""
    head = '{"mailNickname": "x", "mailEnabled": false, "securityEnabled": true, '
    answer = graph.pool.request(
        "POST",
        f"{graph.url}/groups",
        body=head + body.removeprefix("{"),
        headers={"Authorization": "Bearer mallory", "Content-Type": "application/json"},
    )
    assert answer.status == 400
    assert [found["displayName"] for found in graph.get("groups").value] == ["Staff"]


def test_a_call_that_depends_on_no_list_is_refused(graph: Graph) -> None:
    """It is one answer of the batch, not the end of it."""
    call = {"method": "GET", "url": "/groups"}
    answer = graph.post("$batch", {"requests": [{"id": "1", "dependsOn": True, **call}, {"id": "2", **call}]})
    assert [one["status"] for one in answer.body["responses"]] == [400, 200]


def test_what_cannot_be_served_is_not_said_to_be(alice: Person) -> None:
    """A file that is none of ours is one answer, and an error: whoever reads it as data reads one document."""
    alice.write("notes.txt", "not a tenant")
    answer = alice.maa("tenant", "serve", "--file", "notes.txt", "--format", "json", code=4)
    assert answer.error["code"] == "localTenant"
    assert (alice.clone / "notes.txt").read_text() == "not a tenant"


# --- a tired person --------------------------------------------------------------------------------------------------


def test_what_a_commit_keeps_is_told_by_the_branch_that_is_written_on(alice: Person) -> None:
    """On an old main, whose attributes were others: a script would have lost its line ends without a word."""
    other = alice.world.bob
    other.commit({".gitattributes": "* text=auto eol=lf\n"})
    other.git("push", "-q", "origin", "HEAD:refs/heads/change/import-intune")
    folder = export(alice, {"PowerShellScripts": [script(text="a\r\nb\r\n", assignments=[])]})
    answer = alice.maa("import", folder, "--format", "json")
    assert why(answer)["Set time zone"].startswith("git would turn the line ends")
    assert files(alice) == {APP}


def test_folders_are_meant_where_the_command_runs(alice: Person) -> None:
    """``-C`` is as if it had been started there; for a file that is served as well."""
    export(alice, {"Applications": [win_get_app(10, "Mail")]})
    arguments = ("-C", alice.clone.name, "import", "../export", "--dry-run")
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=alice.clone.parent, env=variables(alice), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.decode().splitlines()[:1]) == (0, ["would be on change/import-intune:"])
    assert "there is no folder ../import" in alice.maa("import", "../import", code=2).err


def test_work_that_is_not_committed_is_said_to_come_along(alice: Person) -> None:
    """It would be asked for together with what was imported."""
    alice.write(APP, app(description="Half done."))
    alice.write("notes.txt", "no file of the tenant")
    answer = alice.maa("import", export(alice, {"Applications": [win_get_app(10, "Mail")]}))
    what = "changes that are not committed come along, and submit -a takes them in"
    assert answer.err == f"warning: {what}: {APP}\n"
    assert alice.maa("import", export(alice, {"Applications": [win_get_app(11, "Maps")]})).err == ""


@pytest.mark.parametrize("path", ["resources/apps/mail.yaml", APP])
def test_what_is_edited_while_objects_are_read_is_not_overwritten(alice: Person, path: str) -> None:
    """Reading thousands takes minutes; a file that is saved meanwhile is nobody's to take away."""
    repository = Repository.open(alice.clone, alice.world.variables())
    ground = ground_of(open_clone(repository, datetime.now(UTC)), None, "import-intune")
    source = read(Path(export(alice, {"Applications": [win_get_app(10, "Mail")]})))
    planned = plan(ground, source, (), lambda _done, _all: None)
    planned = replace(planned, files={**planned.files, APP: b"rewritten\n"})
    alice.write(path, "mine: too\n")
    with pytest.raises(RepositoryError, match=f"{path} was changed in the meantime"):
        carry_out(ground, planned)
    assert (alice.clone / path).read_text() == "mine: too\n"
    assert alice.git("branch", "--show-current") == "main"


def test_a_name_that_git_does_not_take_is_refused_before_anything_is_done(alice: Person) -> None:
    """Also where nothing would be written; with a name that does."""
    folder = export(alice, {"Applications": [win_get_app(10, "Mail")]})
    for branch in ("a//b", "a/", "\u212a"):
        answer = alice.maa("import", folder, "--dry-run", "--branch", branch, code=3)
        assert "cannot be the name of a change branch" in answer.err
        assert "hint: --branch import-intune" in answer.err


def test_a_branch_that_is_checked_out_elsewhere_is_no_uncommitted_work(alice: Person) -> None:
    """Committing or stashing would not help."""
    alice.git("worktree", "add", "-q", "-b", "change/import-intune", str(alice.world.folder / "elsewhere"))
    answer = alice.maa("import", export(alice, {"Applications": [win_get_app(10, "Mail")]}), code=4)
    assert answer.err.splitlines()[1] == "hint: maa import --branch NAME takes another branch; git status tells more"
    assert files(alice) == {APP}


@pytest.mark.parametrize("lost", ["resources/scripts/fix.ps1", FIX, "resources/apps/mail.yaml"])
def test_an_import_that_was_killed_is_gone_on_with(alice: Person, lost: str) -> None:
    """What it had not written yet is written, or it is said what is in the way; what was there stays as it is."""
    objects = {"PowerShellScripts": [script(3, "Fix", assignments=[])], "Applications": [win_get_app(10, "Mail")]}
    folder = export(alice, objects)
    alice.maa("import", folder)
    (alice.clone / lost).unlink()
    kept = {path: (alice.clone / path).read_bytes() for path in files(alice)}
    answer = alice.maa("import", folder, "--format", "json")
    assert {path: (alice.clone / path).read_bytes() for path in kept} == kept
    assert answer.json["written"] or "file 'fix.ps1' is not there" in why(answer)["Fix"]
    assert alice.git("branch", "--show-current") == "change/import-intune"
