"""The hand-shake of native approval: a write of a protected type is filed first, and carried out once it is approved.

Source: Microsoft Intune's documentation of Multi Admin Approval and Graph; where that is silent, what callers report.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID, uuid4

from maa_gitops.embedded import approvals
from maa_gitops.embedded.catalog import place_of
from maa_gitops.embedded.messages import Answer, Call, Json, RefusedError, bad_request, forbidden, stamp
from maa_gitops.embedded.objects import found
from maa_gitops.embedded.routing import Route
from maa_gitops.embedded.tenant import Tenant
from maa_gitops.providers import spelling
from maa_gitops.providers.graph.shapes import type_name

JUSTIFICATION, CODE = "x-msft-approval-justification", "x-msft-approval-code"
EXPIRY = timedelta(days=3)

_ROLE_ASSIGNMENTS = "deviceManagement/roleAssignments"
_PAYLOADS = {
    "app": "Microsoft.Management.Services.Api.MobileApp",
    "script": "Microsoft.Management.Services.Api.DeviceManagementScript",
    "compliancePolicy": "Microsoft.Management.Services.Api.DeviceCompliancePolicy",
    "configurationPolicy": "Microsoft.Management.Services.Api.DeviceManagementConfigurationPolicy",
    "role": "Microsoft.Management.Services.Api.RoleDefinition",
    "tenantConfiguration": "Microsoft.Management.Services.Api.DeviceCategory",
}


def passed(tenant: Tenant, call: Call, route: Route, names: Mapping[str, str]) -> Answer:
    """Let a call through to its handler, or file it and say so.

    Raises:
        RefusedError: a header is missing or wrong, or the request does not allow just this call.
    """
    kind = _policy_type(route)
    if not kind or not approvals.policies_for(tenant, kind) or _is_excluded(tenant, call):
        return _handled(tenant, call, route, names)
    if JUSTIFICATION in call.headers:
        return _filed(tenant, call, route, names, _words(call.headers[JUSTIFICATION]))
    if CODE in call.headers:
        return _carried_out(tenant, call, route, names, _code(call.headers[CODE]))
    raise bad_request(_wrapped(f"Header '{JUSTIFICATION}' is required to request approval"))


def _handled(tenant: Tenant, call: Call, route: Route, names: Mapping[str, str]) -> Answer:
    return route.handler(tenant, call, **route.named, **names)


def _policy_type(route: Route) -> str:
    """The type of policy that protects what a route writes; empty: none can."""
    if route.collection == _ROLE_ASSIGNMENTS:
        return "role"
    return place_of(route.collection).approval if route.collection is not None else ""


def _is_excluded(tenant: Tenant, call: Call) -> bool:
    return call.identity.name in tenant.options.excluded or call.identity.id in tenant.options.excluded


def _words(header: str) -> str:
    """The justification that a header carries."""
    try:
        words = base64.b64decode(header, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise bad_request(_wrapped(f"Header '{JUSTIFICATION}' must be a base64 encoded string")) from error
    if not 1 <= len(words) <= approvals.LONGEST:
        raise bad_request(_wrapped(f"The justification must have 1 to {approvals.LONGEST} characters"))
    return words


def _code(header: str) -> str:
    try:
        return str(UUID(header))
    except ValueError as error:
        raise bad_request(_wrapped(f"Header '{CODE}' is not in the expected GUID format")) from error


# --- filing ----------------------------------------------------------------------------------------------------------


def _filed(tenant: Tenant, call: Call, route: Route, names: Mapping[str, str], words: str) -> Answer:
    """File a request for the call; one is enough for an object.

    Raises:
        RefusedError: 409, one is active already; 404, there is no such object.
    """
    item_id = names.get("item_id", "")
    if item_id and route.collection in tenant.collections:
        found(tenant, route.collection, item_id)
    entity = _entity(route, call, item_id)
    everything = approvals.requests(tenant, call.now).values()
    if any(approvals.own(one)["entity"] == entity and one["status"] in approvals.ACTIVE for one in everything):
        raise RefusedError(409, "Conflict", _wrapped("An active Approval Request already exists for this entity"))
    code = str(uuid4())
    approvals.put_request(tenant, code, _request(call, route, item_id, entity, words), call.now)
    return _required(code)


def _entity(route: Route, call: Call, item_id: str) -> str:
    """What a request is for; an object that is to be made is known by its type and name alone."""
    if item_id:
        return f"{route.collection}/{item_id}"
    name, kind = _named(call)
    return f"{route.collection} {kind} {name}"


def _named(call: Call) -> tuple[Json, str | None]:
    body = call.body if isinstance(call.body, dict) else {}
    return body.get("displayName", body.get("name")), type_name(body)


def _request(call: Call, route: Route, item_id: str, entity: str, words: str) -> dict[str, Json]:
    kind = _policy_type(route)
    operations = {"POST": "Create", "PATCH": "Update", "PUT": "Update", "DELETE": "Delete"}
    assigns = item_id and call.method == "POST"
    return {
        "requestDateTime": stamp(call.now),
        "expirationDateTime": stamp(call.now + EXPIRY),
        "requestor": approvals.identity_set(call.identity),
        "approver": None,
        "status": "needsApproval",
        "requestJustification": words,
        "approvalJustification": None,
        "requiredOperationApprovalPolicyTypes": [kind],
        "payloadId": item_id or None,
        "payloadType": _PAYLOADS.get(kind),
        "payloadName": _named(call)[0],
        "payloadOperation": "Assign" if assigns else operations[call.method],
        "payload": json.dumps(call.body) if call.body is not None else None,
        "own": {"call": _spelled(call), "entity": entity, "by": call.identity.id},
    }


def _spelled(call: Call) -> str:
    """What must be the same when the call comes again."""
    return spelling([call.method, call.path.strip("/").lower(), call.body])


def _required(code: str) -> Answer:
    """That approval is required, as Graph words it."""
    text = (
        f"Approval Required. Request Approval using the request ID provided in the response header. {CODE}: {code} - "
        f"Operation ID (for customer support): {uuid4()} - Activity ID: {uuid4()}"
    )
    return Answer(412, {"error": {"code": "BadRequest", "message": _wrapped(text)}}, {CODE: code})


def _wrapped(text: str) -> str:
    """A message of Intune's, which Graph passes on as JSON in a string."""
    fields: dict[str, Json] = {"_version": 3, "Message": text, "CustomApiErrorPhrase": "", "RetryAfter": None}
    return json.dumps({**fields, "ErrorSourceService": "", "HttpHeaders": "{}"}, indent=2)


# --- carrying out ----------------------------------------------------------------------------------------------------


def _carried_out(tenant: Tenant, call: Call, route: Route, names: Mapping[str, str], code: str) -> Answer:
    """Carry out the call that was approved: once, by who filed it, and to the letter.

    Raises:
        RefusedError: 404, there is no such request; 403, it does not allow this.
    """
    entry = approvals.request(tenant, code, call.now)
    filed = approvals.own(entry)
    if filed["by"] != call.identity.id:
        raise forbidden("Only the requestor can complete the request.")
    if filed["call"] != _spelled(call):
        raise forbidden("The call is not the one that was approved.")
    if entry["status"] == "needsApproval":
        return _required(code)
    if entry["status"] != "approved":
        raise forbidden(f"The request is {entry['status']}.")
    answer = _handled(tenant, call, route, names)
    approvals.put_request(tenant, code, entry, call.now, status="completed")
    return answer
