"""What people say on a pull request: comments, reviews and their dismissals, each as one statement.

Pure: from what the forge tells to statements. Whether one is recorded is decided in ``recording``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from maa_gitops.forges import Comment, Dismissal, Happenings, PullRequest, Review, ReviewState, Run, User
from maa_gitops.model import VETOES, Action

SHORTEST_DIGEST = 40
"""Hex digits of the change digest, or of a head commit, that a comment or an input must carry at least.

Source: decision 0006; whoever writes both of two changes finds a pair that shares 12 digits in a minute.
"""

SHORTEST_VETO = 12
"""The same for what takes approval away: there doubt does no harm."""

SHORTEST_SUBMIT = 32
"""Hex digits of the submit's line that follow where a person's own key signed the submit. Source: decision 0006."""

UNTOLD = ("untold", "the review was dismissed, and GitHub does not say yet by whom or what it had said")
"""Why a review that is dismissed cannot be read: nobody can tell whether it was a veto."""

BY_PUSH = ("dismissed", "a push dismissed the review, which takes nothing back")
"""Our own pushes do that, where GitHub is set so; nobody needs to be told."""

MERGE = "merge"
"""What is said of a pull request that changes nothing protected, with the digits of its head commit."""

_VERBS = {action.value: action for action in Action if action is not Action.COMPLETE}
_COMMAND = re.compile(r"/maa(?![^\s])[ \t]*(?P<rest>.*)", re.DOTALL)
_SAID = re.compile(
    r"(?P<verb>[a-z]+)[ \t]+(?:sha256:)?(?P<digest>[0-9a-fA-F]+)(?:-(?P<submit>[0-9a-fA-F]+))?(?:\s+(?P<notes>.*))?",
    re.DOTALL,
)
_DECIDING = {ReviewState.APPROVED: Action.APPROVE, ReviewState.CHANGES_REQUESTED: Action.REJECT}


@dataclass(frozen=True, slots=True)
class Statement:
    """Something that somebody said on the forge.

    ``action`` is None for ``/maa merge`` and for what cannot be understood. What was meant is told by ``digest``
    (digits of the change digest, or of a head commit for a merge), or by ``commit``, which a review was made on.
    ``submit`` are digits of the digest of the submit's line in the record, where they were written.
    ``of`` are the addresses of the reviews that a dismissal may take back, and ``teller`` is who dismissed. ``fault``
    says why it cannot be taken at all, with its code.
    """

    author: User | None
    action: Action | None
    at: datetime
    url: str
    digest: str | None = None
    submit: str | None = None
    commit: str | None = None
    notes: str | None = None
    of: frozenset[str] = frozenset()
    teller: User | None = None
    merges: bool = False
    fault: tuple[str, str] | None = None


def statements(comments: Iterable[Comment], reviews: Sequence[Review], happenings: Happenings) -> tuple[Statement, ...]:
    """Everything that was said on a pull request, in the order in which it was said."""
    found = [*_commands(comments), *_reviews(reviews, happenings)]
    return tuple(sorted(found, key=lambda statement: (statement.at, statement.url)))


def _commands(comments: Iterable[Comment]) -> Iterator[Statement]:
    for comment in comments:
        said = _COMMAND.match(comment.body.replace("\r\n", "\n").strip())
        if said is None:
            continue
        spoken = command(said["rest"], author=comment.author, at=comment.at, url=comment.url)
        yield _with_fault(spoken, _comment_fault(comment))


def command(words: str, *, author: User | None, at: datetime, url: str) -> Statement:
    """Read ``VERB DIGEST [NOTES]``, however it reached us."""
    said = _SAID.fullmatch(words.strip())
    verb = said["verb"] if said is not None else ""
    if said is None or (verb not in _VERBS and verb != MERGE):
        text = f"it is not of the form: /maa {'|'.join(_VERBS)} DIGEST [NOTES]"
        return Statement(author, None, at, url, fault=("malformed", text))
    digest, notes = said["digest"].lower(), (said["notes"] or "").strip() or None
    needed = SHORTEST_VETO if _VERBS.get(verb) in VETOES else SHORTEST_DIGEST
    if len(digest) < needed:
        text = f"it carries {len(digest)} digits and needs {needed}; paste the line that the comment gives"
        return Statement(author, _VERBS.get(verb), at, url, fault=("malformed", text))
    submit = said["submit"].lower() if said["submit"] else None
    return Statement(author, _VERBS.get(verb), at, url, digest=digest, submit=submit, notes=notes, merges=verb == MERGE)


def _comment_fault(comment: Comment) -> tuple[str, str] | None:
    """Why a comment is not its author's own words as they were written."""
    if comment.is_edited:
        return "edited", "the comment was edited; say it again in a new one"
    if comment.via_app:
        return "bot", "an app wrote the comment in that person's name"
    return None


def _with_fault(statement: Statement, fault: tuple[str, str] | None) -> Statement:
    if fault is None or statement.fault is not None:
        return statement
    return replace(statement, fault=fault)


def _reviews(reviews: Sequence[Review], happenings: Happenings) -> Iterator[Statement]:
    """Each person's newest review that says something; a comment alone changes nothing of what was said before."""
    newest: dict[int, Review] = {}
    addresses: dict[int, set[str]] = {}
    for review in reviews:
        if review.author is None or review.at is None:
            continue
        addresses.setdefault(review.author.id, set()).add(review.url)
        if review.state in (ReviewState.APPROVED, ReviewState.CHANGES_REQUESTED, ReviewState.DISMISSED):
            newest[review.author.id] = review
    taken_back = {dismissal.review: dismissal for dismissal in happenings.dismissals}
    for author, review in newest.items():
        dismissal = taken_back.get(review.id)
        if review.state is not ReviewState.DISMISSED:
            yield _retargeted(_decision(review, review.state), happenings.retargeted_at)
        elif dismissal is None:
            yield replace(_decision(review, ReviewState.CHANGES_REQUESTED), fault=UNTOLD)
        else:
            yield _dismissed(review, dismissal, frozenset(addresses[author]))
            by_author = dismissal.actor is not None and dismissal.actor.id == author
            if dismissal.state is ReviewState.CHANGES_REQUESTED and not by_author:
                yield _decision(review, dismissal.state)  # a veto is not lost because somebody else dismissed it


def _retargeted(statement: Statement, retargeted_at: datetime | None) -> Statement:
    """A review; an approval is for what the page showed, which is less where another branch held a part of it."""
    if statement.action is not Action.APPROVE or retargeted_at is None or statement.at > retargeted_at:
        return statement
    return replace(statement, fault=("retargeted", "the pull request has got another base since; review again"))


def _decision(review: Review, state: ReviewState) -> Statement:
    """What a review decides, in the state that it has or had."""
    return Statement(
        author=review.author,
        action=_DECIDING[state],
        at=review.at or datetime.max.replace(tzinfo=UTC),
        url=review.url,
        commit=review.commit,
        notes=_review_notes(review, state),
    )


def _review_notes(review: Review, state: ReviewState) -> str | None:
    body = review.body.replace("\r\n", "\n").strip()
    if body or state is ReviewState.APPROVED:
        return body or None
    return f"Changes requested: {review.url}"


def _dismissed(review: Review, dismissal: Dismissal, of: frozenset[str]) -> Statement:
    """A review that was dismissed: by a person it takes the approval back, by a push it says nothing."""
    actor = dismissal.actor
    fault = None
    if dismissal.by_push:
        fault = BY_PUSH
    elif actor is None or not actor.is_person:
        fault = ("dismissed", "no person dismissed the review, so the approval stands; to take it back: /maa withdraw")
    return Statement(
        author=review.author,
        action=Action.WITHDRAW,
        at=dismissal.at,
        url=review.url,
        commit=review.commit,
        notes=f"The review was dismissed by {actor.login if actor is not None else 'somebody unknown'}.",
        of=of,
        teller=actor,
        fault=fault,
    )


def from_run(run: Run, inputs: Mapping[str, str], protected_branch: str) -> Statement:
    """What a person asked for by running a workflow with inputs ``action``, ``change`` and ``notes``.

    A run that was started again repeats what somebody else once typed, so it says nothing.
    """
    words = " ".join(inputs.get(name, "") for name in ("action", "change"))
    said = command(f"{words}\n{inputs.get('notes', '')}", author=run.actor, at=run.at, url=run.url)
    fault = None
    if run.event != "workflow_dispatch" or run.branch != protected_branch:
        fault = ("malformed", f"it is no run that was dispatched on {protected_branch}")
    elif run.attempt != 1 or run.triggering_actor is None or run.actor is None:
        fault = ("rerun", "the run was started again; dispatch a new one")
    elif run.triggering_actor.id != run.actor.id:
        fault = ("rerun", "somebody else started the run again")
    return _with_fault(said, fault)


# --- the business justification --------------------------------------------------------------------------------------

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_INVISIBLE = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TITLE = "business justification"


def business_justification(pull_request: PullRequest) -> str | None:
    """The section of that name in a pull request's description; None: there is none, or it is blank."""
    lines = _INVISIBLE.sub("", pull_request.body.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    kept: list[str] | None = None
    for line in lines:
        heading = _HEADING.fullmatch(line)
        if heading is not None and kept is not None:
            break
        if heading is not None and heading[2].strip().rstrip(":").casefold() == _TITLE:
            kept = []
        elif kept is not None:
            kept.append(line)
    text = "\n".join(kept or ()).strip()
    return text or None
