#!/usr/bin/env bash
# Make an environment of this job's own with what maa needs, each file held to its hash; no cache, nothing shared.
# -I keeps Python from importing anything out of the folder that it is started in.
set -euo pipefail
python3 -I -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "maa needs Python 3.11 or newer")'
home="$(mktemp -d "${RUNNER_TEMP:-/tmp}/maa-python-XXXXXX")"
python3 -I -m venv "$home"
"$home/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
  --require-hashes --only-binary :all: --requirement "$MAA_ACTION_PATH/.github/action/requirements.txt"
echo "python=$home/bin/python" >>"$GITHUB_OUTPUT"
