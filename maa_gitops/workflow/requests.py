"""Reading requests: from branches and records to facts, and from facts to an evaluation."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from maa_gitops.canonical import change_digest
from maa_gitops.change import ChangeSet, between, held, merged_onto, put_in_place
from maa_gitops.documents import read_yaml
from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.evaluate import evaluate
from maa_gitops.git import Entry
from maa_gitops.history import first_parents, record_paths, shape_faults
from maa_gitops.model import (
    Action,
    Evaluation,
    Event,
    EventFact,
    Facts,
    FileChange,
    Level,
    Merge,
    ObjectId,
    Operation,
    Reason,
    ReasonCode,
    TargetOutcome,
)
from maa_gitops.record import RECORD_LIMIT, Context, Line, event_facts, last_submit, longest
from maa_gitops.record import read as read_record
from maa_gitops.tenant import (
    document_path,
    load,
    load_tenant,
    place,
    read_resource,
    record_path,
    rules_of,
    split_record_path,
)
from maa_gitops.tenant.paths import NAME
from maa_gitops.workflow.clone import CHANGE_PREFIX, Clone
from maa_gitops.workflow.contributors import Contributors, contributors_of

_SHOWN_NAME = 80

OutcomeReader = Callable[[str, tuple[ObjectId, ...]], tuple[TargetOutcome, ...]]
"""Tells how a merged request stands on the targets that it concerns: (merge commit, its objects) to outcomes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request with everything that is known about it.

    ``branch`` and ``head`` are None once the change branch is gone. ``record`` are the record's bytes, ``lines`` the
    same split up. ``changes`` is None if the change cannot be computed (merged, ended, no single merge base).
    """

    id: str
    branch: str | None
    head: str | None
    path: str
    record: bytes
    lines: tuple[Line, ...]
    facts: Facts
    evaluation: Evaluation
    changes: ChangeSet | None
    operations: Mapping[ObjectId, Operation]
    contributors: Contributors

    @property
    def submitted(self) -> Event | None:
        """The last submit, which opened the round."""
        return last_submit(self.lines)

    @property
    def last_event(self) -> Event | None:
        """The newest line that is an event."""
        return next((line.event for line in reversed(self.lines) if line.event is not None), None)


def request_id(branch: str) -> str:
    """The id of the request of a change branch: its name in lower case, with ``/`` as ``-``."""
    return branch.removeprefix(CHANGE_PREFIX).lower().replace("/", "-")


def branches_by_id(clone: Clone) -> dict[str, list[str]]:
    """The change branches of each id, sorted; more than one is a clash."""
    found: dict[str, list[str]] = {}
    for branch in sorted(clone.change_branches()):
        found.setdefault(request_id(branch), []).append(branch)
    return found


def branch_of(clone: Clone, name: str) -> str:
    """The change branch of a request; the first, if several map to its id.

    Raises:
        NotAllowedError: ``noOpenRequest``, there is none.
    """
    found = branches_by_id(clone).get(name)
    if not found:
        raise NotAllowedError(
            f"there is no change branch of '{name}'", hint="maa requests --all", code=ReasonCode.NO_OPEN_REQUEST
        )
    return found[0]


def read_branch(clone: Clone, branch: str, head: str | None = None) -> Request:
    """Read and evaluate the request of one change branch, whatever other branches map to its id.

    ``head`` is another commit than the branch's own, one that nobody else has seen yet.

    Raises:
        NotAllowedError: ``noOpenRequest``, the branch is gone and nothing else is known of it.
    """
    name = request_id(branch)
    rivals = [other for other in branches_by_id(clone).get(name, []) if other != branch]
    return read_request_at(clone, name, branch, head or clone.change_branches().get(branch), rivals=rivals)


def find_id(named: str) -> str:
    """The id that a person means: an id, or the name of a change branch.

    Raises:
        NotAllowedError: ``noOpenRequest``, it cannot be an id.
    """
    name = request_id(named.removeprefix("refs/heads/"))
    if not NAME.fullmatch(name):
        shown = named if len(named) <= _SHOWN_NAME else f"{named[:_SHOWN_NAME]}…"
        raise NotAllowedError(f"'{shown}' is no request", hint="maa requests --all", code=ReasonCode.NO_OPEN_REQUEST)
    return name


def read_request(clone: Clone, name: str, outcomes: OutcomeReader | None = None) -> Request:
    """Read and evaluate one request.

    Raises:
        NotAllowedError: ``noOpenRequest``, there is neither a change branch nor a record of that id.
    """
    branches = branches_by_id(clone).get(name, [])
    branch = branches[0] if branches else None
    head = clone.change_branches()[branch] if branch is not None else None
    return read_request_at(clone, name, branch, head, rivals=branches[1:], outcomes=outcomes)


def read_request_at(
    clone: Clone,
    name: str,
    branch: str | None,
    head: str | None,
    *,
    rivals: Iterable[str] = (),
    outcomes: OutcomeReader | None = None,
) -> Request:
    """Read and evaluate the request of a change branch's head, which may be any commit."""
    kept = _kept_record(clone, clone.good, name)
    if kept is not None and _is_complete(kept[1]):
        return _merged_request(clone, name, branch, head, kept, outcomes)
    if head is None and not clone.history.tip_is_good and _kept_record(clone, clone.tip, name) is not None:
        head = clone.tip  # the forge's merge button was pressed and the branch deleted: the tip stands for it
    if head is None:
        if kept is None:
            raise NotAllowedError(
                f"there is no request '{name}'", hint="maa requests --all", code=ReasonCode.NO_OPEN_REQUEST
            )
        return _ended_request(clone, name, kept)
    return _open_request(clone, name, branch, head, tuple(rivals))


# --- open requests ---------------------------------------------------------------------------------------------------


def _open_request(clone: Clone, name: str, branch: str | None, head: str, rivals: tuple[str, ...]) -> Request:
    problems: list[Reason] = []
    if rivals:
        text = f"several branches map to the id '{name}': {branch}, {', '.join(rivals)}"
        problems.append(Reason(ReasonCode.RECORD_ALTERED, text))
    found = _records_of(clone, name, head, problems)
    changes = _changes(clone, head, problems)
    if changes is not None:
        problems += _foreign_records(changes, found.path)
    names = _contributors(clone, head, found.path, problems)
    listed = _listed(found.lines)
    unlisted = sorted(set(names.accounts) - set(listed)) if listed is not None else []
    if unlisted:
        text = f"commits name {', '.join(unlisted)}, whom the submit does not list as contributors"
        problems.append(Reason(ReasonCode.CONTRIBUTORS_INCOMPLETE, text, unlisted[0]))
    if changes is not None:
        problems += _document_problems(clone, head, changes)
    facts = _open_facts(clone, changes, _event_facts(clone, name, found), tuple(problems))
    return Request(
        id=name,
        branch=branch,
        head=head,
        path=found.path,
        record=found.data,
        lines=found.lines,
        facts=facts,
        evaluation=evaluate(facts),
        changes=changes,
        operations=_operations_of(clone, changes) if changes is not None else {},
        contributors=names,
    )


def _contributors(clone: Clone, head: str, record: str, problems: list[Reason]) -> Contributors:
    """Who worked on a change; where a commit of it cannot be read, nobody can tell, so it is not approved."""
    try:
        return contributors_of(clone.repository, clone.tenant, clone.good, head, record)
    except RepositoryError as error:
        if error.code not in (ReasonCode.MALFORMED_TREE, "malformedCommit"):
            raise
        reason = Reason(ReasonCode.MALFORMED_TREE, error.message)
        problems += [] if reason in problems else [reason]
        return Contributors((), ())


@dataclass(frozen=True, slots=True)
class _Record:
    path: str
    data: bytes
    lines: tuple[Line, ...]


def _records_of(clone: Clone, name: str, head: str, problems: list[Reason]) -> _Record:
    """The request's record: the longest of G's, the tip's and the branch's, if each extends the shorter ones."""
    commits = dict.fromkeys((clone.good, clone.tip, head))
    found = [kept for commit in commits if (kept := _kept_record(clone, commit, name)) is not None]
    paths = sorted({path for path, _ in found})
    agreed = longest([data for _, data in found])
    if len(paths) > 1 or agreed is None:
        problems.append(Reason(ReasonCode.RECORD_ALTERED, f"the records of '{name}' do not extend one another"))
    path = found[0][0] if found else record_path(name, clone.now.year)
    data = agreed if agreed is not None else found[-1][1]
    return _Record(path, data, read_record(data))


def _kept_record(clone: Clone, commit: str, name: str) -> tuple[str, bytes] | None:
    """The path and bytes of a request's record in a commit; the first, if there are several."""
    repository = clone.repository
    try:
        tree = clone.tree(commit)
        paths = record_paths(repository, tree, name)
        entry = repository.entry(tree, paths[0]) if paths else None
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        return None  # the change itself cannot be computed then, which is told there
    if entry is None or entry.is_folder:
        return None
    if len(paths) > 1 or entry.mode != "100644" or repository.blob_size(entry.oid) > RECORD_LIMIT:
        return paths[0], b"\n"  # a line that is no event: the record is broken
    return paths[0], repository.blob(entry.oid)


def _changes(clone: Clone, head: str, problems: list[Reason]) -> ChangeSet | None:
    repository = clone.repository
    bases = repository.merge_bases(clone.good, head)
    if len(bases) != 1:
        return None
    try:
        changes = between(repository, clone.tree(bases[0]), clone.tree(head), clone.tenant.settings.profile_types)
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        problems.append(Reason(ReasonCode.MALFORMED_TREE, error.message))
        return None
    problems += changes.problems
    return changes if changes.is_utf8 else None


def change_at(clone: Clone, commit: str) -> str | None:
    """The digest of what a commit changes against G; None if that cannot be told, or nothing is changed."""
    if not clone.repository.has(commit):
        return None
    changes = _changes(clone, commit, [])
    if changes is None or changes.troubles or not changes.changes:
        return None
    return change_digest(changes.changes, clone.tenant.settings.tenant)


def record_at(clone: Clone, commit: str, path: str) -> bytes:
    """A record as a commit has it; nothing if the commit or the record is not there, or is too long for one.

    Raises:
        RepositoryError: ``malformedTree``, it cannot be told.
    """
    if not clone.repository.has(commit):
        return b""
    entry = clone.repository.entry(clone.tree(commit), path)
    if entry is None or entry.is_folder or clone.repository.blob_size(entry.oid) > RECORD_LIMIT:
        return b""
    return clone.repository.blob(entry.oid)


def _foreign_records(changes: ChangeSet, own: str) -> list[Reason]:
    foreign = sorted(path for path in changes.records if path != own)
    if not foreign:
        return []
    return [Reason(ReasonCode.RECORD_ALTERED, f"the branch changes {', '.join(foreign)}, which is not its own record")]


def _listed(lines: Iterable[Line]) -> tuple[str, ...] | None:
    submit = last_submit(lines)
    return submit.contributors if submit is not None else None


def _document_problems(clone: Clone, head: str, changes: ChangeSet) -> list[Reason]:
    """What is wrong with the documents that would land, as far as a request is blocked by it."""
    repository, good = clone.repository, clone.history.good
    rules = rules_of(load(repository, clone.tree(clone.good)))
    problems = []
    for governed in changes.objects:
        if governed.type in {profile_type.name for profile_type in rules.types}:
            found = read_resource(repository, clone.tree(head), governed, rules)[2]
            problems += [
                Reason(ReasonCode.INVALID_DOCUMENT, f"{p.path}:{p.line}:{p.column}: {p.message}")
                for p in found
                if p.level is Level.ERROR
            ]
    if not changes.troubles:
        result = put_in_place(repository, clone.tree(clone.tip), changes)
        problems += [Reason(fault.code, fault.message) for fault in shape_faults(repository, good, result)]
    return problems


def _open_facts(
    clone: Clone, changes: ChangeSet | None, events: tuple[EventFact, ...], problems: tuple[Reason, ...]
) -> Facts:
    repository, good, tip = clone.repository, clone.tree(clone.good), clone.tree(clone.tip)
    listed = changes.changes if changes is not None else None
    paths = [change.path for change in listed or ()]
    step = None
    if changes is not None:
        step = merged_onto(repository, good, tip, changes, clone.tenant.settings.profile_types).changes
    return Facts(
        tenant=clone.tenant,
        changes=listed,
        step=step,
        objects=changes.objects if changes is not None else _signed_objects(clone, events),
        good=held(repository, good, paths),
        tip=held(repository, tip, paths),
        events=events,
        now=clone.now,
        problems=problems,
    )


def _event_facts(clone: Clone, name: str, found: _Record) -> tuple[EventFact, ...]:
    year = split_record_path(found.path)[1]
    context = Context(clone.tenant.settings.tenant, name, year, clone.history.good.is_base)
    return event_facts(found.lines, context)


# --- ended and merged requests ---------------------------------------------------------------------------------------


def _ended_request(clone: Clone, name: str, kept: tuple[str, bytes]) -> Request:
    """Read a request that only its record on the protected branch is left of."""
    found = _Record(kept[0], kept[1], read_record(kept[1]))
    facts = _open_facts(clone, None, _event_facts(clone, name, found), ())
    return Request(
        name, None, None, found.path, found.data, found.lines, facts, evaluate(facts), None,
        _signed_operations(facts.objects, _signed_list(facts.events), clone), Contributors((), ()),
    )  # fmt: skip


def _is_complete(data: bytes) -> bool:
    lines = read_record(data)
    event = lines[-1].event if lines else None
    return event is not None and event.action is Action.COMPLETE


def _merged_request(
    clone: Clone,
    name: str,
    branch: str | None,
    head: str | None,
    kept: tuple[str, bytes],
    outcomes: OutcomeReader | None,
) -> Request:
    """Read a merged request: tenant, changes and time are those of its step."""
    found = _Record(kept[0], kept[1], read_record(kept[1]))
    complete = found.lines[-1].event
    if complete is None:
        raise RepositoryError(f"the record of '{name}' is broken on the protected branch", hint="maa verify")
    events = _event_facts(clone, name, found)
    commit = merge_commit(clone, found.path, complete.base)
    tenant = load_tenant(clone.repository, complete.base)
    signed = _signed_list(events)
    then = replace(clone, history=replace(clone.history, good=replace(clone.history.good, tenant=tenant)))
    objects = _signed_objects(then, events)
    there = held(clone.repository, clone.tree(complete.base), [change.path for change in signed])
    facts = Facts(
        tenant=tenant,
        changes=signed,
        step=signed,
        objects=objects,
        good=there,
        tip=there,
        events=events,
        now=_step_time(clone, found, complete.base),
        merged=Merge(commit, complete.at, complete.account),
        outcomes=outcomes(commit, objects) if outcomes is not None else (),
    )
    landed = between(clone.repository, clone.tree(complete.base), clone.tree(commit), tenant.settings.profile_types)
    return Request(
        name, branch, head, found.path, found.data, found.lines, facts, evaluate(facts), landed,
        {o: op for o, op in _operations_of(then, landed).items() if o in objects}, Contributors((), ()),
    )  # fmt: skip


def merge_commit(clone: Clone, path: str, base: str) -> str:
    """The good commit of the protected branch that brought a record to the form that G holds, after ``base``."""
    landed = clone.good
    newest = clone.repository.entry(clone.tree(clone.good), path)
    for commit in first_parents(clone.repository, clone.good):
        if commit in clone.history.bad:
            continue
        if commit == base or clone.repository.entry(clone.tree(commit), path) != newest:
            return landed
        landed = commit
    return landed


def _step_time(clone: Clone, found: _Record, base: str) -> datetime:
    """The latest ``at`` of the events that the merge added."""
    entry = clone.repository.entry(clone.tree(base), found.path)
    old = len(read_record(clone.repository.blob(entry.oid))) if entry is not None else 0
    return max(line.event.at for line in found.lines[old:] if line.event is not None)


def _signed_list(events: Iterable[EventFact]) -> tuple[FileChange, ...]:
    submit = last_submit(events)
    return submit.changes if submit is not None else ()


def _signed_objects(clone: Clone, events: Iterable[EventFact]) -> tuple[ObjectId, ...]:
    types = clone.tenant.settings.profile_types
    found = (place(change.path, types).governed for change in _signed_list(events))
    return tuple(sorted({governed for governed in found if governed is not None}))


# --- operations ------------------------------------------------------------------------------------------------------


def _operations_of(clone: Clone, changes: ChangeSet) -> dict[ObjectId, Operation]:
    """What a change does to each object."""
    types = clone.tenant.settings.profile_types
    return {
        governed: _operation(clone, changes, governed, document_path(governed, types)) for governed in changes.objects
    }


def _operation(clone: Clone, changes: ChangeSet, governed: ObjectId, path: str) -> Operation:
    old, new = changes.differences.get(path, (None, None))
    if path not in changes.differences:
        return Operation.EDIT
    if old is None:
        return Operation.CREATE
    if new is None:
        return Operation.DELETE
    others = [p for p in changes.differences if p != path and changes.places[p].governed == governed]
    return Operation.ASSIGN if not others and _only_assignments(clone, path, old, new) else Operation.EDIT


def _only_assignments(clone: Clone, path: str, old: Entry, new: Entry) -> bool:
    before, after = (read_yaml(clone.repository.blob(entry.oid), path)[0] for entry in (old, new))
    if before is None or after is None or not isinstance(before.data, dict) or not isinstance(after.data, dict):
        return False
    without = [
        {key: value for key, value in data.items() if key != "assignments"} for data in (before.data, after.data)
    ]
    return without[0] == without[1] and before.data != after.data


def _signed_operations(
    objects: Iterable[ObjectId], signed: tuple[FileChange, ...], clone: Clone
) -> dict[ObjectId, Operation]:
    """What a signed list alone tells of the operations."""
    by_path = {change.path: change for change in signed}
    types = clone.tenant.settings.profile_types
    found = {}
    for governed in objects:
        change = by_path.get(document_path(governed, types))
        created, deleted = change is not None and change.old is None, change is not None and change.new is None
        found[governed] = Operation.CREATE if created else Operation.DELETE if deleted else Operation.EDIT
    return found
