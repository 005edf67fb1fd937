"""Fill an empty tenant with a small existing one, the same every time but for its dates."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from maa_gitops.embedded import administration, directory, sample_apps, samples
from maa_gitops.embedded.messages import Json
from maa_gitops.embedded.tenant import FILTER, GROUP, Tenant, born, new_group
from maa_gitops.providers.graph.shapes import PREFIX
from maa_gitops.providers.store import GraphSide, Store

_APPS = "deviceAppManagement/mobileApps"


def sample_id(kind: str, name: str) -> str:
    """The id of something of the sample: the same in every tenant that is filled."""
    return str(uuid5(NAMESPACE_URL, f"https://contoso.com/{kind}/{name}"))


def fill(tenant: Tenant, now: datetime) -> bool:
    """Put the sample into an empty tenant; one that holds something stays as it is. Whether it was put in."""
    with tenant.store.transaction():
        if not _is_empty(tenant.store):
            return False
        _fill_directory(tenant.store, tenant.options.name)
        for path, (kind, properties, assignments, reported) in _objects():
            name = f"{kind}/{properties.get('displayName', properties.get('name'))}"
            given = [_with_ids(found) for found in assignments]
            whole = {"@odata.type": PREFIX + kind, **properties}
            side = GraphSide(sample_id(path, name), path, "", whole, given, {**born(now), **reported})
            tenant.put(side, is_new=True)
    return True


def _is_empty(store: Store) -> bool:
    return not store.objects() and not any(store.entries(kind) for kind in (GROUP, FILTER, directory.USER))


def _objects() -> Iterator[tuple[str, samples.Sample]]:
    for path, some in {_APPS: sample_apps.APPS, **samples.OTHERS}.items():
        yield from ((path, sample) for sample in some)


def _fill_directory(store: Store, tenant: str) -> None:
    ids: dict[str, str] = {}
    for name in samples.PEOPLE:
        ids[name] = sample_id("users", name)
        address = f"{name.lower().replace(' ', '.')}@{tenant.lower()}.com"
        store.put_entry(directory.USER, ids[name], {"displayName": name, "userPrincipalName": address})
    for name, system in samples.DEVICES.items():
        ids[name] = sample_id("devices", name)
        store.put_entry(directory.DEVICE, ids[name], {"displayName": name, "operatingSystem": system})
    for name, members in samples.GROUPS.items():
        ids[name] = sample_id("groups", name)
        store.put_entry(GROUP, ids[name], {**new_group(name), "members": [ids[member] for member in members]})
    for name, properties in samples.FILTERS.items():
        store.put_entry(FILTER, sample_id("filters", name), {"displayName": name, **properties})
    _fill_role_assignment(store, ids["IT Administrators"])


def _fill_role_assignment(store: Store, group: str) -> None:
    role = sample_id("deviceManagement/roleDefinitions", "deviceAndAppManagementRoleDefinition/Application Manager")
    bound = f"https://graph.microsoft.com/beta/deviceManagement/roleDefinitions('{role}')"
    entry = {"displayName": "Administrators", "members": [group], "roleDefinition@odata.bind": bound}
    store.put_entry(administration.ROLE_ASSIGNMENT, sample_id("roleAssignments", "Administrators"), entry)


def _with_ids(assignment: Mapping[str, Json]) -> dict[str, Json]:
    """An assignment with the ids of its group and its filter in the place of their names."""
    target = dict(assignment["target"])
    if "groupId" in target:
        target["groupId"] = sample_id("groups", target["groupId"])
    wanted = target.get("deviceAndAppManagementAssignmentFilterId")
    if wanted is not None:
        target["deviceAndAppManagementAssignmentFilterId"] = sample_id("filters", wanted)
    return {**assignment, "target": target}
