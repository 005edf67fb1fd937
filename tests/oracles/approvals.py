"""What Microsoft's client does under Intune's own Multi Admin Approval: policies, requests and decisions."""

import base64
from collections.abc import Mapping
from typing import Any

from msgraph_beta import GraphServiceClient
from msgraph_beta.generated.device_management.operation_approval_requests.cancel_my_request import (
    cancel_my_request_post_request_body as cancelling,
)
from msgraph_beta.generated.device_management.operation_approval_requests.item.approve import (
    approve_post_request_body as approving,
)
from msgraph_beta.generated.device_management.operation_approval_requests.item.reject import (
    reject_post_request_body as rejecting,
)
from msgraph_beta.generated.models.o_data_errors.o_data_error import ODataError
from msgraph_beta.generated.models.operation_approval_policy import OperationApprovalPolicy
from msgraph_beta.generated.models.operation_approval_policy_platform import OperationApprovalPolicyPlatform
from msgraph_beta.generated.models.operation_approval_policy_set import OperationApprovalPolicySet
from msgraph_beta.generated.models.operation_approval_policy_type import OperationApprovalPolicyType
from msgraph_beta.generated.models.operation_approval_request import OperationApprovalRequest
from msgraph_beta.generated.models.operation_approval_source import OperationApprovalSource
from msgraph_beta.generated.models.web_app import WebApp

from tests.oracles.connection import asking, error_of, plain

Json = Any


async def protect(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Make an access policy for apps with the approver ``group``, change it; make another and delete it."""
    many = graph.device_management.operation_approval_policies
    made = [
        await many.post(_policy(kind, given["group"]))
        for kind in (OperationApprovalPolicyType.App, OperationApprovalPolicyType.Script)
    ]
    kept, gone = (many.by_operation_approval_policy_id(found.id) for found in made)
    await kept.patch(OperationApprovalPolicy(description="Two pairs of eyes."))
    await gone.delete()
    required = await many.retrieve_operations_requiring_approval.get()
    listed, read = await many.get(), await kept.get()
    return {
        "read": plain(read),
        "platform": read.policy_platform,
        "left": [found.display_name for found in listed.value],
        "required": [[found.policy_type, *found.policy_platform] for found in required.value],
    }


def _policy(kind: OperationApprovalPolicyType, group_id: str) -> OperationApprovalPolicy:
    no_platform = OperationApprovalPolicyPlatform.NotApplicable
    return OperationApprovalPolicy(
        display_name=f"Protect {kind.value}",
        policy_type=kind,
        policy_platform=no_platform,
        policy_set=OperationApprovalPolicySet(policy_type=kind, policy_platform=no_platform),
        approver_group_ids=[group_id],
    )


def _app(name: str) -> WebApp:
    return WebApp(display_name=name, publisher="Contoso", app_url="https://asked.contoso.com")


async def ask(graph: GraphServiceClient, _given: Mapping[str, Json]) -> Json:
    """Make three apps that need approval: one without a justification; take the request for the last back."""
    apps, requests = graph.device_app_management.mobile_apps, graph.device_management.operation_approval_requests
    found = {"unjustified": await _refusal(apps.post(_app("Unjustified")))}
    justified = asking(x_msft_approval_justification=base64.b64encode(b"Wanted by all.").decode())
    for name in ("Wanted", "Unwanted", "Taken back"):
        found[name] = await _refusal(apps.post(_app(name), justified))
    found["again"] = await _refusal(apps.post(_app("Wanted"), justified))
    taken_back = found["Taken back"]["approvalCode"]
    await requests.cancel_my_request.post(cancelling.CancelMyRequestPostRequestBody(id=taken_back))
    mine = await requests.retrieve_my_requests.get()
    one = await requests.retrieve_my_request_by_id_with_id(taken_back).get()
    return {**found, "mine": {request.id: request.status for request in mine.value}, "one": _told(one)}


def _told(request: OperationApprovalRequest) -> dict[str, Json]:
    """A request, which nobody can send, so that the client does not write it out."""
    return {
        "id": request.id,
        "status": request.status,
        "types": request.required_operation_approval_policy_types,
        "requestor": request.requestor.user.display_name,
        "approver": request.approver.user.display_name if request.approver and request.approver.user else None,
        "justifications": [request.request_justification, request.approval_justification],
        "times": [moment.isoformat() for moment in (request.request_date_time, request.expiration_date_time)],
    }


async def _refusal(asked: Any) -> Json:
    try:
        await asked
    except ODataError as error:
        return error_of(error)
    return None


async def decide(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Approve the request ``wanted`` and reject the request ``unwanted``; how they are then."""
    requests = graph.device_management.operation_approval_requests
    source = OperationApprovalSource.AdminConsole
    wanted = requests.by_operation_approval_request_id(given["wanted"])
    unwanted = requests.by_operation_approval_request_id(given["unwanted"])
    yes = await wanted.approve.post(approving.ApprovePostRequestBody(justification="Good.", approval_source=source))
    await unwanted.reject.post(rejecting.RejectPostRequestBody(justification="Not needed.", approval_source=source))
    listed = await requests.get()
    return {
        "answer": plain(yes),
        "wanted": _told(await wanted.get()),
        "statuses": {request.id: request.status for request in listed.value},
    }


async def go_on(graph: GraphServiceClient, given: Mapping[str, Json]) -> Json:
    """Make the app that has been approved under the code ``wanted``; and what has become of the request."""
    apps, requests = graph.device_app_management.mobile_apps, graph.device_management.operation_approval_requests
    made = await apps.post(_app("Wanted"), asking(x_msft_approval_code=given["wanted"]))
    return {
        "made": plain(made),
        "request": _told(await requests.by_operation_approval_request_id(given["wanted"]).get()),
        "once more": await _refusal(apps.post(_app("Wanted"), asking(x_msft_approval_code=given["wanted"]))),
    }
