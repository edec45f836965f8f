"""Selectors pick the pods that they should, and no others."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.deploy.manifest import Manifest, Workload, at, matches, title
from tests.deploy.rules.arguments import flags_of


def workloads_pick_their_own_pods_alone(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.servers:
        picked = [str(one) for one in manifest.picked_by(workload.spec["selector"])]
        if picked != [str(workload)]:
            yield f"{workload} picks the pods of {picked}"


def selectors_name_nothing_that_a_release_changes(manifest: Manifest) -> Iterator[str]:
    """The selector of a workload cannot be changed by an upgrade, so no version is in it."""
    for workload in manifest.servers:
        for key in at(workload.spec, "selector.matchLabels", {}):
            if key.endswith(("/version", "/chart")) or key == "helm.sh/chart":
                yield f"{workload}: its selector has {key}"


def others_pick_the_pods_of_one_component(manifest: Manifest) -> Iterator[str]:
    """Services, budgets and policies each pick one component."""
    for kind, path in (
        ("Service", "spec.selector"),
        ("PodDisruptionBudget", "spec.selector"),
        ("NetworkPolicy", "spec.podSelector"),
    ):
        for one in manifest.of(kind):
            picked = manifest.picked_by(at(one, path, {}))
            components = {workload.component for workload in picked}
            if len(components) != 1:
                yield f"{title(one)} picks the components {sorted(components)}"


def selectors_keep_to_their_release(manifest: Manifest) -> Iterator[str]:
    """The pods of another release in the same namespace are not picked."""
    for kind, path in (
        ("Service", "spec.selector"),
        ("Deployment", "spec.selector.matchLabels"),
        ("StatefulSet", "spec.selector.matchLabels"),
        ("PodDisruptionBudget", "spec.selector.matchLabels"),
        ("PodMonitor", "spec.selector.matchLabels"),
        ("ServiceMonitor", "spec.selector.matchLabels"),
        ("NetworkPolicy", "spec.podSelector.matchLabels"),
    ):
        for one in manifest.of(kind):
            if "app.kubernetes.io/instance" not in at(one, path, {}):
                yield f"{title(one)} picks pods of other releases"


def spreading_counts_the_pods_of_its_own_workload(manifest: Manifest) -> Iterator[str]:
    """Spread constraints and anti-affinity look at the pods beside which a pod should not be put: its own kind."""
    for workload in manifest.servers:
        for selector in _spreads(workload):
            picked = manifest.picked_by(selector)
            if [str(one) for one in picked] != [str(workload)]:
                yield f"{workload} spreads by the pods of {sorted(map(str, picked))}"


def the_router_discovers_the_vllm_pods(manifest: Manifest) -> Iterator[str]:
    """The labels in the router's --selector pick the vLLM pods and no others, in this namespace alone."""
    for router in manifest.component("router"):
        flags = flags_of(router.main)
        if "--service-discovery" not in flags:
            continue
        selector = dict(pair.split("=", 1) for pair in flags.get("--selector", "").split())
        picked = {str(one) for one in manifest.workloads if selector and matches(selector, one.labels)}
        if picked != {str(one) for one in manifest.component("vllm")}:
            yield f"{router} discovers {sorted(picked)}"
        port = int(flags.get("--service-discovery-port", 80))
        if any(port not in vllm.ports.values() for vllm in manifest.component("vllm")):
            yield f"{router} expects vLLM on port {port}"
        if not flags.get("--service-discovery-namespace"):
            yield f"{router} watches all namespaces"


def _spreads(workload: Workload) -> Iterator[Mapping[str, Any]]:
    for one in workload.pod.get("topologySpreadConstraints", []):
        yield one.get("labelSelector", {})
    anti = at(workload.pod, "affinity.podAntiAffinity", {})
    for one in anti.get("requiredDuringSchedulingIgnoredDuringExecution", []):
        yield one.get("labelSelector", {})
    for one in anti.get("preferredDuringSchedulingIgnoredDuringExecution", []):
        yield at(one, "podAffinityTerm.labelSelector", {})
