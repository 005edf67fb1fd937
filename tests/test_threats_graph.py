"""Threats to a tenant in Intune: an administrator beside the gate, one inside it, a hostile Graph, a tired operator."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.apply import Report, apply, drift, outcome_reader, readable
from maa_gitops.errors import RemoteError
from maa_gitops.http import Answer
from maa_gitops.model import ObjectId, Outcome, ProfileType, Target
from maa_gitops.providers import DesiredObject, NativeApprovalError, Occasion, Reach, Surroundings
from maa_gitops.providers.graph.client import GraphClient
from maa_gitops.providers.graph.credentials import credential
from maa_gitops.providers.graph.kinds import collections
from maa_gitops.providers.graph.provider import GraphProvider
from maa_gitops.providers.graph.sending import sent_assignments
from maa_gitops.providers.graph.shapes import Names, compared, compared_assignments, properties_of, without_mark
from maa_gitops.providers.store import GraphSide
from maa_gitops.tenant import validate
from tests.applying import Wrapped, git, make_keys, operations
from tests.graph_applying import NAME, OWN, GraphWorld, Held, Line, make_graph_world, no_wait, tenant_of
from tests.support.graph import Graph, serve

APPS, SCRIPTS = "deviceAppManagement/mobileApps", "deviceManagement/deviceShellScripts"
CONFIGURATIONS = "deviceManagement/deviceConfigurations"
PORTAL, PAYROLL, OTHER = (f"resources/apps/{name}.yaml" for name in ("portal", "payroll", "other"))
TYPES = (*OWN, ProfileType("configurationPolicy", "configuration-policies"))
PLACES = {found.path: found for found in collections(Target("t", "graph", types=TYPES))}
STAFF = {"intent": "required", "target": {"group": "Staff"}}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody's keys."""
    return make_keys(tmp_path_factory.mktemp("threats") / "keys")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """One tenant for all tests, which begin it anew."""
    path = tmp_path_factory.mktemp("threats") / "graph.sqlite3"
    with serve(path, types=TYPES, page=50, calls=10**6, writes=10**6) as graph:
        yield graph


@pytest.fixture
def graph(served: Graph) -> Graph:
    """A tenant with two groups, without objects."""
    with served.store() as store:
        for remote_id in store.objects():
            store.remove(remote_id)
        for kind in ("group", "operationApprovalPolicy", "operationApprovalRequest"):
            for key in store.entries(kind):
                store.remove_entry(kind, key)
    served.group("Staff", "bob")
    served.group("Everybody", "bob", "carol", "dave")
    return served


@pytest.fixture
def world(tmp_path: Path, keys: Path, graph: Graph) -> GraphWorld:
    """A tenant repository without resources."""
    return make_graph_world(tmp_path / "world", keys, graph)


# --- what the tests do -----------------------------------------------------------------------------------------------


def app(name: str = "Portal", *assignments: Mapping[str, Any], adopt: str | None = None, **more: Any) -> str:
    """A web app's document."""
    data = {"type": "webApp", "displayName": name, "publisher": "Contoso", "appUrl": "https://contoso.example", **more}
    data |= {"assignments": list(assignments)} if assignments else {}
    data |= {"adopt": {NAME: adopt}} if adopt is not None else {}
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in data.items())


def by_hand(graph: Graph, name: str = "Portal", path: str = APPS, kind: str = "webApp", **more: Any) -> str:
    """Make an object in the portal; gives its id."""
    data = {"displayName": name, "publisher": "Contoso", "appUrl": "https://contoso.example"} if path == APPS else {}
    body = {"@odata.type": f"#microsoft.graph.{kind}", "displayName": name, **data, **more}
    made = graph.post(path, body)
    assert made.status == 201, made.error
    return str(graph.get(f"{path}/{made.body['id']}").body["id"])


def patch(graph: Graph, remote_id: str, **more: Any) -> None:
    """Change an app in the portal."""
    body = {"@odata.type": "#microsoft.graph.webApp", **more}
    assert graph.patch(f"{APPS}/{remote_id}", body).status < 300


def assign(graph: Graph, remote_id: str, group: str = "Everybody") -> None:
    """Assign an app in the portal."""
    (found,) = (one["id"] for one in graph.get("groups").value if one["displayName"] == group)
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": found}
    body = {"mobileAppAssignments": [{"intent": "required", "target": target}]}
    assert graph.post(f"{APPS}/{remote_id}/assign", body).status < 300


def drifts(world: GraphWorld) -> Report:
    """Look for drift."""
    provider = world.provider()
    try:
        return drift(world.context(60), world.target(), provider)
    finally:
        provider.close()


def told(report: Report) -> dict[str, str]:
    """What a report says of each object."""
    return {found.object: f"{found.operation} {found.outcome}: {found.message}" for found in report.objects}


def ids(graph: Graph) -> dict[str, str | None]:
    """What the tenant holds: ids, with their marks."""
    return {found.id: found.marker for found in tenant_of(graph)}


def one(graph: Graph, remote_id: str) -> Held:
    """An object of the tenant."""
    (found,) = (held for held in tenant_of(graph) if held.id == remote_id)
    return found


# --- an administrator of Intune beside the gate: marks ---------------------------------------------------------------


def test_a_copied_mark_hides_nothing(world: GraphWorld, graph: Graph) -> None:
    """An object of which two bear the mark fails; whatever is done to it in the meantime, drift goes on telling."""
    world.commit({PORTAL: app()})
    world.apply()
    (ours,) = ids(graph)
    decoy = by_hand(graph, "Decoy", notes="[maa:contoso:app/portal]")
    assert operations(world.apply(1)) == {"app/portal": "none failed"}
    patch(graph, ours, appUrl="https://evil.example")
    assign(graph, ours)
    assert f"{', '.join(sorted([ours, decoy]))}; delete the wrong ones" in told(drifts(world))["app/portal"]
    assert set(ids(graph)) == {ours, decoy}


def test_what_waits_or_fails_is_watched_all_the_same(world: GraphWorld, graph: Graph) -> None:
    """Drift knows in what state a failed run may have left an object; any other is told."""
    world.commit({PORTAL: app()})
    world.apply()
    (ours,) = ids(graph)
    graph.protect("app")
    world.commit({PORTAL: app("New name", STAFF)})
    assert operations(world.apply(1)) == {"app/portal": "edit awaitingNativeApproval"}
    assert told(drifts(world)) == {}
    with graph.store() as store:
        (policy,) = store.entries("operationApprovalPolicy")
        store.remove_entry("operationApprovalPolicy", policy)
    patch(graph, ours, displayName="New name")
    assert told(drifts(world)) == {}, "the run may have come as far as that"
    assign(graph, ours)
    assert told(drifts(world)) == {"app/portal": "assign changed: None"}
    patch(graph, ours, displayName="Portal", appUrl="https://evil.example")
    assert told(drifts(world)) == {"app/portal": "edit changed: None"}


@pytest.mark.parametrize("mark", ["maa:fabrikam:app/portal", "maa:contoso:app/other"])
def test_a_mark_that_was_overwritten_makes_no_second_object(world: GraphWorld, graph: Graph, mark: str) -> None:
    """Neither another tenant's mark nor another resource's lets an object be made twice, or be forgotten."""
    world.commit({PORTAL: app(), OTHER: app("Other")})
    world.apply()
    ours = next(key for key, bears in ids(graph).items() if bears == "maa:contoso:app/portal")
    patch(graph, ours, notes=f"[{mark}]", appUrl="https://evil.example")
    assert f"which bears the mark {mark} now" in told(drifts(world))["app/portal"]
    world.apply(1)
    assert len(ids(graph)) == 2
    world.commit({PORTAL: None})
    report = world.apply(2)
    assert operations(report)["app/portal"] == "none failed", "nobody is told that it went away"


def test_a_mark_that_no_resource_has_is_overwritten(world: GraphWorld, graph: Graph) -> None:
    """The object map tells whose the object is; the next run puts it right."""
    world.commit({PORTAL: app()})
    world.apply()
    (ours,) = ids(graph)
    patch(graph, ours, notes="[maa:contoso:app/nobody]", appUrl="https://evil.example")
    assert told(drifts(world)) == {"app/portal": "edit changed: None"}
    world.apply(1)
    assert ids(graph) == {ours: "maa:contoso:app/portal"}


def test_a_victim_that_bears_the_mark_is_left_alone(world: GraphWorld, graph: Graph) -> None:
    """Who gives the mark to somebody's object, and another one to ours, has neither changed nor deleted."""
    world.commit({PORTAL: app()})
    world.apply()
    (ours,) = ids(graph)
    victim = by_hand(graph, "Victim", notes="[maa:contoso:app/portal]")
    patch(graph, ours, notes="[maa:x:y]")
    before = tenant_of(graph)
    assert operations(world.apply(1)) == {"app/portal": "none failed"}
    world.commit({PORTAL: None})
    world.apply(2)
    assert (tenant_of(graph), {ours, victim}) == (before, set(ids(graph)))


def test_a_mark_on_an_object_of_another_type_means_nothing(world: GraphWorld, graph: Graph) -> None:
    """It is not deleted with the app whose mark it bears, and drift tells of it."""
    world.commit({PORTAL: app()})
    world.apply()
    (ours,) = ids(graph)
    kind = "windows10GeneralConfiguration"
    victim = by_hand(graph, "Victim", CONFIGURATIONS, kind, description="[maa:contoso:app/portal]")
    found = told(drifts(world))
    assert list(found) == [f"deviceConfiguration/{victim}"]
    assert "bears the mark maa:contoso:app/portal" in found[f"deviceConfiguration/{victim}"]
    world.commit({PORTAL: None})
    assert operations(world.apply(1)) == {"app/portal": "delete applied"}
    assert set(ids(graph)) == {victim} != {ours}


def test_a_mark_of_a_resource_that_is_long_gone_deletes_nothing(world: GraphWorld, graph: Graph) -> None:
    """Only what a run that died may have made is cleared away; a mark that anybody can write proves nothing."""
    world.commit({PORTAL: app(), OTHER: app("Other")})
    world.apply()
    world.commit({OTHER: None})
    world.apply(1)
    victim = by_hand(graph, "Victim", notes="[maa:contoso:app/other]")
    world.commit({PAYROLL: app("Payroll")})
    assert operations(world.apply(2)) == {"app/payroll": "create applied"}
    assert operations(world.apply(3, rebuild=True)) == {"app/payroll": "none applied", "app/portal": "none applied"}
    assert victim in ids(graph)
    assert told(drifts(world)) == {
        "app/other": "create foreign: it bears this tenant's mark, but no receipt tells of it"
    }


def test_a_mark_on_what_cannot_be_kept_keeps_nobody_from_applying(world: GraphWorld, graph: Graph) -> None:
    """An object of a kind that resources cannot be is never taken for one that a run has half made."""
    by_hand(graph, "Setup", kind="win32LobApp", notes="[maa:contoso:app/portal]", fileName="a")
    world.commit({PORTAL: app()})
    assert operations(world.apply()) == {"app/portal": "create applied"}


# --- an administrator of Intune beside the gate: what drift tells ----------------------------------------------------


def seen(path: str, **there: Any) -> dict[str, object]:
    """What Graph answers, in the form that is compared."""
    collection = PLACES[path]
    plain = properties_of(there, collection)
    if collection.marker in plain:
        plain[collection.marker] = without_mark(plain[collection.marker])
    return compared(plain, collection)


@pytest.mark.parametrize("key", ["detectionScriptParameters", "remediationScriptParameters"])
def test_parameters_of_a_remediation_are_compared(key: str) -> None:
    """They are what a script that was approved is run with."""
    path, kind = "deviceManagement/deviceHealthScripts", "#microsoft.graph.deviceHealthScript"
    parameter = {"@odata.type": "#microsoft.graph.deviceHealthScriptStringParameter", "name": "a", "defaultValue": "b"}
    assert seen(path, **{"@odata.type": kind, key: [parameter]}) != seen(path, **{"@odata.type": kind, key: []})


def test_a_text_that_ends_like_a_moment_is_compared_whole() -> None:
    """Only moments are spelled with or without fractions, not scripts."""
    sample = {"@odata.type": "#microsoft.graph.deviceShellScript"}
    texts = ["#!/bin/sh\nat 10:00:00", "#!/bin/sh\nat 10:00:00.000"]
    coded = [base64.b64encode(text.encode()).decode() for text in texts]
    first, second = (seen(SCRIPTS, **sample, scriptContent=text) for text in coded)
    assert first != second
    moments = ["2026-12-01T08:00:00Z", "2026-12-01T08:00:00.0000000Z"]
    first, second = (seen(CONFIGURATIONS, startTime=moment) for moment in moments)
    assert first == second


@pytest.mark.parametrize("key", ["firewallCertificateRevocationListCheckMethod", "firewallPreSharedKeyEncodingMethod"])
def test_none_is_compared_where_it_is_not_the_default(key: str) -> None:
    """No longer to ask whether a certificate was revoked is not as if nobody had said anything."""
    assert seen(CONFIGURATIONS, **{key: "none"}) != seen(CONFIGURATIONS, **{key: "deviceDefault"})
    assert seen(CONFIGURATIONS, proxySettings="none") == seen(CONFIGURATIONS)


def test_to_apply_a_configuration_is_what_an_assignment_does() -> None:
    """Graph says so of each; to take it away is said."""
    target = {"target": {"group": "Staff"}}
    assert compared_assignments([{**target, "intent": "apply"}]) == compared_assignments([target])
    assert compared_assignments([{**target, "intent": "remove"}]) != compared_assignments([target])


def test_what_says_that_it_is_built_in_is_told_all_the_same(world: GraphWorld, graph: Graph) -> None:
    """Only where Microsoft has objects of its own can one be Microsoft's."""
    world.commit({PORTAL: app()})
    world.apply()
    evil = by_hand(graph, "Evil", CONFIGURATIONS, "windows10GeneralConfiguration")
    with graph.store() as store:
        side = store.graph_sides()[evil]
        reported = {**side.reported, "isBuiltIn": True, "isGlobalScript": True}
        store.put_graph_side(GraphSide(evil, side.path, side.basis, side.properties, side.assignments, reported))
    assert list(told(drifts(world))) == [f"deviceConfiguration/{evil}"]


def test_more_groups_of_one_name_than_fit_on_a_page_stop_nobody(world: GraphWorld, graph: Graph) -> None:
    """Anybody may make groups; only what is assigned to one of them fails."""
    world.commit({PORTAL: app("Portal", STAFF), OTHER: app("Other")})
    world.apply()
    with graph.store() as store:
        for number in range(60):
            store.put_entry("group", f"00000000-0000-4000-b000-{number:012}", {"displayName": "Staff", "members": []})
    world.commit({PORTAL: app("New", STAFF), OTHER: app("Newer")})
    assert operations(world.apply(1)) == {"app/other": "edit applied", "app/portal": "none failed"}


def test_an_assignment_to_what_can_be_no_group_stops_nobody(world: GraphWorld, graph: Graph) -> None:
    """Graph refuses to be asked for such an id; it is shown as it is."""
    world.commit({PORTAL: app()})
    world.apply()
    (ours,) = ids(graph)
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": "no id"}
    with graph.store() as store:
        side = store.graph_sides()[ours]
        assigned = [{"intent": "required", "target": target}]
        store.put_graph_side(GraphSide(ours, side.path, side.basis, side.properties, assigned, side.reported))
    report = drifts(world)
    assert told(report) == {"app/portal": "assign changed: None"}
    assert "no id" in report.objects[0].text


# --- Intune's own approval -------------------------------------------------------------------------------------------


def native(graph: Graph, name: str = "Portal") -> tuple[GraphProvider, DesiredObject]:
    """A provider for a tenant that asks for its own approval of apps, and an app to be made."""
    graph.protect("app")
    provider = opened(graph)
    data = {"type": "webApp", "displayName": name, "publisher": "Contoso", "appUrl": "https://contoso.example"}
    occasion = Occasion("maa contoso: create app/portal; request r by alice, approved by bob; commit c")
    return provider.on(occasion), provider.as_sent(DesiredObject("app", data))


def test_a_request_with_our_words_by_somebody_else_is_not_ours(graph: Graph) -> None:
    """Who copies the justification gets nobody to approve theirs in its place: it is told to be another's."""
    provider, state = native(graph)
    with pytest.raises(NativeApprovalError):
        provider.create(state, "maa:contoso:app/portal")
    (request,) = graph.get("deviceManagement/operationApprovalRequests").value
    assert graph.post("deviceManagement/operationApprovalRequests/cancelMyRequest", {"id": request["id"]}).status == 204
    words = base64.b64encode(request["requestJustification"].encode()).decode()
    body = {"@odata.type": "#microsoft.graph.webApp", "displayName": "Portal", "appUrl": "https://evil.example"}
    headers = {"x-msft-approval-justification": words}
    evil = graph.post(APPS, body, headers=headers, identity="carol").headers["x-msft-approval-code"]
    for _ in ("it waits", "it is approved"):
        with pytest.raises(RemoteError, match="somebody else's request") as refused:
            provider.create(state, "maa:contoso:app/portal")
        assert (refused.value.code, evil in str(refused.value)) == ("nativeApprovalTaken", False)
        graph.decide(evil)
    provider.close()


# --- an administrator of the repository ------------------------------------------------------------------------------


def test_a_resource_never_takes_over_the_object_of_another(world: GraphWorld, graph: Graph) -> None:
    """What one resource adopted, and nobody changed since, is not there to be adopted by a second one."""
    remote_id = by_hand(graph, "Payroll")
    world.commit({PAYROLL: app("Payroll", adopt=remote_id)})
    world.apply()
    world.commit({OTHER: app("Evil", STAFF, adopt=remote_id)})
    report = world.apply(1)
    assert told(report) == {"app/other": f"none failed: it adopts {remote_id}, which is that of app/payroll"}
    assert one(graph, remote_id).properties["displayName"] == "Payroll"
    world.commit({PAYROLL: app("Salaries", adopt=remote_id)})
    assert operations(world.apply(2))["app/payroll"] == "edit applied"


def test_an_object_of_another_type_is_not_adopted(world: GraphWorld, graph: Graph) -> None:
    """An app takes over no script, not even one that is about to go."""
    body = {"scriptContent": "IyEvYmluL3NoCg==", "fileName": "a.sh", "runAsAccount": "system"}
    remote_id = by_hand(graph, "S", SCRIPTS, "deviceShellScript", **body)
    world.commit({PORTAL: app(adopt=remote_id)})
    found = told(world.apply())["app/portal"]
    assert found == f"none failed: it adopts {remote_id}, which is of profile type script"


def test_an_approved_delete_is_not_done_while_nobody_can_reach_the_object(world: GraphWorld, graph: Graph) -> None:
    """Who drops a profile type before its resources are gone from the target leaves nothing that is told to be gone."""
    kiosk, name = "resources/device-configurations/kiosk.yaml", "deviceConfiguration/kiosk"
    world.commit({kiosk: "type: windows10GeneralConfiguration\ndisplayName: Kiosk\nbluetoothBlocked: true\n"})
    world.apply()
    gone = world.commit({kiosk: None})
    now, narrow = world.context(1), replace(world.target(), types=())
    provider = GraphProvider.open(narrow, Surroundings(), opened(graph).client)
    assert operations(apply(now, world.deployer(), narrow, provider)) == {name: "none failed"}
    assert told(drift(world.context(2), narrow, provider)) == {
        name: "none changed: the target has no place for its profile type any more"
    }
    later = world.context(2)
    settings = replace(later.tenant.settings, targets=(narrow,))
    good = replace(later.history.good, tenant=replace(later.tenant, settings=settings))
    later = replace(later, history=replace(later.history, good=good))
    outcomes = outcome_reader(later)(gone, (ObjectId("deviceConfiguration", "kiosk"),))
    assert [found.outcome for found in outcomes] == [Outcome.FAILED]
    assert (operations(world.apply(3)), ids(graph)) == ({name: "delete applied"}, {})


def test_two_places_that_show_one_object_are_refused(graph: Graph) -> None:
    """Whatever the paths are called, an object is of one profile type, and protected as that."""
    by_hand(graph, "Kiosk", CONFIGURATIONS, "windows10GeneralConfiguration")
    provider = opened(graph)
    (place,) = (found for found in provider.collections if found.path == CONFIGURATIONS)
    again = replace(provider, collections=(*provider.collections, replace(place, profile_type="harmless")))
    with pytest.raises(RemoteError, match="both have the object") as caught:
        again.objects()
    assert caught.value.code == "sharedPlace"
    provider.close()


def problems(world: GraphWorld, settings: str) -> set[tuple[str, str]]:
    """What is wrong with these settings."""
    world.commit({"maa.yaml": f"version: 1\ntenant: contoso\nprotectedBranch: main\n{settings}"})
    tree = git(world.folder, "rev-parse", "main^{tree}")
    found = validate(world.repository(), tree)
    return {(one.code, one.level.value) for one in found if one.path == "maa.yaml"}


@pytest.mark.parametrize(
    "path",
    [
        "deviceAppManagement/mobileApps/0177548a-548a-0177-8a54-77018a547701/assignments",
        "deviceManagement/DeviceShellScripts/1/assignments",
        "deviceManagement/deviceConfigurations/1/assignments",
    ],
)
def test_a_place_below_that_of_another_type_is_refused(world: GraphWorld, path: str) -> None:
    """An app is assigned by what protects apps, not as an object of a type that nobody protects."""
    known = "  known: {folder: known, graph: {path: deviceManagement/deviceConfigurations}}\n"
    own = f"  harmless: {{folder: harmless, graph: {{path: {path}}}}}\n"
    assert problems(world, f"profileTypes:\n{known}{own}") == {("sharedPlace", "error")}


def test_two_targets_that_are_one_tenant_are_told(world: GraphWorld) -> None:
    """Each would change what the other made."""
    tenant_id = "7a3e9c52-1d84-4f06-b6a9-0c5d2e7f4813"
    targets = "".join(
        f"  {name}: {{provider: graph, tenantId: {found}}}\n"
        for name, found in (("a", tenant_id), ("b", tenant_id.upper()), ("c", tenant_id.replace("7", "8")))
    )
    assert problems(world, f"targets:\n{targets}") == {("sharedTenant", "warning")}


TARGETS: list[tuple[dict[str, object], str]] = [
    ({"allDevices": False, "group": "Staff"}, "names just one"),
    ({"allDevices": False}, "names just one"),
    ({"group": "Staff", "allUsers": True}, "names just one"),
    ({"group": "Staff", "filters": {"name": "Corporate", "mode": "include"}}, "names just one"),
    ({"allDevices": True, "filter": "Corporate"}, "needs a name"),
    ({"allDevices": True, "filter": {"name": "Corporate"}}, "needs a name"),
    ({"allDevices": True, "filter": {"name": "Corporate", "mode": "none"}}, "needs a name"),
    ({"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}, "hides whom it reaches"),
    ({"@odata.type": "microsoft.graph.groupAssignmentTarget", "groupId": "g1"}, "hides whom it reaches"),
]


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_an_assignment_reaches_nobody_that_it_does_not_name(target: dict[str, object], words: str) -> None:
    """Without a schema of the tenant's own, too: what looks narrow is not sent as everybody."""
    state = DesiredObject("deviceConfiguration", {}, ({"target": target},))
    with pytest.raises(RemoteError, match=words):
        sent_assignments(
            state.data.get("type"),
            state.assignments,
            PLACES[CONFIGURATIONS],
            Names({"g1": "Staff"}, {"f1": "Corporate"}),
        )


def test_a_group_is_not_assigned_and_left_out_at_once() -> None:
    """Graph would keep one of the two."""
    state = DesiredObject(
        "app", {"type": "webApp"}, (STAFF, {"intent": "required", "target": {"excludeGroup": "Staff"}})
    )
    with pytest.raises(RemoteError, match="same target"):
        sent_assignments(state.data.get("type"), state.assignments, PLACES[APPS], Names({"g1": "Staff"}))


def test_a_mark_in_a_document_is_nobodys(world: GraphWorld, graph: Graph) -> None:
    """It is replaced by the resource's own, and is no difference for ever after."""
    world.commit({PORTAL: app(notes="Hello\n\n[maa:contoso:app/other]")})
    world.apply()
    assert list(ids(graph).values()) == ["maa:contoso:app/portal"]
    assert (world.apply(1).objects, told(drifts(world))) == ((), {})


def test_a_long_name_is_marked_like_any_other(world: GraphWorld, graph: Graph) -> None:
    """However deep the folders, an object is known again."""
    name = "/".join(["a" * 60] * 12)
    world.commit({f"resources/apps/{name}.yaml": app()})
    world.apply()
    assert list(ids(graph).values()) == [f"maa:contoso:app/{name}"]
    assert (world.apply(1).objects, told(drifts(world))) == ((), {})


def test_a_key_cannot_look_like_lines_of_a_plan() -> None:
    """What has other letters than names have is written in quotes."""
    state = DesiredObject("own", {"a: 1\n+b": {"c\u2028-d": 2}})
    assert readable(state) == '"a: 1\\n+b":\n  "c\\u2028-d": 2'


# --- a hostile or broken Graph ---------------------------------------------------------------------------------------


def opened(graph: Graph, heard: Callable[[str, str, Answer | None], Answer | None] | None = None) -> GraphProvider:
    """The provider of a tenant, whose answers can be others."""
    tenant_id = graph.get("organization").value[0]["id"]
    target = Target(NAME, "graph", {"url": graph.url, "tenantId": tenant_id}, TYPES)
    connection = Line(heard or (lambda _method, _url, answer: answer))
    client = GraphClient(graph.url, credential(target.options, {}, connection), connection, no_wait)
    return GraphProvider.open(target, Surroundings(), client)


Change = Callable[[Any], Any]


def changing(
    what: str, change: Change, method: str | None = None
) -> Callable[[str, str, Answer | None], Answer | None]:
    """Change the answers to what has this in its address."""

    def heard(asked: str, url: str, answer: Answer | None) -> Answer | None:
        if answer is None or what not in url or method not in (None, asked) or not answer.data:
            return answer
        changed = change(json.loads(answer.data))
        return replace(answer, data=json.dumps(changed).encode())

    return heard


def bodies(change: Change) -> Change:
    """Change each body in a batch."""

    def changed(batch: Any) -> Any:
        return {"responses": [{**one, "body": change(one["body"])} for one in batch["responses"]]}

    return changed


def statuses(value: object) -> Change:
    """Give every answer in a batch another status."""
    return lambda batch: {"responses": [{**one, "status": value} for one in batch["responses"]]}


def deep(levels: int) -> object:
    """Something within something, and so on."""
    found: object = 1
    for _ in range(levels):
        found = [found]
    return found


HOSTILE: dict[str, Callable[[str, str, Answer | None], Answer | None]] = {
    "a link that is none": changing(APPS, lambda page: {**page, "@odata.nextLink": 5}),
    "a link to elsewhere": changing(APPS, lambda page: {**page, "@odata.nextLink": "https://evil.example/beta/"}),
    "things without an id": changing(APPS, lambda page: {"value": [{**one, "id": None} for one in page["value"]]}),
    "ids that cannot be": changing(APPS, lambda page: {"value": [{**one, "id": "\ud800"} for one in page["value"]]}),
    "a status that is none": changing("$batch", statuses("ok")),
    "a status that is a list": changing("$batch", statuses([200])),
    "no status": changing("$batch", statuses(None)),
    "another object": changing("$batch", bodies(lambda body: {**body, "id": "other"})),
    "a long id": changing("$batch", bodies(lambda body: {**body, "id": "9" * 300})),
    "no body": changing("$batch", bodies(lambda _body: None)),
    "assignments that are none": changing("$batch", bodies(lambda body: {**body, "value": None})),
    "assignments that are a number": changing("$batch", bodies(lambda body: {**body, "value": 7})),
    "assignments with half a link": changing("$batch", bodies(lambda body: {**body, "@odata.nextLink": []})),
    "too deep": changing("$batch", bodies(lambda body: {**body, "description": deep(400)})),
    "another tenant that looks alike": changing("organization", lambda page: {"value": [{"id": "\ufb00" * 9}]}),
}


@pytest.mark.parametrize("heard", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_that_means_nothing_is_an_error_of_graphs(
    graph: Graph, heard: Callable[[str, str, Answer | None], Answer | None]
) -> None:
    """Never a crash, and never taken for a tenant that holds less."""
    assign(graph, by_hand(graph))
    provider = opened(graph, heard)
    with pytest.raises(RemoteError):
        provider.objects()
    provider.close()


@pytest.mark.parametrize("levels", [30, 90])
def test_whatever_is_read_can_be_shown(graph: Graph, levels: int) -> None:
    """What is nested as deep as is believed can be compared and written down."""
    by_hand(graph, "Kiosk", CONFIGURATIONS, "windows10GeneralConfiguration", kioskModeApps={"a": deep(levels)})
    provider = opened(graph)
    (remote,) = provider.objects().values()
    assert (len(remote.held.digest), "Kiosk" in readable(remote.held)) == (71, True)
    provider.close()


@pytest.mark.parametrize("number", ["é", "\ud800", "9" * 5000, "²"])
def test_a_number_of_members_that_is_none_is_unknown(graph: Graph, number: str) -> None:
    """Nobody is told a number that Graph did not say."""

    def counted(batch: Any) -> Any:
        return (
            {
                "responses": [
                    {**one, "body": number} if "value" not in one["body"] else one for one in batch["responses"]
                ]
            }
            if isinstance(batch["responses"][0]["body"], str)
            else batch
        )

    provider = opened(graph, changing("$batch", counted))
    assert [(one.people, one.devices) for one in provider.reach([STAFF])] == [(None, None)]
    provider.close()


@pytest.mark.parametrize("made", [{"id": 7}, {"id": None}, {"id": "\n"}, {}, [], None])
def test_an_object_without_an_id_is_looked_for_by_its_mark(graph: Graph, made: object) -> None:
    """What Graph says that it made is written down only if it can be found again."""
    provider = opened(graph, changing(APPS, lambda _answer: made, "POST"))
    state = provider.as_sent(
        DesiredObject("app", {"type": "webApp", "displayName": "A", "appUrl": "https://a.example"})
    )
    with pytest.raises(RemoteError, match="does not say what it made"):
        provider.create(state, "maa:contoso:app/a")
    provider.close()


@pytest.mark.parametrize("code", ["a b", "a,b", "a" * 99])
def test_a_code_that_cannot_be_is_no_approval(graph: Graph, code: str) -> None:
    """A receipt could not hold it."""

    def heard(_method: str, _url: str, answer: Answer | None) -> Answer | None:
        coded = answer is not None and "x-msft-approval-code" in answer.headers
        return replace(answer, headers={**answer.headers, "x-msft-approval-code": code}) if answer and coded else answer

    graph.protect("app")
    provider = opened(graph, heard)
    state = provider.as_sent(
        DesiredObject("app", {"type": "webApp", "displayName": "A", "appUrl": "https://a.example"})
    )
    with pytest.raises(RemoteError) as caught:
        provider.create(state, "maa:contoso:app/a")
    assert not isinstance(caught.value, NativeApprovalError)
    provider.close()


def test_what_does_not_fit_into_an_answer_is_read_as_well(graph: Graph) -> None:
    """Of settings that Graph gives in pages, those of the second page are compared too."""
    path = "deviceManagement/configurationPolicies"
    names = [f"device_vendor_msft_policy_{number}" for number in range(3)]
    kind = "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance"
    settings = [{"settingInstance": {"@odata.type": kind, "settingDefinitionId": name}} for name in names]
    body = {"name": "Baseline", "platforms": "windows10", "technologies": "mdm", "settings": settings}
    remote_id = graph.post(path, body).body["id"]

    def cut(found: Any) -> Any:
        if not isinstance(found, dict) or "settings" not in found:
            return found
        more = f"{graph.url}/{path}/{remote_id}/settings"
        return {**found, "settings": found["settings"][:0], "settings@odata.nextLink": more}

    provider = opened(graph, changing("$batch", bodies(cut)))
    held = provider.objects()[remote_id].held.data
    assert [one["settingInstance"]["settingDefinitionId"] for one in held["settings"]] == names  # type: ignore[attr-defined]
    provider.close()


def test_who_may_not_count_members_plans_all_the_same(graph: Graph) -> None:
    """A number that nobody gives is unknown; it stops nothing."""
    is_refused: list[bool] = []
    refused = changing("$batch", statuses(403))
    provider = opened(graph, lambda *heard: refused(*heard) if is_refused else heard[2])
    data = {"type": "webApp", "displayName": "P", "appUrl": "https://p.example"}
    state = provider.as_sent(DesiredObject("app", data, ({"intent": "required", "target": {"group": "Everybody"}},)))
    is_refused.append(True)
    assert provider.reach(state.assignments) == (Reach("Everybody", None, None),)
    provider.close()


def test_what_a_policy_set_assigns_is_counted(world: GraphWorld, graph: Graph) -> None:
    """It is not the object's own, so it is neither compared nor sent; that it is there, drift says."""
    world.commit({PORTAL: app()})
    world.apply()
    assert (drifts(world).objects, drifts(world).not_compared) == ((), None)

    def given(body: Any) -> Any:
        target = {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}
        return (
            {"value": [{"intent": "required", "source": "policySets", "target": target}]} if "value" in body else body
        )

    other = replace(world, connection=lambda: Line(changing("$batch", bodies(given))))
    assert (drifts(other).objects, str(drifts(other).not_compared)[:29]) == ((), "1 that cannot be kept as reso")


def test_an_object_whose_assignments_are_not_there_is_not_gone(world: GraphWorld, graph: Graph) -> None:
    """Nothing is made a second time because half of an object could not be read."""
    world.commit({PORTAL: app()})
    world.apply()

    def lost(batch: Any) -> Any:
        gone = [one for one in batch["responses"] if "value" in (one["body"] or {})]
        return {"responses": [{**one, "status": 404} if one in gone else one for one in batch["responses"]]}

    broken = replace(world, connection=lambda: Line(changing("$batch", lost)))
    with pytest.raises(RemoteError, match="but not its assignments"):
        broken.apply(1)
    assert len(ids(graph)) == 1


# --- a tired operator ------------------------------------------------------------------------------------------------


class Slow(Wrapped):
    """A provider for which each object takes a while; what happens in the meantime is told."""

    meanwhile: Callable[[], None]

    def create(self, desired: DesiredObject, marker: str) -> str:
        """Make an object."""
        made = super().create(desired, marker)
        self.meanwhile()
        return made


def test_a_run_that_lasts_for_hours_is_alone_all_the_time(tmp_path: Path, keys: Path, graph: Graph) -> None:
    """It renews its intent; another clone does not take over and make everything a second time."""
    world = make_graph_world(tmp_path / "world", keys, graph, has_remote=True)
    world.commit({PORTAL: app(), PAYROLL: app("Payroll"), OTHER: app("Other")})
    other = world.other_clone("other", "bob")
    seconds, refused = [0.0], []

    def meanwhile() -> None:
        seconds[0] += 20 * 60
        if len(ids(graph)) == 2:
            with pytest.raises(RemoteError) as caught:
                other.apply(seconds[0] / 60 - 6)
            refused.append(caught.value.code)

    provider = world.provider()
    slow = Slow(provider, lambda _what: None)
    slow.meanwhile = meanwhile
    context = replace(world.context(), clock=lambda: seconds[0])
    report = apply(context, world.deployer(), world.target(), slow)
    provider.close()
    assert (refused, len(ids(graph)), report.failed) == (["applyRunning"], 3, ())
    assert other.apply(90).objects == ()


def test_a_run_whose_place_another_took_stops_writing(tmp_path: Path, keys: Path, graph: Graph) -> None:
    """It cannot renew its intent, so it makes nothing more."""
    world = make_graph_world(tmp_path / "world", keys, graph, has_remote=True)
    world.commit({PORTAL: app(), PAYROLL: app("Payroll"), OTHER: app("Other")})
    other = world.other_clone("other", "bob")
    seconds = [0.0]

    def meanwhile() -> None:
        seconds[0] += 20 * 60
        assert other.apply(20).failed == ()

    provider = world.provider()
    slow = Slow(provider, lambda _what: None)
    slow.meanwhile = meanwhile
    context = replace(world.context(), clock=lambda: seconds[0])
    with pytest.raises(RemoteError, match="stops, since its intent cannot be renewed") as caught:
        apply(context, world.deployer(), world.target(), slow)
    provider.close()
    assert (caught.value.retry, sorted(ids(graph).values(), key=str)) == (
        True,
        ["maa:contoso:app/other", "maa:contoso:app/payroll", "maa:contoso:app/portal"],
    )
