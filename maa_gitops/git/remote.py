"""The remote named origin: fetching, pushing by compare-and-swap, and why a push did not go through."""

import re
from collections.abc import Sequence

from maa_gitops.errors import MaaError, RemoteError
from maa_gitops.git.program import CompletedGit, Git
from maa_gitops.git.refs import LOST_RACE, RefUpdate

NAME = "origin"
TRACKING = f"refs/remotes/{NAME}/"
_EVERY_BRANCH = f"+refs/heads/*:{TRACKING}*"
_STALE = re.compile(
    r"stale info|fetch first|non-fast-forward|needs force|already exists|remote ref updated since"
    r"|incorrect old value|reference does not exist|remote ref does not exist"
)

_LOCKED = re.compile("cannot lock ref|unable to update local ref")
_FETCHES = 5
"""How often to fetch while other commands hold refs of this clone."""


def fetch(git: Git) -> None:
    """Bring the branches of the remote here, under ``refs/remotes/origin/``; no tags.

    Raises:
        RemoteError: it cannot be done now.
    """
    command = ("fetch", "--no-tags", "--prune", "--no-recurse-submodules", "--", NAME, _EVERY_BRANCH)
    for _ in range(_FETCHES):
        done = git.run(*command)
        if not _LOCKED.search(done.stderr):
            break  # else another command of this clone was fetching too
    if done.returncode:
        raise RemoteError(f"fetching from {NAME} failed: {done.last_words}", retry=True, code="fetchFailed")


def push(git: Git, updates: Sequence[RefUpdate]) -> None:
    """Move branches of the remote, all or none, each from the commit where it is believed to be.

    Raises:
        RemoteError: ``lostRace``, one of them was elsewhere; ``refused``, by the server's rules or a hook of this
            clone; ``pushFailed``, anything else.
    """
    leases = [f"--force-with-lease={update.ref}:{update.old or ''}" for update in updates]
    refspecs = [f"{update.new or ''}:{update.ref}" for update in updates]
    done = git.run(
        *("-c", f"remote.{NAME}.fetch={_EVERY_BRANCH}"),
        *("push", "--porcelain", "--atomic", "--no-follow-tags", "--no-recurse-submodules"),
        *(*leases, "--", NAME, *refspecs),
    )
    if done.returncode:
        raise _failed_push(done)


def head(git: Git) -> str | None:
    """The short name of the branch that the remote calls its own, asked of it if it is not known here.

    Raises:
        RemoteError: it has to be asked and does not answer.
    """
    known = git.run("symbolic-ref", "--quiet", f"{TRACKING}HEAD")
    if known.returncode == 0 and known.text.startswith(TRACKING):
        return known.text.removeprefix(TRACKING)
    asked = git.run("ls-remote", "--symref", "--", NAME, "HEAD")
    if asked.returncode:
        raise RemoteError(f"asking {NAME} failed: {asked.last_words}", retry=True, code="fetchFailed")
    found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", asked.text, re.MULTILINE)
    return found[1] if found else None


def _failed_push(done: CompletedGit) -> MaaError:
    rejected = [line.split("\t") for line in done.text.splitlines() if line.startswith("!")]
    causes = [line for line in rejected if "atomic push fail" not in line[-1]]  # the others share their fate
    reasons = [line[-1] for line in causes]
    said = _server_words(done)
    transaction = any("atomic transaction failed" in r or "failed to update ref" in r for r in reasons)
    if any(_STALE.search(r) or LOST_RACE.search(r) for r in reasons) or (transaction and LOST_RACE.search(said)):
        names = ", ".join(sorted({line[1].partition(":")[2].removeprefix("refs/heads/") for line in causes}))
        message = f"somebody else moved {names} on {NAME} in the meantime"
        return RemoteError(message, retry=True, hint="run the command again", code="lostRace")
    if any(r.startswith("[remote rejected]") for r in reasons):
        return RemoteError(f"{NAME} refused the push: {said or '; '.join(reasons)}", code="refused")
    if "matches more than one" in done.stderr:
        message = f"{NAME} has a branch or tag that is named like the full name of another: {done.last_words}"
        return RemoteError(message, hint=f"delete it on {NAME}", code="refused")
    if done.returncode == 1 and not rejected:
        return RemoteError(f"this clone's pre-push hook refused the push: {done.last_words}", code="refused")
    lasting = "does not support" in done.stderr
    return RemoteError(f"pushing to {NAME} failed: {done.last_words}", retry=not lasting, code="pushFailed")


def _server_words(done: CompletedGit) -> str:
    """What the server wrote, in one line."""
    lines = [line.removeprefix("remote:").strip() for line in done.stderr.splitlines() if line.startswith("remote:")]
    return " ".join(line for line in lines if line)
