"""A call and an answer as the handlers see them, and Graph's way of saying no. No HTTP library is known here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = Any
"""Plain data as it came: strings, numbers, booleans, null, lists, mappings."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: a user of the directory, some other name, or an application."""

    id: str
    name: str
    is_application: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call. ``path`` is below the version, ``root`` the address up to it; names of headers are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Json
    identity: Identity
    root: str
    now: datetime

    @property
    def is_eventual(self) -> bool:
        """Whether the caller is content with an index that lags behind, as Graph asks of advanced queries."""
        return self.headers.get("consistencylevel", "").lower() == "eventual"

    def mapping(self) -> dict[str, Json]:
        """The body, which must be a JSON object.

        Raises:
            RefusedError: it is none.
        """
        if not isinstance(self.body, dict):
            raise bad_request("Empty Payload. JSON content expected.")
        return self.body


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: ``body`` is plain data, text for text, None for nothing."""

    status: int = 200
    body: Json = None
    headers: Mapping[str, str] = field(default_factory=dict)


NOTHING = Answer(204)


class RefusedError(Exception):
    """Graph says no; what the call has written so far is taken back."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """The refusal as an answer; what identifies the call is added where it is sent."""
        return Answer(self.status, {"error": {"code": self.code, "message": self.message}}, self.headers)


def bad_request(message: str) -> RefusedError:
    """What was sent is wrong."""
    return RefusedError(400, "BadRequest", message)


def not_found(message: str = "The resource could not be found.") -> RefusedError:
    """There is nothing of this id."""
    return RefusedError(404, "ResourceNotFound", message)


def not_in_directory(entry_id: str) -> RefusedError:
    """Nothing in the directory has this id; it says so in words of its own."""
    text = f"Resource '{entry_id}' does not exist or one of its queried reference-property objects are not present."
    return RefusedError(404, "Request_ResourceNotFound", text)


def forbidden(message: str) -> RefusedError:
    """The caller may not."""
    return RefusedError(403, "Forbidden", message)


def stamp(moment: datetime) -> str:
    """A time as Graph writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def in_utc(value: Json, depth: int = 50) -> Json:
    """Plain data with its times in UTC, as Graph gives them back; a time is what has a name that says so.

    What is nested deeper than anything of Graph's stays as it is.
    """
    match value:
        case dict() if depth:
            return {
                key: _moment(item) if key.endswith("DateTime") else in_utc(item, depth - 1)
                for key, item in value.items()
            }
        case list() if depth:
            return [in_utc(item, depth - 1) for item in value]
        case _:
            return value


def _moment(value: Json) -> Json:
    if not isinstance(value, str) or value.endswith("Z"):
        return value
    try:
        found = datetime.fromisoformat(value)
        return value if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return value
