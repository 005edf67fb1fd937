"""Values to the JSON of the command line: lists sorted, ``"version": 1``, Graph's names for requests."""

from collections.abc import Iterable
from datetime import datetime

from maa_gitops.errors import DocumentError, MaaError, RemoteError
from maa_gitops.history import History
from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    ADMINISTRATOR_ROLES,
    AccessPolicy,
    Action,
    Event,
    ObjectId,
    Outcome,
    PolicyVerdict,
    Problem,
    Reason,
    TargetOutcome,
    Tenant,
    timestamp,
)
from maa_gitops.render.diff import FileDiff
from maa_gitops.workflow.listing import Listed, last_modified, look
from maa_gitops.workflow.pull_requests.completing import Step
from maa_gitops.workflow.pull_requests.judging import Judged
from maa_gitops.workflow.pull_requests.weighing import Heard
from maa_gitops.workflow.requests import Request

VERSION = 1

Plain = dict[str, object]


def document(**fields: object) -> Plain:
    """A whole JSON answer."""
    return {"version": VERSION, **fields}


def moment(value: datetime | None) -> str | None:
    """A time as records write it, or null."""
    return timestamp(value) if value is not None else None


def error_plain(error: MaaError) -> Plain:
    """An error."""
    place = error if isinstance(error, DocumentError) else None
    return document(
        error={
            "kind": error.kind,
            "code": str(error.code) if error.code is not None else None,
            "message": error.message,
            "hint": error.hint,
            "path": place.path if place is not None else None,
            "line": place.line if place is not None else None,
            "column": place.column if place is not None else None,
            "retry": error.retry if isinstance(error, RemoteError) else False,
        }
    )


def requests_plain(listed: Iterable[Listed]) -> list[Plain]:
    """Requests by id, whatever order people see them in."""
    return [request_plain(item) for item in sorted(listed, key=lambda item: item.request.id)]


def request_plain(listed: Listed) -> Plain:
    """A request, by the names of Graph's operationApprovalRequest."""
    request = listed.request
    evaluation, submit = request.evaluation, request.submitted
    can_decide = bool({Action.APPROVE, Action.REJECT} & set(listed.acts))
    return {
        "id": request.id,
        "branch": request.branch,
        "requestor": evaluation.requestor,
        "requestDateTime": moment(evaluation.submitted_at),
        "lastModifiedDateTime": moment(last_modified(request)),
        "expirationDateTime": moment(evaluation.expires_at) if request.facts.merged is None else None,
        "status": evaluation.status.value,
        "requestJustification": submit.justification if submit is not None else None,
        "approver": evaluation.approver,
        "approvalJustification": evaluation.approval_justification,
        "requiredOperationApprovalPolicyTypes": sorted(
            {verdict.policy.profile_type for verdict in evaluation.policies}
        ),
        "change": evaluation.change,
        "contributors": list(evaluation.contributors),
        "objects": [
            {"object": str(governed), "operation": operation.value}
            for governed, operation in sorted(request.operations.items())
        ],
        "policies": [policy_plain(verdict) for verdict in evaluation.policies],
        "events": events_plain(request),
        "merged": _merged_plain(request),
        "applied": [
            outcome_plain(outcome) for outcome in request.facts.outcomes if outcome.outcome is not Outcome.PENDING
        ],
        "isMine": listed.is_mine,
        "canDecide": can_decide,
        "reasons": [reason_plain(reason) for reason in evaluation.reasons],
    }


def _merged_plain(request: Request) -> Plain | None:
    merged = request.facts.merged
    return {"commit": merged.commit, "at": moment(merged.at), "by": merged.by} if merged is not None else None


def events_plain(request: Request) -> list[Plain]:
    """A record's lines with what each came to. An event that no key supports is nobody's; ``claimed`` says whose."""
    rows: list[Plain] = []
    for verdict, line in zip(request.evaluation.events, request.lines, strict=True):
        event = line.event
        rows.append(
            {
                "account": verdict.account,
                "action": event.action.value if event is not None else None,
                "at": moment(event.at) if event is not None else None,
                "counts": verdict.counts,
                "code": verdict.code.value if verdict.code is not None else None,
                "notes": _words(event),
                "attestedBy": event.attested_by if event is not None else None,
                "claimed": event.account if event is not None else None,
            }
        )
    return rows


def _words(event: Event | None) -> str | None:
    return event.notes if event is not None else None


def policy_plain(verdict: PolicyVerdict) -> Plain:
    """How an access policy stands."""
    return {
        "policy": verdict.policy.name,
        "approverGroups": sorted(verdict.policy.approver_groups),
        "requiredApprovals": verdict.policy.required_approvals,
        "approvedBy": list(verdict.approved_by),
        "canApprove": list(verdict.can_approve),
        "satisfied": verdict.satisfied,
    }


def unasked_policy(tenant: Tenant, policy: AccessPolicy) -> PolicyVerdict:
    """An access policy before anybody has asked: everybody in its groups can approve."""
    return PolicyVerdict(policy, (), tuple(sorted(tenant.possible_approvers(policy))))


def reason_plain(reason: Reason) -> Plain:
    """Why the answer is what it is."""
    return {"code": reason.code.value, "message": reason.message, "account": reason.account, "policy": reason.policy}


def outcome_plain(outcome: TargetOutcome) -> Plain:
    """A merged request on one target."""
    return {
        "target": outcome.target,
        "at": moment(outcome.at),
        "outcome": outcome.outcome.value,
        "message": outcome.message,
    }


def problem_plain(problem: Problem) -> Plain:
    """Something wrong in a document."""
    return {
        "path": problem.path,
        "line": problem.line or None,
        "column": problem.column or None,
        "level": problem.level.value,
        "code": problem.code,
        "message": problem.message,
    }


def diff_plain(diff: FileDiff) -> Plain:
    """One changed file."""
    return {
        "path": diff.path,
        "object": str(diff.governed) if diff.governed is not None else None,
        "operation": diff.operation.value if diff.operation is not None else None,
        "old": diff.old,
        "new": diff.new,
        "text": diff.text,
    }


def history_plain(history: History) -> Plain:
    """What ``verify`` found."""
    return document(
        **{"from": history.start},
        to=history.tip,
        good=history.tip_is_good,
        lastGood=history.good.commit,
        steps=history.steps,
        violations=[
            {
                "commit": violation.commit,
                "code": violation.code.value,
                "message": violation.message,
                "paths": list(violation.paths),
                "healedBy": violation.healed_by,
            }
            for violation in history.violations
        ],
    )


def explained_plain(governed: ObjectId, path: str, verdicts: Iterable[PolicyVerdict]) -> Plain:
    """Which access policies cover an object, and the role that changing it needs."""
    rules = governed.type == ACCESS_POLICY_TYPE
    policies = [policy_plain(verdict) for verdict in verdicts]
    return {
        "object": str(governed),
        "path": path,
        "protected": rules or bool(policies),
        "requiredRole": sorted(role.value for role in ADMINISTRATOR_ROLES) if rules else None,
        "policies": policies,
    }


def judged_plain(judged: Judged) -> Plain:
    """A pull request and what the gate says of it."""
    return {
        "pullRequest": judged.pull_request.number,
        "head": judged.pull_request.head_commit,
        "verdict": judged.verdict.value,
        "state": judged.state.value if judged.state is not None else None,
        "summary": judged.summary,
        "change": judged.change,
        "request": request_plain(look(judged.request, None)) if judged.request is not None else None,
        "problems": [problem_plain(problem) for problem in judged.problems],
    }


def heard_plain(heard: Heard) -> Plain:
    """Something that was said on the forge, and what became of it."""
    said = heard.statement
    return {
        "action": said.action.value if said.action is not None else None,
        "account": heard.account,
        "login": said.author.login if said.author is not None else None,
        "userId": said.author.id if said.author is not None else None,
        "at": moment(said.at),
        "url": said.url,
        "outcome": heard.outcome.value,
        "code": heard.code,
        "message": heard.message or None,
    }


def step_plain(step: Step) -> Plain:
    """Something that completing did, or could not do."""
    return {"name": step.name, "outcome": step.what, "message": step.message, "code": step.code}
