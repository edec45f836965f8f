"""Kubernetes objects from manifests, found by kind and name."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

Manifest = dict[str, Any]


class Objects:
    """Objects of one namespace."""

    def __init__(self, manifests: Iterable[Manifest], namespace: str = "default") -> None:
        self.namespace = namespace
        self._manifests = [manifest for manifest in manifests if manifest]

    @classmethod
    def parse(cls, text: str, namespace: str = "default") -> "Objects":
        """Read a stream of YAML documents."""
        return cls(yaml.safe_load_all(text), namespace)

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self._manifests)

    def of(self, kind: str) -> list[Manifest]:
        """Return all of one kind."""
        return [manifest for manifest in self._manifests if manifest["kind"] == kind]

    def get(self, kind: str, name: str) -> Manifest:
        """Return one; raise KeyError if it is missing, as a pod that needs it would not start."""
        for manifest in self.of(kind):
            if manifest["metadata"]["name"] == name:
                return manifest
        raise KeyError(f"no {kind} {name}")

    def plus(self, *manifests: Manifest) -> "Objects":
        """Return these and others, for example Secrets that the operator makes."""
        return Objects([*self._manifests, *manifests], self.namespace)

    def without_hooks(self) -> "Objects":
        """Return what `helm install` applies: hooks such as tests run on their own."""
        return Objects((manifest for manifest in self if not _is_hook(manifest)), self.namespace)

    def hooks(self, kind: str) -> list[Manifest]:
        """Return those of one kind that run on their own."""
        return [manifest for manifest in self.of(kind) if _is_hook(manifest)]


def _is_hook(manifest: Manifest) -> bool:
    return "helm.sh/hook" in (manifest["metadata"].get("annotations") or {})


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have all that a selector asks for."""
    return all(labels.get(name) == value for name, value in selector.items())


def secret(name: str, **files: str) -> Manifest:
    """Make a Secret as `kubectl create secret generic` does; "_" in a key stands for "."."""
    data = {key.replace("_", "."): value for key, value in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
