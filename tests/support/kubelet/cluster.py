"""A cluster of one node, in this process: what is applied to it, and the pods that run because of that."""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .api import Api
from .image import Image
from .network import Network
from .objects import Manifest, Objects, selects
from .pod import Pod, Surroundings
from .services import Service, names, services_of
from .workloads import Create, Step, revision_of, rolled_out, steps

LAG_SECONDS = 0.3
PATIENCE_SECONDS = 240
"""A loaded machine takes a minute to start all of the chart."""
_TICK_SECONDS = 1
_KINDS = ("Deployment", "StatefulSet")


class Cluster:
    """Runs what is applied to it within its block. Images are found by the name of their container.

    Clients learn `lag_seconds` later than the API that a pod became ready or is being deleted, as everywhere.
    """

    def __init__(self, *, images: Mapping[str, Image] | None = None, lag_seconds: float = LAG_SECONDS) -> None:
        self.pods: list[Pod] = []
        self.services: list[Service] = []
        self.objects = Objects(())
        self._images, self._lag_seconds = images or {}, lag_seconds
        self._changes = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="forefill-pods-"))
        network = Network()
        self._stack.callback(network.close)
        self.api = Api(self.objects, lambda: self.pods, lambda: self._changes)
        await self.api.start(network.service(), Path(folder))
        self._stack.push_async_callback(self.api.stop)
        self._around = Surroundings(
            Path(folder), network, self._images, self.api.variables, self.api.account, self._changed
        )
        self._stack.push_async_callback(self._end)
        self._begin(self._reconcile_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.describe())
        await self._stack.__aexit__(kind, error, trace)

    async def apply(self, objects: Objects) -> None:
        """Have these objects in place of those before, as `helm upgrade` does; Services stay as they are."""
        known = {service.name for service in self.services}
        added = Objects(each for each in objects.of("Service") if each["metadata"]["name"] not in known)
        self.services += await services_of(added, self._around.network.service)
        self.objects = self.api.objects = objects
        self._changed()

    async def roll_out(self, objects: Objects) -> None:
        """Apply these objects, and wait until all workloads are as they want them."""
        await self.apply(objects)
        await self.all_rolled_out()

    async def rolled_out(self, kind: str, name: str) -> None:
        """Wait until a workload is as its manifest wants it."""
        await self.until(lambda: rolled_out(self.objects.get(kind, name), self._owned(kind, name)))

    async def all_rolled_out(self) -> None:
        """Wait until all workloads are as their manifests want them."""
        for kind in _KINDS:
            for workload in self.objects.of(kind):
                await self.rolled_out(kind, workload["metadata"]["name"])

    async def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until something is true of the pods."""
        async with asyncio.timeout(seconds):
            while self._failure is None and not condition():
                await self._changes.wait()
        if self._failure is not None:
            raise self._failure

    async def run(self, manifest: Manifest) -> tuple[int | None, str]:
        """Run a pod such as that of `helm test` to its end; return its exit status and what it wrote."""
        pod = self._start(Pod(manifest["metadata"]["name"], manifest, self.objects, self._around))
        await self.until(lambda: pod not in self.pods)
        return pod.containers[0].status, pod.log()

    def selected(self, **labels: str) -> list[Pod]:
        """Return the pods with these labels of app.kubernetes.io, such as component="vllm"."""
        wanted = {f"app.kubernetes.io/{name}": value for name, value in labels.items()}
        return [pod for pod in self.pods if selects(wanted, pod.labels)]

    def service(self, name: str) -> Service:
        """Return a Service by its name."""
        return next(service for service in self.services if service.name == name)

    def address(self, service: str, port: str) -> str:
        """Return HOST:PORT of a Service's port."""
        found = self.service(service)
        return f"{found.address}:{found.port(port)}"

    def claim(self, name: str) -> Path:
        """Return the folder of a PersistentVolumeClaim."""
        folder = self._around.folder / "claims" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def describe(self) -> str:
        """Return what happened to the pods, and the end of what they wrote."""
        return "\n".join(f"{pod.name}: {pod.history}\n{pod.log()[-3000:]}" for pod in self.pods)

    def _wake(self) -> None:
        self._changes.set()
        self._changes = asyncio.Event()

    def _changed(self) -> None:
        self._wake()
        found = {service.name: service.matching(self.pods) for service in self.services}
        asyncio.get_running_loop().call_later(self._lag_seconds, self._tell_clients, found)

    def _tell_clients(self, found: Mapping[str, list[Pod]]) -> None:
        for service in self.services:
            service.endpoints = found.get(service.name, service.endpoints)
        text = names(self.services, self.objects.namespace)
        for pod in self.pods:
            with pod.hosts.open("r+") as hosts:  # the same file: containers have mounted it
                hosts.write(pod.own_names + text)
                hosts.truncate()
        self._wake()

    async def _reconcile_for_ever(self) -> None:
        while True:
            changes = self._changes
            for kind in _KINDS:
                for workload in self.objects.of(kind):
                    pods = self._owned(kind, workload["metadata"]["name"])
                    for step in steps(workload, pods):
                        self._take(step, workload)
            if changes is self._changes:
                with contextlib.suppress(TimeoutError):  # time passes, too: minReadySeconds
                    async with asyncio.timeout(_TICK_SECONDS):
                        await changes.wait()
                self._wake()

    def _take(self, step: Step, workload: Manifest) -> None:
        if not isinstance(step, Create):
            next(pod for pod in self.pods if pod.name == step.name).delete()
            return
        revision = revision_of(workload)
        self._start(
            Pod(
                step.name + (secrets.token_hex(3) if step.unique else ""),
                workload["spec"]["template"],
                self.objects,
                self._around,
                owner=f"{workload['kind']}/{workload['metadata']['name']}",
                revision=revision,
            )
        )

    def _start(self, pod: Pod) -> Pod:
        self.pods.append(pod)
        self._begin(pod.run()).add_done_callback(lambda _: self.pods.remove(pod))
        self._changed()
        return pod

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()
        asyncio.get_running_loop().call_soon(self._changed)

    def _owned(self, kind: str, name: str) -> list[Pod]:
        return [pod for pod in self.pods if pod.owner == f"{kind}/{name}"]

    async def _end(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for service in self.services:
            service.close()
