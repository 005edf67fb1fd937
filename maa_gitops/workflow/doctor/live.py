"""Doctor: what is missing in the live repository on GitHub.

A question that GitHub does not answer makes its check a warning, and keeps no other from being made. What the protected
branch itself says for GitHub is looked at in ``written``.
"""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from maa_gitops.errors import MaaError
from maa_gitops.forges import APPROVAL, GitHub
from maa_gitops.forges import rulesets as wanted_rulesets
from maa_gitops.model import ForgeIdentity, Tenant
from maa_gitops.workflow.doctor.checks import Check, ok, problem, untold, warning

Live = Mapping[str, object]

_RULESETS = {
    wanted_rulesets.PROTECTED_UPDATES: ("rulesetProtectedUpdates", "protected-updates"),
    wanted_rulesets.PROTECTED_HISTORY: ("rulesetProtectedHistory", "protected-history"),
    wanted_rulesets.CHANGE_HISTORY: ("rulesetChangeHistory", "change-history"),
    wanted_rulesets.CHANGE_DELETION: ("rulesetChangeDeletion", "change-deletion"),
    wanted_rulesets.RECEIPTS: ("rulesetReceipts", "receipts"),
}
"""By the name of a ruleset: the code of its check, and what ``maa github ruleset`` calls it."""

_ENVIRONMENTS = {"maa-attestor": "environmentAttestor", "maa-deployer": "environmentDeployer"}
_OF_BRANCH = ("defaultBranch", *(code for code, _ in _RULESETS.values()), *_ENVIRONMENTS.values())

_TOKEN = "GH_TOKEN=$(gh auth token) maa doctor --github"  # noqa: S105 - a command that gets one
_REFUSALS = frozenset({"forgeUnauthorized", "forgeForbidden", "forgeNotFound"})


def examine_live(github: GitHub, branch: str | None, tenant: Tenant | None, *, has_token: bool) -> tuple[Check, ...]:
    """Look at the repository on GitHub; ``branch`` is the protected one, ``tenant`` the rules at G."""
    try:
        about = github.about()
    except MaaError as error:  # where no repository is seen, "not found" says nothing of what is in it
        codes = (*_OF_BRANCH, "deployKey", "workflowApprovals", "gitHubLogins")
        return (_unreadable(github, error, has_token=has_token), *(untold(code, error.message) for code in codes))
    if branch is None:
        why = "this clone does not say which branch is protected"
        of_branch = tuple(untold(code, why) for code in _OF_BRANCH)
    else:
        of_branch = tuple(_of_branch(github, about.get("default_branch"), branch))
    return (
        _token(github, has_token=has_token),
        *of_branch,
        _asked("deployKey", lambda: _deploy_key(github)),
        _asked("workflowApprovals", lambda: _workflow_approvals(github)),
        *_logins(github, tenant),
    )


def _asked(code: str, ask: Callable[[], Check]) -> Check:
    """A check, or a warning that it could not be made."""
    try:
        return ask()
    except MaaError as error:
        return untold(code, error.message, error.hint)


# --- the token -------------------------------------------------------------------------------------------------------


def _token(github: GitHub, *, has_token: bool) -> Check:
    if not has_token:
        return warning("token", f"there is no token; {github.repository} is read as anybody can", _TOKEN)
    return ok("token", f"the token reads {github.repository}")


def _unreadable(github: GitHub, error: MaaError, *, has_token: bool) -> Check:
    """Why the repository itself is not seen."""
    if not has_token:
        return problem("token", f"there is no token, and without one {github.repository} is not seen", _TOKEN)
    if error.code in _REFUSALS:
        return problem("token", f"the token does not read {github.repository}: {error.message}", _TOKEN)
    return untold("token", error.message, error.hint)


# --- what concerns the protected branch ------------------------------------------------------------------------------


def _of_branch(github: GitHub, default: object, branch: str) -> Iterator[Check]:
    """The default branch, the rulesets and the environments."""
    yield _default_branch(github, default, branch)
    yield from _rulesets(github, default, branch)
    for name, code in _ENVIRONMENTS.items():
        try:
            yield _environment(github, name, code, branch)
        except MaaError as error:
            yield untold(code, error.message, error.hint)


def _default_branch(github: GitHub, default: object, branch: str) -> Check:
    """Workflows that hold keys run as they are on the default branch."""
    if not isinstance(default, str):
        return untold("defaultBranch", "GitHub does not say which it is")
    if default == branch:
        return ok("defaultBranch", f"the default branch is the protected one, {branch}")
    text = f"the default branch is '{default}', so workflows do not run as the protected branch '{branch}' has them"
    return problem("defaultBranch", text, f"gh repo edit {github.repository} --default-branch {shlex.quote(branch)}")


def _environment(github: GitHub, name: str, code: str, branch: str) -> Check:
    """An environment, which holds keys, opens for the protected branch and nothing else."""
    path = f"repos/{github.repository}/environments/{name}"
    custom = "'deployment_branch_policy[custom_branch_policies]=true'"
    limits = f"-F 'deployment_branch_policy[protected_branches]=false' -F {custom}"
    policy = f"gh api {path}/deployment-branch-policies -f {shlex.quote(f'name={branch}')}"
    hint = f"gh api -X PUT {path} {limits} && {policy}"
    try:
        opens_for = github.environment_branches(name)
    except MaaError as error:
        if error.code != "forgeNotFound":
            raise
        return problem(code, f"there is no environment {name}", hint)
    if opens_for == (branch,):
        return ok(code, f"{name} opens for {branch} only")
    if opens_for is not None and branch in opens_for:
        hint = f"gh api {path}/deployment-branch-policies, then: gh api -X DELETE {path}/deployment-branch-policies/ID"
    found = "any branch" if opens_for is None else ", ".join(opens_for) or "nothing"
    return problem(code, f"the environment {name} opens for {found}, expected: {branch} only", hint)


# --- rulesets --------------------------------------------------------------------------------------------------------


def _rulesets(github: GitHub, default: object, branch: str) -> Iterator[Check]:
    """Every ruleset that is wanted; for the first there is a second form, with a merge queue."""
    try:
        live = github.rulesets()
    except MaaError as error:
        yield from (untold(code, error.message, error.hint) for code, _ in _RULESETS.values())
        return
    plain = wanted_rulesets.rulesets(branch)
    queued = wanted_rulesets.rulesets(branch, merge_queue=True)
    for forms in zip(plain, queued, strict=True):
        yield _ruleset(github.repository, forms, live, default)


def _ruleset(repository: str, forms: Sequence[wanted_rulesets.Ruleset], live: Sequence[Live], default: object) -> Check:
    """Whether one of the live rulesets does what a wanted one would, and who may pass it."""
    wanted = forms[0]
    code, short = _RULESETS[str(wanted["name"])]
    bearing = [_bearing(found, _includes(wanted), default) for found in live]
    fitting = [found for found in bearing if any(wanted_rulesets.missing(form, [found]) is None for form in forms)]
    if not fitting:
        return problem(code, wanted_rulesets.missing(wanted, bearing) or "", _import(repository, wanted, short, live))
    names = ", ".join(f"'{found.get('name')}'" for found in fitting)
    passing = [found["bypass_actors"] for found in fitting if isinstance(found.get("bypass_actors"), list)]
    if not passing:
        text = f"only administrators are shown who may pass the ruleset {names}"
        return untold(code, text, "ask with an administrator's token: GH_TOKEN=… maa doctor --github")
    if wanted["bypass_actors"] and not all(map(_lets_deploy_key_pass, passing)):
        text = f"the deploy key may not pass the ruleset {names}, so nothing can be completed"
        return problem(code, text, _import(repository, wanted, short, live))
    return ok(code, f"the ruleset {names} holds for {', '.join(_includes(wanted))}")


def _import(repository: str, wanted: wanted_rulesets.Ruleset, short: str, live: Sequence[Live]) -> str:
    """The command that makes a ruleset, or mends the one of that name."""
    there = next((f"/{found.get('id')} -X PUT" for found in live if found.get("name") == wanted["name"]), "")
    return f"maa github ruleset {short} | gh api repos/{repository}/rulesets{there} --input -"


def _bearing(found: Live, branches: Sequence[str], default: object) -> Live:
    """A live ruleset, by those of the branches that it holds for, and without a status check that is not ours."""
    includes = ["refs/heads/" + str(default) if name == "~DEFAULT_BRANCH" else name for name in _includes(found)]
    is_held = found.get("target", "branch") == "branch"
    held = [
        branch
        for branch in branches
        if is_held
        and ("~ALL" in includes or branch in includes)
        and not any(_touches(excluded, branch, default) for excluded in _includes(found, "exclude"))
    ]
    rules = [rule for rule in _list(found.get("rules")) if not _is_other_status(rule)]
    return {**found, "conditions": {"ref_name": {"include": held}}, "rules": rules}


def _touches(excluded: str, branch: str, default: object) -> bool:
    """Whether leaving out what one pattern names could leave out something of another."""
    pattern = f"refs/heads/{default}" if excluded == "~DEFAULT_BRANCH" else excluded
    return excluded == "~ALL" or fnmatchcase(branch, pattern) or fnmatchcase(pattern, branch)


def _is_other_status(rule: object) -> bool:
    """Whether a rule requires status checks, and ours is none of them."""
    if not isinstance(rule, dict) or rule.get("type") != "required_status_checks":
        return False
    parameters = rule.get("parameters")
    checks = _list(parameters.get("required_status_checks")) if isinstance(parameters, dict) else []
    return not any(isinstance(check, dict) and check.get("context") == APPROVAL for check in checks)


def _lets_deploy_key_pass(actors: object) -> bool:
    return any(isinstance(actor, dict) and actor.get("actor_type") == "DeployKey" for actor in _list(actors))


def _includes(ruleset: Live, which: str = "include") -> list[str]:
    conditions = ruleset.get("conditions")
    names = conditions.get("ref_name") if isinstance(conditions, dict) else None
    return [str(name) for name in _list(names.get(which))] if isinstance(names, dict) else []


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


# --- keys and workflows ----------------------------------------------------------------------------------------------


def _deploy_key(github: GitHub) -> Check:
    """Exactly one deploy key may write: any of them passes the rulesets."""
    try:
        keys = github.deploy_keys()
    except MaaError as error:
        if error.code not in _REFUSALS:
            raise
        text = f"only an administrator's token lists deploy keys ({error.message})"
        return untold("deployKey", text, "ask with one: GH_TOKEN=… maa doctor --github")
    writing = [f"'{key.get('title')}'" for key in keys if key.get("read_only") is not True]
    if len(writing) == 1:
        return ok("deployKey", f"one deploy key may write: {writing[0]}")
    named = f"--repo {github.repository}"
    if writing:
        text = f"{len(writing)} deploy keys may write, and each passes the rulesets: {', '.join(sorted(writing))}"
        return problem(
            "deployKey", text, f"gh repo deploy-key list {named}, then: gh repo deploy-key delete ID {named}"
        )
    add = f"gh repo deploy-key add maa-push.pub --allow-write --title maa {named}"
    text = "no deploy key may write, so nothing can be completed"
    return problem("deployKey", text, f"ssh-keygen -t ed25519 -N '' -C maa-push -f maa-push && {add}")


def _workflow_approvals(github: GitHub) -> Check:
    if github.workflows_may_approve():
        hint = f"gh api -X PUT repos/{github.repository}/actions/permissions/workflow"
        text = "workflows may approve pull requests, which looks like somebody's review"
        return warning("workflowApprovals", text, f"{hint} -F can_approve_pull_request_reviews=false")
    return ok("workflowApprovals", "workflows may not approve pull requests")


# --- people ----------------------------------------------------------------------------------------------------------


def _logins(github: GitHub, tenant: Tenant | None) -> Iterator[Check]:
    """Whether each login still belongs to the number that the account's file has."""
    if tenant is None:
        yield untold("gitHubLogins", "the accounts cannot be read")
        return
    claims = {a.name: a.github for a in tenant.accounts.values() if a.enabled and a.github is not None}
    found = [check for name, claim in claims.items() if (check := _login(github, name, claim)) is not None]
    yield from found or [ok("gitHubLogins", f"{len(claims)} logins, each with the number that its account has")]


def _login(github: GitHub, name: str, claim: ForgeIdentity) -> Check | None:
    """What is wrong with one account's login; None: nothing."""
    try:
        owner = github.user(claim.login)
    except MaaError as error:
        if error.code != "forgeNotFound":
            return untold("gitHubLogins", f"{name}: {error.message}", error.hint)
        text = f"accounts/{name}.yaml: nobody on GitHub has the login '{claim.login}'; the number {claim.id} decides"
        return warning("gitHubLogins", text, f"gh api user/{claim.id} --jq .login")
    if owner.id == claim.id:
        return None
    text = f"the login '{claim.login}' is that of {owner.id}, not of {claim.id}: taken over or renamed"
    hint = f"gh api user/{claim.id} --jq .login"
    return warning("gitHubLogins", f"accounts/{name}.yaml: {text}; the number decides", hint)
