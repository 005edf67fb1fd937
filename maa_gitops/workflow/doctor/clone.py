"""Doctor: what is missing in this clone, one value for each thing that was looked at.

Nothing is changed but by fetching: no memory is kept, no killed command is ended. What is missing in the live
repository on the forge is for ``pull_requests.examining`` to say.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from maa_gitops.errors import MaaError, NotAllowedError
from maa_gitops.git import Repository
from maa_gitops.git.program import OLDEST
from maa_gitops.history import History, chain, oldest_with_settings
from maa_gitops.model import Level, Problem, Tenant
from maa_gitops.signing import KeySources, fingerprint, signing_key
from maa_gitops.signing.making import answer, find_ssh_keygen
from maa_gitops.tenant import validate
from maa_gitops.workflow.clone import (
    Progress,
    judged,
    no_progress,
    protected_branch,
    refuse_other_branch,
    tip_of,
    trusted_start,
)
from maa_gitops.workflow.contributors import owner_of
from maa_gitops.workflow.doctor.checks import Check, ok, problem, untold, warning


@dataclass(frozen=True, slots=True)
class Examined:
    """A clone that was looked at; ``branch`` and ``history`` are None where they cannot be told."""

    checks: tuple[Check, ...]
    branch: str | None
    history: History | None

    @property
    def tenant(self) -> Tenant | None:
        """The rules at G."""
        return self.history.good.tenant if self.history is not None else None


@dataclass(frozen=True, slots=True)
class _Branch:
    """The protected branch as far as it could be read; ``error`` says why no further."""

    name: str | None = None
    tip: str | None = None
    history: History | None = None
    error: MaaError | None = None


def _faulty(code: str, make: Callable[[], Check]) -> Check:
    """A check; what keeps it from being made is a problem, and keeps no other from being made."""
    try:
        return make()
    except MaaError as error:
        return problem(code, error.message, error.hint)


# --- the clone -------------------------------------------------------------------------------------------------------


def examine(
    repository: Repository,
    sources: KeySources,
    now: datetime,
    *,
    fetch: bool = True,
    progress: Progress = no_progress,
) -> Examined:
    """Look at everything that a person's work in this clone rests on."""
    remote = _remote(repository, fetch=fetch)  # first of all: it brings what is looked at
    branch = _branch(repository, now, progress)
    tenant = branch.history.good.tenant if branch.history is not None else None
    key, holder = _signing_key(sources, tenant)
    checks = (
        _git(repository),
        _faulty("openssh", lambda: _openssh(sources.environment)),
        _faulty("identity", lambda: _identity(repository)),
        _address(repository, tenant, holder),
        key,
        _faulty("signingFormat", lambda: _signing_format(repository, sources)),
        remote,
        _faulty("protectedBranch", lambda: _protected_branch(repository, branch)),
        _faulty("shallow", lambda: _shallow(repository)),
        _faulty("trustedStart", lambda: _trusted_start(repository, branch.tip)),
        _history(branch),
        *_tenant(repository, branch.history),
    )
    return Examined(checks, branch.name, branch.history)


def _branch(repository: Repository, now: datetime, progress: Progress) -> _Branch:
    """Read the protected branch as ``open_clone`` does, but keep nothing of it."""
    found = _Branch()
    try:
        name = protected_branch(repository)
        found = replace(found, name=name)
        tip = tip_of(repository, name, has_remote=repository.remote() is not None)
        found = replace(found, tip=tip)
        return replace(found, history=judged(repository, name, tip, now, progress))
    except MaaError as error:
        return replace(found, error=error)


# --- this machine ----------------------------------------------------------------------------------------------------


def _git(repository: Repository) -> Check:
    said = repository.run("version").text.removeprefix("git version ")
    return ok("git", f"git {said}; {OLDEST[0]}.{OLDEST[1]} or newer is needed")


def _openssh(environment: Mapping[str, str]) -> Check:
    program = find_ssh_keygen(environment.get("PATH", os.defpath))
    version = re.match(r"OpenSSH_[^\s,]+", answer(program, "ssh", "-V", {}))
    if version is None:
        return warning("openssh", f"{program} is of an unknown version", "install OpenSSH 8.2 or later")
    return ok("openssh", f"{version[0].replace('_', ' ')}, {program}")


def _identity(repository: Repository) -> Check:
    identity = repository.identity()
    return ok("identity", f"commits here are by {identity.name} <{identity.email}>")


def _address(repository: Repository, tenant: Tenant | None, holder: str | None) -> Check:
    """Whether the address that commits bear is an account's, and the same account's as the key."""
    if tenant is None:
        return untold("address", "the accounts cannot be read")
    try:
        email = repository.identity().email
    except MaaError as error:
        return untold("address", error.message, error.hint)
    owner = owner_of(tenant, email)
    if owner is None:
        text = f"{email} belongs to no account: commits cannot be told from a stranger's"
        return warning("address", text, "git config user.email ADDRESS, or have it added to emails in accounts/")
    if holder is not None and holder != owner:
        text = f"{email} is the address of {owner}, but the key is that of {holder}"
        return warning("address", text, "git config user.email ADDRESS, or: git config user.signingkey FILE")
    return ok("address", f"{email} belongs to the account {owner}")


# --- signing ---------------------------------------------------------------------------------------------------------

_NEW_KEY = "ssh-keygen -t ed25519, then have the .pub file's line added to signingKeys of your file in accounts/"


def _signing_key(sources: KeySources, tenant: Tenant | None) -> tuple[Check, str | None]:
    """Which key would be used, and which account holds it."""
    accounts = tenant.accounts.values() if tenant is not None else ()
    held = {key for account in accounts if account.enabled for key in account.signing_keys}
    try:
        with signing_key(sources, held=held if tenant is not None else None) as signer:
            key = signer.public_key
    except MaaError as error:
        is_none = error.message.endswith("found none")
        is_several = error.message.startswith("expected one") and not is_none
        several = "git config gpg.format ssh && git config user.signingkey FILE"
        hint = _NEW_KEY if is_none else several if is_several else error.hint
        return problem("signingKey", error.message, hint), None
    said = f"{fingerprint(key)} ({_named_by(sources)})"
    if tenant is None:
        return untold("signingKey", f"which account holds {said}"), None
    return _held(said, tenant, tenant.holder(key))


def _held(said: str, tenant: Tenant, holder: str | None) -> tuple[Check, str | None]:
    if holder is None:
        hint = "have the key added to your file in accounts/, or: git config user.signingkey FILE"
        return problem("signingKey", f"no account holds the key {said}", hint), None
    if not tenant.accounts[holder].enabled:
        text = f"the key {said} is that of {holder}, an account that is not enabled"
        return problem("signingKey", text, "git config user.signingkey FILE, with a key of another account"), holder
    return ok("signingKey", f"{said} is held by the account {holder}"), holder


def _named_by(sources: KeySources) -> str:
    """Which of the sources counts."""
    if sources.option is not None:
        return f"--key {sources.option}"
    if sources.text is not None:
        return "MAA_SIGNING_KEY"
    return "user.signingkey" if sources.configured else "the only one at hand that an account holds"


def _signing_format(repository: Repository, sources: KeySources) -> Check:
    """Whether git's own settings for signing agree with each other."""
    key, form = repository.config("user.signingkey"), repository.config("gpg.format")
    if not key:
        return ok("signingFormat", "git's user.signingkey is not set")
    if sources.configured is None:
        text = f"git's user.signingkey is an OpenPGP key ({key}), which does not sign decisions"
        return warning("signingFormat", text, "git config gpg.format ssh && git config user.signingkey FILE")
    if form != "ssh":
        text = f"git's user.signingkey is an SSH key, but gpg.format is {form or 'not set'}: git does not sign with it"
        return warning("signingFormat", text, "git config gpg.format ssh")
    return ok("signingFormat", "git's gpg.format and user.signingkey agree")


# --- the remote and the protected branch -----------------------------------------------------------------------------


def _remote(repository: Repository, *, fetch: bool) -> Check:
    """Whether the remote is there and answers; this is what brings its branches here."""
    try:
        if repository.remote() is None:
            text = "there is no remote 'origin': what is decided here, nobody else sees"
            return warning("remote", text, "git remote add origin URL")
        address = repository.config("remote.origin.url") or ""
        if not fetch:
            return ok("remote", f"origin is {_without_password(address)}; not asked")
        repository.fetch()
    except MaaError as error:
        return problem("remote", error.message, error.hint or "git fetch origin, or: git remote set-url origin URL")
    return ok("remote", f"origin is {_without_password(address)}, and answers")


def _without_password(address: str) -> str:
    """An address without what must not be shown."""
    return re.sub(r"(?<=://)[^/@]*@", "", address)


def _protected_branch(repository: Repository, branch: _Branch) -> Check:
    """Whether the protected branch is known, is there, and is the one that ``maa.yaml`` names."""
    configured = bool(repository.config("maa.protectedBranch"))
    if branch.tip is None and branch.error is not None:
        hint = f"git config maa.protectedBranch NAME, or in a new repository: {branch.error.hint}"
        return problem("protectedBranch", branch.error.message, hint if configured else branch.error.hint)
    source = "git config maa.protectedBranch" if configured else "origin's HEAD"
    if branch.history is None or branch.name is None:
        return untold("protectedBranch", f"whether maa.yaml names '{branch.name}', as {source} does")
    refuse_other_branch(branch.history, branch.name)
    return ok("protectedBranch", f"{branch.name}: {source} and maa.yaml agree")


def _shallow(repository: Repository) -> Check:
    if repository.run("rev-parse", "--is-shallow-repository").text == "true":
        return problem("shallow", "this is a shallow clone: history cannot be judged", "git fetch --unshallow")
    return ok("shallow", "the history is all here")


def _trusted_start(repository: Repository, tip: str | None) -> Check:
    """Whether a commit is pinned from which history is judged, and whether the protected branch holds it."""
    code, pinned = "trustedStart", repository.config("maa.trustedStart")
    if tip is None:
        return untold(code, "the protected branch cannot be read")
    if not pinned:
        oldest = oldest_with_settings(repository, tip)
        text = "no commit is pinned from which history is judged; compare this one with what others have"
        return warning(code, text, f"git config maa.trustedStart {oldest}")
    try:
        start = trusted_start(repository, tip)
        chain(repository, start, tip)
    except NotAllowedError:
        text = f"the trusted start {pinned} is not on the protected branch: it is another's, or history was rewritten"
        return problem(code, text, "maa verify, or: git config maa.trustedStart COMMIT")
    except MaaError as error:
        return problem(code, error.message, "git fetch --unshallow, or: git config maa.trustedStart COMMIT")
    if start != pinned:
        text = f"the trusted start {pinned} is no whole commit id: what it names can change"
        return warning(code, text, f"git config maa.trustedStart {start}")
    return ok(code, f"{start[:12]} is pinned")


def _history(branch: _Branch) -> Check:
    """Whether everything that landed was approved."""
    history = branch.history
    if branch.tip is None:
        return untold("history", "the protected branch cannot be read")
    if history is None:
        error = branch.error
        return problem("history", error.message if error is not None else "", error.hint if error is not None else None)
    if history.tip_is_good:
        return ok("history", f"good: {history.tip[:12]}")
    found = next((violation for violation in history.violations if violation.healed_by is None), None)
    why = f": {found.message} ({found.commit[:12]})" if found is not None else ""
    return problem("history", f"the tip {history.tip[:12]} of the protected branch is not good{why}", "maa verify")


# --- the tenant ------------------------------------------------------------------------------------------------------

_APPROVER_CODES = frozenset({"unsatisfiable", "fewApprovers"})


def _tenant(repository: Repository, history: History | None) -> Iterator[Check]:
    """What is wrong with the documents at G, and whether there are approvers enough."""
    if history is None:
        yield untold("tenant", "no commit is known to be good")
        yield untold("approvers", "no commit is known to be good")
        return
    commit = history.good.commit
    try:
        problems = validate(repository, repository.commit(commit).tree)
    except MaaError as error:
        yield problem("tenant", error.message, error.hint)
        yield untold("approvers", error.message)
        return
    yield _documents(problems, commit)
    yield from _approvers(problems, history.good.tenant)


def _documents(problems: Iterable[Problem], commit: str) -> Check:
    """How many problems the documents have; what is about approvers alone is told by itself."""
    levels = [one.level for one in problems if one.level is Level.ERROR or one.code not in _APPROVER_CODES]
    errors, warnings = levels.count(Level.ERROR), levels.count(Level.WARNING)
    text = f"{_counted(errors, 'error')} and {_counted(warnings, 'warning')} at {commit[:12]}"
    hint = f"maa validate --commit {commit[:12]}"
    if errors:
        return problem("tenant", text, hint)
    return warning("tenant", text, hint) if warnings else ok("tenant", f"no problem at {commit[:12]}")


def _approvers(problems: Iterable[Problem], tenant: Tenant) -> Iterator[Check]:
    """Access policies that nobody, or hardly anybody, could satisfy."""
    hint = "on a change branch: maa init --account NAME=PUBLIC_KEY_FILE, or add people to the approver group"
    few = [one for one in problems if one.level is Level.WARNING and one.code in _APPROVER_CODES]
    yield from (warning("approvers", f"{one.path}: {one.message}", hint) for one in few)
    if not tenant.policies:
        yield warning("approvers", "there is no access policy: nothing but the rules is protected", hint)
    elif not few:
        yield ok("approvers", f"enough people for {_counted(len(tenant.policies), 'access policy', 'access policies')}")


def _counted(number: int, thing: str, things: str | None = None) -> str:
    return f"{number} {thing if number == 1 else things or thing + 's'}"
