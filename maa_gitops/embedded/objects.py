"""The objects of a collection: listing, reading, making, changing, deleting."""

import base64
import binascii
from collections.abc import Mapping
from uuid import uuid4

from maa_gitops.embedded import queries
from maa_gitops.embedded.catalog import common, place_of
from maa_gitops.embedded.messages import NOTHING, Answer, Call, Json, bad_request, in_utc, not_found, stamp
from maa_gitops.embedded.shown import (
    PUBLISHES,
    READ,
    first_state,
    navigations,
    shown,
    shown_assignments,
)
from maa_gitops.embedded.tenant import Tenant, born, changed
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.shapes import PREFIX, type_name
from maa_gitops.providers.store import GraphSide

_BLOCKS = "block"
_BELOW = "scheduledActionConfigurations"
"""What lies below one of the things behind a navigation property."""

_NO_TEMPLATE = "00000000-0000-0000-0000-000000000000"


def listing(tenant: Tenant, call: Call, path: str) -> Answer:
    """``GET`` of a collection."""
    collection, asked = tenant.collections[path], _asked(tenant, call, path)
    sides = tenant.store.graph_sides(path).values()
    items = [_expanded(call, side, collection, asked, shown(side, collection, call.now, listed=True)) for side in sides]
    return queries.many(call, items, path, tenant.options.page)


def counting(tenant: Tenant, call: Call, path: str) -> Answer:
    """``GET`` of a collection's ``$count``."""
    collection = tenant.collections[path]
    return queries.count(call, [shown(side, collection, call.now) for side in tenant.store.graph_sides(path).values()])


def reading(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``GET`` of one object; an app that waits to be read is published after this."""
    collection, asked = tenant.collections[path], _asked(tenant, call, path)
    side = found(tenant, path, item_id)
    answer = _expanded(call, side, collection, asked, shown(side, collection, call.now))
    if side.reported.get(PUBLISHES) == READ:
        _keep_reported(tenant, side, {key: value for key, value in side.reported.items() if key != PUBLISHES})
    return queries.one(call, answer, f"{path}/$entity")


def _keep_reported(tenant: Tenant, side: GraphSide, reported: Mapping[str, Json]) -> None:
    kept = GraphSide(side.remote_id, side.path, side.basis, side.properties, side.assignments, reported)
    tenant.store.put_graph_side(kept)


def found(tenant: Tenant, path: str, item_id: str) -> GraphSide:
    """An object of a collection.

    Raises:
        RefusedError: it is not there.
    """
    side = tenant.store.graph_sides(path, item_id).get(item_id)
    if side is None:
        raise not_found(f"Object with id {item_id} not found in {path.rpartition('/')[2]}.")
    return side


def _asked(tenant: Tenant, call: Call, path: str) -> dict[str, str]:
    """What ``$expand`` asks for."""
    collection = tenant.collections[path]
    expandable = navigations(collection) | {"assignments"}
    return queries.check(call, expandable=expandable | ({"categories"} if collection.publishes else set()))


def _expanded(
    call: Call, side: GraphSide, collection: Collection, asked: Mapping[str, str], item: Mapping[str, Json]
) -> dict[str, Json]:
    answer = dict(item)
    for name, below in asked.items():
        answer[f"{name}@odata.context"] = f"{call.root}/$metadata#{side.path}('{side.remote_id}')/{name}"
        answer[name] = _behind(side, collection, name, below)
    return answer


def _behind(side: GraphSide, collection: Collection, name: str, below: str) -> list[Json]:
    """What an expanded navigation property gives; of some objects assignments are never there."""
    if name != "assignments":
        return numbered(side, name, below)
    return list(shown_assignments(side, collection)) if place_of(side.path).expands_assignments else []


def numbered(side: GraphSide, name: str, below: str = "") -> list[Json]:
    """The things behind a navigation property, each with an id; those below them only if they are asked for."""
    items = side.properties.get(name)
    plain = items if isinstance(items, list) else []
    return [_numbered(item, number, below) if isinstance(item, dict) else item for number, item in enumerate(plain)]


def _numbered(item: Mapping[str, Json], number: int, below: str) -> dict[str, Json]:
    actions = item.get(_BELOW)
    rest = {key: value for key, value in item.items() if key != _BELOW}
    if isinstance(actions, list) and _BELOW in below:
        rest[_BELOW] = [_action(action, f"{number}.{at}") for at, action in enumerate(actions)]
    return {"id": str(number), **rest}


def _action(action: Mapping[str, Json], action_id: str) -> dict[str, Json]:
    """An action of a compliance policy; Graph has an id of zeros where none is given for a template."""
    template = action.get("notificationTemplateId") or _NO_TEMPLATE
    return {"id": action_id, **action, "notificationTemplateId": template}


def navigating(tenant: Tenant, call: Call, path: str, item_id: str, name: str) -> Answer:
    """``GET`` of what is behind a navigation property."""
    side = found(tenant, path, item_id)
    below = queries.check(call, expandable=frozenset({_BELOW, "settingDefinitions"}))
    if name == "assignments":
        items = shown_assignments(side, tenant.collections[path])
    else:
        items = numbered(side, name, ",".join(below))
    return queries.many(call, items, f"{path}('{item_id}')/{name}", tenant.options.page)


# --- writing ---------------------------------------------------------------------------------------------------------


def making(tenant: Tenant, call: Call, path: str) -> Answer:
    """``POST`` of a new object.

    Raises:
        RefusedError: its type is unknown here, or something that it needs is missing or no such thing.
    """
    collection, body = tenant.collections[path], call.mapping()
    properties = accepted(collection, body)
    kind = _type_of(path, body)
    if kind is not None:
        properties = {"@odata.type": PREFIX + kind, **properties}
    _refuse_incomplete(collection, kind, properties)
    delay = tenant.options.publishing
    when = READ if delay is None else stamp(call.now + delay)
    reported = {**born(call.now), **first_state(kind, collection, when)}
    side = tenant.put(GraphSide(str(uuid4()), path, "", properties, (), reported), is_new=True)
    answer = queries.one(call, shown(side, collection, call.now), f"{path}/$entity")
    return Answer(201, answer.body, {"Location": f"{call.root}/{path}/{side.remote_id}"})


def accepted(collection: Collection, body: Mapping[str, Json]) -> dict[str, Json]:
    """The properties that can be written; what Graph only reports is ignored.

    Raises:
        RefusedError: a text is not in base64.
    """
    for name in collection.contents:
        if isinstance(body.get(name), str):
            _refuse_other_than_base64(name, body[name])
    kept = {key: value for key, value in body.items() if key not in collection.reported and "@odata." not in key}
    written: dict[str, Json] = in_utc(kept)
    return written


def _refuse_other_than_base64(name: str, text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"Cannot convert the literal '{name}' to the expected type 'Edm.Binary'.") from error


def _type_of(path: str, body: Mapping[str, Json]) -> str | None:
    place = place_of(path)
    kind = type_name(body) or place.type
    allowed = place.types or ({place.type} if place.type is not None else set())
    if kind is None and allowed:
        raise bad_request(f"Cannot create an abstract class: '@odata.type' is missing in the body for {path}.")
    if allowed and kind not in allowed:
        raise bad_request(f"Invalid type '{kind}' specified in the payload for {path}.")
    return kind


def _refuse_incomplete(collection: Collection, kind: str | None, properties: Mapping[str, Json]) -> None:
    required = place_of(collection.path).required
    for name in (*required.get("", ()), *required.get(kind or "", ())):
        if properties.get(name) in (None, "", {}):
            raise bad_request(f"{name} must not be null or empty.")
    if kind == "winGetApp" and not isinstance(properties["installExperience"], dict):
        raise bad_request("installExperience must be an object.")
    if "scheduledActionsForRule" in required.get("", ()) and not _can_block(properties["scheduledActionsForRule"]):
        raise bad_request("Exactly one 'block' action is required for a compliance policy.")


def _can_block(rules: Json) -> bool:
    """Whether the actions of a compliance policy have the one that Graph insists on."""
    actions = [rule.get(_BELOW) for rule in rules if isinstance(rule, dict)]
    flat = [action for some in actions if isinstance(some, list) for action in some if isinstance(action, dict)]
    return [action.get("actionType") for action in flat].count(_BLOCKS) == 1


def changing(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``PATCH`` of an object: what is named changes, the rest stays.

    Raises:
        RefusedError: it is Microsoft's own, or what is to change cannot.
    """
    collection, body = tenant.collections[path], call.mapping()
    side = found(tenant, path, item_id)
    _refuse_built_in(collection, side)
    _refuse_other_type(collection, side, body)
    new = accepted(collection, body)
    if collection.replaces and navigations(collection) & new.keys():
        raise bad_request(f"{', '.join(sorted(navigations(collection) & new.keys()))} can only be replaced with PUT.")
    _refuse_immutable(collection, side, new)
    kept = _put(tenant, call, side, {**side.properties, **new})
    return queries.one(call, shown(kept, collection, call.now), f"{path}/$entity")


def replacing(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:
    """``PUT`` of an object: it is what is sent, and nothing else.

    Raises:
        RefusedError: this collection knows no ``PUT``, or what is to change cannot.
    """
    collection, body = tenant.collections[path], call.mapping()
    side = found(tenant, path, item_id)
    _refuse_other_type(collection, side, body)
    kind = {"@odata.type": side.properties["@odata.type"]} if "@odata.type" in side.properties else {}
    new = {**kind, **accepted(collection, body)}
    _refuse_incomplete(collection, type_name(side.properties), new)
    _refuse_immutable(collection, side, new)
    _put(tenant, call, side, new)
    return NOTHING


def _put(tenant: Tenant, call: Call, side: GraphSide, properties: Mapping[str, Json]) -> GraphSide:
    reported = changed(side.reported, call.now)
    return tenant.put(GraphSide(side.remote_id, side.path, "", properties, side.assignments, reported))


def _refuse_built_in(collection: Collection, side: GraphSide) -> None:
    for name in collection.hidden:
        if side.reported.get(name) is True:
            raise bad_request(f"{side.remote_id} is built in: it cannot be changed.")


def _refuse_other_type(collection: Collection, side: GraphSide, body: Mapping[str, Json]) -> None:
    given, kind = type_name(body), type_name(side.properties)
    if given is not None and given != kind:
        raise bad_request(f"The type '{given}' is not that of the object, '{kind}'.")
    own = collection.kinds[kind].writable.keys() if kind is not None and kind in collection.kinds else set()
    if given is None and own and place_of(collection.path).says_type:
        for name in sorted((body.keys() & own) - common(collection).keys()):
            base = collection.path.rpartition("/")[2].removesuffix("s")
            raise bad_request(f"The property '{name}' does not exist on type 'microsoft.graph.{base}'.")


def _refuse_immutable(collection: Collection, side: GraphSide, new: Mapping[str, Json]) -> None:
    for name in sorted(collection.immutable_of(type_name(side.properties)) & new.keys()):
        if _bare(new[name]) != _bare(side.properties.get(name)):
            raise bad_request(f"The property '{name}' cannot be changed once the object exists.")


def _bare(value: Json) -> Json:
    """A value without the names of types, which may be given or not."""
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if "@odata." not in key}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def deleting(tenant: Tenant, call: Call, path: str, item_id: str) -> Answer:  # noqa: ARG001 - a handler's signature
    """``DELETE`` of an object.

    Raises:
        RefusedError: it is Microsoft's own, or not there.
    """
    side = found(tenant, path, item_id)
    _refuse_built_in(tenant.collections[path], side)
    tenant.store.remove(item_id)
    return NOTHING
