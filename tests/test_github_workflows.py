"""The shipped workflows and the action, read as a stranger would: linters, pins, triggers, keys, permissions."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_starter_github import empty, found

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
TEMPLATES = sorted((ROOT / "maa_gitops" / "starter" / "templates").glob("*.yml"))
OURS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted((ROOT / ".github" / "action").glob("*.sh"))
KEYED = {"maa-record": {"MAA_ATTESTOR_KEY", "MAA_PUSH_KEY"}, "maa-complete": {"MAA_DEPLOYER_KEY", "MAA_PUSH_KEY"},
         "maa-nightly": {"MAA_PUSH_KEY"}}  # fmt: skip
MAY_HOLD_KEYS = {"issue_comment", "workflow_run", "workflow_dispatch", "schedule"}
"""Events whose jobs run the protected branch's workflow, so that an environment limited to that branch opens."""

__all__ = ["empty"]


def run(*command: str | Path, cwd: Path = ROOT) -> tuple[int, str]:
    """Run a linter; returns its exit code and all that it says."""
    environment = {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def read(path: Path) -> dict[Any, Any]:
    """A workflow's document."""
    plain: dict[Any, Any] = yaml.safe_load(path.read_text())
    return plain


def triggers(path: Path) -> set[str]:
    """The events that start a workflow; YAML 1.1 takes the key for a truth value."""
    return set(read(path)[True])


@pytest.fixture
def tenant(empty: Any) -> Path:
    """A tenant repository as ``init --github`` makes it."""
    found(empty)
    clone: Path = empty.alice.clone
    return clone


@pytest.mark.parametrize("where", ["ours", "tenant"])
def test_actionlint_is_clean(where: str, tenant: Path) -> None:
    """Neither our workflows nor those of a tenant have a fault that actionlint knows, shell scripts included."""
    folder = ROOT if where == "ours" else tenant
    files = sorted((folder / ".github" / "workflows").glob("*.yml"))
    assert run(TOOLS / "actionlint", "-no-color", *files, cwd=folder) == (0, "")


@pytest.mark.parametrize("where", ["ours", "tenant"])
def test_zizmor_is_clean(where: str, tenant: Path) -> None:
    """Neither our workflows and action nor those of a tenant have a weakness that zizmor knows."""
    folder = ROOT if where == "ours" else tenant
    paths = [folder / ".github", *([folder / "action.yml"] if where == "ours" else [])]
    code, said = run(TOOLS / "zizmor", "--offline", "--no-progress", "--strict-collection", *paths, cwd=folder)
    assert (code, "No findings to report" in said) == (0, True), said


def test_the_documents_are_as_github_publishes_their_schemas(tenant: Path) -> None:
    """Workflows and action hold to the schemas of workflows and actions."""
    checker = TOOLS / "check-jsonschema"
    workflows = [*OURS, *sorted((tenant / ".github" / "workflows").glob("*.yml"))]
    assert run(checker, "--builtin-schema", "vendor.github-workflows", *workflows)[0] == 0
    assert run(checker, "--builtin-schema", "vendor.github-actions", ROOT / "action.yml")[0] == 0


def test_shellcheck_is_clean() -> None:
    """The action's scripts have no fault that shellcheck knows."""
    assert SCRIPTS
    assert run(TOOLS / "shellcheck", *SCRIPTS) == (0, "")


@pytest.mark.parametrize("path", [*OURS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_g3_every_action_is_pinned_by_commit(path: Path) -> None:
    """A tag can be moved to other code; a commit cannot. What lies in the workspace came by such a pin."""
    uses = re.findall(r"(?<!\w)uses: (\S+)", path.read_text())
    assert [use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}|\./\.maa-gitops", use)] == []


@pytest.mark.parametrize("path", [*OURS, *TEMPLATES, ROOT / "action.yml"], ids=lambda path: path.name)
def test_g2_no_text_of_anybody_reaches_a_script(path: Path) -> None:
    """Scripts hold no expression at all: titles, names and inputs reach them through the environment."""
    scripts = re.findall(r"(?<!\w)run: (\|?.*(?:\n {10,}.*)*)", path.read_text())
    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_g7_keys_are_only_where_the_protected_branch_decides(path: Path) -> None:
    """A job that holds a key names an environment, and is started only by events that run that branch's file."""
    named = set(re.findall(r"secrets\.(\w+)", path.read_text()))
    assert named == KEYED.get(path.stem, set())
    jobs = read(path)["jobs"].values()
    assert [job.get("environment") is not None for job in jobs] == [bool(named)]
    if named:
        assert triggers(path) <= MAY_HOLD_KEYS


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_g1_nothing_is_checked_out(path: Path) -> None:
    """No workflow of a tenant checks anything out: a job has one step, the action, which clones without files."""
    text = path.read_text()
    assert "actions/checkout" not in text
    assert "--bare" in (ROOT / ".github" / "action" / "run.sh").read_text()
    assert "head_ref" not in text
    assert "pull_request.head" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_what_trust_rests_on_is_no_variable_of_the_repository(path: Path) -> None:
    """Whoever may write can set variables: where to push, whose host keys and where trust begins are in the file."""
    assert "vars." not in path.read_text()


@pytest.mark.parametrize("path", [*TEMPLATES, *OURS], ids=lambda path: path.name)
def test_g5_rights_are_given_by_job(path: Path) -> None:
    """Nothing is allowed at the top; nothing may write contents, for pushes are the deploy key's."""
    plain = read(path)
    assert plain["permissions"] == {}
    for job in plain["jobs"].values():
        assert job["permissions"].get("contents", "read") == "read"


@pytest.mark.parametrize("path", [p for p in TEMPLATES if "merge_group" in triggers(p) or "pull_request_review" in
                                  triggers(p)], ids=lambda path: path.name)  # fmt: skip
def test_g1_what_runs_the_changes_version_may_only_read(path: Path) -> None:
    """A workflow that anybody can edit on a branch holds no key and has no right to write anything."""
    assert "secrets." not in path.read_text()
    for job in read(path)["jobs"].values():
        assert set(job["permissions"].values()) <= {"read"}


@pytest.mark.parametrize("path", [*TEMPLATES, *OURS, ROOT / "action.yml"], ids=lambda path: path.name)
def test_g4_there_is_no_cache(path: Path) -> None:
    """Nothing that a change's workflow could have put into a cache is ever used."""
    text = path.read_text()
    assert re.findall(r"actions/cache|cache: ", text) == []
    if path in TEMPLATES:
        assert read(path)["cache-mode"] == "none"


def test_g9_the_action_passes_inputs_through_the_environment() -> None:
    """Each script of the action gets what it needs as variables, and no GITHUB_ENV is written."""
    plain = read(ROOT / "action.yml")
    for step in plain["runs"]["steps"]:
        assert re.fullmatch(r'bash "\$MAA_ACTION_PATH/\.github/action/\w+\.sh"', step["run"])
    assert all("GITHUB_ENV" not in script.read_text() for script in SCRIPTS)


def test_the_action_installs_what_the_package_needs() -> None:
    """Every dependency is in the action's lock, pinned and with hashes."""
    lock = (ROOT / ".github" / "action" / "requirements.txt").read_text()
    pinned = {name.lower() for name in re.findall(r"^([\w-]+)==", lock, re.MULTILINE)}
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("[project.optional-dependencies]")]
    needed = {name.lower() for name in re.findall(r'"([\w-]+)>=', block)}
    assert needed <= pinned
    blocks = re.split(r"\n(?=\S)", lock.strip())
    assert all("--hash=sha256:" in block for block in blocks)
