"""A small world: a bare server, people with keys and clones, and the command line in each clone."""

import contextlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maa_gitops.cli import main

APP = "resources/apps/company-portal.yaml"

PEOPLE = ("alice", "bob", "carol", "dave")
"""alice, bob and carol are administrators, deployers and approvers; dave is a person without role or group."""


@dataclass(frozen=True)
class Answer:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The answer as JSON."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def reasons(self) -> list[str]:
        """The reason codes of a request."""
        return [reason["code"] for reason in self.json["reasons"]]

    @property
    def error(self) -> dict[str, Any]:
        """The error of a refused command that was asked for JSON."""
        found: dict[str, Any] = self.json["error"]
        return found


def settings(extra: str = "") -> str:
    """The text of maa.yaml."""
    return f"version: 1\ntenant: contoso\nprotectedBranch: main\ntargets:\n  local: {{provider: local}}\n{extra}"


def account(name: str, *keys: str, roles: str = "", extra: str = "") -> str:
    """The text of an account's file."""
    quoted = ", ".join(f'"{key}"' for key in keys)
    return (
        f"displayName: {name.capitalize()}\nuserPrincipalName: {name}@contoso.com\nroles: [{roles}]\n"
        f"signingKeys: [{quoted}]\n{extra}"
    )


def group(*members: str) -> str:
    """The text of an approver group's file."""
    return f"displayName: Approvers\nmembers: [{', '.join(members)}]\n"


def access_policy(profile_type: str, *groups: str, required: int = 1, extra: str = "") -> str:
    """The text of an access policy's file."""
    return (
        f"displayName: Protect {profile_type}\nprofileType: {profile_type}\n"
        f"approverGroups: [{', '.join(groups)}]\nrequiredApprovals: {required}\n{extra}"
    )


def app(name: str = "Company Portal", description: str = "Apps for work.", extra: str = "") -> str:
    """The text of an app's document."""
    return (
        f"type: winGetApp\ndisplayName: {name}\ndescription: {description}\npublisher: Microsoft Corporation\n"
        f"packageIdentifier: 9WZDNCRFJ3PZ\ninstallExperience: {{runAsAccount: system}}\n{extra}"
    )


@dataclass(frozen=True)
class Person:
    """Somebody with a key and a clone of the server's repository."""

    name: str
    key: Path
    public_key: str
    clone: Path
    world: "World" = field(repr=False)

    def git(self, *arguments: str, check: bool = True, data: bytes | None = None) -> str:
        """Run git in the clone; returns what it prints."""
        return self.world.git(self.clone, *arguments, check=check, data=data, person=self.name)

    def maa(self, *arguments: str, code: int | None = 0) -> Answer:
        """Run the command line in the clone; ``code`` is the exit code that is expected, None: any."""
        with self.world.environment(self.name):
            answer = run_maa("-C", str(self.clone), "--key", str(self.key), *arguments)
        if code is not None:
            assert answer.code == code, f"maa {' '.join(arguments)}: {answer}"
        return answer

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file in the clone."""
        place = self.clone / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)

    def change(self, branch: str, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Commit files (None: delete) on a fresh change branch from the server's main; returns the commit."""
        self.git("fetch", "-q", "origin")
        self.git("switch", "-q", "-C", f"change/{branch}", "--no-track", "origin/main")
        return self.commit(files, message)

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Commit files on the branch that is checked out."""
        for path, text in files.items():
            if text is None:
                (self.clone / path).unlink()
            else:
                self.write(path, text)
        self.git("add", "--all", *files)
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def submitted(self, branch: str, files: Mapping[str, str | bytes | None], text: str = "Wanted.") -> str:
        """Commit files on a fresh change branch and submit it; returns the id."""
        self.change(branch, files)
        self.maa("submit", "-m", text)
        return branch.replace("/", "-").lower()

    def show(self, request: str) -> Answer:
        """The request as JSON."""
        return self.maa("show", request, "--format", "json")


def run_maa(*arguments: str) -> Answer:
    """Run the command line in this process, as its entry point does."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as left:
            code = left.code
    assert isinstance(code, int)
    return Answer(code, out.getvalue(), err.getvalue())


class World:
    """A server with a tenant on it, and people around it."""

    def __init__(self, folder: Path) -> None:
        """Make keys and an empty server below the folder."""
        self.folder = folder
        self.server = folder / "server.git"
        (folder / "home" / ".ssh").mkdir(parents=True)
        self.people: dict[str, Person] = {}
        self.git(folder, "init", "-q", "--bare", "-b", "main", str(self.server))

    def git(
        self, place: Path, *arguments: str, check: bool = True, data: bytes | None = None, person: str = "alice"
    ) -> str:
        """Run git somewhere; returns what it prints, without the last line feed."""
        done = subprocess.run(
            ["git", "-C", str(place), *arguments],
            input=data,
            capture_output=True,
            env=self.variables(person),
            check=False,
        )
        if check:
            assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr.decode()}"
        return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    def variables(self, person: str = "alice") -> dict[str, str]:
        """An environment that reaches nothing of the developer's own."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": person.capitalize(),
            "GIT_AUTHOR_EMAIL": f"{person}@contoso.com",
            "GIT_COMMITTER_NAME": person.capitalize(),
            "GIT_COMMITTER_EMAIL": f"{person}@contoso.com",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
        }

    @contextlib.contextmanager
    def environment(self, person: str) -> Iterator[None]:
        """Put the process into a person's environment for a while."""
        before, now = dict(os.environ), self.variables(person)
        os.environ.clear()
        os.environ.update(now)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    def key(self, name: str, kind: str = "ed25519") -> tuple[Path, str]:
        """Make a key; returns its private file and its public line without comment."""
        path = self.folder / "keys" / name
        path.parent.mkdir(exist_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True, capture_output=True
        )
        return path, path.with_suffix(".pub").read_text().strip()

    def person(self, name: str) -> Person:
        """Make somebody with a key and a clone."""
        key, public = self.key(name)
        clone = self.folder / name
        self.git(self.folder, "clone", "-q", str(self.server), str(clone))
        self.git(clone, "config", "maa.protectedBranch", "main")
        self.people[name] = Person(name, key, public, clone, self)
        return self.people[name]

    def found(self, files: Mapping[str, str]) -> str:
        """Push the first commit to the server, with plain git; returns it."""
        first = next(iter(self.people.values()))
        first.git("switch", "-q", "--orphan", "main")
        commit = first.commit(files, "Found the tenant")
        first.git("push", "-q", "origin", "main")
        for person in self.people.values():
            person.git("fetch", "-q", "origin")
            person.git("switch", "-q", "-C", "main", "--track", "origin/main")
        return commit

    def tip(self, branch: str = "main") -> str:
        """The server's commit of a branch."""
        return self.git(self.server, "rev-parse", f"refs/heads/{branch}")

    def read(self, path: str, revision: str = "refs/heads/main") -> str:
        """A file on the server."""
        return self.git(self.server, "show", f"{revision}:{path}") + "\n"

    @classmethod
    def with_tenant(cls, folder: Path, extra: Mapping[str, str] | None = None) -> "World":
        """Make the usual tenant: one approver out of alice, bob, carol for everything."""
        world = cls(folder)
        for name in PEOPLE:
            world.person(name)
        roles = "intuneServiceAdministrator, deployer"
        files = {
            "maa.yaml": settings(),
            "groups/approvers.yaml": group("alice", "bob", "carol"),
            "policies/apps.yaml": access_policy("app", "approvers"),
            "policies/scripts.yaml": access_policy("script", "approvers"),
            "policies/access-policies.yaml": access_policy("accessPolicy", "approvers"),
            APP: app(),
        }
        for person in world.people.values():
            held = "" if person.name == "dave" else roles
            files[f"accounts/{person.name}.yaml"] = account(person.name, person.public_key, roles=held)
        world.found({**files, **(extra or {})})
        return world

    @classmethod
    def copied(cls, source: Path, folder: Path) -> "World":
        """Copy a whole world, so that each test has its own; the clones' remote is the copy's server."""
        shutil.copytree(source, folder, symlinks=True)
        world = cls.__new__(cls)
        world.folder, world.server, world.people = folder, folder / "server.git", {}
        for key in sorted((folder / "keys").glob("*.pub")):
            clone = folder / key.stem
            if clone.is_dir():
                config = clone / ".git" / "config"
                config.write_text(config.read_text().replace(str(source), str(folder)))
                private = key.with_suffix("")
                world.people[key.stem] = Person(key.stem, private, key.read_text().strip(), clone, world)
        return world

    @property
    def alice(self) -> Person:
        """The one who usually asks."""
        return self.people["alice"]

    @property
    def bob(self) -> Person:
        """The one who usually approves."""
        return self.people["bob"]

    @property
    def carol(self) -> Person:
        """Another approver."""
        return self.people["carol"]

    @property
    def dave(self) -> Person:
        """A person in no group and without role."""
        return self.people["dave"]
