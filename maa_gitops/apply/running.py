"""One apply run: intent, writes, receipt. It can be killed between any two steps; the next run goes on from there.

What has to be done is told by ``planning``. The intent is on the receipts branch before the first write; the receipt,
the object map and the end of the intent are one commit, moved into place by compare-and-swap.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from maa_gitops import receipt
from maa_gitops.apply.clone import clone_id, only_run, remember
from maa_gitops.apply.context import Context, Deployer, Landed, Report, applied
from maa_gitops.apply.holding import Hold, Run, commit_on, move, refuse_running
from maa_gitops.apply.planning import Plan, plan_objects, shown, sorted_results
from maa_gitops.apply.writing import Done, carry_out
from maa_gitops.canonical import digest
from maa_gitops.errors import MaaError, NotAllowedError, RemoteError, RepositoryError
from maa_gitops.history import first_parents
from maa_gitops.model import Role, Target, Tenant
from maa_gitops.providers import Provider
from maa_gitops.receipt import (
    Applied,
    AppliedObject,
    Draft,
    Intent,
    ObjectOutcome,
    Receipt,
)


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
        run = Run(context, deployer, target, provider, before, clone_id(git_dir, deployer.new_id), requests or {})
        refuse_running(run)
        tree = context.repository.commit(context.history.tip).tree
        found = plan_objects(context, target, provider, before, tree)
        if not rebuild and not _has_work(run, found):
            remember(git_dir, before.newest)
            done = [Done(planned, error=planned.problem) for planned in found.objects if planned.problem]
            return _report(run, found, done, requests, None)
        hold = Hold(run, Intent(deployer.new_id(), run.clone, context.now))
        done = carry_out(run, found, hold)
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


def _has_work(run: Run, found: Plan) -> bool:
    """Whether there is something to write: to the target, or of what was written."""
    newest = run.before.newest
    if newest is None or newest.commit != run.context.history.tip or newest.store != run.provider.store:
        return True
    stuck = {name for planned in found.objects if planned.problem for name in planned.names}
    unsettled = any(planned.problem is None for planned in found.objects)
    return unsettled or run.before.intent is not None or stuck != set(newest.failed)


# --- the receipt -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ending:
    """What a run came to, as its receipt and the object map tell it."""

    plan: Plan
    done: Sequence[Done]

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


def _outcomes(found: Done) -> tuple[ObjectOutcome, ...]:
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


def _finish(run: Run, intent: Intent, begun: str, ending: _Ending) -> Receipt:
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
    commit = commit_on(run, tree, begun, f"Apply {made.commit[:12]} to {run.target.name}")
    try:
        move(run, begun, commit)
    except RemoteError as error:
        _refuse_unless_arrived(run, intent, commit, error)
    return made


def _draft(run: Run, intent: Intent, ending: _Ending, state: str) -> Draft:
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


def _refuse_unless_arrived(run: Run, intent: Intent, commit: str, error: RemoteError) -> None:
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


def _report(
    run: Run,
    found: Plan,
    done: Sequence[Done],
    requests: Mapping[str, Sequence[Landed]] | None,
    made: Receipt | None,
) -> Report:
    results = [shown(each.planned, requests, outcome=each.outcome.value, message=each.error) for each in done]
    return Report(run.target.name, run.context.history.tip, sorted_results(results), found.message, made)
