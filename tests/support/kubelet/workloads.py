"""Which pods a Deployment or a StatefulSet wants, given those that there are: values in, values out."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .objects import Manifest


class Known(Protocol):
    """What is known of a pod."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def ready(self) -> bool: ...
    @property
    def ready_seconds(self) -> float: ...
    @property
    def terminating(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Create:
    """Create a pod; its name is this, or begins with it if another pod may have the same."""

    name: str
    unique: bool = True


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a pod."""

    name: str


Step = Create | Delete


def revision_of(workload: Manifest) -> str:
    """Return a name for the version of a workload's pods."""
    template = json.dumps(workload["spec"]["template"], sort_keys=True)
    return hashlib.sha256(template.encode()).hexdigest()[:10]


def steps(workload: Manifest, pods: Sequence[Known]) -> list[Step]:
    """Return what to do now; pods that are gone are not among `pods`, those that terminate are."""
    return list((_deployment if workload["kind"] == "Deployment" else _stateful_set)(workload, pods))


def rolled_out(workload: Manifest, pods: Sequence[Known]) -> bool:
    """Whether there is nothing left to do or to wait for."""
    revision = revision_of(workload)
    replicas: int = workload["spec"].get("replicas", 1)
    current = [pod for pod in pods if available(workload, pod) and not pod.terminating and pod.revision == revision]
    return len(current) == len(pods) == replicas


def available(workload: Manifest, pod: Known) -> bool:
    """Whether a pod is ready, and has been for as long as its workload asks for."""
    needed: float = workload["spec"].get("minReadySeconds", 0)
    return pod.ready and pod.ready_seconds >= needed


def _deployment(workload: Manifest, pods: Sequence[Known]) -> Iterator[Step]:
    spec, revision = workload["spec"], revision_of(workload)
    replicas = spec.get("replicas", 1)
    alive = sorted((pod for pod in pods if not pod.terminating), key=lambda pod: pod.ready_seconds)
    new = [pod for pod in alive if pod.revision == revision]
    old = [pod for pod in alive if pod.revision != revision]
    if spec.get("strategy", {}).get("type") == "Recreate":
        yield from (Delete(pod.name) for pod in old)
        if any(pod.revision != revision for pod in pods):
            return
    surge, unavailable = _allowances(workload)
    for _ in range(min(replicas - len(new), replicas + surge - len(alive))):
        yield Create(f"{workload['metadata']['name']}-{revision}-")
    yield from (Delete(pod.name) for pod in new[: max(0, len(new) - replicas)])
    others = sum(available(workload, pod) for pod in new)
    yield from _old_ones_to_spare(workload, old, replicas - unavailable - others)


def _old_ones_to_spare(workload: Manifest, old: list[Known], needed: int) -> Iterator[Delete]:
    """Old pods that are of no use make room first; those that are may go if enough are left."""
    useful = [pod for pod in old if available(workload, pod)]
    useless = [pod for pod in old if pod not in useful]
    yield from (Delete(pod.name) for pod in useless[: max(0, len(old) - needed)])
    yield from (Delete(pod.name) for pod in useful[: max(0, len(useful) - needed)])


def _allowances(workload: Manifest) -> tuple[int, int]:
    """Return by how many pods a rolling update may exceed and fall short of the replicas."""
    replicas = workload["spec"].get("replicas", 1)
    rolling = workload["spec"].get("strategy", {}).get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    return surge, (1 if surge == unavailable == 0 else unavailable)


def _share(value: int | str, of: int, rounded: Callable[[float], int]) -> int:
    return value if isinstance(value, int) else rounded(of * int(value.rstrip("%")) / 100)


def _stateful_set(workload: Manifest, pods: Sequence[Known]) -> Iterator[Step]:
    spec, revision, name = workload["spec"], revision_of(workload), workload["metadata"]["name"]
    by_name = {pod.name: pod for pod in pods}
    wanted = [f"{name}-{ordinal}" for ordinal in range(spec.get("replicas", 1))]
    yield from (Delete(pod.name) for pod in pods if pod.name not in wanted and not pod.terminating)
    one_by_one = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    for each in wanted:
        if each not in by_name:
            yield Create(each, unique=False)
        if one_by_one and not (each in by_name and by_name[each].ready and not by_name[each].terminating):
            return
    present = [by_name[each] for each in wanted if each in by_name]
    if len(present) == len(wanted) and all(available(workload, pod) and not pod.terminating for pod in present):
        yield from (Delete(pod.name) for pod in [p for p in reversed(present) if p.revision != revision][:1])
