"""Reading an export of IntuneManagement: a folder for each kind of object, a JSON file for each, as Graph answered.

Source: IntuneManagement 3.10, its export. Groups are ids; what they are called stands in ``MigrationTable.json``, and
in a file for each in ``Groups``. Windows PowerShell writes UTF-16.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from maa_gitops.documents.foreign import read_foreign
from maa_gitops.errors import DocumentError
from maa_gitops.importing.files import BackupFile, file_bytes, object_files
from maa_gitops.importing.places import PLACES
from maa_gitops.importing.shaping import Backup, Piece
from maa_gitops.importing.values import LeftOut
from maa_gitops.providers.graph.shapes import Names

NAME = "IntuneManagement"

_TABLE = "MigrationTable.json"
_GROUPS, _FILTERS = "Groups", "AssignmentFilters"
_ORGANIZATION = "%OrganizationId%"
_ID = re.compile(r"[A-Za-z0-9._=-]{1,256}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CONTEXT = re.compile(r"\$metadata#(?P<path>[A-Za-z]+(?:/[A-Za-z]+)+)")


def is_backup(folder: Path) -> bool:
    """Whether a folder holds such an export, or one for each of some tenants."""
    own = [place.intune_management for place in PLACES if place.intunecd != place.intune_management]
    return any(True for _ in _tables(folder)) or any((folder / name).is_dir() for name in own)


def _tables(folder: Path) -> Iterator[str]:
    """The paths of the migration tables: of the export, or of those in folders that bear tenants' names."""
    inside = sorted(found.name for found in folder.iterdir() if found.is_dir() and not found.is_symlink())
    paths = (_TABLE, *(f"{name}/{_TABLE}" for name in inside))
    return (path for path in paths if os.path.lexists(folder / path))


def read(folder: Path) -> Backup:
    """Read an export.

    Raises:
        DocumentError: it is of several tenants, or its migration table does not read.
    """
    tables = list(_tables(folder))
    if len(tables) > 1:
        where = ", ".join(table.rpartition("/")[0] for table in tables)
        raise DocumentError(f"it holds exports of several tenants ({where}): name the folder of one", path=str(folder))
    tenant_id, groups = _table(folder, tables[0]) if tables else (None, {})
    there = list(object_files(folder, ()))
    files = [one for one in there if isinstance(one, BackupFile) and one.path.rpartition("/")[2] != _TABLE]
    names = Names(_names(files, _GROUPS) | groups, _names(files, _FILTERS))
    pieces, left_out = [], [one for one in there if isinstance(one, LeftOut)]
    for file in files:
        if file.folder.rpartition("/")[2] == _GROUPS:
            continue
        piece = _piece(file, tenant_id)
        if tenant_id is None and _mentions(piece.graph):
            left_out.append(piece.left_out(f"it names the tenant ({_ORGANIZATION}), and no {_TABLE} says which it is"))
        else:
            pieces.append(piece)
    return Backup(pieces, names, left_out, tenant_id)


def _table(folder: Path, path: str) -> tuple[str | None, dict[str, str]]:
    """The id of the tenant, and the names of groups by their ids.

    Raises:
        DocumentError: it does not read, or names a tenant by what is no id.
    """
    data = read_foreign(file_bytes(folder, path) or b"", path)
    table = {key.casefold(): value for key, value in data.items()} if isinstance(data, dict) else {}
    rows = table.get("objects")
    groups = {}
    for row in rows if isinstance(rows, list) else ():
        plain = {key.casefold(): value for key, value in row.items()} if isinstance(row, dict) else {}
        if "group" in str(plain.get("type", "")).casefold():
            groups[str(plain.get("id"))] = str(plain.get("displayname"))
    tenant_id = str(table["tenantid"]) if table.get("tenantid") else None
    if tenant_id is not None and not _GUID.fullmatch(tenant_id):
        raise DocumentError("its TenantId is no id of a tenant", path=path)
    return tenant_id, groups


def _names(files: Iterable[BackupFile], folder: str) -> dict[str, str]:
    """What the objects of a folder are called, by their ids."""
    inside = (file.data for file in files if file.folder.rpartition("/")[2] == folder)
    return {str(data["id"]): str(data["displayName"]) for data in inside if data.get("id") and data.get("displayName")}


def _piece(file: BackupFile, tenant_id: str | None) -> Piece:
    data = _with_tenant(file.data, tenant_id) if tenant_id is not None else file.data
    graph = data if isinstance(data, dict) else {}
    told = graph.get("id")
    return Piece(file.path, graph, _path(file), told if isinstance(told, str) and _ID.fullmatch(told) else None)


def _path(file: BackupFile) -> str | None:
    """The collection that a file's object is of: by its folder, else by what Graph said when it was asked."""
    name = file.folder.rpartition("/")[2]
    place = next((place for place in PLACES if place.intune_management == name), None)
    if place is not None:
        return place.path
    told = _CONTEXT.search(str(file.data.get("@odata.context", "")))
    return told["path"] if told is not None else name or None


def _with_tenant(value: object, tenant_id: str) -> object:
    """A value in which the tenant's id stands again where the export has a word for it."""
    match value:
        case str():
            return value.replace(_ORGANIZATION, tenant_id)
        case dict():
            return {key: _with_tenant(item, tenant_id) for key, item in value.items()}
        case list():
            return [_with_tenant(item, tenant_id) for item in value]
        case _:
            return value


def _mentions(value: object) -> bool:
    """Whether a property names the tenant; what Graph says beside properties does not count."""
    match value:
        case str():
            return _ORGANIZATION in value
        case Mapping():
            return any(_mentions(item) for key, item in value.items() if "@odata." not in key)
        case list():
            return any(map(_mentions, value))
        case _:
            return False
