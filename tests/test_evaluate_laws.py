"""Laws that hold for every request, whatever its tenant and its record: tried on random ones.

Random facts are an approved request with some disturbances. Those of ``orderly`` facts are such as people make with
the commands: every event is good, and none is dated before another. Those of ``wild`` facts are of any kind. An event
that a law adds is dated like the latest before it, so that it is judged for what it is and not for its time.

Where a law leaves out what was expired before: an expired request can come back when an approval is taken out of it,
because the first event with which everything was satisfied is then a later one, and it expires later (rule 6).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, settings
from hypothesis import strategies as st

from maa_gitops.canonical import change_digest
from maa_gitops.evaluate import evaluate, landing_reasons
from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    AccessPolicy,
    Account,
    AccountKind,
    Action,
    ApproverGroup,
    Event,
    EventFact,
    Evidence,
    Facts,
    FileChange,
    ForgeIdentity,
    Held,
    Merge,
    ObjectId,
    Outcome,
    Reason,
    ReasonCode,
    Role,
    Settings,
    Status,
    TargetOutcome,
    Tenant,
)

T = TypeVar("T")

QUICK = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
LAW = settings(QUICK, max_examples=80)
OPENED = datetime(2026, 11, 23, 10, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GOOD = "a" * 40
PEOPLE = ("alice", "bob", "carol", "dave")
SERVICES = ("notary", "pipeline")
EVERYBODY = (*PEOPLE, *SERVICES)
NAMES = (*EVERYBODY, "zoe")
PORTAL, PAYROLL, GONE = ObjectId("app", "portal"), ObjectId("app", "finance/payroll"), ObjectId("app", "gone")
RULES = ObjectId(ACCESS_POLICY_TYPE, "maa.yaml")


# --- an approved request ---------------------------------------------------------------------------------------------


def _files(objects: Iterable[ObjectId], content: str = "b") -> tuple[FileChange, ...]:
    """An edit of each object; but the payroll is created, and what is gone is deleted."""
    return tuple(
        FileChange(
            f"{governed}.yaml",
            None if governed == GONE else "100644",
            None if governed == PAYROLL else "a" * 64,
            None if governed == GONE else content * 64,
        )
        for governed in objects
    )


def _event(account: str, action: Action, at: datetime, files: Sequence[FileChange]) -> Event:
    submits = action is Action.SUBMIT
    return Event(
        account,
        action,
        at,
        base=GOOD,
        request="portal",
        tenant="contoso",
        signature="a signature",
        change=None if submits else change_digest(files, "contoso"),
        changes=tuple(files) if submits else (),
        contributors=(account,) if submits else (),
    )


def _signed(event: Event, key: str = "laptop") -> EventFact:
    return EventFact(event, f"{event.account}-{key}")


def _attested(event: Event) -> EventFact:
    evidence = Evidence("github", 100 + NAMES.index(event.account), event.account, "https://github.com/", GOOD)
    return EventFact(replace(event, attested_by="notary", evidence=evidence), "notary-laptop")


def _held(files: Iterable[FileChange]) -> dict[str, Held]:
    return {file.path: Held("100644", file.old) for file in files if file.old is not None}


def _account(name: str) -> Account:
    return Account(
        name,
        display_name=name,
        kind=AccountKind.SERVICE if name in SERVICES else AccountKind.PERSON,
        roles=frozenset({Role.ATTESTOR if name in SERVICES else Role.GLOBAL_ADMINISTRATOR}),
        github=ForgeIdentity(name, 100 + NAMES.index(name)),
        signing_keys=(f"{name}-laptop", f"{name}-token"),
    )


def _policy(name: str, profile_type: str) -> AccessPolicy:
    return AccessPolicy(name, display_name=name, profile_type=profile_type, approver_groups=("approvers",))


def _tenant() -> Tenant:
    return Tenant(
        Settings("contoso", "main"),
        accounts={name: _account(name) for name in EVERYBODY},
        groups={"approvers": ApproverGroup("approvers", "Approvers", PEOPLE), "leads": ApproverGroup("leads", "", ())},
        policies={"apps": _policy("apps", "app"), "rules": _policy("rules", ACCESS_POLICY_TYPE)},
    )


def _approved(objects: tuple[ObjectId, ...], approvers: Sequence[str]) -> Facts:
    files = _files(objects)
    submit = _signed(_event("alice", Action.SUBMIT, OPENED, files))
    times = (OPENED + number * HOUR for number in range(1, 5))
    approvals = (_signed(_event(name, Action.APPROVE, at, files)) for name, at in zip(approvers, times, strict=False))
    held = _held(files)
    return Facts(_tenant(), files, files, objects, held, held, (submit, *approvals), now=OPENED + DAY)


# --- disturbances: first those that people make with the commands ----------------------------------------------------


def _somebody_acts(draw: st.DrawFn, facts: Facts) -> Facts:
    action = draw(st.sampled_from([a for a in Action if a is not Action.COMPLETE]))
    name, content = draw(st.sampled_from((*EVERYBODY, "bob", "carol"))), draw(st.sampled_from("bbc"))
    sign = draw(st.sampled_from((_signed, _signed, _attested)))
    place = draw(st.integers(1, len(facts.events)))
    return _inserted(facts, place, lambda at: sign(_event(name, action, at, _files(facts.objects, content))))


def _requestor_submits(draw: st.DrawFn, facts: Facts) -> Facts:
    place = draw(st.integers(1, len(facts.events)))
    sign = draw(st.sampled_from((_signed, _attested)))
    return _inserted(facts, place, lambda at: sign(_event("alice", Action.SUBMIT, at, _files(facts.objects))))


def _contributors(draw: st.DrawFn, facts: Facts) -> Facts:
    names = tuple(sorted(draw(st.sets(st.sampled_from(PEOPLE)))))
    return _changed(facts, _round_start(facts), lambda event: replace(event, contributors=names))


def _time_passes(draw: st.DrawFn, facts: Facts) -> Facts:
    place, wait = draw(st.integers(1, len(facts.events))), draw(st.sampled_from((DAY, 29 * DAY, 30 * DAY)))
    for index in range(place, len(facts.events)):
        facts = _changed(facts, index, lambda event: replace(event, at=event.at + wait))
    return replace(facts, now=facts.now + wait)


def _expires_now(draw: st.DrawFn, facts: Facts) -> Facts:
    now = draw(st.sampled_from(_times(facts))) + 30 * DAY - draw(st.sampled_from((timedelta(), SECOND)))
    return replace(facts, now=max(now, *_times(facts)))


def _account_changes(draw: st.DrawFn, facts: Facts) -> Facts:
    name = draw(st.sampled_from(EVERYBODY))
    account = facts.tenant.accounts.get(name, _account(name))
    other = draw(
        st.sampled_from(
            (
                replace(account, enabled=False),
                replace(account, roles=frozenset()),
                replace(account, roles=frozenset({Role.DEPLOYER})),
                replace(account, roles=frozenset({Role.ATTESTOR})),
                replace(account, github=None),
                replace(account, signing_keys=(f"{name}-token",)),
                replace(account, signing_keys=(f"{name}-laptop", "bob-laptop")),
            )
        )
    )
    return replace(facts, tenant=replace(facts.tenant, accounts={**facts.tenant.accounts, name: other}))


def _group_changes(draw: st.DrawFn, facts: Facts) -> Facts:
    name = draw(st.sampled_from(("approvers", "leads")))
    group = ApproverGroup(name, name, tuple(sorted(draw(st.sets(st.sampled_from(EVERYBODY))))))
    return replace(facts, tenant=replace(facts.tenant, groups={**facts.tenant.groups, name: group}))


def _policy_changes(draw: st.DrawFn, facts: Facts) -> Facts:
    name = draw(st.sampled_from(("apps", "more", "rules")))
    policies = {n: policy for n, policy in facts.tenant.policies.items() if n != name}
    if draw(st.integers(0, 3)):
        policies[name] = draw(_policies(name))
    return replace(facts, tenant=replace(facts.tenant, policies=policies))


@st.composite
def _policies(draw: st.DrawFn, name: str) -> AccessPolicy:
    return replace(
        _policy(name, draw(st.sampled_from(("app", "app", ACCESS_POLICY_TYPE)))),
        approver_groups=draw(st.sampled_from((("approvers",), ("approvers", "leads"), ("leads",), ("nowhere",)))),
        required_approvals=draw(st.sampled_from((1, 1, 2, 3, 0))),
        scope=draw(st.sampled_from(((), ("finance/*",)))),
        attested=draw(st.booleans()),
    )


def _content_changes(draw: st.DrawFn, facts: Facts) -> Facts:
    other = _files(facts.objects, "c")
    return draw(
        st.sampled_from(
            (
                replace(facts, changes=other, step=other),
                replace(facts, step=other),
                replace(facts, changes=None),
                replace(facts, good={}),
                replace(facts, tip={}),
                replace(facts, tip={f.path: Held("100644", f.new) for f in _files(facts.objects) if f.new is not None}),
                replace(facts, tip={path: replace(held, mode="100755") for path, held in facts.good.items()}),
                replace(facts, problems=(Reason(ReasonCode.INVALID_DOCUMENT, "found while reading"),)),
            )
        )
    )


# --- then those of any kind ------------------------------------------------------------------------------------------


def _line_changes(draw: st.DrawFn, facts: Facts) -> Facts:
    if not facts.events:
        return facts
    place = draw(st.integers(0, len(facts.events) - 1))
    fact, keys = facts.events[place], (None, "nobody", "alice-laptop", "notary-laptop", "pipeline-laptop")
    other = draw(
        st.sampled_from(
            (
                *(replace(fact, key=key) for key in keys),
                replace(fact, fault=draw(st.sampled_from(ReasonCode))),
                replace(fact, event=None),
                EventFact(None),
            )
        )
    )
    return replace(facts, events=(*facts.events[:place], other, *facts.events[place + 1 :]))


def _line_goes(draw: st.DrawFn, facts: Facts) -> Facts:
    place = draw(st.integers(0, len(facts.events)))
    return replace(facts, events=(*facts.events[:place], *facts.events[place + 1 :]))


def _event_changes(draw: st.DrawFn, facts: Facts) -> Facts:
    if not facts.events:
        return facts
    evidence = Evidence("github", 100 + draw(st.integers(0, len(NAMES))), "", "", "")
    differences: dict[str, object] = draw(
        st.sampled_from(
            (
                {"account": draw(st.sampled_from(NAMES))},
                {"action": draw(st.sampled_from(Action))},
                {"change": None},
                {"changes": ()},
                {"attested_by": draw(st.sampled_from(NAMES))},
                {"attested_by": "notary", "evidence": evidence},
            )
        )
    )
    place = draw(st.integers(0, len(facts.events) - 1))
    return _changed(facts, place, lambda event: replace(event, **differences))  # type: ignore[arg-type]


def _event_is_dated_otherwise(draw: st.DrawFn, facts: Facts) -> Facts:
    if not facts.events:
        return facts
    wait = draw(st.sampled_from((timedelta(), 5 * MINUTE, 5 * MINUTE + SECOND, 30 * DAY, 30 * DAY - SECOND)))
    at = draw(st.sampled_from(_times(facts))) + wait * draw(st.sampled_from((1, -1)))
    at = draw(st.sampled_from((at, at, at, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))))
    place = draw(st.integers(0, len(facts.events) - 1))
    return _changed(facts, place, lambda event: replace(event, at=at))


def _clock_is_wrong(draw: st.DrawFn, facts: Facts) -> Facts:
    behind = draw(st.sampled_from((timedelta(), 5 * MINUTE, 5 * MINUTE + SECOND, DAY)))
    return replace(facts, now=draw(st.sampled_from(_times(facts))) - behind)


ORDERLY = (
    *(_somebody_acts, _somebody_acts, _somebody_acts, _requestor_submits, _contributors, _time_passes, _expires_now),
    *(_account_changes, _group_changes, _policy_changes, _content_changes),
)
WILD = (_line_changes, _line_goes, _event_changes, _event_is_dated_otherwise, _clock_is_wrong)


@st.composite
def orderly(draw: st.DrawFn) -> Facts:
    """Facts of a record that the commands could have made."""
    objects = draw(st.sampled_from(((PORTAL,), (PORTAL,), (PORTAL, PAYROLL, GONE), (RULES,), (RULES, PORTAL))))
    facts = _approved(objects, draw(st.sampled_from((("bob",), ("bob",), ("bob", "carol")))))
    for disturb in draw(st.lists(st.sampled_from(ORDERLY), max_size=5)):
        facts = disturb(draw, facts)
    return facts


@st.composite
def wild(draw: st.DrawFn) -> Facts:
    """Facts of any kind, also such as reading would never give."""
    facts = draw(orderly())
    for disturb in draw(st.lists(st.sampled_from(WILD), max_size=4)):
        facts = disturb(draw, facts)
    return facts


# --- what the disturbances and the laws need -------------------------------------------------------------------------


def _round_start(facts: Facts) -> int:
    return max(i for i, fact in enumerate(facts.events) if fact.event and fact.event.action is Action.SUBMIT)


def _submit(facts: Facts) -> Event:
    event = facts.events[_round_start(facts)].event
    assert event is not None
    return event


def _place_in_round(facts: Facts, data: st.DataObject) -> int:
    return data.draw(st.integers(_round_start(facts) + 1, len(facts.events)), label="place")


def _inserted(facts: Facts, place: int, make: Callable[[datetime], EventFact]) -> Facts:
    latest = max(fact.event.at for fact in facts.events[:place] if fact.event is not None)
    return replace(facts, events=(*facts.events[:place], make(latest), *facts.events[place:]))


def _changed(facts: Facts, place: int, change: Callable[[Event], Event]) -> Facts:
    fact = facts.events[place]
    other = replace(fact, event=fact.event and change(fact.event))
    return replace(facts, events=(*facts.events[:place], other, *facts.events[place + 1 :]))


def _times(facts: Facts) -> list[datetime]:
    """When the events are dated, but for the first and the last day that there are."""
    times = [fact.event.at for fact in facts.events if fact.event is not None]
    return [at for at in times if abs(at - OPENED) < 1000 * DAY] or [OPENED]


# --- the rules once more ---------------------------------------------------------------------------------------------


def _is_approved(facts: Facts) -> bool:
    """Whether an unmerged request is approved, from the text of rules 1 to 8 and not from how ``evaluate`` does it."""
    events = [fact.event for fact in facts.events if fact.event and fact.key and not fact.fault]
    if not events or len(events) < len(facts.events) or events[0].action is not Action.SUBMIT:
        return False
    if any(event.action is Action.COMPLETE or event.at - facts.now > 5 * MINUTE for event in events):
        return False
    if any(earlier.at - later.at > 5 * MINUTE for earlier, later in combinations(events, 2)):
        return False
    start = _round_start(facts)
    submit, acts = events[start], facts.events[start + 1 :]
    if not _may_submit(facts, facts.events[start], submit, opener=events[0].account) or not _is_what_was_signed(
        facts, submit
    ):
        return False
    if any(event.action in (Action.REJECT, Action.CANCEL) for event in events[start + 1 :]):
        return False
    enough = [
        length
        for length in range(len(acts) + 1)
        if all(
            len(_standing(facts, p, submit, acts[:length])) >= max(1, p.required_approvals) for p in _covering(facts)
        )
    ]
    return len(acts) in enough and facts.now - events[start + enough[0]].at < 30 * DAY


def _covering(facts: Facts) -> list[AccessPolicy]:
    return [p for p in facts.tenant.policies.values() if any(p.covers(governed) for governed in facts.objects)]


def _known(facts: Facts, fact: EventFact) -> bool:
    """Whether the account that an event names signed it, or an attestor saw that it did."""
    event, accounts = fact.event, facts.tenant.accounts
    holders = {account.name for account in accounts.values() if fact.key in account.signing_keys}
    if event is None or event.account not in accounts or holders != {event.attested_by or event.account}:
        return False
    if event.attested_by is None:
        return True
    attestor, github = accounts[event.attested_by], accounts[event.account].github
    is_attestor = attestor.enabled and attestor.kind is AccountKind.SERVICE and Role.ATTESTOR in attestor.roles
    return is_attestor and github is not None and event.evidence is not None and github.id == event.evidence.user_id


def _may_submit(facts: Facts, fact: EventFact, submit: Event, opener: str) -> bool:
    if not _known(facts, fact) or submit.account != opener:
        return False
    account, policies = facts.tenant.accounts[opener], _covering(facts)
    may_change_rules = RULES not in facts.objects or Role.GLOBAL_ADMINISTRATOR in account.roles
    by_forge = submit.attested_by is None or (bool(policies) and all(policy.attested for policy in policies))
    return account.enabled and account.kind is AccountKind.PERSON and may_change_rules and by_forge


def _is_what_was_signed(facts: Facts, submit: Event) -> bool:
    changes, types = facts.changes, {governed.type for governed in facts.objects}
    if changes is None or set(changes) != set(submit.changes) or facts.step != changes or facts.problems:
        return False
    for file in changes:
        good, tip = facts.good.get(file.path), facts.tip.get(file.path)
        if (good and good.content) != file.old or (tip != good and (tip and (tip.mode, tip.content)) != _after(file)):
            return False
    return types != {ACCESS_POLICY_TYPE, "app"}


def _after(file: FileChange) -> tuple[str, str] | None:
    return (file.mode, file.new) if file.mode and file.new else None


def _standing(facts: Facts, policy: AccessPolicy, submit: Event, acts: Sequence[EventFact]) -> set[str]:
    """Whose approval stands after these acts, for one access policy: whose last word is an approval that it accepts."""
    words = [
        fact.event
        for fact in acts
        if fact.event and (fact.event.action is Action.WITHDRAW or _approves(facts, submit, fact))
    ]
    last = {event.account: event for event in words}
    approvals = {name: event for name, event in last.items() if event.action is Action.APPROVE}
    return {name for name, event in approvals.items() if _accepts(facts, policy, event)}


def _approves(facts: Facts, submit: Event, fact: EventFact) -> bool:
    event = fact.event
    return (
        event is not None
        and event.action is Action.APPROVE
        and _known(facts, fact)
        and event.change == change_digest(submit.changes, "contoso")
        and event.at - submit.at < 30 * DAY
        and event.account not in (submit.account, *submit.contributors)
        and any(_accepts(facts, policy, event) for policy in _covering(facts))
    )


def _accepts(facts: Facts, policy: AccessPolicy, event: Event) -> bool:
    account, groups = facts.tenant.accounts[event.account], facts.tenant.groups
    is_member = any(event.account in groups[name].members for name in policy.approver_groups if name in groups)
    is_person = account.enabled and account.kind is AccountKind.PERSON
    return is_member and is_person and (policy.attested or event.attested_by is None)


# --- laws ------------------------------------------------------------------------------------------------------------

APPROVED_OR_EXPIRED = frozenset({Status.APPROVED, Status.EXPIRED})


def _act(facts: Facts, name: str, action: Action, key: str = "laptop") -> Callable[[datetime], EventFact]:
    """Make an act of somebody's on what the request would change, at a given time."""

    def make(at: datetime) -> EventFact:
        return _signed(_event(name, action, at, _files(facts.objects)), key)

    return make


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETED])
def test_random_facts_reach_every_status(status: Status) -> None:
    """The laws below are about something: orderly facts come to each status of an unmerged request."""
    quick = settings(QUICK, max_examples=2000, phases=[Phase.generate])
    found = find(orderly(), lambda facts: evaluate(facts).status is status, settings=quick)
    assert evaluate(found).status is status


@settings(LAW, max_examples=800)
@given(wild())
def test_approved_exactly_when_the_rules_say_so(facts: Facts) -> None:
    """An unmerged request is approved if and only if rules 1 to 8, written out a second time, say that it is."""
    unmerged = replace(facts, merged=None)
    assert (evaluate(unmerged).status is Status.APPROVED) is _is_approved(unmerged)


@settings(LAW, max_examples=200)
@given(wild())
def test_a11_evaluate_never_raises(facts: Facts) -> None:
    """Whatever the facts are, there is an evaluation, with a verdict for each line and sane lists of people."""
    evaluation = evaluate(facts)
    assert len(evaluation.events) == len(facts.events)
    involved = {evaluation.requestor, *evaluation.contributors}
    for verdict in evaluation.policies:
        approved, could = {*verdict.approved_by}, {*verdict.can_approve}
        assert facts.tenant.possible_approvers(verdict.policy) >= approved | could
        assert not approved & could
        assert not (approved | could) & involved


@LAW
@given(orderly(), st.sampled_from(Outcome), st.sampled_from(ReasonCode))
def test_merged_is_never_undone(facts: Facts, outcome: Outcome, fault: ReasonCode) -> None:
    """A merged request is completed, or approved and being applied, whatever is in its record."""
    broken = (*facts.events, EventFact(None, None, fault))
    merged = replace(facts, events=broken, merged=Merge(GOOD, OPENED, "bob"))
    expected = Status.COMPLETED if outcome is Outcome.APPLIED else Status.APPROVED
    assert evaluate(replace(merged, outcomes=(TargetOutcome("local", outcome),))).status is expected


@LAW
@given(orderly(), st.data(), st.sampled_from(("laptop", "token")))
def test_a1_requestors_own_approval_changes_nothing(facts: Facts, data: st.DataObject, key: str) -> None:
    """An approval by the requestor, with either key, leaves status, approvals and expiry as they were."""
    approval = _act(facts, _submit(facts).account, Action.APPROVE, key)
    before, after = evaluate(facts), evaluate(_inserted(facts, _place_in_round(facts, data), approval))
    assert (after.status, after.policies, after.expires_at) == (before.status, before.policies, before.expires_at)


@LAW
@given(orderly(), st.data(), st.sampled_from((Action.REJECT, Action.CANCEL)), st.sampled_from(NAMES))
def test_h3_reject_or_cancel_ends_the_round(facts: Facts, data: st.DataObject, action: Action, name: str) -> None:
    """With a good reject or cancel anywhere in the round, by anybody, the request is rejected or cancelled."""
    after = evaluate(_inserted(facts, _place_in_round(facts, data), _act(facts, name, action)))
    assert after.status in (Status.REJECTED, Status.CANCELLED)


@LAW
@given(orderly(), st.data(), st.sampled_from(NAMES))
def test_c7_withdrawal_never_helps(facts: Facts, data: st.DataObject, name: str) -> None:
    """A request that is approved with a withdrawal was so without it (or it was expired)."""
    after = evaluate(_inserted(facts, _place_in_round(facts, data), _act(facts, name, Action.WITHDRAW)))
    assert after.status is not Status.APPROVED or evaluate(facts).status in APPROVED_OR_EXPIRED


@LAW
@given(orderly(), st.sampled_from(EVERYBODY))
def test_c7_withdrawal_takes_ones_approval_back(facts: Facts, name: str) -> None:
    """Who withdraws last approves nothing, and everybody else approves what they did."""
    before, after = evaluate(facts), evaluate(_inserted(facts, len(facts.events), _act(facts, name, Action.WITHDRAW)))
    assert [v.approved_by for v in after.policies] == [
        tuple(other for other in verdict.approved_by if other != name) for verdict in before.policies
    ]


@LAW
@given(orderly(), st.data())
def test_taking_out_an_approval_never_helps(facts: Facts, data: st.DataObject) -> None:
    """A request that is approved without one of its approvals was so with it (or it was expired)."""
    approvals = [fact for fact in facts.events if fact.event and fact.event.action is Action.APPROVE]
    assume(approvals)
    gone = data.draw(st.sampled_from(approvals))
    after = evaluate(replace(facts, events=tuple(fact for fact in facts.events if fact is not gone)))
    assert after.status is not Status.APPROVED or evaluate(facts).status in APPROVED_OR_EXPIRED


@LAW
@given(orderly(), st.integers(0), st.sampled_from(("path", "mode", "old", "new")))
def test_c1_one_byte_of_difference_voids_every_approval(facts: Facts, place: int, part: str) -> None:
    """If one byte of what would land differs, it is not approved; submitted again so, it has no approval at all."""
    files = _files(facts.objects)
    value = getattr(files[0], part)
    at = place % len(value)
    other = replace(files[0], **{part: value[:at] + ("d" if value[at] != "d" else "e") + value[at + 1 :]})
    edited = replace(facts, changes=(other, *files[1:]), step=(other, *files[1:]))
    assert evaluate(edited).status is not Status.APPROVED
    submit = _signed(_event(_submit(facts).account, Action.SUBMIT, facts.now, (other, *files[1:])))
    again = evaluate(replace(edited, events=(*facts.events, submit)))
    assert not any(verdict.approved_by for verdict in again.policies)


@LAW
@given(orderly(), st.data(), st.sampled_from(Action), st.sampled_from(NAMES))
def test_h27_event_by_an_unknown_key_never_helps(facts: Facts, data: st.DataObject, action: Action, name: str) -> None:
    """An event under a key that nobody holds, put in anywhere, gains nothing and is never attributed."""
    place = data.draw(st.integers(1, len(facts.events)))
    after = evaluate(
        _inserted(facts, place, lambda at: EventFact(_event(name, action, at, _files(facts.objects)), "nobody"))
    )
    assert after.events[place].account is None
    assert after.status is not Status.APPROVED or evaluate(facts).status in APPROVED_OR_EXPIRED


@LAW
@given(orderly(), st.data(), st.sampled_from(ReasonCode))
def test_h2_one_bad_event_anywhere_is_no_approval(facts: Facts, data: st.DataObject, fault: ReasonCode) -> None:
    """With a fault on any line, of this round or an earlier one, the request is not approved."""
    place = data.draw(st.integers(0, len(facts.events) - 1))
    bad = replace(facts.events[place], fault=fault)
    after = evaluate(replace(facts, events=(*facts.events[:place], bad, *facts.events[place + 1 :])))
    assert after.status is not Status.APPROVED
    assert after.events[place].code is fault


@LAW
@given(st.one_of(orderly(), wild()), st.timedeltas(timedelta(), 90 * DAY))
def test_time_alone_never_approves(facts: Facts, wait: timedelta) -> None:
    """Later it is not approved if it was not before; but for an event more than five minutes ahead of the clock."""
    unmerged = replace(facts, merged=None)
    assume(all(fact.event is None or fact.event.at - facts.now <= 5 * MINUTE for fact in facts.events))
    later = evaluate(replace(unmerged, now=facts.now + wait))
    assert later.status is not Status.APPROVED or evaluate(unmerged).status is Status.APPROVED


@LAW
@given(orderly(), st.sampled_from(ReasonCode))
def test_problem_never_helps(facts: Facts, code: ReasonCode) -> None:
    """With a problem found while reading, whatever it is, the request is not approved, and the problem is told."""
    problem = Reason(code, "found while reading")
    after = evaluate(replace(facts, problems=(*facts.problems, problem)))
    assert after.status is not Status.APPROVED
    assert problem in after.reasons


@LAW
@given(orderly(), st.data())
def test_a6_a7_person_with_several_keys_counts_once(facts: Facts, data: st.DataObject) -> None:
    """Everybody approves with one key and once more with the other: nobody counts twice."""
    submit = replace(facts.events[_round_start(facts)], event=replace(_submit(facts), at=OPENED))
    signers = data.draw(st.lists(st.sampled_from(PEOPLE), max_size=4))
    approvals = [
        _act(facts, name, Action.APPROVE, key)(OPENED + HOUR) for name in signers for key in ("laptop", "token")
    ]
    evaluation = evaluate(replace(facts, events=(submit, *approvals), now=OPENED + 31 * DAY))
    for verdict in evaluation.policies:
        assert len(verdict.approved_by) == len({*verdict.approved_by} & {*signers})
        assert verdict.satisfied is (len({*verdict.approved_by}) >= verdict.policy.quorum)


@LAW
@given(orderly())
def test_which_of_ones_keys_does_not_matter(facts: Facts) -> None:
    """An event means the same under each of its signer's keys."""
    assume(all(account.signing_keys == _account(name).signing_keys for name, account in facts.tenant.accounts.items()))
    swapped = tuple(
        replace(
            fact, key=(fact.key or "").replace("laptop", "other").replace("token", "laptop").replace("other", "token")
        )
        for fact in facts.events
    )
    assert evaluate(replace(facts, events=swapped)) == evaluate(facts)


@LAW
@given(orderly(), st.sampled_from(PEOPLE))
def test_c5_account_that_is_disabled_or_leaves_never_helps(facts: Facts, name: str) -> None:
    """A request that is approved after somebody was disabled, or left every group, was so before (or expired)."""
    tenant = facts.tenant
    disabled = {**tenant.accounts, name: replace(tenant.accounts[name], enabled=False)}
    without = {
        group: replace(found, members=tuple(member for member in found.members if member != name))
        for group, found in tenant.groups.items()
    }
    for changed in (replace(tenant, accounts=disabled), replace(tenant, groups=without)):
        after = evaluate(replace(facts, tenant=changed))
        assert after.status is not Status.APPROVED or evaluate(facts).status in APPROVED_OR_EXPIRED


@LAW
@given(orderly(), _policies("zz"))
def test_one_more_policy_never_helps(facts: Facts, policy: AccessPolicy) -> None:
    """A request that is approved under one more access policy was so without it (or expired).

    But for an attested submit, which needs an access policy that accepts it.
    """
    assume(_submit(facts).attested_by is None)
    stricter = replace(facts.tenant, policies={**facts.tenant.policies, "zz": policy})
    after = evaluate(replace(facts, tenant=stricter))
    assert after.status is not Status.APPROVED or evaluate(facts).status in APPROVED_OR_EXPIRED


@LAW
@given(orderly())
def test_names_mean_nothing(facts: Facts) -> None:
    """With every account named otherwise, the evaluation is the same, under the other names."""

    def named(name: str) -> str:
        return f"x-{name}"

    tenant = facts.tenant
    accounts = {named(n): replace(account, name=named(n)) for n, account in tenant.accounts.items()}
    groups = {n: replace(group, members=tuple(map(named, group.members))) for n, group in tenant.groups.items()}
    events = tuple(
        replace(
            fact,
            event=fact.event
            and replace(
                fact.event,
                account=named(fact.event.account),
                contributors=tuple(map(named, fact.event.contributors)),
                attested_by=fact.event.attested_by and named(fact.event.attested_by),
            ),
        )
        for fact in facts.events
    )
    before = evaluate(facts)
    after = evaluate(replace(facts, tenant=replace(tenant, accounts=accounts, groups=groups), events=events))
    assert after.status is before.status
    assert after.approver == (before.approver and named(before.approver))
    assert [v.approved_by for v in after.policies] == [tuple(map(named, v.approved_by)) for v in before.policies]
    assert [v.can_approve for v in after.policies] == [tuple(map(named, v.can_approve)) for v in before.policies]
    assert [(v.counts, v.code) for v in after.events] == [(v.counts, v.code) for v in before.events]


@LAW
@given(orderly(), st.data(), st.sampled_from(NAMES))
def test_lands_exactly_when_approved_and_completed_for_it(facts: Facts, data: st.DataObject, name: str) -> None:
    """It may land if and only if it is approved and an enabled known account completes that change on that base."""
    key, base = (data.draw(st.sampled_from(two)) for two in ((f"{name}-laptop", "nobody"), (GOOD, "b" * 40)))
    event = replace(_event(name, Action.COMPLETE, facts.now, _files(facts.objects)), base=base)
    evaluation, account = evaluate(facts), facts.tenant.accounts.get(name)
    may_land = (
        evaluation.status is Status.APPROVED
        and (event.change, base) == (evaluation.change, GOOD)
        and (account is not None and account.enabled and facts.tenant.holder(key) == name)
    )
    assert (not landing_reasons(facts, EventFact(event, key), GOOD)) is may_land


@LAW
@given(orderly())
def test_obstacles_do_not_depend_on_approvals(facts: Facts) -> None:
    """Obstacles are what no approval cures: they are the same without any, and with one nothing is approved."""
    evaluation = evaluate(facts)
    others = tuple(fact for fact in facts.events if fact.event and fact.event.action is not Action.APPROVE)
    assert evaluate(replace(facts, events=others)).obstacles == evaluation.obstacles
    assert not evaluation.obstacles or evaluation.status is not Status.APPROVED
