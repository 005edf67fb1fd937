"""What the forge says, as frozen values; times are aware UTC, whole seconds."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class User:
    """Who did something on the forge. ``id`` is for ever; ``login`` can be given up and taken over."""

    id: int
    login: str
    type: str

    @property
    def is_person(self) -> bool:
        """Whether it is a human's account: no bot, no app, no organisation."""
        return self.type == "User" and not self.login.endswith("[bot]")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request. ``head_repository`` is None once a fork is deleted; ``author`` once the account is."""

    number: int
    title: str
    body: str
    author: User | None
    is_open: bool
    is_draft: bool
    is_merged: bool
    head_branch: str
    head_commit: str
    head_repository: str | None
    base_branch: str
    url: str


class ReviewState(StrEnum):
    """What a review says. Source: GitHub's REST API, pull request reviews."""

    APPROVED = "APPROVED"
    CHANGES_REQUESTED = "CHANGES_REQUESTED"
    COMMENTED = "COMMENTED"
    DISMISSED = "DISMISSED"
    PENDING = "PENDING"


@dataclass(frozen=True, slots=True)
class Review:
    """A review of a pull request; ``commit`` is what was looked at."""

    id: int
    author: User | None
    state: ReviewState
    commit: str | None
    body: str
    at: datetime | None
    url: str


@dataclass(frozen=True, slots=True)
class Dismissal:
    """A review was dismissed: by ``actor``, or by a push to the branch. ``state`` is what the review had said."""

    review: int
    state: ReviewState
    actor: User | None
    at: datetime
    by_push: bool


@dataclass(frozen=True, slots=True)
class Happenings:
    """What happened to a pull request: its reviews' dismissals, and when it last got another base branch."""

    dismissals: tuple[Dismissal, ...] = ()
    retargeted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request. ``via_app`` says that an app wrote it in somebody's name."""

    id: int
    author: User | None
    body: str
    at: datetime
    edited_at: datetime
    via_app: bool
    url: str

    @property
    def is_edited(self) -> bool:
        """Whether it is not, any more, what was written at first."""
        return self.edited_at != self.at


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow. ``actor`` started it first, ``triggering_actor`` this attempt."""

    id: int
    event: str
    branch: str | None
    commit: str
    actor: User | None
    triggering_actor: User | None
    attempt: int
    at: datetime
    url: str


class StatusState(StrEnum):
    """What a commit status says. Source: GitHub's REST API, commit statuses."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """The newest status of one context on a commit."""

    context: str
    state: StatusState
    description: str


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check on a commit; ``conclusion`` is None while it runs."""

    name: str
    conclusion: str | None
