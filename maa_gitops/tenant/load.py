"""One commit's files to a Tenant, with every problem of settings, accounts, groups and policies.

Resources are not read here: what protects them follows from their paths. Cross references are checked in
``references``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from maa_gitops import signing
from maa_gitops.documents import Document, check_schema, read_json_schema, read_yaml, shipped_schema
from maa_gitops.errors import RepositoryError
from maa_gitops.git import Entry, Repository
from maa_gitops.model import (
    BUILT_IN_TYPES,
    AccessPolicy,
    Account,
    AccountKind,
    ApproverGroup,
    CompleteBy,
    ForgeIdentity,
    Level,
    Problem,
    ProfileType,
    Role,
    Settings,
    Target,
    Tenant,
)
from maa_gitops.tenant.paths import COMPANIONS, NAME, RULE_FILES, RULE_FOLDERS, SETTINGS, Kind, entry_problem, is_misfit
from maa_gitops.tenant.references import reference_problems

DOCUMENT_LIMIT = 1024 * 1024
"""Bytes of a document, schema included."""

_FOLDER_DEPTH = 16
"""How deep folders under a rule folder may nest."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a commit's rules came to. ``tenant`` is None if and only if an error is among the problems.

    ``settings`` may be sound where other rules are not. ``documents`` are by path; they hold the places of values for
    messages.
    """

    tenant: Tenant | None
    problems: tuple[Problem, ...]
    documents: Mapping[str, Document]
    schemas: Mapping[str, Mapping[str, object]]
    settings: Settings | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are no warnings."""
        return tuple(problem for problem in self.problems if problem.level is Level.ERROR)


def load(repository: Repository, tree: str) -> Loaded:
    """Read the rules of a tree. Equal rules are read once, however many commits hold them."""
    entries = repository.tree(tree)
    misfits = tuple(entry.name for entry in entries if is_misfit(entry.name, is_folder=entry.is_folder))
    return _load(repository, tuple(entry for entry in entries if entry.name in (*RULE_FILES, *RULE_FOLDERS)), misfits)


def load_tenant(repository: Repository, commit: str) -> Tenant:
    """Read the rules of a commit that must be sound.

    Raises:
        RepositoryError: they have an error; nothing can be told from them.
    """
    loaded = load(repository, repository.commit(commit).tree)
    if loaded.tenant is None:
        first = loaded.errors[0]
        where = f"{first.path}:{first.line}:{first.column}" if first.line else first.path
        raise RepositoryError(
            f"the rules at {commit[:12]} are broken: {where}: {first.message}",
            hint=f"maa validate --commit {commit[:12]}",
            code="invalidDocument",
        )
    return loaded.tenant


@lru_cache(maxsize=64)
def _load(repository: Repository, rules: tuple[Entry, ...], misfits: tuple[str, ...]) -> Loaded:
    files: dict[str, Entry] = {}
    problems = [Problem(name, 0, 0, "refused", "takes the place of a reserved name", name) for name in misfits]
    for entry in rules:
        _collect(repository, entry, files, problems)
    reading = _Reading(repository, files, problems, {}, {})
    settings = reading.settings()
    if settings is not None:
        reading.own_schemas(settings)
    accounts = {name: _account(document) for name, document in reading.folder("accounts", "account").items()}
    groups = {name: _group(document) for name, document in reading.folder("groups", "group").items()}
    policies = {name: _policy(document) for name, document in reading.folder("policies", "access-policy").items()}
    if settings is None or any(problem.level is Level.ERROR for problem in problems):
        return Loaded(None, tuple(sorted(problems)), reading.documents, reading.schemas, settings)
    tenant = Tenant(settings, MappingProxyType(accounts), MappingProxyType(groups), MappingProxyType(policies))
    problems += reference_problems(tenant, reading.documents)
    failed = any(problem.level is Level.ERROR for problem in problems)
    found = None if failed else tenant
    return Loaded(found, tuple(sorted(problems)), reading.documents, reading.schemas, settings)


def _collect(repository: Repository, top: Entry, files: dict[str, Entry], problems: list[Problem]) -> None:
    """Gather the files below one top entry, by path, with what is wrong with their names and modes."""
    waiting = [(top.name, top)]
    while waiting:
        path, entry = waiting.pop()
        if not entry.is_folder:
            files[path] = entry
            trouble = entry_problem(path, entry.mode, Kind.RULE)
            if trouble:
                problems.append(Problem(path, 0, 0, "malformedTree", trouble, path))
            continue
        if path.count("/") >= _FOLDER_DEPTH:
            problems.append(Problem(path, 0, 0, "malformedTree", "folders are nested too deeply", path))
            continue
        try:
            below = repository.tree(entry.oid)
        except RepositoryError as error:
            if error.code != "malformedTree":
                raise
            problems.append(Problem(path, 0, 0, "malformedTree", error.message, path))
            continue
        problems += twins(path, [inner.name for inner in below])
        waiting += [(f"{path}/{inner.name}", inner) for inner in below]


def twins(folder: str, names: list[str]) -> list[Problem]:
    """Names in one folder that differ only by case."""
    seen: dict[str, str] = {}
    problems = []
    for name in sorted(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            path = f"{folder}/{name}" if folder else name
            problems.append(Problem(path, 0, 0, "caseTwin", f"differs from {other} only by case", other))
    return problems


@dataclass(frozen=True, slots=True)
class _Reading:
    """The documents of one set of rules while they are read."""

    repository: Repository
    files: Mapping[str, Entry]
    problems: list[Problem]
    documents: dict[str, Document]
    schemas: dict[str, Mapping[str, object]]

    def document(self, path: str, schema: str) -> Document | None:
        entry = self.files[path]
        document, problems = read_document(self.repository, path, entry, shipped_schema(schema))
        self.problems.extend(problems)
        if document is not None:
            self.documents[path] = document
        return document

    def settings(self) -> Settings | None:
        if SETTINGS not in self.files:
            text = "missing: it makes a repository a tenant repository"
            self.problems.append(Problem(SETTINGS, 0, 0, "missingDocument", text, SETTINGS))
            return None
        document = self.document(SETTINGS, "settings")
        return _settings(document) if document is not None else None

    def folder(self, folder: str, schema: str) -> dict[str, Document]:
        """The sound documents of a flat folder, by object name."""
        found = {}
        for path in sorted(self.files):
            top, _, rest = path.partition("/")
            if top != folder or rest in COMPANIONS:
                continue
            name = rest.removesuffix(".yaml")
            if not rest.endswith(".yaml") or not NAME.fullmatch(name):
                text = f"only <name>.yaml files may be in {folder}/; names are lower-case letters, digits, _ and -"
                self.problems.append(Problem(path, 0, 0, "unexpectedFile", text, path))
                continue
            document = self.document(path, schema)
            if document is not None:
                found[name] = document
        return dict(sorted(found.items()))

    def own_schemas(self, settings: Settings) -> None:
        """Read the schemas of the tenant's own profile types."""
        for profile_type in settings.profile_types:
            path = profile_type.schema
            if path is None or path in self.schemas:
                continue
            if path not in self.files:
                text = f"the schema of profile type {profile_type.name} is missing"
                self.problems.append(Problem(path, 0, 0, "missingDocument", text, profile_type.name))
                continue
            schema, problems = read_json_schema(read_limited(self.repository, self.files[path]), path)
            self.problems.extend(problems)
            if schema is not None:
                self.schemas[path] = schema


def read_limited(repository: Repository, entry: Entry) -> bytes:
    """Read a document's bytes, at most one byte more than a document may have."""
    if repository.blob_size(entry.oid) > DOCUMENT_LIMIT:
        return b"#" * (DOCUMENT_LIMIT + 1)
    return repository.blob(entry.oid)


def read_document(
    repository: Repository, path: str, entry: Entry, schema: Mapping[str, object]
) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read one YAML document and hold it to its schema; None if an error is among the problems."""
    if entry.mode != "100644":
        return None, ()  # the tree's problem is told where the tree is read
    document, problems = read_yaml(read_limited(repository, entry), path)
    if document is None:
        return None, problems
    problems = (*problems, *check_schema(document, schema))
    sound = not any(problem.level is Level.ERROR for problem in problems)
    return (document if sound else None), problems


# The documents have passed their schemas: what is read here has the shape that it is read as.


def _settings(document: Document) -> Settings:
    data = _mapping(document.data)
    requests = _mapping(data.get("requests", {}))
    own = tuple(
        ProfileType(name, str(value["folder"]), _optional(value.get("schema")), _mapping(value.get("graph", {})))
        for name, value in ((name, _mapping(value)) for name, value in _mapping(data.get("profileTypes", {})).items())
    )
    targets = tuple(
        Target(name, str(value["provider"]), {key: str(item) for key, item in value.items() if key != "provider"}, own)
        for name, value in (
            (name, _mapping(value)) for name, value in sorted(_mapping(data.get("targets", {})).items())
        )
    )
    return Settings(
        tenant=str(data["tenant"]),
        protected_branch=str(data["protectedBranch"]),
        expire_after_days=_integer(requests.get("expireAfterDays", 30)),
        complete_by=CompleteBy(str(requests.get("completeBy", "anyone"))),
        targets=targets,
        profile_types=(*BUILT_IN_TYPES, *sorted(own, key=lambda profile_type: profile_type.name)),
    )


def _account(document: Document) -> Account:
    data = _mapping(document.data)
    github = _mapping(data["github"]) if "github" in data else None
    keys = (signing.canonical_key(text) for text in _texts(data.get("signingKeys", [])))
    return Account(
        name=_stem(document.path),
        display_name=str(data["displayName"]),
        kind=AccountKind(str(data.get("kind", "person"))),
        user_principal_name=_optional(data.get("userPrincipalName")),
        emails=_texts(data.get("emails", [])),
        roles=frozenset(Role(role) for role in _texts(data.get("roles", []))),
        enabled=data.get("enabled", True) is True,
        github=ForgeIdentity(str(github["login"]), _integer(github["id"])) if github is not None else None,
        signing_keys=tuple(key for key in keys if key is not None),
    )


def _group(document: Document) -> ApproverGroup:
    data = _mapping(document.data)
    return ApproverGroup(
        _stem(document.path), str(data["displayName"]), _texts(data["members"]), _optional(data.get("description"))
    )


def _policy(document: Document) -> AccessPolicy:
    data = _mapping(document.data)
    return AccessPolicy(
        name=_stem(document.path),
        display_name=str(data["displayName"]),
        profile_type=str(data["profileType"]),
        approver_groups=_texts(data["approverGroups"]),
        required_approvals=_integer(data.get("requiredApprovals", 1)),
        scope=_texts(data.get("scope", [])),
        attested=data.get("attested", False) is True,
        description=_optional(data.get("description")),
    )


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".yaml")


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping, found {type(value).__name__}")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {type(value).__name__}")
    return tuple(str(item) for item in value)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer, found {type(value).__name__}")
    return value


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
