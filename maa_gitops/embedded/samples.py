"""A small tenant as it might have been before anybody kept it as code. Data, as Graph has it; names stand for ids."""

import base64
from collections.abc import Mapping
from typing import Any

Json = Any


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PEOPLE = ("Alice", "Bob", "Carol", *(f"Staff {number:02}" for number in range(4, 13)))
"""Users by display name."""

DEVICES: Mapping[str, str] = {
    "LAPTOP-ALICE": "Windows",
    "LAPTOP-BOB": "Windows",
    "MAC-CAROL": "MacMDM",
    "PHONE-ALICE": "IPhone",
    "KIOSK-01": "Windows",
    "KIOSK-02": "Windows",
}
"""Devices by display name, with their operating systems."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Pilot": ("Alice", "Bob", "Staff 04"),
    "Finance": ("Staff 05", "Staff 06", "Staff 07"),
    "IT Administrators": ("Alice", "Bob", "Carol"),
    "Kiosks": ("KIOSK-01", "KIOSK-02"),
    "Phones": ("PHONE-ALICE",),
    "All Staff": ("Finance", *(name for name in PEOPLE if name not in ("Staff 05", "Staff 06", "Staff 07"))),
}
"""Groups with their members by name: people, devices and groups before them."""

FILTERS: Mapping[str, Mapping[str, Json]] = {
    "Owned by Contoso": {
        "platform": "windows10AndLater",
        "rule": '(device.deviceOwnership -eq "Corporate")',
        "description": "Devices that the company bought.",
    },
    "Kiosk devices": {"platform": "windows10AndLater", "rule": '(device.deviceCategory -eq "Kiosk")'},
}


def assigned(group: str, *, intent: str | None = None, to: str = "", **more: Json) -> dict[str, Json]:
    """An assignment; ``group`` may be a word for everybody, ``to`` and the name of a filter narrow it."""
    types = {"allUsers": "allLicensedUsers", "allDevices": "allDevices"}
    kind = types.get(group, "exclusionGroup" if more.pop("excluded", False) else "group")
    target: dict[str, Json] = {"@odata.type": f"#microsoft.graph.{kind}AssignmentTarget"}
    if group not in types:
        target["groupId"] = group
    if to:
        target["deviceAndAppManagementAssignmentFilterType"] = "include"
        target["deviceAndAppManagementAssignmentFilterId"] = to
    return {**({"intent": intent} if intent is not None else {}), "target": target, **more}


Sample = tuple[str, dict[str, Json], tuple[dict[str, Json], ...], dict[str, Json]]
"""The type of an object, its properties, its assignments, and what is reported of it."""

_ZONE = 'Set-TimeZone -Id "W. Europe Standard Time"\n'
_RENAME = '#!/bin/sh\nscutil --set ComputerName "$(hostname -s)"\n'
_FIND = "if ((Get-Service Spooler).Status -ne 'Running') { exit 1 }\n"
_MEND = "Restart-Service Spooler -Force\n"

OTHERS: Mapping[str, tuple[Sample, ...]] = {
    "deviceManagement/deviceManagementScripts": (
        (
            "deviceManagementScript",
            {
                "displayName": "Set time zone",
                "description": "Sets the time zone of the site.",
                "fileName": "set-time-zone.ps1",
                "runAsAccount": "system",
                "scriptContent": _encoded(_ZONE),
            },
            (assigned("All Staff"),),
            {},
        ),
    ),
    "deviceManagement/deviceShellScripts": (
        (
            "deviceShellScript",
            {
                "displayName": "Rename the Mac",
                "fileName": "rename-mac.sh",
                "runAsAccount": "system",
                "executionFrequency": "P1D",
                "retryCount": 3,
                "scriptContent": _encoded(_RENAME),
            },
            (assigned("allDevices"),),
            {},
        ),
    ),
    "deviceManagement/deviceHealthScripts": (
        (
            "deviceHealthScript",
            {
                "displayName": "Restart the print spooler",
                "publisher": "Contoso",
                "runAsAccount": "system",
                "detectionScriptContent": _encoded(_FIND),
                "remediationScriptContent": _encoded(_MEND),
            },
            (
                assigned(
                    "Finance",
                    runRemediationScript=True,
                    runSchedule={
                        "@odata.type": "#microsoft.graph.deviceHealthScriptDailySchedule",
                        "interval": 1,
                        "time": "09:00:00",
                        "useUtc": True,
                    },
                ),
            ),
            {},
        ),
        (
            "deviceHealthScript",
            {
                "displayName": "Update stale policies",
                "publisher": "Microsoft",
                "runAsAccount": "system",
                "detectionScriptContent": _encoded(_FIND),
            },
            (),
            {"isGlobalScript": True},
        ),
    ),
    "deviceManagement/deviceCompliancePolicies": (
        (
            "windows10CompliancePolicy",
            {
                "displayName": "Windows baseline",
                "description": "What every Windows device must have.",
                "passwordRequired": True,
                "passwordMinimumLength": 12,
                "bitLockerEnabled": True,
                "osMinimumVersion": "10.0.22631.0",
                "scheduledActionsForRule": [
                    {
                        "ruleName": "PasswordRequired",
                        "scheduledActionConfigurations": [
                            {
                                "actionType": "block",
                                "gracePeriodHours": 24,
                                "notificationTemplateId": "",
                                "notificationMessageCCList": [],
                            }
                        ],
                    }
                ],
            },
            (assigned("All Staff"),),
            {},
        ),
    ),
    "deviceManagement/configurationPolicies": (
        (
            "deviceManagementConfigurationPolicy",
            {
                "name": "Screen lock",
                "description": "Locks after a while.",
                "platforms": "windows10",
                "technologies": "mdm",
                "settings": [
                    {
                        "settingInstance": {
                            "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
                            "settingDefinitionId": "device_vendor_msft_policy_config_devicelock_maxinactivitytime",
                            "simpleSettingValue": {
                                "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue",
                                "value": 10,
                            },
                        }
                    }
                ],
            },
            (assigned("All Staff"), assigned("Kiosks", excluded=True)),
            {},
        ),
    ),
    "deviceManagement/roleDefinitions": (
        (
            "deviceAndAppManagementRoleDefinition",
            {
                "displayName": "Help desk",
                "description": "Looks after devices, changes nothing else.",
                "rolePermissions": [
                    {
                        "resourceActions": [
                            {
                                "allowedResourceActions": [
                                    "Microsoft.Intune_ManagedDevices_Read",
                                    "Microsoft.Intune_RemoteTasks_RebootNow",
                                ],
                                "notAllowedResourceActions": [],
                            }
                        ]
                    }
                ],
            },
            (),
            {},
        ),
        (
            "deviceAndAppManagementRoleDefinition",
            {"displayName": "Application Manager", "description": "Manages apps.", "rolePermissions": []},
            (),
            {"isBuiltIn": True, "isBuiltInRoleDefinition": True},
        ),
    ),
    "deviceManagement/deviceCategories": (
        ("deviceCategory", {"displayName": "Kiosk", "description": "Stands in a shop."}, (), {}),
        ("deviceCategory", {"displayName": "Laptop"}, (), {}),
    ),
}
"""Everything but apps, by collection."""
