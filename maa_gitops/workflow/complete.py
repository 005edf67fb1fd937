"""Merge an approved request: exactly what was signed, on top of the tip, with its completion."""

from collections.abc import Callable
from dataclasses import dataclass

from maa_gitops.change import put_in_place
from maa_gitops.errors import NotAllowedError, RemoteError
from maa_gitops.evaluate import completion_reasons
from maa_gitops.history import judge
from maa_gitops.model import Account, Action, ReasonCode, Status
from maa_gitops.workflow.acts import Actor, extended_record
from maa_gitops.workflow.clone import Clone
from maa_gitops.workflow.publish import ATTEMPTS, Move, publish
from maa_gitops.workflow.requests import Request, read_request


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge that stands. ``merged_now`` is False if somebody had merged it before."""

    clone: Clone
    request: Request
    merged_now: bool
    notes: tuple[str, ...] = ()


def merge(reopen: Callable[[], Clone], clone: Clone, request: Request, actor: Actor) -> Merged:
    """Merge a request if it is approved; after a lost race, judge everything again.

    Raises:
        NotAllowedError: it is not approved, or not this account's to complete.
        RemoteError: the remote failed or refused.
    """
    for _ in range(ATTEMPTS):
        if request.facts.merged is not None:
            return Merged(clone, request, merged_now=False)
        refuse_merge(request, actor.account)
        try:
            notes = _merge_once(clone, request, actor)
        except RemoteError as error:
            if error.code != "lostRace":
                raise
            clone = reopen()
            request = read_request(clone, request.id)
            continue
        clone = reopen()
        return Merged(clone, read_request(clone, request.id), merged_now=True, notes=notes)
    raise RemoteError("others were faster every time", retry=True, hint="try again in a moment", code="lostRace")


def refuse_merge(request: Request, account: Account) -> None:
    """Refuse to merge what is not approved, or by whom it is not open to.

    Raises:
        NotAllowedError: with the first reason's code.
    """
    evaluation = request.evaluation
    if evaluation.status is not Status.APPROVED:
        reason = next(iter(evaluation.reasons), None)
        code = reason.code if reason is not None else ReasonCode.NEEDS_APPROVALS
        why = reason.message if reason is not None else evaluation.status.value
        raise NotAllowedError(f"'{request.id}' is not approved: {why}", hint=f"maa show {request.id}", code=code)
    for reason in completion_reasons(request.facts.tenant, account.name, evaluation.requestor):
        raise NotAllowedError(f"'{request.id}': {reason.message}", code=reason.code)


def _merge_once(clone: Clone, request: Request, actor: Actor) -> tuple[str, ...]:
    if request.changes is None or request.head is None:
        raise NotAllowedError(f"'{request.id}' is outdated", hint=f"maa show {request.id}", code=ReasonCode.OUTDATED)
    data = extended_record(clone, request, Action.COMPLETE, actor, None)
    repository = clone.repository
    tree = put_in_place(repository, clone.tree(clone.tip), request.changes, (request.path, data))
    verdict = judge(repository, clone.history.good, tree, clone.now)
    if not verdict.good:
        fault = verdict.faults[0]
        raise NotAllowedError(
            f"merging '{request.id}' would not be good: {fault.message}", hint=f"maa show {request.id}", code=fault.code
        )
    parents = (clone.tip,) if request.head == clone.tip else (clone.tip, request.head)
    commit = repository.write_commit(
        tree=tree, parents=parents, message=f"complete {request.id}", identity=actor.identity, at=clone.now
    )
    moves = [Move(clone.branch, clone.tip, commit)]
    if request.branch is not None:
        moves.append(Move(request.branch, request.head, None))
    return publish(clone, moves, f"maa: complete {request.id}")
