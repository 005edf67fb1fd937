"""``maa lint`` without a tenant: what was read in, findings out; and the warnings of this repository."""

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path

import pytest

from maa_gitops.model import AccessPolicy, Account, ApproverGroup, Level, Problem, Settings, Tenant
from maa_gitops.providers.graph.linting import NativeApproval, NativeGroup, NativePolicy
from maa_gitops.workflow.linting import Finding, FindingLevel, is_clean, native_findings, repository_findings
from tests.support import World, access_policy, group, settings
from tests.support.world import run_maa

TYPES = {"app": "app", "script": "script"}
GOOD = NativeGroup("Leads", people=frozenset({"bob", "carol"}))
OTHER = NativeGroup("Ops", people=frozenset({"alice"}))

Groups = Mapping[str, NativeGroup]


def tenant(*profile_types: str) -> Tenant:
    """Rules that protect these profile types."""
    policies = {name: AccessPolicy(name, name, name, ("approvers",)) for name in sorted(profile_types)}
    groups = {"approvers": ApproverGroup("approvers", "Approvers", ("bob",))}
    return Tenant(Settings("contoso", "main"), {"bob": Account("bob", "Bob")}, groups, policies)


def native(
    groups: Groups, *policies: NativePolicy, assigned: tuple[str, ...] | None = None, hands_over: bool = True
) -> NativeApproval:
    """What was read; without ``assigned`` every group is in a role assignment."""
    ids = frozenset(groups if assigned is None else assigned)
    return NativeApproval(policies, groups, ids, TYPES, hands_over)


def lint(found: NativeApproval, *here: str) -> tuple[Finding, ...]:
    """The findings, where apps and scripts are protected here unless something else is."""
    return native_findings("intune", found, tenant(*(here or ("app", "script"))))


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, str | None]]:
    """Codes, levels and groups of what is to mend."""
    return [(one.code, one.level.value, one.group) for one in findings if one.level is not FindingLevel.INFORMATION]


def known(findings: tuple[Finding, ...]) -> list[tuple[str, str | None]]:
    """Codes and policies of what is only good to know."""
    return [(one.code, one.policy) for one in findings if one.level is FindingLevel.INFORMATION]


APPS, SCRIPTS = NativePolicy("Apps", "app", ("g1",)), NativePolicy("Scripts", "script", ("g1",))

# --- approver groups -------------------------------------------------------------------------------------------------


def test_a15_an_approval_that_works_is_not_told_of() -> None:
    """A plain security group with two people in a role assignment, for every type: nothing."""
    assert lint(native({"g1": GOOD}, APPS, SCRIPTS)) == ()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (NativeGroup("Leads", is_security=False), [("wrongGroupType", "error", "Leads")]),
        (NativeGroup("Leads", is_mail=True), [("wrongGroupType", "error", "Leads")]),
        (NativeGroup("Leads", is_security=False, is_mail=True), [("wrongGroupType", "error", "Leads")]),
        (
            NativeGroup("Leads", types=frozenset({"unified"}), people=GOOD.people),
            [("wrongGroupType", "error", "Leads")],
        ),
        (NativeGroup("Leads"), [("emptyGroup", "error", "Leads")]),
        (NativeGroup("Leads", nested=1), [("emptyGroup", "error", "Leads"), ("nestedGroup", "warning", "Leads")]),
        (NativeGroup("Leads", people=GOOD.people, nested=2), [("nestedGroup", "warning", "Leads")]),
        (NativeGroup("Leads", people=frozenset({"bob"})), [("oneApprover", "warning", "Leads")]),
        (
            NativeGroup("Leads", types=frozenset({"dynamicmembership"}), people=GOOD.people),
            [("dynamicGroup", "warning", "Leads")],
        ),
    ],
)
def test_a15_n24_n25_n26_what_is_wrong_with_an_approver_group(
    found: NativeGroup, expected: list[tuple[str, str, str]]
) -> None:
    """Of the wrong type, empty, nested, by a rule, with one person: each is told, and nothing else."""
    assert told(lint(native({"g1": found}, APPS))) == expected


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (NativeGroup("Leads", is_mail=True, types=frozenset({"unified"})), "a Microsoft 365 group"),
        (NativeGroup("Leads", is_mail=True), "a mail-enabled security group"),
        (NativeGroup("Leads", is_security=False, is_mail=True), "a distribution list"),
        (NativeGroup("Leads", is_security=False), "no security group"),
    ],
)
def test_a_group_of_a_wrong_type_is_called_what_it_is(kind: NativeGroup, words: str) -> None:
    """Whoever is to mend it sees which kind of group it is."""
    (found,) = lint(native({"g1": kind}, APPS, SCRIPTS))[:1]
    assert f"approver group 'Leads' is {words}," in found.message


def test_a_group_that_does_not_exist_is_named_by_its_id() -> None:
    """A policy that names a group which was deleted can be satisfied by nobody."""
    (found,) = [one for one in lint(native({}, APPS, assigned=())) if one.policy == "Apps"]
    assert (found.code, found.level, found.group) == ("unknownGroup", FindingLevel.ERROR, "g1")
    assert found.message == "approver group g1 does not exist; name one that does"


def test_a_policy_without_approver_groups_is_an_error() -> None:
    """It is a gate that nobody can open."""
    assert told(lint(native({}, NativePolicy("Apps", "app", ())))) == [("noApproverGroups", "error", None)]


def test_a15_a_group_in_no_role_assignment_is_an_error() -> None:
    """Its members are taken out in time, so it works at first and not for long."""
    assert told(lint(native({"g1": GOOD}, APPS, assigned=("g2",)))) == [("unassignedGroup", "error", "Leads")]


def test_people_of_all_approver_groups_count_together() -> None:
    """Two groups of one person each are two people; the same person twice is one."""
    two = NativePolicy("Apps", "app", ("g1", "g2"))
    alone = NativeGroup("Leads", people=frozenset({"bob"}))
    assert told(lint(native({"g1": alone, "g2": OTHER}, two))) == []
    (found,) = [one for one in lint(native({"g1": alone, "g2": alone}, two)) if one.code == "oneApprover"]
    assert found.group is None


def test_the_people_of_a_group_that_cannot_approve_do_not_count() -> None:
    """One person in a security group and one in a distribution list are one approver."""
    listed = NativeGroup("Ops", is_security=False, is_mail=True, people=frozenset({"alice"}))
    alone = NativeGroup("Leads", people=frozenset({"bob"}))
    codes = told(lint(native({"g1": alone, "g2": listed}, NativePolicy("Apps", "app", ("g1", "g2")))))
    assert codes == [("wrongGroupType", "error", "Ops"), ("oneApprover", "warning", None)]


# --- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["role", "Role", "ROLE"])
def test_n08_a_role_policy_comes_with_a_warning(kind: str) -> None:
    """It guards the assignments that approving rests on, so the way out is told while there is time."""
    found = lint(native({"g1": GOOD}, NativePolicy("Roles", kind, ("g1",))))
    assert told(found) == [("roleDeadlock", "warning", None)]
    assert "delete this policy, wait five minutes, change it, make the policy again" in found[0].message


@pytest.mark.parametrize(
    "groups", [{}, {"g1": NativeGroup("Leads")}, {"g1": NativeGroup("Leads", is_mail=True, people=GOOD.people)}]
)
def test_n08_a_role_policy_by_which_nobody_can_approve_is_a_deadlock(groups: Groups) -> None:
    """What would mend it needs the approval that nobody can give."""
    found = told(lint(native(groups, NativePolicy("Roles", "role", ("g1",)))))
    assert ("roleDeadlock", "error", None) in found


def test_n08_a_role_policy_whose_group_is_in_no_role_assignment_is_a_deadlock() -> None:
    """The group cannot be put into one without its own approval."""
    found = told(lint(native({"g1": GOOD}, NativePolicy("Roles", "role", ("g1",)), assigned=())))
    assert found == [("roleDeadlock", "error", None), ("unassignedGroup", "error", "Leads")]


def test_n08_one_group_that_can_approve_is_enough() -> None:
    """Another group that cannot is a finding of its own, and no deadlock."""
    policy = NativePolicy("Roles", "role", ("g1", "g2"))
    found = told(lint(native({"g1": GOOD, "g2": NativeGroup("Ops")}, policy)))
    assert found == [("emptyGroup", "error", "Ops"), ("roleDeadlock", "warning", None)]


# --- here and there --------------------------------------------------------------------------------------------------


def test_what_is_protected_here_alone_is_good_to_know() -> None:
    """Where Intune has no access policy for a type, the portal goes around the gate."""
    found = lint(native({"g1": GOOD}, SCRIPTS))
    assert known(found) == [("notProtectedThere", None)]
    assert found[0].message == (
        "apps are protected here, but nothing in Intune stops a change in the portal; see docs/intune.md"
    )
    assert is_clean(found)


def test_a_type_that_intune_cannot_protect_is_told_apart() -> None:
    """Terms and conditions have no native approval: a change there is only seen afterwards."""
    read = NativeApproval((), {}, frozenset(), {"termsAndConditions": None})
    (found,) = lint(read, "termsAndConditions")
    assert found.code == "notProtectedThere"
    assert found.message.startswith("objects of type termsAndConditions are protected here, but Intune has no approval")


def test_what_the_target_does_not_take_is_not_its_concern() -> None:
    """A profile type of the tenant's own that has no place in Graph, and the rules themselves, are not told of."""
    assert lint(native({}), "meetingRoom", "accessPolicy") == ()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (SCRIPTS, "scripts are protected in Intune, but not here; an access policy in policies/ makes both agree"),
        (
            NativePolicy("Wipe", "deviceWipe", ("g1",)),
            "objects of type deviceWipe are protected in Intune alone: this repository holds none",
        ),
        (
            NativePolicy("Compliance", "CompliancePolicy", ("g1",)),
            "compliance policies are protected in Intune alone: this repository holds none",
        ),
        (NativePolicy("Something", None, ("g1",)), "Graph does not name what it protects; look in the portal"),
    ],
)
def test_what_is_protected_there_alone_is_good_to_know(policy: NativePolicy, words: str) -> None:
    """A policy for what this repository does not protect, does not hold, or that Graph does not name."""
    found = [one for one in lint(native({"g1": GOOD}, APPS, policy), "app") if one.policy == policy.name]
    assert [one.message for one in found] == [words]
    assert is_clean(found)


@pytest.mark.parametrize("kind", ["app", "App", "APP"])
def test_the_case_of_a_type_means_nothing(kind: str) -> None:
    """Tenants spell policy types in either case."""
    assert lint(native({"g1": GOOD}, NativePolicy("Apps", kind, ("g1",))), "app") == ()


def test_an_excluded_application_has_to_be_on_each_list() -> None:
    """With ``nativeApproval: excluded`` every policy for what the target takes is named, since Graph has no lists."""
    wipe = NativePolicy("Wipe", "deviceWipe", ("g1",))
    found = lint(native({"g1": GOOD}, SCRIPTS, APPS, wipe, hands_over=False))
    assert known(found) == [("notProtectedHere", "Wipe"), ("exclusionUnseen", None)]
    assert "the application must be on the exclusions of 'Apps', 'Scripts';" in found[1].message
    assert "exclusionUnseen" not in dict(known(lint(native({"g1": GOOD}, wipe, hands_over=False))))


def test_findings_come_in_one_order() -> None:
    """Whatever the order in which Graph answers: by policy, the gravest first, what is about none last."""
    broken = NativePolicy("Roles", "role", ("g1", "g2", "g3"))
    groups = {"g1": NativeGroup("Leads", nested=1), "g2": OTHER}
    orders = {
        tuple(lint(native(groups, *policies, assigned=("g2",)), "app", "script"))
        for policies in permutations((APPS, broken, NativePolicy("Wipe", "deviceWipe", ())))
    }
    (findings,) = orders
    assert [(one.policy, one.level.value) for one in findings] == [
        ("Apps", "error"), ("Apps", "error"), ("Apps", "warning"),
        ("Roles", "error"), ("Roles", "error"), ("Roles", "error"), ("Roles", "warning"), ("Roles", "warning"),
        ("Roles", "warning"), ("Roles", "information"),
        ("Wipe", "error"), ("Wipe", "information"),
        (None, "information"),
    ]  # fmt: skip
    assert {one.target for one in findings} == {"intune"}


# --- this repository -------------------------------------------------------------------------------------------------


def test_only_warnings_are_findings() -> None:
    """Errors are for ``maa validate``; a warning keeps its place, and the policy or group that it is about."""
    problems = [
        Problem("policies/apps.yaml", 4, 1, "deadScope", "matches nothing", "x", Level.WARNING),
        Problem("policies/apps.yaml", 2, 1, "unknownGroup", "is not defined", "y"),
        Problem("groups/ops.yaml", 2, 1, "emptyGroup", "has no members", "ops", Level.WARNING),
        Problem("resources/policies/odd.yaml", 0, 0, "bareApp", "is bare", "odd", Level.WARNING),
    ]
    found = repository_findings(problems)
    assert [(one.code, one.policy, one.group, one.target) for one in found] == [
        ("emptyGroup", None, "ops", None),
        ("deadScope", "apps", None, None),
        ("bareApp", None, None, None),
    ]
    assert not is_clean(found)


def test_nothing_found_is_yes(world: World) -> None:
    """In the usual tenant nothing is said on standard output, and the exit code is 0."""
    answer = world.alice.maa("lint")
    assert (answer.out, answer.err) == ("", "nothing found\n")
    assert world.alice.maa("lint", "--format", "json").json == {"version": 1, "findings": []}


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A tenant with an empty group, a policy that few can satisfy, a pattern that matches nothing, no address."""
    _, key = World(tmp_path_factory.mktemp("erin")).key("erin")
    files = {
        "groups/nobody.yaml": "displayName: Nobody\nmembers: []\n",
        "groups/leads.yaml": group("bob"),
        "policies/apps.yaml": access_policy("app", "leads"),
        "policies/scripts.yaml": access_policy("script", "approvers", extra='scope: ["finance/*"]\n'),
        "policies/both.yaml": access_policy("app", "leads", required=2),
        "accounts/erin.yaml": f'displayName: Erin\nsigningKeys: ["{key}"]\n',
    }
    return World.with_tenant(tmp_path_factory.mktemp("silent") / "world", files)


def test_a15_n26_warnings_at_the_tip_are_findings(silent: World) -> None:
    """Each is one line as ``maa validate`` has it, and the exit code is 3."""
    answer = silent.alice.maa("lint", code=3)
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert [(line.partition(":")[0], line.rpartition(" ")[2]) for line in lines] == [
        ("accounts/erin.yaml", "[noAddress]"),
        ("groups/nobody.yaml", "[emptyGroup]"),
        ("policies/apps.yaml", "[fewApprovers]"),
        ("policies/both.yaml", "[unsatisfiable]"),
        ("policies/scripts.yaml", "[deadScope]"),
    ]
    assert lines == silent.alice.maa("validate", "--commit", "origin/main").out.splitlines()


def test_findings_as_json(silent: World) -> None:
    """Every finding has a code, a level, a message and a place; target, policy and group where there is one."""
    plain = silent.alice.maa("lint", "--format", "json", code=3).json
    assert plain["version"] == 1
    keys = {"target", "policy", "group", "code", "level", "message", "path", "line", "column"}
    assert {key for one in plain["findings"] for key in one} == keys
    assert plain["findings"][-1] == {
        "target": None,
        "policy": "scripts",
        "group": None,
        "code": "deadScope",
        "level": "warning",
        "message": "scope pattern 'finance/*' matches no resource",
        "path": "policies/scripts.yaml",
        "line": 5,
        "column": 9,
    }


def test_the_tip_is_looked_at_not_the_work_tree(world: World) -> None:
    """What only lies in the work tree, or on a change branch, is not there yet."""
    world.alice.change("odd", {"groups/odd.yaml": "displayName: Odd\nmembers: []\n"})
    world.alice.write("accounts/frank.yaml", "displayName: Frank\n")
    assert world.alice.maa("lint").out == ""


def test_errors_are_left_to_validate(world: World) -> None:
    """A broken resource at the tip is no finding, but the answer is no clean bill."""
    world.alice.git("switch", "-q", "main")
    world.alice.commit({"resources/scripts/broken.yaml": "type: nothing\n"})
    world.alice.git("push", "-q", "origin", "main")
    answer = world.bob.maa("lint", code=3)
    tip = world.bob.git("rev-parse", "origin/main")
    assert answer.err == f"errors are not looked at here: maa validate --commit {tip[:12]}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "local"), "--target goes with --graph"),
        (("--graph",), "no target in maa.yaml is in Microsoft Graph (provider: graph)"),
        (("--graph", "--target", "local"), "target 'local' is not in Microsoft Graph (provider: graph)"),
        (("--graph", "--target", "nothing"), "there is no target 'nothing'; maa.yaml has: local"),
    ],
)
def test_nobody_to_ask_is_wrong_usage(world: World, arguments: tuple[str, ...], said: str) -> None:
    """Without a target in Graph there is nothing to ask, which is not the same as nothing found."""
    assert said in world.alice.maa("lint", *arguments, code=2).err


def test_no_key_is_needed(silent: World, tmp_path: Path) -> None:
    """Looking needs no key and no account."""
    with silent.environment("alice"):
        answer = run_maa("-C", str(silent.alice.clone), "--key", str(tmp_path / "none"), "lint")
    assert answer.code == 3


def test_a_profile_type_that_nothing_protects_is_told(tmp_path: Path) -> None:
    """What anybody may have applied alone is no secret; types that are protected are not spoken of."""
    world = World.with_tenant(tmp_path / "world")
    world.alice.submitted("kiosks", {"maa.yaml": settings("profileTypes:\n  kiosk: {folder: kiosks}\n")})
    world.bob.maa("approve", "kiosks")
    world.alice.maa("complete", "kiosks")
    answer = world.carol.maa("lint", code=3)
    assert answer.out == (
        "warning: no access policy protects profile type kiosk: a change to its resources is applied without an "
        "approval [unprotectedType]\n"
    )
