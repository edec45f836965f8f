"""The kubelet of these tests, on manifests of its own: it has to be as strict as a real one."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.support.kubelet import Cluster, Objects, missing
from tests.support.kubelet.objects import Manifest, secret

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]

READ_ONLY = {"readOnlyRootFilesystem": True}
HARDENED = {
    "runAsUser": 10001,
    "runAsGroup": 10001,
    "fsGroup": 10001,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
SERVES = """
import http.server, os, signal, sys, threading
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = self.path == "/" or os.path.exists("/state" + self.path)
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(os.environ.get("SAYS", "").encode())
server = http.server.ThreadingHTTPServer(("", 8000), Web)
def stop(*_):
    print("stops")
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
server.serve_forever()
"""


def template(program: str, container: Manifest | None = None, **spec: Any) -> Manifest:
    """The template of a pod with one container that runs a program in Python."""
    main = {
        "name": "main",
        "command": ["python", "-u", "-c", program],
        "ports": [{"name": "http", "containerPort": 8000}],
        **(container or {}),
    }
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [main], **spec}}


def serving(says: str = "", replicas: int = 1, **container: Any) -> Objects:
    """A Deployment and its Service."""
    pod = template(SERVES, {"env": [{"name": "SAYS", "value": says}], **container}, terminationGracePeriodSeconds=5)
    web: Manifest = {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": replicas, "template": pod}}
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    service: Manifest = {
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }
    return Objects([web, service])


async def run(cluster: Cluster, pod: Manifest, name: str = "once") -> str:
    """Run a pod once; return what it writes."""
    _, log = await cluster.run({"metadata": {"name": name}, "spec": pod["spec"] | {"restartPolicy": "Never"}})
    return log


async def written(by: str, *objects: Manifest, container: Manifest | None = None, **spec: Any) -> str:
    """What a pod writes that runs once, in a cluster with these objects."""
    async with Cluster() as cluster:
        await cluster.apply(Objects(objects))
        return await run(cluster, template(by, container, **spec))


async def got(cluster: Cluster) -> str:
    """What the Service answers."""
    limit = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(timeout=limit) as http,
        http.get(f"http://{cluster.address('web', 'http')}") as answer,
    ):
        return await answer.text()


async def test_a_container_sees_its_own_processes_network_and_name_alone() -> None:
    seen = "import os, socket; print(os.getpid(), socket.gethostname(), socket.if_nameindex())"
    assert await written(seen) == "1 once [(1, 'lo'), (2, 'eth0')]\n"


async def test_a_container_is_who_its_security_context_says_without_any_capability() -> None:
    seen = "import os; print(os.getuid(), os.getgid(), os.getgroups()); print(open('/proc/self/status').read())"
    said = (await written(seen, securityContext=HARDENED)).splitlines()
    assert said[0] == "10001 10001 [10001]"
    assert {"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"} <= set(said)


@pytest.mark.parametrize("path", ["/new", "/tmp/new", "/var/new"])  # noqa: S108
async def test_a_read_only_root_is_read_only(path: str) -> None:
    assert "Read-only file system" in await written(f"open({path!r}, 'w')", container={"securityContext": READ_ONLY})


async def test_an_empty_dir_on_a_read_only_root_is_for_the_group_to_write() -> None:
    pod: Manifest = {
        "container": {
            "securityContext": READ_ONLY,
            "volumeMounts": [
                {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
                {"name": "scratch", "mountPath": "/var/cache/x"},
            ],
        },
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "securityContext": HARDENED,
    }
    assert await written("open('/tmp/a', 'w').write('b'); print(open('/var/cache/x/a').read())", **pod) == "b\n"


async def test_secrets_and_config_maps_become_files_and_variables() -> None:
    config: Manifest = {"kind": "ConfigMap", "metadata": {"name": "config"}, "data": {"COLOUR": "blue"}}
    pod: Manifest = {
        "container": {
            "envFrom": [{"configMapRef": {"name": "config"}}],
            "env": [
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}},
                {"name": "BOTH", "value": "$(COLOUR) $(KEY) $(NOBODY) $$(KEY)"},
            ],
            "volumeMounts": [{"name": "keys", "mountPath": "/etc/keys", "readOnly": True}],
        },
        "volumes": [{"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}}],
    }
    program = (
        "import os; print(os.environ['BOTH'], open('/etc/keys/api').read(), oct(os.stat('/etc/keys/api').st_mode))"
    )
    assert (
        await written(program, config, secret("keys", api="k3y"), **pod) == "blue k3y $(NOBODY) $(KEY) k3y 0o100400\n"
    )


async def test_a_pod_that_refers_to_a_secret_which_is_missing_does_not_start() -> None:
    entry = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}
    with pytest.raises(KeyError, match="no Secret keys"):
        await written("", container={"env": [entry]})


async def test_a_service_has_only_pods_that_are_ready_and_a_startup_probe_comes_first() -> None:
    probes: Manifest = {
        "startupProbe": {"httpGet": {"path": "/started", "port": "http"}, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "state", "mountPath": "/state"}],
    }
    objects = serving("hello", **probes)
    [web] = objects.of("Deployment")
    web["spec"]["template"]["spec"]["volumes"] = [{"name": "state", "persistentVolumeClaim": {"claimName": "state"}}]
    marks = {"volumeMounts": [{"name": "state", "mountPath": "/state"}]}
    async with Cluster() as cluster:
        await cluster.apply(objects)
        [main] = await containers(cluster, 1)

        async def write(mark: str) -> None:
            volumes = web["spec"]["template"]["spec"]["volumes"]
            await run(cluster, template(f"open('/state/{mark}', 'w')", marks, volumes=volumes), f"writes-{mark}")

        await write("ready")
        await asyncio.sleep(2)  # time for a readiness probe that should not run yet
        assert not main.ready
        assert not main.started
        with pytest.raises(aiohttp.ClientError):
            await got(cluster)

        await write("started")
        await cluster.until(lambda: main.ready)
        await cluster.until(lambda: bool(cluster.service("web").endpoints))
        assert await got(cluster) == "hello"


async def containers(cluster: Cluster, count: int) -> list[Any]:
    """Wait for so many pods of the Deployment; return their containers."""
    await cluster.until(lambda: len(cluster.pods) == count)
    return [container for pod in cluster.pods for container in pod.containers]


async def test_a_container_that_fails_its_liveness_probe_is_restarted() -> None:
    liveness = {"httpGet": {"path": "/alive", "port": "http"}, "periodSeconds": 1, "failureThreshold": 2}
    async with Cluster() as cluster:
        await cluster.apply(serving(livenessProbe=liveness))
        [main] = await containers(cluster, 1)
        await cluster.until(lambda: main.restarts > 0)
        assert main.history[:4] == ["is ready", "failed its liveness probe", "was sent SIGTERM", "ended with 0"]


async def test_a_deleted_pod_is_killed_after_its_grace_if_it_ignores_sigterm() -> None:
    pod = template("import time; time.sleep(99)", terminationGracePeriodSeconds=1)
    async with Cluster() as cluster:
        await cluster.apply(Objects([{"kind": "Deployment", "metadata": {"name": "deaf"}, "spec": {"template": pod}}]))
        [main] = await containers(cluster, 1)
        await cluster.until(lambda: main.ready)
        cluster.pods[0].delete()
        await cluster.until(lambda: main.status is not None)
        assert main.history[:3] == ["is ready", "was sent SIGTERM", "was killed after its grace"]


async def test_a_pod_answers_until_its_pre_stop_sleep_is_over() -> None:
    async with Cluster() as cluster:
        readiness = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
        more: Manifest = {"readinessProbe": readiness, "lifecycle": {"preStop": {"sleep": {"seconds": 3}}}}
        await cluster.apply(serving("hello", **more))
        [main] = await containers(cluster, 1)
        await cluster.until(lambda: bool(cluster.service("web").endpoints))
        address = cluster.pods[0].address
        cluster.pods[0].delete()
        await cluster.until(
            lambda: cluster.pods[0].address not in [p.address for p in cluster.service("web").endpoints]
        )
        async with aiohttp.ClientSession() as http, http.get(f"http://{address}:8000") as answer:
            assert answer.status == 200
        await cluster.until(lambda: main.status is not None)
        assert main.status == 0


async def test_an_update_replaces_all_pods_while_the_service_answers() -> None:
    readiness = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    more: Manifest = {"readinessProbe": readiness, "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}, "replicas": 2}
    async with Cluster() as cluster:
        await cluster.roll_out(serving("old", **more))
        await cluster.until(lambda: len(cluster.service("web").endpoints) == 2)
        await cluster.apply(serving("new", **more))
        rolled_out = asyncio.create_task(cluster.all_rolled_out())
        answers = []
        while not rolled_out.done():
            answers.append(await got(cluster))
            await asyncio.sleep(0.05)
        assert set(answers) == {"old", "new"}
        assert await got(cluster) == "new"


ASKS = """
import os, ssl, urllib.error, urllib.request
files = "/var/run/secrets/kubernetes.io/serviceaccount/"
token, namespace = (open(files + name).read() for name in ("token", "namespace"))
host = os.environ["KUBERNETES_SERVICE_HOST"]
context = ssl.create_default_context(cafile=files + "ca.crt")
for path in (f"namespaces/{namespace}/pods", "pods"):
    request = urllib.request.Request(f"https://{host}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        print(urllib.request.urlopen(request, context=context).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
READER: list[Manifest] = [
    {"kind": "ServiceAccount", "metadata": {"name": "reader"}},
    {"kind": "Role", "metadata": {"name": "pods"}, "rules": [{"resources": ["pods"], "verbs": ["list"]}]},
    {
        "kind": "RoleBinding",
        "metadata": {"name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader"}],
        "roleRef": {"kind": "Role", "name": "pods"},
    },
]


@pytest.mark.parametrize(("objects", "statuses"), [(READER, "200\n403\n"), (READER[:1], "403\n403\n")])
async def test_the_api_answers_what_a_role_allows_in_its_namespace_alone(
    objects: list[Manifest], statuses: str
) -> None:
    assert await written(ASKS, *objects, serviceAccountName="reader") == statuses


async def test_a_token_that_is_not_wanted_is_not_mounted() -> None:
    pod: Manifest = {"serviceAccountName": "reader", "automountServiceAccountToken": False}
    assert "No such file" in await written(ASKS, *READER, **pod)
