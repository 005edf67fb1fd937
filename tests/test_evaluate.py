"""Decision cases that an auditor can read: ``cases/evaluate/*.yaml``, each run in many orders of its facts.

How to read a case:

- ``story`` says in words what happens; ``holds`` which rules, threats and parity rows the case stands for.
- ``tenant`` names only what differs from ``tenant.yaml``; null takes a thing out.
- ``change`` lists what the request changes (default: an edit of ``app/company-portal``).
- ``events`` are the record's lines. ``at`` and ``now`` are offsets from 23 November 2026, 10:00 UTC; without ``at`` an
  event is an hour after the one before it, and ``now`` is an hour after the last. ``evaluate`` does no cryptography, so
  a key is a word: ``signedBy: bob`` is a signature under ``bob-key``, ``signedBy: bad`` one that does not verify.
  ``content: v2`` is the request's change, but with that content in its first file (``nothing``: without that file).
  Without it a submit signs the change as listed, any other event what the last submit before it signed.
- ``edited: v2`` says that the change branch now holds that content; ``goodHolds`` and ``tipHolds`` what the last good
  commit and the tip of the protected branch hold instead of the old one; ``outdated`` what else is in the way.
- ``expect`` is the whole evaluation. What it leaves out is what the last submit says (requestor, contributors; expires
  30 days later) or nothing (approver, notes). An event is ``<account> counts`` or ``<account> no <code>``.
- ``complete`` and ``landing``, in the files ``landing_*``: may the request land with this completion?
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from maa_gitops.evaluate import evaluate, landing_reasons
from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    AccessPolicy,
    Account,
    AccountKind,
    Action,
    ApproverGroup,
    CompleteBy,
    Evaluation,
    Event,
    EventFact,
    Evidence,
    Facts,
    FileChange,
    ForgeIdentity,
    Held,
    Merge,
    ObjectId,
    Outcome,
    Reason,
    ReasonCode,
    Role,
    Settings,
    TargetOutcome,
    Tenant,
    timestamp,
)

CASES = Path(__file__).parent / "cases" / "evaluate"
OPENED = datetime(2026, 11, 23, 10, tzinfo=UTC)
GOOD = "a" * 40
UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}

OF_COMMANDS_AND_HISTORY = {
    ReasonCode.UNAPPROVED_CHANGE,
    ReasonCode.NOTHING_PROTECTED,
    ReasonCode.LOCKED,
    ReasonCode.ALREADY_MERGED,
    ReasonCode.NO_OPEN_REQUEST,
}

OF_APPROVALS_AND_TIME = {
    *("needsApprovals", "unsatisfiable", "selfApproval", "contributor", "notApprover", "staleChange", "withdrawn"),
    *("awaitingCompletion", "expired", "rejected", "cancelled"),
}

Document = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """One file: facts, and what must come of them; ``complete`` only where the landing is judged."""

    name: str
    holds: tuple[str, ...]
    facts: Facts
    complete: EventFact | None
    expected: Document


# --- from a file to facts --------------------------------------------------------------------------------------------


def _read(path: Path) -> Document:
    document: Document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def _only(document: Document, *known: str) -> Document:
    """Refuse a misspelt field: a case must not pass because something was overlooked."""
    unknown = document.keys() - set(known)
    assert not unknown, f"unknown fields: {sorted(unknown)}"
    return document


def _moment(offset: str) -> datetime:
    parts = re.findall(r"([+-]\d+)([dhms])", offset)
    assert "".join(number + unit for number, unit in parts) == offset, offset
    return OPENED + sum((timedelta(**{UNITS[unit]: int(number)}) for number, unit in parts), timedelta())


def _content(word: str | None) -> str | None:
    return None if word is None else hashlib.sha256(word.encode()).hexdigest()


def _account(name: str, given: Document) -> Account:
    _only(given, "kind", "roles", "enabled", "github", "keys")
    return Account(
        name,
        display_name=name.capitalize(),
        kind=AccountKind(given.get("kind", "person")),
        roles=frozenset(Role(role) for role in given.get("roles", [])),
        enabled=given.get("enabled", True),
        github=ForgeIdentity(name, given["github"]) if "github" in given else None,
        signing_keys=tuple(given.get("keys", [f"{name}-key"])),
    )


def _policy(name: str, given: Document) -> AccessPolicy:
    _only(given, "type", "groups", "required", "scope", "attested")
    return AccessPolicy(
        name,
        display_name=name,
        profile_type=given["type"],
        approver_groups=tuple(given["groups"]),
        required_approvals=given.get("required", 1),
        scope=tuple(given.get("scope", [])),
        attested=given.get("attested", False),
    )


def _tenant(differences: Document) -> Tenant:
    given = _read(CASES / "tenant.yaml")
    for section, entries in _only(differences, *given).items():
        given[section] = {name: entry for name, entry in (given[section] | entries).items() if entry is not None}
    settings = _only(given["settings"], "expireAfterDays", "completeBy")
    return Tenant(
        Settings(
            "contoso",
            "main",
            expire_after_days=settings["expireAfterDays"],
            complete_by=CompleteBy(settings["completeBy"]),
        ),
        accounts={name: _account(name, entry) for name, entry in sorted(given["accounts"].items())},
        groups={name: ApproverGroup(name, name, tuple(members)) for name, members in sorted(given["groups"].items())},
        policies={name: _policy(name, entry) for name, entry in sorted(given["policies"].items())},
    )


def _changed(given: str | Document) -> tuple[ObjectId | None, FileChange]:
    """One entry of ``change``: an object (an edit of its document), or an object with its file, or a file alone."""
    entry: Document = (
        {"object": given} if isinstance(given, str) else _only(given, "object", "path", "mode", "old", "new")
    )
    governed = ObjectId(*entry["object"].split("/", 1)) if "object" in entry else None
    path = entry["path"] if governed is None else entry.get("path", _document_path(governed))
    old, new = _content(entry.get("old", "old")), _content(entry.get("new", "new"))
    return governed, FileChange(path, None if new is None else entry.get("mode", "100644"), old, new)


def _document_path(governed: ObjectId) -> str:
    return governed.name if governed.type == ACCESS_POLICY_TYPE else f"resources/{governed.type}s/{governed.name}.yaml"


def _with_content(files: Sequence[FileChange], word: str | None) -> tuple[FileChange, ...]:
    first = {None: files[:1], "nothing": ()}.get(word, (replace(files[0], new=_content(word)),))
    return (*first, *files[1:])


def _change_digest(files: Sequence[FileChange]) -> str:
    """The digest by its definition, written out here once more."""
    listed = [{"mode": f.mode, "new": f.new, "old": f.old, "path": f.path} for f in files]
    plain = {"changes": sorted(listed, key=lambda entry: entry["path"] or ""), "tenant": "contoso"}
    return "sha256:" + hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _event_facts(lines: Sequence[Document], files: Sequence[FileChange], known: Tenant) -> tuple[EventFact, ...]:
    facts: list[EventFact] = []
    at, signed = OPENED - timedelta(hours=1), None
    for line in lines:
        if line == {"line": "junk"}:
            facts.append(EventFact(None))
            continue
        at = _moment(line["at"]) if "at" in line else at + timedelta(hours=1)
        word = line.get("content") if line["action"] == "submit" or "content" in line else signed
        if line["action"] == "submit":
            signed = word
        facts.append(_event_fact(line, at, _with_content(files, word), known, is_first=not facts))
    return tuple(facts)


def _event_fact(
    line: Document, at: datetime, files: tuple[FileChange, ...], known: Tenant, *, is_first: bool
) -> EventFact:
    _only(
        line,
        *("action", "by", "at", "signedBy", "content", "notes", "contributors", "base"),
        *("attestedBy", "githubId", "fault"),
    )
    action, by, attested_by = Action(line["action"]), line["by"], line.get("attestedBy")
    submits = action is Action.SUBMIT
    signed_by = line.get("signedBy", attested_by or by)
    github = known.accounts[by].github if by in known.accounts else None
    github_id = line.get("githubId", github.id if github is not None else 0)
    event = Event(
        by,
        action,
        at,
        base=line.get("base", GOOD),
        request="update-company-portal",
        tenant="contoso",
        signature="a signature",
        previous="sha256:the line before" if not is_first else None,
        change=None if submits else _change_digest(files),
        notes=line.get("notes"),
        changes=files if submits else (),
        contributors=tuple(line.get("contributors", [by])) if submits else (),
        justification="It must be so." if submits else None,
        attested_by=attested_by,
        evidence=Evidence("github", github_id, by, "https://github.com/…", GOOD) if attested_by is not None else None,
    )
    fault = ReasonCode(line["fault"]) if "fault" in line else None
    return EventFact(event, None if signed_by == "bad" else f"{signed_by}-key", fault)


def _held(files: Sequence[FileChange], word: str | None) -> dict[str, Held]:
    """What a tree holds: the old contents; in the first file what ``word`` says, if it says anything."""
    contents = {file.path: file.old for file in files}
    if word is not None:
        contents[files[0].path] = None if word == "nothing" else _content(word)
    return {path: Held("100644", found) for path, found in contents.items() if found is not None}


def _case(path: Path) -> Case:
    given = _only(
        _read(path),
        *(
            "story",
            "holds",
            "tenant",
            "change",
            "events",
            "now",
            "edited",
            "outdated",
            "goodHolds",
            "tipHolds",
            "problems",
        ),
        *("merged", "outcomes", "complete", "expect"),
    )
    known = _tenant(given.get("tenant", {}))
    entries = [_changed(entry) for entry in given.get("change", ["app/company-portal"])]
    files = tuple(file for _, file in entries)
    lines = given["events"]
    events = _event_facts([*lines, *([given["complete"]] if "complete" in given else [])], files, known)
    complete = events[-1] if "complete" in given else None
    record = events[:-1] if "complete" in given else events
    last = max((fact.event.at for fact in events if fact.event is not None), default=OPENED)
    now_files = _with_content(files, given.get("edited"))
    outdated = given.get("outdated")
    assert outdated in (None, "noMergeBase", "step")
    good = given.get("goodHolds")
    facts = Facts(
        known,
        changes=None if outdated == "noMergeBase" else now_files,
        step=_with_content(now_files, "another step") if outdated == "step" else now_files,
        objects=tuple(dict.fromkeys(governed for governed, _ in entries if governed is not None)),
        good=_held(files, good),
        tip=_held(files, given.get("tipHolds", good)),
        events=record,
        now=_moment(given["now"]) if "now" in given else last + timedelta(hours=1),
        problems=tuple(Reason(ReasonCode(code), "found while reading") for code in given.get("problems", [])),
        merged=Merge(GOOD, _moment(given["merged"]["at"]), given["merged"]["by"]) if "merged" in given else None,
        outcomes=tuple(TargetOutcome(name, Outcome(word)) for name, word in given.get("outcomes", {}).items()),
    )
    return Case(path.stem, tuple(given["holds"]), facts, complete, _expectation(given["expect"], record))


def _expectation(given: Document, record: Sequence[EventFact]) -> Document:
    """Spell out what ``expect`` leaves to the last submit."""
    if "landing" in given:
        return _only(given, "landing")
    _only(given, "status", "reasons", "policies", "events", "requestor", "approver", "notes", "expiresAt")
    submits = [fact.event for fact in record if fact.event is not None and fact.event.action is Action.SUBMIT]
    submit = submits[-1] if submits else None
    expires = _moment(given["expiresAt"]) if "expiresAt" in given else submit and submit.at + timedelta(days=30)
    from_the_submit = {
        "change": submit and _change_digest(submit.changes),
        "requestor": submit and submit.account,
        "contributors": list(submit.contributors) if submit else [],
        "submittedAt": submit and timestamp(submit.at),
    }
    return {"approver": None, "notes": None} | from_the_submit | given | {"expiresAt": expires and timestamp(expires)}


def _plain(evaluation: Evaluation) -> Document:
    """An evaluation in the words of ``expect``."""
    return {
        "status": evaluation.status.value,
        "reasons": [_spelled(reason) for reason in evaluation.reasons],
        "policies": {
            verdict.policy.name: {
                "approvedBy": list(verdict.approved_by),
                "canApprove": list(verdict.can_approve),
                "satisfied": verdict.satisfied,
            }
            for verdict in evaluation.policies
        },
        "events": [
            " ".join([v.account or "nobody", "counts" if v.counts else "no", *([v.code.value] if v.code else [])])
            for v in evaluation.events
        ],
        "requestor": evaluation.requestor,
        "contributors": list(evaluation.contributors),
        "approver": evaluation.approver,
        "notes": evaluation.approval_justification,
        "change": evaluation.change,
        "submittedAt": timestamp(evaluation.submitted_at) if evaluation.submitted_at else None,
        "expiresAt": timestamp(evaluation.expires_at) if evaluation.expires_at else None,
    }


def _spelled(reason: Reason) -> str:
    return " ".join(filter(None, [reason.code.value, reason.account, reason.policy]))


# --- the same facts in other orders ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """A way to reorder: rotate, then perhaps reverse. Together these are all the orders of up to three things."""

    by: int
    backwards: bool

    def of(self, items: Iterable[T]) -> tuple[T, ...]:
        """The items in the other order."""
        listed = tuple(items)
        at = self.by % len(listed) if listed else 0
        rotated = listed[at:] + listed[:at]
        return rotated[::-1] if self.backwards else rotated

    def of_mapping(self, mapping: Mapping[str, T]) -> dict[str, T]:
        """The mapping with its entries in the other order."""
        return dict(self.of(mapping.items()))


def _turned_tenant(known: Tenant, turn: Turn) -> Iterator[Tenant]:
    keys = {name: replace(a, signing_keys=turn.of(a.signing_keys)) for name, a in known.accounts.items()}
    members = {name: replace(g, members=turn.of(g.members)) for name, g in known.groups.items()}
    groups = {name: replace(p, approver_groups=turn.of(p.approver_groups)) for name, p in known.policies.items()}
    yield replace(known, accounts=turn.of_mapping(known.accounts))
    yield replace(known, accounts=keys)
    yield replace(known, groups=turn.of_mapping(known.groups))
    yield replace(known, groups=members)
    yield replace(known, policies=turn.of_mapping(known.policies))
    yield replace(known, policies={name: replace(p, scope=turn.of(p.scope)) for name, p in known.policies.items()})
    yield replace(known, policies=groups)


def _turned_facts(facts: Facts, turn: Turn) -> Iterator[Facts]:
    """One thing after another in another order; the events keep theirs, for in a record order is meaning."""
    for known in _turned_tenant(facts.tenant, turn):
        yield replace(facts, tenant=known)
    yield replace(facts, objects=turn.of(facts.objects))
    yield replace(facts, good=turn.of_mapping(facts.good))
    yield replace(facts, tip=turn.of_mapping(facts.tip))
    yield replace(facts, problems=turn.of(facts.problems))
    yield replace(facts, outcomes=turn.of(facts.outcomes))
    yield replace(facts, events=tuple(_turned_submit(fact, turn) for fact in facts.events))
    if facts.changes is not None and facts.step is not None:
        yield replace(facts, changes=turn.of(facts.changes), step=turn.of(facts.step))


def _turned_submit(fact: EventFact, turn: Turn) -> EventFact:
    return fact if fact.event is None else replace(fact, event=replace(fact.event, changes=turn.of(fact.event.changes)))


def _orders(facts: Facts) -> Iterator[Facts]:
    turns = [Turn(by, backwards) for by in range(3) for backwards in (False, True)]
    return (turned for turn in turns for turned in _turned_facts(facts, turn))


def _unordered(outcome: Document) -> Document:
    return outcome | {"reasons": sorted(outcome["reasons"])}


# --- the cases -------------------------------------------------------------------------------------------------------


def _cases(pattern: str) -> list[Any]:
    read_cases = [_case(path) for path in sorted(CASES.glob(pattern))]
    return [pytest.param(c, id=f"{c.name}-{'-'.join(c.holds).replace(' ', '')}") for c in read_cases]


EVALUATIONS = _cases("rule*.yaml")
LANDINGS = _cases("landing_*.yaml")


@pytest.mark.parametrize("case", EVALUATIONS)
def test_case_comes_out_as_expected(case: Case) -> None:
    """The whole evaluation is the expected one."""
    assert _plain(evaluate(case.facts)) == case.expected


@pytest.mark.parametrize("case", EVALUATIONS)
def test_order_of_the_facts_does_not_matter(case: Case) -> None:
    """Accounts, keys, groups, members, policies, scopes, objects, changes and outcomes may come in any order."""
    expected = _unordered(case.expected)
    for turned in _orders(case.facts):
        assert _unordered(_plain(evaluate(turned))) == expected


@pytest.mark.parametrize("case", [param for param in EVALUATIONS if param.values[0].facts.merged is None])
def test_obstacles_are_the_reasons_that_no_approval_cures(case: Case) -> None:
    """The obstacles are the reasons before those that speak of approvals; how it ended is none."""
    before = takewhile(lambda reason: not reason.startswith("needsApprovals"), case.expected["reasons"])
    expected = [reason for reason in before if reason.split()[0] not in OF_APPROVALS_AND_TIME]
    assert [_spelled(reason) for reason in evaluate(case.facts).obstacles] == expected


@pytest.mark.parametrize("case", LANDINGS)
def test_landing_comes_out_as_expected(case: Case) -> None:
    """A request lands with exactly the completions that may complete it."""
    assert case.complete is not None
    for facts in (case.facts, *_orders(case.facts)):
        found = [_spelled(reason) for reason in landing_reasons(facts, case.complete, GOOD)]
        assert sorted(found) == sorted(case.expected["landing"])


# --- the cases as a whole --------------------------------------------------------------------------------------------


def _evaluation_of(name: str) -> Evaluation:
    return evaluate(_case(CASES / f"{name}.yaml").facts)


def test_no_file_is_overlooked() -> None:
    """Every file beside the tenant is a case of a rule or of a landing."""
    assert len(list(CASES.iterdir())) == 1 + len(EVALUATIONS) + len(LANDINGS)


def test_every_rule_has_cases() -> None:
    """Each of the nine rules has files of its own, and they say that they hold it."""
    held_by_name = {
        param.values[0].name.split("_")[0].replace("rule", "rule ")
        for param in EVALUATIONS
        if any(param.values[0].name.startswith(rule.replace(" ", "") + "_") for rule in param.values[0].holds)
    }
    assert held_by_name == {f"rule {number}" for number in range(1, 10)}


def test_every_reason_code_of_an_evaluation_has_a_case() -> None:
    """Each code that an evaluation can give is expected by some case."""
    expected = " ".join(
        " ".join([*param.values[0].expected.get("reasons", []), *param.values[0].expected.get("events", [])])
        for param in EVALUATIONS
    )
    assert {code for code in ReasonCode if code.value not in expected.split()} == OF_COMMANDS_AND_HISTORY


@pytest.mark.parametrize("case", EVALUATIONS)
def test_messages_are_one_line(case: Case) -> None:
    """Every reason says something, in one line."""
    for reason in evaluate(case.facts).reasons:
        assert reason.message.strip() == reason.message != ""
        assert reason.message.isprintable()


def test_h27_message_does_not_attribute_to_the_claimed_account() -> None:
    """A veto by an unknown key is told as a claim, and its reason names no account."""
    [reason, *_] = _evaluation_of("rule1_unknown_signer_rejects").reasons
    assert reason.account is None
    assert reason.message == "rejected by somebody unknown, claiming to be carol"


def test_s45_message_names_who_can_approve() -> None:
    """Who waits for an approval reads whom to ask."""
    [reason] = _evaluation_of("rule2_submitted").reasons
    assert "bob, carol can approve" in reason.message


def test_message_names_the_broken_lines() -> None:
    """Who has to repair a record reads which lines are bad."""
    [reason, *_] = _evaluation_of("rule1_several_bad_lines").reasons
    assert reason.message == "the record is broken (line 2, 3, 4 of 4)"


def test_message_names_the_paths_that_moved() -> None:
    """Who has an outdated request reads which files are in the way."""
    [reason] = _evaluation_of("rule2_outdated_good_commit_moved").reasons
    assert "resources/apps/company-portal.yaml" in reason.message


def test_s31_message_names_the_targets_that_wait() -> None:
    """Who waits for a merged request reads which targets do not have it yet."""
    [reason] = _evaluation_of("rule9_one_target_pending").reasons
    assert reason.message == "merged; not yet applied to intune"


def test_h15_file_name_that_is_not_utf8_makes_no_crash() -> None:
    """A name that no record can hold is an edit since the submit, like any other file that nobody signed."""
    facts = _case(CASES / "rule3_approved.yaml").facts
    odd = FileChange("resources/apps/\udcff.yaml", "100644", None, _content("new"))
    changes = (*(facts.changes or ()), odd)
    reasons = evaluate(replace(facts, changes=changes, step=changes)).reasons
    assert [_spelled(reason) for reason in reasons] == ["editedSinceSubmit"]
