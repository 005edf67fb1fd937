"""Reading backups of IntuneCD and exports of IntuneManagement: what comes of them, what stays out, hostile folders."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.errors import DocumentError
from maa_gitops.importing import Found, Source, from_backup
from maa_gitops.importing.intunecd import NO_DESCRIPTIONS
from maa_gitops.model import BUILT_IN_TYPES, ProfileType, Settings, Target
from maa_gitops.providers.graph.shapes import NO_TEXT
from tests.support import backups
from tests.support.backups import (
    GONE,
    GROUPS,
    PILOT,
    STAFF,
    TENANT_ID,
    an_id,
    base64_of,
    category,
    intent,
    remediation,
    script,
    to_devices,
    to_group,
    win_get_app,
    write_intune_management,
    write_intunecd,
)

OWN_TYPES = (
    ProfileType("compliancePolicy", "compliance-policies"),
    ProfileType("configurationPolicy", "configuration-policies"),
    ProfileType("tenantConfiguration", "tenant-configurations"),
)
INTUNE = Target("intune", "graph", {"tenantId": TENANT_ID}, OWN_TYPES)
SETTINGS = Settings("contoso", "main", targets=(INTUNE,), profile_types=(*BUILT_IN_TYPES, *OWN_TYPES))
STAFF_ONLY = {"target": {"group": "All Staff"}}

EXPECTED = {
    "Set time zone": {
        "type": "deviceManagementScript",
        "displayName": "Set time zone",
        "description": "Sets it.",
        "runAsAccount": "system",
        "fileName": "tz.ps1",
        "scriptContent": "Set-TimeZone UTC\n",
    },
    "Rename: Macs": {
        "type": "deviceShellScript",
        "displayName": "Rename: Macs",
        "blockExecutionNotifications": True,
        "executionFrequency": "PT0S",
        "retryCount": 3,
        "runAsAccount": "system",
        "fileName": "rename.sh",
        "scriptContent": "#!/bin/zsh\necho rename",
    },
    "Fix / spooler": {
        "type": "deviceHealthScript",
        "displayName": "Fix / spooler",
        "publisher": "Contoso",
        "runAsAccount": "system",
        "detectionScriptContent": "exit 1\n",
        "remediationScriptContent": "\ufeffRestart-Service Spooler\n",
    },
    "Kiosk": {"displayName": "Kiosk", "description": ""},
}


def read(folder: Path, target: Target | None = INTUNE, settings: Settings = SETTINGS) -> Source:
    """Read a backup for the tenant of the tests."""
    return from_backup(folder, settings, target, {})


def by_name(source: Source) -> dict[str, Found]:
    """What was found, by what people call it."""
    assert len({one.display_name for one in source.found}) == len(source.found)
    return {one.display_name: one for one in source.found}


def reasons(source: Source) -> dict[str, str]:
    """Why what stays out does, by name."""
    return {one.name: one.why for one in source.left_out}


def app(source: Source) -> Mapping[str, Any]:
    """The app of the sample."""
    return by_name(source)["Company Portal"].state.data


# --- both tools ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["intunecd json", "intunecd yaml", "export utf-8", "export utf-16", "export utf-8-sig"])
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """The sample as each tool writes it, with ids."""
    tool, how = request.param.split()
    if tool == "intunecd":
        return read(write_intunecd(tmp_path, output=how, append_id=True))
    return read(write_intune_management(tmp_path, encoding=how))


def test_both_tools_give_the_same_objects(sample: Source) -> None:
    """Properties of resources, texts of scripts, whatever the format, the encoding and the names of files."""
    found = by_name(sample)
    assert set(found) == {"Company Portal", "Baseline", "Windows", *EXPECTED}
    assert {name: dict(found[name].state.data) for name in EXPECTED} == {
        name: {key: value for key, value in data.items() if value != ""} for name, data in EXPECTED.items()
    }
    assert {one.remote_id for one in found.values()} == {an_id(number) for number in (1, 3, 4, 5, 6, 7, 8)}


def test_both_tools_give_the_same_assignments(sample: Source) -> None:
    """Groups and assignment filters by name, whether the tool keeps names or ids."""
    found = by_name(sample)
    assert found["Company Portal"].state.assignments == (
        {"intent": "required", **STAFF_ONLY},
        {
            "intent": "available",
            "target": {"allDevices": True, "filter": {"name": "Owned by Contoso", "mode": "include"}},
        },
    )
    schedule = {"type": "deviceHealthScriptDailySchedule", "interval": 1, "useUtc": False, "time": "01:00:00"}
    assert found["Fix / spooler"].state.assignments == ({**STAFF_ONLY, "runSchedule": schedule},)
    assert found["Rename: Macs"].state.assignments == ({"target": {"group": "Pilot"}},)


def test_both_tools_give_types_of_the_tenants_own(sample: Source) -> None:
    """Kinds of values inside stay where nothing else says them; scope tags are ids."""
    found = by_name(sample)
    policy, catalog = found["Windows"].state, found["Baseline"].state
    assert (policy.profile_type, policy.data["type"]) == ("compliancePolicy", "windows10CompliancePolicy")
    assert policy.data["roleScopeTagIds"] == ["0", "7"]
    actions = [{"scheduledActionConfigurations": [{"gracePeriodHours": 0, "actionType": "block"}]}]
    assert json.loads(json.dumps(policy.data["scheduledActionsForRule"]).replace(NO_TEMPLATE, "")) == actions
    (setting,) = catalog.data["settings"]  # type: ignore[misc]
    assert (catalog.profile_type, catalog.data["name"]) == ("configurationPolicy", "Baseline")
    assert setting["settingInstance"]["@odata.type"].endswith("ConfigurationChoiceSettingInstance")


NO_TEMPLATE = ', "notificationTemplateId": "00000000-0000-0000-0000-000000000000", "notificationMessageCCList": []'


def test_what_has_no_place_is_told_with_the_line_that_would_make_one(sample: Source) -> None:
    """Nothing of a backup is dropped without a word."""
    why = reasons(sample)
    assert why["7-Zip"] == "objects of the kind win32LobApp cannot be kept as resources"
    assert why["Old restrictions"] == (
        "maa.yaml has no profile type for deviceManagement/deviceConfigurations; to add one: profileTypes: "
        "{deviceConfiguration: {folder: device-configurations, graph: {path: deviceManagement/deviceConfigurations, "
        "assignProperty: assignments}}}"
    )
    others = {"Default", "Berlin", "Owned by Contoso"}
    assert set(why) - others == {"7-Zip", "Old restrictions"}


def test_a_type_that_the_tenant_lacks_is_told_with_its_line(tmp_path: Path) -> None:
    """Where the tool knows what Graph does with a type, its folder is all that has to be said."""
    plain = Settings("contoso", "main")
    source = read(write_intune_management(tmp_path, {"DeviceCategories": [category()]}), None, plain)
    assert reasons(source)["Kiosk"].endswith("profileTypes: {tenantConfiguration: {folder: tenant-configurations}}")


def test_a_backup_is_found_as_it_would_be_shaped_again(sample: Source) -> None:
    """What was found is in the one form in which resources are compared with it."""
    assert all(sample.as_there(one.state).digest == one.state.digest for one in sample.found)


# --- what a backup is of ---------------------------------------------------------------------------------------------


def test_objects_adopt_only_where_ids_and_target_are_known(tmp_path: Path) -> None:
    """Without ids, without a target, or from another tenant nothing is adopted, and it is said."""
    with_ids = write_intune_management(tmp_path / "export")
    without = write_intunecd(tmp_path / "backup")
    other = Target("intune", "graph", {"tenantId": "00000000-0000-4000-8000-00000000000f"})
    said = "nothing is adopted, so applying makes new objects: "
    assert read(with_ids).target == "intune"
    for source, why in (
        (read(without), "the backup has no ids (IntuneCD writes them with --append-id)"),
        (read(with_ids, None), "nothing says which target the backup is of; name the target with --target (intune)"),
        (
            read(with_ids, other),
            f"the backup is of tenant {TENANT_ID}, and target intune is {other.options['tenantId']}",
        ),
    ):
        assert (source.target, said + why in source.notes) == (None, True)


def test_only_objects_with_an_id_adopt(tmp_path: Path) -> None:
    """A folder may hold files of both kinds, written at different times."""
    write_intunecd(tmp_path, {"DeviceCategories": [category(1, "Kiosk")]}, append_id=True)
    (tmp_path / "Device Categories" / "Room.json").write_text('{"displayName": "Room"}')
    source = read(tmp_path)
    assert {one.display_name: one.remote_id for one in source.found} == {"Kiosk": an_id(1), "Room": None}
    assert source.notes == ("1 of the objects have no id in the backup and adopt nothing: applying makes new ones",)


def test_the_object_map_names_what_was_applied_already(tmp_path: Path) -> None:
    """An object that a resource was applied to is that resource, though it bears no mark."""
    folder = write_intune_management(tmp_path, {"DeviceCategories": [category(8)]})
    source = from_backup(folder, SETTINGS, INTUNE, {an_id(8): "tenantConfiguration/kiosks"})
    assert [one.name for one in source.found] == ["tenantConfiguration/kiosks"]


def test_an_export_in_a_folder_of_the_tenants_name_is_found_and_two_are_not(tmp_path: Path) -> None:
    """The tool can put the tenant's name above everything; whose objects are meant must be clear."""
    write_intune_management(tmp_path / "exports" / "Contoso", {"DeviceCategories": [category()]})
    assert set(by_name(read(tmp_path / "exports"))) == {"Kiosk"}
    write_intune_management(tmp_path / "exports" / "Fabrikam")
    with pytest.raises(DocumentError, match=r"exports of several tenants \(Contoso, Fabrikam\)"):
        read(tmp_path / "exports")


@pytest.mark.parametrize("name", ["", "Documents", "resources/apps"])
def test_a_folder_that_is_no_backup_is_refused(tmp_path: Path, name: str) -> None:
    """It is recognised by what is in it."""
    (tmp_path / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / name / "x.json").write_text("{}")
    with pytest.raises(DocumentError, match="neither a backup of IntuneCD nor an export of IntuneManagement"):
        read(tmp_path)


# --- assignments that cannot be said ---------------------------------------------------------------------------------


def test_a_group_that_the_migration_table_does_not_name_is_told(tmp_path: Path) -> None:
    """The object comes without that assignment, and it is said which group it was."""
    known = to_group(STAFF)
    objects = {"PowerShellScripts": [script(assignments=[known, to_group(GONE)])]}
    source = read(write_intune_management(tmp_path, objects, groups={STAFF: "All Staff"}))
    assert by_name(source)["Set time zone"].state.assignments == (STAFF_ONLY,)
    assert reasons(source)["Set time zone"] == (f"one of its assignments: nothing says what the group {GONE} is called")


def test_an_export_without_a_migration_table_names_no_groups(tmp_path: Path) -> None:
    """The files of groups beside it would; without these, too, every assignment to a group stays out."""
    objects = {"PowerShellScripts": [script(assignments=[to_group(STAFF), to_devices()])]}
    source = read(write_intune_management(tmp_path, objects, table=False))
    assert by_name(source)["Set time zone"].state.assignments == ({"target": {"allDevices": True}},)
    assert "nothing says what the group" in reasons(source)["Set time zone"]


def test_a_name_of_two_groups_names_none(tmp_path: Path) -> None:
    """The assignment could reach the other one."""
    objects = {"PowerShellScripts": [script(assignments=[to_group(STAFF)])]}
    source = read(write_intune_management(tmp_path, objects, groups={STAFF: "Staff", PILOT: "Staff"}))
    assert (
        reasons(source)["Set time zone"]
        == f"one of its assignments: several groups are called 'Staff', and it means {STAFF}"
    )


def test_a_group_that_intunecd_did_not_find_is_told(tmp_path: Path) -> None:
    """It leaves its name out, and its id as well."""
    source = read(write_intunecd(tmp_path, {"PowerShellScripts": [script(assignments=[to_group(GONE)])]}))
    assert by_name(source)["Set time zone"].state.assignments == ()
    assert reasons(source)["Set time zone"] == "one of its assignments: it does not say which group it means"


@pytest.mark.parametrize("write", [write_intunecd, write_intune_management])
def test_other_assignments_that_a_resource_cannot_say_are_told(tmp_path: Path, write: Any) -> None:
    """Kinds of targets that resources do not have, filters without a name, what a policy set has assigned."""
    collection = {"@odata.type": "#microsoft.graph.configurationManagerCollectionAssignmentTarget", "collectionId": "X"}
    unknown = "ffffffff-0000-4000-8000-00000000000f"
    ones = [
        intent({"id": "1", "target": {**backups.NO_FILTER, **collection}}, "required"),
        intent(to_devices(unknown), "available"),
        {**intent(to_group(STAFF), "required"), "source": "policySets"},
    ]
    source = read(write(tmp_path, {"Applications": [win_get_app(1, "Company Portal", *ones)]}))
    assert by_name(source)["Company Portal"].state.assignments == ()
    assert [
        one.why.removeprefix("one of its assignments: ") for one in source.left_out if one.name == "Company Portal"
    ] == [
        "resources have no target of the kind #microsoft.graph.configurationManagerCollectionAssignmentTarget",
        f"the assignment filter {unknown} has no name that is its alone",
        "it comes from a policy set, and is governed there",
    ]


def test_assignments_of_a_type_that_cannot_be_assigned_are_told(tmp_path: Path) -> None:
    """A profile type says by which member it is assigned, or it is not."""
    source = read(
        write_intune_management(tmp_path, {"DeviceCategories": [{**category(), "assignments": [to_devices()]}]})
    )
    assert reasons(source)["Kiosk"] == (
        "one of its assignments: maa.yaml does not say how tenantConfiguration is assigned (assignProperty)"
    )


# --- IntuneCD --------------------------------------------------------------------------------------------------------


def test_intunecd_leaves_out_descriptions_of_apps_and_it_is_said(tmp_path: Path) -> None:
    """Applying would empty them."""
    source = read(write_intunecd(tmp_path, {"Applications": [win_get_app()]}))
    assert (NO_DESCRIPTIONS in source.notes, "description" in app(source)) == (True, False)
    assert NO_DESCRIPTIONS not in read(write_intunecd(tmp_path / "other", {"DeviceCategories": [category()]})).notes


def test_a_scope_tag_without_an_id_leaves_its_object_out(tmp_path: Path) -> None:
    """Names of scope tags are no ids; the default one is known, numbers are ids already."""
    tagged = [
        category(1, "Default"),
        {**category(2, "Room"), "roleScopeTagIds": ["0", "7"]},
    ]
    source = read(write_intunecd(tmp_path, {"DeviceCategories": tagged}))
    assert set(by_name(source)) == {"Default"}
    assert reasons(source)["Room"].startswith("nothing says which id the scope tag 'Berlin' has")
    (tmp_path / "Device Categories" / "Ids.json").write_text('{"displayName": "Ids", "roleScopeTagIds": ["0", "9"]}')
    assert by_name(read(tmp_path))["Ids"].state.data["roleScopeTagIds"] == ["0", "9"]


def test_a_script_that_was_edited_in_its_file_has_that_text(tmp_path: Path) -> None:
    """IntuneCD itself sends the file; that its lines end otherwise is no edit."""
    write_intunecd(tmp_path, {"PowerShellScripts": [script(text="a\r\nb\r\n")]})
    file = tmp_path / "Scripts/Powershell/Script Data/tz.ps1"
    file.write_bytes(b"a\nb\n")
    assert by_name(read(tmp_path))["Set time zone"].state.data["scriptContent"] == "a\r\nb\r\n"
    file.write_bytes(b"a\nc\n")
    assert by_name(read(tmp_path))["Set time zone"].state.data["scriptContent"] == "a\nc\n"


def test_scripts_that_share_a_file_keep_their_own_texts(tmp_path: Path) -> None:
    """Without ids two scripts of one file name overwrite one another; what the object has is right."""
    ones = [script(1, "First", "first\n"), script(2, "Second", "second\n")]
    source = read(write_intunecd(tmp_path, {"PowerShellScripts": ones}))
    assert {name: one.state.data["scriptContent"] for name, one in by_name(source).items()} == {
        "First": "first\n",
        "Second": "second\n",
    }
    for file in (tmp_path / "Scripts/Powershell").glob("*.json"):
        data = json.loads(file.read_text())
        file.write_text(json.dumps({key: value for key, value in data.items() if key != "scriptContent"}))
    assert reasons(read(tmp_path))["First"].endswith(
        "is the file of several scripts, so that nobody can tell whose text it has"
    )


def test_a_script_whose_text_is_in_its_file_alone_has_it(tmp_path: Path) -> None:
    """Older backups keep no text in the object."""
    write_intunecd(tmp_path, {"DeviceHealthScripts": [remediation()]})
    file = tmp_path / "Proactive Remediations" / "Fix _ spooler.json"
    data = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in data.items() if not key.endswith("Content")}))
    found = by_name(read(tmp_path))["Fix / spooler"].state.data
    assert found["remediationScriptContent"] == "\ufeffRestart-Service Spooler\n"


def test_what_intunecd_puts_in_beside_ids_is_no_property(tmp_path: Path) -> None:
    """Graph would refuse it."""
    policy = backups.compliance_policy()
    action = policy["scheduledActionsForRule"][0]["scheduledActionConfigurations"][0]
    action["notificationTemplateName"] = "Mail"
    source = read(
        write_intunecd(
            tmp_path, {"CompliancePolicies": [{**policy, "deviceComplianceScriptName": "x"}]}, append_id=True
        )
    )
    assert "Name" not in json.dumps(by_name(source)["Windows"].state.data).replace("displayName", "")


# --- IntuneManagement ------------------------------------------------------------------------------------------------


def test_an_export_into_one_folder_is_told_apart_by_what_graph_said(tmp_path: Path) -> None:
    """Without a folder for each kind the kind of an object, or the address that it was read at, tells."""
    write_intune_management(tmp_path / "a")
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (tmp_path / "a").rglob("*.json"):
        if file.parent.name not in ("Groups", "AssignmentFilters"):
            file.rename(flat / file.name)
    assert set(by_name(read(flat))) == {"Company Portal", "Baseline", "Windows", *EXPECTED}


def test_what_microsoft_brings_along_is_told(tmp_path: Path) -> None:
    """Nobody can change it."""
    objects = {"DeviceHealthScripts": [{**remediation(), "isGlobalScript": True}]}
    assert reasons(read(write_intune_management(tmp_path, objects)))["Fix / spooler"].startswith(
        "it is Microsoft's own"
    )


def test_the_word_for_the_tenant_becomes_its_id_again(tmp_path: Path) -> None:
    """Where no table says which tenant it was the object stays out; in what is beside properties it means nothing."""
    objects = {"Applications": [win_get_app(notes="tenant %OrganizationId%")]}
    assert app(read(write_intune_management(tmp_path / "a", objects)))["notes"] == f"tenant {TENANT_ID}"
    source = read(write_intune_management(tmp_path / "b", objects, table=False))
    assert (source.found, "no MigrationTable.json says which" in reasons(source)["Company Portal"]) == ((), True)


def test_a_mark_is_read_and_is_no_text_of_the_object(tmp_path: Path) -> None:
    """A backup of objects that were applied from here tells whose they are."""
    marked = win_get_app(notes="For all.\n\n[maa:contoso:app/portal]")
    (one,) = read(write_intune_management(tmp_path, {"Applications": [marked]})).found
    assert (one.mark, one.state.data["notes"]) == ("maa:contoso:app/portal", "For all.")


# --- hostile and broken folders --------------------------------------------------------------------------------------

BROKEN = {
    "cut.json": '{"displayName": ',
    "list.json": "[1]",
    "deep.json": "[" * 100_000,
    "nested.json": '{"a":' * 60 + "1" + "}" * 60,
    "number.json": '{"a": ' + "1" * 5000 + "}",
    "latin.json": b'{"displayName": "\xe4"}',
    "tab.yaml": "a:\n\t- b",
    "tag.yaml": "a: !!python/object/apply:os.system [id]",
    "key.yaml": "1: a",
    "itself.yaml": "a: &a [*a]",
    "bomb.yaml": "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    + "\n".join(
        f"{n}: &{n} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]"
        for p, n in zip("abcdefg", "bcdefgh", strict=True)
    ),
    "empty.yaml": "",
    "binary.yaml": "a: !!binary aGk=",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_holds_no_object_is_told_and_nothing_else_suffers(tmp_path: Path, name: str) -> None:
    """Broken, foreign and hostile files are reasons, never crashes."""
    write_intunecd(tmp_path, {"DeviceCategories": [category()]})
    content = BROKEN[name]
    (tmp_path / "Device Categories" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    source = read(tmp_path)
    assert set(by_name(source)) == {"Kiosk"}
    assert [one.origin for one in source.left_out if "Categories" in one.origin] == [f"Device Categories/{name}"]


def test_links_and_folders_that_look_like_files_are_not_followed(tmp_path: Path) -> None:
    """A backup comes from somewhere; it does not lead elsewhere on this machine."""
    folder = write_intunecd(tmp_path / "backup", {"DeviceCategories": [category()]})
    (tmp_path / "secret.json").write_text('{"displayName": "Secret"}')
    (folder / "Device Categories" / "link.json").symlink_to(tmp_path / "secret.json")
    (folder / "Device Categories" / "folder.json").mkdir()
    os.mkfifo(folder / "Device Categories" / "pipe.json")
    (folder / "Roles").symlink_to(tmp_path)
    source = read(folder)
    assert set(by_name(source)) == {"Kiosk"}
    told = {one.origin: one.why for one in source.left_out if "Categories" in one.origin}
    why = "it is a link, or no regular file"
    assert told == {"Device Categories/link.json": why, "Device Categories/pipe.json": why}


def test_a_file_that_is_too_large_is_told(tmp_path: Path) -> None:
    """It is not read into values."""
    write_intunecd(tmp_path, {"DeviceCategories": [category()]})
    (tmp_path / "Device Categories" / "large.json").write_bytes(b" " * (16 * 1024 * 1024 + 1))
    assert reasons(read(tmp_path))["large"].startswith("more than 16777216 bytes")


def test_yaml_that_other_tools_write_reads_as_they_meant_it(tmp_path: Path) -> None:
    """Aliases for what is the same, words and dates that were texts."""
    write_intunecd(tmp_path, {"DeviceCategories": [category()]})
    text = "displayName: Room\na: &id001\n- x\nb: *id001\nc: 'no'\nd: 2026-11-23\n"
    (tmp_path / "Device Categories" / "Room.yaml").write_text(text)
    data = by_name(read(tmp_path))["Room"].state.data
    assert data == {"displayName": "Room", "a": ["x"], "b": ["x"], "c": "no", "d": "2026-11-23"}


def test_a_script_that_is_no_text_is_kept_as_it_came(tmp_path: Path) -> None:
    """It is told where resources are checked; here it is not turned into another text."""
    utf_16 = "Set-TimeZone ä".encode("utf-16")
    for write in (write_intunecd, write_intune_management):
        (one,) = read(write(tmp_path / write.__name__, {"PowerShellScripts": [script(text=utf_16)]})).found
        assert one.state.data["scriptContent"] == {NO_TEXT: base64_of(utf_16)}


def test_the_groups_of_the_sample_are_those_of_the_tables() -> None:
    """The sample names every group that it assigns to."""
    ones = [one for kinds in backups.sample().values() for one in kinds]
    used = {found["target"].get("groupId") for one in ones for found in one.get("assignments", [])}
    assert used - {None} == set(GROUPS)
