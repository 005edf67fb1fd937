"""Other people's clients for Graph, in their own environment: started here, spoken to, ended."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.graph import Graph

Json = Any

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".oracles" / "bin" / "python"


def _command(module: str, *arguments: str) -> list[str]:
    if not (ROOT / ".oracles" / ".ready").exists():
        pytest.fail("the environment of other people's clients is missing: run .ci/oracles", pytrace=False)
    return [str(PYTHON), "-m", f"tests.oracles.{module}", *arguments]


def _environment(home: str) -> dict[str, str]:
    """An environment that reaches nothing of the developer's own, and no proxy."""
    return {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "NO_PROXY": "*"}


@dataclass(frozen=True)
class Microsoft:
    """Microsoft's client, in a process that lives as long as it has more to tell: to start it takes seconds."""

    process: subprocess.Popen[str]

    def tell(self, graph: Graph, story: str, *, identity: str = "local", **given: Json) -> Json:
        """Let it do something with a served Graph in somebody's name; gives what came of it."""
        asked = {"url": graph.url, "story": story, "identity": identity, **given}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or '{"trouble": "it has ended"}')
        assert "trouble" not in answer, answer["trouble"]
        return answer["told"]


@contextmanager
def microsoft() -> Iterator[Microsoft]:
    """Start Microsoft's client; it ends when the block does."""
    with (
        TemporaryDirectory() as home,
        subprocess.Popen(
            _command("microsoft"),
            cwd=ROOT,
            env=_environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        yield Microsoft(process)


def back_up(graph: Graph, folder: Path, output: str, *more: str) -> str:
    """Let IntuneCD back up a served tenant into a folder; gives what it says."""
    folder.mkdir()
    arguments = ("--mode", "1", "--token", "alice", "--output", output, "--path", str(folder), "--exit-on-error")
    with TemporaryDirectory() as home:
        done = subprocess.run(
            _command("intunecd", graph.url.removesuffix("/beta"), *arguments, *more),
            cwd=ROOT,
            env=_environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
