"""What ``init`` is asked for, plans and does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maa_gitops.git import Identity
from maa_gitops.model import Problem, Role

GROUP = "approvers"
"""The approver group that the starter policies name."""

SCHEMA_FOLDER = "schemas/maa"
"""Where a tenant repository keeps copies of the shipped schemas, for editors. Source: decision 0002."""


@dataclass(frozen=True, slots=True)
class OnGitHub:
    """What ``init --github`` is asked for.

    ``tool`` is the repository of the tool and the commit to run it at. ``keys`` are public keys of the service
    accounts, by role. ``logins`` are people's logins and numbers on GitHub, by account. ``known_hosts`` and ``ssh_url``
    are those of a server of one's own; empty: github.com.
    """

    tool: tuple[str, str]
    keys: Mapping[Role, str]
    logins: Mapping[str, tuple[str, int]]
    known_hosts: str = ""
    ssh_url: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks ``init`` for.

    ``accounts`` are names with the text of a public key's file. ``tenant`` may be left out where there is one already.
    """

    tenant: str | None = None
    accounts: tuple[tuple[str, str], ...] = ()
    admins: tuple[str, ...] = ()
    deployers: tuple[str, ...] = ()
    github: OnGitHub | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``init`` would do; nothing, if there are problems.

    ``files`` are what it writes below ``folder``, by path, and ``edits`` those of them that exist; ``tree`` is what
    results. ``author`` commits it, in a new tenant only, on top of ``head``. ``notes`` are for a person: what is left
    alone, what to do next.
    """

    folder: Path
    branch: str
    head: str | None
    tree: str
    files: Mapping[str, bytes]
    problems: tuple[Problem, ...] = ()
    edits: frozenset[str] = frozenset()
    author: Identity | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """What ``init`` did: the paths of the files written, sorted, and in a new tenant the commit that holds them."""

    branch: str
    files: tuple[str, ...]
    commit: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What ``init`` builds on. ``tree`` is HEAD's in a new tenant, else that of the work tree as it stands."""

    folder: Path
    branch: str
    head: str | None
    tree: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """Who starts a new tenant: git's identity, and the line of a public key where one is at hand."""

    identity: Identity
    key: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the plan."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()
