"""Backups as IntuneCD 2.6 and exports as IntuneManagement 3.10 write them, of objects as Graph answers them.

What the tools leave out, put in and call files is as they do it; the objects themselves are samples.
"""

import base64
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.support.world import Person

Json = dict[str, Any]

TENANT_ID = "7a3e9c52-1d84-4f06-b6a9-0c5d2e7f4813"
STAFF, PILOT, GONE = (f"aaaaaaaa-0000-4000-8000-00000000000{n}" for n in (1, 2, 9))
GROUPS = {STAFF: "All Staff", PILOT: "Pilot"}
OWNED = "ffffffff-0000-4000-8000-000000000001"
FILTERS = {OWNED: "Owned by Contoso"}
SCOPE_TAGS = {"0": "Default", "7": "Berlin"}
DATES = {"createdDateTime": "2026-01-12T08:00:00Z", "lastModifiedDateTime": "2026-10-01T12:30:00Z"}
NO_FILTER = {"deviceAndAppManagementAssignmentFilterId": None, "deviceAndAppManagementAssignmentFilterType": "none"}

PATHS = {
    "Applications": "deviceAppManagement/mobileApps",
    "PowerShellScripts": "deviceManagement/deviceManagementScripts",
    "MacScripts": "deviceManagement/deviceShellScripts",
    "DeviceHealthScripts": "deviceManagement/deviceHealthScripts",
    "CompliancePolicies": "deviceManagement/deviceCompliancePolicies",
    "SettingsCatalog": "deviceManagement/configurationPolicies",
    "DeviceCategories": "deviceManagement/deviceCategories",
    "DeviceConfiguration": "deviceManagement/deviceConfigurations",
}
"""Where Graph keeps the objects of each folder of IntuneManagement."""


def an_id(number: int) -> str:
    """An object's id."""
    return f"11111111-1111-4111-8111-{number:012d}"


def base64_of(text: str | bytes) -> str:
    """Bytes as Graph has them in JSON."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


# --- objects as Graph answers them -----------------------------------------------------------------------------------


def to_group(group: str, **more: object) -> Json:
    """An assignment to a group, by its id."""
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", **NO_FILTER, "groupId": group}
    return {"id": f"{group}_0", "target": target, **more}


def to_devices(filter_id: str | None = None, **more: object) -> Json:
    """An assignment to all devices, those of a filter if one is given."""
    target = {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget", **NO_FILTER}
    if filter_id is not None:
        target["deviceAndAppManagementAssignmentFilterId"] = filter_id
        target["deviceAndAppManagementAssignmentFilterType"] = "include"
    return {"id": "devices_0", "target": target, **more}


def win_get_app(number: int = 1, name: str = "Company Portal", *assignments: Json, **more: object) -> Json:
    """An app of the store."""
    return {
        "@odata.type": "#microsoft.graph.winGetApp",
        "id": an_id(number),
        "displayName": name,
        "description": "Apps and compliance of this device.",
        "publisher": "Microsoft Corporation",
        "largeIcon": None,
        **DATES,
        "isFeatured": False,
        "privacyInformationUrl": "",
        "informationUrl": "",
        "owner": "",
        "developer": "",
        "notes": "",
        "uploadState": 1,
        "publishingState": "published",
        "isAssigned": bool(assignments),
        "roleScopeTagIds": ["0"],
        "dependentAppCount": 0,
        "supersedingAppCount": 0,
        "supersededAppCount": 0,
        "manifestHash": None,
        "packageIdentifier": "9WZDNCRFJ3PZ",
        "installExperience": {"runAsAccount": "system"},
        "assignments": list(assignments),
        **more,
    }


def intent(assignment: Json, what: str) -> Json:
    """An app's assignment with its intent."""
    return {**assignment, "intent": what, "source": "direct", "sourceId": an_id(1), "settings": None}


def lob_app(number: int = 2, name: str = "7-Zip") -> Json:
    """An app with a package of its own, which no resource can be."""
    kind = {"@odata.type": "#microsoft.graph.win32LobApp", "id": an_id(number), "displayName": name}
    return {
        **kind,
        **DATES,
        "displayVersion": "23.01",
        "publisher": "Igor",
        "roleScopeTagIds": ["0"],
        "assignments": [],
    }


def script(
    number: int = 3, name: str = "Set time zone", text: str | bytes = "Set-TimeZone UTC\n", **more: object
) -> Json:
    """A PowerShell script; Graph does not say its type where it can be no other."""
    return {
        "id": an_id(number),
        "displayName": name,
        "description": "Sets it.",
        "scriptContent": base64_of(text),
        **DATES,
        "runAsAccount": "system",
        "enforceSignatureCheck": False,
        "fileName": "tz.ps1",
        "runAs32Bit": False,
        "roleScopeTagIds": ["0"],
        "assignments": [to_group(STAFF)],
        **more,
    }


def shell_script(number: int = 4, name: str = "Rename: Macs") -> Json:
    """A script for macOS without a last line feed."""
    return {
        "id": an_id(number),
        "displayName": name,
        "description": "",
        "executionFrequency": "PT0S",
        "retryCount": 3,
        "blockExecutionNotifications": True,
        "scriptContent": base64_of("#!/bin/zsh\necho rename"),
        **DATES,
        "runAsAccount": "system",
        "fileName": "rename.sh",
        "roleScopeTagIds": ["0"],
        "assignments": [to_group(PILOT)],
    }


def remediation(number: int = 5, name: str = "Fix / spooler") -> Json:
    """A remediation, whose second script begins with a byte order mark."""
    schedule = {"@odata.type": "#microsoft.graph.deviceHealthScriptDailySchedule", "interval": 1, "useUtc": False}
    return {
        "id": an_id(number),
        "publisher": "Contoso",
        "version": "1",
        "displayName": name,
        "description": "",
        "detectionScriptContent": base64_of("exit 1\n"),
        "remediationScriptContent": base64_of("\ufeffRestart-Service Spooler\n"),
        **DATES,
        "runAsAccount": "system",
        "enforceSignatureCheck": False,
        "runAs32Bit": False,
        "roleScopeTagIds": ["0"],
        "isGlobalScript": False,
        "highestAvailableVersion": None,
        "deviceHealthScriptType": "deviceHealthScript",
        "detectionScriptParameters": [],
        "remediationScriptParameters": [],
        "assignments": [
            to_group(STAFF, runRemediationScript=False, runSchedule={**schedule, "time": "01:00:00.0000000"})
        ],
    }


def compliance_policy(number: int = 6, name: str = "Windows") -> Json:
    """A compliance policy with what happens when it is not met."""
    action = {
        "id": "c1",
        "gracePeriodHours": 0,
        "actionType": "block",
        "notificationTemplateId": "00000000-0000-0000-0000-000000000000",
        "notificationMessageCCList": [],
    }
    return {
        "@odata.type": "#microsoft.graph.windows10CompliancePolicy",
        "id": an_id(number),
        "displayName": name,
        "description": None,
        **DATES,
        "version": 3,
        "roleScopeTagIds": ["0", "7"],
        "bitLockerEnabled": True,
        "scheduledActionsForRule": [{"id": "r1", "ruleName": None, "scheduledActionConfigurations": [action]}],
        "assignments": [to_group(STAFF)],
    }


def catalog_policy(number: int = 7, name: str = "Baseline") -> Json:
    """A policy of the settings catalog, which is called by another property."""
    setting = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
        "settingDefinitionId": "device_vendor_msft_bitlocker",
        "choiceSettingValue": {"value": "device_vendor_msft_bitlocker_1", "children": []},
    }
    return {
        "id": an_id(number),
        "name": name,
        "description": "",
        **DATES,
        "platforms": "windows10",
        "technologies": "mdm",
        "settingCount": 1,
        "creationSource": None,
        "roleScopeTagIds": ["0"],
        "isAssigned": True,
        "settings": [{"id": "0", "settingInstance": setting}],
        "assignments": [to_devices()],
    }


def category(number: int = 8, name: str = "Kiosk") -> Json:
    """A device category."""
    return {"id": an_id(number), "displayName": name, "description": "", "roleScopeTagIds": ["0"]}


def configuration(number: int = 9, name: str = "Old restrictions") -> Json:
    """A configuration of the older kind, for which the sample tenants have no profile type."""
    kind = "#microsoft.graph.windows10GeneralConfiguration"
    return {"@odata.type": kind, "id": an_id(number), "displayName": name, **DATES, "assignments": []}


def sample() -> dict[str, list[Json]]:
    """A small tenant, by the folders of IntuneManagement."""
    required, kiosks = intent(to_group(STAFF), "required"), intent(to_devices(OWNED), "available")
    return {
        "Applications": [win_get_app(1, "Company Portal", required, kiosks), lob_app()],
        "PowerShellScripts": [script()],
        "MacScripts": [shell_script()],
        "DeviceHealthScripts": [remediation()],
        "CompliancePolicies": [compliance_policy()],
        "SettingsCatalog": [catalog_policy()],
        "DeviceCategories": [category()],
        "DeviceConfiguration": [configuration()],
    }


# --- IntuneCD --------------------------------------------------------------------------------------------------------

_INTUNECD = {
    "Applications": "Applications",
    "PowerShellScripts": "Scripts/Powershell",
    "MacScripts": "Scripts/Shell",
    "DeviceHealthScripts": "Proactive Remediations",
    "CompliancePolicies": "Compliance Policies/Policies",
    "SettingsCatalog": "Settings Catalog",
    "DeviceCategories": "Device Categories",
    "DeviceConfiguration": "Device Configurations",
}
_REMOVED = frozenset(
    (  # noqa: SIM905 - words are easier to read
        "id version createdDateTime lastModifiedDateTime isAssigned sourceId isGlobalScript highestAvailableVersion "
        "deviceHealthScriptType"
    ).split()
)


def write_intunecd(
    folder: Path, objects: Mapping[str, Iterable[Json]] | None = None, *, output: str = "json", append_id: bool = False
) -> Path:
    """Write a backup of IntuneCD; returns its folder."""
    for kind, ones in (objects if objects is not None else sample()).items():
        for one in ones:
            _write_intunecd(folder, kind, deepcopy(one), output, append_id=append_id)
    for tag_id, name in SCOPE_TAGS.items():
        stem = f"{name}__{tag_id}" if append_id else name
        _put(folder / "Scope Tags" / stem, {"displayName": name, "description": "", "isBuiltIn": tag_id == "0"}, output)
    (folder / "__archive__" / "2026-01-01_00-00-00").mkdir(parents=True)
    (folder / "__archive__" / "2026-01-01_00-00-00" / "Gone_webApp.json").write_text('{"displayName": "Gone"}')
    _put(folder / "Assignment Report" / "report", [{"groupName": "All Staff", "assignedTo": {}}], output)  # type: ignore[arg-type]
    return folder


def _write_intunecd(folder: Path, kind: str, one: Json, output: str, *, append_id: bool) -> None:
    place = folder / _INTUNECD[kind]
    type_name = one.get("@odata.type", "").rpartition(".")[2]
    stem = one.get("displayName") or one.get("name")
    suffix = f"__{one['id']}" if append_id else ""
    if kind == "Applications":
        place /= "Windows"
        one.pop("description", None)
        stem += f"_Win32_{one['displayVersion'].replace('.', '_')}" if "displayVersion" in one else f"_{type_name}"
    elif kind == "SettingsCatalog":
        stem += f"_{one['technologies']}"
    elif type_name:
        stem += f"_{type_name}"
    _write_scripts(place / "Script Data", one, suffix)
    for rule in one.get("scheduledActionsForRule", []):
        del rule["id"]
        for action in rule["scheduledActionConfigurations"]:
            del action["id"]
    one["assignments"] = [_intunecd_assignment(found) for found in one.get("assignments", [])]
    tags = [SCOPE_TAGS[found] for found in one.get("roleScopeTagIds", [])]
    kept = {key: value for key, value in one.items() if key not in _REMOVED and (key != "assignments" or value)}
    _put(place / (_file_name(stem) + suffix), {**kept, **({"roleScopeTagIds": tags} if tags else {})}, output)


def _file_name(text: str) -> str:
    return re.sub(r'[/\\:*?<>"|]', "_", text)


def _write_scripts(folder: Path, one: Json, suffix: str) -> None:
    names = {"scriptContent": one.get("fileName", "")}
    for part in ("detectionScript", "remediationScript"):
        names[f"{part}Content"] = f"{_file_name(one.get('displayName', ''))}_{part}.ps1"
    for key, name in names.items():
        if one.get(key):
            folder.mkdir(parents=True, exist_ok=True)
            stem, _, ending = name.rpartition(".")
            data = base64.b64decode(one[key])
            try:
                text = data.decode()
            except UnicodeDecodeError:
                text = one[key]
            folder.joinpath(f"{stem}{suffix}.{ending}").write_bytes(text.encode())


def _intunecd_assignment(found: Json) -> Json:
    target = dict(found["target"])
    group = target.pop("groupId", None)
    if group in GROUPS:
        target |= {"groupName": GROUPS[group], "groupType": "DynamicMembership", "membershipRule": "(user.enabled)"}
    wanted = target["deviceAndAppManagementAssignmentFilterId"]
    target["deviceAndAppManagementAssignmentFilterId"] = FILTERS.get(wanted, wanted)
    return {**{key: value for key, value in found.items() if key not in ("id", "sourceId")}, "target": target}


def _put(stem: Path, data: Json, output: str) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    text = (
        json.dumps(data, indent=5) if output == "json" else yaml.dump(data, sort_keys=False, default_flow_style=False)
    )
    stem.with_name(f"{stem.name}.{output}").write_text(text, encoding="utf-8")


# --- IntuneManagement ------------------------------------------------------------------------------------------------


def write_intune_management(
    folder: Path,
    objects: Mapping[str, Iterable[Json]] | None = None,
    *,
    encoding: str = "utf-8",
    groups: Mapping[str, str] | None = None,
    table: bool = True,
) -> Path:
    """Write an export of IntuneManagement; Windows PowerShell's ``encoding`` is utf-16."""
    for kind, ones in (objects if objects is not None else sample()).items():
        for one in ones:
            name = re.sub(r'["<>|:*?\\/]', "", one.get("displayName") or one["name"]).strip(".")
            _write(folder / kind / f"{name}.json", _as_exported(one, kind), encoding)
            if "fileName" in one:
                (folder / kind / one["fileName"]).write_bytes(base64.b64decode(one["scriptContent"]))
    for filter_id, name in FILTERS.items():
        _write(folder / "AssignmentFilters" / f"{name}.json", {"id": filter_id, "displayName": name}, encoding)
    known = groups if groups is not None else GROUPS
    for group_id, name in known.items() if table else ():
        _write(folder / "Groups" / f"{name}.json", {"id": group_id, "displayName": name}, encoding)
    if table:
        rows = [{"Id": group_id, "DisplayName": name, "Type": "Group"} for group_id, name in known.items()]
        heads = {"TenantId": TENANT_ID, "Organization": "Contoso", "Objects": rows}
        _write(folder / "MigrationTable.json", heads, encoding)
    return folder


def _as_exported(one: Json, kind: str) -> Json:
    """An object with everything that Graph says beside its properties when it is asked for all of it."""
    path = PATHS[kind]
    url = f"https://graph.microsoft.com/beta/{path}('{one['id']}')"
    nested = {
        key: {"@odata.type": f"#microsoft.graph.{key}", **one[key]} for key in ("installExperience",) if key in one
    }
    return {
        "@odata.context": f"https://graph.microsoft.com/beta/$metadata#{path}(assignments())/$entity",
        "@odata.id": f"https://graph.microsoft.com/beta/%OrganizationId%/{path}",
        "@odata.editLink": url,
        **one,
        **nested,
        "roleScopeTagIds@odata.type": "#Collection(String)",
        "createdDateTime@odata.type": "#DateTimeOffset",
        "assignments@odata.context": f"https://graph.microsoft.com/beta/$metadata#{path}/assignments",
        "assignments@odata.navigationLink": f"{url}/assignments",
        "#microsoft.graph.assign": {"title": "microsoft.graph.assign", "target": f"{url}/assign"},
        "#CustomRef_categories": "Productivity|:|#microsoft.graph.mobileAppCategory",
    }


def _write(file: Path, data: Json, encoding: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding=encoding)


def export(person: Person, objects: Mapping[str, Iterable[Json]], **options: Any) -> str:
    """Write an export of IntuneManagement beside somebody's clone, anew; returns its folder."""
    folder = person.clone.parent / "export"
    shutil.rmtree(folder, ignore_errors=True)
    return str(write_intune_management(folder, objects, **options))
