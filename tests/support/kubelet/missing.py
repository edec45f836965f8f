"""What this machine lacks to run pods."""

import functools
import os
import shutil
import subprocess
import tempfile

_PROGRAMS = ("ip", "nsenter", "unshare", "setpriv", "mount", "chroot")
_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork")
_TRIAL = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
ip link add trial type bridge
ip link add one type veth peer name other
"""


@functools.cache
def missing() -> str:
    """Return why this machine and this user cannot run pods; "" if they can."""
    if os.geteuid() != 0:
        return "pods need root, for namespaces"
    if lacking := [program for program in _PROGRAMS if shutil.which(program) is None]:
        return f"pods need {', '.join(lacking)} (util-linux, iproute2)"
    with tempfile.TemporaryDirectory() as folder:
        trial = subprocess.run(
            [*_UNSHARE, "sh", "-c", _TRIAL, "sh", folder],
            check=False,
            capture_output=True,
            text=True,
        )
    return f"pods need namespaces, bridges and overlay mounts: {trial.stderr.strip()}" if trial.returncode else ""
