"""NetworkPolicies: every pod is shut both ways, and who reaches whom all the same."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from tests.deploy.manifest import NAMESPACE, Manifest, Object, at, matches


@dataclass(frozen=True)
class Endpoint:
    """Somebody who talks or is talked to: a pod with labels and named ports, or an address outside."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    address: str = "10.1.2.3"
    ports: Mapping[str, int] = field(default_factory=dict)
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


def endpoints_of(manifest: Manifest) -> list[Endpoint]:
    """Return the pods of the release by component; the pod of `helm test` is `test`."""
    return [
        Endpoint(one.component if one.serves else "test", one.labels, ports=one.ports) for one in manifest.workloads
    ]


def reachable(
    manifest: Manifest, others: Iterable[Endpoint], ports: Mapping[str, Iterable[int]]
) -> set[tuple[str, str, str]]:
    """Return who reaches whom at which port: (source, destination, name or number of the port).

    `ports` are those that outsiders have, by the name of the endpoint. Ports of pods are those of their containers, and
    one more that no container names, which nobody should reach.
    """
    ours, outside = endpoints_of(manifest), list(others)
    everybody = [*ours, *outside]
    found = set()
    for source in everybody:
        for destination in everybody:
            if source.name == destination.name or (source in outside and destination in outside):
                continue
            tried = {**destination.ports} | {str(port): port for port in ports.get(destination.name, ())}
            if destination in ours:
                tried["other"] = 5557  # vLLM's KV events, for one
            for name, port in tried.items():
                if allowed(manifest, source, destination, port):
                    found.add((source.name, destination.name, name))
    return found


def allowed(manifest: Manifest, source: Endpoint, destination: Endpoint, port: int) -> bool:
    """Return whether the policies of the release let a TCP connection through, at both of its ends."""
    policies = manifest.of("NetworkPolicy")
    return _passes(policies, "Egress", source, destination, port, destination) and _passes(
        policies, "Ingress", destination, source, port, destination
    )


def _passes(
    policies: list[Object], direction: str, end: Endpoint, peer: Endpoint, port: int, destination: Endpoint
) -> bool:
    picking = [
        policy["spec"]
        for policy in policies
        if end.is_pod
        and end.namespace == NAMESPACE
        and direction in policy["spec"]["policyTypes"]
        and matches(policy["spec"]["podSelector"], end.labels)
    ]
    rules = [rule for spec in picking for rule in spec.get(direction.lower()) or []]
    key = "to" if direction == "Egress" else "from"
    return not picking or any(
        _has_peer(rule.get(key), peer) and _has_port(rule.get("ports"), port, destination) for rule in rules
    )


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


def _has_port(ports: list[Any] | None, port: int, destination: Endpoint) -> bool:
    return not ports or any(_is_port(one, port, destination) for one in ports)


def _is_port(rule: Object, port: int, destination: Endpoint) -> bool:
    if rule.get("protocol", "TCP") != "TCP":
        return False
    wanted = rule.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return destination.ports.get(wanted) == port
    return int(wanted) <= port <= int(at(rule, "endPort", wanted))
