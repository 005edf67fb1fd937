"""Which found object is which resource: by mark, by object map, by adopted id; by what it is called where no id tells.

An object that could be two resources, or two that could be one, become none: the words say who has to choose.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from maa_gitops.apply.identity import marker, object_id
from maa_gitops.importing.ground import Known
from maa_gitops.importing.names import new_names, told_apart
from maa_gitops.importing.values import Found, LeftOut
from maa_gitops.model import ObjectId
from maa_gitops.tenant.paths import NAME

_LONGEST_NAME = 256
"""Characters of a name that a mark gives: what every file system takes, folders included."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Found objects with their resources, sorted by these: such as are there, and such as are to be made."""

    there: tuple[tuple[Found, ObjectId], ...]
    new: tuple[tuple[Found, ObjectId], ...]
    left_out: tuple[LeftOut, ...]


def match(found: Sequence[Found], known: Sequence[Known], tenant: str, target: str | None) -> Matched:
    """Tell which of the found objects are resources already, and name the others.

    ``target`` is the one whose ids the objects have; None: their ids tell nothing here.
    """
    names = frozenset(one.governed for one in known)
    troubles = [(one, _foreign_mark(one, tenant, names)) for one in found]
    ours = [one for one, trouble in troubles if trouble is None]
    claims, strangers, disputed = _claims(ours, known, tenant, target)
    free = [one for one in known if one.governed not in claims and not (target and target in one.adopt)]
    guess = _guess(strangers, free, target)
    taken: dict[str, set[str]] = defaultdict(set)
    for governed in (*names, *claims):
        taken[governed.type].add(governed.name)
    made = zip(guess.others, new_names(guess.others, taken), strict=True)
    there = {governed: one for governed, one in claims.items() if one is not None and governed in names}
    new = {governed: one for governed, one in claims.items() if one is not None and governed not in names}
    new |= {ObjectId(one.state.profile_type, name): one for one, name in made}
    foreign = (_left_out(one, trouble) for one, trouble in troubles if trouble is not None)
    left_out = tuple(sorted((*foreign, *disputed, *guess.left_out)))
    return Matched(_sorted(there | guess.alike), _sorted(new), left_out)


def _sorted(pairs: Mapping[ObjectId, Found]) -> tuple[tuple[Found, ObjectId], ...]:
    return tuple((pairs[governed], governed) for governed in sorted(pairs))


# --- what an id or a mark tells --------------------------------------------------------------------------------------


def _foreign_mark(one: Found, tenant: str, known: Collection[ObjectId]) -> str | None:
    """Why the mark that an object bears forbids that it becomes a resource here; None: it does not.

    ``known`` are the resources that there are.
    """
    if one.mark is None:
        return None
    prefix = marker(tenant, "")
    if not one.mark.startswith(prefix):
        return f"it bears the mark {one.mark}, so another repository keeps it"
    governed = object_id(one.mark.removeprefix(prefix))
    is_fit = governed in known or len(governed.name) <= _LONGEST_NAME
    is_name = governed.type == one.state.profile_type and all(map(NAME.fullmatch, governed.name.split("/")))
    return None if is_name and is_fit else f"its mark {one.mark} is of no resource that it could be"


def _claims(
    found: Sequence[Found], known: Sequence[Known], tenant: str, target: str | None
) -> tuple[dict[ObjectId, Found | None], list[Found], list[LeftOut]]:
    """The resources that objects are for certain, None where several are one; the objects that are none; the doubts."""
    adopters = _adopters(known, target)
    claims: dict[ObjectId, list[Found]] = defaultdict(list)
    strangers: list[Found] = []
    left_out: list[LeftOut] = []
    for one in found:
        name = one.mark.removeprefix(marker(tenant, "")) if one.mark is not None else one.name
        is_told = name is not None and object_id(name).type == one.state.profile_type
        claimed = (object_id(name),) if name and is_told else adopters.get((one.state.profile_type, one.remote_id), ())
        if len(claimed) > 1:
            left_out.append(_left_out(one, f"several resources adopt it: {_listed(claimed)}"))
        elif claimed:
            claims[claimed[0]].append(one)
        else:
            strangers.append(one)
    left_out += [_rival(one, governed, ones) for governed, ones in claims.items() if len(ones) > 1 for one in ones]
    return {governed: ones[0] if len(ones) == 1 else None for governed, ones in claims.items()}, strangers, left_out


def _adopters(known: Iterable[Known], target: str | None) -> Mapping[tuple[str, str | None], Sequence[ObjectId]]:
    """The resources that adopt an object of the target, by its profile type and id."""
    found: dict[tuple[str, str | None], list[ObjectId]] = defaultdict(list)
    for one in known:
        if target is not None and target in one.adopt:
            found[one.governed.type, one.adopt[target]].append(one.governed)
    return found


def _rival(one: Found, governed: ObjectId, rivals: Sequence[Found]) -> LeftOut:
    ids = ", ".join(sorted(rival.remote_id or rival.origin for rival in rivals))
    return _left_out(one, f"several objects are {governed}: {ids}; delete the wrong ones")


# --- what a name tells -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Guess:
    """Objects that are resources by what they are called, objects that are none, and the doubts."""

    alike: dict[ObjectId, Found] = field(default_factory=dict)
    others: list[Found] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def _guess(strangers: Sequence[Found], free: Sequence[Known], target: str | None) -> _Guess:
    """Look at kind and name beside the resources that adopt nothing."""
    ours: dict[tuple[str, str, str], list[ObjectId]] = defaultdict(list)
    theirs: dict[tuple[str, str, str], list[Found]] = defaultdict(list)
    for resource in free:
        ours[resource.governed.type, str(resource.type), resource.display_name].append(resource.governed)
    for one in strangers:
        theirs[one.state.profile_type, str(one.state.data.get("type")), one.display_name].append(one)
    guess = _Guess()
    for key, ones in theirs.items():
        resources = ours.get(key, []) if key[-1] else []
        if target is not None:
            _beside_ids(guess, [one for one in ones if one.remote_id is not None], resources, target)
        _without_ids(guess, [one for one in ones if target is None or one.remote_id is None], resources)
    return guess


def _beside_ids(guess: _Guess, ones: Sequence[Found], resources: Sequence[ObjectId], target: str) -> None:
    """An object with an id beside a resource that could be it is left to a person: no second one must be made."""
    for one in ones:
        if not resources:
            guess.others.append(one)
            continue
        add = f"if it is this object, add to it: adopt: {{{target}: {one.remote_id}}}"
        guess.left_out.append(_left_out(one, f"{_listed(resources)} is called the same and adopts nothing; {add}"))


def _without_ids(guess: _Guess, ones: Sequence[Found], resources: Sequence[ObjectId]) -> None:
    """Where no id tells, one object and one resource of a name are the same; several need their digits."""
    if len(ones) == len(resources) == 1:
        guess.alike[resources[0]] = ones[0]
        return
    for one in ones:
        told = ObjectId(one.state.profile_type, told_apart(one))
        if told in resources and told not in guess.alike:
            guess.alike[told] = one
        elif not resources and (len(ones) == 1 or one.remote_id is not None):
            guess.others.append(one)
        else:
            guess.left_out.append(_left_out(one, "several objects or resources have this name, and no id tells which"))


def _listed(resources: Iterable[ObjectId]) -> str:
    return ", ".join(map(str, sorted(resources)))


def _left_out(one: Found, why: str) -> LeftOut:
    return LeftOut(one.origin, one.display_name, why)
