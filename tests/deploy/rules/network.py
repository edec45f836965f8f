"""NetworkPolicies: every pod is shut both ways, and who reaches whom all the same."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import product

from tests.deploy.manifest import NAMESPACE, Manifest, Object, Workload, at, matches

_KV_EVENTS = 5557
"""vLLM's usual port for events of its cache, which carry what users type."""


@dataclass(frozen=True)
class Endpoint:
    """Somebody who talks or is talked to: a pod with labels and named ports, or an address outside."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    address: str = "10.1.2.3"
    ports: Mapping[str, int] = field(default_factory=dict)
    udp: Mapping[str, int] = field(default_factory=dict)
    is_pod: bool = True

    @property
    def namespace_labels(self) -> Mapping[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace}


def pods_are_shut_both_ways(manifest: Manifest) -> Iterator[str]:
    """Some policy of each direction picks each pod, so that what no policy opens is shut."""
    policies = manifest.of("NetworkPolicy")
    for workload in manifest.workloads:
        for direction in ("Ingress", "Egress"):
            if not any(
                direction in policy["spec"]["policyTypes"] and matches(policy["spec"]["podSelector"], workload.labels)
                for policy in policies
            ):
                yield f"{workload}: {direction} is open to everybody"


def endpoint_of(workload: Workload) -> Endpoint:
    """Return the pods of a workload by their component; the pod of `helm test` is `test`."""
    return Endpoint(workload.component if workload.serves else "test", workload.labels, ports=workload.ports)


def reachable(manifest: Manifest, others: Iterable[Endpoint]) -> set[tuple[str, str, str]]:
    """Return who reaches whom at which port: (source, destination, port by its name). Others among themselves are not.

    Pods of the release have one port more than their containers name, `unnamed`, which nobody should reach.
    """
    ours, outside = [endpoint_of(one) for one in manifest.workloads], list(others)
    found = set()
    for source, destination in product([*ours, *outside], repeat=2):
        if source in outside and destination in outside:
            continue
        tcp = {**destination.ports} | ({"unnamed": _KV_EVENTS} if destination in ours else {})
        ports = [(name, port, "TCP") for name, port in tcp.items()]
        ports += [(name, port, "UDP") for name, port in destination.udp.items()]
        found |= {
            (source.name, destination.name, name)
            for name, port, protocol in ports
            if allowed(manifest, source, destination, port, protocol)
        }
    return found


def allowed(manifest: Manifest, source: Endpoint, destination: Endpoint, port: int, protocol: str = "TCP") -> bool:
    """Return whether the policies of the release let a connection through, at both of its ends."""

    def passes(direction: str, end: Endpoint, peer: Endpoint) -> bool:
        picking = [spec for spec in _policies(manifest, direction) if _picks(spec, end)]
        rules = [rule for spec in picking for rule in spec.get(direction.lower()) or []]
        key = "to" if direction == "Egress" else "from"
        return not picking or any(
            _has_peer(rule.get(key), peer) and _has_port(rule.get("ports"), port, protocol, destination)
            for rule in rules
        )

    return passes("Egress", source, destination) and passes("Ingress", destination, source)


def _policies(manifest: Manifest, direction: str) -> list[Object]:
    specs = [policy["spec"] for policy in manifest.of("NetworkPolicy")]
    return [spec for spec in specs if direction in spec["policyTypes"]]


def _picks(spec: Object, end: Endpoint) -> bool:
    return end.is_pod and end.namespace == NAMESPACE and matches(spec["podSelector"], end.labels)


def _has_peer(peers: list[Object] | None, other: Endpoint) -> bool:
    return not peers or any(_is_peer(peer, other) for peer in peers)


def _is_peer(peer: Object, other: Endpoint) -> bool:
    if block := peer.get("ipBlock"):
        address = ip_address(other.address)
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(part) for part in block.get("except", [])
        )
    if not other.is_pod:
        return False
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"] or {}, other.namespace_labels):
            return False
    elif other.namespace != NAMESPACE:
        return False
    return matches(peer.get("podSelector") or {}, other.labels)


def _has_port(ports: list[Object] | None, port: int, protocol: str, destination: Endpoint) -> bool:
    return not ports or any(_is_port(one, port, protocol, destination) for one in ports)


def _is_port(rule: Object, port: int, protocol: str, destination: Endpoint) -> bool:
    if rule.get("protocol", "TCP") != protocol:
        return False
    wanted = rule.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return destination.ports.get(wanted) == port
    return int(wanted) <= port <= int(at(rule, "endPort", wanted))
