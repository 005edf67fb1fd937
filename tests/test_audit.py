"""The log: every act, run and violation has its row, and no row says more than a key, a record or a receipt proves."""

import csv
import io
from collections.abc import Mapping
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
from tests.support.world import run_maa

FIELDS = ["at", "account", "action", "request", "objects", "verified", "reason", "commit", "detail"]
AGO = timedelta(minutes=-10)
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


class Request:
    """A request made by hand, on the app unless another file is named; our tool has no part in it."""

    def __init__(self, forger: Forger, name: str = "forged", files: Mapping[str, str] | None = None) -> None:
        """Change files against the server's main."""
        self.forger, self.world, self.name = forger, forger.world, name
        self.files = files if files is not None else {APP: app(description=name)}
        self.changes = [forger.change(path, self.world.read(path), new) for path, new in self.files.items()]
        self.lines: list[bytes] = []

    def event(self, action: str, key: Path, claimed: str, namespace: str = "maa-gitops", **more: Any) -> "Request":
        """Add a line with the claimed account, signed by whatever key."""
        if action == "submit":
            fields = self.forger.submit_fields(claimed, self.name, self.changes, **more)
        else:
            digest = self.forger.digest(self.changes)
            fields = {**self.forger.fields(action, claimed, self.name, change=digest), **more}
        self.lines.append(self.forger.line(key, fields, self.lines[-1] if self.lines else None, namespace))
        return self

    def act(self, action: str, person: Person, **more: Any) -> "Request":
        """Add a line in a person's own name."""
        return self.event(action, person.key, person.name, **more)

    def push(self) -> str:
        """Push the change branch."""
        commit = self.forger.commit([self.world.tip()], {**self.files, **self._record()})
        self.forger.push(commit, f"change/{self.name}", force=True)
        return commit

    def land(self, *, files: bool = True) -> str:
        """Push the record, and the files with it or not, straight to the protected branch."""
        commit = self.forger.commit([self.world.tip()], {**(self.files if files else {}), **self._record()})
        self.forger.push(commit)
        return commit

    def _record(self) -> dict[str, bytes]:
        return {record_path(self.name): self.forger.record(*self.lines)}


def approved(forger: Forger, name: str = "forged", files: Mapping[str, str] | None = None, **more: Any) -> Request:
    """A request that may land: submitted by alice, approved by carol, completed by alice."""
    world = forger.world
    request = Request(forger, name, files).act("submit", world.alice, **more)
    return request.act("approve", world.carol, **more).act("complete", world.alice, **more)


# --- what is in the log ----------------------------------------------------------------------------------------------


def test_s61_n04_every_act_from_the_start_to_the_apply_has_a_verified_row(world: World) -> None:
    """The trusted start, submit, approve, complete and apply are listed by time, each with its commit and objects."""
    start = world.tip()
    request = world.alice.submitted("update", {APP: app(description="New.")}, "Version 11.2.")
    world.bob.maa("approve", request, "-m", "Checked.")
    world.alice.maa("complete", request)
    rows, tip = log(world.dave), world.tip()
    assert [list(row) for row in rows] == [FIELDS] * 5
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


def test_s61_an_open_request_is_in_the_log_without_commit_and_a_vetoed_one_with(world: World) -> None:
    """Events of a change branch are listed at once; a rejection is on the protected branch, and what it follows."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    assert [(row["action"], row["commit"]) for row in log(world.dave)[1:]] == [("submit", None)]
    world.carol.maa("reject", request, "-m", "Not now.")
    tip = world.tip()
    world.alice.maa("submit", "-m", "Once more.")
    rows = log(world.dave)[1:]
    assert seen(rows) == [("submit", "alice", None), ("reject", "carol", None), ("submit", "alice", None)]
    assert [row["commit"] for row in rows] == [tip, tip, None]


def test_each_line_names_the_commit_that_brought_it(world: World, forger: Forger) -> None:
    """A record that landed with its rejection, and again with the completion of the next round."""
    request = Request(forger).act("submit", world.alice).act("reject", world.carol, notes="No.")
    first = request.land(files=False)
    for action, person in (("submit", world.alice), ("approve", world.bob), ("complete", world.alice)):
        request.act(action, person)
    second = request.land()
    rows = [row for row in log(world.dave) if row["request"]]
    assert [(row["action"], row["commit"], row["verified"]) for row in rows] == [
        ("submit", first, True),
        ("reject", first, True),
        ("submit", second, True),
        ("approve", second, True),
        ("complete", second, True),
    ]


# --- forgeries -------------------------------------------------------------------------------------------------------


def test_h19_h27_a_claim_without_the_key_is_never_attributed(world: World, forger: Forger) -> None:
    """Signed by a stranger, or by somebody else's good key: nobody's row, with the claim beside it."""
    stranger, _ = world.key("stranger")
    request = Request(forger).act("submit", world.alice).event("approve", world.dave.key, "bob")
    request.event("reject", stranger, "carol", notes="No.").push()
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
    request = Request(forger).act("submit", world.alice).act("approve", world.bob, namespace="git")
    request.act("approve", world.bob, request="another")
    request.lines.append(b"approved, I promise")
    request.act("approve", world.carol).push()
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
    """Who rewrites a landed record gets a violation and marked rows; what was signed stays in the log, verified."""
    merge, path = approved(forger).land(), record_path("forged")
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
    """A reject is cut off on the branch and an approval put there: the reject stays, what replaced it is marked."""
    request = Request(forger).act("submit", world.alice).act("reject", world.carol, notes="No.")
    request.land(files=False)
    request.lines.pop()
    request.act("approve", world.bob).push()
    rows = {row["action"]: row for row in log(world.dave)[1:]}
    assert {action: row["reason"] for action, row in rows.items()} == {
        "submit": None,
        "reject": None,
        "approve": "recordAltered",
    }


def test_h23_nothing_is_verified_behind_a_completion_or_as_one_that_never_landed(world: World, forger: Forger) -> None:
    """A line behind a landed complete, and a complete on a change branch, are marked."""
    request = approved(forger)
    merge = request.land()
    request.act("approve", world.bob).push()
    approved(forger, "late").push()
    rows = {(row["request"], row["action"], row["account"]): row for row in log(world.dave)}
    assert rows["forged", "complete", "alice"]["commit"] == merge
    assert rows["forged", "complete", "alice"]["verified"] is True
    assert rows["forged", "approve", "bob"]["reason"] == "recordAltered"
    assert rows["late", "complete", "alice"]["reason"] == "brokenRecord"


def test_d5_a_record_that_cannot_be_one_is_a_marked_row_and_no_crash(world: World, forger: Forger) -> None:
    """A symbolic link in the place of a record, on both branches; a change branch whose name gives no id."""
    tip, path = world.tip(), record_path("link")
    link = forger.commit([tip], {path: "../elsewhere"}, modes={path: "120000"})
    forger.push(link, "change/link")
    forger.push(forger.commit([tip], {"requests/2026/-no.id.jsonl": "{}\n"}), "change/-no.id")
    forger.push(link)
    assert {(row["action"], row["request"], row["reason"]) for row in log(world.dave)[1:]} == {
        (None, "link", "brokenRecord"),
        ("violation", None, "recordAltered"),
    }


# --- who was who when ------------------------------------------------------------------------------------------------


def test_c5_a_landed_record_stays_verified_when_its_signer_has_another_key(world: World, forger: Forger) -> None:
    """Landed events are judged by the rules that they landed under, open ones by those of now."""
    approved(forger, "early").land()
    Request(forger, "open", {APP: app(description="Open.")}).act("submit", world.carol).push()
    _, fresh = world.key("fresh")
    file = account("carol", fresh, roles="intuneServiceAdministrator, deployer")
    approved(forger, "rotate", {"accounts/carol.yaml": file}).land()
    rows = {(row["request"], row["action"]): row for row in log(world.dave)}
    assert [rows[name, "approve"]["account"] for name in ("early", "rotate")] == ["carol", "carol"]
    assert rows["rotate", "submit"]["objects"] == ["accessPolicy/accounts/carol.yaml"]
    assert (rows["open", "submit"]["account"], rows["open", "submit"]["reason"]) == (None, "unknownSigner")


# --- around the gate -------------------------------------------------------------------------------------------------


def test_f5_f10_h9_a_direct_push_is_in_the_log_for_good_healed_or_not(world: World, forger: Forger) -> None:
    """A push around the gate is a violation with its objects; putting it back heals it, and it stays listed."""
    merge = approved(forger).land()
    pushed = forger.commit([merge], {APP: app(description="Mine.")})
    forger.push(pushed)
    row = log(world.dave)[-1]
    assert (row["action"], row["account"], row["verified"], row["commit"]) == ("violation", None, False, pushed)
    assert (row["reason"], row["objects"]) == ("unapprovedChange", ["app/company-portal"])
    assert row["detail"] == "protected paths changed without a completed request; not healed"
    healing = forger.commit([pushed], {}, tree_of=merge)
    forger.push(healing)
    later = approved(forger, "later").land()
    rows = log(world.dave)
    assert [row["detail"] for row in rows if row["action"] == "violation"] == [
        f"protected paths changed without a completed request; healed by {healing}"
    ]
    assert {(row["request"], row["commit"]) for row in rows if row["request"]} == {("forged", merge), ("later", later)}


def test_the_merge_button_of_a_forge_shows_as_a_violation_until_the_completion(world: World, forger: Forger) -> None:
    """Lines that a bad commit brought are open there; the completion that heals it is what they landed with."""
    good = world.tip()
    request = Request(forger).act("submit", world.alice).act("approve", world.bob)
    button = request.land()
    after = forger.commit([button], {"README.md": "Hello.\n"})
    forger.push(after)
    rows = log(world.dave)
    assert {(row["action"], row["commit"]) for row in rows[1:]} == {
        ("submit", button), ("approve", button), ("violation", button), ("violation", after),
    }  # fmt: skip
    merge = request.act("complete", world.alice, base=good).land()
    rows = log(world.dave)
    assert {(row["action"], row["commit"]) for row in rows[1:]} == {
        ("submit", merge), ("approve", merge), ("complete", merge), ("violation", button), ("violation", after),
    }  # fmt: skip
    assert all(row["detail"].endswith(f"; healed by {merge}") for row in rows if row["action"] == "violation")


# --- receipts --------------------------------------------------------------------------------------------------------


def test_receipts_that_do_not_read_or_were_rolled_back_are_a_row_and_no_crash(world: World, forger: Forger) -> None:
    """Junk on a receipts branch, and a branch that is gone: each says so where the applies should stand."""
    world.alice.maa("apply")
    assert seen(log(world.alice)[-1:]) == [("apply", "alice", None)]
    forger.push(None, "maa/applied/local")
    world.alice.git("fetch", "-q", "--prune", "origin")
    assert seen(log(world.alice)[-1:]) == [("apply", None, "receiptsRolledBack")]
    forger.push(forger.commit([], {"receipts.jsonl": "junk\n"}), "maa/applied/local")
    forger.push(forger.commit([], {"virus.exe": "junk\n"}), "maa/applied/other")
    rows = log(world.dave)[1:]
    assert seen(rows) == [("apply", None, "receiptsUnreadable")] * 2
    assert [row["detail"].split(":")[0] for row in rows] == [
        "the receipts on maa/applied/local do not read",
        "the receipts on maa/applied/other do not read",
    ]


def test_h8_a_step_dated_before_a_receipt_for_an_earlier_commit_is_a_warning(world: World, forger: Forger) -> None:
    """A request dated back ten minutes lands after an apply of now: a warning, no violation; a punctual one is none."""
    applied = world.tip()
    world.alice.maa("apply")
    merge = approved(forger, at=stamp(AGO)).land()
    answer = world.dave.maa("audit", "--format", "json")
    assert "violation" not in [row["action"] for row in answer.json["entries"]]
    assert answer.err.startswith("warning: the receipt of ")
    assert f" names {applied[:12]}, but the later step {merge[:12]} is dated " in answer.err
    repository = Repository.open(world.dave.clone, world.variables())
    history = verify_history(repository, datetime.now(UTC), fetch=False)
    warnings = late_receipts(Context(repository, history, history.start, True, datetime.now(UTC)))
    assert [f"warning: {warning}" for warning in warnings] == answer.err.splitlines()[:1]


def test_a_receipt_within_five_minutes_of_a_later_step_is_no_warning(world: World, forger: Forger) -> None:
    """Clocks may be five minutes apart."""
    world.alice.maa("apply")
    approved(forger, at=stamp(timedelta(minutes=-4))).land()
    assert "warning" not in world.dave.maa("audit").err


# --- choosing rows ---------------------------------------------------------------------------------------------------


def test_rows_are_chosen_by_account_object_and_time(world: World, forger: Forger) -> None:
    """By who is proven to have done it, by object or pattern, and by day or moment."""
    approved(forger).land()
    assert [row["action"] for row in log(world.dave, "--account", "alice")] == ["submit", "complete"]
    assert [row["action"] for row in log(world.dave, "--object", "app/*")] == ["submit", "approve", "complete"]
    assert len(log(world.dave, "--object", "app/company-portal")) == 3
    assert log(world.dave, "--object", "app/company") == []
    today, tomorrow = stamp()[:10], stamp(timedelta(days=1))
    assert len(log(world.dave, "--since", today)) == len(log(world.dave))
    assert log(world.dave, "--since", tomorrow[:10]) == log(world.dave, "--since", tomorrow) == []


def test_c8_a_row_that_is_not_verified_is_never_left_out_for_its_date(world: World, forger: Forger) -> None:
    """Who forges a line or pushes around the gate cannot hide it by a date."""
    stranger, _ = world.key("stranger")
    Request(forger).event("submit", stranger, "alice", at=stamp(AGO)).push()
    forger.push(forger.commit([world.tip()], {APP: None}))
    rows = log(world.dave, "--since", stamp(timedelta(days=1)))
    assert sorted(row["action"] for row in rows) == ["submit", "violation"]


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "2026-11-23T10:00:00", "1.11.2026"])
def test_a_time_that_cannot_be_read_is_wrong_usage(since: str) -> None:
    """Exit code 2, and what is expected."""
    answer = run_maa("audit", "--since", since)
    assert answer.code == 2
    assert "YYYY-MM-DD" in answer.err


# --- text and CSV ----------------------------------------------------------------------------------------------------


def test_text_is_a_table_with_control_characters_escaped(world: World, forger: Forger) -> None:
    """One line a row, whatever a justification holds; the options stand before the command or after it."""
    request = Request(forger).act("submit", world.alice, justification="One\nTwo\tThree")
    request.lines[0] = request.lines[0].replace(b"\\tThree", b"")
    request.push()
    lines = world.dave.maa("audit").out.splitlines()
    assert len(lines) == 2
    row = lines[1].split("\t")
    assert row[1:] == ["-", "submit", "forged", "app/company-portal", "badSignature", "-", row[-1]]
    assert row[-1] == "by somebody unknown, claiming to be alice; One\\nTwo"
    assert world.dave.maa("--format", "json", "audit").json["version"] == 1
    assert world.dave.maa("audit", "--account", "nobody").err == "no entries\n"


def test_a25_csv_has_a_header_and_survives_every_text(world: World) -> None:
    """A justification that is a formula, with quotes, commas and lines, is one harmless cell of one row."""
    world.alice.submitted("update", {APP: app(description="New.")}, '=HYPERLINK("http://evil","a,b")\n@next')
    out = world.dave.maa("audit", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(out, newline=""), strict=True))
    assert list(rows[0]) == FIELDS
    assert [row["action"] for row in rows] == ["bootstrap", "submit"]
    assert rows[1]["detail"] == '\'=HYPERLINK("http://evil","a,b")\\n@next'
    assert (rows[1]["objects"], rows[1]["verified"], rows[1]["commit"]) == ("app/company-portal", "true", "")
    assert out.count("\r\n") == out.count("\n") == 3


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t", "\r"])
def test_a25_no_cell_of_csv_is_a_formula(beginning: str) -> None:
    """Whatever column it comes in, a text that a spreadsheet would compute gets an apostrophe before it."""
    text = f"{beginning}1+1"
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    entry = LogEntry(moment, text, text, text, (text, "app/x"), False, text, text, text)
    _, row = csv.reader(io.StringIO(csv_text([entry]), newline=""))
    assert row[0] == "2026-11-23T00:00:00Z"
    assert row[5] == "false"
    assert all(cell.startswith("'") and "\t" not in cell and "\r" not in cell for cell in (*row[1:5], *row[6:]))
