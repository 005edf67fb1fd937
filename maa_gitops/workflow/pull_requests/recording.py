"""Recording what people said on the forge: statements to signed events of a request's record, with one push.

The attestor's key signs that the forge says so; whose act it is follows from the number of the forge's account. What
counts in the end is judged in ``evaluate``, as for every event.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from maa_gitops.errors import NotAllowedError, RemoteError
from maa_gitops.evaluate import covering_policies
from maa_gitops.forges import PullRequest, User
from maa_gitops.model import (
    JUSTIFICATION_LIMIT,
    VETOES,
    Account,
    AccountKind,
    Action,
    Evidence,
    ReasonCode,
    Role,
    Tenant,
)
from maa_gitops.record import is_evidence, prose_problem
from maa_gitops.workflow.acts import (
    ATTEMPTS,
    Actor,
    act_refusal,
    commit_record,
    extended_record,
    on_protected_branch,
    publish_veto,
)
from maa_gitops.workflow.clone import Clone
from maa_gitops.workflow.publish import Move
from maa_gitops.workflow.pull_requests.statements import Statement, business_justification
from maa_gitops.workflow.requests import Request, branches_by_id, change_at, read_request, read_request_at
from maa_gitops.workflow.submit import is_open_round, prospect, refuse_submit, submitted_record


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
class Recorded:
    """What recording came to. ``final`` is False while a veto is not on the protected branch."""

    clone: Clone
    request: Request
    heard: tuple[Heard, ...]
    final: bool = True

    @property
    def changed(self) -> bool:
        """Whether anything was recorded."""
        return any(heard.outcome is Outcome.RECORDED for heard in self.heard)


Refusal = tuple[str, str]
"""Why nothing is recorded: a code and a sentence."""


def told(request: Request, heard: Sequence[Heard]) -> tuple[Heard, ...]:
    """The refusals that somebody still wants to know of: those of this round, or of a change not submitted yet."""
    since = request.submitted.at if request.submitted is not None else None
    return tuple(
        found for found in heard if found.outcome is Outcome.REFUSED and (since is None or found.statement.at >= since)
    )


def record(
    reopen: Callable[[], Clone],
    clone: Clone,
    name: str,
    pull_request: PullRequest | None,
    spoken: Sequence[Statement],
    attestor: Actor,
    may_write: Callable[[User], bool],
) -> Recorded:
    """Sign what was said on a request and is not recorded yet, and push it; after a lost race, judge all of it again.

    ``may_write`` tells whether a person may push to the repository today. Recording twice is harmless.

    Raises:
        NotAllowedError: there is no such request, or the caller is no attestor.
        RemoteError: the remote failed or refused.
    """
    for _ in range(ATTEMPTS):
        try:
            return _record_once(reopen, clone, _Meeting(name, pull_request, tuple(spoken)), attestor, may_write)
        except RemoteError as error:
            if error.code != "lostRace":
                raise
        clone = reopen()
    raise RemoteError("others were faster every time", retry=True, hint="try again in a moment", code="lostRace")


def refuse_other_than_attestor(account: Account) -> None:
    """Refuse to sign for others with a key that is no attestor's.

    Raises:
        NotAllowedError: ``missingRole``.
    """
    if account.kind is not AccountKind.SERVICE or not account.enabled or Role.ATTESTOR not in account.roles:
        raise NotAllowedError(
            f"{account.name} is no attestor: only an enabled service account with that role signs for others",
            hint="maa init --github, on a change branch, adds one",
            code=ReasonCode.MISSING_ROLE,
        )


@dataclass(frozen=True, slots=True)
class _Meeting:
    """A request, its pull request and what was said on it."""

    name: str
    pull_request: PullRequest | None
    spoken: tuple[Statement, ...]


def _record_once(
    reopen: Callable[[], Clone],
    clone: Clone,
    meeting: _Meeting,
    attestor: Actor,
    may_write: Callable[[User], bool],
) -> Recorded:
    refuse_other_than_attestor(attestor.account)
    request = read_request(clone, meeting.name)
    branch, head = request.branch, request.head
    heard: list[Heard] = []
    for statement in meeting.spoken:
        found, request = _hear(clone, request, meeting, statement, attestor, may_write)
        heard.append(found)
    if branch is None or head is None or request.head is None or request.head == head:
        return Recorded(clone, request, tuple(heard))
    recorded = [found.statement.action for found in heard if found.outcome is Outcome.RECORDED]
    message = f"{', '.join(dict.fromkeys(action.value for action in recorded if action))} {request.id}"
    vetoes = any(action in VETOES for action in recorded)
    veto = on_protected_branch(clone, request.path, request.record, attestor.identity, message) if vetoes else None
    published, _ = publish_veto(clone, Move(branch, head, request.head), veto, message)
    clone = reopen()
    return Recorded(clone, read_request(clone, meeting.name), tuple(heard), published or not vetoes)


def listen(
    clone: Clone,
    request: Request,
    pull_request: PullRequest | None,
    spoken: Sequence[Statement],
    may_write: Callable[[User], bool],
) -> tuple[Heard, ...]:
    """Tell what would become of what was said, without a key: what is known, what is refused, what waits."""
    meeting = _Meeting(request.id, pull_request, tuple(spoken))
    return tuple(_weigh(clone, request, meeting, statement, may_write) for statement in spoken)


def _weigh(
    clone: Clone, request: Request, meeting: _Meeting, statement: Statement, may_write: Callable[[User], bool]
) -> Heard:
    account = _account_of(clone.tenant, statement.author)
    name = account.name if account is not None else None
    if _is_known(request, statement, account):
        return Heard(statement, Outcome.KNOWN, name)
    found = _refusal(clone, request, meeting, statement, account)
    if found is None and statement.author is not None and not may_write(statement.author):
        found = "noPermission", f"{statement.author.login} may not write to the repository"
    if found is not None:
        return Heard(statement, Outcome.REFUSED, name, *found)
    return Heard(statement, Outcome.WAITING, name)


def _hear(
    clone: Clone,
    request: Request,
    meeting: _Meeting,
    statement: Statement,
    attestor: Actor,
    may_write: Callable[[User], bool],
) -> tuple[Heard, Request]:
    """Judge one statement; if it is to be recorded, returns the request with one event more, not yet pushed."""
    heard = _weigh(clone, request, meeting, statement, may_write)
    if heard.outcome is not Outcome.WAITING or heard.account is None or statement.author is None:
        return heard, request
    evidence = Evidence(
        "github",
        statement.author.id,
        statement.author.login,
        statement.url,
        statement.commit or request.head or clone.good,
    )
    if not is_evidence(evidence):
        return replace(heard, outcome=Outcome.REFUSED, code="malformed", message=_NO_EVIDENCE), request
    account = clone.tenant.accounts[heard.account]
    actor = replace(attestor, account=account, attested_by=attestor.account.name, evidence=evidence)
    try:
        changed = _signed(clone, request, meeting, statement, actor)
    except NotAllowedError as error:
        return replace(heard, outcome=Outcome.REFUSED, code=str(error.code or ""), message=error.message), request
    return replace(heard, outcome=Outcome.KNOWN if changed is request else Outcome.RECORDED), changed


_NO_EVIDENCE = "what GitHub says of it cannot stand in a record"


def _signed(clone: Clone, request: Request, meeting: _Meeting, statement: Statement, actor: Actor) -> Request:
    """The request with one more event on a commit that nobody else has seen yet.

    Raises:
        NotAllowedError: the act is not open to this account, or not in this status.
    """
    if request.head is None or statement.action is None:
        return request
    if statement.action is Action.SUBMIT:
        justification = business_justification(meeting.pull_request) if meeting.pull_request is not None else None
        if justification is None:
            return request
        refuse_submit(clone, request, prospect(clone, request, actor, justification))
        if is_open_round(request, actor):
            return request
        data = submitted_record(clone, request, actor, justification)
    else:
        data = extended_record(clone, request, statement.action, actor, _notes(statement))
    message = f"{statement.action.value} {request.id}"
    commit = commit_record(clone, request.head, request.path, data, actor.identity, message)
    rivals = [branch for branch in branches_by_id(clone).get(request.id, []) if branch != request.branch]
    return read_request_at(clone, request.id, request.branch, commit, rivals=rivals)


def _notes(statement: Statement) -> str | None:
    """What somebody said with a decision, cut and mended to what a record can hold: no veto is lost over its words."""
    if statement.notes is None or not statement.notes.strip():
        return f"No reason given: {statement.url}" if statement.action is Action.REJECT else None
    text = "".join(
        c if c == "\n" or prose_problem(f"-{c}") is None else "\N{REPLACEMENT CHARACTER}" for c in statement.notes
    )
    return text if len(text) <= JUSTIFICATION_LIMIT else f"{text[: JUSTIFICATION_LIMIT - 1]}…"


def _justification_refusal(pull_request: PullRequest | None) -> Refusal | None:
    """Why a pull request gives no business justification."""
    text = business_justification(pull_request) if pull_request is not None else None
    trouble = prose_problem(text) if text is not None else "it is not there, or blank"
    if trouble is None:
        return None
    return "noJustification", f"the pull request's section 'Business justification' is refused: {trouble}"


# --- what is not recorded, and why -----------------------------------------------------------------------------------


def _account_of(tenant: Tenant, author: User | None) -> Account | None:
    """The account with the number of a forge's account; a login decides nothing."""
    if author is None:
        return None
    return next((a for a in tenant.accounts.values() if a.github is not None and a.github.id == author.id), None)


def _is_known(request: Request, statement: Statement, account: Account | None) -> bool:
    """Whether the record says it already, or there is nothing that a dismissal could take back."""
    if statement.of:
        return statement.fault is not None or not _stands(request, account, statement.of)
    return any(
        line.event is not None
        and line.event.evidence is not None
        and line.event.evidence.url == statement.url
        and line.event.action is statement.action
        for line in request.lines
    )


def _stands(request: Request, account: Account | None, urls: frozenset[str]) -> bool:
    """Whether an approval that one of these reviews gave stands."""
    return account is not None and any(
        verdict.counts
        and verdict.account == account.name
        and line.event is not None
        and line.event.action is Action.APPROVE
        and line.event.evidence is not None
        and line.event.evidence.url in urls
        for verdict, line in zip(request.evaluation.events, request.lines, strict=True)
    )


def _refusal(
    clone: Clone, request: Request, meeting: _Meeting, statement: Statement, account: Account | None
) -> Refusal | None:
    """Why a statement is not recorded, as far as the forge's permissions do not matter."""
    author = statement.author
    if statement.fault is not None:
        return statement.fault
    if author is None:
        return "noAccount", "its author's account on GitHub is gone"
    if not author.is_person:
        return "bot", f"{author.login} is no person"
    if account is None:
        return "noAccount", f"no account of the tenant has GitHub's number {author.id} ({author.login})"
    if statement.action is None:
        return "malformed", "it says nothing about a protected change"
    return _stale(clone, request, meeting, statement) or _not_open(request, meeting, statement, account)


def _stale(clone: Clone, request: Request, meeting: _Meeting, statement: Statement) -> Refusal | None:
    """Why a statement is about another change than the one that stands, or about an earlier round."""
    action = statement.action
    now = change_at(clone, request.head) if request.head is not None else None
    submitted = request.evaluation.change
    wanted = {now} if action in (Action.SUBMIT, Action.APPROVE) else {now, submitted}
    if statement.of:
        seen: str | None = submitted if submitted == now else None
    elif statement.commit is not None:
        seen = change_at(clone, statement.commit)
    else:
        seen = next((change for change in wanted if change and _is_beginning(statement.digest, change)), None)
    if seen is None or seen not in wanted:
        is_now = f"which is now {now}" if now is not None else "which cannot be told"
        return ReasonCode.STALE_CHANGE, f"it is for another change than this one, {is_now}"
    if action is Action.APPROVE:
        return _too_early(request, meeting, statement)
    return None


def _is_beginning(digits: str | None, change: str) -> bool:
    """Whether somebody meant this change by the digits that they wrote."""
    return digits is not None and change.removeprefix("sha256:").startswith(digits)


def _too_early(request: Request, meeting: _Meeting, statement: Statement) -> Refusal | None:
    """Nobody approves what has not been submitted, and nobody's approval comes back once they took it back."""
    submitted_at = _submitted_at(request, meeting)
    if submitted_at is not None and statement.at < submitted_at:
        return ReasonCode.STALE_CHANGE, "it was said before the change was submitted; approve again"
    if any(statement.at <= moment for moment in _withdrawals(request, statement.author)):
        return ReasonCode.WITHDRAWN, "it was said before that person withdrew; approve again"
    return None


def _submitted_at(request: Request, meeting: _Meeting) -> datetime | None:
    """When the round's submit was made; of one that was made on the forge, when it was said."""
    submit = request.submitted
    if submit is None:
        return None
    url = submit.evidence.url if submit.evidence is not None else None
    said = [statement.at for statement in meeting.spoken if statement.url == url]
    return min([submit.at, *said])


def _withdrawals(request: Request, author: User | None) -> Iterator[datetime]:
    """When somebody took back an approval in this round, with their own key or on the forge."""
    account = _account_of(request.facts.tenant, author)
    for line in request.lines:
        event = line.event
        if event is None or account is None:
            continue
        if event.action is Action.WITHDRAW and event.account == account.name:
            yield event.at


def _not_open(request: Request, meeting: _Meeting, statement: Statement, account: Account) -> Refusal | None:
    """Why the act is not this person's."""
    action, pull_request = statement.action, meeting.pull_request
    is_author = (
        pull_request is not None
        and pull_request.author is not None
        and statement.author is not None
        and pull_request.author.id == statement.author.id
    )
    if action is Action.SUBMIT and not is_author:
        return ReasonCode.NOT_REQUESTOR, "only the pull request's author submits it"
    if action is Action.SUBMIT:
        return _justification_refusal(pull_request)
    if action is Action.APPROVE and is_author:
        return ReasonCode.SELF_APPROVAL, f"{account.name} opened this pull request, and nobody approves their own"
    refused = act_refusal(request, action, account) if action is not None else None
    if refused is not None:
        return refused[0], refused[1]
    if action is Action.APPROVE and not _accepts_attested(request, account.name):
        return ReasonCode.NOT_ATTESTED, "the access policies here accept no sign-off on the forge; use: maa approve"
    return None


def _accepts_attested(request: Request, name: str) -> bool:
    """Whether an access policy that this person can approve under accepts sign-off on the forge."""
    tenant = request.facts.tenant
    policies = covering_policies(tenant, request.facts.objects)
    return any(policy.attested and tenant.can_approve(name, policy) for policy in policies)
