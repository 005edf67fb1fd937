"""Plan, apply, drift: bringing a target to the state of a good commit, and telling where it is not.

What may land is judged in ``history``; how a target is spoken to is known in ``providers``.
"""

from maa_gitops.apply.context import (
    Context,
    Deployer,
    Landed,
    ObjectResult,
    Report,
    applied,
    is_behind,
    outcome_reader,
)
from maa_gitops.apply.drifting import drift
from maa_gitops.apply.identity import marker
from maa_gitops.apply.planning import plan
from maa_gitops.apply.reaching import ObjectReach, object_reach
from maa_gitops.apply.readable import readable
from maa_gitops.apply.running import apply

__all__ = [
    "Context",
    "Deployer",
    "Landed",
    "ObjectReach",
    "ObjectResult",
    "Report",
    "applied",
    "apply",
    "drift",
    "is_behind",
    "marker",
    "object_reach",
    "outcome_reader",
    "plan",
    "readable",
]
