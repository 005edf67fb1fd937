"""From a call to its handler: the table of addresses."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from maa_gitops.embedded import administration, approvals, assigning, directory, objects
from maa_gitops.embedded.messages import Answer, Call, RefusedError, not_found
from maa_gitops.embedded.tenant import GROUP, Tenant
from maa_gitops.providers.graph.kinds import Collection

Handler = Callable[..., Answer]
"""Given the tenant, the call and what the address names, it answers or refuses."""

_KEY = re.compile(r"([A-Za-z]+)\('([^']*)'\)")
_LIST = re.compile(r"(deviceManagement|deviceAppManagement|identity)/(.*/)?\w+s", re.IGNORECASE)
_ROUND = re.compile(r"\(\)$")
_SHORT = re.compile(r"^graph\.")


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of call: ``collection`` is the path of the objects that it writes, whose approval may be needed."""

    method: str
    pattern: str
    handler: Handler
    named: Mapping[str, object]
    collection: str | None = None


def answered(tenant: Tenant, call: Call, gate: Callable[[Tenant, Call, Route, Mapping[str, str]], Answer]) -> Answer:
    """Answer a call: the handler of its address, through the gate of native approval where it writes.

    Raises:
        RefusedError: there is no such address, or the handler says no.
    """
    path = _normal(call.path)
    fitting = [(route, names) for route, names in _fitting(tenant, path) if route.method == call.method]
    if fitting:
        return gate(tenant, call, *fitting[0])
    if any(True for _ in _fitting(tenant, path)):
        raise RefusedError(405, "MethodNotAllowed", f"{call.method} is not allowed for this resource.")
    if tenant.options.lenient and call.method == "GET" and _LIST.fullmatch(path):
        return Answer(200, {"@odata.context": f"{call.root}/$metadata#{path}", "value": []})
    raise not_found(f"Resource not found for the segment '{path.rpartition('/')[2]}'.")


def _normal(path: str) -> str:
    """An address with keys as segments, types by their whole names: ``groups('1')/members`` is ``groups/1/members``."""
    segments = [_SHORT.sub("microsoft.graph.", segment) for segment in path.split("/") if segment]
    return "/".join(_ROUND.sub("", _KEY.sub(r"\1/\2", segment)) for segment in segments)


def _fitting(tenant: Tenant, path: str) -> Iterable[tuple[Route, dict[str, str]]]:
    for route in (*_FIXED, *(route for collection in tenant.collections.values() for route in _routes(collection))):
        match = _compiled(route.pattern).fullmatch(path)
        if match is not None:
            yield route, match.groupdict()


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of an address: names in braces stand for anything but a slash; letters' case means nothing."""
    parts = re.split(r"(\{\w+\})", pattern)
    named = (f"(?P<{part[1:-1]}>[^/$][^/]*)" if part.startswith("{") else re.escape(part) for part in parts)
    return re.compile("".join(named), re.IGNORECASE)


@lru_cache(maxsize=256)
def _cached_routes(path: str, names: tuple[str, ...], can_assign: bool, replaces: bool) -> tuple[Route, ...]:
    of, one = {"path": path}, path + "/{item_id}"
    found = [
        Route("GET", path, objects.listing, of),
        Route("GET", f"{path}/$count", objects.counting, of),
        Route("POST", path, objects.making, of, path),
        Route("GET", one, objects.reading, of),
        Route("PATCH", one, objects.changing, of, path),
        Route("DELETE", one, objects.deleting, of, path),
    ]
    found += [Route("GET", f"{one}/{name}", objects.navigating, {**of, "name": name}) for name in names]
    if can_assign:
        found += [Route("POST", f"{one}/assign", assigning.assigning, of, path)]
        found += [Route("POST", f"{one}/assignments", assigning.adding, of, path)]
    return (*found, *([Route("PUT", one, objects.replacing, of, path)] if replaces else []))


def _routes(collection: Collection) -> tuple[Route, ...]:
    names = {name.partition("(")[0] for name in collection.expand}
    if collection.assign is not None:
        names |= {"assignments"}
    names |= {"categories"} if collection.publishes else set()
    names |= {"groupAssignments"} if collection.contents else set()
    return _cached_routes(collection.path, tuple(sorted(names)), collection.assign is not None, collection.replaces)


def _directory_routes(segment: str) -> Iterable[Route]:
    of, one = {"segment": segment}, segment + "/{item_id}"
    yield Route("GET", segment, directory.listing, of)
    yield Route("GET", f"{segment}/$count", directory.counting, of)
    yield Route("POST", segment, directory.making, of)
    yield Route("GET", one, directory.reading, of)
    yield Route("PATCH", one, directory.changing, of)
    yield Route("DELETE", one, directory.deleting, of)


def _member_routes() -> Iterable[Route]:
    for way, nested in (("members", False), ("transitiveMembers", True)):
        path = f"groups/{{item_id}}/{way}"
        for kind, cast in ((None, ""), *((kind, f"/microsoft.graph.{kind}") for kind in ("user", "device", GROUP))):
            of = {"nested": nested, "kind": kind}
            yield Route("GET", path + cast, directory.members, of)
            yield Route("GET", f"{path}{cast}/$count", directory.counting_members, of)
    yield Route("POST", "groups/{item_id}/members/$ref", directory.joining, {})
    yield Route("DELETE", "groups/{item_id}/members/{member}/$ref", directory.leaving, {})


def _plain_routes(path: str) -> Iterable[Route]:
    of, one = {"path": path}, path + "/{item_id}"
    yield Route("GET", path, administration.listing, of)
    yield Route("POST", path, administration.making, of, path)
    yield Route("GET", one, administration.reading, of)
    yield Route("PATCH", one, administration.changing, of, path)
    yield Route("DELETE", one, administration.deleting, of, path)


def _approval_routes() -> Iterable[Route]:
    policies, requests = approvals.POLICIES, approvals.REQUESTS
    yield Route("GET", f"{policies}/retrieveApprovableOperations", approvals.operations, {"required": False})
    yield Route("GET", f"{policies}/retrieveOperationsRequiringApproval", approvals.operations, {"required": True})
    yield Route("GET", policies, approvals.listing_policies, {})
    yield Route("POST", policies, approvals.making_policy, {})
    yield Route("GET", f"{policies}/{{item_id}}", approvals.reading_policy, {})
    yield Route("PATCH", f"{policies}/{{item_id}}", approvals.changing_policy, {})
    yield Route("DELETE", f"{policies}/{{item_id}}", approvals.deleting_policy, {})
    yield Route("GET", f"{requests}/retrieveMyRequests", approvals.my_requests, {})
    yield Route("GET", f"{requests}/retrieveMyRequestById(id='{{item_id}}')", approvals.my_request, {})
    yield Route("POST", f"{requests}/retrieveRequestStatus", approvals.request_status, {})
    yield Route("POST", f"{requests}/cancelMyRequest", approvals.cancelling_mine, {})
    yield Route("GET", requests, approvals.listing_requests, {})
    yield Route("GET", f"{requests}/{{item_id}}", approvals.reading_request, {})
    for action in ("approve", "reject", "cancelApproval"):
        yield Route("POST", f"{requests}/{{item_id}}/{action}", approvals.deciding, {"action": action})


_FIXED: tuple[Route, ...] = (
    *_approval_routes(),
    *(route for segment in ("groups", "users", "devices") for route in _directory_routes(segment)),
    *_member_routes(),
    Route("POST", "directoryObjects/getByIds", directory.by_ids, {}),
    Route("GET", "organization", directory.organization, {}),
    *(route for path in administration.PLAIN for route in _plain_routes(path)),
    Route("GET", "deviceManagement/roleScopeTags", administration.scope_tags, {}),
    Route("GET", "deviceManagement/roleDefinitions/{role_id}/roleAssignments", administration.of_role, {}),
)
