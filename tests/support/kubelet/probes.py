"""Probes: one question to a container, and what a series of answers means."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from .objects import Manifest

_NO_PROXY = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


@dataclass(slots=True)
class Series:
    """The results of a probe so far; `verdict` is None as long as neither threshold is reached."""

    successes_needed: int
    failures_needed: int
    verdict: bool | None = None
    _last: bool | None = None
    _length: int = 0

    @classmethod
    def of(cls, probe: Manifest) -> "Series":
        return cls(probe.get("successThreshold", 1), probe.get("failureThreshold", 3))

    def add(self, passed: bool) -> bool | None:
        """Add a result, and return the verdict."""
        self._length = self._length + 1 if passed is self._last else 1
        self._last = passed
        if self._length >= (self.successes_needed if passed else self.failures_needed):
            self.verdict = passed
        return self.verdict


async def verdicts(probe: Manifest, address: str, ports: Mapping[str, int]) -> AsyncIterator[bool | None]:
    """Probe again and again, and yield what is known after each time."""
    series = Series.of(probe)
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    while True:
        yield series.add(await passes(probe, address, ports))
        await asyncio.sleep(probe.get("periodSeconds", 10))


async def passes(probe: Manifest, address: str, ports: Mapping[str, int]) -> bool:
    """Probe once."""
    [kind] = [kind for kind in _ASK if kind in probe]
    question = probe[kind]
    port = question["port"]
    try:
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            return await _ASK[kind](question, address, port if isinstance(port, int) else ports[port])
    except (TimeoutError, OSError, aiohttp.ClientError, grpc.RpcError):
        return False


async def _grpc(question: Mapping[str, Any], address: str, port: int) -> bool:
    async with grpc.aio.insecure_channel(f"{address}:{port}", options=_NO_PROXY) as channel:
        request = health_pb2.HealthCheckRequest(service=question.get("service", ""))
        answer = await health_pb2_grpc.HealthStub(channel).Check(request)  # type: ignore[attr-defined]
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _http_get(question: Mapping[str, Any], address: str, port: int) -> bool:
    url = f"{question.get('scheme', 'HTTP').lower()}://{address}:{port}{question.get('path', '/')}"
    async with aiohttp.ClientSession() as http, http.get(url, ssl=False, allow_redirects=False) as response:
        return 200 <= response.status < 400


async def _tcp_socket(question: Mapping[str, Any], address: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


_ASK = {"grpc": _grpc, "httpGet": _http_get, "tcpSocket": _tcp_socket}
