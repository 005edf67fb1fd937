"""Whether an assignment, as it was found, is one that a resource can say: it names exactly whom it is for."""

from collections.abc import Iterable, Mapping

from maa_gitops.providers.graph.shapes import TARGETS


def trouble_with(assignment: Mapping[str, object]) -> str | None:
    """What a resource cannot say of an assignment; None: it can say all of it."""
    target = assignment.get("target")
    if not isinstance(target, Mapping):
        return "it has no target"
    if "@odata.type" in target:
        return f"resources have no target of the kind {target['@odata.type']}"
    for key in ("group", "excludeGroup"):
        if f"{key}Id" in target:
            return _of_group(str(target[f"{key}Id"]), target.get(key))
    if sum(key in target for key in TARGETS) != 1:
        return "it names no group"
    wanted = target.get("filter")
    if isinstance(wanted, Mapping) and "nameId" in wanted:
        return f"the assignment filter {wanted['nameId']} has no name that is its alone"
    return None


def _of_group(group_id: str, name: object) -> str:
    if name is not None:
        return f"several groups are called '{name}', and it means {group_id}"
    return f"nothing says what the group {group_id} is called" if group_id else "it does not say which group it means"


def first_trouble(assignments: Iterable[Mapping[str, object]]) -> str | None:
    """What a resource cannot say of assignments, of the first that has such."""
    return next((trouble for found in assignments if (trouble := trouble_with(found)) is not None), None)
