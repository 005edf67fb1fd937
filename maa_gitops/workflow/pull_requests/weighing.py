"""Weighing what was said on the forge: what is recorded already, what can be recorded, and why the rest cannot.

When something was said matters as much as what: nothing that was said comes to life later, in another round or after
it was taken back. A veto is the exception that proves it: of doubt, the change does not profit.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from maa_gitops.evaluate import covering_policies
from maa_gitops.forges import PullRequest, User
from maa_gitops.model import VETOES, Account, Action, Event, ReasonCode, Status, Tenant
from maa_gitops.record import prose_problem, read
from maa_gitops.workflow.acts import act_refusal
from maa_gitops.workflow.clone import Clone
from maa_gitops.workflow.pull_requests.statements import BY_PUSH, SHORTEST_SUBMIT, Statement, business_justification
from maa_gitops.workflow.requests import Request, change_at, record_at


class Outcome(StrEnum):
    """What became of a statement: recorded now, known before, refused, or nothing yet."""

    RECORDED = "recorded"
    KNOWN = "known"
    REFUSED = "refused"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Heard:
    """A statement and what became of it. ``account`` is whose it is; ``code`` and ``message`` say why not."""

    statement: Statement
    outcome: Outcome
    account: str | None = None
    code: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Meeting:
    """What was said on one request, and where: ``pull_request`` is None if there is none.

    ``may_write`` tells whether a person may push to the repository today.
    """

    pull_request: PullRequest | None
    spoken: tuple[Statement, ...]
    may_write: Callable[[User], bool]

    def said_at(self, event: Event) -> datetime:
        """When the act of an event was done: of one that was attested, when it was said, if that is still there."""
        url = event.evidence.url if event.evidence is not None else None
        said = (s.at for s in self.spoken if s.url == url and s.action is event.action)
        return min(said, default=event.at)

    def is_author(self, user: User | None) -> bool:
        """Whether somebody opened the pull request."""
        author = self.pull_request.author if self.pull_request is not None else None
        return author is not None and user is not None and author.id == user.id


Refusal = tuple[str, str]
"""Why nothing is recorded: a code and a sentence."""


def weigh(clone: Clone, request: Request, meeting: Meeting, statement: Statement) -> Heard:
    """Say what is to become of a statement; nothing is signed here."""
    account = account_of(clone.tenant, statement.author)
    name = account.name if account is not None else None
    if _is_known(request, meeting, statement, account):
        return Heard(statement, Outcome.KNOWN, name)
    found = _refusal(clone, request, meeting, statement, account)
    teller = statement.teller or statement.author
    if found is None and teller is not None and not meeting.may_write(teller):
        found = "noPermission", f"{teller.login} may not write to the repository"
    if found is not None:
        return Heard(statement, Outcome.REFUSED, name, *found)
    return Heard(statement, Outcome.WAITING, name)


def listen(clone: Clone, request: Request, meeting: Meeting) -> tuple[Heard, ...]:
    """Tell what would become of everything that was said."""
    return tuple(weigh(clone, request, meeting, statement) for statement in meeting.spoken)


def told(request: Request, heard: Sequence[Heard]) -> tuple[Heard, ...]:
    """The refusals that somebody still wants to know of: not those from before the last round but one began."""
    submits = [event.at for event in _events(request) if event.action is Action.SUBMIT]
    since = submits[-2] if len(submits) > 1 else None
    return tuple(
        found for found in heard if found.outcome is Outcome.REFUSED and (since is None or found.statement.at >= since)
    )


def account_of(tenant: Tenant, author: User | None) -> Account | None:
    """The account with the number of a forge's account; a login decides nothing."""
    if author is None:
        return None
    return next((a for a in tenant.accounts.values() if a.github is not None and a.github.id == author.id), None)


# --- what is known ---------------------------------------------------------------------------------------------------


def _is_known(request: Request, meeting: Meeting, statement: Statement, account: Account | None) -> bool:
    """Whether the record says it already, or there is nothing left that it could be about."""
    if statement.of:
        return statement.fault == BY_PUSH or not _stands(request, account, statement.of)
    recorded = any(
        event.evidence is not None and event.evidence.url == statement.url and event.action is statement.action
        for event in _events(request)
    )
    return recorded or (statement.action in (Action.REJECT, Action.CANCEL) and _is_spare(request, meeting, statement))


def _stands(request: Request, account: Account | None, urls: frozenset[str]) -> bool:
    """Whether an approval that one of these reviews gave stands."""
    standing = _standing(request, account)
    return standing is not None and standing.evidence is not None and standing.evidence.url in urls


def _standing(request: Request, account: Account | None) -> Event | None:
    """An account's approval that counts."""
    for verdict, line in zip(request.evaluation.events, request.lines, strict=True):
        event = line.event
        counts = verdict.counts and account is not None and verdict.account == account.name
        if counts and event is not None and event.action is Action.APPROVE:
            return event
    return None


def _is_spare(request: Request, meeting: Meeting, statement: Statement) -> bool:
    """Whether the round in which a veto was said ended with another one, and a new round has begun since."""
    rounds: list[list[Event]] = []
    for event in _events(request):
        if event.action is Action.SUBMIT:
            rounds.append([])
        if rounds:
            rounds[-1].append(event)
    begun = [events for events in rounds if meeting.said_at(events[0]) <= statement.at]
    return (
        bool(begun)
        and begun[-1] is not rounds[-1]
        and any(e.action in (Action.REJECT, Action.CANCEL) for e in begun[-1])
    )


def _events(request: Request) -> Iterator[Event]:
    yield from (line.event for line in request.lines if line.event is not None)


# --- what is refused -------------------------------------------------------------------------------------------------


def _refusal(
    clone: Clone, request: Request, meeting: Meeting, statement: Statement, account: Account | None
) -> Refusal | None:
    """Why a statement is not recorded, as far as the forge's permissions do not matter."""
    author, action = statement.author, statement.action
    if statement.fault is not None:
        return statement.fault
    if author is None:
        return "noAccount", "its author's account on GitHub is gone"
    if not author.is_person:
        return "bot", f"{author.login} is no person"
    if account is None:
        return "noAccount", f"no account of the tenant has GitHub's number {author.id} ({author.login})"
    if action is None:
        return "malformed", "it says nothing about a protected change"
    if action not in VETOES and (closed := _closed(clone, meeting.pull_request)) is not None:
        return closed
    return (
        _about_another_change(clone, request, meeting, statement)
        or _said_too_early(request, meeting, statement, account)
        or _not_open(request, meeting, statement, account)
        or _of_another_submit(clone, request, statement)
    )


def _closed(clone: Clone, pull_request: PullRequest | None) -> Refusal | None:
    """Why nothing but a veto is heard on a pull request."""
    if pull_request is not None and not pull_request.is_open:
        return "closed", "the pull request is closed"
    if pull_request is not None and pull_request.base_branch != clone.branch:
        return "closed", f"the pull request is not for {clone.branch}"
    return None


def _about_another_change(clone: Clone, request: Request, meeting: Meeting, statement: Statement) -> Refusal | None:
    """Why a statement is about another change than the one that stands. A veto of this round is about all of it."""
    began = request.submitted
    if statement.action in VETOES and began is not None and statement.at >= meeting.said_at(began):
        return None
    now = change_at(clone, request.head) if request.head is not None else None
    submitted = request.evaluation.change
    wanted = {now} if statement.action in (Action.SUBMIT, Action.APPROVE) else {now, submitted}
    if statement.of:
        seen: str | None = submitted if submitted == now else None
    elif statement.commit is not None:
        seen = change_at(clone, statement.commit)
    else:
        seen = next((change for change in wanted if change and _is_beginning(statement.digest, change)), None)
    if seen is not None and seen in wanted:
        return None
    is_now = f"which is now {now}" if now is not None else "which cannot be told"
    return ReasonCode.STALE_CHANGE, f"it is for another change than this one, {is_now}"


def _is_beginning(digits: str | None, change: str) -> bool:
    """Whether somebody meant this change by the digits that they wrote."""
    return digits is not None and change.removeprefix("sha256:").startswith(digits)


def _said_too_early(request: Request, meeting: Meeting, statement: Statement, account: Account) -> Refusal | None:
    """Why words are older than what they would undo."""
    match statement.action:
        case Action.SUBMIT:
            if any(statement.at <= moment for moment in _ends(request, meeting)) or _is_older(
                request, meeting, statement
            ):
                return ReasonCode.STALE_CHANGE, "it was said before the last round began or ended; submit again"
            if request.facts.now - statement.at >= timedelta(days=request.facts.tenant.settings.expire_after_days):
                return ReasonCode.EXPIRED, "it was said too long ago; submit again"
        case Action.APPROVE:
            if request.submitted is not None and statement.at < request.submitted.at:
                return ReasonCode.STALE_CHANGE, "it was said before the change was submitted; approve again"
            if any(statement.at <= moment for moment in _withdrawals(request, meeting, account)):
                return ReasonCode.WITHDRAWN, "it was said before that person withdrew; approve again"
        case Action.WITHDRAW:
            standing = _standing(request, account)
            if standing is not None and statement.at < meeting.said_at(standing):
                return ReasonCode.WITHDRAWN, "it was said before the approval that stands"
        case _:
            return None
    return None


def _ends(request: Request, meeting: Meeting) -> Iterator[datetime]:
    """When rounds ended: by a rejection or a cancellation, or the last one by its expiry."""
    yield from (meeting.said_at(e) for e in _events(request) if e.action in (Action.REJECT, Action.CANCEL))
    if request.evaluation.status is Status.EXPIRED and request.evaluation.expires_at is not None:
        yield request.evaluation.expires_at


def _is_older(request: Request, meeting: Meeting, statement: Statement) -> bool:
    """Whether a submit was said before the one that stands."""
    return request.submitted is not None and statement.at < meeting.said_at(request.submitted)


def _withdrawals(request: Request, meeting: Meeting, account: Account) -> Iterator[datetime]:
    """When somebody took back an approval, with their own key or on the forge."""
    for event in _events(request):
        if event.action is Action.WITHDRAW and event.account == account.name:
            yield meeting.said_at(event)


def _not_open(request: Request, meeting: Meeting, statement: Statement, account: Account) -> Refusal | None:
    """Why the act is not this person's."""
    action, is_author = statement.action, meeting.is_author(statement.author)
    if action is Action.SUBMIT:
        if not is_author:
            return ReasonCode.NOT_REQUESTOR, "only the pull request's author submits it"
        return _justification_refusal(meeting.pull_request)
    if action is Action.APPROVE and is_author:
        return ReasonCode.SELF_APPROVAL, f"{account.name} opened this pull request, and nobody approves their own"
    refused = act_refusal(request, action, account) if action is not None else None
    if refused is not None:
        return refused[0], refused[1]
    if action is Action.APPROVE and not _accepts_attested(request, account.name):
        return ReasonCode.NOT_ATTESTED, "the access policies here accept no sign-off on the forge; use: maa approve"
    return None


def _justification_refusal(pull_request: PullRequest | None) -> Refusal | None:
    """Why a pull request gives no business justification."""
    text = business_justification(pull_request) if pull_request is not None else None
    trouble = prose_problem(text) if text is not None else "it is not there, or blank"
    if trouble is None:
        return None
    return "noJustification", f"the pull request's section 'Business justification' is refused: {trouble}"


def _accepts_attested(request: Request, name: str) -> bool:
    """Whether an access policy that this person can approve under accepts sign-off on the forge."""
    tenant = request.facts.tenant
    policies = covering_policies(tenant, request.facts.objects)
    return any(policy.attested and tenant.can_approve(name, policy) for policy in policies)


def _of_another_submit(clone: Clone, request: Request, statement: Statement) -> Refusal | None:
    """Why an approval is not for the submit that stands, with its requestor and business justification.

    When one that was attested was made is known from the forge. The time in one that a person's own key signed is
    that person's claim: then a review must be of a commit that holds the submit, and other words must name it.
    """
    submit = request.submitted
    if statement.action is not Action.APPROVE or submit is None or submit.evidence is not None:
        return None
    line = next(line for line in reversed(request.lines) if line.event == submit)
    if statement.commit is not None:
        if line.raw in (known.raw for known in read(record_at(clone, statement.commit, request.path))):
            return None
        return ReasonCode.STALE_CHANGE, "the reviewed commit does not hold the submit that stands; review again"
    digits = statement.submit or ""
    if len(digits) >= SHORTEST_SUBMIT and _is_beginning(digits, line.digest):
        return None
    return ReasonCode.STALE_CHANGE, "it does not name the submit that stands; paste the line that the comment gives"
