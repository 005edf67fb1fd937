"""What Microsoft's client does with the profile types that a tenant may add: policies, roles and device categories."""

from collections.abc import Mapping
from typing import Any

from msgraph_beta import GraphServiceClient
from msgraph_beta.generated.device_management.configuration_policies.item.assign.assign_post_request_body import (
    AssignPostRequestBody as AssignConfiguration,
)
from msgraph_beta.generated.device_management.device_compliance_policies import (
    device_compliance_policies_request_builder as compliance,
)
from msgraph_beta.generated.device_management.device_compliance_policies.item.assign.assign_post_request_body import (
    AssignPostRequestBody as AssignCompliance,
)
from msgraph_beta.generated.models.device_and_app_management_role_definition import (
    DeviceAndAppManagementRoleDefinition,
)
from msgraph_beta.generated.models.device_category import DeviceCategory
from msgraph_beta.generated.models.device_compliance_action_item import DeviceComplianceActionItem
from msgraph_beta.generated.models.device_compliance_action_type import DeviceComplianceActionType
from msgraph_beta.generated.models.device_compliance_policy_assignment import DeviceCompliancePolicyAssignment
from msgraph_beta.generated.models.device_compliance_scheduled_action_for_rule import (
    DeviceComplianceScheduledActionForRule,
)
from msgraph_beta.generated.models.device_management_configuration_integer_setting_value import (
    DeviceManagementConfigurationIntegerSettingValue,
)
from msgraph_beta.generated.models.device_management_configuration_platforms import (
    DeviceManagementConfigurationPlatforms,
)
from msgraph_beta.generated.models.device_management_configuration_policy import DeviceManagementConfigurationPolicy
from msgraph_beta.generated.models.device_management_configuration_policy_assignment import (
    DeviceManagementConfigurationPolicyAssignment,
)
from msgraph_beta.generated.models.device_management_configuration_setting import DeviceManagementConfigurationSetting
from msgraph_beta.generated.models.device_management_configuration_simple_setting_instance import (
    DeviceManagementConfigurationSimpleSettingInstance,
)
from msgraph_beta.generated.models.device_management_configuration_technologies import (
    DeviceManagementConfigurationTechnologies,
)
from msgraph_beta.generated.models.resource_action import ResourceAction
from msgraph_beta.generated.models.role_permission import RolePermission
from msgraph_beta.generated.models.windows10_compliance_policy import Windows10CompliancePolicy

from tests.oracles.connection import asking, plain
from tests.oracles.targets import all_users, group

Json = Any

_Builder = compliance.DeviceCompliancePoliciesRequestBuilder
_Compliance = _Builder.DeviceCompliancePoliciesRequestBuilderGetQueryParameters


async def tell(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Make and change one of each; what is there then."""
    return {
        "compliancePolicy": await _compliance(graph, given),
        "configurationPolicy": await _configuration(graph),
        "role": await _role(graph),
        "deviceCategory": await _category(graph),
    }


async def _compliance(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    many = graph.device_management.device_compliance_policies
    block = DeviceComplianceActionItem(action_type=DeviceComplianceActionType.Block, grace_period_hours=24)
    made = await many.post(
        Windows10CompliancePolicy(
            display_name="Windows baseline",
            password_required=True,
            password_minimum_length=12,
            scheduled_actions_for_rule=[
                DeviceComplianceScheduledActionForRule(
                    rule_name="PasswordRequired", scheduled_action_configurations=[block]
                )
            ],
        )
    )
    one = many.by_device_compliance_policy_id(made.id)
    await one.patch(Windows10CompliancePolicy(bit_locker_enabled=True))
    sent = [DeviceCompliancePolicyAssignment(target=group(given["staff"]))]
    assigned = await one.assign.post(AssignCompliance(assignments=sent))
    expand = ["scheduledActionsForRule($expand=scheduledActionConfigurations)", "assignments"]
    listed = await many.get(asking(_Compliance(expand=expand)))
    return {"listed": [plain(found) for found in listed.value], "assigned": [plain(found) for found in assigned.value]}


async def _configuration(graph: GraphServiceClient) -> Json:
    many = graph.device_management.configuration_policies
    setting = DeviceManagementConfigurationSimpleSettingInstance(
        setting_definition_id="device_vendor_msft_policy_config_devicelock_maxinactivitytime",
        simple_setting_value=DeviceManagementConfigurationIntegerSettingValue(value=10),
    )
    made = await many.post(
        DeviceManagementConfigurationPolicy(
            name="Screen lock",
            platforms=DeviceManagementConfigurationPlatforms.Windows10,
            technologies=DeviceManagementConfigurationTechnologies.Mdm,
            settings=[DeviceManagementConfigurationSetting(setting_instance=setting)],
        )
    )
    one = many.by_device_management_configuration_policy_id(made.id)
    await one.patch(DeviceManagementConfigurationPolicy(description="Locks after a while."))
    sent = [DeviceManagementConfigurationPolicyAssignment(target=all_users())]
    assigned = await one.assign.post(AssignConfiguration(assignments=sent))
    settings, read = await one.settings.get(), await one.get()
    return {
        "read": plain(read),
        "flags": [read.platforms, read.technologies],
        "settings": [plain(found) for found in settings.value],
        "assigned": [plain(found) for found in assigned.value],
    }


async def _role(graph: GraphServiceClient) -> Json:
    many = graph.device_management.role_definitions
    actions = ResourceAction(allowed_resource_actions=["Microsoft.Intune_MobileApps_Read"])
    made = await many.post(
        DeviceAndAppManagementRoleDefinition(
            display_name="App reader",
            role_permissions=[RolePermission(resource_actions=[actions])],
            is_built_in=False,
        )
    )
    one = many.by_role_definition_id(made.id)
    await one.patch(DeviceAndAppManagementRoleDefinition(description="Reads apps."))
    return {"class": type(await one.get()).__name__, "read": plain(await one.get())}


async def _category(graph: GraphServiceClient) -> Json:
    many = graph.device_management.device_categories
    kept = await many.post(DeviceCategory(display_name="Kiosk"))
    gone = await many.post(DeviceCategory(display_name="Gone"))
    await many.by_device_category_id(kept.id).patch(DeviceCategory(description="Stands in a hall."))
    await many.by_device_category_id(gone.id).delete()
    return [plain(found) for found in (await many.get()).value]
