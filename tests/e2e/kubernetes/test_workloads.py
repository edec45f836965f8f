"""Which pods a Deployment and a StatefulSet want while they are updated, step by step."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.kubelet.objects import Manifest
from tests.support.kubelet.workloads import Create, Delete, revision_of, rolled_out, steps


@dataclass
class Pod:
    """What a workload knows of a pod."""

    name: str
    revision: str
    ready: bool = True
    ready_seconds: float = 60
    terminating: bool = False


def workload(kind: str, replicas: int, **spec: Any) -> Manifest:
    template: Manifest = {"spec": {"containers": []}}
    return {"kind": kind, "metadata": {"name": "web"}, "spec": {"replicas": replicas, "template": template, **spec}}


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Any]:
    return {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}


OLD = [Pod("old-0", "old"), Pod("old-1", "old")]


@pytest.mark.parametrize(
    ("surge", "unavailable", "created", "deleted"),
    [(1, 0, 1, 0), (0, 1, 0, 1), (2, 0, 2, 0), (1, 1, 1, 1), ("25%", "25%", 1, 0), ("100%", "50%", 2, 1), (0, 0, 0, 1)],
)
def test_a_deployment_begins_its_update_within_what_it_allows(
    surge: int | str, unavailable: int | str, created: int, deleted: int
) -> None:
    begun = steps(workload("Deployment", 2, **rolling(surge, unavailable)), OLD)
    assert sum(isinstance(step, Create) for step in begun) == created
    assert sum(isinstance(step, Delete) for step in begun) == deleted


def test_an_old_pod_stays_until_a_new_one_has_been_ready_for_long_enough() -> None:
    web = workload("Deployment", 2, minReadySeconds=5, **rolling(1, 0))
    new = Pod("new-0", revision_of(web), ready=False, ready_seconds=0)
    assert steps(web, [*OLD, new]) == []
    new.ready = True
    assert steps(web, [*OLD, new]) == []
    new.ready_seconds = 5
    assert steps(web, [*OLD, new]) == [Delete("old-0")]


def test_pods_that_terminate_count_for_nothing_but_the_end_of_the_update() -> None:
    web = workload("Deployment", 1, **rolling(1, 0))
    new, old = Pod("new-0", revision_of(web)), Pod("old-0", "old", terminating=True)
    assert steps(web, [new, old]) == []
    assert not rolled_out(web, [new, old])
    assert rolled_out(web, [new])


def test_a_stateful_set_replaces_its_pods_one_by_one_from_the_last() -> None:
    web = workload("StatefulSet", 2, podManagementPolicy="Parallel")
    pods = [Pod("web-0", "old"), Pod("web-1", "old")]
    assert steps(web, pods) == [Delete("web-1")]
    pods[1].terminating = True
    assert steps(web, pods) == []
    assert steps(web, pods[:1]) == [Create("web-1", unique=False)]
    new = Pod("web-1", revision_of(web), ready=False)
    assert steps(web, [pods[0], new]) == []
    new.ready = True
    assert steps(web, [pods[0], new]) == [Delete("web-0")]


@pytest.mark.parametrize(("policy", "created"), [("Parallel", 3), ("OrderedReady", 1)])
def test_a_stateful_set_starts_its_pods_together_or_in_order(policy: str, created: int) -> None:
    assert len(steps(workload("StatefulSet", 3, podManagementPolicy=policy), [])) == created
