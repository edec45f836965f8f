"""The Kubernetes API as far as discovery needs it: list and watch pods, for those whose Role allows it."""

import asyncio
import contextlib
import json
import secrets
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from .objects import Manifest, Objects
from .pod import Pod

_PORT = 443


class Api:
    """Serves pods at https://ADDRESS:443. `refused` holds what was asked for without a right to it."""

    def __init__(
        self, objects: Objects, pods: Callable[[], Iterable[Pod]], changed: Callable[[], asyncio.Event]
    ) -> None:
        self.objects = objects
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.address = ""
        self._pods, self._changed = pods, changed
        self._authority = trustme.CA()
        self._tokens: dict[str, str] = {}
        self._version = 1
        self._runner: web.AppRunner | None = None

    async def start(self, address: str, folder: Path) -> None:
        """Listen, with a certificate for this address."""
        self.address = address
        app = web.Application()
        app.add_routes(
            [web.get("/api/v1/namespaces/{namespace}/pods", self._serve), web.get("/api/v1/pods", self._serve)]
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(address).configure_cert(context)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, address, _PORT, ssl_context=context).start()

    async def stop(self) -> None:
        """Stop; watches end."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def variables(self) -> dict[str, str]:
        """What the kubelet sets in every container."""
        return {"KUBERNETES_SERVICE_HOST": self.address, "KUBERNETES_SERVICE_PORT": str(_PORT)}

    def account(self, name: str) -> Mapping[str, str]:
        """Return the files of a service account, with a token of its own."""
        token = next((token for token, account in self._tokens.items() if account == name), None)
        if token is None:
            token = secrets.token_urlsafe(16)
            self._tokens[token] = name
        authority = self._authority.cert_pem.bytes().decode()
        return {"token": token, "namespace": self.objects.namespace, "ca.crt": authority}

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        verb = "watch" if http.query.get("watch") in ("1", "true") else "list"
        namespace = http.match_info.get("namespace", "")
        asked = f"{verb} pods in {namespace or 'all namespaces'}"
        self.asked.append(asked)
        account = self._tokens.get(http.headers.get("Authorization", "").removeprefix("Bearer "))
        if account is None or namespace != self.objects.namespace or not self._allows(account, verb):
            self.refused.append(f"{account}: {asked}")
            return _status(401 if account is None else 403, f"{account} cannot {asked}")
        wanted = _label_selector(http.query.get("labelSelector", ""))
        if verb == "list":
            items = list(self._state(wanted).values())
            listing = {"resourceVersion": str(self._version)}
            return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": listing, "items": items})
        return await self._watch(http, wanted)

    async def _watch(self, http: web.Request, wanted: Mapping[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        sent: dict[str, Manifest] = {}
        with contextlib.suppress(ConnectionError):
            while True:
                changed = self._changed()
                now = self._state(wanted)
                for event in _differences(sent, now):
                    await response.write(json.dumps(event).encode() + b"\n")
                sent = now
                await changed.wait()
        return response

    def _state(self, wanted: Mapping[str, str]) -> dict[str, Manifest]:
        self._version += 1
        pods = (pod for pod in self._pods() if all(pod.labels.get(k) == v for k, v in wanted.items()))
        return {pod.uid: _as_object(pod, self.objects.namespace, self._version) for pod in pods}

    def _allows(self, account: str, verb: str) -> bool:
        return any(
            {"pods", "*"} & set(rule["resources"]) and {verb, "*"} & set(rule["verbs"])
            for role in self._roles_of(account)
            for rule in role["rules"]
        )

    def _roles_of(self, account: str) -> Iterator[Manifest]:
        for binding in self.objects.of("RoleBinding"):
            if any(each["kind"] == "ServiceAccount" and each["name"] == account for each in binding["subjects"]):
                yield self.objects.get("Role", binding["roleRef"]["name"])


def _differences(before: Mapping[str, Manifest], now: Mapping[str, Manifest]) -> Iterator[dict[str, Any]]:
    for uid, pod in now.items():
        if uid not in before:
            yield {"type": "ADDED", "object": pod}
        elif _without_version(before[uid]) != _without_version(pod):
            yield {"type": "MODIFIED", "object": pod}
    yield from ({"type": "DELETED", "object": pod} for uid, pod in before.items() if uid not in now)


def _without_version(pod: Manifest) -> Manifest:
    return {**pod, "metadata": {**pod["metadata"], "resourceVersion": ""}}


def _as_object(pod: Pod, namespace: str, version: int) -> Manifest:
    metadata = {
        "name": pod.name,
        "namespace": namespace,
        "uid": pod.uid,
        "resourceVersion": str(version),
        "labels": dict(pod.labels),
        "annotations": dict(pod.metadata.get("annotations") or {}),
    }
    if pod.terminating:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready = "True" if pod.ready else "False"
    status = {"phase": "Running", "podIP": pod.address, "conditions": [{"type": "Ready", "status": ready}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _spec_of(pod), "status": status}


def _spec_of(pod: Pod) -> Manifest:
    """Return its specification with quantities as text, which is how the real API returns them."""
    containers = []
    for container in pod.spec["containers"]:
        resources = container.get("resources") or {}
        texts = {kind: {name: str(amount) for name, amount in each.items()} for kind, each in resources.items()}
        containers.append({**container, "resources": texts})
    return {**pod.spec, "containers": containers}


def _label_selector(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.replace("==", "=").split(",") if part)


def _status(code: int, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return web.json_response({**body, "metadata": {}, "reason": "Forbidden"}, status=code)
