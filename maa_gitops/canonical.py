"""Canonical JSON and digests: one spelling for everything that is signed or hashed."""

import json
from collections.abc import Iterable
from hashlib import sha256

from maa_gitops.model import FileChange


def canonical_json(value: object) -> bytes:
    """Encode plain data in its one canonical spelling.

    Strings, integers, booleans, null, lists and objects with string keys only.

    Raises:
        ValueError: anything else is in it (a float, a surrogate, a key that is no string).
    """
    _refuse_other_than_plain(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _refuse_other_than_plain(value: object) -> None:
    match value:
        case None | bool() | int() | str():
            return
        case list():
            for item in value:
                _refuse_other_than_plain(item)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise ValueError(f"key {key!r} is not a string")
                _refuse_other_than_plain(item)
        case _:
            raise ValueError(f"{type(value).__name__} has no canonical spelling")


def digest(data: bytes) -> str:
    """``sha256:`` and the SHA-256 of the bytes in hex."""
    return "sha256:" + sha256(data).hexdigest()


def content_hash(data: bytes) -> str:
    """The bare SHA-256 in hex by which a change names a file's content."""
    return sha256(data).hexdigest()


def plain_changes(changes: Iterable[FileChange]) -> list[dict[str, str | None]]:
    """Changes as they are signed: sorted by the UTF-8 bytes of the path."""
    return [
        {"mode": change.mode, "new": change.new, "old": change.old, "path": change.path}
        for change in sorted(changes, key=lambda change: change.path.encode("utf-8", "surrogateescape"))
    ]


def change_digest(changes: Iterable[FileChange], tenant: str) -> str:
    """The digest that every decision signs: of the changes and the tenant that they are for."""
    return digest(canonical_json({"changes": plain_changes(changes), "tenant": tenant}))
