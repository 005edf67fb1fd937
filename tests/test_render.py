"""What is shown: escaped text, diffs of whole files, times and words; nothing from a repository moves the cursor."""

import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maa_gitops.render.diff import file_diff
from maa_gitops.render.escape import safe, safe_json, safe_line
from maa_gitops.render.text import counted, when
from tests.support import APP, Answer, Forger, World, account, app, stamp
from tests.support.forgery import Forgery

SCRIPT = "resources/scripts/set-time-zone.yaml"
SCRIPT_TEXT = "resources/scripts/set-time-zone.ps1"
TIME_ZONE = (
    "type: deviceManagementScript\ndisplayName: Set time zone\nscriptFile: set-time-zone.ps1\nrunAsAccount: system\n"
)
EVIL = "\x1b[2K\x1b[1A\r\x07\x7f\x9b31m\u202e\u2066\u200b\u2028\ufeff"
"""Erases the line, moves up, returns, rings, deletes, colours by a C1 control, turns around, hides, breaks the line."""

DANGEROUS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def dangerous(text: str) -> list[str]:
    """The characters of a text that a terminal would act on, but line feeds and tabs."""
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in DANGEROUS]


# --- escaping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Größe, 申請, ελιά", "Größe, 申請, ελιά"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("back\rover", "back\\x0dover"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("turned \u202e around \u2069", "turned \\u202e around \\u2069"),
        ("zero\u200bwidth \ufeff", "zero\\u200bwidth \\ufeff"),
        ("lines\u2028apart", "lines\\u2028apart"),
        ("half \udcff", "half \\udcff"),
        ("tag \U000e0041", "tag \\U000e0041"),
    ],
)
def test_h17_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    """Controls, bidirectional, invisible and half characters; letters of every script stay as they are."""
    assert safe(text) == shown


def test_h17_a_line_is_one_line() -> None:
    """In lists and messages line feeds and tabs are escaped, too: no row can look like two."""
    assert safe_line("one\n\ttwo\r\n") == "one\\n\\ttwo\\x0d\\n"


@given(st.text())
def test_h17_nothing_dangerous_is_left(text: str) -> None:
    """Whatever the text: escaped, it holds nothing that moves the cursor; escaping again changes nothing."""
    assert dangerous(safe(text)) == []
    assert set(safe_line(text)).isdisjoint("\n\t")
    assert safe(safe(text)) == safe(text)


@given(st.dictionaries(st.text(), st.text()))
def test_json_is_escaped_and_reads_back_unchanged(plain: dict[str, str]) -> None:
    """JSON has escapes of its own: nothing is lost, and what is put out is UTF-8 without anything dangerous."""
    shown = safe_json(json.dumps(plain, indent=2, ensure_ascii=False))
    assert json.loads(shown) == plain
    assert dangerous(shown) == []
    shown.encode()


# --- diffs -----------------------------------------------------------------------------------------------------------

FILE = ("100644", "100644")


def test_a_changed_file_is_a_unified_diff() -> None:
    """Names, hunks with three lines around, removed and added lines."""
    old = "".join(f"{number}\n" for number in range(9)).encode()
    assert file_diff("x.txt", old, old.replace(b"4\n", b"four\n"), FILE) == (
        "--- a/x.txt\n+++ b/x.txt\n@@ -2,7 +2,7 @@\n 1\n 2\n 3\n-4\n+four\n 5\n 6\n 7\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "modes", "shown"),
    [
        (None, b"a\n", (None, "100644"), "--- /dev/null\n+++ b/x.txt\n@@ -0,0 +1 @@\n+a\n"),
        (b"a\n", None, ("100644", None), "--- a/x.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"),
        (None, b"", (None, "100644"), "--- /dev/null\n+++ b/x.txt\n"),
        (b"a\n", b"a\n", ("100644", "100755"), "--- a/x.txt\n+++ b/x.txt\nmode 100644 -> 100755\n"),
        (b"a\n", b"a", FILE, "--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-a\n+a \\ no newline at end\n"),
        (b"a\n", b"a\0", FILE, "--- a/x.txt\n+++ b/x.txt\nnot shown as text: 2 bytes -> 2 bytes\n"),
        (b"a\n", b"\xff", FILE, "--- a/x.txt\n+++ b/x.txt\nnot shown as text: 2 bytes -> 1 bytes\n"),
        (None, b"\xff", (None, "100644"), "--- /dev/null\n+++ b/x.txt\nnot shown as text: nothing -> 1 bytes\n"),
        (b"a\r\n", b"a\n", FILE, "--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-a\\x0d\n+a\n"),
        (b"a\n", b"b\x1b[1A\x1b[2K\n", FILE, "--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-a\n+b\\x1b[1A\\x1b[2K\n"),
        (b"a\n", "a\u2028b\n".encode(), FILE, "--- a/x.txt\n+++ b/x.txt\n@@ -1 +1 @@\n-a\n+a\\u2028b\n"),
    ],
)
def test_every_kind_of_change_is_told(
    old: bytes | None, new: bytes | None, modes: tuple[str | None, str | None], shown: str
) -> None:
    """New, deleted, empty, only the mode, only the last newline, not text, other line ends, hidden lines."""
    assert file_diff("x.txt", old, new, modes) == shown


def test_h17_a_file_name_cannot_forge_lines_of_a_diff() -> None:
    """Line feeds and controls in a name are escaped."""
    shown = file_diff("x\n+++ b/y\x1b[2K", b"a\n", b"b\n", FILE)
    assert shown.splitlines()[:2] == ["--- a/x\\n+++ b/y\\x1b[2K", "+++ b/x\\n+++ b/y\\x1b[2K"]


def test_a_huge_file_is_told_by_its_size() -> None:
    """Beyond a mebibyte nobody reads a diff."""
    huge = b"a\n" * 1_000_000
    assert file_diff("x", b"", huge, FILE).splitlines()[2] == "not shown as text: 0 bytes -> 2000000 bytes"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_h17_no_content_gets_out_of_its_diff(old: bytes, new: bytes) -> None:
    """After the names every line begins with what says whether it goes or comes; nothing in it is dangerous."""
    shown = file_diff("x", old, new, FILE)
    assert dangerous(shown) == []
    assert all(line[:1] in (" ", "+", "-", "@") or line.startswith("not shown") for line in shown.split("\n")[2:-1])


def test_a_diff_shows_script_text_and_what_is_not_protected(world: World) -> None:
    """Every file of the change, each with its object and operation; unchanged siblings are left out."""
    world.alice.submitted("script", {SCRIPT: TIME_ZONE, SCRIPT_TEXT: "Set-TimeZone -Id UTC\n", "notes.txt": "x\n"})
    shown = world.bob.maa("diff", "script").out
    assert "# not protected\n--- /dev/null\n+++ b/notes.txt\n" in shown
    assert f"# create script/set-time-zone\n--- /dev/null\n+++ b/{SCRIPT_TEXT}\n@@ -0,0 +1 @@\n+Set-TimeZone" in shown
    changes = world.bob.maa("diff", "script", "--format", "json").json["changes"]
    assert [(found["path"], found["object"], found["operation"], found["old"]) for found in changes] == [
        ("notes.txt", None, None, None),
        (SCRIPT_TEXT, "script/set-time-zone", "create", None),
        (SCRIPT, "script/set-time-zone", "create", None),
    ]


# --- whole commands --------------------------------------------------------------------------------------------------


def harmless(answer: Answer) -> None:
    """Hold that nothing of what was shown would move a cursor or turn a line around."""
    assert dangerous(answer.out + answer.err) == []


@pytest.mark.parametrize("command", [("show", "evil"), ("diff", "evil"), ("requests",), (), ("check", "evil")])
def test_h17_names_scripts_and_authors_are_escaped_wherever_they_are_shown(
    world: World, forger: Forger, command: tuple[str, ...]
) -> None:
    """A display name, an app's text, a script, a file name, and a commit's author, all as evil as can be."""
    files = {
        SCRIPT: TIME_ZONE,
        SCRIPT_TEXT: f"Get-Date{EVIL}\n",
        f"notes{EVIL}.txt": f"x{EVIL}\n",
    }
    evil = Forgery(forger, "evil", files).submit(world.alice)
    evil.push(variables={"GIT_AUTHOR_NAME": f"Mallory{EVIL}", "GIT_AUTHOR_EMAIL": f"m{EVIL}@evil.example"})
    harmless(world.bob.maa(*command, code=None))
    harmless(world.bob.maa(*command, "--format", "json", code=None))


def test_h17_a_hidden_line_of_a_script_is_seen_before_approving(world: World) -> None:
    """The line that erases itself on a terminal is there, character by character."""
    hidden = "Remove-Item C:\\ -Recurse\x1b[1A\x1b[2K"
    world.alice.submitted("script", {SCRIPT: TIME_ZONE, SCRIPT_TEXT: f"{hidden}\nGet-Date\n"})
    shown = world.bob.maa("diff", "script")
    assert "+Remove-Item C:\\ -Recurse\\x1b[1A\\x1b[2K\n+Get-Date\n" in shown.out
    changes = world.bob.maa("diff", "script", "--format", "json").json["changes"]
    assert "Remove-Item C:\\ -Recurse\\x1b[1A\\x1b[2K" in changes[0]["text"]


def test_h17_what_a_server_says_is_escaped(world: World) -> None:
    """A hook's words reach the terminal as text."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    hook = world.server / "hooks" / "update"
    hook.write_bytes(b"#!/bin/sh\nprintf 'no \\033[2Kway \\342\\200\\256 here\\n' >&2\nexit 1\n")
    hook.chmod(0o700)
    answer = world.bob.maa("approve", request, code=4)
    harmless(answer)
    assert "no \\x1b[2Kway" in answer.err


@pytest.mark.parametrize("words", [f"Fine{EVIL}", "tab\t", "\u061c", "a\rb"])
def test_h17_notes_with_such_characters_are_refused(world: World, words: str) -> None:
    """Nothing is signed that could not be shown as it is."""
    request = world.alice.submitted("update", {APP: app(description="New.")})
    for arguments in (("approve", request, "-m", words), ("reject", request, "-m", words)):
        answer = world.bob.maa(*arguments, code=2)
        assert "the notes are refused" in answer.err
        harmless(answer)


def test_h17_wrong_usage_is_shown_escaped(world: World) -> None:
    """What was typed, or comes from the rules, is not echoed raw."""
    for arguments in ((f"show{EVIL}",), ("plan", "--target", EVIL.replace("\0", "")), ("validate", f"x{EVIL}")):
        harmless(world.bob.maa(*arguments, code=2))


def test_h17_problems_of_documents_are_shown_escaped(world: World) -> None:
    """Keys and values of a broken document, and a file's name, are part of the message."""
    world.alice.write(APP, 'type: winGetApp\n"\\e[2K\\u202E": 1\ndisplayName: "\\e[31mred"\n')
    world.alice.write(f"resources/apps/x{EVIL}.yaml", "type: winGetApp\n")
    world.alice.write("accounts/eve.yaml", account("eve", f"ssh-ed25519 {EVIL}"))
    answer = world.alice.maa("validate", code=3)
    harmless(answer)
    harmless(world.alice.maa("validate", "--format", "json", code=3))
    assert answer.out.count("\n") == len(answer.out.splitlines())


@pytest.mark.parametrize("escape", ["\\e[2K", "\\x9b", "\\u202E", "\\u200b", "\\u2028"])
def test_h17_a_display_name_with_such_characters_is_refused(world: World, escape: str) -> None:
    """YAML's own escapes do not get them in."""
    file = world.alice.clone / "accounts" / "bob.yaml"
    file.write_text(file.read_text().replace("displayName: Bob", f'displayName: "Bob{escape}"'))
    answer = world.alice.maa("validate", code=3)
    assert answer.out.startswith("accounts/bob.yaml:1:14: error: ")
    assert "[forbiddenCharacter]" in answer.out
    harmless(answer)


def test_h17_invisible_characters_of_a_justification_are_seen(world: World) -> None:
    """What may be signed and cannot be seen is escaped in text, and itself in JSON."""
    words = "Ver\u200bsion\u00ad 11\ue000"
    request = world.alice.submitted("update", {APP: app(description="New.")}, words)
    shown = world.bob.maa("show", request)
    harmless(shown)
    assert "Ver\\u200bsion\\xad 11\\ue000" in shown.out
    assert world.bob.show(request).json["requestJustification"] == words


# --- words -----------------------------------------------------------------------------------------------------------


def test_times_are_told_in_utc_to_the_second() -> None:
    """Always with seconds, so that rows stand below one another."""
    assert when(datetime(2026, 11, 23, 10, 0, tzinfo=UTC)) == "2026-11-23 10:00:00 UTC"
    assert when(None) == "-"


def test_one_thing_is_singular() -> None:
    """1 object, 0 objects, 2 objects."""
    assert [counted(number, "object") for number in (0, 1, 2)] == ["0 objects", "1 object", "2 objects"]


def test_every_status_has_its_words(world: World, forger: Forger) -> None:
    """Needs approval; Approved; Approved, being applied; Completed; Rejected; Canceled; Expired."""
    alice, bob = world.alice, world.bob
    update = {APP: app(description="New.")}

    def words() -> str:
        return alice.maa("show", "update").out.splitlines()[0]

    alice.submitted("update", update)
    assert words() == "Request update: Needs approval"
    alice.maa("cancel", "update")
    assert words() == "Request update: Canceled"
    alice.maa("submit", "-m", "Please.")
    bob.maa("reject", "update", "-m", "No.")
    assert words() == "Request update: Rejected"
    alice.maa("submit", "-m", "Please.")
    bob.maa("approve", "update")
    assert words() == "Request update: Approved"
    alice.maa("merge", "update")
    assert words() == "Request update: Approved, being applied"
    alice.maa("apply")
    assert words() == "Request update: Completed"
    old = stamp(timedelta(days=-31))
    Forgery(forger, "old", {"resources/apps/other.yaml": app("Other")}).submit(alice, at=old).push()
    assert alice.maa("show", "old").out.splitlines()[0] == "Request old: Expired"


def test_somebody_unknown_is_nobody(world: World, forger: Forger) -> None:
    """An event that no key supports is attributed to nobody, in JSON and in text."""
    stranger, _ = world.key("stranger")
    Forgery(forger).submit(world.alice).event("reject", stranger, "carol").push()
    plain = world.bob.show("forged").json
    assert (plain["status"], plain["approver"]) == ("rejected", None)
    assert plain["events"][1]["account"] is None
    assert "reject by somebody unknown, claiming to be carol" in world.bob.maa("show", "forged").out
    Forgery(forger, "second", {"resources/apps/other.yaml": app("Other")}).submit(stranger, "alice").push()
    assert world.bob.show("second").json["requestor"] is None
    assert "requested by somebody unknown, claiming to be alice" in world.bob.maa("show", "second").out
    assert "\tclaims alice\t" in world.bob.maa("requests").out
