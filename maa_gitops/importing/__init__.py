"""What ``maa import`` does: resources on a change branch, made from what a target holds or another tool has kept of it.

Nothing is committed, nothing that is a resource already is overwritten, nothing is left out without a word. The same
plans take over what ``maa drift`` finds.
"""

from maa_gitops.importing.ground import Ground, ground_of
from maa_gitops.importing.planning import plan
from maa_gitops.importing.sources import from_backup, from_target
from maa_gitops.importing.taking_over import plan_to_take_over
from maa_gitops.importing.values import Found, LeftOut, Plan, Settled, Source
from maa_gitops.importing.writing import carry_out

__all__ = [
    "Found",
    "Ground",
    "LeftOut",
    "Plan",
    "Settled",
    "Source",
    "carry_out",
    "from_backup",
    "from_target",
    "ground_of",
    "plan",
    "plan_to_take_over",
]
