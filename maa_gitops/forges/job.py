"""A job of GitHub Actions: what it is told through the environment, and how it answers.

Of an event's payload only ids are read. What people wrote is escaped, so that no text of theirs can be an instruction
to the runner.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maa_gitops.errors import RepositoryError
from maa_gitops.model import Level, Problem

PUBLIC_API = "https://api.github.com"
PUBLIC_SERVER = "https://github.com"

_PAYLOAD_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """The variables of one job; outside of Actions most of them are None. ``inputs`` are a dispatch's own, by name.

    ``ids`` are the numbers of an event's pull request, comment and run.
    """

    repository: str | None
    api_url: str
    server_url: str
    token: str | None
    proxy: str | None = None
    event: str | None = None
    run: int | None = None
    pull_request: int | None = None
    inputs: Mapping[str, str] | None = None
    output: Path | None = None
    summary: Path | None = None
    actions: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Job":
        """Read the variables and the ids of the payload.

        Raises:
            RepositoryError: ``badEvent``, the payload cannot be read.
        """
        event = environment.get("GITHUB_EVENT_NAME") or None
        payload = _payload(environment.get("GITHUB_EVENT_PATH")) if event is not None else {}
        run = environment.get("GITHUB_RUN_ID", "")
        return cls(
            repository=environment.get("GITHUB_REPOSITORY") or None,
            api_url=environment.get("GITHUB_API_URL") or PUBLIC_API,
            server_url=environment.get("GITHUB_SERVER_URL") or PUBLIC_SERVER,
            token=environment.get("GITHUB_TOKEN") or environment.get("GH_TOKEN") or None,
            proxy=environment.get("HTTPS_PROXY") or environment.get("https_proxy") or None,
            event=event,
            run=int(run) if re.fullmatch(r"[0-9]{1,18}", run) else None,
            pull_request=_pull_request(payload),
            inputs=_inputs(payload) if event == "workflow_dispatch" else None,
            output=_path(environment, "GITHUB_OUTPUT"),
            summary=_path(environment, "GITHUB_STEP_SUMMARY"),
            actions=environment.get("GITHUB_ACTIONS") == "true",
        )

    @property
    def run_url(self) -> str | None:
        """Where people see this run."""
        if self.run is None or self.repository is None:
            return None
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run}"

    def put_out(self, outputs: Mapping[str, str]) -> None:
        """Set the step's outputs; no value can pass for another output."""
        if self.output is None:
            return
        with self.output.open("a", encoding="utf-8") as file:
            for name, value in outputs.items():
                end = f"end-{secrets.token_hex(16)}"
                file.write(f"{name}<<{end}\n{value}\n{end}\n")

    def summarize(self, markdown: str) -> None:
        """Add to the job's summary."""
        if self.summary is not None:
            with self.summary.open("a", encoding="utf-8") as file:
                file.write(markdown + "\n")


def announcements(problems: Sequence[Problem]) -> Iterator[str]:
    """Problems as workflow commands, which GitHub shows at file and line."""
    for problem in problems:
        kind = "error" if problem.level is Level.ERROR else "warning"
        place = {"file": problem.path, "line": problem.line, "col": problem.column, "title": problem.code}
        where = ",".join(f"{name}={_property(str(value))}" for name, value in place.items() if value)
        yield f"::{kind} {where}::{_data(problem.message)}"


def _data(text: str) -> str:
    """Escape what a workflow command says. Source: GitHub's toolkit for actions, commands."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None


def _payload(named: str | None) -> Mapping[str, object]:
    if not named:
        return {}
    try:
        data = Path(named).read_bytes()
        plain = json.loads(data) if len(data) <= _PAYLOAD_LIMIT else None
    except (OSError, ValueError, RecursionError) as error:
        raise RepositoryError(f"the event's payload cannot be read: {error}", code="badEvent") from error
    if not isinstance(plain, dict):
        raise RepositoryError("the event's payload is no JSON object", code="badEvent")
    return plain


def _pull_request(payload: Mapping[str, object]) -> int | None:
    """The number of the pull request that an event is about; None: it is about none, or about several."""
    found = payload.get("pull_request")
    issue = payload.get("issue")
    if found is None and isinstance(issue, dict) and issue.get("pull_request") is not None:
        found = issue
    number = found.get("number") if isinstance(found, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _inputs(payload: Mapping[str, object]) -> Mapping[str, str]:
    """What was typed into the form of a dispatch: by the person who started the run, whom the API names."""
    found = payload.get("inputs")
    plain = found if isinstance(found, dict) else {}
    return {str(name): value for name, value in plain.items() if isinstance(value, str) and value.strip()}
