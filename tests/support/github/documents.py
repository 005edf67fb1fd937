"""The documents that GitHub answers with, made from what the fake knows. They decide nothing."""

import base64
from typing import Any

from tests.support.github.state import (
    Comment,
    Dismissal,
    Environment,
    PullRequest,
    Retargeting,
    Review,
    Run,
    State,
    Status,
    User,
)

Document = dict[str, Any]

GHOST = User(10137, "ghost")
"""Who GitHub shows for a deleted account."""

ACTIONS_APP = "github-actions"
APP_IDS = {ACTIONS_APP: 15368}

USER_URLS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def node_id(kind: str, number: int) -> str:
    """An opaque id, as GraphQL has it."""
    return f"{kind}_{base64.b64encode(str(number).encode()).decode()}"


def api(state: State, full_name: str | None = None) -> str:
    """Where the API has a repository."""
    return f"{state.url}/repos/{full_name or state.repository}"


def web(state: State, full_name: str | None = None) -> str:
    """Where the web pages have a repository."""
    return f"{state.server_url}/{full_name or state.repository}"


def user_document(state: State, user: User) -> Document:
    """A user, as every document that names one holds it."""
    url = f"{state.url}/users/{user.login}"
    page = user.login.removesuffix("[bot]")
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node_id("U", user.id),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{user.id}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{state.server_url}/{'apps/' if user.type == 'Bot' else ''}{page}",
        **{name: url + suffix for name, suffix in USER_URLS.items()},
        "type": user.type,
        "user_view_type": "public",
        "site_admin": False,
    }


def author(state: State, user_id: int) -> Document:
    """Whoever wrote something, under the login of today."""
    return user_document(state, state.users.get(user_id, GHOST))


def association(state: State, user_id: int) -> str:
    """How GitHub says that an author belongs to the repository."""
    user = state.users.get(user_id, GHOST)
    return "COLLABORATOR" if user.may("read") and user.type == "User" else "NONE"


def profile_document(state: State, user: User) -> Document:
    """A user, as asked for by login."""
    empty = dict.fromkeys(("name", "company", "location", "email", "hireable", "bio", "twitter_username"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    moments = {"created_at": state.created_at, "updated_at": state.created_at}
    return {**user_document(state, user), **empty, "blog": "", **counts, **moments}


def rights(user: User) -> dict[str, bool]:
    """What a user may do, by the names that repositories and collaborators use."""
    names = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
    return {name: user.may(permission) for name, permission in names.items()}


def permission_document(state: State, user: User) -> Document:
    """A user's permission: ``permission`` knows four words only, ``role_name`` says which role it is."""
    coarse = {"triage": "read", "maintain": "write"}.get(user.permission, user.permission)
    held = {"permissions": rights(user), "role_name": user.permission}
    return {"permission": coarse, "role_name": user.permission, "user": {**user_document(state, user), **held}}


def repository_document(state: State, full_name: str | None = None) -> Document:
    """The repository, or a fork of it."""
    full_name = full_name or state.repository
    owner_login, name = full_name.split("/")
    is_fork = full_name != state.repository
    url, page = api(state, full_name), web(state, full_name)
    owner = state.find_user(owner_login) or GHOST
    return {
        "id": state.repository_id + owner.id if is_fork else state.repository_id,
        "node_id": node_id("R", state.repository_id + owner.id if is_fork else state.repository_id),
        "name": name,
        "full_name": full_name,
        "private": True,
        "owner": user_document(state, owner),
        "html_url": page,
        "description": None,
        "fork": is_fork,
        "url": url,
        **{key: url + suffix for key, suffix in REPOSITORY_URLS.items()},
        "git_url": f"git:{page.partition(':')[2]}.git",
        "ssh_url": f"git@{page.partition('://')[2].replace('/', ':', 1)}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        **dict.fromkeys(("forks", "forks_count", "size", "stargazers_count", "watchers", "watchers_count"), 0),
        **dict.fromkeys(("open_issues", "open_issues_count"), sum(p.is_open for p in state.pull_requests.values())),
        **dict.fromkeys(("has_issues", "has_projects", "has_wiki", "has_downloads"), True),
        **dict.fromkeys(("has_pages", "has_discussions", "archived", "disabled", "is_template"), False),
        "topics": [],
        "visibility": "private",
        "default_branch": "main",
        "pushed_at": state.created_at,
        "created_at": state.created_at,
        "updated_at": state.created_at,
    }


def full_repository_document(state: State, asking: User) -> Document:
    """The repository, as asked for by name."""
    merging = {"allow_merge_commit": True, "allow_squash_merge": True, "allow_rebase_merge": True}
    counts = {"network_count": 0, "subscribers_count": 0}
    return {**repository_document(state), **counts, **merging, "permissions": rights(asking)}


def end_document(state: State, full_name: str, branch: str, sha: str) -> Document:
    """The head or base of a pull request."""
    repository = repository_document(state, full_name)
    owner = repository["owner"]
    label = f"{full_name.partition('/')[0]}:{branch}"
    return {"label": label, "ref": branch, "sha": sha, "user": owner, "repo": repository}


def pull_request_document(state: State, pull: PullRequest) -> Document:
    """A pull request, as lists hold it.

    The description says that ``head.repo`` is always there; GitHub answers null when the fork was deleted. The fake
    has no deleted forks.
    """
    url, page, issue = f"{api(state)}/pulls/{pull.number}", f"{web(state)}/pull/{pull.number}", issue_url(state, pull)
    links = {
        "self": url,
        "html": page,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{api(state)}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{api(state)}/statuses/{pull.head_sha}",
    }
    return {
        "url": url,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": issue,
        **{f"{name}_url": links[name] for name in ("comments", "review_comments", "review_comment", "commits")},
        "statuses_url": links["statuses"],
        "number": pull.number,
        "state": "open" if pull.is_open else "closed",
        "locked": False,
        "active_lock_reason": None,
        "title": pull.title,
        "user": author(state, pull.author),
        "body": pull.body,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_commit,
        "assignee": None,
        "milestone": None,
        "auto_merge": None,
        **{name: [] for name in ("assignees", "requested_reviewers", "requested_teams", "labels")},
        "draft": pull.draft,
        "head": end_document(state, pull.head_repository, pull.branch, pull.head_sha),
        "base": end_document(state, state.repository, pull.base, pull.base_sha),
        "_links": {name: {"href": link} for name, link in links.items()},
        "author_association": association(state, pull.author),
    }


def full_pull_request_document(state: State, pull: PullRequest) -> Document:
    """A pull request, as asked for by number. The counts of its diff are not kept: they are always 1."""
    mergeable = True if pull.is_open else None
    return {
        **pull_request_document(state, pull),
        "merged": pull.merged_at is not None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": "clean" if pull.is_open else "unknown",
        "merged_by": None,  # the fake does not know who pushed
        "comments": len(state.comments(pull.number)),
        "review_comments": 0,
        "maintainer_can_modify": False,
        **dict.fromkeys(("commits", "additions", "deletions", "changed_files"), 1),
    }


def issue_url(state: State, pull: PullRequest | int) -> str:
    """Where the API has a pull request as an issue."""
    return f"{api(state)}/issues/{pull if isinstance(pull, int) else pull.number}"


def review_document(state: State, review: Review) -> Document:
    """A review. The one thing that differs from comments: GitHub shows a deleted account's as nobody's."""
    page = f"{web(state)}/pull/{review.number}#pullrequestreview-{review.id}"
    pull = f"{api(state)}/pulls/{review.number}"
    document = {
        "id": review.id,
        "node_id": node_id("PRR", review.id),
        "user": author(state, review.author) if review.author in state.users else None,
        "body": review.body,
        "state": review.state,
        "html_url": page,
        "pull_request_url": pull,
        "author_association": association(state, review.author),
        "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
        "commit_id": review.commit,
    }
    return document if review.state == "PENDING" else {**document, "submitted_at": review.submitted_at}


def happening_document(state: State, happening: Dismissal | Retargeting) -> Document:
    """One event of a pull request."""
    return (
        dismissal_document(state, happening)
        if isinstance(happening, Dismissal)
        else retargeting_document(state, happening)
    )


def retargeting_document(state: State, retargeting: Retargeting) -> Document:
    """The event that a pull request got another base; the description has no shape of its own for it."""
    return {
        "id": retargeting.id,
        "node_id": node_id("BRCE", retargeting.id),
        "url": f"{api(state)}/issues/events/{retargeting.id}",
        "actor": author(state, retargeting.actor),
        "event": "base_ref_changed",
        "commit_id": None,
        "commit_url": None,
        "created_at": retargeting.created_at,
        "performed_via_github_app": None,
    }


def dismissal_document(state: State, dismissal: Dismissal) -> Document:
    """The event that a review was dismissed."""
    dismissed = {
        "state": dismissal.state,
        "review_id": dismissal.review.id,
        "dismissal_message": dismissal.message,
    }
    if dismissal.commit is not None:
        dismissed["dismissal_commit_id"] = dismissal.commit
    return {
        "id": dismissal.id,
        "node_id": node_id("RDE", dismissal.id),
        "url": f"{api(state)}/issues/events/{dismissal.id}",
        "actor": author(state, dismissal.actor),
        "event": "review_dismissed",
        "commit_id": None,
        "commit_url": None,
        "created_at": dismissal.created_at,
        "dismissed_review": dismissed,
        "performed_via_github_app": None,
    }


def app_document(state: State, slug: str) -> Document:
    """An app that somebody wrote something through."""
    owner = User(9919, "github", "Organization") if slug == ACTIONS_APP else User(9999, "somebody")
    app_id = APP_IDS.get(slug, 424242)
    return {
        "id": app_id,
        "slug": slug,
        "node_id": node_id("A", app_id),
        "owner": user_document(state, owner),
        "name": slug.replace("-", " ").title(),
        "description": None,
        "external_url": f"{state.server_url}/apps/{slug}",
        "html_url": f"{state.server_url}/apps/{slug}",
        "created_at": state.created_at,
        "updated_at": state.created_at,
        "permissions": {"issues": "write", "pull_requests": "write", "statuses": "write"},
        "events": [],
    }


def comment_document(state: State, comment: Comment) -> Document:
    """A comment on a pull request."""
    url = f"{api(state)}/issues/comments/{comment.id}"
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {
        "url": url,
        "html_url": f"{web(state)}/pull/{comment.number}#issuecomment-{comment.id}",
        "issue_url": issue_url(state, comment.number),
        "id": comment.id,
        "node_id": node_id("IC", comment.id),
        "user": author(state, comment.author),
        "created_at": comment.created_at,
        "updated_at": comment.updated_at,
        "body": comment.body,
        "author_association": association(state, comment.author),
        "reactions": {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)},
        "performed_via_github_app": None if comment.app is None else app_document(state, comment.app),
    }


def status_document(state: State, status: Status) -> Document:
    """A commit status, without who set it."""
    return {
        "url": f"{api(state)}/statuses/{status.sha}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{status.creator}?v=4",
        "id": status.id,
        "node_id": node_id("SC", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": status.created_at,
        "updated_at": status.created_at,
    }


def created_status_document(state: State, status: Status) -> Document:
    """A commit status, with who set it."""
    return {**status_document(state, status), "creator": author(state, status.creator)}


def combined_status_document(state: State, sha: str, newest: list[Status], shown: list[Status]) -> Document:
    """The newest status of each context of a commit, and what they come to together."""
    states = {status.state for status in newest}
    worst = "failure" if states & {"failure", "error"} else "pending" if states != {"success"} else "success"
    return {
        "state": worst,
        "statuses": [status_document(state, status) for status in shown],
        "sha": sha,
        "total_count": len(newest),
        "repository": repository_document(state),
        "commit_url": f"{api(state)}/commits/{sha}",
        "url": f"{api(state)}/commits/{sha}/status",
    }


def check_run_document(state: State, check: Any) -> Document:
    """A check run of the Actions app."""
    url, page = f"{api(state)}/check-runs/{check.id}", f"{web(state)}/runs/{check.id}"
    is_done = check.conclusion is not None
    return {
        "id": check.id,
        "head_sha": check.sha,
        "node_id": node_id("CR", check.id),
        "external_id": "",
        "url": url,
        "html_url": page,
        "details_url": page,
        "status": "completed" if is_done else "in_progress",
        "conclusion": check.conclusion,
        "started_at": check.created_at,
        "completed_at": check.created_at if is_done else None,
        "output": {
            **dict.fromkeys(("title", "summary", "text")),
            "annotations_count": 0,
            "annotations_url": f"{url}/annotations",
        },
        "name": check.name,
        "check_suite": {"id": check.id + 1_000_000},
        "app": app_document(state, ACTIONS_APP),
        "pull_requests": [],
    }


def commit_document(state: State, sha: str) -> Document | None:
    """A commit as a run holds it; null when the fake has no git repository."""
    told = state.git("log", "-1", "--format=%T%n%cI%n%an%n%ae%n%cn%n%ce%n%B", sha)
    if told is None:
        return None
    tree, when, author_name, author_email, committer_name, committer_email, *message = told.split("\n")
    return {
        "id": sha,
        "tree_id": tree,
        "message": "\n".join(message),
        "timestamp": when,
        "author": {"name": author_name, "email": author_email},
        "committer": {"name": committer_name, "email": committer_email},
    }


def run_document(state: State, run: Run) -> Document:
    """A run of a workflow; ``actor`` started it, ``triggering_actor`` started this attempt."""
    url, page = f"{api(state)}/actions/runs/{run.id}", f"{web(state)}/actions/runs/{run.id}"
    workflow, suite = 5_000_001, run.id + 1_000_000
    repository = repository_document(state)
    return {
        "id": run.id,
        "name": "MAA",
        "node_id": node_id("WFR", run.id),
        "head_branch": run.branch,
        "head_sha": run.sha,
        "path": run.path,
        "display_title": "MAA",
        "run_number": 1,
        "event": run.event,
        "status": "in_progress" if run.conclusion is None else "completed",
        "conclusion": run.conclusion,
        "workflow_id": workflow,
        "check_suite_id": suite,
        "check_suite_node_id": node_id("CS", suite),
        "url": url,
        "html_url": page,
        "pull_requests": [],
        "created_at": run.created_at,
        "updated_at": run.created_at,
        "actor": author(state, run.actor),
        "run_attempt": run.attempt,
        "referenced_workflows": [],
        "run_started_at": run.created_at,
        "triggering_actor": author(state, run.triggering_actor),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "check_suite_url": f"{api(state)}/check-suites/{suite}",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "previous_attempt_url": f"{url}/attempts/{run.attempt - 1}" if run.attempt > 1 else None,
        "workflow_url": f"{api(state)}/actions/workflows/{workflow}",
        "head_commit": commit_document(state, run.sha),
        "repository": repository,
        "head_repository": repository,
    }


def ruleset_document(state: State, ruleset_id: int, asking: User, *, whole: bool) -> Document:
    """A ruleset; lists hold no rules, and only an administrator sees who may bypass them."""
    stored = state.rulesets.documents[ruleset_id]
    made = state.rulesets.made[ruleset_id]
    document = {
        "id": ruleset_id,
        "name": stored["name"],
        "target": stored.get("target", "branch"),
        "source_type": "Repository",
        "source": state.repository,
        "enforcement": stored["enforcement"],
        "node_id": node_id("RRS", ruleset_id),
        "_links": {
            "self": {"href": f"{api(state)}/rulesets/{ruleset_id}"},
            "html": {"href": f"{web(state)}/rules/{ruleset_id}"},
        },
        "created_at": made,
        "updated_at": made,
    }
    if whole:
        document |= {"rules": stored.get("rules", []), "current_user_can_bypass": "never"}
        if stored.get("conditions") is not None:  # the description says nullable, and then allows no null
            document["conditions"] = stored["conditions"]
        if asking.may("admin"):
            document["bypass_actors"] = stored.get("bypass_actors", [])
    return document


def environment_document(state: State, environment: Environment) -> Document:
    """A deployment environment."""
    is_limited = environment.branches is not None or environment.protected_branches
    limits = {
        "protected_branches": environment.protected_branches,
        "custom_branch_policies": environment.branches is not None,
    }
    rule = {"id": environment.id + 1, "node_id": node_id("GA", environment.id + 1), "type": "branch_policy"}
    return {
        "id": environment.id,
        "node_id": node_id("EN", environment.id),
        "name": environment.name,
        "url": f"{api(state)}/environments/{environment.name}",
        "html_url": f"{web(state)}/deployments/activity_log?environments_filter={environment.name}",
        "created_at": environment.created_at,
        "updated_at": environment.created_at,
        "protection_rules": [rule] if is_limited else [],
        "deployment_branch_policy": limits if is_limited else None,
    }


def branch_policy_documents(environment: Environment) -> list[Document]:
    """The branches that may use an environment."""
    return [
        {"id": number, "node_id": node_id("GBP", number), "name": name, "type": "branch"}
        for number, name in enumerate(environment.branches or (), environment.id + 2)
    ]


def deploy_key_document(state: State, key: Any) -> Document:
    """A deploy key."""
    return {
        "id": key.id,
        "key": key.key,
        "url": f"{api(state)}/keys/{key.id}",
        "title": key.title,
        "verified": True,
        "created_at": key.created_at,
        "read_only": key.read_only,
        "added_by": state.owner,
        "last_used": None,
        "enabled": True,
    }
