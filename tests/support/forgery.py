"""A whole request made by hand, its lines, its change branch and its landing; and what the tool says of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.forge import Forger, stamp
from tests.support.world import APP, Person, World, app

Files = Mapping[str, str | None]
"""Texts by path; None: delete."""

Signer = Person | Path
"""Whose key signs: somebody's, or a key file that is nobody's."""

Verdict = tuple[int, str | None, list[str]]
"""What ``check`` says: exit code, status, reason codes."""

APPROVED: Verdict = (0, "approved", ["awaitingCompletion"])


class Forgery:
    """A request on ``change/<request>`` that our own tool had no part in; ``lines`` may be changed before a push."""

    def __init__(self, forger: Forger, request: str = "forged", files: Files | None = None) -> None:
        """Make a change of the files against the server's main; by default an edit of the app."""
        self.forger = forger
        self.world = forger.world
        self.request = request
        self.files = dict(files or {APP: app(description="New.")})
        self.start = self.world.tip()
        self.changes = [forger.change(path, self._old(path), new) for path, new in sorted(self.files.items())]
        self.lines: list[bytes] = []

    def _old(self, path: str) -> str | None:
        server = self.world.server
        there = self.world.git(server, "ls-tree", self.start, "--", path)
        return self.world.git(server, "cat-file", "blob", f"{self.start}:{path}") + "\n" if there else None

    @classmethod
    def honest(cls, forger: Forger, files: Files | None = None, request: str = "honest") -> "Forgery":
        """The control of an attack: the same request unforged, submitted by alice, approved by bob, is approved."""
        made = cls(forger, request, files).submit(forger.world.alice).approve(forger.world.bob).push()
        assert made.check() == APPROVED
        return made

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
        """Add a line; ``more`` adds and replaces fields (None: leaves out), ``namespace`` is the signature's."""
        key, name = (signer.key, signer.name) if isinstance(signer, Person) else (signer, signer.stem)
        namespace, request = more.pop("namespace", "maa-gitops"), more.pop("request", self.request)
        if action == "submit":
            changes = more.pop("changes", self.changes)
            fields = self.forger.submit_fields(account or name, request, changes, **more)
        else:
            usual = {"change": self.digest, **({"notes": "No."} if action == "reject" else {})}
            fields = self.forger.fields(action, account or name, request, **{**usual, **more})
        previous = self.lines[-1] if self.lines else None
        self.lines.append(self.forger.line(key, fields, previous, namespace))
        return self

    def submit(self, signer: Signer, account: str | None = None, **more: Any) -> "Forgery":
        """Add a submit of the change."""
        return self.event("submit", signer, account, **more)

    def approve(self, signer: Signer, account: str | None = None, **more: Any) -> "Forgery":
        """Add an approval."""
        return self.event("approve", signer, account, **more)

    def complete(self, signer: Signer, account: str | None = None, **more: Any) -> "Forgery":
        """Add a completion."""
        return self.event("complete", signer, account, **more)

    def _content(self) -> dict[str, str | bytes | None]:
        return {**self.files, **({self.path: self.forger.record(*self.lines)} if self.lines else {})}

    # Where it goes

    def push(self, **more: Any) -> "Forgery":
        """Force the change branch to one commit with files and record; ``more`` goes to ``Forger.commit``."""
        commit = self.forger.commit([self.start], self._content(), **more)
        self.forger.push(commit, f"change/{self.request}", force=True)
        return self

    def land(self, **more: Any) -> str:
        """Push files and record straight to the protected branch; returns the commit."""
        commit = self.forger.commit([self.world.tip()], self._content(), **more)
        self.forger.push(commit)
        return commit

    # What the tool says

    def check(self) -> Verdict:
        """Ask the gate, as somebody uninvolved."""
        answer = self.world.dave.maa("check", self.request, "--format", "json", code=None)
        return answer.code, answer.json["status"], answer.reasons

    def show(self) -> dict[str, Any]:
        """The request as anybody sees it."""
        return self.world.dave.show(self.request).json

    def worth(self) -> list[tuple[str | None, bool, str | None]]:
        """What each line came to: whose it is, whether it counts, why not."""
        return [(event["account"], event["counts"], event["code"]) for event in self.show()["events"]]


def verified(world: World) -> tuple[int, list[str]]:
    """What ``verify`` says: exit code, and the codes of all violations, healed ones too."""
    answer = world.dave.maa("verify", "--format", "json", code=None)
    return answer.code, [violation["code"] for violation in answer.json["violations"]]


def applied(world: World) -> tuple[int, str | None]:
    """What ``apply`` says to a deployer: exit code and the code of the error, if there is one."""
    answer = world.bob.maa("apply", "--format", "json", code=None)
    return answer.code, answer.json.get("error", {}).get("code")


def refused_until_healed(forger: Forger, good: str) -> tuple[list[str], str]:
    """Hold that the tip is refused, not applied, and healed by putting the good commit's files back.

    Returns the codes of the violations that were not healed before, and the message of the first of them.
    """
    world = forger.world
    found = world.dave.maa("verify", "--format", "json", code=3).json["violations"]
    fresh = [violation for violation in found if violation["healedBy"] is None]
    assert applied(world) == (3, fresh[0]["code"])
    forger.push(forger.commit([world.tip()], {}, tree_of=good))
    assert verified(world) == (0, [violation["code"] for violation in found])
    return [violation["code"] for violation in fresh], fresh[0]["message"]
