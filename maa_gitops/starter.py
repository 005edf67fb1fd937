"""What ``maa init`` does: make a git repository a tenant repository, or add what is missing to one.

Everything is planned in memory, and the resulting tree is judged, before the first file is written. It neither asks
nor prints nor pushes, and in a tenant that exists it does not commit: ``submit`` does.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from maa_gitops.change import differences
from maa_gitops.documents import read_yaml
from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.git import Identity, RefUpdate, Repository
from maa_gitops.history import first_parents
from maa_gitops.model import BUILT_IN_TYPES, Problem, Role, Tenant
from maa_gitops.shipped import shipped_file, shipped_names
from maa_gitops.signing import canonical_key, key_problem
from maa_gitops.tenant import load, place
from maa_gitops.tenant.paths import NAME, RECORDS, RESOURCES, SETTINGS, entry_problem
from maa_gitops.tenant.resources import walk

GROUP = "approvers"
"""The approver group that the starter policies name."""

SCHEMA_FOLDER = "schemas/maa"
"""Where a tenant repository keeps copies of the shipped schemas, for editors. Source: decision 0002."""

_GROUP_FILE = f"groups/{GROUP}.yaml"
_ATTRIBUTES = ".gitattributes"
_ATTRIBUTE_LINES = ("* text=auto eol=lf", f"{RECORDS}/** -text -merge linguist-generated")
_ATTRIBUTES_TEXT = f"""\
# Documents end their lines with a line feed on every machine.
{_ATTRIBUTE_LINES[0]}
# Records are signed bytes: git neither converts them nor merges their lines.
{_ATTRIBUTE_LINES[1]}
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
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_CHANGE_PREFIX = "change/"


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks ``init`` for.

    ``accounts`` are names with the text of a public key's file. ``tenant`` may be left out where there is one already.
    """

    tenant: str | None = None
    accounts: tuple[tuple[str, str], ...] = ()
    admins: tuple[str, ...] = ()
    deployers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``init`` would do; nothing, if there are problems.

    ``files`` are what it writes below ``folder``, by path, and ``edits`` those of them that exist; ``tree`` is what
    results. ``author`` commits it, in a new tenant only, on top of ``head``. ``notes`` are for a person: what is left
    alone, what to do next.
    """

    folder: Path
    branch: str
    head: str | None
    tree: str
    files: Mapping[str, bytes]
    problems: tuple[Problem, ...] = ()
    edits: frozenset[str] = frozenset()
    author: Identity | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """What ``init`` did: the paths of the files written, sorted, and in a new tenant the commit that holds them."""

    branch: str
    files: tuple[str, ...]
    commit: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What ``init`` builds on. ``tree`` is HEAD's in a new tenant, else that of the work tree as it stands."""

    folder: Path
    branch: str
    head: str | None
    tree: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who starts a new tenant: git's identity, and the line of a public key where one is at hand."""

    identity: Identity
    key: str | None


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the plan."""

    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


# --- planning --------------------------------------------------------------------------------------------------------


def plan(repository: Repository, options: Options, own_key: Callable[[], str]) -> Plan:
    """Plan what makes the repository a tenant repository, or completes it; nothing is written to the work tree.

    ``own_key`` gives the caller's public key, with or without a comment. It is asked for the default first account,
    and to know which of the accounts is the caller's.

    Raises:
        NotAllowedError: an option cannot be followed, or this is not the branch for it.
        RepositoryError: there is no work tree, no identity or no key to begin with.
    """
    ground = _ground(repository)
    fixed = _fixed_files(repository, ground, options)
    tree = _overlaid(repository, ground.tree, fixed.files)
    loaded = load(repository, tree)
    problems = _told_once((*_collisions(repository, ground, tree), *loaded.errors))
    if problems or loaded.tenant is None:
        return Plan(ground.folder, ground.branch, ground.head, tree, fixed.files, problems)
    _refuse_other_tenant(options, loaded.tenant)
    caller = _caller(repository, options, own_key) if ground.is_new else None
    named = _named(options, caller)
    accounts = _accounts(named, options, loaded.tenant, caller)
    group = _group(repository, tree, loaded.tenant, tuple(named))
    files = {**fixed.files, **accounts.files, **group.files}
    policies = _policies(repository, _overlaid(repository, ground.tree, files))
    files |= policies.files
    tree = _overlaid(repository, ground.tree, files)
    notes = (*fixed.notes, *accounts.notes, *group.notes, *policies.notes)
    return Plan(
        folder=ground.folder,
        branch=ground.branch,
        head=ground.head,
        tree=tree,
        files=files,
        problems=_problems(repository, ground, tree),
        edits=frozenset(path for path in files if repository.entry(ground.tree, path) is not None),
        author=caller.identity if caller is not None else None,
        notes=(*notes, _next_step(repository, ground, files)),
    )


def _ground(repository: Repository) -> _Ground:
    folder = repository.work_tree
    if folder is None:
        raise RepositoryError(
            f"{repository.git_dir} is a repository without a work tree, and init writes files",
            hint="git clone it, and run init in the clone",
            code="noWorkTree",
        )
    branch, head = repository.current_branch(), repository.resolve("HEAD")
    tree = repository.commit(head).tree if head is not None else repository.write_tree(())
    if not _has_settings(repository, tree):
        return _Ground(folder, _branch_to_protect(repository, branch, head), head, tree, is_new=True)
    if branch is None or not branch.startswith(_CHANGE_PREFIX):
        where = f"'{branch}'" if branch is not None else "no branch"
        raise NotAllowedError(
            f"this is a tenant repository already: what init adds needs approval, and you are on {where}",
            hint=f"git switch -c {_CHANGE_PREFIX}add-what-is-missing, then run init again",
            code="notOnChangeBranch",
        )
    return _Ground(folder, branch, head, repository.snapshot(), is_new=False)


def _branch_to_protect(repository: Repository, branch: str | None, head: str | None) -> str:
    """The current branch, if a tenant may begin on it.

    Raises:
        NotAllowedError: it may not.
    """
    if branch is None or branch.startswith(_CHANGE_PREFIX):
        where = f"'{branch}' is a change branch" if branch is not None else "no branch is checked out"
        text = f"init protects the branch that is checked out, and {where}"
        raise NotAllowedError(text, hint="git switch -c main", code="noProtectedBranch")
    configured = repository.config("maa.protectedBranch")
    if configured not in (None, branch):
        text = f"this clone protects '{configured}' already, and you are on '{branch}'"
        raise NotAllowedError(text, hint=f"git switch {configured}", code="noProtectedBranch")
    # A second trusted start would hide from this clone whatever happened since the first.
    chain = first_parents(repository, head) if head is not None else ()
    earlier = next((oid for oid in chain if _has_settings(repository, repository.commit(oid).tree)), None)
    if earlier is not None:
        text = f"'{branch}' was a tenant repository already, in commit {earlier}: its {SETTINGS} must be put back"
        raise NotAllowedError(text, hint=f"git restore --source={earlier} {SETTINGS}", code="lostTenant")
    return branch


def _has_settings(repository: Repository, tree: str) -> bool:
    entry = repository.entry(tree, SETTINGS)
    return entry is not None and not entry.is_folder


def _overlaid(repository: Repository, tree: str, files: Mapping[str, bytes]) -> str:
    return repository.replace_paths(
        tree, {path: ("100644", repository.write_blob(content)) for path, content in files.items()}
    )


def _content(repository: Repository, tree: str, path: str) -> bytes | None:
    entry = repository.entry(tree, path)
    return repository.blob(entry.oid) if entry is not None and not entry.is_folder else None


# --- what collides ---------------------------------------------------------------------------------------------------


def _collisions(repository: Repository, ground: _Ground, tree: str) -> Iterator[Problem]:
    """What of the repository stands where the tool has its own files, each path once."""
    strangers = dict(_strangers(repository, ground.tree)) if ground.is_new else {}
    for path, (old, new) in differences(repository, ground.tree, tree).items():
        if old is not None and (new is None or ground.is_new or old.mode != new.mode):
            strangers.setdefault(path, "stands where init writes a file of its own")
    for path, text in strangers.items():
        yield Problem(path, 0, 0, "refused", text, path)


def _strangers(repository: Repository, tree: str) -> Iterator[tuple[str, str]]:
    """Files in folders that the tool reserves which it would refuse there, with the reason."""
    for path, entry in walk(repository, tree, RESOURCES):
        where = place(path, BUILT_IN_TYPES)
        trouble = None if entry.is_folder else where.why or entry_problem(path, entry.mode, where.kind)
        if trouble:
            yield path, trouble
    for path, entry in walk(repository, tree, RECORDS):
        if not entry.is_folder:
            yield path, f"{RECORDS}/ is for records of requests, and a new tenant has none"


def _told_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems, sorted: of those about a file as a whole the first is enough."""
    found: dict[object, Problem] = {}
    for problem in problems:
        found.setdefault(problem if problem.line else problem.path, problem)
    return tuple(sorted(found.values()))


def _problems(repository: Repository, ground: _Ground, tree: str) -> tuple[Problem, ...]:
    """What is wrong with the tree that would result, and what uncommitted work would be lost."""
    text = "not committed, and stands where init writes a file of its own"
    in_the_way = repository.would_overwrite(ground.folder, ground.tree, tree) if ground.is_new else ()
    lost = [Problem(path, 0, 0, "refused", text, path) for path in in_the_way]
    return _told_once((*lost, *load(repository, tree).errors))


# --- settings, attributes, schemas, folders --------------------------------------------------------------------------


def _fixed_files(repository: Repository, ground: _Ground, options: Options) -> _Part:
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
    files = {path: data for path, data in wanted.items() if data != _content(repository, tree, path)}
    return _Part(files, tuple(_attribute_notes(repository, tree)))


def _settings(options: Options, branch: str) -> bytes:
    if options.tenant is None:
        text = "a new tenant needs a name, which is part of every signature"
        raise NotAllowedError(text, hint="maa init --tenant NAME", code="missingTenant")
    body = _SETTINGS_TEXT.format(tenant=_scalar(options.tenant), branch=_scalar(branch))
    return _document(SETTINGS, "settings", body)


def _attribute_notes(repository: Repository, tree: str) -> Iterator[str]:
    content = _content(repository, tree, _ATTRIBUTES)
    if content is not None:
        there = content.decode("utf-8", "replace").splitlines()
        for line in _ATTRIBUTE_LINES:
            if line not in there:
                yield f"{_ATTRIBUTES} is left as it is; add the line: {line}"


def _refuse_other_tenant(options: Options, tenant: Tenant) -> None:
    name = tenant.settings.tenant
    if options.tenant not in (None, name):
        text = f"this is the repository of tenant '{name}', which cannot become '{options.tenant}'"
        raise NotAllowedError(text, hint="maa init, without --tenant", code="otherTenant")


# --- accounts --------------------------------------------------------------------------------------------------------


def _caller(repository: Repository, options: Options, own_key: Callable[[], str]) -> _Caller:
    """Who starts the tenant. Where accounts are given the key only tells which is the caller's: it may be missing."""
    identity = repository.identity()
    try:
        return _Caller(identity, own_key().strip())
    except RepositoryError:
        if not options.accounts:
            raise
        return _Caller(identity, None)


def _named(options: Options, caller: _Caller | None) -> Mapping[str, str]:
    """The key lines of the accounts to have, by name: those asked for, else in a new tenant the caller's.

    Raises:
        NotAllowedError: a name or a key that no account can have, or a name given twice.
    """
    named: dict[str, str] = {}
    if caller is not None and caller.key is not None and not options.accounts:
        named[_name_of(caller.identity)] = caller.key
    for name, text in options.accounts:
        if not NAME.fullmatch(name):
            what = f"'{name}' cannot name an account: at most 64 lower-case letters, digits, _ and -"
            raise NotAllowedError(what, code="invalidName")
        if name in named:
            raise NotAllowedError(f"account {name} is given twice", code="invalidName")
        named[name] = text.strip()
    for name, line in named.items():
        trouble = key_problem(line)
        if trouble is not None:
            hint = "give the file of a public key, such as ~/.ssh/id_ed25519.pub"
            raise NotAllowedError(f"the key of {name} cannot be used: {trouble}", hint=hint, code="unusableKey")
    return named


def _name_of(identity: Identity) -> str:
    """An account's name for somebody: from the name, else from the mail address."""
    for text in (identity.name, identity.email.partition("@")[0]):
        ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:64].rstrip("-")
        if slug:
            return slug
    text = f"no account name can be made of '{identity.name}' <{identity.email}>"
    raise NotAllowedError(text, hint="maa init --account NAME=PUBLIC_KEY_FILE", code="invalidName")


def _accounts(named: Mapping[str, str], options: Options, tenant: Tenant, caller: _Caller | None) -> _Part:
    """The files of new accounts, and what to change by hand in those that exist."""
    roles = _roles(named, options, tenant, is_new=caller is not None)
    files, notes = {}, []
    for name, line in named.items():
        path = f"accounts/{name}.yaml"
        if name not in tenant.accounts:
            files[path] = _document(path, "account", _account_text(name, line, roles.get(name, ()), caller))
        elif canonical_key(line) not in tenant.accounts[name].signing_keys:
            notes.append(f"{path} is left as it is; add to its signingKeys: {line}")
    for name in sorted(roles.keys() & tenant.accounts.keys()):
        lacking = [role for role in roles[name] if role not in tenant.accounts[name].roles]
        if lacking:
            notes.append(f"accounts/{name}.yaml is left as it is; add to its roles: {', '.join(lacking)}")
    return _Part(files, tuple(notes))


def _roles(named: Iterable[str], options: Options, tenant: Tenant, *, is_new: bool) -> Mapping[str, tuple[Role, ...]]:
    """The roles asked for, by account. In a new tenant the first account is the administrator if nobody else is."""
    known = (*named, *tenant.accounts)
    for option, names in (("--admin", options.admins), ("--deployer", options.deployers)):
        for name in names:
            if name not in known:
                text = f"{option} {name}: there is no such account; there are: {', '.join(sorted(set(known)))}"
                raise NotAllowedError(text, hint=f"add --account {name}=PUBLIC_KEY_FILE", code="unknownAccount")
    admins = options.admins or (known[:1] if is_new else ())
    deployers = options.deployers or admins
    wanted = ((Role.INTUNE_SERVICE_ADMINISTRATOR, admins), (Role.DEPLOYER, deployers))
    return {name: tuple(role for role, names in wanted if name in names) for name in (*admins, *deployers)}


def _account_text(name: str, line: str, roles: Iterable[Role], caller: _Caller | None) -> str:
    """An account's document; the caller's bears git's name and address."""
    display_name = " ".join(map(str.capitalize, re.split("[-_]+", name)))
    address = " ".join(line.split(" ")[2:])
    if caller is not None and caller.key is not None and canonical_key(caller.key) == canonical_key(line):
        display_name, address = caller.identity.name, caller.identity.email
    lines = [f"displayName: {_scalar(display_name)}"]
    if _is_address(address):
        lines.append(f"userPrincipalName: {_scalar(address)}")
    if roles:
        lines.append(f"roles: [{', '.join(roles)}]")
    return "\n".join([*lines, "signingKeys:", f"  - {_scalar(line)}", ""])


def _is_address(text: str) -> bool:
    """Whether a text is a mail address, and not the ``user@machine`` that ssh-keygen puts into a key by itself."""
    return _ADDRESS.fullmatch(text) is not None and not text.endswith(".local")


# --- the approver group and the policies -----------------------------------------------------------------------------


def _group(repository: Repository, tree: str, tenant: Tenant, named: Sequence[str]) -> _Part:
    """The group with everybody in it or, where it exists, with those who were named now."""
    people = [account.name for account in tenant.accounts.values() if account.is_enabled_person]
    if GROUP not in tenant.groups:
        members = ", ".join(map(_scalar, dict.fromkeys((*people, *named))))
        return _Part({_GROUP_FILE: _document(_GROUP_FILE, "group", _GROUP_TEXT.format(members=members))})
    there = tenant.groups[GROUP].members
    joining = [name for name in named if name not in there and (name in people or name not in tenant.accounts)]
    if not joining:
        return _Part({})
    edited = _with_members(_content(repository, tree, _GROUP_FILE) or b"", joining)
    if edited is None:
        return _Part({}, (f"{_GROUP_FILE} is left as it is; add to its members: {', '.join(joining)}",))
    return _Part({_GROUP_FILE: edited})


def _with_members(content: bytes, names: Sequence[str]) -> bytes | None:
    """The group's file with more members, all else in it kept; None where its members are not in the one line."""
    added = ", ".join(map(_scalar, names))
    text = _MEMBERS.sub(lambda found: f"members: [{', '.join(filter(None, (found[1], added)))}]", content.decode())
    before, after = (read_yaml(data, _GROUP_FILE)[0] for data in (content, text.encode()))
    if before is None or after is None or not isinstance(before.data, dict):
        return None
    wanted = {**before.data, "members": [*before.data["members"], *names]}
    return text.encode() if after.data == wanted else None


def _policies(repository: Repository, tree: str) -> _Part:
    """The starter policies that are missing, as soon as two people could satisfy them."""
    tenant = load(repository, tree).tenant
    wanted = {f"policies/{name}": shipped_file("policies", name).decode() for name in shipped_names("policies")}
    missing = {path: text for path, text in wanted.items() if repository.entry(tree, path) is None}
    if tenant is None or not missing:
        return _Part({})
    approvers = [name for name in tenant.groups[GROUP].members if tenant.accounts[name].is_enabled_person]
    if len(approvers) > 1:
        return _Part({path: _document(path, "access-policy", text) for path, text in missing.items()})
    who = f"only {approvers[0]} is" if approvers else "nobody is"
    steps = f"git switch -c {_CHANGE_PREFIX}second-account, maa init --account NAME=PUBLIC_KEY_FILE, maa submit -a"
    return _Part(
        {},
        (
            f"no access policy is written, since nobody could satisfy it: {who} in {_GROUP_FILE}",
            f"add a second account: {steps}",
        ),
    )


# --- documents -------------------------------------------------------------------------------------------------------


def _document(path: str, schema: str, body: str) -> bytes:
    """A YAML document whose first line tells editors its schema."""
    up = "../" * path.count("/")
    return f"# yaml-language-server: $schema={up}{SCHEMA_FOLDER}/{schema}.schema.json\n{body}".encode(
        "utf-8", "replace"
    )


def _scalar(text: str) -> str:
    """A text as YAML: plain where that is read back as the same text, else quoted."""
    document, _ = read_yaml(f"text: {text}\n".encode("utf-8", "replace"), "")
    is_plain = document is not None and document.data == {"text": text}
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _next_step(repository: Repository, ground: _Ground, files: Mapping[str, bytes]) -> str:
    if not ground.is_new:
        return "send it for approval: maa submit -a" if files else "there is nothing to add"
    remote = "" if repository.remote() is not None else "git remote add origin URL, "
    return f"share it: {remote}git push -u origin {ground.branch}"


# --- writing ---------------------------------------------------------------------------------------------------------


def carry_out(repository: Repository, planned: Plan, now: datetime) -> Started:
    """Write what was planned, all or nothing; in a new tenant commit it and pin it in this clone.

    Raises:
        NotAllowedError: the plan has problems; all are told.
        RepositoryError: a file cannot be written, or git refuses.
        RemoteError: ``lostRace``, the branch has moved since.
    """
    if planned.problems:
        raise _refusal(planned.problems)
    commit = None
    with _written(planned):
        if planned.author is not None:
            commit = _committed(repository, planned, planned.author, now)
    if commit is not None:
        _pin(repository, planned.branch, commit)
    return Started(planned.branch, tuple(sorted(planned.files)), commit, planned.notes)


def _refusal(problems: Iterable[Problem]) -> NotAllowedError:
    listed = (f"{p.path}:{p.line}:{p.column}: {p.message}" if p.line else f"{p.path}: {p.message}" for p in problems)
    text = f"this would not make a tenant repository: {'; '.join(listed)}"
    return NotAllowedError(text, hint="move or mend these files, then run init again", code="invalidDocument")


@contextmanager
def _written(planned: Plan) -> Iterator[None]:
    """Write the files; if that fails, or what is done inside the context, leave the folder as it was.

    Raises:
        RepositoryError: a file cannot be written.
    """
    try:
        with ExitStack() as undo:
            for path, content in planned.files.items():
                _write(undo, planned.folder / path, content, is_edit=path in planned.edits)
            yield
            undo.pop_all()
    except OSError as error:
        raise RepositoryError(f"init cannot write its files: {error}", code="writeFailed") from error


def _write(undo: ExitStack, file: Path, content: bytes, *, is_edit: bool) -> None:
    for parent in reversed(file.parents):
        if not parent.exists():
            parent.mkdir()
            undo.callback(parent.rmdir)
    if is_edit:
        undo.callback(file.write_bytes, file.read_bytes())
    else:
        file.touch(exist_ok=False)
        undo.callback(file.unlink)
    file.write_bytes(content)


def _committed(repository: Repository, planned: Plan, author: Identity, now: datetime) -> str:
    """Commit the files and nothing else, whatever else is staged or changed.

    Raises:
        MaaError: git refuses; index and branch are as they were.
    """
    parents = (planned.head,) if planned.head is not None else ()
    message = "Make this a tenant repository"
    commit = repository.write_commit(tree=planned.tree, parents=parents, message=message, identity=author, at=now)
    ref = f"refs/heads/{planned.branch}"
    repository.update_refs([RefUpdate(ref, planned.head, commit)], "maa: init")
    entries = ((path, repository.entry(planned.tree, path)) for path in planned.files)
    lines = "".join(f"{entry.mode} {entry.oid}\t{path}\0" for path, entry in entries if entry is not None).encode()
    done = repository.run("update-index", "-z", "--index-info", cwd=planned.folder, input=lines)
    if done.returncode:
        repository.update_refs([RefUpdate(ref, commit, planned.head)], "maa: init failed")
        raise RepositoryError(f"git does not take the files into its index: {done.last_words}", code="gitFailed")
    return commit


def _pin(repository: Repository, branch: str, commit: str) -> None:
    settings = {"maa.protectedBranch": branch, "maa.trustedStart": commit}
    try:
        for name, value in settings.items():
            repository.set_config(name, value)
    except RepositoryError as error:
        raise RepositoryError(
            f"commit {commit} makes this a tenant repository, but this clone cannot remember it: {error.message}",
            hint=" && ".join(f"git config {name} {value}" for name, value in settings.items()),
            code="gitFailed",
        ) from error
