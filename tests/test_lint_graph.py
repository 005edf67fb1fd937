"""``maa lint --graph``: Intune's own approval as the embedded Graph has it, with every way to fail silently."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.errors import RemoteError
from maa_gitops.model import ProfileType, Target
from maa_gitops.providers import Surroundings
from maa_gitops.providers.graph.linting import NativeApproval, NativeGroup, read_native
from maa_gitops.providers.graph.provider import GraphProvider
from tests.support import World, settings
from tests.support.graph import Graph, serve

POLICIES, ROLE_ASSIGNMENTS = "deviceManagement/operationApprovalPolicies", "deviceManagement/roleAssignments"
NOWHERE = "00000000-0000-4000-9000-00000000dead"


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """A tenant of one item a page."""
    with serve(tmp_path / "intune", page=1) as served:
        yield served


def tenant_of(graph: Graph) -> str:
    """The id of the tenant that is served."""
    return str(graph.get("organization").value[0]["id"])


def policy(graph: Graph, name: str, kind: str, *group_ids: str, **more: Any) -> None:
    """Put an access policy into the tenant's file, without what the server holds one to."""
    plain = {"displayName": name, "policyType": kind, "approverGroupIds": list(group_ids), **more}
    with graph.store() as store:
        number = len(store.entries("operationApprovalPolicy")) + 1
        store.put_entry("operationApprovalPolicy", f"00000000-0000-4000-b000-{number:012}", plain)


def group(graph: Graph, name: str, *people: str, members: tuple[str, ...] = (), **more: Any) -> str:
    """Make a group; ``members`` are ids beside the people's, ``more`` are its properties."""
    group_id = graph.group(name, *people)
    with graph.store() as store:
        plain = store.entry("group", group_id)
        assert plain is not None
        store.put_entry("group", group_id, {**plain, "members": [*plain["members"], *members], **more})
    return group_id


def assigned(graph: Graph, *group_ids: str) -> None:
    """Make these groups the members of a role assignment."""
    body = {"displayName": f"Role for {len(group_ids)}", "members": list(group_ids)}
    assert graph.post(ROLE_ASSIGNMENTS, body).status == 201


def target(graph: Graph, **options: str) -> Target:
    """The target that the served tenant is."""
    own = (ProfileType("role", "roles"), ProfileType("terms", "terms", graph={"path": "deviceManagement/terms"}))
    return Target("intune", "graph", {"tenantId": tenant_of(graph), "url": graph.url, **options}, own)


def read(graph: Graph, **options: str) -> NativeApproval:
    """Read the tenant, as the command does."""
    provider = GraphProvider.open(target(graph, **options), Surroundings({}))
    try:
        return read_native(provider)
    finally:
        provider.close()


# --- reading ---------------------------------------------------------------------------------------------------------


def test_everything_is_read_to_its_last_page(graph: Graph) -> None:
    """Policies, members and role assignments are all there, though a page holds one of each."""
    leads, ops = group(graph, "Leads", "bob", "carol"), group(graph, "Ops", "alice")
    policy(graph, "Apps", "app", leads, ops)
    policy(graph, "Scripts", "Script", ops)
    assigned(graph, ops)
    assigned(graph, ops, leads)
    found = read(graph)
    assert [(one.name, one.type, one.group_ids) for one in found.policies] == [
        ("Apps", "app", (leads, ops)),
        ("Scripts", "Script", (ops,)),
    ]
    assert {key: (one.name, len(one.people)) for key, one in found.groups.items()} == {
        leads: ("Leads", 2),
        ops: ("Ops", 1),
    }
    assert found.assigned == {leads, ops}


def test_a_tenant_without_policies_is_asked_for_nothing_else(graph: Graph) -> None:
    """There is nothing to be wrong; what its target takes is known all the same."""
    found = read(graph)
    assert (found.policies, found.groups, found.assigned) == ((), {}, frozenset())
    assert found.types == {"app": "app", "script": "script", "role": "role", "terms": None}


@pytest.mark.parametrize(("mode", "hands_over"), [("handshake", True), ("excluded", False)])
def test_the_mode_of_the_target_is_read_along(graph: Graph, mode: str, hands_over: bool) -> None:
    """Whether the application asks for approval or is excluded from it is the target's setting."""
    assert read(graph, nativeApproval=mode).hands_over is hands_over


def test_n25_direct_members_who_may_sign_in_are_the_people(graph: Graph) -> None:
    """A disabled account, a device and whoever is only in a nested group do not count; nested groups are counted."""
    inner = group(graph, "Inner", "carol")
    with graph.store() as store:
        store.put_entry("device", "00000000-0000-4000-c000-000000000001", {"displayName": "Kiosk"})
        store.put_entry("user", "00000000-0000-4000-c000-000000000002", {"displayName": "dan", "accountEnabled": False})
        store.put_entry("user", "00000000-0000-4000-c000-000000000003", {"displayName": "eve", "accountEnabled": None})
    others = tuple(f"00000000-0000-4000-c000-{number:012}" for number in (1, 2, 3))
    leads = group(graph, "Leads", members=(inner, *others))
    policy(graph, "Apps", "app", leads)
    assert read(graph).groups == {leads: NativeGroup("Leads", people=frozenset({others[2]}), nested=1)}


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"policyType": "deviceWipe"}, "deviceWipe"),
        ({"policyType": None, "policySet": {"policyType": "app", "policyPlatform": "notApplicable"}}, "app"),
        ({"policyType": "unknownFutureValue", "policySet": {"policyType": "app"}}, "app"),
        ({"policyType": "unknownFutureValue", "policySet": None}, None),
        ({"policyType": "Unknown", "policySet": {}}, None),
        ({"policyType": 4}, None),
    ],
)
def test_a_policy_s_type_is_what_graph_names(graph: Graph, sent: dict[str, Any], kind: str | None) -> None:
    """It stands in one of two places, or nowhere; what nobody has heard of is no error."""
    policy(graph, "Apps", "app", **sent)
    assert [one.type for one in read(graph).policies] == [kind]


def test_ids_are_the_same_in_either_case(graph: Graph) -> None:
    """A group that a policy or a role assignment names in capitals is that group."""
    with graph.store() as store:
        store.put_entry("group", "abcdef00-0000-4000-9000-000000000001", {"displayName": "Leads", "members": []})
    policy(graph, "Apps", "app", "ABCDEF00-0000-4000-9000-000000000001")
    assigned(graph, "ABCDEF00-0000-4000-9000-000000000001")
    found = read(graph)
    assert {*found.groups} == found.assigned == {"abcdef00-0000-4000-9000-000000000001"}


def test_a_group_that_is_not_there_is_not_found(graph: Graph) -> None:
    """Neither one that was deleted, nor what is no id at all, keeps the others from being read."""
    leads = group(graph, "Leads", "bob")
    policy(graph, "Apps", "app", NOWHERE, f"{leads}/members", leads)
    assert {*read(graph).groups} == {leads}


def test_an_answer_of_another_shape_is_not_guessed_at(graph: Graph) -> None:
    """Where groups are no list, it cannot be told who approves."""
    policy(graph, "Apps", "app", approverGroupIds="everybody")
    with pytest.raises(RemoteError, match="cannot be understood") as caught:
        read(graph)
    assert caught.value.code == "graphMisunderstood"


def test_an_answer_that_is_no_group_is_not_guessed_at(graph: Graph) -> None:
    """Where a group's kinds are no list, it cannot be told whether it can approve."""
    policy(graph, "Apps", "app", group(graph, "Leads", "bob", groupTypes="Unified"))
    with pytest.raises(RemoteError, match="cannot be understood"):
        read(graph)


# --- the command -----------------------------------------------------------------------------------------------------


def world_for(graph: Graph, folder: Path, *names: str, **options: str) -> World:
    """The usual tenant, with the served one as a target, or several of these names, beside the local one."""
    given = {"tenantId": tenant_of(graph), "url": f'"{graph.url}"', **options}
    more = ", ".join(f"{name}: {value}" for name, value in given.items())
    targets = "".join(f"  {name}: {{provider: graph, {more}}}\n" for name in names or ("intune",))
    return World.with_tenant(folder, {"maa.yaml": settings(targets)})


def broken(graph: Graph) -> None:
    """Fill the tenant with one policy for each way to fail silently, and a good one."""
    good = group(graph, "Leads", "bob", "carol")
    inner = group(graph, "Inner", "bob")
    groups = {
        "missing": NOWHERE,
        "list": group(graph, "List", "bob", securityEnabled=False, mailEnabled=True),
        "mail": group(graph, "Mail", "bob", mailEnabled=True),
        "team": group(graph, "Team", "bob", mailEnabled=True, groupTypes=["Unified"]),
        "rule": group(graph, "Rule", "bob", "carol", groupTypes=["DynamicMembership"]),
        "empty": group(graph, "Empty"),
        "nested": group(graph, "Nested", "bob", "carol", members=(inner,)),
        "alone": group(graph, "Alone", "bob"),
        "roles": group(graph, "Roles", "bob", "carol"),
    }
    assigned(graph, good, inner, *groups.values())
    groups["unassigned"] = group(graph, "Unassigned", "bob", "carol")
    policy(graph, "good", "APP", good)
    policy(graph, "none", "app")
    for name, group_id in groups.items():
        policy(graph, name, "role" if name == "roles" else "app", group_id)


def test_a15_n08_n25_each_way_to_fail_silently_is_told(graph: Graph, tmp_path: Path) -> None:
    """One line a finding, with the target, the policy, what is wrong and what to do; exit code 3."""
    broken(graph)
    world = world_for(graph, tmp_path / "world")
    answer = world.alice.maa("lint", "--graph", code=3)
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert [(line.split("'")[1] if "policy '" in line else "", line.rpartition(" ")[2]) for line in lines] == [
        ("alone", "[oneApprover]"),
        ("empty", "[emptyGroup]"),
        ("list", "[wrongGroupType]"),
        ("mail", "[wrongGroupType]"),
        ("missing", "[unknownGroup]"),
        ("nested", "[nestedGroup]"),
        ("none", "[noApproverGroups]"),
        ("roles", "[roleDeadlock]"),
        ("roles", "[notProtectedHere]"),
        ("rule", "[dynamicGroup]"),
        ("team", "[wrongGroupType]"),
        ("unassigned", "[unassignedGroup]"),
        ("", "[notProtectedThere]"),
    ]
    assert lines[2] == (
        "intune: policy 'list': error: approver group 'List' is a distribution list, of which Intune finds no members; "
        "name a plain security group [wrongGroupType]"
    )
    assert lines[-1] == (
        "intune: information: scripts are protected here, but nothing in Intune stops a change in the portal; "
        "see docs/intune.md [notProtectedThere]"
    )


def test_findings_of_a_target_as_json(graph: Graph, tmp_path: Path) -> None:
    """The same, with the target, policy and group by name."""
    graph.protect("app", "script", approvers=("bob",))
    world = world_for(graph, tmp_path / "world", nativeApproval="excluded")
    plain = world.alice.maa("lint", "--graph", "--target", "intune", "--format", "json", code=3).json
    told = [(one["policy"], one["group"], one["code"], one["level"]) for one in plain["findings"]]
    assert plain["version"] == 1
    assert told == [
        ("Protect app", "Approvers", "unassignedGroup", "error"),
        ("Protect app", "Approvers", "oneApprover", "warning"),
        ("Protect script", "Approvers", "unassignedGroup", "error"),
        ("Protect script", "Approvers", "oneApprover", "warning"),
        (None, None, "exclusionUnseen", "information"),
    ]
    assert {one["target"] for one in plain["findings"]} == {"intune"}
    assert {one["path"] for one in plain["findings"]} == {None}


def test_what_is_only_good_to_know_is_no_no(graph: Graph, tmp_path: Path) -> None:
    """A tenant without an approval of its own is told what the portal goes around, and the exit code is 0."""
    world = world_for(graph, tmp_path / "world")
    answer = world.alice.maa("lint", "--graph")
    assert [line.split(": ")[:2] for line in answer.out.splitlines()] == [["intune", "information"]] * 2
    assert world.alice.maa("lint").err == "nothing found\n"


def test_an_approval_that_works_is_nothing_found(graph: Graph, tmp_path: Path) -> None:
    """Two people, a role assignment, every type that is protected here: nothing is said."""
    leads = group(graph, "Leads", "bob", "carol")
    assigned(graph, leads)
    policy(graph, "Apps", "app", leads)
    policy(graph, "Scripts", "script", leads)
    world = world_for(graph, tmp_path / "world")
    answer = world.alice.maa("lint", "--graph")
    assert (answer.out, answer.err) == ("", "nothing found\n")


def test_one_target_is_asked_or_every_one_in_graph(graph: Graph, tmp_path: Path) -> None:
    """``--target`` names one of several; without it each is asked, and the local one never."""
    world = world_for(graph, tmp_path / "world", "intune", "pilot")

    def asked(*arguments: str) -> set[str]:
        answer = world.alice.maa("lint", "--graph", "--format", "json", *arguments, code=3)  # both are one tenant
        return {one["target"] for one in answer.json["findings"] if one["code"] != "sharedTenant"}

    assert asked() == {"intune", "pilot"}
    assert asked("--target", "pilot") == {"pilot"}


def test_names_from_graph_cannot_forge_lines(graph: Graph, tmp_path: Path) -> None:
    """Line feeds and control characters in a name are shown as what they are."""
    policy(graph, "Apps\nintune: nothing found\x1b[2J", "app")
    world = world_for(graph, tmp_path / "world")
    answer = world.alice.maa("lint", "--graph", code=3)
    assert "\x1b" not in answer.out
    assert not any(line.startswith("intune: nothing") for line in answer.out.splitlines())


def test_another_tenant_than_the_one_that_is_named_is_not_judged(graph: Graph, tmp_path: Path) -> None:
    """Findings about the wrong tenant would mislead: it cannot be told."""
    world = world_for(graph, tmp_path / "world", tenantId=NOWHERE)
    assert world.alice.maa("lint", "--graph", "--format", "json", code=4).error["code"] == "wrongTenant"


def test_what_may_not_be_read_cannot_be_told(tmp_path: Path) -> None:
    """Without the permission to read role assignments there is no half an answer, but what is missing."""

    def refused(_number: int, _method: str, path: str) -> int | None:
        return 403 if ROLE_ASSIGNMENTS in path else None

    with serve(tmp_path / "intune", faults=refused) as graph:
        graph.protect("app")
        world = world_for(graph, tmp_path / "world")
        error = world.alice.maa("lint", "--graph", "--format", "json", code=4).error
    assert (error["kind"], error["code"], error["retry"]) == ("remote", "graphForbidden", False)
    assert "docs/intune.md" in error["hint"]
