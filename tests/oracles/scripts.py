"""What Microsoft's client does with scripts of the three kinds: making, changing, assigning, deleting."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from msgraph_beta import GraphServiceClient
from msgraph_beta.generated.device_management.device_health_scripts.item.assign.assign_post_request_body import (
    AssignPostRequestBody as AssignHealthScript,
)
from msgraph_beta.generated.device_management.device_management_scripts.item.assign.assign_post_request_body import (
    AssignPostRequestBody as AssignScript,
)
from msgraph_beta.generated.device_management.device_shell_scripts.item.assign.assign_post_request_body import (
    AssignPostRequestBody as AssignShellScript,
)
from msgraph_beta.generated.models.device_health_script import DeviceHealthScript
from msgraph_beta.generated.models.device_health_script_assignment import DeviceHealthScriptAssignment
from msgraph_beta.generated.models.device_health_script_daily_schedule import DeviceHealthScriptDailySchedule
from msgraph_beta.generated.models.device_health_script_hourly_schedule import DeviceHealthScriptHourlySchedule
from msgraph_beta.generated.models.device_health_script_run_once_schedule import DeviceHealthScriptRunOnceSchedule
from msgraph_beta.generated.models.device_health_script_type import DeviceHealthScriptType
from msgraph_beta.generated.models.device_management_script import DeviceManagementScript
from msgraph_beta.generated.models.device_management_script_assignment import DeviceManagementScriptAssignment
from msgraph_beta.generated.models.device_shell_script import DeviceShellScript
from msgraph_beta.generated.models.run_as_account_type import RunAsAccountType

from tests.oracles.connection import plain
from tests.oracles.targets import all_devices, all_users, excluded, filtered, group

Json = Any


async def tell(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Make, change and assign one script of each kind, and make and delete one more; what is there then."""
    return {
        "deviceManagementScript": await _windows(graph, given),
        "deviceShellScript": await _mac(graph, given),
        "deviceHealthScript": await _health(graph, given),
        "deleted": await _deleted(graph),
    }


async def _windows(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    many = graph.device_management.device_management_scripts
    made = await many.post(
        DeviceManagementScript(
            display_name="Set time zone",
            description="Of the site.",
            file_name="tz.ps1",
            run_as_account=RunAsAccountType.System,
            run_as32_bit=True,
            script_content='Write-Host "Ünï 🎈"\r\n'.encode(),
            role_scope_tag_ids=["0"],
        )
    )
    one = many.by_device_management_script_id(made.id)
    await one.patch(DeviceManagementScript(enforce_signature_check=True))
    targets = [filtered(group(given["staff"]), given["filter"]), excluded(given["it"])]
    sent = [DeviceManagementScriptAssignment(target=target) for target in targets]
    await one.assign.post(AssignScript(device_management_script_assignments=sent))
    return await _there(many, one)


async def _mac(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    many = graph.device_management.device_shell_scripts
    made = await many.post(
        DeviceShellScript(
            display_name="Rename the Mac",
            file_name="rename.sh",
            run_as_account=RunAsAccountType.User,
            script_content=b"#!/bin/sh\n",
            execution_frequency="P1D",  # as text: a timedelta is sent as "1 day, 0:00:00"
            retry_count=3,
        )
    )
    one = many.by_device_shell_script_id(made.id)
    await one.patch(DeviceShellScript(block_execution_notifications=True, script_content=b"#!/bin/zsh\n"))
    sent = [DeviceManagementScriptAssignment(target=target) for target in (group(given["staff"]), all_devices())]
    await one.assign.post(AssignShellScript(device_management_script_assignments=sent))
    return await _there(many, one)


async def _health(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    many = graph.device_management.device_health_scripts
    made = await many.post(
        DeviceHealthScript(
            display_name="Restart the print spooler",
            publisher="Contoso",
            run_as_account=RunAsAccountType.System,
            detection_script_content=b"exit 1",
            remediation_script_content=b"exit 0",
            device_health_script_type=DeviceHealthScriptType.DeviceHealthScript,
        )
    )
    one = many.by_device_health_script_id(made.id)
    await one.patch(DeviceHealthScript(description="Mends it.", run_as32_bit=True))
    schedules = (
        DeviceHealthScriptDailySchedule(interval=1, time=dt.time(9), use_utc=True),
        DeviceHealthScriptHourlySchedule(interval=4),
        DeviceHealthScriptRunOnceSchedule(interval=1, date=dt.date(2026, 12, 1), time=dt.time(22, 30), use_utc=False),
    )
    targets = (group(given["staff"]), group(given["it"]), all_users())
    sent = [
        DeviceHealthScriptAssignment(target=target, run_schedule=schedule, run_remediation_script=True)
        for target, schedule in zip(targets, schedules, strict=True)
    ]
    await one.assign.post(AssignHealthScript(device_health_script_assignments=sent))
    return await _there(many, one)


async def _there(many: Any, one: Any) -> Json:
    listed = await many.get()
    assigned = await one.assignments.get()
    return {
        "listed": [plain(found) for found in listed.value],
        "read": plain(await one.get()),
        "assigned": [plain(found) for found in assigned.value],
    }


async def _deleted(graph: GraphServiceClient) -> Json:
    many = graph.device_management.device_shell_scripts
    one = await many.post(
        DeviceShellScript(
            display_name="Gone",
            file_name="gone.sh",
            run_as_account=RunAsAccountType.System,
            script_content=b"#!/bin/sh",
        )
    )
    await many.by_device_shell_script_id(one.id).delete()
    listed = await many.get()
    return [found.display_name for found in listed.value]
