"""Stopping and replacing pods: graces add up, budgets leave something and permit something."""

from collections.abc import Iterator
from math import ceil

from tests.deploy.manifest import Manifest, Object, Workload, at
from tests.deploy.rules.arguments import flags_of
from tests.deploy.rules.processes import forefill_settings

LEAST_SPARE_SECONDS = 5
"""What is left of the grace after a drain, for the process to end by itself."""


def pods_wait_until_services_forget_them(manifest: Manifest) -> Iterator[str]:
    """A preStop sleep keeps a pod serving until the endpoints without it have reached everybody."""
    for workload in manifest.servers:
        if _pre_stop(workload) < 1:
            yield f"{workload} stops at once, and new streams are refused"


def graces_add_up(manifest: Manifest) -> Iterator[str]:
    """preStop, GoAway and the grace of answers fit in the pod's own grace, with some to spare."""
    for workload in manifest.servers:
        needed = _pre_stop(workload) + _drain(manifest, workload) + LEAST_SPARE_SECONDS
        grace = int(workload.pod.get("terminationGracePeriodSeconds", 30))
        if grace < needed:
            yield f"{workload} needs {needed} s to stop and is killed after {grace} s"


def rollouts_lose_nothing(manifest: Manifest) -> Iterator[str]:
    """An update starts a new pod before it ends an old one, or ends one at a time of several."""
    for workload in manifest.servers:
        if workload.kind == "StatefulSet":
            if at(workload.spec, "updateStrategy.type") != "RollingUpdate":
                yield f"{workload} is not updated, or all at once"
            continue
        replicas = manifest.min_replicas(workload)
        surge = _count(at(workload.spec, "strategy.rollingUpdate.maxSurge", "25%"), replicas, up=True)
        away = _count(at(workload.spec, "strategy.rollingUpdate.maxUnavailable", "25%"), replicas, up=False)
        if at(workload.spec, "strategy.type", "RollingUpdate") != "RollingUpdate":
            yield f"{workload} ends all pods before it starts new ones"
        elif surge + away < 1 or away >= replicas or (away and surge):
            yield f"{workload}: of {replicas} pods an update takes {away} away and adds {surge}"


def disruption_budgets_leave_and_permit_something(manifest: Manifest) -> Iterator[str]:
    """With several pods, one budget counts them; of those at least one may go, and at least one stays."""
    for workload in manifest.servers:
        budgets = [
            one for one in manifest.of("PodDisruptionBudget") if workload in manifest.picked_by(one["spec"]["selector"])
        ]
        replicas = manifest.min_replicas(workload)
        if len(budgets) > 1 or (replicas > 1 and not budgets):
            yield f"{workload}: {len(budgets)} PodDisruptionBudgets pick its {replicas} pods"
        for budget in budgets:
            yield from _judged(workload, budget, replicas)


def pods_are_spread(manifest: Manifest) -> Iterator[str]:
    """The loss of a node is not the loss of all pods, as far as there are several nodes."""
    for workload in manifest.servers:
        keys = {one["topologyKey"] for one in workload.pod.get("topologySpreadConstraints", [])}
        if manifest.max_replicas(workload) > 1 and "kubernetes.io/hostname" not in keys:
            yield f"{workload}: its pods may all be on one node"


def _judged(workload: Workload, budget: Object, replicas: int) -> Iterator[str]:
    spec = budget["spec"]
    if ("minAvailable" in spec) is ("maxUnavailable" in spec):
        yield f"{workload}: its budget needs either minAvailable or maxUnavailable"
        return
    if "maxUnavailable" in spec:
        may_go = _count(spec["maxUnavailable"], replicas, up=True)
    else:
        may_go = replicas - _count(spec["minAvailable"], replicas, up=True)
    if may_go < 1:
        yield f"{workload}: its budget lets none of {replicas} pods go, so no node can be drained"
    elif replicas > 1 and may_go >= replicas:
        yield f"{workload}: its budget lets all of {replicas} pods go"


def _drain(manifest: Manifest, workload: Workload) -> float:
    if workload.component == "forefill":
        settings = forefill_settings(manifest, workload.main).server
        return settings.go_away_seconds + settings.stop_grace_seconds
    return float(flags_of(workload.main).get("--shutdown-timeout", 0))


def _pre_stop(workload: Workload) -> int:
    return int(at(workload.main, "lifecycle.preStop.sleep.seconds", 0))


def _count(of: int | str, replicas: int, *, up: bool) -> int:
    """Return a number or a percentage of replicas as a number, rounded as Kubernetes does."""
    if isinstance(of, int):
        return of
    share = replicas * int(of.removesuffix("%")) / 100
    return ceil(share) if up else int(share)
