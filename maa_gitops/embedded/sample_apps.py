"""The apps of the small existing tenant; one of a kind that no resource can be, one of Microsoft's own."""

from maa_gitops.embedded.samples import Json, Sample, assigned

_WIN32: dict[str, Json] = {
    "displayName": "VPN client",
    "description": "Reaches the office from anywhere.",
    "publisher": "Contoso",
    "fileName": "vpn.intunewin",
    "displayVersion": "4.2.1",
    "installCommandLine": "vpn-setup.exe /quiet",
    "uninstallCommandLine": "vpn-setup.exe /uninstall /quiet",
    "applicableArchitectures": "x64",
    "setupFilePath": "vpn-setup.exe",
    "minimumSupportedWindowsRelease": "21H1",
    "installExperience": {"runAsAccount": "system", "deviceRestartBehavior": "suppress"},
    "rules": [
        {
            "@odata.type": "#microsoft.graph.win32LobAppFileSystemRule",
            "ruleType": "detection",
            "path": "%ProgramFiles%\\Contoso",
            "fileOrFolderName": "vpn.exe",
            "check32BitOn64System": False,
            "operationType": "exists",
            "operator": "notConfigured",
            "comparisonValue": None,
        }
    ],
}

APPS: tuple[Sample, ...] = (
    (
        "winGetApp",
        {
            "displayName": "Company Portal",
            "description": "Apps and compliance of this device.",
            "publisher": "Microsoft Corporation",
            "packageIdentifier": "9WZDNCRFJ3PZ",
            "installExperience": {"runAsAccount": "system"},
        },
        (
            assigned(
                "All Staff",
                intent="required",
                settings={
                    "@odata.type": "#microsoft.graph.winGetAppAssignmentSettings",
                    "notifications": "showReboot",
                    "restartSettings": None,
                    "installTimeSettings": None,
                },
            ),
        ),
        {},
    ),
    (
        "officeSuiteApp",
        {
            "displayName": "Microsoft 365 Apps",
            "publisher": "Microsoft",
            "productIds": ["o365ProPlusRetail"],
            "officePlatformArchitecture": "x64",
            "updateChannel": "monthlyEnterprise",
            "excludedApps": {"access": True, "groove": True},
            "localesToInstall": ["de-de", "en-us"],
        },
        (assigned("allDevices", intent="required", to="Owned by Contoso"),),
        {},
    ),
    (
        "webApp",
        {"displayName": "Holiday requests", "publisher": "Contoso", "appUrl": "https://holidays.contoso.com"},
        (assigned("allUsers", intent="available"),),
        {},
    ),
    (
        "iosStoreApp",
        {
            "displayName": "Authenticator",
            "publisher": "Microsoft Corporation",
            "bundleId": "com.microsoft.azureauthenticator",
            "appStoreUrl": "https://apps.apple.com/app/id983156458",
            "applicableDeviceType": {"iPad": True, "iPhoneAndIPod": True},
            "minimumSupportedOperatingSystem": {"v16_0": True},
        },
        (
            assigned(
                "Phones",
                intent="required",
                settings={
                    "@odata.type": "#microsoft.graph.iosStoreAppAssignmentSettings",
                    "vpnConfigurationId": None,
                    "uninstallOnDeviceRemoval": True,
                    "isRemovable": False,
                    "preventManagedAppBackup": False,
                },
            ),
        ),
        {},
    ),
    (
        "androidStoreApp",
        {
            "displayName": "Authenticator",
            "publisher": "Microsoft Corporation",
            "packageId": "com.azure.authenticator",
            "appStoreUrl": "https://play.google.com/store/apps/details?id=com.azure.authenticator",
            "minimumSupportedOperatingSystem": {"v8_0": True},
        },
        (),
        {},
    ),
    (
        "windowsMicrosoftEdgeApp",
        {"displayName": "Microsoft Edge", "publisher": "Microsoft", "channel": "stable"},
        (assigned("All Staff", intent="required"), assigned("Kiosks", intent="required", excluded=True)),
        {},
    ),
    (
        "iosiPadOSWebClip",
        {"displayName": "Intranet", "publisher": "Contoso", "appUrl": "https://intranet.contoso.com"},
        (assigned("Phones", intent="available"),),
        {},
    ),
    ("macOSMicrosoftDefenderApp", {"displayName": "Defender for macOS", "publisher": "Microsoft"}, (), {}),
    ("win32LobApp", _WIN32, (assigned("Pilot", intent="required"),), {"publishingState": "published"}),
    (
        "managedIOSStoreApp",
        {"displayName": "Outlook", "publisher": "Microsoft Corporation", "appAvailability": "global"},
        (),
        {},
    ),
)
