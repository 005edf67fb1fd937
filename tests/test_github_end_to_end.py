"""The shipped workflows, run for real by act: a tenant from an empty repository to an applied request.

Real git over HTTP and SSH with rules as GitHub's rulesets have them, the fake of GitHub's API, the tool as the action
installs it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import APP, World, app
from tests.support.actions import Run, project, run_act
from tests.support.git_server import GitServer
from tests.support.github import FakeGitHub
from tests.support.on_github import BODY, NUMBERS, login

PIN = "0123456789abcdef0123456789abcdef01234567"
TOOL = "maa-gitops/maa-gitops"
REQUIREMENTS = Path(__file__).parent.parent / ".github" / "action" / "requirements.txt"


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project, as GitHub would fetch it."""
    return project(tmp_path_factory.mktemp("tool") / "tool")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the action installs, fetched once and held to the hashes, so that not every job has to."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    options = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(REQUIREMENTS)]
    done = subprocess.run([*pip, *options, "--dest", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Stage:
    """An organisation's repository on GitHub, and what its workflows come to."""

    def __init__(self, world: World, fake: FakeGitHub, server: GitServer, tool: Path, wheels: Path) -> None:
        """Give the jobs' token to both, and make the three keys that the environments hold."""
        self.world, self.fake, self.server, self.tool, self.wheels = world, fake, server, tool, wheels
        for name, number in NUMBERS.items():
            fake.user(login(name), id=number, permission="write")
        self.token = server.token("github-actions", write=False, known=fake.actions_token())
        self.keys = {name: world.key(name) for name in ("maa-attestor", "maa-deployer", "push-key")}
        server.allow("deploy-key", self.keys["push-key"][1], write=True)
        self.start = ""

    def found(self) -> None:
        """Make the tenant as docs/github.md says, and push it to the empty repository."""
        alice = self.world.alice
        public = {name: self.world.folder / "keys" / f"{name}.pub" for name in (*NUMBERS, *self.keys)}
        accounts = [f"--account={name}={public[name]}" for name in ("alice", "bob", "carol")]
        logins = [f"--login={name}={login(name)}" for name in ("alice", "bob", "carol")]
        keys = [f"--attestor-key={public['maa-attestor']}", f"--deployer-key={public['maa-deployer']}"]
        alice.git("switch", "-q", "--orphan", "main")
        with self.world.environment("alice"):
            os.environ["GITHUB_API_URL"] = self.fake.url
            from tests.support.world import run_maa

            answer = run_maa(
                "-C", str(alice.clone), "--key", str(alice.key), "init", "--tenant", "contoso", *accounts,
                "--admin=alice", "--admin=bob", f"--github={TOOL}@{PIN}", *keys, *logins,
            )  # fmt: skip
        assert answer.code == 0, answer
        self.start = alice.git("rev-parse", "HEAD")
        alice.git("push", "-q", "origin", "main")

    def run(self, event: str, payload: Mapping[str, Any], workflow: str, *keys: str, branch: str = "main") -> Run:
        """Run one workflow of a branch as GitHub would, with the secrets of the environment that opens for it."""
        checkout = self.world.folder / "actions" / f"{workflow}-{len(self.fake.requests)}"
        self.world.git(self.world.folder, "clone", "-q", "-b", branch, str(self.world.server), str(checkout))
        secrets = {name: self.keys[key][0].read_text() for name, key in SECRETS.items() if key in keys}
        run_id = payload.get("workflow_run", {}).get("id", 1) if event == "workflow_run" else self.run_id
        return run_act(
            checkout,
            event,
            payload,
            folder=self.world.folder / "act",
            server_url=self.server.server_url,
            api_url=self.fake.url,
            run_id=run_id,
            token=self.token,
            workflows=f".github/workflows/{workflow}.yml",
            secrets=secrets,
            variables={
                "MAA_TRUSTED_START": self.start,
                "MAA_KNOWN_HOSTS": self.server.known_hosts,
                "MAA_SSH_URL": self.server.ssh_url.removesuffix("contoso/tenant.git"),
            },
            environment={
                "MAA_TEST_TOOL": str(self.tool),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.wheels),
            },
            actions={TOOL: self.tool},
        )

    run_id = 1

    def gate(self, number: int, event: str = "pull_request.opened") -> Run:
        """GitHub starts the gate, in the version of the protected branch."""
        return self.run("pull_request_target", self.fake.payload(event, number=number), "maa-gate")

    def record_comment(self, number: int, name: str, words: str) -> Run:
        """Somebody comments, and GitHub starts the recording."""
        comment = self.fake.comment(number, login(name), words)
        payload = self.fake.payload("issue_comment.created", comment=comment)
        return self.run("issue_comment", payload, "maa-record", "maa-attestor", "push-key")

    def after(self, workflow: str, *keys: str) -> Run:
        """Another workflow has ended, and GitHub starts the one that follows."""
        run = self.fake.run(login("alice"), event="pull_request_review")
        return self.run("workflow_run", self.fake.payload("workflow_run.completed", run=run), workflow, *keys)

    def complete(self) -> Run:
        """GitHub starts the job that merges and applies."""
        return self.after("maa-complete", "maa-deployer", "push-key")

    def status(self, branch: str) -> str | None:
        """The state of our status on a branch's head."""
        found = self.fake.status_of(self.world.tip(branch), "maa/approval")
        return found[0] if found is not None else None

    def digest(self, number: int) -> str:
        """The digits of the change digest, out of the comment that the tool keeps."""
        body = next(comment.body for comment in self.fake.comments(number) if comment.login == "github-actions[bot]")
        found = re.search(r"^/maa [a-z]+ ([0-9a-f]{40})", body, re.MULTILINE)
        assert found is not None, body
        return found[1]


SECRETS = {"MAA_ATTESTOR_KEY": "maa-attestor", "MAA_DEPLOYER_KEY": "maa-deployer", "MAA_PUSH_KEY": "push-key"}


@pytest.fixture
def stage(tmp_path: Path, tool: Path, wheels: Path) -> Iterator[Stage]:
    """An empty repository on GitHub, and people around it."""
    folder = tmp_path / "world"
    folder.mkdir()
    world = World(folder)
    for name in NUMBERS:
        world.person(name)
    with (
        GitServer(world.server, folder / "git-server", local_rules=False) as server,
        FakeGitHub(git_dir=world.server) as fake,
    ):
        yield Stage(world, fake, server, tool, wheels)
        assert fake.violations == []


def test_from_an_empty_repository_to_an_applied_request(stage: Stage) -> None:
    """A pull request is opened, submitted, reviewed, green, completed and applied, all by the shipped workflows."""
    stage.found()
    alice = stage.world.alice
    alice.change("portal", {APP: app()})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/portal")
    number = stage.fake.pull_request("change/portal", login("alice"), title="Company Portal", body=BODY)

    opened = stage.gate(number)
    assert opened.results["gate/gate/gate"] == "success", opened.lines[-20:]
    assert stage.status("change/portal") == "pending"
    assert "/maa submit" in opened.job("gate/gate/gate").summary

    submitted = stage.record_comment(number, "alice", f"/maa submit {stage.digest(number)}")
    assert submitted.exit_code == 0, submitted.lines[-20:]
    assert stage.status("change/portal") == "pending"

    stage.fake.review(number, login("bob"), "APPROVED", "Checked.")
    reviewed = stage.after("maa-record", "maa-attestor", "push-key")
    assert reviewed.exit_code == 0, reviewed.lines[-20:]
    assert stage.status("change/portal") == "success", reviewed.lines[-20:]

    completed = stage.complete()
    assert completed.exit_code == 0, completed.lines[-20:]
    shown = stage.world.dave.show("portal").json
    assert shown["status"] == "completed"
    assert [(e["account"], e["action"], e["attestedBy"]) for e in shown["events"]] == [
        ("alice", "submit", "maa-attestor"),
        ("bob", "approve", "maa-attestor"),
        ("maa-deployer", "complete", None),
    ]
    assert stage.fake.pull_requests[number].merged_at is not None
    assert stage.world.dave.maa("verify", "--from", stage.start).code == 0
