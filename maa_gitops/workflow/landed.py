"""Which requests landed on which objects since a commit: so that an apply can say whose changes it brings."""

from collections.abc import Sequence

from maa_gitops.apply import Landed
from maa_gitops.change import differences
from maa_gitops.history import first_parents
from maa_gitops.model import Action
from maa_gitops.record import Line, last_submit
from maa_gitops.record import read as read_record
from maa_gitops.tenant import Kind, place, split_record_path
from maa_gitops.tenant.paths import RECORDS
from maa_gitops.workflow.clone import Clone, trusted_start


def landed_since(clone: Clone, commit: str | None) -> dict[str, list[Landed]]:
    """Objects, each with the requests that were merged after a commit (None: ever), by id."""
    repository = clone.repository
    older = commit if commit is not None and repository.has(commit) else trusted_start(repository, clone.tip)
    walked = []
    for found in first_parents(repository, clone.good):
        if found == older:
            break
        walked.append(found)
    changed = differences(repository, clone.tree(older), clone.tree(clone.good)) if walked else {}
    landed: dict[str, dict[str, Landed]] = {}
    for path, (_, new) in changed.items():
        if path.split("/", 1)[0] != RECORDS or new is None or place(path, ()).kind is not Kind.RECORD:
            continue
        request = split_record_path(path)[0]
        lines = read_record(repository.blob(new.oid))
        for governed in _completed_objects(clone, lines):
            landed.setdefault(governed, {})[request] = _landed(request, lines)
    return {governed: [found[name] for name in sorted(found)] for governed, found in landed.items()}


def _completed_objects(clone: Clone, lines: Sequence[Line]) -> set[str]:
    """The objects of a record's last submit, if the record ends with its completion."""
    newest, submit = lines[-1].event if lines else None, last_submit(lines)
    if newest is None or newest.action is not Action.COMPLETE or submit is None:
        return set()
    types = clone.tenant.settings.profile_types
    places = (place(change.path, types).governed for change in submit.changes)
    return {str(governed) for governed in places if governed is not None}


def _landed(request: str, lines: Sequence[Line]) -> Landed:
    """Who asked and who approved, of the record's last round; it landed, so its events were judged."""
    submit = last_submit(lines)
    events = [line.event for line in lines if line.event is not None]
    after = events[events.index(submit) :] if submit is not None else []
    approved = dict.fromkeys(event.account for event in after if event.action is Action.APPROVE)
    return Landed(request, submit.account if submit is not None else "", tuple(approved))
