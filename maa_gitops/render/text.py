"""Requests as people read them: lines of text with the words of the vocabulary, and the commands to run next."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from maa_gitops.model import Action, Event, EventVerdict, Outcome, Reason, ReasonCode, Status, Tenant, timestamp
from maa_gitops.workflow.listing import Listed
from maa_gitops.workflow.requests import Request

STATUS_WORDS = {
    Status.NEEDS_APPROVAL: "Needs approval",
    Status.APPROVED: "Approved",
    Status.COMPLETED: "Completed",
    Status.REJECTED: "Rejected",
    Status.CANCELLED: "Canceled",
    Status.EXPIRED: "Expired",
}

_ACTIVE = frozenset({Status.NEEDS_APPROVAL, Status.APPROVED})

STATUS_COLOURS = {
    Status.NEEDS_APPROVAL: "yellow",
    Status.APPROVED: "green",
    Status.COMPLETED: "green",
    Status.REJECTED: "red",
    Status.CANCELLED: "red",
    Status.EXPIRED: "red",
}


def status_words(request: Request) -> str:
    """The status in text."""
    status = request.evaluation.status
    if request.facts.merged is not None and status is Status.APPROVED:
        return "Approved, being applied"
    return STATUS_WORDS[status]


def when(value: datetime | None) -> str:
    """A time for people, in UTC."""
    return f"{timestamp(value)[:19].replace('T', ' ')} UTC" if value is not None else "-"


def counted(number: int, thing: str) -> str:
    """A number of things: ``1 object``, ``2 objects``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def who(tenant: Tenant, name: str | None, claimed: str | None = None) -> str:
    """A person: display name and account; nobody is named on a mere claim."""
    if name is None:
        return f"somebody unknown, claiming to be {claimed}" if claimed else "somebody unknown"
    account = tenant.accounts.get(name)
    return f"{account.display_name} ({name})" if account is not None and account.display_name != name else name


def contact(tenant: Tenant, name: str) -> str:
    """A person with the first address that is known."""
    account = tenant.accounts.get(name)
    address = next(iter(account.addresses), None) if account is not None else None
    return f"{who(tenant, name)} <{address}>" if address else who(tenant, name)


def operations(request: Request) -> list[str]:
    """What is done to which object, one line each."""
    return [f"{operation.value} {governed}" for governed, operation in sorted(request.operations.items())]


def list_row(listed: Listed) -> tuple[str, ...]:
    """A request as a row of a list."""
    request = listed.request
    submit = request.submitted
    requestor = request.evaluation.requestor or (f"claims {submit.account}" if submit is not None else "-")
    marks = " (mine)" if listed.is_mine and listed.received else ""
    return (
        request.id,
        status_words(request) + marks,
        requestor,
        when(request.evaluation.submitted_at),
        ", ".join(operations(request)),
    )


LIST_HEADS = ("Request", "Status", "Requestor", "Submitted", "Operation")


def request_text(listed: Listed) -> Iterator[str]:
    """Everything about one request, ending with the commands open to the viewer or why none is."""
    request = listed.request
    evaluation = request.evaluation
    yield from asked_text(request)
    yield "Change" + (f" {evaluation.change}" if evaluation.change else "")
    yield from (f"  {line}" for line in operations(request)) if request.operations else ("  nothing protected",)
    yield from _policies(request)
    yield from _events(request)
    yield from _merge(request)
    yield from _reasons(evaluation.reasons)
    yield from next_steps(listed)


def asked_text(request: Request) -> Iterator[str]:
    """Who asks, until when, who worked on it, and why."""
    evaluation, tenant, submit = request.evaluation, request.facts.tenant, request.submitted
    yield f"Request {request.id}: {status_words(request)}"
    if submit is not None:
        yield f"  requested by {who(tenant, evaluation.requestor, submit.account)}, {when(submit.at)}"
    if request.facts.merged is None and evaluation.expires_at is not None and evaluation.status in _ACTIVE:
        yield f"  expires {when(evaluation.expires_at)}"
    others = [name for name in evaluation.contributors if name != evaluation.requestor]
    if others:
        yield f"  contributors: {', '.join(who(tenant, name) for name in others)}"
    if request.contributors.strangers:
        yield f"  commits also name people with no account: {', '.join(request.contributors.strangers)}"
    if submit is not None and submit.justification is not None:
        yield "Business justification"
        yield from (f"  {line}" for line in submit.justification.splitlines())


def _policies(request: Request) -> Iterator[str]:
    tenant = request.facts.tenant
    yield "Access policies"
    if not request.evaluation.policies:
        yield "  none covers this change"
    edited = any(reason.code is ReasonCode.EDITED_SINCE_SUBMIT for reason in request.evaluation.obstacles)
    for verdict in request.evaluation.policies:
        policy = verdict.policy
        count = f"{len(verdict.approved_by)} of {policy.quorum} approvals"
        stale = ", for what was submitted before the change was edited" if edited else ""
        yield f"  {policy.name} ({policy.display_name}): {'satisfied' if verdict.satisfied else count}{stale}"
        if verdict.approved_by:
            yield f"    approved by {', '.join(who(tenant, name) for name in verdict.approved_by)}"
        if not verdict.satisfied and request.facts.merged is None:
            people = ", ".join(contact(tenant, name) for name in verdict.can_approve) or "nobody"
            yield f"    can approve: {people}"


def _events(request: Request) -> Iterator[str]:
    if request.lines:
        yield f"Record {request.path}"
    for verdict, line in zip(request.evaluation.events, request.lines, strict=True):
        event = line.event
        if event is None:
            yield "  (a line that is no event)"
            continue
        name = who(request.facts.tenant, verdict.account, event.account)
        yield f"  {when(event.at)}  {event.action.value} by {name}{_worth(verdict)}"
        yield from (f"      {line}" for line in _said(event))


def _worth(verdict: EventVerdict) -> str:
    if verdict.counts:
        return ""
    words = {None: "a later one replaces it", ReasonCode.STALE_CHANGE: "it is for an earlier round or another change"}
    return f" - does not count: {words.get(verdict.code) or verdict.code}"


def _said(event: Event) -> list[str]:
    return event.notes.splitlines() if event.notes is not None else []


_OUTCOMES = {
    Outcome.APPLIED: "applied",
    Outcome.FAILED: "failed",
    Outcome.PENDING: "waits to be applied",
    Outcome.AWAITING_NATIVE_APPROVAL: "waits for the target's own approval",
}


def _merge(request: Request) -> Iterator[str]:
    merged = request.facts.merged
    if merged is None:
        return
    yield f"Merged {when(merged.at)} by {merged.by} as {merged.commit[:12]}"
    for outcome in request.facts.outcomes:
        at = f" {when(outcome.at)}" if outcome.at is not None else ""
        message = f": {outcome.message}" if outcome.message else ""
        yield f"  {outcome.target}: {_OUTCOMES[outcome.outcome]}{at}{message}"


def _reasons(reasons: Iterable[Reason]) -> Iterator[str]:
    reasons = tuple(reasons)
    if reasons:
        yield "Why"
    yield from (f"  {reason.code.value}: {reason.message}" for reason in reasons)


def next_steps(listed: Listed) -> Iterator[str]:
    """The commands that are open to the viewer."""
    request = listed.request
    commands = [command_of(action, request.id) for action in listed.acts]
    if request.facts.merged is None and request.evaluation.status is Status.APPROVED:
        commands.insert(0, f"maa complete {request.id}")
    if request.facts.merged is not None:
        commands = [f"maa revert {request.id}"]
        if request.evaluation.status is Status.APPROVED:
            commands.insert(0, "maa apply")
    if listed.is_mine and request.facts.merged is None and request.evaluation.status is not Status.APPROVED:
        commands.append("maa submit, on its branch, after a change")
    if commands:
        yield "Next"
        yield from (f"  {command}" for command in commands)
    else:
        yield "Nothing here is for you to do."


def whom_to_ask(request: Request) -> Iterator[str]:
    """Who can approve a request that waits, and how: for the requestor to pass on."""
    missing = (verdict for verdict in request.evaluation.policies if not verdict.satisfied)
    names = sorted({name for verdict in missing for name in verdict.can_approve})
    if names:
        yield f"Who can approve it, with: maa approve {request.id}"
    yield from (f"  {contact(request.facts.tenant, name)}" for name in names)


def command_of(action: Action, name: str) -> str:
    """The command line of an act."""
    notes = {Action.APPROVE: " [-m NOTES]", Action.REJECT: " -m NOTES"}
    return f"maa {action.value} {name}{notes.get(action, '')}"
