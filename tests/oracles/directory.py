"""What Microsoft's client does with groups, people, devices and assignment filters."""

from collections.abc import Mapping
from typing import Any

from msgraph_beta import GraphServiceClient
from msgraph_beta.generated.directory_objects.get_by_ids.get_by_ids_post_request_body import GetByIdsPostRequestBody
from msgraph_beta.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph_beta.generated.models.assignment_filter_management_type import AssignmentFilterManagementType
from msgraph_beta.generated.models.device_and_app_management_assignment_filter import (
    DeviceAndAppManagementAssignmentFilter,
)
from msgraph_beta.generated.models.device_platform_type import DevicePlatformType
from msgraph_beta.generated.models.group import Group
from msgraph_beta.generated.models.reference_create import ReferenceCreate

from tests.oracles.connection import asking, plain

Json = Any

_Asked = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters


async def tell(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Make a group with the group ``staff`` and the user ``carol`` in it; make, change and delete filters."""
    return {"groups": await _groups(graph, given), "filters": await _filters(graph), "others": await _others(graph)}


async def _groups(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    sent = Group(
        display_name="Everyone at Contoso",
        mail_nickname="everyone",
        mail_enabled=False,
        security_enabled=True,
        group_types=[],
    )
    made = await graph.groups.post(sent)
    one = graph.groups.by_group_id(made.id)
    for member in (given["staff"], given["carol"], given["bob"]):
        address = f"https://graph.microsoft.com/beta/directoryObjects/{member}"
        await one.members.ref.post(ReferenceCreate(odata_id=address))
    await one.members.by_directory_object_id(given["bob"]).ref.delete()
    eventual = asking(ConsistencyLevel="eventual")
    direct, nested = await one.members.get(), await one.transitive_members.get()
    users = await one.transitive_members.graph_user.get(eventual)
    known = await graph.directory_objects.get_by_ids.post(
        GetByIdsPostRequestBody(ids=[made.id, given["carol"]], types=["group", "user"])
    )
    named = await graph.groups.get(asking(_Asked(filter="startswith(displayName,'Every')", select=["id"])))
    counted = await graph.groups.get(asking(_Asked(count=True, top=1), ConsistencyLevel="eventual"))
    found = {
        "read": plain(await one.get()),
        "direct": _named(direct.value),
        "nested": _named(nested.value),
        "users": _named(users.value),
        "counts": [
            await one.members.count.get(eventual),
            await one.transitive_members.count.get(eventual),
            await one.transitive_members.graph_user.count.get(eventual),
            await one.transitive_members.graph_device.count.get(eventual),
        ],
        "by ids": _named(known.value),
        "named": [group.id for group in named.value],
        "counted": [len(counted.value), counted.odata_count],
        "id": made.id,
    }
    await one.delete()
    return {**found, "left": _named((await graph.groups.get()).value)}


def _named(found: Any) -> list[list[str]]:
    return sorted([type(item).__name__, item.display_name] for item in found)


async def _filters(graph: GraphServiceClient) -> Json:
    many = graph.device_management.assignment_filters
    made = []
    for name in ("Corporate", "Gone"):
        sent = DeviceAndAppManagementAssignmentFilter(
            display_name=name,
            platform=DevicePlatformType.Windows10AndLater,
            rule='(device.deviceOwnership -eq "Corporate")',
            role_scope_tags=["0"],
            assignment_filter_management_type=AssignmentFilterManagementType.Devices,
        )
        made.append(await many.post(sent))
    first, second = (many.by_device_and_app_management_assignment_filter_id(found.id) for found in made)
    await first.patch(DeviceAndAppManagementAssignmentFilter(description="Bought by Contoso."))
    await second.delete()
    return {"read": plain(await first.get()), "left": [found.display_name for found in (await many.get()).value]}


async def _others(graph: GraphServiceClient) -> Json:
    people, devices = await graph.users.get(), await graph.devices.get()
    organizations = await graph.organization.get()
    return {
        "people": [person.user_principal_name for person in people.value],
        "devices": [device.display_name for device in devices.value],
        "organizations": [[found.id, found.display_name] for found in organizations.value],
    }
