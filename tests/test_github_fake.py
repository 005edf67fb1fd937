"""The fake GitHub itself: held to GitHub's description on both sides, and alive with git."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from tests.support import World
from tests.support.github import ACTIONS_BOT, FakeGitHub

REPOSITORY = "/repos/contoso/tenant"
UNKNOWN = "5" * 40
RULESET = {
    "name": "Only the key",
    "target": "branch",
    "enforcement": "active",
    "bypass_actors": [{"actor_id": None, "actor_type": "DeployKey", "bypass_mode": "always"}],
    "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}},
    "rules": [{"type": "update"}],
}


@dataclass(frozen=True)
class Client:
    """A client that asks the fake and hides nothing."""

    fake: FakeGitHub
    pool: urllib3.PoolManager

    def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """Ask with a token, and answer whatever comes back."""
        sent = {"User-Agent": "tests", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        url = path if path.startswith("http") else self.fake.url + path
        return self.pool.request(method, url, json=body, headers=sent)

    def get(self, path: str, token: str) -> Any:
        """Ask for something that is there."""
        answer = self.ask("GET", path, token=token)
        assert answer.status == 200, answer.data
        return answer.json()


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    """Connections that are closed in the end."""
    with urllib3.PoolManager(retries=False) as made:
        yield made


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    """A fake without git: branches are made up."""
    with FakeGitHub() as made:
        for login in ("alice", "bob"):
            made.user(login, permission="write")
        made.user("root", permission="admin")
        yield made


@pytest.fixture
def client(fake: FakeGitHub, pool: urllib3.PoolManager) -> Client:
    """A client of the fake."""
    return Client(fake, pool)


def test_every_operation_answers_as_described(fake: FakeGitHub, client: Client) -> None:
    """Each operation of the description has an endpoint, whose answer the description allows."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    sha = fake.pull_requests[number].head_sha
    review = fake.review(number, "bob", "APPROVED")
    fake.dismiss(review, "root", "Wrong")
    comment, run = fake.comment(number, "bob", "Hello", via_app=True), fake.run("alice", triggering_actor="bob")
    fake.set_status(sha, "maa", "pending")
    fake.check_run(sha, "build", None)
    fake.environment("production")
    fake.deploy_key("deployer", read_only=False)
    fake.secret("KEY")
    values = {
        "owner": "contoso",
        "repo": "tenant",
        "pull_number": number,
        "issue_number": number,
        "commit_sha": sha,
        "sha": sha,
        "ref": sha,
        "comment_id": comment,
        "run_id": run,
        "username": "bob",
        "ruleset_id": fake.ruleset(RULESET),
        "environment_name": "production",
    }
    bodies = {
        ("POST", "comments"): {"body": "More"},
        ("POST", "{sha}"): {"state": "success", "context": "maa"},
        ("POST", "rulesets"): {**RULESET, "name": "Another"},
        ("PATCH", "{comment_id}"): {"body": "Less"},
        ("PATCH", "{pull_number}"): {"state": "closed", "body": "Withdrawn"},
    }
    token, asked = fake.token("root"), 0
    for template, item in fake.description.document["paths"].items():
        for method in sorted({"get", "post", "patch"} & set(item)):
            body = bodies.get((method.upper(), template.rsplit("/", 1)[-1]))
            answer = client.ask(method.upper(), template.format(**values), body, token)
            assert answer.status in {200, 201}, (method, template, answer.data)
            asked += 1
    assert asked == len(fake.requests) == 27
    assert fake.violations == []


def test_request_that_the_description_does_not_allow(fake: FakeGitHub, client: Client) -> None:
    """A value, a query parameter or a property that GitHub does not know is a violation, and has no effect."""
    fake.pull_request("change/x", "alice", title="Change x")
    sha, token = fake.pull_requests[1].head_sha, fake.token("alice")
    path = f"{REPOSITORY}/statuses/{sha}"
    for body in ({"state": "bogus"}, {"context": "maa"}, {"state": "success", "decription": "A slip"}, ["success"]):
        assert client.ask("POST", path, body, token).status == 422
    assert client.ask("GET", f"{REPOSITORY}/pulls?status=open", token=token).status == 422
    assert client.ask("GET", f"{REPOSITORY}/pulls/one", token=token).status == 422
    assert client.ask("GET", f"{REPOSITORY}/pulls?per_page=many", token=token).status == 422
    assert client.ask("GET", f"{REPOSITORY}/pulls", token=token, X_GitHub_Api_Version="2000-01-01").status == 422
    assert client.ask("DELETE", f"{REPOSITORY}/pulls/1", token=token).status == 404
    assert len(fake.violations) >= 9
    assert "request: state: 'bogus' is not one of" in fake.violations[0]
    assert fake.status_of(sha, "maa") is None


def test_answer_that_the_description_does_not_allow(fake: FakeGitHub, client: Client) -> None:
    """An answer of the fake that lacks what GitHub promises is a violation."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    fake.review(number, "bob", "APPROVED")
    fake.alter_next(lambda reviews: [{k: v for k, v in review.items() if k != "commit_id"} for review in reviews])
    assert "commit_id" not in client.get(f"{REPOSITORY}/pulls/{number}/reviews", token)[0]
    assert fake.violations == [
        f"GET {REPOSITORY}/pulls/{number}/reviews: answer 200: 0: 'commit_id' is a required property"
    ]
    assert "commit_id" in client.get(f"{REPOSITORY}/pulls/{number}/reviews", token)[0]
    assert len(fake.violations) == 1


def test_pages(fake: FakeGitHub, client: Client) -> None:
    """Links lead from page to page, as absolute URLs of the fake that name the repository by its id."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    written = [f"Comment {n}" for n in range(65)]
    for text in written:
        fake.comment(number, "bob", text)
    url: str | None = f"{REPOSITORY}/issues/{number}/comments"
    found, links = [], []
    while url is not None:
        answer = client.ask("GET", url, token=token)
        found += [comment["body"] for comment in answer.json()]
        links.append(answer.headers["Link"])
        relations = {part.split('"')[1]: part[part.index("<") + 1 : part.index(">")] for part in links[-1].split(", ")}
        url = relations.get("next")
    assert found == written
    base = f"{fake.url}/repositories/{fake.repository_id}/issues/{number}/comments?page"
    assert links[0] == f'<{base}=2>; rel="next", <{base}=3>; rel="last"'
    assert links[2] == f'<{base}=2>; rel="prev", <{base}=1>; rel="first"'
    assert len(client.get(f"{REPOSITORY}/issues/{number}/comments?per_page=100", token)) == 65
    assert fake.violations == []


def test_entity_tags(fake: FakeGitHub, client: Client) -> None:
    """What the client has already is answered 304, until something changes; GitHub does not count it."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    path = f"{REPOSITORY}/issues/{number}/comments"
    first = client.ask("GET", path, token=token)
    again = client.ask("GET", path, token=token, If_None_Match=first.headers["ETag"])
    assert (again.status, again.data) == (304, b"")
    assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
    fake.comment(number, "bob", "Something new")
    assert client.ask("GET", path, token=token, If_None_Match=first.headers["ETag"]).status == 200
    assert [seen.status for seen in fake.requests] == [200, 304, 200]
    assert fake.violations == []


def test_who_may_ask(fake: FakeGitHub, client: Client) -> None:
    """A bad token is refused, the anonymous see users only, and writing takes write permission."""
    number = fake.pull_request("change/x", "alice", title="Change x")
    fake.user("rita", permission="read")
    fake.user("nora")
    path, body = f"{REPOSITORY}/issues/{number}/comments", {"body": "Hello"}
    assert client.ask("GET", "/users/bob").status == 200
    assert client.ask("GET", "/user").status == 401
    assert client.ask("GET", path).status == 404
    assert client.ask("GET", path, token="ghp_nobody").status == 401
    assert client.ask("GET", path, token=fake.token("nora")).status == 404
    assert client.ask("GET", path, token=fake.token("rita")).status == 200
    assert client.ask("POST", path, body, fake.token("rita")).status == 403
    assert client.ask("POST", path, body, fake.token("alice", "read:user")).status == 403
    assert client.ask("POST", path, body, fake.token("alice", "repo")).status == 201
    assert client.ask("GET", f"{REPOSITORY}/keys", token=fake.token("alice")).status == 403
    assert client.ask("GET", "/repos/contoso/another", token=fake.token("alice")).status == 404
    dead = fake.token("alice")
    fake.remove("alice")
    assert client.ask("GET", path, token=dead).status == 401
    assert fake.violations == []


def test_token_of_actions(fake: FakeGitHub, client: Client) -> None:
    """The token of Actions writes as its bot, through its app, and is no user's."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.actions_token()
    assert client.ask("GET", "/user", token=token).status == 403
    made = client.ask("POST", f"{REPOSITORY}/issues/{number}/comments", {"body": "Hello"}, token).json()
    assert (made["user"]["login"], made["user"]["id"], made["user"]["type"]) == (ACTIONS_BOT, 41898282, "Bot")
    assert made["performed_via_github_app"]["slug"] == "github-actions"
    assert [(seen.login, seen.body) for seen in fake.asked("POST")] == [(ACTIONS_BOT, {"body": "Hello"})]
    answer = client.ask("GET", f"{REPOSITORY}/collaborators/github-actions%5Bbot%5D/permission", token=token)
    assert (answer.status, answer.json()["message"]) == (404, "github-actions[bot] is not a user")
    assert fake.violations == []


def test_logins_change_hands(fake: FakeGitHub, client: Client) -> None:
    """An id stays with its account; a login can be taken by another one."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    fake.review(number, "bob", "APPROVED")
    old = client.get("/users/bob", token)["id"]
    fake.rename("bob", "robert")
    new = fake.user("bob", permission="maintain").id
    (review,) = client.get(f"{REPOSITORY}/pulls/{number}/reviews", token)
    assert (review["user"]["login"], review["user"]["id"]) == ("robert", old)
    assert client.get("/users/BOB", token)["id"] == new != old
    held = client.get(f"{REPOSITORY}/collaborators/bob/permission", token)
    assert (held["permission"], held["role_name"]) == ("write", "maintain")
    fake.remove("robert")
    assert client.get(f"{REPOSITORY}/pulls/{number}/reviews", token)[0]["user"] is None
    assert fake.violations == []


def test_heads_follow_pushes(world: World, pool: urllib3.PoolManager) -> None:
    """A push through git moves the pull request's head; a merge merges it, a deleted branch closes it."""
    with FakeGitHub(git_dir=world.server) as fake:
        client = Client(fake, pool)
        fake.user("alice", permission="write")
        token, alice = fake.token("alice"), world.alice
        first = alice.change("x", {"x.txt": "1\n"})
        alice.git("push", "-q", "origin", "change/x")
        number = fake.pull_request("change/x", "alice", title="Change x")
        path = f"{REPOSITORY}/pulls/{number}"
        assert client.get(path, token)["head"]["sha"] == first
        second = alice.commit({"x.txt": "2\n"})
        alice.git("push", "-q", "origin", "change/x")
        shown = client.get(path, token)
        assert (shown["head"]["sha"], shown["base"]["sha"], shown["state"]) == (second, world.tip(), "open")
        for ref in (second, "change/x", "heads%2Fchange%2Fx"):
            assert client.get(f"{REPOSITORY}/commits/{ref}/status", token)["sha"] == second
        assert [p["number"] for p in client.get(f"{REPOSITORY}/commits/{first}/pulls", token)] == [number]
        alice.git("switch", "-q", "main")
        alice.git("merge", "-q", "--no-ff", "-m", "Merge", "change/x")
        alice.git("push", "-q", "origin", "main", ":change/x")
        shown = client.get(path, token)
        assert (shown["state"], shown["merged"], shown["merge_commit_sha"]) == ("closed", True, world.tip())
        assert [p["number"] for p in client.get(f"{REPOSITORY}/commits/{first}/pulls", token)] == [number]
        assert client.get(f"{REPOSITORY}/pulls", token) == []
        alice.change("y", {"y.txt": "1\n"})
        alice.git("push", "-q", "origin", "change/y")
        other = fake.pull_request("change/y", "alice", title="Change y")
        alice.git("push", "-q", "origin", ":change/y")
        shown = client.get(f"{REPOSITORY}/pulls/{other}", token)
        assert (shown["state"], shown["merged"]) == ("closed", False)
        status = client.ask("POST", f"{REPOSITORY}/statuses/{UNKNOWN}", {"state": "success"}, token)
        assert (status.status, status.json()["message"]) == (422, f"No commit found for SHA: {UNKNOWN}")
        assert fake.violations == []


def test_filters_of_pull_requests(fake: FakeGitHub, client: Client) -> None:
    """The filter takes owner and branch; a fork's branch of the same name is another one."""
    token = fake.token("alice")
    own = fake.pull_request("change/x", "alice", title="Own")
    fork = fake.pull_request("change/x", "bob", title="Fork", head_repository="mallory/tenant", head=UNKNOWN)
    closed = fake.pull_request("change/y", "alice", title="Closed", draft=True)
    fake.close(closed)

    def numbers(query: str) -> list[int]:
        return [pull["number"] for pull in client.get(f"{REPOSITORY}/pulls?{query}", token)]

    assert numbers("head=contoso:change/x&base=main") == [own]
    assert numbers("head=mallory:change/x") == [fork]
    assert numbers("head=change/x&direction=asc") == [own, fork]  # without owner GitHub filters nothing
    assert numbers("state=closed") == [closed]
    assert numbers("state=all") == [closed, fork, own]
    assert client.get(f"{REPOSITORY}/pulls/{fork}", token)["head"]["repo"]["full_name"] == "mallory/tenant"
    assert fake.violations == []


def test_reviews_and_their_dismissal(fake: FakeGitHub, client: Client) -> None:
    """A dismissed review shows its end in the list, and how it came to it in the events."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    by_hand, by_push = fake.review(number, "bob", "APPROVED", "Fine"), fake.review(number, "root", "CHANGES_REQUESTED")
    fake.review(number, "bob", "PENDING")
    fake.edit_review(by_hand, "Never said that")
    fake.dismiss(by_hand, "root", "Stale", at="2026-01-02T03:04:05Z")
    head = "7" * 40
    fake.push("change/x", head)
    fake.dismiss(by_push, "alice", by_push=True)
    reviews = client.get(f"{REPOSITORY}/pulls/{number}/reviews", token)
    assert [(r["id"], r["state"], r["body"]) for r in reviews] == [
        (by_hand, "DISMISSED", "Never said that"),
        (by_push, "DISMISSED", ""),
    ]
    assert reviews[0]["html_url"] == f"https://github.com/contoso/tenant/pull/1#pullrequestreview-{by_hand}"
    first, second = client.get(f"{REPOSITORY}/issues/{number}/events", token)
    assert (first["event"], first["actor"]["login"], first["created_at"]) == (
        "review_dismissed",
        "root",
        "2026-01-02T03:04:05Z",
    )
    assert first["dismissed_review"] == {"state": "approved", "review_id": by_hand, "dismissal_message": "Stale"}
    assert second["dismissed_review"]["dismissal_commit_id"] == head
    assert fake.violations == []


def test_comments_are_edited_and_deleted(fake: FakeGitHub, client: Client) -> None:
    """An edit shows in the moment alone, whoever made it; a deleted comment is gone without trace."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    comment = fake.comment(number, "bob", "I approve", at="2026-01-01T00:00:00Z")
    path = f"{REPOSITORY}/issues/comments/{comment}"
    assert client.ask("PATCH", path, {"body": "I reject"}, token).status == 200
    shown = client.get(path, token)
    assert (shown["user"]["login"], shown["body"]) == ("bob", "I reject")
    assert shown["created_at"] < shown["updated_at"]
    other = fake.comments(number)[0].id + 1
    assert fake.comment(number, "bob", "Just now") == other
    fake.edit_comment(other, "In the same second")
    assert fake.comments(number)[1].created_at < fake.comments(number)[1].updated_at
    fake.delete_comment(comment)
    assert client.ask("GET", path, token=token).status == 404
    assert client.ask("POST", f"{REPOSITORY}/issues/{number}/comments", {"body": "x" * 65537}, token).status == 422
    assert [(c.login, c.body) for c in fake.comments(number)] == [("bob", "In the same second")]
    assert fake.violations == []


def test_statuses(fake: FakeGitHub, client: Client) -> None:
    """The newest status of a context counts, whoever set it; a description may have 140 characters."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    sha = fake.pull_requests[number].head_sha
    path = f"{REPOSITORY}/statuses/{sha}"
    sent = {"state": "failure", "context": "maa", "description": "Not yet"}
    assert client.ask("POST", path, sent, token).status == 201
    assert fake.status_of(sha, "maa") == ("failure", "Not yet")
    assert client.get(f"{REPOSITORY}/commits/{sha}/status", token)["state"] == "failure"
    fake.set_status(sha, "maa", "success", "bob")
    combined = client.get(f"{REPOSITORY}/commits/{sha}/status", token)
    assert (combined["state"], combined["total_count"], len(combined["statuses"])) == ("success", 1, 1)
    every = client.get(f"{REPOSITORY}/commits/{sha}/statuses", token)
    assert [(status["state"], status["creator"]["login"]) for status in every] == [
        ("success", "bob"),
        ("failure", "alice"),
    ]
    assert client.ask("POST", path, {"state": "success", "description": "x" * 141}, token).status == 422
    assert fake.violations == []


def test_rulesets_and_environments(fake: FakeGitHub, client: Client) -> None:
    """Who may bypass a ruleset is for administrators to see; an environment tells its branches."""
    token, admin = fake.token("alice"), fake.token("root")
    made = client.ask("POST", f"{REPOSITORY}/rulesets", RULESET, admin)
    assert made.status == 201
    assert client.ask("POST", f"{REPOSITORY}/rulesets", RULESET, token).status == 403
    (entry,) = client.get(f"{REPOSITORY}/rulesets", token)
    assert "rules" not in entry
    path = f"{REPOSITORY}/rulesets/{entry['id']}"
    assert client.get(path, admin)["bypass_actors"] == RULESET["bypass_actors"]
    assert "bypass_actors" not in client.get(path, token)
    fake.environment("production", ("main", "release/*"))
    fake.environment("anywhere", None)
    limits = client.get(f"{REPOSITORY}/environments/production/deployment-branch-policies", token)
    assert [policy["name"] for policy in limits["branch_policies"]] == ["main", "release/*"]
    assert client.get(f"{REPOSITORY}/environments/anywhere", token)["deployment_branch_policy"] is None
    assert client.ask("GET", f"{REPOSITORY}/environments/nowhere", token=token).status == 404
    assert fake.violations == []


def test_failures(fake: FakeGitHub, client: Client) -> None:
    """A failure befalls the requests that match, as often as said, and forms what GitHub forms."""
    token, path = fake.token("alice"), f"{REPOSITORY}/pulls"
    fake.fail_next(502, times=2, match=r"^GET .*/pulls$", body=b"<html>Unicorn")
    assert client.ask("GET", REPOSITORY, token=token).status == 200
    assert [client.ask("GET", path, token=token).status for _ in range(3)] == [502, 502, 200]
    fake.fail_next(429)
    answer = client.ask("GET", path, token=token)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    fake.fail_next(403, headers={"Retry-After": "7"})
    answer = client.ask("GET", path, token=token)
    assert (answer.status, answer.headers["Retry-After"]) == (403, "7")
    assert "secondary rate limit" in answer.json()["message"]
    fake.fail_next(403, headers={"x-ratelimit-remaining": "0"})
    answer = client.ask("GET", path, token=token)
    assert (answer.headers["X-RateLimit-Remaining"], "API rate limit" in answer.json()["message"]) == ("0", True)
    assert answer.headers["X-RateLimit-Reset"].isdigit()
    fake.garble_next()
    with pytest.raises(json.JSONDecodeError):
        client.ask("GET", path, token=token).json()
    assert fake.violations == []


def test_lost_answers(fake: FakeGitHub, client: Client) -> None:
    """A connection can be closed before the work is done, or after it."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    path = f"{REPOSITORY}/issues/{number}/comments"
    for has_effect, expected in ((False, 0), (True, 1)):
        fake.drop_next(match="^POST", has_effect=has_effect)
        with pytest.raises(urllib3.exceptions.ProtocolError):
            client.ask("POST", path, {"body": "Hello"}, token)
        assert len(fake.comments(number)) == expected
    fake.fail_next(500, has_effect=True)
    assert client.ask("POST", path, {"body": "Hello"}, token).status == 500
    assert len(fake.comments(number)) == 2
    assert [seen.status for seen in fake.requests] == [0, 0, 500]
    assert fake.violations == []


def test_somebody_is_faster(fake: FakeGitHub, client: Client) -> None:
    """A test can change the world between two requests of one client."""
    number, token = fake.pull_request("change/x", "alice", title="Change x"), fake.token("alice")
    fake.before_next(lambda: fake.push("change/x", UNKNOWN), match="/reviews$")
    before = client.get(f"{REPOSITORY}/pulls/{number}", token)["head"]["sha"]
    client.get(f"{REPOSITORY}/pulls/{number}/reviews", token)
    assert client.get(f"{REPOSITORY}/pulls/{number}", token)["head"]["sha"] == UNKNOWN != before
    assert fake.violations == []


def test_base_path(pool: urllib3.PoolManager) -> None:
    """GitHub Enterprise has its API below a path, on a server of its own."""
    with FakeGitHub("contoso/tenant", server_url="https://git.contoso.com", base_path="/api/v3") as fake:
        client = Client(fake, pool)
        fake.user("alice", permission="write")
        assert fake.url.endswith("/api/v3")
        shown = client.get(REPOSITORY, fake.token("alice"))
        assert shown["url"] == fake.url + REPOSITORY
        assert shown["html_url"] == "https://git.contoso.com/contoso/tenant"
        assert shown["ssh_url"] == "git@git.contoso.com:contoso/tenant.git"
        assert fake.requests[0].path == REPOSITORY
        assert fake.violations == []
        assert client.ask("GET", fake.url.removesuffix("/api/v3") + REPOSITORY).status == 404
        assert fake.violations == [f"GET {REPOSITORY}: not below /api/v3"]


def test_payloads(fake: FakeGitHub) -> None:
    """Payloads are GitHub's examples with the fake's own ids, and name nobody else's repository."""
    number = fake.pull_request("change/x", "alice", title="Change x", body="Why")
    review = fake.review(number, "bob", "APPROVED")
    comment, run = fake.comment(number, "bob", "/maa"), fake.run("alice", triggering_actor="bob")
    payloads = {
        "pull_request.opened": fake.payload("pull_request.opened", number=number),
        "pull_request.synchronize": fake.payload("pull_request.synchronize", number=number, before=UNKNOWN),
        "pull_request.edited": fake.payload("pull_request.edited", number=number, changes={"body": {"from": "Old"}}),
        "pull_request_review.submitted": fake.payload("pull_request_review.submitted", review=review),
        "pull_request_review.dismissed": fake.payload("pull_request_review.dismissed", review=review, sender="root"),
        "issue_comment.created": fake.payload("issue_comment.created", comment=comment),
        "merge_group.checks_requested": fake.payload("merge_group.checks_requested"),
        "workflow_dispatch": fake.payload("workflow_dispatch", sender="alice", inputs={"request": "x"}),
        "workflow_run.completed": fake.payload("workflow_run.completed", run=run),
        "push": fake.payload("push", ref="refs/heads/change/x"),
    }
    for event, payload in payloads.items():
        assert payload["repository"]["full_name"] == "contoso/tenant", event
        assert payload.get("action", event) == event.rpartition(".")[2]
        assert not {"Codertocat/Hello-World", "octo-org/octo-repo"} & set(json.dumps(payload).split('"')), event
    for event in ("pull_request.opened", "pull_request.synchronize", "pull_request.edited"):
        assert payloads[event]["number"] == payloads[event]["pull_request"]["number"] == number
        assert payloads[event]["pull_request"]["head"]["sha"] == fake.pull_requests[number].head_sha
    assert payloads["pull_request.synchronize"]["after"] == fake.pull_requests[number].head_sha
    assert payloads["pull_request.edited"]["changes"] == {"body": {"from": "Old"}}
    submitted = payloads["pull_request_review.submitted"]
    assert (submitted["review"]["id"], submitted["review"]["state"]) == (review, "approved")
    assert (submitted["sender"]["login"], submitted["pull_request"]["number"]) == ("bob", number)
    said = payloads["issue_comment.created"]
    assert (said["comment"]["id"], said["comment"]["body"], said["issue"]["number"]) == (comment, "/maa", number)
    assert said["issue"]["pull_request"]["url"] == f"{fake.url}{REPOSITORY}/pulls/{number}"
    assert payloads["workflow_run.completed"]["workflow_run"]["id"] == run
    assert payloads["workflow_dispatch"]["inputs"] == {"request": "x"}
    assert fake.violations == []
