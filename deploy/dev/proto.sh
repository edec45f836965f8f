#!/usr/bin/env bash
# Makes the generated modules and stubs beside the schema; with --check says only whether they are what it would make.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

# generate INTO: the plugins are found beside the Python that runs them.
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
