"""Trees that git itself would not make, stored with ``git hash-object --literally``; and flawless records for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.forge import Forger

Entry = tuple[str, bytes, str]
"""Mode as trees spell it (a folder's is 40000), name, object id."""


class Trees:
    """Raw objects in the forger's clone."""

    def __init__(self, forger: Forger) -> None:
        """Work where the forger works."""
        self.forger = forger
        self.git = forger.person.git

    def blob(self, data: str | bytes) -> str:
        """Store a file's content; returns its id."""
        return self.git("hash-object", "-w", "--stdin", data=data.encode() if isinstance(data, str) else data)

    def tree(self, *entries: Entry) -> str:
        """Store a tree of exactly these entries, in this order, whatever git thinks of it."""
        raw = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
        return self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=raw)

    def entries(self, tree: str) -> list[Entry]:
        """The entries of a tree, in its order."""
        listed = self.git("ls-tree", "-z", tree).encode("utf-8", "surrogateescape")
        rows = (row.partition(b"\t") for row in listed.split(b"\0")[:-1])
        return [(head.split()[0].decode().lstrip("0"), name, head.split()[2].decode()) for head, _, name in rows]

    def put(self, tree: str, path: bytes, mode: str, oid: str) -> str:
        """The tree with one entry put at a path; folders are made, other entries of that name stay."""
        first, _, rest = path.partition(b"/")
        entries = self.entries(tree)
        if rest:
            inner = next((oid for mode, name, oid in entries if (mode, name) == ("40000", first)), None)
            mode, oid = "40000", self.put(inner or self.tree(), rest, mode, oid)
            entries = [entry for entry in entries if entry[:2] != ("40000", first)]
        entries = [entry for entry in entries if entry[1] != first]
        return self.tree(*sorted([*entries, (mode, first, oid)], key=_order))

    def commit(self, tree: str, *parents: str, message: str = "forged") -> str:
        """Store a commit of any tree."""
        options = [part for parent in parents for part in ("-p", parent)]
        return self.git("commit-tree", tree, *options, "-m", message)


def _order(entry: Entry) -> bytes:
    """Where git expects an entry: a folder as if its name ended with a slash."""
    return entry[1] + b"/" * (entry[0] == "40000")


def agreed(forger: Forger, request: str, changes: Sequence[Mapping[str, Any]], *, landed: bool = False) -> bytes:
    """A flawless record: alice submits these changes, bob approves, and if it has ``landed`` alice completes."""
    alice, bob = forger.world.alice, forger.world.bob
    lines = [forger.line(alice.key, forger.submit_fields("alice", request, changes))]
    for action, person in (("approve", bob), ("complete", alice))[: 2 if landed else 1]:
        fields = forger.fields(action, person.name, request, change=forger.digest(changes))
        lines.append(forger.line(person.key, fields, previous=lines[-1]))
    return forger.record(*lines)
