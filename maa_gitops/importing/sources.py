"""The two sources of an import: what a target holds, and a backup that another tool has made of one."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from maa_gitops.errors import DocumentError
from maa_gitops.importing import intune_management, intunecd
from maa_gitops.importing.assigning import first_trouble
from maa_gitops.importing.shaping import Backup, Shaper
from maa_gitops.importing.values import Found, LeftOut, Source
from maa_gitops.model import Settings, Target
from maa_gitops.providers import DesiredObject, Provider, RemoteObject
from maa_gitops.providers.graph.kinds import collections

GRAPH = "graph"


def from_target(target: Target, provider: Provider, applied: Mapping[str, str]) -> Source:
    """Read what a target holds; ``applied`` are the resources that objects were applied from, by remote id.

    Raises:
        RemoteError: the target does not answer.
    """
    objects = provider.objects()
    found: list[Found] = []
    left_out = [LeftOut(_origin(target, one.remote_id), one.name, one.why) for one in provider.left_out()]
    for remote_id in sorted(objects):
        one = found_there(target, objects[remote_id], applied.get(remote_id))
        trouble = first_trouble(one.state.assignments)
        if trouble is None:
            found.append(one)
        else:
            left_out.append(LeftOut(one.origin, one.display_name, f"one of its assignments: {trouble}"))
    return Source(target.name, tuple(found), tuple(left_out), target.name, provider.as_sent, is_live=True)


def found_there(target: Target, remote: RemoteObject, name: str | None = None) -> Found:
    """An object of a target as one that was found."""
    origin, called = _origin(target, remote.remote_id), display_name(target, remote.held)
    return Found(remote.held, origin, called, remote.remote_id, name, remote.marker)


def _origin(target: Target, remote_id: str) -> str:
    return f"{target.name}:{remote_id}"


def display_name(target: Target, state: DesiredObject) -> str:
    """What people call an object; empty if it has no name."""
    own = next((one.graph.get("nameProperty") for one in target.types if one.name == state.profile_type), None)
    keys = ("displayName", "name") if own is None else (str(own),)
    return next((str(state.data[key]) for key in keys if state.data.get(key)), "")


def from_backup(folder: Path, settings: Settings, target: Target | None, applied: Mapping[str, str]) -> Source:
    """Read a backup of IntuneCD or an export of IntuneManagement; ``target`` is the one whose ids it may have.

    ``applied`` are the resources that objects of that target were applied from, by remote id.

    Raises:
        DocumentError: the folder is neither, or does not read.
    """
    reader = _reader(folder)
    backup: Backup = reader.read(folder)
    shaper = Shaper(collections(Target("", GRAPH, types=settings.profile_types)), backup.names)
    for piece in backup.pieces:
        shaper.take(piece)
    reason = _no_adopting(backup, shaper, target, settings)
    adopts = target.name if target is not None and reason is None else None
    names = applied if adopts is not None else {}
    single, several = _told_once(shaper.found)
    return Source(
        f"{reader.NAME} in {folder}",
        tuple(replace(one, name=names.get(one.remote_id or "")) for one in single),
        (*backup.left_out, *shaper.left_out, *several),
        adopts,
        shaper.as_there,
        notes=(*backup.notes, *_notes(shaper, reason)),
        warnings=_warnings(shaper) if adopts is not None else (),
    )


def _reader(folder: Path) -> ModuleType:
    """Whoever reads such a folder.

    Raises:
        DocumentError: nobody does.
    """
    try:
        reader = next((reader for reader in (intune_management, intunecd) if reader.is_backup(folder)), None)
    except OSError as error:
        raise DocumentError(f"it cannot be read: {error.strerror}", path=str(folder), code="noBackup") from error
    if reader is None:
        message = "it is neither a backup of IntuneCD nor an export of IntuneManagement"
        raise DocumentError(message, path=str(folder), hint="name the folder that was given to it", code="noBackup")
    return reader


def _told_once(found: Sequence[Found]) -> tuple[list[Found], list[LeftOut]]:
    """The objects of which one file tells; those that several files are of, by their ids, stay out."""
    times = Counter((one.state.profile_type, one.remote_id) for one in found)
    why = "several files are of this object, so that nobody can tell which is right; take away all but one"
    single: list[Found] = []
    several: list[LeftOut] = []
    for one in found:
        if one.remote_id is not None and times[one.state.profile_type, one.remote_id] > 1:
            several.append(LeftOut(one.origin, one.display_name, why))
        else:
            single.append(one)
    return single, several


def _notes(shaper: Shaper, reason: str | None) -> Iterator[str]:
    """What to say of objects that adopt nothing."""
    if reason is not None and shaper.found:
        yield f"nothing is adopted, so applying makes new objects: {reason}"
    missing = sum(one.remote_id is None for one in shaper.found)
    if missing and reason is None:
        yield f"{missing} of the objects have no id in the backup and adopt nothing: applying makes new ones"


def _warnings(shaper: Shaper) -> tuple[str, ...]:
    """What to say of objects that are adopted with less than they have: a change says everything."""
    names = [f"'{one.display_name[:80]}'" for one in shaper.reduced if one.remote_id is not None]
    if not names:
        return ()
    who = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    what = "applying would take away the assignments that are left out"
    return (f"{what} of {who}: add them to the resource, or delete it",)


def _no_adopting(backup: Backup, shaper: Shaper, target: Target | None, settings: Settings) -> str | None:
    """Why the objects of a backup cannot be told on a target; None: they can, where they have an id."""
    if not any(one.remote_id for one in shaper.found):
        return "the backup has no ids (IntuneCD writes them with --append-id)"
    if target is None:
        there = sorted(one.name for one in settings.targets if one.provider == GRAPH)
        which = f"name the target with --target ({', '.join(there)})" if there else "maa.yaml has no graph target"
        return f"nothing says which target the backup is of; {which}"
    wanted = target.options.get("tenantId")
    if backup.tenant_id and wanted and backup.tenant_id.casefold() != wanted.casefold():
        return f"the backup is of tenant {backup.tenant_id}, and target {target.name} is {wanted}"
    return None
