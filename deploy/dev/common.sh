# Sourced by the scripts beside it: how they speak, how they fail, and which Python they take.
# shellcheck shell=bash

say() { printf 'forefill: %s\n' "$*"; }

die() {
    printf 'forefill: %s\n' "$*" >&2
    exit 1
}

# Prints the first Python that has wheels in the lock and can make a virtual environment. PYTHON=... overrides the search.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
        # A pyenv shim exists for versions that are not active, so a name on PATH proves nothing: run it.
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null
        then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

no_python="${PYTHON:+$PYTHON is not fit: }forefill needs Python 3.11 to 3.14 with its venv module: install it (Debian, Ubuntu: \
apt install python3.11-venv), or name one: make PYTHON=/path/to/python3.11"
