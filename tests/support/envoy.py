"""Envoy in front of pods, with what Envoy Gateway makes of a GRPCRoute and its BackendTrafficPolicy."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.kubelet import Objects, tool
from tests.support.vllm_server import free_port

START_SECONDS = 60
Policy = Mapping[str, Any]
WITHOUT: Policy = {}
"""No policy: Envoy's own limits, and any server for each stream."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that has ended, as Envoy logged it; `flags` say why Envoy ended it, "-" if it did not."""

    key: str
    server: str
    flags: str


@dataclass(frozen=True, slots=True)
class Envoy:
    """A running Envoy: one listener for each policy."""

    addresses: Sequence[str]
    log: Path

    def streams(self) -> list[Stream]:
        """Return those that have ended, through any listener."""
        return [Stream(*line.split()) for line in self.log.read_text().splitlines()]


def policy_of(objects: Objects) -> Policy:
    """Return what the chart's BackendTrafficPolicy asks for."""
    [policy] = objects.of("BackendTrafficPolicy")
    spec: Policy = policy["spec"]
    return spec


@asynccontextmanager
async def envoy(
    folder: Path, route: Objects, servers: Sequence[str], *policies: Policy, idle: str = "300s"
) -> AsyncIterator[Envoy]:
    """Run Envoy in front of these servers; its listeners have the routes of the GRPCRoute and a policy each.

    `idle` is Envoy's own limit on a stream in which nothing is sent; by default it is that of Envoy.
    """
    ports = [free_port() for _ in policies]
    log = folder / "streams.log"
    log.touch()
    config = folder / "envoy.json"
    parts = [_listener(port, route, policy, log, idle) for port, policy in zip(ports, policies, strict=True)]
    clusters = [_cluster(_name(port), servers, policy) for port, policy in zip(ports, policies, strict=True)]
    config.write_text(json.dumps({"static_resources": {"listeners": parts, "clusters": clusters}}))
    process = await asyncio.create_subprocess_exec(
        *(str(tool("envoy")), "--config-path", str(config), "--use-dynamic-base-id", "--concurrency", "1"),
        *("--log-level", "warning", "--file-flush-interval-msec", "100"),
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        for port in ports:
            await _listening(process, port)
        yield Envoy([f"127.0.0.1:{port}" for port in ports], log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            assert process.returncode is None, "Envoy has ended: see what it wrote"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


def _name(port: int) -> str:
    return f"forefill-{port}"


def _listener(port: int, route: Objects, policy: Policy, log: Path, idle: str) -> Any:
    header = _hash_header(policy) or "x-session"
    line = f"%REQ({header})% %UPSTREAM_HOST% %RESPONSE_FLAGS%\n"
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "grpc",
        "codec_type": "AUTO",
        "stream_idle_timeout": idle,
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(_routes(route, policy, port))}]
        },
        "http_filters": [{"name": "router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}}],
        "access_log": [
            {
                "name": "file",
                "typed_config": {
                    "@type": _type("access_loggers.file.v3.FileAccessLog"),
                    "path": str(log),
                    "log_format": {"text_format_source": {"inline_string": line}},
                },
            }
        ],
    }
    return {
        "address": _address("127.0.0.1", port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _routes(route: Objects, policy: Policy, port: int) -> Any:
    [grpc_route] = route.of("GRPCRoute")
    limits = policy.get("timeout", {}).get("http", {})
    action: dict[str, Any] = {"cluster": _name(port)}
    if "requestTimeout" in limits:
        action["timeout"] = limits["requestTimeout"]
    if "streamIdleTimeout" in limits:
        action["idle_timeout"] = limits["streamIdleTimeout"]
    if "maxStreamDuration" in limits:
        action["max_stream_duration"] = {"max_stream_duration": limits["maxStreamDuration"]}
    if header := _hash_header(policy):
        action["hash_policy"] = [{"header": {"header_name": header}}]
    for rule in grpc_route["spec"]["rules"]:
        for match in rule["matches"]:
            yield {"match": {"prefix": f"/{match['method']['service']}/"}, "route": action}


def _cluster(name: str, servers: Sequence[str], policy: Policy) -> Any:
    hosts = [server.rpartition(":") for server in servers]
    endpoints = [{"endpoint": {"address": _address(host, int(port))}} for host, _, port in hosts]
    protocol = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": name,
        "type": "STATIC",
        "lb_policy": "MAGLEV" if _hash_header(policy) else "ROUND_ROBIN",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
    }


def _hash_header(policy: Policy) -> str:
    balancer = policy.get("loadBalancer", {})
    return balancer["consistentHash"]["header"]["name"] if balancer.get("type") == "ConsistentHash" else ""


def _address(host: str, port: int) -> Any:
    return {"socket_address": {"address": host, "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
