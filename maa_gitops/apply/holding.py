"""One run and its hold on the receipts branch: the intent that keeps others from applying, renewed as it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from maa_gitops import receipt
from maa_gitops.apply.context import Context, Deployer, Landed
from maa_gitops.errors import RemoteError
from maa_gitops.evaluate import CLOCK_TOLERANCE
from maa_gitops.git import RefUpdate
from maa_gitops.model import Target, timestamp
from maa_gitops.providers import Provider
from maa_gitops.receipt import BRANCH_PREFIX, Applied, Intent

INTENT_HOLDS = timedelta(minutes=15)
"""How long an intent keeps other clones from applying, after it was last renewed."""

_RENEWED_AFTER = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run works with. ``before`` is the receipts branch as it was read."""

    context: Context
    deployer: Deployer
    target: Target
    provider: Provider
    before: Applied
    clone: str
    requests: Mapping[str, Sequence[Landed]]


def refuse_running(run: Run) -> None:
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


class Hold:
    """A run's intent on the receipts branch, from before its first write; a long run renews it as it goes on."""

    def __init__(self, run: Run, intent: Intent) -> None:
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
        commit = commit_on(self._run, tree, tip, f"Begin to apply to {self._run.target.name}")
        move(self._run, tip, commit)
        return commit


def commit_on(run: Run, tree: str, parent: str | None, message: str) -> str:
    """Store a commit for the receipts branch, in the deployer's name; returns it."""
    return run.context.repository.write_commit(
        tree=tree,
        parents=[parent] if parent is not None else [],
        message=message,
        identity=run.deployer.identity,
        at=run.context.now,
    )


def move(run: Run, old: str | None, new: str) -> None:
    """Move the receipts branch by compare-and-swap: the remote's, or without a remote this clone's own."""
    branch = f"{BRANCH_PREFIX}{run.target.name}"
    update = RefUpdate(f"refs/heads/{branch}", old, new)
    if run.context.has_remote:
        run.context.repository.push([update])
    else:
        run.context.repository.update_refs([update], f"maa: {branch}")
