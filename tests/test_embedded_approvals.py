"""Native approval in the embedded Graph: policies, the hand-shake of a protected write, approvers' words."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.graph import Graph, Reply, serve

APPS = "deviceAppManagement/mobileApps"
POLICIES = "deviceManagement/operationApprovalPolicies"
REQUESTS = "deviceManagement/operationApprovalRequests"
WEB = {"@odata.type": "#microsoft.graph.webApp", "displayName": "Holidays", "appUrl": "https://contoso.com"}
WIN = {"@odata.type": "#microsoft.graph.win32LobApp", "displayName": "Holidays"}
JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A tenant in which bob and carol approve apps; everybody calls as alice."""
    with serve(tmp_path / "tenant.sqlite3", identity="alice") as served:
        served.group("Everybody", "alice", "dave")
        served.protect("app", approvers=("bob", "carol"))
        yield served


def because(text: str = "Wanted.") -> dict[str, str]:
    """The header that asks for approval."""
    return {"x-msft-approval-justification": base64.b64encode(text.encode()).decode()}


def with_code(code: str) -> dict[str, str]:
    """The header that carries out what was approved."""
    return {"x-msft-approval-code": code}


def filed(graph: Graph, body: dict[str, Any] | None = None, **more: Any) -> str:
    """Ask for an app to be made; gives the code."""
    reply = graph.post(APPS, body or WEB, headers=because(), **more)
    assert reply.status == 412, reply.body
    return reply.headers["x-msft-approval-code"]


def inner(reply: Reply) -> str:
    """The message within the message, which is JSON in a string."""
    return str(json.loads(reply.error)["Message"])


def status(graph: Graph, code: str) -> str:
    """How a request stands."""
    return str(graph.get(f"{REQUESTS}/{code}").body["status"])


# --- the hand-shake --------------------------------------------------------------------------------------------------


def test_a_protected_write_needs_a_justification(graph: Graph) -> None:
    """Without the header it is 400, whatever the operation; nothing is filed."""
    replies = [
        graph.post(APPS, WEB),
        graph.patch(f"{APPS}/x", {}),
        graph.delete(f"{APPS}/x"),
        graph.post(f"{APPS}/x/assign", {}),
    ]
    expected = (400, "Header 'x-msft-approval-justification' is required to request approval")
    assert [(reply.status, inner(reply)) for reply in replies] == [expected] * 4
    assert graph.get(REQUESTS).value == []
    assert graph.get(APPS).value == []


def test_a_write_with_a_justification_is_filed(graph: Graph) -> None:
    """412 with the code, in a header and in the message; the request says who asks for what, and why."""
    reply = graph.post(APPS, WEB, headers=because("Für alle."))
    code = reply.headers["x-msft-approval-code"]
    assert (reply.status, reply.body["error"]["code"]) == (412, "BadRequest")
    assert re.search(f"Approval Required.* x-msft-approval-code: {code} - Operation ID", inner(reply))
    request = graph.get(f"{REQUESTS}/{code}").body
    expected = {
        "id": code,
        "status": "needsApproval",
        "requestJustification": "Für alle.",
        "approver": None,
        "requestDateTime": "2026-11-23T10:00:00.0000000Z",
        "expirationDateTime": "2026-11-26T10:00:00.0000000Z",
        "requiredOperationApprovalPolicyTypes": ["app"],
        "payloadType": "Microsoft.Management.Services.Api.MobileApp",
        "payloadOperation": "Create",
        "payloadName": "Holidays",
    }
    assert {key: request[key] for key in expected} == expected
    assert (request["requestor"]["user"]["displayName"], request["requestor"]["application"]) == ("alice", None)
    assert (json.loads(request["payload"]), "own" in request, "call" in request) == (WEB, False, False)
    assert graph.get(APPS).value == []


def test_an_approved_call_is_carried_out_once(graph: Graph) -> None:
    """By who filed it; then the request is completed, and the code good for nothing."""
    code = filed(graph)
    assert graph.decide(code).status == 200
    turned = dict(reversed(WEB.items()))
    assert graph.post(APPS, turned, headers=with_code(code)).status == 201
    assert (status(graph, code), len(graph.get(APPS).value)) == ("completed", 1)
    assert graph.post(APPS, WEB, headers=with_code(code)).status == 403
    assert len(graph.get(APPS).value) == 1


def test_every_operation_has_a_request_of_its_own(graph: Graph) -> None:
    """Making, changing, assigning, deleting: each is filed, approved and carried out."""

    def done(method: str, path: str, body: Any) -> Reply:
        asked = graph.call(method, path, body, headers=because())
        code = asked.headers["x-msft-approval-code"]
        graph.decide(code)
        return graph.call(method, path, body, headers=with_code(code))

    app_id = done("POST", APPS, WEB).body["id"]
    graph.get(f"{APPS}/{app_id}")
    target = {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}
    assignments = {"mobileAppAssignments": [{"intent": "required", "target": target}]}
    assert done("PATCH", f"{APPS}/{app_id}", {"displayName": "New"}).status == 200
    assert done("POST", f"{APPS}/{app_id}/assign", assignments).status == 204
    assert done("DELETE", f"{APPS}/{app_id}", None).status == 204
    operations = [request["payloadOperation"] for request in graph.get(REQUESTS).value]
    assert operations == ["Create", "Update", "Assign", "Delete"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", APPS, {**WEB, "displayName": "Other"}),
        ("POST", APPS, {**WEB, "isFeatured": True}),
        ("POST", APPS, {**WEB, "n": 1}),
        ("POST", APPS, WIN),
        ("PATCH", f"{APPS}/x", WEB),
        ("DELETE", f"{APPS}/x", None),
    ],
)
def test_another_call_than_the_approved_is_refused(graph: Graph, method: str, path: str, body: Any) -> None:
    """One value is enough; the right one can still be carried out."""
    code = filed(graph, {**WEB, "n": True})
    graph.decide(code)
    assert graph.call(method, path, body, headers=with_code(code)).status == 403
    assert graph.post(APPS, {**WEB, "n": True}, headers=with_code(code)).status == 201


def test_another_identity_cannot_complete(graph: Graph) -> None:
    """Not even the approver."""
    code = filed(graph)
    graph.decide(code)
    refused = [graph.post(APPS, WEB, headers=with_code(code), identity=name).status for name in ("bob", "dave", JWT)]
    assert refused == [403, 403, 403]
    assert status(graph, code) == "approved"


def test_before_it_is_approved_it_is_412_again(graph: Graph) -> None:
    """With the same code; no second request is filed."""
    code = filed(graph)
    again = graph.post(APPS, WEB, headers=with_code(code))
    assert (again.status, again.headers["x-msft-approval-code"]) == (412, code)
    assert len(graph.get(REQUESTS).value) == 1


@pytest.mark.parametrize("action", ["reject", "cancelApproval"])
def test_what_is_rejected_or_cancelled_is_never_carried_out(graph: Graph, action: str) -> None:
    """403, and the object can be asked for anew."""
    code = filed(graph)
    if action == "cancelApproval":
        graph.decide(code)
    assert graph.decide(code, action).status == 200
    assert graph.post(APPS, WEB, headers=with_code(code)).status == 403
    assert filed(graph) != code


def test_an_approval_expires_after_three_days(graph: Graph) -> None:
    """To the second; an approved request, too; then the object can be asked for anew."""
    code = filed(graph)
    graph.decide(code)
    graph.clock.forward(days=3, seconds=-1)
    assert status(graph, code) == "approved"
    graph.clock.forward(seconds=1)
    assert status(graph, code) == "expired"
    assert graph.post(APPS, WEB, headers=with_code(code)).status == 403
    assert graph.decide(code).status == 400
    assert filed(graph) != code


def test_a_call_that_fails_leaves_its_approval(graph: Graph) -> None:
    """What Graph refuses is not done, so the request is not completed."""
    code = filed(graph, {**WEB, "appUrl": ""})
    graph.decide(code)
    assert graph.post(APPS, {**WEB, "appUrl": ""}, headers=with_code(code)).status == 400
    assert status(graph, code) == "approved"


# --- one request an object -------------------------------------------------------------------------------------------


def test_an_object_has_one_request_at_a_time(graph: Graph) -> None:
    """Whatever the operation, needing approval or approved; other objects have theirs."""
    app_id = made(graph)
    other = filed(graph, {**WEB, "displayName": "Other"})
    assert graph.patch(f"{APPS}/{app_id}", {"displayName": "New"}, headers=because()).status == 412
    again = [
        graph.patch(f"{APPS}/{app_id}", {"displayName": "New"}, headers=because()),
        graph.delete(f"{APPS}/{app_id}", headers=because(), identity="dave"),
        graph.post(f"{APPS}/{app_id}/assign", {"mobileAppAssignments": []}, headers=because()),
    ]
    expected = (409, "An active Approval Request already exists for this entity")
    assert [(reply.status, inner(reply)) for reply in again] == [expected] * 3
    graph.decide(other)
    assert graph.post(APPS, {**WEB, "displayName": "Other"}, headers=because()).status == 409


def made(graph: Graph) -> str:
    """An app that is there, by way of an approval; gives its id."""
    code = filed(graph)
    graph.decide(code)
    return str(graph.post(APPS, WEB, headers=with_code(code)).body["id"])


def test_an_object_that_is_to_be_made_is_known_by_type_and_name(graph: Graph) -> None:
    """The same name for another type is another object."""
    filed(graph)
    assert graph.post(APPS, {**WEB, "appUrl": "https://other.contoso.com"}, headers=because()).status == 409
    filed(graph, WIN)


def test_both_headers_file_anew(graph: Graph) -> None:
    """So that they meet the request that is there: 409."""
    code = filed(graph)
    graph.decide(code)
    assert graph.post(APPS, WEB, headers={**because(), **with_code(code)}).status == 409
    assert status(graph, code) == "approved"


def test_nothing_is_filed_for_what_is_not_there(graph: Graph) -> None:
    """An unknown id is 404, with a justification or without a chance."""
    assert graph.patch(f"{APPS}/nothing", {}, headers=because()).status == 404
    assert graph.get(REQUESTS).value == []


# --- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "value", "words"),
    [
        ("x-msft-approval-justification", "Wanted because of the audit.", "must be a base64 encoded string"),
        ("x-msft-approval-justification", "/////w==", "must be a base64 encoded string"),
        ("x-msft-approval-justification", base64.b64encode(b"x" * 1025).decode(), "1 to 1024 characters"),
        ("x-msft-approval-justification", "", "1 to 1024 characters"),
        ("x-msft-approval-code", "nothing", "expected GUID format"),
        ("x-msft-approval-code", base64.b64encode(b"0" * 36).decode(), "expected GUID format"),
    ],
)
def test_a_header_that_is_no_such_thing_is_refused(graph: Graph, header: str, value: str, words: str) -> None:
    """400 with the reason."""
    reply = graph.post(APPS, WEB, headers={header: value})
    assert (reply.status, words in inner(reply)) == (400, True)


def test_a_justification_has_characters_not_bytes(graph: Graph) -> None:
    """1,024 of them, however many bytes they take."""
    assert graph.post(APPS, WEB, headers=because("ü" * 1024)).status == 412


def test_a_code_of_nobody_is_404(graph: Graph) -> None:
    """It opens nothing."""
    assert graph.post(APPS, WEB, headers=with_code("00000000-0000-4000-8000-000000000000")).status == 404


def test_the_headers_mean_nothing_where_no_policy_is(graph: Graph) -> None:
    """They may be sent with every call."""
    category = {"displayName": "Kiosk"}
    code = with_code("00000000-0000-4000-8000-000000000000")
    headers = (because(), code, {**because(), **code}, {})
    statuses = [graph.post("deviceManagement/deviceCategories", category, headers=sent).status for sent in headers]
    assert statuses == [201] * 4


def test_reading_needs_no_approval(graph: Graph) -> None:
    """Nothing that reads is ever gated."""
    assert graph.get(APPS).status == 200


# --- who decides -----------------------------------------------------------------------------------------------------


def test_only_others_of_the_approver_groups_decide(graph: Graph) -> None:
    """Neither the requestor nor somebody else nor an application; direct members only."""
    code, own = filed(graph), filed(graph, {**WEB, "displayName": "Bob's"}, identity="bob")
    everybody = graph.get("groups", filter="displayName eq 'Everybody'").value[0]["id"]
    approvers = graph.get("groups", filter="displayName eq 'Approvers'").value[0]["id"]
    reference = {"@odata.id": f"{graph.url}/groups/{everybody}"}
    assert graph.post(f"groups/{approvers}/members/$ref", reference).status == 204
    refused = [graph.decide(code, identity=name).status for name in ("alice", "dave", "nobody", JWT)]
    assert (refused, graph.decide(own, identity="bob").status) == ([403] * 4, 403)
    assert "Applications cannot" in graph.decide(code, identity=JWT).error
    assert [graph.decide(code, identity="carol").status, graph.decide(own, identity="carol").status] == [200, 200]
    request = graph.get(f"{REQUESTS}/{code}").body
    assert (request["approver"]["user"]["displayName"], request["approvalJustification"]) == ("carol", "Checked.")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("approve", "approve"),
        ("approve", "reject"),
        ("reject", "approve"),
        ("reject", "cancelApproval"),
        (None, "cancelApproval"),
    ],
)
def test_a_decision_is_made_once(graph: Graph, first: str | None, second: str) -> None:
    """What is decided stays so, but for an approval that is cancelled."""
    code = filed(graph)
    if first is not None:
        assert graph.decide(code, first).status == 200
    assert graph.decide(code, second, identity="carol").status == 400


def test_notes_have_a_limit(graph: Graph) -> None:
    """1,024 characters, like a justification; they may be left out."""
    code = filed(graph)
    path = f"{REQUESTS}/{code}/approve"
    assert graph.post(path, {"justification": "x" * 1025}, identity="bob").status == 400
    assert graph.post(path, None, identity="bob").status == 200


def test_a_requestor_cancels_a_request_that_waits(graph: Graph) -> None:
    """Nobody else's, and not once it is decided."""
    code, path = filed(graph), f"{REQUESTS}/cancelMyRequest"
    statuses = [graph.post(path, {"id": code}, identity=name).status for name in ("bob", "alice", "alice")]
    assert (statuses, status(graph, code)) == ([403, 204, 400], "cancelled")


def test_everybody_sees_their_own_requests(graph: Graph) -> None:
    """And all of them in the collection, by id, ``requestId`` or status."""
    mine, other = filed(graph), filed(graph, {**WEB, "displayName": "Other"}, identity="dave")
    assert [one["id"] for one in graph.get(f"{REQUESTS}/retrieveMyRequests()").value] == [mine]
    assert graph.get(f"{REQUESTS}/retrieveMyRequestById(id='{mine}')").body["id"] == mine
    assert graph.get(f"{REQUESTS}/retrieveMyRequestById(id='{other}')").status == 404
    graph.decide(other)
    filters = (f"requestId eq '{mine}'", f"id eq '{mine}'", "status eq 'needsApproval'")
    found = [graph.get(REQUESTS, filter=text).value for text in filters]
    assert [[one["id"] for one in some] for some in found] == [[mine]] * 3
    assert "requestId" not in found[0][0]
    assert graph.get(f"{REQUESTS}/nothing").status == 404


def test_it_is_told_whether_an_object_is_locked(graph: Graph) -> None:
    """While a request for it is active; with its id, its status and its end."""
    app_id = made(graph)
    question = {"entityId": app_id, "entityType": "Microsoft.Management.Services.Api.MobileApp"}

    def answer() -> tuple[str, bool]:
        value = graph.post(f"{REQUESTS}/retrieveRequestStatus", question).body["value"]
        return value["requestStatus"], value["entityLocked"]

    assert answer() == ("unknown", False)
    code = graph.delete(f"{APPS}/{app_id}", headers=because()).headers["x-msft-approval-code"]
    assert answer() == ("needsApproval", True)
    graph.decide(code, "reject")
    assert answer() == ("rejected", False)


# --- policies and exclusions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "path", "body"),
    [
        ("Script", "deviceManagement/deviceManagementScripts", {}),
        ("script", "deviceManagement/deviceHealthScripts", {}),
        ("role", "deviceManagement/roleDefinitions", {}),
        ("role", "deviceManagement/roleAssignments", {}),
        ("tenantConfiguration", "deviceManagement/deviceCategories", {}),
        ("compliancePolicy", "deviceManagement/deviceCompliancePolicies", {}),
        ("configurationPolicy", "deviceManagement/configurationPolicies", {}),
    ],
)
def test_each_type_of_policy_protects_its_collections(graph: Graph, policy: str, path: str, body: Any) -> None:
    """In any case of letters, and nothing else."""
    before = graph.post(path, body, headers=because()).status
    graph.protect(policy, approvers=("carol",))
    assert (before != 412, graph.post(path, body, headers=because()).status) == (True, 412)
    assert graph.post("groups", {}, headers=because()).status == 400


def test_a_policy_is_made_read_changed_and_deleted(graph: Graph) -> None:
    """Directly, without an approval of its own; what is deleted protects nothing."""
    (policy,) = graph.get(POLICIES).value
    path = f"{POLICIES}/{policy['id']}"
    assert (policy["policyType"], policy["policySet"]["policyType"]) == ("app", "app")
    assert graph.patch(path, {"displayName": "Apps need two"}).body["displayName"] == "Apps need two"
    assert graph.get(path).body["approverGroupIds"] == policy["approverGroupIds"]
    kinds = [item["policyType"] for item in graph.get(f"{POLICIES}/retrieveOperationsRequiringApproval()").value]
    assert kinds == ["app"]
    assert "deviceWipe" in str(graph.get(f"{POLICIES}/retrieveApprovableOperations()").value)
    assert [graph.delete(path).status, graph.delete(path).status, graph.get(path).status] == [204, 404, 404]
    assert graph.post(APPS, WEB).status == 201


@pytest.mark.parametrize(
    "change",
    [
        {"displayName": ""},
        {"displayName": "x" * 129},
        {"policyType": "unknown"},
        {"policyType": None},
        {"approverGroupIds": []},
        {"approverGroupIds": ["nothing"]},
        {"approverGroupIds": None},
    ],
)
def test_a_policy_that_protects_nothing_is_refused(graph: Graph, change: dict[str, Any]) -> None:
    """It needs a name, a type that can be protected, and a group that is there."""
    (policy,) = graph.get(POLICIES).value
    groups = policy["approverGroupIds"]
    body = {"displayName": "Apps", "policyType": "app", "approverGroupIds": groups, **change}
    assert graph.post(POLICIES, body).status == 400


def test_a_policy_may_say_its_type_in_a_set(graph: Graph) -> None:
    """As Graph's own pages do."""
    groups = graph.get(POLICIES).value[0]["approverGroupIds"]
    wanted = {"policyType": "script", "policyPlatform": "notApplicable"}
    body = {"displayName": "Scripts", "policySet": wanted, "approverGroupIds": groups}
    assert graph.post(POLICIES, body).body["policyType"] == "script"


def test_excluded_applications_need_no_approval(tmp_path: Path) -> None:
    """By their names; everybody else does."""
    options: dict[str, Any] = {"excluded": ["pipeline", "application"], "applications": ["pipeline", "other"]}
    with serve(tmp_path / "t.sqlite3", **options) as graph:
        graph.protect("app")
        statuses = [graph.post(APPS, WEB, identity=name).status for name in ("pipeline", JWT, "other", "alice")]
        assert statuses == [201, 201, 400, 400]


def test_an_application_that_files_is_shown_as_one(tmp_path: Path) -> None:
    """A token like Entra's is an application's, whatever it says."""
    with serve(tmp_path / "t.sqlite3", applications=["pipeline"]) as graph:
        graph.protect("app")
        requestors = []
        for name in ("pipeline", JWT):
            code = filed(graph, {**WEB, "displayName": name}, identity=name)
            requestors.append(graph.get(f"{REQUESTS}/{code}").body["requestor"])
        assert [who["application"]["displayName"] for who in requestors] == ["pipeline", "application"]
        assert [who["user"] for who in requestors] == [None, None]


def test_requests_survive_a_restart(tmp_path: Path) -> None:
    """They are in the file."""
    with serve(tmp_path / "t.sqlite3", identity="alice") as graph:
        graph.protect("app")
        code = filed(graph)
        graph.decide(code)
    with serve(tmp_path / "t.sqlite3", identity="alice") as graph:
        assert graph.post(APPS, WEB, headers=with_code(code)).status == 201
