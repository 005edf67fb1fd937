"""What importing speaks in: what was found, what is left out, what becomes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from maa_gitops.model import ObjectId
from maa_gitops.providers import DesiredObject

Progress = Callable[[int, int], None]
"""Is told how many objects are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object that was found: its state in the form of a resource, where, and the id that it has on its target.

    ``remote_id`` is None where nobody tells. ``display_name`` is what people call it, ``mark`` the one that it bears,
    whosever it is; ``name`` is the resource that it was applied from, by the object map.
    """

    state: DesiredObject
    origin: str
    display_name: str
    remote_id: str | None = None
    name: str | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """Something that was found and does not become a resource, or not wholly, and why."""

    origin: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Source:
    """What there is to import. ``name`` is for people; ``target`` is the one whose ids the objects have, if any.

    ``as_there`` gives a state the form in which it would be found. ``is_live``: it is what the target holds now.
    ``notes`` are about the whole, ``warnings`` tell what applying would take away.
    """

    name: str
    found: tuple[Found, ...]
    left_out: tuple[LeftOut, ...]
    target: str | None
    as_there: Callable[[DesiredObject], DesiredObject] = lambda state: state
    is_live: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Settled:
    """An object that is a resource, or becomes one: the path of its document, its id on the target."""

    governed: ObjectId
    path: str
    remote_id: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What importing would do. ``files`` are to be written, by path; None: to be deleted.

    ``written`` are new resources, ``rewritten`` such as get another content, ``deleted`` such as go. All are sorted.
    """

    written: tuple[Settled, ...] = ()
    rewritten: tuple[Settled, ...] = ()
    deleted: tuple[Settled, ...] = ()
    unchanged: tuple[Settled, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: Mapping[str, bytes | None] = field(default_factory=dict)
