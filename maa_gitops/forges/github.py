"""GitHub through its REST API: pull requests, reviews, comments, statuses, and what guards the repository."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote

from maa_gitops.errors import RemoteError, RepositoryError
from maa_gitops.forges.rest import Json, RestClient, misunderstood
from maa_gitops.forges.values import (
    CheckRun,
    Comment,
    CommitStatus,
    Dismissal,
    Happenings,
    PullRequest,
    Review,
    ReviewState,
    Run,
    StatusState,
    User,
)

APPROVAL = "maa/approval"
"""The context of the one commit status that we write."""

DESCRIPTION_LIMIT = 140
"""Characters of a status's description. Source: GitHub's REST API, commit statuses."""

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_OID = re.compile(r"[0-9a-f]{40}")
_WRITERS = frozenset({"admin", "write"})

T = TypeVar("T")


def shortened(description: str) -> str:
    """A description as a status can hold it."""
    return description if len(description) <= DESCRIPTION_LIMIT else f"{description[: DESCRIPTION_LIMIT - 1]}…"


class GitHub:
    """One repository on GitHub, or on a GitHub Enterprise server."""

    def __init__(self, client: RestClient, repository: str) -> None:
        """Speak about ``OWNER/NAME``.

        Raises:
            RepositoryError: ``noForge``, that is no repository's name.
        """
        if not _REPOSITORY.fullmatch(repository):
            raise RepositoryError(f"'{repository}' is no OWNER/NAME of a repository", code="noForge")
        self.repository = repository
        self._client = client
        self._root = f"/repos/{repository}"

    # Pull requests and what people say on them

    def pull_request(self, number: int) -> PullRequest:
        """One pull request."""
        return _pull_request(self._client.get(f"{self._root}/pulls/{number}"))

    def open_pull_requests(self) -> tuple[PullRequest, ...]:
        """Every open pull request, by number."""
        found = (_pull_request(plain) for plain in self._client.pages(f"{self._root}/pulls", state="open"))
        return tuple(sorted(found, key=lambda pull_request: pull_request.number))

    def pull_requests_of(self, branch: str) -> tuple[PullRequest, ...]:
        """Every pull request of a branch of this repository, closed ones included, by number."""
        head = f"{self.repository.split('/')[0]}:{branch}"
        found = (_pull_request(p) for p in self._client.pages(f"{self._root}/pulls", state="all", head=head))
        return tuple(sorted(found, key=lambda pull_request: pull_request.number))

    def reviews(self, number: int) -> tuple[Review, ...]:
        """The reviews of a pull request, in the order in which they were made."""
        return tuple(_review(plain) for plain in self._client.pages(f"{self._root}/pulls/{number}/reviews"))

    def happenings(self, number: int) -> Happenings:
        """What happened to a pull request, of what decides what its reviews mean."""
        dismissals, moved = [], []
        for plain in self._client.pages(f"{self._root}/issues/{number}/events"):
            kind = _get(plain, "event", str)
            if kind == "review_dismissed":
                dismissals.append(_dismissal(plain))
            elif kind == "base_ref_changed":
                moved.append(_moment(plain, "created_at"))
        return Happenings(tuple(dismissals), max(moved, default=None))

    def comments(self, number: int) -> tuple[Comment, ...]:
        """The comments on a pull request, in order."""
        return tuple(_comment(plain) for plain in self._client.pages(f"{self._root}/issues/{number}/comments"))

    def write_comment(self, number: int, body: str, replace: int | None = None) -> None:
        """Comment on a pull request, or put other words into a comment that is there."""
        if replace is not None:
            self._client.send("PATCH", f"{self._root}/issues/comments/{replace}", {"body": body})
        else:
            self._client.send("POST", f"{self._root}/issues/{number}/comments", {"body": body})

    def close(self, number: int) -> None:
        """Close a pull request."""
        self._client.send("PATCH", f"{self._root}/pulls/{number}", {"state": "closed"})

    # People and runs

    def may_write(self, user: User) -> bool:
        """Whether this very person may push to the repository: the id decides, for a login can be taken over."""
        try:
            plain = self._client.get(f"{self._root}/collaborators/{quote(user.login, safe='')}/permission")
        except RemoteError as error:
            if error.code != "forgeNotFound":
                raise
            return False
        who = _user(_member(plain, "user"))
        return who is not None and who.id == user.id and _get(plain, "permission", str) in _WRITERS

    def me(self) -> User | None:
        """Whose token this is; None: an app's, or nobody's."""
        try:
            return _user(self._client.get("/user"))
        except RemoteError as error:
            if error.code not in ("forgeForbidden", "forgeUnauthorized", "forgeNotFound"):
                raise
            return None

    def user(self, login: str) -> User:
        """Whose login this is today."""
        return find_user(self._client, login)

    def run(self, number: int) -> Run:
        """One run of a workflow."""
        return _run(self._client.get(f"{self._root}/actions/runs/{number}"))

    # Statuses

    def status(self, commit: str) -> CommitStatus | None:
        """Our status on a commit; None: there is none yet."""
        return self.statuses(commit).get(APPROVAL)

    def statuses(self, commit: str) -> Mapping[str, CommitStatus]:
        """The newest status of each context on a commit."""
        plain = self._client.pages(f"{self._root}/commits/{_oid(commit)}/status", items="statuses")
        found = (_status(item) for item in plain)
        return {status.context: status for status in found}

    def checks(self, commit: str) -> tuple[CheckRun, ...]:
        """The newest run of each check on a commit."""
        found = self._client.pages(f"{self._root}/commits/{_oid(commit)}/check-runs", items="check_runs")
        return tuple(CheckRun(_get(plain, "name", str), _optional(plain, "conclusion", str)) for plain in found)

    def set_status(self, commit: str, state: StatusState, description: str, url: str | None = None) -> None:
        """Write our status on a commit."""
        body: dict[str, object] = {"state": state.value, "context": APPROVAL, "description": shortened(description)}
        if url is not None:
            body["target_url"] = url
        self._client.send("POST", f"{self._root}/statuses/{_oid(commit)}", body)

    # What guards the repository

    def about(self) -> Mapping[str, Json]:
        """The repository's own settings, as GitHub gives them."""
        return _mapping(self._client.get(self._root), "the repository")

    def rulesets(self) -> tuple[Mapping[str, Json], ...]:
        """Every ruleset, whole, as GitHub gives it."""
        listed = self._client.pages(f"{self._root}/rulesets")
        ids = [_get(plain, "id", int) for plain in listed]
        return tuple(_mapping(self._client.get(f"{self._root}/rulesets/{number}"), "the ruleset") for number in ids)

    def environment_branches(self, name: str) -> tuple[str, ...] | None:
        """The branches and tags that may use an environment, as patterns; None: any may. Tags begin with ``tag:``.

        Raises:
            RemoteError: ``forgeNotFound``, there is no such environment.
        """
        path = f"{self._root}/environments/{quote(name, safe='')}"
        policy = _mapping(self._client.get(path), "the environment").get("deployment_branch_policy")
        if not isinstance(policy, dict):
            return None
        if not policy.get("custom_branch_policies"):
            return ("(protected branches)",)
        found = self._client.pages(f"{path}/deployment-branch-policies", items="branch_policies")
        return tuple(
            ("tag:" if _optional(plain, "type", str) == "tag" else "") + _get(plain, "name", str) for plain in found
        )

    def deploy_keys(self) -> tuple[Mapping[str, Json], ...]:
        """Every deploy key, as GitHub gives it."""
        return tuple(_mapping(plain, "the deploy key") for plain in self._client.pages(f"{self._root}/keys"))

    def workflows_may_approve(self) -> bool:
        """Whether workflows may approve pull requests."""
        plain = self._client.get(f"{self._root}/actions/permissions/workflow")
        return _get(plain, "can_approve_pull_request_reviews", bool)


def find_user(client: RestClient, login: str) -> User:
    """Whose login this is today; anybody may ask."""
    found = _user(client.get(f"/users/{quote(login, safe='')}"))
    if found is None:
        raise misunderstood(f"/users/{login}")
    return found


# --- reading answers -------------------------------------------------------------------------------------------------


def _mapping(plain: Json, what: str) -> Mapping[str, Json]:
    if not isinstance(plain, dict):
        raise misunderstood(what)
    return plain


def _member(plain: Json, key: str) -> Json:
    if not isinstance(plain, dict) or key not in plain:
        raise misunderstood(key)
    return plain[key]


def _get(plain: Json, key: str, form: type[T]) -> T:
    value = _member(plain, key)
    if not isinstance(value, form) or (form is int and isinstance(value, bool)):
        raise misunderstood(key)
    return value


def _optional(plain: Json, key: str, form: type[T]) -> T | None:
    return None if _mapping(plain, key).get(key) is None else _get(plain, key, form)


def _moment(plain: Json, key: str) -> datetime:
    try:
        return datetime.strptime(_get(plain, key, str), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise misunderstood(key) from error


def _oid(commit: str) -> str:
    if not _OID.fullmatch(commit):
        raise misunderstood("a commit id")
    return commit


def _user(plain: Json) -> User | None:
    """Read a person; None: the account is gone."""
    if plain is None:
        return None
    return User(_get(plain, "id", int), _get(plain, "login", str), _get(plain, "type", str))


def _pull_request(plain: Json) -> PullRequest:
    head, base = _member(plain, "head"), _member(plain, "base")
    head_repository = _optional(head, "repo", dict)
    return PullRequest(
        number=_get(plain, "number", int),
        title=_get(plain, "title", str),
        body=_optional(plain, "body", str) or "",
        author=_user(_member(plain, "user")),
        is_open=_get(plain, "state", str) == "open",
        is_draft=_optional(plain, "draft", bool) or False,
        is_merged=_optional(plain, "merged_at", str) is not None,
        head_branch=_get(head, "ref", str),
        head_commit=_oid(_get(head, "sha", str)),
        head_repository=_get(head_repository, "full_name", str) if head_repository is not None else None,
        base_branch=_get(base, "ref", str),
        url=_get(plain, "html_url", str),
    )


def _review(plain: Json) -> Review:
    return Review(
        id=_get(plain, "id", int),
        author=_user(_member(plain, "user")),
        state=_word(ReviewState, plain, "state"),
        commit=_optional(plain, "commit_id", str),
        body=_optional(plain, "body", str) or "",
        at=_moment(plain, "submitted_at") if _optional(plain, "submitted_at", str) is not None else None,
        url=_get(plain, "html_url", str),
    )


def _dismissal(plain: Json) -> Dismissal:
    dismissed = _member(plain, "dismissed_review")
    return Dismissal(
        review=_get(dismissed, "review_id", int),
        state=_word(lambda text: ReviewState(text.upper()), dismissed, "state"),
        actor=_user(_member(plain, "actor")),
        at=_moment(plain, "created_at"),
        by_push=_optional(dismissed, "dismissal_commit_id", str) is not None,
    )


def _comment(plain: Json) -> Comment:
    return Comment(
        id=_get(plain, "id", int),
        author=_user(_member(plain, "user")),
        body=_optional(plain, "body", str) or "",
        at=_moment(plain, "created_at"),
        edited_at=_moment(plain, "updated_at"),
        via_app=_optional(plain, "performed_via_github_app", dict) is not None,
        url=_get(plain, "html_url", str),
    )


def _run(plain: Json) -> Run:
    return Run(
        id=_get(plain, "id", int),
        event=_get(plain, "event", str),
        branch=_optional(plain, "head_branch", str),
        commit=_oid(_get(plain, "head_sha", str)),
        actor=_user(_mapping(plain, "the run").get("actor")),
        triggering_actor=_user(_mapping(plain, "the run").get("triggering_actor")),
        attempt=_optional(plain, "run_attempt", int) or 1,
        at=_moment(plain, "created_at"),
        url=_get(plain, "html_url", str),
    )


def _status(plain: Json) -> CommitStatus:
    return CommitStatus(
        _get(plain, "context", str),
        _word(StatusState, plain, "state"),
        _optional(plain, "description", str) or "",
    )


def _word(form: Callable[[str], T], plain: Json, key: str) -> T:
    """One of the words that GitHub documents; another one is not understood, so nothing is built on it."""
    try:
        return form(_get(plain, key, str))
    except ValueError as error:
        raise misunderstood(key) from error
