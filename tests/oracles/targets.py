"""Whom an assignment is for, as the classes of Microsoft's client have it."""

from msgraph_beta.generated.models.all_devices_assignment_target import AllDevicesAssignmentTarget
from msgraph_beta.generated.models.all_licensed_users_assignment_target import AllLicensedUsersAssignmentTarget
from msgraph_beta.generated.models.configuration_manager_collection_assignment_target import (
    ConfigurationManagerCollectionAssignmentTarget,
)
from msgraph_beta.generated.models.device_and_app_management_assignment_filter_type import (
    DeviceAndAppManagementAssignmentFilterType,
)
from msgraph_beta.generated.models.device_and_app_management_assignment_target import (
    DeviceAndAppManagementAssignmentTarget as Target,
)
from msgraph_beta.generated.models.exclusion_group_assignment_target import ExclusionGroupAssignmentTarget
from msgraph_beta.generated.models.group_assignment_target import GroupAssignmentTarget


def group(group_id: str) -> Target:
    """The members of a group."""
    return GroupAssignmentTarget(group_id=group_id)


def excluded(group_id: str) -> Target:
    """Not the members of a group."""
    return ExclusionGroupAssignmentTarget(group_id=group_id)


def all_devices() -> Target:
    """Every device."""
    return AllDevicesAssignmentTarget()


def all_users() -> Target:
    """Every user."""
    return AllLicensedUsersAssignmentTarget()


def collection(collection_id: str) -> Target:
    """A collection of Configuration Manager, which a resource cannot say."""
    return ConfigurationManagerCollectionAssignmentTarget(collection_id=collection_id)


def filtered(target: Target, filter_id: str, mode: str = "include") -> Target:
    """A target, narrowed by an assignment filter."""
    target.device_and_app_management_assignment_filter_id = filter_id
    target.device_and_app_management_assignment_filter_type = DeviceAndAppManagementAssignmentFilterType(mode)
    return target
