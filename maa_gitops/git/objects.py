"""Trees and commits as git stores them: strict parsing and exact writing of the raw bytes; no repository, no I/O."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from maa_gitops.errors import RepositoryError

Oid = str
"""The id of an object: 40 lower-case hex digits, never an abbreviation."""

FILE = "100644"
FOLDER = "040000"

_OID = re.compile(r"[0-9a-f]{40}")
_MODES = {b"100644": FILE, b"100755": "100755", b"120000": "120000", b"160000": "160000", b"40000": FOLDER}
_ID_LENGTH = 20
_COMMIT = re.compile(
    rb"tree (?P<tree>[0-9a-f]{40})\n"
    rb"(?P<parents>(?:parent [0-9a-f]{40}\n)*)"
    rb"author (?P<author>[^\n\0]+)\n"
    rb"committer (?P<committer>[^\n\0]+)\n"
    rb"(?:(?!(?:tree|parent|author|committer) )[^\n\0]+\n)*"
    rb"\n(?P<message>.*)",
    re.DOTALL,
)
_IDENTITY = re.compile(rb"(?P<name>[^<>]*)<(?P<email>[^<>]*)> -?[0-9]+ [+-][0-9]{4,}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a commit claims to be by. A claim: nothing vouches for it."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree.

    ``mode`` has six digits, a folder's is 040000; bytes of ``name`` that are not UTF-8 are surrogates.
    """

    name: str
    mode: str
    oid: Oid

    @property
    def is_folder(self) -> bool:
        """Whether the entry is a tree itself."""
        return self.mode == FOLDER


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as its own bytes state it. Characters of names and message outside UTF-8 are replaced."""

    oid: Oid
    tree: Oid
    parents: tuple[Oid, ...]
    author: Identity
    committer: Identity
    message: str


def is_oid(text: str) -> bool:
    """Whether the text is a full object id."""
    return _OID.fullmatch(text) is not None


def parse_tree(oid: Oid, raw: bytes) -> tuple[Entry, ...]:
    """Read a tree, in its own order.

    Raises:
        RepositoryError: ``malformedTree``, where another reader of git objects could see other files: duplicates,
            wrong order, unusual modes, names that are no file names.
    """
    entries: list[Entry] = []
    keys: list[bytes] = []
    position = 0
    while position < len(raw):
        end = raw.find(b"\0", position)
        mode, _, name = raw[position:end].partition(b" ")
        position = end + 1 + _ID_LENGTH
        if end < 0 or position > len(raw):
            raise malformed_tree(oid, "it is cut off")
        if mode not in _MODES:
            raise malformed_tree(oid, f"mode {_shown(mode)} of {_shown(name)} is not one that git writes")
        if not name or b"/" in name or name in {b".", b".."} or name.lower() == b".git":
            raise malformed_tree(oid, f"{_shown(name)} is no name of a file")
        entry = Entry(name.decode("utf-8", "surrogateescape"), _MODES[mode], raw[end + 1 : position].hex())
        entries.append(entry)
        keys.append(name + b"/" if entry.is_folder else name)
    if keys != sorted(keys):
        raise malformed_tree(oid, "its entries are not in git's order")
    if len({entry.name for entry in entries}) != len(entries):
        raise malformed_tree(oid, "it has two entries of one name")
    return tuple(entries)


def encode_tree(entries: Iterable[Entry]) -> bytes:
    """The bytes of a tree with these entries, put in git's order.

    Raises:
        RepositoryError: ``malformedTree``, if ``parse_tree`` would refuse the result.
    """
    lines: list[tuple[bytes, bytes]] = []
    for entry in entries:
        if not is_oid(entry.oid) or "\0" in entry.name:
            raise malformed_tree("to be written", f"entry {entry.name!r} is not a name with an object id")
        name = entry.name.encode("utf-8", "surrogateescape")
        line = entry.mode.removeprefix("0").encode() + b" " + name + b"\0" + bytes.fromhex(entry.oid)
        lines.append((name + b"/" if entry.is_folder else name, line))
    raw = b"".join(line for _, line in sorted(lines))
    parse_tree("to be written", raw)
    return raw


def parse_commit(oid: Oid, raw: bytes) -> Commit:
    """Read a commit: one tree, then the parents, one author, one committer, then what does not matter here.

    Raises:
        RepositoryError: ``malformedCommit``.
    """
    found = _COMMIT.fullmatch(raw)
    author = parse_identity(found["author"]) if found else None
    committer = parse_identity(found["committer"]) if found else None
    if found is None or author is None or committer is None:
        raise RepositoryError(f"commit {oid} is not of the form that git writes", code="malformedCommit")
    return Commit(
        oid=oid,
        tree=found["tree"].decode(),
        parents=tuple(found["parents"].decode().split()[1::2]),
        author=author,
        committer=committer,
        message=found["message"].decode("utf-8", "replace"),
    )


def parse_identity(raw: bytes) -> Identity | None:
    """Read ``Name <address> seconds zone``; None if it is something else."""
    found = _IDENTITY.fullmatch(raw)
    if found is None:
        return None
    return Identity(*(found[part].decode("utf-8", "replace").strip() for part in ("name", "email")))


def encode_commit(tree: Oid, parents: Sequence[Oid], message: str, identity: Identity, at: datetime) -> bytes:
    """The bytes of a commit, its author being its committer, its time in UTC.

    Raises:
        RepositoryError: ``malformedCommit``, if ``parse_commit`` would refuse the result.
    """
    name, email = _plain(identity.name), _plain(identity.email)
    who = f"{name} <{email}> {int(at.timestamp())} +0000"
    head = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {who}", f"committer {who}"]
    text = "\n".join([*head, "", message.replace("\0", "").rstrip("\n"), ""])
    raw = text.encode("utf-8", "replace")
    parse_commit("to be written", raw)
    return raw


def malformed_tree(oid: Oid, reason: str) -> RepositoryError:
    """The error for a tree that must not be read further."""
    return RepositoryError(f"tree {oid}: {reason}", code="malformedTree")


def _plain(text: str) -> str:
    """The text without what would end a field of a commit's header, or hide in it."""
    return "".join(c for c in text if c not in "<>" and not unicodedata.category(c).startswith("C")).strip()


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))
