"""The embedded Graph's directory and administration: groups and who is in them, filters, roles, who calls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.graph import Graph, serve

EVENTUAL = {"ConsistencyLevel": "eventual"}
GROUP = {"displayName": "Staff", "mailNickname": "staff", "mailEnabled": False, "securityEnabled": True}
FILTERS = "deviceManagement/assignmentFilters"
ROLES = "deviceManagement/roleAssignments"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """An empty tenant that is served."""
    with serve(tmp_path / "tenant.sqlite3") as served:
        yield served


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """The sample; for tests that only read."""
    with serve(tmp_path_factory.mktemp("sample") / "tenant.sqlite3", sample=True) as served:
        yield served


def group_id(graph: Graph, name: str) -> str:
    """The id of a group by its name."""
    (found,) = graph.get("groups", filter=f"displayName eq '{name}'", select="id").value
    return str(found["id"])


def names(items: list[dict[str, Any]]) -> list[str]:
    """The display names of things."""
    return [item["displayName"] for item in items]


# --- groups ----------------------------------------------------------------------------------------------------------


def test_a_group_is_made_read_changed_and_deleted(graph: Graph) -> None:
    """With the statuses of the directory, and its words for what is not there."""
    made = graph.post("groups", GROUP)
    path = f"groups/{made.body['id']}"
    assert (made.status, made.body["groupTypes"], "members" in made.body) == (201, [], False)
    assert graph.patch(path, {"displayName": "People", "members": ["lie"]}).status == 204
    assert graph.get(path, select="displayName").body["displayName"] == "People"
    assert graph.get(f"{path}/members").value == []
    assert graph.delete(path).status == 204
    gone = graph.get(path)
    assert (gone.status, gone.body["error"]["code"]) == (404, "Request_ResourceNotFound")


@pytest.mark.parametrize("missing", GROUP)
def test_a_group_needs_all_of_its_properties(graph: Graph, missing: str) -> None:
    """The error names what is missing."""
    reply = graph.post("groups", {key: value for key, value in GROUP.items() if key != missing})
    assert (reply.status, reply.body["error"]["code"]) == (400, "Request_BadRequest")
    assert missing in reply.error


def test_groups_are_found_by_name(sample: Graph) -> None:
    """By the whole name or by its beginning; what is selected is all there is."""
    assert names(sample.get("groups", filter="startswith(displayName,'P')").value) == ["Pilot", "Phones"]
    (found,) = sample.get("groups", filter="displayName eq 'all staff'", select="displayName").value
    assert found == {"displayName": "All Staff"}


def test_direct_and_nested_members(sample: Graph) -> None:
    """A nested group counts as one, its members only if they are asked for; each is of a kind."""
    staff = group_id(sample, "All Staff")
    direct = sample.get(f"groups/{staff}/members").value
    nested = sample.get(f"groups/{staff}/transitiveMembers").value
    assert (len(direct), len(nested), len({item["id"] for item in nested})) == (10, 13, 13)
    assert {item["@odata.type"].rpartition(".")[2] for item in direct} == {"group", "user"}


@pytest.mark.parametrize(
    ("name", "segment", "expected"),
    [
        ("All Staff", "members", 10),
        ("All Staff", "transitiveMembers", 13),
        ("All Staff", "members/microsoft.graph.user", 9),
        ("All Staff", "transitiveMembers/microsoft.graph.user", 12),
        ("All Staff", "transitiveMembers/microsoft.graph.device", 0),
        ("Kiosks", "transitiveMembers/microsoft.graph.device", 2),
        ("Kiosks", "members/microsoft.graph.user", 0),
    ],
)
def test_members_are_counted(sample: Graph, name: str, segment: str, expected: int) -> None:
    """A count, and a kind, are advanced queries: without the header they are refused."""
    path = f"groups/{group_id(sample, name)}/{segment}"
    assert sample.get(f"{path}/$count", headers=EVENTUAL).body == expected
    refused = sample.get(f"{path}/$count")
    assert (refused.status, refused.body["error"]["code"]) == (400, "Request_UnsupportedQuery")
    listed = sample.get(path, count="true", headers=EVENTUAL)
    assert (listed.body["@odata.count"], len(listed.value)) == (expected, expected)
    assert sample.get(path, count="true").status == 400


def test_groups_in_a_circle_have_members(graph: Graph) -> None:
    """Everybody is told once, the circle's begin is not."""
    one, other = graph.group("One", "alice"), graph.group("Other", "bob")
    for holder, member in ((one, other), (other, one)):
        reference = {"@odata.id": f"{graph.url}/directoryObjects/{member}"}
        assert graph.post(f"groups/{holder}/members/$ref", reference).status == 204
    assert sorted(names(graph.get(f"groups/{one}/transitiveMembers").value)) == ["Other", "alice", "bob"]


def test_members_join_and_leave(graph: Graph) -> None:
    """Nobody joins twice or leaves twice, and nothing joins that is not there."""
    staff, other = graph.group("Staff"), graph.group("Other", "alice")
    (alice,) = [item["id"] for item in graph.get(f"groups/{other}/members").value]
    reference = {"@odata.id": f"https://graph.microsoft.com/beta/users/{alice}"}
    assert [graph.post(f"groups/{staff}/members/$ref", reference).status for _ in range(2)] == [204, 400]
    assert graph.post(f"groups/{staff}/members/$ref", {"@odata.id": "x/nothing"}).status == 404
    assert graph.post(f"groups/{staff}/members/$ref", {}).status == 404
    path = f"groups/{staff}/members/{alice}/$ref"
    assert [graph.delete(path).status for _ in range(2)] == [204, 404]


def test_a_group_is_made_with_its_members(graph: Graph) -> None:
    """Bound to what is there."""
    alice = graph.post("users", {"displayName": "Alice", "userPrincipalName": "alice@contoso.com"}).body["id"]
    kiosk = graph.post("devices", {"displayName": "KIOSK-01"}).body["id"]
    bound = [f"{graph.url}/directoryObjects/{item}" for item in (alice, kiosk)]
    staff = graph.post("groups", {**GROUP, "members@odata.bind": bound}).body["id"]
    assert names(graph.get(f"groups/{staff}/members").value) == ["Alice", "KIOSK-01"]
    assert graph.delete(f"users/{alice}").status == 204
    assert names(graph.get(f"groups/{staff}/members").value) == ["KIOSK-01"]


def test_things_are_found_by_their_ids(sample: Graph) -> None:
    """Whatever they are, or only of the kinds that are named; unknown ids are left out, as Graph does."""
    ids = [sample.get(path).value[0]["id"] for path in ("groups", "users", "devices")]
    path = "directoryObjects/getByIds"
    found = sample.post(path, {"ids": [*ids, ids[0], "nothing"]}).value
    assert [item["@odata.type"].rpartition(".")[2] for item in found] == ["group", "user", "device"]
    assert names(sample.post(path, {"ids": ids, "types": ["group"]}).value) == ["Pilot"]
    assert [sample.post(path, body).status for body in ({}, {"ids": ["x"] * 1001})] == [400, 400]


def test_users_and_devices_are_listed_and_counted(sample: Graph) -> None:
    """A count needs the header, as it does for groups."""
    assert [sample.get(f"{path}/$count", headers=EVENTUAL).body for path in ("users", "devices")] == [12, 6]
    assert [sample.get("users/$count").status, sample.get("users", count="true").status] == [400, 400]
    assert sample.get("users", count="true", headers=EVENTUAL).body["@odata.count"] == 12
    (alice,) = sample.get("users", filter="userPrincipalName eq 'alice@contoso.com'").value
    assert sample.get(f"users/{alice['id']}").body["displayName"] == "Alice"


def test_there_is_one_organization(graph: Graph) -> None:
    """Its id is the store's."""
    (only,) = graph.get("organization").value
    with graph.store() as store:
        assert only["id"].replace("-", "") == store.id
    assert only["displayName"] == "Contoso"


# --- filters, roles --------------------------------------------------------------------------------------------------


def test_an_assignment_filter_is_made_read_changed_and_deleted(graph: Graph) -> None:
    """With a name, a platform and a rule."""
    body = {"displayName": "Corporate", "platform": "windows10AndLater", "rule": "(device.model -eq 1)"}
    assert [graph.post(FILTERS, {**body, key: ""}).status for key in body] == [400, 400, 400]
    made = graph.post(FILTERS, body)
    path = f"{FILTERS}/{made.body['id']}"
    assert (made.status, made.body["roleScopeTags"]) == (201, ["0"])
    graph.clock.forward(hours=1)
    changed = graph.patch(path, {"displayName": "Ours", "createdDateTime": "1999"}).body
    assert (changed["displayName"], changed["rule"], changed["createdDateTime"][:4]) == ("Ours", body["rule"], "2026")
    assert changed["lastModifiedDateTime"] > changed["createdDateTime"]
    assert names(graph.get(FILTERS).value) == ["Ours"]
    assert [graph.delete(path).status, graph.delete(path).status, graph.get(path).status] == [204, 404, 404]


def test_a_role_is_assigned_to_groups(graph: Graph) -> None:
    """The assignment tells its members, and is found by its role."""
    staff = graph.group("Staff")
    role = graph.post("deviceManagement/roleDefinitions", {"displayName": "Help desk"}).body["id"]
    bound = f"{graph.url}/deviceManagement/roleDefinitions('{role}')"
    body = {"displayName": "Desk", "members": [staff], "roleDefinition@odata.bind": bound}
    made = graph.post(ROLES, body)
    assert (made.status, made.body["members"]) == (201, [staff])
    assert names(graph.get(f"deviceManagement/roleDefinitions/{role}/roleAssignments").value) == ["Desk"]
    assert graph.get("deviceManagement/roleDefinitions/other/roleAssignments").value == []
    assert graph.get(f"{ROLES}/{made.body['id']}").body["displayName"] == "Desk"
    assert graph.get(ROLES, expand="roleDefinition").status == 200


# --- the sample ------------------------------------------------------------------------------------------------------


def test_the_sample_is_a_tenant_that_somebody_has_used(sample: Graph) -> None:
    """People in groups, objects of many kinds that are assigned, some that no resource can be."""
    counts = {
        path: len(sample.get(path).value)
        for path in (
            "deviceAppManagement/mobileApps",
            "deviceManagement/deviceManagementScripts",
            "deviceManagement/deviceShellScripts",
            "deviceManagement/deviceHealthScripts",
            "deviceManagement/deviceCompliancePolicies",
            "deviceManagement/configurationPolicies",
            "deviceManagement/roleDefinitions",
            "deviceManagement/deviceCategories",
            FILTERS,
            "groups",
            "users",
        )
    }
    assert [*counts.values()] == [10, 1, 1, 2, 1, 1, 2, 2, 2, 6, 12]
    apps = sample.get("deviceAppManagement/mobileApps").value
    assert sum(app["isAssigned"] for app in apps) == 7
    assert {app["publishingState"] for app in apps} == {"published"}


def test_the_sample_is_the_same_every_time(tmp_path: Path, sample: Graph) -> None:
    """Ids do not change, so that what is written about it holds."""
    with serve(tmp_path / "t.sqlite3", sample=True) as again:
        for path in ("groups", "deviceAppManagement/mobileApps", "deviceManagement/configurationPolicies"):
            assert again.get(path).value == sample.get(path).value


# --- who calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "alice", "Bearer a\x7fb"])
def test_nobody_gets_no_answer(sample: Graph, header: str | None) -> None:
    """Without a name it is 401."""
    headers = {"Authorization": header} if header is not None else {}
    answer = sample.pool.request("GET", f"{sample.url}/groups", headers=headers)
    assert (answer.status, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1.evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1:80@evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_web_page_gets_no_answer(sample: Graph, headers: dict[str, str], status: int) -> None:
    """Neither by a name of its own that leads to this machine, nor from anywhere that has an origin."""
    port = sample.url.rpartition(":")[2].partition("/")[0]
    sent = {name: value.format(port=port) for name, value in headers.items()}
    assert sample.get("groups", headers=sent).status == status


def test_only_beta_is_there(sample: Graph) -> None:
    """Another version is refused."""
    root = sample.url.removesuffix("/beta")
    assert [sample.get(f"{root}/{path}").status for path in ("v1.0/groups", "beta/groups", "")] == [400, 200, 400]


def test_every_answer_can_be_traced(sample: Graph) -> None:
    """It has an id of its own, and the caller's, if one was sent."""
    ids = [sample.get("groups", headers={"client-request-id": "mine"}).headers for _ in range(2)]
    assert [found["client-request-id"] for found in ids] == ["mine", "mine"]
    assert len({found["request-id"] for found in ids}) == 2
    assert all("date" in found for found in ids)
