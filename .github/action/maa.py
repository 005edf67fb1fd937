"""Start maa from this checkout, in an isolated Python: nothing is imported from the folder that it runs in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from maa_gitops.cli import main

main()
