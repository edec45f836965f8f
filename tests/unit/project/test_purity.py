"""The rules of a session know no clock, no event loop, no wire, no engine, and no third-party package."""

import ast
import subprocess
import sys
from pathlib import Path

import forefill_service
import pytest

SERVICE = Path(forefill_service.__file__).parents[1]
PURE = ("cache", "chat", "session")
MODULES = sorted(
    ".".join(path.relative_to(SERVICE).with_suffix("").parts).removesuffix(".__init__")
    for package in PURE
    for path in (SERVICE / "forefill_service" / package).rglob("*.py")
)
PURE_NAMES = ("forefill_service.errors", *(f"forefill_service.{package}" for package in PURE))


def _loaded_by(module: str) -> set[str]:
    """Return all that importing a module loads in an interpreter that has no site-packages."""
    code = f"import sys; sys.path.insert(0, {str(SERVICE)!r}); import {module}; print(*sys.modules)"
    command = (sys.executable, "-I", "-S", "-c", code)
    return set(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.split())


@pytest.mark.parametrize("module", MODULES)
def test_a_pure_module_loads_nothing_but_the_standard_library_and_pure_modules(module: str) -> None:
    loaded = _loaded_by(module)
    ours = {name for name in loaded if name.startswith("forefill")}
    assert module in ours
    assert {name for name in ours if not name.startswith(PURE_NAMES)} == {"forefill_service"}
    assert "asyncio" not in loaded
    others = {name.partition(".")[0] for name in loaded - ours} - {"__main__"}
    assert {name for name in others if name not in sys.stdlib_module_names} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_pure_module_neither_awaits_nor_reads_a_clock(module: str) -> None:
    path = SERVICE.joinpath(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {"time", "datetime", "threading"} & set(names)
