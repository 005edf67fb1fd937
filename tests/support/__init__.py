"""What the tests stand on: people with keys, a server, the command line, and forgeries made without our tool."""

from tests.support.forge import Forger, canonical, sha256, stamp
from tests.support.forgery import APPROVED, Forgery, applied, refused_until_healed, verified
from tests.support.world import APP, Answer, Person, World, access_policy, account, app, group, settings

__all__ = [
    "APP",
    "APPROVED",
    "Answer",
    "Forger",
    "Forgery",
    "Person",
    "World",
    "access_policy",
    "account",
    "app",
    "applied",
    "canonical",
    "group",
    "refused_until_healed",
    "settings",
    "sha256",
    "stamp",
    "verified",
]
