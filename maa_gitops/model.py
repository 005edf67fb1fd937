"""The nouns: frozen values for everything the tool speaks about.

Pure data with the few facts that follow from a value alone. It reads nothing and decides nothing: the reading is in
``documents``, ``tenant``, ``record``; the deciding is in ``evaluate``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

JUSTIFICATION_LIMIT = 1024
"""Code points of a business justification or of approver notes. Source: Graph, operationApprovalRequest."""


class Level(StrEnum):
    """How grave a problem is; warnings never change an answer."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a document or a tree. ``line`` and ``column`` count from 1; 0 means the whole file.

    ``subject`` names what the problem is about (a key, an account, a path), so that the same problem is recognised
    when lines move: a problem's identity is its path, code and subject.
    """

    path: str
    line: int
    column: int
    code: str
    message: str
    subject: str = ""
    level: Level = Level.ERROR

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two problems the same one."""
        return (self.path, self.code, self.subject)


class Status(StrEnum):
    """A request's status. Source: Graph, operationApprovalRequestStatus."""

    NEEDS_APPROVAL = "needsApproval"
    APPROVED = "approved"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Action(StrEnum):
    """What an event does."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    CANCEL = "cancel"
    COMPLETE = "complete"


DECISIONS = frozenset({Action.APPROVE, Action.REJECT, Action.WITHDRAW})
"""An approver's events."""

VETOES = frozenset({Action.REJECT, Action.CANCEL, Action.WITHDRAW})
"""Events that take approval away."""


class Operation(StrEnum):
    """What a change does to an object."""

    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    ASSIGN = "assign"


class AccountKind(StrEnum):
    """Who is behind an account."""

    PERSON = "person"
    SERVICE = "service"


class Role(StrEnum):
    """What an account may do beside being a member of approver groups."""

    INTUNE_SERVICE_ADMINISTRATOR = "intuneServiceAdministrator"
    GLOBAL_ADMINISTRATOR = "globalAdministrator"
    DEPLOYER = "deployer"
    ATTESTOR = "attestor"


ADMINISTRATOR_ROLES = frozenset({Role.INTUNE_SERVICE_ADMINISTRATOR, Role.GLOBAL_ADMINISTRATOR})
"""Who may submit changes to access policies and what they rest on."""


class CompleteBy(StrEnum):
    """Who may complete an approved request."""

    ANYONE = "anyone"
    REQUESTOR = "requestor"


class ReasonCode(StrEnum):
    """Why the answer is no, or not yet. Stable: scripts rely on them."""

    NEEDS_APPROVALS = "needsApprovals"
    SELF_APPROVAL = "selfApproval"
    CONTRIBUTOR = "contributor"
    NOT_APPROVER = "notApprover"
    NOT_ATTESTED = "notAttested"
    STALE_CHANGE = "staleChange"
    EDITED_SINCE_SUBMIT = "editedSinceSubmit"
    OUTDATED = "outdated"
    BROKEN_RECORD = "brokenRecord"
    BAD_SIGNATURE = "badSignature"
    UNKNOWN_SIGNER = "unknownSigner"
    ACCOUNT_DISABLED = "accountDisabled"
    SERVICE_ACCOUNT = "serviceAccount"
    MISSING_ROLE = "missingRole"
    NOT_REQUESTOR = "notRequestor"
    CONTRIBUTORS_INCOMPLETE = "contributorsIncomplete"
    OUT_OF_TIME = "outOfTime"
    WRONG_BASE = "wrongBase"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    AWAITING_COMPLETION = "awaitingCompletion"
    MIXED_REQUEST = "mixedRequest"
    UNSATISFIABLE = "unsatisfiable"
    INVALID_DOCUMENT = "invalidDocument"
    MALFORMED_TREE = "malformedTree"
    UNAPPROVED_CHANGE = "unapprovedChange"
    RECORD_ALTERED = "recordAltered"
    NOT_SUBMITTED = "notSubmitted"
    NOTHING_PROTECTED = "nothingProtected"
    LOCKED = "locked"
    ALREADY_MERGED = "alreadyMerged"
    NO_OPEN_REQUEST = "noOpenRequest"


# --- the tenant ------------------------------------------------------------------------------------------------------

ACCESS_POLICY_TYPE = "accessPolicy"
"""The profile type of the rules themselves: settings, policies, groups, accounts, schemas, workflows."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectId:
    """One governed object: ``app/company-portal``, or ``accessPolicy/policies/apps.yaml`` (the name is the path)."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}/{self.name}"


@dataclass(frozen=True, slots=True)
class ForgeIdentity:
    """An account's identity on the forge. ``id`` decides; a login can be given up and taken over."""

    login: str
    id: int


@dataclass(frozen=True, slots=True)
class Account:
    """Who can sign. ``signing_keys`` are canonical public keys: type and base64, no comment."""

    name: str
    display_name: str
    kind: AccountKind = AccountKind.PERSON
    user_principal_name: str | None = None
    emails: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset()
    enabled: bool = True
    github: ForgeIdentity | None = None
    signing_keys: tuple[str, ...] = ()

    @property
    def is_enabled_person(self) -> bool:
        """Whether decisions and submits of this account can count at all."""
        return self.enabled and self.kind is AccountKind.PERSON

    @property
    def is_administrator(self) -> bool:
        """Whether it may submit changes to the rules."""
        return bool(self.roles & ADMINISTRATOR_ROLES)

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every e-mail address by which commits of this account are known."""
        return (*((self.user_principal_name,) if self.user_principal_name else ()), *self.emails)


@dataclass(frozen=True, slots=True)
class ApproverGroup:
    """A group of accounts; ``members`` are account names in file order."""

    name: str
    display_name: str
    members: tuple[str, ...]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Protects the objects of one profile type and names who may approve changes to them."""

    name: str
    display_name: str
    profile_type: str
    approver_groups: tuple[str, ...]
    required_approvals: int = 1
    scope: tuple[str, ...] = ()
    attested: bool = False
    description: str | None = None

    @property
    def quorum(self) -> int:
        """How many people must approve: at least one, whatever the file says."""
        return max(1, self.required_approvals)

    def covers(self, governed: ObjectId) -> bool:
        """Whether this policy protects the object. Without ``scope`` it protects its whole type."""
        if governed.type != self.profile_type:
            return False
        return not self.scope or any(matches(pattern, governed.name) for pattern in self.scope)


def matches(pattern: str, name: str) -> bool:
    """Match a scope pattern: ``*`` is the only wildcard and crosses ``/``. Linear in the length of both."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    if not name.startswith(first):
        return False
    at = len(first)
    for part in middle:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - len(last) >= at and name.endswith(last)


@dataclass(frozen=True, slots=True)
class ProfileType:
    """A kind of resource: its name, its folder under ``resources/``, and a schema that ships or that the tenant has.

    ``graph`` tells where Microsoft Graph keeps its objects, as ``maa.yaml`` says it; empty: it does not.
    """

    name: str
    folder: str
    schema: str | None = None
    graph: Mapping[str, object] = field(default_factory=dict, hash=False)


BUILT_IN_TYPES = (ProfileType("app", "apps"), ProfileType("script", "scripts"))
"""Profile types that every tenant has."""


@dataclass(frozen=True, slots=True)
class Target:
    """A named place where approved changes are applied.

    ``options`` are the provider's own settings, ``types`` the profile types that the tenant defines.
    """

    name: str
    provider: str
    options: Mapping[str, str] = field(default_factory=dict)
    types: tuple[ProfileType, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """``maa.yaml``."""

    tenant: str
    protected_branch: str
    expire_after_days: int = 30
    complete_by: CompleteBy = CompleteBy.ANYONE
    targets: tuple[Target, ...] = ()
    profile_types: tuple[ProfileType, ...] = BUILT_IN_TYPES


@dataclass(frozen=True, slots=True)
class Tenant:
    """Settings, accounts, approver groups and access policies of one commit. The mappings are by name, sorted."""

    settings: Settings
    accounts: Mapping[str, Account]
    groups: Mapping[str, ApproverGroup]
    policies: Mapping[str, AccessPolicy]

    def holder(self, key: str) -> str | None:
        """Name the account that holds a signing key, or None. A key that two hold is nobody's."""
        holders = [account.name for account in self.accounts.values() if key in account.signing_keys]
        return holders[0] if len(holders) == 1 else None

    def covering(self, governed: ObjectId) -> tuple[AccessPolicy, ...]:
        """The access policies that protect an object, by name."""
        return tuple(policy for policy in self.policies.values() if policy.covers(governed))

    def protects(self, governed: ObjectId) -> bool:
        """Whether a change to the object needs a request: the rules always do, resources when a policy covers them."""
        return governed.type == ACCESS_POLICY_TYPE or any(policy.covers(governed) for policy in self.policies.values())

    def can_approve(self, name: str, policy: AccessPolicy) -> bool:
        """Whether an account is an enabled person in one of the policy's approver groups."""
        groups = (self.groups[group] for group in policy.approver_groups if group in self.groups)
        return (
            name in self.accounts and self.accounts[name].is_enabled_person and any(name in g.members for g in groups)
        )

    def possible_approvers(self, policy: AccessPolicy) -> frozenset[str]:
        """Enabled people in the policy's approver groups."""
        members = {
            name for group in policy.approver_groups if group in self.groups for name in self.groups[group].members
        }
        return frozenset(name for name in members if name in self.accounts and self.accounts[name].is_enabled_person)


# --- changes and events ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class FileChange:
    """One file of a change: ``mode`` after it (None: deleted), SHA-256 of the bytes before and after (None: absent).

    An unchanged file of a touched object has ``old == new``.
    """

    path: str
    mode: str | None
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a forge says of an attested event."""

    source: str
    user_id: int
    login: str
    url: str
    commit: str


@dataclass(frozen=True, slots=True)
class Event:
    """One signed act: one line of a record. ``at`` is aware UTC, whole seconds."""

    account: str
    action: Action
    at: datetime
    base: str
    request: str
    tenant: str
    signature: str
    previous: str | None = None
    change: str | None = None
    notes: str | None = None
    changes: tuple[FileChange, ...] = ()
    contributors: tuple[str, ...] = ()
    justification: str | None = None
    attested_by: str | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class EventFact:
    """What reading found out about one line of a record.

    ``event`` is None if the line is no event at all. ``key`` is the public key under which its signature verifies.
    ``fault`` is the first thing that is wrong with its form, chain, tenant, request, base or signature; time is
    judged in ``evaluate``.
    """

    event: Event | None
    key: str | None = None
    fault: ReasonCode | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the answer is what it is."""

    code: ReasonCode
    message: str
    account: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Where and by whom a request was merged."""

    commit: str
    at: datetime
    by: str


class Outcome(StrEnum):
    """How a merged request stands on one target.

    ``awaitingNativeApproval``: the target has an approval of its own, and it has not been given yet.
    """

    PENDING = "pending"
    APPLIED = "applied"
    FAILED = "failed"
    AWAITING_NATIVE_APPROVAL = "awaitingNativeApproval"


@dataclass(frozen=True, slots=True)
class TargetOutcome:
    """A merged request on one target that it concerns; ``at`` and ``message`` come from the receipt."""

    target: str
    outcome: Outcome
    at: datetime | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a tree holds at a path: a file's mode and the SHA-256 of its bytes."""

    mode: str
    content: str


# --- evaluation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that an evaluation rests on.

    ``tenant`` is read at G, the last good commit. ``changes`` are the request's changes as they are now, None if they
    cannot be told (none or several merge bases); ``step`` the changes that merging them would make to G; ``objects``
    the governed objects that they touch. ``good`` and ``tip`` say what G and the tip of the protected branch hold at
    each changed path (an absent path: nothing there). ``problems`` were found while reading. ``now`` is aware UTC.
    """

    tenant: Tenant
    changes: tuple[FileChange, ...] | None
    step: tuple[FileChange, ...] | None
    objects: tuple[ObjectId, ...]
    good: Mapping[str, Held]
    tip: Mapping[str, Held]
    events: tuple[EventFact, ...]
    now: datetime
    problems: tuple[Reason, ...] = ()
    merged: Merge | None = None
    outcomes: tuple[TargetOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """How one access policy stands. Account names are sorted."""

    policy: AccessPolicy
    approved_by: tuple[str, ...]
    can_approve: tuple[str, ...]

    @property
    def satisfied(self) -> bool:
        """Whether enough distinct people approved."""
        return len(self.approved_by) >= self.policy.quorum


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """Whether an event counts, and if not why. ``account`` is None where the event cannot be attributed."""

    account: str | None
    counts: bool
    code: ReasonCode | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the tool computes from facts; never stored.

    ``events`` are in record order, one for each line. ``change`` is the digest of what the round's submit signed.
    ``obstacles`` are the reasons that no approval can cure.
    """

    status: Status
    reasons: tuple[Reason, ...]
    policies: tuple[PolicyVerdict, ...]
    events: tuple[EventVerdict, ...]
    obstacles: tuple[Reason, ...] = ()
    change: str | None = None
    requestor: str | None = None
    contributors: tuple[str, ...] = ()
    approver: str | None = None
    approval_justification: str | None = None
    submitted_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def satisfied(self) -> bool:
        """Whether every covering access policy is satisfied."""
        return all(verdict.satisfied for verdict in self.policies)


def timestamp(moment: datetime) -> str:
    """Write a moment as records do: ``YYYY-MM-DDTHH:MM:SSZ``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
