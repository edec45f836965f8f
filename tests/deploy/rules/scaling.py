"""Scaling: targets exist, are scaled by one object each, and by metrics that somebody serves."""

import re
from collections.abc import Iterator

from forefill_service.fleet import metric_table
from forefill_service.fleet.metric_table import PREFIX, Metric

from tests.deploy.manifest import Manifest, Object, at, title

_OURS = {
    PREFIX + one.name + suffix
    for one in vars(metric_table).values()
    if isinstance(one, Metric)
    for suffix in ("", "_total", "_bucket", "_sum", "_count")
}
_VLLM = {"vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc"}
"""Gauges of vLLM 0.32, from its loggers."""


def scalers_have_a_target_of_their_own(manifest: Manifest) -> Iterator[str]:
    found = [str(workload) for workload in manifest.servers for _ in manifest.scalers(workload)]
    for name in sorted({name for name in found if found.count(name) > 1}):
        yield f"{name} is scaled by two objects"
    for scaler in manifest.of("HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        if manifest.named(target.get("kind", "Deployment"), target["name"]) is None:
            yield f"{title(scaler)}: there is no {target.get('kind', 'Deployment')} {target['name']}"


def scaled_workloads_leave_replicas_to_the_scaler(manifest: Manifest) -> Iterator[str]:
    """Otherwise each upgrade sets the number back."""
    for workload in manifest.servers:
        if manifest.scalers(workload) and "replicas" in workload.spec:
            yield f"{workload} has replicas and a scaler"


def scalers_may_scale(manifest: Manifest) -> Iterator[str]:
    """There is room between least and most, and the least is not one pod, which an eviction would take away."""
    for workload in manifest.servers:
        if manifest.scalers(workload):
            least, most = manifest.min_replicas(workload), manifest.max_replicas(workload)
            if not 2 <= least < most:
                yield f"{workload} is scaled between {least} and {most}"


def scalers_ask_for_metrics_that_exist(manifest: Manifest) -> Iterator[str]:
    for scaler in manifest.of("HorizontalPodAutoscaler", "ScaledObject"):
        text = "\n".join(_queries(scaler))
        names = set(re.findall(r"\b(?:forefill_|vllm:)\w+", text))
        if not names:
            yield f"{title(scaler)} asks for no metric of forefill or vLLM"
        for name in sorted(names - _OURS - _VLLM):
            yield f"{title(scaler)}: nobody serves {name}"


def scaling_down_takes_its_time(manifest: Manifest) -> Iterator[str]:
    """Each pod that goes moves sessions away from their caches: one at a time, and not at the first quiet minute."""
    for scaler in manifest.of("HorizontalPodAutoscaler", "ScaledObject"):
        path = "spec.behavior.scaleDown"
        if scaler["kind"] == "ScaledObject":
            path = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown"
        down = at(scaler, path, {})
        pods = [one for one in down.get("policies", []) if one["type"] == "Pods" and one["value"] == 1]
        if int(down.get("stabilizationWindowSeconds", 0)) < 60 or not pods:
            yield f"{title(scaler)} takes pods away at once: {down}"


def _queries(scaler: Object) -> Iterator[str]:
    for metric in at(scaler, "spec.metrics", []):
        yield str(at(metric, "pods.metric.name", at(metric, "external.metric.name", "")))
    for trigger in at(scaler, "spec.triggers", []):
        yield str(at(trigger, "metadata.query", ""))
