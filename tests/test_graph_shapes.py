"""What Graph has and what a resource has: the translation both ways, and the form in which they are compared."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maa_gitops.model import ProfileType, Target
from maa_gitops.providers.graph.kinds import Collection, collections
from maa_gitops.providers.graph.shapes import (
    Names,
    assignment_of,
    compared,
    compared_assignments,
    graph_assignment,
    graph_properties,
    mark_in,
    properties_of,
    with_mark,
    without_mark,
)

OWN = tuple(
    ProfileType(name, name.lower())
    for name in ("compliancePolicy", "configurationPolicy", "role", "tenantConfiguration")
)
PLACES: dict[str, Collection] = {
    found.path.rpartition("/")[2]: found for found in collections(Target("t", "graph", types=OWN))
}
APPS, POWERSHELL, SHELL, HEALTH = (
    PLACES[name] for name in ("mobileApps", "deviceManagementScripts", "deviceShellScripts", "deviceHealthScripts")
)
NAMES = Names(
    {"g1": "All Staff", "g2": "Pilot", "g3": "Twins", "g4": "Twins"},
    {"f1": "Corporate devices", "f2": "Same", "f3": "Same"},
)
WINGET: dict[str, Any] = {
    "@odata.context": "https://graph.microsoft.com/beta/$metadata#deviceAppManagement/mobileApps/$entity",
    "@odata.type": "#microsoft.graph.winGetApp",
    "id": "0177548a-548a-0177-8a54-77018a547701",
    "displayName": "Company Portal",
    "description": "For this device.",
    "publisher": "Microsoft Corporation",
    "largeIcon": None,
    "createdDateTime": "2026-01-01T00:00:00Z",
    "lastModifiedDateTime": "2026-01-01T00:00:00Z",
    "isFeatured": False,
    "privacyInformationUrl": "",
    "informationUrl": None,
    "owner": "",
    "developer": "",
    "notes": "[maa:contoso:app/company-portal]",
    "uploadState": 11,
    "publishingState": "published",
    "isAssigned": True,
    "roleScopeTagIds": ["0"],
    "dependentAppCount": 0,
    "supersedingAppCount": 0,
    "supersededAppCount": 0,
    "manifestHash": None,
    "packageIdentifier": "9WZDNCRFJ3PZ",
    "installExperience": {"runAsAccount": "system"},
}
RESOURCE: dict[str, Any] = {
    "type": "winGetApp",
    "displayName": "Company Portal",
    "description": "For this device.",
    "publisher": "Microsoft Corporation",
    "packageIdentifier": "9WZDNCRFJ3PZ",
    "installExperience": {"runAsAccount": "system"},
}


def target(kind: str, **more: object) -> dict[str, object]:
    """An assignment's target as Graph answers it."""
    no_filter = {
        "deviceAndAppManagementAssignmentFilterId": None,
        "deviceAndAppManagementAssignmentFilterType": "none",
    }
    return {"@odata.type": f"#microsoft.graph.{kind}", **no_filter, **more}


def seen(data: dict[str, Any], collection: Collection = APPS) -> dict[str, object]:
    """What Graph answers, in the form that is compared."""
    plain = properties_of(data, collection)
    if collection.marker in plain:
        plain[collection.marker] = without_mark(plain[collection.marker])
    return compared(plain, collection)


# --- properties ------------------------------------------------------------------------------------------------------


def test_what_graph_answers_compares_equal_with_what_was_written() -> None:
    """Read-only properties, empty ones, defaults and the mark are no difference."""
    assert seen(WINGET) == compared(RESOURCE, APPS) == RESOURCE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("displayName", "Other"),
        ("publisher", "Mallory"),
        ("isFeatured", True),
        ("roleScopeTagIds", ["0", "1"]),
        ("roleScopeTagIds", ["1"]),
        ("notes", "by hand\n\n[maa:contoso:app/company-portal]"),
        ("largeIcon", {"type": "image/png", "value": "AAAA"}),
        ("installExperience", {"runAsAccount": "user"}),
        ("informationUrl", "https://evil.example"),
        ("@odata.type", "#microsoft.graph.webApp"),
    ],
)
def test_every_property_that_can_be_set_is_a_difference(key: str, value: object) -> None:
    """What somebody changes in the portal is seen."""
    assert seen({**WINGET, key: value}) != RESOURCE


@pytest.mark.parametrize("collection", [found for found in PLACES.values() if found.kinds])
def test_each_writable_property_of_each_kind_is_compared(collection: Collection) -> None:
    """No property that can be set is forgotten."""
    for name, kind in collection.kinds.items():
        for key in kind.writable:
            value = {"odd": True} if key in kind.flags else ["odd"] if key in kind.sets else "odd"
            assert compared({"type": name, key: value}, collection) == {"type": name, key: value}


def test_the_order_of_sets_and_flags_that_are_off_mean_nothing() -> None:
    """Graph answers all flags, and lists in its own order."""
    office = {"type": "officeSuiteApp", "productIds": ["b", "a"], "excludedApps": {"access": True, "word": False}}
    expected = {"type": "officeSuiteApp", "productIds": ["a", "b"], "excludedApps": {"access": True}}
    assert compared(office, APPS) == expected
    assert "excludedApps" not in compared({**office, "excludedApps": {"word": False}}, APPS)


def test_scripts_are_text_here_and_base64_there() -> None:
    """Every character of a script survives, a final newline included."""
    text = "#!/bin/sh\r\necho 'Grüße 🎈'\n"
    data = {"type": "deviceShellScript", "displayName": "S", "scriptContent": text}
    sent = graph_properties(data, SHELL)
    assert base64.b64decode(str(sent["scriptContent"])).decode() == text
    assert (sent["@odata.type"], properties_of(sent, SHELL)) == ("#microsoft.graph.deviceShellScript", data)


@pytest.mark.parametrize(
    "content", ["not base64!", base64.b64encode(b"\xff\xfe").decode(), "QQ", "Gr\u00fc\u00dfe", None, 7]
)
def test_a_content_that_is_no_text_is_never_one(content: object) -> None:
    """It is not mistaken for the text that its base64 would be, survives the way back, and breaks nothing."""
    there = {"@odata.type": "#microsoft.graph.deviceShellScript", "scriptContent": content}
    found = properties_of(there, SHELL)
    assert not isinstance(found["scriptContent"], str)
    assert graph_properties(found, SHELL) == there


def test_types_within_a_kind_that_is_known_mean_nothing() -> None:
    """Some clients send them, and Graph may give them back."""
    experience = {"@odata.type": "#microsoft.graph.winGetAppInstallExperience", "runAsAccount": "system"}
    assert seen({**WINGET, "installExperience": experience}) == RESOURCE


def test_kinds_that_are_not_known_here_are_compared_by_what_they_say() -> None:
    """Ids that Graph gives to what is inside, annotations and what nobody set are no difference; values are."""
    place = PLACES["configurationPolicies"]
    there = {
        "id": "p1",
        "name": "Baseline",
        "description": "",
        "platforms": "windows10",
        "settingCount": 1,
        "isAssigned": True,
        "roleScopeTagIds": ["0"],
        "templateReference": {"templateId": "", "templateFamily": "none", "templateDisplayName": None},
        "settings@odata.count": 1,
        "settings": [{"id": "0", "settingInstance": {"@odata.type": "#x", "settingDefinitionId": "d", "value": 1}}],
    }
    here = {
        "name": "Baseline",
        "platforms": "windows10",
        "settings": [{"settingInstance": {"@odata.type": "#x", "settingDefinitionId": "d", "value": 1}}],
    }
    assert seen(there, place) == compared(here, place) == here
    settings: Any = there["settings"]
    settings[0]["settingInstance"]["value"] = 2
    assert seen(there, place) != here


# --- the mark --------------------------------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_a_mark_is_put_in_and_found_whatever_the_text(text: str) -> None:
    """The text is the same with and without, but for blanks before a mark."""
    marked = with_mark(text, "maa:contoso:app/a")
    assert mark_in(marked) == "maa:contoso:app/a"
    assert without_mark(marked) == without_mark(text)
    assert with_mark(marked, "maa:contoso:app/b") == with_mark(text, "maa:contoso:app/b")


@pytest.mark.parametrize("text", ["", None, 7, "see [maa:contoso:app/a] there", "x[maa:contoso:app/a]", "[maa:a b]"])
def test_what_only_looks_like_a_mark_is_none(text: object) -> None:
    """A mark is the last line, by itself."""
    assert mark_in(text) is None


# --- assignments -----------------------------------------------------------------------------------------------------

ASSIGNMENTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"intent": "required", "target": target("groupAssignmentTarget", groupId="g1"), "settings": None},
        {"intent": "required", "target": {"group": "All Staff"}},
    ),
    (
        {"intent": "uninstall", "target": target("exclusionGroupAssignmentTarget", groupId="g2"), "id": "a_0_0"},
        {"intent": "uninstall", "target": {"excludeGroup": "Pilot"}},
    ),
    ({"target": target("allDevicesAssignmentTarget")}, {"target": {"allDevices": True}}),
    ({"target": target("allLicensedUsersAssignmentTarget")}, {"target": {"allUsers": True}}),
    (
        {
            "target": target(
                "groupAssignmentTarget",
                groupId="g1",
                deviceAndAppManagementAssignmentFilterId="f1",
                deviceAndAppManagementAssignmentFilterType="include",
            )
        },
        {"target": {"group": "All Staff", "filter": {"name": "Corporate devices", "mode": "include"}}},
    ),
    (
        {
            "intent": "required",
            "target": target("groupAssignmentTarget", groupId="g1"),
            "settings": {
                "@odata.type": "#microsoft.graph.winGetAppAssignmentSettings",
                "notifications": "showAll",
                "restartSettings": None,
                "installTimeSettings": {"useLocalTime": True, "deadlineDateTime": "2026-12-01T08:00:00.0000000Z"},
            },
        },
        {
            "intent": "required",
            "target": {"group": "All Staff"},
            "settings": {
                "notifications": "showAll",
                "installTimeSettings": {"useLocalTime": True, "deadlineDateTime": "2026-12-01T08:00:00Z"},
            },
        },
    ),
]


@pytest.mark.parametrize(("there", "here"), ASSIGNMENTS)
def test_an_assignment_names_groups_and_filters(there: dict[str, Any], here: dict[str, Any]) -> None:
    """What Graph answers is what a resource says; what is sent is what Graph documents."""
    assert compared_assignments([assignment_of(there, NAMES)]) == (here,)
    sent = graph_assignment(here, APPS, "winGetApp", NAMES)
    assert sent["@odata.type"] == "#microsoft.graph.mobileAppAssignment"
    assert compared_assignments([assignment_of(sent, NAMES)]) == (here,)
    wanted = {key: value for key, value in there["target"].items() if value not in (None, "none")}
    assert sent["target"] == wanted
    if there.get("settings"):
        assert sent["settings"]["@odata.type"] == there["settings"]["@odata.type"]  # type: ignore[index]


def test_a_schedule_has_its_type() -> None:
    """Remediations run by one of three kinds of schedule; times come with fractions of seconds."""
    there = {
        "target": target("groupAssignmentTarget", groupId="g1"),
        "runRemediationScript": False,
        "runSchedule": {
            "@odata.type": "#microsoft.graph.deviceHealthScriptDailySchedule",
            "interval": 1,
            "time": "09:00:00.0000000",
            "useUtc": True,
        },
    }
    schedule = {"type": "deviceHealthScriptDailySchedule", "interval": 1, "time": "09:00:00", "useUtc": True}
    here = {"target": {"group": "All Staff"}, "runRemediationScript": True, "runSchedule": schedule}
    assert compared_assignments([assignment_of(there, NAMES)]) == compared_assignments([here])
    sent: Any = graph_assignment(here, HEALTH, "deviceHealthScript", NAMES)
    assert sent["runSchedule"]["@odata.type"] == "#microsoft.graph.deviceHealthScriptDailySchedule"
    assert (sent["runRemediationScript"], "type" in sent["runSchedule"]) == (True, False)


def test_a_name_that_several_have_never_hides_which_it_is() -> None:
    """Somebody who makes a second group of a name and assigns that is seen; so is a group that is gone."""
    twin = assignment_of({"target": target("groupAssignmentTarget", groupId="g3")}, NAMES)
    gone = assignment_of({"target": target("groupAssignmentTarget", groupId="g9")}, NAMES)
    assert (twin, gone) == ({"target": {"group": "Twins", "groupId": "g3"}}, {"target": {"groupId": "g9"}})


@pytest.mark.parametrize(
    ("here", "words"),
    [
        ({"group": "Nobody"}, "the target has no group named 'Nobody'"),
        ({"group": "all staff"}, "the target has no group named 'all staff'"),
        ({"group": "Twins"}, "the target has 2 groups named 'Twins': g3, g4"),
        ({"excludeGroup": "Twins"}, "the target has 2 groups named 'Twins': g3, g4"),
        ({"allDevices": True, "filter": {"name": "x", "mode": "include"}}, "no assignment filter named 'x'"),
        ({"allDevices": True, "filter": {"name": "Same", "mode": "include"}}, "2 assignment filters named 'Same'"),
        ({}, "an assignment names no group"),
    ],
)
def test_a_name_that_tells_nobody_fails(here: dict[str, object], words: str) -> None:
    """An assignment is never silently left out."""
    with pytest.raises(LookupError, match=words):
        graph_assignment({"target": here}, APPS, "webApp", NAMES)


def test_what_a_resource_cannot_say_stays_as_graph_has_it() -> None:
    """It is shown, and it is a difference."""
    collection = {"@odata.type": "#microsoft.graph.configurationManagerCollectionAssignmentTarget", "collectionId": "c"}
    assert assignment_of({"target": collection}, NAMES) == {"target": collection}
    assert graph_assignment({"target": collection}, POWERSHELL, None, NAMES)["target"] == collection
