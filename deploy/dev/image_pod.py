"""A container as a restricted pod has it, made of an image in buildah's storage by the kernel alone.

The root file system is read-only and /tmp is empty. The image's command is process 1, runs as user 10001 without
capabilities, and cannot get any. It has a network of its own with nothing but a loopback.
"""

# ruff: noqa: S603, S607, S108 - its commands are its own, and its /tmp is that of the container
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

USER = 10001
PATIENCE_SECONDS = 300
DEVICES = ("null", "zero", "full", "random", "urandom")
_PR_SET_NO_NEW_PRIVS = 38
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def buildah(*arguments: str) -> str:
    """Run buildah; return what it prints."""
    return subprocess.run(["buildah", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def said_by(process: subprocess.Popen[str]) -> str:
    """Wait for a line of its output; return it, "" at its end."""
    return process.stdout.readline().strip() if process.stdout else ""


def tell(process: subprocess.Popen[str]) -> None:
    """Let a process go on that waits for a line."""
    if process.stdin:
        process.stdin.write("go\n")
        process.stdin.flush()


def inspected(image: str) -> dict[str, Any]:
    """Return what an image says of itself: "config", and "layers" with a size in bytes each, that of its base first."""
    found = json.loads(buildah("inspect", "--type", "image", image))
    return {"config": found["OCIv1"]["config"], "layers": json.loads(found["Manifest"])["layers"]}


class Pod:
    """One container; `shown` has directories of this machine by where the container has them, read-only."""

    def __init__(self, image: str, root: str, arguments: Sequence[str], shown: Mapping[str, str]) -> None:
        config = inspected(image)["config"]
        self._environment = dict(word.split("=", 1) for word in config["Env"])
        command = [*config["Entrypoint"], *arguments]
        self._outer = subprocess.Popen(
            [
                *("unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--"),
                *(sys.executable, __file__, json.dumps([root, dict(shown), self._environment, command])),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if said_by(self._outer) != "ready":
            raise RuntimeError(f"no container could be made of {image}")
        self.pid = int(Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text())

    def go(self) -> None:
        """Let process 1, which has waited since the container was made, become the image's command."""
        tell(self._outer)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start one more process inside, as `kubectl exec` does."""
        root = f"/proc/{self.pid}/root"
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--net", "--pid", "--ipc", f"--root={root}"]
        return subprocess.Popen(
            [*enter, f"--wd={root}/tmp", f"-S{USER}", f"-G{USER}", "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            text=True,
        )

    def output_of(self, *command: str) -> str:
        """Run one more process inside; return its output. Raises RuntimeError if it fails."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        if process.returncode:
            raise RuntimeError(f"{command[0]} failed in the container: {output.strip()}")
        return output

    def stop(self) -> int:
        """Send SIGTERM to process 1, as the kubelet does; return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self._outer.wait(timeout=PATIENCE_SECONDS)

    def end(self) -> None:
        """End everything inside."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._outer.wait()


@contextmanager
def pod(image: str, *arguments: str, shown: Mapping[str, str] | None = None) -> Iterator[Pod]:
    """Make a container of an image; at the end, what is left of it is removed."""
    container = buildah("from", "--pull-never", image)
    try:
        made = Pod(image, buildah("mount", container), arguments, shown or {})
        try:
            yield made
        finally:
            made.end()
    finally:
        buildah("rm", container)


def _mount_all(root: str, shown: Mapping[str, str]) -> None:
    def mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)

    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "sysfs", "-o", "ro", "sysfs", f"{root}/sys")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
    for device in DEVICES:
        Path(f"{root}/dev/{device}").touch()
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    os.mkdir(f"{root}/dev/shm")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/dev/shm")
    for inside, outside in shown.items():
        mount("--bind", outside, f"{root}{inside}")
        mount("-o", "remount,bind,ro", f"{root}{inside}")
    mount("-o", "remount,bind,ro", root)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        interface = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, interface))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _become(root: str, shown: Mapping[str, str], environment: Mapping[str, str], command: Sequence[str]) -> None:
    """Runs as process 1 of the new namespaces: prepares them, waits for a line, and becomes the command."""
    _mount_all(root, shown)
    _raise_loopback()
    os.chroot(root)
    os.chdir("/tmp")
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)  # all capabilities are lost here
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    print("ready", flush=True)  # noqa: T201 - `Pod` reads it
    sys.stdin.readline()
    os.environ.clear()
    os.environ.update(environment)
    os.execvp(command[0], list(command))  # noqa: S606


if __name__ == "__main__":
    _become(*json.loads(sys.argv[1]))
