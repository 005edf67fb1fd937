"""An object as Graph has it and as a resource has it; and the one form in which the two are compared. Pure.

A resource writes ``@odata.type`` as ``type``, scripts as text, groups and assignment filters by name.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maa_gitops.providers.graph.kinds import Collection, Kind

PREFIX = "#microsoft.graph."

NO_TEXT = "base64"
"""The key under which a content stands that is no text in UTF-8."""

Json = Any
"""Plain data as it came."""

_SIMPLE_TARGETS = {"allDevices": "allDevicesAssignmentTarget", "allUsers": "allLicensedUsersAssignmentTarget"}
_GROUP_TARGETS = {"group": "groupAssignmentTarget", "excludeGroup": "exclusionGroupAssignmentTarget"}
TARGETS = (*_SIMPLE_TARGETS, *_GROUP_TARGETS)
_TARGET_KEYS = {name: key for key, name in (*_SIMPLE_TARGETS.items(), *_GROUP_TARGETS.items())}
FILTER_ID, _FILTER_MODE = "deviceAndAppManagementAssignmentFilterId", "deviceAndAppManagementAssignmentFilterType"
_NOBODY = "00000000-0000-0000-0000-000000000000"
_ASSIGNMENT_REPORTS = frozenset({"id", "source", "sourceId", "@odata.type"})
_NOTHING = frozenset({"", "none", "notConfigured", "deviceDefault"})
_NONE_IS_SAID = frozenset({"firewallCertificateRevocationListCheckMethod", "firewallPreSharedKeyEncodingMethod"})
"""What can be ``deviceDefault`` or ``none``. Source: Microsoft Graph beta, windows10EndpointProtectionConfiguration."""

_MOMENT = re.compile(r"((?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d)\.0+(Z?)")
_MARK = re.compile(r"(?:\n\n|^)\[(maa:[^\s\[\]]{1,4096})\]\s*$")


@dataclass(frozen=True, slots=True)
class Names:
    """Names of things by id: of groups and of assignment filters. A name that several ids have tells none of them."""

    groups: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)

    def group_ids(self, name: str) -> tuple[str, ...]:
        """The ids of the groups of this name, sorted."""
        return _ids(self.groups, name)

    def filter_ids(self, name: str) -> tuple[str, ...]:
        """The ids of the assignment filters of this name, sorted."""
        return _ids(self.filters, name)


def _ids(names: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(sorted(found for found, known in names.items() if known == name))


# --- the type and the texts ------------------------------------------------------------------------------------------


def type_name(graph: Mapping[str, object]) -> str | None:
    """The type that an object says it is of, without its prefix; None: it does not say."""
    found = graph.get("@odata.type")
    return found.removeprefix("#").removeprefix("microsoft.graph.") if isinstance(found, str) else None


def kind_of(graph: Mapping[str, object], collection: Collection) -> str | None:
    """The type of an object. Where there is but one, Graph does not say it; None: objects have no type there."""
    only = next(iter(collection.kinds)) if len(collection.kinds) == 1 else None
    return type_name(graph) or only


def properties_of(graph: Mapping[str, object], collection: Collection) -> dict[str, object]:
    """An object's properties as a resource has them: what Graph only reports is left out, texts are texts."""
    kind = kind_of(graph, collection)
    found: dict[str, object] = {"type": kind} if kind is not None else {}
    for key, value in graph.items():
        if key in collection.reported or "@odata." in key:
            continue
        found[key] = _decoded(value) if key in collection.contents else value
    return found


def graph_properties(data: Mapping[str, object], collection: Collection) -> dict[str, object]:
    """A resource's properties as Graph has them."""
    found: dict[str, object] = {}
    for key, value in data.items():
        if key == "type":
            found["@odata.type"] = f"{PREFIX}{value}"
        elif key in collection.contents and isinstance(value, str):
            found[key] = base64.b64encode(value.encode()).decode()
        elif key in collection.contents and isinstance(value, Mapping) and NO_TEXT in value:
            found[key] = value[NO_TEXT]
        else:
            found[key] = value
    return found


def _decoded(value: object) -> object:
    """A text that Graph has in base64; what is none stays what it is, and is never the same as a text."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except ValueError:  # no base64, or no UTF-8
        return {NO_TEXT: value}


# --- the mark --------------------------------------------------------------------------------------------------------


def with_mark(text: object, marker: str) -> str:
    """A text property with our mark as its last line."""
    words = without_mark(text)
    return f"{words}\n\n[{marker}]" if words else f"[{marker}]"


def mark_in(text: object) -> str | None:
    """The mark that a text property bears."""
    found = _MARK.search(text) if isinstance(text, str) else None
    return found[1] if found is not None else None


def without_mark(text: object) -> str:
    """A text property as it is without a mark."""
    return _MARK.sub("", text) if isinstance(text, str) else ""


# --- assignments -----------------------------------------------------------------------------------------------------


def assignment_of(graph: Mapping[str, object], names: Names) -> dict[str, object]:
    """One assignment as a resource has it; what a resource cannot say stays as Graph has it."""
    found = {key: value for key, value in graph.items() if key not in _ASSIGNMENT_REPORTS}
    target = graph.get("target")
    if isinstance(target, Mapping):
        found["target"] = _target_of(target, names)
    settings, schedule = graph.get("settings"), graph.get("runSchedule")
    if isinstance(settings, Mapping):
        found["settings"] = {key: value for key, value in settings.items() if key != "@odata.type"}
    if isinstance(schedule, Mapping):
        rest = {key: value for key, value in schedule.items() if key != "@odata.type"}
        found["runSchedule"] = {"type": type_name(schedule), **rest}
    return found


def _target_of(graph: Mapping[str, object], names: Names) -> dict[str, object]:
    key = _TARGET_KEYS.get(type_name(graph) or "")
    if key is None:
        return dict(graph)
    group = str(graph.get("groupId", ""))
    found: dict[str, object] = {key: True} if key in _SIMPLE_TARGETS else _named(key, group, names.groups)
    wanted, mode = graph.get(FILTER_ID), graph.get(_FILTER_MODE)
    if wanted and wanted != _NOBODY and mode not in (None, "none"):
        found["filter"] = {**_named("name", str(wanted), names.filters), "mode": mode}
    return found


def _named(key: str, found: str, names: Mapping[str, str]) -> dict[str, object]:
    """A thing by its name; one whose name says not which it is, or that has none, by its id as well."""
    name = names.get(found)
    if name is None:
        return {f"{key}Id": found}
    return {key: name} if len(_ids(names, name)) == 1 else {key: name, f"{key}Id": found}


def graph_assignment(
    assignment: Mapping[str, object], collection: Collection, kind: str | None, names: Names
) -> dict[str, object]:
    """One assignment of an object as Graph has it; ``kind`` is the object's type, None: it has none.

    Raises:
        LookupError: with the words, a group or an assignment filter is unknown, or its name is not one's alone.
    """
    found: dict[str, object] = dict(assignment)
    if collection.assignment_type is not None:
        found["@odata.type"] = f"{PREFIX}{collection.assignment_type}"
    target = assignment.get("target")
    found["target"] = _graph_target(target if isinstance(target, Mapping) else {}, names)
    settings, schedule = assignment.get("settings"), assignment.get("runSchedule")
    settings_type = known.settings if (known := collection.kinds.get(kind or "")) is not None else None
    if isinstance(settings, Mapping) and settings_type is not None:
        found["settings"] = {"@odata.type": f"{PREFIX}{settings_type}", **settings}
    if isinstance(schedule, Mapping):
        rest = {key: value for key, value in schedule.items() if key != "type"}
        found["runSchedule"] = {"@odata.type": f"{PREFIX}{schedule.get('type')}", **rest}
    return found


def is_named(target: Mapping[str, object]) -> bool:
    """Whether Graph's form of an assignment's target is of a kind that resources write by name."""
    return type_name(target) in _TARGET_KEYS


def _graph_target(target: Mapping[str, object], names: Names) -> dict[str, object]:
    if "@odata.type" in target:
        return dict(target)
    key, *others = sorted(target.keys() - {"filter"}) or [""]
    if not key:
        raise LookupError("an assignment names no group")
    if others or key not in TARGETS or (key in _SIMPLE_TARGETS and target[key] is not True):
        raise LookupError(f"an assignment's target names just one of {', '.join(TARGETS)}, and perhaps a filter")
    found: dict[str, object] = {"@odata.type": f"{PREFIX}{(_SIMPLE_TARGETS | _GROUP_TARGETS)[key]}"}
    if key in _GROUP_TARGETS:
        found["groupId"] = _only(names.group_ids(str(target[key])), "group", str(target[key]))
    if "filter" in target:
        wanted = target["filter"]
        if not isinstance(wanted, Mapping) or wanted.get("mode") not in ("include", "exclude"):
            raise LookupError("an assignment filter needs a name, and the mode include or exclude")
        name = str(wanted.get("name"))
        found[FILTER_ID] = _only(names.filter_ids(name), "assignment filter", name)
        found[_FILTER_MODE] = wanted["mode"]
    return found


def _only(ids: Sequence[str], what: str, name: str) -> str:
    if len(ids) == 1:
        return ids[0]
    trouble = f"has no {what} named '{name}'" if not ids else f"has {len(ids)} {what}s named '{name}'"
    raise LookupError(f"the target {trouble}" + (f": {', '.join(ids)}" if ids else ""))


# --- the form that is compared ---------------------------------------------------------------------------------------


def compared(data: Mapping[str, object], collection: Collection) -> dict[str, object]:
    """A resource's properties in the one form for comparing: what is as it would be unsaid is left out.

    Of kinds that are not known here, ids within properties are left out too: Graph numbers what is inside as it likes,
    and writes the id of nothing where there is none.
    """
    kind = collection.kinds.get(str(data.get("type", "")))
    if kind is None:
        plain = {key: _plain(_nameless(value)) for key, value in data.items()}
        return {key: _ordered(key, value) for key, value in plain.items() if not _says_nothing(key, value)}
    kept = {key: _of_kind(key, value, kind) for key, value in data.items() if key in kind.writable}
    said = {key: value for key, value in kept.items() if not _is_default(value, kind.writable[key])}
    return {"type": data["type"], **said}


def _nameless(value: Any) -> Any:  # noqa: ANN401 - as below
    match value:
        case Mapping():
            return {key: _nameless(item) for key, item in value.items() if key != "id" and item != _NOBODY}
        case list() | tuple():
            return [_nameless(item) for item in value]
        case _:
            return value


def _untyped(value: Any) -> Any:  # noqa: ANN401 - as below
    """A value without the types that Graph may name in it: of a kind that is known they are known as well."""
    match value:
        case Mapping():
            return {key: _untyped(item) for key, item in value.items() if key != "@odata.type"}
        case list():
            return [_untyped(item) for item in value]
        case _:
            return value


def _of_kind(key: str, value: object, kind: Kind) -> object:
    plain = _untyped(_plain(value))
    if key in kind.flags and isinstance(plain, dict):
        return {name: flag for name, flag in plain.items() if flag}
    return sorted(plain, key=str) if key in kind.sets and isinstance(plain, list) else plain


def _is_default(value: object, default: object) -> bool:
    if value is None or value in ("", [], {}):
        return True
    return value == (list(default) if isinstance(default, tuple) else default)


def _says_nothing(key: str, value: object) -> bool:
    """Whether a property of a kind that is not known here is as Graph has what nobody set."""
    if isinstance(value, dict):
        return all(_says_nothing(name, item) for name, item in value.items())
    if value == "none" and key in _NONE_IS_SAID:
        return False
    nothing = value is None or value is False or value == [] or (isinstance(value, str) and value in _NOTHING)
    return nothing or (key == "roleScopeTagIds" and value == ["0"])


def _ordered(key: str, value: object) -> object:
    return sorted(value, key=str) if key == "roleScopeTagIds" and isinstance(value, list) else value


def _plain(value: Any) -> Any:  # noqa: ANN401 - plain data of any shape, as it came
    """A value without what Graph adds on its own: nulls, ids of nobody, annotations, fractions of seconds."""
    match value:
        case str():
            moment = _MOMENT.fullmatch(value)
            return moment[1] + moment[2] if moment is not None else value
        case Mapping():
            kept = {key: _plain(item) for key, item in value.items() if item is not None and not _is_note(key)}
            return {key: item for key, item in kept.items() if item not in ({}, [], "", _NOBODY)}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def _is_note(key: str) -> bool:
    """Whether a member is Graph's own remark, such as ``settings@odata.count``; the type of a value is none."""
    return "@odata." in key and key != "@odata.type"


def compared_assignments(assignments: Iterable[Mapping[str, object]]) -> tuple[dict[str, object], ...]:
    """Assignments in the one form for comparing."""
    return tuple(_compared_assignment(found) for found in assignments)


def _compared_assignment(assignment: Mapping[str, object]) -> dict[str, object]:
    """Graph answers ``runRemediationScript: false`` whatever was sent, so it is not compared; to apply is no news."""
    plain: dict[str, object] = _plain(assignment)
    return {
        key: value
        for key, value in plain.items()
        if key != "runRemediationScript" and (key, value) != ("intent", "apply")
    }


def is_unseen(assignments: Iterable[Mapping[str, object]]) -> bool:
    """Whether something is said that Graph never gives back, so that comparing does not tell whether it is there."""
    return any("runRemediationScript" in found for found in assignments)
