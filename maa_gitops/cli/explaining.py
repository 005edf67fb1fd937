"""``maa explain``: which access policies cover what, and who could approve."""

from typing import TYPE_CHECKING

from maa_gitops.cli.invocation import Invocation
from maa_gitops.errors import NotAllowedError

if TYPE_CHECKING:
    from maa_gitops.model import ObjectId, PolicyVerdict
    from maa_gitops.workflow.clone import Clone


def explain_one(invocation: Invocation, clone: "Clone", named: str) -> None:
    """Explain one object, named by itself or by a path of it.

    Raises:
        NotAllowedError: the path is refused, or belongs to nothing that is governed.
    """
    from maa_gitops.render.plain import document, explained_plain, unasked_policy
    from maa_gitops.render.text import contact
    from maa_gitops.tenant import document_path

    governed = _object_of(invocation, clone, named)
    tenant = clone.tenant
    verdicts = [unasked_policy(tenant, policy) for policy in tenant.covering(governed)]
    path = document_path(governed, tenant.settings.profile_types)

    def text() -> None:
        protected = tenant.protects(governed)
        invocation.say(f"{governed} is {'protected' if protected else 'not protected'}", bold=True)
        if governed.type == "accessPolicy":
            invocation.say("  a change to it must be submitted by an administrator, and changes no resource")
        for verdict in verdicts:
            _explain_policy(invocation, verdict)
            for name in verdict.can_approve:
                invocation.say(f"    {contact(tenant, name)}")
        if not protected:
            invocation.say(f"  to protect it: add an access policy with profileType: {governed.type}")

    invocation.emit(document(**explained_plain(governed, path, verdicts)), text)


def _explain_policy(invocation: Invocation, verdict: "PolicyVerdict") -> None:
    policy = verdict.policy
    scope = f", scope {', '.join(policy.scope)}" if policy.scope else ""
    people = "1 approval" if policy.required_approvals == 1 else f"{policy.required_approvals} approvals"
    groups = ", ".join(policy.approver_groups)
    invocation.say(f"  {policy.name} ({policy.display_name}): {people} from {groups}{scope}; who can:")


def _object_of(invocation: Invocation, clone: "Clone", named: str) -> "ObjectId":
    """The object that is meant: ``app/company-portal``, or a path in the repository or from where the caller is."""
    from maa_gitops.model import ACCESS_POLICY_TYPE, ObjectId
    from maa_gitops.tenant import document_path, place

    types = clone.tenant.settings.profile_types
    kind, _, name = named.partition("/")
    if name and kind in {ACCESS_POLICY_TYPE, *(profile_type.name for profile_type in types)}:
        named = document_path(ObjectId(kind, name), types)
    for candidate in (named, _from_here(invocation, named)):
        where = place(candidate, types)
        if where.governed is not None:
            return where.governed
    raise NotAllowedError(
        f"'{named}' belongs to no governed object: {place(named, types).why or 'nothing protects it'}",
        hint="maa explain, for what is covered",
        code="nothingProtected",
    )


def _from_here(invocation: Invocation, named: str) -> str:
    top = invocation.repository.work_tree
    path = (invocation.directory / named).resolve()
    return (
        path.relative_to(top.resolve()).as_posix() if top is not None and path.is_relative_to(top.resolve()) else named
    )


def explain_tenant(invocation: Invocation, clone: "Clone") -> None:
    """Say what is covered by access policies and what is not."""
    from maa_gitops.model import ACCESS_POLICY_TYPE
    from maa_gitops.render.plain import document, policy_plain, unasked_policy
    from maa_gitops.render.text import counted
    from maa_gitops.tenant import objects_in

    tenant = clone.tenant
    objects = objects_in(clone.repository, clone.tree(clone.good), tenant.settings.profile_types)
    types = [*(profile_type.name for profile_type in tenant.settings.profile_types), ACCESS_POLICY_TYPE]
    covered = [str(governed) for governed in objects if tenant.covering(governed)]
    uncovered = [str(governed) for governed in objects if not tenant.covering(governed)]
    verdicts = [unasked_policy(tenant, policy) for policy in tenant.policies.values()]

    def text() -> None:
        for name in types:
            of_type = [verdict for verdict in verdicts if verdict.policy.profile_type == name]
            invocation.say(f"{name}: {'protected' if of_type else 'not protected'}", bold=True)
            for verdict in of_type:
                _explain_policy(invocation, verdict)
                invocation.say(f"    {', '.join(verdict.can_approve) or 'nobody'}")
        invocation.say(f"{counted(len(covered), 'resource')} covered, {len(uncovered)} not")
        for governed in uncovered:
            invocation.say(f"  {governed}")

    plain = {"profileTypes": sorted(types), "policies": [policy_plain(verdict) for verdict in verdicts]}
    invocation.emit(document(**plain, covered=covered, uncovered=uncovered), text)
