"""The local provider, held to the contract of all providers and to what is its own."""

import sqlite3
from pathlib import Path

import pytest

from maa_gitops.errors import RemoteError
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, open_provider, takes
from maa_gitops.providers.local import LocalProvider, location
from tests.provider_contract import ADMINS, APP, ASSIGNED, STAFF, Open, ProviderContract

ODD = DesiredObject("app", {"type": "webApp", "displayName": "Ünï 🎈", "n": 1, "f": 1.5, "b": True, "x": None})


class TestLocalProvider(ProviderContract):
    """The local provider keeps the contract."""

    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Open:
        """Open the file of a target in a git directory."""
        return lambda: open_provider(Target("local", "local"), tmp_path / ".git")


def test_every_value_comes_back_as_it_was(tmp_path: Path) -> None:
    """Numbers, truth values, nothing and odd characters: the local tenant keeps what it is given."""
    provider = LocalProvider.open(tmp_path / "tenant.sqlite3")
    remote_id = provider.create(ODD, "maa:t:app/odd")
    assert provider.objects()[remote_id].held.digest == ODD.digest
    provider.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a local tenant may be."""
    return tmp_path / "tenant.sqlite3"


def test_every_file_gets_an_id_of_its_own(tmp_path: Path) -> None:
    """Two local tenants are never mistaken for each other."""
    stores = []
    for name in ("a", "b"):
        provider = LocalProvider.open(tmp_path / name)
        stores.append(provider.store)
        provider.close()
    assert len({*stores}) == 2
    assert all(len(store) == 32 for store in stores)


def test_a_write_is_on_the_disk_when_it_returns(file: Path) -> None:
    """A power cut after a receipt takes nothing back that it tells of: SQLite's FULL is 2."""
    provider = LocalProvider.open(file)
    assert provider._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert provider._connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    provider.close()


def test_f4_an_object_that_is_half_written_is_not_there(file: Path) -> None:
    """What is not committed is gone with the process; the store stays usable."""
    provider = LocalProvider.open(file)
    kept = provider.create(APP, "maa:t:app/a")
    provider._connection.execute("BEGIN IMMEDIATE")
    provider._connection.execute("DELETE FROM objects")
    provider.close()
    again = LocalProvider.open(file)
    assert list(again.objects()) == [kept]
    again.close()


def test_a_file_that_is_no_database_is_refused_and_kept(file: Path) -> None:
    """Somebody's notes are no tenant, and stay what they are."""
    file.write_text("notes, not a database " * 100)
    with pytest.raises(RemoteError, match="not a database"):
        LocalProvider.open(file)
    assert file.read_text().startswith("notes")


def test_the_database_of_another_program_is_refused(file: Path) -> None:
    """No table is added to what is not ours."""
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE cookies (id)")
    other.close()
    with pytest.raises(RemoteError, match="is no local tenant"):
        LocalProvider.open(file)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("PRAGMA user_version = 3", "is of version 3, not 2"),
        ("DELETE FROM store", "has lost its id"),
        ("DROP TABLE store", "no such table"),
    ],
)
def test_a_file_of_another_version_is_refused(file: Path, damage: str, words: str) -> None:
    """A file that a later maa wrote, or that somebody cut at, is not guessed at."""
    LocalProvider.open(file).close()
    with sqlite3.connect(file) as other:
        other.execute(damage)
    other.close()
    with pytest.raises(RemoteError, match=words):
        LocalProvider.open(file)


@pytest.mark.parametrize("data", ["[]", "{", '"text"', "1"])
def test_a_row_that_is_no_object_is_a_remote_error(file: Path, data: str) -> None:
    """What somebody wrote into the file by hand does not crash the reader."""
    provider = LocalProvider.open(file)
    provider._connection.execute("INSERT INTO objects VALUES ('1', NULL, 'app', ?, '[]')", (data,))
    with pytest.raises(RemoteError, match="cannot be used"):
        provider.objects()
    provider.close()


def test_a_folder_in_the_place_of_the_file_is_a_remote_error(tmp_path: Path) -> None:
    """What cannot be opened is said to be so."""
    with pytest.raises(RemoteError, match="cannot be used"):
        LocalProvider.open(tmp_path)


def test_a_write_while_another_process_writes_can_be_retried(file: Path) -> None:
    """The lock of another is worth another try."""
    provider = LocalProvider.open(file)
    provider._connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RemoteError) as caught:
        provider.create(APP, "maa:t:app/a")
    assert caught.value.retry
    other.close()
    provider.create(APP, "maa:t:app/a")
    provider.close()


def test_two_targets_of_one_clone_have_two_files(tmp_path: Path) -> None:
    """Without a path every target has its own file in the git directory."""
    git_dir = tmp_path / ".git"
    found = [location(Target(name, "local"), git_dir) for name in ("local", "staging")]
    assert found == [git_dir / "maa/tenants/local.sqlite3", git_dir / "maa/tenants/staging.sqlite3"]


def test_a_path_is_below_the_folder_of_the_repository(tmp_path: Path) -> None:
    """A relative path counts from the folder that holds the git directory; from a bare repository itself."""
    target = Target("local", "local", {"path": "data/tenant.sqlite3"})
    assert location(target, tmp_path / ".git") == tmp_path / "data/tenant.sqlite3"
    assert location(target, tmp_path / "bare.git") == tmp_path / "bare.git/data/tenant.sqlite3"


@pytest.mark.parametrize("path", ["../other.sqlite3", "/etc/passwd", "a/../../b", ".", "out/b"])
def test_a_path_out_of_the_repository_is_refused(tmp_path: Path, path: str) -> None:
    """Settings, which a clone brings along, make no file elsewhere: not by dots, not by a link."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "out").symlink_to(tmp_path)
    with pytest.raises(RemoteError, match="leads out of"):
        location(Target("local", "local", {"path": path}), repository / ".git")


def test_an_unknown_provider_is_refused(tmp_path: Path) -> None:
    """The message says what there is."""
    with pytest.raises(RemoteError, match="there is: graph, local"):
        open_provider(Target("cloud", "cloud"), tmp_path)
    with pytest.raises(RemoteError, match="there is: graph, local"):
        takes(Target("cloud", "cloud"), "app")


def test_whether_a_target_takes_a_type_is_told_without_opening_it() -> None:
    """Evaluating a request makes no file."""
    assert [takes(Target("local", "local"), profile_type) for profile_type in ("app", "accessPolicy")] == [True, False]


def test_assignments_have_no_order_but_values_have_a_type() -> None:
    """Two states are the same if they are spelled the same, however assignments are ordered."""
    turned = DesiredObject("app", APP.data, (ADMINS, STAFF))
    one, true, float_one = (DesiredObject("app", {"n": n}).digest for n in (1, True, 1.0))
    assert turned.digest == ASSIGNED.digest
    assert len({one, true, float_one, APP.digest, ASSIGNED.digest}) == 5
