"""One pod: its network, its volumes, and its containers from the first start to the last end."""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .container import Container
from .environment import command_of, environment_of
from .image import Image
from .network import Network
from .objects import Manifest, Objects
from .sandbox import Process, Sandbox
from .volumes import Mount, Volumes, mounts_of

_GRACE_SECONDS = 30
_ACCOUNT_FILES = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pods of a cluster share.

    `account` returns the files of a service account's token. `images` are found by the container's name.
    """

    folder: Path
    network: Network
    images: Mapping[str, Image]
    variables: Mapping[str, str]
    account: Callable[[str], Mapping[str, str]]
    changed: Callable[[], None]


class Pod:
    """A pod made of a template; `owner` and `revision` say of which workload and which version of it."""

    def __init__(
        self,
        name: str,
        template: Manifest,
        objects: Objects,
        around: Surroundings,
        *,
        owner: str = "",
        revision: str = "",
    ) -> None:
        self.name, self.owner, self.revision = name, owner, revision
        self.uid = str(uuid.uuid4())
        self.metadata: Manifest = template.get("metadata") or {}
        self.spec: Manifest = template["spec"]
        self.labels: Mapping[str, str] = self.metadata.get("labels") or {}
        self.namespace = around.network.pod()
        self.address = self.namespace.address
        self.hosts = around.folder / "pods" / f"{name}-{self.uid}" / "hosts"
        self._objects, self._around = objects, around
        self._ending = asyncio.Event()
        self._folder = self.hosts.parent
        self._folder.mkdir(parents=True)
        self.hosts.write_text(self.own_names)
        self.containers = [self._container(manifest) for manifest in self.spec["containers"]]

    @property
    def own_names(self) -> str:
        """What the kubelet writes into /etc/hosts."""
        return f"127.0.0.1 localhost\n::1 localhost\n{self.address} {self.name}\n"

    @property
    def terminating(self) -> bool:
        """Whether it was deleted; it may still run for its grace."""
        return self._ending.is_set()

    @property
    def ready(self) -> bool:
        """Whether all of its containers are."""
        return all(container.ready for container in self.containers)

    @property
    def ready_seconds(self) -> float:
        """For how long it has been ready."""
        since = [container.ready_since for container in self.containers]
        return time.monotonic() - max(since) if self.ready else 0

    @property
    def history(self) -> dict[str, list[str]]:
        """What happened to each container."""
        return {container.name: container.history for container in self.containers}

    def port(self, name: str | int) -> int:
        """Return the number of a container's port by its name."""
        if isinstance(name, int):
            return name
        ports = [port for container in self.spec["containers"] for port in container.get("ports", ())]
        return next(int(port["containerPort"]) for port in ports if port.get("name") == name)

    def log(self, container: str | None = None) -> str:
        """Return what a container, or each of them, has written."""
        names = [container] if container else [each["name"] for each in self._all_containers()]
        return "\n".join(
            self._log_of(name).read_text(errors="replace") for name in names if self._log_of(name).exists()
        )

    def delete(self) -> None:
        """End it, as `kubectl delete pod` does."""
        self._ending.set()
        self._around.changed()

    async def run(self) -> None:
        """Run it until it is deleted or, if its containers are never started again, until they have ended."""
        restarts = self.spec.get("restartPolicy", "Always") == "Always"
        grace = self.spec.get("terminationGracePeriodSeconds", _GRACE_SECONDS)
        try:
            for manifest in self.spec.get("initContainers", ()):
                await self._container(manifest).run(self._ending, grace, restarts=False)
            async with asyncio.TaskGroup() as running:
                for container in self.containers:
                    running.create_task(container.run(self._ending, grace, restarts=restarts))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._around.network.free(self.namespace)
            self._around.changed()

    def _container(self, manifest: Manifest) -> Container:
        async def start() -> Process:
            return await self._start(manifest)

        return Container(manifest, self.address, start, self._around.changed)

    async def _start(self, manifest: Manifest) -> Process:
        security = {**(self.spec.get("securityContext") or {}), **(manifest.get("securityContext") or {})}
        volumes = self._volumes(security)
        mounts = mounts_of(manifest, volumes.make(self.spec.get("volumes") or []))
        if self._mounts_token():
            mounts.append(Mount(volumes.account_files(), _ACCOUNT_FILES, True))
        variables = {**self._around.variables, **environment_of(manifest, self._objects, self._field)}
        sandbox = Sandbox(
            self._folder / f"root-{manifest['name']}",
            self.namespace,
            self.name,
            self.hosts,
            self._around.images.get(manifest["name"], Image()),
        )
        command = command_of(manifest, variables)
        return await sandbox.start(command, variables, mounts, security, self._log_of(manifest["name"]))

    def _volumes(self, security: Mapping[str, Any]) -> Volumes:
        return Volumes(
            self._folder / "volumes",
            self._around.folder / "claims",
            self._objects,
            security.get("fsGroup"),
            self._around.account(self._account_name),
        )

    @property
    def _account_name(self) -> str:
        return str(self.spec.get("serviceAccountName", "default"))

    def _mounts_token(self) -> bool:
        of_account: Manifest = {}
        if self._account_name != "default":
            of_account = self._objects.get("ServiceAccount", self._account_name)
        wanted = of_account.get("automountServiceAccountToken", True)
        return bool(self.spec.get("automountServiceAccountToken", wanted))

    def _field(self, path: str) -> str:
        if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
            return str(self.metadata[match[1]][match[2]])
        return {
            "metadata.name": self.name,
            "metadata.namespace": self._objects.namespace,
            "metadata.uid": self.uid,
            "spec.nodeName": "node",
            "spec.serviceAccountName": self._account_name,
            "status.podIP": self.address,
            "status.hostIP": self._around.network.address,
        }[path]

    def _all_containers(self) -> list[Manifest]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    def _log_of(self, container: str) -> Path:
        return self._folder / f"{container}.log"
