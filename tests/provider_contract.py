"""What every provider must do: one suite of tests, which each provider's own tests take in."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from maa_gitops.errors import RemoteError
from maa_gitops.providers import DesiredObject, Provider

APP = DesiredObject(
    "app",
    {
        "type": "webApp",
        "displayName": "Ünï 🎈",
        "publisher": "Contoso",
        "appUrl": "https://a.example",
        "isFeatured": True,
    },
)
STAFF, ADMINS = {"intent": "required", "target": {"group": "Staff"}}, {"intent": "available", "target": {"group": "IT"}}
ASSIGNED = DesiredObject(APP.profile_type, APP.data, (STAFF, ADMINS))
SCRIPT = DesiredObject(
    "script",
    {
        "type": "deviceShellScript",
        "displayName": "S",
        "runAsAccount": "system",
        "fileName": "s.sh",
        "scriptContent": "#!/bin/sh\r\necho\n",
    },
)

Open = Callable[[], Provider]


def create(provider: Provider, state: DesiredObject, marker: str) -> str:
    """Make an object as apply does."""
    return provider.create(provider.as_sent(state), marker)


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
        remote_id = create(provider, ASSIGNED, "maa:t:app/a")
        remote = provider.objects()[remote_id]
        expected = (remote_id, "maa:t:app/a", provider.as_sent(ASSIGNED).digest)
        assert (remote.remote_id, remote.marker, remote.held.digest) == expected

    def test_a_marker_finds_its_object_and_no_other(self, provider: Provider) -> None:
        """Markers are matched whole."""
        remote_id = create(provider, APP, "maa:t:app/a")
        assert [provider.find(f"maa:t:app/{name}") for name in ("a", "b", "A", "a%", "")] == [remote_id, *[None] * 4]

    def test_a_second_object_with_the_marker_is_refused(self, provider: Provider) -> None:
        """A create that is sent twice makes no duplicate."""
        remote_id = create(provider, APP, "maa:t:app/a")
        with pytest.raises(RemoteError, match="maa:t:app/a"):
            create(provider, APP, "maa:t:app/a")
        assert list(provider.objects()) == [remote_id]

    def test_an_update_brings_state_assignments_and_marker(self, provider: Provider) -> None:
        """The object stays, everything of it is new; what is no longer said is gone."""
        remote_id = create(provider, ASSIGNED, "maa:t:app/a")
        plain = {key: value for key, value in APP.data.items() if key != "isFeatured"}
        new = provider.as_sent(DesiredObject("app", {**plain, "displayName": "B"}))
        provider.update(remote_id, new, "maa:t:app/b")
        (remote,) = provider.objects().values()
        expected = (remote_id, "maa:t:app/b", new.digest)
        assert (remote.remote_id, remote.marker, remote.held.digest) == expected

    def test_assigning_replaces_all_assignments_and_nothing_else(self, provider: Provider) -> None:
        """Assignments are a whole, not a patch."""
        remote_id = create(provider, ASSIGNED, "maa:t:app/a")
        provider.assign(remote_id, (ADMINS,))
        expected = provider.as_sent(DesiredObject("app", APP.data, (ADMINS,)))
        assert provider.objects()[remote_id].held.digest == expected.digest

    def test_deleting_what_is_gone_is_no_error(self, provider: Provider) -> None:
        """A delete can be sent twice."""
        remote_id = create(provider, SCRIPT, "maa:t:script/a")
        provider.delete(remote_id)
        provider.delete(remote_id)
        assert not provider.objects()

    def test_changing_what_is_gone_is_a_remote_error(self, provider: Provider) -> None:
        """Nothing is made by an update or an assignment."""
        remote_id = create(provider, APP, "maa:t:app/a")
        provider.delete(remote_id)
        with pytest.raises(RemoteError):
            provider.update(remote_id, provider.as_sent(APP), "maa:t:app/a")
        with pytest.raises(RemoteError):
            provider.assign(remote_id, ())
        assert not provider.objects()

    def test_the_store_has_one_id_and_keeps_what_it_holds(self, provider: Provider, open_again: Open) -> None:
        """Whoever opens the target again finds the same store."""
        remote_id = create(provider, APP, "maa:t:app/a")
        again = open_again()
        try:
            assert (again.store, list(again.objects())) == (provider.store, [remote_id])
        finally:
            again.close()

    def test_the_rules_are_never_taken(self, provider: Provider) -> None:
        """Access policies are no objects of a target."""
        assert (provider.takes("app"), provider.takes("accessPolicy")) == (True, False)

    def test_an_object_is_brought_to_a_state_as_often_as_one_likes(self, provider: Provider) -> None:
        """A write that may have been done already can be done again."""
        remote_id = create(provider, APP, "maa:t:app/a")
        state = provider.as_sent(ASSIGNED)
        for _ in range(2):
            provider.update(remote_id, state, "maa:t:app/a")
            assert provider.objects()[remote_id].held.digest == state.digest

    def test_what_was_made_is_in_nobodys_way(self, provider: Provider) -> None:
        """Nothing stands in the way of what is there already, nor of another object."""
        remote_id = create(provider, APP, "maa:t:app/a")
        remote: Mapping[str, object] = {**APP.data, "displayName": "Other"}
        assert provider.obstacle(provider.objects()[remote_id], provider.as_sent(ASSIGNED)) is None
        assert provider.obstacle(None, provider.as_sent(DesiredObject("app", remote))) is None
