"""What the fake GitHub knows: users, pull requests, reviews, comments, statuses, runs, and the settings around them.

The methods here are what a test calls to make and to look at facts. Heads of branches are read from a real git
repository at each look, so that a push through git is a push on the fake GitHub. Documents and endpoints are elsewhere.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

ACTIONS_BOT = "github-actions[bot]"
PERMISSIONS = ("none", "read", "triage", "write", "maintain", "admin")

At = datetime | str | None
"""A moment that a test chooses; None: now, by the real clock."""


def moment(at: At = None) -> str:
    """A moment as GitHub writes it."""
    if isinstance(at, str):
        return at
    return (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def edited(created: str, at: At = None) -> str:
    """The moment of an edit: always later than the creation, though both may be in one second of the real clock."""
    if at is not None:
        return moment(at)
    later = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) + timedelta(seconds=1)
    return max(moment(), moment(later))


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a login; the id stays when the login changes hands."""

    id: int
    login: str
    type: str = "User"
    permission: str = "none"

    def may(self, permission: str) -> bool:
        """Whether the user holds at least this permission on the repository."""
        return PERMISSIONS.index(self.permission) >= PERMISSIONS.index(permission)


@dataclass(frozen=True, slots=True)
class Token:
    """What a token stands for; no scopes: everything that its user may do."""

    user: int
    scopes: tuple[str, ...] = ()
    is_app: bool = False


@dataclass(slots=True)
class PullRequest:
    """A pull request; head and base are as they were when last looked at."""

    number: int
    id: int
    branch: str
    base: str
    author: int
    title: str
    body: str | None
    draft: bool
    head_repository: str
    created_at: str
    updated_at: str
    head_sha: str
    base_sha: str
    live: bool
    closed_at: str | None = None
    merged_at: str | None = None
    merge_commit: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor merged."""
        return self.closed_at is None


@dataclass(slots=True)
class Review:
    """A review of a pull request."""

    id: int
    number: int
    author: int
    state: str
    body: str
    commit: str
    submitted_at: str


@dataclass(frozen=True, slots=True)
class Dismissal:
    """The event that a review was dismissed."""

    id: int
    review: Review
    state: str
    actor: int
    message: str | None
    commit: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Retargeting:
    """The event that a pull request got another base branch."""

    id: int
    number: int
    actor: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request; ``app`` is the slug of the app that a person or bot wrote it through."""

    id: int
    number: int
    author: int
    login: str
    body: str
    app: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status."""

    id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: int
    created_at: str


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check run."""

    id: int
    sha: str
    name: str
    conclusion: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow."""

    id: int
    actor: int
    triggering_actor: int
    branch: str
    sha: str
    event: str
    attempt: int
    path: str
    conclusion: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Environment:
    """A deployment environment; ``branches`` None: any branch may use it."""

    id: int
    name: str
    branches: tuple[str, ...] | None
    protected_branches: bool
    created_at: str


@dataclass(frozen=True, slots=True)
class DeployKey:
    """A deploy key."""

    id: int
    title: str
    read_only: bool
    key: str
    created_at: str


@dataclass(slots=True)
class Rulesets:
    """The rulesets, and the moment each was made."""

    documents: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    made: dict[int, str] = field(default_factory=dict)


class State:
    """One repository on the fake GitHub, and everybody who has something to do with it."""

    def __init__(self, repository: str, git_dir: Path | None, server_url: str) -> None:
        """Start with an empty repository, its owner and the bot of Actions."""
        self.repository, self.git_dir, self.server_url = repository, git_dir, server_url.rstrip("/")
        self.owner, self.name = repository.split("/")
        self.url = ""
        self.created_at = moment()
        self.repository_id = 777_000_001
        self.ids: Iterator[int] = count(3_000_000_001)  # beyond 32 bits, as GitHub's are
        self.user_ids: Iterator[int] = count(1001)
        self.users: dict[int, User] = {}
        self.tokens: dict[str, Token] = {}
        self.pull_requests: dict[int, PullRequest] = {}
        self.reviews: dict[int, Review] = {}
        self.dismissals: list[Dismissal] = []
        self.retargetings: list[Retargeting] = []
        self.issue_comments: dict[int, Comment] = {}
        self.statuses: list[Status] = []
        self.check_runs: list[CheckRun] = []
        self.runs: dict[int, Run] = {}
        self.environments: dict[str, Environment] = {}
        self.deploy_keys: list[DeployKey] = []
        self.secrets: dict[str, str] = {}
        self.rulesets = Rulesets()
        self.default_workflow_permissions, self.workflows_can_approve = "read", False
        self.made_up_heads = {"main": hashlib.sha1(b"main").hexdigest()}
        self.program = shutil.which("git") or "git"
        self.variables = {"PATH": os.environ.get("PATH", ""), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
        self.ancestors: dict[tuple[str, str], bool] = {}
        self.user(self.owner, type="Organization")
        self.user(ACTIONS_BOT, id=41898282, type="Bot", permission="write")

    # -- users and tokens ------------------------------------------------------------------------------------------

    def user(self, login: str, id: int | None = None, permission: str = "none", type: str = "User") -> User:  # noqa: A002
        """Make a user; a login that somebody gave up can be taken, with another id."""
        assert permission in PERMISSIONS
        if self.find_user(login) is not None:
            raise ValueError(f"the login {login!r} is taken")
        made = User(next(self.user_ids) if id is None else id, login, type, permission)
        if made.id in self.users:
            raise ValueError(f"the id {made.id} is taken by {self.users[made.id].login!r}")
        self.users[made.id] = made
        return made

    def find_user(self, login: str) -> User | None:
        """The user who has a login now; GitHub does not tell upper from lower case."""
        return next((user for user in self.users.values() if user.login.lower() == login.lower()), None)

    def known(self, login: str) -> User:
        """The user who has a login now; a test that names nobody is a wrong test."""
        if (found := self.find_user(login)) is None:
            raise LookupError(f"nobody has the login {login!r}")
        return found

    def rename(self, old_login: str, new_login: str) -> User:
        """Give a user another login; the id stays, and the old login is free."""
        if self.find_user(new_login) is not None:
            raise ValueError(f"the login {new_login!r} is taken")
        renamed = replace(self.known(old_login), login=new_login)
        self.users[renamed.id] = renamed
        return renamed

    def remove(self, login: str) -> None:
        """Delete an account: what it wrote stays and is nobody's, its tokens are dead, its login is free."""
        del self.users[self.known(login).id]

    def set_permission(self, login: str, permission: str) -> User:
        """Change what a user may do on the repository."""
        assert permission in PERMISSIONS
        changed = replace(self.known(login), permission=permission)
        self.users[changed.id] = changed
        return changed

    def token(self, login: str, *scopes: str) -> str:
        """Make a personal access token; with scopes that do not hold ``repo`` it cannot write."""
        return self._token("ghp_", Token(self.known(login).id, scopes))

    def actions_token(self) -> str:
        """Make a token like GITHUB_TOKEN: an installation's of the Actions app, which is no user's."""
        return self._token("ghs_", Token(self.known(ACTIONS_BOT).id, is_app=True))

    def _token(self, prefix: str, held: Token) -> str:
        text = prefix + hashlib.sha256(f"{len(self.tokens)} {held.user}".encode()).hexdigest()[:36]
        self.tokens[text] = held
        return text

    # -- git -------------------------------------------------------------------------------------------------------

    def git(self, *arguments: str) -> str | None:
        """What git prints about the repository; None when it fails, or when there is no repository."""
        if self.git_dir is None:
            return None
        done = self.run_git(*arguments)
        return done.stdout.decode("utf-8", "surrogateescape").strip() if done.returncode == 0 else None

    def run_git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run git in the repository, away from the environment that a test may be changing meanwhile."""
        command = [self.program, "-C", str(self.git_dir), *arguments]
        return subprocess.run(command, capture_output=True, env=self.variables, check=False)

    def heads(self) -> dict[str, str]:
        """The commit of each branch, now."""
        if self.git_dir is None:
            return dict(self.made_up_heads)
        listed = self.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads") or ""
        pairs = (line.split(" ", 1) for line in listed.splitlines())
        return {name.removeprefix("refs/heads/"): commit for commit, name in pairs}

    def push(self, branch: str, commit: str | None) -> None:
        """Move a branch (None: delete it) when there is no git repository; else a real push does it."""
        assert self.git_dir is None, "push to the git repository instead"
        if commit is None:
            self.made_up_heads.pop(branch, None)
        else:
            self.made_up_heads[branch] = commit

    def commit_of(self, ref: str) -> str | None:
        """The commit that a branch or a full commit id means; None: there is none."""
        heads = self.heads()
        for name in (ref, ref.removeprefix("refs/").removeprefix("heads/")):
            if name in heads:
                return heads[name]
        if re.fullmatch("[0-9a-f]{40}", ref) is None:
            return None
        is_there = self.git_dir is None or self.git("cat-file", "-e", f"{ref}^{{commit}}") is not None
        return ref if is_there else None

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether a commit is reachable from another one."""
        if old == new or self.git_dir is None:
            return old == new
        if (old, new) not in self.ancestors:
            code = self.run_git("merge-base", "--is-ancestor", old, new).returncode
            if code > 1:  # a commit is not there, yet
                return False
            self.ancestors[old, new] = code == 0
        return self.ancestors[old, new]

    # -- pull requests ---------------------------------------------------------------------------------------------

    def pull_request(
        self,
        branch: str,
        author: str,
        *,
        title: str,
        body: str | None = "",
        base: str = "main",
        draft: bool = False,
        head_repository: str | None = None,
        head: str | None = None,
        at: At = None,
    ) -> int:
        """Open a pull request; returns its number.

        ``head_repository`` is the fork's name; ``head`` fixes the head commit, which is else read from the branch.
        """
        heads = self.heads()
        if self.git_dir is None and branch not in heads:
            heads[branch] = self.made_up_heads[branch] = hashlib.sha1(branch.encode()).hexdigest()
        number = len(self.pull_requests) + 1
        sha = heads[branch] if head is None else head
        if self.is_ancestor(sha, heads[base]):
            raise ValueError(f"no commits between {base} and {branch}")  # GitHub refuses this as well
        when = moment(at)
        self.pull_requests[number] = PullRequest(
            number,
            next(self.ids),
            branch,
            base,
            self.known(author).id,
            title,
            body,
            draft,
            head_repository or self.repository,
            created_at=when,
            updated_at=when,
            head_sha=sha,
            base_sha=heads[base],
            live=head is None,
        )
        return number

    def refresh(self, heads: Mapping[str, str] | None = None) -> None:
        """Look at the branches: heads follow pushes, what was merged is merged, and what lost its branch is closed."""
        heads = self.heads() if heads is None else heads
        for pull in self.pull_requests.values():
            if not pull.is_open:
                continue
            now = heads.get(pull.branch) if pull.live else pull.head_sha
            pull.base_sha = heads.get(pull.base, pull.base_sha)
            if now is not None and now != pull.head_sha:
                pull.head_sha, pull.updated_at = now, moment()
            if self.is_ancestor(pull.head_sha, pull.base_sha):
                pull.merged_at = pull.closed_at = pull.updated_at = moment()
                pull.merge_commit = self.landed_by(pull.head_sha, pull.base_sha)
            elif now is None:
                pull.closed_at = pull.updated_at = moment()

    def landed_by(self, head: str, base: str) -> str:
        """The first commit on the base branch that holds the head."""
        between = self.git("rev-list", "--first-parent", "--ancestry-path", f"{head}..{base}") or ""
        return between.splitlines()[-1] if between else head

    def close(self, number: int, at: At = None) -> None:
        """Close a pull request without merging it."""
        self.refresh()
        pull = self.pull_requests[number]
        if pull.is_open:
            pull.closed_at = pull.updated_at = moment(at)

    def edit_pull_request(self, number: int, *, at: At = None, **changes: Any) -> None:
        """Change the title, body, base or draft of a pull request."""
        assert set(changes) <= {"title", "body", "base", "draft"}, changes
        pull = self.pull_requests[number]
        if changes.get("base", pull.base) != pull.base:
            self.retargetings.append(Retargeting(next(self.ids), number, pull.author, moment(at)))
        for name, value in changes.items():
            setattr(pull, name, value)
        pull.updated_at = edited(pull.created_at)

    # -- reviews and comments --------------------------------------------------------------------------------------

    def review(
        self, number: int, login: str, state: str, body: str = "", *, commit: str | None = None, at: At = None
    ) -> int:
        """Add a review (APPROVED, CHANGES_REQUESTED, COMMENTED, PENDING), of the head if no commit is named."""
        assert state in {"APPROVED", "CHANGES_REQUESTED", "COMMENTED", "PENDING"}, state
        self.refresh()
        looked_at = commit or self.pull_requests[number].head_sha
        made = Review(next(self.ids), number, self.known(login).id, state, body, looked_at, moment(at))
        self.reviews[made.id] = made
        return made.id

    def edit_review(self, review_id: int, body: str) -> None:
        """Change a review's text; GitHub's answers show no trace of that."""
        self.reviews[review_id].body = body

    def dismiss(self, review_id: int, actor: str, message: str = "", *, by_push: bool = False, at: At = None) -> int:
        """Dismiss a review, by hand or because somebody pushed; returns the id of the event."""
        review = self.reviews[review_id]
        self.refresh()
        commit = self.pull_requests[review.number].head_sha if by_push else None
        actor_id, before = self.known(actor).id, review.state.lower()
        made = Dismissal(next(self.ids), review, before, actor_id, message or None, commit, moment(at))
        review.state = "DISMISSED"
        self.dismissals.append(made)
        return made.id

    def comment(self, number: int, login: str, body: str, *, via_app: bool | str = False, at: At = None) -> int:
        """Add a comment; ``via_app`` (True, or an app's slug) says that an app wrote it for the user."""
        app = "some-app" if via_app is True else via_app or None
        user, when = self.known(login), moment(at)
        made = Comment(next(self.ids), number, user.id, user.login, body, app, when, when)
        self.issue_comments[made.id] = made
        return made.id

    def edit_comment(self, comment_id: int, body: str, at: At = None) -> None:
        """Change a comment's text, as anybody with write permission can; its author stays."""
        old = self.issue_comments[comment_id]
        self.issue_comments[comment_id] = replace(old, body=body, updated_at=edited(old.created_at, at))

    def delete_comment(self, comment_id: int) -> None:
        """Delete a comment; nothing of it stays."""
        del self.issue_comments[comment_id]

    def comments(self, number: int) -> list[Comment]:
        """The comments on a pull request, oldest first."""
        return [comment for comment in self.issue_comments.values() if comment.number == number]

    # -- statuses, checks, runs ------------------------------------------------------------------------------------

    def set_status(
        self,
        sha: str,
        context: str,
        state: str,
        login: str = ACTIONS_BOT,
        *,
        description: str | None = None,
        target_url: str | None = None,
        at: At = None,
    ) -> int:
        """Set a commit status, as anybody with write permission can."""
        creator = self.known(login).id
        made = Status(next(self.ids), sha, context, state, description, target_url, creator, moment(at))
        self.statuses.append(made)
        return made.id

    def status_of(self, sha: str, context: str) -> tuple[str, str | None] | None:
        """State and description of a commit's newest status of a context; None: it has none."""
        found = [status for status in self.statuses if (status.sha, status.context) == (sha, context)]
        return (found[-1].state, found[-1].description) if found else None

    def check_run(self, sha: str, name: str, conclusion: str | None, at: At = None) -> int:
        """Add a check run; without conclusion it is still in progress."""
        made = CheckRun(next(self.ids), sha, name, conclusion, moment(at))
        self.check_runs.append(made)
        return made.id

    def run(
        self,
        login: str,
        *,
        branch: str = "main",
        event: str = "workflow_dispatch",
        attempt: int = 1,
        triggering_actor: str | None = None,
        path: str = ".github/workflows/maa.yml",
        conclusion: str | None = None,
        at: At = None,
    ) -> int:
        """Add a run of a workflow; ``triggering_actor`` is who ran it again, the login who started it first."""
        actor, again = self.known(login).id, self.known(triggering_actor or login).id
        sha = self.heads()[branch]
        made = Run(next(self.ids), actor, again, branch, sha, event, attempt, path, conclusion, moment(at))
        self.runs[made.id] = made
        return made.id

    # -- settings --------------------------------------------------------------------------------------------------

    def environment(
        self, name: str, branches: Sequence[str] | None = ("main",), *, protected_branches: bool = False, at: At = None
    ) -> None:
        """Make an environment for some branches (None: for any), or for the protected ones."""
        kept = None if branches is None or protected_branches else tuple(branches)
        self.environments[name] = Environment(next(self.ids), name, kept, protected_branches, moment(at))

    def deploy_key(self, title: str, read_only: bool, key: str = "ssh-ed25519 AAAAC3Nz", at: At = None) -> int:
        """Add a deploy key."""
        made = DeployKey(next(self.ids), title, read_only, key, moment(at))
        self.deploy_keys.append(made)
        return made.id

    def secret(self, name: str, at: At = None) -> None:
        """Add a secret of the repository; nobody can read it back."""
        self.secrets[name] = moment(at)

    def ruleset(self, document: Mapping[str, Any], at: At = None) -> int:
        """Add a ruleset: name, target, enforcement, bypass_actors, conditions, rules."""
        made = next(self.ids)
        self.rulesets.documents[made], self.rulesets.made[made] = dict(document), moment(at)
        return made

    def workflow_permissions(self, default: str = "read", *, can_approve: bool = False) -> None:
        """Say what GITHUB_TOKEN may do by default, and whether it may approve pull requests."""
        self.default_workflow_permissions, self.workflows_can_approve = default, can_approve
