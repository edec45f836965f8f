#!/usr/bin/env bash
# Generates requirements.lock from pyproject.toml: everything that demo, tests and checks need, with hashes, for every
# supported Python and processor; deploy/dev/supply.lock, what make audit and make sbom run; deploy/dev/kube.lock, what
# checks the Kubernetes manifests; and deploy/images/*.lock, what each image installs, in the releases of requirements.lock.
# To take newer releases, move exclude-newer in pyproject.toml, then run make lock UPGRADE=1.
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
    --extra cpu --extra bench --extra chat --extra graphemes --extra web --group model --group torch --group dev
compile deploy/dev/supply.lock --group pyproject.toml:supply
compile deploy/dev/kube.lock --group pyproject.toml:kube

# compile_image NAME WHAT...: the lock of an image; a WHAT of "-" reads requirements from standard input.
compile_image() { compile "deploy/images/$1.lock" "${@:2}" --constraint requirements.lock; }

# listed KEY...: prints the requirements that stand in pyproject.toml under these keys.
listed() {
    "$tools/bin/python" -c '
import sys, tomllib
found = tomllib.load(open("pyproject.toml", "rb"))
for key in sys.argv[1:]:
    found = found[key]
print(*found, sep="\n")' "$@"
}

{ listed build-system requires; echo pip; } | compile_image build -
compile_image service pyproject.toml --extra traces
compile_image cpu pyproject.toml --extra traces --extra cpu --group torch
listed dependency-groups dev | grep '^vllm-router==' | compile_image router -
