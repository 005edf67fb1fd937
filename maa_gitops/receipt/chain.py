"""Receipts as signed lines: reading each by itself and against the one before, making one; no branch, no files."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from maa_gitops import signing
from maa_gitops.canonical import canonical_json, digest
from maa_gitops.model import Outcome, Role, Tenant, timestamp
from maa_gitops.providers import Approval
from maa_gitops.record import parse_moment, signed_bytes
from maa_gitops.tenant.paths import NAME

NAMESPACE = "maa-gitops-receipt"
"""SSHSIG namespace of receipts, so that no signature of an event or of anything else passes for one."""

MESSAGE_LIMIT = 4096
"""Code points of an outcome's message."""

OBJECT = re.compile(rf"[a-z][A-Za-z0-9]{{0,63}}(/{NAME.pattern})+")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")
REMOTE_ID = re.compile(r"[^\x00-\x1f\x7f]{1,256}")

_VERSION = 1
_OID = re.compile(r"[0-9a-f]{40}")
_CODE = re.compile(r"[A-Za-z0-9-]{1,64}")
_OPTIONAL = frozenset({"message", "remoteId", "digest", "approval"})
_REQUIRED = frozenset(
    {"account", "action", "at", "commit", "failed", "outcomes", "run", "signature", "state", "store", "target"}
    | {"tenant", "version"}
)


class AppliedOperation(StrEnum):
    """What a run does to an object of a target; ``none``: it was found as it should be; ``adopt``: so, and not ours."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    ASSIGN = "assign"
    MOVE = "move"
    ADOPT = "adopt"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """What became of one object in one run; ``digest`` is that of the state sent.

    ``outcome`` is applied, failed or awaitingNativeApproval; ``approval`` tells for which request it waits.
    """

    object: str
    operation: AppliedOperation
    outcome: Outcome
    message: str | None = None
    remote_id: str | None = None
    digest: str | None = None
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A receipt before it is signed.

    ``failed`` are the objects that are not at the commit's state after the run; ``state`` is the digest of the object
    map's file after it.
    """

    account: str
    at: datetime
    commit: str
    outcomes: tuple[ObjectOutcome, ...]
    run: str
    store: str
    target: str
    tenant: str
    state: str
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Receipt(Draft):
    """One line of a chain; ``digest`` is the line's own, which the next one names as ``previous``."""

    signature: str
    previous: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Context:
    """What receipts are held to.

    ``place`` gives a good commit's place on the protected branch's first-parent chain, None for every other commit;
    ``tenant_at`` the rules at a good commit.
    """

    tenant: str
    target: str
    place: Callable[[str], int | None]
    tenant_at: Callable[[str], Tenant]


# --- reading ---------------------------------------------------------------------------------------------------------


def parse_receipt(raw: bytes) -> Receipt | None:
    """Read one line. Its bytes must be the canonical spelling of a receipt; anything else is None."""
    try:
        plain = json.loads(raw)
        if not isinstance(plain, dict) or canonical_json(plain) != raw:
            return None
        return _receipt(plain, digest(raw))
    except (ValueError, RecursionError):
        return None


def _receipt(plain: Mapping[str, object], line_digest: str) -> Receipt:
    """Read a receipt's fields.

    Raises:
        ValueError: a field is missing, unknown or out of its form.
    """
    if not _REQUIRED <= plain.keys() <= _REQUIRED | {"previous"}:
        raise ValueError("fields")
    if plain["version"] != _VERSION or isinstance(plain["version"], bool) or plain["action"] != "apply":
        raise ValueError("version or action")
    return Receipt(
        account=matching(plain["account"], NAME),
        at=parse_moment(text(plain["at"])),
        commit=matching(plain["commit"], _OID),
        outcomes=_outcomes(plain["outcomes"]),
        run=matching(plain["run"], IDENTIFIER),
        store=matching(plain["store"], IDENTIFIER),
        target=matching(plain["target"], NAME),
        tenant=text(plain["tenant"]),
        state=matching(plain["state"], DIGEST),
        failed=_failed(plain["failed"]),
        signature=text(plain["signature"]),
        previous=matching(plain["previous"], DIGEST) if "previous" in plain else None,
        digest=line_digest,
    )


def text(value: object) -> str:
    """A value that must be text, and not empty.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("text")
    return value


def matching(value: object, form: re.Pattern[str]) -> str:
    """A value that must be text of this form.

    Raises:
        ValueError: it is something else.
    """
    found = text(value)
    if not form.fullmatch(found):
        raise ValueError(found)
    return found


def _failed(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("failed")
    return _in_order(matching(item, OBJECT) for item in value)


def _in_order(names: Iterable[str]) -> tuple[str, ...]:
    found = tuple(names)
    if list(found) != sorted(set(found)):
        raise ValueError("not sorted, or one twice")
    return found


def _outcomes(value: object) -> tuple[ObjectOutcome, ...]:
    if not isinstance(value, list):
        raise ValueError("outcomes")
    outcomes = tuple(_outcome(item) for item in value)
    _in_order(outcome.object for outcome in outcomes)
    return outcomes


def _outcome(item: object) -> ObjectOutcome:
    required = {"object", "operation", "outcome"}
    if not isinstance(item, dict) or not required <= item.keys() <= required | _OPTIONAL:
        raise ValueError("outcome")
    outcome = Outcome(text(item["outcome"]))
    message = text(item["message"]) if "message" in item else None
    if outcome is Outcome.PENDING or len(message or "") > MESSAGE_LIMIT:
        raise ValueError("outcome or message")
    return ObjectOutcome(
        object=matching(item["object"], OBJECT),
        operation=AppliedOperation(text(item["operation"])),
        outcome=outcome,
        message=message,
        remote_id=matching(item["remoteId"], REMOTE_ID) if "remoteId" in item else None,
        digest=matching(item["digest"], DIGEST) if "digest" in item else None,
        approval=_approval(item["approval"]) if "approval" in item else None,
    )


def _approval(item: object) -> Approval:
    if not isinstance(item, dict) or item.keys() != {"code", "call"}:
        raise ValueError("approval")
    return Approval(matching(item["code"], _CODE), matching(item["call"], DIGEST))


# --- checking --------------------------------------------------------------------------------------------------------


def receipt_facts(data: bytes, context: Context) -> tuple[tuple[Receipt | None, str | None], ...]:
    """Check each line by itself and against the line before: the receipt, if it is one, and what is wrong with it."""
    if not data:
        return ()
    *lines, rest = data.split(b"\n")
    facts: list[tuple[Receipt | None, str | None]] = []
    for number, raw in enumerate(lines):
        before = facts[-1][0] if number else None
        if number and before is None:
            facts.append((parse_receipt(raw), "it follows a line that is no receipt"))
            continue
        receipt = parse_receipt(raw)
        facts.append((receipt, _fault(raw, receipt, before, context)))
    if rest:
        facts.append((None, "it is no receipt"))
    return tuple(facts)


def _fault(raw: bytes, receipt: Receipt | None, before: Receipt | None, context: Context) -> str | None:
    """Say what is wrong with a line; None: it is a good receipt."""
    if receipt is None:
        return "it is no receipt"
    if (receipt.tenant, receipt.target) != (context.tenant, context.target):
        return f"it is for target {receipt.target} of tenant {receipt.tenant}"
    if receipt.previous != (before.digest if before is not None else None):
        return "it does not continue the receipt before"
    place = context.place(receipt.commit)
    if place is None:
        return f"commit {receipt.commit} is not a good commit of the protected branch"
    older = context.place(before.commit) if before is not None else None
    if older is not None and place < older:
        return "its commit is older than that of the receipt before"
    return _signer_fault(raw, receipt, context.tenant_at(receipt.commit))


def _signer_fault(raw: bytes, receipt: Receipt, tenant: Tenant) -> str | None:
    key = signing.verify(receipt.signature, signed_bytes(raw), NAMESPACE)
    if key is None:
        return "its signature is not valid"
    if tenant.holder(key) != receipt.account:
        return f"its signature is not by a key of account {receipt.account}"
    account = tenant.accounts[receipt.account]
    if not account.enabled:
        return f"account {receipt.account} was disabled"
    return None if Role.DEPLOYER in account.roles else f"account {receipt.account} did not have the role deployer"


# --- extending -------------------------------------------------------------------------------------------------------


def extend(data: bytes, draft: Draft, sign: Callable[[bytes, str], str]) -> bytes:
    """Append a signed receipt to the bytes of a chain; ``sign`` gives the armoured signature of bytes in a namespace.

    Raises:
        ValueError: the receipt would not be read back.
    """
    plain = _plain(draft)
    if data:
        plain["previous"] = digest(data.removesuffix(b"\n").rpartition(b"\n")[2])
    plain["signature"] = sign(canonical_json(plain), NAMESPACE)
    line = canonical_json(plain)
    if parse_receipt(line) is None:
        raise ValueError("the receipt is not in its form")
    return data + line + b"\n"


def _plain(draft: Draft) -> dict[str, object]:
    return {
        "account": draft.account,
        "action": "apply",
        "at": timestamp(draft.at),
        "commit": draft.commit,
        "failed": sorted(draft.failed),
        "outcomes": [_plain_outcome(outcome) for outcome in sorted(draft.outcomes, key=lambda found: found.object)],
        "run": draft.run,
        "state": draft.state,
        "store": draft.store,
        "target": draft.target,
        "tenant": draft.tenant,
        "version": _VERSION,
    }


def _plain_outcome(outcome: ObjectOutcome) -> dict[str, object]:
    waiting = outcome.approval
    plain = {
        "object": outcome.object,
        "operation": outcome.operation.value,
        "outcome": outcome.outcome.value,
        "message": outcome.message,
        "remoteId": outcome.remote_id,
        "digest": outcome.digest,
        "approval": {"code": waiting.code, "call": waiting.call} if waiting is not None else None,
    }
    return {key: value for key, value in plain.items() if value is not None}


def plain_message(words: str) -> str:
    """A text as an outcome's message may be: not empty, encodable, not too long."""
    return words.encode("utf-8", "replace").decode()[:MESSAGE_LIMIT] or "it gave no reason"
