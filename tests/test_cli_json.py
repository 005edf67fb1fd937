"""What scripts read: with ``--format json`` every command prints exactly one document of the documented shape."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import APP, World, access_policy, account, app, group, settings
from tests.support.world import Answer, run_maa

OTHER = "resources/apps/other.yaml"
SCRIPT = "resources/scripts/set-time-zone.yaml"
TIME_ZONE = (
    "type: deviceManagementScript\ndisplayName: Set time zone\nscriptFile: set-time-zone.ps1\nrunAsAccount: system\n"
)
BROKEN = "resources/apps/broken.yaml"

Shape = Any
"""A type, None, a tuple of shapes (any of them), a list of one shape, or a mapping of keys to shapes."""

TEXT, MAYBE = str, (str, None)
POLICY: Shape = {
    "policy": TEXT,
    "approverGroups": [TEXT],
    "requiredApprovals": int,
    "approvedBy": [TEXT],
    "canApprove": [TEXT],
    "satisfied": bool,
}
EVENT: Shape = {
    "account": MAYBE,
    "action": TEXT,
    "at": TEXT,
    "counts": bool,
    "code": MAYBE,
    "notes": MAYBE,
    "attestedBy": MAYBE,
}
REASON: Shape = {"code": TEXT, "message": TEXT, "account": MAYBE, "policy": MAYBE}
REQUEST: Shape = {
    "id": TEXT,
    "branch": MAYBE,
    "requestor": MAYBE,
    "requestDateTime": MAYBE,
    "lastModifiedDateTime": MAYBE,
    "expirationDateTime": MAYBE,
    "status": MAYBE,
    "requestJustification": MAYBE,
    "approver": MAYBE,
    "approvalJustification": MAYBE,
    "requiredOperationApprovalPolicyTypes": [TEXT],
    "change": MAYBE,
    "contributors": [TEXT],
    "objects": [{"object": TEXT, "operation": TEXT}],
    "policies": [POLICY],
    "events": [EVENT],
    "merged": ({"commit": TEXT, "at": TEXT, "by": TEXT}, None),
    "applied": [{"target": TEXT, "at": TEXT, "outcome": TEXT, "message": MAYBE}],
    "isMine": bool,
    "canDecide": bool,
    "reasons": [REASON],
}
VIOLATION: Shape = {"commit": TEXT, "code": TEXT, "message": TEXT, "paths": [TEXT], "healedBy": MAYBE}
HISTORY: Shape = {"from": TEXT, "to": TEXT, "good": bool, "steps": int, "violations": [VIOLATION]}
PROBLEM: Shape = {
    "path": TEXT,
    "line": (int, None),
    "column": (int, None),
    "level": TEXT,
    "code": TEXT,
    "message": TEXT,
}
EXPLAINED: Shape = {
    "object": TEXT,
    "path": TEXT,
    "protected": bool,
    "requiredRole": ([TEXT], None),
    "policies": [POLICY],
}
REPORT: Shape = {
    "target": TEXT,
    "commit": MAYBE,
    "objects": [{"object": TEXT, "operation": TEXT, "requests": [TEXT], "outcome": MAYBE, "message": MAYBE}],
}
ENTRY: Shape = {
    "at": TEXT,
    "account": MAYBE,
    "action": TEXT,
    "request": MAYBE,
    "objects": [TEXT],
    "verified": bool,
    "reason": MAYBE,
    "commit": MAYBE,
    "detail": MAYBE,
}
CHANGE: Shape = {
    "path": TEXT,
    "object": MAYBE,
    "operation": MAYBE,
    "old": MAYBE,
    "new": MAYBE,
    "text": TEXT,
}
ERROR: Shape = {
    "kind": TEXT,
    "code": MAYBE,
    "message": TEXT,
    "hint": MAYBE,
    "path": MAYBE,
    "line": (int, None),
    "column": (int, None),
    "retry": bool,
}


def misfits(value: object, shape: Shape, where: str = "$") -> list[str]:
    """Where a value is not of the shape; keys beside the documented ones may be there."""
    if isinstance(shape, tuple):
        return [] if any(not misfits(value, one) for one in shape) else [f"{where}: {value!r}"]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [m for number, item in enumerate(value) for m in misfits(item, shape[0], f"{where}[{number}]")]
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        missing = [f"{where}.{key} is missing" for key in shape if key not in value]
        there = [key for key in shape if key in value]
        return missing + [m for key in there for m in misfits(value[key], shape[key], f"{where}.{key}")]
    fits = value is None if shape is None else type(value) is shape
    return [] if fits else [f"{where}: {value!r}"]


def document_of(answer: Answer) -> dict[str, Any]:
    """The one document that a command put out, which has a version."""
    plain = answer.json
    assert answer.out.count("\n{") + answer.out.startswith("{") == 1
    assert type(plain["version"]) is int
    assert plain["version"] == 1
    return plain


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A completed, a rejected and two waiting requests, and rules whose files list names backwards."""
    world = World.with_tenant(
        tmp_path_factory.mktemp("story") / "world",
        {
            "groups/zulu.yaml": group("carol", "bob"),
            "policies/apps.yaml": access_policy("app", "zulu", "approvers"),
            "policies/a-company.yaml": access_policy("app", "approvers", extra='scope: ["company-*"]\n'),
        },
    )
    done = world.alice.submitted("done", {APP: app(description="New.")}, "Version 11.2.")
    world.bob.maa("approve", done, "-m", "Checked.")
    world.bob.maa("complete", done)
    refused = world.bob.submitted("refused", {OTHER: app("Other")})
    world.carol.maa("reject", refused, "-m", "Not now.")
    many = {OTHER: app("Other"), APP: app(description="Newer."), "resources/apps/another.yaml": app("Another")}
    script = {SCRIPT: TIME_ZONE, "resources/scripts/set-time-zone.ps1": "Set-TimeZone -Id UTC\n"}
    world.alice.submitted("waiting", {**many, **script, "notes.txt": "beside it\n"})
    world.bob.submitted("another", {"resources/apps/third.yaml": app("Third")})
    world.bob.git("switch", "-q", "main")
    for name in ("resources/apps/z.yaml", BROKEN):
        world.bob.write(name, "type: winGetApp\ntype: winGetApp\n")
    return world


def put_out(world: World, *arguments: str, code: int = 0, person: str = "bob") -> dict[str, Any]:
    """The document of a command."""
    return document_of(world.people[person].maa(*arguments, "--format", "json", code=code))


# --- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "shape"),
    [
        ((), 0, {"waiting": [REQUEST], "mine": [REQUEST], "approved": [REQUEST]}),
        (("requests",), 0, {"requests": [REQUEST]}),
        (("show", "waiting"), 0, REQUEST),
        (("show", "done"), 0, REQUEST),
        (("check", "waiting"), 3, REQUEST),
        (("check", "done"), 0, REQUEST),
        (("diff", "waiting"), 0, {"changes": [CHANGE]}),
        (("verify",), 0, HISTORY),
        (("validate",), 3, {"problems": [PROBLEM]}),
        (("explain", APP), 0, EXPLAINED),
        (("explain", "maa.yaml"), 0, EXPLAINED),
        (("explain",), 0, {"policies": [POLICY], "covered": [TEXT], "uncovered": [TEXT], "profileTypes": [TEXT]}),
        (("plan", "waiting"), 0, REPORT),
        (("plan",), 0, REPORT),
        (("drift",), 0, REPORT),
        (("tenant",), 0, {"objects": [{"target": TEXT, "profileType": TEXT, "properties": {}, "assignments": []}]}),
        (("audit",), 0, {"entries": [ENTRY]}),
        (("schema",), 0, {"schemas": [TEXT]}),
        (("schema", "app"), 0, {"name": TEXT, "schema": {"$schema": TEXT}}),
    ],
)
def test_commands_that_read_print_one_document_of_their_shape(
    story: World, arguments: tuple[str, ...], code: int, shape: Shape
) -> None:
    """Every documented key is there with its type."""
    assert misfits(put_out(story, *arguments, code=code), shape) == []


def test_every_act_prints_the_request(world: World) -> None:
    """Submit, approve, withdraw, reject, cancel, merge, complete: the request as it is afterwards."""
    alice, bob = world.alice, world.bob
    seen = []

    def acted(person: str, *arguments: str) -> None:
        plain = put_out(world, *arguments, person=person)
        assert misfits(plain, REQUEST) == []
        seen.append((arguments[0], plain["status"]))

    alice.change("update", {APP: app(description="New.")})
    acted("alice", "submit", "-m", "Wanted.", "--dry-run")
    acted("alice", "submit", "-m", "Wanted.")
    acted("alice", "submit", "-m", "Wanted.")
    acted("bob", "approve", "update")
    acted("bob", "approve", "update")
    acted("bob", "withdraw", "update")
    acted("bob", "reject", "update", "-m", "No.")
    acted("alice", "submit", "-m", "Please.")
    acted("alice", "cancel", "update")
    acted("alice", "submit", "-m", "Please.")
    bob.maa("approve", "update")
    acted("alice", "merge", "update")
    acted("alice", "merge", "update")
    acted("alice", "complete", "update")
    assert seen == [
        ("submit", "needsApproval"),
        ("submit", "needsApproval"),
        ("submit", "needsApproval"),
        ("approve", "approved"),
        ("approve", "approved"),
        ("withdraw", "needsApproval"),
        ("reject", "rejected"),
        ("submit", "needsApproval"),
        ("cancel", "cancelled"),
        ("submit", "needsApproval"),
        ("merge", "approved"),
        ("merge", "approved"),
        ("complete", "completed"),
    ]


def test_a_request_says_what_the_contract_says(story: World) -> None:
    """The values of a waiting request, as the approver sees it."""
    plain = put_out(story, "show", "waiting", person="carol")
    wanted = {
        "version": 1,
        "id": "waiting",
        "branch": "change/waiting",
        "requestor": "alice",
        "status": "needsApproval",
        "requestJustification": "Wanted.",
        "approver": None,
        "approvalJustification": None,
        "requiredOperationApprovalPolicyTypes": ["app", "script"],
        "contributors": ["alice"],
        "objects": [
            {"object": "app/another", "operation": "create"},
            {"object": "app/company-portal", "operation": "edit"},
            {"object": "app/other", "operation": "create"},
            {"object": "script/set-time-zone", "operation": "create"},
        ],
        "merged": None,
        "applied": [],
        "isMine": False,
        "canDecide": True,
    }
    assert {key: plain[key] for key in wanted} == wanted
    assert plain["change"].startswith("sha256:")
    assert plain["policies"][1] == {
        "policy": "apps",
        "approverGroups": ["approvers", "zulu"],
        "requiredApprovals": 1,
        "approvedBy": [],
        "canApprove": ["bob", "carol"],
        "satisfied": False,
    }
    assert {(reason["code"], reason["policy"]) for reason in plain["reasons"]} == {
        ("needsApprovals", name) for name in ("a-company", "apps", "scripts")
    }
    assert plain["requestDateTime"] == plain["lastModifiedDateTime"] == plain["events"][0]["at"]
    assert plain["requestDateTime"] < plain["expirationDateTime"]


def test_a_completed_request_says_where_it_went(story: World) -> None:
    """Merge commit, who merged, and the targets."""
    plain = put_out(story, "show", "done")
    assert (plain["status"], plain["approver"], plain["approvalJustification"]) == ("completed", "bob", "Checked.")
    assert (plain["merged"]["by"], plain["expirationDateTime"], plain["branch"]) == ("bob", None, None)
    assert story.git(story.server, "merge-base", "main", plain["merged"]["commit"]) == plain["merged"]["commit"]
    assert [(found["target"], found["outcome"]) for found in plain["applied"]] == [("local", "applied")]
    assert [(event["action"], event["notes"]) for event in plain["events"]] == [
        ("submit", None),
        ("approve", "Checked."),
        ("complete", None),
    ]


def test_lists_are_sorted(story: World) -> None:
    """By id, by name, by path: whoever reads need not sort."""

    def ordered(values: list[Any]) -> bool:
        return len(values) > 1 and values == sorted(values)

    for person in story.people:
        listed = put_out(story, "requests", person=person)["requests"]
        assert ordered([request["id"] for request in listed])
    assert [request["id"] for request in put_out(story, person="carol")["waiting"]] == ["another", "waiting"]
    shown = put_out(story, "show", "waiting")
    assert ordered([found["object"] for found in shown["objects"]])
    assert ordered([found["policy"] for found in shown["policies"]])
    assert ordered(shown["requiredOperationApprovalPolicyTypes"])
    assert ordered(shown["policies"][0]["canApprove"] + ["zz"])
    problems = put_out(story, "validate", code=3)["problems"]
    assert ordered([(found["path"], found["line"] or 0, found["column"] or 0) for found in problems])
    assert ordered([found["path"] for found in put_out(story, "diff", "waiting")["changes"]])
    explained = put_out(story, "explain")
    assert ordered(explained["profileTypes"])
    assert ordered([found["policy"] for found in explained["policies"]])
    assert ordered([found["object"] for found in put_out(story, "plan", "waiting")["objects"]])
    assert ordered(put_out(story, "schema")["schemas"])
    assert ordered([found["at"] for found in put_out(story, "audit")["entries"]])


def test_apply_drift_and_plan_have_one_shape(world: World) -> None:
    """What is to do, what was done, what was done around the gate: objects with operation and outcome."""
    planned = put_out(world, "plan")
    done = put_out(world, "apply")
    assert misfits(planned, REPORT) == misfits(done, REPORT) == []
    assert [(found["object"], found["operation"], found["outcome"]) for found in planned["objects"]] == [
        ("app/company-portal", "create", None)
    ]
    assert [(found["object"], found["operation"], found["outcome"]) for found in done["objects"]] == [
        ("app/company-portal", "create", "applied")
    ]
    assert put_out(world, "drift")["objects"] == []


def test_verify_lists_violations(world: World) -> None:
    """Commit, code, paths, and what healed it."""
    world.alice.commit({APP: app(description="Sneaky.")})
    world.alice.git("push", "-q", "origin", "main")
    plain = put_out(world, "verify", code=3)
    assert misfits(plain, HISTORY) == []
    assert [(found["commit"], found["paths"], found["healedBy"]) for found in plain["violations"]] == [
        (world.tip(), [APP], None)
    ]


def test_init_archive_and_revert_print_one_document(world: World) -> None:
    """What was written, what became of branches, the new branch's name."""
    bob = world.bob
    request = world.alice.submitted("update", {APP: app(description="New.")})
    bob.maa("approve", request)
    bob.maa("complete", request)
    world.carol.submitted("refused", {OTHER: app("Other")})
    bob.maa("reject", "refused", "-m", "No.")
    assert misfits(put_out(world, "revert", request), {"branch": TEXT, "reverts": TEXT}) == []
    assert misfits(put_out(world, "archive"), {"archived": []}) == []
    bob.git("switch", "-q", "-c", "change/more")
    written = put_out(world, "init", "--tenant", "contoso")
    assert misfits(written, {"branch": TEXT, "files": [TEXT], "commit": MAYBE, "notes": [TEXT]}) == []
    assert written["files"] == sorted(written["files"])


def test_check_of_a_branch_that_changes_nothing_protected_has_no_status(world: World) -> None:
    """``status`` is null, the reason says why, and the exit code is 0."""
    world.alice.change("notes", {"notes.txt": "x\n"})
    world.alice.git("push", "-q", "origin", "change/notes")
    plain = put_out(world, "check", "notes")
    assert misfits(plain, REQUEST) == []
    assert (plain["status"], [reason["code"] for reason in plain["reasons"]]) == (None, ["nothingProtected"])


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "reason"),
    [
        (("show", "nothing"), 3, "notAllowed", "noOpenRequest"),
        (("merge", "waiting"), 3, "notAllowed", "needsApprovals"),
        (("submit", "-m", "x"), 3, "notAllowed", "notOnChangeBranch"),
        (("verify", "nothing"), 4, "repository", None),
        (("nonsense",), 2, "usage", "usage"),
        (("requests", "--nonsense"), 2, "usage", "usage"),
        (("approve",), 2, "usage", "usage"),
        (("reject", "waiting"), 2, "usage", "usage"),
        (("plan", "--target", "nonsense"), 2, "usage", "usage"),
        (("-C", "/nonsense", "requests"), 2, "usage", "usage"),
    ],
)
def test_an_error_is_one_document(
    story: World, arguments: tuple[str, ...], code: int, kind: str, reason: str | None
) -> None:
    """On standard output, with every key; ``--format json`` may stand before the command or after it."""
    for line in ((*arguments, "--format", "json"), ("--format", "json", *arguments), (*arguments, "--format=json")):
        answer = story.bob.maa(*line, code=code)
        plain = document_of(answer)
        assert misfits(plain["error"], ERROR) == []
        assert (plain["error"]["kind"], plain["error"]["code"]) == (kind, reason)
        assert answer.err == ""


def test_an_error_outside_a_repository_is_one_document(tmp_path: Path) -> None:
    """There is nothing to ask, and that is said in JSON."""
    answer = run_maa("-C", str(tmp_path), "requests", "--format", "json")
    assert (answer.code, document_of(answer)["error"]["code"]) == (4, "noRepository")


def test_broken_rules_on_the_protected_branch_say_where(tmp_path: Path) -> None:
    """Nothing can be told then; the place is in the message, the command that lists all of it is the hint."""
    world = World(tmp_path / "world")
    alice = world.person("alice")
    broken = settings("tenant: twice\n")
    world.found({"maa.yaml": broken, "accounts/alice.yaml": account("alice", alice.public_key)})
    error = document_of(alice.maa("requests", "--format", "json", code=4))["error"]
    assert misfits(error, ERROR) == []
    line = broken.splitlines().index("tenant: twice") + 1
    assert f"maa.yaml:{line}:1: " in error["message"]
    assert error["hint"].startswith("maa validate --commit ")


def test_what_acts_note_does_not_come_between(world: World) -> None:
    """With JSON asked for, notes go to standard error and standard output stays one document."""
    world.alice.change("update", {APP: app(description="New.")})
    world.alice.write(OTHER, app("Other"))
    answer = world.alice.maa("submit", "-m", "Wanted.", "--format", "json")
    assert document_of(answer)["id"] == "update"
    assert OTHER in answer.err


def test_text_in_json_is_as_it_was_written(world: World) -> None:
    """A justification with quotes, line feeds and letters of every script reads back unchanged."""
    words = 'Größe "XL"\n申請 \\u202e ελιά'
    request = world.alice.submitted("update", {APP: app(description="New.")}, words)
    assert json.loads(world.bob.show(request).out)["requestJustification"] == words
