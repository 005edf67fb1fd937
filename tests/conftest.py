"""Fixtures for every test: worlds that cannot reach the developer's own keys, configuration or home."""

from pathlib import Path

import pytest

from tests.support import Forger, World


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
