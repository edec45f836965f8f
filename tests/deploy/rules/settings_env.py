"""Environments: forefill's variables are settings of forefill, and it accepts their values."""

from collections.abc import Iterator

from forefill_service.settings.access import is_loopback
from pydantic import ValidationError
from pydantic_settings import SettingsError

from tests.deploy.manifest import Manifest, Object, Workload
from tests.deploy.rules.processes import KNOWN, PATHS, PREFIX, forefill_settings, is_forefill


def variables_are_settings_of_forefill(manifest: Manifest) -> Iterator[str]:
    for workload, container in _servers(manifest):
        for name in manifest.environment(container):
            if name.startswith(PREFIX) and name not in KNOWN:
                yield f"{workload}: {name} is no setting of forefill-server"


def forefill_accepts_its_settings(manifest: Manifest) -> Iterator[str]:
    for workload, container in _servers(manifest):
        try:
            forefill_settings(manifest, container)
        except (ValidationError, SettingsError, SystemExit) as error:
            yield f"{workload}: forefill-server refuses its settings: {error}"


def servers_listen_outside_of_their_pod(manifest: Manifest) -> Iterator[str]:
    """Streams, metrics and health are reached from outside of the pod, so none of them is on loopback."""
    for workload, container in _servers(manifest):
        settings = forefill_settings(manifest, container)
        for name, host in (
            ("host", settings.server.host),
            ("health_host", settings.observability.health_host or settings.server.host),
        ):
            if is_loopback(host):
                yield f"{workload}: {name} {host} is reached by nobody outside"


def variables_are_set_once(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        for container in workload.all_containers:
            names = [one["name"] for one in container.get("env", [])]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield f"{workload}: {name} is set twice"


def files_in_settings_are_mounted(manifest: Manifest) -> Iterator[str]:
    """A setting that names a file names one in a volume."""
    for workload, container in _servers(manifest):
        mounts = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        for name, value in manifest.environment(container).items():
            if name in PATHS and not any(value.startswith(f"{mount}/") for mount in mounts):
                yield f"{workload}: {name} is {value}, which no volume has"


def configured_objects_exist(manifest: Manifest) -> Iterator[str]:
    """Every ConfigMap that a pod names is in the manifest; Secrets are the operator's."""
    for workload in manifest.workloads:
        for name in _config_maps(workload):
            if manifest.named("ConfigMap", name) is None:
                yield f"{workload}: there is no ConfigMap {name}"


def _servers(manifest: Manifest) -> Iterator[tuple[Workload, Object]]:
    for workload in manifest.workloads:
        for container in workload.all_containers:
            if is_forefill(container):
                yield workload, container


def _config_maps(workload: Workload) -> Iterator[str]:
    for volume in workload.pod.get("volumes", []):
        if "configMap" in volume and not volume["configMap"].get("optional"):
            yield volume["configMap"]["name"]
    for container in workload.all_containers:
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield source["configMapRef"]["name"]
        for one in container.get("env", []):
            if config := one.get("valueFrom", {}).get("configMapKeyRef"):
                yield config["name"]
