"""What the tests stand on: people with keys, a server, the command line, and forgeries made without our tool."""

from tests.support.forge import Forger, canonical
from tests.support.world import APP, Answer, Person, World, access_policy, account, app, group, settings

__all__ = [
    "APP",
    "Answer",
    "Forger",
    "Person",
    "World",
    "access_policy",
    "account",
    "app",
    "canonical",
    "group",
    "settings",
]
