"""What ``init --github`` adds: workflows, the pull request template, service accounts, people's numbers on GitHub."""

import json
import re
from pathlib import Path

from maa_gitops.documents import read_yaml
from maa_gitops.errors import NotAllowedError
from maa_gitops.git import Repository
from maa_gitops.model import Role, Tenant
from maa_gitops.signing import canonical_key, key_problem
from maa_gitops.starter.files import content_of, document, scalar
from maa_gitops.starter.values import OnGitHub, Part

WORKFLOWS = ".github/workflows"
TEMPLATE = ".github/pull_request_template.md"
HEADING = "Business justification"
"""The section of a pull request that becomes part of the submit."""

SERVICES = ((Role.ATTESTOR, "maa-attestor"), (Role.DEPLOYER, "maa-deployer"))
"""The service accounts, which sign for people on GitHub and complete what was approved."""

ATTESTED = ("policies/apps.yaml", "policies/scripts.yaml")
"""The starter policies that accept sign-off on GitHub. Those of the rules themselves do not."""

_OID = re.compile(r"[0-9a-f]{40}")
_TEMPLATES = Path(__file__).resolve().parent / "templates"
_TOOL = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+)@(?P<version>[0-9a-f]{40})")


def parse_tool(text: str) -> tuple[str, str]:
    """The repository of the tool and the commit to run it at, from ``OWNER/NAME@COMMIT``.

    Raises:
        NotAllowedError: it is not of that form; a tag or a branch can be moved to other code.
    """
    found = _TOOL.fullmatch(text)
    if found is None:
        raise NotAllowedError(
            f"'{text}' does not pin the tool: expected OWNER/NAME@COMMIT, the commit with all its 40 digits",
            hint="take the commit of the release that you use",
            code="notPinned",
        )
    return found["name"], found["version"]


def workflow_files(repository: Repository, tree: str, wanted: OnGitHub) -> Part:
    """The workflows, at the version that is asked for, and the template where there is none."""
    files: dict[str, bytes] = {}
    notes = []
    for template in sorted(_TEMPLATES.glob("*.yml")):
        files[f"{WORKFLOWS}/{template.name}"] = _filled(template.read_text(encoding="utf-8"), repository, wanted)
    there = content_of(repository, tree, TEMPLATE)
    if there is None:
        files[TEMPLATE] = (_TEMPLATES / "pull_request_template.md").read_bytes()
    elif HEADING.casefold().encode() not in there.lower():
        notes.append(f"{TEMPLATE} is left as it is; add the section: ## {HEADING}")
    if not _OID.fullmatch(repository.config("maa.trustedStart") or ""):
        notes.append("pin where trust begins in the workflows: run init --github again on a change branch, and submit")
    changed = {path: data for path, data in files.items() if data != content_of(repository, tree, path)}
    return Part(changed, tuple(notes))


def _filled(template: str, repository: Repository, wanted: OnGitHub) -> bytes:
    """A workflow with its pins. Where trust begins and whom to push to stand in the protected file itself.

    Variables of the repository's could be set by anybody who may write to it.
    """
    start = repository.config("maa.trustedStart") or ""
    values = {
        "__TOOL__": wanted.tool[0],
        "__VERSION__": wanted.tool[1],
        "__TRUSTED_START__": json.dumps(start if _OID.fullmatch(start) else ""),
        "__KNOWN_HOSTS__": json.dumps(wanted.known_hosts),
        "__SSH_URL__": json.dumps(wanted.ssh_url),
    }
    for name, value in values.items():
        template = template.replace(name, value)
    return template.encode()


def service_accounts(tenant: Tenant, wanted: OnGitHub) -> Part:
    """The accounts of the attestor and the deployer, where they are missing and their keys are given."""
    files, notes = {}, []
    for role, name in SERVICES:
        key = wanted.keys.get(role)
        if key is not None and (trouble := key_problem(key)) is not None:
            hint = f"ssh-keygen -t ed25519 -N '' -C {name} -f {name}, and give {name}.pub"
            raise NotAllowedError(f"the key of {name} cannot be used: {trouble}", hint=hint, code="unusableKey")
        account = tenant.accounts.get(name)
        if account is None and key is not None:
            files[f"accounts/{name}.yaml"] = _service_text(name, role, key)
        elif account is None:
            notes.append(f"there is no account {name} yet: ssh-keygen -t ed25519 -N '' -C {name} -f {name}, then")
            notes.append(f"  maa init --github … --{role.value}-key {name}.pub")
        elif key is not None and canonical_key(key) not in account.signing_keys:
            notes.append(f"accounts/{name}.yaml is left as it is; add to its signingKeys: {key}")
    return Part(files, tuple(notes))


def _service_text(name: str, role: Role, key: str) -> bytes:
    path = f"accounts/{name}.yaml"
    lines = (
        f"displayName: {'GitHub attestor' if role is Role.ATTESTOR else 'GitHub deployer'}",
        "kind: service",
        f"roles: [{role.value}]",
        "signingKeys:",
        f"  - {scalar(key)}",
    )
    return document(path, "account", "\n".join(lines) + "\n")


def identity_line(identity: tuple[str, int]) -> str:
    """The line of an account's file that says who somebody is on GitHub."""
    return f"github: {{login: {scalar(identity[0])}, id: {identity[1]}}}"


def identities(repository: Repository, tree: str, tenant: Tenant, wanted: OnGitHub) -> Part:
    """The files of accounts that exist, with their numbers on GitHub added."""
    files, notes = {}, []
    for name, identity in wanted.logins.items():
        account = tenant.accounts.get(name)
        if account is None or (account.github is not None and account.github.id == identity[1]):
            continue
        path = f"accounts/{name}.yaml"
        edited = (
            _with_line(repository, tree, path, "github", identity_line(identity)) if account.github is None else None
        )
        if edited is not None:
            files[path] = edited
        else:
            notes.append(f"{path} is left as it is; it should say: {identity_line(identity)}")
    return Part(files, tuple(notes))


def attested_policies(repository: Repository, tree: str) -> Part:
    """The starter policies that exist, made to accept sign-off on GitHub; says that the others do not."""
    files, notes = {}, []
    for path in ATTESTED:
        content = content_of(repository, tree, path)
        if content is None:
            continue
        plain, _ = read_yaml(content, path)
        if plain is not None and isinstance(plain.data, dict) and plain.data.get("attested") is True:
            continue
        edited = _with_line(repository, tree, path, "attested", "attested: true")
        if edited is not None:
            files[path] = edited
        else:
            notes.append(f"{path} is left as it is; to accept sign-off on GitHub it should say: attested: true")
    notes.append("changes to the access policies themselves still need signatures with people's own keys")
    return Part(files, tuple(notes))


def _with_line(repository: Repository, tree: str, path: str, key: str, line: str) -> bytes | None:
    """A document with a line added at its end, all else in it kept; None where that would not add just the key."""
    content = content_of(repository, tree, path) or b""
    text = content if content.endswith(b"\n") else content + b"\n"
    edited = text + line.encode() + b"\n"
    before, after = (read_yaml(data, path)[0] for data in (content, edited))
    if before is None or after is None or not isinstance(before.data, dict) or not isinstance(after.data, dict):
        return None
    others = {name: value for name, value in after.data.items() if name != key}
    return edited if key in after.data and others == before.data else None
