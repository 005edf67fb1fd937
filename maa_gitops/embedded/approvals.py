"""Native Multi Admin Approval as an administrator sees it: access policies, and the requests that wait for somebody.

Policies are made directly, without the approval that a tenant of Microsoft's asks for: this one has to begin somewhere.
Requests are filed and carried out in ``gate``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from maa_gitops.embedded import queries
from maa_gitops.embedded.messages import (
    NOTHING,
    Answer,
    Call,
    Identity,
    Json,
    RefusedError,
    bad_request,
    forbidden,
    not_found,
    stamp,
)
from maa_gitops.embedded.tenant import GROUP, Tenant

POLICIES = "deviceManagement/operationApprovalPolicies"
REQUESTS = "deviceManagement/operationApprovalRequests"
POLICY, REQUEST = "operationApprovalPolicy", "operationApprovalRequest"
ACTIVE = frozenset({"needsApproval", "approved"})
LONGEST = 1024
"""Characters of a justification."""

_TYPES = (
    "app",
    "script",
    "role",
    "tenantConfiguration",
    "compliancePolicy",
    "configurationPolicy",
    "deviceWipe",
    "deviceRetire",
    "deviceDelete",
)
_OWN = "own"
"""Member of a request that is kept but not shown: the call to carry out, of what, by whom."""

# --- policies --------------------------------------------------------------------------------------------------------


def policies_for(tenant: Tenant, policy_type: str) -> dict[str, dict[str, Json]]:
    """The policies that protect a type, by id; letters' case means nothing."""
    entries = tenant.store.entries(POLICY).items()
    return {key: found for key, found in entries if _type_of(found).lower() == policy_type.lower()}


def _type_of(policy: Mapping[str, Json]) -> str:
    wanted = policy.get("policySet")
    return str(policy.get("policyType") or (wanted.get("policyType") if isinstance(wanted, dict) else ""))


def listing_policies(tenant: Tenant, call: Call) -> Answer:
    """``GET`` of the access policies."""
    items = [{"id": key, **found} for key, found in tenant.store.entries(POLICY).items()]
    return queries.many(call, items, POLICIES, tenant.options.page)


def reading_policy(tenant: Tenant, call: Call, item_id: str) -> Answer:
    """``GET`` of one access policy."""
    return queries.one(call, {"id": item_id, **_policy(tenant, item_id)}, f"{POLICIES}/$entity")


def _policy(tenant: Tenant, item_id: str) -> dict[str, Json]:
    entry = tenant.store.entry(POLICY, item_id)
    if entry is None:
        raise not_found()
    return entry


def making_policy(tenant: Tenant, call: Call) -> Answer:
    """``POST`` of an access policy, which holds from then on; it needs no approval here.

    Raises:
        RefusedError: it protects nothing, or nobody could approve by it.
    """
    item_id = str(uuid4())
    _put_policy(tenant, call, item_id, {"description": "", "policyPlatform": "notApplicable"})
    return Answer(201, reading_policy(tenant, call, item_id).body)


def changing_policy(tenant: Tenant, call: Call, item_id: str) -> Answer:
    """``PATCH`` of an access policy."""
    _put_policy(tenant, call, item_id, _policy(tenant, item_id))
    return reading_policy(tenant, call, item_id)


def _put_policy(tenant: Tenant, call: Call, item_id: str, before: Mapping[str, Json]) -> None:
    sent = {key: value for key, value in call.mapping().items() if key not in ("id", "@odata.type")}
    policy = {**before, **sent, "lastModifiedDateTime": stamp(call.now)}
    policy["policyType"] = _type_of(policy)
    policy.setdefault("policySet", {"policyType": policy["policyType"], "policyPlatform": policy["policyPlatform"]})
    name, groups = policy.get("displayName"), policy.get("approverGroupIds")
    if not isinstance(name, str) or not 1 <= len(name) <= 128:
        raise bad_request("displayName must have 1 to 128 characters.")
    if policy["policyType"].lower() not in map(str.lower, _TYPES):
        raise bad_request(f"policyType '{policy['policyType']}' cannot be protected.")
    if not isinstance(groups, list) or not groups:
        raise bad_request("approverGroupIds must not be empty.")
    if any(tenant.store.entry(GROUP, str(group)) is None for group in groups):
        raise bad_request("approverGroupIds names a group that does not exist.")
    tenant.store.put_entry(POLICY, item_id, policy)


def deleting_policy(tenant: Tenant, call: Call, item_id: str) -> Answer:  # noqa: ARG001 - a handler's signature
    """``DELETE`` of an access policy."""
    _policy(tenant, item_id)
    tenant.store.remove_entry(POLICY, item_id)
    return NOTHING


def operations(tenant: Tenant, call: Call, *, required: bool) -> Answer:
    """``GET`` of what can be protected, or of what is."""
    is_so = {_type_of(found).lower() for found in tenant.store.entries(POLICY).values()}
    names = [name for name in _TYPES if not required or name.lower() in is_so]
    items = [{"policyType": name, "policyPlatform": "notApplicable"} for name in names]
    return Answer(200, {"@odata.context": f"{call.root}/$metadata#operationApprovalPolicySet", "value": items})


# --- requests --------------------------------------------------------------------------------------------------------


def requests(tenant: Tenant, now: datetime) -> dict[str, dict[str, Json]]:
    """Every request, by id, with the status that it has now."""
    return {key: _aged(found, now) for key, found in tenant.store.entries(REQUEST).items()}


def request(tenant: Tenant, item_id: str, now: datetime) -> dict[str, Json]:
    """One request, with the status that it has now.

    Raises:
        RefusedError: there is none.
    """
    entry = tenant.store.entry(REQUEST, item_id.lower())
    if entry is None:
        raise not_found(f"No approval request has the id {item_id}.")
    return _aged(entry, now)


def _aged(entry: Mapping[str, Json], now: datetime) -> dict[str, Json]:
    over = entry["status"] in ACTIVE and stamp(now) >= entry["expirationDateTime"]
    return {**entry, "status": "expired"} if over else dict(entry)


def own(entry: Mapping[str, Json]) -> dict[str, Any]:
    """What of a request nobody is shown."""
    return dict(entry[_OWN])


def put_request(tenant: Tenant, item_id: str, entry: Mapping[str, Json], now: datetime, **new: Json) -> None:
    """Keep a request, with new values."""
    tenant.store.put_entry(REQUEST, item_id.lower(), {**entry, **new, "lastModifiedDateTime": stamp(now)})


def identity_set(identity: Identity) -> dict[str, Json]:
    """An identity as Graph names it."""
    who = {"id": identity.id, "displayName": identity.name}
    return {
        "application": who if identity.is_application else None,
        "device": None,
        "user": None if identity.is_application else who,
    }


def _shown(item_id: str, entry: Mapping[str, Json]) -> dict[str, Json]:
    return {"id": item_id, **{key: value for key, value in entry.items() if key != _OWN}}


def listing_requests(tenant: Tenant, call: Call) -> Answer:
    """``GET`` of all requests. A filter may speak of ``requestId``, which is the id."""
    items = [{**_shown(key, entry), "requestId": key} for key, entry in requests(tenant, call.now).items()]
    answer = queries.many(call, items, REQUESTS, tenant.options.page)
    for item in answer.body["value"]:
        item.pop("requestId", None)
    return answer


def reading_request(tenant: Tenant, call: Call, item_id: str) -> Answer:
    """``GET`` of one request."""
    return queries.one(call, _shown(item_id, request(tenant, item_id, call.now)), f"{REQUESTS}/$entity")


def my_requests(tenant: Tenant, call: Call) -> Answer:
    """``GET`` of the caller's own requests."""
    found = requests(tenant, call.now).items()
    items = [_shown(key, entry) for key, entry in found if own(entry)["by"] == call.identity.id]
    return queries.many(call, items, REQUESTS, tenant.options.page)


def my_request(tenant: Tenant, call: Call, item_id: str) -> Answer:
    """``GET`` of one of the caller's own requests."""
    if own(request(tenant, item_id, call.now))["by"] != call.identity.id:
        raise not_found()
    return reading_request(tenant, call, item_id)


def request_status(tenant: Tenant, call: Call) -> Answer:
    """``POST`` of the question how the request for an object stands, and whether another can be made."""
    entity = str(call.mapping().get("entityId"))
    found = [(key, entry) for key, entry in requests(tenant, call.now).items() if entry["payloadId"] == entity]
    if not found:
        return Answer(200, {"value": _status(None, None, "unknown", is_locked=False)})
    key, entry = found[-1]
    locked = entry["status"] in ACTIVE
    return Answer(200, {"value": _status(key, entry["expirationDateTime"], entry["status"], is_locked=locked)})


def _status(key: str | None, expires: Json, status: str, *, is_locked: bool) -> dict[str, Json]:
    names = {"requestId": key, "requestExpirationDateTime": expires, "requestStatus": status}
    return {**names, "entityLocked": is_locked}


def cancelling_mine(tenant: Tenant, call: Call) -> Answer:
    """``POST`` by which a requestor cancels a request that waits.

    Raises:
        RefusedError: it is another's, or does not wait any more.
    """
    item_id = str(call.mapping().get("id"))
    entry = request(tenant, item_id, call.now)
    if own(entry)["by"] != call.identity.id:
        raise forbidden("Only the requestor can cancel the request.")
    if entry["status"] != "needsApproval":
        raise bad_request(f"The request is {entry['status']}.")
    put_request(tenant, item_id, entry, call.now, status="cancelled")
    return NOTHING


_BEFORE_AND_AFTER = {
    "approve": ("needsApproval", "approved"),
    "reject": ("needsApproval", "rejected"),
    "cancelApproval": ("approved", "cancelled"),
}


def deciding(tenant: Tenant, call: Call, item_id: str, action: str) -> Answer:
    """``POST`` of an approver's word.

    Raises:
        RefusedError: the caller is no approver of this request, or its own requestor, or it is too late.
    """
    entry, before_and_after = request(tenant, item_id, call.now), _BEFORE_AND_AFTER[action]
    notes = str((call.body or {}).get("justification") or "") if isinstance(call.body, dict | None) else ""
    if len(notes) > LONGEST:
        raise bad_request(f"The justification has more than {LONGEST} characters.")
    _refuse_other_than_approver(tenant, entry, call.identity)
    if entry["status"] != before_and_after[0]:
        raise bad_request(f"The request is {entry['status']}.")
    who = {"approver": identity_set(call.identity), "approvalJustification": notes}
    put_request(tenant, item_id, entry, call.now, status=before_and_after[1], approvalDateTime=stamp(call.now), **who)
    return Answer(200, {"@odata.context": f"{call.root}/$metadata#Edm.String", "value": item_id})


def _refuse_other_than_approver(tenant: Tenant, entry: Mapping[str, Json], identity: Identity) -> None:
    """Direct members of the approver groups decide, and nobody about a request of their own."""
    if identity.is_application:
        raise RefusedError(403, "Forbidden", "Applications cannot approve or reject requests.")
    if own(entry)["by"] == identity.id:
        raise forbidden("The requestor cannot decide about the request.")
    types = entry["requiredOperationApprovalPolicyTypes"]
    policies = [policy for name in types for policy in policies_for(tenant, name).values()]
    ids = {str(group) for policy in policies for group in policy["approverGroupIds"]}
    groups = (tenant.store.entry(GROUP, group) or {} for group in ids)
    if not any(identity.id in group.get("members", ()) for group in groups):
        raise forbidden("Only direct members of the approver groups can decide about the request.")
