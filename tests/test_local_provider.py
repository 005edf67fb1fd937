"""What every provider must do, held against the local one; and what is the local one's own."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maa_gitops.errors import RemoteError
from maa_gitops.model import Target
from maa_gitops.providers import DesiredObject, Provider, open_provider, takes
from maa_gitops.providers.local import LocalProvider, location

APP = DesiredObject("app", {"type": "webApp", "displayName": "Ünï 🎈", "n": 1, "f": 1.5, "b": True, "x": None})
STAFF, ADMINS = {"intent": "required", "target": {"group": "Staff"}}, {"intent": "available", "target": {"group": "IT"}}
ASSIGNED = DesiredObject(APP.profile_type, APP.data, (STAFF, ADMINS))
SCRIPT = DesiredObject("script", {"type": "deviceShellScript", "scriptContent": "#!/bin/sh\r\necho\n"})

Open = Callable[[], Provider]


class ProviderContract:
    """The contract: a provider's test class has a fixture ``open_again`` that opens the same, at first empty target."""

    @pytest.fixture
    def provider(self, open_again: Open) -> Iterator[Provider]:
        """The target, opened for the first time."""
        provider = open_again()
        yield provider
        provider.close()

    def test_an_empty_target_holds_nothing(self, provider: Provider) -> None:
        """At first there is nothing to see and nothing to find."""
        assert (dict(provider.objects()), provider.find("maa:t:app/a")) == ({}, None)

    def test_what_is_created_is_read_back_as_it_would_be_sent(self, provider: Provider) -> None:
        """Every value comes back as it was, with its marker."""
        remote_id = provider.create(ASSIGNED, "maa:t:app/a")
        remote = provider.objects()[remote_id]
        expected = (remote_id, "maa:t:app/a", provider.as_sent(ASSIGNED).digest)
        assert (remote.remote_id, remote.marker, remote.held.digest) == expected

    def test_a_marker_finds_its_object_and_no_other(self, provider: Provider) -> None:
        """Markers are matched whole."""
        remote_id = provider.create(APP, "maa:t:app/a")
        assert [provider.find(f"maa:t:app/{name}") for name in ("a", "b", "A", "a%", "")] == [remote_id, *[None] * 4]

    def test_a_second_object_with_the_marker_is_refused(self, provider: Provider) -> None:
        """A create that is sent twice makes no duplicate."""
        remote_id = provider.create(APP, "maa:t:app/a")
        with pytest.raises(RemoteError, match="maa:t:app/a"):
            provider.create(APP, "maa:t:app/a")
        assert list(provider.objects()) == [remote_id]

    def test_an_update_brings_state_assignments_and_marker(self, provider: Provider) -> None:
        """The object stays, everything of it is new; what is no longer said is gone."""
        remote_id = provider.create(ASSIGNED, "maa:t:app/a")
        new = DesiredObject("app", {"type": "webApp", "displayName": "B"})
        provider.update(remote_id, new, "maa:t:app/b")
        (remote,) = provider.objects().values()
        expected = (remote_id, "maa:t:app/b", provider.as_sent(new).digest)
        assert (remote.remote_id, remote.marker, remote.held.digest) == expected

    def test_assigning_replaces_all_assignments_and_nothing_else(self, provider: Provider) -> None:
        """Assignments are a whole, not a patch."""
        remote_id = provider.create(ASSIGNED, "maa:t:app/a")
        provider.assign(remote_id, (ADMINS,))
        expected = provider.as_sent(DesiredObject("app", APP.data, (ADMINS,)))
        assert provider.objects()[remote_id].held.digest == expected.digest

    def test_deleting_what_is_gone_is_no_error(self, provider: Provider) -> None:
        """A delete can be sent twice."""
        remote_id = provider.create(SCRIPT, "maa:t:script/a")
        provider.delete(remote_id)
        provider.delete(remote_id)
        assert not provider.objects()

    def test_changing_what_is_gone_is_a_remote_error(self, provider: Provider) -> None:
        """Nothing is made by an update or an assignment."""
        remote_id = provider.create(APP, "maa:t:app/a")
        provider.delete(remote_id)
        with pytest.raises(RemoteError):
            provider.update(remote_id, APP, "maa:t:app/a")
        with pytest.raises(RemoteError):
            provider.assign(remote_id, ())
        assert not provider.objects()

    def test_the_store_has_one_id_and_keeps_what_it_holds(self, provider: Provider, open_again: Open) -> None:
        """Whoever opens the target again finds the same store."""
        remote_id = provider.create(APP, "maa:t:app/a")
        again = open_again()
        try:
            assert (again.store, list(again.objects())) == (provider.store, [remote_id])
        finally:
            again.close()

    def test_the_rules_are_never_taken(self, provider: Provider) -> None:
        """Access policies are no objects of a target."""
        assert (provider.takes("app"), provider.takes("accessPolicy")) == (True, False)


class TestLocalProvider(ProviderContract):
    """The local provider keeps the contract."""

    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Open:
        """Open the file of a target in a git directory."""
        return lambda: open_provider(Target("local", "local"), tmp_path / ".git")


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
        ("PRAGMA user_version = 2", "is of version 2, not 1"),
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
    with pytest.raises(RemoteError, match="there is: local"):
        open_provider(Target("cloud", "cloud"), tmp_path)
    with pytest.raises(RemoteError, match="there is: local"):
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
