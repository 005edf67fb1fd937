"""What may land on the protected branch: judging steps, and the walk that keeps G, the last good commit.

Goodness follows from the protected branch alone: from trees, records and the rules at G. Commit messages, authors and
other parents mean nothing here.
"""

from maa_gitops.history.judging import judge, record_paths
from maa_gitops.history.memory import recall, remember, remembered_commit
from maa_gitops.history.shape import shape_faults
from maa_gitops.history.verdict import Good, Verdict, Violation
from maa_gitops.history.walking import History, Memory, chain, first_parents, oldest_with_settings, walk

__all__ = [
    "Good",
    "History",
    "Memory",
    "Verdict",
    "Violation",
    "chain",
    "first_parents",
    "judge",
    "oldest_with_settings",
    "recall",
    "record_paths",
    "remember",
    "remembered_commit",
    "shape_faults",
    "walk",
]
