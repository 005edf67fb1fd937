"""The provider ``graph``, held to the contract of all providers and to what is Graph's own, on the embedded Graph."""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.errors import RemoteError
from maa_gitops.model import ProfileType, Target
from maa_gitops.providers import (
    Approval,
    DesiredObject,
    NativeApprovalError,
    Occasion,
    Provider,
    Surroundings,
    open_provider,
)
from maa_gitops.providers.graph.client import _number
from maa_gitops.providers.graph.provider import GraphProvider
from tests.provider_contract import Open, ProviderContract
from tests.support.graph import Graph, serve

OWN = tuple(
    ProfileType(name, name.lower())
    for name in ("compliancePolicy", "configurationPolicy", "role", "tenantConfiguration")
)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Whatever is entered here ends with the test."""
    with ExitStack() as found:
        yield found


@pytest.fixture
def serving(stack: ExitStack, tmp_path: Path) -> Callable[..., Graph]:
    """Serve an embedded Graph with options; it has the groups and the filter that the tests name."""

    def start(**options: Any) -> Graph:
        graph = stack.enter_context(serve(tmp_path / "graph.sqlite3", types=OWN, **options))
        graph.group("Staff", "bob", "carol", "dave")
        graph.group("IT", "bob")
        graph.filter("Corporate")
        return graph

    return start


@pytest.fixture
def graph(serving: Callable[..., Graph]) -> Graph:
    """A tenant with two groups and a filter."""
    return serving()


def target_of(graph: Graph, **options: str) -> Target:
    """The target that a tenant is."""
    tenant_id = graph.get("organization").value[0]["id"]
    return Target("intune", "graph", {"url": graph.url, "tenantId": tenant_id, **options}, OWN)


def provider_for(graph: Graph, **options: str) -> GraphProvider:
    """The provider of a tenant, which waits for nothing."""
    provider = open_provider(target_of(graph, **options), Path(), Surroundings({"PATH": "/nowhere"}))
    assert isinstance(provider, GraphProvider)
    provider.client.wait = lambda _seconds: None
    return provider


@pytest.fixture
def provider(graph: Graph) -> Iterator[GraphProvider]:
    """The provider of the tenant."""
    found = provider_for(graph)
    yield found
    found.close()


def desired(provider: Provider, data: dict[str, Any], *assignments: dict[str, Any], kind: str = "app") -> DesiredObject:
    """A state in the form that is sent."""
    return provider.as_sent(DesiredObject(kind, data, assignments))


class TestGraphProvider(ProviderContract):
    """The provider keeps the contract."""

    @pytest.fixture
    def open_again(self, graph: Graph) -> Open:
        """Open the tenant."""
        return lambda: provider_for(graph)


# --- what is read and compared ---------------------------------------------------------------------------------------

WINGET = {
    "type": "winGetApp",
    "displayName": "Company Portal",
    "description": "Where staff find their apps.",
    "publisher": "Microsoft Corporation",
    "packageIdentifier": "9WZDNCRFJ3PZ",
    "installExperience": {"runAsAccount": "system"},
}
STAFF = {"intent": "required", "target": {"group": "Staff"}}
MARK = "maa:contoso:app/company-portal"


def made(provider: Provider, data: dict[str, Any], *assignments: dict[str, Any], kind: str = "app") -> str:
    """Make an object."""
    return provider.create(desired(provider, data, *assignments, kind=kind), MARK)


KINDS: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    (
        "app",
        WINGET,
        [
            {
                "intent": "required",
                "target": {"group": "Staff", "filter": {"name": "Corporate", "mode": "include"}},
                "settings": {
                    "notifications": "showReboot",
                    "installTimeSettings": {"useLocalTime": True, "deadlineDateTime": "2026-12-01T08:00:00Z"},
                },
            },
            {"intent": "available", "target": {"allUsers": True}},
        ],
    ),
    (
        "app",
        {"type": "webApp", "displayName": "W", "publisher": "C", "appUrl": "https://c", "useManagedBrowser": True},
        [],
    ),
    ("app", {"type": "windowsWebApp", "displayName": "W", "publisher": "C", "appUrl": "https://c.example"}, [STAFF]),
    (
        "app",
        {
            "type": "macOSWebClip",
            "displayName": "W",
            "publisher": "C",
            "appUrl": "https://c.example",
            "fullScreenEnabled": True,
            "largeIcon": {"type": "image/png", "value": "iVBORw0KGgo="},
        },
        [],
    ),
    ("app", {"type": "iosiPadOSWebClip", "displayName": "W", "publisher": "C", "appUrl": "https://c.example"}, []),
    (
        "app",
        {
            "type": "androidStoreApp",
            "displayName": "A",
            "publisher": "C",
            "packageId": "com.contoso",
            "appStoreUrl": "https://play.google.com/store/apps/details?id=com.contoso",
            "minimumSupportedOperatingSystem": {"v8_0": True},
        },
        [],
    ),
    (
        "app",
        {
            "type": "iosStoreApp",
            "displayName": "I",
            "publisher": "C",
            "bundleId": "com.contoso",
            "appStoreUrl": "https://apps.apple.com/app/id1",
            "applicableDeviceType": {"iPad": True},
            "minimumSupportedOperatingSystem": {"v15_0": True},
        },
        [{**STAFF, "settings": {"isRemovable": False, "uninstallOnDeviceRemoval": True}}],
    ),
    (
        "app",
        {
            "type": "officeSuiteApp",
            "displayName": "Microsoft 365 Apps",
            "publisher": "Microsoft",
            "productIds": ["visioProRetail", "o365ProPlusRetail"],
            "officePlatformArchitecture": "x64",
            "updateChannel": "monthlyEnterprise",
            "excludedApps": {"access": True},
            "localesToInstall": ["de-de"],
        },
        [],
    ),
    ("app", {"type": "windowsMicrosoftEdgeApp", "displayName": "E", "publisher": "M", "channel": "beta"}, []),
    ("app", {"type": "macOSMicrosoftEdgeApp", "displayName": "E", "publisher": "M", "channel": "stable"}, []),
    ("app", {"type": "macOSOfficeSuiteApp", "displayName": "O", "publisher": "M"}, []),
    ("app", {"type": "macOSMicrosoftDefenderApp", "displayName": "D", "publisher": "M"}, []),
    (
        "script",
        {
            "type": "deviceManagementScript",
            "displayName": "P",
            "runAsAccount": "system",
            "fileName": "p.ps1",
            "scriptContent": 'Write-Output "Grüße"\r\n',
            "runAs32Bit": True,
        },
        [{"target": {"excludeGroup": "IT"}}, {"target": {"allDevices": True}}],
    ),
    (
        "script",
        {
            "type": "deviceShellScript",
            "displayName": "S",
            "runAsAccount": "user",
            "fileName": "s.sh",
            "scriptContent": "#!/bin/sh\n",
            "executionFrequency": "P1D",
            "retryCount": 3,
        },
        [{"target": {"group": "IT"}}],
    ),
    (
        "script",
        {
            "type": "deviceHealthScript",
            "displayName": "H",
            "publisher": "C",
            "runAsAccount": "system",
            "detectionScriptContent": "exit 1\n",
            "remediationScriptContent": "exit 0\n",
        },
        [
            {
                "target": {"group": "Staff"},
                "runRemediationScript": True,
                "runSchedule": {
                    "type": "deviceHealthScriptDailySchedule",
                    "interval": 1,
                    "time": "09:00:00",
                    "useUtc": True,
                },
            }
        ],
    ),
    (
        "compliancePolicy",
        {
            "type": "windows10CompliancePolicy",
            "displayName": "Windows",
            "passwordRequired": True,
            "passwordMinimumLength": 8,
            "scheduledActionsForRule": [
                {
                    "ruleName": "PasswordRequired",
                    "scheduledActionConfigurations": [{"actionType": "block", "gracePeriodHours": 0}],
                }
            ],
        },
        [{"target": {"group": "Staff"}}],
    ),
    (
        "configurationPolicy",
        {
            "name": "Baseline",
            "platforms": "windows10",
            "technologies": "mdm",
            "settings": [
                {
                    "@odata.type": "#microsoft.graph.deviceManagementConfigurationSetting",
                    "settingInstance": {
                        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
                        "settingDefinitionId": "device_vendor_msft_policy_x",
                    },
                }
            ],
        },
        [{"target": {"allDevices": True}}],
    ),
    (
        "role",
        {
            "type": "deviceAndAppManagementRoleDefinition",
            "displayName": "Helpdesk",
            "rolePermissions": [{"resourceActions": [{"allowedResourceActions": ["Microsoft.Intune_Roles_Read"]}]}],
        },
        [],
    ),
    ("tenantConfiguration", {"displayName": "Kiosk"}, []),
]


@pytest.mark.parametrize(("kind", "data", "assignments"), KINDS, ids=[f"{k[0]}-{k[1].get('type')}" for k in KINDS])
def test_every_kind_comes_back_as_it_was_sent(
    provider: GraphProvider, kind: str, data: dict[str, Any], assignments: list[dict[str, Any]]
) -> None:
    """Create, read, edit, read: nothing is lost on the way, nothing differs that nobody changed."""
    state = desired(provider, data, *assignments, kind=kind)
    remote_id = provider.create(state, MARK)
    remote = provider.objects()[remote_id]
    assert (remote.held.data, remote.marker) == (state.data, MARK)
    assert remote.held.digest == state.digest
    edited = desired(provider, {**data, "description": "Edited."}, *assignments[:1], kind=kind)
    provider.update(remote_id, edited, MARK)
    assert provider.objects()[remote_id].held.digest == edited.digest
    provider.update(remote_id, state, MARK)
    assert provider.objects()[remote_id].held.digest == state.digest
    provider.delete(remote_id)
    assert not provider.objects()


def test_what_is_no_longer_said_is_as_if_it_never_was(provider: GraphProvider) -> None:
    """A property that was taken out of the document does not linger in the tenant."""
    full = {**WINGET, "isFeatured": True, "owner": "Alice", "informationUrl": "https://a.example", "notes": "by hand"}
    remote_id = made(provider, full)
    assert provider.objects()[remote_id].held.data["notes"] == "by hand"
    provider.update(remote_id, desired(provider, WINGET), MARK)
    assert provider.objects()[remote_id].held.data == WINGET


def test_another_tenant_is_refused(graph: Graph) -> None:
    """A credential for the wrong tenant reads and writes nothing."""
    provider = provider_for(graph, tenantId="00000000-0000-0000-0000-000000000001")
    with pytest.raises(RemoteError, match=r"but target intune names 00000000-0000-0000-0000-000000000001") as caught:
        provider.objects()
    assert caught.value.code == "wrongTenant"
    provider.close()


@pytest.mark.parametrize(
    ("group", "words"),
    [("Nobody", "no group named 'Nobody'"), ("Twins", "2 groups named 'Twins'"), ("staff", "no group")],
)
def test_a_group_that_is_unknown_or_not_one_fails_the_plan(
    graph: Graph, provider: GraphProvider, group: str, words: str
) -> None:
    """An assignment is never silently left out, nor given to whoever has the name."""
    graph.group("Twins")
    graph.group("Twins")
    with pytest.raises(RemoteError, match=words):
        desired(provider, WINGET, {"intent": "required", "target": {"group": group}})


def test_two_assignments_of_one_target_fail_the_plan(provider: GraphProvider) -> None:
    """Graph would ignore the second without a word."""
    with pytest.raises(RemoteError, match="same target"):
        desired(provider, WINGET, STAFF, {"intent": "available", "target": {"group": "Staff"}})


def test_an_assignment_to_a_second_group_of_the_name_is_drift(graph: Graph, provider: GraphProvider) -> None:
    """Who makes a second "Staff" and assigns that is seen."""
    remote_id = made(provider, WINGET, STAFF)
    before = provider.objects()[remote_id].held
    twin = graph.group("Staff", "mallory")
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": twin}
    body = {"mobileAppAssignments": [{"intent": "required", "target": target}]}
    assert graph.post(f"deviceAppManagement/mobileApps/{remote_id}/assign", body).status < 300
    provider = provider_for(graph)
    held = provider.objects()[remote_id].held
    assert held.digest != before.digest
    assert held.assignments[0]["target"] == {"group": "Staff", "groupId": twin}
    provider.close()


def test_what_cannot_be_kept_is_told(graph: Graph, provider: GraphProvider) -> None:
    """Apps of other kinds are neither touched nor forgotten."""
    app = {"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "Setup", "publisher": "C", "fileName": "a"}
    remote_id = graph.post("deviceAppManagement/mobileApps", app).body["id"]
    assert not provider.objects()
    (left,) = provider.left_out()
    assert (left.remote_id, left.name) == (remote_id, "Setup")
    assert "win32LobApp" in left.why


def test_an_object_of_the_same_name_is_neither_adopted_nor_doubled(graph: Graph, provider: GraphProvider) -> None:
    """The plan says which it is and how to adopt it."""
    state = desired(provider, WINGET)
    other = {
        **{key: value for key, value in WINGET.items() if key != "type"},
        "@odata.type": "#microsoft.graph.winGetApp",
    }
    remote_id = graph.post("deviceAppManagement/mobileApps", other).body["id"]
    provider.objects()
    obstacle = provider.obstacle(None, state)
    assert obstacle is not None
    assert f"adopt: {{intune: {remote_id}}}" in obstacle


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("packageIdentifier", "9NBLGGH4NNS1", "packageIdentifier cannot be changed"),
        ("installExperience", {"runAsAccount": "user"}, "installExperience cannot be changed"),
        ("type", "webApp", "its type cannot be changed from winGetApp to webApp"),
    ],
)
def test_what_cannot_be_changed_is_known_to_the_plan(
    provider: GraphProvider, key: str, value: object, words: str
) -> None:
    """It is said before anything is written."""
    remote_id = made(provider, WINGET)
    remote = provider.objects()[remote_id]
    obstacle = provider.obstacle(remote, desired(provider, {**WINGET, key: value}))
    assert obstacle is not None
    assert words in obstacle


def test_a03_how_many_a_change_reaches(graph: Graph, provider: GraphProvider) -> None:
    """Groups with their members, nested ones included, each once; what is left out is told as such."""
    assignments = [
        STAFF,
        {"intent": "available", "target": {"group": "Staff"}},
        {"intent": "required", "target": {"excludeGroup": "IT"}},
        {"intent": "required", "target": {"allDevices": True}},
        {"intent": "required", "target": {"group": "Nobody"}},
    ]
    found = [(one.name, one.people, one.devices) for one in provider.reach(assignments)]
    assert found == [("Staff", 3, 0), ("not IT", 1, 0), ("all devices", None, None)]


@pytest.mark.parametrize(
    ("body", "number"), [(12, 12), ("12", 12), ("MTI=", 12), ("MA==", 0), (None, None), ("many", None), ({}, None)]
)
def test_a_count_in_a_batch_is_read_in_every_form(body: object, number: int | None) -> None:
    """Graph's batches carry what is no JSON in base64; what is no number is told as unknown."""
    assert _number(body) == number


def test_an_app_is_assigned_once_it_is_published(serving: Callable[..., Graph]) -> None:
    """Graph refuses before; a run that cannot wait so long leaves the rest to the next one."""
    graph = serving(publishing=timedelta(minutes=5))
    provider = provider_for(graph)
    state = desired(provider, WINGET, STAFF)
    with pytest.raises(RemoteError, match="not published yet") as caught:
        provider.create(state, MARK)
    assert caught.value.retry
    graph.clock.forward(minutes=6)
    remote_id = provider.find(MARK)
    assert remote_id is not None
    provider.update(remote_id, state, MARK)
    assert provider.objects()[remote_id].held.digest == state.digest
    provider.close()


def test_thousands_of_objects_are_read_in_batches(serving: Callable[..., Graph]) -> None:
    """Pages are followed to their end, and what a list leaves out is read twenty at a time."""
    graph = serving(page=7, calls=100_000, writes=100_000)
    provider = provider_for(graph)
    app = {"@odata.type": "#microsoft.graph.webApp", "publisher": "C", "appUrl": "https://c.example"}
    for number in range(45):
        graph.post("deviceAppManagement/mobileApps", {**app, "displayName": f"App {number}"})
    seen: list[tuple[int, int]] = []
    told = replace(provider, progress=lambda done, total: seen.append((done, total)))
    assert len(told.objects()) == 45
    assert (90, 90) in seen
    provider.close()


# --- Intune's own approval -------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(graph: Graph) -> Iterator[GraphProvider]:
    """The provider of a tenant that asks for its own approval of apps."""
    graph.protect("app")
    found = provider_for(graph)
    yield found.on(Occasion("maa contoso: create app/company-portal; request r by alice, approved by bob; commit c"))
    found.close()


def requests_of(graph: Graph) -> list[dict[str, Any]]:
    """The tenant's own approval requests."""
    found: list[dict[str, Any]] = graph.get("deviceManagement/operationApprovalRequests").value
    return found


def waits(provider: Provider, state: DesiredObject) -> Approval:
    """Try to make an object, which has to wait; for what."""
    with pytest.raises(NativeApprovalError) as caught:
        provider.create(state, MARK)
    assert caught.value.waits
    return caught.value.approval


def test_n19_n20_a20_a_write_is_filed_and_done_once_it_is_approved(graph: Graph, guarded: GraphProvider) -> None:
    """The same call again with the code; then the assignment, which is a request of its own."""
    state = desired(guarded, WINGET, STAFF)
    first = waits(guarded, state)
    (request,) = requests_of(graph)
    assert (request["id"], request["status"]) == (first.code, "needsApproval")
    assert str(request["requestJustification"]).startswith("maa contoso: create app/company-portal; request r by alice")
    again = guarded.on(Occasion("later", first))
    assert waits(again, state) == first
    assert graph.decide(first.code).status == 200
    second = waits(again, state)
    (remote_id,) = guarded.objects()
    assert (second.call != first.call, len(requests_of(graph))) == (True, 2)
    assert graph.decide(second.code).status == 200
    guarded.on(Occasion("later", second)).update(remote_id, state, MARK)
    assert guarded.objects()[remote_id].held.digest == state.digest
    assert {found["status"] for found in requests_of(graph)} == {"completed"}


def test_n21_a_request_that_a_run_filed_and_lost_is_found_again(graph: Graph, guarded: GraphProvider) -> None:
    """Nothing is filed twice: its justification tells whose call it is."""
    state = desired(guarded, WINGET)
    first = waits(guarded, state)
    assert waits(guarded, state) == first
    assert graph.decide(first.code).status == 200
    guarded.create(state, MARK)
    assert (len(guarded.objects()), len(requests_of(graph))) == (1, 1)


def test_somebody_elses_request_for_the_object_is_waited_for(graph: Graph, guarded: GraphProvider) -> None:
    """It is neither used nor cancelled."""
    app = {"@odata.type": "#microsoft.graph.winGetApp", "publisher": "P", "packageIdentifier": "X"}
    body = {**app, "displayName": WINGET["displayName"], "installExperience": {"runAsAccount": "user"}}
    words = {"x-msft-approval-justification": base64.b64encode(b"by hand").decode()}
    assert graph.post("deviceAppManagement/mobileApps", body, headers=words, identity="carol").status == 412
    with pytest.raises(RemoteError, match="somebody else's request") as caught:
        guarded.create(desired(guarded, WINGET), MARK)
    assert (caught.value.retry, len(requests_of(graph))) == (True, 1)


def test_a_request_for_what_is_no_longer_wanted_is_taken_back(graph: Graph, guarded: GraphProvider) -> None:
    """The object is free for what was approved since."""
    first = waits(guarded, desired(guarded, WINGET))
    second = waits(guarded.on(Occasion("newer", first)), desired(guarded, {**WINGET, "owner": "Bob"}))
    statuses = {found["id"]: found["status"] for found in requests_of(graph)}
    assert statuses == {first.code: "cancelled", second.code: "needsApproval"}


def test_what_was_rejected_there_is_not_asked_again(graph: Graph, guarded: GraphProvider) -> None:
    """It fails with the approver's words; the same call is not filed anew."""
    state = desired(guarded, WINGET)
    first = waits(guarded, state)
    assert graph.decide(first.code, "reject").status == 200
    with pytest.raises(NativeApprovalError, match=r"was rejected: Checked\.") as caught:
        guarded.on(Occasion("later", first)).create(state, MARK)
    assert (caught.value.waits, caught.value.approval, len(requests_of(graph))) == (False, first, 1)


def test_what_ran_out_is_asked_anew(graph: Graph, guarded: GraphProvider) -> None:
    """Three days without a decision, or without the call after it: a new request."""
    state = desired(guarded, WINGET)
    first = waits(guarded, state)
    graph.clock.forward(days=4)
    second = waits(guarded.on(Occasion("later", first)), state)
    assert second.code != first.code


def test_a_delete_waits_too(graph: Graph) -> None:
    """What goes away is asked for like what comes."""
    provider = provider_for(graph)
    remote_id = made(provider, WINGET)
    graph.protect("app")
    with pytest.raises(NativeApprovalError) as caught:
        provider.delete(remote_id)
    graph.decide(caught.value.approval.code)
    provider.on(Occasion("later", caught.value.approval)).delete(remote_id)
    assert not provider.objects()
    provider.close()


def test_reads_and_what_is_not_protected_there_need_nothing(guarded: GraphProvider) -> None:
    """A justification is sent along, and nobody minds."""
    script = {"type": "deviceShellScript", "displayName": "S", "runAsAccount": "user", "fileName": "s.sh"}
    made(guarded, {**script, "scriptContent": "#!/bin/sh\n"}, kind="script")
    assert len(guarded.objects()) == 1


def test_an_excluded_application_asks_for_nothing(serving: Callable[..., Graph]) -> None:
    """It writes at once; where Intune does not know of the exclusion, it says so and files nothing."""
    graph = serving(excluded=("local",))
    graph.protect("app")
    provider = provider_for(graph, nativeApproval="excluded")
    made(provider, WINGET)
    provider.close()


def test_excluded_here_but_not_there(graph: Graph) -> None:
    """The words say what to do about it."""
    graph.protect("app")
    provider = provider_for(graph, nativeApproval="excluded")
    with pytest.raises(RemoteError, match="asks for its own approval") as caught:
        made(provider, WINGET)
    assert "exclusions" in str(caught.value.hint)
    assert requests_of(graph) == []
    provider.close()
