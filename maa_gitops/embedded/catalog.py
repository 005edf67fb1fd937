"""What Graph wants and gives of each collection beside what a resource says: types, requirements, defaults. Data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maa_gitops.model import ProfileType, Target
from maa_gitops.providers.graph.kinds import APPS, Collection, collections

Json = object

_OTHER_APPS = frozenset(
    (  # noqa: SIM905 - words are easier to read
        "win32LobApp windowsMobileMSI windowsUniversalAppX windowsAppX windowsStoreApp win32CatalogApp macOSLobApp "
        "macOSPkgApp macOSDmgApp macOsVppApp macOSMdatpApp iosLobApp iosVppApp iosStoreApp androidLobApp "
        "androidForWorkApp androidManagedStoreApp androidManagedStoreWebApp managedAndroidLobApp "
        "managedAndroidStoreApp managedIOSLobApp managedIOSStoreApp microsoftStoreForBusinessApp"
    ).split()
)
_UPLOADED = frozenset(
    (  # noqa: SIM905 - as above
        "win32LobApp windowsMobileMSI windowsUniversalAppX windowsAppX macOSLobApp macOSPkgApp macOSDmgApp iosLobApp "
        "androidLobApp managedAndroidLobApp managedIOSLobApp"
    ).split()
)
MANAGED_APPS = frozenset({"managedAndroidLobApp", "managedAndroidStoreApp", "managedIOSLobApp", "managedIOSStoreApp"})
"""Apps that the type ``managedApp`` has under it."""

_COMPLIANCE = frozenset(
    (  # noqa: SIM905 - as above
        "windows10CompliancePolicy windows81CompliancePolicy windows10MobileCompliancePolicy iosCompliancePolicy "
        "macOSCompliancePolicy androidCompliancePolicy androidWorkProfileCompliancePolicy "
        "androidForWorkCompliancePolicy androidDeviceOwnerCompliancePolicy aospDeviceOwnerCompliancePolicy"
    ).split()
)
_OFFICE_APPS = [
    "access",
    "bing",
    "excel",
    "groove",
    "infoPath",
    "lync",
    "oneDrive",
    "oneNote",
    "outlook",
    "powerPoint",
    "publisher",
    "sharePointDesigner",
    "teams",
    "visio",
    "word",
]
_ANDROID = "v4_0 v4_0_3 v4_1 v4_2 v4_3 v4_4 v5_0 v5_1 v6_0 v7_0 v7_1 v8_0 v8_1 v9_0 v10_0 v11_0 v12_0 v13_0 v14_0 v15_0"
_IOS = "v8_0 v9_0 v10_0 v11_0 v12_0 v13_0 v14_0 v15_0 v16_0 v17_0 v18_0 v26_0 v27_0"

FLAGS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("officeSuiteApp", "excludedApps"): tuple(_OFFICE_APPS),
    ("androidStoreApp", "minimumSupportedOperatingSystem"): tuple(_ANDROID.split()),
    ("iosStoreApp", "minimumSupportedOperatingSystem"): tuple(_IOS.split()),
    ("iosStoreApp", "applicableDeviceType"): ("iPad", "iPhoneAndIPod"),
}
"""Properties that Graph gives back with every one of their flags, by type and name."""


@dataclass(frozen=True, slots=True)
class Place:
    """What holds for a collection.

    ``type`` is the one that objects have where none is given, ``types`` are those that can be made, empty: any.
    ``says_type``: answers name the type, as Graph does where it is not the collection's only one. ``required`` are
    the properties that an object cannot be made without, by type, ``""`` for every one. ``adds`` is what an answer has
    beside what was written. ``unlisted`` are properties that a list has this value of, whatever the object has.
    ``approval`` is the policy type of native approval. ``assigned`` is the status that the action ``assign`` answers.
    """

    type: str | None = None
    types: frozenset[str] = frozenset()
    says_type: bool = True
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    adds: Mapping[str, Json] = field(default_factory=dict)
    unlisted: Mapping[str, Json] = field(default_factory=dict)
    approval: str = ""
    assigned: int = 200
    expands_assignments: bool = True


_SCRIPT = ("displayName", "fileName", "runAsAccount", "scriptContent")

PLACES: Mapping[str, Place] = {
    "deviceAppManagement/mobileApps": Place(
        types=frozenset(APPS) | _OTHER_APPS,
        required={
            "": ("displayName",),
            "winGetApp": ("packageIdentifier", "installExperience"),
            "webApp": ("appUrl",),
            "windowsWebApp": ("appUrl",),
            "macOSWebClip": ("appUrl",),
            "iosiPadOSWebClip": ("appUrl",),
            "androidStoreApp": ("appStoreUrl",),
            "iosStoreApp": ("appStoreUrl", "applicableDeviceType", "minimumSupportedOperatingSystem"),
        },
        adds={
            "uploadState": 1,
            "dependentAppCount": 0,
            "supersedingAppCount": 0,
            "supersededAppCount": 0,
        },
        unlisted={"largeIcon": None, "roleScopeTagIds": []},
        approval="app",
        assigned=204,
    ),
    "deviceManagement/deviceManagementScripts": Place(
        type="deviceManagementScript",
        says_type=False,
        required={"": _SCRIPT},
        unlisted={"scriptContent": None},
        approval="script",
        assigned=204,
    ),
    "deviceManagement/deviceShellScripts": Place(
        type="deviceShellScript",
        says_type=False,
        required={"": _SCRIPT},
        unlisted={"scriptContent": None},
        approval="script",
        assigned=204,
    ),
    "deviceManagement/deviceHealthScripts": Place(
        type="deviceHealthScript",
        says_type=False,
        required={"": ("displayName", "publisher", "runAsAccount", "detectionScriptContent")},
        adds={"version": "1", "highestAvailableVersion": None, "isGlobalScript": False},
        unlisted={"detectionScriptContent": None, "remediationScriptContent": None},
        approval="script",
        assigned=204,
    ),
    "deviceManagement/deviceCompliancePolicies": Place(
        types=_COMPLIANCE,
        required={"": ("displayName", "scheduledActionsForRule")},
        adds={"version": 1},
        approval="compliancePolicy",
    ),
    "deviceManagement/configurationPolicies": Place(
        type="deviceManagementConfigurationPolicy",
        says_type=False,
        required={"": ("name", "platforms", "technologies", "settings")},
        adds={"creationSource": None, "priorityMetaData": None},
        approval="configurationPolicy",
        expands_assignments=False,
    ),
    "deviceManagement/roleDefinitions": Place(
        type="deviceAndAppManagementRoleDefinition",
        required={"": ("displayName",)},
        adds={"isBuiltIn": False, "isBuiltInRoleDefinition": False},
        approval="role",
    ),
    "deviceManagement/deviceCategories": Place(
        type="deviceCategory",
        says_type=False,
        required={"": ("displayName",)},
        approval="tenantConfiguration",
    ),
}
"""The collections that Graph is known to have."""

DEFAULTS: Mapping[str, Mapping[str, Json]] = {
    "deviceManagementConfigurationPolicy": {
        "description": "",
        "roleScopeTagIds": ["0"],
        "templateReference": {
            "templateId": "",
            "templateFamily": "none",
            "templateDisplayName": None,
            "templateDisplayVersion": None,
        },
    },
    "deviceAndAppManagementRoleDefinition": {"description": "", "roleScopeTagIds": ["0"]},
    "deviceCategory": {"description": "", "roleScopeTagIds": ["0"]},
}
"""What Graph has where nothing was said, of types that the provider knows no properties of."""

_COMPLIANCE_DEFAULTS: Mapping[str, Json] = {"description": "", "roleScopeTagIds": ["0"]}
_BY_PROFILE_TYPE = ("compliancePolicy", "configurationPolicy", "role", "tenantConfiguration")


def served(types: tuple[ProfileType, ...]) -> dict[str, Collection]:
    """The collections that are served, by path: those of every tenant, Graph's usual ones, and the tenant's own."""
    usual = tuple(ProfileType(name, name) for name in _BY_PROFILE_TYPE)
    names = {profile_type.name for profile_type in types}
    missing = tuple(known for known in usual if known.name not in names)
    found: dict[str, Collection] = {}
    for collection in collections(Target("", "graph", types=(*types, *missing))):
        found.setdefault(collection.path, collection)
    return found


def place_of(path: str) -> Place:
    """What holds for a collection; of one that only the tenant knows nothing is known."""
    return PLACES.get(path, Place())


def is_uploaded(type_name: str | None) -> bool:
    """Whether an app of this type needs a file, which nobody can send here; so it is never published."""
    return type_name in _UPLOADED


def defaults_of(collection: Collection, type_name: str | None) -> dict[str, Json]:
    """What Graph has of an object's properties where nothing was said."""
    kind = collection.kinds.get(type_name or "")
    if kind is not None:
        known = kind.writable
    elif collection.kinds:
        known = common(collection)
    else:
        known = _COMPLIANCE_DEFAULTS if type_name in _COMPLIANCE else DEFAULTS.get(type_name or "", {})
    return {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}


def common(collection: Collection) -> Mapping[str, Json]:
    """The properties that every object of a collection has, with what they are where nothing was said."""
    first, *others = (kind.writable for kind in collection.kinds.values())
    return {key: value for key, value in first.items() if all(key in other for other in others)}
