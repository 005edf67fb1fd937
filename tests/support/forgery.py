"""A whole request made by hand: its lines, its change branch, its landing; each part open to replacement."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.forge import Forger, stamp
from tests.support.world import APP, Person, app

Signer = Person | Path
"""Whose key signs: somebody's, or a key file that belongs to nobody in particular."""

Verdict = tuple[int, str | None, list[str]]
"""What ``check`` says: exit code, status, reason codes."""

APPROVED: Verdict = (0, "approved", ["awaitingCompletion"])


class Forgery:
    """A request on ``change/<request>`` that our own tool had no part in; ``lines`` may be changed before a push."""

    def __init__(
        self, forger: Forger, request: str = "forged", files: Mapping[str, str | bytes | None] | None = None
    ) -> None:
        """Make a change of the files (None: delete) against the server's main; by default an edit of the app."""
        self.forger = forger
        self.world = forger.world
        self.request = request
        self.files: dict[str, str | bytes | None] = dict(files or {APP: app(description="New.")})
        self.start = self.world.tip()
        self.changes = [self._change(path, new) for path, new in sorted(self.files.items())]
        self.lines: list[bytes] = []

    def _change(self, path: str, new: str | bytes | None) -> dict[str, Any]:
        shown = self.world.git(self.world.server, "ls-tree", "-z", self.start, "--", path)
        old = self.world.git(self.world.server, "cat-file", "-p", f"{self.start}:{path}") + "\n" if shown else None
        return self.forger.change(path, old, new.decode() if isinstance(new, bytes) else new)

    # Lines

    @property
    def digest(self) -> str:
        """The change digest."""
        return self.forger.digest(self.changes)

    @property
    def path(self) -> str:
        """Where the record lies: under the year of its first event."""
        year = json.loads(self.lines[0])["at"][:4] if self.lines else stamp()[:4]
        return f"requests/{year}/{self.request}.jsonl"

    def event(self, action: str, signer: Signer, account: str | None = None, **more: Any) -> "Forgery":
        """Add a line; ``more`` adds and replaces fields (None: leaves out), ``namespace`` the signature's."""
        key, name = (signer.key, signer.name) if isinstance(signer, Person) else (signer, signer.stem)
        namespace = more.pop("namespace", "maa-gitops")
        if action == "submit":
            fields = self.forger.submit_fields(account or name, self.request, self.changes, **more)
        else:
            notes = {"notes": "No."} if action == "reject" else {}
            fields = self.forger.fields(
                action, account or name, self.request, **{"change": self.digest, **notes, **more}
            )
        previous = self.lines[-1] if self.lines else None
        self.lines.append(self.forger.line(key, fields, previous, namespace))
        return self

    def submit(self, signer: Signer, account: str | None = None, **more: Any) -> "Forgery":
        """Add a submit of the change."""
        return self.event("submit", signer, account, **more)

    def approve(self, signer: Signer, account: str | None = None, **more: Any) -> "Forgery":
        """Add an approval."""
        return self.event("approve", signer, account, **more)

    # The change branch

    def push(self, **more: Any) -> "Forgery":
        """Force the change branch to one commit with files and record; ``more`` goes to ``Forger.commit``."""
        record = {self.path: self.forger.record(*self.lines)} if self.lines else {}
        commit = self.forger.commit([self.start], {**self.files, **record}, **more)
        self.forger.push(commit, f"change/{self.request}", force=True)
        return self

    def check(self) -> Verdict:
        """Ask the gate, as somebody uninvolved."""
        answer = self.world.dave.maa("check", self.request, "--format", "json", code=None)
        return answer.code, answer.json["status"], answer.reasons

    def show(self) -> dict[str, Any]:
        """The request as anybody sees it."""
        return self.world.dave.show(self.request).json

    # The protected branch

    def land(self, files: Mapping[str, str | bytes | None] | None = None, **more: Any) -> str:
        """Push files and record straight to the protected branch with plumbing; returns the commit."""
        record = {self.path: self.forger.record(*self.lines)} if self.lines else {}
        tip = self.world.tip()
        commit = self.forger.commit([tip], {**(self.files if files is None else files), **record}, **more)
        self.forger.push(commit)
        return commit
