"""Every kind of app that a resource can be, as the classes of Microsoft's client have it."""

from collections.abc import Iterator

from msgraph_beta.generated.models.android_minimum_operating_system import AndroidMinimumOperatingSystem
from msgraph_beta.generated.models.android_store_app import AndroidStoreApp
from msgraph_beta.generated.models.apple_device_delivery_protocol import AppleDeviceDeliveryProtocol
from msgraph_beta.generated.models.excluded_apps import ExcludedApps
from msgraph_beta.generated.models.ios_device_type import IosDeviceType
from msgraph_beta.generated.models.ios_minimum_operating_system import IosMinimumOperatingSystem
from msgraph_beta.generated.models.ios_store_app import IosStoreApp
from msgraph_beta.generated.models.iosi_pad_o_s_web_clip import IosiPadOSWebClip
from msgraph_beta.generated.models.mac_o_s_microsoft_defender_app import MacOSMicrosoftDefenderApp
from msgraph_beta.generated.models.mac_o_s_microsoft_edge_app import MacOSMicrosoftEdgeApp
from msgraph_beta.generated.models.mac_o_s_office_suite_app import MacOSOfficeSuiteApp
from msgraph_beta.generated.models.mac_o_s_web_clip import MacOSWebClip
from msgraph_beta.generated.models.microsoft_edge_channel import MicrosoftEdgeChannel
from msgraph_beta.generated.models.mime_content import MimeContent
from msgraph_beta.generated.models.mobile_app import MobileApp
from msgraph_beta.generated.models.office_product_id import OfficeProductId
from msgraph_beta.generated.models.office_suite_app import OfficeSuiteApp
from msgraph_beta.generated.models.office_suite_default_file_format_type import OfficeSuiteDefaultFileFormatType
from msgraph_beta.generated.models.office_suite_install_progress_display_level import (
    OfficeSuiteInstallProgressDisplayLevel,
)
from msgraph_beta.generated.models.office_update_channel import OfficeUpdateChannel
from msgraph_beta.generated.models.run_as_account_type import RunAsAccountType
from msgraph_beta.generated.models.web_app import WebApp
from msgraph_beta.generated.models.win_get_app import WinGetApp
from msgraph_beta.generated.models.win_get_app_install_experience import WinGetAppInstallExperience
from msgraph_beta.generated.models.windows_architecture import WindowsArchitecture
from msgraph_beta.generated.models.windows_microsoft_edge_app import WindowsMicrosoftEdgeApp
from msgraph_beta.generated.models.windows_web_app import WindowsWebApp

ICON = b"\x89PNG\r\n\x1a\n"


def applications() -> Iterator[MobileApp]:
    """One app of each kind, with everything said that its class has beside what all apps have."""
    yield WinGetApp(
        display_name="Company Portal",
        description="Apps and compliance.\nOf this device.",
        publisher="Microsoft Corporation",
        developer="Microsoft",
        owner="IT",
        notes="Kept by IT.",
        information_url="https://contoso.com/information",
        privacy_information_url="https://contoso.com/privacy",
        is_featured=True,
        role_scope_tag_ids=["0"],
        large_icon=MimeContent(type="image/png", value=ICON),
        package_identifier="9WZDNCRFJ3PZ",
        install_experience=WinGetAppInstallExperience(run_as_account=RunAsAccountType.System),
        manifest_hash="abc",
    )
    yield WebApp(
        display_name="Holidays",
        publisher="Contoso",
        app_url="https://holidays.contoso.com",
        use_managed_browser=True,
    )
    yield WindowsWebApp(display_name="Ünï 🎈", publisher="Contoso", app_url="https://windows.contoso.com")
    yield MacOSWebClip(
        display_name="Mac clip",
        publisher="Contoso",
        app_url="https://mac.contoso.com",
        full_screen_enabled=True,
        pre_composed_icon_enabled=True,
    )
    yield IosiPadOSWebClip(
        display_name="Phone clip",
        publisher="Contoso",
        app_url="https://phone.contoso.com",
        use_managed_browser=True,
        full_screen_enabled=True,
        ignore_manifest_scope=True,
        pre_composed_icon_enabled=True,
        target_application_bundle_identifier="com.contoso.browser",
    )
    yield AndroidStoreApp(
        display_name="Authenticator",
        publisher="Microsoft",
        package_id="com.azure.authenticator",
        app_store_url="https://play.google.com/store/apps/details?id=com.azure.authenticator",
        minimum_supported_operating_system=AndroidMinimumOperatingSystem(v8_0=True),
    )
    yield IosStoreApp(
        display_name="Authenticator",
        publisher="Microsoft",
        bundle_id="com.microsoft.azureauthenticator",
        app_store_url="https://apps.apple.com/app/id983156458",
        applicable_device_type=IosDeviceType(i_pad=True, i_phone_and_i_pod=True),
        minimum_supported_operating_system=IosMinimumOperatingSystem(v16_0=True),
        apple_device_app_delivery_protocol_type=AppleDeviceDeliveryProtocol.MobileDeviceManagement,
    )
    yield OfficeSuiteApp(
        display_name="Microsoft 365",
        publisher="Microsoft",
        product_ids=[OfficeProductId.VisioProRetail, OfficeProductId.O365ProPlusRetail],
        office_platform_architecture=WindowsArchitecture.X64,
        update_channel=OfficeUpdateChannel.MonthlyEnterprise,
        update_version="16.0",
        target_version="16.1",
        excluded_apps=ExcludedApps(access=True, share_point_designer=True, teams=False),
        locales_to_install=["en-us", "de-de"],
        auto_accept_eula=True,
        use_shared_computer_activation=True,
        should_uninstall_older_versions_of_office=True,
        install_progress_display_level=OfficeSuiteInstallProgressDisplayLevel.Full,
        office_suite_app_default_file_format=OfficeSuiteDefaultFileFormatType.OfficeOpenXMLFormat,
        office_configuration_xml=b"<Configuration/>",
    )
    yield WindowsMicrosoftEdgeApp(
        display_name="Edge",
        publisher="Microsoft",
        channel=MicrosoftEdgeChannel.Beta,
        display_language_locale="de-de",
    )
    yield MacOSMicrosoftEdgeApp(display_name="Edge for Mac", publisher="Microsoft", channel=MicrosoftEdgeChannel.Dev)
    yield MacOSOfficeSuiteApp(display_name="Office for Mac", publisher="Microsoft")
    yield MacOSMicrosoftDefenderApp(display_name="Defender for Mac", publisher="Microsoft")
