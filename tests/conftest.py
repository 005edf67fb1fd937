"""Fixtures for every test: worlds that cannot reach the developer's own keys, configuration or home."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Forger, World
from tests.support.github import FakeGitHub
from tests.support.on_github import Hub, found_on_github


def pytest_configure() -> None:
    """Let interrupts reach the programs that tests start: what runs in the background is told to ignore them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with the usual tenant, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("founded") / "world"
    folder.mkdir()
    World.with_tenant(folder)
    for sample in folder.glob("*/**/hooks/*.sample"):
        sample.unlink()  # a quarter of all files, copied for each test
    return folder


@pytest.fixture
def world(founded: Path, tmp_path: Path) -> World:
    """The usual tenant on a server, with clones for alice, bob, carol and dave."""
    return World.copied(founded, tmp_path / "world")


@pytest.fixture
def forger(world: World) -> Forger:
    """A malicious administrator: alice with plumbing commands and push rights."""
    return Forger(world, world.alice)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the developer's home, keys, agent and git configuration."""
    home = tmp_path / "own-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    for name in ("SSH_AUTH_SOCK", "MAA_SIGNING_KEY", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def founded_on_github(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual tenant on GitHub, made once and copied for each test."""
    world = World.copied(founded, tmp_path_factory.mktemp("founded-on-github") / "world")
    found_on_github(world)
    return world.folder


@pytest.fixture
def hub(founded_on_github: Path, tmp_path: Path) -> Iterator[Hub]:
    """The usual tenant on GitHub; what we asked of it, and what it answered, was as GitHub's description has it."""
    world = World.copied(founded_on_github, tmp_path / "world")
    config = world.folder / "runner" / ".git" / "config"
    config.write_text(config.read_text().replace(str(founded_on_github), str(world.folder)))
    with FakeGitHub(git_dir=world.server) as fake:
        yield Hub(world, fake)
        assert fake.violations == []
