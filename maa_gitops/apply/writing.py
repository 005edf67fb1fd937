"""Writing what is planned to a target, object by object; a failure is that object's own."""

from dataclasses import dataclass

from maa_gitops.apply.holding import Hold, Run
from maa_gitops.apply.identity import marker
from maa_gitops.apply.planning import Plan, Planned
from maa_gitops.errors import RemoteError
from maa_gitops.model import Outcome
from maa_gitops.providers import JUSTIFICATION_ROOM, Approval, NativeApprovalError, Occasion
from maa_gitops.receipt import AppliedOperation


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one planned object. ``remote_id`` is where it is now; None: it is gone, or nobody knows.

    With an ``error`` it is not at its state, because of the target's own ``approval`` if there is one; it ``waits``
    if that may still be given.
    """

    planned: Planned
    remote_id: str | None = None
    error: str | None = None
    approval: Approval | None = None
    waits: bool = False

    @property
    def outcome(self) -> Outcome:
        """Its outcome, as a receipt has it."""
        if self.waits:
            return Outcome.AWAITING_NATIVE_APPROVAL
        return Outcome.APPLIED if self.error is None else Outcome.FAILED


def carry_out(run: Run, found: Plan, hold: Hold) -> list[Done]:
    """Do what is planned, what goes away last; a failure is that object's own."""
    ordered = sorted(found.objects, key=lambda planned: planned.operation is AppliedOperation.DELETE)
    newest = run.before.newest
    waiting = {told.object: told.approval for told in newest.outcomes} if newest is not None else {}
    done: list[Done] = []
    for planned in ordered:
        hold.renew()
        done.append(_carried_out(run, planned, waiting.get(str(planned.governed))))
        run.context.progress(len(done), len(ordered))
    return done


def _carried_out(run: Run, planned: Planned, approval: Approval | None) -> Done:
    """Do what is planned; ``approval`` is what it waited for, or was refused, in the target's own approval.

    A failure that has nothing to do with that leaves it as it was.
    """
    if planned.problem is not None:
        return Done(planned, error=planned.problem, approval=approval)
    try:
        return Done(planned, _write(run, planned, approval))
    except NativeApprovalError as error:
        return Done(planned, error=error.message, approval=error.approval, waits=error.waits)
    except RemoteError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return Done(planned, error=f"{error.message}{hint}", approval=approval)


def _write(run: Run, planned: Planned, approval: Approval | None) -> str | None:
    """Bring one object to its state; returns its remote id, None if it is gone."""
    provider = run.provider.on(Occasion(_justification(run, planned), approval))
    desired, remote = planned.desired, planned.remote
    mark = marker(run.context.tenant.settings.tenant, str(planned.governed))
    if desired is None:
        if remote is not None:
            provider.delete(remote.remote_id)
        return None
    if remote is None:
        half_made = provider.find(mark)
        if half_made is None:
            return provider.create(desired, mark)
        provider.update(half_made, desired, mark)
        return half_made
    match planned.operation:
        case AppliedOperation.EDIT | AppliedOperation.MOVE:
            provider.update(remote.remote_id, desired, mark)
        case AppliedOperation.ASSIGN:
            provider.assign(remote.remote_id, desired.whole.assignments)
        case _:
            pass
    return remote.remote_id


def _justification(run: Run, planned: Planned) -> str:
    """What is said where the target asks for an approval of its own: who asked, who approved, what, which commit."""
    landed = sorted({found for name in planned.names for found in run.requests.get(name, ())}, key=lambda one: one.id)
    told = [
        f"request {found.id} by {found.requestor}, approved by {', '.join(found.approvers) or 'nobody'}"
        for found in landed
    ]
    what = f"{planned.operation.value} {planned.governed}"
    words = f"maa {run.context.tenant.settings.tenant}: {what}; {'; '.join(told) or 'put back to what was approved'}"
    commit = f"; commit {run.context.history.tip}"
    return words[: JUSTIFICATION_ROOM - len(commit)] + commit
