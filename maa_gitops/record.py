"""A request's record: reading its lines, checking each by itself and against the one before, extending it.

Whether an event counts is judged in ``evaluate``; whether a record may land, in ``history``.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise

from maa_gitops import signing
from maa_gitops.canonical import canonical_json, digest, plain_changes
from maa_gitops.model import (
    DECISIONS,
    JUSTIFICATION_LIMIT,
    Action,
    Event,
    EventFact,
    Evidence,
    FileChange,
    ReasonCode,
    timestamp,
)
from maa_gitops.tenant.paths import NAME

NAMESPACE = "maa-gitops"
"""SSHSIG namespace of events, so that no other signature passes for a decision."""

RECORD_LIMIT = 16 * 1024 * 1024
"""Bytes of one record."""

LINE_LIMIT = 10_000
"""Lines of one record; what is beyond is one line that is no event."""

_CACHED_LINES = 2 * LINE_LIMIT
_VERSION = 1
_OID = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HASH = re.compile(r"[0-9a-f]{64}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOGIN = re.compile(r".{1,100}", re.DOTALL)
_URL = re.compile(r"https://[^\s]{1,2040}", re.ASCII)
_PATH = re.compile(r".{1,4096}", re.DOTALL)
_MODES = frozenset({"100644", "100755", "120000"})
_EVERY_EVENT = frozenset({"account", "action", "at", "base", "request", "signature", "tenant", "version"})
_BIDIRECTIONAL = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a record: its bytes without the newline, and the event that they spell, if they do."""

    raw: bytes
    event: Event | None

    @property
    def digest(self) -> str:
        """What the next line names as ``previous``."""
        return digest(self.raw)


def read(data: bytes) -> tuple[Line, ...]:
    """Split a record into lines; what follows the last newline, or is too much, is a line that is no event."""
    if not data:
        return ()
    *whole, rest = data[: RECORD_LIMIT + 1].split(b"\n", LINE_LIMIT)
    lines = [Line(raw, parse_event(raw)) for raw in whole]
    if rest or len(data) > RECORD_LIMIT:
        lines.append(Line(rest, None))
    return tuple(lines)


@lru_cache(maxsize=_CACHED_LINES)
def parse_event(raw: bytes) -> Event | None:
    """Read one line. Its bytes must be the canonical spelling of an event; anything else is None."""
    try:
        plain = json.loads(raw)
        if not isinstance(plain, dict) or canonical_json(plain) != raw:
            return None
        return _event(plain)
    except (ValueError, RecursionError):
        return None


def _event(plain: Mapping[str, object]) -> Event:
    """Read an event's fields.

    Raises:
        ValueError: a field is missing, unknown or out of its form.
    """
    action = Action(_text(plain, "action"))
    _check_keys(plain, action)
    if plain["version"] != _VERSION or isinstance(plain["version"], bool):
        raise ValueError("version")
    event = Event(
        account=_matching(plain, "account", NAME),
        action=action,
        at=parse_moment(_text(plain, "at")),
        base=_matching(plain, "base", _OID),
        request=_matching(plain, "request", NAME),
        tenant=_matching(plain, "tenant", _TENANT),
        signature=_text(plain, "signature"),
        previous=_matching(plain, "previous", _DIGEST) if "previous" in plain else None,
        change=_matching(plain, "change", _DIGEST) if "change" in plain else None,
        notes=_prose(plain, "notes") if "notes" in plain else None,
        changes=_changes(plain["changes"]) if "changes" in plain else (),
        contributors=_contributors(plain["contributors"]) if "contributors" in plain else (),
        justification=_prose(plain, "justification") if "justification" in plain else None,
        attested_by=_matching(plain, "attestedBy", NAME) if "attestedBy" in plain else None,
        evidence=_evidence(plain["evidence"]) if "evidence" in plain else None,
    )
    if (event.attested_by is None) is not (event.evidence is None):
        raise ValueError("attestedBy goes with evidence")
    return event


def _check_keys(plain: Mapping[str, object], action: Action) -> None:
    required, optional = set(_EVERY_EVENT), set[str]()
    match action:
        case Action.SUBMIT:
            required |= {"changes", "contributors", "justification"}
            optional.add("previous")
        case Action.REJECT:
            required |= {"change", "notes", "previous"}
        case Action.APPROVE | Action.WITHDRAW | Action.CANCEL:
            required |= {"change", "previous"}
            optional.add("notes")
        case Action.COMPLETE:
            required |= {"change", "previous"}
    if action is not Action.COMPLETE:
        optional |= {"attestedBy", "evidence"}
    if not required <= plain.keys() <= required | optional:
        raise ValueError("fields")


def _text(plain: Mapping[str, object], key: str) -> str:
    value = plain.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(key)
    return value


def _matching(plain: Mapping[str, object], key: str, form: re.Pattern[str]) -> str:
    value = _text(plain, key)
    if not form.fullmatch(value):
        raise ValueError(key)
    return value


def parse_moment(text: str) -> datetime:
    """Read ``YYYY-MM-DDTHH:MM:SSZ``.

    Raises:
        ValueError: it is written in any other way.
    """
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    if timestamp(moment) != text:
        raise ValueError(text)
    return moment


def prose_problem(text: str) -> str | None:
    """Say why a business justification or approver notes are refused; None: they are fine."""
    if not text.strip():
        return "it is blank"
    if len(text) > JUSTIFICATION_LIMIT:
        return f"it has {len(text)} characters; at most {JUSTIFICATION_LIMIT} are allowed"
    if any("\ud800" <= c <= "\udfff" for c in text):
        return "it has half a character"
    if any((ord(c) < 0x20 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in text) or _BIDIRECTIONAL.search(text):
        return "it has control or bidirectional characters"
    return None


def _prose(plain: Mapping[str, object], key: str) -> str:
    value = _text(plain, key)
    if prose_problem(value) is not None:
        raise ValueError(key)
    return value


def _changes(value: object) -> tuple[FileChange, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("changes")
    changes = tuple(_change(item) for item in value)
    paths = [change.path.encode() for change in changes]
    if paths != sorted(set(paths)):
        raise ValueError("changes are not sorted, or name a path twice")
    return changes


def _change(item: object) -> FileChange:
    if not isinstance(item, dict) or item.keys() != {"mode", "new", "old", "path"}:
        raise ValueError("change")
    mode, old, new = (_optional(item[key]) for key in ("mode", "old", "new"))
    path = _matching(item, "path", _PATH)
    if (mode is None) is not (new is None) or (mode is not None and mode not in _MODES):
        raise ValueError("mode")
    if old is None and new is None:
        raise ValueError("neither before nor after")
    if any(content is not None and not _HASH.fullmatch(content) for content in (old, new)):
        raise ValueError("content")
    if any(part in ("", ".", "..") or part.casefold() == ".git" for part in path.split("/")):
        raise ValueError("path")
    return FileChange(path, mode, old, new)


def _optional(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("neither text nor null")
    return value


def _contributors(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("contributors")
    names = tuple(name for name in value if isinstance(name, str) and NAME.fullmatch(name))
    if len(names) != len(value) or list(names) != sorted(set(names)):
        raise ValueError("contributors")
    return names


def _evidence(value: object) -> Evidence:
    if not isinstance(value, dict) or value.keys() != {"source", "userId", "login", "url", "commit"}:
        raise ValueError("evidence")
    user = value["userId"]
    if value["source"] != "github" or not isinstance(user, int) or isinstance(user, bool) or user < 1:
        raise ValueError("evidence")
    login, url, commit = (
        _matching(value, key, form) for key, form in (("login", _LOGIN), ("url", _URL), ("commit", _OID))
    )
    return Evidence("github", user, login, url, commit)


def is_evidence(evidence: Evidence) -> bool:
    """Whether an event with this evidence would be read back."""
    try:
        return _evidence(_plain_evidence(evidence)) == evidence
    except ValueError:
        return False


def last_submit(lines: Iterable[Line | EventFact]) -> Event | None:
    """The newest submit among a record's lines, valid or not: it starts the round."""
    events = [line.event for line in lines if line.event is not None and line.event.action is Action.SUBMIT]
    return events[-1] if events else None


# --- checking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Context:
    """What a record's lines are held to. ``is_base`` says whether a commit is G or a first-parent ancestor of it."""

    tenant: str
    request: str
    year: int
    is_base: Callable[[str], bool]


def event_facts(lines: Sequence[Line], context: Context) -> tuple[EventFact, ...]:
    """Check each line by itself and against the line before; in record order."""
    facts = []
    for index, line in enumerate(lines):
        previous = lines[index - 1].digest if index else None
        facts.append(_event_fact(line, previous, context, is_first=index == 0))
    return tuple(facts)


def _event_fact(line: Line, previous: str | None, context: Context, *, is_first: bool) -> EventFact:
    event = line.event
    if event is None:
        return EventFact(None, None, ReasonCode.BROKEN_RECORD)
    key = _signing_key(line.raw, event.signature)
    if event.previous != previous or (event.tenant, event.request) != (context.tenant, context.request):
        return EventFact(event, key, ReasonCode.BROKEN_RECORD)
    if is_first and event.at.year != context.year:
        return EventFact(event, key, ReasonCode.BROKEN_RECORD)
    if key is None:
        return EventFact(event, None, ReasonCode.BAD_SIGNATURE)
    return EventFact(event, key, None if context.is_base(event.base) else ReasonCode.WRONG_BASE)


@lru_cache(maxsize=_CACHED_LINES)
def _signing_key(raw: bytes, signature: str) -> str | None:
    """The key under which a line's signature verifies: the same for ever, however often a record is judged."""
    return signing.verify(signature, signed_bytes(raw), NAMESPACE)


def signed_bytes(raw: bytes) -> bytes:
    """What the signature of a line is over: the line's canonical JSON without ``signature``."""
    plain = json.loads(raw)
    del plain["signature"]
    return canonical_json(plain)


# --- extending -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it is signed; the fields are those of :class:`Event`."""

    account: str
    action: Action
    at: datetime
    base: str
    request: str
    tenant: str
    change: str | None = None
    notes: str | None = None
    changes: tuple[FileChange, ...] = ()
    contributors: tuple[str, ...] = ()
    justification: str | None = None
    attested_by: str | None = None
    evidence: Evidence | None = None


def extend(data: bytes, draft: Draft, sign: Callable[[bytes, str], str]) -> bytes:
    """Append a signed event to a record's bytes; ``sign`` gives the armoured signature of bytes in a namespace.

    Raises:
        ValueError: the event would not be read back as drafted.
    """
    plain = _plain(draft)
    if data:
        plain["previous"] = digest(data.removesuffix(b"\n").rpartition(b"\n")[2])
    plain["signature"] = sign(canonical_json(plain), NAMESPACE)
    line = canonical_json(plain)
    if parse_event(line) is None:
        raise ValueError("the event is not in its form")
    return data + line + b"\n"


def _plain(draft: Draft) -> dict[str, object]:
    plain: dict[str, object] = {
        "account": draft.account,
        "action": draft.action.value,
        "at": timestamp(draft.at),
        "base": draft.base,
        "request": draft.request,
        "tenant": draft.tenant,
        "version": _VERSION,
    }
    if draft.action is Action.SUBMIT:
        plain["changes"] = plain_changes(draft.changes)
        plain["contributors"] = sorted(set(draft.contributors))
        plain["justification"] = draft.justification
    else:
        plain["change"] = draft.change
    if draft.notes is not None and (draft.action in DECISIONS or draft.action is Action.CANCEL):
        plain["notes"] = draft.notes
    if draft.attested_by is not None and draft.evidence is not None:
        plain["attestedBy"] = draft.attested_by
        plain["evidence"] = _plain_evidence(draft.evidence)
    return plain


def _plain_evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "commit": evidence.commit,
        "login": evidence.login,
        "source": evidence.source,
        "url": evidence.url,
        "userId": evidence.user_id,
    }


def longest(records: Sequence[bytes]) -> bytes | None:
    """The longest of a request's records, if each extends the shorter ones; None: they disagree."""
    ordered = sorted(records, key=len)
    for shorter, longer in pairwise(ordered):
        if not longer.startswith(shorter):
            return None
    return ordered[-1] if ordered else b""


def good_prefix(lines: Sequence[Line], faults: Sequence[ReasonCode | None]) -> bytes:
    """The bytes of a record up to its first line that is not good."""
    kept = []
    for line, fault in zip(lines, faults, strict=True):
        if fault is not None:
            break
        kept.append(line.raw + b"\n")
    return b"".join(kept)
