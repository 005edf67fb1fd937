"""The shipped workflows, run for real by act: a tenant from an empty repository to an applied request.

Real git over HTTP and SSH with rules as GitHub's rulesets have them, the fake of GitHub's API, the tool as the action
installs it.
"""

import os
import re
import subprocess
import sys
import tempfile
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
        (self.world.folder / "known_hosts").write_text(self.server.known_hosts)
        ssh = self.server.ssh_url.removesuffix("contoso/tenant.git")
        server = [f"--known-hosts={self.world.folder / 'known_hosts'}", f"--ssh-url={ssh}"]
        alice.git("switch", "-q", "--orphan", "main")
        with self.world.environment("alice"):
            os.environ["GITHUB_API_URL"] = self.fake.url
            from tests.support.world import run_maa

            answer = run_maa(
                "-C", str(alice.clone), "--key", str(alice.key), "init", "--tenant", "contoso", *accounts,
                "--admin=alice", "--admin=bob", f"--github={TOOL}@{PIN}", *keys, *logins, *server,
            )  # fmt: skip
        assert answer.code == 0, answer
        self.start = alice.git("rev-parse", "HEAD")
        alice.git("push", "-q", "origin", "main")

    def run(self, event: str, payload: Mapping[str, Any], workflow: str, *keys: str, branch: str = "main") -> Run:
        """Run one workflow of a branch as GitHub would, with the secrets of the environment that opens for it."""
        checkout = Path(tempfile.mkdtemp(prefix=f"{workflow}-", dir=self.world.folder)) / "checkout"
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
        body = next(one.body for one in self.fake.comments(number) if one.login == "github-actions[bot]")
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


def opened(stage: Stage, branch: str = "portal", files: Mapping[str, str] | None = None) -> int:
    """A pull request of alice's that the gate has looked at."""
    alice = stage.world.alice
    alice.change(branch, files or {APP: app()})
    alice.git("push", "-q", "origin", f"HEAD:refs/heads/change/{branch}")
    number = stage.fake.pull_request(f"change/{branch}", login("alice"), title=branch, body=BODY)
    assert stage.gate(number).exit_code == 0
    return number


FORGED = """\
name: maa review
on: {pull_request_review: {types: [submitted]}}
jobs:
  noted:
    runs-on: ubuntu-latest
    steps:
      - env: {TOKEN: "${{ github.token }}", HEAD: "${{ github.event.pull_request.head.sha }}"}
        run: |
          curl -sf -X POST -H "Authorization: Bearer $TOKEN" -H "User-Agent: x" -H "Content-Type: application/json" \\
            -d '{"state": "success", "context": "maa/approval", "description": "approved"}' \\
            "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/statuses/$HEAD"
"""


def test_g1_a_workflow_that_was_edited_on_the_change_branch_gains_nothing(stage: Stage) -> None:
    """It writes a green status with the job's own token; nothing is merged, and the next look turns it red again."""
    stage.found()
    number = opened(stage)
    assert stage.record_comment(number, "alice", f"/maa submit {stage.digest(number)}").exit_code == 0
    alice = stage.world.alice
    alice.git("pull", "-q", "origin", "change/portal")
    alice.commit({".github/workflows/maa-review.yml": FORGED})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/portal")
    review = stage.fake.review(number, login("carol"), "COMMENTED", "Hm.")
    payload = stage.fake.payload("pull_request_review.submitted", review=review)
    forged = stage.run("pull_request_review", payload, "maa-review", branch="change/portal")
    assert (forged.exit_code, stage.status("change/portal")) == (0, "success"), forged.lines[-20:]

    before = stage.world.tip()
    completed = stage.complete()
    assert (stage.world.tip(), stage.status("change/portal")) == (before, "failure"), completed.lines[-20:]


def test_g7_a_dispatch_from_the_change_branch_has_no_key(stage: Stage) -> None:
    """The environment does not open for it, so the recording fails and nothing is recorded."""
    stage.found()
    number = opened(stage)
    digest = stage.digest(number)
    stage.run_id = stage.fake.run(login("alice"), branch="change/portal")
    inputs = {"request": "portal", "action": "submit", "change": digest, "notes": ""}
    payload = stage.fake.payload("workflow_dispatch", inputs=inputs, ref="refs/heads/change/portal")
    run = stage.run("workflow_dispatch", payload, "maa-record", branch="change/portal")
    assert run.exit_code != 0
    assert stage.world.git(stage.world.server, "ls-tree", "-r", "--name-only", "change/portal", "requests") == ""


def test_content_swapped_between_the_comment_and_the_runner_is_not_signed(stage: Stage) -> None:
    """What is on the branch when the job runs is not what bob saw: his approval is not recorded for it."""
    stage.found()
    number = opened(stage)
    assert stage.record_comment(number, "alice", f"/maa submit {stage.digest(number)}").exit_code == 0
    approve = f"/maa approve {stage.digest(number)}"
    alice = stage.world.alice
    alice.git("pull", "-q", "origin", "change/portal")
    alice.commit({APP: app(description="Swapped.")})
    alice.git("push", "-q", "origin", "HEAD:refs/heads/change/portal")
    run = stage.record_comment(number, "bob", approve)
    assert any("refused: approve by bob: it is for another change" in line for line in run.lines), run.lines[-20:]
    assert stage.complete().exit_code == 0
    assert stage.world.dave.show("portal").json["merged"] is None


def test_the_merge_queue_takes_only_what_is_not_protected(stage: Stage) -> None:
    """The group's own check is green for documentation and red for an app."""
    stage.found()
    alice, base = stage.world.alice, stage.start
    results = []
    for branch, files in (("docs", {"README.md": "Hello.\n"}), ("app", {APP: app()})):
        alice.git("switch", "-q", "--detach", base)
        head = alice.commit(files)
        alice.git("push", "-q", "origin", f"HEAD:refs/heads/gh-readonly-queue/main/{branch}")
        payload = stage.fake.payload("merge_group.checks_requested")
        payload["merge_group"] |= {
            "base_sha": base, "head_sha": head, "head_ref": f"refs/heads/gh-readonly-queue/main/{branch}",
        }  # fmt: skip
        run = stage.run("merge_group", payload, "maa-merge-group", branch=f"gh-readonly-queue/main/{branch}")
        results.append(run.exit_code)
    assert results == [0, 1]


def test_what_is_not_protected_is_merged_and_the_night_job_tidies_up(stage: Stage) -> None:
    """Asked for with the head's digits, documentation is merged; a rejection is kept; the night job ends well."""
    stage.found()
    docs = opened(stage, "docs", {"README.md": "Hello.\n"})
    stage.fake.comment(docs, login("carol"), f"/maa merge {stage.world.tip('change/docs')}")
    number = opened(stage)
    assert stage.record_comment(number, "alice", f"/maa submit {stage.digest(number)}").exit_code == 0
    assert stage.record_comment(number, "bob", f"/maa reject {stage.digest(number)[:12]} No.").exit_code == 0
    completed = stage.complete()
    assert completed.exit_code == 0, completed.lines[-20:]
    assert stage.world.read("README.md") == "Hello.\n"
    assert stage.world.dave.show("portal").json["status"] == "rejected"
    assert '"action":"reject"' in stage.world.git(stage.world.server, "grep", "-h", "reject", "main", "--", "requests")
    night = stage.run("schedule", stage.fake.payload("push"), "maa-nightly", "maa-deployer", "push-key")
    assert night.exit_code == 0, night.lines[-20:]
