"""Resources: listing the files of an object, reading its document, and what is wrong with it.

A broken resource blocks requests on it and its apply, nothing else; so it is read only where it is asked for.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from maa_gitops.documents import Document, shipped_schema
from maa_gitops.errors import RepositoryError
from maa_gitops.git import Entry, Repository
from maa_gitops.model import Level, ObjectId, Problem, ProfileType, matches
from maa_gitops.tenant.load import Loaded, load, read_document, twins
from maa_gitops.tenant.paths import RECORDS, RESOURCES, Kind, document_path, entry_problem, place

SCRIPT_FILE_KEYS = ("scriptFile", "detectionScriptFile", "remediationScriptFile")
"""Keys of a script's document that name a sibling file."""

_SHIPPED_TYPES = ("app", "script")

_SHELL_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """What reading resources needs to know of the tenant: its profile types and their own schemas, by path."""

    types: tuple[ProfileType, ...]
    schemas: Mapping[str, Mapping[str, object]]

    def schema(self, profile_type: str) -> Mapping[str, object]:
        """The JSON Schema of a profile type's documents; everything is allowed where none is named.

        What a resource adopts is no property of the object, so a tenant's own schema need not know of it.
        """
        if profile_type in _SHIPPED_TYPES:
            return shipped_schema(profile_type)
        path = next((candidate.schema for candidate in self.types if candidate.name == profile_type), None)
        own = self.schemas.get(path, {}) if path is not None else {}  # a broken one is a problem of its own
        properties = own.get("properties")
        return {**own, "properties": {**(properties if isinstance(properties, dict) else {}), "adopt": _adopt()}}


def _adopt() -> object:
    """The schema of ``adopt``, as apps have it, without its references: another schema has not what they lead to."""
    definitions = shipped_schema("app")["$defs"]
    if not isinstance(definitions, dict):
        raise TypeError("the schema of apps has no definitions")
    return {
        **definitions["adopt"],
        "propertyNames": definitions["name"],
        "additionalProperties": definitions["remoteId"],
    }


def rules_of(loaded: Loaded) -> Rules:
    """The rules for reading resources, as far as the settings are sound."""
    types = loaded.settings.profile_types if loaded.settings is not None else ()
    return Rules(types, loaded.schemas)


def object_files(
    repository: Repository, tree: str, governed: ObjectId, types: Iterable[ProfileType]
) -> dict[str, Entry]:
    """The files of a resource in a tree, by path: its document and what stands beside it under the same stem."""
    folder, _, name = document_path(governed, tuple(types)).rpartition("/")
    stem = name.removesuffix(".yaml")
    top = repository.entry(tree, folder)
    if top is None or not top.is_folder:
        return {}
    return {f"{folder}/{entry.name}": entry for entry in _by_stem(repository, top.oid).get(stem, ())}


@lru_cache(maxsize=64)
def _by_stem(repository: Repository, folder: str) -> Mapping[str, Sequence[Entry]]:
    """The files of one folder by their names up to the first dot; kept, since each of its objects asks for them."""
    found: dict[str, list[Entry]] = {}
    for entry in repository.tree(folder):
        if not entry.is_folder:
            found.setdefault(entry.name.split(".", 1)[0], []).append(entry)
    return found


def read_resource(
    repository: Repository, tree: str, governed: ObjectId, rules: Rules
) -> tuple[Document | None, dict[str, Entry], tuple[Problem, ...]]:
    """Read a resource of a tree: its document, its files by path, and every problem of it.

    The document is None if there is none, or an error is among the problems.
    """
    files = object_files(repository, tree, governed, rules.types)
    path = document_path(governed, rules.types)
    problems = [
        Problem(where, 0, 0, "malformedTree", trouble, where)
        for where, entry in files.items()
        if (trouble := entry_problem(where, entry.mode, Kind.RESOURCE)) is not None
    ]
    if path not in files:
        problems += [
            Problem(where, 0, 0, "missingDocument", f"no resource names this file: there is no {path}", path)
            for where in files
        ]
        return None, files, tuple(sorted(problems))
    document, found = read_document(repository, path, files[path], rules.schema(governed.type))
    problems += found
    if document is not None:
        problems += _file_problems(repository, document, files)
        problems += _bare_app_problems(document)
    failed = any(problem.level is Level.ERROR for problem in problems)
    return (None if failed else document), files, tuple(sorted(problems))


def _file_problems(repository: Repository, document: Document, files: Mapping[str, Entry]) -> Iterator[Problem]:
    """Sibling files that are named but absent, or present but not named."""
    folder = document.path.rpartition("/")[0]
    data = document.data if isinstance(document.data, dict) else {}
    for key in SCRIPT_FILE_KEYS:
        name = data.get(key)
        if not isinstance(name, str):
            continue
        line, column = document.places.get((key,), (1, 1))
        if f"{folder}/{name}" not in files or f"{folder}/{name}" == document.path:
            stem = document.path.rpartition("/")[2].removesuffix(".yaml")
            text = f"file '{name}' is not there; it must stand beside the document and begin with '{stem}.'"
            yield Problem(document.path, line, column, "missingFile", text, key)
        elif data.get("type") == "deviceShellScript":
            yield from _shell_problems(repository, f"{folder}/{name}", files[f"{folder}/{name}"])
    named = set(_strings(document.data))
    for path in sorted(files):
        if path != document.path and path.rpartition("/")[2] not in named:
            yield Problem(path, 0, 0, "unusedFile", f"{document.path} does not name this file", path)


def _bare_app_problems(document: Document) -> Iterator[Problem]:
    """What Graph takes and devices then fail on: a winGetApp of which the store was told too little."""
    data = document.data
    if not isinstance(data, dict) or data.get("type") != "winGetApp":
        return
    for key in ("description", "publisher"):
        if not data.get(key):
            text = f"without {key}, Intune takes the app but devices fail to install it"
            yield Problem(document.path, 1, 1, "bareApp", text, key, Level.WARNING)


def _shell_problems(repository: Repository, path: str, entry: Entry) -> Iterator[Problem]:
    """What Intune refuses of a shell script: 1 MB and more, or no interpreter line."""
    if repository.blob_size(entry.oid) >= _SHELL_LIMIT:
        yield Problem(path, 0, 0, "tooLarge", "a shell script must be smaller than 1 MiB", path)
    elif not repository.blob(entry.oid).startswith(b"#!"):
        yield Problem(path, 1, 1, "noShebang", "a shell script must begin with an interpreter line (#!/bin/sh)", path)


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)


def resource_paths(repository: Repository, tree: str) -> Iterator[tuple[str, Entry]]:
    """Every file under ``resources/``, in no particular order."""
    for path, entry in walk(repository, tree, RESOURCES):
        if not entry.is_folder:
            yield path, entry


def walk(repository: Repository, tree: str, top: str) -> Iterator[tuple[str, Entry]]:
    """Every entry at and below a path of a tree, folders included."""
    start = repository.entry(tree, top)
    waiting = [(top, start)] if start is not None else []
    while waiting:
        path, entry = waiting.pop()
        yield path, entry
        if entry.is_folder:
            waiting += [(f"{path}/{inner.name}", inner) for inner in repository.tree(entry.oid)]


def objects_in(repository: Repository, tree: str, types: tuple[ProfileType, ...]) -> tuple[ObjectId, ...]:
    """Every resource of a tree, sorted."""
    found = (place(path, types).governed for path, _ in resource_paths(repository, tree))
    return tuple(sorted({governed for governed in found if governed is not None}))


def validate(repository: Repository, tree: str) -> tuple[Problem, ...]:
    """Every problem of a whole tree: rules, resources, the shape of what is under ``resources/`` and ``requests/``."""
    loaded = load(repository, tree)
    problems = list(loaded.problems)
    if loaded.settings is None:
        return tuple(sorted(set(problems)))
    rules = rules_of(loaded)
    for top in (RESOURCES, RECORDS):
        try:
            problems += _shape_problems(repository, tree, top, rules.types)
        except RepositoryError as error:
            if error.code != "malformedTree":
                raise
            problems.append(Problem(top, 0, 0, "malformedTree", error.message, top))
            return tuple(sorted(set(problems)))
    objects = objects_in(repository, tree, rules.types)
    for governed in objects:
        problems += read_resource(repository, tree, governed, rules)[2]
    problems += _dead_scopes(loaded, objects)
    return tuple(sorted(set(problems)))


def _shape_problems(repository: Repository, tree: str, top: str, types: tuple[ProfileType, ...]) -> Iterator[Problem]:
    for path, entry in walk(repository, tree, top):
        if entry.is_folder:
            yield from twins(path, [inner.name for inner in repository.tree(entry.oid)])
            continue
        where = place(path, types)
        trouble = where.why or entry_problem(path, entry.mode, where.kind)
        if trouble:
            yield Problem(path, 0, 0, "refused" if where.why else "malformedTree", trouble, path)


def _dead_scopes(loaded: Loaded, objects: tuple[ObjectId, ...]) -> Iterator[Problem]:
    """Scope patterns of resource types that protect nothing today."""
    policies = loaded.tenant.policies.values() if loaded.tenant is not None else ()
    resource_types = (
        {profile_type.name for profile_type in loaded.tenant.settings.profile_types} if loaded.tenant else set()
    )
    for policy in policies:
        if policy.profile_type not in resource_types:
            continue
        for index, pattern in enumerate(policy.scope):
            if not any(
                governed.type == policy.profile_type and matches(pattern, governed.name) for governed in objects
            ):
                path = f"policies/{policy.name}.yaml"
                line, column = loaded.documents[path].places.get(("scope", index), (1, 1))
                text = f"scope pattern '{pattern}' matches no resource"
                yield Problem(path, line, column, "deadScope", text, pattern, Level.WARNING)
