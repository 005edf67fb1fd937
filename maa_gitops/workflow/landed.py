"""Which requests landed on which objects since a commit: so that an apply can say whose changes it brings."""

from maa_gitops.change import differences
from maa_gitops.history import first_parents
from maa_gitops.model import Action
from maa_gitops.record import last_submit
from maa_gitops.record import read as read_record
from maa_gitops.tenant import Kind, place, split_record_path
from maa_gitops.tenant.paths import RECORDS
from maa_gitops.workflow.clone import Clone, trusted_start


def landed_since(clone: Clone, commit: str | None) -> dict[str, list[str]]:
    """Objects, each with the ids of the requests that were merged after a commit (None: ever), sorted."""
    repository = clone.repository
    older = commit if commit is not None and repository.has(commit) else trusted_start(repository, clone.tip)
    walked = []
    for found in first_parents(repository, clone.good):
        if found == older:
            break
        walked.append(found)
    changed = differences(repository, clone.tree(older), clone.tree(clone.good)) if walked else {}
    landed: dict[str, set[str]] = {}
    for path, (_, new) in changed.items():
        if path.split("/", 1)[0] != RECORDS or new is None or place(path, ()).kind is not Kind.RECORD:
            continue
        for governed in _completed_objects(clone, repository.blob(new.oid)):
            landed.setdefault(governed, set()).add(split_record_path(path)[0])
    return {governed: sorted(names) for governed, names in landed.items()}


def _completed_objects(clone: Clone, data: bytes) -> set[str]:
    """The objects of a record's last submit, if the record ends with its completion."""
    lines = read_record(data)
    newest, submit = lines[-1].event if lines else None, last_submit(lines)
    if newest is None or newest.action is not Action.COMPLETE or submit is None:
        return set()
    types = clone.tenant.settings.profile_types
    places = (place(change.path, types).governed for change in submit.changes)
    return {str(governed) for governed in places if governed is not None}
