"""One apply run: intent, writes, receipt. It can be killed between any two steps; the next run goes on from there.

What has to be done is told by ``planning``. The intent is on the receipts branch before the first write; the receipt,
the object map and the end of the intent are one commit, moved into place by compare-and-swap.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from maa_gitops import receipt
from maa_gitops.apply.clone import clone_id, only_run, remember
from maa_gitops.apply.context import Context, Deployer, Landed, Report, applied
from maa_gitops.apply.identity import marker
from maa_gitops.apply.planning import Plan, Planned, plan_objects, shown, sorted_results
from maa_gitops.canonical import digest
from maa_gitops.errors import MaaError, NotAllowedError, RemoteError, RepositoryError
from maa_gitops.evaluate import CLOCK_TOLERANCE
from maa_gitops.git import RefUpdate
from maa_gitops.history import first_parents
from maa_gitops.model import Outcome, Role, Target, Tenant, timestamp
from maa_gitops.providers import JUSTIFICATION_ROOM, Approval, NativeApprovalError, Occasion, Provider
from maa_gitops.receipt import (
    BRANCH_PREFIX,
    Applied,
    AppliedObject,
    AppliedOperation,
    Draft,
    Intent,
    ObjectOutcome,
    Receipt,
)

INTENT_HOLDS = timedelta(minutes=15)
"""How long an intent keeps other clones from applying, after it was last renewed."""

_RENEWED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run works with. ``before`` is the receipts branch as it was read."""

    context: Context
    deployer: Deployer
    target: Target
    provider: Provider
    before: Applied
    clone: str
    requests: Mapping[str, Sequence[Landed]]


@dataclass(frozen=True, slots=True)
class _Done:
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


def apply(
    context: Context,
    deployer: Deployer,
    target: Target,
    provider: Provider,
    *,
    rebuild: bool = False,
    requests: Mapping[str, Sequence[Landed]] | None = None,
) -> Report:
    """Bring every object of a target to the state of the good tip, and leave a signed receipt.

    An object that fails does not stop the others: see ``Report.failed``. With nothing to do nothing is written.
    ``rebuild`` starts a new chain of receipts. ``requests`` as in ``plan``.

    Raises:
        NotAllowedError: the tip is not good, or the account is no enabled deployer at it.
        RepositoryError: the receipts do not read, or are older than what this clone has seen.
        RemoteError: the target or the remote failed; another run is under way, or took over (``retry``).
    """
    context.refuse_bad_tip()
    _refuse_other_than_deployer(context.tenant, deployer.account)
    git_dir = context.repository.git_dir
    with only_run(git_dir, target.name):
        before = _chain_to_replace(context, target.name) if rebuild else applied(context, target.name)
        run = _Run(context, deployer, target, provider, before, clone_id(git_dir, deployer.new_id), requests or {})
        _refuse_running(run)
        tree = context.repository.commit(context.history.tip).tree
        found = plan_objects(context, target, provider, before, tree)
        if not rebuild and not _has_work(run, found):
            remember(git_dir, before.newest)
            done = [_Done(planned, error=planned.problem) for planned in found.objects if planned.problem]
            return _report(run, found, done, requests, None)
        hold = _Hold(run, Intent(deployer.new_id(), run.clone, context.now))
        done = _carry_out(run, found, hold)
        made = _finish(run, hold.intent, hold.tip, _Ending(found, done))
        remember(git_dir, made)
        return _report(run, found, done, requests, made)


# --- before the first write ------------------------------------------------------------------------------------------


def _refuse_other_than_deployer(tenant: Tenant, name: str) -> None:
    account = tenant.accounts.get(name)
    if account is not None and account.enabled and Role.DEPLOYER in account.roles:
        return
    deployers = sorted(
        found.name for found in tenant.accounts.values() if found.enabled and Role.DEPLOYER in found.roles
    )
    who = f"{', '.join(deployers)} can" if deployers else "no account has it"
    raise NotAllowedError(
        f"applying needs an enabled account with the role deployer, which {name} is not; {who}",
        hint="ask one of them to run: maa apply" if deployers else "give an account the role deployer",
        code="missingRole",
    )


def _chain_to_replace(context: Context, target: str) -> Applied:
    """The receipts branch without its receipts: only where it is, and whether a run is on."""
    commit = context.repository.ref(context.receipts_ref(target))
    intent = None
    with suppress(RepositoryError):  # whatever cannot be read there is what a rebuild is for
        intent = receipt.read_intent(context.repository, commit)
    return Applied(commit=commit, intent=intent)


def _refuse_running(run: _Run) -> None:
    """Refuse while another clone's run is on; this clone's own is dead, since no process holds its lock."""
    intent = run.before.intent
    if intent is None or intent.clone == run.clone:
        return
    age = run.context.now - intent.at
    if -CLOCK_TOLERANCE <= age < INTENT_HOLDS:
        raise RemoteError(
            f"another clone is applying to {run.target.name} since {timestamp(intent.at)}",
            retry=True,
            hint=f"wait until it has ended, at most until {timestamp(intent.at + INTENT_HOLDS)}",
            code="applyRunning",
        )


def _has_work(run: _Run, found: Plan) -> bool:
    """Whether there is something to write: to the target, or of what was written."""
    newest = run.before.newest
    if newest is None or newest.commit != run.context.history.tip or newest.store != run.provider.store:
        return True
    stuck = {name for planned in found.objects if planned.problem for name in planned.names}
    unsettled = any(planned.problem is None for planned in found.objects)
    return unsettled or run.before.intent is not None or stuck != set(newest.failed)


class _Hold:
    """A run's intent on the receipts branch, from before its first write; a long run renews it as it goes on."""

    def __init__(self, run: _Run, intent: Intent) -> None:
        self._run = run
        self._begun = self._renewed = run.context.clock()
        self.intent = intent
        self.tip = self._put(run.before.commit)

    def renew(self) -> None:
        """Put the intent there anew, if it is some minutes old.

        Raises:
            RemoteError: another run took over (``lostRace``), or the remote failed; nothing more may be written.
        """
        now = self._run.context.clock()
        if now - self._renewed < _RENEWED_AFTER.total_seconds():
            return
        since = timedelta(seconds=int(now - self._begun))
        self.intent = replace(self.intent, at=self._run.context.now + since)
        try:
            self.tip, self._renewed = self._put(self.tip), now
        except RemoteError as error:
            text = f"run {self.intent.run} stops, since its intent cannot be renewed: {error.message}"
            hint = "run again, which finds what was sent: maa apply"
            raise RemoteError(text, retry=True, hint=hint, code=error.code) from error

    def _put(self, tip: str | None) -> str:
        tree = receipt.tree_with_intent(self._run.context.repository, tip, self.intent)
        commit = _commit(self._run, tree, tip, f"Begin to apply to {self._run.target.name}")
        _move(self._run, tip, commit)
        return commit


# --- writing ---------------------------------------------------------------------------------------------------------


def _carry_out(run: _Run, found: Plan, hold: _Hold) -> list[_Done]:
    """Do what is planned, what goes away last; a failure is that object's own."""
    ordered = sorted(found.objects, key=lambda planned: planned.operation is AppliedOperation.DELETE)
    done: list[_Done] = []
    for planned in ordered:
        hold.renew()
        done.append(_carried_out(run, planned))
        run.context.progress(len(done), len(ordered))
    return done


def _carried_out(run: _Run, planned: Planned) -> _Done:
    """Do what is planned; a failure that has nothing to do with an approval leaves that as it was."""
    approval = _approval(run, planned)
    if planned.problem is not None:
        return _Done(planned, error=planned.problem, approval=approval)
    try:
        return _Done(planned, _write(run, planned))
    except NativeApprovalError as error:
        return _Done(planned, error=error.message, approval=error.approval, waits=error.waits)
    except RemoteError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return _Done(planned, error=f"{error.message}{hint}", approval=approval)


def _approval(run: _Run, planned: Planned) -> Approval | None:
    """What the newest receipt says that an object waits for, or was refused, in the target's own approval."""
    newest = run.before.newest
    told = {found.object: found.approval for found in newest.outcomes} if newest is not None else {}
    return told.get(str(planned.governed))


def _write(run: _Run, planned: Planned) -> str | None:
    """Bring one object to its state; returns its remote id, None if it is gone."""
    provider, desired, remote = run.provider.on(_occasion(run, planned)), planned.desired, planned.remote
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


def _occasion(run: _Run, planned: Planned) -> Occasion:
    """What is said where the target asks for an approval of its own: who asked, who approved, what, which commit."""
    landed = sorted({found for name in planned.names for found in run.requests.get(name, ())}, key=lambda one: one.id)
    told = [
        f"request {found.id} by {found.requestor}, approved by {', '.join(found.approvers) or 'nobody'}"
        for found in landed
    ]
    what = f"{planned.operation.value} {planned.governed}"
    words = f"maa {run.context.tenant.settings.tenant}: {what}; {'; '.join(told) or 'put back to what was approved'}"
    commit = f"; commit {run.context.history.tip}"
    return Occasion(words[: JUSTIFICATION_ROOM - len(commit)] + commit, _approval(run, planned))


# --- the receipt -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ending:
    """What a run came to, as its receipt and the object map tell it."""

    plan: Plan
    done: Sequence[_Done]

    @property
    def objects(self) -> dict[str, AppliedObject]:
        """The object map after the run: what failed is as it was before."""
        objects = dict(self.plan.baseline)
        for found in self.done:
            planned = found.planned
            if found.error is not None:
                continue
            for name in planned.names:
                objects.pop(name, None)
            if planned.desired is not None and planned.files is not None and found.remote_id is not None:
                applied_object = AppliedObject(found.remote_id, planned.desired.digest, planned.files)
                objects[str(planned.governed)] = applied_object
        return objects

    @property
    def failed(self) -> tuple[str, ...]:
        """The objects that are not at their state, sorted."""
        return tuple(sorted({name for found in self.done if found.error is not None for name in found.planned.names}))

    @property
    def outcomes(self) -> tuple[ObjectOutcome, ...]:
        """An outcome for every object; both of a move have one."""
        return tuple(outcome for found in self.done for outcome in _outcomes(found))


def _outcomes(found: _Done) -> tuple[ObjectOutcome, ...]:
    planned = found.planned
    outcome = ObjectOutcome(
        object=str(planned.governed),
        operation=planned.operation,
        outcome=found.outcome,
        message=receipt.plain_message(found.error) if found.error is not None else None,
        remote_id=found.remote_id,
        digest=planned.desired.digest if planned.desired is not None and found.error is None else None,
        approval=found.approval,
    )
    if planned.source is None:
        return (outcome,)
    return (outcome, replace(outcome, object=str(planned.source), remote_id=None, digest=None, approval=None))


def _finish(run: _Run, intent: Intent, begun: str, ending: _Ending) -> Receipt:
    """Put receipt and object map in the place of the intent.

    Raises:
        RemoteError: another run took over, or it cannot be told whether the receipt arrived; the next run goes on.
    """
    objects = receipt.objects_file(ending.objects)
    data = receipt.extend(run.before.data, _draft(run, intent, ending, digest(objects)), run.deployer.sign)
    made, fault = receipt.receipt_facts(data, run.context.receipt_context(run.target.name))[-1]
    if made is None or fault is not None:
        raise RepositoryError(
            f"the receipt would not be accepted: {fault}", hint="sign with a key of your account: maa --key FILE apply"
        )
    tree = receipt.tree_of(run.context.repository, data, objects)
    commit = _commit(run, tree, begun, f"Apply {made.commit[:12]} to {run.target.name}")
    try:
        _move(run, begun, commit)
    except RemoteError as error:
        _refuse_unless_arrived(run, intent, commit, error)
    return made


def _draft(run: _Run, intent: Intent, ending: _Ending, state: str) -> Draft:
    return Draft(
        account=run.deployer.account,
        at=run.context.now,
        commit=run.context.history.tip,
        outcomes=ending.outcomes,
        run=intent.run,
        store=run.provider.store,
        target=run.target.name,
        tenant=run.context.tenant.settings.tenant,
        state=state,
        failed=ending.failed,
    )


def _refuse_unless_arrived(run: _Run, intent: Intent, commit: str, error: RemoteError) -> None:
    """Look again after a push that failed: it may have arrived all the same, or another run may have been faster."""
    repository = run.context.repository
    there: str | None = None
    with suppress(MaaError):
        if run.context.has_remote:
            repository.fetch()
        there = repository.ref(run.context.receipts_ref(run.target.name))
    if there is not None and commit in first_parents(repository, there):
        return
    what = error.message
    if error.code == "lostRace":
        other = receipt.read_intent(repository, there)
        who = f"run {other.run} of another clone" if other is not None and other.run != intent.run else "another run"
        what = f"{who} took over in the meantime"
    raise RemoteError(
        f"what run {intent.run} sent to {run.target.name} has no receipt yet: {what}",
        retry=True,
        hint="run again, which finds what was sent: maa apply",
        code=error.code,
    ) from error


def _commit(run: _Run, tree: str, parent: str | None, message: str) -> str:
    return run.context.repository.write_commit(
        tree=tree,
        parents=[parent] if parent is not None else [],
        message=message,
        identity=run.deployer.identity,
        at=run.context.now,
    )


def _move(run: _Run, old: str | None, new: str) -> None:
    """Move the receipts branch by compare-and-swap: the remote's, or without a remote this clone's own."""
    branch = f"{BRANCH_PREFIX}{run.target.name}"
    update = RefUpdate(f"refs/heads/{branch}", old, new)
    if run.context.has_remote:
        run.context.repository.push([update])
    else:
        run.context.repository.update_refs([update], f"maa: {branch}")


def _report(
    run: _Run,
    found: Plan,
    done: Sequence[_Done],
    requests: Mapping[str, Sequence[Landed]] | None,
    made: Receipt | None,
) -> Report:
    results = [shown(each.planned, requests, outcome=each.outcome.value, message=each.error) for each in done]
    return Report(run.target.name, run.context.history.tip, sorted_results(results), found.message, made)
