#!/usr/bin/env bash
# Generates the modules and stubs beside the schema; with --check only reports whether they are up to date.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

# generate INTO: protoc finds its plugins on PATH, so .venv/bin comes first.
generate() {
    local schemas
    mapfile -t schemas < <(find proto -name '*.proto' | LC_ALL=C sort)
    PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m grpc_tools.protoc -Iproto \
        --python_out="$1" --grpc_python_out="$1" --mypy_out=quiet:"$1" --mypy_grpc_out=quiet:"$1" "${schemas[@]}"
}

if [ "${1:-}" != --check ]; then
    generate proto
    exit
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
generate "$fresh"
diff -r --brief --exclude='*.proto' --exclude=__pycache__ "$fresh" proto ||
    die "proto is newer than its generated modules: run make proto"
