#!/usr/bin/env bash
# Generates requirements.lock from pyproject.toml: everything that demo, tests and checks need, with hashes, for every
# supported Python and processor; deploy/dev/supply.lock, what make audit and make sbom run; and deploy/dev/kube.lock, what
# checks the Kubernetes manifests. To take newer releases, move exclude-newer in pyproject.toml, then run make lock UPGRADE=1.
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

# compile FILE WHAT...: writes the lock FILE of the groups and extras WHAT of pyproject.toml.
compile() {
    local file=$1
    shift
    "$tools/bin/uv" pip compile "$@" ${UPGRADE:+--upgrade} \
        --universal --python-version 3.11 --python "$tools/bin/python" \
        --generate-hashes --no-annotate --custom-compile-command "make lock" \
        --quiet --output-file "$file" >/dev/null
    say "$file holds $(grep -c '^[a-z].*==' "$file") packages"
}

compile requirements.lock pyproject.toml \
    --extra cpu --extra bench --extra graphemes --group model --group torch --group dev
compile deploy/dev/supply.lock --group pyproject.toml:supply
compile deploy/dev/kube.lock --group pyproject.toml:kube
