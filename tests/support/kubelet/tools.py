"""The tools that `deploy/dev/kube.sh` installs, and what helm makes of the chart."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .image import REPOSITORY
from .objects import Objects

CHART = REPOSITORY / "deploy/helm/forefill"
NAMESPACE = "llm"
RELEASE = "chat"
_TOOLS = REPOSITORY / "build/kube-tools/bin"


def tool(name: str) -> Path:
    """Return where a tool is, or would be."""
    return _TOOLS / name


def missing_tool(name: str) -> str:
    """Return why a tool cannot be used; "" if it can."""
    return "" if tool(name).exists() else f"{name} is missing: run deploy/dev/kube.sh"


def rendered(values: Mapping[str, Any], *, variants: Sequence[str] = ()) -> Objects:
    """Return what `helm install` would apply: the chart with these variants, and these values over them."""
    files = [word for variant in variants for word in ("--values", str(CHART / f"variants/{variant}.yaml"))]
    helm = subprocess.run(
        [str(tool("helm")), "template", RELEASE, str(CHART), "--namespace", NAMESPACE, *files, "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    if helm.returncode:
        raise AssertionError(f"helm template: {helm.stderr}")
    return Objects.parse(helm.stdout, NAMESPACE)
