"""Facts in, Evaluation out: whether a request is approved, and why not.

Pure: no input or output, no clock, no exception for a "no". Whatever is missing, broken, unknown or late only ever
takes approval away. The rules are numbered as in ``docs/rules.md``.
"""

from collections.abc import Iterable, Mapping, Sequence
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

Faults = tuple[ReasonCode | None, ...]
"""For each line of a record, what makes it not good; None: it is good."""


@dataclass(frozen=True, slots=True)
class _Round:
    """The events since the last submit (rule 2), with all that judging them needs.

    ``start`` is the submit's place in the record. ``signers`` and ``faults`` are for every line of the record.
    """

    facts: Facts
    signers: tuple[str | None, ...]
    faults: Faults
    start: int
    submit: Event
    change: str
    policies: tuple[AccessPolicy, ...]
    people: Mapping[str, frozenset[str]]
    """Who could approve under each access policy, by its name."""

    @property
    def requestor(self) -> str | None:
        """Who submitted; None if no key supports the claim."""
        return self.signers[self.start]

    @property
    def deadline(self) -> datetime:
        """When the request expires unless it is approved before."""
        return _days_after(self.submit.at, self.facts.tenant.settings.expire_after_days)

    def good_events(self) -> Iterable[tuple[int, Event]]:
        """The good events after the submit, each with its place in the record."""
        for index in range(self.start + 1, len(self.facts.events)):
            event = self.facts.events[index].event
            if event is not None and self.faults[index] is None:
                yield index, event


@dataclass(frozen=True, slots=True)
class _Ballot:
    """What became of the approvals of a round.

    ``standing`` says who approves, and with which line of the record; ``verdicts`` what each approval came to;
    ``satisfied_at`` when every access policy was first satisfied.
    """

    standing: Mapping[str, int]
    verdicts: Mapping[int, EventVerdict]
    satisfied_at: datetime | None


def evaluate(facts: Facts) -> Evaluation:
    """Judge a request."""
    faults = event_faults(facts.events, facts.now, landed=facts.merged is not None)
    broken = _broken_reasons(faults)
    current = _last_round(facts, faults)
    if current is None:
        return _not_submitted(facts, faults, broken)
    invalid = (*_requestor_reasons(current), *_content_reasons(current))
    obstacles = (*broken, *invalid, *facts.problems)
    ballot = _count(current)
    policies = tuple(_policy_verdict(current, policy, ballot.standing) for policy in current.policies)
    lacking = _missing_approvals(policies)
    ended = _ending_event(current)
    expires_at = _expiry(current, ballot)
    status = _status(facts, ended, expires_at, approved=not obstacles and not lacking)
    decided = _deciding_event(status, ended, ballot)
    decision = facts.events[decided].event if decided is not None else None
    return Evaluation(
        status=status,
        reasons=_reasons(current, status, ended, expires_at, (*obstacles, *lacking, *_refused_approvals(ballot))),
        policies=policies,
        events=tuple(_event_verdict(current, ballot, invalid, index) for index in range(len(facts.events))),
        obstacles=obstacles,
        change=current.change,
        requestor=current.requestor,
        contributors=current.submit.contributors,
        approver=current.signers[decided] if decided is not None else None,
        approval_justification=decision.notes if decision is not None else None,
        submitted_at=current.submit.at,
        expires_at=expires_at,
    )


def landing_reasons(facts: Facts, complete: EventFact, good: str) -> tuple[Reason, ...]:
    """Say why a request may not land with this ``complete`` on top of the good commit; nothing: it may.

    ``facts.events`` are the record's lines before ``complete``.
    """
    evaluation = evaluate(replace(facts, merged=None))
    if evaluation.status is not Status.APPROVED:
        return evaluation.reasons
    fault = event_faults((*facts.events, complete), facts.now, landed=True)[-1]
    event = complete.event
    if event is None or fault is not None:
        return (Reason(fault or ReasonCode.BROKEN_RECORD, "the completion is not a good event"),)
    if event.action is not Action.COMPLETE:
        return (Reason(ReasonCode.BROKEN_RECORD, "the newest event is no completion"),)
    if event.change != evaluation.change:
        return (Reason(ReasonCode.STALE_CHANGE, "the completion is for another change"),)
    if event.base != good:
        return (Reason(ReasonCode.WRONG_BASE, f"completed on {event.base}, but {good} is the last good commit"),)
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


# --- rules 1 and 8: which events are good, and whose they are --------------------------------------------------------


def event_faults(events: Sequence[EventFact], now: datetime, *, landed: bool) -> Faults:
    """Judge each line of a record by itself and by those before it.

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
    if fact.fault is not None:
        return fact.fault
    if event is None:
        return ReasonCode.BROKEN_RECORD
    if fact.key is None:
        return ReasonCode.BAD_SIGNATURE
    if is_first and event.action is not Action.SUBMIT:
        return ReasonCode.BROKEN_RECORD
    if event.action is Action.COMPLETE and (event.attested_by is not None or not may_complete):
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
    if holder is None or holder != event.attested_by:
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


def _broken_reasons(faults: Faults) -> tuple[Reason, ...]:
    found = [(number, fault) for number, fault in enumerate(faults, start=1) if fault is not None]
    if not found:
        return ()
    where = ", ".join(str(number) for number, _ in found)
    whole = Reason(ReasonCode.BROKEN_RECORD, f"the record is broken (line {where} of {len(faults)})")
    named = [(number, fault) for number, fault in found if fault is not ReasonCode.BROKEN_RECORD]
    return (whole, *(Reason(fault, f"line {number} of the record is not a good event") for number, fault in named))


# --- rule 2: the round and its submit --------------------------------------------------------------------------------


def _last_round(facts: Facts, faults: Faults) -> _Round | None:
    """Find the last submit, valid or not; None: nothing was ever submitted."""
    for index in reversed(range(len(facts.events))):
        event = facts.events[index].event
        if event is not None and event.action is Action.SUBMIT:
            policies = covering_policies(facts.tenant, facts.objects)
            return _Round(
                facts=facts,
                signers=tuple(attributed_to(facts.tenant, fact) for fact in facts.events),
                faults=faults,
                start=index,
                submit=event,
                change=change_digest(event.changes, facts.tenant.settings.tenant),
                policies=policies,
                people={policy.name: facts.tenant.possible_approvers(policy) for policy in policies},
            )
    return None


def covering_policies(tenant: Tenant, objects: Iterable[ObjectId]) -> tuple[AccessPolicy, ...]:
    """The access policies that protect any of the objects, by name."""
    objects = tuple(objects)
    return tuple(policy for policy in tenant.policies.values() if any(policy.covers(governed) for governed in objects))


def _requestor_reasons(current: _Round) -> tuple[Reason, ...]:
    """Why the submit is not by somebody who may ask for this change."""
    facts, name = current.facts, current.requestor
    if name is None:
        text = f"submitted by somebody unknown, claiming to be {current.submit.account}"
        return (Reason(ReasonCode.UNKNOWN_SIGNER, text),)
    account = facts.tenant.accounts[name]
    opener = facts.events[0].event
    reasons = []
    if not account.enabled:
        reasons.append(Reason(ReasonCode.ACCOUNT_DISABLED, f"the requestor's account {name} is disabled", name))
    if account.kind is not AccountKind.PERSON:
        reasons.append(Reason(ReasonCode.SERVICE_ACCOUNT, f"{name} is a service account and cannot submit", name))
    if opener is None or opener.account != name:
        reasons.append(Reason(ReasonCode.NOT_REQUESTOR, f"{name} did not open this request", name))
    if _changes_rules(facts.objects) and not account.is_administrator:
        text = f"{name} has no administrator role, which changing the rules needs"
        reasons.append(Reason(ReasonCode.MISSING_ROLE, text, name))
    if current.submit.attested_by is not None and not _all_attested(current.policies):
        text = "an access policy here does not accept an attested submit"
        reasons.append(Reason(ReasonCode.NOT_ATTESTED, text, name))
    return tuple(reasons)


def _changes_rules(objects: Iterable[ObjectId]) -> bool:
    return any(governed.type == ACCESS_POLICY_TYPE for governed in objects)


def _all_attested(policies: Sequence[AccessPolicy]) -> bool:
    return bool(policies) and all(policy.attested for policy in policies)


def _content_reasons(current: _Round) -> tuple[Reason, ...]:
    """Why what was signed is not what would land."""
    facts = current.facts
    if facts.changes is None:
        return (Reason(ReasonCode.OUTDATED, "the change branch and the protected branch have no single merge base"),)
    reasons = []
    if _changes_rules(facts.objects) and any(governed.type != ACCESS_POLICY_TYPE for governed in facts.objects):
        reasons.append(Reason(ReasonCode.MIXED_REQUEST, "the request changes the rules and resources at once"))
    if set(facts.changes) != set(current.submit.changes):
        reasons.append(Reason(ReasonCode.EDITED_SINCE_SUBMIT, "the change is not the one that was submitted"))
    moved = sorted(change.path for change in facts.changes if not _still_fits(change, facts))
    if moved or facts.step is None or set(facts.step) != set(facts.changes):
        where = f": {', '.join(moved)}" if moved else ""
        reasons.append(Reason(ReasonCode.OUTDATED, f"the protected branch has moved on{where}"))
    return tuple(reasons)


def _still_fits(change: FileChange, facts: Facts) -> bool:
    """G holds the old content, and the tip what G holds or the new content."""
    good, tip = facts.good.get(change.path), facts.tip.get(change.path)
    landed = Held(change.mode, change.new) if change.mode is not None and change.new is not None else None
    return (good.content if good is not None else None) == change.old and tip in (good, landed)


# --- rules 3, 4 and 5: approvals and vetoes --------------------------------------------------------------------------


def _count(current: _Round) -> _Ballot:
    """Go through the round once, in record order."""
    standing: dict[str, int] = {}
    verdicts: dict[int, EventVerdict] = {}
    satisfied_at: datetime | None = None
    for index, event in current.good_events():
        if event.action is Action.WITHDRAW:
            _take_back(verdicts, standing.pop(event.account, None), ReasonCode.WITHDRAWN)
        if event.action is not Action.APPROVE:
            continue
        code = _refusal(current, index, event)
        verdicts[index] = EventVerdict(current.signers[index], counts=code is None, code=code)
        if code is not None:
            continue
        _take_back(verdicts, standing.get(event.account), None)
        standing[event.account] = index
        if satisfied_at is None and _all_satisfied(current, standing):
            satisfied_at = event.at
    return _Ballot(standing, verdicts, satisfied_at)


def _take_back(verdicts: dict[int, EventVerdict], index: int | None, code: ReasonCode | None) -> None:
    """Note that an approval counts no more: it was withdrawn, or (no code) a later one of the person replaces it."""
    if index is not None:
        verdicts[index] = replace(verdicts[index], counts=False, code=code)


def _refusal(current: _Round, index: int, event: Event) -> ReasonCode | None:
    """Why an approval does not count; None: it does (rule 3)."""
    name = current.signers[index]
    if name is None:
        return ReasonCode.UNKNOWN_SIGNER
    if event.change != current.change:
        return ReasonCode.STALE_CHANGE
    if event.at >= current.deadline:
        return ReasonCode.EXPIRED
    who = approver_refusal(current.facts.tenant, current.policies, name, current.submit)
    if who is not None:
        return who
    return (
        None if any(_accepts(current, policy, name, event) for policy in current.policies) else ReasonCode.NOT_ATTESTED
    )


def approver_refusal(tenant: Tenant, policies: Iterable[AccessPolicy], name: str, submit: Event) -> ReasonCode | None:
    """Why this account can decide nothing about what was submitted; None: it can."""
    account = tenant.accounts[name]
    if account.kind is not AccountKind.PERSON:
        return ReasonCode.SERVICE_ACCOUNT
    if not account.enabled:
        return ReasonCode.ACCOUNT_DISABLED
    if name == submit.account:
        return ReasonCode.SELF_APPROVAL
    if name in submit.contributors:
        return ReasonCode.CONTRIBUTOR
    if not any(tenant.can_approve(name, policy) for policy in policies):
        return ReasonCode.NOT_APPROVER
    return None


def _accepts(current: _Round, policy: AccessPolicy, name: str, event: Event) -> bool:
    """Whether an approval of this person counts for this access policy."""
    return name in current.people[policy.name] and (event.attested_by is None or policy.attested)


def _approved_by(current: _Round, policy: AccessPolicy, standing: Mapping[str, int]) -> tuple[str, ...]:
    approvals = ((name, current.facts.events[index].event) for name, index in standing.items())
    return tuple(
        sorted(name for name, event in approvals if event is not None and _accepts(current, policy, name, event))
    )


def _all_satisfied(current: _Round, standing: Mapping[str, int]) -> bool:
    return all(len(_approved_by(current, policy, standing)) >= policy.quorum for policy in current.policies)


def _policy_verdict(current: _Round, policy: AccessPolicy, standing: Mapping[str, int]) -> PolicyVerdict:
    approved_by = _approved_by(current, policy, standing)
    excluded = {current.submit.account, *current.submit.contributors, *approved_by}
    return PolicyVerdict(policy, approved_by, tuple(sorted(current.people[policy.name] - excluded)))


def _missing_approvals(verdicts: Iterable[PolicyVerdict]) -> tuple[Reason, ...]:
    reasons = []
    for verdict in verdicts:
        if verdict.satisfied:
            continue
        name, given, quorum = verdict.policy.name, len(verdict.approved_by), verdict.policy.quorum
        who = ", ".join(verdict.can_approve) or "nobody"
        text = f"access policy {name} has {given} of {quorum} approvals; {who} can approve"
        reasons.append(Reason(ReasonCode.NEEDS_APPROVALS, text, policy=name))
        if given + len(verdict.can_approve) < quorum:
            text = f"access policy {name} has too few people left who can approve"
            reasons.append(Reason(ReasonCode.UNSATISFIABLE, text, policy=name))
    return tuple(reasons)


def _refused_approvals(ballot: _Ballot) -> tuple[Reason, ...]:
    """Tell of approvals that do not count: they take nothing away, so they are no part of what is missing."""
    return tuple(
        Reason(verdict.code, f"the approval of {verdict.account or 'somebody unknown'} does not count", verdict.account)
        for _, verdict in sorted(ballot.verdicts.items())
        if verdict.code is not None
        and not (verdict.code is ReasonCode.WITHDRAWN and verdict.account in ballot.standing)
    )


def _ending_event(current: _Round) -> int | None:
    """Find the first good reject or cancel of the round, whoever signed it and whenever (rule 5)."""
    ends = (index for index, event in current.good_events() if event.action in (Action.REJECT, Action.CANCEL))
    return next(ends, None)


# --- rules 6 and 9: time and status ----------------------------------------------------------------------------------


def _expiry(current: _Round, ballot: _Ballot) -> datetime:
    """The deadline of the submit; of an approved request, as long after everything was first satisfied (rule 6)."""
    if ballot.satisfied_at is None or not _all_satisfied(current, ballot.standing):
        return current.deadline
    return _days_after(ballot.satisfied_at, current.facts.tenant.settings.expire_after_days)


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
        return Status.REJECTED if event is not None and event.action is Action.REJECT else Status.CANCELLED
    if facts.now >= expires_at:
        return Status.EXPIRED
    return Status.APPROVED if approved else Status.NEEDS_APPROVAL


def _reasons(
    current: _Round, status: Status, ended: int | None, expires_at: datetime, lacking: tuple[Reason, ...]
) -> tuple[Reason, ...]:
    match status:
        case Status.COMPLETED:
            return ()
        case Status.APPROVED:
            return (Reason(ReasonCode.AWAITING_COMPLETION, _waiting_for(current.facts)),)
        case Status.REJECTED:
            return (_ending_reason(current, ReasonCode.REJECTED, ended), *lacking)
        case Status.CANCELLED:
            return (_ending_reason(current, ReasonCode.CANCELLED, ended), *lacking)
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


def _ending_reason(current: _Round, code: ReasonCode, ended: int | None) -> Reason:
    event = current.facts.events[ended].event if ended is not None else None
    who = current.signers[ended] if ended is not None else None
    claim = event.account if event is not None else "nobody"
    return Reason(code, f"{code.value} by {who or f'somebody unknown, claiming to be {claim}'}", who)


# --- what each event came to -----------------------------------------------------------------------------------------


def _deciding_event(status: Status, ended: int | None, ballot: _Ballot) -> int | None:
    """Whose notes the requestor reads: of the rejection, else of the last approval by record order."""
    if status is Status.REJECTED:
        return ended
    return None if status is Status.CANCELLED else max(ballot.standing.values(), default=None)


def _event_verdict(current: _Round, ballot: _Ballot, invalid: Sequence[Reason], index: int) -> EventVerdict:
    who, fault = current.signers[index], current.faults[index]
    if fault is not None:
        return EventVerdict(who, counts=False, code=fault)
    if index in ballot.verdicts:
        return ballot.verdicts[index]
    if index < current.start:
        return EventVerdict(who, counts=False, code=ReasonCode.STALE_CHANGE)
    if index == current.start and invalid:
        return EventVerdict(who, counts=False, code=invalid[0].code)
    return EventVerdict(who, counts=True, code=ReasonCode.UNKNOWN_SIGNER if who is None else None)


def _not_submitted(facts: Facts, faults: Faults, broken: tuple[Reason, ...]) -> Evaluation:
    policies = covering_policies(facts.tenant, facts.objects)
    reason = Reason(ReasonCode.NOT_SUBMITTED, "the change has not been submitted")
    return Evaluation(
        status=Status.NEEDS_APPROVAL,
        reasons=(*broken, reason, *facts.problems),
        policies=tuple(
            PolicyVerdict(policy, (), tuple(sorted(facts.tenant.possible_approvers(policy)))) for policy in policies
        ),
        events=tuple(
            EventVerdict(attributed_to(facts.tenant, fact), counts=False, code=fault or ReasonCode.NOT_SUBMITTED)
            for fact, fault in zip(facts.events, faults, strict=True)
        ),
        obstacles=(*broken, reason, *facts.problems),
    )
