"""An object's state as a person reads it: secrets are hidden, what nobody can read is told by its length."""

from maa_gitops.apply.readable import difference, readable
from maa_gitops.providers import DesiredObject


def test_secrets_of_a_state_are_hidden_and_their_change_is_seen() -> None:
    """Passwords, shared keys and secret settings never appear; the settings about passwords do."""

    def state(word: str) -> DesiredObject:
        setting = {"@odata.type": "#microsoft.graph.deviceManagementConfigurationSecretSettingValue", "value": word}
        plain = {"preSharedKey": word, "wifiPassword": word, "passwordRequired": True, "settings": [setting]}
        return DesiredObject("configurationPolicy", plain)

    text = difference(state("hunter2"), state("hunter3"))
    assert "hunter" not in text
    changed = {line[1:].split("(hidden")[0].strip(" -:") for line in text.splitlines() if "hidden" in line}
    assert changed == {"preSharedKey", "value", "wifiPassword"}
    assert "passwordRequired: true" in readable(state("hunter2"))
    assert difference(state("hunter2"), state("hunter2")) == ""


def test_what_is_too_long_to_be_read_is_told_by_its_length() -> None:
    """A picture is no text; that it is another one is seen."""
    old, new = (DesiredObject("app", {"largeIcon": {"value": letter * 5000}}) for letter in "AB")
    lines = difference(old, new).splitlines()
    assert [line.split("characters")[0] for line in lines if line[0] in "+-"] == [
        "-  value: (5,000 ",
        "+  value: (5,000 ",
    ]
