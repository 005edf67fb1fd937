"""The git adapter: the only place that imports pygit2, runs git or reads its configuration; it decides nothing."""

from maa_gitops.git.objects import Commit, Entry, Identity, Oid
from maa_gitops.git.program import CompletedGit
from maa_gitops.git.refs import RefUpdate
from maa_gitops.git.repository import Repository

__all__ = ["Commit", "CompletedGit", "Entry", "Identity", "Oid", "RefUpdate", "Repository"]
