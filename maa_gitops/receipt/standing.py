"""What receipts say of a merged request: how it stands on each target that it concerns (rule 9)."""

from collections.abc import Callable, Collection, Mapping, Sequence

from maa_gitops.model import ObjectId, Outcome, TargetOutcome
from maa_gitops.receipt.chain import Receipt


def request_outcomes(
    merge: str,
    concerned: Mapping[str, Collection[ObjectId]],
    receipts: Mapping[str, Sequence[Receipt]],
    place: Callable[[str], int | None],
) -> tuple[TargetOutcome, ...]:
    """Tell how a merged request stands on each target that it concerns, in the order given.

    ``concerned`` are, by name, the targets that there were at the merge and still are, with those of the request's
    objects that they take; one that takes none is left out. ``receipts`` are the good receipts of each target, by its
    name; ``place`` is that of a good commit, None for every other.
    """
    merged = place(merge)
    outcomes = []
    for target, objects in concerned.items():
        since = [found for found in receipts.get(target, ()) if _is_since(place(found.commit), merged)]
        if objects:
            outcomes.append(_target_outcome(target, {str(governed) for governed in objects}, since))
    return tuple(outcomes)


def _is_since(place: int | None, merged: int | None) -> bool:
    return place is not None and merged is not None and place >= merged


def _target_outcome(target: str, objects: set[str], since: Sequence[Receipt]) -> TargetOutcome:
    for receipt in since:
        if objects.isdisjoint(receipt.failed):
            return TargetOutcome(target, Outcome.APPLIED, receipt.at)
    if not since:
        return TargetOutcome(target, Outcome.PENDING)
    newest = since[-1]
    told = {outcome.object: outcome for outcome in newest.outcomes}
    failed = sorted(objects.intersection(newest.failed))
    messages = {name: told[name].message if name in told else None for name in failed}
    said = "; ".join(
        f"{name}: {message or 'it is not at the state of the commit'}" for name, message in messages.items()
    )
    waits = all(name in told and told[name].outcome is Outcome.AWAITING_NATIVE_APPROVAL for name in failed)
    return TargetOutcome(target, Outcome.AWAITING_NATIVE_APPROVAL if waits else Outcome.FAILED, newest.at, said)
