"""The directory: groups with their members, users, devices, the organization."""

from collections.abc import Iterator, Mapping
from uuid import UUID, uuid4

from maa_gitops.embedded import queries
from maa_gitops.embedded.messages import NOTHING, Answer, Call, Json, RefusedError, bad_request, not_in_directory, stamp
from maa_gitops.embedded.tenant import GROUP, Tenant, new_group

USER, DEVICE = "user", "device"
_KINDS = {"groups": GROUP, "users": USER, "devices": DEVICE}
_MEMBERS = "members"
_REQUIRED = {
    GROUP: ("displayName", "mailNickname", "mailEnabled", "securityEnabled"),
    USER: ("displayName", "userPrincipalName"),
    DEVICE: ("displayName",),
}


def kind_of(segment: str) -> str:
    """The kind of entries that a collection of the directory has."""
    return _KINDS[segment]


def shown(kind: str, entry_id: str, entry: Mapping[str, Json], *, typed: bool = False) -> dict[str, Json]:
    """An entry as an answer has it; among things of several kinds it says of which it is."""
    plain = {key: value for key, value in entry.items() if key != _MEMBERS}
    return {**({"@odata.type": f"#microsoft.graph.{kind}"} if typed else {}), "id": entry_id, **plain}


# --- entries of one kind ---------------------------------------------------------------------------------------------


def listing(tenant: Tenant, call: Call, segment: str) -> Answer:
    """``GET`` of a collection."""
    queries.check(call)
    if "$count" in call.query:
        _refuse_impatient(call)
    items = [shown(kind_of(segment), key, found) for key, found in tenant.store.entries(kind_of(segment)).items()]
    return queries.many(call, items, segment, tenant.options.page)


def counting(tenant: Tenant, call: Call, segment: str) -> Answer:
    """``GET`` of a collection's ``$count``."""
    _refuse_impatient(call)
    items = tenant.store.entries(kind_of(segment)).items()
    return queries.count(call, [shown(kind_of(segment), key, found) for key, found in items])


def reading(tenant: Tenant, call: Call, segment: str, item_id: str) -> Answer:
    """``GET`` of one entry."""
    queries.check(call)
    entry = found(tenant, kind_of(segment), item_id)
    return queries.one(call, shown(kind_of(segment), item_id, entry), f"{segment}/$entity")


def making(tenant: Tenant, call: Call, segment: str) -> Answer:
    """``POST`` of a new entry.

    Raises:
        RefusedError: something that it needs is missing.
    """
    kind, body = kind_of(segment), call.mapping()
    for name in _REQUIRED[kind]:
        if body.get(name) in (None, ""):
            raise RefusedError(400, "Request_BadRequest", f"A value is required for property '{name}' of resource.")
    plain = {key: value for key, value in body.items() if key not in ("id", _MEMBERS) and "@odata." not in key}
    if kind == GROUP:
        plain = {**new_group(str(body["displayName"])), "createdDateTime": stamp(call.now), **plain}
        plain[_MEMBERS] = [_member(tenant, reference)[1] for reference in body.get("members@odata.bind", [])]
    entry_id = str(uuid4())
    tenant.store.put_entry(kind, entry_id, plain)
    tenant.respell()
    answer = queries.one(call, shown(kind, entry_id, plain), f"{segment}/$entity")
    return Answer(201, answer.body)


def changing(tenant: Tenant, call: Call, segment: str, item_id: str) -> Answer:
    """``PATCH`` of an entry."""
    entry, body = found(tenant, kind_of(segment), item_id), call.mapping()
    new = {key: value for key, value in body.items() if key not in ("id", _MEMBERS) and "@odata." not in key}
    tenant.store.put_entry(kind_of(segment), item_id, {**entry, **new})
    tenant.respell()
    return NOTHING


def deleting(tenant: Tenant, call: Call, segment: str, item_id: str) -> Answer:  # noqa: ARG001 - a handler's signature
    """``DELETE`` of an entry, which leaves every group; assignments go on naming its id."""
    found(tenant, kind_of(segment), item_id)
    tenant.store.remove_entry(kind_of(segment), item_id)
    for group_id, group in tenant.store.entries(GROUP).items():
        if item_id in group[_MEMBERS]:
            _put_members(tenant, group_id, group, [member for member in group[_MEMBERS] if member != item_id])
    tenant.respell()
    return NOTHING


def found(tenant: Tenant, kind: str, item_id: str) -> dict[str, Json]:
    """An entry.

    Raises:
        RefusedError: it is not there.
    """
    entry = tenant.store.entry(kind, item_id)
    if entry is None:
        raise not_in_directory(item_id)
    return entry


# --- members ---------------------------------------------------------------------------------------------------------


def members(tenant: Tenant, call: Call, item_id: str, *, nested: bool = False, kind: str | None = None) -> Answer:
    """``GET`` of a group's members: direct ones, or those of the groups in it as well; of one kind, if one is named."""
    queries.check(call)
    if kind is not None or "$count" in call.query:
        _refuse_impatient(call)
    return queries.many(call, _members(tenant, item_id, nested, kind), "directoryObjects", tenant.options.page)


def counting_members(
    tenant: Tenant, call: Call, item_id: str, *, nested: bool = False, kind: str | None = None
) -> Answer:
    """``GET`` of how many members a group has."""
    _refuse_impatient(call)
    return queries.count(call, _members(tenant, item_id, nested, kind))


def _members(tenant: Tenant, group_id: str, nested: bool, kind: str | None) -> list[dict[str, Json]]:
    found(tenant, GROUP, group_id)
    everything = _everything(tenant)
    ids = _within(everything, group_id) if nested else everything[group_id][1][_MEMBERS]
    there = [(member, *everything[member]) for member in ids if member in everything]
    return [shown(of, member, entry, typed=True) for member, of, entry in there if kind is None or of == kind]


def _within(everything: Mapping[str, tuple[str, Mapping[str, Json]]], group_id: str) -> Iterator[str]:
    """Everybody in a group and in the groups in it, once each, however the groups are nested."""
    waiting, seen = [group_id], {group_id}
    while waiting:
        kind, entry = everything.get(waiting.pop(0), ("", {}))
        for member in entry.get(_MEMBERS, ()) if kind == GROUP else ():
            if member not in seen:
                seen.add(member)
                waiting.append(member)
                yield member


def _everything(tenant: Tenant) -> dict[str, tuple[str, dict[str, Json]]]:
    kinds = (GROUP, USER, DEVICE)
    return {key: (kind, entry) for kind in kinds for key, entry in tenant.store.entries(kind).items()}


def joining(tenant: Tenant, call: Call, item_id: str) -> Answer:
    """``POST`` of a reference to a new member.

    Raises:
        RefusedError: it is one already, or is nothing that there is.
    """
    group = found(tenant, GROUP, item_id)
    member = _member(tenant, call.mapping().get("@odata.id"))[1]
    if member in group[_MEMBERS]:
        text = "One or more added object references already exist for the following modified properties: 'members'."
        raise RefusedError(400, "Request_BadRequest", text)
    _put_members(tenant, item_id, group, [*group[_MEMBERS], member])
    return NOTHING


def leaving(tenant: Tenant, call: Call, item_id: str, member: str) -> Answer:  # noqa: ARG001 - a handler's signature
    """``DELETE`` of the reference to a member."""
    group = found(tenant, GROUP, item_id)
    if member not in group[_MEMBERS]:
        raise not_in_directory(member)
    _put_members(tenant, item_id, group, [known for known in group[_MEMBERS] if known != member])
    return NOTHING


def _put_members(tenant: Tenant, group_id: str, group: Mapping[str, Json], ids: list[str]) -> None:
    tenant.store.put_entry(GROUP, group_id, {**group, _MEMBERS: ids})


def _member(tenant: Tenant, reference: Json) -> tuple[str, str]:
    """The kind and the id of what a reference, the address of an entry, leads to."""
    member = str(reference or "").rstrip("/").rpartition("/")[2]
    for kind in (USER, DEVICE, GROUP):
        if tenant.store.entry(kind, member) is not None:
            return kind, member
    raise not_in_directory(member)


def _refuse_impatient(call: Call) -> None:
    """Refuse an advanced query of somebody who does not take an index that lags behind."""
    if not call.is_eventual:
        text = "Request with $count query parameter or segment, or with a cast, needs the header ConsistencyLevel."
        raise RefusedError(400, "Request_UnsupportedQuery", text)


# --- all kinds -------------------------------------------------------------------------------------------------------


def by_ids(tenant: Tenant, call: Call) -> Answer:
    """``POST`` of ``getByIds``: the things of these ids, of these kinds if they are named; unknown ids are left out."""
    body = call.mapping()
    ids, kinds = body.get("ids"), body.get("types") or []
    if not isinstance(ids, list) or len(ids) > 1000:
        raise bad_request("The parameter 'ids' must be a list of at most 1,000 ids.")
    everything = _everything(tenant)
    there = [(key, *everything[key]) for key in dict.fromkeys(map(str, ids)) if key in everything]
    shown_ones = [shown(kind, key, entry, typed=True) for key, kind, entry in there if not kinds or kind in kinds]
    return Answer(200, {"@odata.context": f"{call.root}/$metadata#directoryObjects", "value": shown_ones})


def organization(tenant: Tenant, call: Call) -> Answer:
    """``GET`` of the one organization, whose id is that of the file."""
    domain = {"name": f"{tenant.options.name.lower()}.com", "isDefault": True, "isInitial": True}
    item = {"id": str(UUID(tenant.store.id)), "displayName": tenant.options.name, "verifiedDomains": [domain]}
    return queries.many(call, [item], "organization", tenant.options.page)
