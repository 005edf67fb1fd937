"""The command line: what is typed, what is shown, and which exit code says it."""

from maa_gitops.cli.main import main

__all__ = ["main"]
