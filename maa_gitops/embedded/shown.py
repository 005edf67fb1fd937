"""An object as an answer has it: defaults where nothing was said, what Graph reports, what a list leaves out."""

from collections.abc import Mapping
from datetime import datetime

from maa_gitops.embedded.catalog import FLAGS, Place, defaults_of, is_uploaded, place_of
from maa_gitops.embedded.messages import Json, stamp
from maa_gitops.providers.graph.kinds import Collection
from maa_gitops.providers.graph.shapes import type_name
from maa_gitops.providers.store import GraphSide

PUBLISHES = "publishes"
"""Member of what is reported that tells from when an app is published; ``READ``: once it has been read."""

READ = "read"


def navigations(collection: Collection) -> frozenset[str]:
    """The properties that are only given if they are asked for."""
    return frozenset(name.partition("(")[0] for name in collection.expand)


def shown(side: GraphSide, collection: Collection, now: datetime, *, listed: bool = False) -> dict[str, Json]:
    """The whole object, without what must be asked for with ``$expand``."""
    place = place_of(side.path)
    kind = type_name(side.properties)
    hidden = navigations(collection)
    given = {key: value for key, value in side.properties.items() if key not in hidden and key != "@odata.type"}
    answer: dict[str, Json] = {"@odata.type": side.properties.get("@odata.type")} if _says_type(side, place) else {}
    answer |= {"id": side.remote_id, **_reported(side, collection, place, now)}
    answer |= {key: value for key, value in defaults_of(collection, kind).items() if key not in hidden}
    answer |= {key: _with_flags(kind, key, value) for key, value in given.items()}
    if listed:
        answer |= {key: value for key, value in place.unlisted.items() if key in answer}
    return answer


def _says_type(side: GraphSide, place: Place) -> bool:
    return place.says_type and "@odata.type" in side.properties


def _reported(side: GraphSide, collection: Collection, place: Place, now: datetime) -> dict[str, Json]:
    known = {key: value for key, value in side.reported.items() if key not in (PUBLISHES, "version")}
    added = {key: side.reported.get(key, value) for key, value in place.adds.items()}
    if collection.publishes:
        added |= {"publishingState": publishing_state(side, now), "isAssigned": bool(side.assignments)}
    if side.path == "deviceManagement/deviceHealthScripts":
        added["version"] = str(side.reported.get("version", 1))
    if side.path == "deviceManagement/configurationPolicies":
        settings = side.properties.get("settings")
        added |= {"settingCount": len(settings) if isinstance(settings, list) else 0}
        added |= {"isAssigned": bool(side.assignments)}
    return {**known, **added}


def publishing_state(side: GraphSide, now: datetime) -> str:
    """How far an app is: one that has never been given its file stays where it was."""
    if "publishingState" in side.reported:
        return str(side.reported["publishingState"])
    when = side.reported.get(PUBLISHES)
    return "published" if when is None or (when != READ and when <= stamp(now)) else "processing"


def first_state(kind: str | None, collection: Collection, when: str) -> dict[str, Json]:
    """What is reported of a new object's publishing."""
    if not collection.publishes:
        return {}
    return {"publishingState": "notPublished"} if is_uploaded(kind) else {PUBLISHES: when}


def _with_flags(kind: str | None, key: str, value: Json) -> Json:
    names = FLAGS.get((kind or "", key))
    if names is None or not isinstance(value, Mapping):
        return value
    return {**{name: bool(value.get(name)) for name in names}, **value}


def shown_assignments(side: GraphSide, collection: Collection) -> list[dict[str, Json]]:
    """An object's assignments as an answer has them."""
    return [_shown_assignment(side, collection, found) for found in side.assignments]


def _shown_assignment(side: GraphSide, collection: Collection, assignment: Mapping[str, Json]) -> dict[str, Json]:
    target = assignment["target"]
    whom = target.get("groupId") or target.get("collectionId") or type_name(target)
    filters = {"deviceAndAppManagementAssignmentFilterId": None, "deviceAndAppManagementAssignmentFilterType": "none"}
    answer = {"id": f"{side.remote_id}:{whom}", **assignment, "target": {**filters, **target}}
    if collection.publishes:
        answer |= {"id": f"{whom}_1_0", "source": "direct", "sourceId": side.remote_id}
        answer.setdefault("settings", None)
    elif collection.assign == "assignments":
        answer |= {"id": f"{side.remote_id}_{whom}", "source": "direct", "sourceId": side.remote_id}
    elif side.path == "deviceManagement/deviceHealthScripts":
        answer["runRemediationScript"] = False
        answer.setdefault("runSchedule", None)
    return {key: value for key, value in answer.items() if key != "@odata.type" or collection.publishes}
