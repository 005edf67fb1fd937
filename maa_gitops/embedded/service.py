"""One call, answered: who calls, how often they may, one transaction for each; a batch is several calls."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit

from maa_gitops.embedded import directory, gate, routing
from maa_gitops.embedded.messages import Answer, Call, Identity, Json, RefusedError, bad_request
from maa_gitops.embedded.tenant import Tenant
from maa_gitops.embedded.throttle import Throttle
from maa_gitops.errors import RemoteError

APPLICATION = Identity(str(uuid.uuid5(uuid.NAMESPACE_URL, "maa:application")), "application", is_application=True)
"""Who calls with a token that looks like one of Entra's, whatever it says."""

_JWT = re.compile(r"[\w-]{10,}\.[\w-]{10,}\.[\w-]*")
_MOST = 20
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


class Service:
    """A tenant with its counters."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.throttle = Throttle(tenant.options)

    def answer(self, call: Call) -> Answer:
        """Answer a call; what goes wrong is an answer, too."""
        try:
            if call.path.strip("/").lower() == "$batch":
                return self._batch(call)
            self.throttle.count(call.identity.id, call.method, call.now)
            return self._routed(call)
        except RefusedError as error:
            self.tenant.forget()
            return error.answer()
        except RemoteError as error:
            self.tenant.forget()
            return _failed(error).answer()

    def _routed(self, call: Call) -> Answer:
        """Answer one call in a transaction in which nothing of anybody else's is new."""
        while True:
            self.tenant.settle(call.now)
            with self.tenant.store.transaction():
                if self.tenant.is_settled:
                    return routing.answered(self.tenant, call, gate.passed)

    def identity(self, authorization: str | None) -> Identity:
        """Who calls: the bearer token is a name.

        Raises:
            RefusedError: 401, there is none; 503, the file cannot be read now.
        """
        scheme, _, token = (authorization or "").partition(" ")
        name = token.strip()
        if scheme.lower() != "bearer" or not name or not name.isprintable():
            raise RefusedError(401, "InvalidAuthenticationToken", "Access token is empty.")
        if _JWT.fullmatch(name):
            return APPLICATION
        try:
            with self.tenant.store.transaction():
                users = self.tenant.store.entries(directory.USER).items()
        except RemoteError as error:
            raise _failed(error) from error
        for user_id, user in users:
            if name.lower() in _names(user_id, user):
                return Identity(user_id, str(user.get("displayName")))
        is_application = name in self.tenant.options.applications
        return Identity(str(uuid.uuid5(uuid.NAMESPACE_URL, f"maa:{name}")), name, is_application)

    # Batches

    def _batch(self, call: Call) -> Answer:
        """``POST`` of up to 20 calls; each has a status of its own.

        Raises:
            RefusedError: it is no batch.
        """
        requests = _requests(call)
        done: dict[str, Answer] = {}
        for request in requests:
            done[str(request["id"])] = self._one(call, request, done)
        return Answer(200, {"responses": [_response(key, answer) for key, answer in done.items()]})

    def _one(self, call: Call, request: Mapping[str, Json], done: Mapping[str, Answer]) -> Answer:
        needed = request.get("dependsOn") or []
        if not isinstance(needed, list):
            return bad_request("A request of a batch depends on a list of others.").answer()
        before = [done.get(str(key)) for key in needed]
        if any(answer is None or answer.status >= 400 for answer in before):
            return RefusedError(424, "FailedDependency", "A request that this one depends on has failed.").answer()
        try:
            return self.answer(_inner(call, request))
        except RefusedError as error:
            return error.answer()


def _failed(error: RemoteError) -> RefusedError:
    """That the file cannot be used, as Graph would say that it has trouble of its own."""
    if error.retry:
        return RefusedError(503, "ServiceUnavailable", error.message, {"Retry-After": "1"})
    return RefusedError(500, "InternalServerError", error.message)


def _names(user_id: str, user: Mapping[str, Json]) -> set[str]:
    """What a user may be called: the id, the address or what is before its sign, the display name."""
    address = str(user.get("userPrincipalName", "")).lower()
    return {user_id.lower(), address, address.partition("@")[0], str(user.get("displayName", "")).lower()} - {""}


def _requests(call: Call) -> list[dict[str, Json]]:
    if call.method != "POST":
        raise RefusedError(405, "MethodNotAllowed", "A batch is sent with POST.")
    requests = call.mapping().get("requests")
    if not isinstance(requests, list) or not requests or not all(isinstance(one, dict) for one in requests):
        raise bad_request("The batch needs a list of requests.")
    if len(requests) > _MOST:
        raise bad_request(f"The batch has {len(requests)} requests; the maximum is {_MOST}.")
    ids = [str(one["id"]) for one in requests if one.get("id") not in (None, "")]
    if len({*ids}) != len(requests):
        raise bad_request("Every request of a batch needs an id of its own.")
    return requests


def _inner(call: Call, request: Mapping[str, Json]) -> Call:
    """A request of a batch as a call.

    Raises:
        RefusedError: it is none.
    """
    url, method = request.get("url"), str(request.get("method", "")).upper()
    if not isinstance(url, str) or method not in _METHODS:
        raise bad_request("A request of a batch needs a method and an url.")
    split = urlsplit(url.lstrip("/"))
    given = request.get("headers") or {}
    headers = {str(name).lower(): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
    path = unquote(split.path).strip("/")
    if path.lower() == "$batch":
        raise bad_request("A batch is no part of a batch.")
    if request.get("body") is not None and "content-type" not in headers:
        raise bad_request("A request of a batch with a body needs the header Content-Type.")
    return replace(
        call, method=method, path=path, query=query_of(split.query), headers=headers, body=request.get("body")
    )


def _response(key: str, answer: Answer) -> dict[str, Json]:
    typed = {"Content-Type": "application/json"} if answer.body is not None else {}
    found: dict[str, Json] = {"id": key, "status": answer.status, "headers": {**typed, **answer.headers}}
    return {**found, "body": json.loads(json.dumps(answer.body))} if answer.body is not None else found


def query_of(text: str) -> dict[str, str]:
    """Query options by name.

    Raises:
        RefusedError: one is given twice.
    """
    pairs = parse_qsl(text, keep_blank_values=True)
    found = dict(pairs)
    if len(found) != len(pairs):
        raise bad_request("A query option is given more than once.")
    return found
