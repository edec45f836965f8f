"""A container's view of the machine: a root of its own, its user, its processes, its network and what it mounts.

Its root is the machine's, with an overlay in memory that takes what the container writes. On it are mounted an empty
/tmp, the volumes, and then what its image consists of. The command is process 1 in there, as in a real container: it
gets only those signals that it handles, and if it ends, so do all others.
"""

import asyncio
import os
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .image import Image
from .network import Namespace
from .volumes import Mount

_TOOLS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Process:
    """The processes of a running container; `pid` is the first one's, as this machine numbers it."""

    outer: asyncio.subprocess.Process
    pid: int

    async def wait(self) -> int:
        """Wait for its end, and return its exit status; 1 after SIGKILL, which `unshare` cannot pass on."""
        return await self.outer.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the first process, unless it has ended."""
        if self.outer.returncode is None:
            os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How containers of one pod are isolated."""

    folder: Path
    namespace: Namespace
    hostname: str
    hosts: Path
    image: Image

    async def start(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        mounts: Sequence[Mount],
        security: Mapping[str, Any],
        log: Path,
    ) -> Process:
        """Start a command in there; raise AssertionError if it cannot even be started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ready, told = os.pipe()
        with log.open("ab") as output:
            outer = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", *self.namespace.inside),
                *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"),
                *("/bin/sh", "-c", self._script(mounts, security), "sh", *self.image.command(list(command))),
                env={**self.image.variables, **variables},
                stdin=told,
                stdout=output,
                stderr=output,
            )
        os.close(told)
        try:
            async with asyncio.timeout(_START_SECONDS):
                started = await asyncio.to_thread(os.read, ready, 1)
        finally:
            os.close(ready)
        if not started:
            raise AssertionError(f"{command[0]} cannot be started: {log.read_text()}")
        return Process(outer, _only_child(outer.pid))

    def _script(self, mounts: Sequence[Mount], security: Mapping[str, Any]) -> str:
        return "\n".join(
            (
                f"set -eu; path=$PATH; PATH={_TOOLS}; base={shlex.quote(str(self.folder))}; root=$base/root",
                "chroot=$(command -v chroot) setpriv=$(command -v setpriv)",
                f"echo {shlex.quote(self.hostname)} >/proc/sys/kernel/hostname",
                *_ROOT,
                *self._mounted(mounts, read_only=security.get("readOnlyRootFilesystem", False)),
                "echo >&0; exec </dev/null; PATH=$path",  # its input was a pipe to us
                f'exec "$chroot" "$root" "$setpriv" {" ".join(_privileges(security))} -- "$@"',
            )
        )

    def _mounted(self, mounts: Sequence[Mount], *, read_only: bool) -> Iterator[str]:
        own_tmp = all(mount.target != "/tmp" for mount in mounts)  # noqa: S108
        if own_tmp:
            yield 'mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"'
        for mount in (*mounts, Mount(self.hosts, "/etc/hosts", False)):
            yield _bind(mount.source, mount.target, read_only=mount.read_only)
        for path in self.image.paths:
            yield _inside("mkdir", "-p", str(path.parent))
            yield from (_inside("chmod", "o+x", str(parent)) for parent in path.parents if parent.parts[1:])
        yield from (_bind(path, str(path), read_only=True) for path in self.image.paths)
        if read_only:
            yield from (f'mount -o remount,bind,ro "$root{path}"' for path in (["/tmp"] if own_tmp else []) + [""])  # noqa: S108


_ROOT = (
    'mount -t tmpfs -o mode=755 tmpfs "$base"',
    'mkdir "$base/upper" "$base/work" "$root"',
    'mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$root"',
    'mount -t proc proc "$root/proc"',
    'mount --rbind /dev "$root/dev"',
    'mount --bind /sys "$root/sys"',
    "bind() { "  # what a target is, is for the container's root to say: /var/run may be a link
    'target=$root$(chroot "$root" realpath -m -- "$2"); '
    'if [ -d "$1" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}"; [ -e "$target" ] || : >"$target"; fi; '
    'mount --bind "$1" "$target"; '
    'if [ -n "$3" ]; then mount -o "remount,bind,ro" "$target"; fi; }',
    ': >"$base/resolv.conf"',
    'bind "$base/resolv.conf" /etc/resolv.conf ro',
)


def _bind(source: Path, target: str, *, read_only: bool) -> str:
    return f"bind {shlex.quote(str(source))} {shlex.quote(target)} {'ro' if read_only else shlex.quote('')}"


def _inside(*command: str) -> str:
    return f'chroot "$root" {shlex.join(command)}'


def _privileges(security: Mapping[str, Any]) -> Iterator[str]:
    """What setpriv makes of a security context."""
    yield "--pdeathsig=KILL"
    if (user := security.get("runAsUser")) is not None:
        yield f"--reuid={user}"
        yield f"--regid={security.get('runAsGroup', 0)}"
        group = security.get("fsGroup")
        yield "--clear-groups" if group is None else f"--groups={group}"
    elif security.get("runAsNonRoot"):
        raise AssertionError("runAsNonRoot needs runAsUser here: there is no image that names a user")
    if "ALL" in security.get("capabilities", {}).get("drop", ()):
        yield from ("--bounding-set=-all", "--inh-caps=-all")
    if security.get("allowPrivilegeEscalation") is False:
        yield "--no-new-privs"


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
