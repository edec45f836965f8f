#!/usr/bin/env bash
# Generates requirements.lock from pyproject.toml: everything that demo, tests and checks need, with hashes, for every
# supported Python and processor. To take newer releases, move exclude-newer in pyproject.toml, then run
# make lock UPGRADE=1.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

tools=build/lock-tools
uv=(uv==0.13.9)
if ! "$tools/bin/uv" --version 2>/dev/null | grep -qF "${uv[0]#uv==}"; then
    python=$(find_python)
    "$python" -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet "${uv[@]}"
fi

"$tools/bin/uv" pip compile pyproject.toml ${UPGRADE:+--upgrade} \
    --extra cpu --extra bench --extra graphemes --group model --group torch --group dev \
    --universal --python-version 3.11 --python "$tools/bin/python" \
    --generate-hashes --no-annotate --custom-compile-command "make lock" \
    --quiet --output-file requirements.lock >/dev/null
say "requirements.lock holds $(grep -c '^[a-z].*==' requirements.lock) packages"
