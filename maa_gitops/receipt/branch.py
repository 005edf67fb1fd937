"""The files on a receipts branch: the chain, the object map that its newest receipt was signed for, a run's intent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from maa_gitops.canonical import canonical_json, digest
from maa_gitops.errors import RepositoryError
from maa_gitops.git import Entry, Repository
from maa_gitops.model import timestamp
from maa_gitops.receipt.chain import (
    DIGEST,
    IDENTIFIER,
    OBJECT,
    REMOTE_ID,
    Context,
    Receipt,
    matching,
    receipt_facts,
    text,
)
from maa_gitops.record import parse_moment

BRANCH_PREFIX = "maa/applied/"
"""Every receipts branch is named ``maa/applied/<target>``."""

RECEIPTS, OBJECTS, INTENT = "receipts.jsonl", "objects.json", "intent.json"

FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of one file on the branch."""

_VERSION = 1
_FILE_MODE = "100644"


@dataclass(frozen=True, slots=True)
class AppliedObject:
    """What the object map says of an object: its remote id, the digest of the state sent and that of its files."""

    remote_id: str
    digest: str
    files: str


@dataclass(frozen=True, slots=True)
class Intent:
    """A run that has begun to write: its id, the clone that it runs in, when it began. Nobody signs it."""

    run: str
    clone: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """What a receipts branch holds. ``commit`` is its tip, None if there is no branch; ``data`` the receipts' bytes."""

    commit: str | None = None
    data: bytes = b""
    receipts: tuple[Receipt, ...] = ()
    objects: Mapping[str, AppliedObject] = field(default_factory=dict)
    intent: Intent | None = None

    @property
    def newest(self) -> Receipt | None:
        """The last receipt."""
        return self.receipts[-1] if self.receipts else None


def read(repository: Repository, commit: str | None, context: Context) -> Applied:
    """Read a receipts branch at its tip and verify every receipt on it.

    Raises:
        RepositoryError: ``receiptsUnreadable``, anything on it is not as it must be.
    """
    if commit is None:
        return Applied()
    files = _files(repository, commit, context.target)
    data = files.get(RECEIPTS, b"")
    receipts = _receipts(data, context)
    content = files.get(OBJECTS)
    if (digest(content) if content is not None else None) != (receipts[-1].state if receipts else None):
        raise _unreadable(context.target, f"{OBJECTS} is not the map that the newest receipt was signed for")
    objects = _objects(content, context.target) if content is not None else {}
    intent = None
    if INTENT in files:
        intent = _intent(files[INTENT])
        if intent is None:
            raise _unreadable(context.target, f"{INTENT} is not in its form")
    return Applied(commit, data, receipts, MappingProxyType(objects), intent)


def _receipts(data: bytes, context: Context) -> tuple[Receipt, ...]:
    receipts = []
    for number, (receipt, fault) in enumerate(receipt_facts(data, context), start=1):
        if receipt is None or fault is not None:
            raise _unreadable(context.target, f"receipt {number}: {fault}")
        receipts.append(receipt)
    return tuple(receipts)


def read_intent(repository: Repository, commit: str | None) -> Intent | None:
    """Read the intent alone, where receipts do not matter or do not read; one that is not in its form is none."""
    entry = repository.entry(repository.commit(commit).tree, INTENT) if commit is not None else None
    if entry is None or not _is_file(repository, entry):
        return None
    return _intent(repository.blob(entry.oid))


def objects_after(repository: Repository, tip: str, receipt: Receipt) -> Mapping[str, AppliedObject]:
    """The object map as it was after an earlier receipt, from the branch's own history; empty if it is not there."""
    seen: set[str] = set()
    commit: str | None = tip
    while commit is not None:
        found = repository.commit(commit)
        entry = repository.entry(found.tree, OBJECTS)
        if entry is not None and entry.oid not in seen and _is_file(repository, entry):
            seen.add(entry.oid)
            content = repository.blob(entry.oid)
            if digest(content) == receipt.state:
                return _objects(content, receipt.target)
        commit = found.parents[0] if found.parents else None
    return {}


def _files(repository: Repository, commit: str, target: str) -> dict[str, bytes]:
    entries = repository.tree(repository.commit(commit).tree)
    for entry in entries:
        if entry.name not in (RECEIPTS, OBJECTS, INTENT) or not _is_file(repository, entry):
            raise _unreadable(target, f"{entry.name} does not belong there")
    return {entry.name: repository.blob(entry.oid) for entry in entries}


def _is_file(repository: Repository, entry: Entry) -> bool:
    return entry.mode == _FILE_MODE and repository.blob_size(entry.oid) <= FILE_LIMIT


def _objects(content: bytes, target: str) -> dict[str, AppliedObject]:
    try:
        plain = json.loads(content)
        if not isinstance(plain, dict):
            raise ValueError("objects")
        return {matching(name, OBJECT): _object(value) for name, value in plain.items()}
    except (ValueError, RecursionError) as error:
        raise _unreadable(target, f"{OBJECTS} is not in its form") from error


def _object(value: object) -> AppliedObject:
    if not isinstance(value, dict) or value.keys() != {"digest", "files", "remoteId"}:
        raise ValueError("object")
    return AppliedObject(
        matching(value["remoteId"], REMOTE_ID), matching(value["digest"], DIGEST), matching(value["files"], DIGEST)
    )


def _intent(content: bytes) -> Intent | None:
    try:
        plain = json.loads(content)
        if not isinstance(plain, dict) or plain.keys() != {"at", "clone", "run", "version"}:
            return None
        at = parse_moment(text(plain["at"]))
        return Intent(matching(plain["run"], IDENTIFIER), matching(plain["clone"], IDENTIFIER), at)
    except (ValueError, RecursionError):
        return None


def _unreadable(target: str, reason: str) -> RepositoryError:
    return RepositoryError(
        f"the receipts on {BRANCH_PREFIX}{target} do not read: {reason}",
        hint="find out who wrote there; to start a new chain of receipts: maa apply --rebuild",
        code="receiptsUnreadable",
    )


# --- writing ---------------------------------------------------------------------------------------------------------


def objects_file(objects: Mapping[str, AppliedObject]) -> bytes:
    """The bytes of the object map."""
    plain: dict[str, object] = {
        name: {"digest": found.digest, "files": found.files, "remoteId": found.remote_id}
        for name, found in objects.items()
    }
    return canonical_json(plain) + b"\n"


def tree_of(repository: Repository, receipts: bytes, objects: bytes) -> str:
    """Store a chain of receipts and the object map of the newest as a tree, with no run on."""
    files = {RECEIPTS: receipts, OBJECTS: objects}
    return repository.write_tree(
        Entry(name, _FILE_MODE, repository.write_blob(content)) for name, content in files.items()
    )


def tree_with_intent(repository: Repository, commit: str | None, intent: Intent) -> str:
    """Store the tree of a receipts branch with a run's intent, whatever else it holds; None: there is no branch yet."""
    plain: dict[str, object] = {"at": timestamp(intent.at), "clone": intent.clone, "run": intent.run}
    blob = repository.write_blob(canonical_json({**plain, "version": _VERSION}) + b"\n")
    before = repository.commit(commit).tree if commit is not None else repository.write_tree(())
    return repository.replace_paths(before, {INTENT: (_FILE_MODE, blob)})
