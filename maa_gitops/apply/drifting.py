"""What was changed on a target around the gate: what differs from what it last received; nothing is put back here."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from maa_gitops.apply.context import Context, ObjectResult, Report, applied
from maa_gitops.apply.desired import Resources, desired_object, resources_of
from maa_gitops.apply.planning import ambiguity, baseline_of, by_marker, marker, object_id, sorted_results
from maa_gitops.apply.readable import difference
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from maa_gitops.receipt import AppliedObject, AppliedOperation

CHANGED, MISSING, FOREIGN = "changed", "missing", "foreign"

_UNFINISHED = "a run has not ended; what it sent shows here until `maa apply` has"


def drift(context: Context, target: Target, provider: Provider) -> Report:
    """Tell what a target holds that no receipt tells of, and what it no longer holds.

    The last run's failures are no drift. Another copy of a local tenant is none either: the message says so.

    Raises:
        RepositoryError: the receipts do not read.
        RemoteError: the target does not answer.
    """
    before = applied(context, target.name)
    baseline, message = baseline_of(context, provider, before)
    newest = before.newest
    if message is not None or newest is None:
        return Report(target.name, newest.commit if newest else None, (), message or "nothing has been applied yet")
    objects = provider.objects()
    tree = context.repository.commit(newest.commit).tree
    comparison = _Comparison(
        resources_of(context.repository, tree), provider, by_marker(objects), context.tenant.settings.tenant
    )
    settled = {name: received for name, received in baseline.items() if name not in newest.failed}
    drifted = [comparison.result(name, received) for name, received in settled.items()]
    ours = {marker(comparison.tenant, name) for name in (*baseline, *newest.failed)}
    foreign = [comparison.foreign(remote) for remote in objects.values() if remote.marker not in ours]
    results = (*foreign, *(result for result in drifted if result is not None))
    return Report(target.name, newest.commit, sorted_results(results), _UNFINISHED if before.intent else None)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What was last received and what is there, to compare object by object."""

    resources: Resources
    provider: Provider
    remotes: Mapping[str, Sequence[RemoteObject]]
    tenant: str

    def result(self, name: str, received: AppliedObject) -> ObjectResult | None:
        """What became of an object that was received; None: it is as it was."""
        remotes = self.remotes.get(marker(self.tenant, name), ())
        if not remotes:
            text = difference(self._desired(name), None)
            return ObjectResult(name, AppliedOperation.DELETE, outcome=MISSING, text=text)
        problem = ambiguity(remotes)
        if problem is not None:
            return ObjectResult(name, AppliedOperation.CREATE, outcome=CHANGED, message=problem)
        held = remotes[0].held
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
            return self.provider.as_sent(desired_object(self.resources, object_id(name)))
        return None
