"""Cross references between the rules, and the warnings that catch silent failures.

Pure: a Tenant and its documents in, problems out.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping

from maa_gitops import signing
from maa_gitops.documents import Document
from maa_gitops.model import (
    ACCESS_POLICY_TYPE,
    BUILT_IN_TYPES,
    AccessPolicy,
    Account,
    AccountKind,
    Level,
    Problem,
    Role,
    Target,
    Tenant,
)
from maa_gitops.providers.graph.kinds import collections

Documents = Mapping[str, Document]


def reference_problems(tenant: Tenant, documents: Documents) -> list[Problem]:
    """Everything that is wrong between documents which are each sound."""
    return [
        *_profile_type_problems(tenant, documents),
        *_graph_place_problems(tenant, documents),
        *_target_problems(tenant, documents),
        *_account_problems(tenant, documents),
        *_shared(tenant, documents),
        *_group_problems(tenant, documents),
        *_policy_problems(tenant, documents),
        *_lockout_problems(tenant, documents),
    ]


def _at(documents: Documents, path: str, *steps: str | int) -> tuple[int, int]:
    return documents[path].places.get(steps, (1, 1))


def _problem(
    documents: Documents,
    path: str,
    steps: tuple[str | int, ...],
    code: str,
    message: str,
    subject: str,
    level: Level = Level.ERROR,
) -> Problem:
    line, column = _at(documents, path, *steps)
    return Problem(path, line, column, code, message, subject, level)


def _profile_type_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    built_in_names = {profile_type.name.casefold() for profile_type in BUILT_IN_TYPES} | {ACCESS_POLICY_TYPE.casefold()}
    names: dict[str, str] = {}
    folders = {profile_type.folder.casefold(): profile_type.name for profile_type in BUILT_IN_TYPES}
    for own in tenant.settings.profile_types[len(BUILT_IN_TYPES) :]:
        steps = ("profileTypes", own.name)
        if own.name.casefold() in built_in_names:
            yield _problem(
                documents, "maa.yaml", steps, "builtInType", f"{own.name} is a built-in profile type", own.name
            )
        twin = names.setdefault(own.name.casefold(), own.name)
        if twin != own.name:
            yield _problem(documents, "maa.yaml", steps, "caseTwin", f"differs from {twin} only by case", own.name)
        owner = folders.setdefault(own.folder.casefold(), own.name)
        if owner != own.name:
            text = f"folder '{own.folder}' belongs to profile type {owner}"
            yield _problem(documents, "maa.yaml", (*steps, "folder"), "sharedFolder", text, own.name)


def _graph_place_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    """What would let the objects of one type be changed as those of another, which other policies protect.

    What is below a place belongs to it as well: an app's assignments, say.
    """
    own_types = tenant.settings.profile_types[len(BUILT_IN_TYPES) :]
    places: list[tuple[str, str]] = []
    for collection in collections(Target("", "graph", types=own_types)):
        place = f"{collection.path.casefold()}/"
        owners = [owner for owner, path in places if path.startswith(place) or place.startswith(path)]
        owner = next((owner for owner in owners if owner != collection.profile_type), None)
        places.append((collection.profile_type, place))
        if owner is not None:
            steps = ("profileTypes", collection.profile_type, "graph", "path")
            text = f"{collection.path} is where objects of profile type {owner} are, or what is theirs"
            yield _problem(documents, "maa.yaml", steps, "sharedPlace", text, collection.profile_type)
        if collection.name == collection.marker:
            steps = ("profileTypes", collection.profile_type, "graph", "markerProperty")
            text = "the mark needs a text property of its own, not that of the name"
            yield _problem(documents, "maa.yaml", steps, "sharedProperty", text, collection.profile_type)


def _target_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    """Targets that are one tenant: each would find, and change, what the other made."""
    names: dict[str, str] = {}
    for target in tenant.settings.targets:
        tenant_id = target.options.get("tenantId", "").lower()
        other = names.setdefault(tenant_id, target.name) if tenant_id else target.name
        if other != target.name:
            steps = ("targets", target.name, "tenantId")
            text = f"target {other} is the same tenant; both apply every resource to it"
            yield _problem(documents, "maa.yaml", steps, "sharedTenant", text, target.name, Level.WARNING)


def _account_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    grouped = {member for group in tenant.groups.values() for member in group.members}
    for account in tenant.accounts.values():
        path = f"accounts/{account.name}.yaml"
        yield from _key_problems(documents, path)
        if Role.ATTESTOR in account.roles:
            yield from _attestor_problems(documents, path, account, in_group=account.name in grouped)
        if account.is_enabled_person and not account.addresses:
            text = "has no address: its commits cannot be told from a stranger's (userPrincipalName or emails)"
            yield _problem(documents, path, (), "noAddress", text, account.name, Level.WARNING)


def _key_problems(documents: Documents, path: str) -> Iterator[Problem]:
    data = documents[path].data
    keys = data.get("signingKeys", []) if isinstance(data, dict) else []
    for index, text in enumerate(keys):
        reason = signing.key_problem(text)
        if reason is not None:
            yield _problem(documents, path, ("signingKeys", index), "unusableKey", reason, str(index))


def _attestor_problems(documents: Documents, path: str, account: Account, *, in_group: bool) -> Iterator[Problem]:
    if account.kind is not AccountKind.SERVICE:
        text = "only a service account may have the role attestor"
        yield _problem(documents, path, ("roles",), "attestor", text, "kind")
    if account.roles != {Role.ATTESTOR}:
        yield _problem(documents, path, ("roles",), "attestor", "an attestor has no other role", "roles")
    if in_group:
        yield _problem(documents, path, ("roles",), "attestor", "an attestor is in no approver group", "group")


def _shared(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    """What may belong to one account only."""
    accounts = tenant.accounts.values()
    keys = ((account.name, index, key) for account in accounts for index, key in enumerate(account.signing_keys))
    yield from _held_twice(documents, "signing key", ("signingKeys",), "sharedKey", keys)
    forge = ((account.name, None, account.github.id) for account in accounts if account.github is not None)
    yield from _held_twice(documents, "GitHub id", ("github", "id"), "sharedForgeId", forge)
    mail = ((account.name, None, address.casefold()) for account in accounts for address in account.addresses)
    yield from _held_twice(documents, "e-mail address", (), "sharedAddress", mail)


def _held_twice(
    documents: Documents,
    what: str,
    steps: tuple[str | int, ...],
    code: str,
    claims: Iterable[tuple[str, int | None, Hashable]],
) -> Iterator[Problem]:
    first: dict[Hashable, str] = {}
    told: set[tuple[str, Hashable]] = set()
    for name, index, value in claims:
        owner = first.setdefault(value, name)
        if (owner == name and index is None) or (name, value) in told:
            continue
        if owner != name:
            told.add((name, value))
            where = steps if index is None else (*steps, index)
            text = f"account {owner} has the same {what}"
            yield _problem(documents, f"accounts/{name}.yaml", where, code, text, f"{owner}:{value}")


def _group_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    for group in tenant.groups.values():
        path = f"groups/{group.name}.yaml"
        for index, member in enumerate(group.members):
            if member not in tenant.accounts:
                text = f"account '{member}' is not defined; accounts/ has: {_list(tenant.accounts)}"
                yield _problem(documents, path, ("members", index), "unknownAccount", text, member)
        if not group.members:
            yield _problem(documents, path, ("members",), "emptyGroup", "has no members", group.name, Level.WARNING)


def _policy_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    types = {profile_type.name for profile_type in tenant.settings.profile_types} | {ACCESS_POLICY_TYPE}
    for policy in tenant.policies.values():
        path = f"policies/{policy.name}.yaml"
        if policy.profile_type not in types:
            text = f"profile type '{policy.profile_type}' is not defined; there are: {_list(types)}"
            yield _problem(documents, path, ("profileType",), "unknownProfileType", text, policy.profile_type)
        unknown = [(index, group) for index, group in enumerate(policy.approver_groups) if group not in tenant.groups]
        for index, group in unknown:
            text = f"approver group '{group}' is not defined; groups/ has: {_list(tenant.groups)}"
            yield _problem(documents, path, ("approverGroups", index), "unknownGroup", text, group)
        if not unknown:
            yield from _satisfaction_problems(tenant, documents, path, policy)


def _satisfaction_problems(tenant: Tenant, documents: Documents, path: str, policy: AccessPolicy) -> Iterator[Problem]:
    people = tenant.possible_approvers(policy)
    required = policy.required_approvals
    if len(people) < required:
        level = Level.ERROR if policy.profile_type == ACCESS_POLICY_TYPE else Level.WARNING
        text = f"needs {required} approvals, but only {len(people)} enabled people are in its approver groups"
        yield _problem(documents, path, ("approverGroups",), "unsatisfiable", text, policy.name, level)
    elif len(people) <= max(2, required):
        text = f"only {_list(people)} can approve: one of them asking or away leaves {len(people) - 1} for {required}"
        yield _problem(documents, path, ("approverGroups",), "fewApprovers", text, policy.name, Level.WARNING)


def _lockout_problems(tenant: Tenant, documents: Documents) -> Iterator[Problem]:
    """Rules under which nobody could ever change the rules again."""
    if not tenant.policies:
        return
    of_rules = [policy for policy in tenant.policies.values() if policy.profile_type == ACCESS_POLICY_TYPE]
    if not any(not policy.scope for policy in of_rules):
        text = "as soon as there are access policies, one of profile type accessPolicy without scope must be among them"
        yield _problem(documents, "maa.yaml", (), "rulesUnprotected", text, "policies")
        return
    administrators = [
        a for a in tenant.accounts.values() if a.is_enabled_person and a.is_administrator and a.signing_keys
    ]
    if not any(_others_can_approve(tenant, of_rules, account.name) for account in administrators):
        text = "no enabled administrator could submit a change to the rules that others could approve"
        yield _problem(documents, "maa.yaml", (), "unsatisfiable", text, "administrators")


def _others_can_approve(tenant: Tenant, policies: Iterable[AccessPolicy], requestor: str) -> bool:
    return all(len(tenant.possible_approvers(policy) - {requestor}) >= policy.required_approvals for policy in policies)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
