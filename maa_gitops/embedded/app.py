"""The HTTP side: from a request to a call and back, for callers on this machine only."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import NoReturn
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from maa_gitops.embedded.messages import Answer, Call, Json, RefusedError, bad_request, forbidden, stamp
from maa_gitops.embedded.service import Service, query_of

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request's body."""

DEPTH_LIMIT = 100
"""Lists and objects inside one another in it."""

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


def make_app(service: Service) -> Starlette:
    """The application that serves a tenant below ``/beta``."""

    async def endpoint(request: Request) -> Response:
        try:
            answer = service.answer(await _call(service, request))
        except RefusedError as error:
            answer = error.answer()
        except ClientDisconnect:
            answer = Answer(499)
        return _response(service, request, answer)

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=_METHODS)])


async def _call(service: Service, request: Request) -> Call:
    """Read a request.

    Raises:
        RefusedError: it comes from a web page or by another name, nobody is named, or it cannot be read.
    """
    headers = {name.lower(): value for name, value in request.headers.items()}
    _refuse_strangers(headers)
    identity = service.identity(headers.get("authorization"))
    version, _, path = str(request.path_params["path"]).partition("/")
    if version != "beta":
        raise bad_request(f"Invalid version: {version}.")
    query = query_of(request.url.query)
    body = _read(await _body(request))
    root = f"http://{headers['host']}/beta"
    return Call(request.method, path.strip("/"), query, headers, body, identity, root, service.tenant.options.clock())


def _refuse_strangers(headers: Mapping[str, str]) -> None:
    """Refuse what a web page could send: one that made a name of its own lead here, or any that names where it is."""
    host = headers.get("host", "")
    name, _, port = host.rpartition(":")
    if (name if port.isdecimal() else host).lower() not in _LOOPBACK:
        raise forbidden("The embedded Graph is only there for callers on this machine.")
    if "origin" in headers:
        raise forbidden("The embedded Graph is not there for web pages.")


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_LIMIT:
            raise RefusedError(413, "RequestEntityTooLarge", f"The body has more than {BODY_LIMIT} bytes.")
        parts.append(part)
    return b"".join(parts)


def _read(data: bytes) -> Json:
    if not data:
        return None
    try:
        found = json.loads(data, parse_constant=_no_number, parse_float=_number)
        _refuse_deep(found)
    except (ValueError, RecursionError) as error:
        raise bad_request("Unable to read JSON request payload.") from error
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _number(text: str) -> float:
    found = float(text)
    return found if isfinite(found) else _no_number(text)


def _refuse_deep(found: Json) -> None:
    """Refuse what could be kept, and then be read by nobody any more."""
    inside = [found]
    for _ in range(DEPTH_LIMIT):
        lists = [list(one.values()) if isinstance(one, dict) else one for one in inside if isinstance(one, dict | list)]
        inside = [item for items in lists for item in items]
        if not inside:
            return
    raise ValueError(f"nested deeper than {DEPTH_LIMIT}")


def _response(service: Service, request: Request, answer: Answer) -> Response:
    ids = {"request-id": str(uuid4()), "client-request-id": request.headers.get("client-request-id") or str(uuid4())}
    headers = {**answer.headers, **ids}
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    if isinstance(answer.body, str):
        return Response(answer.body, answer.status, headers, "text/plain")
    body = answer.body
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        inner = {"date": stamp(service.tenant.options.clock())[:19], **ids}
        body = {**body, "error": {**body["error"], "innerError": inner}}
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Response(text, answer.status, headers, "application/json;odata.metadata=minimal;charset=utf-8")
