"""The chart and its variants, rendered by `helm template`."""

from functools import cache
from pathlib import Path

from tests.deploy.manifest import NAMESPACE, Manifest
from tests.deploy.tools import ROOT, run

CHART = ROOT / "deploy" / "helm" / "forefill"
RELEASE = "chat"
_VALUES = Path(__file__).parent / "values"

VARIANTS: dict[str, tuple[str, ...]] = {
    "remote": (str(CHART / "variants/remote.yaml"), str(_VALUES / "secured.yaml")),
    "cpu": (str(CHART / "variants/cpu.yaml"), str(_VALUES / "secured.yaml")),
    "gpu": (str(CHART / "variants/gpu.yaml"), str(_VALUES / "secured.yaml")),
    "stack": (str(CHART / "variants/stack.yaml"), str(_VALUES / "secured.yaml")),
    "servers": (str(CHART / "variants/stack.yaml"), str(_VALUES / "secured.yaml"), str(_VALUES / "servers.yaml")),
    "offline": (str(CHART / "variants/stack.yaml"), str(_VALUES / "secured.yaml"), str(_VALUES / "offline.yaml")),
    "mesh": (str(CHART / "variants/remote.yaml"), str(_VALUES / "mesh.yaml")),
    "everything": (str(CHART / "variants/stack.yaml"), str(_VALUES / "secured.yaml"), str(_VALUES / "everything.yaml")),
    "scaled": (str(CHART / "variants/cpu.yaml"), str(_VALUES / "secured.yaml"), str(_VALUES / "scaled.yaml")),
}
"""What is checked: values files by name. The first four are those that users begin with."""


def values_of(variant: str) -> list[str]:
    """Return helm's arguments for the values of a variant."""
    return [argument for file in VARIANTS[variant] for argument in ("--values", file)]


def template(*arguments: str, release: str = RELEASE) -> tuple[int, str]:
    """Return the exit status of `helm template`, and what it printed: the manifest, or why there is none."""
    done = run("helm", "template", release, CHART, "--namespace", NAMESPACE, *arguments)
    return done.returncode, done.stderr if done.returncode else done.stdout


@cache
def rendered(variant: str) -> str:
    """Return the manifest of a variant as YAML."""
    status, text = template(*values_of(variant))
    if status:
        raise ValueError(f"{variant}: {text}")
    return text


@cache
def _parsed(variant: str) -> Manifest:
    return Manifest.parsed(rendered(variant))


def manifest_of(variant: str) -> Manifest:
    """Return the objects of a variant, which the caller may change."""
    return _parsed(variant).copy()
