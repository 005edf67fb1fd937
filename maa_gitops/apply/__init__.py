"""Plan, apply, drift: bringing a target to the state of a good commit, and telling where it is not.

What may land is judged in ``history``; how a target is spoken to is known in ``providers``.
"""

from maa_gitops.apply.context import Context, Deployer, ObjectResult, Report, applied, is_behind, outcome_reader
from maa_gitops.apply.drifting import drift
from maa_gitops.apply.planning import marker, plan
from maa_gitops.apply.readable import readable
from maa_gitops.apply.running import apply

__all__ = [
    "Context",
    "Deployer",
    "ObjectResult",
    "Report",
    "applied",
    "apply",
    "drift",
    "is_behind",
    "marker",
    "outcome_reader",
    "plan",
    "readable",
]
