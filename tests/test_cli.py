"""The command line's contract: options, streams, exit codes, JSON shapes, help, completion."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from maa_gitops.cli.main import SECTIONS, cli
from tests.generate_docs import commands_page
from tests.support import APP, Person, World, access_policy, app, group
from tests.support.process import COMMAND, run_at_terminal, run_process, variables
from tests.support.world import run_maa

OTHER = "resources/apps/other.yaml"
EVERY_COMMAND = [name for names in SECTIONS.values() for name in names]
DOCUMENTED = {
    "init", "demo", "validate", "explain", "submit", "requests", "show", "diff", "approve", "reject", "withdraw",
    "cancel", "check", "merge", "complete", "archive", "revert", "plan", "apply", "drift", "tenant", "verify", "audit",
    "schema",
}  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A tenant with a completed, a rejected and a waiting request; for tests that only read."""
    world = World.with_tenant(
        tmp_path_factory.mktemp("story") / "world",
        {
            "groups/zulu.yaml": group("carol", "bob"),
            "policies/apps.yaml": access_policy("app", "zulu", "approvers"),
            "policies/a-finance.yaml": access_policy("app", "approvers", extra='scope: ["company-*"]\n'),
        },
    )
    files = {APP: app(description="New."), "resources/apps/a.yaml": app("A"), "resources/scripts/readme.md": "x\n"}
    done = world.alice.submitted("done", {**files, "notes.txt": "beside it\n"}, "Version 11.2.")
    world.bob.maa("approve", done, "-m", "Checked.")
    world.bob.maa("complete", done)
    refused = world.bob.submitted("refused", {OTHER: app("Other")})
    world.carol.maa("reject", refused, "-m", "Not now.")
    world.alice.submitted("waiting", {OTHER: app("Other"), APP: app(description="Newer.")})
    return world


# --- options ---------------------------------------------------------------------------------------------------------


def test_format_and_key_go_before_or_after_the_command(story: World) -> None:
    """``--format`` and ``--key`` mean the same in both places; the later one wins."""
    carol, dave = str(story.carol.key), str(story.dave.key)

    def account(*arguments: str) -> str:
        with story.environment("dave"):
            answer = run_maa("-C", str(story.dave.clone), *arguments)
        name: str = answer.json["requests"][0]["canDecide"]
        return name

    assert account("--format", "json", "--key", carol, "requests", "--mine", "--all") is True
    assert account("requests", "--all", "--key", carol, "--format", "json") is True
