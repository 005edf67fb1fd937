"""Forgeries: events signed with ssh-keygen, commits made with git plumbing. Nothing of our own code takes part."""

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.world import Person, World


def canonical(value: object) -> bytes:
    """Canonical JSON, spelled as the contract says."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def stamp(offset: timedelta = timedelta()) -> str:
    """Now, or some time before or after it, as records write it."""
    return (datetime.now(UTC) + offset).strftime("%Y-%m-%dT%H:%M:%SZ")


class Forger:
    """Makes records and commits by hand in a person's clone, and pushes them with plain git."""

    def __init__(self, world: World, person: Person) -> None:
        """Work in the person's clone."""
        self.world = world
        self.person = person
        person.git("fetch", "-q", "origin")

    # Events

    def sign(self, key: Path, payload: bytes, namespace: str = "maa-gitops") -> str:
        """Sign bytes with ssh-keygen."""
        done = subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", str(key)],
            input=payload,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    def line(
        self, key: Path, fields: Mapping[str, Any], previous: bytes | None = None, namespace: str = "maa-gitops"
    ) -> bytes:
        """A record's line (without newline): the fields, chained to the line before, signed with the key."""
        plain = dict(fields)
        if previous is not None:
            plain["previous"] = "sha256:" + sha256(previous)
        plain["signature"] = self.sign(key, canonical(plain), namespace)
        return canonical(plain)

    def fields(self, action: str, account: str, request: str, **more: Any) -> dict[str, Any]:
        """The fields that every event has, with good values; ``more`` adds and replaces (None: leaves out)."""
        plain = {
            "account": account,
            "action": action,
            "at": stamp(),
            "base": self.world.tip(),
            "request": request,
            "tenant": "contoso",
            "version": 1,
            **more,
        }
        return {key: value for key, value in plain.items() if value is not None}

    def change(self, path: str, old: str | None, new: str | None, mode: str = "100644") -> dict[str, Any]:
        """One entry of a signed list, from texts."""
        return {
            "mode": mode if new is not None else None,
            "new": sha256(new.encode()) if new is not None else None,
            "old": sha256(old.encode()) if old is not None else None,
            "path": path,
        }

    def digest(self, changes: Sequence[Mapping[str, Any]], tenant: str = "contoso") -> str:
        """The change digest."""
        return "sha256:" + sha256(canonical({"changes": list(changes), "tenant": tenant}))

    def submit_fields(
        self, account: str, request: str, changes: Sequence[Mapping[str, Any]], **more: Any
    ) -> dict[str, Any]:
        """The fields of a submit."""
        listed = {"changes": list(changes), "contributors": [account], "justification": "Wanted."}
        return self.fields("submit", account, request, **{**listed, **more})

    def record(self, *lines: bytes) -> bytes:
        """The bytes of a record."""
        return b"".join(line + b"\n" for line in lines)

    # Commits

    def commit(
        self,
        parents: Sequence[str],
        files: Mapping[str, str | bytes | None],
        tree_of: str | None = None,
        modes: Mapping[str, str] | None = None,
        message: str = "forged",
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """Make a commit with plumbing: the tree of the first parent (or of ``tree_of``) with files replaced.

        ``variables`` are more of git's own, such as ``GIT_AUTHOR_EMAIL``: what a commit claims is anybody's to choose.
        """
        index = self.world.folder / "forged-index"
        index.unlink(missing_ok=True)
        environment = {**self.world.variables(self.person.name), **(variables or {}), "GIT_INDEX_FILE": str(index)}

        def git(*arguments: str, data: bytes | None = None) -> str:
            done = subprocess.run(
                ["git", "-C", str(self.person.clone), *arguments],
                input=data, capture_output=True, env=environment, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()
            return done.stdout.decode().strip()

        start = tree_of or (parents[0] if parents else None)
        git("read-tree", *([start] if start else ["--empty"]))
        for path, text in files.items():
            if text is None:
                git("update-index", "--force-remove", "--", path)
            else:
                blob = git("hash-object", "-w", "--stdin", data=text.encode() if isinstance(text, str) else text)
                git("update-index", "--add", "--cacheinfo", f"{(modes or {}).get(path, '100644')},{blob},{path}")
        arguments = [part for parent in parents for part in ("-p", parent)]
        return git("commit-tree", git("write-tree"), *arguments, "-m", message)

    def refound(self, files: Mapping[str, str | bytes | None]) -> str:
        """Found the tenant anew with files replaced, before anybody's tool has seen it; returns the first commit."""
        commit = self.commit([], files, tree_of=self.world.tip())
        self.push(commit, force=True)
        return commit

    def push(self, commit: str | None, branch: str = "main", *, force: bool = False) -> None:
        """Push a commit to the server's branch with plain git (None: delete the branch)."""
        self.person.git("push", "-q", *(["--force"] if force else []), "origin", f"{commit or ''}:refs/heads/{branch}")
        self.person.git("fetch", "-q", "origin")
