"""Secrets: they are named, never held."""

import re
from collections.abc import Iterator

from tests.deploy.manifest import Manifest, at
from tests.deploy.rules.arguments import command_line
from tests.deploy.rules.processes import SECRETS

_SECRET_NAME = re.compile(r"(?i)secret|password|passwd|credential|private|(?:^|_)(?:api_?key|token|salt)$")
_SECRET_FLAGS = ("--api-key", "--engine-api-key", "--cache-salt-secret", "--hf-token")
_SECRET_VALUE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\bhf_\w{20,}|\bsk-\w{20,}")


def no_secret_is_in_a_config_map(manifest: Manifest) -> Iterator[str]:
    for config in manifest.of("ConfigMap"):
        for key, value in config.get("data", {}).items():
            if key in SECRETS or _SECRET_NAME.search(key) or _SECRET_VALUE.search(value):
                yield f"ConfigMap {config['metadata']['name']} holds {key}"


def no_secret_is_in_a_variable_or_an_argument(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        for container in workload.all_containers:
            for one in container.get("env", []):
                secret = one["name"] in SECRETS or _SECRET_NAME.search(one["name"])
                if one.get("value") and (secret or _SECRET_VALUE.search(one["value"])):
                    yield f"{workload}: the value of {one['name']} is in the manifest"
            for word in command_line(container):
                if word.split("=")[0] in _SECRET_FLAGS or _SECRET_VALUE.search(word):
                    yield f"{workload}: {word} is in its arguments"


def the_chart_makes_no_secrets(manifest: Manifest) -> Iterator[str]:
    """They would be in the values, and in the release's history."""
    for secret in manifest.of("Secret"):
        yield f"Secret {secret['metadata']['name']} is part of the manifest"


def secret_files_are_read_by_the_process_alone(manifest: Manifest) -> Iterator[str]:
    for workload in manifest.workloads:
        names = {volume["name"]: volume["secret"] for volume in workload.pod.get("volumes", []) if "secret" in volume}
        for name, secret in names.items():
            if int(secret.get("defaultMode", 0o644)) & 0o007:
                yield f"{workload}: everybody in the pod reads the files of {name}"
        for container in workload.all_containers:
            for mount in container.get("volumeMounts", []):
                if mount["name"] in names and not mount.get("readOnly"):
                    yield f"{workload}: {mount['name']} is mounted to be written"


def engines_that_ask_for_a_key_are_given_one(manifest: Manifest) -> Iterator[str]:
    """The key that this release's vLLM servers ask for is the one that forefill sends."""
    for vllm in manifest.component("vllm"):
        asked = manifest.environment(vllm.main).get("VLLM_API_KEY")
        for workload in manifest.component("forefill"):
            sent = manifest.environment(workload.main).get("FOREFILL_ENGINE_API_KEY")
            if asked != sent:
                yield f"{vllm} asks for {asked}, {workload} sends {sent}"


def secrets_come_by_reference(manifest: Manifest) -> Iterator[str]:
    """A Secret that a variable names has a name and a key."""
    for workload in manifest.workloads:
        for container in workload.all_containers:
            for one in container.get("env", []):
                reference = at(one, "valueFrom.secretKeyRef", {"name": "-", "key": "-"})
                if not (reference.get("name") and reference.get("key")):
                    yield f"{workload}: {one['name']} names no Secret"
