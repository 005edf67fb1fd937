"""Assigning an object: the action that replaces all assignments, and adding a single one."""

from collections.abc import Mapping

from maa_gitops.embedded.catalog import place_of
from maa_gitops.embedded.messages import NOTHING, Answer, Call, Json, bad_request, in_utc
from maa_gitops.embedded.objects import found
from maa_gitops.embedded.shown import publishing_state, shown_assignments
from maa_gitops.embedded.tenant import FILTER, GROUP, Tenant, changed
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.shapes import type_name
from maa_gitops.providers.store import GraphSide

_FILTER_ID, _FILTER_MODE = "deviceAndAppManagementAssignmentFilterId", "deviceAndAppManagementAssignmentFilterType"
_GROUP_TARGETS = frozenset({"groupAssignmentTarget", "exclusionGroupAssignmentTarget"})
_TARGETS = _GROUP_TARGETS | {
    "allDevicesAssignmentTarget",
    "allLicensedUsersAssignmentTarget",
    "configurationManagerCollectionAssignmentTarget",
}
_INTENTS = frozenset({"available", "required", "uninstall", "availableWithoutEnrollment"})
_REPORTED = frozenset({"id", "source", "sourceId"})


def assigning(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``POST`` of the action ``assign``: what is sent is all there is afterwards.

    Raises:
        RefusedError: an assignment cannot be, or the object cannot be assigned yet.
    """
    collection, body = tenant.collections[path], call.mapping()
    side = found(tenant, path, item_id)
    sent = body.get(collection.assign or "")
    if not isinstance(sent, list) or not all(isinstance(item, dict) for item in sent):
        raise bad_request(f"The parameter '{collection.assign}' is missing in the body of the action 'assign'.")
    kept = _keep(tenant, call, side, [_checked(tenant, collection, item) for item in sent])
    if place_of(path).assigned == NOTHING.status:
        return NOTHING
    assignments = shown_assignments(kept, collection)
    return Answer(200, {"@odata.context": f"{call.root}/$metadata#{path}", "value": assignments})


def adding(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``POST`` of one more assignment.

    Raises:
        RefusedError: it cannot be, or its target has one already.
    """
    collection = tenant.collections[path]
    side = found(tenant, path, item_id)
    new = _checked(tenant, collection, call.mapping())
    if any(_whom(known) == _whom(new) for known in side.assignments):
        raise bad_request("An assignment with this target exists already.")
    kept = _keep(tenant, call, side, [*side.assignments, new])
    return Answer(201, shown_assignments(kept, collection)[-1])


def _keep(tenant: Tenant, call: Call, side: GraphSide, assignments: list[Mapping[str, Json]]) -> GraphSide:
    """Replace the assignments; of two with one target the second is ignored."""
    if tenant.collections[side.path].publishes and publishing_state(side, call.now) != "published":
        raise bad_request("Invalid operation: app's PublishingState is not 'Published'.")
    single = {_whom(found): found for found in reversed(assignments)}
    in_order = [found for found in assignments if single[_whom(found)] is found]
    reported = changed(side.reported, call.now)
    return tenant.put(GraphSide(side.remote_id, side.path, "", side.properties, in_order, reported))


def _whom(assignment: Mapping[str, Json]) -> tuple[str, str]:
    target = assignment["target"]
    kind = "group" if type_name(target) in _GROUP_TARGETS else str(type_name(target))
    return kind, str(target.get("groupId") or target.get("collectionId") or "")


def _checked(tenant: Tenant, collection: Collection, sent: Mapping[str, Json]) -> dict[str, Json]:
    """One assignment as it is kept."""
    target = sent.get("target")
    if not isinstance(target, dict) or type_name(target) not in _TARGETS:
        raise bad_request("An assignment needs a target of a known type.")
    _refuse_unknown(tenant, target)
    if collection.publishes and sent.get("intent") not in _INTENTS:
        raise bad_request(
            f"The intent '{sent.get('intent')}' of an assignment is none of {', '.join(sorted(_INTENTS))}."
        )
    kept: dict[str, Json] = in_utc({key: value for key, value in sent.items() if key not in _REPORTED})
    return kept


def _refuse_unknown(tenant: Tenant, target: Mapping[str, Json]) -> None:
    is_group = type_name(target) in _GROUP_TARGETS
    if is_group and tenant.store.entry(GROUP, str(target.get("groupId"))) is None:
        raise bad_request(f"The group '{target.get('groupId')}' of an assignment does not exist.")
    wanted, mode = target.get(_FILTER_ID), target.get(_FILTER_MODE)
    if mode in (None, "none"):
        return
    if type_name(target) == "exclusionGroupAssignmentTarget":
        raise bad_request("An assignment filter cannot be used with an exclusion group.")
    if mode not in ("include", "exclude") or tenant.store.entry(FILTER, str(wanted)) is None:
        raise bad_request(f"The assignment filter '{wanted}' ({mode}) does not exist.")
