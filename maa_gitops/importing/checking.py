"""Holding composed resources to what they must be: their bytes survive a commit, their documents are sound.

What is refused stays out, with the first reason; the tree that is judged is the one that writing would make.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from maa_gitops.apply.desired import ADOPT, Resources, desired_object
from maa_gitops.errors import DocumentError, RemoteError
from maa_gitops.importing.ground import Ground
from maa_gitops.importing.survival import losses
from maa_gitops.importing.values import LeftOut, Progress, Settled
from maa_gitops.model import Level, ObjectId
from maa_gitops.providers import DesiredObject
from maa_gitops.providers.graph.shapes import NO_TEXT
from maa_gitops.tenant import read_resource

AsThere = Callable[[DesiredObject], DesiredObject]


@dataclass(frozen=True, slots=True)
class Composed:
    """A resource as it would be written: the state that it stands for, its files, the files that go (None)."""

    settled: Settled
    state: DesiredObject
    files: Mapping[str, bytes | None]
    origin: str
    display_name: str

    def left_out(self, why: str) -> LeftOut:
        """The object as one that stays out."""
        return LeftOut(self.origin, self.display_name, why)


@dataclass(frozen=True, slots=True)
class Checked:
    """Composed resources that can be written, those that differ from what is there, and those that stay out."""

    sound: list[Composed] = field(default_factory=list)
    inexact: list[Composed] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def check(ground: Ground, composed: Sequence[Composed], as_there: AsThere, progress: Progress) -> Checked:
    """Judge composed resources, each by itself."""
    contents = {path: data for one in composed for path, data in one.files.items() if data is not None}
    lost = losses(ground.clone.repository, ground.resources.tree, contents)
    resources = _resources_with(ground, composed)
    checked = Checked()
    for number, one in enumerate(composed):
        progress(number, len(composed))
        trouble, is_exact = _trouble(ground, one), False
        try:
            is_exact = trouble is None and stands_for(resources, one.settled.governed, one.state, as_there)
        except DocumentError as error:
            trouble = _first_problem(resources, one) or error.message
        trouble = trouble or next((lost[path] for path in sorted(one.files) if path in lost), None)
        if trouble is not None:
            checked.left_out.append(one.left_out(trouble))
            continue
        checked.sound.append(one)
        checked.inexact.extend(() if is_exact else (one,))
    return checked


def _resources_with(ground: Ground, composed: Sequence[Composed]) -> Resources:
    """The resources of the tree that writing everything would make."""
    repository = ground.clone.repository
    changes = {
        path: ("100644", repository.write_blob(data)) if data is not None else None
        for one in composed
        for path, data in one.files.items()
    }
    return replace(ground.resources, tree=repository.replace_paths(ground.resources.tree, changes))


def _trouble(ground: Ground, one: Composed) -> str | None:
    """What is in the way of writing the files, whatever the document says."""
    dirty = next((path for path in one.files if path in ground.dirty), None)
    if dirty is not None:
        return f"{dirty} has changes that are not committed"
    if ADOPT in one.state.data:
        return f"it has a property '{ADOPT}', under which a resource says which object it adopts"
    return next(_encoded(one.state), None) if one.state.profile_type == "script" else None


def _encoded(state: DesiredObject) -> Iterator[str]:
    """The texts of a script that are none."""
    for key, value in state.data.items():
        if isinstance(value, Mapping) and NO_TEXT in value:
            yield f"{key} is not UTF-8, and resources keep scripts as text"


def _first_problem(resources: Resources, one: Composed) -> str | None:
    """The first thing that is wrong with a resource."""
    problems = read_resource(resources.repository, resources.tree, one.settled.governed, resources.rules)[2]
    return next((problem.message for problem in problems if problem.level is Level.ERROR), None)


def stands_for(resources: Resources, governed: ObjectId, state: DesiredObject, as_there: AsThere) -> bool:
    """Whether a resource, once applied, would be exactly what was found.

    Raises:
        DocumentError: the resource is broken.
    """
    wanted = desired_object(resources, governed).state
    try:
        wanted = as_there(wanted)
    except RemoteError:
        return False
    return wanted.digest == state.digest
