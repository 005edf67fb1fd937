"""Recording what people said on the forge: statements to signed events of a request's record, with one push.

The attestor's key signs that the forge says so; whose act it is follows from the number of the forge's account. What
counts in the end is judged in ``evaluate``, as for every event.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from maa_gitops.errors import NotAllowedError
from maa_gitops.model import JUSTIFICATION_LIMIT, VETOES, Account, AccountKind, Action, Evidence, ReasonCode, Role
from maa_gitops.record import is_evidence, prose_problem
from maa_gitops.workflow.acts import (
    Actor,
    commit_record,
    extended_record,
    on_protected_branch,
    publish_veto,
)
from maa_gitops.workflow.clone import Clone
from maa_gitops.workflow.publish import Move, after_lost_races
from maa_gitops.workflow.pull_requests.statements import Statement, business_justification
from maa_gitops.workflow.pull_requests.weighing import Heard, Meeting, Outcome, weigh
from maa_gitops.workflow.requests import Request, read_branch
from maa_gitops.workflow.submit import is_open_round, prospect, refuse_submit, submitted_record


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording came to. ``final`` is False while a veto is not on the protected branch."""

    clone: Clone
    request: Request
    heard: tuple[Heard, ...]
    final: bool = True


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


def record(reopen: Callable[[], Clone], clone: Clone, branch: str, meeting: Meeting, attestor: Actor) -> Recorded:
    """Sign what was said on the request of a change branch and is not recorded yet, and push it.

    After a lost race all of it is judged again; recording twice is harmless.

    Raises:
        NotAllowedError: there is no such request, or the caller is no attestor.
        RemoteError: the remote failed or refused.
    """
    refuse_other_than_attestor(attestor.account)
    return after_lost_races(reopen, clone, lambda now: _record_once(reopen, now, branch, meeting, attestor))


def _record_once(reopen: Callable[[], Clone], clone: Clone, branch: str, meeting: Meeting, attestor: Actor) -> Recorded:
    request = read_branch(clone, branch)
    head = request.head
    heard: list[Heard] = []
    for statement in meeting.spoken:
        found, request = _hear(clone, request, meeting, statement, attestor)
        heard.append(found)
    if head is None or request.head is None or request.head == head:
        return Recorded(clone, request, tuple(heard))
    recorded = [found.statement.action for found in heard if found.outcome is Outcome.RECORDED]
    message = f"{', '.join(dict.fromkeys(action.value for action in recorded if action))} {request.id}"
    vetoes = any(action in VETOES for action in recorded)
    veto = on_protected_branch(clone, request.path, request.record, attestor.identity, message) if vetoes else None
    published, _ = publish_veto(clone, Move(branch, head, request.head), veto, message)
    clone = reopen()
    return Recorded(clone, read_branch(clone, branch), tuple(heard), published or not vetoes)


def _hear(
    clone: Clone, request: Request, meeting: Meeting, statement: Statement, attestor: Actor
) -> tuple[Heard, Request]:
    """Weigh one statement; if it is to be recorded, returns the request with one event more, not yet pushed."""
    heard = weigh(clone, request, meeting, statement)
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
        message = "what GitHub says of it cannot stand in a record"
        return replace(heard, outcome=Outcome.REFUSED, code="malformed", message=message), request
    account = clone.tenant.accounts[heard.account]
    actor = replace(attestor, account=account, attested_by=attestor.account.name, evidence=evidence)
    try:
        changed = _signed(clone, request, meeting, statement, actor)
    except NotAllowedError as error:
        return replace(heard, outcome=Outcome.REFUSED, code=str(error.code or ""), message=error.message), request
    return replace(heard, outcome=Outcome.KNOWN if changed is request else Outcome.RECORDED), changed


def _signed(clone: Clone, request: Request, meeting: Meeting, statement: Statement, actor: Actor) -> Request:
    """The request with one more event on a commit that nobody else has seen yet; the same one: nothing is to be done.

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
    return read_branch(clone, request.branch, commit) if request.branch is not None else request


def _notes(statement: Statement) -> str | None:
    """What somebody said with a decision, cut and mended to what a record can hold: no veto is lost over its words."""
    if statement.notes is None or not statement.notes.strip():
        return f"No reason given: {statement.url}" if statement.action is Action.REJECT else None
    text = "".join(
        c if c == "\n" or prose_problem(f"-{c}") is None else "\N{REPLACEMENT CHARACTER}" for c in statement.notes
    )
    return text if len(text) <= JUSTIFICATION_LIMIT else f"{text[: JUSTIFICATION_LIMIT - 1]}…"
