"""A container's environment and its command, as the kubelet makes them from the manifest."""

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from .objects import Manifest, Objects

_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)|\$\$")

Field = Callable[[str], str]
"""The value of a pod's field, such as "status.podIP"."""


def data_of(manifest: Manifest) -> dict[str, bytes]:
    """Return the keys of a ConfigMap or a Secret."""
    plain = {**manifest.get("stringData", {})}
    binary = {key: base64.b64decode(value) for key, value in manifest.get("binaryData", {}).items()}
    if manifest["kind"] == "Secret":
        binary |= {key: base64.b64decode(value) for key, value in manifest.get("data", {}).items()}
    else:
        plain |= manifest.get("data", {})
    return binary | {key: value.encode() for key, value in plain.items()}


def environment_of(container: Manifest, objects: Objects, field: Field) -> dict[str, str]:
    """Return the variables that the manifest sets; raise KeyError for a reference to nothing."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        prefix = source.get("prefix", "")
        found = _source(source, objects, "configMapRef", "secretRef")
        variables |= {prefix + key: value.decode() for key, value in found.items()}
    for entry in container.get("env", ()):
        if "valueFrom" not in entry:
            variables[entry["name"]] = expanded(entry.get("value", ""), variables)
        elif (value := _referred(entry["valueFrom"], objects, field)) is not None:
            variables[entry["name"]] = value
    return variables


def command_of(container: Manifest, variables: Mapping[str, str]) -> list[str]:
    """Return the command with its arguments."""
    if "command" not in container:
        raise KeyError(f"container {container['name']} has no command, and there is no image that would have one")
    return [expanded(word, variables) for word in (*container["command"], *container.get("args", ()))]


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Put values in place of $(NAME); a name that is not known stays as it is, and $$ is one $."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def _referred(source: Mapping[str, Any], objects: Objects, field: Field) -> str | None:
    if "fieldRef" in source:
        return field(source["fieldRef"]["fieldPath"])
    reference = source.get("configMapKeyRef") or source["secretKeyRef"]
    found = _source(source, objects, "configMapKeyRef", "secretKeyRef")
    if reference["key"] not in found and reference.get("optional"):
        return None
    return found[reference["key"]].decode()


def _source(source: Mapping[str, Any], objects: Objects, config_map: str, secret: str) -> dict[str, bytes]:
    kind, reference = ("ConfigMap", source[config_map]) if config_map in source else ("Secret", source[secret])
    try:
        return data_of(objects.get(kind, reference["name"]))
    except KeyError:
        if reference.get("optional"):
            return {}
        raise
