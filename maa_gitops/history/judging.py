"""Judging one step from G to a tree: what it does to records, and whether what it changes was approved."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from maa_gitops import record
from maa_gitops.change import ChangeSet, Difference, between, held
from maa_gitops.errors import RepositoryError
from maa_gitops.evaluate import CLOCK_TOLERANCE, attributed_to, event_faults, landing_reasons
from maa_gitops.git import Repository
from maa_gitops.history.shape import shape_faults
from maa_gitops.history.verdict import Good, Verdict, Violation, fault
from maa_gitops.model import Action, Event, EventFact, Facts, FileChange, Reason, ReasonCode, Tenant, timestamp
from maa_gitops.tenant import Kind, place, split_record_path
from maa_gitops.tenant.paths import RECORDS


def judge(repository: Repository, good: Good, tree: str, now: datetime) -> Verdict:
    """Judge the step from G to a tree. The commits of the faults are left empty."""
    try:
        step = between(repository, repository.commit(good.commit).tree, tree, good.tenant.settings.profile_types)
        shape = shape_faults(repository, good, tree)
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        return Verdict((Violation("", ReasonCode.MALFORMED_TREE, error.message),), None)
    extended, record_faults = _records(repository, good, tree, step)
    time = max((event.at for added in extended for event in added.new_events), default=None)
    faults = (*shape, *record_faults, *_time_faults(good, time, now), *_event_faults(good, extended, time))
    if not record_faults:
        faults += _landing_faults(repository, good, step, extended, time)
    return Verdict(faults, time)


# What the step does to records.


@dataclass(frozen=True, slots=True)
class _Extended:
    """A record that the step added or extended: its events, and how many of them are old."""

    path: str
    facts: tuple[EventFact, ...]
    old_count: int

    @property
    def new_events(self) -> tuple[Event, ...]:
        return tuple(fact.event for fact in self.facts[self.old_count :] if fact.event is not None)

    @property
    def completes(self) -> bool:
        event = self.facts[-1].event
        return event is not None and event.action is Action.COMPLETE


def _records(
    repository: Repository, good: Good, tree: str, step: ChangeSet
) -> tuple[tuple[_Extended, ...], tuple[Violation, ...]]:
    """Read the records that a step touches; what else it does to them is a fault."""
    extended, faults = [], []
    for path, pair in sorted(step.records.items()):
        found = _extended_record(repository, good, tree, path, pair)
        if isinstance(found, str):
            faults.append(fault(ReasonCode.RECORD_ALTERED, f"{path}: {found}", [path]))
        else:
            extended.append(found)
    return tuple(extended), tuple(faults)


def _extended_record(repository: Repository, good: Good, tree: str, path: str, pair: Difference) -> _Extended | str:
    """Read a touched record, or say why it may not be touched so."""
    old, new = pair
    where = place(path, good.tenant.settings.profile_types)
    if where.kind is not Kind.RECORD:
        return where.why
    if new is None:
        return "records are never taken away"
    if new.mode != "100644" or (old is not None and old.mode != "100644"):
        return "a record is a regular file"
    request, year = split_record_path(path)
    if old is None and any(other != path for other in record_paths(repository, tree, request)):
        return f"request {request} has a record of another year"
    if repository.blob_size(new.oid) > record.RECORD_LIMIT:
        return "a record has at most 16 MiB"
    before = repository.blob(old.oid) if old is not None else b""
    data = repository.blob(new.oid)
    if not data.startswith(before) or data == before:
        return "a record may only be extended"
    lines = record.read(data)
    context = record.Context(good.tenant.settings.tenant, request, year, good.is_base)
    found = _Extended(path, record.event_facts(lines, context), len(record.read(before)))
    last = found.facts[found.old_count - 1].event if found.old_count else None
    if last is not None and last.action is Action.COMPLETE:
        return "nothing follows complete"
    return found


def record_paths(repository: Repository, tree: str, request: str) -> list[str]:
    """Where a tree has a record of this request, over all years."""
    top = repository.entry(tree, RECORDS)
    if top is None or not top.is_folder:
        return []
    years = [entry.name for entry in repository.tree(top.oid) if entry.is_folder]
    paths = (f"{RECORDS}/{year}/{request}.jsonl" for year in years)
    return [p for p in paths if place(p, ()).kind is Kind.RECORD and repository.entry(tree, p) is not None]


def is_ahead(time: datetime | None, now: datetime) -> bool:
    """Whether a step is dated further ahead than clocks may be apart: it may be good later."""
    return time is not None and time - now > CLOCK_TOLERANCE


def _time_faults(good: Good, time: datetime | None, now: datetime) -> tuple[Violation, ...]:
    if time is None:
        return ()
    if is_ahead(time, now):
        return (fault(ReasonCode.OUT_OF_TIME, f"the step is dated {timestamp(time)}, which is yet to come"),)
    if good.time is not None and good.time - time > CLOCK_TOLERANCE:
        text = f"the step is dated {timestamp(time)}, before an earlier step of {timestamp(good.time)}"
        return (fault(ReasonCode.OUT_OF_TIME, text),)
    return ()


def _event_faults(good: Good, extended: Iterable[_Extended], time: datetime | None) -> tuple[Violation, ...]:
    """Added events must be good; the newest must be by a signer known at G."""
    faults = []
    for found in extended:
        now = time if time is not None else datetime.max.replace(tzinfo=UTC)
        broken = event_faults(found.facts, now, landed=found.completes)[found.old_count :]
        for number, code in enumerate(broken, start=found.old_count + 1):
            if code is not None:
                faults.append(fault(code, f"{found.path}: line {number} is not a good event", [found.path]))
        if not any(broken) and attributed_to(good.tenant, found.facts[-1]) is None:
            text = f"{found.path}: the newest event is by nobody who is known"
            faults.append(fault(ReasonCode.UNKNOWN_SIGNER, text, [found.path]))
    return tuple(faults)


# Whether what the step changes was approved.


def _landing_faults(
    repository: Repository, good: Good, step: ChangeSet, extended: Iterable[_Extended], time: datetime | None
) -> tuple[Violation, ...]:
    protected = [
        path
        for path in step.differences
        if (governed := step.places[path].governed) is not None and good.tenant.protects(governed)
    ]
    completing = [found for found in extended if found.completes]
    if not completing and not protected:
        return ()
    if len(completing) != 1 or time is None:
        text = "protected paths changed without a completed request" if not completing else "two requests in one step"
        return (fault(ReasonCode.UNAPPROVED_CHANGE, text, protected),)
    reasons = _completion_reasons(repository, good, step, completing[0], time)
    if not reasons:
        return ()
    why = "; ".join(f"{reason.code.value}: {reason.message}" for reason in reasons)
    code = ReasonCode.UNAPPROVED_CHANGE if protected else reasons[0].code
    return (fault(code, f"{completing[0].path} was not approved for this change: {why}", protected),)


def _completion_reasons(
    repository: Repository, good: Good, step: ChangeSet, found: _Extended, time: datetime
) -> tuple[Reason, ...]:
    *before, complete = found.facts
    landing = _landed_changes(good.tenant, step, _signed(before))
    paths = [change.path for change in landing]
    there = held(repository, repository.commit(good.commit).tree, paths)
    facts = Facts(
        tenant=good.tenant,
        changes=landing,
        step=landing,
        objects=tuple(sorted({where for path in paths if (where := step.places[path].governed) is not None})),
        good=there,
        tip=there,
        events=tuple(before),
        now=time,
        problems=tuple(
            Reason(ReasonCode.MALFORMED_TREE, f"{path}: {step.troubles[path]}")
            for path in paths
            if path in step.troubles
        ),
    )
    return landing_reasons(facts, complete, good.commit)


def _signed(facts: Iterable[EventFact]) -> frozenset[str]:
    """The paths of the last submit's signed list."""
    submit = record.last_submit(facts)
    return frozenset(change.path for change in submit.changes) if submit is not None else frozenset()


def _landed_changes(tenant: Tenant, step: ChangeSet, signed: frozenset[str]) -> tuple[FileChange, ...]:
    """What the step changes, less unprotected paths that nobody signed: these may go along."""

    def matters(path: str) -> bool:
        governed = step.places[path].governed
        return path in signed or (governed is not None and tenant.protects(governed))

    return tuple(change for change in step.changes if matters(change.path))
