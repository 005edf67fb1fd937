"""The forge: what GitHub says of pull requests, reviews, comments and people, and what we tell it; it decides nothing.

Nothing but ids is ever taken from an event's payload: whatever matters is asked of the API again.
"""

from maa_gitops.forges.github import APPROVAL, GitHub, find_user, shortened
from maa_gitops.forges.job import Job, announcements
from maa_gitops.forges.place import repository_of
from maa_gitops.forges.rest import RestClient
from maa_gitops.forges.values import (
    CheckRun,
    Comment,
    CommitStatus,
    Dismissal,
    Happenings,
    PullRequest,
    Review,
    ReviewState,
    Run,
    StatusState,
    User,
)

__all__ = [
    "APPROVAL",
    "CheckRun",
    "Comment",
    "CommitStatus",
    "Dismissal",
    "GitHub",
    "Happenings",
    "Job",
    "PullRequest",
    "RestClient",
    "Review",
    "ReviewState",
    "Run",
    "StatusState",
    "User",
    "announcements",
    "find_user",
    "repository_of",
    "shortened",
]
