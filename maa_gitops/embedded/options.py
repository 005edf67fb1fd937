"""How an embedded Graph behaves; the defaults are Graph's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from maa_gitops.model import ProfileType

FaultPlan = Callable[[int, str, str], int | str | None]
"""Told the number of a request (from 1), its method and its path, it gives what is to go wrong: a status, ``reset``
(the connection ends before anything is done), ``reset-after`` (it is done, but nobody is told), ``half`` (it is done,
half of the answer comes), ``slow`` (the answer comes in drops); None: nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be set.

    ``types`` are the profile types that the tenant defines. An app is published ``publishing`` after it was made; None:
    once it has been read. Of 20 seconds, one identity has ``writes`` and ``calls``. ``excluded`` are the names of
    identities that need no approval, ``applications`` of those that are no person. ``lenient``: what is not known is
    an empty list where others answer that it is not found.
    """

    clock: Callable[[], datetime]
    name: str = "Contoso"
    types: tuple[ProfileType, ...] = ()
    page: int = 100
    publishing: timedelta | None = None
    writes: int = 100
    calls: int = 1000
    excluded: Sequence[str] = ()
    applications: Sequence[str] = ()
    lenient: bool = False
    faults: FaultPlan | None = None
