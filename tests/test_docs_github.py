"""docs/github.md is followed to the letter: every command of it is run, in order, against the fake of GitHub."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import World
from tests.support.github import FakeGitHub
from tests.support.on_github import NUMBERS, login

PAGE = Path(__file__).parent.parent / "docs" / "github.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def newcomer(tmp_path: Path) -> World:
    """Alice, an empty folder with people's public keys, and an empty repository on the server."""
    world = World(tmp_path)
    for name in ("alice", "bob", "carol"):
        public = world.key(name)[1]
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "work" / f"{name}.pub").write_text(f"{public} {name}@contoso.com\n")
    return world


def follow(world: World, fake: FakeGitHub, token: str) -> dict[int, subprocess.CompletedProcess[str]]:
    """Run every block in one shell, as somebody would who pastes them; returns how each ended."""
    server = "git@github.com:contoso/tenant.git"
    environment = {
        **world.variables("alice"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{world.server}.insteadOf",
        "GIT_CONFIG_VALUE_0": server,
        "GIT_CONFIG_KEY_1": "user.signingkey",
        "GIT_CONFIG_VALUE_1": str(world.folder / "keys" / "alice"),
        "GITHUB_API_URL": fake.url,
        "GITHUB_TOKEN": token,
    }
    done = {}
    place = world.folder / "work"
    for number, block in enumerate(BLOCKS):
        script = f"set -euo pipefail\n{block}"
        done[number] = subprocess.run(
            ["bash", "-c", script], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        if (place / "tenant").is_dir():
            place = place / "tenant"
        if "maa init" in block:
            prepare(world, fake)
        if "ruleset" in block:
            for file in sorted((world.folder / "work").glob("*.json")):
                fake.ruleset(yaml.safe_load(file.read_text()))
    return done


def prepare(world: World, fake: FakeGitHub) -> None:
    """Do what the page says of GitHub's settings."""
    fake.deploy_key("maa-push", False, (world.folder / "work" / "maa-push.pub").read_text())
    for name in ("maa-attestor", "maa-deployer"):
        fake.environment(name, ("main",))
    fake.workflow_permissions("read", can_approve=False)


def test_every_command_of_the_page_works(newcomer: World) -> None:
    """From an empty repository to a pull request, and doctor finds nothing missing."""
    with FakeGitHub(git_dir=newcomer.server) as fake:
        for name, number in NUMBERS.items():
            fake.user(login(name), id=number, permission="write")
        fake.user("owner", permission="admin")
        done = follow(newcomer, fake, fake.token("owner"))
        assert {number: ended.stderr for number, ended in done.items() if ended.returncode} == {}
        doctor = next(done[number] for number, block in enumerate(BLOCKS) if "maa doctor" in block)
        assert [line for line in doctor.stdout.splitlines() if line.startswith("problem")] == []
        assert fake.violations == []
    assert newcomer.tip("change/company-portal") != newcomer.tip()


def test_the_page_names_every_workflow_and_input(newcomer: World) -> None:
    """Each workflow that init writes has its row, and each variable and secret that one uses is explained."""
    text = PAGE.read_text()
    templates = sorted((PAGE.parent.parent / "maa_gitops" / "starter" / "templates").glob("*.yml"))
    named: list[Any] = [yaml.safe_load(path.read_text())["name"] for path in templates]
    assert [name for name in named if f"| {name} |" not in text] == []
    used = {word for path in templates for word in re.findall(r"(?:secrets|vars)\.(\w+)", path.read_text())}
    assert [word for word in sorted(used) if word not in text] == []
