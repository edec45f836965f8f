#!/usr/bin/env bash
# Runs every check that needs no engine, and continues after a failure, so that one run shows them all.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. deploy/dev/common.sh
PATH="$PWD/.venv/bin:$PATH"
failed=()

check() {
    local name=$1
    shift
    say "$name"
    "$@" || failed+=("$name")
}

# The schema may grow but not break. It is compared with the last commit or, once it is committed, with the commit
# before, unless the last commit has a trailer "Wire-Break: WHY".
wire_is_kept() {
    local before=HEAD fresh status=0
    if git diff --quiet HEAD -- proto; then
        [ -z "$(git log -1 --format='%(trailers:key=Wire-Break)')" ] || return 0
        before=HEAD^
    fi
    # The commit is missing (there is only one, or the clone is shallow), or it has no schema to keep.
    [ -n "$(git ls-tree "$before" buf.yaml proto 2>/dev/null)" ] || return 0
    fresh=$(mktemp -d)
    git archive "$before" buf.yaml proto | tar -x -C "$fresh"
    buf breaking --against "$fresh" || status=$?
    rm -rf "$fresh"
    return "$status"
}

# pyright is a program of Node's: npm ci gets the version that is locked beside it.
client_is_typed_strictly() {
    local pyright=deploy/dev/pyright
    command -v npm >/dev/null || { say "  skipped: npm is not installed"; return; }
    if [ ! $pyright/node_modules/.package-lock.json -nt $pyright/package-lock.json ]; then
        npm ci --prefix $pyright --ignore-scripts --no-audit --no-fund --silent || return
    fi
    node $pyright/node_modules/pyright/index.js --pythonpath .venv/bin/python
}

scripts_are_clean() {
    # The shellcheck package is not built for every processor.
    command -v shellcheck >/dev/null || { say "  skipped: shellcheck is not installed"; return; }
    shellcheck --external-sources deploy/dev/*.sh .ci/run
}

check "format: ruff format" ruff format --check --quiet .
check "lint: ruff check" ruff check --quiet .
check "types: mypy --strict" mypy
check "types: pyright, strict, for the client" client_is_typed_strictly
check "types: tsc, strict, for the npm package; JavaScript parses" deploy/dev/js.sh --check
check "imports: order, and drawing in CONTRIBUTING" python deploy/dev/import_graph.py --check
check "docs: client/API.md, and docstrings of public names" python deploy/dev/api_reference.py --check
check "proto: buf lint" buf lint
check "proto: buf format" buf format --diff --exit-code
check "proto: buf breaking" wire_is_kept
check "proto: generated modules are up to date" deploy/dev/proto.sh --check
check "scripts: shellcheck" scripts_are_clean

[ ${#failed[@]} -eq 0 ] || die "these checks failed: $(printf '%s; ' "${failed[@]}")see above"
