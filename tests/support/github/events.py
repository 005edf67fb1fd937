"""Event payloads as a workflow finds them: real examples, with the fake's own repository and ids put in."""

import json
from typing import Any

from tests.support.github import documents as doc
from tests.support.github.description import DATA
from tests.support.github.state import ACTIONS_BOT, State

DERIVED = {"pull_request.edited": "pull_request.synchronize"}
"""Events without a published example, and the example that differs least."""


def example(event: str, state: State) -> dict[str, Any]:
    """A real example of an event, moved to the fake's servers and repository."""
    text = (DATA / "payloads" / f"{DERIVED.get(event, event)}.json").read_text(encoding="utf-8")
    theirs = json.loads(text)["repository"]["full_name"]
    text = text.replace("https://api.github.com", state.url).replace("https://github.com", state.server_url)
    payload: dict[str, Any] = json.loads(text.replace(theirs, state.repository))
    payload["repository"] |= doc.repository_document(state)
    if "organization" in payload:
        owner = state.known(state.owner)
        payload["organization"] |= {"login": owner.login, "id": owner.id}
    return payload


def payload_of(
    state: State,
    event: str,
    *,
    number: int | None = None,
    review: int | None = None,
    comment: int | None = None,
    run: int | None = None,
    sender: str | None = None,
    **values: Any,
) -> dict[str, Any]:
    """The payload of an event that befell something of the fake; ``values`` replace keys at the top."""
    state.refresh()
    payload = example(event, state)
    if review is not None:
        found = state.reviews[review]
        number = found.number if number is None else number
        # Events write a review's state in lower case, the API in upper case.
        payload["review"] |= {**doc.review_document(state, found), "state": found.state.lower()}
        sender = sender or login(state, found.author)
    if comment is not None:
        said = state.issue_comments[comment]
        number = said.number if number is None else number
        payload["comment"] |= doc.comment_document(state, said)
        sender = sender or login(state, said.author)
    if number is not None:
        pull = state.pull_requests[number]
        sender = sender or login(state, pull.author)
        if "number" in payload:
            payload["number"] = number
        if "pull_request" in payload:
            payload["pull_request"] |= doc.full_pull_request_document(state, pull)
        if "issue" in payload:
            payload["issue"] |= issue_of(state, number)
        if "after" in payload and "pull_request" in payload:
            payload["after"] = pull.head_sha
    if run is not None:
        known = state.runs[run]
        sender = sender or login(state, known.triggering_actor)
        payload["workflow_run"] |= doc.run_document(state, known)
    if event == "pull_request.edited":
        payload = {key: value for key, value in payload.items() if key not in {"before", "after"}}
        payload |= {"action": "edited", "changes": {}}
    payload["sender"] = doc.user_document(state, state.known(sender or ACTIONS_BOT))
    return {**payload, **values}


def issue_of(state: State, number: int) -> dict[str, Any]:
    """A pull request as an issue: the key ``pull_request`` is what tells it from one.

    The published examples are all of plain issues, which have no such key.
    """
    shape = doc.full_pull_request_document(state, state.pull_requests[number])
    same = ("id", "node_id", "number", "title", "user", "body", "state", "draft", "html_url", "comments")
    moments = ("created_at", "updated_at", "closed_at", "author_association")
    links = {name: shape[name] for name in ("url", "html_url", "diff_url", "patch_url", "merged_at")}
    issue = {"url": shape["issue_url"], "comments_url": shape["comments_url"], "pull_request": links}
    return {**{name: shape[name] for name in (*same, *moments)}, **issue, "labels": []}


def login(state: State, user_id: int) -> str | None:
    """The login that somebody has now."""
    user = state.users.get(user_id)
    return None if user is None else user.login
