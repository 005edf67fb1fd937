"""The walk along first parents that keeps G, the last good commit, and where it starts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.git import Repository
from maa_gitops.history.judging import is_ahead, judge
from maa_gitops.history.verdict import Good, Violation
from maa_gitops.model import ReasonCode
from maa_gitops.tenant import load_tenant
from maa_gitops.tenant.paths import SETTINGS


@dataclass(frozen=True, slots=True)
class History:
    """The protected branch from ``start`` to ``tip``.

    ``bad`` are the commits on it that were not good, healed or not; ``violations`` are those of this walk, in order.
    ``is_settled`` is False if only the clock keeps a step from being good: what comes of it and of all after it can
    change, so nobody may go on from there.
    """

    start: str
    tip: str
    good: Good
    steps: int
    violations: tuple[Violation, ...]
    bad: frozenset[str]
    is_settled: bool = True

    @property
    def tip_is_good(self) -> bool:
        """Whether the tip may be applied and submitted against."""
        return self.good.commit == self.tip


def walk(
    repository: Repository,
    start: "Memory",
    tip: str,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    put_back: str | None = None,
) -> History:
    """Judge every first-parent step from a commit that is taken as good to the tip. ``put_back`` as in ``chain``.

    Raises:
        NotAllowedError: ``lostChain``, if the start is not on the tip's first-parent chain.
        RepositoryError: a commit on the way is absent (a shallow clone), or the rules at the start are broken.
    """
    steps = chain(repository, start.commit, tip, put_back)
    older = _OlderThan(repository, start.commit)
    known = {start.commit}
    good = Good(
        start.commit, load_tenant(repository, start.commit), start.time, lambda oid: oid in known or older.has(oid)
    )
    passed: set[str] = set()
    violations: list[Violation] = []
    open_since, is_settled = 0, True
    for number, commit in enumerate(steps, start=1):
        verdict = judge(repository, good, repository.commit(commit).tree, now)
        passed.add(commit)
        progress(number, len(steps))
        is_settled = is_settled and not (len(verdict.faults) == 1 and is_ahead(verdict.time, now))
        if not verdict.good:
            violations += [replace(fault, commit=commit) for fault in verdict.faults]
            continue
        violations[open_since:] = [replace(found, healed_by=commit) for found in violations[open_since:]]
        open_since = len(violations)
        known |= passed
        good = Good(commit, load_tenant(repository, commit), _later(good.time, verdict.time), good.is_base)
    bad = start.bad | {violation.commit for violation in violations}
    return History(start.commit, tip, good, len(steps), tuple(violations), frozenset(bad), is_settled)


def chain(repository: Repository, start: str, tip: str, put_back: str | None = None) -> tuple[str, ...]:
    """The commits after ``start`` up to ``tip`` along first parents, oldest first.

    ``put_back`` says that the tip is a branch's which held the start: the command, with ``{commit}`` in it, that
    brings a lost one back.

    Raises:
        NotAllowedError: ``lostChain``, if the start is not among them.
    """
    found: list[str] = []
    for commit in first_parents(repository, tip):
        if commit == start:
            return tuple(reversed(found))
        found.append(commit)
    if put_back is None:
        raise NotAllowedError(f"{tip} does not go back to {start} along first parents", code="lostChain")
    raise NotAllowedError(
        f"the protected branch has lost commit {start}, which was good: its history was rewritten",
        hint=f"find out who did this; to put it back: {put_back.format(commit=start)}",
        code="lostChain",
    )


def first_parents(repository: Repository, tip: str) -> Iterator[str]:
    """A commit and its first parents, newest first, read from the commit objects themselves."""
    commit: str | None = tip
    while commit is not None:
        yield commit
        parents = repository.commit(commit).parents
        commit = parents[0] if parents else None


@dataclass(slots=True)
class _OlderThan:
    """The first-parent ancestors of a commit, walked only as far as somebody asks."""

    repository: Repository
    commit: str
    seen: set[str] = field(default_factory=set)
    rest: Iterator[str] | None = None

    def has(self, oid: str) -> bool:
        """Whether a commit is among them."""
        if self.rest is None:
            self.rest = first_parents(self.repository, self.commit)
        while oid not in self.seen:
            older = next(self.rest, None)
            if older is None:
                return False
            self.seen.add(older)
        return True


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


@dataclass(frozen=True, slots=True)
class Memory:
    """A commit taken as good, the latest step time at it, and the bad commits below it that were healed."""

    commit: str
    time: datetime | None = None
    bad: frozenset[str] = frozenset()


def oldest_with_settings(repository: Repository, tip: str) -> str:
    """Find the oldest first-parent commit that holds ``maa.yaml``: the trusted start if none is pinned.

    Raises:
        RepositoryError: no commit holds it, or a parent that is named is absent.
    """
    oldest = None
    for commit in first_parents(repository, tip):
        if _holds_settings(repository, commit):
            oldest = commit
    if oldest is None:
        raise RepositoryError(f"no commit of the protected branch holds {SETTINGS}", hint="maa init --tenant NAME")
    return oldest


def _holds_settings(repository: Repository, commit: str) -> bool:
    """Whether a commit holds ``maa.yaml``. A malformed tree, which is judged later, must not block the way to it."""
    try:
        return repository.entry(repository.commit(commit).tree, SETTINGS) is not None
    except RepositoryError as error:
        if error.code != ReasonCode.MALFORMED_TREE:
            raise
        return False
