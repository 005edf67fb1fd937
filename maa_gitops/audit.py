"""The log: who did what when, from the records and receipts of one clone, each row verified or marked.

It decides nothing: what may land is judged in ``history``, which events are good in ``evaluate``, which receipts in
``receipt``. Here that is only told, one row a fact.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise, takewhile

from maa_gitops.apply import Context, applied
from maa_gitops.change import differences
from maa_gitops.errors import MaaError, RepositoryError
from maa_gitops.evaluate import CLOCK_TOLERANCE, attributed_to, event_faults
from maa_gitops.git import Entry, Repository
from maa_gitops.history import Violation, chain, record_paths
from maa_gitops.model import (
    Action,
    Event,
    EventFact,
    Outcome,
    ReasonCode,
    Tenant,
    matches,
    timestamp,
)
from maa_gitops.receipt import BRANCH_PREFIX, Receipt
from maa_gitops.record import RECORD_LIMIT, Line, event_facts
from maa_gitops.record import Context as RecordContext
from maa_gitops.record import read as read_record
from maa_gitops.tenant import Kind, load_tenant, place, split_record_path
from maa_gitops.tenant.paths import RECORDS

BOOTSTRAP, APPLY, VIOLATION = "bootstrap", "apply", "violation"
"""Actions of rows that are no events: the trusted start, one apply run, one step that may not be."""

UNREADABLE, ROLLED_BACK = "receiptsUnreadable", "receiptsRolledBack"

_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

_LAST_SECOND = 253402300799
"""The last moment that can be written down, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One row of the log.

    ``at`` is as signed. Where nobody signed a time it is the latest that is known from before: it was not earlier.
    ``account`` is None unless a key supports it; what was claimed is in ``detail``. ``action`` is None for a line that
    is no event. ``commit`` is the commit of the protected branch that brought the line, the one that was applied, or
    the one that is a violation; None: it is on a change branch only. ``reason`` says why a row is not verified.
    """

    at: datetime
    account: str | None
    action: str | None
    request: str | None
    objects: tuple[str, ...]
    verified: bool
    reason: str | None
    commit: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Log:
    """The rows by time, those of one record in its order; and what an auditor should look into beside them."""

    entries: tuple[LogEntry, ...]
    warnings: tuple[str, ...]


def audit(context: Context, branches: Mapping[str, Iterable[str]]) -> Log:
    """Write the log of a history that was walked from its trusted start.

    ``branches`` are the heads of the change branches, by the ids of their requests.

    Raises:
        RepositoryError: an object that is named is not in this clone.
        RemoteError: the protected branch moved on in the meantime (``retry``).
    """
    settled = _settled_records(context)
    times = _step_times(settled)
    receipts, unreadable = _receipts(context)
    founded = _founding_time(context)
    entries = [
        _bootstrap_entry(context, founded),
        *_record_entries(context, settled, branches, founded),
        *(_receipt_entry(receipt) for receipt in receipts),
        *unreadable,
        *_violation_entries(context, times, founded),
    ]
    return Log(tuple(sorted(entries, key=_order)), _late(context, times, receipts))


def selected(
    entries: Iterable[LogEntry],
    *,
    since: datetime | None = None,
    account: str | None = None,
    governed: str | None = None,
) -> tuple[LogEntry, ...]:
    """Choose rows; ``governed`` is an object, in which ``*`` stands for anything.

    A row that is not verified is never left out for being too old, since nothing vouches for its time.
    """
    return tuple(
        entry
        for entry in entries
        if (since is None or entry.at >= since or not entry.verified)
        and (account is None or entry.account == account)
        and (governed is None or any(matches(governed, name) for name in entry.objects))
    )


def late_receipts(context: Context) -> tuple[str, ...]:
    """Warn of receipts for an earlier commit that are dated more than five minutes after a step.

    Either a clock was wrong, or the step is dated back. Receipts that do not read are left out.
    """
    receipts: list[Receipt] = []
    for target in _targets(context):
        with suppress(MaaError):
            receipts += applied(context, target).receipts
    return _late(context, _step_times(_settled_records(context)), receipts)


def _order(entry: LogEntry) -> tuple[datetime, int, str]:
    rank = 0 if entry.action == BOOTSTRAP else 2 if entry.action in (APPLY, VIOLATION) else 1
    return (entry.at, rank, entry.request or "")


def _bootstrap_entry(context: Context, founded: datetime) -> LogEntry:
    detail = "the trusted start, dated by itself: nobody approved it, and all that follows is judged by it"
    return LogEntry(founded, None, BOOTSTRAP, None, (), True, None, context.history.start, detail)


def _founding_time(context: Context) -> datetime:
    """When the trusted start says that it was committed: trusted like the rest of it."""
    done = context.repository.run("rev-list", "--max-count=1", "--format=%ct", context.history.start, "--")
    seconds = done.text.rpartition("\n")[2]
    return datetime.fromtimestamp(min(int(seconds), _LAST_SECOND) if seconds.isdecimal() else 0, UTC)


# --- where the lines of records come from ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kept:
    """A record's line, the commit of the protected branch that brought it, and the rules that it is judged by."""

    line: Line
    commit: str | None
    tenant: Tenant


_Record = tuple[_Kept, ...]


def _settled_records(context: Context) -> dict[str, _Record]:
    """The records at G, by path. Each line is judged by the rules before the good commit that brought it.

    Along the good commits a record only ever grows.
    """
    repository, start = context.repository, context.trusted_start
    before = dict([(start, start), *((commit, older) for older, commit in pairwise(context.places))])
    newest: dict[str, Entry] = {}
    sizes: dict[str, list[tuple[int, str, Tenant]]] = {}
    for commit, path, entry in _brought(repository, tuple(context.places)):
        newest[path] = entry
        origin = (len(_content(repository, entry)), commit, load_tenant(repository, before[commit]))
        sizes.setdefault(path, []).append(origin)
    return {path: _with_origins(_content(repository, entry), sizes[path]) for path, entry in newest.items()}


def _brought(repository: Repository, commits: Sequence[str]) -> Iterator[tuple[str, str, Entry]]:
    """The records that each of some commits has otherwise than the one before: commit, path, what it holds there.

    A year's folder is long and every landing changes it, so git compares all of them, by their ids, in one run.

    Raises:
        RepositoryError: ``gitFailed``.
    """
    folders = [_records_folder(repository, commit) or _EMPTY_TREE for commit in commits]
    pairs = zip((_EMPTY_TREE, *folders), folders, commits, strict=False)
    steps = {f"{old} {new}": commit for old, new, commit in pairs if old != new}
    wanted = "".join(f"{step}\n" for step in steps).encode()
    done = repository.run("diff-tree", "--stdin", "-r", "-z", "--no-abbrev", "--no-renames", input=wanted)
    if done.returncode:
        raise RepositoryError(
            f"the records cannot be compared: {done.last_words}", hint="git fsck --full", code="gitFailed"
        )
    fields, commit = done.text.split("\0"), ""
    for change, name in zip(fields[::2], fields[1::2], strict=False):
        step, _, entry = change.rpartition("\n")
        commit = steps[step.rpartition("\n")[2]] if step else commit
        _, mode, _, oid, _ = entry.split(" ")
        if _is_record(f"{RECORDS}/{name}"):
            yield commit, f"{RECORDS}/{name}", Entry(name, mode, oid)


def _with_origins(data: bytes, sizes: Sequence[tuple[int, str, Tenant]]) -> _Record:
    """Tell of each line with which of the sizes that the record had over time it came."""
    lines = read_record(data)
    kept, reached = [], 0
    for line, end in zip(lines, accumulate(len(line.raw) + 1 for line in lines), strict=True):
        while reached < len(sizes) - 1 and end > sizes[reached][0]:
            reached += 1
        _, commit, tenant = sizes[reached]
        kept.append(_Kept(line, commit, tenant))
    return tuple(kept)


def _unsettled_records(context: Context) -> dict[str, _Record]:
    """The records of a tip that is not good, where they are not as G has them; judged by the rules at G."""
    repository, good, tip = context.repository, context.history.good.commit, context.history.tip
    found: dict[str, _Record] = {}
    at_tip: Iterable[str] = ()
    for commit in chain(repository, good, tip):
        at_tip = changed = _changed_records(repository, good, commit)
        for path, entry in changed.items():
            lines = read_record(_content(repository, entry))
            known = _common(found.get(path, ()), lines)
            found[path] = (*known, *(_Kept(line, commit, context.tenant) for line in lines[len(known) :]))
    return {path: found[path] for path in at_tip}


def _proposed_records(context: Context, branches: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, _Record]]:
    """The records of the requests on the change branches; judged by the rules at G."""
    repository = context.repository
    for name, heads in sorted(branches.items()):
        for head in heads:
            for path, data in _own_records(repository, head, name):
                yield path, tuple(_Kept(line, None, context.tenant) for line in read_record(data))


def _own_records(repository: Repository, head: str, name: str) -> list[tuple[str, bytes]]:
    tree = repository.commit(head).tree
    try:
        entries = [(path, repository.entry(tree, path)) for path in record_paths(repository, tree, name)]
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        return []  # nothing on this branch can be read; the request says so
    return [(path, _content(repository, entry)) for path, entry in entries if entry is not None]


def _changed_records(repository: Repository, good: str, commit: str) -> dict[str, Entry]:
    """The records that a commit, which is not good, has otherwise than G; by path."""
    try:
        found = differences(repository, _records_folder(repository, good), _records_folder(repository, commit))
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        return {}  # the commit has a row that says so
    changed = {f"{RECORDS}/{path}": entry for path, (_, entry) in found.items() if entry is not None}
    return {path: entry for path, entry in changed.items() if _is_record(path)}


def _records_folder(repository: Repository, commit: str) -> str:
    """The id of the folder with the records; empty, if there is none."""
    entry = repository.entry(repository.commit(commit).tree, RECORDS)
    return entry.oid if entry is not None and entry.is_folder else ""


def _is_record(path: str) -> bool:
    return place(path, ()).kind is Kind.RECORD


def _content(repository: Repository, entry: Entry) -> bytes:
    """A record's bytes; of what cannot be one, a line that is no event."""
    if entry.mode != "100644" or repository.blob_size(entry.oid) > RECORD_LIMIT:
        return b"\n"
    return repository.blob(entry.oid)


def _lines(record: _Record) -> tuple[Line, ...]:
    return tuple(kept.line for kept in record)


def _common(record: _Record, lines: Iterable[Line]) -> _Record:
    """The lines with which both begin."""
    pairs = takewhile(lambda pair: pair[0].line == pair[1], zip(record, lines, strict=False))
    return tuple(kept for kept, _ in pairs)


def _step_times(records: Mapping[str, _Record]) -> dict[str, datetime]:
    """The time of each step that has one: the latest ``at`` of the events that it adds."""
    times: dict[str, datetime] = {}
    for kept in (kept for record in records.values() for kept in record):
        if kept.commit is not None and kept.line.event is not None:
            at = kept.line.event.at
            times[kept.commit] = max(times.get(kept.commit, at), at)
    return times


# --- events ----------------------------------------------------------------------------------------------------------


def _record_entries(
    context: Context, settled: Mapping[str, _Record], branches: Mapping[str, Iterable[str]], founded: datetime
) -> Iterator[LogEntry]:
    """The rows of every record: G's, gone on with by the tip's and then by the change branch's, as far as they do."""
    others: dict[str, list[_Record]] = {path: [] for path in settled}
    for path, record in (*_unsettled_records(context).items(), *_proposed_records(context, branches)):
        others.setdefault(path, []).append(record)
    for path, versions in sorted(others.items()):
        good = settled.get(path, ())
        whole, strays = _joined(good, versions)
        yield from _event_entries(path, whole, _faults(context, path, whole, len(good), _end(good)), founded)
        for stray in strays:
            common = len(_common(whole, _lines(stray)))
            faults = _faults(context, path, stray, min(common, len(good)), common)
            yield from tuple(_event_entries(path, stray, faults, founded))[common:]


def _joined(good: _Record, versions: Iterable[_Record]) -> tuple[_Record, list[_Record]]:
    """The record that goes on from G's with each version that extends it, and the versions that contradict it."""
    whole, strays = good, []
    for version in versions:
        common = len(_common(whole, _lines(version)))
        if common == len(whole):
            whole += version[common:]
        elif common < len(version):
            strays.append(version)
    return whole, strays


def _end(good: _Record) -> int | None:
    """Where a record must end: nothing follows the ``complete`` of a landed one. None: it may go on."""
    last = good[-1].line.event if good else None
    return len(good) if last is not None and last.action is Action.COMPLETE else None


def _faults(
    context: Context, path: str, record: _Record, settled: int, end: int | None
) -> tuple[tuple[EventFact, ReasonCode | None], ...]:
    """Check a record's lines. The first ``settled`` are those that G has; from ``end`` on there should be none."""
    request, year = split_record_path(path)
    tenant, good = context.tenant.settings.tenant, context.history.good
    facts = event_facts(_lines(record), RecordContext(tenant, request, year, good.is_base))
    landed = event_faults(facts[:settled], context.now, landed=True)
    added = event_faults(facts, context.now, landed=False)[settled:]
    faults = [
        fault or (ReasonCode.RECORD_ALTERED if end is not None and index >= end else None)
        for index, fault in enumerate((*landed, *added))
    ]
    return tuple(zip(facts, faults, strict=True))


def _event_entries(
    path: str, record: _Record, facts: Iterable[tuple[EventFact, ReasonCode | None]], founded: datetime
) -> Iterator[LogEntry]:
    """The rows of one record; of a line that is no event, as late as the line before."""
    at = founded
    objects: tuple[str, ...] = ()
    for number, (kept, (fact, fault)) in enumerate(zip(record, facts, strict=True), start=1):
        event = fact.event
        if event is not None:
            at = event.at
            objects = _objects(kept.tenant, _paths(event)) if event.action is Action.SUBMIT else objects
        account = attributed_to(kept.tenant, fact)
        reason = fault or (ReasonCode.UNKNOWN_SIGNER if account is None else None)
        yield LogEntry(
            at=at,
            account=account,
            action=event.action.value if event is not None else None,
            request=split_record_path(path)[0],
            objects=objects,
            verified=reason is None,
            reason=reason.value if reason is not None else None,
            commit=kept.commit,
            detail=_said(event, account) if event is not None else f"line {number} of the record is no event",
        )


def _paths(event: Event) -> tuple[str, ...]:
    return tuple(change.path for change in event.changes)


def _objects(tenant: Tenant, paths: Iterable[str]) -> tuple[str, ...]:
    """The objects that paths belong to, sorted."""
    found = {place(path, tenant.settings.profile_types).governed for path in paths}
    return tuple(sorted(str(governed) for governed in found if governed is not None))


def _said(event: Event, account: str | None) -> str | None:
    """The words of an event, after what is to be known of its signer."""
    parts = [f"by somebody unknown, claiming to be {event.account}"] if account is None else []
    if event.attested_by is not None and event.evidence is not None:
        who = f"{event.evidence.login} on {event.evidence.source}"
        parts.append(f"attested by {event.attested_by} for {who}: {event.evidence.url}")
    parts += [words for words in (event.justification, event.notes) if words is not None]
    return "; ".join(parts) or None


# --- receipts and violations -----------------------------------------------------------------------------------------


def _targets(context: Context) -> list[str]:
    """The targets that are or were: those of the settings, and those that have receipts."""
    prefix = context.shared_ref(BRANCH_PREFIX)
    kept = {ref.removeprefix(prefix) for ref in context.repository.refs(prefix)}
    return sorted(kept | {target.name for target in context.tenant.settings.targets})


def _receipts(context: Context) -> tuple[tuple[Receipt, ...], tuple[LogEntry, ...]]:
    """The receipts of every target, and a row for each target whose receipts do not read."""
    receipts: list[Receipt] = []
    unreadable: list[LogEntry] = []
    for target in _targets(context):
        try:
            receipts += applied(context, target).receipts
        except RepositoryError as error:
            reason = ROLLED_BACK if error.code == ROLLED_BACK else UNREADABLE
            unreadable.append(LogEntry(context.now, None, APPLY, None, (), False, reason, None, error.message))
    return tuple(receipts), tuple(unreadable)


def _receipt_entry(receipt: Receipt) -> LogEntry:
    objects = tuple(outcome.object for outcome in receipt.outcomes)
    return LogEntry(receipt.at, receipt.account, APPLY, None, objects, True, None, receipt.commit, _told(receipt))


def _told(receipt: Receipt) -> str:
    """What an apply run came to."""
    failed = {found.object: found.message for found in receipt.outcomes if found.outcome is not Outcome.APPLIED}
    count = len(receipt.outcomes) - len(failed)
    waiting = {one.object for one in receipt.outcomes if one.outcome is Outcome.AWAITING_NATIVE_APPROVAL}
    parts = [f"{receipt.target}: {count} applied, {len({*receipt.failed} - waiting)} failed"]
    parts += [f"{len(waiting)} waiting for the target's own approval"] if waiting else []
    parts += [f"{name}: {failed.get(name) or 'it is not at the state of the commit'}" for name in receipt.failed]
    return "; ".join(parts)


def _violation_entries(context: Context, times: Mapping[str, datetime], founded: datetime) -> Iterator[LogEntry]:
    """The rows of the steps that may not be; no earlier than the latest good step before."""
    violations: dict[str, list[Violation]] = {}
    for violation in context.history.violations:
        violations.setdefault(violation.commit, []).append(violation)
    latest, good = founded, context.trusted_start
    for commit in (good, *chain(context.repository, good, context.history.tip)):
        for violation in violations.get(commit, ()):
            objects = _objects(load_tenant(context.repository, good), violation.paths)
            healed = f"healed by {violation.healed_by}" if violation.healed_by is not None else "not healed"
            detail = f"{violation.message}; {healed}"
            yield LogEntry(latest, None, VIOLATION, None, objects, False, violation.code.value, commit, detail)
        if commit in context.places:
            latest, good = max(latest, times.get(commit, latest)), commit


def _late(context: Context, times: Mapping[str, datetime], receipts: Iterable[Receipt]) -> tuple[str, ...]:
    """Compare each receipt with the earliest time of all steps after the commit that it names."""
    earliest: dict[str, tuple[datetime, str]] = {}
    later: tuple[datetime, str] | None = None
    for commit in reversed(tuple(context.places)):
        if later is not None:
            earliest[commit] = later
        if commit in times:
            later = min(later or (times[commit], commit), (times[commit], commit))
    warnings = []
    for receipt in receipts:
        time, commit = earliest.get(receipt.commit, (receipt.at, ""))
        if receipt.at - time > CLOCK_TOLERANCE:
            warnings.append(
                f"the receipt of {timestamp(receipt.at)} for {receipt.target} names {receipt.commit[:12]}, but the "
                f"later step {commit[:12]} is dated {timestamp(time)}: a clock was wrong, or the step is dated back"
            )
    return tuple(warnings)
