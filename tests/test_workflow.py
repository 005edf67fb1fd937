"""A request from submit to the tenant, through the command line, on real repositories."""

from tests.support import APP, World, app


def test_s01_a_change_lands_only_after_another_account_approved(world: World) -> None:
    """Submit, refuse to merge, approve by somebody else, complete: merged and applied."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    refused = world.alice.maa("merge", request, "--format", "json", code=3)
    assert refused.error["code"] == "needsApprovals"
    assert world.alice.maa("check", request, "--format", "json", code=3).reasons == ["needsApprovals"]
    assert world.bob.maa("approve", request, "-m", "Checked.", "--format", "json").json["status"] == "approved"
    world.alice.maa("check", request)
    done = world.alice.maa("complete", request, "--format", "json").json
    assert done["status"] == "completed"
    assert (done["approver"], done["approvalJustification"]) == ("bob", "Checked.")
    assert world.read(APP) == app(description="New.")
    assert world.alice.maa("verify", "--format", "json").json["good"] is True
    held = world.alice.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["description"] for found in held] == ["New."]


def test_s29_nobody_approves_their_own_request(world: World) -> None:
    """The requestor is in the approver group, sees the request, and is refused with a clear reason."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    refused = world.alice.maa("approve", request, "--format", "json", code=3)
    assert refused.error["code"] == "selfApproval"
    received = world.alice.maa("requests", "--received", "--format", "json").json["requests"]
    assert [(found["id"], found["isMine"]) for found in received] == [("update", True)]
