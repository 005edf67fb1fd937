"""What has to be done for a target to have the resources of a tree, and showing it; nothing is written here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maa_gitops import receipt
from maa_gitops.apply.context import Context, ObjectResult, Report, applied
from maa_gitops.apply.desired import Resources, desired_object, resources_of
from maa_gitops.apply.readable import difference
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.model import ObjectId, Target
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from maa_gitops.receipt import Applied, AppliedObject, AppliedOperation

NO_COPY = "this clone has no copy of the local tenant; `maa apply` rebuilds it"
OLD_COPY = "this clone's copy of the local tenant is older than the newest receipt; `maa apply` brings it up to date"


@dataclass(frozen=True, slots=True)
class Planned:
    """What has to be done to one object.

    ``desired`` is None where it goes away, ``remote`` where nothing is there. Of a move ``source`` is the object that
    it was. With a ``problem`` nothing can be done; ``files`` is the digest of its files, None where it goes away.
    """

    governed: ObjectId
    operation: AppliedOperation
    files: str | None = None
    desired: DesiredObject | None = None
    remote: RemoteObject | None = None
    source: ObjectId | None = None
    problem: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The objects that it is about: both, of a move."""
        return (str(self.governed), *((str(self.source),) if self.source is not None else ()))


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done, sorted by object; ``baseline`` is the object map that it goes on from."""

    objects: tuple[Planned, ...]
    baseline: Mapping[str, AppliedObject]
    message: str | None = None


def plan(
    context: Context,
    target: Target,
    provider: Provider,
    *,
    tree: str | None = None,
    requests: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """Show what applying would do: the good tip, or another tree in its place (that of completing a request, say).

    ``requests`` are the ids of merged requests that led to an object's state, by object.

    Raises:
        NotAllowedError: no tree is given and the tip is not good.
        RepositoryError: the receipts do not read, or the rules of the tree are broken.
        RemoteError: the target does not answer.
    """
    if tree is None:
        context.refuse_bad_tip()
        tree = context.repository.commit(context.history.tip).tree
    found = plan_objects(context, provider, applied(context, target.name), tree)
    results = [
        shown(planned, requests, outcome="failed" if planned.problem else None, message=planned.problem)
        for planned in found.objects
        if planned.problem or planned.operation is not AppliedOperation.NONE
    ]
    return Report(target.name, context.history.tip, sorted_results(results), found.message)


def plan_objects(context: Context, provider: Provider, before: Applied, tree: str) -> Plan:
    """Compare the resources of a tree with what the target last received and with what it really has."""
    baseline, message = baseline_of(context, provider, before)
    resources = resources_of(context.repository, tree)
    remotes = by_marker(provider.objects())
    comparison = _Comparison(resources, baseline, provider, remotes, context.tenant.settings.tenant)
    known = {*resources.files, *map(object_id, baseline)}
    found = [comparison.planned(governed) for governed in sorted(known) if provider.takes(governed.type)]
    objects = _with_moves([planned for planned in found if planned is not None])
    return Plan(tuple(objects), baseline, message)


def baseline_of(
    context: Context, provider: Provider, before: Applied
) -> tuple[Mapping[str, AppliedObject], str | None]:
    """The object map for the store that the provider talks to, and what to say if it is not the newest receipt's."""
    if before.newest is None or before.newest.store == provider.store:
        return before.objects, None
    for older in reversed(before.receipts):
        if older.store == provider.store and before.commit is not None:
            return receipt.objects_after(context.repository, before.commit, older), OLD_COPY
    return {}, NO_COPY


def marker(tenant: str, name: str) -> str:
    """The mark that an object of a tenant bears on every target; the name is ``type/name``."""
    return f"maa:{tenant}:{name}"


def object_id(name: str) -> ObjectId:
    """An object by its name, ``type/name``."""
    profile_type, _, rest = name.partition("/")
    return ObjectId(profile_type, rest)


def by_marker(objects: Mapping[str, RemoteObject]) -> dict[str, list[RemoteObject]]:
    """The objects of a target that bear a mark, by it."""
    found: dict[str, list[RemoteObject]] = {}
    for remote in objects.values():
        if remote.marker is not None:
            found.setdefault(remote.marker, []).append(remote)
    return found


def ambiguity(remotes: Iterable[RemoteObject]) -> str | None:
    """Say that several objects bear one mark; None: they do not."""
    ids = sorted(remote.remote_id for remote in remotes)
    return f"several objects of the target bear its mark, {', '.join(ids)}; delete the wrong ones" if ids[1:] else None


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One tree, what was last received and what is there, to compare object by object."""

    resources: Resources
    baseline: Mapping[str, AppliedObject]
    provider: Provider
    remotes: Mapping[str, Sequence[RemoteObject]]
    tenant: str

    def planned(self, governed: ObjectId) -> Planned | None:
        """What has to be done to an object; None: nothing, and nothing new is known of it."""
        remotes = self.remotes.get(marker(self.tenant, str(governed)), ())
        remote = remotes[0] if remotes else None
        received = self.baseline.get(str(governed))
        files = self.resources.files.get(governed)
        problem = ambiguity(remotes)
        if problem is not None:
            return Planned(governed, AppliedOperation.NONE, files, problem=problem)
        if files is None:
            operation = AppliedOperation.DELETE if remote is not None else AppliedOperation.NONE
            return Planned(governed, operation, remote=remote)
        if received and remote and (received.files, received.digest) == (files, remote.held.digest):
            return None if received.remote_id == remote.remote_id else self._compared(governed, files, remote)
        return self._compared(governed, files, remote)

    def _compared(self, governed: ObjectId, files: str, remote: RemoteObject | None) -> Planned:
        try:
            desired = self.provider.as_sent(desired_object(self.resources, governed))
        except (DocumentError, RemoteError) as error:
            return Planned(governed, AppliedOperation.NONE, files, remote=remote, problem=error.message)
        return Planned(governed, _operation(desired, remote), files, desired, remote)


def _operation(desired: DesiredObject, remote: RemoteObject | None) -> AppliedOperation:
    if remote is None:
        return AppliedOperation.CREATE
    if remote.held.digest == desired.digest:
        return AppliedOperation.NONE
    assigns = desired.differs_in_assignments_only(remote.held)
    return AppliedOperation.ASSIGN if assigns else AppliedOperation.EDIT


def _with_moves(objects: Sequence[Planned]) -> list[Planned]:
    """Turn a delete and a create of what is the same object into a move, where there is one candidate on each side."""
    leaving: dict[str, list[Planned]] = {}
    arriving: dict[str, list[Planned]] = {}
    for planned in objects:
        if planned.operation is AppliedOperation.DELETE and planned.remote is not None:
            leaving.setdefault(_nameless(planned.remote.held), []).append(planned)
        elif planned.operation is AppliedOperation.CREATE and planned.desired is not None:
            arriving.setdefault(_nameless(planned.desired), []).append(planned)
    moved = {
        leaving[key][0].governed: arriving[key][0].governed
        for key in leaving.keys() & arriving.keys()
        if len(leaving[key]) == len(arriving[key]) == 1
    }
    sources = {new: old for old, new in moved.items()}
    there = {planned.governed: planned for planned in objects}
    return [
        replace(
            planned,
            operation=AppliedOperation.MOVE,
            remote=there[sources[planned.governed]].remote,
            source=sources[planned.governed],
        )
        if planned.governed in sources
        else planned
        for planned in objects
        if planned.governed not in moved
    ]


def _nameless(state: DesiredObject) -> str:
    """The digest of a state without the name of a script's file, which goes with the object's own."""
    data = {key: value for key, value in state.data.items() if key != "fileName"}
    return DesiredObject(state.profile_type, data, state.assignments).digest


def shown(
    planned: Planned, requests: Mapping[str, Sequence[str]] | None, *, outcome: str | None, message: str | None
) -> ObjectResult:
    """One planned object as a report has it."""
    ids = {request for name in planned.names for request in (requests or {}).get(name, ())}
    text = "" if planned.problem else difference(planned.remote.held if planned.remote else None, planned.desired)
    if planned.source is not None:
        message = f"moved from {planned.source}" if message is None else f"moved from {planned.source}: {message}"
    return ObjectResult(str(planned.governed), planned.operation, tuple(sorted(ids)), outcome, message, text)


def sorted_results(results: Iterable[ObjectResult]) -> tuple[ObjectResult, ...]:
    """Results in the order of their objects."""
    return tuple(sorted(results, key=lambda result: result.object))
