"""What the tests stand on: people with keys, a server, the command line, and forgeries made without our tool."""

from tests.support.forge import Forger, canonical, sha256, stamp
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
    "sha256",
    "stamp",
]
