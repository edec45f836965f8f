"""Engines: vLLM and its router get the flags that forefill needs, and forefill knows what is there."""

from collections.abc import Iterator
from contextlib import redirect_stderr
from functools import cache
from io import StringIO
from typing import Any
from urllib.parse import urlsplit

from tests.deploy.manifest import Manifest, Object, Workload, at
from tests.deploy.rules.arguments import command_line
from tests.deploy.rules.network import Endpoint, allowed, endpoint_of
from tests.deploy.rules.probes import patience
from tests.deploy.rules.processes import forefill_settings

_VLLM = ("-m", "vllm.entrypoints.openai.api_server")
_HUB = Endpoint("hub", address="203.0.113.7", is_pod=False)


def engine_programs_know_their_arguments(manifest: Manifest) -> Iterator[str]:
    """vLLM and vllm-router parse their arguments themselves."""
    for workload in (*manifest.component("vllm"), *manifest.component("router")):
        try:
            _arguments(workload)
        except ValueError as error:
            yield f"{workload}: {error}"


def vllm_serves_what_forefill_needs(manifest: Manifest) -> Iterator[str]:
    """What deploy/vllm-servers.md asks for; no events of the cache, which carry what users type."""
    for workload in manifest.component("vllm"):
        arguments = _arguments(workload)
        for name, wanted in (
            ("enable_prefix_caching", True),
            ("enable_prompt_tokens_details", True),
            ("enable_scale_out", True),
            ("scheduling_policy", "priority"),
            ("kv_events_config", None),
        ):
            if getattr(arguments, name) != wanted:
                yield f"{workload}: {name} is {getattr(arguments, name)}"


def routers_keep_sessions_and_find_out_soon(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.component("router"):
        arguments = _arguments(workload)
        if arguments.policy != "consistent_hash":
            yield f"{workload}: sessions do not stick with {arguments.policy}"
        if arguments.health_check_interval_secs * arguments.health_failure_threshold > 10:
            yield f"{workload} finds out late that a server is down"
        if not arguments.disable_retries:
            yield f"{workload} repeats requests, which makes an overload worse"


def engines_use_the_gpus_that_they_get(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.servers:
        used = _gpus_used(manifest, workload)
        given = int(at(workload.main.get("resources", {}), "limits", {}).get("nvidia.com/gpu", 0))
        if given and used != given:
            yield f"{workload} gets {given} GPUs and uses {used}"


def forefill_knows_its_router(manifest: Manifest) -> Iterator[str]:
    """It is told that its one address is a router, and how many servers are behind it at least."""
    for workload in manifest.component("forefill"):
        remote = forefill_settings(manifest, workload.main).remote
        hosts = {(urlsplit(url).hostname or "").split(".")[0] for url in remote.urls}
        for router in manifest.component("router"):
            if hosts == {router.name} and not remote.router:
                yield f"{workload} takes {router} for a server"
            for vllm in manifest.component("vllm"):
                if remote.router and remote.router_workers != manifest.min_replicas(vllm):
                    yield f"{workload} counts on {remote.router_workers} servers of {vllm}"


def forefill_waits_for_its_engines(manifest: Manifest) -> Iterator[str]:
    """As long as the servers of the release may load; and Kubernetes waits longer, so that the log names the reason."""
    for workload in manifest.component("forefill"):
        settings = forefill_settings(manifest, workload.main)
        waits = settings.remote.start_wait_seconds
        startup = patience(workload.main.get("startupProbe", {}))
        if settings.engine.kind == "remote" and waits >= startup:
            yield f"{workload} waits {waits} s for servers and is restarted after {startup} s"
        for vllm in manifest.component("vllm"):
            if waits < (loading := patience(vllm.main.get("startupProbe", {}))):
                yield f"{workload} waits {waits} s for {vllm}, which may load for {loading} s"


def pods_that_cannot_reach_the_hub_stay_offline(manifest: Manifest) -> Iterator[str]:
    """Otherwise each start waits until downloads that no policy lets through time out."""
    for workload in (*manifest.component("forefill"), *manifest.component("vllm")):
        online = allowed(manifest, endpoint_of(workload), _HUB, 443)
        if not online and manifest.environment(workload.main).get("HF_HUB_OFFLINE") != "1":
            yield f"{workload} cannot reach the model hub, and tries"


def claims_can_be_mounted_by_all_who_do(manifest: Manifest) -> Iterator[str]:
    """A claim of this release that pods on several nodes mount is for many."""
    for claim in manifest.of("PersistentVolumeClaim"):
        name = claim["metadata"]["name"]
        pods = sum(manifest.max_replicas(one) for one in manifest.servers if name in _claims(one))
        if pods > 1 and claim["spec"]["accessModes"] != ["ReadWriteMany"]:
            yield f"PersistentVolumeClaim {name} is mounted by {pods} pods as {claim['spec']['accessModes']}"


def _gpus_used(manifest: Manifest, workload: Workload) -> int:
    if workload.component == "vllm":
        arguments = _arguments(workload)
        return int(arguments.tensor_parallel_size * arguments.data_parallel_size)
    if workload.component == "forefill":
        arguments = forefill_settings(manifest, workload.main).engine.args
        return int(arguments.get("tensor_parallel_size", 1)) * int(arguments.get("data_parallel_size", 1))
    return 0


def _claims(workload: Workload) -> set[str]:
    return {at(one, "persistentVolumeClaim.claimName", "") for one in workload.pod.get("volumes", [])}


def _arguments(workload: Workload) -> Any:
    return _parsed(*_program(workload.main))


def _program(container: Object) -> tuple[str, tuple[str, ...]]:
    words = command_line(container)
    if tuple(words[1:3]) == _VLLM:
        return "vllm", tuple(words[3:])
    return words[0], tuple(words[1:])


@cache
def _parsed(program: str, arguments: tuple[str, ...]) -> Any:
    """Return what a program makes of its arguments. Raises ValueError with its last words."""
    errors = StringIO()
    try:
        with redirect_stderr(errors):
            return _parser_of(program)(list(arguments))
    except SystemExit:
        raise ValueError(errors.getvalue().strip().splitlines()[-1]) from None


@cache
def _parser_of(program: str) -> Any:
    if program == "vllm":
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.utils.argparse_utils import FlexibleArgumentParser

        return make_arg_parser(FlexibleArgumentParser()).parse_args
    if program == "vllm-router":
        from vllm_router.launch_router import parse_router_args

        return parse_router_args
    raise ValueError(f"unknown program: {program}")
