"""The shipped schemas, holding documents to them, and reading a tenant's own."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from maa_gitops import shipped
from maa_gitops.documents import Document, check_schema, read_json_schema, read_yaml, schema_names, shipped_schema

PATH = "resources/apps/portal.yaml"


def examples_of(name: str) -> list[Any]:
    """What a shipped schema shows as examples."""
    examples: Any = shipped_schema(name)["examples"]
    return list(examples)


EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{index}")
    for name in schema_names()
    for index, example in enumerate(examples_of(name))
]
MAPPINGS = [example for example in EXAMPLES if isinstance(example.values[1], dict)]


def document(text: str) -> Document:
    """A document of a text that is sound YAML."""
    found, problems = read_yaml(text.encode(), PATH)
    assert problems == ()
    assert found is not None
    return found


def problems_of(text: str, schema: Mapping[str, object]) -> list[tuple[int, int, str, str]]:
    """Line, column, code and message of everything wrong with a text under a schema."""
    return [
        (problem.line, problem.column, problem.code, problem.message)
        for problem in check_schema(document(text), schema)
    ]


def as_yaml(value: object) -> str:
    """Plain data as YAML of one key a line."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


# --- the shipped schemas themselves ----------------------------------------------------------------------------------


def test_every_schema_ships() -> None:
    """Each kind of document has its schema."""
    expected = ("access-policy", "account", "app", "assignments", "event", "group", "receipt", "script", "settings")
    assert schema_names() == expected


def test_shipped_files_are_found_in_a_wheel_and_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder inside the package goes before one beside it."""
    package = tmp_path / "package"
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.json").write_bytes(b"beside")
    package.mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", package)
    assert (shipped.shipped_names("schemas"), shipped.shipped_file("schemas", "a.json")) == (("a.json",), b"beside")
    (package / "schemas").mkdir()
    (package / "schemas" / "b.json").write_bytes(b"inside")
    assert (shipped.shipped_names("schemas"), shipped.shipped_file("schemas", "b.json")) == (("b.json",), b"inside")
    with pytest.raises(FileNotFoundError):
        shipped.shipped_file("schemas", "a.json")


@pytest.mark.parametrize("name", schema_names())
def test_e10_every_schema_is_sound_and_stays_in_its_file(name: str) -> None:
    """The shipped schemas keep to what is asked of a tenant's own, but for patterns, which were looked at by hand."""
    problems = read_json_schema(shipped.shipped_file("schemas", f"{name}.schema.json"), name)[1]
    assert {problem.message.split(",")[0] for problem in problems} <= {"patterns are not supported"}


@pytest.mark.parametrize("name", schema_names())
def test_every_property_is_described(name: str) -> None:
    """Editors and the reference pages show something for every key."""
    top: Any = shipped_schema(name)
    undescribed = [way for way, schema in _properties(top, top) if not schema.get("description")]
    assert undescribed == []
    assert top["title"]
    assert top["description"]


@pytest.mark.parametrize("name", schema_names())
def test_e9_every_mapping_refuses_unknown_keys(name: str) -> None:
    """Whatever has properties is closed, but for the places that lead on to a closed form."""
    open_ones = [way for way, schema in _mappings(shipped_schema(name)) if "additionalProperties" not in schema]
    leading_on = {"settings": "#/properties/targets/additionalProperties", "app": "#", "event": "#", "script": "#"}
    assert {way for way in open_ones if not way.endswith("runSchedule")} == (
        {leading_on[name]} if name in leading_on else set()
    )


CONDITIONS = ("examples", "if", "then", "else", "allOf", "dependentSchemas")


def _properties(schema: Any, top: Any, way: str = "#") -> Iterator[tuple[str, Any]]:
    """Every property of a schema, references followed once, conditions left out."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key == "properties":
            for name, inner in value.items():
                target = top["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else {}
                yield f"{way}/{name}", {**target, **inner}
        if key not in CONDITIONS:
            yield from _properties(value, top, f"{way}/{key}")


def _mappings(schema: Any, way: str = "#") -> Iterator[tuple[str, Any]]:
    """Every schema with properties, conditions left out."""
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield way, schema
        for key, value in schema.items():
            if key not in CONDITIONS:
                yield from _mappings(value, f"{way}/{key}")


def test_definitions_of_one_name_are_equal_everywhere() -> None:
    """Each file is complete by itself; the copies (assignments in app and script, names) must not drift apart."""
    definitions: dict[str, Any] = {name: shipped_schema(name).get("$defs", {}) for name in schema_names()}
    for one, other in combinations(definitions, 2):
        common = definitions[one].keys() & definitions[other].keys()
        assert {name: definitions[one][name] for name in common} == {name: definitions[other][name] for name in common}
    used = definitions["app"].keys() | definitions["script"].keys()
    assert definitions["assignments"].keys() <= used


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_examples_are_sound(name: str, example: object) -> None:
    """What the schemas show as an example passes."""
    assert problems_of(as_yaml(example), shipped_schema(name)) == []


@pytest.mark.parametrize(("name", "example"), MAPPINGS)
def test_e9_an_unknown_key_is_told_at_the_key(name: str, example: dict[str, object]) -> None:
    """A key that nobody reads is an error where it stands."""
    found = check_schema(document(as_yaml({**example, "aKeyThatNobodyKnows": 1})), shipped_schema(name))
    last = as_yaml(example).count("\n")
    assert [(problem.line, problem.column, problem.code) for problem in found] == [(last, 2, "unknownKey")]
    assert found[0].subject == "/aKeyThatNobodyKnows"


@pytest.mark.parametrize(("name", "example"), MAPPINGS)
def test_every_required_key_is_missed(name: str, example: dict[str, object]) -> None:
    """Without one of them, and without all of them, each is told once, at the mapping."""
    schema = shipped_schema(name)
    for key in [key for key in example if _is_required(schema, example, key)]:
        rest = {other: value for other, value in example.items() if other != key}
        (problem,) = check_schema(document(as_yaml(rest)), schema)
        assert (problem.line, problem.column, problem.code, problem.subject) == (1, 1, "missingKey", f"/{key}")


def _is_required(schema: Any, example: Mapping[str, object], key: str) -> bool:
    kind = {"approve": "decision"}.get(str(example.get("action")), example.get("type", example.get("action")))
    form = schema.get("$defs", {}).get(kind, schema)
    return key in form["required"]


READ_ONLY = (
    *("id", "createdDateTime", "lastModifiedDateTime", "uploadState", "publishingState", "isAssigned"),
    *("dependentAppCount", "supersedingAppCount", "supersededAppCount", "runSummary", "version"),
    *("highestAvailableVersion", "isGlobalScript", "scriptContent", "@odata.type"),
)


@pytest.mark.parametrize("key", READ_ONLY)
@pytest.mark.parametrize(
    ("name", "example"), [example for example in MAPPINGS if example.values[0] in ("app", "script")]
)
def test_read_only_properties_are_refused(name: str, example: dict[str, object], key: str) -> None:
    """What Graph only reports, or the tool derives, is no part of a resource."""
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in example.items()) + f"'{key}': x\n"
    found = problems_of(text, shipped_schema(name))
    assert [problem[:3] for problem in found] == [(len(example) + 1, 1, "unknownKey")]


# --- kinds of apps and scripts ---------------------------------------------------------------------------------------

APP_KEYS = (
    *("type", "displayName", "description", "publisher", "owner", "developer", "notes", "isFeatured", "informationUrl"),
    *("privacyInformationUrl", "largeIcon", "roleScopeTagIds", "assignments", "adopt"),
)
SCRIPT_KEYS = ("type", "displayName", "description", "runAsAccount", "roleScopeTagIds", "assignments", "adopt")
WINDOWS_KEYS = ("enforceSignatureCheck", "runAs32Bit")
LINK = {"appUrl": "https://holidays.contoso.com"}
SCREEN = {"fullScreenEnabled": True, "preComposedIconEnabled": True}

# the properties that a kind must have, and those that it may have, beside the ones that all kinds share
KINDS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "winGetApp": (
        {"packageIdentifier": "9WZDNCRFJ3PZ", "installExperience": {"runAsAccount": "user"}},
        {"manifestHash": "x"},
    ),
    "webApp": (LINK, {"useManagedBrowser": True}),
    "windowsWebApp": (LINK, {}),
    "macOSWebClip": (LINK, SCREEN),
    "iosiPadOSWebClip": (
        LINK,
        {
            **SCREEN,
            "useManagedBrowser": False,
            "ignoreManifestScope": True,
            "targetApplicationBundleIdentifier": "com.microsoft.msedge",
        },
    ),
    "officeSuiteApp": (
        {"productIds": ["visioProRetail"], "officePlatformArchitecture": "x64", "updateChannel": "current"},
        {
            "updateVersion": "2310",
            "targetVersion": "16.0.16924.20150",
            "excludedApps": {"teams": True},
            "localesToInstall": ["de-de"],
            "autoAcceptEula": True,
            "useSharedComputerActivation": False,
            "shouldUninstallOlderVersionsOfOffice": True,
            "installProgressDisplayLevel": "full",
            "officeSuiteAppDefaultFileFormat": "officeOpenXMLFormat",
            "officeConfigurationXml": "PGE+",
        },
    ),
    "iosStoreApp": (
        {"bundleId": "com.contoso.x", "applicableDeviceType": {"iPad": True, "iPhoneAndIPod": False}},
        {
            "appStoreUrl": "https://apps.apple.com/app/id1",
            "minimumSupportedOperatingSystem": {"v26_0": True},
            "appleDeviceAppDeliveryProtocolType": "declarativeDeviceManagement",
        },
    ),
    "androidStoreApp": (
        {"packageId": "com.contoso.x"},
        {
            "appStoreUrl": "https://play.google.com/store/apps/details?id=com.contoso.x",
            "minimumSupportedOperatingSystem": {"v4_0_3": True},
        },
    ),
    "windowsMicrosoftEdgeApp": ({}, {"channel": "beta", "displayLanguageLocale": "de-de"}),
    "macOSMicrosoftEdgeApp": ({}, {"channel": "dev"}),
    "macOSOfficeSuiteApp": ({}, {}),
    "macOSMicrosoftDefenderApp": ({}, {}),
    "deviceManagementScript": (
        {"runAsAccount": "user", "scriptFile": "x.ps1"},
        {**dict.fromkeys(WINDOWS_KEYS, True), "fileName": "other.ps1"},
    ),
    "deviceShellScript": (
        {"runAsAccount": "user", "scriptFile": "x.sh"},
        {"blockExecutionNotifications": True, "executionFrequency": "PT1H", "retryCount": 3, "fileName": "x.sh"},
    ),
    "deviceHealthScript": (
        {"runAsAccount": "user", "publisher": "Contoso", "detectionScriptFile": "x.detection.ps1"},
        {
            **dict.fromkeys(WINDOWS_KEYS, True),
            "deviceHealthScriptType": "managedInstallerScript",
            "remediationScriptFile": "x.remediation.ps1",
        },
    ),
}


def holder_of(kind: str) -> str:
    """The name of the schema that has a kind."""
    return "script" if kind.endswith("Script") else "app"


def minimal(kind: str, **more: object) -> dict[str, object]:
    """A document of a kind with as little as it may have, and what is added."""
    return {"type": kind, "displayName": "x", **KINDS[kind][0], **more}


def subjects_of(name: str, data: object) -> list[tuple[str, str]]:
    """Code and subject of everything wrong with plain data under a shipped schema."""
    return sorted((found.code, found.subject) for found in check_schema(document(as_yaml(data)), shipped_schema(name)))


def test_the_kinds_are_those_of_the_schemas() -> None:
    """The table misses none of them."""
    schemas: tuple[Any, ...] = (shipped_schema("app"), shipped_schema("script"))
    assert sorted(KINDS) == sorted(kind for schema in schemas for kind in schema["properties"]["type"]["enum"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_its_own_properties_and_the_shared_ones(kind: str) -> None:
    """No more and no less than Graph lets one write, and the least that is asked for is enough."""
    needed, optional = KINDS[kind]
    shared = SCRIPT_KEYS if holder_of(kind) == "script" else APP_KEYS
    form: Any = shipped_schema(holder_of(kind))
    assert set(form["$defs"][kind]["properties"]) == {*shared, *needed, *optional}
    assert subjects_of(holder_of(kind), minimal(kind)) == []
    assert subjects_of(holder_of(kind), minimal(kind, **optional)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_e9_a_kind_refuses_what_is_another_kinds_or_only_reported(kind: str) -> None:
    """A property of another kind, one that Graph only reports and one that nobody knows are unknown keys."""
    own = {key for part in KINDS[kind] for key in part} | {*APP_KEYS, *SCRIPT_KEYS}
    foreign = {key: value for parts in KINDS.values() for part in parts for key, value in part.items()}
    strange = {key: value for key, value in foreign.items() if key not in own}
    strange |= dict.fromkeys((*READ_ONLY, "aKeyThatNobodyKnows"), "x")
    if holder_of(kind) == "app":
        strange |= {"runAsAccount": "user"}
    found = subjects_of(holder_of(kind), minimal(kind, **strange))
    assert found == sorted(("unknownKey", f"/{key}") for key in strange)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_take_an_object_over(kind: str) -> None:
    """``adopt`` has an id for each target, and at least one."""
    adopted = {"intune": "0177548a-548a-0177-8a54-77018a547701", "test": "x" * 256}
    assert subjects_of(holder_of(kind), minimal(kind, adopt=adopted)) == []
    for wrong in ("", "x" * 257, "a\nb", "a\n", "a\tb"):
        found = subjects_of(holder_of(kind), minimal(kind, adopt={"intune": wrong}))
        assert found == [("invalidValue", "/adopt/intune")]
    assert subjects_of(holder_of(kind), minimal(kind, adopt={})) == [("invalidValue", "/adopt")]
    assert subjects_of(holder_of(kind), minimal(kind, adopt={"a/b": "x"})) == [("invalidKey", "/adopt/a~1b")]


def test_a_target_is_one_thing_and_a_filter_narrows_what_is_included() -> None:
    """Exactly one of the four, wherever assignments stand; a filter beside any of them but ``excludeGroup``."""
    parts: dict[str, object] = {"group": "A", "excludeGroup": "B", "allDevices": True, "allUsers": True}
    narrowed = {"filter": {"name": "Owned by Contoso", "mode": "exclude"}}
    ways = [dict(chosen) for size in range(len(parts) + 1) for chosen in combinations(parts.items(), size)]
    for target in (way | added for way in ways for added in ({}, narrowed)):
        fine = len(target.keys() & parts.keys()) == 1 and not {"excludeGroup", "filter"} <= target.keys()
        app, script = {"intent": "required", "target": target}, {"target": target}
        assert (subjects_of("app", minimal("winGetApp", assignments=[app])) == []) is fine
        assert (subjects_of("script", minimal("deviceShellScript", assignments=[script])) == []) is fine
        assert (subjects_of("assignments", [app]) == subjects_of("assignments", [script]) == []) is fine


# --- what the schemas say --------------------------------------------------------------------------------------------

ALICE = "displayName: Alice\nsigningKeys: []\n"
POLICY = "displayName: Apps\nprofileType: app\napproverGroups: [a]\n"
SETTINGS = "version: 1\ntenant: contoso\nprotectedBranch: main\n"
WEB_APP = "type: webApp\ndisplayName: x\npublisher: p\nappUrl: https://x.example\n"
SUITE = "type: officeSuiteApp\ndisplayName: x\npublisher: p\n"
WIN_GET = """type: winGetApp
displayName: x
description: d
publisher: p
packageIdentifier: P
installExperience: {runAsAccount: system}
"""
SCRIPT = "type: deviceManagementScript\ndisplayName: x\nrunAsAccount: system\nscriptFile: x.ps1\n"
HEALTH = """type: deviceHealthScript
displayName: x
publisher: p
runAsAccount: root
detectionScriptFile: x.detection.ps1
"""

NAME = "expected a name of lower-case letters, digits, '-' and '_' (at most 64, the first a letter or digit)"
TENANT = "expected a tenant's name: letters, digits, '.', '_' and '-' (at most 128, the first a letter or digit)"
BRANCH = "expected a branch name like main or release/2026"
ROLES = "expected one of intuneServiceAdministrator, globalAdministrator, deployer, attestor"
KEY = "expected an SSH public key in one line, as in a .pub file"
PATTERN = "expected a pattern of letters, digits, '.', '_', '-', '/' and '*'"
APPS = (
    "expected one of winGetApp, webApp, officeSuiteApp, iosStoreApp, androidStoreApp, windowsWebApp, macOSWebClip, "
    "iosiPadOSWebClip, windowsMicrosoftEdgeApp, macOSMicrosoftEdgeApp, macOSOfficeSuiteApp, macOSMicrosoftDefenderApp"
)
INTENTS = "expected one of available, required, uninstall, availableWithoutEnrollment"
SCHEDULES = ", ".join(f"deviceHealthScript{kind}Schedule" for kind in ("Daily", "Hourly", "RunOnce"))
SCHEMA_FILE = "expected a file like schemas/compliance-policy.schema.json"
TIME = "expected a time in UTC like 2026-11-23T10:00:00Z"
BESIDE = "expected a file beside this one, like set-time-zone.ps1"
WEB_APP_KEYS = (
    "adopt, appUrl, assignments, description, developer, displayName, informationUrl, isFeatured, largeIcon, notes, "
    "owner, privacyInformationUrl, …"
)

ENTRA = "7a3e9c52-1d84-4f06-b6a9-0c5d2e7f4813"
GUID = "expected a GUID: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12"
GRAPH_KEYS = "clientId, credential, nativeApproval, provider, tenantId, url"
CREDENTIALS = "githubOidc, clientSecret, clientCertificate, managedIdentity, azureCli"
GRAPH_URL = (
    "expected https://graph.microsoft.com/beta, the same of graph.microsoft.us, dod-graph.microsoft.us or "
    "microsoftgraph.chinacloudapi.cn, or http://127.0.0.1:PORT/beta"
)
PROPERTY = "expected the name of a property: a letter, then letters, digits and '_' (at most 128)"

# the schema, a document, and its problems as line:column code message
REFUSED: list[tuple[str, str, list[str]]] = [
    (
        "settings",
        "version: 1.0\ntenant: -x\nprotectedBranch: a..b\nrequests: {expireAfterDays: 400, completeBy: nobody}\n",
        [
            "1:10 invalidValue version: expected an integer, found 1.0",
            f"2:9 invalidValue tenant: {TENANT}, found '-x'",
            f"3:18 invalidValue protectedBranch: {BRANCH}, found 'a..b'",
            "4:29 invalidValue requests.expireAfterDays: expected at most 365, found 400",
            "4:46 invalidValue requests.completeBy: expected one of anyone, requestor, found 'nobody'",
        ],
    ),
    ("settings", SETTINGS.replace("1", "2"), ["1:10 invalidValue version: expected exactly 1, found 2"]),
    ("settings", SETTINGS.replace("1", "true"), ["1:10 invalidValue version: expected an integer, found true"]),
    ("settings", SETTINGS + "requests:\n", ["4:10 invalidValue requests: expected a mapping, found nothing"]),
    (
        "settings",
        SETTINGS + "requests: {expireAfterDays: 0, expireAfter: 3}\n",
        [
            "4:29 invalidValue requests.expireAfterDays: expected at least 1, found 0",
            "4:32 unknownKey requests: unknown key 'expireAfter'; did you mean 'expireAfterDays'?",
        ],
    ),
    (
        "settings",
        SETTINGS + "targets:\n  Local: {provider: local}\n  b: {path: x}\n",
        [
            f"5:3 invalidKey targets: {NAME}, found 'Local'",
            "6:6 missingKey targets.b: key 'provider' is missing",
        ],
    ),
    (
        "settings",
        SETTINGS
        + """targets:
  a: {provider: local, tenantId: x}
  b: {provider: graph}
  c: {provider: graph, tenantId: contoso, path: x}
  d: {provider: grpah, tenantId: x}
""",
        [
            "5:24 unknownKey targets.a: unknown key 'tenantId'; expected one of path, provider",
            "6:6 missingKey targets.b: key 'tenantId' is missing",
            f"7:34 invalidValue targets.c.tenantId: {GUID}, found 'contoso'",
            f"7:43 unknownKey targets.c: unknown key 'path'; expected one of {GRAPH_KEYS}",
            "8:17 invalidValue targets.d.provider: expected one of local, graph, found 'grpah'",
        ],
    ),
    (
        "settings",
        SETTINGS
        + f"""targets:
  a:
    provider: graph
    tenantId: {ENTRA}
    clientId: {ENTRA}0
    credential: password
    nativeApproval: none
    url: https://graph.microsoft.com/v1.0
""",
        [
            f"8:15 invalidValue targets.a.clientId: {GUID}, found '{ENTRA}0'",
            f"9:17 invalidValue targets.a.credential: expected one of {CREDENTIALS}, found 'password'",
            "10:21 invalidValue targets.a.nativeApproval: expected one of handshake, excluded, found 'none'",
            f"11:10 invalidValue targets.a.url: {GRAPH_URL}, found 'https://graph.microsoft.com/v1.0'",
        ],
    ),
    (
        "settings",
        SETTINGS
        + """profileTypes:
  a: {folder: a, graph: {}}
  b: {folder: b, graph: deviceManagement/x}
  c:
    folder: c
    graph: {path: deviceManagement/x,nameProperty: a b,update: POST,expand: [a,a],readOnly: x,immutable: [1],assign: x}
""",
        [
            "5:25 missingKey profileTypes.a.graph: key 'path' is missing",
            "6:25 invalidValue profileTypes.b.graph: expected a mapping, found 'deviceManagement/x'",
            f"9:52 invalidValue profileTypes.c.graph.nameProperty: {PROPERTY}, found 'a b'",
            "9:64 invalidValue profileTypes.c.graph.update: expected one of PATCH, PUT, found 'POST'",
            "9:80 invalidValue profileTypes.c.graph.expand[1]: 'a' is listed twice",
            "9:93 invalidValue profileTypes.c.graph.readOnly: expected a list, found 'x'",
            "9:107 invalidValue profileTypes.c.graph.immutable[0]: expected a string, found 1: quote it",
            "9:110 unknownKey profileTypes.c.graph: unknown key 'assign'; did you mean 'assignProperty'?",
        ],
    ),
    (
        "settings",
        SETTINGS + "profileTypes:\n  compliancePolicy: {folder: a, schema: ../x}\n",
        [
            f"5:41 invalidValue profileTypes.compliancePolicy.schema: {SCHEMA_FILE}, found '../x'",
        ],
    ),
    # who has no key must be disabled or sign off on the forge
    ("account", ALICE, ["2:14 invalidValue signingKeys: has 0 entries, expected at least 1"]),
    ("account", ALICE + "enabled: true\n", ["2:14 invalidValue signingKeys: has 0 entries, expected at least 1"]),
    ("account", ALICE + "enabled: false\n", []),
    ("account", ALICE + "github: {login: alice, id: 1}\n", []),
    (
        "account",
        ALICE + "enabled: false\nroles: [deployer, admin, deployer]\ngithub: {login: a b, id: '1'}\n",
        [
            f"4:19 invalidValue roles[1]: {ROLES}, found 'admin'",
            "4:26 invalidValue roles[2]: 'deployer' is listed twice",
            "5:17 invalidValue github.login: expected a GitHub login, found 'a b'",
            "5:26 invalidValue github.id: expected an integer, found '1'",
        ],
    ),
    (
        "account",
        "displayName: ' Alice'\nsigningKeys: [ssh-dss AAAA]\nuserPrincipalName: alice\n",
        [
            "1:14 invalidValue displayName: expected one line of text without blanks around it, found ' Alice'",
            f"2:15 invalidValue signingKeys[0]: {KEY}, found 'ssh-dss AAAA'",
            "3:20 invalidValue userPrincipalName: expected an e-mail address, found 'alice'",
        ],
    ),
    ("group", "displayName: x\nmembers: []\n", []),
    ("group", "displayName: x\nmembers: bob\n", ["2:10 invalidValue members: expected a list, found 'bob'"]),
    (
        "group",
        "displayName: 2026\nmembers: [Bob, true]\n",
        [
            "1:14 invalidValue displayName: expected a string, found 2026: quote it",
            f"2:11 invalidValue members[0]: {NAME}, found 'Bob'",
            "2:16 invalidValue members[1]: expected a string, found true: quote it",
        ],
    ),
    (
        "access-policy",
        f"displayName: {'x' * 129}\ndescription: {'d' * 1025}\nprofileType: [app, script]\napproverGroups: []\n",
        [
            "1:14 invalidValue displayName: has 129 characters, expected at most 128",
            "2:14 invalidValue description: has 1025 characters, expected at most 1024",
            "3:14 invalidValue profileType: expected a string, found a list",
            "4:17 invalidValue approverGroups: has 0 entries, expected at least 1",
        ],
    ),
    (
        "access-policy",
        POLICY.replace("approverGroups", "aprovers") + "requiredApprovals: 0\nscope: []\n",
        [
            "1:1 missingKey key 'approverGroups' is missing",
            "3:1 unknownKey unknown key 'aprovers'; did you mean 'approverGroups'?",
            "4:20 invalidValue requiredApprovals: expected at least 1, found 0",
            "5:8 invalidValue scope: has 0 entries, expected at least 1",
        ],
    ),
    (
        "access-policy",
        POLICY + "requiredApprovals: true\nscope: ['a?b']\nattested: 1\n",
        [
            "4:20 invalidValue requiredApprovals: expected an integer, found true",
            f"5:9 invalidValue scope[0]: {PATTERN}, found 'a?b'",
            "6:11 invalidValue attested: expected true or false, found 1",
        ],
    ),
    (
        "access-policy",
        POLICY + "requiredApprovals: 2.0\n",
        ["4:20 invalidValue requiredApprovals: expected an integer, found 2.0"],
    ),
    ("app", "displayName: x\n", ["1:1 missingKey key 'type' is missing"]),
    ("app", "type: win32LobApp\n", [f"1:7 invalidValue type: {APPS}, found 'win32LobApp'"]),
    ("app", "just text\n", ["1:1 invalidValue expected a mapping, found 'just text'"]),
    (
        "app",
        WEB_APP + "packageIdentifier: x\nroleScopeTagIds: [0]\n",
        [
            f"5:1 unknownKey unknown key 'packageIdentifier'; expected one of {WEB_APP_KEYS}",
            "6:19 invalidValue roleScopeTagIds[0]: expected a string, found 0: quote it",
        ],
    ),
    ("app", SUITE + "officeConfigurationXml: PGE+\n", []),
    (
        "app",
        SUITE + "productIds: [o365ProPlusRetail]\n",
        [
            "1:1 missingKey key 'officePlatformArchitecture' is missing",
            "1:1 missingKey key 'updateChannel' is missing",
        ],
    ),
    (
        "app",
        WEB_APP
        + """assignments:
- {intent: requierd, target: {group: A}}
- target: {group: A, allUsers: true}
- {intent: required, target: {}}
- {intent: required, target: {allDevices: false}}
- {intent: required, target: {group: A}, settings: {}}
- {intent: required, target: {groupId: A}}
""",
        [
            f"6:12 invalidValue assignments[0].intent: {INTENTS}, found 'requierd'",
            "7:3 missingKey assignments[1]: key 'intent' is missing",
            "7:22 unknownKey assignments[1].target: key 'allUsers' is not allowed here",
            "8:30 invalidValue assignments[2].target: has 0 keys, expected at least 1",
            "9:43 invalidValue assignments[3].target.allDevices: expected exactly true, found false",
            "10:42 unknownKey assignments[4]: unknown key 'settings'; expected one of intent, target",
            "11:31 unknownKey assignments[5].target: unknown key 'groupId'; did you mean 'group'?",
        ],
    ),
    (
        "app",
        WEB_APP
        + """assignments:
- {intent: required, target: {excludeGroup: A, filter: {name: F, mode: include}}}
- {intent: required, target: {filter: {name: F, mode: include}}}
- {intent: required, target: {group: A, filter: {mode: only, id: x}}}
- {intent: required, target: {allDevices: true, filter: F}}
""",
        [
            "6:48 unknownKey assignments[0].target: key 'filter' is not allowed here",
            "7:30 missingKey assignments[1].target: key 'group' is missing",
            "8:49 missingKey assignments[2].target.filter: key 'name' is missing",
            "8:56 invalidValue assignments[2].target.filter.mode: expected one of include, exclude, found 'only'",
            "8:62 unknownKey assignments[2].target.filter: unknown key 'id'; expected one of mode, name",
            "9:57 invalidValue assignments[3].target.filter: expected a mapping, found 'F'",
        ],
    ),
    (
        "app",
        WIN_GET + "adopt: {Intune: a, local: '', test: 7}\n",
        [
            f"7:9 invalidKey adopt: {NAME}, found 'Intune'",
            "7:27 invalidValue adopt.local: expected an id without control characters, found ''",
            "7:37 invalidValue adopt.test: expected a string, found 7: quote it",
        ],
    ),
    ("script", SCRIPT + "adopt: {}\n", ["5:8 invalidValue adopt: has 0 keys, expected at least 1"]),
    ("script", SCRIPT + "adopt: x\n", ["5:8 invalidValue adopt: expected a mapping, found 'x'"]),
    (
        "app",
        WIN_GET
        + """assignments:
- intent: required
  target: {group: A}
  settings:
    notifications: hideAll
    installTimeSettings: {deadlineDateTime: soon}
""",
        [
            f"12:45 invalidValue assignments[0].settings.installTimeSettings.deadlineDateTime: {TIME}, found 'soon'",
        ],
    ),
    (
        "script",
        SCRIPT.replace("x.ps1", "../x.ps1") + "assignments: [{intent: required, target: {allUsers: true}}]\n",
        [
            f"4:13 invalidValue scriptFile: {BESIDE}, found '../x.ps1'",
            "5:16 unknownKey assignments[0]: unknown key 'intent'; expected target",
        ],
    ),
    ("script", SCRIPT.replace("x.ps1", "x.yaml"), [f"4:13 invalidValue scriptFile: {BESIDE}, found 'x.yaml'"]),
    (
        "script",
        HEALTH
        + """assignments:
- target: {group: A}
  runSchedule: {type: deviceHealthScriptDailySchedule, interval: 0, tim: x}
- target: {group: B}
  runSchedule: {type: deviceHealthScriptHourlySchedule, interval: 24}
- target: {group: C}
  runSchedule: {type: weekly}
""",
        [
            "4:15 invalidValue runAsAccount: expected one of system, user, found 'root'",
            "8:16 missingKey assignments[0].runSchedule: key 'time' is missing",
            "8:16 missingKey assignments[0].runSchedule: key 'useUtc' is missing",
            "8:66 invalidValue assignments[0].runSchedule.interval: expected at least 1, found 0",
            "8:69 unknownKey assignments[0].runSchedule: unknown key 'tim'; did you mean 'time'?",
            "10:67 invalidValue assignments[1].runSchedule.interval: expected at most 23, found 24",
            f"12:23 invalidValue assignments[2].runSchedule.type: expected one of {SCHEDULES}, found 'weekly'",
        ],
    ),
    # of several forms, the one that comes closest is told
    (
        "assignments",
        "- {target: {group: A}, runSchedule: {type: deviceHealthScriptHourlySchedule}}\n",
        ["1:37 missingKey [0].runSchedule: key 'interval' is missing"],
    ),
    ("assignments", "- All Staff\n", ["1:3 invalidValue [0]: expected a mapping, found 'All Staff'"]),
    (
        "assignments",
        "- {target: {group: A}}\n- {target: {group: A}}\n",
        ["2:3 invalidValue [1]: a mapping is listed twice"],
    ),
]


@pytest.mark.parametrize(("name", "text", "expected"), REFUSED)
def test_e9_what_a_schema_refuses_is_told_where_and_why(name: str, text: str, expected: list[str]) -> None:
    """Each row has exactly these problems, all at once and sorted."""
    found = problems_of(text, shipped_schema(name))
    assert [f"{line}:{column} {code} {message}" for line, column, code, message in found] == expected


def graph_target(**options: object) -> dict[str, object]:
    """Settings with one target that is reached through Graph."""
    target = {"provider": "graph", "tenantId": ENTRA, **options}
    return {"version": 1, "tenant": "contoso", "protectedBranch": "main", "targets": {"intune": target}}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tenantId": ENTRA.upper(), "clientId": ENTRA},
        *({"credential": credential} for credential in CREDENTIALS.split(", ")),
        {"nativeApproval": "excluded"},
        {"nativeApproval": "handshake"},
    ],
)
def test_a_graph_target_needs_its_tenant_only(options: dict[str, object]) -> None:
    """Application, credential and native approval have defaults."""
    assert subjects_of("settings", graph_target(**options)) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.microsoft.com/beta",
        "https://graph.microsoft.us/beta",
        "https://dod-graph.microsoft.us/beta",
        "https://microsoftgraph.chinacloudapi.cn/beta",
        "http://127.0.0.1:8080/beta",
        "http://localhost/beta",
        "http://[::1]:65535/beta",
    ],
)
def test_graph_is_where_microsoft_has_it_or_on_this_machine(url: str) -> None:
    """The clouds of Microsoft, and loopback, where nothing is encrypted."""
    assert subjects_of("settings", graph_target(url=url)) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.microsoft.com.evil.example/beta",
        "https://graph.microsoft.com@evil.example/beta",
        "https://alice@graph.microsoft.com/beta",
        "https://graph.microsoft.com:8443/beta",
        "https://evil.example/graph.microsoft.com/beta",
        "https://evil.example#https://graph.microsoft.com/beta",
        "https://evilgraph.microsoft.com/beta",
        "https://graphXmicrosoft.com/beta",
        "https://graph.microsoft.cn/beta",
        "https://dod-graph.microsoft.com/beta",
        "https://graph.microsoft.com/beta/",
        "https://graph.microsoft.com/beta\n",
        "https://graph.microsoft.com/beta?x=https://graph.microsoft.com/beta",
        "https://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com",
        "https://graph.microsoft.com/../beta",
        "HTTPS://GRAPH.MICROSOFT.COM/beta",
        "http://graph.microsoft.com/beta",
        "https://127.0.0.1/beta",
        "http://127.0.0.1.evil.example/beta",
        "http://127.0.0.1@evil.example/beta",
        "http://127.0.0.1:80@evil.example/beta",
        "http://127.0.0.2/beta",
        "http://127.1/beta",
        "http://0.0.0.0/beta",
        "http://localhost.evil.example/beta",
        "http://localhost:/beta",
        "http://localhost:080/beta",
        "http://[::1].evil.example/beta",
        "http://[::ffff:1.2.3.4]/beta",
        "file:///beta",
        "",
    ],
)
def test_graph_is_nowhere_else(url: str) -> None:
    """An address that only looks like Graph's, or is not encrypted, never gets a token."""
    assert subjects_of("settings", graph_target(url=url)) == [("invalidValue", "/targets/intune/url")]


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/deviceManagement", "deviceManagement/", "a//b", "..", "a/../b", "./a", "a.b", "a?b", "a#b", "a b"),
        *("a%2fb", "a\\b", "https://evil.example", "a/b('c')", "a/\u00e9", "a\n", "deviceManagement/" + "a" * 240),
        *("groups", "users", "deviceManagement", "deviceManagementX/a", "DeviceManagement/a", "deviceManagement/a/"),
    ],
)
def test_the_place_of_a_profile_type_stays_below_graphs_address(path: str) -> None:
    """A path has plain segments only, so nothing leads out of it and nothing is asked along."""
    types = {"terms": {"folder": "terms", "graph": {"path": path}}}
    settings = {**graph_target(), "profileTypes": types}
    assert subjects_of("settings", settings) == [("invalidValue", "/profileTypes/terms/graph/path")]


@pytest.mark.parametrize(
    ("expand", "fine"),
    [
        (["settings"], True),
        (["scheduledActionsForRule($expand=scheduledActionConfigurations)", "settings"], True),
        (["settings,assignments"], False),
        (["settings&$filter=x"], False),
        (["settings($filter=x)"], False),
        (["a($expand=b($expand=c))"], False),
        ([""], False),
    ],
)
def test_what_is_read_along_is_a_navigation_property(expand: list[str], fine: bool) -> None:
    """Nothing else of a query can be said there."""
    types = {"terms": {"folder": "terms", "graph": {"path": "deviceManagement/termsAndConditions", "expand": expand}}}
    assert (subjects_of("settings", {**graph_target(), "profileTypes": types}) == []) is fine


def example(name: str, action: str) -> dict[str, Any]:
    """The example of an event or a receipt with this action."""
    return dict(next(value for value in examples_of(name) if value["action"] == action))


@pytest.mark.parametrize(
    ("action", "change", "subjects"),
    [
        ("submit", {"changes": []}, ["/changes"]),
        ("submit", {"justification": " \n "}, ["/justification"]),
        ("submit", {"justification": "x" * 1025}, ["/justification"]),
        ("submit", {"justification": "a\tb"}, ["/justification"]),
        ("submit", {"contributors": ["a", "a"]}, ["/contributors/1"]),
        ("submit", {"change": "sha256:" + "0" * 64}, ["/change"]),
        ("submit", {"attestedBy": "forge"}, ["/evidence"]),
        ("submit", {"at": "2026-11-23T24:00:00Z"}, ["/at"]),
        ("submit", {"base": "8c6d3b0"}, ["/base"]),
        ("submit", {"version": True}, ["/version"]),
        ("approve", {"previous": "sha256:" + "0" * 64 + "\n"}, ["/previous"]),
        ("approve", {"justification": "x"}, ["/justification"]),
        ("approve", {"notes": None}, ["/notes"]),
        ("approve", {"notes": ""}, ["/notes"]),
        ("reject", {"evidence": {"source": "gitlab"}}, [*("/evidence/" + k for k in ("commit", "login", "source")),
                                                      "/evidence/url", "/evidence/userId"]),
        ("complete", {"notes": "x"}, ["/notes"]),
        ("complete", {"attestedBy": "forge"}, ["/attestedBy"]),
        ("complete", {"action": "merge"}, ["/action"]),
        ("complete", {"signature": "x"}, ["/signature"]),
    ],
)  # fmt: skip
def test_events_have_the_fields_of_their_action(action: str, change: dict[str, object], subjects: list[str]) -> None:
    """A field that is wrong, missing or another action's is refused."""
    found = check_schema(document(as_yaml({**example("event", action), **change})), shipped_schema("event"))
    assert sorted(problem.subject for problem in found) == subjects


@pytest.mark.parametrize(
    ("change", "fine"),
    [
        ({"mode": "100644", "old": None, "new": "a" * 64}, True),
        ({"mode": "120000", "old": "b" * 64, "new": "a" * 64}, True),
        ({"mode": None, "old": "b" * 64, "new": None}, True),
        ({"mode": "100644", "old": "b" * 64, "new": None}, False),
        ({"mode": None, "old": "b" * 64, "new": "a" * 64}, False),
        ({"mode": None, "old": None, "new": None}, False),
        ({"mode": "160000", "old": None, "new": "a" * 64}, False),
        ({"mode": "100644", "old": None, "new": "sha256:" + "a" * 64}, False),
    ],
)
def test_h15_a_change_has_a_mode_if_and_only_if_there_is_a_new_file(change: dict[str, object], fine: bool) -> None:
    """A deletion with a mode, a change from nothing to nothing and a submodule are refused."""
    event = {**example("event", "submit"), "changes": [{"path": "a", **change}]}
    assert (not check_schema(document(as_yaml(event)), shipped_schema("event"))) is fine


def test_a_first_receipt_names_no_previous_one() -> None:
    """``previous`` is the one field of a receipt that may be absent."""
    receipt = example("receipt", "apply")
    assert (
        check_schema(
            document(as_yaml({k: v for k, v in receipt.items() if k != "previous"})), shipped_schema("receipt")
        )
        == ()
    )
    wrong = {
        **receipt,
        "failed": ["payroll"],
        "outcomes": [{"object": "app/x", "operation": "edit", "outcome": "maybe"}],
    }
    found = check_schema(document(as_yaml(wrong)), shipped_schema("receipt"))
    assert [problem.subject for problem in found] == ["/outcomes/0/outcome", "/failed/0"]


@pytest.mark.parametrize(
    ("change", "subjects"),
    [
        ({}, []),
        ({"outcome": "waiting"}, ["/outcomes/0/outcome"]),
        ({"approval": {}}, ["/outcomes/0/approval/call", "/outcomes/0/approval/code"]),
        ({"approval": "x"}, ["/outcomes/0/approval"]),
        ({"approval": {"code": "x" * 64, "call": "sha256:" + "0" * 64}}, []),
        ({"approval": {"code": "x" * 65, "call": "sha256:" + "0" * 64}}, ["/outcomes/0/approval/code"]),
        ({"approval": {"code": "a b", "call": "0" * 64}}, ["/outcomes/0/approval/call", "/outcomes/0/approval/code"]),
        ({"approval": {"code": "", "call": "sha256:" + "0" * 64}}, ["/outcomes/0/approval/code"]),
        ({"approval": {"code": "x", "call": "sha256:" + "0" * 64, "by": "bob"}}, ["/outcomes/0/approval/by"]),
    ],
)
def test_a_receipt_tells_what_waits_in_intune(change: dict[str, object], subjects: list[str]) -> None:
    """The code of the request there and the digest of the call, and nothing else."""
    receipt = next(value for value in examples_of("receipt") if "approval" in value["outcomes"][0])
    outcome = {**receipt["outcomes"][0], **change}
    found = subjects_of("receipt", {**receipt, "outcomes": [outcome]})
    assert [subject for _, subject in found] == subjects


# --- JSON Schema in general ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "text", "message"),
    [
        ({"type": ["string", "null"]}, "1", "expected a string or nothing, found 1: quote it"),
        ({"type": "number"}, "true", "expected a number, found true"),
        ({"enum": [1, None, "x"]}, "true", "expected one of 1, null, x, found true"),
        ({"const": 1}, "true", "expected exactly 1, found true"),
        ({"exclusiveMinimum": 0}, "0", "expected more than 0, found 0"),
        ({"exclusiveMaximum": 0}, "0.5", "expected less than 0, found 0.5"),
        ({"maxItems": 1}, "[a, b]", "has 2 entries, expected at most 1"),
        ({"uniqueItems": True}, "[{a: 1, b: 2}, true, {b: 2, a: 1}, 1]", "[2]: a mapping is listed twice"),
        ({"multipleOf": 2}, "3", "does not keep to multipleOf 2"),
        ({"not": {"type": "integer"}}, "3", 'does not keep to not {"type": "integer"}'),
        ({"properties": {"a": False}}, "a: 1", "key 'a' is not allowed here"),
        ({"anyOf": [False, {"type": "integer"}]}, "{}", "expected an integer, found a mapping"),
        ({"unevaluatedProperties": False}, "a: 1", "Unevaluated properties are not allowed ('a' was unexpected)"),
        ({"dependentRequired": {"a": ["b"]}}, "a: 1", "key 'b' is missing"),
        ({"additionalProperties": {"type": "string"}}, "a: 1", "a: expected a string, found 1: quote it"),
        ({"patternProperties": {"^x-": {}}, "additionalProperties": False}, "x-a: 1\nb: 1", "unknown key 'b'"),
        ({"pattern": "^[$]a\\$$"}, "x", "expected a text like ^[$]a\\$$, found 'x'"),
        ({"anyOf": [{"type": "string"}, {"type": ["integer", "null"]}]}, "[a]",
         "expected a string or an integer or nothing, found a list"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, "3", "fits more than one of the forms allowed here"),
        ({"oneOf": [{"type": "string"}, {"properties": {"a": {"const": 1}}}]}, "a: 2",
         "a: expected exactly 1, found 2"),
        ({"anyOf": [{"anyOf": [{"required": ["a", "b"]}, {"required": ["c"]}]}, {"required": ["d", "e"]}]}, "{}",
         "key 'c' is missing"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, "a: 1", "key 'b' is missing"),
        ({"if": {"required": ["a"]}, "then": False}, "a: 1", "is not allowed here"),
    ],
)  # fmt: skip
def test_messages_are_for_people(schema: dict[str, object], text: str, message: str) -> None:
    """What was found and what was expected, of the form that comes closest."""
    assert [problem[3] for problem in problems_of(text, schema)] == [message]


def test_a_pattern_ends_where_the_text_ends() -> None:
    """``$`` does not overlook a line feed at the end, and digits are ASCII digits."""
    assert problems_of("|\n  1\n", {"pattern": "^\\d$"}) != []
    assert problems_of("'٣'", {"pattern": "^\\d$"}) != []
    assert problems_of("'3'", {"pattern": "^\\d$"}) == []
    assert problems_of("a$", {"pattern": "^[a$]+$"}) == []


def test_e3_an_integer_is_an_integer_below_a_reference_to_the_top_too() -> None:
    """1.0 and true are none, however the schema gets there."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"size": {"type": "integer"}, "next": {"$ref": "#"}},
    }
    assert [problem[:3] for problem in problems_of("size: 1\nnext: {size: 1.0, next: {size: true}}\n", schema)] == [
        (2, 14, "invalidValue"),
        (2, 32, "invalidValue"),
    ]


def test_a_document_without_places_is_checked_all_the_same() -> None:
    """Data from elsewhere has its problems at no line."""
    (problem,) = check_schema(Document("record", {"a": 1}, {}, {}), {"additionalProperties": False})
    assert (problem.line, problem.column, problem.code, problem.subject) == (0, 0, "unknownKey", "/a")


def test_a_document_that_is_wrong_everywhere_is_not_checked_to_its_end() -> None:
    """A hundred problems are told."""
    assert len(problems_of("- a\n" * 1000, {"items": {"type": "integer"}})) == 100


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on the loopback, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/schema.json", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_e10_a_remote_reference_is_never_fetched(listener: tuple[str, list[str]], tmp_path: Path) -> None:
    """It is a problem, and neither server nor file is asked."""
    url, asked = listener
    (tmp_path / "schema.json").write_text("true")
    for target in (url, (tmp_path / "schema.json").as_uri(), "other.schema.json"):
        for schema in ({"$ref": target}, {"$id": url, "$ref": target + "#x"}, {"$dynamicRef": target}):
            (problem,) = check_schema(document("a: 1\n"), schema)
            assert (problem.line, problem.column, problem.code) == (1, 1, "invalidSchema")
            assert read_json_schema(json.dumps(schema).encode(), "schemas/x.schema.json")[0] is None
    assert asked == []


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"type": "text"}, {"pattern": "("}, {"pattern": "a{99999999999}"}])
def test_a_schema_that_cannot_be_used_is_a_problem(schema: dict[str, object]) -> None:
    """An endless reference, an unknown type, a broken pattern: none of them raises."""
    (problem,) = check_schema(document("text\n"), schema)
    assert problem.code == "invalidSchema"


# --- a tenant's own schemas ------------------------------------------------------------------------------------------

OWN_REFUSED = {
    "no JSON": ("type: object\n", [(1, 1, "syntax")]),
    "comment": ('{"type": "object"} # text\n', [(1, 20, "syntax")]),
    "unquoted key": ('{type: "object"}\n', [(1, 2, "syntax")]),
    "NaN": ('{"const": NaN}\n', [(1, 1, "syntax")]),
    "key twice": ('{"type": "object",\n "type": "string"}\n', [(2, 2, "duplicateKey")]),
    "text": ('"object"\n', [(1, 1, "invalidSchema")]),
    "true": ("true\n", [(1, 1, "invalidSchema")]),
    "too large": (" " * 1024 * 1024 + "{}", [(0, 0, "tooLarge")]),
    "too deep": ('{"not": ' * 100_000, [(1, 257, "tooDeep")]),
    "unknown type": ('{"properties": {"a": {"type": "text"}}}', [(1, 31, "invalidSchema")]),
    "two things wrong": ('{"minLength": -1,\n "required": "a"}', [(1, 15, "invalidSchema"), (2, 14, "invalidSchema")]),
    "another dialect": ('{"$schema": "http://json-schema.org/draft-07/schema#"}', [(1, 13, "invalidSchema")]),
    "another dialect inside": (
        '{"not": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}',
        [(1, 21, "invalidSchema")],
    ),
    "another identity inside": ('{"not": {"$id": "https://x.example/y"}}', [(1, 17, "invalidSchema")]),
    "remote reference": ('{"$ref": "https://x.example/y"}', [(1, 10, "invalidSchema")]),
    "reference to a file": ('{"items": {"$ref": "b.schema.json"}}', [(1, 20, "invalidSchema")]),
    "reference to nothing": ('{"$ref": "#/$defs/a", "$defs": {}}', [(1, 10, "invalidSchema")]),
    "reference to what is no schema": ('{"$ref": "#/title", "title": "x"}', [(1, 10, "invalidSchema")]),
    "broken pattern": ('{"pattern": "("}', [(1, 13, "invalidSchema")]),
    "endless pattern": ('{"pattern": "' + "(" * 20_000 + '"}', [(1, 13, "invalidSchema")]),
    "broken key pattern": ('{"patternProperties": {"(": {}}}', [(1, 23, "invalidSchema")]),
}


@pytest.mark.parametrize(("text", "expected"), OWN_REFUSED.values(), ids=OWN_REFUSED)
def test_e10_a_broken_schema_is_refused_at_its_place(text: str, expected: list[tuple[int, int, str]]) -> None:
    """Each row of the table is refused, with exactly these problems."""
    schema, problems = read_json_schema(text.encode(), "schemas/x.schema.json")
    assert schema is None
    assert [(problem.line, problem.column, problem.code) for problem in problems] == expected


def test_a_sound_schema_is_read() -> None:
    """References within the file, patterns, and properties named like keywords are fine."""
    text = """{
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "$id": "https://contoso.example/compliance-policy",
      "type": "object",
      "properties": {"$ref": {"$ref": "#/$defs/name"}, "pattern": {"enum": ["a", "b"]}, "next": {"$ref": "#"}},
      "additionalProperties": false,
      "$defs": {"name": {"type": "string"}}
    }"""
    schema, problems = read_json_schema(text.encode(), "schemas/x.schema.json")
    assert problems == ()
    assert schema == json.loads(text)
    assert problems_of("{$ref: a, next: {pattern: a, next: {}}}", schema or {}) == []
    assert [problem[:3] for problem in problems_of("{$ref: 1, next: {pattern: 'A'}}", schema or {})] == [
        (1, 8, "invalidValue"),
        (1, 27, "invalidValue"),
    ]
