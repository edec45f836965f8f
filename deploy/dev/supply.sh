#!/usr/bin/env bash
# Runs a command of the supply chain, audit or sbom, with its tools: supply.sh audit [ARGUMENT...].
# The tools are in an environment of their own, made from deploy/dev/supply.lock, because nothing else needs them.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

tools=build/supply-tools
lock=deploy/dev/supply.lock
log=build/supply-tools.log

# A virtual environment cannot be moved, so its directory is one of the inputs.
wanted=$({ echo "$PWD"; cat "$lock"; } | sha256sum)

make_tools() {
    local python
    python=$(find_python)
    "$python" -m venv --clear "$tools" >"$log" 2>&1 &&
        "$tools/bin/python" -m pip --no-input --disable-pip-version-check install --retries 1 --timeout 30 \
            --no-deps --require-hashes -r "$lock" >>"$log" 2>&1 &&
        echo "$wanted" >"$tools/stamp"
}

command=$1
shift
mkdir -p build
exec 9>build/supply-tools.flock
flock 9
if [ "$(cat "$tools/stamp" 2>/dev/null)" != "$wanted" ] && ! make_tools; then
    die "the tools of make $command could not be installed: $(tail -1 "$log" | cut -c1-200). Details: $PWD/$log"
fi
exec 9>&-
exec "$tools/bin/python" "deploy/dev/$command.py" "$@"
