"""Approve, reject, withdraw, cancel: one signed line more in a request's record.

Which act is open to whom is said here in one place, for the commands, the lists and shell completion.
"""

from collections.abc import Callable
from dataclasses import dataclass

from maa_gitops.errors import NotAllowedError, RemoteError
from maa_gitops.evaluate import approver_refusal, covering_policies, event_faults
from maa_gitops.git import Identity
from maa_gitops.history import judge
from maa_gitops.model import VETOES, Account, Action, Evidence, ReasonCode, Status
from maa_gitops.record import Context, Draft, Line, event_facts, extend, good_prefix
from maa_gitops.record import read as read_record
from maa_gitops.tenant import split_record_path
from maa_gitops.workflow.clone import Clone
from maa_gitops.workflow.publish import ATTEMPTS, Move, publish
from maa_gitops.workflow.requests import Request, read_request


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the account, its key, the signature of bytes in a namespace, and the git identity for commits.

    Who signs off on the forge has no key at hand: then key and signature are those of the account ``attested_by``, and
    ``evidence`` is what the forge says of the act.
    """

    account: Account
    key: str
    sign: Callable[[bytes, str], str]
    identity: Identity
    attested_by: str | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """An act that stands. ``final`` is False while a veto is not yet on the protected branch."""

    clone: Clone
    request: Request
    final: bool = True
    notes: tuple[str, ...] = ()


def act(
    reopen: Callable[[], Clone],
    clone: Clone,
    request: Request,
    action: Action,
    actor: Actor,
    notes: str | None = None,
) -> Done:
    """Sign an act on what was shown, and publish it. After a lost race: again, if what was shown still stands.

    Raises:
        NotAllowedError: it is not open to this account or not in this status; ``staleChange``, if the request changed
            while others were faster.
        RemoteError: the remote failed or refused.
    """
    shown = request
    for _ in range(ATTEMPTS):
        refuse_unless_open(request, action, actor.account)
        try:
            return _act_once(clone, request, action, actor, notes)
        except RemoteError as error:
            if error.code != "lostRace":
                raise
        clone = reopen()
        request = read_request(clone, shown.id)
        _refuse_if_changed(shown, request)
    raise RemoteError("others were faster every time", retry=True, hint="try again in a moment", code="lostRace")


def _act_once(clone: Clone, request: Request, action: Action, actor: Actor, notes: str | None) -> Done:
    dropped = dropped_note(clone, request) if action in VETOES else ()
    data = extended_record(clone, request, action, actor, notes)
    message = f"{action.value} {request.id}"
    own = _on_change_branch(clone, request, data, actor, message)
    veto = on_protected_branch(clone, request.path, data, actor.identity, message) if action in VETOES else None
    published, notes_to_person = publish_veto(clone, own, veto, message)
    return Done(clone, request, published or action not in VETOES, (*dropped, *notes_to_person))


def publish_veto(clone: Clone, own: Move, veto: Move | None, message: str) -> tuple[bool, tuple[str, ...]]:
    """Move the change branch, and with it the protected one, on which a veto holds for good.

    If the remote lets not everybody push to the protected branch, the change branch moves alone. Returns whether both
    moved, and what the person should know of their own copies.
    """
    text = f"maa: {message}"
    if veto is None:
        return False, publish(clone, [own], text)
    try:
        return True, publish(clone, [own, veto], text)
    except RemoteError as error:
        if error.code != "refused":
            raise
    return False, publish(clone, [own], text)


def _on_change_branch(clone: Clone, request: Request, data: bytes, actor: Actor, message: str) -> Move:
    if request.branch is None or request.head is None:
        raise NotAllowedError(
            f"the change branch of '{request.id}' is gone",
            hint=f"maa show {request.id}",
            code=ReasonCode.NO_OPEN_REQUEST,
        )
    commit = commit_record(clone, request.head, request.path, data, actor.identity, message)
    return Move(request.branch, request.head, commit)


def on_protected_branch(clone: Clone, path: str, data: bytes, identity: Identity, message: str) -> Move | None:
    """The step that keeps a record on the protected branch for good; None if it would not be good against G."""
    commit = commit_record(clone, clone.tip, path, data, identity, message)
    verdict = judge(clone.repository, clone.history.good, clone.tree(commit), clone.now)
    return Move(clone.branch, clone.tip, commit) if verdict.good else None


def commit_record(clone: Clone, parent: str, path: str, data: bytes, identity: Identity, message: str) -> str:
    """Commit a record on top of a commit, changing nothing else."""
    repository = clone.repository
    tree = repository.replace_paths(clone.tree(parent), {path: ("100644", repository.write_blob(data))})
    return repository.write_commit(tree=tree, parents=(parent,), message=message, identity=identity, at=clone.now)


def extended_record(clone: Clone, request: Request, action: Action, actor: Actor, notes: str | None) -> bytes:
    """Sign the request's record with one more event, and hold the result to what everybody else will hold it to.

    Raises:
        NotAllowedError: ``outOfTime``, this machine's clock is behind the record's; or the record is broken.
    """
    base = request.record if action not in VETOES else sound_beginning(clone, request)
    if not base:
        code, broken, hint = _broken(request)
        raise NotAllowedError(broken, hint=hint, code=code)
    draft = Draft(
        account=actor.account.name,
        action=action,
        at=clone.now,
        base=clone.good,
        request=request.id,
        tenant=clone.tenant.settings.tenant,
        change=request.evaluation.change,
        notes=notes,
        attested_by=actor.attested_by,
        evidence=actor.evidence,
    )
    data = extend(base, draft, actor.sign)
    refuse_bad_record(clone, request.id, request.path, data, landed=action is Action.COMPLETE)
    return data


def refuse_bad_record(clone: Clone, name: str, path: str, data: bytes, *, landed: bool = False) -> None:
    """Judge a record that this tool made before it is pushed."""
    faults = record_faults(clone, name, path, read_record(data), landed=landed)
    if faults[-1] is ReasonCode.OUT_OF_TIME:
        raise NotAllowedError(
            "this machine's clock is behind the newest event of the record",
            hint="set the clock right",
            code="outOfTime",
        )
    if any(faults):
        raise NotAllowedError(
            f"the record of '{name}' is broken", hint=f"maa show {name}", code=ReasonCode.BROKEN_RECORD
        )


def record_faults(
    clone: Clone, name: str, path: str, lines: tuple[Line, ...], *, landed: bool = False
) -> tuple[ReasonCode | None, ...]:
    """What is wrong with each line of a record, as of now."""
    context = Context(clone.tenant.settings.tenant, name, split_record_path(path)[1], clone.history.good.is_base)
    return event_faults(event_facts(lines, context), clone.now, landed=landed)


def sound_beginning(clone: Clone, request: Request) -> bytes:
    """The longest good prefix of a record, from which a veto or a new submit goes on.

    It is never shorter than the record on the protected branch.
    """
    faults = record_faults(clone, request.id, request.path, request.lines)
    prefix = good_prefix(request.lines, faults)
    entry = clone.repository.entry(clone.tree(clone.good), request.path)
    landed = clone.repository.blob(entry.oid) if entry is not None else b""
    return max(prefix, landed, key=len)


def dropped_note(clone: Clone, request: Request) -> tuple[str, ...]:
    """Say how many broken lines an event that goes on from the sound beginning drops; nothing: none."""
    dropped = len(request.lines) - len(read_record(sound_beginning(clone, request)))
    return (f"dropped {dropped} broken lines at the end of the record",) if dropped else ()


# --- what is open to whom --------------------------------------------------------------------------------------------


def refuse_unless_open(request: Request, action: Action, account: Account) -> None:
    """Refuse an act that is not open to this account in this status.

    Raises:
        NotAllowedError: with the reason's code.
    """
    refusal = act_refusal(request, action, account)
    if refusal is not None:
        code, message, hint = refusal
        raise NotAllowedError(message, hint=hint, code=code)


def open_acts(request: Request, account: Account) -> tuple[Action, ...]:
    """The acts on a request that are open to an account now, and would change something."""
    first = () if has_approved(request, account.name) else (Action.APPROVE,)
    acts = (*first, Action.REJECT, Action.WITHDRAW, Action.CANCEL)
    return tuple(action for action in acts if act_refusal(request, action, account) is None)


Refusal = tuple[ReasonCode, str, str | None]


def act_refusal(request: Request, action: Action, account: Account) -> Refusal | None:
    """Why an act is not open to this account in this status, with a hint; None: it is open."""
    found = _status_refusal(request) or _submit_refusal(request)
    if found is not None:
        return found
    match action:
        case Action.APPROVE:
            return _approver_refusal(request, account) or _approval_refusal(request)
        case Action.REJECT:
            return None if _is_contributing_approver(request, account) else _approver_refusal(request, account)
        case Action.WITHDRAW:
            return _approver_refusal(request, account) or _withdrawal_refusal(request, account)
        case Action.CANCEL:
            return _cancel_refusal(request, account)
        case _:
            return None


def _status_refusal(request: Request) -> Refusal | None:
    name, hint = request.id, f"maa show {request.id}"
    if request.facts.merged is not None:
        return ReasonCode.ALREADY_MERGED, f"'{name}' is merged already", f"maa revert {name}"
    match request.evaluation.status:
        case Status.REJECTED:
            return ReasonCode.REJECTED, f"'{name}' was rejected; only a new submit opens it again", hint
        case Status.CANCELLED:
            return ReasonCode.CANCELLED, f"'{name}' was cancelled; only a new submit opens it again", hint
        case Status.EXPIRED:
            return ReasonCode.EXPIRED, f"'{name}' has expired; it must be submitted again", hint
        case _:
            return None


def _submit_refusal(request: Request) -> Refusal | None:
    if request.submitted is None or request.branch is None:
        return ReasonCode.NOT_SUBMITTED, f"'{request.id}' has not been submitted", "maa submit -m TEXT, on its branch"
    return None


def _approver_refusal(request: Request, account: Account) -> Refusal | None:
    """Why this account is no approver of the request."""
    submit = request.submitted
    if submit is None:
        return None
    policies = covering_policies(request.facts.tenant, request.facts.objects)
    code = approver_refusal(request.facts.tenant, policies, account.name, submit)
    if code is None:
        return None
    others = sorted({name for verdict in request.evaluation.policies for name in verdict.can_approve})
    hint = f"who can: {', '.join(others)}" if others else "nobody can approve it; see: maa show " + request.id
    return code, _REFUSED[code].format(account.name), hint


def _is_contributing_approver(request: Request, account: Account) -> bool:
    """Whether only having contributed keeps this account from deciding.

    It may still reject: anybody can name anybody in a commit, and nobody shall lose a veto by that.
    """
    submit, tenant = request.submitted, request.facts.tenant
    if submit is None or not account.is_enabled_person or account.name == submit.account:
        return False
    policies = covering_policies(tenant, request.facts.objects)
    return any(tenant.can_approve(account.name, policy) for policy in policies)


_REFUSED = {
    ReasonCode.SELF_APPROVAL: "{} submitted this request, and nobody decides on their own request",
    ReasonCode.CONTRIBUTOR: "{} contributed to this change, and nobody decides on their own work",
    ReasonCode.NOT_APPROVER: "{} is in no approver group of the access policies that cover this change",
    ReasonCode.ACCOUNT_DISABLED: "account {} is disabled",
    ReasonCode.SERVICE_ACCOUNT: "{} is a service account; only people decide",
}


def _approval_refusal(request: Request) -> Refusal | None:
    """Why an approval would not help: something that approvals cannot cure."""
    obstacle = next(iter(request.evaluation.obstacles), None)
    if obstacle is None:
        return None
    if obstacle.code is ReasonCode.BROKEN_RECORD:
        return _broken(request)
    return obstacle.code, f"'{request.id}' cannot be approved: {obstacle.message}", f"maa show {request.id}"


def _broken(request: Request) -> Refusal:
    """Why nothing can follow on a record; a clock that is wrong, here or there, is told apart."""
    name, hint = request.id, f"maa show {request.id}"
    if any(verdict.code is ReasonCode.OUT_OF_TIME for verdict in request.evaluation.events):
        text = f"the record of '{name}' holds a time that does not fit this machine's clock"
        return ReasonCode.OUT_OF_TIME, text, f"set the clock right, if it is this one that is wrong; {hint}"
    return ReasonCode.BROKEN_RECORD, f"the record of '{name}' is broken", hint


def _withdrawal_refusal(request: Request, account: Account) -> Refusal | None:
    approved = any(
        verdict.account == account.name
        and verdict.counts
        and line.event is not None
        and line.event.action is Action.APPROVE
        for verdict, line in zip(request.evaluation.events, request.lines, strict=True)
    )
    if approved:
        return None
    return ReasonCode.NOT_APPROVER, f"{account.name} has no approval on '{request.id}' to withdraw", None


def has_approved(request: Request, name: str) -> bool:
    """Whether an approval of this account stands."""
    return any(name in verdict.approved_by for verdict in request.evaluation.policies)


def _cancel_refusal(request: Request, account: Account) -> Refusal | None:
    submit = request.submitted
    if submit is None or submit.account != account.name:
        who = submit.account if submit is not None else "nobody"
        return ReasonCode.NOT_REQUESTOR, f"only the requestor, {who}, can cancel this request", None
    if request.evaluation.status is not Status.NEEDS_APPROVAL:
        hint = f"an approver can withdraw: maa withdraw {request.id}; or submit again, which voids every approval"
        return ReasonCode.AWAITING_COMPLETION, f"'{request.id}' is approved already", hint
    return None


def _refuse_if_changed(shown: Request, now: Request) -> None:
    """After a lost race: sign only what was shown."""
    before, after = shown.submitted, now.submitted
    same = (
        before is not None
        and after is not None
        and (before.account, before.justification, before.changes)
        == (after.account, after.justification, after.changes)
        and shown.evaluation.change == now.evaluation.change
        and _vetoes(shown) == _vetoes(now)
    )
    if not same:
        raise NotAllowedError(
            f"'{shown.id}' changed while you were deciding",
            hint=f"look again: maa show {shown.id}",
            code=ReasonCode.STALE_CHANGE,
        )


def _vetoes(request: Request) -> list[bytes]:
    return [line.raw for line in request.lines if line.event is not None and line.event.action in VETOES]
