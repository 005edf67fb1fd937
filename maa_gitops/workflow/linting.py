"""What fails without telling anybody: in this repository's rules, and in the own approval of a tenant that has both.

Pure: problems, and what was read of a tenant, in; findings out.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from maa_gitops.model import Level, Problem, Tenant

if TYPE_CHECKING:
    from maa_gitops.providers.graph.linting import NativeApproval, NativeGroup, NativePolicy


class FindingLevel(StrEnum):
    """How grave a finding is: nobody can approve, somebody could be caught by it, or it is only good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that fails silently. ``code`` is stable.

    ``policy`` and ``group`` are names: of files here, or of what a target has. Without ``target`` it is in this
    repository, and ``problem`` says where.
    """

    code: str
    level: FindingLevel
    message: str
    target: str | None = None
    policy: str | None = None
    group: str | None = None
    problem: Problem | None = None


def is_clean(findings: Iterable[Finding]) -> bool:
    """Whether there is nothing to mend."""
    return all(finding.level is FindingLevel.INFORMATION for finding in findings)


# --- this repository -------------------------------------------------------------------------------------------------


def repository_findings(problems: Iterable[Problem]) -> tuple[Finding, ...]:
    """The warnings among the problems of a tree, in the order of their places."""
    return tuple(_written(problem) for problem in sorted(problems) if problem.level is Level.WARNING)


def unprotected_types(tenant: Tenant) -> tuple[Finding, ...]:
    """The profile types of which anybody's change is applied without an approval."""
    protected = {policy.profile_type for policy in tenant.policies.values()}
    names = [known.name for known in tenant.settings.profile_types if known.name not in protected]
    return tuple(
        Finding(
            "unprotectedType",
            FindingLevel.WARNING,
            f"no access policy protects profile type {name}: a change to its resources is applied without an approval",
        )
        for name in names
    )


def _written(problem: Problem) -> Finding:
    folder, name = PurePosixPath(problem.path).parent.as_posix(), PurePosixPath(problem.path).stem
    return Finding(
        problem.code,
        FindingLevel.WARNING,
        problem.message,
        policy=name if folder == "policies" else None,
        group=name if folder == "groups" else None,
        problem=problem,
    )


# --- a tenant's own approval -----------------------------------------------------------------------------------------

ROLE = "role"
"""The policy type that guards roles and their assignments."""

_WORDS = {
    "app": "apps",
    "script": "scripts",
    "compliancePolicy": "compliance policies",
    "configurationPolicy": "configuration policies",
    ROLE: "roles",
    "tenantConfiguration": "device categories",
}


def native_findings(target: str, native: "NativeApproval", tenant: Tenant) -> tuple[Finding, ...]:
    """What fails silently in a target's own approval, and where it and this repository do not protect the same."""
    found = [*_unprotected_there(native, tenant), *_exclusions(native)]
    for policy in native.policies:
        about = (*_policy_findings(native, policy), *_unprotected_here(native, tenant, policy))
        found += [replace(finding, policy=policy.name) for finding in about]
    return tuple(sorted((replace(finding, target=target) for finding in found), key=_order))


def _order(finding: Finding) -> tuple[bool, str, int, str, str, str]:
    """What is about one policy together, the gravest first; what is about none comes last."""
    grave = list(FindingLevel).index(finding.level)
    policy, group = finding.policy or "", finding.group or ""
    return (finding.policy is None, policy, grave, group, finding.code, finding.message)


def _policy_findings(native: "NativeApproval", policy: "NativePolicy") -> Iterator[Finding]:
    if not policy.group_ids:
        yield _error("noApproverGroups", "has no approver group, so nobody can approve; name one")
    for group_id in policy.group_ids:
        group = native.groups.get(group_id)
        if group is None:
            text = f"approver group {group_id} does not exist; name one that does"
            yield _error("unknownGroup", text, group_id)
        else:
            yield from _group_findings(group, is_assigned=group_id in native.assigned)
    yield from _lonely(native, policy)
    if policy.protects(ROLE):
        yield _deadlock(native, policy)


def _error(code: str, message: str, group: str | None = None) -> Finding:
    return Finding(code, FindingLevel.ERROR, message, group=group)


def _warning(code: str, message: str, group: str | None = None) -> Finding:
    return Finding(code, FindingLevel.WARNING, message, group=group)


def _information(code: str, message: str) -> Finding:
    return Finding(code, FindingLevel.INFORMATION, message)


# Approver groups


def _group_findings(group: "NativeGroup", *, is_assigned: bool) -> Iterator[Finding]:
    """What is wrong with an approver group; of one of a wrong type nothing else matters."""
    name, who = group.name, f"approver group '{group.name}'"
    wrong = _wrong_type(group)
    if wrong is not None:
        text = f"{who} is {wrong}, of which Intune finds no members; name a plain security group"
        yield _error("wrongGroupType", text, name)
        return
    if "dynamicmembership" in group.types:
        text = f"{who} has its members by a rule, so whoever sets what the rule looks at decides who approves"
        yield _warning("dynamicGroup", f"{text}; name a group with assigned members", name)
    if not group.people:
        text = f"{who} has no direct members who are people and may sign in, so nobody in it can approve"
        yield _error("emptyGroup", f"{text}; add people to it", name)
    if group.nested:
        inner = "another group" if group.nested == 1 else f"{group.nested} other groups"
        text = f"{who} has {inner} in it, and only direct members count; add their people to it directly"
        yield _warning("nestedGroup", text, name)
    if not is_assigned:
        text = f"{who} is a member group of no Intune role assignment, so Intune takes its members out in time"
        yield _error("unassignedGroup", f"{text}; add it to a role assignment", name)


def _wrong_type(group: "NativeGroup") -> str | None:
    """What a group is that cannot approve. Source: Intune, "Use multi admin approval": security groups alone can."""
    if "unified" in group.types:
        return "a Microsoft 365 group"
    if group.is_mail:
        return "a mail-enabled security group" if group.is_security else "a distribution list"
    return None if group.is_security else "no security group"


def _lonely(native: "NativeApproval", policy: "NativePolicy") -> Iterator[Finding]:
    """The policy that only one person could satisfy, who thus can have nothing approved."""
    groups = [native.groups[found] for found in policy.group_ids if found in native.groups]
    people = {person for group in groups if _wrong_type(group) is None for person in group.people}
    if len(people) == 1:
        text = "only one person can approve, and nobody may approve what they asked for; add another to"
        names = " or ".join(f"'{group.name}'" for group in groups)
        yield _warning("oneApprover", f"{text} {names}", groups[0].name if len(groups) == 1 else None)


def _deadlock(native: "NativeApproval", policy: "NativePolicy") -> Finding:
    """The policy that guards what approving itself rests on. Source: Intune, "Use multi admin approval"."""
    way_out = "delete this policy, wait five minutes, change it, make the policy again"
    if any(_can_approve(native, group_id) for group_id in policy.group_ids):
        text = "it guards the role assignments without which approver groups cannot approve, its own among them"
        return _warning("roleDeadlock", f"{text}; before such an assignment changes: {way_out}")
    text = "nobody can approve by it, and it guards the role assignments by which somebody could"
    return _error("roleDeadlock", f"{text}; to mend an assignment: {way_out}")


def _can_approve(native: "NativeApproval", group_id: str) -> bool:
    group = native.groups.get(group_id)
    return group is not None and not any(
        finding.level is FindingLevel.ERROR
        for finding in _group_findings(group, is_assigned=group_id in native.assigned)
    )


# What is protected here and there


def _unprotected_there(native: "NativeApproval", tenant: Tenant) -> Iterator[Finding]:
    """What access policies here protect, and the portal lets anybody change."""
    for profile_type in sorted(_protected_here(tenant) & native.types.keys()):
        kind, what = native.types[profile_type], _words(profile_type)
        if kind is None:
            text = f"{what} are protected here, but Intune has no approval for them: only maa drift sees a change there"
            yield _information("notProtectedThere", text)
        elif not any(policy.protects(kind) for policy in native.policies):
            text = f"{what} are protected here, but nothing in Intune stops a change in the portal; see docs/intune.md"
            yield _information("notProtectedThere", text)


def _unprotected_here(native: "NativeApproval", tenant: Tenant, policy: "NativePolicy") -> Iterator[Finding]:
    """What the policy protects and access policies here do not."""
    if policy.type is None:
        yield _information("unnamedType", "Graph does not name what it protects; look in the portal")
        return
    own = {name for name, kind in native.types.items() if kind is not None and policy.protects(kind)}
    what = _words(policy.type)
    if not own:
        yield _information("notProtectedHere", f"{what} are protected in Intune alone: this repository holds none")
    elif not own & _protected_here(tenant):
        text = f"{what} are protected in Intune, but not here; an access policy in policies/ makes both agree"
        yield _information("notProtectedHere", text)


def _exclusions(native: "NativeApproval") -> Iterator[Finding]:
    """The lists that a target's application has to be on, if it does not ask for approval."""
    kinds = [kind for kind in native.types.values() if kind is not None]
    names = [f"'{policy.name}'" for policy in native.policies if any(map(policy.protects, kinds))]
    if names and not native.hands_over:
        text = f"nativeApproval is excluded, so the application must be on the exclusions of {', '.join(sorted(names))}"
        yield _information("exclusionUnseen", f"{text}; Graph does not show them, look in the portal")


def _protected_here(tenant: Tenant) -> frozenset[str]:
    return frozenset(policy.profile_type for policy in tenant.policies.values())


def _words(kind: str) -> str:
    """The plural of a profile type, or of a policy type in whatever case."""
    known = {name.casefold(): words for name, words in _WORDS.items()}
    return known.get(kind.casefold(), f"objects of type {kind}")
