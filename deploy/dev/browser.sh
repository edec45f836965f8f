#!/usr/bin/env bash
# Makes what the tests in a browser need: the Node packages of tests/browser (a driver of Chromium, axe, TypeScript), and
# Chromium itself, which is the distribution's: found on PATH, or installed with apt-get if we are root. It is about 400 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

packages=tests/browser
log=build/browser-tools.log

chromium_is_there() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null; }

install_chromium() {
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium
}

mkdir -p build
exec 9>build/browser-tools.flock
flock 9
command -v npm >/dev/null || die "the tests in a browser need Node 20 or later with npm: install it"
if [ ! $packages/node_modules/.package-lock.json -nt $packages/package-lock.json ]; then
    say "installing the Node packages of $packages"
    npm ci --prefix $packages --ignore-scripts --no-audit --no-fund >"$log" 2>&1 ||
        die "the Node packages of $packages could not be installed: $(tail -1 "$log" | cut -c1-200). Details: $PWD/$log"
fi
if chromium_is_there; then exit; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "the tests in a browser need Chromium: install it (Debian: apt install chromium)"
fi
say "installing Debian's chromium"
install_chromium >"$log" 2>&1 ||
    die "Chromium could not be installed: $(tail -1 "$log" | cut -c1-200). Details: $PWD/$log"
say "Chromium is installed in $SECONDS s"
