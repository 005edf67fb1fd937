"""What Microsoft's client knows of Graph's types: their properties, which of them it sends, the members of enums."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from kiota_abstractions.serialization import Parsable
from msgraph_beta import GraphServiceClient
from msgraph_beta.generated.models.android_minimum_operating_system import AndroidMinimumOperatingSystem
from msgraph_beta.generated.models.apple_device_delivery_protocol import AppleDeviceDeliveryProtocol
from msgraph_beta.generated.models.device_health_script import DeviceHealthScript
from msgraph_beta.generated.models.device_health_script_type import DeviceHealthScriptType
from msgraph_beta.generated.models.device_management_script import DeviceManagementScript
from msgraph_beta.generated.models.device_shell_script import DeviceShellScript
from msgraph_beta.generated.models.excluded_apps import ExcludedApps
from msgraph_beta.generated.models.install_intent import InstallIntent
from msgraph_beta.generated.models.ios_device_type import IosDeviceType
from msgraph_beta.generated.models.ios_minimum_operating_system import IosMinimumOperatingSystem
from msgraph_beta.generated.models.microsoft_edge_channel import MicrosoftEdgeChannel
from msgraph_beta.generated.models.office_product_id import OfficeProductId
from msgraph_beta.generated.models.office_suite_default_file_format_type import OfficeSuiteDefaultFileFormatType
from msgraph_beta.generated.models.office_suite_install_progress_display_level import (
    OfficeSuiteInstallProgressDisplayLevel,
)
from msgraph_beta.generated.models.office_update_channel import OfficeUpdateChannel
from msgraph_beta.generated.models.run_as_account_type import RunAsAccountType
from msgraph_beta.generated.models.win_get_app_notification import WinGetAppNotification
from msgraph_beta.generated.models.windows_architecture import WindowsArchitecture

from tests.oracles.applications import applications

Json = Any

_ENUMS: tuple[type[Enum], ...] = (
    AppleDeviceDeliveryProtocol,
    DeviceHealthScriptType,
    InstallIntent,
    MicrosoftEdgeChannel,
    OfficeProductId,
    OfficeSuiteDefaultFileFormatType,
    OfficeSuiteInstallProgressDisplayLevel,
    OfficeUpdateChannel,
    RunAsAccountType,
    WinGetAppNotification,
    WindowsArchitecture,
)
_FLAGS = (AndroidMinimumOperatingSystem, ExcludedApps, IosDeviceType, IosMinimumOperatingSystem)


class _Names:
    """A writer that keeps the names of what is written, and nothing else."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return lambda key, *_: self.names.add(key) if isinstance(key, str) else None


async def tell(_graph: GraphServiceClient, _given: Mapping[str, Json]) -> Json:
    """Tell what is known of the kinds of apps and scripts, by their type, and of the enums and flags in them."""
    kinds = {str(app.odata_type).removeprefix("#microsoft.graph."): _properties(app) for app in applications()}
    kinds |= {
        "deviceManagementScript": _properties(DeviceManagementScript()),
        "deviceShellScript": _properties(DeviceShellScript()),
        "deviceHealthScript": _properties(DeviceHealthScript()),
    }
    return {
        "kinds": kinds,
        "flags": {known.__name__: _properties(known())["read"] for known in _FLAGS},
        "enums": {known.__name__: [member.value for member in known] for known in _ENUMS},
    }


def _properties(found: Parsable) -> dict[str, list[str]]:
    writer = _Names()
    found.serialize(writer)
    own = {"id", "@odata.type"}
    return {"read": sorted({*found.get_field_deserializers()} - own), "written": sorted(writer.names - own)}
