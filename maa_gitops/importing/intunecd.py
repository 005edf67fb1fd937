"""Reading a backup of IntuneCD: a folder for each kind of object, a JSON or YAML file for each object.

Source: IntuneCD 2.6, its backup modules. It leaves out ids, unless told to append them to the names of files, and the
descriptions of apps; it names groups, assignment filters and scope tags instead of giving their ids.
"""

import base64
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from maa_gitops.importing.files import BackupFile, file_bytes, object_files
from maa_gitops.importing.places import PLACES
from maa_gitops.importing.shaping import Backup, Piece
from maa_gitops.importing.values import LeftOut
from maa_gitops.providers.graph.shapes import Names

NAME = "IntuneCD"

NO_DESCRIPTIONS = (
    "IntuneCD keeps neither descriptions nor icons of apps: put them into the resources, or applying takes them away"
)

_PASSED_OVER = ("__archive__", "archive", "Assignment Report", "Script Data")
_SCOPE_TAGS = "Scope Tags"
_APPS, _HEALTH = "deviceAppManagement/mobileApps", "deviceManagement/deviceHealthScripts"
_POLICIES, _NEWER_POLICIES = "deviceManagement/deviceCompliancePolicies", "deviceManagement/compliancePolicies"
_SCRIPTS = {"deviceManagement/deviceManagementScripts": ".ps1", "deviceManagement/deviceShellScripts": ".sh"}
_NOT_GRAPHS = frozenset({"deviceComplianceScriptName", "detectionScriptName", "notificationTemplateName"})
"""Names that are put in beside ids; Graph knows no such properties."""

_ID = re.compile(r"__([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$")
_TAG_ID = re.compile(r"__([0-9]+)$")
_DROPPED = re.compile(r"[\x00-\x1f\x7f\u200b\u200c\u200d\u2060\ufeff]+")
_REPLACED = re.compile(r'[/\\:*?<>"|]')


def is_backup(folder: Path) -> bool:
    """Whether a folder holds such a backup."""
    own = [place.intunecd for place in PLACES if place.intunecd and place.intunecd != place.intune_management]
    platforms = folder / "Applications"
    has_platforms = platforms.is_dir() and any(inner.is_dir() for inner in platforms.iterdir())
    return has_platforms or any((folder / name).is_dir() for name in own)


def read(folder: Path) -> Backup:
    """Read a backup."""
    there = tuple(object_files(folder, _PASSED_OVER))
    files = [one for one in there if isinstance(one, BackupFile) and one.folder]
    reading = _Reading(folder, _scope_tags(files), Counter(path for one in files for _, path in _script_paths(one)))
    for file in files:
        reading.take(file)
    left_out = [*(one for one in there if isinstance(one, LeftOut)), *reading.left_out]
    notes = (NO_DESCRIPTIONS,) if any(piece.path == _APPS for piece in reading.pieces) else ()
    return Backup(reading.pieces, Names(reading.groups, reading.filters), left_out, notes=notes)


def _scope_tags(files: Sequence[BackupFile]) -> dict[str, str]:
    """The ids of scope tags by their names, as far as the names of files tell them."""
    found = {"Default": "0"}
    for file in files:
        told = _TAG_ID.search(file.stem)
        if file.folder == _SCOPE_TAGS and told is not None:
            found[str(file.data.get("displayName"))] = told[1]
    return found


def _path(file: BackupFile) -> str | None:
    """The collection that a file's object is of, by its folder."""
    place = next((one for one in PLACES if one.intunecd and _is_below(file.folder, one.intunecd)), None)
    if place is None:
        return None
    is_newer = place.path == _POLICIES and "technologies" in file.data
    return _NEWER_POLICIES if is_newer else place.path


def _is_below(folder: str, place: str) -> bool:
    return folder == place or folder.startswith(f"{place}/")


def _script_paths(file: BackupFile) -> Iterator[tuple[str, str]]:
    """The properties of an object that are scripts, and the files in which their texts are kept as well."""
    path = _path(file) or ""
    told = _ID.search(file.stem)
    suffix = f"__{told[1]}" if told is not None else ""
    folder = f"{file.folder}/Script Data"
    if path in _SCRIPTS:
        ending = _SCRIPTS[path]
        name = _file_name(str(file.data.get("fileName", "")).replace(ending, ""))
        yield "scriptContent", f"{folder}/{name}{suffix}{ending}"
    elif path == _HEALTH:
        name = _file_name(str(file.data.get("displayName", "")))
        for part in ("detectionScript", "remediationScript"):
            yield f"{part}Content", f"{folder}/{name}_{part}{suffix}.ps1"


def _file_name(text: str) -> str:
    return _REPLACED.sub("_", _DROPPED.sub("", text))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One backup while it is read. ``uses`` counts the objects that keep a script in a file."""

    folder: Path
    tags: Mapping[str, str]
    uses: Mapping[str, int]
    pieces: list[Piece] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)

    def take(self, file: BackupFile) -> None:
        """Take in one object."""
        told = _ID.search(file.stem)
        remote_id = told[1].lower() if told is not None else None
        graph = {key: _without_names(value) for key, value in file.data.items() if key not in _NOT_GRAPHS}
        piece = Piece(file.path, graph, _path(file) or file.folder, remote_id)
        trouble = self._put_scripts(file, graph) or self._put_tags(graph)
        if trouble is not None:
            self.left_out.append(piece.left_out(trouble))
            return
        assignments = graph.get("assignments")
        if isinstance(assignments, list):
            graph["assignments"] = [self._assignment(found) for found in assignments]
        self.pieces.append(piece)

    def _put_scripts(self, file: BackupFile, graph: dict[str, object]) -> str | None:
        for key, path in _script_paths(file):
            kept, apart = graph.get(key), file_bytes(self.folder, path)
            if not isinstance(kept, str) or not kept:
                if apart is not None and self.uses[path] > 1:
                    return f"{path} is the file of several scripts, so that nobody can tell whose text it has"
                kept = None
            if apart is not None and self.uses[path] == 1 and not _is_same(kept, apart):
                graph[key] = base64.b64encode(apart).decode()
        return None

    def _put_tags(self, graph: dict[str, object]) -> str | None:
        tags = graph.get("roleScopeTagIds")
        for tag in tags if isinstance(tags, list) else ():
            if not isinstance(tag, str) or (tag not in self.tags and not tag.isdecimal()):
                return f"nothing says which id the scope tag '{tag}' has (IntuneCD does with --append-id)"
        if isinstance(tags, list):
            graph["roleScopeTagIds"] = [self.tags.get(str(tag), str(tag)) for tag in tags]
        return None

    def _assignment(self, found: object) -> object:
        """An assignment with names for ids, which stand for themselves from here on."""
        target = found.get("target") if isinstance(found, dict) else None
        if not isinstance(found, dict) or not isinstance(target, dict):
            return found
        kept = {key: value for key, value in target.items() if key not in ("groupName", "groupType", "membershipRule")}
        if "group" in str(target.get("@odata.type", "")).casefold():
            name = kept["groupId"] = str(target.get("groupName") or "")
            self.groups.update({name: name} if name else {})
        wanted = kept.get("deviceAndAppManagementAssignmentFilterId")
        if isinstance(wanted, str) and not _ID.fullmatch(f"__{wanted}"):
            self.filters[wanted] = wanted
        return {**found, "target": kept}


def _without_names(value: object) -> object:
    """A value without what was put in beside ids."""
    if isinstance(value, dict):
        return {key: _without_names(item) for key, item in value.items() if key not in _NOT_GRAPHS}
    return [_without_names(item) for item in value] if isinstance(value, list) else value


def _is_same(kept: str | None, apart: bytes) -> bool:
    """Whether a script's file holds the text that the object has, however the file's lines end."""
    if kept is None:
        return False
    try:
        content = base64.b64decode(kept, validate=True)
    except ValueError:
        return False
    return content.replace(b"\r", b"") == apart.replace(b"\r", b"") or apart.decode("utf-8", "replace") == kept
