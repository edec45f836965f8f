"""What `helm template` prints, as objects that rules ask about."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import yaml

Object = dict[str, Any]

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
NAMESPACE = "chat"
"""The namespace of the release in all tests."""


def at(value: Any, path: str, default: Any = None) -> Any:
    """Return what is at a dotted path inside nested mappings and lists (`spec.ports.0.name`)."""
    for step in path.split("."):
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(step)
        if value is None:
            return default
    return value


def title(one: Object) -> str:
    """Return kind and name."""
    return f"{one['kind']} {one['metadata']['name']}"


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a LabelSelector, or the plain selector of a Service, picks these labels; an empty one does."""
    if not selector.keys() <= {"matchLabels", "matchExpressions"}:
        selector = {"matchLabels": selector}
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(one, labels) for one in selector.get("matchExpressions") or []
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", [])
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case unknown:
            raise ValueError(f"no such operator: {unknown}")


@dataclass(frozen=True)
class Workload:
    """An object that makes pods, or a pod that stands alone, such as that of `helm test`."""

    object: Object

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def spec(self) -> Object:
        """The spec of the workload itself, with its replicas."""
        return self.object["spec"]  # type: ignore[no-any-return]

    @property
    def template(self) -> Object:
        """Metadata and spec of its pods."""
        return self.object if self.kind == "Pod" else self.spec["template"]

    @property
    def pod(self) -> Object:
        """The spec of its pods."""
        return self.template["spec"]  # type: ignore[no-any-return]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its pods."""
        return at(self.template, "metadata.labels", {})  # type: ignore[no-any-return]

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")

    @property
    def containers(self) -> list[Object]:
        """Those that run for as long as the pod does."""
        return list(self.pod["containers"])

    @property
    def all_containers(self) -> list[Object]:
        return [*self.pod.get("initContainers", []), *self.containers]

    @property
    def main(self) -> Object:
        """The container that serves."""
        return self.containers[0]

    @property
    def ports(self) -> dict[str, int]:
        """Container ports by name."""
        return {port.get("name", ""): port["containerPort"] for one in self.containers for port in one.get("ports", [])}

    @property
    def serves(self) -> bool:
        """Whether others reach it, as they do not reach a test or a job."""
        return self.kind in ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Manifest:
    """All objects of one release."""

    objects: list[Object]

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read the documents of a YAML stream."""
        return cls([document for document in yaml.safe_load_all(text) if document])

    def copy(self) -> Self:
        """Return the same objects, to change."""
        return type(self)(deepcopy(self.objects))

    def of(self, *kinds: str) -> list[Object]:
        """Return the objects of some kinds."""
        return [one for one in self.objects if one["kind"] in kinds]

    def named(self, kind: str, name: str) -> Object | None:
        """Return one object, if it is there."""
        return next((one for one in self.of(kind) if one["metadata"]["name"] == name), None)

    @cached_property
    def workloads(self) -> list[Workload]:
        return [Workload(one) for one in self.of(*_WORKLOADS, "Pod")]

    @property
    def servers(self) -> list[Workload]:
        """The workloads that others reach."""
        return [one for one in self.workloads if one.serves]

    def component(self, name: str) -> list[Workload]:
        """Return the servers of one component."""
        return [one for one in self.servers if one.component == name]

    def picked_by(self, selector: Mapping[str, Any]) -> list[Workload]:
        """Return the workloads whose pods a selector picks."""
        return [one for one in self.workloads if matches(selector, one.labels)]

    def environment(self, container: Object) -> Mapping[str, str]:
        """Return the variables of a container; those from a Secret are `from NAME/KEY`."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            if name := at(source, "configMapRef.name"):
                found |= at(self.named("ConfigMap", name), "data", {})
        for one in container.get("env", []):
            found[one["name"]] = self._value(one)
        return found

    def _value(self, variable: Object) -> str:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable.get("value", ""))
        if secret := source.get("secretKeyRef"):
            return f"from {secret['name']}/{secret['key']}"
        if config := source.get("configMapKeyRef"):
            return str(at(self.named("ConfigMap", config["name"]), "data", {}).get(config["key"], ""))
        return f"from {next(iter(source))}"

    def max_replicas(self, workload: Workload) -> int:
        return max((most for _, most in self._ranges(workload)), default=int(workload.spec.get("replicas", 1)))

    def min_replicas(self, workload: Workload) -> int:
        return min((least for least, _ in self._ranges(workload)), default=int(workload.spec.get("replicas", 1)))

    def scalers(self, workload: Workload) -> list[Object]:
        """Return what scales a workload."""
        return [
            one
            for one in self.of("HorizontalPodAutoscaler", "ScaledObject")
            if at(one, "spec.scaleTargetRef.name") == workload.name
            and at(one, "spec.scaleTargetRef.kind", "Deployment") == workload.kind
        ]

    def _ranges(self, workload: Workload) -> Iterator[tuple[int, int]]:
        for one in self.scalers(workload):
            spec = one["spec"]
            yield (
                int(spec.get("minReplicas", spec.get("minReplicaCount", 1))),
                int(spec.get("maxReplicas", spec.get("maxReplicaCount", 1))),
            )
