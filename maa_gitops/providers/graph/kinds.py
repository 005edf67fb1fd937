"""What Graph keeps where: collections, the kinds of object in each, which properties can be written. Data, no rules.

Source: Microsoft Graph beta, resource types of Intune; a profile type of the tenant's own brings its place along.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maa_gitops.model import ProfileType, Target

REPORTED = frozenset(
    (  # noqa: SIM905 - words are easier to read
        "id createdDateTime lastModifiedDateTime version assignments isAssigned publishingState uploadState size "
        "dependentAppCount supersedingAppCount supersededAppCount committedContentVersion categories relationships "
        "runSummary deviceRunStates userRunStates groupAssignments highestAvailableVersion isGlobalScript settingCount "
        "creationSource priorityMetaData isBuiltIn isBuiltInRoleDefinition roleAssignments installSummary "
        "deviceStatuses userStatuses deviceStatusOverview userStatusOverview deviceSettingStateSummaries"
    ).split()
)
"""Properties that Graph only reports."""

DEFAULT_SCOPE = ("0",)
"""The scope tag that an object has where none was given."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of object.

    ``writable`` are the properties that can be set, each with what Graph has where nothing was said. Of ``flags`` only
    the members that are true mean something, ``sets`` are lists without an order, ``immutable`` cannot be changed
    once the object exists. ``settings`` is the type of the settings of its assignments, if they have any. ``whole`` are
    the flags of which Graph takes all or none, with their members.
    """

    writable: Mapping[str, object]
    flags: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset({"roleScopeTagIds"})
    immutable: frozenset[str] = frozenset()
    settings: str | None = None
    whole: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """Where the objects of a profile type are, and how they are spoken of.

    ``path`` is below the root of the API. ``kinds`` are by type; empty: any, with the properties that it has.
    ``name`` and ``marker`` are the properties for the display name and for our mark. ``contents`` are texts that Graph
    has in base64. ``assign`` is the member of the body of the action of that name, None: nothing can be assigned.
    ``replaces``: an update is a PUT of the whole. ``expand`` are navigation properties to read along.
    ``hidden`` are members that mark an object as Microsoft's own, if true. ``publishes``: an object can be assigned
    only once its ``publishingState`` is ``published``.
    """

    profile_type: str
    path: str
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    name: str = "displayName"
    marker: str = "description"
    contents: tuple[str, ...] = ()
    assign: str | None = None
    assignment_type: str | None = None
    replaces: bool = False
    expand: tuple[str, ...] = ()
    reported: frozenset[str] = REPORTED
    immutable: frozenset[str] = frozenset()
    hidden: tuple[str, ...] = ()
    publishes: bool = False

    def immutable_of(self, type_name: str | None) -> frozenset[str]:
        """The properties of a kind that cannot be changed once the object exists."""
        kind = self.kinds.get(type_name or "")
        return self.immutable | (kind.immutable if kind is not None else frozenset())


# --- apps ------------------------------------------------------------------------------------------------------------

_APP: Mapping[str, object] = {
    "displayName": "",
    "description": "",
    "publisher": "",
    "largeIcon": None,
    "isFeatured": False,
    "privacyInformationUrl": None,
    "informationUrl": None,
    "owner": "",
    "developer": "",
    "notes": "",
    "roleScopeTagIds": DEFAULT_SCOPE,
}
_VERSIONS = frozenset({"minimumSupportedOperatingSystem"})


def _app(own: Mapping[str, object], *, flags: frozenset[str] = frozenset(), settings: str | None = None) -> Kind:
    return Kind({**_APP, **own}, flags, settings=settings)


APPS: Mapping[str, Kind] = {
    "winGetApp": Kind(
        {**_APP, "packageIdentifier": None, "installExperience": None, "manifestHash": None},
        immutable=frozenset({"packageIdentifier", "installExperience"}),
        settings="winGetAppAssignmentSettings",
    ),
    "webApp": _app({"appUrl": None, "useManagedBrowser": False}),
    "windowsWebApp": _app({"appUrl": None}),
    "macOSWebClip": _app({"appUrl": None, "fullScreenEnabled": False, "preComposedIconEnabled": False}),
    "iosiPadOSWebClip": _app(
        {
            "appUrl": None,
            "useManagedBrowser": False,
            "fullScreenEnabled": False,
            "ignoreManifestScope": False,
            "preComposedIconEnabled": False,
            "targetApplicationBundleIdentifier": None,
        }
    ),
    "androidStoreApp": _app(
        {"packageId": None, "appStoreUrl": None, "minimumSupportedOperatingSystem": None}, flags=_VERSIONS
    ),
    "iosStoreApp": Kind(
        {
            **_APP,
            "bundleId": None,
            "appStoreUrl": None,
            "applicableDeviceType": None,
            "minimumSupportedOperatingSystem": None,
            "appleDeviceAppDeliveryProtocolType": None,
        },
        flags=_VERSIONS | {"applicableDeviceType"},
        settings="iosStoreAppAssignmentSettings",
        whole={"applicableDeviceType": ("iPad", "iPhoneAndIPod")},
    ),
    "officeSuiteApp": Kind(
        {
            **_APP,
            "productIds": (),
            "officePlatformArchitecture": None,
            "updateChannel": None,
            "updateVersion": "",
            "targetVersion": "",
            "excludedApps": None,
            "localesToInstall": (),
            "autoAcceptEula": False,
            "useSharedComputerActivation": False,
            "shouldUninstallOlderVersionsOfOffice": False,
            "installProgressDisplayLevel": "none",
            "officeSuiteAppDefaultFileFormat": "notConfigured",
            "officeConfigurationXml": None,
        },
        flags=frozenset({"excludedApps"}),
        sets=frozenset({"roleScopeTagIds", "productIds", "localesToInstall"}),
        immutable=frozenset({"officePlatformArchitecture"}),
    ),
    "windowsMicrosoftEdgeApp": _app({"channel": "stable", "displayLanguageLocale": None}),
    "macOSMicrosoftEdgeApp": _app({"channel": "stable"}),
    "macOSOfficeSuiteApp": _app({}),
    "macOSMicrosoftDefenderApp": _app({}),
}

# --- scripts ---------------------------------------------------------------------------------------------------------

_SCRIPT: Mapping[str, object] = {
    "displayName": "",
    "description": "",
    "runAsAccount": None,
    "roleScopeTagIds": DEFAULT_SCOPE,
}

_COLLECTIONS = (
    Collection(
        "app",
        "deviceAppManagement/mobileApps",
        APPS,
        marker="notes",
        assign="mobileAppAssignments",
        assignment_type="mobileAppAssignment",
        publishes=True,
    ),
    Collection(
        "script",
        "deviceManagement/deviceManagementScripts",
        {
            "deviceManagementScript": Kind(
                {**_SCRIPT, "scriptContent": "", "fileName": "", "enforceSignatureCheck": False, "runAs32Bit": False}
            )
        },
        contents=("scriptContent",),
        assign="deviceManagementScriptAssignments",
        assignment_type="deviceManagementScriptAssignment",
    ),
    Collection(
        "script",
        "deviceManagement/deviceShellScripts",
        {
            "deviceShellScript": Kind(
                {
                    **_SCRIPT,
                    "scriptContent": "",
                    "fileName": "",
                    "blockExecutionNotifications": False,
                    "executionFrequency": None,
                    "retryCount": 0,
                }
            )
        },
        contents=("scriptContent",),
        assign="deviceManagementScriptAssignments",
        assignment_type="deviceManagementScriptAssignment",
    ),
    Collection(
        "script",
        "deviceManagement/deviceHealthScripts",
        {
            "deviceHealthScript": Kind(
                {
                    **_SCRIPT,
                    "publisher": "",
                    "detectionScriptContent": "",
                    "remediationScriptContent": "",
                    "detectionScriptParameters": (),
                    "remediationScriptParameters": (),
                    "enforceSignatureCheck": False,
                    "runAs32Bit": False,
                    "deviceHealthScriptType": "deviceHealthScript",
                }
            )
        },
        contents=("detectionScriptContent", "remediationScriptContent"),
        assign="deviceHealthScriptAssignments",
        assignment_type="deviceHealthScriptAssignment",
        hidden=("isGlobalScript",),
    ),
)
"""What every target has."""

ON_REQUEST = (
    Collection(
        "compliancePolicy",
        "deviceManagement/deviceCompliancePolicies",
        assign="assignments",
        expand=("scheduledActionsForRule($expand=scheduledActionConfigurations)",),
        immutable=frozenset({"scheduledActionsForRule"}),
    ),
    Collection(
        "configurationPolicy",
        "deviceManagement/configurationPolicies",
        name="name",
        assign="assignments",
        replaces=True,
        expand=("settings",),
        immutable=frozenset({"platforms", "technologies"}),
    ),
    Collection("role", "deviceManagement/roleDefinitions", hidden=("isBuiltIn", "isBuiltInRoleDefinition")),
    Collection("tenantConfiguration", "deviceManagement/deviceCategories"),
)
"""Where Graph keeps profile types that a tenant may define; ``profileTypes`` in ``maa.yaml`` adds others."""


def collections(target: Target) -> tuple[Collection, ...]:
    """The collections of the profile types that a target takes."""
    own = (_own_collection(profile_type) for profile_type in target.types)
    return (*_COLLECTIONS, *(collection for collection in own if collection is not None))


def _own_collection(profile_type: ProfileType) -> Collection | None:
    """Where the objects of a profile type of the tenant's are; None: nobody said, so Graph does not take them."""
    place = profile_type.graph
    if not place:
        return next((known for known in ON_REQUEST if known.profile_type == profile_type.name), None)
    return Collection(
        profile_type.name,
        str(place["path"]),
        name=str(place.get("nameProperty", "displayName")),
        marker=str(place.get("markerProperty", "description")),
        assign=str(place["assignProperty"]) if "assignProperty" in place else None,
        replaces=place.get("update", "PATCH") == "PUT",
        expand=_words(place.get("expand")),
        reported=REPORTED | {*_words(place.get("readOnly"))},
        immutable=frozenset(_words(place.get("immutable"))),
        hidden=next((known.hidden for known in ON_REQUEST if known.path == place["path"]), ()),
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else ()
