"""Lists of requests: mine, those I may decide on, all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from maa_gitops.errors import NotAllowedError, RepositoryError
from maa_gitops.model import Account, Action, Status
from maa_gitops.record import parse_event
from maa_gitops.tenant.paths import RECORDS
from maa_gitops.workflow.acts import open_acts
from maa_gitops.workflow.clone import Clone, Progress, no_progress
from maa_gitops.workflow.requests import OutcomeReader, Request, branches_by_id, read_request

VISIBLE = timedelta(days=30)
"""How long an ended request stays in the lists after its last change. Source: Intune's page on Multi Admin Approval."""

_NEWEST_YEARS = 2


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a list. ``is_mine``: the viewer submitted it. ``received``: it is for a group of the viewer's."""

    request: Request
    is_mine: bool
    received: bool
    acts: tuple[Action, ...]


def list_requests(
    clone: Clone,
    viewer: Account | None,
    outcomes: OutcomeReader | None = None,
    *,
    ended: bool = True,
    progress: Progress = no_progress,
) -> tuple[Listed, ...]:
    """Every active request and those that ended within 30 days, newest change first."""
    names = sorted({*branches_by_id(clone), *(_recorded(clone) if ended else ())})
    found = []
    for number, name in enumerate(names, start=1):
        progress(number, len(names))
        listed = _listed(clone, name, viewer, outcomes)
        if listed is not None:
            found.append(listed)
    return tuple(sorted(found, key=_newest_first))


def _listed(clone: Clone, name: str, viewer: Account | None, outcomes: OutcomeReader | None) -> Listed | None:
    try:
        request = read_request(clone, name, outcomes)
    except NotAllowedError:
        return None
    except RepositoryError as error:
        if error.code != "malformedCommit":
            raise
        return None  # somebody pushed a head that no reader of commits agrees on: no request, and no reason to stop
    if not request.lines or not _is_visible(request, clone.now):
        return None
    return look(request, viewer)


def look(request: Request, viewer: Account | None) -> Listed:
    """A request as one account sees it."""
    submit = request.submitted
    is_mine = viewer is not None and submit is not None and submit.account == viewer.name
    tenant = request.facts.tenant
    received = viewer is not None and any(
        viewer.name in tenant.possible_approvers(verdict.policy) for verdict in request.evaluation.policies
    )
    return Listed(request, is_mine, received, open_acts(request, viewer) if viewer is not None else ())


def _is_visible(request: Request, now: datetime) -> bool:
    active = request.evaluation.status in (Status.NEEDS_APPROVAL, Status.APPROVED)
    if active and (request.branch is not None or request.facts.merged is not None):
        return True
    changed = last_modified(request)
    if request.evaluation.status is Status.EXPIRED and request.evaluation.expires_at is not None:
        changed = max(changed or request.evaluation.expires_at, request.evaluation.expires_at)
    return changed is not None and now - changed <= VISIBLE


def last_modified(request: Request) -> datetime | None:
    """When the request's record was last extended."""
    return request.last_event.at if request.last_event is not None else None


def _newest_first(listed: Listed) -> tuple[float, str]:
    changed = last_modified(listed.request)
    return (-changed.timestamp() if changed is not None else 0.0, listed.request.id)


def _recorded(clone: Clone) -> set[str]:
    """Ids of records on the protected branch whose newest event is recent; older ones are not even read in full."""
    repository = clone.repository
    top = repository.entry(clone.tree(clone.good), RECORDS)
    years = (
        [entry for entry in repository.tree(top.oid) if entry.is_folder] if top is not None and top.is_folder else []
    )
    found = set()
    for year in sorted(years, key=lambda entry: entry.name)[-_NEWEST_YEARS:]:
        for entry in repository.tree(year.oid):
            newest = repository.blob(entry.oid).removesuffix(b"\n").rpartition(b"\n")[2]
            event = parse_event(newest)
            if event is None or clone.now - event.at <= 2 * VISIBLE:
                found.add(entry.name.removesuffix(".jsonl"))
    return found


def waiting_for(listed: Iterable[Listed]) -> tuple[Listed, ...]:
    """The requests on which the viewer could approve now."""
    return tuple(item for item in listed if Action.APPROVE in item.acts)
