"""What may land on the protected branch: design section 8, sentence by sentence, on histories made with plumbing."""

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from maa_gitops.git import Entry, Repository
from maa_gitops.history import History, Memory, judge, walk
from tests.support import APP, Forger, Person, World, access_policy, account, app, group, settings, stamp
from tests.support.forgery import APPROVED, Files, Forgery, verified

GOOD: tuple[int, list[str]] = (0, [])
EDIT: Files = {APP: app(description="New.")}
SCRIPT = "resources/scripts/rename.yaml"
SCRIPT_TEXT = "resources/scripts/rename.sh"
SCRIPT_FILES: Files = {
    SCRIPT: "type: deviceShellScript\ndisplayName: Rename\nrunAsAccount: system\nscriptFile: rename.sh\n",
    SCRIPT_TEXT: "#!/bin/sh\necho renamed\n",
}


def violation_of(verdict: tuple[int, list[str]]) -> str:
    """The one violation that makes a history not good."""
    code, (found,) = verdict
    assert code == 3
    return found


def whole(forger: Forger, request: str = "forged", files: Files | None = None) -> Forgery:
    """A request that may land: submitted by alice, approved by bob, completed by alice."""
    alice, bob = forger.world.alice, forger.world.bob
    return Forgery(forger, request, files or EDIT).submit(alice).approve(bob).complete(alice)


def settle(forger: Forger, files: Files) -> str:
    """Let the tenant have begun with other files: everybody pins the commit that brings them."""
    commit = forger.commit([forger.world.tip()], files)
    forger.push(commit)
    for person in forger.world.people.values():
        person.git("config", "maa.trustedStart", commit)
    return commit


Contents = Mapping[str, str | bytes | None]
"""Contents by path; None: delete."""


def grow(forger: Forger, files: Contents, modes: Mapping[str, str] | None = None) -> str:
    """Push a plain commit to the protected branch."""
    commit = forger.commit([forger.world.tip()], files, modes=modes)
    forger.push(commit)
    return commit


def restore(forger: Forger, good: str) -> str:
    """Push a commit that puts every path back."""
    commit = forger.commit([forger.world.tip()], {}, tree_of=good)
    forger.push(commit)
    return commit


def repository_of(person: Person) -> Repository:
    """The clone with everything that the server has."""
    person.git("fetch", "-q", "origin")
    return Repository.open(person.clone, person.world.variables(person.name))


def judged(world: World, now: datetime, start: str) -> History:
    """The walk from a commit to the server's tip, at a time."""
    return walk(repository_of(world.dave), Memory(start), world.tip(), now)


def told(world: World) -> dict[str, object]:
    """The first violation, as ``verify`` tells it."""
    first: dict[str, object] = world.dave.maa("verify", "--format", "json", code=None).json["violations"][0]
    return first


# --- the first row: a completed request ------------------------------------------------------------------------------


def test_a_completed_request_is_good(world: World, forger: Forger) -> None:
    """Submitted, approved by somebody else, completed on the last good commit, and landed as it was signed."""
    whole(forger).land()
    assert verified(world) == GOOD


def one_byte(request: Forgery) -> None:
    """Land another content."""
    request.files = {APP: app(description="New!")}


def one_more(request: Forgery) -> None:
    """Land a protected file that nobody signed."""
    request.files["resources/apps/other.yaml"] = app("Other")


def one_less(request: Forgery) -> None:
    """Leave a file of the signed list out."""
    del request.files["resources/apps/second.yaml"]


def gone(request: Forgery) -> None:
    """Delete what was to be edited."""
    request.files[APP] = None


Events = Callable[[Forgery, World], Forgery]


def of_another(request: Forgery, action: str, signer: Person) -> Forgery:
    """Add an event that names another request."""
    own, request.request = request.request, "other"
    request.event(action, signer)
    request.request = own
    return request


@pytest.mark.parametrize("differ", [one_byte, one_more, one_less, gone])
def test_what_lands_is_exactly_what_was_signed(world: World, forger: Forger, differ: Callable[[Forgery], None]) -> None:
    """Any other content, and a file more or less: not approved for this change."""
    request = whole(forger, files={**EDIT, "resources/apps/second.yaml": app("Second")})
    differ(request)
    request.land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "editedSinceSubmit" in str(told(world)["message"])


def month_ago(minutes: int = 0) -> str:
    """A bit more than the time in which a request expires."""
    return stamp(timedelta(days=-30, minutes=minutes - 5))


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (lambda r, w: r.submit(w.alice), "needsApprovals"),
        (lambda r, w: r.submit(w.alice).approve(w.alice), "selfApproval"),
        (lambda r, w: r.submit(w.alice).approve(w.dave), "notApprover"),
        (lambda r, w: r.submit(w.alice, contributors=["alice", "bob"]).approve(w.bob), "contributor"),
        (lambda r, w: r.submit(w.alice).approve(w.bob, change="sha256:" + "0" * 64), "staleChange"),
        (lambda r, w: r.submit(w.alice).approve(w.bob).submit(w.alice), "needsApprovals"),
        (lambda r, w: r.submit(w.alice).approve(w.bob).event("reject", w.carol), "rejected"),
        (lambda r, w: r.submit(w.alice).approve(w.bob).event("cancel", w.alice), "cancelled"),
        (lambda r, w: r.submit(w.alice).approve(w.bob).event("withdraw", w.bob), "withdrawn"),
        (lambda r, w: r.submit(w.alice, at=month_ago()).approve(w.bob, at=month_ago(1)), "expired"),
        (lambda r, w: r.submit(w.alice).submit(w.bob).approve(w.alice), "notRequestor"),
        (lambda r, w: r.submit(w.alice, "bob").approve(w.carol), "unknownSigner"),
    ],
)  # fmt: skip
def test_the_evaluation_at_the_step_is_approved(world: World, forger: Forger, events: Events, reason: str) -> None:
    """Whatever keeps a request from being approved makes its landing a violation that says why."""
    events(Forgery(forger), world).complete(world.carol).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert f"{reason}:" in str(told(world)["message"])


@pytest.mark.parametrize(
    ("events", "code", "reason"),
    [
        (lambda r, w: r, "unapprovedChange", "without a completed request"),
        (lambda r, w: r.complete(w.alice, change="sha256:" + "0" * 64), "unapprovedChange", "staleChange:"),
        (lambda r, w: r.complete(w.alice, "bob"), "unknownSigner", "nobody who is known"),
        (lambda r, w: r.complete(w.key("mallory")[0]), "unknownSigner", "nobody who is known"),
        (lambda r, w: r.complete(w.alice, base="0" * 40), "wrongBase", "line 3"),
        (lambda r, w: r.complete(w.alice, namespace="git"), "badSignature", "line 3"),
        (lambda r, w: r.complete(w.alice).complete(w.alice), "brokenRecord", "line 3"),
        (lambda r, w: r.complete(w.alice).approve(w.carol), "brokenRecord", "line 3"),
        (lambda r, w: r.event("complete", w.alice, tenant="fabrikam"), "brokenRecord", "line 3"),
        (lambda r, w: of_another(r, "complete", w.alice), "brokenRecord", "line 3"),
    ],
)  # fmt: skip
def test_the_completion_is_sound(world: World, forger: Forger, events: Events, code: str, reason: str) -> None:
    """Of this change, by an account of the tenant, good, and the last event; ``unapprovedChange`` is told besides."""
    events(Forgery(forger).submit(world.alice).approve(world.bob), world).land()
    exit_code, codes = verified(world)
    assert exit_code == 3
    assert code in codes
    assert set(codes) <= {code, "unapprovedChange"}
    assert reason in str(told(world)["message"])


def test_the_completion_names_the_last_good_commit(world: World, forger: Forger) -> None:
    """One that was signed for an earlier tip is not for this merge."""
    earlier = world.tip()
    grow(forger, {"docs/note.md": "Meanwhile.\n"})
    request = Forgery(forger).submit(world.alice).approve(world.bob).complete(world.alice, base=earlier)
    request.land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "wrongBase:" in str(told(world)["message"])


def test_other_events_name_any_good_commit_before(world: World, forger: Forger) -> None:
    """What went on beside the request does not void it; a healed commit is as good a base as any."""
    earlier = world.tip()
    healed = grow(forger, EDIT)
    restore(forger, earlier)
    request = Forgery(forger).submit(world.alice, base=earlier).approve(world.bob, base=healed).complete(world.alice)
    request.land()
    assert verified(world) == (0, ["unapprovedChange"])


def test_only_the_requestor_completes_where_the_settings_say_so(world: World, forger: Forger) -> None:
    """``completeBy: requestor``."""
    start = settle(forger, {"maa.yaml": settings("requests: {completeBy: requestor}\n")})
    Forgery(forger).submit(world.alice).approve(world.bob).complete(world.bob).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "notRequestor:" in str(told(world)["message"])
    restore(forger, start)
    whole(forger, "again").land()
    assert verified(world) == (0, ["unapprovedChange"])


def test_h20_a_service_account_may_complete_and_nothing_else(world: World, forger: Forger) -> None:
    """It merges what people approved; its approval counts for nothing."""
    key, public = world.key("robot")
    robot = account("robot", public, extra="kind: service\n")
    settle(forger, {"accounts/robot.yaml": robot, "groups/approvers.yaml": group("alice", "bob", "carol", "robot")})
    Forgery(forger).submit(world.alice).approve(world.bob).complete(key).land()
    assert verified(world) == GOOD
    again = Forgery(forger, "again", {APP: app(description="Newer.")})
    again.submit(world.alice).approve(key).complete(world.bob).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "serviceAccount:" in str(told(world)["message"])


def test_a_disabled_account_does_not_complete(world: World, forger: Forger) -> None:
    """Its key is known, which is not enough."""
    dave = account("dave", world.dave.public_key, extra="enabled: false\n")
    settle(forger, {"accounts/dave.yaml": dave})
    Forgery(forger).submit(world.alice).approve(world.bob).complete(world.dave).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "accountDisabled:" in str(told(world)["message"])


def test_there_is_exactly_one_completed_request_in_a_step(world: World, forger: Forger) -> None:
    """Two at once, each good alone."""
    first, second = whole(forger, "first"), whole(forger, "second", {"resources/apps/second.yaml": app("Second")})
    first.files.update({**second.files, second.path: forger.record(*second.lines).decode()})
    first.land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert told(world)["message"] == "two requests in one step"


def test_what_is_not_protected_and_not_signed_goes_along(world: World, forger: Forger) -> None:
    """The merge of a branch brings it; its names and modes are free."""
    request = whole(forger)
    request.files["docs/NOTE"] = request.files["docs/note"] = "Beside.\n"
    request.land(modes={"docs/NOTE": "100755"})
    assert verified(world) == GOOD


@pytest.mark.parametrize("landed", ["Why!\n", None])
def test_what_is_not_protected_but_signed_lands_as_it_was_signed(
    world: World, forger: Forger, landed: str | None
) -> None:
    """It is part of what was approved."""
    request = whole(forger, files={**EDIT, "docs/note.md": "Why.\n"})
    del request.files["docs/note.md"]
    if landed is not None:
        request.files["docs/note.md"] = landed
    request.land()
    assert violation_of(verified(world)) == "unapprovedChange"


def test_other_records_go_along(world: World, forger: Forger) -> None:
    """Good events of other requests, which end nothing by themselves."""
    request, other = whole(forger), Forgery(forger, "other", {"resources/apps/other.yaml": app("Other")})
    other.submit(world.carol).event("reject", world.bob)
    request.files[other.path] = forger.record(*other.lines).decode()
    request.land()
    assert verified(world) == GOOD


def test_no_other_record_goes_along_by_somebody_unknown(world: World, forger: Forger) -> None:
    """The second row's rules hold for it."""
    request, other = whole(forger), Forgery(forger, "other", {"resources/apps/other.yaml": app("Other")})
    other.submit(world.carol).event("reject", world.key("mallory")[0], "bob")
    request.files[other.path] = forger.record(*other.lines).decode()
    request.land()
    assert violation_of(verified(world)) == "unknownSigner"


def test_a_request_on_nothing_protected_may_be_completed_too(world: World, forger: Forger) -> None:
    """No access policy covers it, so the submit alone approves it."""
    request = Forgery(forger, "note", {"docs/note.md": "Why.\n"}).submit(world.dave).complete(world.dave)
    request.land()
    assert verified(world) == GOOD


def test_the_rules_are_those_of_the_last_good_commit(world: World, forger: Forger) -> None:
    """Who joins the approvers by a request approves the next one, not this one."""
    joined = group("alice", "bob", "carol", "dave")
    own = Forgery(forger, "join", {"groups/approvers.yaml": joined})
    own.submit(world.alice).approve(world.dave).complete(world.alice).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    good = world.git(world.server, "rev-parse", "main~1")
    restore(forger, good)
    whole(forger, "join-2", {"groups/approvers.yaml": joined}).land()
    Forgery(forger).submit(world.alice).approve(world.dave).complete(world.alice).land()
    assert verified(world) == (0, ["unapprovedChange"])


# --- the second row: nothing protected, and records by good events -------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        lambda r, w: r,
        lambda r, w: r.approve(w.bob),
        lambda r, w: r.approve(w.alice),
        lambda r, w: r.approve(w.bob).event("reject", w.carol),
        lambda r, w: r.event("reject", w.dave),
        lambda r, w: r.event("cancel", w.alice),
        lambda r, w: r.approve(w.bob).event("withdraw", w.bob),
        lambda r, w: r.event("reject", w.key("mallory")[0], "bob").event("cancel", w.alice),
    ],
)
def test_a_record_of_good_events_may_be_kept(world: World, forger: Forger, events: Events) -> None:
    """Whatever they are worth: on the branch of a request that ended, say; the newest is by somebody known."""
    request = events(Forgery(forger).submit(world.alice), world)
    request.files = {}
    request.land()
    assert verified(world) == GOOD
    request.lines.clear()
    again = Forgery(forger, "again").submit(world.alice)
    again.files = {}
    again.land()
    again.event("reject", world.bob).land()
    assert verified(world) == GOOD


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (lambda r, w: r.event("reject", w.key("mallory")[0], "bob"), "unknownSigner"),
        (lambda r, w: r.event("reject", w.alice, "bob"), "unknownSigner"),
        (lambda r, w: r.event("reject", w.bob, namespace="git"), "badSignature"),
        (lambda r, w: r.event("reject", w.bob, tenant="fabrikam"), "brokenRecord"),
        (lambda r, w: of_another(r, "reject", w.bob), "brokenRecord"),
        (lambda r, w: r.event("reject", w.bob, base="0" * 40), "wrongBase"),
        (lambda r, w: r.event("reject", w.bob, at=stamp(timedelta(minutes=-6))), "outOfTime"),
        (lambda r, w: r.event("reject", w.bob, notes=None), "brokenRecord"),
    ],
)
def test_a_record_with_an_event_that_is_not_good_is_not_kept(
    world: World, forger: Forger, events: Events, code: str
) -> None:
    """The reason is that of the event."""
    request = events(Forgery(forger).submit(world.alice), world)
    request.files = {}
    request.land()
    assert violation_of(verified(world)) == code


def test_a_completion_without_its_change_is_a_violation(world: World, forger: Forger) -> None:
    """It would end the request with nothing landed."""
    request = whole(forger)
    request.files = {}
    request.land()
    assert violation_of(verified(world)) == "editedSinceSubmit"


RECORD = f"requests/{stamp()[:4]}/forged.jsonl"


def kept_record(forger: Forger) -> bytes:
    """Put a record of two lines on the protected branch."""
    request = Forgery(forger).submit(forger.world.alice).event("reject", forger.world.bob)
    request.files = {}
    request.land()
    return forger.record(*request.lines)


@pytest.mark.parametrize(
    ("change", "mode", "code"),
    [
        (lambda data: None, "100644", "recordAltered"),
        (lambda data: b"", "100644", "recordAltered"),
        (lambda data: data.splitlines(keepends=True)[0], "100644", "recordAltered"),
        (lambda data: data[:-1], "100644", "recordAltered"),
        (lambda data: data[1:], "100644", "recordAltered"),
        (lambda data: b"\n" + data, "100644", "recordAltered"),
        (lambda data: data, "100755", "recordAltered"),
        (lambda data: data, "120000", "recordAltered"),
        (lambda data: data + b"\n", "100644", "brokenRecord"),
        (lambda data: data + b"x", "100644", "brokenRecord"),
        (lambda data: data + data, "100644", "brokenRecord"),
    ],
)
def test_f7_records_are_only_extended(
    world: World, forger: Forger, change: Callable[[bytes], bytes | None], mode: str, code: str
) -> None:
    """Nothing is cut, changed or taken away, not even the mode; what is added is events."""
    data = kept_record(forger)
    assert verified(world) == GOOD
    grow(forger, {RECORD: change(data)}, modes={RECORD: mode})
    assert violation_of(verified(world)) == code


@pytest.mark.parametrize("mode", ["100755", "120000"])
def test_d5_a_record_is_a_regular_file(world: World, forger: Forger, mode: str) -> None:
    """A new one, one that is extended, and the one of a landing."""
    good = world.tip()
    request = whole(forger)
    request.land(modes={request.path: mode})
    assert "recordAltered" in verified(world)[1]
    restore(forger, good)
    data = kept_record(forger)
    later = Forgery(forger)
    later.lines = data.splitlines()
    later.submit(world.alice)
    grow(forger, {RECORD: forger.record(*later.lines)}, modes={RECORD: mode})
    assert verified(world)[1][-1] == "recordAltered"
    assert verified(world)[0] == 3


@pytest.mark.parametrize(
    "path",
    ["requests/README.md", "requests/.gitkeep", "requests/forged.jsonl", "requests/26/forged.jsonl",
     "requests/2026/Forged.jsonl", "requests/2026/forged.json", "requests/2026/a/forged.jsonl",
     "requests/2026/forged.jsonl.yaml", "requests/+2026/forged.jsonl"],
)  # fmt: skip
def test_nothing_but_records_is_under_requests(world: World, forger: Forger, path: str) -> None:
    """Also none of what is tolerated elsewhere."""
    request = Forgery(forger).submit(world.alice)
    grow(forger, {path: forger.record(*request.lines)})
    assert violation_of(verified(world)) == "recordAltered"


def test_h4_an_id_is_unique_over_all_years(world: World, forger: Forger) -> None:
    """A second record of the same id, by good events of its own."""
    kept_record(forger)
    other = Forgery(forger).submit(world.alice, at="2025-06-01T00:00:00Z").event("reject", world.bob)
    other.files = {}
    other.land()
    assert violation_of(verified(world)) == "recordAltered"


def test_nothing_follows_complete(world: World, forger: Forger) -> None:
    """A merged request is never extended, not even by a veto."""
    request = whole(forger)
    request.land()
    request.event("reject", world.carol)
    request.files = {}
    request.land()
    assert violation_of(verified(world)) == "recordAltered"


def test_a_request_that_was_kept_goes_on_from_there(world: World, forger: Forger) -> None:
    """A new submit reopens it; the landed lines stay the beginning."""
    request = Forgery(forger).submit(world.alice).event("reject", world.bob)
    files, request.files = request.files, {}
    request.land()
    request.files = files
    request.submit(world.alice).approve(world.bob).complete(world.alice).land()
    assert verified(world) == GOOD


# --- the third row: anything else ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("maa.yaml", settings("requests: {expireAfterDays: 3}\n")),
        ("policies/apps.yaml", None),
        ("policies/apps.yaml", access_policy("app", "approvers", extra='scope: ["x"]\n')),
        ("policies/README.md", "Notes.\n"),
        ("policies/.gitkeep", ""),
        ("groups/approvers.yaml", group("alice", "bob", "carol", "dave")),
        ("accounts/dave.yaml", None),
        ("schemas/own.schema.json", '{"$schema": "https://json-schema.org/draft/2020-12/schema"}\n'),
        (".github/workflows/gate.yml", "on: push\n"),
        (".github/CODEOWNERS", "* @eve\n"),
        (".gitattributes", "* -text\n"),
        (APP, app(description="Direct.")),
        (APP, None),
        ("resources/apps/new.yaml", app("New")),
        ("resources/apps/deep/in/new.yaml", app("New")),
        ("resources/apps/company-portal.txt", "x\n"),
        (SCRIPT_TEXT, "#!/bin/sh\n"),
    ],
)
def test_a_protected_path_changes_by_a_completed_request_only(
    world: World, forger: Forger, path: str, content: str | None
) -> None:
    """Rules always, resources that an access policy covers: created, edited or deleted."""
    grow(forger, {path: content})
    assert verified(world) == (3, ["unapprovedChange"])
    assert told(world)["paths"] == [path]


def test_h15_a_change_of_the_mode_alone_is_a_change(world: World, forger: Forger) -> None:
    """And no protected file is anything but a regular one."""
    grow(forger, {APP: app()}, modes={APP: "100755"})
    assert verified(world) == (3, ["malformedTree", "unapprovedChange"])


def test_d4_a_protected_file_that_is_moved_out_is_deleted(world: World, forger: Forger) -> None:
    """Its old path is protected wherever it goes."""
    grow(forger, {APP: None, "docs/company-portal.yaml": app()})
    assert verified(world) == (3, ["unapprovedChange"])
    assert told(world)["paths"] == [APP]


BROKEN_RULES: dict[str, Files] = {
    "a policy without group": {"policies/apps.yaml": access_policy("app", "nobody")},
    "an unknown key": {"policies/apps.yaml": access_policy("app", "approvers", extra="aprovers: [x]\n")},
    "no YAML": {"groups/approvers.yaml": "members: [\n"},
    "a file of another kind": {"accounts/eve.txt": "x\n"},
    "a folder too deep": {"groups/sub/x.yaml": group("alice")},
    "the rules' own policy gone": {"policies/access-policies.yaml": None},
    "the settings gone": {"maa.yaml": None},
    "another tenant": {"maa.yaml": settings().replace("contoso", "fabrikam")},
    "another protected branch": {"maa.yaml": settings().replace("main", "other")},
    "nine approvals": {"policies/access-policies.yaml": access_policy("accessPolicy", "approvers", required=9)},
    "a shared key": {"accounts/eve.yaml": "displayName: Eve\nsigningKeys: [KEY]\n"},
}


@pytest.mark.parametrize("case", BROKEN_RULES)
def test_h25_rules_stay_sound_whoever_approved(world: World, forger: Forger, case: str) -> None:
    """Broken settings, accounts, groups and policies never land, nor rules that lock everybody out."""
    files: Files = {
        path: text.replace("KEY", world.alice.public_key) if text is not None else None
        for path, text in BROKEN_RULES[case].items()
    }
    whole(forger, files=files).land()
    code, codes = verified(world)
    assert (code, set(codes)) == (3, {"invalidDocument"})


@pytest.mark.parametrize(
    ("files", "mode"),
    [
        ({"policies/apps.yaml": access_policy("app", "approvers", required=2)}, "100755"),
        ({"policies/apps.yaml": "access-policies.yaml"}, "120000"),
        (EDIT, "100755"),
        ({APP: "../../docs/x"}, "120000"),
        ({"resources/README.md": "x\n"}, "120000"),
        ({"resources/x.yaml": app()}, "100644"),
        ({"resources/unknown/x.yaml": app()}, "100644"),
        ({"resources/apps/X.yaml": app()}, "100644"),
        ({"resources/apps/x y.yaml": app()}, "100644"),
        ({"resources/apps/x.d/y.yaml": app()}, "100644"),
        ({"Resources/apps/x.yaml": app()}, "100644"),
        ({"MAA.yaml": settings()}, "100644"),
        ({"Policies/apps.yaml": "x\n"}, "100644"),
        ({"accounts/Alice.yaml": "x\n"}, "100644"),
        ({"resources/apps/one.TXT": "x\n", "resources/apps/one.txt": "x\n"}, "100644"),
        ({"resources/apps/README.md": "x\n", "resources/apps/readme.md": "x\n"}, "100644"),
        ({".github/a": "x\n", ".github/A": "x\n"}, "100644"),
    ],
)
def test_d6_names_and_modes_stay_sound_whoever_approved(world: World, forger: Forger, files: Files, mode: str) -> None:
    """Links, executable files, places of nobody and names that differ by case alone never land under our paths."""
    request = Forgery(forger, files=files)
    for change in request.changes:
        change["mode"] = mode
    request.submit(world.alice).approve(world.bob).complete(world.alice).land(modes=dict.fromkeys(files, mode))
    code, codes = verified(world)
    assert code == 3
    assert codes[0] in ("malformedTree", "invalidDocument")


def test_names_and_modes_of_unprotected_paths_are_free(world: World, forger: Forger) -> None:
    """Twins, links, executable files, odd names: none of our business on the protected branch."""
    files: Files = {"docs/A": "x\n", "docs/a": "x\n", "bin/run": "x\n", "link": "docs/a", "docs/\u00fc \n.md": "x\n"}
    grow(forger, files, modes={"bin/run": "100755", "link": "120000"})
    submodule = ["update-index", "--add", "--cacheinfo", f"160000,{world.tip()},vendor/lib"]
    world.alice.git("read-tree", world.tip())
    world.alice.git(*submodule)
    tree = world.alice.git("write-tree")
    forger.push(world.alice.git("commit-tree", tree, "-p", world.tip(), "-m", "forged"))
    assert verified(world) == GOOD


@pytest.mark.parametrize("path", ["resources/README.md", "resources/apps/.gitkeep"])
def test_a_companion_is_free_but_a_regular_file(world: World, forger: Forger, path: str) -> None:
    """Nobody approves it, and no link stands in its place."""
    grow(forger, {path: "x\n"})
    assert verified(world) == GOOD
    grow(forger, {path: "../maa.yaml"}, modes={path: "120000"})
    assert violation_of(verified(world)) == "malformedTree"


def test_h15_in_a_signed_list_they_are_not(world: World, forger: Forger) -> None:
    """An executable file and a link may be signed, a submodule may not."""
    request = Forgery(forger, files={**EDIT, "bin/run": "x\n", "link": "docs/a"})
    modes = {"bin/run": "100755", "link": "120000"}
    for change in request.changes:
        change["mode"] = modes.get(change["path"], change["mode"])
    request.submit(world.alice).approve(world.bob).complete(world.alice).land(modes=modes)
    assert verified(world) == GOOD


def test_what_was_wrong_before_is_no_violation_after(world: World, forger: Forger) -> None:
    """A problem is the same one by its path, code and subject; only new ones count."""
    old: Files = {"resources/notes.txt": "x\n", "resources/apps/Old.yaml": "x\n", "Schemas": "x\n"}
    settle(forger, {path: text for path, text in old.items() if path != "Schemas"})
    grow(forger, {"resources/notes.txt": "y\n"})
    whole(forger).land()
    assert verified(world) == GOOD
    grow(forger, {"resources/notes.txt": None, "resources/other.txt": "y\n"})
    assert violation_of(verified(world)) == "malformedTree"


TYPES = (
    "profileTypes:\n"
    "  compliancePolicy: {folder: compliance-policies}\n"
    "  unused: {folder: unused}\n"
)  # fmt: skip
BASELINE = "resources/compliance-policies/baseline.yaml"


@pytest.mark.parametrize(
    ("types", "code"),
    [
        (TYPES, None),
        ("profileTypes:\n  compliancePolicy: {folder: compliance-policies}\n", None),
        ("", "invalidDocument"),
        ("profileTypes:\n  unused: {folder: unused}\n", "invalidDocument"),
        ("profileTypes:\n  compliancePolicy: {folder: elsewhere}\n", "invalidDocument"),
        ("profileTypes:\n  compliancePolicy: {folder: apps}\n", "invalidDocument"),
        ("profileTypes:\n  compliancePolicy: {folder: Compliance-Policies}\n", "invalidDocument"),
        (TYPES + "  twin: {folder: compliance-policies}\n", "invalidDocument"),
        (TYPES + "  App: {folder: own-apps}\n", "invalidDocument"),
    ],
)
def test_h28_when_profile_types_change_every_resource_is_classified_again(
    world: World, forger: Forger, types: str, code: str | None
) -> None:
    """A type with resources is neither dropped nor moved away from them; without any it goes."""
    settle(forger, {"maa.yaml": settings(TYPES), BASELINE: "minimum: 8\n"})
    whole(forger, files={"maa.yaml": settings(types + "requests: {expireAfterDays: 9}\n")}).land()
    expected = GOOD if code is None else (3, [code])
    assert verified(world) == expected


def test_h28_a_type_goes_together_with_its_resources(world: World, forger: Forger) -> None:
    """Where no policy covers them they are deleted first, or in the same step."""
    settle(forger, {"maa.yaml": settings(TYPES), BASELINE: "minimum: 8\n"})
    request = whole(forger, files={"maa.yaml": settings()})
    request.files[BASELINE] = None
    request.land()
    assert verified(world) == GOOD


# --- what is protected ---------------------------------------------------------------------------------------------


def test_an_uncovered_resource_may_be_pushed_as_it_is_and_is_applied(world: World, forger: Forger) -> None:
    """Without an access policy for its type there is nothing to approve."""
    settle(forger, {"policies/apps.yaml": None})
    grow(forger, EDIT)
    assert verified(world) == GOOD
    world.bob.maa("apply")
    held = world.bob.maa("tenant", "--format", "json").json["objects"]
    assert [found["properties"]["description"] for found in held] == ["New."]


def test_scope_says_which_resources_are_covered(world: World, forger: Forger) -> None:
    """A policy with a scope leaves the others of its type free."""
    settle(forger, {"policies/apps.yaml": access_policy("app", "approvers", extra='scope: ["finance/*"]\n')})
    grow(forger, {**EDIT, "resources/apps/finance.yaml": app("Free")})
    assert verified(world) == GOOD
    grow(forger, {"resources/apps/finance/payroll.yaml": app("Payroll")})
    assert violation_of(verified(world)) == "unapprovedChange"


def test_h12_mixed_is_judged_on_the_signed_list(world: World, forger: Forger) -> None:
    """An uncovered resource that goes along is not mixed; one that was signed is."""
    start = settle(forger, {"policies/apps.yaml": None})
    rules: Files = {"policies/apps.yaml": access_policy("app", "approvers")}
    signed = whole(forger, "signed", {**rules, **EDIT})
    signed.land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "mixedRequest:" in str(told(world)["message"])
    restore(forger, start)
    along = whole(forger, "along", rules)
    along.files.update(EDIT)
    along.land()
    assert verified(world) == (0, ["unapprovedChange"])


# --- beginning -------------------------------------------------------------------------------------------------------

NO_POLICIES: Files = dict.fromkeys(f"policies/{name}.yaml" for name in ("apps", "scripts", "access-policies"))
FIRST_POLICIES: Files = {
    "policies/access-policies.yaml": access_policy("accessPolicy", "approvers"),
    "policies/apps.yaml": access_policy("app", "approvers"),
}


def test_without_policies_an_administrator_alone_changes_the_rules(world: World, forger: Forger) -> None:
    """A submit is still needed, and a completion; nobody has to approve."""
    settle(forger, NO_POLICIES)
    request = world.alice.submitted("join", {"groups/approvers.yaml": group("alice", "bob", "carol", "dave")})
    shown = world.alice.show(request).json
    assert (shown["status"], shown["approver"], shown["policies"]) == ("approved", None, [])
    assert world.alice.maa("approve", request, "--format", "json", code=3).error["code"] == "selfApproval"
    world.alice.maa("merge", request)
    assert verified(world) == GOOD
    grow(forger, {"groups/approvers.yaml": group("alice")})
    assert violation_of(verified(world)) == "unapprovedChange"


def test_without_policies_nobody_else_changes_the_rules(world: World, forger: Forger) -> None:
    """The role is asked for before there is any policy."""
    settle(forger, NO_POLICIES)
    files: Files = {"groups/approvers.yaml": group("dave")}
    world.dave.change("coup", files)
    assert world.dave.maa("submit", "-m", "Mine.", "--format", "json", code=3).error["code"] == "missingRole"
    Forgery(forger, "coup", files).submit(world.dave).complete(world.dave).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "missingRole:" in str(told(world)["message"])


def test_one_administrator_brings_the_first_policies(world: World, forger: Forger) -> None:
    """From the step after they hold for everybody, also for who brought them."""
    settle(forger, NO_POLICIES)
    request = world.alice.submitted("policies", FIRST_POLICIES)
    world.alice.maa("merge", request)
    assert verified(world) == GOOD
    Forgery(forger, "more", {"groups/approvers.yaml": group("alice", "bob")}).submit(world.alice).complete(
        world.alice
    ).land()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert "needsApprovals:" in str(told(world)["message"])


def test_as_soon_as_there_are_policies_one_protects_the_rules(world: World, forger: Forger) -> None:
    """A first policy for apps alone is refused."""
    settle(forger, NO_POLICIES)
    world.alice.change("policies", {"policies/apps.yaml": access_policy("app", "approvers")})
    refused = world.alice.maa("submit", "-m", "Apps.", "--format", "json", code=3).error
    assert refused["code"] == "invalidDocument"
    assert "accessPolicy without scope" in refused["message"]


# --- transport -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["one parent", "the branch as second parent", "the branch as first of two others"])
def test_merges_and_squashes_are_all_the_same(world: World, forger: Forger, how: str) -> None:
    """Only the first parent and the trees count; authors and messages mean nothing."""
    whole(forger).push()
    tip, head = world.tip(), world.tip("change/forged")
    parents = {
        "one parent": [tip],
        "the branch as second parent": [tip, head],
        "the branch as first of two others": [tip, head, forger.commit([], {"x": "x"})],
    }[how]
    forger.push(forger.commit(parents, {}, tree_of=head))
    assert verified(world) == GOOD


def test_d13_a_message_approves_nothing(world: World, forger: Forger) -> None:
    """Trailers, authors and committers are text."""
    tree = world.alice.git("rev-parse", f"{forger.commit([world.tip()], EDIT)}^{{tree}}")
    message = "complete forged\n\nApproved-by: Bob <bob@contoso.com>\nSigned-off-by: Carol <carol@contoso.com>\n"
    commit = world.bob.git("hash-object", "-t", "commit", "-w", "--stdin", data=(
        f"tree {tree}\nparent {world.tip()}\nauthor Bob <bob@contoso.com> 0 +0000\n"
        f"committer Carol <carol@contoso.com> 0 +0000\n\n{message}"
    ).encode())  # fmt: skip
    world.bob.git("fetch", "-q", str(world.alice.clone), f"+{forger.commit([world.tip()], EDIT)}:refs/heads/objects")
    world.bob.git("push", "-q", "origin", f"{commit}:refs/heads/main")
    assert violation_of(verified(world)) == "unapprovedChange"


def test_goodness_follows_from_the_protected_branch_alone(world: World, forger: Forger) -> None:
    """A clone of nothing else comes to the same answer, with no change branch ever seen."""
    request = world.alice.submitted("update", EDIT)
    world.bob.maa("approve", request)
    world.alice.maa("merge", request)
    alone = world.folder / "alone"
    world.git(world.folder, "clone", "-q", "--single-branch", "--branch", "main", str(world.server), str(alone))
    person = Person("dave", world.dave.key, world.dave.public_key, alone, world)
    assert person.maa("verify", "--format", "json").json["good"] is True


# --- any difference, and the cost ------------------------------------------------------------------------------------


def test_one_byte_of_difference_is_never_good(world: World, forger: Forger) -> None:
    """In the record or in what lands, changed, inserted or taken away: the landing is a violation, not a crash."""
    request = whole(forger)
    repository = repository_of(world.alice)
    now, files = (
        datetime.now(UTC),
        {request.path: forger.record(*request.lines), APP: (request.files[APP] or "").encode()},
    )
    good = walk(repository, Memory(request.start), request.start, now).good

    def is_good(landed: Mapping[str, bytes]) -> bool:
        changes = {path: ("100644", repository.write_blob(data)) for path, data in landed.items()}
        tree = repository.replace_paths(repository.commit(request.start).tree, changes)
        return judge(repository, good, tree, now).good

    @hypothesis_settings(deadline=None, database=None, max_examples=150)
    @given(
        path=st.sampled_from(sorted(files)),
        place=st.integers(0, 1 << 16),
        kept=st.integers(0, 1),
        new=st.binary(max_size=1),
    )
    def differs(path: str, place: int, kept: int, new: bytes) -> None:
        data = files[path]
        at = place % len(data)
        other = data[:at] + new + data[at + 1 - kept :]
        assert is_good({**files, path: other}) is (other == data)

    assert is_good(files)
    differs()


class Counting(Repository):
    """A repository that counts how often a tree is asked for."""

    reads = 0

    def tree(self, oid: str) -> tuple[Entry, ...]:
        """Read a tree, and count it."""
        self.reads += 1
        return super().tree(oid)


def trees_read(world: World, forger: Forger, files: int) -> int:
    """How many trees judging one completed request reads in a repository of so many resources."""
    blob = world.alice.git("hash-object", "-w", "--stdin", data=app("Other").encode())
    lines = (f"100644 {blob}\tresources/apps/f{n // 20:03}/a{n:04}.yaml\n" for n in range(files))
    world.alice.git("read-tree", world.tip())
    world.alice.git("update-index", "--index-info", data="".join(lines).encode())
    tree = world.alice.git("write-tree")
    start = world.alice.git("commit-tree", tree, "-p", world.tip(), "-m", "forged")
    forger.push(start)
    whole(forger, f"of-{files}").land()
    repository = Counting.open(world.alice.clone, world.variables())
    assert isinstance(repository, Counting)
    assert walk(repository, Memory(start), world.tip(), datetime.now(UTC)).tip_is_good
    return repository.reads


def test_judging_a_step_costs_what_the_step_changes(world: World, forger: Forger) -> None:
    """Ten times the resources: the same number of trees is read."""
    start = world.tip()
    few = trees_read(world, forger, 200)
    forger.push(start, force=True)
    assert trees_read(world, forger, 2000) == few


# --- the time of a step ----------------------------------------------------------------------------------------------

NOW = datetime.now(UTC).replace(microsecond=0)


def at(moment: datetime) -> str:
    """A moment as records write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def record_step(forger: Forger, request: str, *moments: datetime) -> str:
    """Push a record whose events are of these moments: a submit, then approvals."""
    first, *others = moments
    made = Forgery(forger, request).submit(forger.world.alice, at=at(first))
    for moment in others:
        made.approve(forger.world.bob, at=at(moment))
    made.files = {}
    return made.land()


@pytest.mark.parametrize(("ahead", "codes"), [(300, []), (301, ["outOfTime"])])
def test_a_step_is_at_most_five_minutes_ahead_of_the_clock(
    world: World, forger: Forger, ahead: int, codes: list[str]
) -> None:
    """The verifier's own."""
    start = world.tip()
    record_step(forger, "forged", NOW)
    history = judged(world, NOW - timedelta(seconds=ahead), start)
    assert [found.code for found in history.violations] == codes
    assert history.tip_is_good is (not codes)


@pytest.mark.parametrize(("behind", "codes"), [(300, []), (301, ["outOfTime"])])
def test_h8_a_step_is_at_most_five_minutes_before_the_steps_before(
    world: World, forger: Forger, behind: int, codes: list[str]
) -> None:
    """A completion that is dated back further is a violation."""
    start = world.tip()
    record_step(forger, "first", NOW)
    record_step(forger, "second", NOW - timedelta(seconds=behind))
    assert [found.code for found in judged(world, NOW, start).violations] == codes


def test_h24_steps_do_not_creep_back(world: World, forger: Forger) -> None:
    """Each step is compared with the latest of all before, not with the one before."""
    start = world.tip()
    for number in range(3):
        record_step(forger, f"step-{number}", NOW - timedelta(minutes=4 * number))
    history = judged(world, NOW, start)
    assert [(found.commit, found.code) for found in history.violations] == [(world.tip(), "outOfTime")]


def test_h24_events_do_not_creep_back(world: World, forger: Forger) -> None:
    """The same within one record."""
    start = world.tip()
    record_step(forger, "forged", *(NOW - timedelta(minutes=4 * number) for number in range(3)))
    assert [found.code for found in judged(world, NOW, start).violations] == ["outOfTime"]


def test_the_time_of_a_step_is_the_latest_of_the_events_that_it_adds(world: World, forger: Forger) -> None:
    """Old events of the same record do not count again."""
    start = world.tip()
    request = Forgery(forger).submit(world.alice, at=at(NOW - timedelta(days=3)))
    request.files = {}
    request.land()
    record_step(forger, "between", NOW - timedelta(days=1))
    request.approve(world.bob, at=at(NOW)).land()
    history = judged(world, NOW, start)
    assert history.violations == ()
    assert history.good.time == NOW


def test_h8_a_plain_commit_has_no_time(world: World, forger: Forger) -> None:
    """One that claims to be of the year 2099 blocks nothing."""
    tree = world.alice.git("rev-parse", f"{forger.commit([world.tip()], {'docs/a': 'x'})}^{{tree}}")
    who = "Alice <alice@contoso.com> 4070908800 +0000"
    text = f"tree {tree}\nparent {world.tip()}\nauthor {who}\ncommitter {who}\n\nforged\n"
    forger.push(world.alice.git("hash-object", "-t", "commit", "-w", "--stdin", data=text.encode()))
    whole(forger).land()
    assert verified(world) == GOOD


def test_known_limit_a_completion_can_be_dated_back_into_the_gap_before(world: World, forger: Forger) -> None:
    """Past an expiry even: nothing on the branch contradicts it. Only a hook with a clock would see it."""
    long_ago = timedelta(days=-100)
    request = Forgery(forger).submit(world.alice, at=stamp(long_ago)).approve(world.bob, at=stamp(long_ago))
    request.complete(world.alice, at=stamp(long_ago)).land()
    assert verified(world) == GOOD


# --- violations and healing ------------------------------------------------------------------------------------------


def test_h9_a_violation_is_healed_by_putting_every_path_back(world: World, forger: Forger) -> None:
    """It is listed for ever with what healed it, changes nothing, and needed no approval."""
    good = world.tip()
    bad = grow(forger, EDIT)
    worse = grow(forger, {"policies/apps.yaml": None})
    assert verified(world) == (3, ["unapprovedChange", "unapprovedChange"])
    healer = restore(forger, good)
    grow(forger, {"docs/note.md": "After.\n"})
    answer = world.dave.maa("verify", "--format", "json").json
    assert answer["good"] is True
    assert [(found["commit"], found["healedBy"]) for found in answer["violations"]] == [(bad, healer), (worse, healer)]
    whole(forger).land()
    assert verified(world)[0] == 0


def test_what_comes_after_a_violation_is_judged_against_the_same_good_commit(world: World, forger: Forger) -> None:
    """A harmless commit on top does not heal it, and rules that landed badly rule nothing."""
    grow(forger, {"groups/approvers.yaml": group("dave")})
    grow(forger, {"docs/note.md": "Harmless.\n"})
    assert verified(world) == (3, ["unapprovedChange", "unapprovedChange"])
    Forgery(forger).submit(world.alice).approve(world.dave).complete(world.alice).land()
    assert verified(world)[0] == 3


def test_a_violation_is_healed_by_the_completion_that_was_missing(world: World, forger: Forger) -> None:
    """The same content, now with what approves it."""
    request = whole(forger)
    complete = request.lines.pop()
    request.land()
    assert violation_of(verified(world)) == "unapprovedChange"
    request.lines.append(complete)
    healer = request.land()
    answer = world.dave.maa("verify", "--format", "json").json
    assert [(found["code"], found["healedBy"]) for found in answer["violations"]] == [("unapprovedChange", healer)]


@pytest.mark.parametrize(
    "worse", [{APP: app(description="New!")}, {"policies/apps.yaml": "junk: ["}, {"maa.yaml": None}]
)
def test_a_request_is_merged_by_the_step_that_was_good(world: World, forger: Forger, worse: Files) -> None:
    """Not by a bad one before it that held the same record, whatever else that held: nothing is read from there."""
    request, good = whole(forger), world.tip()
    signed = dict(request.files)
    request.files.update(worse)
    request.land()
    commit = forger.commit([world.tip()], {**signed, request.path: forger.record(*request.lines)}, tree_of=good)
    forger.push(commit)
    assert verified(world)[0] == 0
    world.bob.maa("apply")
    shown = world.dave.show("forged").json
    assert (shown["merged"]["commit"], shown["status"]) == (commit, "completed")
    assert world.dave.maa("requests", "--format", "json").json["requests"][0]["status"] == "completed"


def test_half_of_the_way_back_heals_nothing(world: World, forger: Forger) -> None:
    """Every path must be as it was."""
    good = world.tip()
    grow(forger, {**EDIT, "resources/apps/second.yaml": app("Second")})
    grow(forger, {APP: app()})
    assert verified(world)[0] == 3
    grow(forger, {"resources/apps/second.yaml": None})
    assert world.dave.maa("verify", "--format", "json").json["good"] is True
    assert world.git(world.server, "rev-parse", "main^{tree}") == world.git(
        world.server, "rev-parse", f"{good}^{{tree}}"
    )


def test_only_a_good_tip_is_applied_or_submitted_against(world: World, forger: Forger) -> None:
    """Both say so and point to verify; a list can still be read."""
    world.alice.change("update", {"resources/apps/second.yaml": app("Second")})
    grow(forger, EDIT)
    for command in (["submit", "-m", "Second."], ["apply"]):
        refused = world.alice.maa(*command, "--format", "json", code=3).error
        assert (refused["code"], refused["hint"]) == ("unapprovedChange", "maa verify")
    world.alice.maa("requests")


def test_verify_answers_for_any_commit(world: World, forger: Forger) -> None:
    """An earlier one may be good though the tip is not."""
    good = world.tip()
    bad = grow(forger, EDIT)
    world.dave.git("fetch", "-q", "origin")
    assert world.dave.maa("verify", good, "--format", "json").json["good"] is True
    answer = world.dave.maa("verify", bad, "--format", "json", code=3).json
    assert (answer["good"], answer["to"], answer["steps"]) == (False, bad, 1)


# --- the forge's merge button ----------------------------------------------------------------------------------------


def button(world: World, request: str, how: str) -> str:
    """Merge a change branch as a forge's button does, without any completion; returns the head of the branch."""
    head = world.tip(f"change/{request}")
    world.alice.git("fetch", "-q", "origin")
    world.alice.git("switch", "-q", "--detach", "origin/main")
    world.alice.git("merge", "-q", *(["--squash"] if how == "squash" else ["--no-ff", "-m", "Merge"]), head)
    if how == "squash":
        world.alice.git("commit", "-q", "-m", "Squash")
    world.alice.git("push", "-q", "origin", "HEAD:refs/heads/main")
    return head


@pytest.mark.parametrize("how", ["merge", "squash"])
@pytest.mark.parametrize("is_gone", [False, True])
def test_a_merge_by_the_forges_button_is_completed_afterwards(world: World, how: str, is_gone: bool) -> None:
    """``merge`` adds what was missing; where the branch is gone the tip stands for it, and is the only parent."""
    request = world.alice.submitted("update", EDIT)
    world.bob.maa("approve", request)
    head = button(world, request, how)
    if is_gone:
        world.alice.git("push", "-q", "origin", ":refs/heads/change/update")
    tip = world.tip()
    assert violation_of(verified(world)) == "unapprovedChange"
    assert world.carol.maa("check", request, "--format", "json").json["status"] == "approved"
    world.carol.maa("merge", request)
    parents = world.git(world.server, "rev-list", "--parents", "-n1", "main").split()[1:]
    assert parents == ([tip] if is_gone else [tip, head])
    answer = world.dave.maa("verify", "--format", "json").json
    assert (answer["good"], [found["healedBy"] for found in answer["violations"]]) == (True, [world.tip()])
    assert world.carol.show(request).json["merged"]["commit"] == world.tip()


def test_a_merge_by_the_button_without_approval_is_not_completed(world: World) -> None:
    """The button approves nothing."""
    request = world.alice.submitted("update", EDIT)
    button(world, request, "merge")
    assert world.carol.maa("merge", request, "--format", "json", code=3).error["code"] == "needsApprovals"
    world.bob.maa("approve", request)
    world.carol.maa("merge", request)
    assert verified(world)[0] == 0


def test_nothing_is_merged_on_a_bad_tip_that_would_stay_bad(world: World, forger: Forger) -> None:
    """Something else is wrong with the tip, which the request does not cure."""
    request = world.alice.submitted("update", EDIT)
    world.bob.maa("approve", request)
    grow(forger, {"policies/scripts.yaml": None})
    tip = world.tip()
    assert world.carol.maa("merge", request, "--format", "json", code=3).error["code"] == "outdated"
    assert world.tip() == tip


def test_a_request_merges_on_a_bad_tip_once_that_is_healed(world: World, forger: Forger) -> None:
    """It was neither lost nor voided by the violation."""
    request = world.alice.submitted("update", EDIT)
    world.bob.maa("approve", request)
    good = world.tip()
    grow(forger, {"policies/scripts.yaml": None})
    restore(forger, good)
    world.carol.maa("merge", request)
    assert verified(world)[0] == 0


def test_records_are_kept_by_hand_as_archive_does(world: World, forger: Forger) -> None:
    """The record of a rejected request, pushed with plain git where the tool could not."""
    request = world.alice.submitted("update", EDIT)
    world.alice.maa("cancel", request)
    path = f"requests/{stamp()[:4]}/update.jsonl"
    before = world.read(path)
    assert verified(world) == GOOD
    world.alice.maa("submit", "-m", "Again.")
    grow(forger, {path: world.read(path, "refs/heads/change/update")})
    assert len(world.read(path).splitlines()) == len(before.splitlines()) + 1
    assert verified(world) == GOOD


# --- a new tip has the old one behind it ---------------------------------------------------------------------------


def test_f7_a_rewritten_protected_branch_is_told_by_every_clone(world: World, forger: Forger) -> None:
    """The message names the commit that was lost, and the hint is the command that puts it back."""
    old = world.tip()
    good = grow(forger, {"docs/note.md": "x\n"})
    world.dave.maa("requests")
    forger.push(forger.commit([old], {"docs/other.md": "x\n"}), force=True)
    for command in (["verify"], ["requests"], ["check", "x"], ["show", "x"], ["plan"]):
        refused = world.dave.maa(*command, "--format", "json", code=3)
        assert refused.error["code"] == "lostChain"
        assert good in refused.error["message"]
        assert refused.error["hint"].endswith(f": git push --force origin {good}:main")
    world.dave.git("push", "-q", "--force", "origin", f"{good}:main")
    world.dave.maa("requests")


def test_f7_a_tip_that_goes_back_is_told_too(world: World, forger: Forger) -> None:
    """An older good commit is no new tip."""
    old = world.tip()
    whole(forger).land()
    world.dave.maa("requests")
    forger.push(old, force=True)
    assert world.dave.maa("requests", "--format", "json", code=3).error["code"] == "lostChain"


def test_h7_the_old_tip_as_second_parent_is_lost(world: World, forger: Forger) -> None:
    """A push that git takes for a fast-forward: the first parents lead elsewhere."""
    old = world.tip()
    whole(forger).land()
    tip = world.tip()
    world.dave.maa("requests")
    aside = forger.commit([old], {"docs/aside.md": "x\n"})
    forger.push(forger.commit([aside, tip], {}, tree_of=aside))
    for command in (["requests"], ["verify"], ["apply"]):
        assert world.dave.maa(*command, "--format", "json", code=3).error["code"] == "lostChain"
    forger.push(tip, force=True)
    forger.push(forger.commit([tip, aside], {}, tree_of=tip))
    assert verified(world) == GOOD


# --- what a clone remembers ------------------------------------------------------------------------------------------


def memory_file(person: Person) -> Path:
    """Where the time of the last good commit is kept."""
    return person.clone / ".git" / "maa" / "verified" / "main.json"


def test_a_clone_remembers_the_last_good_commit_and_the_latest_time(world: World, forger: Forger) -> None:
    """In a ref of its own and in the git directory; a bad tip moves neither."""
    request = whole(forger)
    good = request.land()
    world.dave.maa("requests")
    grow(forger, {APP: app(description="Direct.")})
    world.dave.maa("requests")
    assert world.dave.git("rev-parse", "refs/maa/verified/main") == good
    remembered = json.loads(memory_file(world.dave).read_text())
    assert (remembered["commit"], remembered["time"]) == (good, json.loads(request.lines[-1])["at"])


def past_gone(world: World, forger: Forger) -> str:
    """Let dave's clone see some steps and remember them, then take a commit of the past out of it.

    Returns a good commit after that one, before the one that is remembered.
    """
    middle, later, _ = (grow(forger, {f"docs/{name}.md": "x\n"}) for name in "abc")
    dave = world.dave
    dave.maa("requests")
    dave.git("repack", "-q", "-a", "-d")
    pack = next((dave.clone / ".git" / "objects" / "pack").glob("*.pack"))
    moved = dave.clone / ".git" / "moved.pack"
    shutil.move(pack, moved)
    dave.git("unpack-objects", "-q", data=moved.read_bytes())
    (dave.clone / ".git" / "objects" / middle[:2] / middle[2:]).unlink()
    return later


def test_commands_go_on_from_the_memory_and_verify_never_does(world: World, forger: Forger) -> None:
    """With the past gone from the clone the ones still answer, the other cannot."""
    past_gone(world, forger)
    world.dave.maa("--no-fetch", "requests")
    refused = world.dave.maa("--no-fetch", "verify", "--format", "json", code=4)
    assert refused.error["code"] == "missingObject"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: None,
        lambda text: "",
        lambda text: "{}",
        lambda text: "[]",
        lambda text: text.replace('"time"', '"at"'),
        lambda text: text.replace('"commit": "', '"commit": "0'),
        lambda text: text.replace('"time": null', '"time": "today"'),
    ],
)
def test_h29_a_memory_whose_time_is_missing_or_foreign_is_not_gone_on_from(
    world: World, forger: Forger, spoil: Callable[[str], str | None]
) -> None:
    """The walk starts from the trusted start again, which here cannot be read."""
    past_gone(world, forger)
    text = spoil(memory_file(world.dave).read_text())
    if text is None:
        memory_file(world.dave).unlink()
    else:
        memory_file(world.dave).write_text(text)
    assert world.dave.maa("--no-fetch", "requests", "--format", "json", code=4).error["code"] == "missingObject"


def test_h29_a_memory_of_another_commit_is_not_gone_on_from(world: World, forger: Forger) -> None:
    """Commit and time must belong together, or the time is that of another step."""
    later = past_gone(world, forger)
    remembered = json.loads(memory_file(world.dave).read_text())
    memory_file(world.dave).write_text(json.dumps({**remembered, "commit": later}))
    assert world.dave.maa("--no-fetch", "requests", "--format", "json", code=4).error["code"] == "missingObject"


def test_h29_without_its_time_the_remembered_commit_still_has_to_be_behind_the_tip(
    world: World, forger: Forger
) -> None:
    """The ref alone tells a rewritten branch, and how to put it back."""
    old = world.tip()
    good = grow(forger, {"docs/note.md": "x\n"})
    world.dave.maa("requests")
    memory_file(world.dave).unlink()
    forger.push(old, force=True)
    for command in ("requests", "verify"):
        refused = world.dave.maa(command, "--format", "json", code=3)
        assert refused.error["code"] == "lostChain"
        assert refused.error["hint"].endswith(f": git push --force origin {good}:main")


def test_a_clone_that_cannot_remember_can_still_judge(world: World, forger: Forger) -> None:
    """Something is in the way of the memory: the answer is the same, from the trusted start each time."""
    whole(forger).land()
    (world.dave.clone / ".git" / "maa").write_text("in the way")
    world.dave.maa("requests")
    assert verified(world) == GOOD


# --- the trusted start -----------------------------------------------------------------------------------------------


def test_the_walk_starts_at_the_oldest_commit_with_settings(world: World, forger: Forger) -> None:
    """What was before there was a tenant is nobody's business; the start is printed, so that it can be pinned."""
    start = world.tip()
    grow(forger, {"docs/note.md": "x\n"})
    answer = world.dave.maa("verify", "--format", "json")
    assert (answer.json["from"], answer.json["steps"]) == (start, 1)
    assert f"git config maa.trustedStart {start}" in answer.err
    before = forger.commit([], {APP: app("Before"), "policies/x.yaml": "x\n"})
    begun = forger.commit([before], {}, tree_of=start)
    forger.push(forger.commit([begun], {"docs/note.md": "x\n"}), force=True)
    answer = world.dave.maa("verify", "--format", "json")
    assert (answer.json["from"], answer.json["steps"]) == (begun, 1)


def test_settings_that_were_gone_for_a_while_do_not_move_the_start(world: World, forger: Forger) -> None:
    """The oldest commit that holds them, not the oldest of the newest run."""
    start = world.tip()
    grow(forger, {"maa.yaml": None})
    grow(forger, {"maa.yaml": settings(), **EDIT})
    answer = world.dave.maa("verify", "--format", "json", code=3).json
    assert (answer["from"], answer["lastGood"]) == (start, start)
    assert [found["code"] for found in answer["violations"]] == [
        "invalidDocument",
        "unapprovedChange",
        "unapprovedChange",
    ]


def test_no_commit_with_settings_is_no_tenant(world: World, forger: Forger) -> None:
    """It cannot be told."""
    forger.push(forger.commit([], {"docs/note.md": "x\n"}), force=True)
    refused = world.dave.maa("verify", "--format", "json", code=4).error
    assert refused["hint"] == "maa init --tenant NAME"


def test_a_start_can_be_pinned_or_given(world: World, forger: Forger) -> None:
    """``--from`` goes before the configuration, that before the oldest; nothing is printed of a known one."""
    grow(forger, EDIT)
    second = grow(forger, {"docs/a.md": "x\n"})
    third = grow(forger, {"docs/b.md": "x\n"})
    assert verified(world)[0] == 3
    world.dave.git("config", "maa.trustedStart", second)
    pinned = world.dave.maa("verify", "--format", "json")
    assert (pinned.json["from"], pinned.json["steps"], pinned.err) == (second, 1, "")
    given = world.dave.maa("verify", "--from", third, "--format", "json")
    assert (given.json["from"], given.json["steps"], given.err) == (third, 0, "")
    assert world.dave.maa("verify", "--from", "0" * 40, "--format", "json", code=4).error["kind"] == "repository"


def test_a_start_that_is_not_behind_the_tip_is_lost(world: World, forger: Forger) -> None:
    """A pinned commit that the branch no longer has must be put back; a wrong argument is only told."""
    aside = forger.commit([world.tip()], {"docs/aside.md": "x\n"})
    forger.push(aside, "aside")
    grow(forger, {"docs/a.md": "x\n"})
    world.dave.git("fetch", "-q", "origin")
    for arguments in (["--from", aside], ["--from", aside, world.tip()]):
        refused = world.dave.maa("verify", *arguments, "--format", "json", code=3).error
        assert (refused["code"], refused["hint"]) == ("lostChain", None)
    world.dave.git("config", "maa.trustedStart", aside)
    refused = world.dave.maa("verify", "--format", "json", code=3).error
    assert refused["code"] == "lostChain"
    assert refused["hint"].endswith(f": git push --force origin {aside}:main")


def shallow(world: World, depth: int) -> Person:
    """Somebody with a shallow clone."""
    clone = world.folder / "shallow"
    world.git(world.folder, "clone", "-q", "--depth", str(depth), f"file://{world.server}", str(clone))
    return Person("dave", world.dave.key, world.dave.public_key, clone, world)


def test_h26_a_shallow_clone_that_reaches_a_pinned_start_can_tell(world: World, forger: Forger) -> None:
    """Nothing before the start is needed; with the start itself missing it cannot be told."""
    before = world.tip()
    start = grow(forger, {"docs/a.md": "x\n"})
    whole(forger).land()
    person = shallow(world, 2)
    person.git("config", "maa.trustedStart", before)
    assert person.maa("verify", "--format", "json", code=4).error["kind"] == "repository"
    person.git("config", "maa.trustedStart", start)
    assert person.maa("verify", "--format", "json").json["good"] is True


def graft(person: Person, commit: str, _parent: str) -> None:
    """Pretend that a commit has no parents."""
    (person.clone / ".git" / "info").mkdir(exist_ok=True)
    (person.clone / ".git" / "info" / "grafts").write_text(f"{commit}\n")


def replaced(person: Person, commit: str, parent: str) -> None:
    """Let another commit stand for the evil one."""
    innocent = person.git("commit-tree", f"{parent}^{{tree}}", "-p", parent, "-m", "innocent")
    person.git("replace", commit, innocent)


def cut(person: Person, commit: str, _parent: str) -> None:
    """Pretend that the history was fetched shallow up to a commit."""
    (person.clone / ".git" / "shallow").write_text(f"{commit}\n")


@pytest.mark.parametrize("trick", [graft, replaced, cut])
def test_d8_parents_are_read_from_the_commits_themselves(
    world: World, forger: Forger, trick: Callable[[Person, str, str], None]
) -> None:
    """Grafts, replace refs and a false list of shallow commits hide no violation."""
    good = world.tip()
    evil = grow(forger, {"groups/approvers.yaml": group("dave")})
    grow(forger, {"docs/a.md": "x\n"})
    world.dave.git("fetch", "-q", "origin")
    trick(world.dave, evil, good)
    answer = world.dave.maa("--no-fetch", "verify", "--format", "json", code=3).json
    assert (answer["from"], answer["lastGood"]) == (good, good)
    assert [found["commit"] for found in answer["violations"]] == [evil, world.tip()]


# --- the protected branch --------------------------------------------------------------------------------------------


def test_h11_the_protected_branch_is_never_read_from_the_change(world: World, forger: Forger) -> None:
    """It is the clone's setting, else the remote's HEAD; the settings at the good commit must agree."""
    world.dave.git("config", "--unset", "maa.protectedBranch")
    assert Forgery.honest(forger).check() == APPROVED
    forger.push(world.tip(), "other")
    world.dave.git("config", "maa.protectedBranch", "other")
    for command in ("requests", "verify"):
        refused = world.dave.maa(command, "--format", "json", code=4).error
        assert refused["code"] == "noProtectedBranch"
        assert refused["hint"].startswith("git config maa.protectedBranch main,")


def test_without_remote_and_setting_it_cannot_be_told(world: World) -> None:
    """Exit code 4 with the setting to make."""
    world.dave.git("remote", "remove", "origin")
    world.dave.git("config", "--unset", "maa.protectedBranch")
    for command in (["verify"], ["requests"]):
        refused = world.dave.maa(*command, "--format", "json", code=4).error
        assert refused["code"] == "noProtectedBranch"
        assert "git config maa.protectedBranch main" in refused["hint"]
