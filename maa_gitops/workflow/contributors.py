"""Who worked on a change: the accounts that its commits name.

Commit metadata is a claim that anybody can make, so it only ever excludes people from approving.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from maa_gitops.change import differences
from maa_gitops.git import Commit, Identity, Repository
from maa_gitops.model import Tenant

_CO_AUTHOR = re.compile(r"^co-authored-by:(?P<name>[^<\n]*)<(?P<email>[^>\n]*)>", re.IGNORECASE | re.MULTILINE)
_NO_REPLY = re.compile(r"(?P<id>[0-9]{1,18})\+[^@]*@users\.noreply\.github\.com", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Contributors:
    """``accounts`` that commits name, and ``strangers``: addresses that belong to nobody. Both sorted."""

    accounts: tuple[str, ...]
    strangers: tuple[str, ...]


def contributors_of(repository: Repository, tenant: Tenant, since: str, head: str, record: str) -> Contributors:
    """Collect authors, committers and co-authors of the commits that change anything but the request's record."""
    accounts: set[str] = set()
    strangers: set[str] = set()
    for oid in repository.commits_between(since, head):
        commit = repository.commit(oid)
        if not _changes_more_than(repository, commit, record):
            continue
        for identity in _named_by(commit):
            owner = owner_of(tenant, identity.email)
            if owner is not None:
                accounts.add(owner)
            elif identity.email:
                strangers.add(f"{identity.name} <{identity.email}>")
    return Contributors(tuple(sorted(accounts)), tuple(sorted(strangers)))


def _changes_more_than(repository: Repository, commit: Commit, record: str) -> bool:
    """Whether a commit changes another path than the record; a merge counts where it differs from all its parents."""
    empty = repository.write_tree(())
    parents = [repository.commit(parent).tree for parent in commit.parents] or [empty]
    changed = [set(differences(repository, tree, commit.tree)) for tree in parents]
    return bool(set.intersection(*changed) - {record})


def _named_by(commit: Commit) -> Iterator[Identity]:
    yield commit.author
    yield commit.committer
    for found in _CO_AUTHOR.finditer(commit.message):
        yield Identity(found["name"].strip(), found["email"].strip())


def owner_of(tenant: Tenant, address: str) -> str | None:
    """The account that an address belongs to; a forge's no-reply address belongs to the number in it."""
    folded = address.strip().casefold()
    for account in tenant.accounts.values():
        if folded in (known.casefold() for known in account.addresses):
            return account.name
    no_reply = _NO_REPLY.fullmatch(folded)
    if no_reply is None:
        return None
    number = int(no_reply["id"])
    return next((a.name for a in tenant.accounts.values() if a.github is not None and a.github.id == number), None)
