"""What plan, apply and drift start from and what they give back; reading a target's receipts against good history."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from maa_gitops import receipt
from maa_gitops.apply.clone import refuse_rollback
from maa_gitops.errors import MaaError, NotAllowedError, RemoteError, RepositoryError
from maa_gitops.git import Identity, Repository
from maa_gitops.history import History, chain
from maa_gitops.model import ObjectId, Outcome, TargetOutcome, Tenant
from maa_gitops.providers import Reach, takes
from maa_gitops.receipt import BRANCH_PREFIX, Applied, AppliedOperation, Receipt
from maa_gitops.tenant import load_tenant
from maa_gitops.tenant.paths import RESOURCES, SETTINGS


@dataclass(frozen=True)
class Context:
    """A clone as one command sees it.

    ``trusted_start`` is the oldest commit that a receipt may name, wherever the walk of ``history`` began. ``now`` is
    read once. ``progress`` is told how many objects are done, and of how many; ``clock`` counts the seconds of a run.
    """

    repository: Repository
    history: History
    trusted_start: str
    has_remote: bool
    now: datetime
    progress: Callable[[int, int], None] = lambda _done, _all: None
    clock: Callable[[], float] = time.monotonic

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The good commits of the protected branch, each with its place on the first-parent chain."""
        commits = (self.trusted_start, *chain(self.repository, self.trusted_start, self.history.good.commit))
        return {commit: place for place, commit in enumerate(commits) if commit not in self.history.bad}

    @property
    def tenant(self) -> Tenant:
        """The rules at the last good commit."""
        return self.history.good.tenant

    def shared_ref(self, branch: str) -> str:
        """Where this clone reads a shared branch from: the remote's copy, or its own branch if there is no remote."""
        return f"refs/{'remotes/origin' if self.has_remote else 'heads'}/{branch}"

    def receipts_ref(self, target: str) -> str:
        """Where this clone reads a target's receipts from."""
        return self.shared_ref(f"{BRANCH_PREFIX}{target}")

    def receipt_context(self, target: str) -> receipt.Context:
        """What the receipts of a target are held to."""
        return receipt.Context(
            self.tenant.settings.tenant,
            target,
            self.places.get,
            lambda commit: load_tenant(self.repository, commit),
        )

    def refuse_bad_tip(self) -> None:
        """Refuse to go on from a tip that is not good.

        Raises:
            NotAllowedError: with the first violation that nothing has healed.
        """
        if self.history.tip_is_good:
            return
        found = next((violation for violation in self.history.violations if violation.healed_by is None), None)
        why = f": {found.message} ({found.commit[:12]})" if found is not None else ""
        raise NotAllowedError(
            f"the tip of the protected branch, {self.history.tip[:12]}, is not good{why}",
            hint="maa verify",
            code=found.code.value if found is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Deployer:
    """Who applies: the account, how it signs bytes in a namespace, the git identity for the commits that carry it.

    ``new_id`` makes the random ids of runs and of the clone.
    """

    account: str
    sign: Callable[[bytes, str], str]
    identity: Identity
    new_id: Callable[[], str] = lambda: secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Landed:
    """A merged request: its id, the accounts of who asked and of those who approved."""

    id: str
    requestor: str
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """One object of a plan, a run or a drift report.

    ``requests`` are the ids of the merged requests that led there. ``outcome`` is None in a plan; applied, failed or
    awaitingNativeApproval after a run; a drift report has changed, missing or foreign, and the operation that somebody
    did around the gate. ``text`` is the difference, readable, from what is there to what is to be; of drift, to what
    is there. ``reach`` tells how many are in what it is assigned to, or was.
    """

    object: str
    operation: AppliedOperation
    requests: tuple[str, ...] = ()
    outcome: str | None = None
    message: str | None = None
    text: str = ""
    reach: tuple[Reach, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a plan, a run or a drift report came to; ``commit`` is that of the state compared with, if any.

    ``objects`` are sorted and hold only those of which there is something to say; ``message`` is about the whole.
    ``receipt`` is the one that a run made; None: there was nothing to write. ``not_compared`` tells how much is there
    besides that nobody looked at.
    """

    target: str
    commit: str | None
    objects: tuple[ObjectResult, ...]
    message: str | None = None
    receipt: Receipt | None = None
    not_compared: str | None = None

    @property
    def failed(self) -> tuple[ObjectResult, ...]:
        """The objects that a run could not bring to their state, or a plan knows that it could not."""
        return tuple(
            found for found in self.objects if found.outcome in (Outcome.FAILED, Outcome.AWAITING_NATIVE_APPROVAL)
        )


def applied(context: Context, target: str) -> Applied:
    """Read what a target has received, every receipt verified, nothing older than what this clone has seen.

    Raises:
        RepositoryError: ``receiptsUnreadable``, or ``receiptsRolledBack``.
        RemoteError: they may be newer than the tip that this context was opened at (``retry``).
    """
    commit = context.repository.ref(context.receipts_ref(target))
    try:
        found = receipt.read(context.repository, commit, context.receipt_context(target))
    except RepositoryError as error:
        if context.repository.ref(context.shared_ref(context.tenant.settings.protected_branch)) == context.history.tip:
            raise
        raise RemoteError(
            "the protected branch moved on in the meantime", retry=True, hint="run the command again", code="lostRace"
        ) from error
    refuse_rollback(context.repository.git_dir, target, found.receipts)
    return found


def is_behind(context: Context, target: str) -> bool:
    """Whether a target may lack something that was approved, as far as its receipts tell: nothing is asked of it.

    It is not, if its newest receipt is of the same resources and settings and tells of no failure.
    """
    try:
        newest = applied(context, target).newest
    except MaaError:
        return True  # apply itself says what is wrong
    if newest is None or newest.failed:
        return True
    repository = context.repository
    now, then = (repository.commit(commit).tree for commit in (context.history.good.commit, newest.commit))
    return any(repository.entry(now, path) != repository.entry(then, path) for path in (RESOURCES, SETTINGS))


def outcome_reader(context: Context) -> Callable[[str, tuple[ObjectId, ...]], tuple[TargetOutcome, ...]]:
    """Give the function that tells how a merged request stands: (merge commit, its objects) to outcomes.

    Receipts are read once, when they are first asked for; where they do not read, requests stay pending.
    """
    receipts: dict[str, tuple[Receipt, ...]] = {}

    def receipts_of(target: str) -> tuple[Receipt, ...]:
        if target not in receipts:
            try:
                receipts[target] = applied(context, target).receipts
            except MaaError:
                receipts[target] = ()
        return receipts[target]

    def outcomes(merge: str, objects: tuple[ObjectId, ...]) -> tuple[TargetOutcome, ...]:
        then = {target.name: target for target in load_tenant(context.repository, merge).settings.targets}
        concerned = {
            target.name: frozenset(
                governed
                for governed in objects
                if takes(target, governed.type) or takes(then[target.name], governed.type)
            )
            for target in context.tenant.settings.targets
            if target.name in then
        }
        of_targets = {name: receipts_of(name) for name, taken in concerned.items() if taken}
        return receipt.request_outcomes(merge, concerned, of_targets, context.places.get)

    return outcomes
