"""What was changed on a target around the gate: what differs from what it last received; nothing is put back here."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from maa_gitops.apply.context import Context, ObjectResult, Report, applied
from maa_gitops.apply.desired import Resources, desired_object, resources_of
from maa_gitops.apply.identity import Found, Remotes, ids_of, object_id, remotes_of
from maa_gitops.apply.planning import baseline_of, sorted_results
from maa_gitops.apply.readable import difference
from maa_gitops.errors import DocumentError, RemoteError, RepositoryError
from maa_gitops.git import Repository
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from maa_gitops.receipt import AppliedObject, AppliedOperation, Receipt

CHANGED, MISSING, FOREIGN = "changed", "missing", "foreign"

_UNFINISHED = "a run has not ended; what it sent shows here until `maa apply` has"


@dataclass(frozen=True, slots=True)
class Drifted:
    """An object that drifted: what is told of it, and what is there; None: nothing, or nobody can tell which it is."""

    result: ObjectResult
    remote: RemoteObject | None = None


def drift(context: Context, target: Target, provider: Provider) -> Report:
    """Tell what a target holds that no receipt tells of, and what it no longer holds; as ``drifted`` does."""
    return drifted(context, target, provider)[0]


def drifted(context: Context, target: Target, provider: Provider) -> tuple[Report, tuple[Drifted, ...]]:
    """Tell what a target holds that no receipt tells of, and what it no longer holds, with the objects themselves.

    What a run that failed may have left is no drift. Another copy of a local tenant is none either: the message says
    so.

    Raises:
        RepositoryError: the receipts do not read.
        RemoteError: the target does not answer.
    """
    before = applied(context, target.name)
    baseline, message = baseline_of(context, provider, before)
    newest = before.newest
    if message is not None or newest is None:
        message = message or "nothing has been applied yet"
        return Report(target.name, newest.commit if newest else None, (), message), ()
    objects = provider.objects()
    resources = _resources_at(context.repository, newest.commit)
    names = sorted({*baseline, *newest.failed})
    there = (*map(str, resources.files), *newest.failed)
    remotes = remotes_of(context.tenant.settings.tenant, objects, baseline, there)
    comparison = _Comparison(resources, provider, remotes, before.receipts)
    found = {name: remotes.of(name, baseline.get(name)) for name in names}
    known = [
        Drifted(result, found[name].remote)
        for name in names
        if (result := comparison.result(name, baseline.get(name), found[name])) is not None
    ]
    ours = ids_of(one.remote for one in found.values())
    others = [
        remote
        for remote in objects.values()
        if remote.remote_id not in ours and str(remotes.resource_of(remote)) not in found
    ]
    all_found = (*(Drifted(comparison.foreign(remote), remote) for remote in others), *known)
    results = sorted_results(one.result for one in all_found)
    message = _UNFINISHED if before.intent else None
    besides = _not_compared(provider)
    return Report(target.name, newest.commit, results, message, not_compared=besides), all_found


def _not_compared(provider: Provider) -> str | None:
    """How much there is besides that nobody here looks at; None: nothing."""
    count = len(provider.left_out())
    return f"{count} that cannot be kept as resources; maa import --dry-run lists them" if count else None


def _resources_at(repository: Repository, commit: str) -> Resources:
    return resources_of(repository, repository.commit(commit).tree)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What was last received and what is there, to compare object by object; ``resources`` are the newest receipt's."""

    resources: Resources
    provider: Provider
    remotes: Remotes
    receipts: Sequence[Receipt]

    def result(self, name: str, received: AppliedObject | None, found: Found) -> ObjectResult | None:
        """What became of an object; None: it is as it was, or as a run may have left it."""
        if not self.provider.takes(object_id(name).type):
            message = "the target has no place for its profile type any more"
            return ObjectResult(name, AppliedOperation.NONE, outcome=CHANGED, message=message)
        if found.problem is not None:
            return ObjectResult(name, AppliedOperation.CREATE, outcome=CHANGED, message=found.problem)
        has_failed = name in self.receipts[-1].failed
        if found.remote is None:
            is_gone = has_failed and (received is None or object_id(name) not in self.resources.files)
            text = difference(self._desired(name), None)
            return None if is_gone else ObjectResult(name, AppliedOperation.DELETE, outcome=MISSING, text=text)
        held = found.remote.held
        if received is not None and held.digest == received.digest:
            return None
        if has_failed and held.digest in self._left_by_runs(name, is_new=received is None):
            return None
        desired = self._desired(name)
        only_assigned = desired is not None and held.differs_in_assignments_only(desired)
        operation = AppliedOperation.ASSIGN if only_assigned else AppliedOperation.EDIT
        return ObjectResult(name, operation, outcome=CHANGED, text=difference(desired, held))

    def _left_by_runs(self, name: str, *, is_new: bool) -> frozenset[str]:
        """The digests of the states in which runs that failed may have left an object.

        Its properties and its assignments are written one after the other, so each may be of another run.
        """
        commits: list[str] = []
        for receipt in reversed(self.receipts):
            commits.append(receipt.commit)
            if name not in receipt.failed:
                break  # here it was at its state
        states = [state for commit in dict.fromkeys(commits) if (state := self._desired(name, commit)) is not None]
        assigned = [*(one.assignments for one in states), *([()] if is_new else [])]
        return frozenset(DesiredObject(one.profile_type, one.data, to).digest for one in states for to in assigned)

    def foreign(self, remote: RemoteObject) -> ObjectResult:
        """An object that no receipt tells of."""
        name = f"{remote.held.profile_type}/{remote.remote_id}"
        message = "it was not made from this repository"
        resource = self.remotes.resource_of(remote)
        if resource is not None:
            name, message = str(resource), "it bears this tenant's mark, but no receipt tells of it"
        elif remote.marker is not None:
            message = f"it was not made from this repository, and bears the mark {remote.marker}"
        text = difference(None, remote.held)
        return ObjectResult(name, AppliedOperation.CREATE, outcome=FOREIGN, message=message, text=text)

    def _desired(self, name: str, commit: str | None = None) -> DesiredObject | None:
        """What was sent, read again at the newest receipt's commit or another; None if it no longer reads."""
        with suppress(DocumentError, RemoteError, RepositoryError):
            resources = self.resources
            if commit is not None:
                resources = _resources_at(resources.repository, commit)
            return self.provider.as_sent(desired_object(resources, object_id(name)).state)
        return None
