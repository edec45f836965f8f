"""The rules of a session know no clock, no event loop, no wire, no engine, and no third-party package."""

import ast
import subprocess
import sys
from pathlib import Path

import forefill_service
import pytest

from deploy.dev import import_graph

SERVICE = Path(forefill_service.__file__).parents[1]
PURE = ("cache", "chat", "session")
MODULES = sorted(
    ".".join(path.relative_to(SERVICE).with_suffix("").parts).removesuffix(".__init__")
    for package in PURE
    for path in (SERVICE / "forefill_service" / package).rglob("*.py")
)
IMPURE = {"asyncio", "concurrent", "datetime", "multiprocessing", "socket", "subprocess", "threading", "time"}


def _is_ours_and_pure(name: str) -> bool:
    program, *inside = name.split(".")
    return program == "forefill_service" and inside[:1] in [["errors"], *([package] for package in PURE)]


def _path_of(module: str) -> Path:
    path = SERVICE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _loaded_by(module: str) -> set[str]:
    """Return all that importing a module loads in an interpreter that has no site-packages."""
    code = f"import sys; sys.path.insert(0, {str(SERVICE)!r}); import {module}; print(*sys.modules)"
    command = (sys.executable, "-I", "-S", "-c", code)
    return set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split())


def test_every_pure_package_has_modules_that_are_tested_here() -> None:
    assert {module.split(".")[1] for module in MODULES} == set(PURE)


@pytest.mark.parametrize("module", MODULES)
def test_a_pure_module_loads_nothing_but_the_standard_library_and_pure_modules(module: str) -> None:
    loaded = _loaded_by(module)
    ours = {name for name in loaded if name.startswith("forefill")}
    assert module in ours
    assert {name for name in ours if not _is_ours_and_pure(name)} == {"forefill_service"}
    assert "asyncio" not in loaded
    others = {name.partition(".")[0] for name in loaded - ours} - {"__main__"}
    assert {name for name in others if name not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_pure_module_imports_nothing_else_in_its_functions_either(module: str) -> None:
    names = import_graph.imported_names(module, _path_of(module))
    others = {name.partition(".")[0] for name in names if not _is_ours_and_pure(name)}
    assert others - (sys.stdlib_module_names - IMPURE) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_pure_module_does_not_await(module: str) -> None:
    for node in ast.walk(ast.parse(_path_of(module).read_text())):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
