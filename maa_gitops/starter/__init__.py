"""What ``maa init`` does: make a git repository a tenant repository, or add what is missing to one.

Everything is planned in memory, and the resulting tree is judged, before the first file is written. It neither asks
nor prints nor pushes, and in a tenant that exists it does not commit: ``submit`` does.
"""

from maa_gitops.starter.on_github import parse_tool
from maa_gitops.starter.planning import plan
from maa_gitops.starter.values import GROUP, SCHEMA_FOLDER, OnGitHub, Options, Plan, Started
from maa_gitops.starter.writing import carry_out

__all__ = ["GROUP", "SCHEMA_FOLDER", "OnGitHub", "Options", "Plan", "Started", "carry_out", "parse_tool", "plan"]
