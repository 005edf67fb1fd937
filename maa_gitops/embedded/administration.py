"""Assignment filters and role assignments: plain lists of what was sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from maa_gitops.embedded import queries
from maa_gitops.embedded.messages import NOTHING, Answer, Call, Json, bad_request, not_found, stamp
from maa_gitops.embedded.tenant import FILTER, Tenant

ROLE_ASSIGNMENT = "roleAssignment"


@dataclass(frozen=True, slots=True)
class Plain:
    """A collection of entries that are kept as they are sent: its kind, what they need, what they are else."""

    kind: str
    required: tuple[str, ...]
    defaults: Mapping[str, Json]
    dated: bool = True


PLAIN: Mapping[str, Plain] = {
    "deviceManagement/assignmentFilters": Plain(
        FILTER,
        ("displayName", "platform", "rule"),
        {"description": "", "roleScopeTags": ["0"], "assignmentFilterManagementType": "devices", "payloads": []},
    ),
    "deviceManagement/roleAssignments": Plain(
        ROLE_ASSIGNMENT,
        ("displayName",),
        {"description": "", "members": [], "scopeMembers": [], "scopeType": "resourceScope", "resourceScopes": []},
        dated=False,
    ),
}
"""The collections, by path."""


def listing(tenant: Tenant, call: Call, path: str) -> Answer:
    """``GET`` of a collection."""
    queries.check(call, expandable=frozenset({"roleDefinition"}))
    items = [_shown(path, key, entry) for key, entry in tenant.store.entries(PLAIN[path].kind).items()]
    return queries.many(call, items, path, tenant.options.page)


def reading(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``GET`` of one entry."""
    queries.check(call, expandable=frozenset({"roleDefinition"}))
    return queries.one(call, _shown(path, item_id, _found(tenant, path, item_id)), f"{path}/$entity")


def making(tenant: Tenant, call: Call, path: str) -> Answer:
    """``POST`` of a new entry.

    Raises:
        RefusedError: something that it needs is missing.
    """
    body = call.mapping()
    for name in PLAIN[path].required:
        if body.get(name) in (None, ""):
            raise bad_request(f"{name} must not be null or empty.")
    dates = {"createdDateTime": stamp(call.now), "lastModifiedDateTime": stamp(call.now)} if PLAIN[path].dated else {}
    entry_id = str(uuid4())
    tenant.store.put_entry(PLAIN[path].kind, entry_id, {**_written(body), **dates})
    tenant.respell()
    return Answer(201, reading(tenant, call, path, entry_id).body)


def changing(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``PATCH`` of an entry."""
    entry = {**_found(tenant, path, item_id), **_written(call.mapping())}
    if PLAIN[path].dated:
        entry["lastModifiedDateTime"] = stamp(call.now)
    tenant.store.put_entry(PLAIN[path].kind, item_id, entry)
    tenant.respell()
    return reading(tenant, call, path, item_id)


def deleting(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:  # noqa: ARG001 - a handler's signature
    """``DELETE`` of an entry."""
    _found(tenant, path, item_id)
    tenant.store.remove_entry(PLAIN[path].kind, item_id)
    tenant.respell()
    return NOTHING


def scope_tags(tenant: Tenant, call: Call) -> Answer:
    """``GET`` of the scope tags: there is only the one that every tenant has from the start."""
    queries.check(call)
    default = {"id": "0", "displayName": "Default", "description": "", "isBuiltIn": True}
    return queries.many(call, [default], "deviceManagement/roleScopeTags", tenant.options.page)


def of_role(tenant: Tenant, call: Call, role_id: str) -> Answer:
    """``GET`` of the assignments of one role."""
    entries = tenant.store.entries(ROLE_ASSIGNMENT).items()
    path = "deviceManagement/roleAssignments"
    items = [_shown(path, key, entry) for key, entry in entries if _role(entry) == role_id]
    return queries.many(call, items, path, tenant.options.page)


def _role(entry: Mapping[str, Json]) -> str:
    bound = str(entry.get("roleDefinition@odata.bind", ""))
    return bound.rstrip(")").rstrip("'").replace("('", "/").rpartition("/")[2]


def _written(body: Mapping[str, Json]) -> dict[str, Json]:
    kept = ("id", "createdDateTime", "lastModifiedDateTime", "@odata.type")
    return {key: value for key, value in body.items() if key not in kept}


def _shown(path: str, entry_id: str, entry: Mapping[str, Json]) -> dict[str, Json]:
    plain = {key: value for key, value in entry.items() if "@odata." not in key}
    return {"id": entry_id, **PLAIN[path].defaults, **plain}


def _found(tenant: Tenant, path: str, item_id: str) -> dict[str, Json]:
    entry = tenant.store.entry(PLAIN[path].kind, item_id)
    if entry is None:
        raise not_found(f"Object with id {item_id} not found in {path.rpartition('/')[2]}.")
    return entry
