"""What judging a step starts from and comes to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from maa_gitops.model import ReasonCode, Tenant


@dataclass(frozen=True, slots=True)
class Violation:
    """A step that may not be. ``healed_by`` is the later commit that is good against the same G."""

    commit: str
    code: ReasonCode
    message: str
    paths: tuple[str, ...] = ()
    healed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Good:
    """The last good commit, with what the next step is judged by.

    ``time`` is the latest time of all steps so far. ``is_base`` says whether a commit is on its first-parent chain.
    """

    commit: str
    tenant: Tenant
    time: datetime | None
    is_base: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a step was judged: good if there is no fault. ``time`` is the latest ``at`` of the events that it adds."""

    faults: tuple[Violation, ...]
    time: datetime | None

    @property
    def good(self) -> bool:
        """Whether the step may be."""
        return not self.faults


def fault(code: ReasonCode, message: str, paths: Iterable[str] = ()) -> Violation:
    """A violation whose commit is not known yet."""
    return Violation("", code, message, tuple(sorted(paths)))


# What the step does to the shape of the tree and to the rules.
