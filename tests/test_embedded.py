"""The embedded Graph's collections over real HTTP: lists, objects, assignments, what Graph refuses."""

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.model import ProfileType
from tests.support.graph import Graph, serve

APPS = "deviceAppManagement/mobileApps"
SCRIPTS = "deviceManagement/deviceManagementScripts"
REMEDIATIONS = "deviceManagement/deviceHealthScripts"
COMPLIANCE = "deviceManagement/deviceCompliancePolicies"
CATALOG = "deviceManagement/configurationPolicies"
TYPE = "#microsoft.graph."

WEB: dict[str, Any] = {"@odata.type": f"{TYPE}webApp", "displayName": "Holidays", "appUrl": "https://contoso.com"}
WINGET: dict[str, Any] = {
    "@odata.type": f"{TYPE}winGetApp",
    "displayName": "Company Portal",
    "packageIdentifier": "9WZDNCRFJ3PZ",
    "installExperience": {"@odata.type": f"{TYPE}winGetAppInstallExperience", "runAsAccount": "system"},
}
OFFICE = {"@odata.type": f"{TYPE}officeSuiteApp", "displayName": "Office", "excludedApps": {"access": True}}
WIN32 = {"@odata.type": f"{TYPE}win32LobApp", "displayName": "VPN", "installCommandLine": "setup.exe", "rules": []}
TEXT = base64.b64encode(b"Set-TimeZone UTC\n").decode()
SCRIPT = {"displayName": "Zone", "fileName": "zone.ps1", "runAsAccount": "system", "scriptContent": TEXT}
REMEDIATION = {
    "displayName": "Spooler",
    "publisher": "Contoso",
    "runAsAccount": "system",
    "detectionScriptContent": TEXT,
    "remediationScriptContent": TEXT,
}
BLOCK = {"actionType": "block", "gracePeriodHours": 0, "notificationTemplateId": ""}
POLICY = {
    "@odata.type": f"{TYPE}windows10CompliancePolicy",
    "displayName": "Baseline",
    "passwordRequired": True,
    "scheduledActionsForRule": [{"ruleName": "any", "scheduledActionConfigurations": [BLOCK]}],
}
SETTINGS = [{"settingInstance": {"settingDefinitionId": "lock", "simpleSettingValue": {"value": 10}}}]
LOCK = {"name": "Lock", "platforms": "windows10", "technologies": "mdm", "settings": SETTINGS}
CATEGORY = {"displayName": "Kiosk"}
ROLE = {"displayName": "Help desk", "rolePermissions": []}

EVERY = [
    (APPS, WEB),
    (APPS, WINGET),
    (SCRIPTS, SCRIPT),
    ("deviceManagement/deviceShellScripts", SCRIPT),
    (REMEDIATIONS, REMEDIATION),
    (COMPLIANCE, POLICY),
    (CATALOG, LOCK),
    ("deviceManagement/roleDefinitions", ROLE),
    ("deviceManagement/deviceCategories", CATEGORY),
]


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """An empty tenant that is served."""
    with serve(tmp_path / "tenant.sqlite3") as served:
        yield served


def made(graph: Graph, path: str, body: dict[str, Any]) -> str:
    """Make an object, and read it, so that an app is published; gives its id."""
    reply = graph.post(path, body)
    assert reply.status == 201, reply.body
    item_id = str(reply.body["id"])
    assert graph.get(f"{path}/{item_id}").status == 200
    return item_id


def to(target: str, **more: Any) -> dict[str, Any]:
    """The target of an assignment: a group by its id, or ``allUsers``, ``allDevices``."""
    types = {"allUsers": "allLicensedUsers", "allDevices": "allDevices"}
    named = {} if target in types else {"groupId": target}
    return {"@odata.type": f"{TYPE}{types.get(target, 'group')}AssignmentTarget", **named, **more}


def assigned(graph: Graph, item_id: str, *targets: dict[str, Any], **more: Any) -> int:
    """Assign an app; gives the status."""
    items = [{"@odata.type": f"{TYPE}mobileAppAssignment", "intent": "required", "target": one} for one in targets]
    return graph.post(f"{APPS}/{item_id}/assign", {"mobileAppAssignments": [{**one, **more} for one in items]}).status


# --- objects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), EVERY)
def test_an_object_is_made_read_changed_and_deleted(graph: Graph, path: str, body: dict[str, Any]) -> None:
    """Every collection has the four, with the statuses that Graph documents, and 404 once it is gone."""
    item_id = made(graph, path, body)
    name = "name" if "name" in body else "displayName"
    read = graph.get(f"{path}/{item_id}").body
    assert {key: read[key] for key in body if key in read} == {key: body[key] for key in body if key in read}
    assert body.keys() - read.keys() <= {"settings", "scheduledActionsForRule"}
    changed = graph.patch(f"{path}/{item_id}", {name: "Other"})
    assert (changed.status, changed.body[name]) == (200, "Other")
    assert [item["id"] for item in graph.get(path).value] == [item_id]
    assert graph.delete(f"{path}/{item_id}").status == 204
    statuses = [graph.get(f"{path}/{item_id}").status, graph.delete(f"{path}/{item_id}").status]
    assert statuses == [404, 404]
    assert graph.get(path).value == []


def test_an_object_has_what_graph_reports_and_the_defaults(graph: Graph) -> None:
    """What nobody said is there as Graph has it; dates have seven digits."""
    read = graph.get(f"{APPS}/{made(graph, APPS, WEB)}").body
    reported = ("createdDateTime", "publishingState", "isAssigned", "uploadState", "description", "roleScopeTagIds")
    expected = ["2026-11-23T10:00:00.0000000Z", "published", False, 1, "", ["0"]]
    assert [read[key] for key in reported] == expected


def test_what_graph_reports_cannot_be_written(graph: Graph) -> None:
    """It is ignored, in a POST and in a PATCH."""
    lies = {"id": "mine", "isAssigned": True, "createdDateTime": "1999-01-01T00:00:00Z", "version": 9}
    item_id = made(graph, APPS, {**WEB, **lies})
    graph.patch(f"{APPS}/{item_id}", lies)
    read = graph.get(f"{APPS}/{item_id}").body
    assert (read["id"], read["isAssigned"], read["createdDateTime"][:4]) == (item_id, False, "2026")
    assert item_id != "mine"


def test_a_change_moves_the_date_and_the_version(graph: Graph) -> None:
    """The clock is the server's."""
    item_id = made(graph, REMEDIATIONS, REMEDIATION)
    graph.clock.forward(hours=1)
    graph.patch(f"{REMEDIATIONS}/{item_id}", {"description": "New"})
    read = graph.get(f"{REMEDIATIONS}/{item_id}").body
    assert (read["createdDateTime"][11:16], read["lastModifiedDateTime"][11:16], read["version"]) == (
        "10:00",
        "11:00",
        "2",
    )


def test_every_flag_is_answered(graph: Graph) -> None:
    """A set of flags comes back with those that are false."""
    excluded = graph.get(f"{APPS}/{made(graph, APPS, OFFICE)}").body["excludedApps"]
    assert (excluded["access"], excluded["word"], len(excluded)) == (True, False, 15)


def test_what_no_resource_can_say_is_given_back(graph: Graph) -> None:
    """Kinds and properties that are not known here are kept as they came, and so are texts that are not UTF-8."""
    odd = base64.b64encode("ä".encode("latin-1")).decode()
    item_id = made(graph, APPS, WIN32)
    script_id = made(graph, SCRIPTS, {**SCRIPT, "scriptContent": odd, "nested": {"@odata.type": "x", "n": None}})
    read, script = graph.get(f"{APPS}/{item_id}").body, graph.get(f"{SCRIPTS}/{script_id}").body
    assert (read["installCommandLine"], read["rules"], read["publishingState"]) == ("setup.exe", [], "notPublished")
    assert (script["scriptContent"], script["nested"]) == (odd, {"@odata.type": "x", "n": None})


def test_the_type_is_named_where_a_collection_has_several(graph: Graph) -> None:
    """Scripts, settings catalog policies and categories have one type, which Graph's answers leave out."""
    named = {path: "@odata.type" in graph.get(f"{path}/{made(graph, path, body)}").body for path, body in EVERY[1:]}
    kinds = [path for path, says in named.items() if says]
    assert kinds == [APPS, COMPLIANCE, "deviceManagement/roleDefinitions"]


def test_a_collection_of_the_tenants_own_is_served(tmp_path: Path) -> None:
    """A profile type that says where Graph keeps it has the same endpoints; without an action it is not assigned."""
    place = {"path": "deviceManagement/termsAndConditions", "update": "PATCH", "immutable": ["version"]}
    own = ProfileType("terms", "terms", None, place)
    with serve(tmp_path / "t.sqlite3", types=(own,)) as graph:
        item_id = made(graph, "deviceManagement/termsAndConditions", {"displayName": "House rules", "title": "Rules"})
        assert graph.get(f"deviceManagement/termsAndConditions/{item_id}").body["title"] == "Rules"
        assert graph.post(f"deviceManagement/termsAndConditions/{item_id}/assign", {}).status == 404
        with graph.store() as store:
            assert [remote.held.profile_type for remote in store.objects().values()] == ["terms"]


# --- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_comes_in_pages(tmp_path: Path) -> None:
    """The link to the next page is whole, keeps the options, and leads through everything once."""
    with serve(tmp_path / "t.sqlite3", page=3) as graph:
        names = [f"App {number}" for number in range(8)]
        for name in names:
            graph.post(APPS, {**WEB, "displayName": name})
        found, sizes, page = [], [], graph.get(APPS, select="id,displayName", top="5")
        while True:
            found += [item["displayName"] for item in page.value]
            sizes.append(len(page.value))
            if "@odata.nextLink" not in page.body:
                break
            assert page.body["@odata.nextLink"].startswith(f"{graph.url}/{APPS}?")
            page = graph.get(page.body["@odata.nextLink"])
        assert (found, sizes) == (names, [3, 3, 2])
        assert {*page.value[0]} == {"@odata.type", "id", "displayName"}


def test_a_page_goes_on_though_its_last_item_was_deleted(tmp_path: Path) -> None:
    """Nothing that stays is left out or given twice."""
    with serve(tmp_path / "t.sqlite3", page=2) as graph:
        ids = [graph.post(APPS, WEB).body["id"] for _ in range(5)]
        first = graph.get(APPS)
        graph.delete(f"{APPS}/{ids[0]}")
        assert [item["id"] for item in graph.get(first.body["@odata.nextLink"]).value] == ids[2:4]


def test_top_skip_and_order(graph: Graph) -> None:
    """A list is cut and ordered as it is asked for."""
    for name in "bAc":
        graph.post(APPS, {**WEB, "displayName": name})

    def names(**query: str) -> list[str]:
        return [item["displayName"] for item in graph.get(APPS, **query).value]

    assert names(orderby="displayName") == ["A", "b", "c"]
    assert names(orderby="displayName desc", skip="1") == ["b", "A"]
    assert (names(top="2"), names(skip="0", top="1")) == (["b", "A"], ["b"])
    assert graph.get(f"{APPS}/$count").body == 3
    assert graph.get(APPS, count="true", top="1").body["@odata.count"] == 3


FILTERS = {
    "displayName eq 'holidays'": ["Holidays"],
    "displayName eq 'O''Neill'": ["O'Neill"],
    "startswith(displayName,'ho')": ["Holidays"],
    "startsWith(displayName, 'H') and isAssigned eq false": ["Holidays"],
    "displayName eq 'Holidays' or displayName eq 'VPN'": ["Holidays", "VPN"],
    "not (displayName eq 'Holidays' or isof('microsoft.graph.win32LobApp'))": ["O'Neill"],
    "isof('microsoft.graph.webApp') and publishingState ne 'x'": ["Holidays", "O'Neill"],
    "displayName in ('VPN', 'x')": ["VPN"],
    "contains(displayName,'day')": ["Holidays"],
    "endswith(displayName,'Neill')": ["O'Neill"],
    "createdDateTime ge 2026-01-01T00:00:00Z": ["Holidays", "O'Neill", "VPN"],
    "uploadState lt 1": [],
    "largeIcon/type eq null": ["Holidays", "O'Neill", "VPN"],
    "(microsoft.graph.managedApp/appAvailability) eq null or "
    "(microsoft.graph.managedApp/appAvailability) eq 'lineOfBusiness' or isAssigned eq true": [
        "Holidays",
        "O'Neill",
        "VPN",
    ],
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Four apps, one of them Microsoft's own; for tests that only read."""
    with serve(tmp_path_factory.mktemp("filled") / "tenant.sqlite3") as served:
        own = {"@odata.type": f"{TYPE}managedIOSStoreApp", "displayName": "Outlook", "appAvailability": "global"}
        for body in (WEB, {**WEB, "displayName": "O'Neill"}, WIN32, own):
            assert served.post(APPS, body).status == 201
        yield served


@pytest.mark.parametrize("text", FILTERS)
def test_filters(filled: Graph, text: str) -> None:
    """The part of the language that clients of Intune use; letters' case means nothing."""
    found = [item["displayName"] for item in filled.get(APPS, filter=text).value]
    assert [name for name in found if name != "Outlook"] == FILTERS[text]
    assert ("Outlook" in found) == (text.startswith(("not", "createdDateTime", "largeIcon")))


@pytest.mark.parametrize(
    "text",
    [
        "displayName",
        "displayName eq",
        "eq 'x'",
        "(displayName eq 'x'",
        "displayName eq 'x' displayName",
        "displayName eq 'x",
        "tolower(displayName) eq 'x'",
        "displayName eq 'x' & y",
        "(" * 99 + "true" + ")" * 99,
        "not " * 500 + "true",
        ",",
        "",
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(filled: Graph, text: str) -> None:
    """It is 400 with a reason, or matches nothing; never everything."""
    reply = filled.get(APPS, filter=text)
    assert reply.status == 400 or reply.value == []


def test_a_long_filter_is_read(filled: Graph) -> None:
    """A thousand alternatives are no trouble."""
    text = " or ".join(f"displayName eq '{number}'" for number in range(1000)) + " or displayName eq 'VPN'"
    assert [item["displayName"] for item in filled.get(APPS, filter=text).value] == ["VPN"]


@pytest.mark.parametrize(
    "query",
    [
        {"search": "x"},
        {"top": "0"},
        {"top": "x"},
        {"top": "-1"},
        {"skiptoken": "x"},
        {"skiptoken": "e30="},
        {"orderby": "displayName sideways"},
        {"expand": "secrets"},
    ],
)
def test_a_query_option_that_makes_no_sense_is_refused(filled: Graph, query: dict[str, str]) -> None:
    """Nothing is overlooked in silence."""
    assert filled.get(APPS, **query).status == 400


def test_a_query_option_that_is_given_twice_is_refused(filled: Graph) -> None:
    """Nobody can say which of the two counts."""
    assert filled.get(f"{APPS}?$top=1&$top=2").status == 400


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        (SCRIPTS, SCRIPT, ["scriptContent"]),
        (REMEDIATIONS, REMEDIATION, ["detectionScriptContent", "remediationScriptContent"]),
        (APPS, {**WEB, "largeIcon": {"type": "image/png", "value": TEXT}}, ["largeIcon"]),
    ],
)
def test_a_list_carries_no_contents(graph: Graph, path: str, body: dict[str, Any], names: list[str]) -> None:
    """Texts and pictures are only given with the object itself."""
    item_id = made(graph, path, body)
    (listed,) = graph.get(path).value
    assert [listed[name] for name in names] == [None] * len(names)
    assert [graph.get(f"{path}/{item_id}").body[name] for name in names] == [body[name] for name in names]


def test_a_list_of_apps_has_no_scope_tags(graph: Graph) -> None:
    """They are empty in a list, so that clients ask for each app."""
    item_id = made(graph, APPS, {**WEB, "roleScopeTagIds": ["0", "7"]})
    assert graph.get(APPS).value[0]["roleScopeTagIds"] == []
    assert graph.get(f"{APPS}/{item_id}", select="roleScopeTagIds").body["roleScopeTagIds"] == ["0", "7"]


# --- what must be asked for ------------------------------------------------------------------------------------------


def test_settings_are_only_given_if_they_are_asked_for(graph: Graph) -> None:
    """With ``$expand`` or behind their own address, each with an id; the policy tells how many there are."""
    item_id = made(graph, CATALOG, LOCK)
    plain = graph.get(f"{CATALOG}/{item_id}").body
    assert ("settings" in plain, plain["settingCount"], plain["templateReference"]["templateFamily"]) == (
        False,
        1,
        "none",
    )
    expected = [{"id": "0", **SETTINGS[0]}]
    assert graph.get(f"{CATALOG}/{item_id}", expand="settings").body["settings"] == expected
    assert graph.get(f"{CATALOG}/{item_id}/settings").value == expected


def test_scheduled_actions_are_given_as_deep_as_they_are_asked_for(graph: Graph) -> None:
    """What is below needs an ``$expand`` of its own; an id that was not given is one of zeros."""
    item_id = made(graph, COMPLIANCE, POLICY)
    assert "scheduledActionsForRule" not in graph.get(f"{COMPLIANCE}/{item_id}").body
    (shallow,) = graph.get(f"{COMPLIANCE}/{item_id}", expand="scheduledActionsForRule").body["scheduledActionsForRule"]
    assert shallow == {"id": "0", "ruleName": "any"}
    deep_words = "assignments,scheduledActionsForRule($expand=scheduledActionConfigurations)"
    deep = graph.get(COMPLIANCE, expand=deep_words).value[0]
    (action,) = deep["scheduledActionsForRule"][0]["scheduledActionConfigurations"]
    assert (deep["assignments"], action["actionType"], action["notificationTemplateId"][:8]) == ([], "block", "0" * 8)
    behind = graph.get(f"{COMPLIANCE}/{item_id}/scheduledActionsForRule", expand="scheduledActionConfigurations")
    assert behind.value == deep["scheduledActionsForRule"]


def test_assignments_of_a_settings_catalog_policy_are_never_expanded(graph: Graph) -> None:
    """They are behind their own address only."""
    item_id = made(graph, CATALOG, LOCK)
    reply = graph.post(f"{CATALOG}/{item_id}/assign", {"assignments": [{"target": to("allUsers")}]})
    assert (reply.status, len(reply.value)) == (200, 1)
    assert graph.get(f"{CATALOG}/{item_id}", expand="assignments").body["assignments"] == []
    assert graph.get(f"{CATALOG}/{item_id}/assignments").value == reply.value
    assert graph.get(f"{CATALOG}/{item_id}").body["isAssigned"] is True


def test_categories_and_group_assignments_are_empty(graph: Graph) -> None:
    """Nobody has any here."""
    app_id, script_id = made(graph, APPS, WEB), made(graph, SCRIPTS, SCRIPT)
    assert graph.get(f"{APPS}/{app_id}/categories").value == []
    assert graph.get(f"{APPS}/{app_id}", expand="categories").body["categories"] == []
    assert graph.get(f"{SCRIPTS}/{script_id}/groupAssignments").value == []


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (APPS, {"displayName": "x"}, "'@odata.type' is missing"),
        (APPS, {**WEB, "@odata.type": f"{TYPE}nothingApp"}, "Invalid type 'nothingApp'"),
        (APPS, {**WEB, "displayName": ""}, "displayName must not be null or empty"),
        (APPS, {key: WINGET[key] for key in WINGET if key != "packageIdentifier"}, "packageIdentifier must not"),
        (APPS, {key: WINGET[key] for key in WINGET if key != "installExperience"}, "installExperience must not"),
        (APPS, {**WINGET, "installExperience": "system"}, "installExperience must be an object"),
        (SCRIPTS, {**SCRIPT, "scriptContent": ""}, "scriptContent must not be null or empty"),
        (SCRIPTS, {**SCRIPT, "scriptContent": "no base64!"}, "'Edm.Binary'"),
        (REMEDIATIONS, {**REMEDIATION, "publisher": None}, "publisher must not"),
        (COMPLIANCE, {**POLICY, "scheduledActionsForRule": []}, "Exactly one 'block' action"),
        (COMPLIANCE, {key: POLICY[key] for key in POLICY if key != "@odata.type"}, "'@odata.type' is missing"),
        (CATALOG, {**LOCK, "platforms": None}, "platforms must not"),
        (CATALOG, {"displayName": "not name"}, "name must not"),
    ],
)
def test_an_object_that_cannot_be_is_refused(graph: Graph, path: str, body: dict[str, Any], words: str) -> None:
    """400 with Graph's error, and nothing is made."""
    reply = graph.post(path, body)
    assert (reply.status, reply.body["error"]["code"]) == (400, "BadRequest")
    assert words in reply.error
    assert graph.get(path).value == []


@pytest.mark.parametrize(
    ("path", "body", "change", "status"),
    [
        (APPS, WINGET, {"packageIdentifier": "other"}, 400),
        (APPS, WINGET, {"@odata.type": f"{TYPE}winGetApp", "installExperience": {"runAsAccount": "user"}}, 400),
        (APPS, WINGET, {"@odata.type": f"{TYPE}winGetApp", "installExperience": {"runAsAccount": "system"}}, 200),
        (APPS, WEB, {"@odata.type": f"{TYPE}winGetApp"}, 400),
        (APPS, WEB, {"appUrl": "https://other.contoso.com"}, 400),
        (APPS, WEB, {"@odata.type": f"{TYPE}webApp", "appUrl": "https://other.contoso.com"}, 200),
        (SCRIPTS, SCRIPT, {"scriptContent": "no base64!"}, 400),
        (COMPLIANCE, POLICY, {"scheduledActionsForRule": []}, 400),
        (CATALOG, LOCK, {"platforms": "macOS"}, 400),
        (CATALOG, LOCK, {"settings": []}, 400),
    ],
)
def test_a_change_that_cannot_be_is_refused(
    graph: Graph, path: str, body: dict[str, Any], change: dict[str, Any], status: int
) -> None:
    """What is fixed stays, what belongs to a type needs it named; the object is as it was."""
    item_id = made(graph, path, body)
    before = graph.get(f"{path}/{item_id}").body
    assert graph.patch(f"{path}/{item_id}", change).status == status
    assert status == 200 or graph.get(f"{path}/{item_id}").body == before


def test_put_replaces_a_settings_catalog_policy(graph: Graph) -> None:
    """What is not sent is gone; what cannot change must be sent as it is; other collections know no PUT."""
    item_id = made(graph, CATALOG, {**LOCK, "description": "Old"})
    two = [*SETTINGS, *SETTINGS]
    assert graph.call("PUT", f"{CATALOG}/{item_id}", {**LOCK, "name": "New", "settings": two}).status == 204
    read = graph.get(f"{CATALOG}/{item_id}", expand="settings").body
    assert (read["name"], read["description"], read["settingCount"], len(read["settings"])) == ("New", "", 2, 2)
    assert graph.call("PUT", f"{CATALOG}/{item_id}", {**LOCK, "platforms": "macOS"}).status == 400
    assert graph.call("PUT", f"{CATALOG}/{item_id}", {"name": "Half"}).status == 400
    assert graph.call("PUT", f"{APPS}/{made(graph, APPS, WEB)}", WEB).status == 405


def test_what_is_microsofts_own_stays(tmp_path: Path) -> None:
    """A built-in role and a global script are neither changed nor deleted."""
    with serve(tmp_path / "t.sqlite3", sample=True) as graph:
        roles = graph.get("deviceManagement/roleDefinitions", filter="isBuiltIn eq true").value
        scripts = graph.get(REMEDIATIONS, filter="isGlobalScript eq true").value
        paths = [f"deviceManagement/roleDefinitions/{roles[0]['id']}", f"{REMEDIATIONS}/{scripts[0]['id']}"]
        statuses = [(graph.patch(path, {"description": "x"}).status, graph.delete(path).status) for path in paths]
        assert statuses == [(400, 400), (400, 400)]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "deviceManagement/nothings", 404),
        ("GET", "identity/conditionalAccess/policies", 404),
        ("GET", f"{APPS}/nothing", 404),
        ("PATCH", f"{APPS}/nothing", 404),
        ("POST", f"{APPS}/nothing/assign", 404),
        ("POST", f"{APPS}/nothing/explode", 404),
        ("DELETE", APPS, 405),
        ("GET", "", 404),
    ],
)
def test_what_is_not_there_is_404(filled: Graph, method: str, path: str, status: int) -> None:
    """Unknown addresses and ids are errors of Graph's form, with what identifies the call."""
    reply = filled.call(
        method, path, {} if method in ("PATCH", "POST") else None, headers={"client-request-id": "mine"}
    )
    assert reply.status == status
    inner = reply.body["error"]["innerError"]
    assert (inner["client-request-id"], inner["request-id"]) == ("mine", reply.headers["request-id"])
    assert inner["date"] == "2026-11-23T10:00:00"


def test_leniently_what_is_not_known_is_an_empty_list(tmp_path: Path) -> None:
    """Only what looks like a collection of Intune's; ids that are not there are still not there."""
    with serve(tmp_path / "t.sqlite3", lenient=True) as graph:
        assert graph.get("deviceManagement/windowsAutopilotDeploymentProfiles/").value == []
        assert graph.get("identity/conditionalAccess/policies").value == []
        missing = ("deviceManagement/applePushNotificationCertificate", f"{APPS}/nothing", "policies/roles")
        assert [graph.get(path).status for path in missing] == [404, 404, 404]


@pytest.mark.parametrize("data", [b"{", b"[1", b'{"a": NaN}', b"\xff", b"[" * 200000])
def test_a_body_that_is_no_json_is_refused(filled: Graph, data: bytes) -> None:
    """400, whatever is wrong with it."""
    headers = {"Authorization": "Bearer local", "Content-Type": "application/json"}
    answer = filled.pool.request("POST", f"{filled.url}/{APPS}", body=data, headers=headers)
    assert answer.status == 400


@pytest.mark.parametrize("body", [None, [], "text", 1])
def test_a_body_that_is_no_object_is_refused(filled: Graph, body: Any) -> None:
    """An object is made of an object."""
    assert filled.post(APPS, body).status == 400


def test_a_key_may_stand_in_brackets(graph: Graph) -> None:
    """Graph takes both forms, and any case of the words."""
    item_id = made(graph, APPS, WEB)
    paths = (f"{APPS}('{item_id}')", f"{APPS}('{item_id}')/assignments", f"DEVICEAPPMANAGEMENT/mobileapps/{item_id}/")
    assert [graph.get(path).status for path in paths] == [200, 200, 200]


# --- assignments -----------------------------------------------------------------------------------------------------


def test_an_app_is_assigned_once_it_is_published(graph: Graph) -> None:
    """Before it has been read it is in processing, and cannot be assigned."""
    item_id = graph.post(APPS, WEB).body["id"]
    refused = graph.post(f"{APPS}/{item_id}/assign", {"mobileAppAssignments": []})
    assert (refused.status, refused.error) == (400, "Invalid operation: app's PublishingState is not 'Published'.")
    states = [graph.get(f"{APPS}/{item_id}").body["publishingState"] for _ in range(2)]
    assert states == ["processing", "published"]
    assert assigned(graph, item_id, to("allUsers")) == 204


def test_publishing_can_take_its_time(tmp_path: Path) -> None:
    """With a delay the clock decides, however often anybody looks."""
    with serve(tmp_path / "t.sqlite3", publishing=timedelta(minutes=1)) as graph:
        item_id = made(graph, APPS, WEB)
        graph.clock.forward(seconds=59)
        assert (graph.get(f"{APPS}/{item_id}").body["publishingState"], assigned(graph, item_id)) == ("processing", 400)
        graph.clock.forward(seconds=1)
        assert (graph.get(f"{APPS}/{item_id}").body["publishingState"], assigned(graph, item_id)) == ("published", 204)


def test_an_app_without_its_file_is_never_published(graph: Graph) -> None:
    """Files cannot be sent here, so it cannot be assigned either."""
    assert assigned(graph, made(graph, APPS, WIN32), to("allUsers")) == 400


def test_assigning_replaces_everything(graph: Graph) -> None:
    """What is not sent any more is gone."""
    item_id, staff = made(graph, APPS, WEB), graph.group("Staff")
    assert assigned(graph, item_id, to(staff), to("allDevices")) == 204
    assert assigned(graph, item_id, to("allUsers")) == 204
    (only,) = graph.get(f"{APPS}/{item_id}/assignments").value
    assert only["target"]["@odata.type"] == f"{TYPE}allLicensedUsersAssignmentTarget"
    assert graph.get(f"{APPS}/{item_id}").body["isAssigned"] is True
    assert (assigned(graph, item_id), graph.get(f"{APPS}/{item_id}/assignments").value) == (204, [])


def test_an_assignment_comes_back_as_graph_has_it(graph: Graph) -> None:
    """With an id, its source, and the filter that it has not."""
    item_id, staff = made(graph, APPS, WINGET), graph.group("Staff")
    settings = {"@odata.type": f"{TYPE}winGetAppAssignmentSettings", "notifications": "hideAll"}
    assigned(graph, item_id, to(staff), settings=settings)
    (only,) = graph.get(f"{APPS}/{item_id}", expand="assignments").body["assignments"]
    assert (only["intent"], only["source"], only["sourceId"], only["settings"]) == (
        "required",
        "direct",
        item_id,
        settings,
    )
    assert only["target"]["deviceAndAppManagementAssignmentFilterId"] is None
    assert only["target"]["deviceAndAppManagementAssignmentFilterType"] == "none"


def test_of_two_assignments_with_one_target_the_second_is_ignored(graph: Graph) -> None:
    """Graph says nothing of it."""
    item_id, staff = made(graph, APPS, WEB), graph.group("Staff")
    items = [{"intent": intent, "target": to(staff)} for intent in ("required", "available")]
    assert graph.post(f"{APPS}/{item_id}/assign", {"mobileAppAssignments": items}).status == 204
    assert [found["intent"] for found in graph.get(f"{APPS}/{item_id}/assignments").value] == ["required"]


def test_one_assignment_is_added(graph: Graph) -> None:
    """Beside those that are there; a second one for a target is refused."""
    item_id, staff = made(graph, APPS, WEB), graph.group("Staff")
    assigned(graph, item_id, to("allDevices"))
    body = {"intent": "available", "target": to(staff)}
    assert [graph.post(f"{APPS}/{item_id}/assignments", body).status for _ in range(2)] == [201, 400]
    assert len(graph.get(f"{APPS}/{item_id}/assignments").value) == 2


def test_a_filter_narrows_an_assignment(graph: Graph) -> None:
    """One that is there; not with an exclusion, which Graph refuses."""
    item_id, staff, wanted = made(graph, APPS, WEB), graph.group("Staff"), graph.filter("Corporate")
    mode = {"deviceAndAppManagementAssignmentFilterType": "include"}
    narrowed = to(staff, deviceAndAppManagementAssignmentFilterId=wanted, **mode)
    excluded = {**narrowed, "@odata.type": f"{TYPE}exclusionGroupAssignmentTarget"}
    unknown = {**narrowed, "deviceAndAppManagementAssignmentFilterId": "nothing"}
    assert [assigned(graph, item_id, target) for target in (excluded, unknown, narrowed)] == [400, 400, 204]
    with graph.store() as store:
        (remote,) = store.objects().values()
    expected = {"group": "Staff", "filter": {"name": "Corporate", "mode": "include"}}
    assert remote.held.assignments[0]["target"] == expected


@pytest.mark.parametrize(
    "item",
    [
        {"intent": "required"},
        {"intent": "required", "target": {"@odata.type": f"{TYPE}nobodyAssignmentTarget"}},
        {"intent": "required", "target": to("nothing")},
        {"intent": "sometimes", "target": to("allUsers")},
        {"target": to("allUsers")},
        "text",
    ],
)
def test_an_assignment_that_cannot_be_is_refused(graph: Graph, item: Any) -> None:
    """400, and what was assigned before stays."""
    item_id = made(graph, APPS, WEB)
    assigned(graph, item_id, to("allDevices"))
    assert graph.post(f"{APPS}/{item_id}/assign", {"mobileAppAssignments": [item]}).status == 400
    assert graph.post(f"{APPS}/{item_id}/assign", {"assignments": []}).status == 400
    assert len(graph.get(f"{APPS}/{item_id}/assignments").value) == 1


def test_a_target_that_no_resource_can_say_is_given_back(graph: Graph) -> None:
    """A collection of Configuration Manager stays as it came."""
    item_id = made(graph, APPS, WEB)
    target = {"@odata.type": f"{TYPE}configurationManagerCollectionAssignmentTarget", "collectionId": "SMS00001"}
    assert assigned(graph, item_id, target) == 204
    (only,) = graph.get(f"{APPS}/{item_id}/assignments").value
    assert {key: only["target"][key] for key in target} == target


@pytest.mark.parametrize(
    ("path", "body", "member", "status"),
    [
        (SCRIPTS, SCRIPT, "deviceManagementScriptAssignments", 204),
        ("deviceManagement/deviceShellScripts", SCRIPT, "deviceManagementScriptAssignments", 204),
        (COMPLIANCE, POLICY, "assignments", 200),
        (CATALOG, LOCK, "assignments", 200),
    ],
)
def test_everything_is_assigned_by_its_own_member(
    graph: Graph, path: str, body: dict[str, Any], member: str, status: int
) -> None:
    """The body of the action names what it has; the status is the one that Graph documents."""
    item_id, staff = made(graph, path, body), graph.group("Staff")
    reply = graph.post(f"{path}/{item_id}/assign", {member: [{"target": to(staff)}]})
    (only,) = graph.get(f"{path}/{item_id}/assignments").value
    assert (reply.status, only["target"]["groupId"]) == (status, staff)


def test_whether_a_remediation_runs_is_never_told(graph: Graph) -> None:
    """Graph answers false, whatever was sent; the schedule is told."""
    item_id = made(graph, REMEDIATIONS, REMEDIATION)
    schedule = {"@odata.type": f"{TYPE}deviceHealthScriptHourlySchedule", "interval": 4}
    item = {"target": to("allDevices"), "runRemediationScript": True, "runSchedule": schedule}
    assert graph.post(f"{REMEDIATIONS}/{item_id}/assign", {"deviceHealthScriptAssignments": [item]}).status == 204
    (only,) = graph.get(f"{REMEDIATIONS}/{item_id}/assignments").value
    assert (only["runRemediationScript"], only["runSchedule"]) == (False, schedule)
    with graph.store() as store:
        (remote,) = store.objects().values()
    assert remote.held.assignments[0]["runRemediationScript"] is True
