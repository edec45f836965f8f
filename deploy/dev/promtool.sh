#!/usr/bin/env bash
# Gets promtool, which checks alert rules and runs their tests, into build/promtool: from Debian's package of Prometheus,
# which is unpacked and not installed, so that no service starts. Prints its path.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

tool=build/promtool/usr/bin/promtool
if [ ! -x $tool ]; then
    for needed in apt-get dpkg; do
        command -v $needed >/dev/null || die "no $needed to get promtool with: put Prometheus's promtool on PATH instead"
    done
    mkdir -p build/promtool
    (cd build/promtool && apt-get download prometheus >/dev/null 2>log) || die "no package: $(tail -1 build/promtool/log)"
    dpkg -x build/promtool/prometheus_*.deb build/promtool
    rm build/promtool/prometheus_*.deb
fi
echo "$tool"
