"""Reading Intune's own Multi Admin Approval: its access policies, their approver groups, the role assignments.

What of it fails silently is judged by those who ask for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from maa_gitops.providers.graph.client import GraphClient, Json, misunderstood
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.provider import GraphProvider
from maa_gitops.providers.graph.shapes import type_name

POLICIES = "deviceManagement/operationApprovalPolicies"
ROLE_ASSIGNMENTS = "deviceManagement/roleAssignments"

_OF_GROUP = "id,displayName,securityEnabled,mailEnabled,groupTypes"
_MOST = 999
"""Members on one page. Source: Graph, "List group members"."""

_UNNAMED = frozenset({"", "unknown", "unknownfuturevalue"})

_PROTECTING = {
    "deviceAppManagement/mobileApps": "app",
    "deviceManagement/deviceManagementScripts": "script",
    "deviceManagement/deviceShellScripts": "script",
    "deviceManagement/deviceHealthScripts": "script",
    "deviceManagement/deviceCompliancePolicies": "compliancePolicy",
    "deviceManagement/configurationPolicies": "configurationPolicy",
    "deviceManagement/roleDefinitions": "role",
    "deviceManagement/deviceCategories": "tenantConfiguration",
}
"""The policy type that protects a collection, by path. Source: Intune, "Use multi admin approval"."""


@dataclass(frozen=True, slots=True)
class NativePolicy:
    """An access policy in Intune. ``type`` is as Graph spells it, in whatever case; None: Graph does not name it."""

    name: str
    type: str | None
    group_ids: tuple[str, ...]

    def protects(self, policy_type: str) -> bool:
        """Whether it is of a policy type; letters' case means nothing."""
        return self.type is not None and self.type.casefold() == policy_type.casefold()


@dataclass(frozen=True, slots=True)
class NativeGroup:
    """A group in Entra. ``types`` are in lower case.

    ``people`` are the ids of the users who are direct members and may sign in, ``nested`` is how many groups are.
    """

    name: str
    is_security: bool = True
    is_mail: bool = False
    types: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()
    nested: int = 0


@dataclass(frozen=True, slots=True)
class NativeApproval:
    """What a tenant says of its own approval.

    ``groups`` are those that its policies name, by id, without those that do not exist. ``assigned`` are the ids of the
    groups that are members of an Intune role assignment. Ids are in lower case. ``types`` are the policy types that
    protect the profile types of the target, by profile type; None: Intune has none. ``hands_over``: the target asks
    for approval there; else its application is excluded from it.
    """

    policies: tuple[NativePolicy, ...]
    groups: Mapping[str, NativeGroup]
    assigned: frozenset[str]
    types: Mapping[str, str | None]
    hands_over: bool = True


def read_native(provider: GraphProvider) -> NativeApproval:
    """Ask a tenant, which must be the one that the target names, for its own approval.

    Raises:
        RemoteError: Graph does not answer, does not allow it, or is that of another tenant.
    """
    _ = provider.store
    client = provider.client
    policies = tuple(sorted((_policy(found) for found in client.pages(POLICIES)), key=lambda policy: policy.name))
    ids = sorted({group_id for policy in policies for group_id in policy.group_ids})
    return NativeApproval(
        policies,
        _groups(client, ids),
        _assigned(client) if ids else frozenset(),
        _types(provider.collections),
        provider.writer.hands_over,
    )


def _types(collections: Iterable[Collection]) -> dict[str, str | None]:
    return {collection.profile_type: _PROTECTING.get(collection.path) for collection in collections}


def _policy(found: Mapping[str, Json]) -> NativePolicy:
    """An access policy; its type stands in one of two places."""
    wanted = found.get("policySet")
    types = (found.get("policyType"), wanted.get("policyType") if isinstance(wanted, dict) else None)
    named = (kind for kind in types if isinstance(kind, str) and kind.casefold() not in _UNNAMED)
    ids = tuple(dict.fromkeys(group_id.casefold() for group_id in _ids(found.get("approverGroupIds"))))
    return NativePolicy(str(found.get("displayName") or found.get("id")), next(named, None), ids)


def _ids(found: Json) -> Sequence[str]:
    if found is not None and not (isinstance(found, list) and all(isinstance(item, str) for item in found)):
        raise misunderstood("groups")
    return found or ()


# --- groups ----------------------------------------------------------------------------------------------------------


def _groups(client: GraphClient, ids: Iterable[str]) -> dict[str, NativeGroup]:
    known = [group_id for group_id in ids if _is_guid(group_id)]  # Graph refuses to look for what is none
    answers = client.batch([f"/groups/{group_id}?$select={_OF_GROUP}" for group_id in known])
    found = zip(known, answers, strict=True)
    return {group_id: _group(client, group_id, answer) for group_id, answer in found if answer is not None}


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _group(client: GraphClient, group_id: str, found: Json) -> NativeGroup:
    if not isinstance(found, dict):
        raise misunderstood("a group")
    members = list(client.pages(f"groups/{group_id}/members", select="id,accountEnabled", top=_MOST))
    return NativeGroup(
        str(found.get("displayName") or group_id),
        found.get("securityEnabled") is True,
        found.get("mailEnabled") is True,
        frozenset(kind.casefold() for kind in _ids(found.get("groupTypes"))),
        frozenset(str(member.get("id")) for member in members if _may_sign_in(member)),
        sum(type_name(member) == "group" for member in members),
    )


def _may_sign_in(member: Mapping[str, Json]) -> bool:
    """Whether a member is a person whose account is not known to be disabled."""
    return type_name(member) == "user" and member.get("accountEnabled") is not False


# --- role assignments ------------------------------------------------------------------------------------------------


def _assigned(client: GraphClient) -> frozenset[str]:
    """The groups in role assignments; each assignment is read by itself, since a list need not have its members."""
    ids = [str(found.get("id")) for found in client.pages(ROLE_ASSIGNMENTS)]
    answers = client.batch([f"/{ROLE_ASSIGNMENTS}/{quote(found, safe='')}" for found in ids])
    members = (member for found in answers if isinstance(found, dict) for member in _ids(found.get("members")))
    return frozenset(member.casefold() for member in members)
