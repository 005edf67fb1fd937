"""The log: every act, run and violation has its row, and no row says more than a key, a record or a receipt proves."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maa_gitops.apply import Context
from maa_gitops.audit import LogEntry, late_receipts
from maa_gitops.cli.auditing import csv_text
from maa_gitops.git import Repository
from maa_gitops.workflow.verifying import verify_history
from tests.support import APP, Forger, Person, World, account, app, stamp
from tests.support.forgery import Forgery

OLD = timedelta(minutes=-30)
KEYS = ["at", "account", "action", "request", "objects", "verified", "reason", "commit", "detail"]
Row = dict[str, Any]


def log(person: Person, *arguments: str) -> list[Row]:
    """The log as JSON."""
    entries: list[Row] = person.maa("audit", "--format", "json", *arguments).json["entries"]
    return entries


def seen(rows: list[Row]) -> list[tuple[str | None, ...]]:
    """Of each row: what was done, by whom, and why it is not verified."""
    return [(row["action"], row["account"], row["reason"]) for row in rows]


def record_path(request: str) -> str:
    """Where the record of a request of now lies."""
    return f"requests/{stamp()[:4]}/{request}.jsonl"


def landed(forger: Forger, request: str = "forged", **more: Any) -> str:
    """Land an approved request, made by hand; returns the merge commit."""
    world = forger.world
    forgery = Forgery(forger, request, {APP: app(description=request)}).submit(world.alice, **more)
    return forgery.approve(world.bob, **more).event("complete", world.alice, **more).land()


# --- what is in the log ----------------------------------------------------------------------------------------------


def test_s61_n04_every_act_from_the_start_to_the_apply_has_a_verified_row(world: World) -> None:
    """The trusted start, submit, approve, complete and apply are listed by time, each with its commit and objects."""
    start = world.tip()
    request = world.alice.submitted("update", {APP: app(description="New.")}, "Version 11.2.")
    world.bob.maa("approve", request, "-m", "Checked.")
    world.alice.maa("complete", request)
    rows, tip = log(world.dave), world.tip()
    assert [list(row) for row in rows] == [KEYS] * 5
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert [(row["action"], row["account"], row["request"], row["commit"], row["verified"]) for row in rows] == [
        ("bootstrap", None, None, start, True),
        ("submit", "alice", "update", tip, True),
        ("approve", "bob", "update", tip, True),
        ("complete", "alice", "update", tip, True),
        ("apply", "alice", None, tip, True),
    ]
    assert [row["objects"] for row in rows] == [[], *[["app/company-portal"]] * 4]
    assert [row["detail"] for row in rows[1:]] == ["Version 11.2.", "Checked.", None, "local: 1 applied, 0 failed"]


def test_s61_an_open_request_is_in_the_log_without_commit_and_its_veto_with(world: World) -> None:
    """Events of a change branch are listed at once; a rejection is on the protected branch, and with it the submit."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.bob.maa("approve", request)
    assert {(row["action"], row["commit"]) for row in log(world.dave)[1:]} == {("submit", None), ("approve", None)}
    world.carol.maa("reject", request, "-m", "Not now.")
    rows = log(world.dave)[1:]
    assert seen(rows) == [("submit", "alice", None), ("approve", "bob", None), ("reject", "carol", None)]
    assert {row["commit"] for row in rows} == {world.tip()}
    world.alice.maa("submit", "-m", "Once more.")
    assert [row["commit"] for row in log(world.dave)[1:]] == [world.tip()] * 3 + [None]


# --- forgeries -------------------------------------------------------------------------------------------------------


def test_h19_h27_a_claim_without_the_key_is_never_attributed(world: World, forger: Forger) -> None:
    """Signed by a stranger, or by somebody else's good key: nobody's row, with the claim beside it."""
    stranger, _ = world.key("stranger")
    Forgery(forger).submit(world.alice).approve(world.dave, "bob").event("reject", stranger, "carol").push()
    rows = log(world.bob)[1:]
    assert seen(rows) == [
        ("submit", "alice", None),
        ("approve", None, "unknownSigner"),
        ("reject", None, "unknownSigner"),
    ]
    assert [row["verified"] for row in rows] == [True, False, False]
    assert rows[1]["detail"] == "by somebody unknown, claiming to be bob"
    assert rows[2]["detail"] == "by somebody unknown, claiming to be carol; No."


def test_a12_c3_h16_lines_that_are_not_good_are_marked_with_the_reason(world: World, forger: Forger) -> None:
    """Another namespace, another request's line, a line that is no event at all."""
    forgery = Forgery(forger).submit(world.alice).approve(world.bob, namespace="git")
    forgery.approve(world.bob, request="another")
    forgery.lines.append(b"approved, I promise")
    forgery.approve(world.carol).push()
    assert seen(log(world.dave)[1:]) == [
        ("submit", "alice", None),
        ("approve", None, "badSignature"),
        ("approve", "bob", "brokenRecord"),
        (None, None, "brokenRecord"),
        ("approve", "carol", None),
    ]


def test_f7_an_edited_line_on_the_protected_branch_stands_beside_the_one_that_was_signed(
    world: World, forger: Forger
) -> None:
    """Who rewrites a landed record gets a violation and a marked row; what was signed stays in the log, verified."""
    merge = landed(forger)
    path = record_path("forged")
    edited = forger.commit([merge], {path: world.read(path).replace("Wanted.", "Harmless.")})
    forger.push(edited)
    rows = log(world.dave)
    assert [(row["action"], row["reason"], row["detail"]) for row in rows if row["commit"] == merge] == [
        ("submit", None, "Wanted."),
        ("approve", None, None),
        ("complete", None, None),
    ]
    assert [(row["action"], row["reason"], row["detail"]) for row in rows if row["commit"] == edited] == [
        ("submit", "badSignature", "by somebody unknown, claiming to be alice; Harmless."),
        ("approve", "brokenRecord", None),
        ("complete", "brokenRecord", None),
        ("violation", "recordAltered", f"{path}: a record may only be extended; not healed"),
    ]


def test_h1_a_change_branch_that_contradicts_a_landed_veto_is_marked(world: World, forger: Forger) -> None:
    """Cutting a reject off on the branch and approving instead: the reject stays, what replaced it is marked."""
    forgery = Forgery(forger).submit(world.alice).event("reject", world.carol)
    forgery.land(files={})
    forgery.lines.pop()
    forgery.approve(world.bob).push()
    rows = log(world.dave)[1:]
    assert sorted(seen(rows), key=str) == [
        ("approve", "bob", "recordAltered"),
        ("reject", "carol", None),
        ("submit", "alice", None),
    ]


def test_h23_nothing_is_verified_after_a_completion_or_as_one_off_the_protected_branch(
    world: World, forger: Forger
) -> None:
    """A line behind a landed complete, and a complete that never landed, are marked."""
    merge = landed(forger)
    late = Forgery(forger, "late", {APP: app(description="Late.")}).submit(world.alice).event("complete", world.alice)
    late.push()
    after = Forgery(forger)
    after.lines = world.read(record_path("forged")).encode().splitlines()
    after.approve(world.carol).push()
    rows = {(row["request"], row["action"], row["account"]): row for row in log(world.dave)}
    assert rows["late", "complete", "alice"]["reason"] == "brokenRecord"
    assert rows["forged", "approve", "carol"]["reason"] == "recordAltered"
    assert rows["forged", "complete", "alice"]["commit"] == merge
    assert rows["forged", "complete", "alice"]["verified"] is True


def test_d15_a_record_that_cannot_be_one_is_a_marked_row_and_no_crash(world: World, forger: Forger) -> None:
    """A symbolic link in the place of a record, on the protected branch and on a change branch; a branch of no name."""
    tip = world.tip()
    link = forger.commit([tip], {record_path("link"): "../elsewhere"}, modes={record_path("link"): "120000"})
    forger.push(link, "change/link")
    forger.push(tip, "change/-_no.id")
    forger.push(link)
    rows = log(world.dave)[1:]
    assert {(row["action"], row["request"], row["reason"]) for row in rows} == {
        (None, "link", "brokenRecord"),
        ("violation", None, "recordAltered"),
    }


# --- who was who when ------------------------------------------------------------------------------------------------


def test_c5_an_old_record_stays_verified_when_its_signer_has_another_key(world: World, forger: Forger) -> None:
    """Landed events are judged by the rules that they landed under, open ones by those of now."""
    landed(forger, "early", at=stamp(OLD))
    Forgery(forger, "open", {APP: app(description="Open.")}).submit(world.bob).push()
    _, fresh = world.key("fresh")
    roles = "intuneServiceAdministrator, deployer"
    rotation = Forgery(forger, "rotate", {"accounts/bob.yaml": account("bob", fresh, roles=roles)})
    rotation.submit(world.alice).approve(world.carol).event("complete", world.alice).land()
    rows = {(row["request"], row["action"]): row for row in log(world.dave)}
    assert rows["early", "approve"]["account"] == "bob"
    assert rows["early", "approve"]["verified"] is True
    assert rows["rotate", "submit"]["objects"] == ["accessPolicy/accounts/bob.yaml"]
    assert rows["open", "submit"]["account"] is None
    assert rows["open", "submit"]["reason"] == "unknownSigner"


# --- around the gate -------------------------------------------------------------------------------------------------


def test_f5_f10_h9_a_direct_push_is_in_the_log_for_ever_healed_or_not(world: World, forger: Forger) -> None:
    """A push around the gate is a violation with its objects; putting it back heals it, and it stays listed."""
    merge = landed(forger, at=stamp(OLD))
    pushed = forger.commit([merge], {APP: app(description="Mine.")})
    forger.push(pushed)
    row = log(world.dave)[-1]
    assert (row["action"], row["account"], row["verified"], row["commit"]) == ("violation", None, False, pushed)
    assert (row["reason"], row["objects"]) == ("unapprovedChange", ["app/company-portal"])
    assert row["detail"] == "protected paths changed without a completed request; not healed"
    healing = forger.commit([pushed], {}, tree_of=merge)
    forger.push(healing)
    later = landed(forger, "later")
    rows = log(world.dave)
    assert [row["action"] for row in rows] == ["bootstrap", *["submit", "approve", "complete"] * 2, "violation"]
    assert rows[-1]["detail"] == f"protected paths changed without a completed request; healed by {healing}"
    assert {row["commit"] for row in rows if row["request"] == "later"} == {later}
