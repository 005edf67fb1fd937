"""A tenant in Intune through the command line: plans, whom a change reaches, drift, Intune's own approval."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import APP, World, app
from tests.support.graph import Graph, serve

STAFF = "assignments: [{intent: required, target: {group: Staff}}]\n"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A tenant with a group of three."""
    with serve(tmp_path / "graph.sqlite3") as found:
        found.group("Staff", "bob", "carol", "dave")
        yield found


@pytest.fixture
def world(tmp_path: Path, graph: Graph) -> World:
    """A tenant repository whose only target is that tenant; nothing is applied yet."""
    tenant_id = graph.get("organization").value[0]["id"]
    target = f"targets:\n  intune: {{provider: graph, tenantId: {tenant_id}, url: '{graph.url}'}}\n"
    settings = f"version: 1\ntenant: contoso\nprotectedBranch: main\n{target}"
    return World.with_tenant(tmp_path / "world", {"maa.yaml": settings})


def assigned(world: World) -> str:
    """A request that makes the app required for all staff."""
    return world.alice.submitted("assign", {APP: app(extra=STAFF)})


def test_a_change_goes_from_the_branch_to_intune(world: World, graph: Graph) -> None:
    """Plan, approve, complete: the app is there, assigned to the group, and nothing is left to do."""
    request = assigned(world)
    assert "create app/company-portal" in world.alice.maa("plan", request).out
    world.bob.maa("approve", request)
    assert "intune: applied" in world.alice.maa("complete", request).out
    (remote,) = graph.get("deviceAppManagement/mobileApps").value
    (assignment,) = graph.get(f"deviceAppManagement/mobileApps/{remote['id']}/assignments").value
    assert (remote["displayName"], assignment["intent"]) == ("Company Portal", "required")
    assert world.alice.maa("plan").out.endswith("nothing to do\n")
    assert "no drift" in world.carol.maa("drift").out
    assert "Company Portal" in world.bob.maa("tenant").out


def test_a03_approvers_see_whom_a_change_reaches(world: World) -> None:
    """The plan, the request and its diff count the people and devices of each group, as text and as data."""
    request = assigned(world)
    for command in ("plan", "show", "diff"):
        assert "reaches Staff: 3 people, 0 devices" in world.bob.maa(command, request).out
    reach = [{"name": "Staff", "people": 3, "devices": 0, "was": False}]
    for command in ("show", "diff"):
        (found,) = world.bob.maa(command, request, "--format", "json").json["reach"]
        assert (found["target"], found["object"], found["reach"]) == ("intune", "app/company-portal", reach)


def test_a_group_that_is_not_there_is_seen_before_it_is_approved(world: World) -> None:
    """The request says so, and the plan fails."""
    request = world.alice.submitted("assign", {APP: app(extra=STAFF.replace("Staff", "Stuff"))})
    assert "cannot be applied: the target has no group named 'Stuff'" in world.bob.maa("show", request).out
    assert "no group named 'Stuff'" in world.bob.maa("plan", request, code=4).out


def test_a_tenant_that_cannot_be_asked_stops_no_approver(world: World) -> None:
    """What cannot be told is told beside the answer; offline nothing is asked."""
    request = assigned(world)
    settings = world.alice.clone / "maa.yaml"
    text = settings.read_text()
    broken = text.replace(text.split("tenantId: ")[1].split(",")[0], "00000000-0000-0000-0000-000000000001")
    world.alice.submitted("other-tenant", {"maa.yaml": broken})
    world.bob.maa("approve", "other-tenant")
    world.alice.maa("complete", "other-tenant", code=None)
    answer = world.bob.maa("show", request)
    assert "intune was not asked whom this reaches: the credential is for tenant" in answer.err
    assert "was not asked" not in world.bob.maa("show", request, "--no-fetch").err
    assert "the credential is for tenant" in world.bob.maa("plan", code=4).err


def test_what_is_changed_in_the_portal_is_found_and_put_back(world: World, graph: Graph) -> None:
    """Drift says what; apply brings back what was approved."""
    world.alice.maa("apply")
    (remote,) = graph.get("deviceAppManagement/mobileApps").value
    graph.patch(f"deviceAppManagement/mobileApps/{remote['id']}", {"displayName": "Evil Portal", "isFeatured": True})
    drift = world.bob.maa("drift", code=3).out
    assert '+displayName: "Evil Portal"' in drift
    assert "+isFeatured: true" in drift
    world.alice.maa("apply")
    (remote,) = graph.get("deviceAppManagement/mobileApps").value
    assert (remote["displayName"], remote["isFeatured"]) == ("Company Portal", False)


def test_intunes_own_approval_is_waited_for(world: World, graph: Graph) -> None:
    """The request stays approved, being applied; once it is approved there too, the next apply goes on."""
    graph.protect("app")
    request = assigned(world)
    world.bob.maa("approve", request)
    assert "waits for Intune's own approval" in world.alice.maa("complete", request, code=4).out
    shown = world.alice.maa("show", request)
    assert "Approved, being applied" in shown.out
    assert "waits for the target's own approval" in shown.out
    state = json.loads(world.alice.maa("show", request, "--format", "json").out)
    assert [one["outcome"] for one in state["applied"]] == ["awaitingNativeApproval"]
    (filed,) = graph.get("deviceManagement/operationApprovalRequests").value
    words = filed["requestJustification"]
    assert words.startswith("maa contoso: create app/company-portal; request assign by alice, approved by bob; commit ")
    for _ in range(2):
        for one in graph.get("deviceManagement/operationApprovalRequests").value:
            if one["status"] == "needsApproval":
                graph.decide(one["id"])
        answer = world.alice.maa("apply", code=None)
    assert answer.code == 0, answer
    assert "Completed" in world.alice.maa("show", request).out
