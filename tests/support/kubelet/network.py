"""A network namespace for each pod, on one bridge that this process is connected to as well.

The bridge lives in a namespace of its own, whose process ends with this one. So nothing is left behind on the machine,
however a test run ends.
"""

import itertools
import random
import subprocess
from dataclasses import dataclass

_NETWORK = "198.18.{}.{}"
"""A network that is reserved for benchmarks (RFC 2544), so no machine here has it."""
_IP = ("ip",)
_MACHINE, _FIRST_POD, _FIRST_SERVICE = 1, 2, 200


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace, which lasts as long as its process."""

    process: "subprocess.Popen[bytes]"
    address: str = ""

    @classmethod
    def new(cls, address: str = "") -> "Namespace":
        """Start its process, which ends with ours."""
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo; exec cat"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()  # it is in its namespace by now
        namespace = cls(process, address)
        namespace.ip("link", "set", "lo", "up")
        return namespace

    @property
    def inside(self) -> tuple[str, ...]:
        """What runs a command in there."""
        return ("nsenter", f"--net=/proc/{self.process.pid}/ns/net")

    def ip(self, *arguments: str) -> None:
        """Run `ip` in there."""
        subprocess.run([*self.inside, "ip", *arguments], check=True, stdin=subprocess.DEVNULL)

    def close(self) -> None:
        """End it, with its end of all wires."""
        self.process.kill()
        self.process.communicate()


class Network:
    """The bridge, with one address for this process and any number for pods and Services."""

    def __init__(self) -> None:
        self._number = _free_number()
        self._pods = itertools.cycle(range(_FIRST_POD, _FIRST_SERVICE))
        self._services = iter(range(_FIRST_SERVICE, 255))
        self._in_use: set[int] = set()
        self._bridge = Namespace.new()
        self._bridge.ip("link", "add", "pods", "type", "bridge")
        self._bridge.ip("link", "set", "pods", "up")
        self._interface = f"forefill{self._number}"
        _ip("link", "add", "name", self._interface, *_veth("machine", self._bridge))
        self._plug_in("machine")
        _ip("address", "add", f"{self._address(_MACHINE)}/24", "dev", self._interface)
        _ip("link", "set", self._interface, "up")

    @property
    def address(self) -> str:
        """That of this process."""
        return self._address(_MACHINE)

    def pod(self) -> Namespace:
        """Make a namespace with an address that no other pod has."""
        host = next(host for host in self._pods if host not in self._in_use)
        self._in_use.add(host)
        namespace = Namespace.new(self._address(host))
        self._bridge.ip("link", "add", "name", f"pod{host}", *_veth("eth0", namespace))
        self._plug_in(f"pod{host}")
        namespace.ip("address", "add", f"{namespace.address}/24", "dev", "eth0")
        namespace.ip("link", "set", "eth0", "up")
        return namespace

    def free(self, namespace: Namespace) -> None:
        """End a pod's namespace, after which its address may be used again."""
        namespace.close()
        self._in_use.discard(int(namespace.address.rpartition(".")[2]))

    def service(self) -> str:
        """Add an address to this process for a Service."""
        address = self._address(next(self._services))
        _ip("address", "add", f"{address}/24", "dev", self._interface)
        return address

    def close(self) -> None:
        """Remove it all."""
        self._bridge.close()

    def _address(self, host: int) -> str:
        return _NETWORK.format(self._number, host)

    def _plug_in(self, name: str) -> None:
        self._bridge.ip("link", "set", name, "master", "pods", "up")


def _veth(name: str, namespace: Namespace) -> tuple[str, ...]:
    """A wire whose other end has this name in that namespace."""
    return ("type", "veth", "peer", "name", name, "netns", str(namespace.process.pid))


def _ip(*arguments: str) -> None:
    subprocess.run([*_IP, *arguments], check=True)


def _free_number() -> int:
    used = subprocess.run([*_IP, "-4", "-o", "address"], check=True, capture_output=True, text=True).stdout
    return random.choice([number for number in range(256) if _NETWORK.format(number, "") not in used])
