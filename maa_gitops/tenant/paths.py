"""From a path to the object that it belongs to, without reading any file.

It knows the table "what is protected" of the design; whether an access policy covers a resource is the tenant's to say.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from maa_gitops.model import ACCESS_POLICY_TYPE, ObjectId, ProfileType

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""One segment of a name."""

_ENTRY = re.compile(r"[A-Za-z0-9._-]+")
_RECORD = re.compile(rf"[0-9]{{4}}/{NAME.pattern}\.jsonl")
_RECORD_SUFFIX = ".jsonl"

SETTINGS = "maa.yaml"
RULE_FOLDERS = ("accounts", "groups", "policies", "schemas", ".github")
RULE_FILES = (SETTINGS, ".gitattributes")
RESOURCES = "resources"
RECORDS = "requests"
COMPANIONS = ("README.md", ".gitkeep")
"""Regular files that are no documents."""

_RESERVED = {name.casefold() for name in (*RULE_FOLDERS, *RULE_FILES, RESOURCES, RECORDS)}


class Kind(Enum):
    """What a path is to the tool."""

    RULE = "rule"
    RESOURCE = "resource"
    RECORD = "record"
    COMPANION = "companion"
    FREE = "free"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path belongs. ``governed`` is the object of a rule or resource; ``why`` says why it is refused."""

    kind: Kind
    governed: ObjectId | None = None
    why: str = ""


def place(path: str, types: Sequence[ProfileType]) -> Place:
    """Tell what a path is, from the path alone and the tenant's profile types."""
    first, *rest = path.split("/")
    if first in RULE_FILES and not rest:
        return Place(Kind.RULE, ObjectId(ACCESS_POLICY_TYPE, path))
    if first in RULE_FOLDERS and rest:
        return Place(Kind.RULE, ObjectId(ACCESS_POLICY_TYPE, path))
    if first == RECORDS and rest:
        return _record_place(rest)
    if first == RESOURCES and rest:
        return _resource_place(rest, types)
    if first.casefold() in _RESERVED:
        return Place(Kind.REFUSED, why=f"{path} takes the place of a name that this tool reserves")
    return Place(Kind.FREE)


def is_misfit(name: str, *, is_folder: bool) -> bool:
    """Whether an entry of the root takes the place of a reserved name: by other case, or as file for folder."""
    if name in RULE_FILES:
        return is_folder
    if name in (*RULE_FOLDERS, RESOURCES, RECORDS):
        return not is_folder
    return name.casefold() in _RESERVED


def _record_place(rest: Sequence[str]) -> Place:
    if _RECORD.fullmatch("/".join(rest)):
        return Place(Kind.RECORD)
    return Place(Kind.REFUSED, why=f"only records, {RECORDS}/<year>/<id>{_RECORD_SUFFIX}, may be in {RECORDS}/")


def _resource_place(rest: Sequence[str], types: Sequence[ProfileType]) -> Place:
    *folders, last = rest
    if last in COMPANIONS:
        return Place(Kind.COMPANION)
    owner = next((candidate for candidate in types if folders and candidate.folder == folders[0]), None)
    if owner is None:
        known = ", ".join(f"{RESOURCES}/{candidate.folder}/" for candidate in types)
        return Place(Kind.REFUSED, why=f"resources live in {known}")
    segments = (*folders[1:], last.split(".", 1)[0])
    if not all(NAME.fullmatch(segment) for segment in segments):
        return Place(
            Kind.REFUSED, why="names are lower-case letters, digits, _ and -, at most 64, and begin with no _ or -"
        )
    return Place(Kind.RESOURCE, ObjectId(owner.name, "/".join(segments)))


def entry_problem(path: str, mode: str, kind: Kind) -> str | None:
    """Say what is wrong with a tree entry on a path that the tool rules over; None: nothing."""
    if kind is Kind.FREE:
        return None
    if mode != "100644":
        return f"mode {mode}, but only regular files (100644) may stand here"
    if not all(_ENTRY.fullmatch(part) for part in path.split("/")):
        return "file names here are letters, digits, '.', '_' and '-'"
    return None


def record_path(request: str, year: int) -> str:
    """Where a request's record lies."""
    return f"{RECORDS}/{year:04}/{request}{_RECORD_SUFFIX}"


def split_record_path(path: str) -> tuple[str, int]:
    """The request's id and the year of a record's path, which must be one (``Kind.RECORD``)."""
    _, year, name = path.split("/")
    return name.removesuffix(_RECORD_SUFFIX), int(year)


def document_path(governed: ObjectId, types: Sequence[ProfileType]) -> str:
    """Where the document of an object lies. The object's type must be one of ``types``, or the rules' own."""
    if governed.type == ACCESS_POLICY_TYPE:
        return governed.name
    folder = next(candidate.folder for candidate in types if candidate.name == governed.type)
    return f"{RESOURCES}/{folder}/{governed.name}.yaml"
