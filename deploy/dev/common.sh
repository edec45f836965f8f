# Sourced by the other scripts in this directory: messages, failures, and the choice of a Python.
# shellcheck shell=bash

say() { printf 'forefill: %s\n' "$*"; }

die() {
    printf 'forefill: %s\n' "$*" >&2
    exit 1
}

# Prints the first Python that the lock has wheels for and that can make an environment. PYTHON=... names another.
find_python() {
    local candidate fits='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3}; do
        # A name on PATH proves nothing (pyenv has shims for versions that are not active), so it is run.
        if "$candidate" -c "$fits" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "${PYTHON:+$PYTHON is not suitable: }this needs Python 3.11 to 3.14 with its venv module: install it" \
        "(Debian, Ubuntu: apt install python3.11-venv), or name one: make PYTHON=/path/to/python3.11"
}
