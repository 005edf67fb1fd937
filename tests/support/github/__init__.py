"""A stateful stand-in for GitHub's REST API, held on both sides to GitHub's published OpenAPI description."""

from tests.support.github.server import FakeGitHub, Seen
from tests.support.github.state import ACTIONS_BOT, Comment, User

__all__ = ["ACTIONS_BOT", "Comment", "FakeGitHub", "Seen", "User"]
