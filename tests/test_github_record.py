"""Signing off on GitHub: what is recorded, for whom, and what is not."""

from tests.support.on_github import Hub


def test_a_pull_request_is_submitted_reviewed_and_green(hub: Hub) -> None:
    """Submit by comment, approval by review, gate green, completed and applied: all of it as signed events."""
    number = hub.open()
    assert hub.gate(number)["verdict"] == "pending"
    hub.say(number, "alice", f"/maa submit {hub.digest(number)[:12]}")
    assert hub.record(number) == [("submit", "recorded", None)]
    assert hub.status(number)[0] == "pending"
    hub.fake.review(number, "bob-hub", "APPROVED", "Checked.")
    assert hub.record(number) == [("approve", "recorded", None)]
    assert hub.events() == [("alice", "submit", True, "maa-attestor"), ("bob", "approve", True, "maa-attestor")]
    assert hub.status(number)[0] == "success"
    assert hub.record(number) == []
    assert hub.complete() == [("portal", "merged")]
    shown = hub.person("dave").show("portal").json
    assert shown["status"] == "completed"
    assert hub.person("dave").maa("verify").code == 0
