"""A request's record: reading its lines, the form of each field, the chain, extending it, and what becomes of it."""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from maa_gitops import signing
from maa_gitops.documents import shipped_schema
from maa_gitops.documents.validation import violations
from maa_gitops.model import Action, Event, Evidence, FileChange, ReasonCode
from maa_gitops.record import (
    LINE_LIMIT,
    RECORD_LIMIT,
    Context,
    Draft,
    event_facts,
    extend,
    good_prefix,
    longest,
    parse_event,
    prose_problem,
    read,
    signed_bytes,
)
from tests.support import APP, Forger, World, app, canonical, sha256, stamp
from tests.support.forgery import APPROVED, Forgery, verified

BASE = "8c6d3b0f5a1e4d7c9b2a8f6e5d4c3b2a1f0e9d8c"
DIGEST = "sha256:" + "3f" * 32
HASH = "5e" * 32
SIGNATURE = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"
FILE: dict[str, Any] = {"mode": "100644", "new": HASH, "old": None, "path": APP}
EVIDENCE: dict[str, Any] = {
    "source": "github",
    "userId": 583231,
    "login": "alice-nguyen",
    "url": "https://github.com/contoso/tenant/pull/7",
    "commit": BASE,
}
OWN: dict[str, dict[str, Any]] = {
    "submit": {"changes": [FILE], "contributors": ["alice"], "justification": "Wanted."},
    "approve": {"change": DIGEST, "previous": DIGEST},
    "reject": {"change": DIGEST, "previous": DIGEST, "notes": "No."},
    "withdraw": {"change": DIGEST, "previous": DIGEST},
    "cancel": {"change": DIGEST, "previous": DIGEST},
    "complete": {"change": DIGEST, "previous": DIGEST},
}


def plain(action: str, **more: Any) -> dict[str, Any]:
    """The fields of a sound event; ``more`` adds and replaces, None leaves out."""
    common = {
        "account": "alice",
        "action": action,
        "at": "2026-11-23T10:00:00Z",
        "base": BASE,
        "request": "update",
        "signature": SIGNATURE,
        "tenant": "contoso",
        "version": 1,
    }
    fields = {**common, **OWN[action], **more}
    return {key: value for key, value in fields.items() if value is not None}


def is_event(kind: str, **more: Any) -> bool:
    """Whether the line of a sound event with these fields instead is read as an event."""
    fields = {**plain(kind), **more}
    return parse_event(canonical({key: value for key, value in fields.items() if value is not None})) is not None


# --- one line --------------------------------------------------------------------------------------------------------


def test_a_line_is_read_field_by_field() -> None:
    """Every field ends where it belongs."""
    fields = plain("submit", previous=DIGEST, attestedBy="forge", evidence=EVIDENCE)
    assert parse_event(canonical(fields)) == Event(
        account="alice",
        action=Action.SUBMIT,
        at=datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
        base=BASE,
        request="update",
        tenant="contoso",
        signature=SIGNATURE,
        previous=DIGEST,
        changes=(FileChange(APP, "100644", None, HASH),),
        contributors=("alice",),
        justification="Wanted.",
        attested_by="forge",
        evidence=Evidence("github", 583231, "alice-nguyen", "https://github.com/contoso/tenant/pull/7", BASE),
    )


@pytest.mark.parametrize("action", OWN)
def test_the_fields_of_each_action(action: str) -> None:
    """Sound with its own fields, broken without any of them or with another's."""
    fields = plain(action)
    optional = {"previous"} if action == "submit" else set()
    assert is_event(action)
    for key in fields:
        assert is_event(action, **{key: None}) is (key in optional), key
    others: dict[str, Any] = {
        "changes": [FILE],
        "contributors": ["alice"],
        "justification": "x",
        "change": DIGEST,
        "notes": "x",
        "extra": "x",
    }
    own = {
        "submit": {"changes", "contributors", "justification"},
        "complete": {"change"},
    }.get(action, {"change", "notes"})
    for key, value in others.items():
        assert is_event(action, **{key: value}) is (key in own), key


@pytest.mark.parametrize("action", OWN)
def test_an_attested_event_names_attestor_and_evidence(action: str) -> None:
    """Both or none; nobody completes through the forge."""
    assert is_event(action, attestedBy="forge", evidence=EVIDENCE) is (action != "complete")
    assert not is_event(action, attestedBy="forge")
    assert not is_event(action, evidence=EVIDENCE)


MOMENTS = ["2026-11-23T10:00:00Z", "2024-02-29T23:59:59Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
NO_MOMENTS = [
    "2026-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "0000-01-01T00:00:00Z", "2026-11-23T24:00:00Z",
    "2026-11-23T10:00:60Z", "2026-11-23T10:00:00+00:00", "2026-11-23T10:00:00z", "2026-11-23 10:00:00Z",
    "2026-11-23T10:00:00.0Z", "2026-11-23T10:00Z", "2026-1-23T10:00:00Z", "20261123T100000Z", " 2026-11-23T10:00:00Z",
    "2026-11-23T10:00:00Z\n", "+026-11-23T10:00:00Z", "12026-11-23T10:00:00Z",
    "\u0662026-11-23T10:00:00Z", 20261123, True, "",
]  # fmt: skip
NO_NAMES = ["", "Alice", "a b", "a.b", "-a", "_a", "a/b", "a\n", "\u00e9", "\u0430lice", "x" * 65, 1, True, ["a"]]
NO_DIGESTS = [HASH, DIGEST.upper(), DIGEST[:-1], DIGEST + "0", DIGEST + "\n", "sha512:" + "3f" * 32, "", 1]
NO_PROSE = ["", " ", "\n\n", "\u2003", "x" * 1025, "a\tb", "a\rb", "a\x00b", "a\x1bb", "a\x7fb", "a\x85b", "a\x9bb",
            "a\u202eb", "a\u2066b", "a\u200eb", "a\u061cb", 1, True, ["x"]]  # fmt: skip
PROSE = ["x", "x" * 1024, "\U0001f511" * 1024, "Two\nlines.", "\u00dcber\u2028alles", "e\u0301", "a -- b <c> `d`"]


@pytest.mark.parametrize(
    ("action", "key", "good", "bad"),
    [
        ("approve", "account", ["a", "0", "a-b_c", "x" * 64], NO_NAMES),
        ("approve", "request", ["a", "revert-a", "x" * 64], NO_NAMES),
        ("approve", "at", MOMENTS, NO_MOMENTS),
        ("approve", "base", ["0" * 40], [BASE[:7], BASE.upper(), BASE + "0" * 24, BASE + "\n", "main", "", 1]),
        ("approve", "previous", [DIGEST], NO_DIGESTS),
        ("approve", "change", [DIGEST], NO_DIGESTS),
        ("approve", "tenant", ["contoso", "Contoso.Test_1-2", "x" * 128],
         ["", " ", "a b", "-a", ".a", "x" * 129, "a\n", "\u00fc", 1]),
        ("approve", "version", [1], [0, 2, True, "1", [1]]),
        ("approve", "action", [], ["Approve", "merge", "", 1]),
        ("approve", "notes", PROSE, NO_PROSE),
        ("reject", "notes", PROSE, NO_PROSE),
        ("submit", "justification", PROSE, NO_PROSE),
        ("submit", "contributors", [[], ["alice"], ["a", "b"]],
         [["b", "a"], ["a", "a"], ["A"], [1], "alice", {"alice": 1}, [["a"]]]),
        ("submit", "attestedBy", [], NO_NAMES),
    ],
)  # fmt: skip
def test_the_form_of_each_field(action: str, key: str, good: list[Any], bad: list[Any]) -> None:
    """What is in its form is read, anything else makes the line no event."""
    for value in good:
        assert is_event(action, **{key: value}), value
    for value in bad:
        assert not is_event(action, **{key: value}), value


@pytest.mark.parametrize(
    ("more", "is_fine"),
    [
        ({}, True),
        ({"old": HASH}, True),
        ({"mode": "100755"}, True),
        ({"mode": "120000"}, True),
        ({"mode": None, "new": None, "old": HASH}, True),
        ({"path": "docs/\u00fc b\n.md"}, True),
        ({"path": "x" * 4096}, True),
        ({"mode": "160000"}, False),
        ({"mode": "040000"}, False),
        ({"mode": "100664"}, False),
        ({"mode": 100644}, False),
        ({"mode": None}, False),
        ({"new": None}, False),
        ({"new": None, "old": HASH}, False),
        ({"mode": None, "old": HASH}, False),
        ({"mode": None, "new": None}, False),
        ({"new": HASH.upper()}, False),
        ({"new": DIGEST}, False),
        ({"new": HASH[:-1]}, False),
        ({"old": ""}, False),
        ({"path": ""}, False),
        ({"path": "/docs/a"}, False),
        ({"path": "docs/"}, False),
        ({"path": "docs//a"}, False),
        ({"path": "docs/../a"}, False),
        ({"path": "./a"}, False),
        ({"path": ".git/config"}, False),
        ({"path": "docs/.GIT/config"}, False),
        ({"path": "x" * 4097}, False),
        ({"path": 1}, False),
        ({"extra": "x"}, False),
    ],
)
def test_h15_a_file_of_a_signed_list(more: dict[str, Any], is_fine: bool) -> None:
    """A deletion has no mode, nothing goes from nothing to nothing, no path leads out of the tree."""
    assert is_event("submit", changes=[{**FILE, **more}]) is is_fine


def test_a_signed_list_is_sorted_by_the_bytes_of_its_paths() -> None:
    """Each path once, none at all is no list."""

    def listed(*paths: str) -> bool:
        return is_event("submit", changes=[{**FILE, "path": path} for path in paths])

    assert listed("Z", "a-b", "a/b", "\uff5e", "\U0001f511")
    assert not listed("a/b", "a-b")
    assert not listed("\U0001f511", "\uff5e")
    assert not listed("a", "a")
    assert not is_event("submit", changes=[])
    assert not is_event("submit", changes={"0": FILE})
    assert not is_event("submit", changes=[{key: FILE[key] for key in ("mode", "new", "path")}])


@pytest.mark.parametrize(
    ("more", "is_fine"),
    [
        ({}, True),
        ({"source": "gitlab"}, False),
        ({"userId": 0}, False),
        ({"userId": True}, False),
        ({"userId": "583231"}, False),
        ({"login": ""}, False),
        ({"login": "x" * 101}, False),
        ({"url": "http://github.com/"}, False),
        ({"url": "https://git hub"}, False),
        ({"commit": BASE[:7]}, False),
        ({"extra": "x"}, False),
    ],
)
def test_the_form_of_evidence(more: dict[str, Any], is_fine: bool) -> None:
    """The number, a login, an address and a full commit id, and nothing else."""
    assert is_event("approve", attestedBy="forge", evidence={**EVIDENCE, **more}) is is_fine


def respelled(change: Callable[[str], str]) -> bytes:
    """A sound line in another spelling."""
    return change(canonical(plain("approve", notes="\u00dc/")).decode()).encode()


@pytest.mark.parametrize(
    "raw",
    [
        respelled(lambda line: line.replace(":", ": ", 1)),
        respelled(lambda line: line.replace(",", ", ", 1)),
        respelled(lambda line: " " + line),
        respelled(lambda line: line + " "),
        respelled(lambda line: line + "\r"),
        respelled(lambda line: "\ufeff" + line),
        respelled(lambda line: line.replace("\u00dc", "\\u00dc")),
        respelled(lambda line: line.replace("\u00dc/", "\u00dc\\/")),
        respelled(lambda line: line.replace('"version":1', '"version":1.0')),
        respelled(lambda line: line.replace('"version":1', '"version":1e0')),
        respelled(lambda line: line.replace('"version":1', '"version":1,"version":1')),
        respelled(lambda line: "{" + '"version":1,' + line[1:].replace(',"version":1', "")),
        respelled(lambda line: line.replace('"action"', '"\\u0061ction"')),
        respelled(lambda line: line + "//"),
        respelled(lambda line: line + "# a comment"),
        respelled(lambda line: "/* */" + line),
        respelled(lambda line: f"[{line}]"),
        respelled(lambda line: line.replace("{", '{"a":NaN,', 1)),
        respelled(lambda line: line.replace("{", '{"a":-0,', 1)),
        respelled(lambda line: line.replace("\u00dc", "\\ud800")),
        canonical(plain("approve", notes="\u00dc/")).replace("\u00dc".encode(), b"\xdc"),
        canonical(plain("approve")).decode().encode("utf-16"),
        canonical(plain("approve")).decode().encode("utf-32-le"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"version":' + b"9" * 5000 + b"}",
        b"null", b"1", b'"x"', b"{}", b"", b" ", b"\x00", b"# comment",
    ],
)  # fmt: skip
def test_h16_only_the_canonical_spelling_is_an_event(raw: bytes) -> None:
    """Comments, blanks, CR, other key order, escapes and floats: whoever reads the line reads the same."""
    assert parse_event(raw) is None
    assert parse_event(canonical(plain("approve", notes="\u00dc/"))) is not None


def test_prose_says_what_is_wrong() -> None:
    """The same rules for what a person types, with words."""
    assert [prose_problem(text) for text in PROSE] == [None] * len(PROSE)
    assert prose_problem(" \n") == "it is blank"
    assert prose_problem("x" * 1025) == "it has 1025 characters; at most 1024 are allowed"
    assert prose_problem("a\x1b[2K") == "it has control or bidirectional characters"


# --- whole records ---------------------------------------------------------------------------------------------------

SUBMIT, APPROVE = canonical(plain("submit")), canonical(plain("approve"))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (SUBMIT + b"\n", [True]),
        (SUBMIT + b"\n" + APPROVE + b"\n", [True, True]),
        (SUBMIT, [False]),
        (SUBMIT + b"\n" + APPROVE, [True, False]),
        (b"\n", [False]),
        (SUBMIT + b"\n\n", [True, False]),
        (b"\n" + SUBMIT + b"\n", [False, True]),
        (SUBMIT + b"\r\n" + APPROVE + b"\n", [False, True]),
        (SUBMIT + b"\n# approved by bob\n", [True, False]),
        (SUBMIT + b"\n\x00", [True, False]),
    ],
)
def test_h16_a_record_is_one_event_a_line_and_nothing_else(data: bytes, expected: list[bool]) -> None:
    """A blank line, and what follows the last newline, are lines that are no events."""
    assert [line.event is not None for line in read(data)] == expected


def test_a_record_has_at_most_16_mebibytes() -> None:
    """One byte more, and its last line is no event."""
    assert RECORD_LIMIT == 16 * 1024 * 1024
    full = b"x" * (RECORD_LIMIT - len(SUBMIT) - 2) + b"\n" + SUBMIT + b"\n"
    assert len(full) == RECORD_LIMIT
    assert [line.event is not None for line in read(full)] == [False, True]
    assert read(b"x" + full)[-1].event is None


def test_d15_a_record_has_at_most_ten_thousand_lines() -> None:
    """What is beyond is one line that is no event, however many line feeds are in it."""
    assert len(read(SUBMIT[:1] + b"\n" * RECORD_LIMIT)) == LINE_LIMIT + 1
    assert read(b"\n" * LINE_LIMIT + SUBMIT + b"\n")[-1].event is None
    assert read(b"\n" * (LINE_LIMIT - 1) + SUBMIT + b"\n")[-1].event is not None


CONTEXT = Context("contoso", "update", 2026, lambda commit: commit == BASE)


def chained(forger: Forger, *events: Mapping[str, Any]) -> list[bytes]:
    """Lines signed by the account that each names, each chained to the one before."""
    lines: list[bytes] = []
    for fields in events:
        key = forger.world.people[fields["account"]].key
        unsigned = {k: v for k, v in fields.items() if k not in ("signature", "previous")}
        lines.append(forger.line(key, unsigned, lines[-1] if lines else None))
    return lines


def faults_of(*lines: bytes, context: Context = CONTEXT) -> list[ReasonCode | None]:
    """What reading finds wrong with each line."""
    return [fact.fault for fact in event_facts(read(b"".join(line + b"\n" for line in lines)), context)]


def test_events_written_by_others_are_read_and_verified(forger: Forger) -> None:
    """Signed with ssh-keygen over bytes made here: each verifies under its account's key."""
    people = ["alice", "bob", "carol", "bob", "alice", "carol"]
    lines = chained(forger, *(plain(action, account=name) for action, name in zip(OWN, people, strict=True)))
    facts = event_facts(read(forger.record(*lines)), CONTEXT)
    assert [fact.fault for fact in facts] == [None] * 6
    assert [fact.key for fact in facts] == [forger.world.people[name].public_key for name in people]


def test_the_signed_bytes_are_the_line_without_its_signature() -> None:
    """Nothing else is left out, nothing is respelled."""
    assert signed_bytes(SUBMIT) == canonical({k: v for k, v in plain("submit").items() if k != "signature"})


def test_what_makes_a_line_not_good(forger: Forger) -> None:
    """Chain, tenant, request, base and signature; the lines around it stay as they were."""
    submit, approve = chained(forger, plain("submit"), plain("approve", account="bob"))
    key = forger.world.bob.key
    unsigned = {k: v for k, v in plain("approve", account="bob").items() if k not in ("signature", "previous")}

    def instead(previous: bytes = submit, **more: Any) -> list[ReasonCode | None]:
        return faults_of(submit, forger.line(key, {**unsigned, **more}, previous))

    assert faults_of(submit, approve) == [None, None]
    assert instead() == [None, None]
    assert instead(submit + b"\n") == [None, "brokenRecord"]
    assert instead(approve) == [None, "brokenRecord"]
    assert instead(tenant="fabrikam") == [None, "brokenRecord"]
    assert instead(request="other") == [None, "brokenRecord"]
    assert instead(base="0" * 40) == [None, "wrongBase"]
    assert faults_of(submit, forger.line(key, unsigned, submit, "git")) == [None, "badSignature"]
    assert faults_of(submit, approve.replace(b'"bob"', b'"eve"')) == [None, "badSignature"]
    assert faults_of(submit, canonical({**json.loads(approve), "signature": SIGNATURE})) == [None, "badSignature"]
    assert faults_of(approve, submit) == ["brokenRecord", "brokenRecord"]
    assert faults_of(submit, submit) == [None, "brokenRecord"]
    assert faults_of(submit, b"", approve) == [None, "brokenRecord", "brokenRecord"]
    assert faults_of(approve) == ["brokenRecord"]


def test_a_first_event_has_no_previous_one(forger: Forger) -> None:
    """What was cut out of a longer record is no record."""
    first, second = chained(forger, plain("submit"), plain("submit"))
    assert faults_of(first, second) == [None, None]
    assert faults_of(second) == ["brokenRecord"]


@pytest.mark.parametrize(
    ("at", "year", "is_fine"),
    [
        ("2026-01-01T00:00:00Z", 2026, True),
        ("2025-12-31T23:59:59Z", 2026, False),
        ("2026-12-31T23:59:59Z", 2026, True),
        ("2027-01-01T00:00:00Z", 2026, False),
    ],
)
def test_h4_the_year_is_that_of_the_first_event(forger: Forger, at: str, year: int, is_fine: bool) -> None:
    """In UTC; later events may be of later years."""
    context = Context("contoso", "update", year, lambda _: True)
    lines = chained(forger, plain("submit", at=at), plain("approve", account="bob", at="2028-01-01T00:00:00Z"))
    assert faults_of(*lines, context=context) == [None if is_fine else "brokenRecord", None]


# --- extending -------------------------------------------------------------------------------------------------------


def draft(action: Action, **more: Any) -> Draft:
    """A sound draft."""
    at = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    return Draft(account="alice", action=action, at=at, base=BASE, request="update", tenant="contoso", **more)


def no_key(payload: bytes, namespace: str) -> str:
    """Sign nothing, but show what would be signed."""
    assert namespace == "maa-gitops"
    assert b"signature" not in payload
    return SIGNATURE


def test_extending_keeps_the_old_bytes_and_chains_to_the_last_line() -> None:
    """The old record is a prefix of the new one; each line is canonical JSON with a newline."""
    file = FileChange(APP, "100644", None, HASH)
    one = extend(
        b"", draft(Action.SUBMIT, changes=(file,), contributors=("bob", "alice"), justification="Why."), no_key
    )
    assert one == canonical(plain("submit", contributors=["alice", "bob"], justification="Why.")) + b"\n"
    two = extend(one, draft(Action.APPROVE, change=DIGEST, notes="Checked."), no_key)
    assert two == one + canonical(plain("approve", notes="Checked.", previous="sha256:" + sha256(one[:-1]))) + b"\n"
    three = extend(two, draft(Action.COMPLETE, change=DIGEST), no_key)
    last = two.split(b"\n")[1]
    assert three == two + canonical(plain("complete", previous="sha256:" + sha256(last))) + b"\n"


def test_what_would_not_be_read_back_is_not_written() -> None:
    """A blank justification, a rejection without notes, an approval of nothing."""
    file = FileChange(APP, "100644", None, HASH)
    for first in (
        draft(Action.SUBMIT, changes=(file,), contributors=("alice",), justification=" "),
        draft(Action.SUBMIT, changes=(), contributors=("alice",), justification="Why."),
        draft(Action.APPROVE, change=DIGEST),
    ):
        with pytest.raises(ValueError, match="form"):
            extend(b"", first, no_key)
    for later in (draft(Action.REJECT, change=DIGEST), draft(Action.APPROVE, change=None)):
        with pytest.raises(ValueError, match="form"):
            extend(SUBMIT + b"\n", later, no_key)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], b""),
        ([b"a\n"], b"a\n"),
        ([b"a\nb\n", b"a\n"], b"a\nb\n"),
        ([b"a\n", b"a\nb\n", b"a\nb\nc\n"], b"a\nb\nc\n"),
        ([b"a\n", b"a\n"], b"a\n"),
        ([b"", b"a\n"], b"a\n"),
        ([b"a\nb\n", b"a\nc\n"], None),
        ([b"a\n", b"b\nc\n"], None),
        ([b"a\nb\n", b"a\nc\nd\n", b"a\n"], None),
    ],
)
def test_the_longest_record_is_the_one_that_extends_all_others(records: list[bytes], expected: bytes | None) -> None:
    """In whatever order they come; if they disagree there is none."""
    assert longest(records) == expected
    assert longest(records[::-1]) == expected


def test_h21_the_good_prefix_ends_before_the_first_line_that_is_not_good() -> None:
    """Whatever follows is dropped, good lines too."""
    lines = read(SUBMIT + b"\n" + b"junk\n" + APPROVE + b"\n")
    bad = ReasonCode.BROKEN_RECORD
    assert good_prefix(lines, [None, bad, None]) == SUBMIT + b"\n"
    assert good_prefix(lines, [bad, None, None]) == b""
    assert good_prefix(lines, [None, None, None]) == SUBMIT + b"\njunk\n" + APPROVE + b"\n"


# --- what others make of our lines -----------------------------------------------------------------------------------


def verified_by_openssh(world: World, data: bytes) -> list[str]:
    """The action of each line, if ``ssh-keygen -Y verify`` finds the account's signature on it."""
    signers = world.folder / "allowed-signers"
    signers.write_text("".join(f'{p.name} namespaces="maa-gitops" {p.public_key}\n' for p in world.people.values()))
    actions = []
    for raw in data.removesuffix(b"\n").split(b"\n"):
        fields = json.loads(raw)
        assert canonical(fields) == raw
        signature = world.folder / "signature"
        signature.write_text(fields.pop("signature"))
        arguments = ["-f", str(signers), "-I", fields["account"], "-n", "maa-gitops", "-s", str(signature)]
        subprocess.run(
            ["ssh-keygen", "-Y", "verify", *arguments], input=canonical(fields), check=True, capture_output=True
        )
        actions.append(fields["action"])
    return actions


def test_openssh_verifies_every_line_that_the_commands_write(world: World) -> None:
    """Each with the account's key in our namespace, over canonical JSON made by somebody else."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    world.alice.maa("cancel", request, "-m", "Not yet.")
    world.alice.maa("submit", "-m", "Now.\nReally: \u00fc.")
    world.bob.maa("approve", request, "-m", "Checked.")
    world.bob.maa("withdraw", request)
    world.carol.maa("reject", request, "-m", "No.")
    world.alice.maa("submit", "-m", "Again.")
    world.bob.maa("approve", request)
    world.carol.maa("merge", request)
    data = world.read(f"requests/{stamp()[:4]}/update.jsonl").encode()
    expected = ["submit", "cancel", "submit", "approve", "withdraw", "reject", "submit", "approve", "complete"]
    assert verified_by_openssh(world, data) == expected
    previous = [json.loads(raw).get("previous") for raw in data.splitlines()]
    assert previous == [None, *("sha256:" + sha256(raw) for raw in data.splitlines()[:-1])]


def test_the_record_lies_under_the_year_of_its_first_event(world: World, forger: Forger) -> None:
    """A request that was opened last year goes on there."""
    long_ago = Forgery(forger, "old", {APP: app(description="New.")})
    long_ago.submit(world.alice, at="2025-12-31T23:59:59Z").push()
    assert long_ago.path == "requests/2025/old.jsonl"
    assert long_ago.check() == (3, "expired", ["expired", "needsApprovals"])
    world.alice.git("switch", "-q", "-C", "change/old", "origin/change/old")
    world.alice.maa("submit", "-m", "Still wanted.")
    world.bob.maa("approve", "old")
    world.carol.maa("merge", "old")
    assert len(world.read("requests/2025/old.jsonl").splitlines()) == 4


# --- the record on its way -------------------------------------------------------------------------------------------


def test_commits_are_only_transport(world: World, forger: Forger) -> None:
    """One commit for all, one for each line by somebody else, a merge: the events are the same."""
    request = Forgery(forger).submit(world.alice).approve(world.bob).push()
    assert request.check() == APPROVED
    mallory = Forger(world, world.dave)
    commit = forger.commit([request.start], request.files)
    mallory.person.git("fetch", "-q", str(world.alice.clone), commit)
    for count in range(1, len(request.lines) + 1):
        commit = mallory.commit([commit], {request.path: mallory.record(*request.lines[:count])})
    mallory.push(commit, "change/forged", force=True)
    assert request.check() == APPROVED
    mallory.push(mallory.commit([commit, request.start], {}), "change/forged", force=True)
    assert request.check() == APPROVED


def test_the_longest_record_counts_wherever_it_is(world: World, forger: Forger) -> None:
    """The branch was cut back to before the veto that is on the protected branch: the veto stands."""
    request = Forgery(forger).submit(world.alice).approve(world.bob).push()
    world.carol.maa("reject", "forged", "-m", "No.")
    request.push()
    assert request.check()[:2] == (3, "rejected")
    assert request.check()[2][0] == "rejected"


def test_records_that_do_not_extend_one_another_are_altered(world: World, forger: Forger) -> None:
    """Another line than the one on the protected branch: neither is believed."""
    request = Forgery(forger).submit(world.alice).push()
    world.carol.maa("reject", "forged", "-m", "No.")
    request.approve(world.bob).push()
    code, status, reasons = request.check()
    assert (code, status) == (3, "needsApproval")
    assert reasons[0] == "recordAltered"


def test_a_veto_is_on_both_branches_or_says_that_it_is_not_final(world: World, forger: Forger) -> None:
    """In one atomic push; where the server lets nobody push to the protected branch, on the change branch alone."""
    first = Forgery(forger).submit(world.alice).push()
    world.carol.maa("reject", "forged", "-m", "No.")
    assert world.read(first.path) == world.read(first.path, "refs/heads/change/forged")
    hook = world.server / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    second = Forgery(Forger(world, world.alice), "second", {"resources/apps/second.yaml": app("Second")})
    second.submit(world.alice).push()
    tip = world.tip()
    answer = world.carol.maa("reject", "second", "-m", "No.")
    assert answer.err == "not final yet: the record is not on main, where only some may push\n"
    assert (world.tip(), second.check()[1]) == (tip, "rejected")


@pytest.mark.parametrize(
    "path", ["requests/2026/other.jsonl", "requests/README.md", "requests/2026/forged.txt", "requests/2026/a/b.jsonl"]
)
def test_a_branch_changes_no_other_path_under_requests(world: World, forger: Forger, path: str) -> None:
    """Somebody else's record least of all."""
    request = Forgery(forger).submit(world.alice).approve(world.bob)
    request.files[path] = "x\n"
    request.push()
    assert request.check() == (3, "needsApproval", ["recordAltered"])


def test_two_branches_of_one_id_are_both_refused(world: World, forger: Forger) -> None:
    """Neither is approved; once one is gone the other is again."""
    request = Forgery(forger, "a-b").submit(world.alice).approve(world.bob).push()
    assert request.check() == APPROVED
    forger.push(world.tip("change/a-b"), "change/a/b")
    assert request.check()[2][0] == "recordAltered"
    forger.push(None, "change/a/b")
    assert request.check() == APPROVED


def test_a_record_of_more_than_16_mebibytes_is_broken(world: World, forger: Forger) -> None:
    """On a branch; on the protected branch it is a violation."""
    request = Forgery(forger).submit(world.alice).approve(world.bob)
    request.lines.append(b"x" * RECORD_LIMIT)
    request.push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "notSubmitted"])
    request.land()
    assert verified(world) == (3, ["recordAltered"])


@pytest.mark.parametrize("junk", [b"", b'{"action":"approve"}'])
def test_h21_acts_start_from_the_longest_good_prefix(world: World, forger: Forger, junk: bytes) -> None:
    """A broken tail is dropped by a veto, which says so; an approval refuses instead."""
    request = Forgery(forger).submit(world.alice)
    request.lines.append(junk)
    request.push()
    assert world.bob.maa("approve", "forged", "--format", "json", code=3).error["code"] == "brokenRecord"
    told = world.carol.maa("reject", "forged", "-m", "No.").err
    assert "dropped 1 broken lines" in told
    lines = world.read(request.path).encode().splitlines()
    assert lines[0] == request.lines[0]
    assert [json.loads(line)["action"] for line in lines] == ["submit", "reject"]
    assert request.check()[:2] == (3, "rejected")


def test_h21_a_new_submit_drops_a_broken_tail(world: World, forger: Forger) -> None:
    """And says so, so that nobody wonders where lines went."""
    request = Forgery(forger).submit(world.alice)
    request.lines.append(b"junk")
    request.push()
    world.alice.git("switch", "-q", "-C", "change/forged", "origin/change/forged")
    told = world.alice.maa("submit", "-m", "Again.").err
    assert "dropped 1 broken lines" in told
    assert request.check() == (3, "needsApproval", ["needsApprovals"])


def test_h21_the_prefix_is_never_shorter_than_what_is_on_the_protected_branch(world: World, forger: Forger) -> None:
    """A veto that landed is kept, whatever was made of the branch."""
    request = Forgery(forger).submit(world.alice).push()
    world.carol.maa("reject", "forged", "-m", "No.")
    kept = world.read(request.path).encode().splitlines()
    request.lines = [*kept, b"junk"]
    request.push()
    world.alice.git("switch", "-q", "-C", "change/forged", "origin/change/forged")
    world.alice.maa("submit", "-m", "Again.")
    lines = world.read(request.path, "refs/heads/change/forged").encode().splitlines()
    assert lines[:2] == kept
    assert [json.loads(line)["action"] for line in lines] == ["submit", "reject", "submit"]


def test_h21_a_veto_goes_on_from_the_protected_branch_where_the_branch_was_cut_shorter(
    world: World, forger: Forger
) -> None:
    """The branch holds less than what landed, and junk: what landed is the beginning."""
    request = Forgery(forger).submit(world.alice).push()
    world.alice.maa("cancel", "forged")
    kept = world.read(request.path).encode().splitlines()
    request.lines.append(b"junk")
    request.push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "recordAltered", "needsApprovals"])
    answer = world.carol.maa("reject", "forged", "-m", "No.")
    assert "not final" not in answer.err
    lines = world.read(request.path).encode().splitlines()
    assert lines[:2] == kept
    assert [json.loads(line)["action"] for line in lines] == ["submit", "cancel", "reject"]


def test_h24_an_event_of_the_future_is_out_of_time(world: World, forger: Forger) -> None:
    """Five minutes are granted, six are not."""
    request = Forgery(forger).submit(world.alice).approve(world.bob, at=stamp(timedelta(minutes=4, seconds=50))).push()
    assert request.check() == APPROVED
    late = Forgery(forger, "late").submit(world.alice).approve(world.bob, at=stamp(timedelta(minutes=6))).push()
    assert late.check() == (3, "needsApproval", ["brokenRecord", "outOfTime", "needsApprovals"])


# --- held against the schema -----------------------------------------------------------------------------------------

POOL: list[Any] = [
    None, "", " ", "x", "x\n", "a b", "Alice", "-a", "x" * 64, "x" * 65, "x" * 128, "x" * 129, "x" * 1025, "x" * 4097,
    True, False, 0, 1, 2, -1, [], {}, ["x"], [None], ["a", "b"], ["b", "a"], ["a", "a"], [FILE], [FILE, FILE],
    HASH, HASH.upper(), DIGEST, DIGEST.upper(), DIGEST + "\n", BASE, BASE[:7], *MOMENTS, *NO_MOMENTS, *NO_PROSE[:-3],
    *PROSE, "..", "a/../b", "/a", ".git/x", "100644", "100755", "120000", "160000", "github", "gitlab",
    "https://x", "http://x", *OWN, "merge", EVIDENCE, FILE,
]  # fmt: skip
KEYS = [*plain("submit"), "previous", "change", "notes", "attestedBy", "evidence", "extra"]
DELETED = object()


def places(value: object, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where values stand in plain data."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from places(inner, (*way, key))


@st.composite
def mutated(pick: st.DrawFn) -> dict[str, Any]:
    """A sound event with up to three values replaced, added or taken away, the signature's text left alone."""
    attested = pick(st.booleans())
    action = pick(st.sampled_from([name for name in OWN if not attested or name != "complete"]))
    more = {"attestedBy": "forge", "evidence": EVIDENCE} if attested else {}
    event = copy.deepcopy(plain(action, **more))
    for _ in range(pick(st.integers(0, 3))):
        ways = [way for way in [*places(event), *((key,) for key in KEYS)] if way[0] != "signature"]
        *above, last = pick(st.sampled_from(ways))
        holder: Any = event
        for step in above:
            holder = holder[step]
        value = pick(st.sampled_from([DELETED, *POOL]))
        if value is not DELETED:
            holder[last] = copy.deepcopy(value)
        elif isinstance(holder, dict):
            holder.pop(last, None)
        else:
            del holder[last]
    return event


def beyond_json_schema(event: Mapping[str, Any]) -> bool:
    """What no JSON Schema can ask for: order, real days, paths, text that is not of blanks beyond ASCII only."""
    changes = event.get("changes", [])
    paths = [change["path"] for change in changes]
    names = event.get("contributors", [])
    try:
        datetime.fromisoformat(event["at"])
    except ValueError:
        return True
    steps = {step.lower() for path in paths for step in path.split("/")}
    blank = any(key in event and not event[key].strip() for key in ("justification", "notes"))
    unordered = names != sorted(names) or [path.encode() for path in paths] != sorted({p.encode() for p in paths})
    return unordered or blank or bool(steps & {"", ".", "..", ".git"})


@hypothesis_settings(deadline=None, database=None, max_examples=500)
@given(mutated())
def test_the_parser_and_the_schema_agree(event: dict[str, Any]) -> None:
    """What the one takes the other takes, but for what JSON Schema has no words for."""
    is_read = parse_event(canonical(event)) is not None
    is_valid = not violations(event, shipped_schema("event"))
    assert is_read == (is_valid and not beyond_json_schema(event)), event


@hypothesis_settings(deadline=None, database=None, max_examples=100)
@given(st.one_of(st.sampled_from([value for value in POOL if isinstance(value, str)]), st.text(max_size=80)))
def test_a_signature_that_the_schema_refuses_never_verifies(text: str) -> None:
    """The armour is judged where signatures are verified; there nothing but ssh-keygen's own spelling passes."""
    assert violations(plain("approve", signature=text), shipped_schema("event"))
    assert signing.verify(text, b"payload", "maa-gitops") is None
