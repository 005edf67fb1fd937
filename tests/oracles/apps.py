"""What Microsoft's client does with apps: making, listing, changing, assigning, deleting, batches; and its refusals."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from msgraph_beta import GraphServiceClient
from msgraph_beta.generated.device_app_management.mobile_apps.item.assign.assign_post_request_body import (
    AssignPostRequestBody,
)
from msgraph_beta.generated.device_app_management.mobile_apps.item.mobile_app_item_request_builder import (
    MobileAppItemRequestBuilder,
)
from msgraph_beta.generated.device_app_management.mobile_apps.mobile_apps_request_builder import (
    MobileAppsRequestBuilder,
)
from msgraph_beta.generated.models.install_intent import InstallIntent
from msgraph_beta.generated.models.ios_store_app_assignment_settings import IosStoreAppAssignmentSettings
from msgraph_beta.generated.models.mobile_app_assignment import MobileAppAssignment
from msgraph_beta.generated.models.o_data_errors.o_data_error import ODataError
from msgraph_beta.generated.models.web_app import WebApp
from msgraph_beta.generated.models.win_get_app import WinGetApp
from msgraph_beta.generated.models.win_get_app_assignment_settings import WinGetAppAssignmentSettings
from msgraph_beta.generated.models.win_get_app_install_time_settings import WinGetAppInstallTimeSettings
from msgraph_beta.generated.models.win_get_app_notification import WinGetAppNotification
from msgraph_beta.generated.models.win_get_app_restart_settings import WinGetAppRestartSettings
from msgraph_core import PageIterator
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

from tests.oracles.applications import applications
from tests.oracles.connection import asking, error_of, plain
from tests.oracles.targets import all_devices, all_users, collection, excluded, filtered, group

Json = Any

_Many = MobileAppsRequestBuilder.MobileAppsRequestBuilderGetQueryParameters
_One = MobileAppItemRequestBuilder.MobileAppItemRequestBuilderGetQueryParameters


async def make(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Make one app of each kind, or of the classes ``only``; what was sent and what is there, by the class's name."""
    found = {}
    wanted = given.get("only")
    for app in (app for app in applications() if wanted is None or type(app).__name__ in wanted):
        made = await graph.device_app_management.mobile_apps.post(app)
        read = await graph.device_app_management.mobile_apps.by_mobile_app_id(made.id).get()
        classes = [type(made).__name__, type(read).__name__]
        found[type(app).__name__] = {"id": made.id, "classes": classes, "sent": plain(app), "read": plain(read)}
    return found


async def read_all(graph: GraphServiceClient, _given: Mapping[str, Json]) -> Json:
    """Read all apps, page by page, each by itself, and those that filters and other options leave."""
    apps = graph.device_app_management.mobile_apps
    first = await apps.get(asking(_Many(top=2, count=True)))
    paged: list[Json] = []
    await PageIterator(first, graph.request_adapter).iterate(lambda app: paged.append(plain(app)) or True)
    whole = [plain(await apps.by_mobile_app_id(app["id"]).get()) for app in paged]
    web = await apps.get(asking(_Many(filter="isof('microsoft.graph.webApp')", select=["id", "displayName"])))
    named = await apps.get(asking(_Many(filter="displayName eq 'Authenticator'", orderby=["createdDateTime desc"])))
    expanded = await apps.get(asking(_Many(expand=["assignments"], top=50)))
    return {
        "first": [len(first.value), first.odata_count, bool(first.odata_next_link)],
        "paged": paged,
        "whole": whole,
        "count": await apps.count.get(),
        "web": [plain(app) for app in web.value],
        "named": [app.display_name for app in named.value],
        "assigned": {app.id: [plain(found) for found in app.assignments or []] for app in expanded.value},
    }


async def change(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Change the app ``id``: once with an object of its class made for that, once with the one that was read."""
    app = graph.device_app_management.mobile_apps.by_mobile_app_id(given["id"])
    await app.patch(WebApp(app_url="https://new.contoso.com", description="Changed."))
    read = await app.get()
    read.display_name = "Read and renamed"
    answer = await app.patch(read)
    return {"answer": plain(answer), "class": type(answer).__name__, "read": plain(await app.get())}


async def assign(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Assign the apps ``winget``, ``ios`` and ``web`` to every kind of target; their assignments afterwards."""
    settings = WinGetAppAssignmentSettings(
        notifications=WinGetAppNotification.ShowReboot,
        install_time_settings=WinGetAppInstallTimeSettings(
            use_local_time=True, deadline_date_time=dt.datetime(2026, 12, 1, 8, 30, tzinfo=dt.UTC)
        ),
        restart_settings=WinGetAppRestartSettings(
            grace_period_in_minutes=1440,
            countdown_display_before_restart_in_minutes=15,
            restart_notification_snooze_duration_in_minutes=240,
        ),
    )
    ios = IosStoreAppAssignmentSettings(is_removable=True, uninstall_on_device_removal=True)
    wanted = {
        "winget": [
            _assignment(InstallIntent.Required, filtered(group(given["staff"]), given["filter"]), settings),
            _assignment(InstallIntent.Available, all_users(), WinGetAppAssignmentSettings()),
            _assignment(InstallIntent.Required, excluded(given["it"])),
        ],
        "ios": [_assignment(InstallIntent.AvailableWithoutEnrollment, group(given["staff"]), ios)],
        "web": [
            _assignment(InstallIntent.Uninstall, filtered(all_devices(), given["filter"], "exclude")),
            _assignment(InstallIntent.Available, collection("SMS00001")),
        ],
    }
    found = {}
    for name, sent in wanted.items():
        app = graph.device_app_management.mobile_apps.by_mobile_app_id(given[name])
        await app.assign.post(AssignPostRequestBody(mobile_app_assignments=sent))
        read = await app.assignments.get()
        expanded = await app.get(asking(_One(expand=["assignments"])))
        found[name] = {
            "sent": [plain(one) for one in sent],
            "read": [plain(one) for one in read.value],
            "expanded": [plain(one) for one in expanded.assignments],
        }
    return found


def _assignment(intent: InstallIntent, target: Json, settings: Json = None) -> MobileAppAssignment:
    return MobileAppAssignment(intent=intent, target=target, settings=settings)


async def delete(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Delete the app ``id``, and read it once more."""
    app = graph.device_app_management.mobile_apps.by_mobile_app_id(given["id"])
    await app.delete()
    return await _refused(app.get())


async def refusals(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Ask for what cannot be had; how the client understands each refusal."""
    apps = graph.device_app_management.mobile_apps
    winget = apps.by_mobile_app_id(given["winget"])
    read = await winget.get()
    read.package_identifier = "OTHER"
    body = AssignPostRequestBody(mobile_app_assignments=[_assignment(InstallIntent.Required, group(given["winget"]))])
    return {
        "missing": await _refused(apps.by_mobile_app_id("00000000-0000-0000-0000-000000000000").get()),
        "unknown filter": await _refused(apps.get(asking(_Many(filter="displayName like 'x'")))),
        "incomplete": await _refused(apps.post(WinGetApp(display_name="No package"))),
        "immutable": await _refused(winget.patch(WinGetApp(package_identifier="OTHER"))),
        "read and sent without its type": await _refused(winget.patch(read)),
        "unknown group": await _refused(winget.assign.post(body)),
    }


async def _refused(asked: Any) -> Json:
    try:
        await asked
    except ODataError as error:
        return error_of(error)
    return None


async def batch(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Read two apps, one that is there and one that is not, and make one, all in one batch."""
    apps = graph.device_app_management.mobile_apps
    app = WebApp(display_name="Out of a batch", publisher="Contoso", app_url="https://batch.contoso.com")
    requests = {
        "winget": apps.by_mobile_app_id(given["winget"]).to_get_request_information(),
        "missing": apps.by_mobile_app_id(given["missing"]).to_get_request_information(),
        "made": apps.to_post_request_information(app),
    }
    content = BatchRequestContent()
    for name, request in requests.items():
        item = BatchRequestItem(request, name)
        # This version of the client leaves addresses absolute, which Graph does not take in a batch.
        item.url = item.url.removeprefix(given["url"])
        content.add_request(name, item)
    answer = await BatchRequestBuilder(graph.request_adapter).post(content)
    # This version reads no body of a batch's answer that is JSON, so statuses are all that it has to tell.
    return answer.get_response_status_codes()
