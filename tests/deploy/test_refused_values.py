"""Values that make no sense are refused, with a reason that names the value."""

import pytest

from tests.deploy.chart import template, values_of

REMOTE, STACK, CPU = "remote", "stack", "cpu"
PROMETHEUS = "keda.prometheusAddress=http://prometheus:9090"

CASES = (
    # image
    (REMOTE, ["image.repository="], "image.repository is missing"),
    (REMOTE, ["image.digest=0123"], "image/digest"),
    (REMOTE, ["image.pullPolicy=Sometimes"], "image/pullPolicy"),
    # one engine
    (REMOTE, ["vllm.enabled=true", "vllm.model=m"], "engine.urls and vllm.enabled exclude each other"),
    (REMOTE, ["engine.urls=[]"], "engine.urls is missing"),
    (REMOTE, ["engine.kind=embedded", "engine.model=m"], "engine.urls needs engine.kind remote"),
    (REMOTE, ["engine.kind=mlx"], "engine/kind"),
    (STACK, ["engine.kind=embedded", "engine.model=m"], "vllm.enabled needs engine.kind remote"),
    (CPU, ["engine.model="], "engine.model is missing"),
    (CPU, ["engine.device=tpu"], "engine/device"),
    (CPU, ["engine.device=gpu", "engine.gpus=0"], "engine/gpus"),
    (STACK, ["vllm.model="], "vllm.model is missing"),
    (
        STACK,
        ["vllm.gpus=3", "vllm.dataParallelSize=2", "router.enabled=false"],
        "vllm.gpus must be a multiple of vllm.dataParallelSize",
    ),
    (REMOTE, ["engine.urls[0]=vllm:8000"], "engine/urls/0"),
    (REMOTE, ["engine.urls[0]=http://user:secret@vllm:8000"], "engine/urls/0"),
    # a router needs servers
    (REMOTE, ["router.enabled=true"], "router.enabled needs vllm.enabled"),
    (REMOTE, ["engine.router.enabled=true", "engine.urls[1]=http://b:8000"], "exactly one engine.urls"),
    # who gets in
    (REMOTE, ["access.tls.secretName="], "access.tls.secretName is missing"),
    (REMOTE, ["access.callers.secretName="], "access asks for no credentials"),
    (REMOTE, ["access.cacheSaltSecret.secretName="], "access.cacheSaltSecret.secretName is missing"),
    (
        REMOTE,
        ["access.insecure=true", "access.tls.secretName=", "access.tls.clientCa=true"],
        "access.tls.clientCa needs",
    ),
    (REMOTE, ["access.jwt.keys=https://issuer/keys"], "access.jwt.keys needs access.jwt.issuer"),
    (
        REMOTE,
        ["access.jwt.keys=http://issuer/keys", "access.jwt.issuer=i", "access.jwt.audience=a"],
        "access.jwt.keys takes an https",
    ),
    (
        REMOTE,
        ["access.callers.secretName=", "access.tls.clientCa=true", "access.tenantMetadataKey=t"],
        "believes a proxy",
    ),
    (REMOTE, ["access.tenantMetadataKey=Tenant"], "access/tenantMetadataKey"),
    (REMOTE, ["access.certManager.enabled=true"], "access.certManager.issuerRef.name is missing"),
    # settings
    (REMOTE, ["settings.max_session=5"], "max_session"),
    (REMOTE, ["settings.max_sessions=many"], "settings/max_sessions"),
    (REMOTE, ["settings.max_sessions=0"], "settings/max_sessions"),
    (REMOTE, ["settings.shed_cache_usage=2"], "settings/shed_cache_usage"),
    (REMOTE, ["settings.cache_salt_secret=hunter2"], "cache_salt_secret"),
    (REMOTE, ["settings.engine_api_key=hunter2"], "engine_api_key"),
    (REMOTE, ["settings.host=127.0.0.1"], "host"),
    (REMOTE, ["settings.port=80"], "port"),
    (REMOTE, ["settings.openai_port=8001"], "settings.openai_port needs engine.kind embedded"),
    (CPU, ["settings.openai_port=0"], "settings.openai_port: 0 would pick any port"),
    (CPU, ["settings.openai_port=9464"], "settings.openai_port: 9464 is taken in the pod"),
    (REMOTE, ["extraEnv[0].name=FOREFILL_PORT", "extraEnv[0].value=x"], "extraEnv: set FOREFILL_PORT as settings.port"),
    # how many
    (REMOTE, ["replicaCount=0"], "replicaCount"),
    (STACK, ["vllm.replicas=0"], "vllm/replicas"),
    (STACK, ["router.replicas=0"], "router/replicas"),
    (
        REMOTE,
        ["autoscaling.enabled=true", "autoscaling.keda.enabled=true", f"autoscaling.{PROMETHEUS}"],
        "exclude each",
    ),
    (
        REMOTE,
        ["autoscaling.enabled=true", "autoscaling.minReplicas=5", "autoscaling.maxReplicas=3"],
        "minReplicas is more",
    ),
    (REMOTE, ["autoscaling.keda.enabled=true"], "autoscaling.keda.prometheusAddress is missing"),
    (STACK, ["router.enabled=false", "vllm.keda.enabled=true", f"vllm.{PROMETHEUS}"], "vllm.keda.enabled needs router"),
    (STACK, ["vllm.keda.enabled=true"], "vllm.keda.prometheusAddress is missing"),
    (REMOTE, ["podDisruptionBudget.maxUnavailable=0"], "podDisruptionBudget/maxUnavailable"),
    (REMOTE, ["rollingUpdate.maxSurge=0"], "maxSurge and maxUnavailable are both 0"),
    (REMOTE, ["drain.preStopSeconds=-1"], "drain/preStopSeconds"),
    # what watches and leads here
    (REMOTE, ["metrics.podMonitor.enabled=true", "metrics.serviceMonitor.enabled=true"], "counted twice"),
    (REMOTE, ["gatewayRoute.enabled=true"], "gatewayRoute.parentRefs is missing"),
    (REMOTE, ["gatewayRoute.envoyGateway.enabled=true"], "needs gatewayRoute.enabled"),
    (REMOTE, ["service.type=Internal"], "service/type"),
    (REMOTE, ["service.port=70000"], "service/port"),
    # keys that are not there
    (REMOTE, ["replicas=3"], "replicas"),
    (REMOTE, ["access.tls.secret=x"], "secret"),
    (REMOTE, ["vllm.image.repo=x"], "repo"),
    (REMOTE, ["networkPolicy.enable=false"], "enable"),
)


def _arguments(changes: list[str]) -> list[str]:
    return [word for change in changes for word in ("--set-json" if change.endswith("[]") else "--set", change)]


@pytest.mark.parametrize(
    ("variant", "changes", "reason"), [pytest.param(*case, id=",".join(case[1])) for case in CASES]
)
def test_senseless_values_are_refused(variant: str, changes: list[str], reason: str) -> None:
    status, text = template(*values_of(variant), *_arguments(changes))
    assert status != 0, f"{changes} is not refused"
    assert reason in text, text


def test_the_defaults_alone_are_refused() -> None:
    """forefill cannot know who may get in, nor where its image and its engine are."""
    status, text = template()
    assert status != 0
    assert "image.repository is missing" in text
