"""What was changed on a target around the gate: what differs from what it last received; nothing is put back here."""

from contextlib import suppress
from dataclasses import dataclass

from maa_gitops.apply.context import Context, ObjectResult, Report, applied
from maa_gitops.apply.desired import Resources, desired_object, resources_of
from maa_gitops.apply.identity import Found, ids_of, marker, object_id, remotes_of
from maa_gitops.apply.planning import baseline_of, sorted_results
from maa_gitops.apply.readable import difference
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from maa_gitops.receipt import AppliedObject, AppliedOperation

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

    The last run's failures are no drift. Another copy of a local tenant is none either: the message says so.

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
    tree = context.repository.commit(newest.commit).tree
    remotes = remotes_of(context.tenant.settings.tenant, objects)
    comparison = _Comparison(resources_of(context.repository, tree), provider, remotes.tenant)
    found = {name: remotes.of(name, received) for name, received in baseline.items()}
    settled = {name: received for name, received in baseline.items() if name not in newest.failed}
    known = [
        Drifted(result, found[name].remote)
        for name, received in settled.items()
        if (result := comparison.result(name, received, found[name])) is not None
    ]
    marks = {marker(remotes.tenant, name) for name in (*baseline, *newest.failed)}
    ours = ids_of(one.remote for one in found.values())
    others = [remote for remote in objects.values() if remote.marker not in marks and remote.remote_id not in ours]
    all_found = (*(Drifted(comparison.foreign(remote), remote) for remote in others), *known)
    results = sorted_results(one.result for one in all_found)
    return Report(target.name, newest.commit, results, _UNFINISHED if before.intent else None), all_found


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What was last received and what is there, to compare object by object."""

    resources: Resources
    provider: Provider
    tenant: str

    def result(self, name: str, received: AppliedObject, found: Found) -> ObjectResult | None:
        """What became of an object that was received; None: it is as it was."""
        if found.problem is not None:
            return ObjectResult(name, AppliedOperation.CREATE, outcome=CHANGED, message=found.problem)
        if found.remote is None:
            text = difference(self._desired(name), None)
            return ObjectResult(name, AppliedOperation.DELETE, outcome=MISSING, text=text)
        held = found.remote.held
        if held.digest == received.digest:
            return None
        desired = self._desired(name)
        only_assigned = desired is not None and held.differs_in_assignments_only(desired)
        operation = AppliedOperation.ASSIGN if only_assigned else AppliedOperation.EDIT
        return ObjectResult(name, operation, outcome=CHANGED, text=difference(desired, held))

    def foreign(self, remote: RemoteObject) -> ObjectResult:
        """An object that no receipt tells of."""
        name = f"{remote.held.profile_type}/{remote.remote_id}"
        message = "it was not made from this repository"
        prefix = marker(self.tenant, "")
        if remote.marker is not None and remote.marker.startswith(prefix):
            name = remote.marker.removeprefix(prefix)
            message = "it bears this tenant's mark, but no receipt tells of it"
        text = difference(None, remote.held)
        return ObjectResult(name, AppliedOperation.CREATE, outcome=FOREIGN, message=message, text=text)

    def _desired(self, name: str) -> DesiredObject | None:
        """What was sent, read again at the receipt's commit, to show it; None if it no longer reads."""
        with suppress(DocumentError, RemoteError):
            return self.provider.as_sent(desired_object(self.resources, object_id(name)).state)
        return None
