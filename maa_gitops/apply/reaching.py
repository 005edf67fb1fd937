"""Whom a change reaches: how many people and devices are in the groups that its objects are assigned to, and were."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from maa_gitops.apply.desired import desired_object, resources_of
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.git import Repository
from maa_gitops.model import ObjectId
from maa_gitops.providers import DesiredObject, Provider, Reach, change_of_reach


@dataclass(frozen=True, slots=True)
class ObjectReach:
    """One object on a target: who is in what it is assigned to after a change, or was before; what the plan refuses."""

    object: str
    reach: tuple[Reach, ...]
    problem: str | None = None


def object_reach(
    repository: Repository, trees: tuple[str, str], objects: Collection[ObjectId], provider: Provider
) -> tuple[ObjectReach, ...]:
    """Ask a target about the objects of a change, which leads from one tree to another; sorted, broken ones left out.

    Raises:
        RemoteError: the target does not answer.
    """
    before, after = (_states(repository, tree, objects) for tree in trees)
    found = []
    for governed in sorted(objects):
        if not provider.takes(governed.type) or (governed not in before and governed not in after):
            continue
        found.append(_object_reach(governed, before.get(governed), after.get(governed), provider))
    return tuple(found)


def _object_reach(
    governed: ObjectId, before: DesiredObject | None, after: DesiredObject | None, provider: Provider
) -> ObjectReach:
    problem = None
    if after is not None:
        try:
            provider.as_sent(after)
        except RemoteError as error:
            if error.retry:
                raise
            problem = error.message
    states = [state.assignments if state is not None else () for state in (before, after)]
    return ObjectReach(str(governed), change_of_reach(provider, *states), problem)


def _states(repository: Repository, tree: str, objects: Collection[ObjectId]) -> Mapping[ObjectId, DesiredObject]:
    resources = resources_of(repository, tree)
    found = {}
    for governed in objects:
        if governed in resources.files:
            with suppress(DocumentError):
                found[governed] = desired_object(resources, governed).state
    return found
