"""The usual tenant on GitHub: people with numbers there, an attestor and a deployer, and a runner's clone."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.forge import Forger
from tests.support.github import FakeGitHub
from tests.support.world import APP, Answer, Person, World, access_policy, account, app, run_maa

NUMBERS = {"alice": 583231, "bob": 583232, "carol": 583233, "dave": 583234}
"""The number of each person's account on GitHub; the login is the name with ``-hub``."""

SERVICES = {"maa-attestor": "attestor", "maa-deployer": "deployer"}
"""The service accounts, with their roles."""

JUSTIFICATION = "Version 11.2 fixes the enrolment loop."

BODY = f"Please.\r\n\r\n## Business justification\r\n\r\n{JUSTIFICATION}\r\n\r\n## Notes\r\n\r\nNone.\r\n"
"""A pull request's description, with the line ends that a browser sends."""


def login(name: str) -> str:
    """Somebody's login on GitHub."""
    return f"{name}-hub"


def on_github(name: str, public_key: str, roles: str, extra: str = "") -> str:
    """The text of the account of somebody who is on GitHub."""
    forge = f"github: {{login: {login(name)}, id: {NUMBERS[name]}}}\n"
    return account(name, public_key, roles=roles, extra=forge + extra)


def service(name: str, public_key: str, role: str) -> str:
    """The text of a service account."""
    return f'displayName: {name}\nkind: service\nroles: [{role}]\nsigningKeys: ["{public_key}"]\n'


def found_on_github(world: World, extra: Mapping[str, str] | None = None) -> None:
    """Found the tenant of a world anew, as one that is on GitHub."""
    files = {
        f"accounts/{name}.yaml": on_github(
            name, person.public_key, "" if name == "dave" else "intuneServiceAdministrator, deployer"
        )
        for name, person in world.people.items()
    }
    for name, role in SERVICES.items():
        files[f"accounts/{name}.yaml"] = service(name, world.key(name)[1], role)
    for policy, profile_type in {"apps": "app", "scripts": "script"}.items():
        files[f"policies/{policy}.yaml"] = access_policy(profile_type, "approvers", extra="attested: true\n")
    forger = Forger(world, world.alice)
    forger.refound({**files, **(extra or {})})
    for person in world.people.values():
        person.git("fetch", "-q", "origin")
        person.git("reset", "-q", "--hard", "origin/main")
    world.git(world.folder, "clone", "-q", str(world.server), str(world.folder / "runner"))


class Hub:
    """A world, the fake of GitHub around its server, and a job's runner."""

    def __init__(self, world: World, fake: FakeGitHub) -> None:
        """Bring the people of the world to the fake."""
        self.world = world
        self.fake = fake
        for name, number in NUMBERS.items():
            fake.user(login(name), id=number, permission="write")
        self.token = fake.actions_token()

    @property
    def runner(self) -> Path:
        """The clone in which jobs run."""
        return self.world.folder / "runner"

    def person(self, name: str) -> Person:
        """Somebody at a terminal."""
        return self.world.people[name]

    def key(self, name: str) -> Path:
        """The private key of a service account."""
        return self.world.folder / "keys" / name

    def maa(
        self,
        *arguments: str,
        key: str | None = "maa-attestor",
        event: str | None = None,
        payload: Path | None = None,
        code: int | None = 0,
        **more: str,
    ) -> Answer:
        """Run the command line as a job does."""
        variables = {
            "GITHUB_REPOSITORY": self.fake.repository,
            "GITHUB_API_URL": self.fake.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_TOKEN": self.token,
            **({"GITHUB_EVENT_NAME": event} if event is not None else {}),
            **({"GITHUB_EVENT_PATH": str(payload)} if payload is not None else {}),
            **more,
        }
        keyed = ("--key", str(self.key(key))) if key is not None else ()
        with self.world.environment("alice"):
            os.environ.update(variables)
            answer = run_maa("-C", str(self.runner), *keyed, *arguments)
        if code is not None:
            assert answer.code == code, f"maa {' '.join(arguments)}: {answer}"
        return answer

    # What people do

    def open(self, branch: str = "portal", author: str = "alice", files: Mapping[str, Any] | None = None) -> int:
        """Push a change branch and open its pull request; returns the number."""
        person = self.person(author)
        person.change(branch, files or {APP: app(description="New.")})
        person.git("push", "-q", "origin", f"HEAD:refs/heads/change/{branch}")
        return self.fake.pull_request(f"change/{branch}", login(author), title=f"Change {branch}", body=BODY)

    def digest(self, number: int) -> str:
        """The change digest, as the gate tells it."""
        found = self.gate(number)["change"]
        assert isinstance(found, str)
        return found.removeprefix("sha256:")

    def say(self, number: int, name: str, words: str, **more: Any) -> int:
        """Comment on a pull request."""
        return self.fake.comment(number, login(name), words, **more)

    # What jobs do

    def gate(self, number: int, code: int | None = 0) -> dict[str, Any]:
        """Judge a pull request; returns what the gate says of it."""
        answer = self.maa("github", "gate", "--pull-request", str(number), "--format", "json", key=None, code=code)
        found: dict[str, Any] = answer.json["pullRequests"][0]
        return found

    def record(self, number: int | None = None, code: int | None = 0) -> list[tuple[str | None, str, str | None]]:
        """Record what was said; returns action, outcome and code of what was not known before."""
        which = ("--pull-request", str(number)) if number is not None else ()
        answer = self.maa("github", "record", *which, "--format", "json", code=code)
        return [(one["action"], one["outcome"], one["code"]) for one in answer.json["heard"]]

    def complete(self, *named: str, code: int | None = 0) -> list[tuple[str, str]]:
        """Run the job that completes; returns what it did to what."""
        answer = self.maa("github", "complete", *named, "--format", "json", key="maa-deployer", code=code)
        return [(step["name"], step["outcome"]) for step in answer.json["steps"]]

    def submitted(self, branch: str = "portal", author: str = "alice", files: Mapping[str, Any] | None = None) -> int:
        """A pull request that its author has submitted with a comment; returns the number."""
        number = self.open(branch, author, files)
        self.say(number, author, f"/maa submit {self.digest(number)[:40]}")
        assert self.record(number) == [("submit", "recorded", None)]
        return number

    def status(self, number: int) -> tuple[str, str | None] | None:
        """State and description of our status on a pull request's head."""
        head = self.world.tip(self.branch(number))
        return self.fake.status_of(head, "maa/approval")

    def branch(self, number: int) -> str:
        """The branch of a pull request."""
        found: str = self.fake.pull_requests[number].branch
        return found

    def events(self, request: str = "portal") -> list[tuple[str | None, str, bool, str | None]]:
        """A request's events: account, action, whether it counts, who attested it."""
        shown = self.person("dave").show(request).json
        return [(e["account"], e["action"], e["counts"], e["attestedBy"]) for e in shown["events"]]
