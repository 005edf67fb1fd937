"""Doctor: what is missing for GitHub in what the protected branch says at G: workflows, accounts, access policies."""

import re
from collections.abc import Iterator

from maa_gitops.errors import MaaError
from maa_gitops.git import Repository
from maa_gitops.history import History
from maa_gitops.model import ACCESS_POLICY_TYPE, AccountKind, CompleteBy, Role, Tenant
from maa_gitops.workflow.doctor.checks import Check, ok, problem, untold, warning

WORKFLOWS = ("maa-complete.yml", "maa-gate.yml", "maa-nightly.yml", "maa-record.yml", "maa-review.yml")
"""The workflows that every tenant repository on GitHub has."""

_FOLDER = ".github/workflows"
_TEMPLATES = (".github", "", "docs")
"""Folders in which GitHub looks for the template. Source: GitHub, "Creating a pull request template"."""

_CODES = (
    "workflows", "pullRequestTemplate", "attestorAccount", "deployerAccount", "gitHubIds", "attestedPolicies",
    "completeBy",
)  # fmt: skip
_INIT = "on a change branch: maa init --github OWNER/NAME@COMMIT"
_FILE_LIMIT = 1024 * 1024

_COMMENT = re.compile(r"(?:^|\s)#.*")
_USES = re.compile(r"""(?:^|[\s{,"'])uses["']?\s*:\s*["']?([^\s"',}]*)""")
_VERSION = re.compile(r"""(?:^|[\s{,"'])version["']?\s*:\s*["']?([^\s"',}]*)""")
_PINNED = re.compile(r"\./\S+|[^@\s]+@[0-9a-f]{40}|docker://[^@\s]+@sha256:[0-9a-f]{64}")
_OURS = re.compile(r"[^@\s]+/\.github/workflows/(?:complete|gate|nightly|record)\.yml@(?P<commit>[0-9a-f]{40})")
_NO_START = re.compile(r"""^[ ]*trusted-start:[ ]*(?:""|'')?[ ]*$""", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+business justification[ \t:]*#*[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def examine_written(repository: Repository, history: History | None) -> tuple[Check, ...]:
    """Look at the workflows, the accounts and the access policies at G."""
    if history is None:
        return tuple(untold(code, "no commit is known to be good") for code in _CODES)
    tree, tenant = repository.commit(history.good.commit).tree, history.good.tenant
    return (
        *_workflows(repository, tree),
        _template(repository, tree),
        _service(tenant, Role.ATTESTOR, "signs for people on GitHub"),
        _service(tenant, Role.DEPLOYER, "completes on GitHub"),
        _ids(tenant),
        *_attested(tenant),
        _complete_by(tenant),
    )


# --- files -----------------------------------------------------------------------------------------------------------


def _workflows(repository: Repository, tree: str) -> Iterator[Check]:
    """Whether the workflows are there, and run nothing that others can change under a tag or a branch."""
    try:
        files = _ours(repository, tree)
    except MaaError as error:
        yield problem("workflows", error.message, error.hint)
        return
    missing = [name for name in WORKFLOWS if name not in files]
    loose = [text for name, content in sorted(files.items()) for text in _loose(f"{_FOLDER}/{name}", content)]
    if missing:
        yield problem("workflows", f"{_FOLDER}/ lacks {', '.join(missing)}", _INIT)
    yield from (problem("workflows", text, _INIT) for text in loose)
    trusting = [name for name, content in sorted(files.items()) if _NO_START.search(content)]
    if trusting:
        text = f"{', '.join(trusting)} do not pin where trust begins, so the oldest commit of the branch is taken"
        yield warning("workflows", text, f"{_INIT}, in a clone whose maa.trustedStart is set")
    if not missing and not loose and not trusting:
        yield ok("workflows", f"{len(files)} workflows, everything in them pinned by commit")


def _ours(repository: Repository, tree: str) -> dict[str, str]:
    """The texts of the workflows whose names are ours."""
    folder = repository.entry(tree, _FOLDER)
    entries = repository.tree(folder.oid) if folder is not None and folder.is_folder else ()
    named = (entry for entry in entries if re.fullmatch(r"maa-[a-z-]+\.ya?ml", entry.name) and not entry.is_folder)
    return {entry.name: _text(repository, entry.oid) for entry in named}


def _text(repository: Repository, oid: str) -> str:
    return repository.blob(oid).decode("utf-8", "replace") if repository.blob_size(oid) <= _FILE_LIMIT else ""


def _loose(path: str, content: str) -> Iterator[str]:
    """Where a workflow names something that is not pinned, or calls one of ours at another commit than it runs."""
    lines = [_COMMENT.sub("", line) for line in content.splitlines()]
    versions = {version for line in lines for version in _VERSION.findall(line)}
    for number, line in enumerate(lines, start=1):
        for used in _USES.findall(line):
            called = _OURS.fullmatch(used)
            if not _PINNED.fullmatch(used):
                yield f"{path}:{number}: '{used}' is not pinned; expected @ and the 40 digits of a commit"
            elif called is not None and versions != {called["commit"]}:
                found = ", ".join(sorted(versions)) or "none"
                yield f"{path}:{number}: 'version' is {found}; expected the commit in 'uses', {called['commit']}"


def _template(repository: Repository, tree: str) -> Check:
    """Whether a new pull request asks for the business justification."""
    code, hint = "pullRequestTemplate", f"{_INIT}; or add the line: ## Business justification"
    try:
        found = dict(_templates(repository, tree))
    except MaaError as error:
        return problem(code, error.message, error.hint)
    if not found:
        return problem(code, "there is no .github/pull_request_template.md", hint)
    path, content = next(iter(found.items()))
    if not _HEADING.search(content):
        return problem(code, f"{path} has no heading 'Business justification'", hint)
    return ok(code, f"{path} asks for the business justification")


def _templates(repository: Repository, tree: str) -> Iterator[tuple[str, str]]:
    """The templates, by path; their name is taken in any case."""
    for name in _TEMPLATES:
        folder = repository.entry(tree, name) if name else None
        oid = folder.oid if folder is not None and folder.is_folder else None if name else tree
        for entry in repository.tree(oid) if oid is not None else ():
            if entry.name.casefold() == "pull_request_template.md" and not entry.is_folder:
                yield f"{name}/{entry.name}".removeprefix("/"), _text(repository, entry.oid)


# --- the tenant ------------------------------------------------------------------------------------------------------


def _service(tenant: Tenant, role: Role, does: str) -> Check:
    """Whether an enabled service account with the role can sign."""
    code = f"{role.value}Account"
    held = [a for a in tenant.accounts.values() if a.kind is AccountKind.SERVICE and role in a.roles]
    ready = [account.name for account in held if account.enabled and account.signing_keys]
    if ready:
        return ok(code, f"{', '.join(ready)} {does}")
    hint = f"{_INIT} --{role.value}-key PUBLIC_KEY_FILE"
    if held:
        names = ", ".join(account.name for account in held)
        return problem(code, f"no service account {does}: {names} is not enabled or has no signing key", hint)
    return problem(code, f"no service account has the role {role.value}, so none {does}", hint)


def _ids(tenant: Tenant) -> Check:
    """Whether everybody who asks or approves is known on GitHub by number."""
    members = {name for group in tenant.groups.values() for name in group.members}
    people = [a for a in tenant.accounts.values() if a.is_enabled_person and (a.name in members or a.is_administrator)]
    without = [account.name for account in people if account.github is None]
    if without:
        text = f"without a number on GitHub, so nothing that they say there counts: {', '.join(without)}"
        hint = "gh api users/LOGIN --jq .id, then in accounts/NAME.yaml: github: {login: LOGIN, id: NUMBER}"
        return warning("gitHubIds", text, hint)
    return ok("gitHubIds", "every approver and administrator has a number on GitHub")


def _attested(tenant: Tenant) -> Iterator[Check]:
    """For which access policies sign-off on GitHub counts."""
    code = "attestedPolicies"
    attested = [policy for policy in tenant.policies.values() if policy.attested]
    for policy in attested:
        if policy.profile_type == ACCESS_POLICY_TYPE:
            text = f"policies/{policy.name}.yaml accepts sign-off on GitHub for the rules themselves"
            yield warning(
                code, f"{text}: who holds the attestor's key can change them", "attested: false, in that file"
            )
    if attested:
        yield ok(code, f"sign-off on GitHub counts for: {', '.join(policy.name for policy in attested)}")
    else:
        hint = "on a change branch: attested: true, in the files in policies/ that should accept it"
        yield warning(code, "no access policy accepts sign-off on GitHub", hint)


def _complete_by(tenant: Tenant) -> Check:
    """Whether the deployer may complete what others asked for."""
    if tenant.settings.complete_by is CompleteBy.REQUESTOR:
        text = (
            "maa.yaml says completeBy: requestor, so nobody can complete on GitHub, where only the deploy key may push"
        )
        return warning("completeBy", text, "on a change branch: completeBy: anyone, in maa.yaml")
    return ok("completeBy", "anyone may complete, the deployer on GitHub too")
