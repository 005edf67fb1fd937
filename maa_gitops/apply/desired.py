"""From the resources of a tree to the objects that a target should have; a broken one concerns nobody but itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from maa_gitops.canonical import digest
from maa_gitops.errors import DocumentError, RepositoryError
from maa_gitops.git import Entry, Repository
from maa_gitops.model import Level, ObjectId
from maa_gitops.providers import DesiredObject
from maa_gitops.tenant import Kind, Rules, load, place, read_resource, rules_of
from maa_gitops.tenant.resources import resource_paths

ADOPT = "adopt"
"""The key under which a document names the objects that it takes over."""

_FILE = "File"
_CONTENT = "Content"


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of a tree. ``files`` tells, by object, the digest of its files' paths, modes and ids.

    No document has been read for that: it is there to see which objects need to be read at all.
    """

    repository: Repository
    tree: str
    rules: Rules
    files: Mapping[ObjectId, str]


def resources_of(repository: Repository, tree: str) -> Resources:
    """List the resources of a tree.

    Raises:
        RepositoryError: its rules are broken, or a tree on the way is malformed.
    """
    loaded = load(repository, tree)
    if loaded.tenant is None:
        first = loaded.errors[0]
        raise RepositoryError(f"{first.path}: {first.message}", hint="maa validate", code="invalidDocument")
    rules = rules_of(loaded)
    lines: dict[ObjectId, list[bytes]] = {}
    for path, entry in resource_paths(repository, tree):
        where = place(path, rules.types)
        if where.kind is Kind.RESOURCE and where.governed is not None:
            lines.setdefault(where.governed, []).append(_line(path, entry))
    return Resources(repository, tree, rules, {name: digest(b"".join(sorted(found))) for name, found in lines.items()})


def _line(path: str, entry: Entry) -> bytes:
    return f"{entry.mode} {entry.oid} {path}\0".encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that a target should have, and the ids of those that exist already, by target."""

    state: DesiredObject
    adopt: Mapping[str, str]


def desired_object(resources: Resources, governed: ObjectId) -> Wanted:
    """Read the object that a target should have: a key ``scriptFile`` becomes ``scriptContent``, the file's text.

    Raises:
        DocumentError: the resource is broken; all of its problems are told.
    """
    document, files, problems = read_resource(resources.repository, resources.tree, governed, resources.rules)
    if document is None or not isinstance(document.data, dict):
        errors = [problem for problem in problems if problem.level is Level.ERROR]
        words = [f"{found.path}:{found.line}:{found.column}: {found.message}" for found in errors]
        raise _broken(governed, "; ".join(words) or "the document is no mapping")
    data = dict(document.data)
    folder = document.path.rpartition("/")[0]
    beside = {path.removeprefix(folder + "/"): entry for path, entry in files.items() if path != document.path}
    _take_in(resources.repository, governed, data, beside)
    adopt = data.pop(ADOPT, {})
    assignments = data.pop("assignments", [])
    if not isinstance(assignments, list) or not all(isinstance(found, dict) for found in assignments):
        raise _broken(governed, f"{document.path}: assignments is no list of mappings")
    if not isinstance(adopt, dict):
        raise _broken(governed, f"{document.path}: {ADOPT} is no mapping of targets to ids")
    state = DesiredObject(governed.type, data, tuple(assignments))
    return Wanted(state, {str(target): str(found) for target, found in adopt.items()})


def _take_in(repository: Repository, governed: ObjectId, data: dict[str, object], beside: Mapping[str, Entry]) -> None:
    """Replace the names of files by their text; a file whose content would not be sent is an error."""
    taken = set()
    for key, name in sorted(data.items()):
        if not key.endswith(_FILE) or not isinstance(name, str) or name not in beside:
            continue
        content = key.removesuffix(_FILE) + _CONTENT
        if content in data:
            raise _broken(governed, f"it has both {key} and {content}")
        data[content] = _text(repository, governed, name, beside[name])
        del data[key]
        if key == "scriptFile":
            data.setdefault("fileName", name)
        taken.add(name)
    left = sorted(beside.keys() - taken)
    if left:
        raise _broken(governed, f"{left[0]} is named by no key of its own that ends in '{_FILE}', so nothing takes it")


def _text(repository: Repository, governed: ObjectId, name: str, entry: Entry) -> str:
    try:
        return repository.blob(entry.oid).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken(governed, f"{name} is not UTF-8: byte {error.start}") from error


def _broken(governed: ObjectId, message: str) -> DocumentError:
    return DocumentError(message, path=str(governed))
