"""Where the two backup tools keep what of Graph, and the profile type that a tenant needs for it. Data, no rules."""

from dataclasses import dataclass

from maa_gitops.importing.names import kebab
from maa_gitops.providers.graph.kinds import ON_REQUEST


@dataclass(frozen=True, slots=True)
class Place:
    """One collection of Graph: its path, the profile type for it, the folders of IntuneCD and of IntuneManagement.

    An empty folder: the tool does not keep it, or mixed with others. ``assign`` is the member of the body of the action
    of that name.
    """

    path: str
    profile_type: str
    intunecd: str
    intune_management: str
    assign: str | None = "assignments"


PLACES = (
    Place("deviceAppManagement/mobileApps", "app", "Applications", "Applications"),
    Place("deviceManagement/deviceManagementScripts", "script", "Scripts/Powershell", "PowerShellScripts"),
    Place("deviceManagement/deviceShellScripts", "script", "Scripts/Shell", "MacScripts"),
    Place("deviceManagement/deviceHealthScripts", "script", "Proactive Remediations", "DeviceHealthScripts"),
    Place(
        "deviceManagement/deviceCompliancePolicies",
        "compliancePolicy",
        "Compliance Policies/Policies",
        "CompliancePolicies",
    ),
    Place("deviceManagement/compliancePolicies", "linuxCompliancePolicy", "", "CompliancePoliciesV2"),
    Place("deviceManagement/configurationPolicies", "configurationPolicy", "Settings Catalog", "SettingsCatalog"),
    Place(
        "deviceManagement/deviceConfigurations", "deviceConfiguration", "Device Configurations", "DeviceConfiguration"
    ),
    Place("deviceManagement/roleDefinitions", "role", "Roles", "RoleDefinitions", None),
    Place("deviceManagement/deviceCategories", "tenantConfiguration", "Device Categories", "DeviceCategories", None),
    Place("deviceManagement/assignmentFilters", "assignmentFilter", "Filters", "AssignmentFilters", None),
    Place("deviceManagement/roleScopeTags", "scopeTag", "Scope Tags", "ScopeTags", None),
    Place("deviceManagement/termsAndConditions", "termsAndConditions", "", "TermsAndConditions", None),
    Place("deviceManagement/windowsFeatureUpdateProfiles", "featureUpdate", "Feature Updates", "FeatureUpdates"),
    Place("deviceManagement/windowsQualityUpdateProfiles", "qualityUpdate", "Quality Updates", "QualityUpdates"),
    Place("deviceManagement/windowsDriverUpdateProfiles", "driverUpdate", "Driver Updates", "DriverUpdateProfiles"),
)

KNOWN_TO_GRAPH = frozenset(collection.profile_type for collection in ON_REQUEST)
"""Profile types of which the tool knows where Graph keeps them, once ``maa.yaml`` has them."""


def hint(path: str) -> str | None:
    """The line of ``maa.yaml`` that makes a profile type for a collection; None: none is known to do."""
    place = next((place for place in PLACES if place.path == path), None)
    if place is None:
        return None
    assign = f", assignProperty: {place.assign}" if place.assign is not None else ""
    graph = "" if place.profile_type in KNOWN_TO_GRAPH else f", graph: {{path: {path}{assign}}}"
    return f"profileTypes: {{{place.profile_type}: {{folder: {_plural(kebab(place.profile_type))}{graph}}}}}"


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else word if word.endswith("s") else f"{word}s"
