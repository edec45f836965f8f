"""Services: their names, their addresses, and the ready pods that are behind them.

A Service with an address is a TCP proxy in this process, as kube-proxy was in its first years: each connection goes to
a random ready pod and stays there. The names of a headless one are the addresses of its pods.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

from .objects import Manifest, Objects, selects
from .pod import Pod

_CHUNK = 65536
_Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Service:
    """One Service, and the pods that its clients find now."""

    def __init__(self, manifest: Manifest, address: str) -> None:
        self.manifest = manifest
        self.name: str = manifest["metadata"]["name"]
        self.address = address
        self.endpoints: Sequence[Pod] = ()
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()

    def matching(self, pods: Iterable[Pod]) -> list[Pod]:
        """Return the pods to which it leads."""
        spec = self.manifest["spec"]
        if not spec.get("selector"):
            return []
        even_unready = spec.get("publishNotReadyAddresses", False)
        return [
            pod
            for pod in pods
            if selects(spec["selector"], pod.labels) and (even_unready or (pod.ready and not pod.terminating))
        ]

    def port(self, name: str) -> int:
        """Return the number of a port by its name."""
        return next(int(port["port"]) for port in self.manifest["spec"]["ports"] if port.get("name") == name)

    async def start(self) -> None:
        """Listen on its address."""
        for port in self.manifest["spec"]["ports"]:
            accept = self._accept(port.get("targetPort", port["port"]))
            self._servers.append(await asyncio.start_server(accept, self.address, port["port"]))

    def _accept(self, target: str | int) -> _Accept:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with self._held(writer), contextlib.suppress(OSError, IndexError):
                pod = random.choice(self.endpoints)
                far_reader, far_writer = await asyncio.open_connection(pod.address, pod.port(target))
                with self._held(far_writer):
                    await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))

        return accept

    def close(self) -> None:
        """Stop listening, and cut all connections."""
        for server in self._servers:
            server.close()
        for writer in self._open:
            writer.transport.abort()

    @contextlib.contextmanager
    def _held(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._open.add(writer)
        try:
            yield
        finally:
            self._open.discard(writer)
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def services_of(objects: Objects, new_address: Callable[[], str]) -> list[Service]:
    """Make all Services, and start those that have an address."""
    services = []
    for manifest in objects.of("Service"):
        headless = manifest["spec"].get("clusterIP") == "None"
        service = Service(manifest, "" if headless else new_address())
        if not headless:
            await service.start()
        services.append(service)
    return services


def names(services: Iterable[Service], namespace: str) -> str:
    """Return the lines of a hosts file: what the cluster's DNS would answer in this namespace."""
    lines = []
    for service in services:
        forms = [service.name, *_qualified(service.name, namespace)]
        addresses = [service.address] if service.address else [pod.address for pod in service.endpoints]
        lines += [f"{address} {' '.join(forms)}" for address in addresses]
        if not service.address:
            lines += [f"{pod.address} {' '.join(_of_pod(pod, forms))}" for pod in service.endpoints]
    return "\n".join(lines) + "\n"


def _of_pod(pod: Pod, service: list[str]) -> list[str]:
    """A StatefulSet's pods have names of their own."""
    return [f"{pod.name}.{form}" for form in service]


def _qualified(name: str, namespace: str) -> list[str]:
    forms = (f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local")
    return list(forms)
