"""What may land on the protected branch: judging steps, and the walk that keeps G, the last good commit.

Goodness follows from the protected branch alone: from trees, records and the rules at G. Commit messages, authors and
other parents mean nothing here.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from maa_gitops import record
from maa_gitops.change import ChangeSet, Difference, between, held
from maa_gitops.errors import MaaError, NotAllowedError, RepositoryError
from maa_gitops.evaluate import CLOCK_TOLERANCE, attributed_to, event_faults, landing_reasons
from maa_gitops.git import RefUpdate, Repository
from maa_gitops.model import Action, Event, EventFact, Facts, FileChange, Reason, ReasonCode, Tenant, timestamp
from maa_gitops.tenant import Kind, Loaded, load, load_tenant, place, split_record_path
from maa_gitops.tenant.paths import RECORDS, SETTINGS
from maa_gitops.tenant.resources import resource_paths


@dataclass(frozen=True, slots=True)
class Violation:
    """A step that may not be. ``healed_by`` is the later commit that is good against the same G."""

    commit: str
    code: ReasonCode
    message: str
    paths: tuple[str, ...] = ()
    healed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Good:
    """The last good commit, with what the next step is judged by.

    ``time`` is the latest time of all steps so far. ``is_base`` says whether a commit is on its first-parent chain.
    """

    commit: str
    tenant: Tenant
    time: datetime | None
    is_base: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a step was judged: good if there is no fault. ``time`` is the latest ``at`` of the events that it adds."""

    faults: tuple[Violation, ...]
    time: datetime | None

    @property
    def good(self) -> bool:
        """Whether the step may be."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class History:
    """The protected branch from ``start`` to ``tip``.

    ``bad`` are the commits on it that were not good, healed or not; ``violations`` are those of this walk, in order.
    ``is_settled`` is False if only the clock keeps a step from being good: what comes of it and of all after it can
    change, so nobody may go on from there.
    """

    start: str
    tip: str
    good: Good
    steps: int
    violations: tuple[Violation, ...]
    bad: frozenset[str]
    is_settled: bool = True

    @property
    def tip_is_good(self) -> bool:
        """Whether the tip may be applied and submitted against."""
        return self.good.commit == self.tip


# --- the walk --------------------------------------------------------------------------------------------------------


def walk(
    repository: Repository,
    start: "Memory",
    tip: str,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    put_back: str | None = None,
) -> History:
    """Judge every first-parent step from a commit that is taken as good to the tip. ``put_back`` as in ``chain``.

    Raises:
        NotAllowedError: ``lostChain``, if the start is not on the tip's first-parent chain.
        RepositoryError: a commit on the way is absent (a shallow clone), or the rules at the start are broken.
    """
    steps = chain(repository, start.commit, tip, put_back)
    older = _OlderThan(repository, start.commit)
    known = {start.commit}
    good = Good(
        start.commit, load_tenant(repository, start.commit), start.time, lambda oid: oid in known or older.has(oid)
    )
    passed: set[str] = set()
    violations: list[Violation] = []
    open_since, is_settled = 0, True
    for number, commit in enumerate(steps, start=1):
        verdict = judge(repository, good, repository.commit(commit).tree, now)
        passed.add(commit)
        progress(number, len(steps))
        is_settled = is_settled and not (len(verdict.faults) == 1 and _is_ahead(verdict.time, now))
        if not verdict.good:
            violations += [replace(fault, commit=commit) for fault in verdict.faults]
            continue
        violations[open_since:] = [replace(found, healed_by=commit) for found in violations[open_since:]]
        open_since = len(violations)
        known |= passed
        good = Good(commit, load_tenant(repository, commit), _later(good.time, verdict.time), good.is_base)
    bad = start.bad | {violation.commit for violation in violations}
    return History(start.commit, tip, good, len(steps), tuple(violations), frozenset(bad), is_settled)


def chain(repository: Repository, start: str, tip: str, put_back: str | None = None) -> tuple[str, ...]:
    """The commits after ``start`` up to ``tip`` along first parents, oldest first.

    ``put_back`` says that the tip is a branch's which held the start: the command, with ``{commit}`` in it, that
    brings a lost one back.

    Raises:
        NotAllowedError: ``lostChain``, if the start is not among them.
    """
    found: list[str] = []
    for commit in first_parents(repository, tip):
        if commit == start:
            return tuple(reversed(found))
        found.append(commit)
    if put_back is None:
        raise NotAllowedError(f"{tip} does not go back to {start} along first parents", code="lostChain")
    raise NotAllowedError(
        f"the protected branch has lost commit {start}, which was good: its history was rewritten",
        hint=f"find out who did this; to put it back: {put_back.format(commit=start)}",
        code="lostChain",
    )


def first_parents(repository: Repository, tip: str) -> Iterator[str]:
    """A commit and its first parents, newest first, read from the commit objects themselves."""
    commit: str | None = tip
    while commit is not None:
        yield commit
        parents = repository.commit(commit).parents
        commit = parents[0] if parents else None


@dataclass(slots=True)
class _OlderThan:
    """The first-parent ancestors of a commit, walked only as far as somebody asks."""

    repository: Repository
    commit: str
    seen: set[str] = field(default_factory=set)
    rest: Iterator[str] | None = None

    def has(self, oid: str) -> bool:
        """Whether a commit is among them."""
        if self.rest is None:
            self.rest = first_parents(self.repository, self.commit)
        while oid not in self.seen:
            older = next(self.rest, None)
            if older is None:
                return False
            self.seen.add(older)
        return True


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


# --- where the walk starts -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory:
    """A commit taken as good, the latest step time at it, and the bad commits below it that were healed."""

    commit: str
    time: datetime | None = None
    bad: frozenset[str] = frozenset()


def oldest_with_settings(repository: Repository, tip: str) -> str:
    """Find the oldest first-parent commit that holds ``maa.yaml``: the trusted start if none is pinned.

    Raises:
        RepositoryError: no commit holds it, or a parent that is named is absent.
    """
    oldest = None
    for commit in first_parents(repository, tip):
        if _holds_settings(repository, commit):
            oldest = commit
    if oldest is None:
        raise RepositoryError(f"no commit of the protected branch holds {SETTINGS}", hint="maa init --tenant NAME")
    return oldest


def _holds_settings(repository: Repository, commit: str) -> bool:
    """Whether a commit holds ``maa.yaml``. A malformed tree, which is judged later, must not block the way to it."""
    try:
        return repository.entry(repository.commit(commit).tree, SETTINGS) is not None
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        return False


def recall(repository: Repository, branch: str) -> Memory | None:
    """What this clone remembers of the protected branch; None where commit and time do not belong together."""
    commit = repository.ref(_memory_ref(branch))
    if commit is None:
        return None
    try:
        plain = json.loads(_memory_file(repository, branch).read_text(encoding="utf-8"))
        time = record.parse_moment(plain["time"]) if plain["time"] is not None else None
        remembered = Memory(plain["commit"], time, frozenset(plain["bad"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return remembered if remembered.commit == commit else None


def remembered_commit(repository: Repository, branch: str) -> str | None:
    """The last good commit that this clone has seen, which every new tip must have on its first-parent chain."""
    return repository.ref(_memory_ref(branch))


def remember(repository: Repository, branch: str, history: History) -> None:
    """Keep the last good commit in this clone, the file before the ref: a kill in between only costs a longer walk.

    Of a history that is not settled the commit alone is kept, so that the next walk is a whole one.
    """
    good = history.good
    plain = {
        "commit": good.commit,
        "time": timestamp(good.time) if good.time is not None else None,
        "bad": sorted(history.bad),
    }
    path = _memory_file(repository, branch)
    old = repository.ref(_memory_ref(branch))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if history.is_settled:
            path.write_text(json.dumps(plain) + "\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)
        if old != good.commit:
            repository.update_refs([RefUpdate(_memory_ref(branch), old, good.commit)], "maa: last good commit")
    except (OSError, MaaError):
        return  # a read-only clone can be judged too; it only forgets


def _memory_ref(branch: str) -> str:
    return f"refs/maa/verified/{branch}"


def _memory_file(repository: Repository, branch: str) -> Path:
    return repository.git_dir / "maa" / "verified" / f"{branch.replace('/', '%2F')}.json"


# --- judging one step ------------------------------------------------------------------------------------------------


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


def shape_faults(repository: Repository, good: Good, tree: str) -> tuple[Violation, ...]:
    """What a tree may not look like after a step from G, whoever approved it: names, modes, broken rules.

    Raises:
        RepositoryError: ``malformedTree``, if a tree on the way cannot be read.
    """
    step = between(repository, repository.commit(good.commit).tree, tree, good.tenant.settings.profile_types)
    after = load(repository, tree)
    return (
        *_place_faults(good, step),
        *_new_twins(repository, good, tree, step),
        *_rule_faults(repository, good, tree, after),
    )


def _fault(code: ReasonCode, message: str, paths: Iterable[str] = ()) -> Violation:
    return Violation("", code, message, tuple(sorted(paths)))


# What the step does to the shape of the tree and to the rules.


def _place_faults(good: Good, step: ChangeSet) -> list[Violation]:
    """Refused places, and wrong names and modes where they matter: on protected paths and records."""
    faults = []
    for path, text in sorted(step.new_troubles.items()):
        where = step.places[path]
        covered = where.governed is not None and good.tenant.protects(where.governed)
        if covered or where.kind in (Kind.REFUSED, Kind.COMPANION):
            faults.append(_fault(ReasonCode.MALFORMED_TREE, f"{path}: {text}", [path]))
    return faults


def _new_twins(repository: Repository, good: Good, tree: str, step: ChangeSet) -> list[Violation]:
    """Names that differ only by case, in folders that the step touched under the tool's own paths."""
    before = repository.commit(good.commit).tree
    watched = {
        path for path, where in step.places.items() if where.kind is not Kind.FREE and step.differences.get(path)
    }
    faults = []
    for folder in sorted({parent for path in {*watched, *step.records} for parent in _folders_of(path)}):
        old = _names(repository, before, folder)
        for twins in _twins(_names(repository, tree, folder)):
            if not twins <= old:
                paths = [f"{folder}/{name}" for name in sorted(twins)]
                faults.append(_fault(ReasonCode.MALFORMED_TREE, f"{' and '.join(paths)} differ only by case", paths))
    return faults


def _folders_of(path: str) -> list[str]:
    """The folders that a path lies in, the root left out."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _twins(names: Iterable[str]) -> list[frozenset[str]]:
    """Names that differ only by case, together."""
    found: dict[str, set[str]] = {}
    for name in names:
        found.setdefault(name.casefold(), set()).add(name)
    return [frozenset(twins) for twins in found.values() if len(twins) > 1]


def _names(repository: Repository, tree: str, folder: str) -> frozenset[str]:
    top = repository.entry(tree, folder)
    if top is None or not top.is_folder:
        return frozenset()
    return frozenset(entry.name for entry in repository.tree(top.oid))


def _rule_faults(repository: Repository, good: Good, tree: str, after: Loaded) -> list[Violation]:
    """Rules that are broken after the step, or that may never change."""
    if after.tenant is None:
        return [
            _fault(ReasonCode.INVALID_DOCUMENT, f"{problem.path}: {problem.message}", [problem.path])
            for problem in after.errors
        ]
    old, new = good.tenant.settings, after.tenant.settings
    faults = []
    if (old.tenant, old.protected_branch) != (new.tenant, new.protected_branch):
        faults.append(_fault(ReasonCode.INVALID_DOCUMENT, "tenant and protectedBranch never change", [SETTINGS]))
    if old.profile_types != new.profile_types:
        lost = [
            path
            for path, _ in resource_paths(repository, tree)
            if place(path, new.profile_types).kind is Kind.REFUSED
            and place(path, old.profile_types).kind is not Kind.REFUSED
        ]
        if lost:
            text = f"{lost[0]} would belong to no profile type any more ({len(lost)} files)"
            faults.append(_fault(ReasonCode.INVALID_DOCUMENT, text, lost))
    return faults


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
            faults.append(_fault(ReasonCode.RECORD_ALTERED, f"{path}: {found}", [path]))
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


def _is_ahead(time: datetime | None, now: datetime) -> bool:
    return time is not None and time - now > CLOCK_TOLERANCE


def _time_faults(good: Good, time: datetime | None, now: datetime) -> tuple[Violation, ...]:
    if time is None:
        return ()
    if _is_ahead(time, now):
        return (_fault(ReasonCode.OUT_OF_TIME, f"the step is dated {timestamp(time)}, which is yet to come"),)
    if good.time is not None and good.time - time > CLOCK_TOLERANCE:
        text = f"the step is dated {timestamp(time)}, before an earlier step of {timestamp(good.time)}"
        return (_fault(ReasonCode.OUT_OF_TIME, text),)
    return ()


def _event_faults(good: Good, extended: Iterable[_Extended], time: datetime | None) -> tuple[Violation, ...]:
    """Added events must be good; the newest must be by a signer known at G."""
    faults = []
    for found in extended:
        now = time if time is not None else datetime.max.replace(tzinfo=UTC)
        broken = event_faults(found.facts, now, landed=found.completes)[found.old_count :]
        for number, code in enumerate(broken, start=found.old_count + 1):
            if code is not None:
                faults.append(_fault(code, f"{found.path}: line {number} is not a good event", [found.path]))
        if not any(broken) and attributed_to(good.tenant, found.facts[-1]) is None:
            text = f"{found.path}: the newest event is by nobody who is known"
            faults.append(_fault(ReasonCode.UNKNOWN_SIGNER, text, [found.path]))
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
        return (_fault(ReasonCode.UNAPPROVED_CHANGE, text, protected),)
    reasons = _completion_reasons(repository, good, step, completing[0], time)
    if not reasons:
        return ()
    why = "; ".join(f"{reason.code.value}: {reason.message}" for reason in reasons)
    code = ReasonCode.UNAPPROVED_CHANGE if protected else reasons[0].code
    return (_fault(code, f"{completing[0].path} was not approved for this change: {why}", protected),)


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
    submits = [fact.event for fact in facts if fact.event is not None and fact.event.action is Action.SUBMIT]
    return frozenset(change.path for change in submits[-1].changes) if submits else frozenset()


def _landed_changes(tenant: Tenant, step: ChangeSet, signed: frozenset[str]) -> tuple[FileChange, ...]:
    """What the step changes, less unprotected paths that nobody signed: these may go along."""

    def matters(path: str) -> bool:
        governed = step.places[path].governed
        return path in signed or (governed is not None and tenant.protects(governed))

    return tuple(change for change in step.changes if matters(change.path))
