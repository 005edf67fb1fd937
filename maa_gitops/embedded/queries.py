"""Query options: ``$filter``, ``$select``, ``$orderby``, ``$top``, ``$count``, pages with ``$skiptoken``."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from maa_gitops.embedded.filters import parsed
from maa_gitops.embedded.messages import Answer, Call, Json, bad_request

_KNOWN = frozenset({"$filter", "$select", "$expand", "$orderby", "$top", "$skip", "$count", "$skiptoken"})
_MOST = 999
_ALWAYS = frozenset({"@odata.type", "@odata.context"})
_INTUNE = ("devicemanagement/", "deviceappmanagement/")
"""Where an id is given whatever is selected; the directory keeps to the letter."""


def check(call: Call, *, expandable: frozenset[str] = frozenset()) -> dict[str, str]:
    """Refuse query options that are not known; gives what ``$expand`` asks for.

    Raises:
        RefusedError: one is unknown, or what is to be expanded is none of ``expandable``.
    """
    for name in call.query:
        if name.startswith("$") and name not in _KNOWN:
            raise bad_request(f"The query parameter '{name}' is not supported.")
    asked = expanded(call)
    for name in sorted(asked.keys() - expandable):
        raise bad_request(f"Parsing OData Select and Expand failed: Could not find a property named '{name}'.")
    return asked


def expanded(call: Call) -> dict[str, str]:
    """The names that ``$expand`` asks for, with what is in brackets after each."""
    found: dict[str, str] = {}
    depth, word = 0, ""
    for letter in call.query.get("$expand", "") + ",":
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            name, _, below = word.partition("(")
            found |= {name.strip(): below.removesuffix(")")} if name.strip() else {}
            word = ""
        else:
            word += letter
    return found


def one(call: Call, item: Mapping[str, Json], context: str) -> Answer:
    """An answer with one thing, cut to what ``$select`` wants."""
    whole = {"@odata.context": f"{call.root}/$metadata#{context}", **item}
    return Answer(200, _selected(call, whole))


def many(call: Call, items: Sequence[Mapping[str, Json]], context: str, page: int) -> Answer:
    """An answer with one page of a list.

    Raises:
        RefusedError: an option cannot be read.
    """
    found = _ordered(call, _filtered(call, items))
    first = _start(call, found)
    size = min(_number(call, "$top", page), page, _MOST)
    shown, rest = found[first : first + size], found[first + size :]
    answer: dict[str, Json] = {"@odata.context": f"{call.root}/$metadata#{context}"}
    if call.query.get("$count", "").lower() == "true":
        answer["@odata.count"] = len(found)
    if rest and shown:
        answer["@odata.nextLink"] = _next_link(call, shown[-1], len(shown))
    answer["value"] = [_selected(call, item) for item in shown]
    return Answer(200, answer)


def count(call: Call, items: Sequence[Mapping[str, Json]]) -> Answer:
    """How many there are, as plain text."""
    return Answer(200, str(len(_filtered(call, items))))


def _filtered(call: Call, items: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    text = call.query.get("$filter")
    keeps: Callable[[Mapping[str, Json]], bool] = parsed(text) if text is not None else lambda _: True
    return [item for item in items if keeps(item)]


def _ordered(call: Call, items: list[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    for part in reversed([part for part in call.query.get("$orderby", "").split(",") if part.strip()]):
        name, _, way = part.strip().partition(" ")
        if way.strip() not in ("", "asc", "desc"):
            raise bad_request(f"Syntax error in '$orderby': '{part.strip()}'.")
        items = sorted(items, key=_by(name), reverse=way.strip() == "desc")
    return items


def _by(name: str) -> Callable[[Mapping[str, Json]], str]:
    return lambda item: str(item.get(name, "")).casefold()


def _selected(call: Call, item: Mapping[str, Json]) -> dict[str, Json]:
    wanted = {name.strip() for name in call.query.get("$select", "").split(",") if name.strip()}
    if not wanted or "*" in wanted:
        return dict(item)
    wanted |= expanded(call).keys() | _ALWAYS | ({"id"} if call.path.lower().startswith(_INTUNE) else set())
    return {key: value for key, value in item.items() if key in wanted}


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text[:9]) == 0:
        raise bad_request(f"Invalid value '{text}' for {name} query option found. It must be a positive integer.")
    return int(text[:9])


def _start(call: Call, items: Sequence[Mapping[str, Json]]) -> int:
    """Where the page begins: after the last item of the page before, or in its place if that is gone."""
    token = call.query.get("$skiptoken")
    if token is None:
        return _number(call, "$skip", 0) if call.query.get("$skip") != "0" else 0
    last, place = _read_token(token)
    ids = [item.get("id") for item in items]
    return ids.index(last) + 1 if last in ids else min(place, len(items))


def _next_link(call: Call, last: Mapping[str, Json], shown: int) -> str:
    before = call.query.get("$skiptoken")
    place = shown + (_read_token(before)[1] if before is not None else 0)
    token = base64.urlsafe_b64encode(json.dumps([last.get("id"), place]).encode()).decode()
    query = {key: value for key, value in call.query.items() if key not in ("$skiptoken", "$skip")}
    return f"{call.root}/{call.path}?{urlencode({**query, '$skiptoken': token}, safe='$,')}"


def _read_token(token: str) -> tuple[str, int]:
    try:
        last, place = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError) as error:
        raise bad_request("Skip token is invalid.") from error
    return str(last), max(0, int(place)) if isinstance(place, int) else 0
