"""Start maa from this checkout, in an isolated Python: nothing is imported from the folder that it runs in."""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), os.environ["MAA_PACKAGES"]]

from maa_gitops.cli import main  # noqa: E402 - it is found only now

main()
