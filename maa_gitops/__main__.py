"""``python -m maa_gitops``."""

from maa_gitops.cli import main

main()
