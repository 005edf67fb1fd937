"""What each endpoint of the fake GitHub answers: a table from operation to function, and the functions.

Who asks and whether the request is well formed is settled before; rights beyond reading and writing are settled here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from tests.support.github import documents as doc
from tests.support.github.state import PullRequest, State, User, edited, moment

DOCUMENTATION = "https://docs.github.com/rest"
LONGEST_COMMENT = 65536
LONGEST_DESCRIPTION = 140
"""Limits that GitHub has and its description does not say."""


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed request by somebody known; ``user`` None: anonymous."""

    state: State
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    path: str
    user: User | None
    is_app: bool

    def number(self, name: str) -> int:
        """A value of the path that is a number."""
        return int(self.values[name])

    @property
    def asking(self) -> User:
        """Who asks, where the anonymous were turned away."""
        assert self.user is not None
        return self.user


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers."""

    document: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818
    """An answer that says no."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        """Keep what the answer says."""
        super().__init__(message)
        self.status, self.message, self.errors = status, message, list(errors)

    def document(self) -> dict[str, Any]:
        """The answer's body, as GitHub forms it."""
        said = {"message": self.message, "documentation_url": DOCUMENTATION, "status": str(self.status)}
        return {**said, "errors": self.errors} if self.errors else said


def not_found() -> Refusal:
    """Tell that there is no such thing, or that it is none of theirs."""
    return Refusal(404, "Not Found")


def invalid(resource: str, name: str, message: str) -> Refusal:
    """Tell that a value breaks a rule."""
    error = {"resource": resource, "field": name, "code": "custom", "message": message}
    return Refusal(422, "Validation Failed", [error])


def demand(call: Call, permission: str, message: str) -> None:
    """Refuse whoever holds less than a permission."""
    if not call.asking.may(permission):
        raise Refusal(403, "Resource not accessible by integration" if call.is_app else message)


# -- pages -------------------------------------------------------------------------------------------------------------


def page_of(call: Call, items: Iterable[Any]) -> tuple[list[Any], dict[str, str]]:
    """The page of a list that a request asks for, and the header that leads to the others."""
    everything = list(items)
    size = min(max(int(call.query.get("per_page", 30)), 1), 100)  # GitHub gives 100 to whoever asks for more
    page, last = max(int(call.query.get("page", 1)), 1), max(-(-len(everything) // size), 1)
    targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page <= 1:
        del targets["prev"], targets["first"]
    if page >= last:
        del targets["next"], targets["last"]
    # GitHub's links name the repository by its id, not by its name.
    tail = call.path.removeprefix(f"/repos/{call.state.repository}")
    base = f"{call.state.url}/repositories/{call.state.repository_id}{tail}"
    links = [f'<{base}?{urlencode({**call.query, "page": n})}>; rel="{rel}"' for rel, n in targets.items()]
    headers = {"Link": ", ".join(links)} if links else {}
    return everything[(page - 1) * size : page * size], headers


def listed(call: Call, items: Iterable[Any], shape: Callable[[State, Any], doc.Document]) -> Reply:
    """Answer with a page of a list."""
    shown, headers = page_of(call, items)
    return Reply([shape(call.state, item) for item in shown], headers=headers)


def counted(call: Call, name: str, items: Sequence[Any]) -> Reply:
    """Answer with a page of a list of documents, and how many there are."""
    shown, headers = page_of(call, items)
    return Reply({"total_count": len(items), name: shown}, headers=headers)


# -- users and the repository ------------------------------------------------------------------------------------------


def get_user(call: Call) -> Reply:
    """Answer with the user who has a login now."""
    if (user := call.state.find_user(call.values["username"])) is None:
        raise not_found()
    return Reply(doc.profile_document(call.state, user))


def get_myself(call: Call) -> Reply:
    """Answer with whose token it is; the token of Actions is no user's."""
    if call.is_app:
        raise Refusal(403, "Resource not accessible by integration")
    return Reply(doc.profile_document(call.state, call.asking))


def get_repository(call: Call) -> Reply:
    """Answer with the repository."""
    return Reply(doc.full_repository_document(call.state, call.asking))


def get_permission(call: Call) -> Reply:
    """Answer with what somebody may do; GitHub says of a bot that it is not a user."""
    demand(call, "write", "Must have push access to view collaborator permission.")
    user = call.state.find_user(call.values["username"])
    if user is None:
        raise not_found()
    if user.type != "User":
        raise Refusal(404, f"{user.login} is not a user")
    return Reply(doc.permission_document(call.state, user))


# -- pull requests -----------------------------------------------------------------------------------------------------


def found_pull_request(call: Call, name: str = "pull_number") -> PullRequest:
    """The pull request that the path names."""
    call.state.refresh()
    if (pull := call.state.pull_requests.get(call.number(name))) is None:
        raise not_found()
    return pull


def list_pull_requests(call: Call) -> Reply:
    """Answer with pull requests, newest first; a ``head`` without owner is no filter at all, as on GitHub."""
    call.state.refresh()
    state, base, head = (call.query.get(name) for name in ("state", "base", "head"))
    found = [
        pull
        for pull in call.state.pull_requests.values()
        if state == "all" or pull.is_open == (state in {None, "open"})
        if base is None or pull.base == base
        if head is None or ":" not in head or f"{pull.head_repository.split('/')[0]}:{pull.branch}" == head
    ]
    by_update = call.query.get("sort") == "updated"
    is_descending = call.query.get("direction", "desc" if call.query.get("sort", "created") == "created" else "asc")
    found.sort(key=lambda pull: (pull.updated_at if by_update else "", pull.number), reverse=is_descending == "desc")
    return listed(call, found, doc.pull_request_document)


def get_pull_request(call: Call) -> Reply:
    """Answer with a pull request."""
    return Reply(doc.full_pull_request_document(call.state, found_pull_request(call)))


def patch_pull_request(call: Call) -> Reply:
    """Change a pull request."""
    pull = found_pull_request(call)
    changes = {name: call.body[name] for name in ("title", "body", "base") if name in call.body}
    if "base" in changes and changes["base"] not in call.state.heads():
        raise invalid("PullRequest", "base", f"Proposed base branch '{changes['base']}' was not found")
    wanted = call.body.get("state")
    if wanted == "open" and not pull.is_open:
        if pull.merged_at is not None or (pull.live and pull.branch not in call.state.heads()):
            raise invalid("PullRequest", "state", "state cannot be changed. The pull request cannot be reopened.")
        pull.closed_at = None
    if wanted == "closed" and pull.is_open:
        pull.closed_at = moment()
    call.state.edit_pull_request(pull.number, **changes)
    call.state.refresh()
    return Reply(doc.full_pull_request_document(call.state, pull))


def list_reviews(call: Call) -> Reply:
    """Answer with reviews, oldest first; a pending one is shown to its author only."""
    pull = found_pull_request(call)
    found = [review for review in call.state.reviews.values() if review.number == pull.number]
    shown = [review for review in found if review.state != "PENDING" or review.author == call.asking.id]
    return listed(call, shown, doc.review_document)


def list_pull_requests_of_commit(call: Call) -> Reply:
    """Answer with the pull requests that hold a commit, or that brought it to their base."""
    state, sha = call.state, call.state.commit_of(call.values["commit_sha"])
    if sha is None:
        raise Refusal(422, f"No commit found for SHA: {call.values['commit_sha']}")
    state.refresh()
    return listed(call, [p for p in state.pull_requests.values() if holds(state, p, sha)], doc.pull_request_document)


def holds(state: State, pull: PullRequest, sha: str) -> bool:
    """Whether a commit is one of a pull request's own."""
    if pull.merge_commit is None:
        return state.is_ancestor(sha, pull.head_sha) and not state.is_ancestor(sha, pull.base_sha)
    before = state.git("rev-parse", "--verify", "-q", f"{pull.merge_commit}^1")
    is_in = sha == pull.merge_commit or state.is_ancestor(sha, pull.head_sha)
    return is_in and not (before and state.is_ancestor(sha, before))


# -- comments and events -----------------------------------------------------------------------------------------------


def list_comments(call: Call) -> Reply:
    """Answer with the comments on a pull request, oldest first."""
    pull = found_pull_request(call, "issue_number")
    since = call.query.get("since", "")
    found = [comment for comment in call.state.comments(pull.number) if comment.updated_at >= since]
    return listed(call, found, doc.comment_document)


def checked_text(call: Call) -> str:
    """The text of a comment, which GitHub wants neither empty nor too long."""
    text = str(call.body["body"])
    if not text.strip():
        raise invalid("IssueComment", "body", "Body cannot be blank")
    if len(text) > LONGEST_COMMENT:
        raise invalid("IssueComment", "body", f"Body is too long (maximum is {LONGEST_COMMENT} characters)")
    return text


def post_comment(call: Call) -> Reply:
    """Add a comment."""
    pull, text = found_pull_request(call, "issue_number"), checked_text(call)
    via = doc.ACTIONS_APP if call.is_app else False
    made = call.state.issue_comments[call.state.comment(pull.number, call.asking.login, text, via_app=via)]
    document = doc.comment_document(call.state, made)
    return Reply(document, 201, {"Location": document["url"]})


def get_comment(call: Call) -> Reply:
    """Answer with a comment."""
    if (comment := call.state.issue_comments.get(call.number("comment_id"))) is None:
        raise not_found()
    return Reply(doc.comment_document(call.state, comment))


def patch_comment(call: Call) -> Reply:
    """Change a comment's text: everybody who may write can, whoever wrote it."""
    if (comment := call.state.issue_comments.get(call.number("comment_id"))) is None:
        raise not_found()
    changed = replace(comment, body=checked_text(call), updated_at=edited(comment.created_at))
    call.state.issue_comments[comment.id] = changed
    return Reply(doc.comment_document(call.state, changed))


def list_events(call: Call) -> Reply:
    """Answer with the events of a pull request: dismissals and other bases only.

    GitHub has more here (closed, merged, head_ref_deleted), and its description has no shape for those.
    """
    pull = found_pull_request(call, "issue_number")
    found = [
        *(d for d in call.state.dismissals if d.review.number == pull.number),
        *(r for r in call.state.retargetings if r.number == pull.number),
    ]
    return listed(call, sorted(found, key=lambda happening: happening.id), doc.happening_document)


# -- commits -----------------------------------------------------------------------------------------------------------


def found_commit(call: Call) -> str:
    """The commit that the path names."""
    if (sha := call.state.commit_of(call.values["ref"])) is None:
        raise Refusal(422, f"No commit found for SHA: {call.values['ref']}")
    return sha


def get_combined_status(call: Call) -> Reply:
    """Answer with the newest status of each context."""
    sha = found_commit(call)
    newest = {status.context: status for status in call.state.statuses if status.sha == sha}
    shown, headers = page_of(call, newest.values())
    document = doc.combined_status_document(call.state, sha, list(newest.values()), shown)
    return Reply(document, headers=headers)


def list_statuses(call: Call) -> Reply:
    """Answer with every status that was set on a commit, newest first."""
    sha = found_commit(call)
    found = [status for status in call.state.statuses if status.sha == sha]
    return listed(call, reversed(found), doc.created_status_document)


def post_status(call: Call) -> Reply:
    """Set a commit status."""
    sha, told = call.values["sha"], call.body.get("description")
    if call.state.commit_of(sha) is None:
        raise Refusal(422, f"No commit found for SHA: {sha}")
    if told is not None and len(told) > LONGEST_DESCRIPTION:
        raise invalid("Status", "description", f"description is too long (maximum is {LONGEST_DESCRIPTION} characters)")
    context, target = call.body.get("context", "default"), call.body.get("target_url")
    call.state.set_status(sha, context, call.body["state"], call.asking.login, description=told, target_url=target)
    document = doc.created_status_document(call.state, call.state.statuses[-1])
    return Reply(document, 201, {"Location": document["url"]})


def list_check_runs(call: Call) -> Reply:
    """Answer with the check runs of a commit; of one name only the newest, unless all are asked for."""
    sha = found_commit(call)
    found = [check for check in call.state.check_runs if check.sha == sha]
    if call.query.get("filter", "latest") == "latest":
        found = list({check.name: check for check in found}.values())
    shapes = [doc.check_run_document(call.state, check) for check in found]
    for name, key in (("check_name", "name"), ("status", "status")):
        shapes = [shape for shape in shapes if call.query.get(name) in {None, shape[key]}]
    return counted(call, "check_runs", shapes)


# -- Actions and settings ----------------------------------------------------------------------------------------------


def get_run(call: Call) -> Reply:
    """Answer with a run of a workflow."""
    if (run := call.state.runs.get(call.number("run_id"))) is None:
        raise not_found()
    return Reply(doc.run_document(call.state, run))


def get_workflow_permissions(call: Call) -> Reply:
    """Answer with what GITHUB_TOKEN may do by default."""
    demand(call, "admin", "Must have admin rights to Repository.")
    document = {
        "default_workflow_permissions": call.state.default_workflow_permissions,
        "can_approve_pull_request_reviews": call.state.workflows_can_approve,
    }
    return Reply(document)


def list_secrets(call: Call) -> Reply:
    """Answer with the names of secrets."""
    if call.is_app:
        raise Refusal(403, "Resource not accessible by integration")
    demand(call, "write", "Must have admin rights to Repository.")
    found = [{"name": n, "created_at": at, "updated_at": at} for n, at in sorted(call.state.secrets.items())]
    return counted(call, "secrets", found)


def list_deploy_keys(call: Call) -> Reply:
    """Answer with the deploy keys."""
    demand(call, "admin", "Must have admin rights to Repository.")
    return listed(call, call.state.deploy_keys, doc.deploy_key_document)


def get_environment(call: Call) -> Reply:
    """Answer with an environment."""
    if (environment := call.state.environments.get(call.values["environment_name"])) is None:
        raise not_found()
    return Reply(doc.environment_document(call.state, environment))


def list_branch_policies(call: Call) -> Reply:
    """Answer with the branches that may use an environment."""
    if (environment := call.state.environments.get(call.values["environment_name"])) is None:
        raise not_found()
    return counted(call, "branch_policies", doc.branch_policy_documents(environment))


def list_rulesets(call: Call) -> Reply:
    """Answer with the rulesets, without their rules."""
    shown, headers = page_of(call, call.state.rulesets.documents)
    found = [doc.ruleset_document(call.state, ruleset, call.asking, whole=False) for ruleset in shown]
    return Reply(found, headers=headers)


def get_ruleset(call: Call) -> Reply:
    """Answer with a ruleset."""
    if (ruleset := call.number("ruleset_id")) not in call.state.rulesets.documents:
        raise not_found()
    return Reply(doc.ruleset_document(call.state, ruleset, call.asking, whole=True))


def post_ruleset(call: Call) -> Reply:
    """Add a ruleset."""
    demand(call, "admin", "Must have admin rights to Repository.")
    if any(stored["name"] == call.body["name"] for stored in call.state.rulesets.documents.values()):
        raise invalid("RepositoryRuleset", "name", "Name must be unique")
    made = call.state.ruleset(call.body)
    return Reply(doc.ruleset_document(call.state, made, call.asking, whole=True), 201)


REPOSITORY = "/repos/{owner}/{repo}"

ENDPOINTS: Mapping[tuple[str, str], Callable[[Call], Reply]] = {
    ("GET", "/user"): get_myself,
    ("GET", "/users/{username}"): get_user,
    ("GET", REPOSITORY): get_repository,
    ("GET", f"{REPOSITORY}/collaborators/{{username}}/permission"): get_permission,
    ("GET", f"{REPOSITORY}/pulls"): list_pull_requests,
    ("GET", f"{REPOSITORY}/pulls/{{pull_number}}"): get_pull_request,
    ("PATCH", f"{REPOSITORY}/pulls/{{pull_number}}"): patch_pull_request,
    ("GET", f"{REPOSITORY}/pulls/{{pull_number}}/reviews"): list_reviews,
    ("GET", f"{REPOSITORY}/commits/{{commit_sha}}/pulls"): list_pull_requests_of_commit,
    ("GET", f"{REPOSITORY}/issues/{{issue_number}}/comments"): list_comments,
    ("POST", f"{REPOSITORY}/issues/{{issue_number}}/comments"): post_comment,
    ("GET", f"{REPOSITORY}/issues/comments/{{comment_id}}"): get_comment,
    ("PATCH", f"{REPOSITORY}/issues/comments/{{comment_id}}"): patch_comment,
    ("GET", f"{REPOSITORY}/issues/{{issue_number}}/events"): list_events,
    ("GET", f"{REPOSITORY}/commits/{{ref}}/status"): get_combined_status,
    ("GET", f"{REPOSITORY}/commits/{{ref}}/statuses"): list_statuses,
    ("POST", f"{REPOSITORY}/statuses/{{sha}}"): post_status,
    ("GET", f"{REPOSITORY}/commits/{{ref}}/check-runs"): list_check_runs,
    ("GET", f"{REPOSITORY}/actions/runs/{{run_id}}"): get_run,
    ("GET", f"{REPOSITORY}/actions/permissions/workflow"): get_workflow_permissions,
    ("GET", f"{REPOSITORY}/actions/secrets"): list_secrets,
    ("GET", f"{REPOSITORY}/keys"): list_deploy_keys,
    ("GET", f"{REPOSITORY}/environments/{{environment_name}}"): get_environment,
    ("GET", f"{REPOSITORY}/environments/{{environment_name}}/deployment-branch-policies"): list_branch_policies,
    ("GET", f"{REPOSITORY}/rulesets"): list_rulesets,
    ("POST", f"{REPOSITORY}/rulesets"): post_ruleset,
    ("GET", f"{REPOSITORY}/rulesets/{{ruleset_id}}"): get_ruleset,
}
