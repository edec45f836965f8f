"""Each rule reports what it forbids: one value of a good manifest is changed, and the rule has something to say."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.deploy.chart import manifest_of
from tests.deploy.manifest import Manifest, title
from tests.deploy.rules import (
    certificates,
    engines,
    identity,
    network,
    pods,
    ports,
    probes,
    scaling,
    secrets,
    selectors,
    settings_env,
    stopping,
)
from tests.deploy.rules.table import RULES, Rule

# An object: the variant that has it, its kind and its name.
FOREFILL = ("stack", "Deployment chat-forefill")
SERVICE = ("stack", "Service chat-forefill")
VLLM = ("stack", "StatefulSet chat-forefill-vllm")
CLAIM = ("everything", "PersistentVolumeClaim chat-forefill-models")
TRAFFIC = ("everything", "BackendTrafficPolicy chat-forefill")
CERTIFICATE = ("everything", "Certificate chat-forefill")
TEST = ("stack", "Pod chat-forefill-test")
TLS = ("everything", "BackendTLSPolicy chat-forefill")
POLICY = ("stack", "NetworkPolicy chat-forefill")
CONFIG = ("stack", "ConfigMap chat-forefill")
ROUTER = ("stack", "Deployment chat-forefill-router")
POD_MONITOR = ("everything", "PodMonitor chat-forefill")
SERVICE_MONITOR = ("scaled", "ServiceMonitor chat-forefill")
ROUTE = ("everything", "GRPCRoute chat-forefill")
SERVERS_CONFIG = ("servers", "ConfigMap chat-forefill")
SERVERS_VLLM = ("servers", "StatefulSet chat-forefill-vllm")
BUDGET = ("stack", "PodDisruptionBudget chat-forefill")
HPA = ("scaled", "HorizontalPodAutoscaler chat-forefill")
VLLM_KEDA = ("everything", "ScaledObject chat-forefill-vllm")
SCALED = ("scaled", "Deployment chat-forefill")
KEDA = ("everything", "ScaledObject chat-forefill")
KEYED_VLLM = ("everything", "StatefulSet chat-forefill-vllm")
EMBEDDED = ("gpu", "Deployment chat-forefill")
ACCOUNT = ("stack", "ServiceAccount chat-forefill")
ROLE = ("stack", "Role chat-forefill-router")
BINDING = ("stack", "RoleBinding chat-forefill-router")

GONE = object()


@dataclass(frozen=True)
class Case:
    """One changed value: the rule that minds, the object, the words of the path, and the value.

    `pod` in a path is the spec of a workload's pods, `main` its first container. A path that ends in + appends.
    `GONE` removes the value, and with an empty path the object.
    """

    rule: Rule
    where: tuple[str, str]
    path: str
    value: Any

    def __str__(self) -> str:
        return f"{self.rule.__name__}: {self.where[1]} {self.path}"

    @property
    def steps(self) -> list[str]:
        path = self.path.replace("main ", "pod containers 0 ").replace("pod ", "spec template spec ")
        return path.split()


CASES = (
    # ports
    Case(ports.containers_name_each_port_once, FOREFILL, "main ports 1 containerPort", 50051),
    Case(ports.containers_name_each_port_once, FOREFILL, "main ports 1 name", "grpc"),
    Case(ports.services_reach_a_port_of_their_pods, SERVICE, "spec ports 0 targetPort", "http"),
    Case(ports.services_reach_a_port_of_their_pods, VLLM, "main ports 0 name", "api"),
    Case(ports.probes_use_a_port_of_their_container, FOREFILL, "main readinessProbe grpc port", 9466),
    Case(ports.probes_use_a_port_of_their_container, VLLM, "main livenessProbe httpGet port", "web"),
    Case(ports.policies_open_ports_that_pods_have, POLICY, "spec ingress 0 ports 0 port", 1),
    Case(ports.processes_listen_on_the_container_ports, CONFIG, "data FOREFILL_PORT", "50052"),
    Case(ports.processes_listen_on_the_container_ports, CONFIG, "data FOREFILL_METRICS_PORT", "-1"),
    Case(ports.processes_listen_on_the_container_ports, VLLM, "main args +", "--port=8001"),
    Case(ports.processes_listen_on_the_container_ports, ROUTER, "main ports 1 containerPort", 29001),
    Case(ports.monitors_scrape_each_server_once, POD_MONITOR, "spec podMetricsEndpoints 0 port", "prometheus"),
    Case(ports.monitors_scrape_each_server_once, SERVICE_MONITOR, "spec endpoints 0 port", "prometheus"),
    Case(
        ports.monitors_scrape_each_server_once,
        SERVICE_MONITOR,
        "spec selector matchLabels app.kubernetes.io/component",
        "web",
    ),
    Case(ports.routes_lead_to_a_port_of_a_service, ROUTE, "spec rules 0 backendRefs 0 port", 80),
    Case(ports.routes_lead_to_a_port_of_a_service, ROUTE, "spec rules 0 backendRefs 0 name", "other"),
    Case(
        ports.engine_urls_lead_to_a_port_of_a_service,
        CONFIG,
        "data FOREFILL_ENGINE_URL",
        '["http://chat-forefill-router.chat.svc:3000"]',
    ),
    Case(
        ports.engine_urls_lead_to_a_port_of_a_service,
        SERVERS_CONFIG,
        "data FOREFILL_ENGINE_URL",
        '["http://chat-forefill-vllm-7.chat-forefill-vllm.chat.svc:8000"]',
    ),
    Case(ports.engine_urls_lead_to_a_port_of_a_service, SERVERS_VLLM, "spec serviceName", "chat-forefill"),
    Case(
        ports.tests_type_at_a_port_of_a_service, TEST, "spec containers 0 args 0", "--target=chat-forefill.chat.svc:80"
    ),
    Case(ports.routes_let_streams_last, TRAFFIC, "spec timeout http requestTimeout", "15s"),
    Case(ports.routes_let_streams_last, TRAFFIC, "spec targetRefs 0 name", "other"),
    # selectors
    Case(
        selectors.workloads_pick_their_own_pods_alone,
        FOREFILL,
        "spec selector matchLabels app.kubernetes.io/component",
        GONE,
    ),
    Case(
        selectors.workloads_pick_their_own_pods_alone,
        VLLM,
        "spec template metadata labels app.kubernetes.io/component",
        "engine",
    ),
    Case(
        selectors.selectors_name_nothing_that_a_release_changes,
        FOREFILL,
        "spec selector matchLabels app.kubernetes.io/version",
        "0.1.0",
    ),
    Case(selectors.others_pick_the_pods_of_one_component, SERVICE, "spec selector app.kubernetes.io/component", GONE),
    Case(
        selectors.others_pick_the_pods_of_one_component, SERVICE, "spec selector app.kubernetes.io/component", "server"
    ),
    Case(
        selectors.others_pick_the_pods_of_one_component,
        BUDGET,
        "spec selector matchLabels app.kubernetes.io/component",
        GONE,
    ),
    Case(selectors.selectors_keep_to_their_release, SERVICE, "spec selector app.kubernetes.io/instance", GONE),
    Case(
        selectors.selectors_keep_to_their_release,
        POD_MONITOR,
        "spec selector matchLabels app.kubernetes.io/instance",
        GONE,
    ),
    Case(
        selectors.spreading_counts_the_pods_of_its_own_workload,
        FOREFILL,
        "pod topologySpreadConstraints 0 labelSelector matchLabels app.kubernetes.io/component",
        "vllm",
    ),
    Case(
        selectors.the_router_discovers_the_vllm_pods,
        ROUTER,
        "main args",
        [
            "--service-discovery",
            "--service-discovery-namespace=chat",
            "--service-discovery-port=8000",
            "--selector",
            "app.kubernetes.io/component=router",
        ],
    ),
    Case(
        selectors.the_router_discovers_the_vllm_pods,
        ROUTER,
        "main args",
        ["--service-discovery", "--service-discovery-port=8000", "--selector", "app.kubernetes.io/component=vllm"],
    ),
    Case(selectors.the_router_discovers_the_vllm_pods, VLLM, "main ports 0 containerPort", 8001),
    # probes
    Case(probes.servers_have_each_probe, VLLM, "main startupProbe", GONE),
    Case(probes.probes_ask_for_what_the_process_knows, FOREFILL, "main readinessProbe grpc service", "ready"),
    Case(probes.probes_ask_for_what_the_process_knows, FOREFILL, "main livenessProbe grpc service", "readiness"),
    Case(probes.probes_ask_for_what_the_process_knows, VLLM, "main readinessProbe httpGet path", "/healthz"),
    Case(probes.startup_waits_until_a_model_is_loaded, VLLM, "main startupProbe failureThreshold", 30),
    Case(probes.rollouts_wait_longer_than_startup, FOREFILL, "spec progressDeadlineSeconds", 600),
    Case(probes.liveness_forgives_a_busy_process, VLLM, "main livenessProbe timeoutSeconds", 1),
    Case(probes.liveness_forgives_a_busy_process, FOREFILL, "main livenessProbe failureThreshold", 1),
    # settings
    Case(settings_env.variables_are_settings_of_forefill, CONFIG, "data FOREFILL_MAX_SESSION", "3"),
    Case(settings_env.forefill_accepts_its_settings, CONFIG, "data FOREFILL_STOP_GRACE_SECONDS", "30s"),
    Case(settings_env.forefill_accepts_its_settings, CONFIG, "data FOREFILL_ENGINE", "embedded"),
    Case(settings_env.forefill_accepts_its_settings, CONFIG, "data FOREFILL_TLS_KEY", GONE),
    Case(settings_env.servers_listen_outside_of_their_pod, CONFIG, "data FOREFILL_HEALTH_HOST", "127.0.0.1"),
    Case(settings_env.servers_listen_outside_of_their_pod, CONFIG, "data FOREFILL_HOST", "localhost"),
    Case(settings_env.variables_are_set_once, FOREFILL, "main env +", {"name": "HOME", "value": "/"}),
    Case(settings_env.files_in_settings_are_mounted, CONFIG, "data FOREFILL_CALLERS", "/etc/callers.toml"),
    Case(settings_env.files_in_settings_are_mounted, FOREFILL, "main volumeMounts", []),
    Case(settings_env.configured_objects_exist, FOREFILL, "main envFrom 0 configMapRef name", "chat"),
    # engines
    Case(engines.engine_programs_know_their_arguments, VLLM, "main args +", "--enable-prefix-cache"),
    Case(engines.engine_programs_know_their_arguments, ROUTER, "main args 0", "--hosts=0.0.0.0"),
    Case(engines.vllm_serves_what_forefill_needs, VLLM, "main args +", "--scheduling-policy=fcfs"),
    Case(engines.vllm_serves_what_forefill_needs, VLLM, "main args +", "--no-enable-prefix-caching"),
    Case(engines.vllm_serves_what_forefill_needs, VLLM, "main args +", '--kv-events-config={"publisher": "zmq"}'),
    Case(engines.routers_keep_sessions_and_find_out_soon, ROUTER, "main args 4", "--policy=round_robin"),
    Case(engines.routers_keep_sessions_and_find_out_soon, ROUTER, "main args 5", "--health-check-interval-secs=60"),
    Case(engines.routers_keep_sessions_and_find_out_soon, ROUTER, "main args 7", "--retry-max-retries=5"),
    Case(engines.engines_use_the_gpus_that_they_get, VLLM, "main args +", "--tensor-parallel-size=2"),
    Case(engines.engines_use_the_gpus_that_they_get, EMBEDDED, "main resources limits nvidia.com/gpu", 2),
    Case(engines.forefill_knows_its_router, CONFIG, "data FOREFILL_ROUTER", GONE),
    Case(engines.forefill_knows_its_router, CONFIG, "data FOREFILL_ROUTER_WORKERS", "3"),
    Case(engines.forefill_waits_for_its_engines, CONFIG, "data FOREFILL_ENGINE_WAIT_SECONDS", "60"),
    Case(engines.forefill_waits_for_its_engines, CONFIG, "data FOREFILL_ENGINE_WAIT_SECONDS", "86400"),
    Case(engines.pods_that_cannot_reach_the_hub_stay_offline, POLICY, "spec egress", []),
    Case(engines.claims_can_be_mounted_by_all_who_do, CLAIM, "spec accessModes", ["ReadWriteOnce"]),
    # stopping
    Case(stopping.pods_wait_until_services_forget_them, VLLM, "main lifecycle", GONE),
    Case(stopping.graces_add_up, FOREFILL, "pod terminationGracePeriodSeconds", 38),
    Case(stopping.graces_add_up, CONFIG, "data FOREFILL_STOP_GRACE_SECONDS", "60"),
    Case(stopping.graces_add_up, VLLM, "pod terminationGracePeriodSeconds", GONE),
    Case(stopping.rollouts_lose_nothing, FOREFILL, "spec strategy type", "Recreate"),
    Case(stopping.rollouts_lose_nothing, FOREFILL, "spec strategy rollingUpdate maxUnavailable", "50%"),
    Case(stopping.rollouts_lose_nothing, FOREFILL, "spec strategy rollingUpdate maxSurge", 0),
    Case(stopping.rollouts_lose_nothing, VLLM, "spec updateStrategy type", "OnDelete"),
    Case(stopping.disruption_budgets_leave_and_permit_something, BUDGET, "", GONE),
    Case(stopping.disruption_budgets_leave_and_permit_something, BUDGET, "spec maxUnavailable", 0),
    Case(stopping.disruption_budgets_leave_and_permit_something, BUDGET, "spec maxUnavailable", "100%"),
    Case(stopping.disruption_budgets_leave_and_permit_something, BUDGET, "spec minAvailable", 1),
    Case(stopping.pods_are_spread, FOREFILL, "pod topologySpreadConstraints", GONE),
    # scaling
    Case(scaling.scalers_have_a_target_of_their_own, HPA, "spec scaleTargetRef name", "forefill"),
    Case(scaling.scalers_have_a_target_of_their_own, VLLM_KEDA, "spec scaleTargetRef", {"name": "chat-forefill"}),
    Case(scaling.scaled_workloads_leave_replicas_to_the_scaler, SCALED, "spec replicas", 2),
    Case(scaling.scalers_may_scale, HPA, "spec minReplicas", 10),
    Case(scaling.scalers_may_scale, KEDA, "spec minReplicaCount", 0),
    Case(scaling.scalers_ask_for_metrics_that_exist, HPA, "spec metrics 0 pods metric name", "forefill_open_streams"),
    Case(
        scaling.scalers_ask_for_metrics_that_exist,
        VLLM_KEDA,
        "spec triggers 0 metadata query",
        "sum(vllm:gpu_cache_usage_perc)",
    ),
    Case(scaling.scaling_down_takes_its_time, HPA, "spec behavior", GONE),
    Case(scaling.scaling_down_takes_its_time, KEDA, "spec advanced", GONE),
    # secrets
    Case(secrets.no_secret_is_in_a_config_map, CONFIG, "data FOREFILL_CACHE_SALT_SECRET", "hunter2"),
    Case(secrets.no_secret_is_in_a_config_map, CONFIG, "data VLLM_API_KEY", "hunter2"),
    Case(
        secrets.no_secret_is_in_a_variable_or_an_argument,
        FOREFILL,
        "main env +",
        {"name": "HF_TOKEN", "value": "hunter2"},
    ),
    Case(secrets.no_secret_is_in_a_variable_or_an_argument, VLLM, "main args +", "--api-key=hunter2"),
    Case(secrets.the_chart_makes_no_secrets, CONFIG, "kind", "Secret"),
    Case(
        secrets.secret_files_are_read_by_the_process_alone,
        FOREFILL,
        "pod volumes +",
        {"name": "open", "secret": {"secretName": "x"}},
    ),
    Case(
        secrets.secret_files_are_read_by_the_process_alone,
        FOREFILL,
        "main volumeMounts +",
        {"name": "tls", "mountPath": "/tls"},
    ),
    Case(
        secrets.engines_that_ask_for_a_key_are_given_one,
        KEYED_VLLM,
        "main env +",
        {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "other", "key": "key"}}},
    ),
    Case(
        secrets.secrets_come_by_reference,
        FOREFILL,
        "main env +",
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": "", "key": "key"}}},
    ),
    # pods
    Case(pods.pods_are_restricted, FOREFILL, "pod securityContext runAsUser", 0),
    Case(pods.pods_are_restricted, VLLM, "main securityContext readOnlyRootFilesystem", False),
    Case(pods.pods_are_restricted, ROUTER, "main securityContext capabilities add", ["NET_ADMIN"]),
    Case(pods.pods_use_nothing_of_their_node, VLLM, "pod hostIPC", True),
    Case(pods.pods_use_nothing_of_their_node, VLLM, "pod volumes +", {"name": "node", "hostPath": {"path": "/"}}),
    Case(pods.pods_use_nothing_of_their_node, VLLM, "main ports 0 hostPort", 8000),
    Case(pods.services_set_no_variables, VLLM, "pod enableServiceLinks", GONE),
    Case(pods.images_are_pinned, FOREFILL, "main image", "registry.example.com:5000/forefill"),
    Case(pods.images_are_pinned, VLLM, "main image", "vllm/vllm-openai:latest"),
    Case(pods.volumes_are_there_and_used, FOREFILL, "main volumeMounts 0 name", "scratch"),
    Case(pods.volumes_are_there_and_used, FOREFILL, "main volumeMounts 1 mountPath", "/tmp"),  # noqa: S108
    Case(pods.processes_can_write_where_they_do, FOREFILL, "main env 0 value", "/home/forefill"),
    Case(pods.processes_can_write_where_they_do, ROUTER, "main volumeMounts", []),
    Case(pods.engines_have_shared_memory, VLLM, "pod volumes 2 emptyDir", {}),
    Case(pods.engines_have_shared_memory, EMBEDDED, "main volumeMounts", []),
    Case(pods.containers_say_what_they_need, VLLM, "main resources limits memory", GONE),
    Case(pods.containers_say_what_they_need, FOREFILL, "main resources limits cpu", "1"),
    Case(pods.objects_have_the_common_labels, SERVICE, "metadata labels app.kubernetes.io/version", GONE),
    # identity
    Case(identity.only_a_router_that_discovers_has_a_token, FOREFILL, "pod automountServiceAccountToken", True),
    Case(identity.only_a_router_that_discovers_has_a_token, FOREFILL, "pod automountServiceAccountToken", GONE),
    Case(identity.only_a_router_that_discovers_has_a_token, ACCOUNT, "automountServiceAccountToken", GONE),
    Case(identity.pods_have_an_account_of_the_release, VLLM, "pod serviceAccountName", "default"),
    Case(identity.roles_permit_a_look_at_pods, ROLE, "rules 0 resources +", "secrets"),
    Case(identity.roles_permit_a_look_at_pods, ROLE, "kind", "ClusterRole"),
    Case(identity.roles_are_bound_to_the_router_alone, BINDING, "subjects 0 name", "chat-forefill"),
    Case(identity.roles_are_bound_to_the_router_alone, BINDING, "", GONE),
    # certificates
    Case(certificates.certificates_are_read_by_the_server, CERTIFICATE, "spec secretName", "other"),
    Case(certificates.certificates_name_all_services, CERTIFICATE, "spec dnsNames", ["chat-forefill.chat.svc"]),
    Case(certificates.gateways_check_a_name_that_the_certificate_has, TLS, "spec validation hostname", "chat"),
    Case(certificates.gateways_check_a_name_that_the_certificate_has, TLS, "spec targetRefs 0 name", "chat"),
    # network
    Case(network.pods_are_shut_both_ways, POLICY, "spec policyTypes", ["Ingress"]),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rule_reports_the_change(case: Case) -> None:
    manifest = manifest_of(case.where[0])
    before = list(case.rule(manifest))
    assert not before, f"the manifest is not good to begin with: {before}"
    _change(manifest, case)
    assert list(case.rule(manifest))


def test_every_rule_is_seen_to_fail() -> None:
    assert {rule.__name__ for rule in RULES} == {case.rule.__name__ for case in CASES}


def _change(manifest: Manifest, case: Case) -> None:
    value: Any = next((one for one in manifest.objects if title(one) == case.where[1]), None)
    assert value is not None, f"{case.where} is not there, but {[title(one) for one in manifest.objects]}"
    if not case.path:
        manifest.objects.remove(value)
        return
    *steps, last = case.steps
    for step in steps:
        value = value[int(step) if isinstance(value, list) else step]
    if last == "+":
        value.append(case.value)
    elif case.value is GONE:
        del value[last]
    elif isinstance(value, list):
        value[int(last)] = case.value
    else:
        value[last] = case.value
