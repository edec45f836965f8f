#!/usr/bin/env bash
# Tries the client on every Python that it is for and that is found here: installs the wheel with nothing but its own
# dependencies, runs the client's tests, and types at a server that .venv runs. Takes about a minute for each Python;
# VERSIONS="3.12 3.13" leaves out others. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

read -ra versions <<<"${VERSIONS:-3.11 3.12 3.13 3.14}"
root=build/pythons
# These need the service, or a type checker, when they run. Those that need them to be imported are skipped by alone.py.
not_alone=(calls pytest_plugin testing)
ignored=()
for name in "${not_alone[@]}"; do ignored+=("--ignore-glob=*/test_$name.py"); done
pip=(-m pip --no-input --disable-pip-version-check --quiet)
# The environments have the client from the wheel, and from nowhere else.
unset PYTHONPATH

# Prints the command of a Python of this version, from PATH or from pyenv; nothing if there is none.
find_version() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1"*/bin/"python$1"; do
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

locked() { grep -oE "^$1==[^ ]+" requirements.lock; }

# Types at a server without a model, with every warning an error.
type_at() {
    local environment=$1 address=$2
    export PYTHONWARNINGS=error
    "$environment/bin/python" client/examples/sdk.py "$address" "Show me all patients" &&
        "$environment/bin/forefill" type "Show me all patients" --target "$address"
}

try() {
    local version=$1 python=$2 address=$3 environment=$root/$1
    say "Python $version: $("$python" -V 2>&1)"
    "$python" -m venv --clear "$environment"
    "$environment/bin/python" "${pip[@]}" install "$(echo "$root"/wheel/*.whl)[graphemes]"
    (type_at "$environment" "$address") >"$environment/typed" 2>&1 ||
        die "a session failed on Python $version: $(tail -1 "$environment/typed")"
    "$environment/bin/python" "${pip[@]}" install "$(locked pytest)" "$(locked pytest-asyncio)" \
        "$(locked pytest-timeout)" "$(locked hypothesis)"
    PYTHONPATH=deploy/dev "$environment/bin/python" -m pytest -q -rs -p alone -p no:cacheprovider \
        --hypothesis-profile=ci --confcutdir=tests/unit/client tests/unit/client "${ignored[@]}" "${arguments[@]}"
}

arguments=("$@")
rm -rf "$root/wheel"
.venv/bin/python "${pip[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$root/wheel" .

coproc server { exec .venv/bin/forefill-server --engine fake --port 0 --metrics-port -1 --health-port -1 2>/dev/null; }
# shellcheck disable=SC2154 # coproc sets it
server_pid=$server_PID
trap 'kill "$server_pid" 2>/dev/null' EXIT
read -r line <&"${server[0]}" || die "the server did not start"

tried=0
for version in "${versions[@]}"; do
    python=$(find_version "$version")
    if [ -n "$python" ]; then
        try "$version" "$python" "${line##* }"
        tried=$(( tried + 1 ))
    else
        say "Python $version: skipped, it is not installed"
    fi
done
[ "$tried" -gt 0 ] || die "no Python was found: install one of ${versions[*]}"
say "the client was tried on $tried Pythons"
