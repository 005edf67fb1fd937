#!/usr/bin/env bash
# Put what maa needs into a folder of this job's own, each file held to its hash; no cache, nothing shared.
# -I keeps Python from importing anything out of the folder that it is started in.
set -euo pipefail
python3 -I -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "maa needs Python 3.11 or newer")'
packages="$(mktemp -d "${RUNNER_TEMP:-/tmp}/maa-packages-XXXXXX")"
python3 -I -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile \
  --require-hashes --only-binary :all: --target "$packages" \
  --requirement "$MAA_ACTION_PATH/.github/action/requirements.txt"
echo "packages=$packages" >>"$GITHUB_OUTPUT"
