"""Ports: a name or a number that one object uses is one that a container has, and that its process listens on."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.deploy.manifest import Manifest, Object, Workload, at, matches, title
from tests.deploy.rules.arguments import flags_of
from tests.deploy.rules.processes import forefill_settings, is_forefill


def containers_name_each_port_once(manifest: Manifest) -> Iterator[str]:
    """No two ports of a pod share a name or a number, and each has a name."""
    for workload in manifest.workloads:
        ports = [port for one in workload.containers for port in one.get("ports", [])]
        for key in ("name", "containerPort"):
            values = [port.get(key) for port in ports]
            if len(set(values)) < len(values) or None in values:
                yield f"{workload}: {key} of ports is missing or twice there: {values}"


def services_reach_a_port_of_their_pods(manifest: Manifest) -> Iterator[str]:
    for service in manifest.of("Service"):
        name = f"Service {service['metadata']['name']}"
        for workload in manifest.picked_by(service["spec"]["selector"]):
            for port in service["spec"]["ports"]:
                yield from _missing(name, port.get("targetPort", port["port"]), workload)


def probes_use_a_port_of_their_container(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        for container in workload.all_containers:
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(kind, {})
                port = at(probe, "httpGet.port", at(probe, "grpc.port", at(probe, "tcpSocket.port")))
                if probe and port not in ports and port not in ports.values():
                    yield f"{workload}: {kind} asks port {port}, the container has {ports}"


def policies_open_ports_that_pods_have(manifest: Manifest) -> Iterator[str]:
    """What a NetworkPolicy lets in is a port of the pods that it picks, and by its name, if it has one there."""
    for policy in manifest.of("NetworkPolicy"):
        for workload in manifest.picked_by(policy["spec"]["podSelector"]):
            for rule in policy["spec"].get("ingress", []):
                for port in rule.get("ports", []):
                    yield from _missing(f"NetworkPolicy {policy['metadata']['name']}", port["port"], workload)


def processes_listen_on_the_container_ports(manifest: Manifest) -> Iterator[str]:
    """The settings and arguments of each process name exactly the ports that its container declares."""
    for workload in manifest.servers:
        for container in workload.containers:
            declared = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            listened = _listened(manifest, workload, container)
            if listened is not None and declared != listened:
                yield f"{workload}: the container declares {declared}, the process listens on {listened}"


def _listened(manifest: Manifest, workload: Workload, container: Object) -> dict[str, int] | None:
    if is_forefill(container):
        settings = forefill_settings(manifest, container)
        ports = {
            "grpc": settings.server.port,
            "health": settings.observability.health_port,
            "metrics": settings.observability.metrics_port,
            "openai": settings.hand_off.openai_port,
        }
        return {name: port for name, port in ports.items() if port > 0}
    flags = flags_of(container)
    if workload.component == "vllm":
        return {"http": int(flags.get("--port", 8000))}
    if workload.component == "router":
        return {"http": int(flags.get("--port", 30000)), "metrics": int(flags.get("--prometheus-port", 29000))}
    return None


def monitors_scrape_each_server_once(manifest: Manifest) -> Iterator[str]:
    """If there are monitors, each server is scraped by one of them, at a port that it has."""
    monitors = manifest.of("ServiceMonitor", "PodMonitor")
    scraped = [str(workload) for monitor in monitors for workload in _scraped(manifest, monitor)]
    for workload in manifest.servers:
        if monitors and scraped.count(str(workload)) != 1:
            yield f"{workload} is scraped {scraped.count(str(workload))} times"


def _scraped(manifest: Manifest, monitor: Object) -> Iterator[Workload]:
    selector = monitor["spec"]["selector"]
    if monitor["kind"] == "PodMonitor":
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            yield from (one for one in manifest.picked_by(selector) if endpoint["port"] in one.ports)
        return
    for service in manifest.of("Service"):
        if matches(selector, at(service, "metadata.labels", {})):
            names = {port.get("name") for port in service["spec"]["ports"]}
            for endpoint in monitor["spec"]["endpoints"]:
                if endpoint["port"] in names:
                    yield from manifest.picked_by(service["spec"]["selector"])


def routes_lead_to_a_port_of_a_service(manifest: Manifest) -> Iterator[str]:
    for route in manifest.of("GRPCRoute", "HTTPRoute"):
        backends = [backend for rule in route["spec"]["rules"] for backend in rule.get("backendRefs", [])]
        if not backends:
            yield f"{title(route)} leads nowhere"
        for backend in backends:
            if backend["port"] not in _service_ports(manifest, backend["name"]):
                yield f"{title(route)}: there is no Service {backend['name']} with port {backend['port']}"


def tests_type_at_a_port_of_a_service(manifest: Manifest) -> Iterator[str]:
    """The pod of `helm test` reaches forefill as clients do: by the name of its Service."""
    for workload in manifest.workloads:
        if workload.kind == "Pod":
            targets = [given for given in workload.main.get("args", []) if given.startswith("--target=")]
            name, _, port = "".join(targets).removeprefix("--target=").partition(":")
            if int(port or 0) not in _service_ports(manifest, name.split(".")[0]):
                yield f"{workload}: no Service serves {name}:{port}"


def routes_let_streams_last(manifest: Manifest) -> Iterator[str]:
    """A session is one request: a policy of Envoy Gateway lifts its limits on streams, and sends none again."""
    for policy in manifest.of("BackendTrafficPolicy"):
        for path, wanted in (
            ("timeout.http.requestTimeout", "0s"),
            ("timeout.http.streamIdleTimeout", "0s"),
            ("timeout.http.maxStreamDuration", "0s"),
            ("loadBalancer.type", "ConsistentHash"),
            ("retry.numRetries", 0),
        ):
            if at(policy["spec"], path) != wanted:
                yield f"{title(policy)}: {path} is {at(policy['spec'], path)}"
        for target in policy["spec"]["targetRefs"]:
            if manifest.named(target["kind"], target["name"]) is None:
                yield f"{title(policy)}: there is no {target['kind']} {target['name']}"


def engine_urls_lead_to_a_port_of_a_service(manifest: Manifest) -> Iterator[str]:
    """URLs of this release begin with the name of a Service, or of a pod of a StatefulSet and its Service."""
    for workload in manifest.component("forefill"):
        for url in forefill_settings(manifest, workload.main).remote.urls:
            parts = urlsplit(url)
            host = (parts.hostname or "").split(".")
            if "forefill" not in host[0]:
                continue  # a server outside of this release
            if not any(parts.port in _service_ports(manifest, name) for name in _services_of(manifest, host)):
                yield f"{workload}: no Service serves {url}"


def _services_of(manifest: Manifest, host: list[str]) -> list[str]:
    for workload in manifest.servers:
        pods = [f"{workload.name}-{number}" for number in range(manifest.min_replicas(workload))]
        if host[0] in pods and host[1:2] == [workload.spec.get("serviceName")]:
            return host[1:2]
    return host[:1]


def _service_ports(manifest: Manifest, name: str) -> set[int]:
    return {port["port"] for port in at(manifest.named("Service", name), "spec.ports", [])}


def _missing(user: str, port: object, workload: Workload) -> Iterator[str]:
    if port not in workload.ports and port not in workload.ports.values():
        yield f"{user}: {workload} has no port {port}, but {workload.ports}"


def _has(labelled: Object, selector: Object) -> bool:
    return matches(selector, at(labelled, "metadata.labels", {}))
