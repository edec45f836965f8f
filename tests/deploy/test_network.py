"""Who reaches whom, as the NetworkPolicies have it. What is not in the table is shut."""

import pytest

from tests.deploy.chart import manifest_of
from tests.deploy.manifest import title
from tests.deploy.rules.network import Endpoint, reachable

OTHERS = (
    Endpoint("neighbour", {"app": "web"}),
    Endpoint(
        "other release",
        {
            "app.kubernetes.io/name": "forefill",
            "app.kubernetes.io/instance": "other",
            "app.kubernetes.io/component": "forefill",
        },
    ),
    Endpoint("stranger", {"app": "web"}, namespace="elsewhere"),
    Endpoint("backend", {"role": "backend"}, namespace="apps"),
    Endpoint("prometheus", {"app": "prometheus"}, namespace="monitoring", ports={"9090": 9090}),
    Endpoint("dns", {"k8s-app": "kube-dns"}, namespace="kube-system", ports={"tcp": 53}, udp={"udp": 53}),
    Endpoint("vllm outside", {"app": "vllm"}, namespace="llm", ports={"8000": 8000, "ssh": 22}),
    Endpoint("internet", address="203.0.113.7", is_pod=False, ports={"80": 80, "443": 443}),
    Endpoint("api server", address="10.96.0.1", is_pod=False, ports={"6443": 6443, "kubelet": 10250}),
    Endpoint("cloud metadata", address="169.254.169.254", is_pod=False, ports={"80": 80}),
)

ALWAYS = """
    forefill        dns            tcp
    forefill        dns            udp
    test            dns            tcp
    test            dns            udp
    test            forefill       grpc
"""
NAMESPACE_MAY_TYPE = """
    neighbour       forefill       grpc
    other release   forefill       grpc
"""
MONITORED = """
    prometheus      forefill       metrics
"""
LOADS_A_TOKENIZER_OR_MODEL = """
    forefill        internet       443
"""
SERVERS = """
    vllm            dns            tcp
    vllm            dns            udp
    vllm            internet       443
    prometheus      vllm           http
"""
BEHIND_A_ROUTER = """
    forefill        router         http
    router          vllm           http
    router          dns            tcp
    router          dns            udp
    router          api server     6443
    router          internet       443
    prometheus      router         metrics
"""
TABLE = {
    "remote": ALWAYS
    + NAMESPACE_MAY_TYPE
    + MONITORED
    + LOADS_A_TOKENIZER_OR_MODEL
    + """
    forefill        vllm outside   8000
""",
    "cpu": ALWAYS + NAMESPACE_MAY_TYPE + MONITORED + LOADS_A_TOKENIZER_OR_MODEL,
    "gpu": ALWAYS + NAMESPACE_MAY_TYPE + MONITORED + LOADS_A_TOKENIZER_OR_MODEL,
    "stack": ALWAYS + NAMESPACE_MAY_TYPE + MONITORED + LOADS_A_TOKENIZER_OR_MODEL + SERVERS + BEHIND_A_ROUTER,
    "servers": ALWAYS
    + NAMESPACE_MAY_TYPE
    + MONITORED
    + LOADS_A_TOKENIZER_OR_MODEL
    + SERVERS
    + """
    forefill        vllm           http
""",
    # Nobody but the backends of another namespace types, and nobody reads metrics.
    "mesh": ALWAYS
    + LOADS_A_TOKENIZER_OR_MODEL
    + """
    forefill        vllm outside   8000
    backend         forefill       grpc
""",
    # Nothing is loaded from outside: models are in a volume. What is left at 443 is the router's API server.
    "offline": ALWAYS
    + NAMESPACE_MAY_TYPE
    + MONITORED
    + BEHIND_A_ROUTER
    + """
    vllm            dns            tcp
    vllm            dns            udp
    prometheus      vllm           http
""",
}


def _rows(text: str) -> set[tuple[str, ...]]:
    return {tuple(cell.strip() for cell in (line[:20], line[20:35], line[35:])) for line in text.splitlines() if line}


@pytest.mark.parametrize("variant", TABLE)
def test_only_these_connections_are_let_through(variant: str) -> None:
    assert reachable(manifest_of(variant), OTHERS) == _rows(TABLE[variant])


@pytest.mark.parametrize("policy", ["chat-forefill", "chat-forefill-vllm", "chat-forefill-router"])
def test_without_a_policy_its_pods_are_open(policy: str) -> None:
    manifest = manifest_of("stack")
    manifest.objects.remove(next(one for one in manifest.objects if title(one) == f"NetworkPolicy {policy}"))
    opened = reachable(manifest, OTHERS) - _rows(TABLE["stack"])
    assert {destination for _, destination, _ in opened} >= {policy.rpartition("-")[2]}
    assert "unnamed" in {port for _, _, port in opened}
