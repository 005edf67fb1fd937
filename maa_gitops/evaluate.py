"""Facts in, Evaluation out: whether a request is approved, and why not.

Pure: no input or output, no clock, no exception for a "no". Whatever is missing, broken, unknown or late only ever
takes approval away. The rules are numbered as in ``docs/rules.md``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

from maa_gitops.canonical import change_digest
from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    AccessPolicy,
    Account,
    AccountKind,
    Action,
    CompleteBy,
    Evaluation,
    Event,
    EventFact,
    EventVerdict,
    Facts,
    FileChange,
    Held,
    ObjectId,
    Outcome,
    PolicyVerdict,
    Reason,
    ReasonCode,
    Role,
    Status,
    Tenant,
    timestamp,
)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far clocks may be apart (rule 8)."""


@dataclass(frozen=True, slots=True)
class _Round:
    """The events since the last submit, which is the first of them; ``start`` is its place in the record."""

    start: int
    submit: Event
    change: str
    requestor: str | None


@dataclass(frozen=True, slots=True)
class _Ballot:
    """What became of the approvals of a round."""

    standing: dict[str, int]
    """Who approves, and with which event of the record."""
    verdicts: dict[int, EventVerdict]
    satisfied_at: datetime | None
    """When everything was first satisfied."""


def evaluate(facts: Facts) -> Evaluation:
    """Judge a request."""
    faults = event_faults(facts.events, facts.now, landed=facts.merged is not None)
    broken = _broken_reasons(facts.events, faults)
    policies = covering_policies(facts.tenant, facts.objects)
    current = _last_round(facts)
    if current is None:
        return _not_submitted(facts, policies, broken, faults)
    invalid = _submit_reasons(facts, current, policies)
    ballot = _count(facts, current, policies, faults, submit_is_valid=not invalid)
    verdicts = tuple(_policy_verdict(facts.tenant, policy, current, ballot, facts.events) for policy in policies)
    expires_at = _expiry(facts.tenant, current, ballot)
    ended = _ending_event(facts.events, current, faults)
    obstacles = (*broken, *invalid, *facts.problems)
    missing = (*obstacles, *_missing_approvals(verdicts))
    status = _status(facts, ended, expires_at, approved=not missing and all(v.satisfied for v in verdicts))
    decided = _deciding_event(status, ended, ballot)
    decider = facts.events[decided].event if decided is not None else None
    return Evaluation(
        status=status,
        reasons=_reasons(facts, status, ended, expires_at, (*missing, *_refused_approvals(ballot))),
        policies=verdicts,
        events=_event_verdicts(facts, current, ballot, faults),
        obstacles=obstacles,
        change=current.change,
        requestor=current.requestor,
        contributors=current.submit.contributors,
        approver=attributed_to(facts.tenant, facts.events[decided]) if decided is not None else None,
        approval_justification=decider.notes if decider is not None else None,
        submitted_at=current.submit.at,
        expires_at=expires_at,
    )


def landing_reasons(facts: Facts, complete: EventFact, good: str) -> tuple[Reason, ...]:
    """Say why a request may not land with this ``complete`` on top of the good commit; nothing: it may.

    ``facts.events`` are the record's lines before ``complete``.
    """
    evaluation = evaluate(facts)
    if evaluation.status is not Status.APPROVED:
        return evaluation.reasons
    fault = event_faults((*facts.events, complete), facts.now, landed=True)[-1]
    event = complete.event
    if event is None or fault is not None:
        return (Reason(fault or ReasonCode.BROKEN_RECORD, "the completion is not a good event"),)
    if event.action is not Action.COMPLETE or event.change != evaluation.change:
        return (Reason(ReasonCode.STALE_CHANGE, "the completion is for another change"),)
    if event.base != good:
        return (
            Reason(
                ReasonCode.WRONG_BASE, f"the completion was signed for {event.base}, but {good} is the last good commit"
            ),
        )
    return completion_reasons(facts.tenant, attributed_to(facts.tenant, complete), evaluation.requestor)


def completion_reasons(tenant: Tenant, account: str | None, requestor: str | None) -> tuple[Reason, ...]:
    """Say why this account may not complete an approved request of the requestor; nothing: it may."""
    if account is None:
        return (Reason(ReasonCode.UNKNOWN_SIGNER, "no account holds the key of whoever completes"),)
    if not tenant.accounts[account].enabled:
        return (Reason(ReasonCode.ACCOUNT_DISABLED, f"account {account} is disabled", account),)
    if tenant.settings.complete_by is CompleteBy.REQUESTOR and account != requestor:
        return (Reason(ReasonCode.NOT_REQUESTOR, f"only the requestor, {requestor}, may complete it", account),)
    return ()


# --- rules 1 and 8: which events are good ----------------------------------------------------------------------------


def event_faults(events: Sequence[EventFact], now: datetime, *, landed: bool) -> tuple[ReasonCode | None, ...]:
    """For each line of a record, what makes it not good; None: it is good.

    ``landed`` says that the record is on the protected branch with its completion: only there may ``complete`` stand,
    and only last.
    """
    faults: list[ReasonCode | None] = []
    latest: datetime | None = None
    for index, fact in enumerate(events):
        may_complete = landed and index == len(events) - 1
        faults.append(_event_fault(fact, now, latest, is_first=index == 0, may_complete=may_complete))
        if fact.event is not None:
            latest = fact.event.at if latest is None else max(latest, fact.event.at)
    return tuple(faults)


def _event_fault(
    fact: EventFact, now: datetime, latest: datetime | None, *, is_first: bool, may_complete: bool
) -> ReasonCode | None:
    event = fact.event
    if event is None:
        return fact.fault or ReasonCode.BROKEN_RECORD
    if fact.fault is not None:
        return fact.fault
    if fact.key is None:
        return ReasonCode.BAD_SIGNATURE
    if (is_first and event.action is not Action.SUBMIT) or (event.action is Action.COMPLETE and not may_complete):
        return ReasonCode.BROKEN_RECORD
    if event.at - now > CLOCK_TOLERANCE or (latest is not None and latest - event.at > CLOCK_TOLERANCE):
        return ReasonCode.OUT_OF_TIME
    return None


def attributed_to(tenant: Tenant, fact: EventFact) -> str | None:
    """Name the account whose act an event is, or None: a claim that no key supports is nobody's.

    An attested event is the act of the person whom the forge names, if an enabled attestor signed for it.
    """
    event = fact.event
    if event is None or fact.key is None or event.account not in tenant.accounts:
        return None
    holder = tenant.holder(fact.key)
    if event.attested_by is None:
        return event.account if holder == event.account else None
    if holder != event.attested_by:
        return None
    return event.account if _attests(tenant.accounts[holder], tenant.accounts[event.account], event) else None


def _attests(attestor: Account, person: Account, event: Event) -> bool:
    return (
        attestor.enabled
        and attestor.kind is AccountKind.SERVICE
        and Role.ATTESTOR in attestor.roles
        and person.github is not None
        and event.evidence is not None
        and person.github.id == event.evidence.user_id
    )


def _broken_reasons(events: Sequence[EventFact], faults: Sequence[ReasonCode | None]) -> tuple[Reason, ...]:
    found = [(index, fault) for index, fault in enumerate(faults, start=1) if fault is not None]
    if not found:
        return ()
    lines = [
        Reason(fault, f"line {index} of the record is not a good event")
        for index, fault in found
        if fault is not ReasonCode.BROKEN_RECORD
    ]
    where = ", ".join(str(index) for index, _ in found)
    return (Reason(ReasonCode.BROKEN_RECORD, f"the record is broken (line {where} of {len(events)})"), *lines)


# --- rule 2: the round and its submit --------------------------------------------------------------------------------


def _last_round(facts: Facts) -> _Round | None:
    for index in reversed(range(len(facts.events))):
        event = facts.events[index].event
        if event is not None and event.action is Action.SUBMIT:
            change = change_digest(event.changes, facts.tenant.settings.tenant)
            return _Round(index, event, change, attributed_to(facts.tenant, facts.events[index]))
    return None


def covering_policies(tenant: Tenant, objects: Iterable[ObjectId]) -> tuple[AccessPolicy, ...]:
    """The access policies that protect any of the objects, by name."""
    objects = tuple(objects)
    return tuple(policy for policy in tenant.policies.values() if any(policy.covers(governed) for governed in objects))


def _submit_reasons(facts: Facts, current: _Round, policies: Sequence[AccessPolicy]) -> tuple[Reason, ...]:
    """Why the round's submit is not valid now."""
    return (*_requestor_reasons(facts, current, policies), *_content_reasons(facts, current))


def _requestor_reasons(facts: Facts, current: _Round, policies: Sequence[AccessPolicy]) -> tuple[Reason, ...]:
    name = current.requestor
    if name is None:
        claim = current.submit.account
        return (Reason(ReasonCode.UNKNOWN_SIGNER, f"submitted by somebody unknown, claiming to be {claim}"),)
    account = facts.tenant.accounts[name]
    opener = facts.events[0].event
    reasons = []
    if not account.enabled:
        reasons.append(Reason(ReasonCode.ACCOUNT_DISABLED, f"the requestor's account {name} is disabled", name))
    if account.kind is not AccountKind.PERSON:
        reasons.append(Reason(ReasonCode.SERVICE_ACCOUNT, f"{name} is a service account and cannot submit", name))
    if opener is None or opener.account != name:
        reasons.append(Reason(ReasonCode.NOT_REQUESTOR, f"{name} did not open this request", name))
    if _needs_administrator(facts.objects) and not account.is_administrator:
        reasons.append(
            Reason(ReasonCode.MISSING_ROLE, f"{name} has no administrator role, which changing the rules needs", name)
        )
    if current.submit.attested_by is not None and not (policies and all(policy.attested for policy in policies)):
        reasons.append(
            Reason(ReasonCode.NOT_ATTESTED, "an access policy here does not accept an attested submit", name)
        )
    return tuple(reasons)


def _needs_administrator(objects: Iterable[ObjectId]) -> bool:
    return any(governed.type == ACCESS_POLICY_TYPE for governed in objects)


def _content_reasons(facts: Facts, current: _Round) -> tuple[Reason, ...]:
    """Why what was signed is not what would land."""
    if facts.changes is None:
        return (Reason(ReasonCode.OUTDATED, "the change branch and the protected branch have no single merge base"),)
    reasons = []
    if _needs_administrator(facts.objects) and any(governed.type != ACCESS_POLICY_TYPE for governed in facts.objects):
        reasons.append(Reason(ReasonCode.MIXED_REQUEST, "the request changes the rules and resources at once"))
    if change_digest(facts.changes, facts.tenant.settings.tenant) != current.change:
        reasons.append(Reason(ReasonCode.EDITED_SINCE_SUBMIT, "the change is not the one that was submitted"))
    moved = sorted(change.path for change in facts.changes if not _still_fits(change, facts))
    if moved or facts.step != facts.changes:
        where = f": {', '.join(moved)}" if moved else ""
        reasons.append(Reason(ReasonCode.OUTDATED, f"the protected branch has moved on{where}"))
    return tuple(reasons)


def _still_fits(change: FileChange, facts: Facts) -> bool:
    """G holds the old content, and the tip what G holds or the new content."""
    good, tip = facts.good.get(change.path), facts.tip.get(change.path)
    landed = Held(change.mode, change.new) if change.mode is not None and change.new is not None else None
    return (good.content if good is not None else None) == change.old and tip in (good, landed)


# --- rules 3, 4, 5: approvals and vetoes -----------------------------------------------------------------------------


def _count(
    facts: Facts,
    current: _Round,
    policies: Sequence[AccessPolicy],
    faults: Sequence[ReasonCode | None],
    *,
    submit_is_valid: bool,
) -> _Ballot:
    """Go through the round once, in record order."""
    standing: dict[str, int] = {}
    verdicts: dict[int, EventVerdict] = {}
    satisfied_at = current.submit.at if submit_is_valid and not policies else None
    for index in range(current.start + 1, len(facts.events)):
        fact = facts.events[index]
        event = fact.event
        if event is None or faults[index] is not None:
            continue
        who = attributed_to(facts.tenant, fact)
        if event.action is Action.WITHDRAW:
            taken_back = standing.pop(event.account, None)
            if taken_back is not None:
                verdicts[taken_back] = replace(verdicts[taken_back], counts=False, code=ReasonCode.WITHDRAWN)
        elif event.action is Action.APPROVE:
            code = _refusal(facts.tenant, current, policies, fact)
            verdicts[index] = EventVerdict(who, counts=code is None, code=code)
            if code is None:
                replaced = standing.get(event.account)
                if replaced is not None:
                    verdicts[replaced] = replace(verdicts[replaced], counts=False)
                standing[event.account] = index
                if satisfied_at is None and _all_satisfied(facts, policies, standing):
                    satisfied_at = event.at
    return _Ballot(standing, verdicts, satisfied_at)


def _refusal(tenant: Tenant, current: _Round, policies: Sequence[AccessPolicy], fact: EventFact) -> ReasonCode | None:
    """Why an approval does not count; None: it does (rule 3)."""
    event = fact.event
    name = attributed_to(tenant, fact)
    if event is None or name is None:
        return ReasonCode.UNKNOWN_SIGNER
    if event.change != current.change:
        return ReasonCode.STALE_CHANGE
    if event.at >= _deadline(tenant, current):
        return ReasonCode.EXPIRED
    code = approver_refusal(tenant, policies, name, current.submit.account, current.submit.contributors)
    if code is None and not any(_accepts(tenant, policy, name, event) for policy in policies):
        return ReasonCode.NOT_ATTESTED
    return code


def approver_refusal(
    tenant: Tenant, policies: Sequence[AccessPolicy], name: str, requestor: str, contributors: Sequence[str]
) -> ReasonCode | None:
    """Why this account can approve nothing under these access policies; None: it can."""
    account = tenant.accounts[name]
    if account.kind is not AccountKind.PERSON:
        return ReasonCode.SERVICE_ACCOUNT
    if not account.enabled:
        return ReasonCode.ACCOUNT_DISABLED
    if name == requestor:
        return ReasonCode.SELF_APPROVAL
    if name in contributors:
        return ReasonCode.CONTRIBUTOR
    if not any(name in tenant.possible_approvers(policy) for policy in policies):
        return ReasonCode.NOT_APPROVER
    return None


def _accepts(tenant: Tenant, policy: AccessPolicy, name: str, event: Event) -> bool:
    """Whether an approval of this person counts for this access policy."""
    return name in tenant.possible_approvers(policy) and (event.attested_by is None or policy.attested)


def _approved_by(
    tenant: Tenant, policy: AccessPolicy, standing: dict[str, int], events: Sequence[EventFact]
) -> tuple[str, ...]:
    approvals = ((name, events[index].event) for name, index in standing.items())
    return tuple(
        sorted(name for name, event in approvals if event is not None and _accepts(tenant, policy, name, event))
    )


def _all_satisfied(facts: Facts, policies: Sequence[AccessPolicy], standing: dict[str, int]) -> bool:
    return all(
        len(_approved_by(facts.tenant, policy, standing, facts.events)) >= policy.required_approvals
        for policy in policies
    )


def _policy_verdict(
    tenant: Tenant, policy: AccessPolicy, current: _Round, ballot: _Ballot, events: Sequence[EventFact]
) -> PolicyVerdict:
    approved_by = _approved_by(tenant, policy, ballot.standing, events)
    excluded = {current.submit.account, *current.submit.contributors, *approved_by}
    return PolicyVerdict(policy, approved_by, tuple(sorted(tenant.possible_approvers(policy) - excluded)))


def _ending_event(events: Sequence[EventFact], current: _Round, faults: Sequence[ReasonCode | None]) -> int | None:
    """Find the first good reject or cancel of the round, whoever signed it and whenever (rule 5)."""
    for index in range(current.start + 1, len(events)):
        event = events[index].event
        if event is not None and faults[index] is None and event.action in (Action.REJECT, Action.CANCEL):
            return index
    return None


# --- rules 6 and 9: time and status ----------------------------------------------------------------------------------


def _deadline(tenant: Tenant, current: _Round) -> datetime:
    return _days_after(current.submit.at, tenant.settings.expire_after_days)


def _expiry(tenant: Tenant, current: _Round, ballot: _Ballot) -> datetime:
    if ballot.satisfied_at is None:
        return _deadline(tenant, current)
    return _days_after(ballot.satisfied_at, tenant.settings.expire_after_days)


def _days_after(moment: datetime, days: int) -> datetime:
    """Some days later; an event may claim the last day that there is, which is no reason to crash."""
    try:
        return moment + timedelta(days=days)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _status(facts: Facts, ended: int | None, expires_at: datetime, *, approved: bool) -> Status:
    if facts.merged is not None:
        applied = all(outcome.outcome is Outcome.APPLIED for outcome in facts.outcomes)
        return Status.COMPLETED if applied else Status.APPROVED
    if ended is not None:
        event = facts.events[ended].event
        rejected = event is not None and event.action is Action.REJECT
        return Status.REJECTED if rejected else Status.CANCELLED
    if facts.now >= expires_at:
        return Status.EXPIRED
    return Status.APPROVED if approved else Status.NEEDS_APPROVAL


def _reasons(
    facts: Facts, status: Status, ended: int | None, expires_at: datetime, lacking: tuple[Reason, ...]
) -> tuple[Reason, ...]:
    match status:
        case Status.COMPLETED:
            return ()
        case Status.APPROVED:
            return (Reason(ReasonCode.AWAITING_COMPLETION, _waiting_for(facts)),)
        case Status.REJECTED | Status.CANCELLED:
            return (_ending_reason(facts, status, ended), *lacking)
        case Status.EXPIRED:
            return (Reason(ReasonCode.EXPIRED, f"expired at {timestamp(expires_at)}; submit it again"), *lacking)
        case Status.NEEDS_APPROVAL:
            return lacking
    assert_never(status)


def _waiting_for(facts: Facts) -> str:
    if facts.merged is None:
        return "approved; it waits to be completed"
    waiting = [outcome.target for outcome in facts.outcomes if outcome.outcome is not Outcome.APPLIED]
    return f"merged; not yet applied to {', '.join(waiting)}"


def _ending_reason(facts: Facts, status: Status, ended: int | None) -> Reason:
    fact = facts.events[ended or 0]
    who = attributed_to(facts.tenant, fact)
    claim = fact.event.account if fact.event is not None else "nobody"
    code = ReasonCode.REJECTED if status is Status.REJECTED else ReasonCode.CANCELLED
    return Reason(code, f"{status.value} by {who or f'somebody unknown, claiming to be {claim}'}", who)


def _missing_approvals(verdicts: Iterable[PolicyVerdict]) -> tuple[Reason, ...]:
    reasons = []
    for verdict in verdicts:
        name, required = verdict.policy.name, verdict.policy.required_approvals
        lacking = required - len(verdict.approved_by)
        if lacking <= 0:
            continue
        who = ", ".join(verdict.can_approve) or "nobody"
        text = f"access policy {name} has {len(verdict.approved_by)} of {required} approvals; {who} can approve"
        reasons.append(Reason(ReasonCode.NEEDS_APPROVALS, text, policy=name))
        if len(verdict.can_approve) < lacking:
            reasons.append(
                Reason(
                    ReasonCode.UNSATISFIABLE,
                    f"access policy {name} has too few people left who can approve",
                    policy=name,
                )
            )
    return tuple(reasons)


def _refused_approvals(ballot: _Ballot) -> tuple[Reason, ...]:
    """Tell of approvals that do not count: they take nothing away, so they are no part of what is missing."""
    return tuple(
        Reason(verdict.code, f"the approval of {verdict.account or 'somebody unknown'} does not count", verdict.account)
        for _, verdict in sorted(ballot.verdicts.items())
        if verdict.code is not None
    )


# --- what each event came to -----------------------------------------------------------------------------------------


def _deciding_event(status: Status, ended: int | None, ballot: _Ballot) -> int | None:
    """Whose notes the requestor reads: of the rejection, else of the last approval by record order."""
    match status:
        case Status.REJECTED:
            return ended
        case Status.CANCELLED:
            return None
        case Status.NEEDS_APPROVAL | Status.APPROVED | Status.COMPLETED | Status.EXPIRED:
            return max(ballot.standing.values(), default=None)
    assert_never(status)


def _event_verdicts(
    facts: Facts, current: _Round, ballot: _Ballot, faults: Sequence[ReasonCode | None]
) -> tuple[EventVerdict, ...]:
    return tuple(_event_verdict(facts, current, ballot, index, faults[index]) for index in range(len(facts.events)))


def _event_verdict(
    facts: Facts, current: _Round, ballot: _Ballot, index: int, fault: ReasonCode | None
) -> EventVerdict:
    who = attributed_to(facts.tenant, facts.events[index])
    if fault is not None:
        return EventVerdict(who, counts=False, code=fault)
    if index in ballot.verdicts:
        return ballot.verdicts[index]
    if index < current.start:
        return EventVerdict(who, counts=False, code=ReasonCode.STALE_CHANGE)
    return EventVerdict(who, counts=True, code=ReasonCode.UNKNOWN_SIGNER if who is None else None)


def _not_submitted(
    facts: Facts, policies: Sequence[AccessPolicy], broken: tuple[Reason, ...], faults: Sequence[ReasonCode | None]
) -> Evaluation:
    verdicts = tuple(
        PolicyVerdict(policy, (), tuple(sorted(facts.tenant.possible_approvers(policy)))) for policy in policies
    )
    reason = Reason(ReasonCode.NOT_SUBMITTED, "the change has not been submitted")
    events = tuple(
        EventVerdict(attributed_to(facts.tenant, fact), counts=False, code=fault or ReasonCode.NOT_SUBMITTED)
        for fact, fault in zip(facts.events, faults, strict=True)
    )
    return Evaluation(Status.NEEDS_APPROVAL, (*broken, reason, *facts.problems), verdicts, events)
