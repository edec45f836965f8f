#!/usr/bin/env bash
# Builds images and tries each, without a container engine or a registry: images.sh [service|cpu|router]... They are then
# in buildah's storage, for buildah push. Packages come from where pip is configured to find them on this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

work=build/images
log=build/images.log
base=localhost/forefill-base:bookworm
version=$(awk -F '"' '/^version = / { print $2; exit }' pyproject.toml)
python=$(find_python)

need_tools() {
    local needs="this needs root, buildah and mmdebstrap (Debian, Ubuntu: apt install buildah mmdebstrap); with Docker or
podman, run: docker build -f deploy/images/Dockerfile --target service ."
    [ "$(id -u)" = 0 ] || die "$needs"
    if command -v buildah >/dev/null && command -v mmdebstrap >/dev/null; then return; fi
    command -v apt-get >/dev/null || die "$needs"
    say "installing buildah and mmdebstrap"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends buildah mmdebstrap; } \
        >>"$log" 2>&1 || die "$needs"
}

failed() { die "$1 failed: $(grep -v '^[[:space:]]*$' "$log" | tail -1 | cut -c1-200). Details: $PWD/$log"; }

# A Debian with Python 3.11 takes the place of the official Python image, which is in a registry.
make_base() {
    local container
    if buildah inspect --type image "$base" >/dev/null 2>&1; then return; fi
    say "making $base, a Debian with Python 3.11 (about two minutes)"
    mmdebstrap --quiet --variant=apt --include=python3.11-venv,ca-certificates \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        bookworm "$work/base.tar" >>"$log" 2>&1 || failed mmdebstrap
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$work/base.tar" / >>"$log" 2>&1 || failed "adding the base"
    buildah commit --quiet --rm "$container" "$base" >>"$log" 2>&1 || failed "the base"
    rm "$work/base.tar"
}

image_of() {
    case $1 in
        service) echo "localhost/forefill:$version" ;;
        cpu | router) echo "localhost/forefill:$version-$1" ;;
        *) die "there is no image $1 that can be tried here: make images IMAGES='service cpu router'" ;;
    esac
}

# Shows directories of packages to the build as one, in a mount namespace of its own, with which they are gone again.
build_here() {
    local directory image certificates
    image=$(image_of "$1")
    certificates=$("$python" -m pip config get global.cert 2>/dev/null || echo /etc/ssl/certs/ca-certificates.crt)
    mkdir -p "$work/packages"
    "$python" deploy/dev/image_pip.py "$work/pip.conf" >"$work/directories"
    while read -r directory; do
        mkdir -p "$work/packages$directory"
        mount --bind "$directory" "$work/packages$directory"
    done <"$work/directories"
    buildah bud --isolation chroot --network host --pull-never --layers --target "$1" --file deploy/images/Dockerfile \
        --secret "id=pip,src=$work/pip.conf" --secret "id=ca,src=$certificates" --volume "$PWD/$work/packages:/mnt:ro" \
        --build-arg "BASE=$base" --build-arg "VERSION=$version" \
        --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" --tag "$image" .
}

build() {
    say "building $(image_of "$1")"
    unshare --mount "$0" --here "$1" >>"$log" 2>&1 || failed "building $1"
    rm -f "$work/pip.conf"
}

if [ "${1:-}" = --here ]; then
    build_here "$2"
    exit
fi
mkdir -p "$work"
: >"$log"
need_tools
make_base
tried=()
for target in "${@:-service}"; do
    build "$target"
    tried+=("$target=$(image_of "$target")")
done
say "trying what was built, as a restricted pod would"
exec "$python" deploy/dev/image_trial.py "${tried[@]}" 2>>"$log"
