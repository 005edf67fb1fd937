"""The embedded Graph and the provider, held to what Microsoft's own client sends and understands.

The client runs in an environment of its own, which ``.ci/oracles`` makes; what it does is in ``tests/oracles``.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.embedded.catalog import FLAGS
from maa_gitops.embedded.options import Options
from maa_gitops.embedded.seed import fill
from maa_gitops.embedded.tenant import Tenant
from maa_gitops.model import ProfileType, Target
from maa_gitops.providers import Provider, Surroundings, open_provider
from maa_gitops.providers.graph.kinds import APPS, REPORTED, Kind, collections
from maa_gitops.providers.store import Store
from tests.support.graph import Clock, Graph, serve
from tests.support.oracles import Microsoft, microsoft

Json = Any

OWN = tuple(
    ProfileType(name, name.lower())
    for name in ("compliancePolicy", "configurationPolicy", "role", "tenantConfiguration")
)
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def client() -> Iterator[Microsoft]:
    """Microsoft's client, started once, for it takes seconds to start."""
    with microsoft() as found:
        yield found


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A tenant with small pages."""
    with serve(tmp_path / "graph.sqlite3", page=3) as found:
        yield found


@pytest.fixture
def provider(graph: Graph) -> Iterator[Provider]:
    """The tenant as our provider sees it."""
    options = {"url": graph.url, "tenantId": graph.get("organization").value[0]["id"]}
    found = open_provider(Target("intune", "graph", options, OWN), Path(), Surroundings({"PATH": "/nowhere"}))
    yield found
    found.close()


def resources(provider: Provider, profile_type: str) -> list[Json]:
    """What the provider sees of a type, each as somebody would write it by hand; assignments only where there are."""
    held = [remote.held for remote in provider.objects().values() if remote.held.profile_type == profile_type]
    assigned = [{"assignments": list(state.assignments)} if state.assignments else {} for state in held]
    return [{**state.data, **more} for state, more in zip(held, assigned, strict=True)]


def within(wanted: Json, found: Json) -> bool:
    """Whether everything that is wanted is found; there may be more."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(within(wanted[key], found.get(key)) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(within, wanted, found))
    return bool(wanted == found)


# --- what the client knows of Graph ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known(client: Microsoft, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The client's classes."""
    with serve(tmp_path_factory.mktemp("classes") / "graph.sqlite3") as graph:
        return client.tell(graph, "classes")


def kinds() -> dict[str, Kind]:
    """Every kind of app and script that a resource can be."""
    return {name: kind for found in collections(Target("", "graph")) for name, kind in found.kinds.items()}


def test_each_kind_has_the_properties_that_graph_has(known: Json) -> None:
    """Whatever the client reads can be written or is only reported, and nothing else can be."""
    read = {name: {*found["read"]} for name, found in known["kinds"].items()}
    ours = {name: {*kind.writable} for name, kind in kinds().items()}
    assert {name: own - read[name] for name, own in ours.items()} == {name: set() for name in read}
    assert {name: read[name] - own - REPORTED for name, own in ours.items()} == {name: set() for name in read}


def test_each_kind_can_be_written_as_the_client_writes_it(known: Json) -> None:
    """What can be written is what the client sends; it takes an Android app's package from the address alone."""
    unsent = {name: {*kind.writable} - {*known["kinds"][name]["written"]} for name, kind in kinds().items()}
    assert unsent == {name: set() for name in known["kinds"]} | {"androidStoreApp": {"packageId"}}


def test_flags_and_enums_are_those_of_graph(known: Json) -> None:
    """The embedded Graph gives every flag that there is; the schemas have no member of an enum that is not one."""
    flags = {
        ("officeSuiteApp", "excludedApps"): "ExcludedApps",
        ("androidStoreApp", "minimumSupportedOperatingSystem"): "AndroidMinimumOperatingSystem",
        ("iosStoreApp", "minimumSupportedOperatingSystem"): "IosMinimumOperatingSystem",
        ("iosStoreApp", "applicableDeviceType"): "IosDeviceType",
    }
    assert {key: {*names} for key, names in FLAGS.items()} == {
        key: {*known["flags"][name]} for key, name in flags.items()
    }
    members = {member for found in known["enums"].values() for member in found}
    for name in ("app", "script"):
        schema = json.loads((Path(__file__).parent.parent / "schemas" / f"{name}.schema.json").read_text())
        assert {*_members(schema["$defs"])} - members == NO_ENUMS[name]


NO_ENUMS = {
    "app": {"include", "exclude"},
    "script": {
        "include",
        "exclude",
        "deviceHealthScriptDailySchedule",
        "deviceHealthScriptHourlySchedule",
        "deviceHealthScriptRunOnceSchedule",
    },
}
"""Members of lists in schemas that are names of ours, or of types."""


def _members(schema: Json) -> Iterator[str]:
    """Every member of every list of texts that a value can be."""
    if isinstance(schema, dict):
        yield from (member for member in schema.get("enum", []) if isinstance(member, str))
        for inner in schema.values():
            yield from _members(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _members(inner)


# --- apps ------------------------------------------------------------------------------------------------------------

APPS_BY_HAND: list[Json] = [
    {
        "type": "winGetApp",
        "displayName": "Company Portal",
        "description": "Apps and compliance.\nOf this device.",
        "publisher": "Microsoft Corporation",
        "developer": "Microsoft",
        "owner": "IT",
        "notes": "Kept by IT.",
        "informationUrl": "https://contoso.com/information",
        "privacyInformationUrl": "https://contoso.com/privacy",
        "isFeatured": True,
        "largeIcon": {"type": "image/png", "value": "iVBORw0KGgo="},
        "packageIdentifier": "9WZDNCRFJ3PZ",
        "installExperience": {"runAsAccount": "system"},
        "manifestHash": "abc",
    },
    {
        "type": "webApp",
        "displayName": "Holidays",
        "publisher": "Contoso",
        "appUrl": "https://holidays.contoso.com",
        "useManagedBrowser": True,
    },
    {
        "type": "windowsWebApp",
        "displayName": "Ünï 🎈",
        "publisher": "Contoso",
        "appUrl": "https://windows.contoso.com",
    },
    {
        "type": "macOSWebClip",
        "displayName": "Mac clip",
        "publisher": "Contoso",
        "appUrl": "https://mac.contoso.com",
        "fullScreenEnabled": True,
        "preComposedIconEnabled": True,
    },
    {
        "type": "iosiPadOSWebClip",
        "displayName": "Phone clip",
        "publisher": "Contoso",
        "appUrl": "https://phone.contoso.com",
        "useManagedBrowser": True,
        "fullScreenEnabled": True,
        "ignoreManifestScope": True,
        "preComposedIconEnabled": True,
        "targetApplicationBundleIdentifier": "com.contoso.browser",
    },
    {
        "type": "androidStoreApp",
        "displayName": "Authenticator",
        "publisher": "Microsoft",
        "appStoreUrl": "https://play.google.com/store/apps/details?id=com.azure.authenticator",
        "minimumSupportedOperatingSystem": {"v8_0": True},
    },
    {
        "type": "iosStoreApp",
        "displayName": "Authenticator",
        "publisher": "Microsoft",
        "bundleId": "com.microsoft.azureauthenticator",
        "appStoreUrl": "https://apps.apple.com/app/id983156458",
        "applicableDeviceType": {"iPad": True, "iPhoneAndIPod": True},
        "minimumSupportedOperatingSystem": {"v16_0": True},
        "appleDeviceAppDeliveryProtocolType": "mobileDeviceManagement",
    },
    {
        "type": "officeSuiteApp",
        "displayName": "Microsoft 365",
        "publisher": "Microsoft",
        "productIds": ["o365ProPlusRetail", "visioProRetail"],
        "officePlatformArchitecture": "x64",
        "updateChannel": "monthlyEnterprise",
        "updateVersion": "16.0",
        "targetVersion": "16.1",
        "excludedApps": {"access": True, "sharePointDesigner": True},
        "localesToInstall": ["de-de", "en-us"],
        "autoAcceptEula": True,
        "useSharedComputerActivation": True,
        "shouldUninstallOlderVersionsOfOffice": True,
        "installProgressDisplayLevel": "full",
        "officeSuiteAppDefaultFileFormat": "officeOpenXMLFormat",
        "officeConfigurationXml": "PENvbmZpZ3VyYXRpb24vPg==",
    },
    {
        "type": "windowsMicrosoftEdgeApp",
        "displayName": "Edge",
        "publisher": "Microsoft",
        "channel": "beta",
        "displayLanguageLocale": "de-de",
    },
    {"type": "macOSMicrosoftEdgeApp", "displayName": "Edge for Mac", "publisher": "Microsoft", "channel": "dev"},
    {"type": "macOSOfficeSuiteApp", "displayName": "Office for Mac", "publisher": "Microsoft"},
    {"type": "macOSMicrosoftDefenderApp", "displayName": "Defender for Mac", "publisher": "Microsoft"},
]
"""The client's apps as resources."""


def test_every_kind_of_app_is_made_read_and_seen(client: Microsoft, graph: Graph, provider: Provider) -> None:
    """The client reads back what it sent, as the same class; the provider sees what one would write by hand."""
    made = client.tell(graph, "make apps")
    assert len(made) == len(APPS)
    for name, app in made.items():
        assert app["classes"] == [name, name]
        # A single value of a type of flags is read as a list, which is then not written out again.
        sent = {key: value for key, value in app["sent"].items() if key != "officePlatformArchitecture"}
        assert within(sent, app["read"]), name
    assert resources(provider, "app") == APPS_BY_HAND


@pytest.fixture
def ids(client: Microsoft, graph: Graph) -> dict[str, str]:
    """Three of the client's apps, by a short name."""
    short = {"WinGetApp": "winget", "IosStoreApp": "ios", "WebApp": "web"}
    made = client.tell(graph, "make apps", only=list(short))
    return {short[name]: app["id"] for name, app in made.items()}


def test_all_apps_are_read_page_by_page(client: Microsoft, graph: Graph) -> None:
    """Pages follow each other to the end, with the count of all; a list leaves out icons, filters find some."""
    ids = {name: app["id"] for name, app in client.tell(graph, "make apps").items()}
    found = client.tell(graph, "read apps")
    assert found["first"] == [2, len(APPS), True]
    assert [app["displayName"] for app in found["paged"]] == [app["displayName"] for app in APPS_BY_HAND]
    assert (found["count"], found["named"]) == (len(APPS), ["Authenticator", "Authenticator"])
    assert [app["id"] for app in found["web"]] == [ids["WebApp"]]
    assert {key for app in found["web"] for key in app} == {"@odata.type", "id", "displayName"}
    assert ["largeIcon" in found["paged"][0], "largeIcon" in found["whole"][0]] == [False, True]
    assert all(app["publishingState"] == "published" for app in found["whole"])


def test_an_app_is_changed(client: Microsoft, graph: Graph, provider: Provider, ids: dict[str, str]) -> None:
    """By an object made for that, and by one that was read, of which the client sends what is new alone."""
    found = client.tell(graph, "change an app", id=ids["web"])
    assert found["class"] == "WebApp"
    assert found["answer"] == found["read"]
    seen = next(app for app in resources(provider, "app") if app["type"] == "webApp")
    assert seen == {
        "type": "webApp",
        "displayName": "Read and renamed",
        "description": "Changed.",
        "publisher": "Contoso",
        "appUrl": "https://new.contoso.com",
        "useManagedBrowser": True,
    }


def test_apps_are_assigned(client: Microsoft, graph: Graph, provider: Provider, ids: dict[str, str]) -> None:
    """To every kind of target, with filters and settings; the provider sees what a resource would say."""
    groups = {"staff": graph.group("Staff", "bob"), "it": graph.group("IT", "bob")}
    found = client.tell(graph, "assign apps", **ids, **groups, filter=graph.filter("Corporate"))
    assert all(within(app["sent"], app["read"]) and app["read"] == app["expanded"] for app in found.values())
    seen = {app["type"]: app["assignments"] for app in resources(provider, "app") if "assignments" in app}
    assert seen == {
        "winGetApp": [
            {
                "intent": "required",
                "target": {"group": "Staff", "filter": {"name": "Corporate", "mode": "include"}},
                "settings": {
                    "notifications": "showReboot",
                    "restartSettings": {
                        "gracePeriodInMinutes": 1440,
                        "countdownDisplayBeforeRestartInMinutes": 15,
                        "restartNotificationSnoozeDurationInMinutes": 240,
                    },
                    "installTimeSettings": {"useLocalTime": True, "deadlineDateTime": "2026-12-01T08:30:00Z"},
                },
            },
            {"intent": "available", "target": {"allUsers": True}},
            {"intent": "required", "target": {"excludeGroup": "IT"}},
        ],
        "iosStoreApp": [
            {
                "intent": "availableWithoutEnrollment",
                "target": {"group": "Staff"},
                "settings": {"isRemovable": True, "uninstallOnDeviceRemoval": True},
            }
        ],
        "webApp": [
            {
                "intent": "uninstall",
                "target": {"allDevices": True, "filter": {"name": "Corporate", "mode": "exclude"}},
            },
            {
                "intent": "available",
                "target": {  # which no resource can say, and which stays as it is
                    "@odata.type": "#microsoft.graph.configurationManagerCollectionAssignmentTarget",
                    "collectionId": "SMS00001",
                    "deviceAndAppManagementAssignmentFilterType": "none",
                },
            },
        ],
    }


def test_an_app_is_deleted(client: Microsoft, graph: Graph, provider: Provider, ids: dict[str, str]) -> None:
    """It is gone for the client, by its own error, and for the provider."""
    error = client.tell(graph, "delete an app", id=ids["web"])
    assert (error["status"], error["code"]) == (404, "ResourceNotFound")
    assert "webApp" not in {app["type"] for app in resources(provider, "app")}


def test_every_refusal_is_understood(client: Microsoft, graph: Graph, ids: dict[str, str]) -> None:
    """Each is an error of the client's own kind, with its code, its words and what identifies the call."""
    found = client.tell(graph, "refusals", **ids)
    codes = {name: (error["status"], error["code"]) for name, error in found.items()}
    bad = (400, "BadRequest")
    assert codes == {
        "missing": (404, "ResourceNotFound"),
        "unknown filter": bad,
        "incomplete": bad,
        "immutable": bad,
        "read and sent without its type": bad,
        "unknown group": bad,
    }
    assert {tuple(error["ids"]) for error in found.values()} == {("client_request_id", "date", "request_id")}
    assert all(error["message"] for error in found.values())


def test_a_batch_is_answered(client: Microsoft, graph: Graph, ids: dict[str, str]) -> None:
    """Each of its requests has a status of its own, and what it makes is there."""
    statuses = client.tell(graph, "batch", winget=ids["winget"], missing=NOBODY)
    assert statuses == {"winget": 200, "missing": 404, "made": 201}
    named = graph.get("deviceAppManagement/mobileApps", filter="displayName eq 'Out of a batch'").value
    assert [app["appUrl"] for app in named] == ["https://batch.contoso.com"]


def test_a_tenant_that_was_there_before_is_read(client: Microsoft, tmp_path: Path) -> None:
    """The sample tenant: every app is of the client's class for it, with its assignments."""
    clock, path = Clock(), tmp_path / "sample.sqlite3"
    store = Store.open(path)
    fill(Tenant(store, Options(clock)), clock())
    store.close()
    with serve(path, page=4, clock=clock) as graph:
        found = client.tell(graph, "read apps")
        with graph.store() as store:
            sides = store.graph_sides("deviceAppManagement/mobileApps")
    types = {remote_id: side.properties["@odata.type"] for remote_id, side in sides.items()}
    assert {app["id"]: app["@odata.type"] for app in found["whole"]} == types
    assert "#microsoft.graph.win32LobApp" in types.values()
    numbers = {remote_id: len(sides[remote_id].assignments) for remote_id in found["assigned"]}
    assert {remote_id: len(assigned) for remote_id, assigned in found["assigned"].items()} == numbers
    assert any(numbers.values())


# --- scripts and what a tenant may add -------------------------------------------------------------------------------


def test_scripts_are_made_changed_assigned_and_deleted(client: Microsoft, graph: Graph, provider: Provider) -> None:
    """Of all three kinds, with their texts byte for byte; a list leaves the texts out."""
    groups = {"staff": graph.group("Staff", "bob"), "it": graph.group("IT", "bob")}
    found = client.tell(graph, "scripts", **groups, filter=graph.filter("Corporate"))
    assert found["deleted"] == ["Rename the Mac"]
    texts = {"scriptContent", "detectionScriptContent", "remediationScriptContent"}
    for name in ("deviceManagementScript", "deviceShellScript", "deviceHealthScript"):
        assert not texts & {key for one in found[name]["listed"] for key in one}
        assert texts & found[name]["read"].keys()
    assert resources(provider, "script") == [
        {
            "type": "deviceManagementScript",
            "displayName": "Set time zone",
            "description": "Of the site.",
            "fileName": "tz.ps1",
            "runAsAccount": "system",
            "runAs32Bit": True,
            "enforceSignatureCheck": True,
            "scriptContent": 'Write-Host "Ünï 🎈"\r\n',
            "assignments": [
                {"target": {"group": "Staff", "filter": {"name": "Corporate", "mode": "include"}}},
                {"target": {"excludeGroup": "IT"}},
            ],
        },
        {
            "type": "deviceShellScript",
            "displayName": "Rename the Mac",
            "fileName": "rename.sh",
            "runAsAccount": "user",
            "scriptContent": "#!/bin/zsh\n",
            "executionFrequency": "P1D",
            "retryCount": 3,
            "blockExecutionNotifications": True,
            "assignments": [{"target": {"group": "Staff"}}, {"target": {"allDevices": True}}],
        },
        {
            "type": "deviceHealthScript",
            "displayName": "Restart the print spooler",
            "description": "Mends it.",
            "publisher": "Contoso",
            "runAsAccount": "system",
            "runAs32Bit": True,
            "detectionScriptContent": "exit 1",
            "remediationScriptContent": "exit 0",
            "assignments": [
                {
                    "target": {"group": "Staff"},
                    "runSchedule": {
                        "type": "deviceHealthScriptDailySchedule",
                        "interval": 1,
                        "time": "09:00:00",
                        "useUtc": True,
                    },
                },
                {
                    "target": {"group": "IT"},
                    "runSchedule": {"type": "deviceHealthScriptHourlySchedule", "interval": 4},
                },
                {
                    "target": {"allUsers": True},
                    "runSchedule": {
                        "type": "deviceHealthScriptRunOnceSchedule",
                        "interval": 1,
                        "date": "2026-12-01",
                        "time": "22:30:00",
                        "useUtc": False,
                    },
                },
            ],
        },
    ]


def test_what_a_tenant_may_add_is_made_and_changed(client: Microsoft, graph: Graph, provider: Provider) -> None:
    """A compliance policy with its actions, a policy with settings, a role, a device category."""
    found = client.tell(graph, "policies", staff=graph.group("Staff", "bob"))
    (compliance,) = found["compliancePolicy"]["listed"]
    assert compliance["assignments"] == found["compliancePolicy"]["assigned"]
    assert found["configurationPolicy"]["flags"] == [["windows10"], ["mdm"]]
    assert found["role"]["class"] == "DeviceAndAppManagementRoleDefinition"
    assert [category["displayName"] for category in found["deviceCategory"]] == ["Kiosk"]
    action = {"actionType": "block", "gracePeriodHours": 24}
    setting = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
        "settingDefinitionId": "device_vendor_msft_policy_config_devicelock_maxinactivitytime",
        "simpleSettingValue": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue",
            "value": 10,
        },
    }
    assert resources(provider, "compliancePolicy") == [
        {
            "type": "windows10CompliancePolicy",
            "displayName": "Windows baseline",
            "passwordRequired": True,
            "passwordMinimumLength": 12,
            "bitLockerEnabled": True,
            "scheduledActionsForRule": [
                {"ruleName": "PasswordRequired", "scheduledActionConfigurations": [action]},
            ],
            "assignments": [{"target": {"group": "Staff"}}],
        }
    ]
    assert resources(provider, "configurationPolicy") == [
        {
            "name": "Screen lock",
            "description": "Locks after a while.",
            "platforms": "windows10",
            "technologies": "mdm",
            "settings": [{"settingInstance": setting}],
            "assignments": [{"target": {"allUsers": True}}],
        }
    ]
    allowed = {"allowedResourceActions": ["Microsoft.Intune_MobileApps_Read"]}
    assert resources(provider, "role") == [
        {
            "type": "deviceAndAppManagementRoleDefinition",
            "displayName": "App reader",
            "description": "Reads apps.",
            "rolePermissions": [{"resourceActions": [allowed]}],
        }
    ]
    category = {"displayName": "Kiosk", "description": "Stands in a hall."}
    assert resources(provider, "tenantConfiguration") == [category]


# --- the directory and Intune's own approval -------------------------------------------------------------------------


def test_the_directory_is_kept_and_asked(client: Microsoft, graph: Graph) -> None:
    """Groups with their members, nested and counted; filters; people and the organization."""
    staff = graph.group("Staff", "bob")
    graph.group("IT", "bob", "carol")
    people = {person["displayName"]: person["id"] for person in graph.get("users").value}
    found = client.tell(graph, "directory", staff=staff, **people)
    groups = found["groups"]
    assert groups["direct"] == [["Group", "Staff"], ["User", "carol"]]
    assert groups["nested"] == [["Group", "Staff"], ["User", "bob"], ["User", "carol"]]
    assert groups["users"] == [["User", "bob"], ["User", "carol"]]
    assert groups["counts"] == [2, 3, 2, 0]
    assert groups["by ids"] == [["Group", "Everyone at Contoso"], ["User", "carol"]]
    assert (groups["named"], groups["counted"]) == ([groups["id"]], [1, 3])
    assert groups["left"] == [["Group", "IT"], ["Group", "Staff"]]
    kept = {"displayName": "Everyone at Contoso", "mailNickname": "everyone", "securityEnabled": True}
    assert within(kept, groups["read"])
    assert found["filters"]["left"] == ["Corporate"]
    kept = {"displayName": "Corporate", "description": "Bought by Contoso.", "platform": "windows10AndLater"}
    assert within(kept, found["filters"]["read"])
    assert found["others"]["people"] == ["bob@contoso.com", "carol@contoso.com"]
    assert found["others"]["organizations"] == [[graph.get("organization").value[0]["id"], "Contoso"]]


def test_intunes_own_approval_goes_all_its_way(client: Microsoft, graph: Graph, provider: Provider) -> None:
    """Asked for, taken back, rejected, approved by another, carried out once: the client follows each step."""
    approvers = graph.group("Approvers", "bob")
    policy = client.tell(graph, "protect", group=approvers)
    assert (policy["left"], policy["required"]) == (["Protect app"], [["app", "notApplicable"]])
    assert within({"policyType": "app", "approverGroupIds": [approvers]}, policy["read"])
    assert (policy["read"]["description"], policy["platform"]) == ("Two pairs of eyes.", ["notApplicable"])

    asked = client.tell(graph, "ask", identity="carol")
    codes = {name: asked[name]["approvalCode"] for name in ("Wanted", "Unwanted", "Taken back")}
    assert all(asked[name]["status"] == 412 and code for name, code in codes.items())
    assert (asked["unjustified"]["status"], asked["again"]["status"]) == (400, 409)
    waiting = {codes["Wanted"]: "needsApproval", codes["Unwanted"]: "needsApproval"}
    assert asked["mine"] == {**waiting, codes["Taken back"]: "cancelled"}
    assert asked["one"] == {
        "id": codes["Taken back"],
        "status": "cancelled",
        "types": ["app"],
        "requestor": "carol",
        "approver": None,
        "justifications": ["Wanted by all.", None],
        "times": ["2026-11-23T10:00:00+00:00", "2026-11-26T10:00:00+00:00"],
    }

    decided = client.tell(graph, "decide", identity="bob", wanted=codes["Wanted"], unwanted=codes["Unwanted"])
    ended = {codes["Unwanted"]: "rejected", codes["Taken back"]: "cancelled"}
    assert decided["statuses"] == {**ended, codes["Wanted"]: "approved"}
    assert within({"approver": "bob", "justifications": ["Wanted by all.", "Good."]}, decided["wanted"])

    done = client.tell(graph, "go on", identity="carol", wanted=codes["Wanted"])
    assert (done["request"]["status"], done["once more"]["status"]) == ("completed", 403)
    wanted = {"type": "webApp", "displayName": "Wanted", "publisher": "Contoso", "appUrl": "https://asked.contoso.com"}
    assert resources(provider, "app") == [wanted]
