"""A request from submit to the tenant, through the command line, on real repositories: Intune's page, row by row."""

import contextlib
import sqlite3
from datetime import datetime, timedelta

import pytest

from tests.support import APP, Forger, World, access_policy, account, app, group, settings
from tests.support.forge import stamp
from tests.support.world import run_maa

SCRIPT = "resources/scripts/set-time-zone.yaml"
SCRIPT_TEXT = "resources/scripts/set-time-zone.ps1"
TIME_ZONE = (
    "type: deviceManagementScript\ndisplayName: Set time zone\nscriptFile: set-time-zone.ps1\nrunAsAccount: system\n"
)
ASSIGNED = "assignments:\n  - intent: required\n    target: {group: All Staff}\n"


def test_s01_s30_s32_n01_a_change_lands_only_after_another_account_approved(world: World) -> None:
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


def test_s02_s43_s64_an_unprotected_type_is_applied_without_approval(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without an access policy for apps a pushed app is good, applied, and nothing to submit."""
    world = World(tmp_path_factory.mktemp("open") / "world")
    alice = world.person("alice")
    held = "intuneServiceAdministrator, deployer"
    world.found({"maa.yaml": settings(), "accounts/alice.yaml": account("alice", alice.public_key, roles=held)})
    alice.commit({APP: app()})
    alice.git("push", "-q", "origin", "main")
    assert alice.maa("verify", "--format", "json").json["good"] is True
    applied = alice.maa("apply", "--format", "json").json["objects"]
    assert [(found["object"], found["operation"], found["outcome"]) for found in applied] == [
        ("app/company-portal", "create", "applied")
    ]
    alice.change("more", {APP: app(description="New.")})
    assert alice.maa("submit", "-m", "Why.", "--format", "json", code=3).error["code"] == "nothingProtected"
    answer = alice.maa("check", "--head", "HEAD", "--format", "json").json
    assert (answer["status"], [reason["code"] for reason in answer["reasons"]]) == (None, ["nothingProtected"])


def test_s03_administrators_are_gated_like_everybody(world: World) -> None:
    """An administrator's push to a protected resource is a violation, and not applied."""
    world.alice.commit({APP: app(description="Mine.")})
    world.alice.git("push", "-q", "origin", "main")
    found = world.carol.maa("verify", "--format", "json", code=3).json
    assert [violation["code"] for violation in found["violations"]] == ["unapprovedChange"]
    assert world.alice.maa("apply", "--format", "json", code=3).error["code"] == "unapprovedChange"


def test_s04_s12_an_account_outside_the_approver_group_cannot_approve(world: World) -> None:
    """A person in no approver group is refused, and told who can."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    refused = world.dave.maa("approve", request, "--format", "json", code=3).error
    assert (refused["code"], refused["hint"]) == ("notApprover", "who can: bob, carol")


def test_s05_a_group_counts_only_for_its_access_policy(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Members of the scripts' group cannot approve an app."""
    world = World.with_tenant(
        tmp_path_factory.mktemp("groups") / "world",
        {
            "groups/script-approvers.yaml": group("dave", "carol"),
            "policies/scripts.yaml": access_policy("script", "script-approvers"),
        },
    )
    request = world.alice.submitted("update", {APP: app(description="New.")})
    assert world.dave.maa("approve", request, "--format", "json", code=3).error["code"] == "notApprover"
    script = world.alice.submitted("script", {SCRIPT: TIME_ZONE, SCRIPT_TEXT: "Set-TimeZone -Id UTC\n"})
    assert world.dave.maa("approve", script, "--format", "json").json["status"] == "approved"


def test_s06_s26_s27_a_rejected_change_cannot_be_merged(world: World) -> None:
    """A rejection needs notes, ends the request, stands on the protected branch, and its notes reach the requestor."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("reject", request, code=2)
    answer = world.bob.maa("reject", request, "-m", "Wait for the pilot.", "--format", "json").json
    assert answer["status"] == "rejected"
    assert f"requests/{answer['requestDateTime'][:4]}/update.jsonl" in world.git(
        world.server, "ls-tree", "-r", "--name-only", "main"
    )
    assert world.alice.maa("merge", request, "--format", "json", code=3).error["code"] == "rejected"
    assert world.carol.maa("approve", request, "--format", "json", code=3).error["code"] == "rejected"
    seen = world.alice.show(request).json
    assert (seen["approver"], seen["approvalJustification"]) == ("bob", "Wait for the pilot.")


@pytest.mark.parametrize(
    ("files", "operation"),
    [
        ({APP: app(extra=ASSIGNED)}, "assign"),
        ({APP: app(description="New.")}, "edit"),
        ({APP: None}, "delete"),
        ({"resources/apps/other.yaml": app("Other")}, "create"),
        ({"resources/apps/company-portal.note.txt": "x"}, "edit"),
    ],
)
def test_s07_s21_s55_s56_s57_s58_s59_s60_every_operation_on_an_app_is_gated(
    world: World, files: dict[str, str | None], operation: str
) -> None:
    """Create, edit, delete, assign and whatever else touches an object: pushed directly it is a violation."""
    if "resources/apps/company-portal.note.txt" not in files:
        request = world.alice.submitted("update", files)
        assert [found["operation"] for found in world.alice.show(request).json["objects"]] == [operation]
        world.alice.git("switch", "-q", "main")
    world.alice.commit(files)
    world.alice.git("push", "-q", "origin", "main")
    found = world.carol.maa("verify", "--format", "json", code=3).json
    assert [violation["code"] for violation in found["violations"]] == ["unapprovedChange"]


def test_s08_other_types_are_not_protected_by_a_policy_for_apps(world: World) -> None:
    """A tenant's own profile type is covered by its own access policies only."""
    types = "profileTypes:\n  appProtectionPolicy: {folder: app-protection}\n"
    request = world.alice.submitted("types", {"maa.yaml": settings(types)})
    world.bob.maa("approve", request)
    world.alice.maa("complete", request)
    world.alice.change("policy", {"resources/app-protection/ios.yaml": "displayName: iOS\n"})
    assert world.alice.maa("submit", "-m", "Why.", "--format", "json", code=3).error["code"] == "nothingProtected"
    explained = world.alice.maa("explain", "resources/app-protection/ios.yaml", "--format", "json").json
    assert (explained["object"], explained["protected"]) == ("appProtectionPolicy/ios", False)


@pytest.mark.parametrize(
    ("document", "name", "text"),
    [
        (TIME_ZONE, "set-time-zone.ps1", "Set-TimeZone -Id UTC\n"),
        (
            "type: deviceShellScript\ndisplayName: Set time zone\nscriptFile: set-time-zone.sh\nrunAsAccount: system\n",
            "set-time-zone.sh",
            "#!/bin/sh\nsystemsetup -settimezone GMT\n",
        ),
    ],
)
def test_s09_s10_a02_scripts_of_both_systems_are_protected(world: World, document: str, name: str, text: str) -> None:
    """A script's document and its text are one object, protected together."""
    request = world.alice.submitted("script", {SCRIPT: document, f"resources/scripts/{name}": text})
    answer = world.alice.show(request).json
    assert answer["objects"] == [{"object": "script/set-time-zone", "operation": "create"}]
    assert answer["requiredOperationApprovalPolicyTypes"] == ["script"]
    assert text.splitlines()[-1] in world.bob.maa("diff", request).out


def test_s11_n03_n30_the_rules_need_an_administrator_and_an_approval(world: World) -> None:
    """Without administrator role nobody submits a change to an access policy; an administrator needs approval."""
    stricter = {"policies/apps.yaml": access_policy("app", "approvers", required=2)}
    world.dave.change("stricter", stricter)
    assert world.dave.maa("submit", "-m", "Why.", "--format", "json", code=3).error["code"] == "missingRole"
    request = world.alice.submitted("stricter-2", stricter)
    assert world.alice.maa("merge", request, "--format", "json", code=3).error["code"] == "needsApprovals"
    world.carol.maa("approve", request)
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"
    second = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", second)
    assert world.alice.show(second).json["policies"][0]["satisfied"] is False
    assert world.carol.maa("approve", second, "--format", "json").json["status"] == "approved"


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "x" * 1025, "tab\tinside", "turned \u202e around"])
def test_s13_s14_s15_n18_a_business_justification_is_needed(world: World, text: str) -> None:
    """Blank, too long, and with control or bidirectional characters: refused; nothing is pushed."""
    world.alice.change("update", {APP: app(description="New."), "resources/apps/other.yaml": app("Other")})
    world.alice.maa("submit", "-m", text, code=2)
    world.alice.maa("submit", code=2)
    assert world.git(world.server, "branch", "--list", "change/*") == ""


def test_s16_s19_s20_s22_s23_s24_s52_the_approver_sees_everything(world: World) -> None:
    """When, who, what, the status, the whole justification, the change, and both decisions are shown."""
    words = "Version 11.2\nfixes the enrolment loop."
    request = world.alice.submitted("update", {APP: app(description="New.")}, words)
    shown = world.bob.maa("show", request).out
    for part in (
        "Needs approval",
        "Alice (alice)",
        "  Version 11.2\n  fixes the enrolment loop.",
        "edit app/company-portal",
    ):
        assert part in shown
    assert f"maa approve {request}" in shown
    assert f"maa reject {request}" in shown
    answer = world.bob.show(request).json
    assert (answer["requestor"], answer["status"], answer["requestJustification"]) == ("alice", "needsApproval", words)
    assert answer["requestDateTime"].endswith("Z")
    assert answer["canDecide"] is True
    changes = world.bob.maa("diff", request, "--format", "json").json["changes"]
    assert [(found["path"], found["object"], found["operation"]) for found in changes] == [
        (APP, "app/company-portal", "edit")
    ]
    assert "-description: Apps for work.\n+description: New.\n" in changes[0]["text"]


def test_s17_s18_s54_lists_are_for_whoever_asks(world: World) -> None:
    """My requests, received requests, all of them, and by status."""
    world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.submitted("other", {"resources/apps/other.yaml": app("Other")})

    def ids(*arguments: str) -> list[str]:
        found = world.alice.maa("requests", *arguments, "--format", "json").json["requests"]
        return [request["id"] for request in found]

    assert ids("--mine") == ["update"]
    assert ids("--received") == ["other", "update"]
    assert ids("--all") == ["other", "update"]
    assert ids("--status", "approved") == []
    assert world.dave.maa("requests", "--received", "--format", "json").json["requests"] == []


def test_s25_approver_notes_may_go_with_an_approval(world: World) -> None:
    """Notes are kept with the event, and limited like the justification."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request, "-m", "x" * 1025, code=2)
    world.bob.maa("approve", request, "-m", "Fine.")
    assert [event["notes"] for event in world.alice.show(request).json["events"]] == [None, "Fine."]


def test_s28_s29_nobody_approves_their_own_request(world: World) -> None:
    """The requestor is in the approver group, sees the request, and is refused with a clear reason."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    refused = world.alice.maa("approve", request, "--format", "json", code=3)
    assert refused.error["code"] == "selfApproval"
    received = world.alice.maa("requests", "--received", "--format", "json").json["requests"]
    assert [(found["id"], found["isMine"]) for found in received] == [("update", True)]


def test_s31_s62_merged_but_not_applied_is_shown_as_approved(world: World) -> None:
    """After the merge the request is Approved, being applied, until a receipt says that it is there."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    answer = world.alice.maa("merge", request, "--format", "json").json
    assert (answer["status"], answer["merged"]["by"]) == ("approved", "alice")
    assert "Approved, being applied" in world.bob.maa("show", request).out
    world.alice.maa("apply")
    assert world.alice.show(request).json["status"] == "completed"
    assert "Completed" in world.bob.maa("show", request).out


def test_s36_a_rejected_request_can_be_submitted_again(world: World) -> None:
    """A new submit in the same record opens it again."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("reject", request, "-m", "Not so.")
    world.alice.git("switch", "-q", "change/update")
    world.alice.commit({APP: app(description="Better.")})
    assert world.alice.maa("submit", "-m", "Once more.", "--format", "json").json["status"] == "needsApproval"
    world.bob.maa("approve", request)
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("profileType: app\napproverGroups: [approvers]\n", "missingKey"),
        (f"displayName: {'x' * 129}\nprofileType: app\napproverGroups: [approvers]\n", "invalidValue"),
        (f"displayName: A\ndescription: {'x' * 1025}\nprofileType: app\napproverGroups: [approvers]\n", "invalidValue"),
        ("displayName: A\nprofileType: [app, script]\napproverGroups: [approvers]\n", "invalidValue"),
        ("displayName: A\nprofileType: nothing\napproverGroups: [approvers]\n", "unknownProfileType"),
        ("displayName: A\nprofileType: app\napproverGroups: []\n", "invalidValue"),
        ("displayName: A\nprofileType: app\napproverGroups: [nobody]\n", "unknownGroup"),
        ("displayName: A\nprofileType: app\napproverGroups: [approvers]\nexcludeGroups: [x]\n", "unknownKey"),
    ],
)
def test_s37_s38_s39_s40_s41_s42_a08_access_policies_have_their_form(world: World, text: str, code: str) -> None:
    """Name, description, exactly one known profile type, at least one approver group, no exclusions."""
    world.alice.write("policies/apps.yaml", text)
    problems = world.alice.maa("validate", "--format", "json", code=3).json["problems"]
    assert code in [problem["code"] for problem in problems if problem["path"] == "policies/apps.yaml"]


def test_s44_s45_n26_a15_a16_a21_before_submitting_one_can_see_who_could_approve(world: World) -> None:
    """``explain`` names the approvers with addresses, ``submit --dry-run`` does what submit would, signing nothing."""
    explained = world.alice.maa("explain", APP).out
    assert "Bob (bob) <bob@contoso.com>" in explained
    covered = world.alice.maa("explain", "--format", "json").json
    assert covered["covered"] == ["app/company-portal"]
    world.alice.git("switch", "-q", "-c", "change/update")
    world.alice.write(APP, app(description="New."))
    answer = world.alice.maa("submit", "-a", "--dry-run", "--format", "json").json
    assert answer["policies"][0]["canApprove"] == ["bob", "carol"]
    assert world.git(world.server, "branch", "--list", "change/*") == ""
    assert world.alice.git("status", "--short") == f" M {APP}"


def test_s46_s47_f2_a_second_request_on_the_same_object_is_refused(world: World) -> None:
    """The refusal names the pending request; once that is cancelled, the second one may be submitted."""
    first = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.change("update-too", {APP: app(description="Other.")})
    refused = world.bob.maa("submit", "-m", "Mine.", "--format", "json", code=3).error
    assert refused["code"] == "locked"
    assert "'update'" in refused["message"]
    world.alice.maa("cancel", first)
    assert world.bob.maa("submit", "-m", "Mine.", "--format", "json").json["status"] == "needsApproval"


def test_s48_requests_on_different_objects_may_be_pending_together(world: World) -> None:
    """And both complete, one after the other, without being outdated by it."""
    first = world.alice.submitted("update", {APP: app(description="New.")})
    second = world.bob.submitted("other", {"resources/apps/other.yaml": app("Other")})
    world.carol.maa("approve", first)
    world.carol.maa("approve", second)
    world.alice.maa("complete", first)
    assert world.alice.maa("complete", second, "--format", "json").json["status"] == "completed"


def test_s49_s51_c11_only_the_requestor_cancels(world: World) -> None:
    """Anybody else is refused; the status is then Canceled, and stays so for everybody."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    assert world.bob.maa("cancel", request, "--format", "json", code=3).error["code"] == "notRequestor"
    assert world.alice.maa("cancel", request, "--format", "json").json["status"] == "cancelled"
    assert "Canceled" in world.bob.maa("show", request).out
    assert world.bob.maa("approve", request, "--format", "json", code=3).error["code"] == "cancelled"


def test_s50_n31_after_approval_an_approver_withdraws(world: World) -> None:
    """The requestor cannot cancel any more; the approver takes the approval back, and then it needs one again."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    assert world.alice.maa("cancel", request, "--format", "json", code=3).error["code"] == "awaitingCompletion"
    assert world.carol.maa("withdraw", request, "--format", "json", code=3).error["code"] == "notApprover"
    assert world.bob.maa("withdraw", request, "--format", "json").json["status"] == "needsApproval"
    assert world.alice.maa("merge", request, "--format", "json", code=3).error["code"] == "needsApprovals"


def test_s63_n02_only_the_requestor_completes_where_the_tenant_says_so(world: World) -> None:
    """One approval is enough; under ``completeBy: requestor`` somebody else's completion is refused."""
    only = settings("requests:\n  completeBy: requestor\n")
    rules = world.alice.submitted("rules", {"maa.yaml": only})
    world.bob.maa("approve", rules)
    world.alice.maa("complete", rules)
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    assert world.bob.maa("complete", request, "--format", "json", code=3).error["code"] == "notRequestor"
    assert world.alice.maa("complete", request, "--format", "json").json["status"] == "completed"


def test_n04_the_first_access_policies_need_an_administrator_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bootstrap: where no access policy exists yet, an administrator's submit alone lets the first ones land."""
    world = World(tmp_path_factory.mktemp("bootstrap") / "world")
    alice, bob = world.person("alice"), world.person("bob")
    files = {"maa.yaml": settings()}
    for person in (alice, bob):
        held = "intuneServiceAdministrator, deployer"
        files[f"accounts/{person.name}.yaml"] = account(person.name, person.public_key, roles=held)
    world.found(files)
    first = {
        "groups/approvers.yaml": group("alice", "bob"),
        "policies/access-policies.yaml": access_policy("accessPolicy", "approvers"),
    }
    request = alice.submitted("first", first)
    assert alice.maa("complete", request, "--format", "json").json["status"] == "completed"
    second = alice.submitted("second", {"policies/apps.yaml": access_policy("app", "approvers")})
    assert alice.maa("complete", second, "--format", "json", code=3).error["code"] == "needsApprovals"


def test_a12_edited_after_approval_the_approval_is_void(world: World) -> None:
    """A later commit on the branch voids the approval; submitted again it needs a new one."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    world.alice.git("pull", "-q", "origin", "change/update")
    world.alice.commit({APP: app(description="Sneaky.")})
    world.alice.git("push", "-q", "origin", "change/update")
    answer = world.alice.maa("check", request, "--format", "json", code=3)
    assert answer.reasons == ["editedSinceSubmit"]
    assert world.alice.maa("merge", request, "--format", "json", code=3).error["code"] == "editedSinceSubmit"
    assert world.alice.maa("submit", "-m", "Edited.", "--format", "json").json["policies"][0]["approvedBy"] == []


def test_a04_a05_quorum_and_scope(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Finance apps need two people, others one; the wildcard crosses folders."""
    world = World.with_tenant(
        tmp_path_factory.mktemp("scope") / "world",
        {"policies/finance.yaml": access_policy("app", "approvers", required=2, extra='scope: ["finance/*"]\n')},
    )
    finance = world.alice.submitted("finance", {"resources/apps/finance/eu/payroll.yaml": app("Payroll")})
    answer = world.bob.maa("approve", finance, "--format", "json").json
    assert [(found["policy"], found["satisfied"]) for found in answer["policies"]] == [
        ("apps", True),
        ("finance", False),
    ]
    assert world.carol.maa("approve", finance, "--format", "json").json["status"] == "approved"
    other = world.alice.submitted("update", {APP: app(description="New.")})
    assert world.bob.maa("approve", other, "--format", "json").json["status"] == "approved"


def test_a07_one_request_may_hold_many_objects(world: World) -> None:
    """Apps and scripts together; every covering access policy must be satisfied."""
    files = {f"resources/apps/app-{number}.yaml": app(f"App {number}") for number in range(5)}
    request = world.alice.submitted("many", {**files, SCRIPT: TIME_ZONE, SCRIPT_TEXT: "Set-TimeZone -Id UTC\n"})
    answer = world.bob.maa("approve", request, "--format", "json").json
    assert (answer["status"], len(answer["objects"]), len(answer["policies"])) == ("approved", 6, 2)
    assert len(world.alice.maa("plan", request, "--format", "json").json["objects"]) == 7


def test_a23_a_completed_request_can_be_put_back(world: World) -> None:
    """``revert`` makes a branch that puts everything back, to be approved like any change."""
    request = world.alice.submitted("update", {APP: app(description="New."), "resources/apps/other.yaml": app("Other")})
    world.bob.maa("approve", request)
    world.alice.maa("complete", request)
    branch = world.alice.maa("revert", request, "--format", "json").json["branch"]
    world.alice.git("switch", "-q", branch)
    world.alice.maa("submit", "-m", "It broke enrolment.")
    world.bob.maa("approve", "revert-update")
    assert world.alice.maa("complete", "revert-update", "--format", "json").json["status"] == "completed"
    assert world.read(APP) == app()
    held = world.alice.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["displayName"] for found in held] == ["Company Portal"]


@pytest.mark.parametrize("name", ["compliancePolicy", "configurationPolicy", "role", "tenantConfiguration"])
def test_n05_n06_n08_n09_a_tenants_own_types_are_protected_and_applied(world: World, name: str) -> None:
    """A profile type is data: with a folder and an access policy its objects are gated and applied."""
    rules = {
        "maa.yaml": settings(f"profileTypes:\n  {name}: {{folder: own}}\n"),
        "policies/own.yaml": access_policy(name, "approvers"),
    }
    first = world.alice.submitted("types", rules)
    world.bob.maa("approve", first)
    world.alice.maa("complete", first)
    second = world.alice.submitted("own", {"resources/own/x.yaml": "displayName: X\n"})
    assert world.alice.maa("complete", second, "--format", "json", code=3).error["code"] == "needsApprovals"
    world.bob.maa("approve", second)
    assert world.alice.maa("complete", second, "--format", "json").json["status"] == "completed"
    held = world.alice.maa("tenant", "--format", "json").json["objects"]
    assert [found["profileType"] for found in held] == ["app", name]


def record_moment(text: str) -> datetime:
    """A moment as the JSON has it."""
    return datetime.fromisoformat(text)


def test_n11_a11_the_expiry_is_a_setting(world: World) -> None:
    """Three days, say, as in Intune today; it applies to the next request."""
    rules = world.alice.submitted("rules", {"maa.yaml": settings("requests:\n  expireAfterDays: 3\n")})
    world.bob.maa("approve", rules)
    world.alice.maa("complete", rules)
    answer = world.alice.show(world.alice.submitted("update", {APP: app(description="New.")})).json
    expires = record_moment(answer["expirationDateTime"])
    assert expires - record_moment(answer["requestDateTime"]) == timedelta(days=3)


def test_s33_ended_requests_stay_visible_for_thirty_days(world: World, forger: Forger) -> None:
    """A request that was rejected 29 days ago is listed, one of 31 days ago is not; both can be shown by name."""
    for name, days in (("recent", 29), ("older", 31)):
        changes = [forger.change(f"resources/apps/{name}.yaml", None, app(name))]
        at = stamp(timedelta(days=-days))
        submit = forger.line(world.alice.key, forger.submit_fields("alice", name, changes, at=at))
        no = forger.fields("reject", "bob", name, at=at, change=forger.digest(changes), notes="No.")
        record = forger.record(submit, forger.line(world.bob.key, no, submit))
        files = {f"resources/apps/{name}.yaml": app(name), f"requests/{at[:4]}/{name}.jsonl": record}
        forger.push(forger.commit([world.tip()], files), f"change/{name}")
    listed = world.carol.maa("requests", "--format", "json").json["requests"]
    assert [(found["id"], found["status"]) for found in listed] == [("recent", "rejected")]
    assert world.carol.show("older").json["status"] == "rejected"


def test_n17_a_service_account_cannot_decide(world: World) -> None:
    """Not even as a member of the approver group."""
    robot = world.person("robot")
    rules = {
        "accounts/robot.yaml": account("robot", robot.public_key, extra="kind: service\n"),
        "groups/approvers.yaml": group("alice", "bob", "carol", "robot"),
    }
    first = world.alice.submitted("robot", rules)
    world.bob.maa("approve", first)
    world.alice.maa("complete", first)
    request = world.alice.submitted("update", {APP: app(description="New.")})
    assert "robot" not in world.alice.show(request).json["policies"][0]["canApprove"]
    assert robot.maa("approve", request, "--format", "json", code=3).error["code"] == "serviceAccount"
    robot.change("mine", {"resources/apps/other.yaml": app("Other")})
    assert robot.maa("submit", "-m", "Why.", "--format", "json", code=3).error["code"] == "serviceAccount"


def test_n22_reading_needs_no_key(world: World) -> None:
    """Whoever can clone can look: lists, requests, the gate, history, the log."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    reading = (
        ("requests",),
        ("show", request),
        ("diff", request),
        ("verify",),
        ("audit",),
        ("explain",),
        ("validate",),
    )
    with world.environment("dave"):
        for command in ((), *reading):
            assert run_maa("-C", str(world.dave.clone), *command).code == 0
        assert run_maa("-C", str(world.dave.clone), "check", request).code == 3


def test_n25_approver_groups_are_flat(world: World) -> None:
    """A group is no member of a group."""
    world.alice.write("groups/all.yaml", group("approvers", "dave"))
    problems = world.alice.maa("validate", "--format", "json", code=3).json["problems"]
    assert [(found["path"], found["code"]) for found in problems] == [("groups/all.yaml", "unknownAccount")]


def test_a17_changes_around_the_gate_are_found(world: World) -> None:
    """Drift is an answer of its own: exit code 3, the object, what was changed."""
    world.alice.maa("apply")
    store = next((world.alice.clone / ".git" / "maa" / "tenants").glob("*.sqlite3"))
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE objects SET data = replace(data, 'Apps for work.', 'Apps for play.')")
    found = world.alice.maa("drift", "--format", "json", code=3).json["objects"]
    assert [(one["object"], one["outcome"]) for one in found] == [("app/company-portal", "changed")]
    assert "Apps for play." in found[0]["text"]
    world.alice.maa("apply")
    assert world.alice.maa("drift", "--format", "json").json["objects"] == []


def test_check_says_yes_of_a_request_that_was_squashed_onto_the_protected_branch(world: World, forger: Forger) -> None:
    """How it landed does not matter; only what goes on after that is refused."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    head = world.tip("change/update")
    world.alice.git("fetch", "-q", "origin")
    world.carol.maa("complete", request)
    world.alice.git("fetch", "-q", "origin")
    squashed = forger.commit([world.git(world.server, "rev-parse", "main^1")], {}, tree_of="origin/main")
    forger.push(squashed, force=True)
    forger.push(head, "change/update")
    world.dave.maa("verify")
    assert world.dave.maa("check", request, "--format", "json").json["merged"]["commit"] == squashed
    more = forger.commit([head], {APP: app(description="More.")})
    forger.push(more, "change/update")
    assert world.dave.maa("check", request, "--format", "json", code=3).error["code"] == "alreadyMerged"
