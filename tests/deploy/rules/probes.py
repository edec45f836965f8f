"""Probes ask for what the processes answer, and give them the time that they need."""

from collections.abc import Iterator

from forefill_service.wire.health import LIVENESS, READINESS, STARTUP

from tests.deploy.manifest import Manifest, Object, at

_GRPC = {"startupProbe": STARTUP, "readinessProbe": READINESS, "livenessProbe": LIVENESS}
_OTHERS = {
    "vllm": {kind: {"/health"} for kind in _GRPC},
    "router": {
        "startupProbe": {"/liveness", "tcp"},
        "readinessProbe": {"/health", "/readiness"},
        "livenessProbe": {"/liveness", "tcp"},
    },
}
"""Paths that vLLM's API server and vllm-router answer at."""

LEAST_LOADING_SECONDS = 300
"""A model of some gigabytes that is loaded from a hub takes minutes."""
LEAST_HANG_SECONDS = 10
"""A process that is busy for less is not restarted."""


def servers_have_each_probe(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.servers:
        for kind in _GRPC:
            if kind not in workload.main:
                yield f"{workload} has no {kind}"


def probes_ask_for_what_the_process_knows(manifest: Manifest) -> Iterator[str]:
    """forefill's health service knows startup, readiness and liveness; vLLM and its router have paths."""
    for workload in manifest.servers:
        for kind, name in _GRPC.items():
            probe = workload.main.get(kind, {})
            if workload.component == "forefill":
                if at(probe, "grpc.service") != name:
                    yield f"{workload}: {kind} asks for {at(probe, 'grpc.service')!r} instead of {name!r}"
            elif (asked := _asked(probe)) not in _OTHERS[workload.component][kind]:
                yield f"{workload}: {kind} asks for {asked!r}"


def startup_waits_until_a_model_is_loaded(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.servers:
        probe = workload.main.get("startupProbe", {})
        if workload.component != "router" and patience(probe) < LEAST_LOADING_SECONDS:
            yield f"{workload} is restarted after {patience(probe)} s of loading its model"


def rollouts_wait_longer_than_startup(manifest: Manifest) -> Iterator[str]:
    """A rollout is not called failed while a pod still loads its model."""
    for workload in manifest.servers:
        deadline = int(workload.spec.get("progressDeadlineSeconds", 600))
        startup = patience(workload.main.get("startupProbe", {}))
        if workload.kind == "Deployment" and deadline <= startup:
            yield f"{workload}: progressDeadlineSeconds {deadline} is not more than the startup of {startup} s"


def liveness_forgives_a_busy_process(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.servers:
        probe = workload.main.get("livenessProbe", {})
        if patience(probe) < LEAST_HANG_SECONDS or int(probe.get("timeoutSeconds", 1)) < 2:
            yield f"{workload} is restarted after {patience(probe)} s, with {probe.get('timeoutSeconds', 1)} s a probe"


def _asked(probe: Object) -> str:
    return "tcp" if "tcpSocket" in probe else str(at(probe, "httpGet.path"))


def patience(probe: Object) -> int:
    """Return for how many seconds a probe may fail."""
    return int(probe.get("periodSeconds", 10)) * int(probe.get("failureThreshold", 3))
