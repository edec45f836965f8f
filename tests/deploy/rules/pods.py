"""Pods: restricted, pinned, with what they need to write and to use."""

from collections.abc import Iterator

from tests.deploy.manifest import Manifest, Object, Workload, at

USER = 10001
_SCRATCH = ("HOME", "XDG_CACHE_HOME", "HF_HOME", "TMPDIR", "VLLM_CACHE_ROOT", "TRITON_CACHE_DIR", "MPLCONFIGDIR")
"""Variables that name where Python packages, the hub, vLLM and compilers write."""


def pods_are_restricted(manifest: Manifest) -> Iterator[str]:
    """Pod Security Standard "restricted", and a root file system that nobody writes."""
    for workload in manifest.workloads:
        for path, wanted in (
            ("securityContext.runAsNonRoot", True),
            ("securityContext.runAsUser", USER),
            ("securityContext.runAsGroup", USER),
            ("securityContext.seccompProfile.type", "RuntimeDefault"),
        ):
            if at(workload.pod, path) != wanted:
                yield f"{workload}: {path} is {at(workload.pod, path)}"
        for container in workload.all_containers:
            yield from _container_is_restricted(workload, container)


def pods_use_nothing_of_their_node(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            if workload.pod.get(key):
                yield f"{workload}: {key}"
        for volume in workload.pod.get("volumes", []):
            if "hostPath" in volume:
                yield f"{workload}: {volume['name']} is a directory of the node"
        for container in workload.all_containers:
            if any("hostPort" in port for port in container.get("ports", [])):
                yield f"{workload}: hostPort"


def services_set_no_variables(manifest: Manifest) -> Iterator[str]:
    """Kubernetes would set VLLM_PORT for a Service of the name vllm, and FOREFILL_PORT for forefill."""
    for workload in manifest.workloads:
        if workload.pod.get("enableServiceLinks") is not False:
            yield f"{workload}: enableServiceLinks is not false"


def images_are_pinned(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        for container in workload.all_containers:
            name, _, digest = container["image"].partition("@")
            _, _, tag = name.rpartition("/")[2].partition(":")
            if not digest.startswith("sha256:") and tag in ("", "latest"):
                yield f"{workload}: {container['image']} may be another image tomorrow"


def volumes_are_there_and_used(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        volumes = [one["name"] for one in workload.pod.get("volumes", [])]
        volumes += [one["metadata"]["name"] for one in workload.object["spec"].get("volumeClaimTemplates", [])]
        mounted = {mount["name"] for one in workload.all_containers for mount in one.get("volumeMounts", [])}
        for name in sorted(mounted ^ set(volumes)):
            yield f"{workload}: volume {name} is {'not there' if name in mounted else 'not used'}"
        for container in workload.all_containers:
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            if len(set(paths)) < len(paths):
                yield f"{workload}: two volumes are mounted in one place: {paths}"


def processes_can_write_where_they_do(manifest: Manifest) -> Iterator[str]:
    """The root is read-only, so /tmp, HOME and every cache that a variable names are in volumes."""
    for workload in manifest.workloads:
        for container in workload.all_containers:
            writable = _writable(workload, container)
            environment = manifest.environment(container)
            wanted = {"/tmp": "/tmp", "HOME": environment.get("HOME", "(the image's)")}  # noqa: S108 - in a pod
            wanted |= {name: environment[name] for name in _SCRATCH if name in environment}
            for what, path in wanted.items():
                if not any(path == one or path.startswith(f"{one}/") for one in writable):
                    yield f"{workload}: {what} is {path}, and no volume makes that writable"


def engines_have_shared_memory(manifest: Manifest) -> Iterator[str]:
    """vLLM's processes share memory, and a container's own /dev/shm has 64 MB."""
    for workload in manifest.servers:
        embedded = manifest.environment(workload.main).get("FOREFILL_ENGINE") == "embedded"
        if workload.component != "vllm" and not embedded:
            continue
        name = next((one["name"] for one in _mounts(workload.main) if one["mountPath"] == "/dev/shm"), "")  # noqa: S108
        volume: Object = next((one for one in workload.pod.get("volumes", []) if one["name"] == name), {})
        if at(volume, "emptyDir.medium") != "Memory" or not at(volume, "emptyDir.sizeLimit"):
            yield f"{workload}: /dev/shm is {volume or 'that of the container'}"


def containers_say_what_they_need(manifest: Manifest) -> Iterator[str]:
    """CPU and memory are requested and memory is limited; GPUs are limits, which count as requests."""
    for workload in manifest.workloads:
        for container in workload.all_containers:
            for path in ("requests.cpu", "requests.memory", "limits.memory"):
                if at(container.get("resources", {}), path) is None:
                    yield f"{workload}: resources.{path} is missing"
            if at(container, "resources.limits.cpu") is not None:
                yield f"{workload}: a CPU limit throttles it in the middle of an answer"


def objects_have_the_common_labels(manifest: Manifest) -> Iterator[str]:
    for one in manifest.objects:
        for label in ("name", "instance", "component", "version", "managed-by", "part-of"):
            if f"app.kubernetes.io/{label}" not in at(one, "metadata.labels", {}):
                yield f"{one['kind']} {one['metadata']['name']} has no label app.kubernetes.io/{label}"


def _container_is_restricted(workload: Workload, container: Object) -> Iterator[str]:
    context = container.get("securityContext", {})
    for path, wanted in (
        ("allowPrivilegeEscalation", False),
        ("readOnlyRootFilesystem", True),
        ("capabilities.drop", ["ALL"]),
        ("capabilities.add", None),
        ("privileged", None),
    ):
        found = at(context, path)
        if found != wanted and not (path == "privileged" and found is False):
            yield f"{workload}: {path} of {container['name']} is {found}"


def _writable(workload: Workload, container: Object) -> list[str]:
    kinds = ("emptyDir", "persistentVolumeClaim", "ephemeral")
    volumes = {one["name"] for one in workload.pod.get("volumes", []) if any(kind in one for kind in kinds)}
    volumes |= {one["metadata"]["name"] for one in workload.object["spec"].get("volumeClaimTemplates", [])}
    return [one["mountPath"] for one in _mounts(container) if one["name"] in volumes and not one.get("readOnly")]


def _mounts(container: Object) -> list[Object]:
    return list(container.get("volumeMounts", []))
