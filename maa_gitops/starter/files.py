"""The other files that ``init`` writes: settings, attributes, schemas, the approver group, access policies."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from maa_gitops.documents import read_yaml
from maa_gitops.errors import NotAllowedError
from maa_gitops.git import Repository
from maa_gitops.model import BUILT_IN_TYPES, Tenant
from maa_gitops.shipped import shipped_file, shipped_names
from maa_gitops.starter.values import GROUP, SCHEMA_FOLDER, Ground, Options, Part
from maa_gitops.tenant import load
from maa_gitops.tenant.paths import RECORDS, RESOURCES, SETTINGS
from maa_gitops.workflow.clone import CHANGE_PREFIX

_GROUP_FILE = f"groups/{GROUP}.yaml"

_ATTRIBUTES = ".gitattributes"

_SCRIPTS = tuple(f"{RESOURCES}/**/*.{ending} -text" for ending in ("ps1", "sh"))
_ATTRIBUTE_LINES = ("* text=auto eol=lf", *_SCRIPTS, f"{RECORDS}/** -text -merge linguist-generated")

_ATTRIBUTES_TEXT = f"""\
# Documents end their lines with a line feed on every machine.
{_ATTRIBUTE_LINES[0]}
# Scripts are sent as they are: some are signed, and their ends of lines are a part of that.
{_ATTRIBUTE_LINES[1]}
{_ATTRIBUTE_LINES[2]}
# Records are signed bytes: git neither converts them nor merges their lines.
{_ATTRIBUTE_LINES[3]}
"""

_SETTINGS_TEXT = """\
version: 1
tenant: {tenant}  # part of every signature; never changes
protectedBranch: {branch}  # holds what is approved; never changes
# requests:
#   expireAfterDays: 30  # how long a request waits; Intune today: 3
#   completeBy: anyone  # or requestor, as Intune has it today
targets:
  local: {{provider: local}}  # an embedded tenant in a file of this clone
# profileTypes:  # kinds of resources beside app and script
#   compliancePolicy:
#     folder: compliance-policies  # resources/compliance-policies/
"""

_GROUP_TEXT = """\
displayName: Approvers
description: Who may approve changes. Nobody approves a change of their own.
members: [{members}]
"""

_MEMBERS = re.compile(r"^members: \[([^\]\n]*)\]", re.MULTILINE)


def overlaid(repository: Repository, tree: str, files: Mapping[str, bytes]) -> str:
    """Write a tree with files put in place."""
    return repository.replace_paths(
        tree, {path: ("100644", repository.write_blob(content)) for path, content in files.items()}
    )


def content_of(repository: Repository, tree: str, path: str) -> bytes | None:
    """A file's bytes; None: there is none."""
    entry = repository.entry(tree, path)
    return repository.blob(entry.oid) if entry is not None and not entry.is_folder else None


def fixed_files(repository: Repository, ground: Ground, options: Options) -> Part:
    """The files that do not depend on who there is."""
    tree = ground.tree
    wanted = {f"{SCHEMA_FOLDER}/{name}": shipped_file("schemas", name) for name in shipped_names("schemas")}
    if ground.is_new:
        wanted[SETTINGS] = _settings(options, ground.branch)
    if repository.entry(tree, _ATTRIBUTES) is None:
        wanted[_ATTRIBUTES] = _ATTRIBUTES_TEXT.encode()
    for profile_type in BUILT_IN_TYPES:
        folder = f"{RESOURCES}/{profile_type.folder}"
        if repository.entry(tree, folder) is None:
            wanted[f"{folder}/.gitkeep"] = b""
    files = {path: data for path, data in wanted.items() if data != content_of(repository, tree, path)}
    return Part(files, tuple(_attribute_notes(repository, tree)))


def _settings(options: Options, branch: str) -> bytes:
    if options.tenant is None:
        text = "a new tenant needs a name, which is part of every signature"
        raise NotAllowedError(text, hint="maa init --tenant NAME", code="missingTenant")
    body = _SETTINGS_TEXT.format(tenant=scalar(options.tenant), branch=scalar(branch))
    return document(SETTINGS, "settings", body)


def _attribute_notes(repository: Repository, tree: str) -> Iterator[str]:
    content = content_of(repository, tree, _ATTRIBUTES)
    if content is not None:
        there = content.decode("utf-8", "replace").splitlines()
        for line in _ATTRIBUTE_LINES:
            if line not in there:
                yield f"{_ATTRIBUTES} is left as it is; add the line: {line}"


def group_file(repository: Repository, tree: str, tenant: Tenant, named: Sequence[str]) -> Part:
    """The group with everybody in it or, where it exists, with those who were named now."""
    people = [account.name for account in tenant.accounts.values() if account.is_enabled_person]
    if GROUP not in tenant.groups:
        members = ", ".join(map(scalar, dict.fromkeys((*people, *named))))
        return Part({_GROUP_FILE: document(_GROUP_FILE, "group", _GROUP_TEXT.format(members=members))})
    there = tenant.groups[GROUP].members
    joining = [name for name in named if name not in there and (name in people or name not in tenant.accounts)]
    if not joining:
        return Part({})
    edited = _with_members(content_of(repository, tree, _GROUP_FILE) or b"", joining)
    if edited is None:
        return Part({}, (f"{_GROUP_FILE} is left as it is; add to its members: {', '.join(joining)}",))
    return Part({_GROUP_FILE: edited})


def _with_members(content: bytes, names: Sequence[str]) -> bytes | None:
    """The group's file with more members, all else in it kept; None where its members are not in the one line."""
    added = ", ".join(map(scalar, names))
    text = _MEMBERS.sub(lambda found: f"members: [{', '.join(filter(None, (found[1], added)))}]", content.decode())
    before, after = (read_yaml(data, _GROUP_FILE)[0] for data in (content, text.encode()))
    if before is None or after is None or not isinstance(before.data, dict):
        return None
    wanted = {**before.data, "members": [*before.data["members"], *names]}
    return text.encode() if after.data == wanted else None


def policy_files(repository: Repository, tree: str) -> Part:
    """The starter policies that are missing, as soon as two people could satisfy them."""
    tenant = load(repository, tree).tenant
    wanted = {f"policies/{name}": shipped_file("policies", name).decode() for name in shipped_names("policies")}
    missing = {path: text for path, text in wanted.items() if repository.entry(tree, path) is None}
    if tenant is None or not missing:
        return Part({})
    approvers = [name for name in tenant.groups[GROUP].members if tenant.accounts[name].is_enabled_person]
    if len(approvers) > 1:
        return Part({path: document(path, "access-policy", text) for path, text in missing.items()})
    who = f"only {approvers[0]} is" if approvers else "nobody is"
    steps = f"git switch -c {CHANGE_PREFIX}second-account, maa init --account NAME=PUBLIC_KEY_FILE, maa submit -a"
    return Part(
        {},
        (
            f"no access policy is written, since nobody could satisfy it: {who} in {_GROUP_FILE}",
            f"add a second account: {steps}",
        ),
    )


def document(path: str, schema: str, body: str) -> bytes:
    """A YAML document whose first line tells editors its schema."""
    up = "../" * path.count("/")
    return f"# yaml-language-server: $schema={up}{SCHEMA_FOLDER}/{schema}.schema.json\n{body}".encode(
        "utf-8", "replace"
    )


def scalar(text: str) -> str:
    """A text as YAML: plain where that is read back as the same text, else quoted."""
    document, _ = read_yaml(f"text: {text}\n".encode("utf-8", "replace"), "")
    is_plain = document is not None and document.data == {"text": text}
    return text if is_plain else json.dumps(text, ensure_ascii=False)
