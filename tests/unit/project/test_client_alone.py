"""The client without the rest: it imports neither the service nor what measures, and `forefill` finds its commands."""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import forefill_bench
import forefill_bench.extra
import forefill_chat.extra
import forefill_client
import forefill_web.extra
import pytest
from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[3]
PYPROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
CLIENT: Final = Path(forefill_client.__file__).parent
MODULES: Final = [
    ".".join(path.relative_to(CLIENT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(CLIENT.rglob("*.py"))
]
EXTRAS: Final = {
    "bench": forefill_bench.extra.PACKAGES,
    "chat": forefill_chat.extra.PACKAGES,
    "web": forefill_web.extra.PACKAGES,
}
COMMANDS: Final = {"bench": "bench", "chat": "chat", "demo": "bench", "plan": "bench", "web": "web"}
"""The commands, each with its extra."""

CLIENT_ALONE: Final = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

INSTALLED = {*sys.stdlib_module_names, "forefill", "forefill_bench", "forefill_chat", "forefill_client"}
INSTALLED |= {"forefill_service", "forefill_web", "google", "grpc", "typing_extensions"}

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return super().find_spec(name, path, target) if name.partition(".")[0] in INSTALLED else None

sys.meta_path = [BuiltinImporter, FrozenImporter, Installed]
"""
"""The wheel, and only the two packages that it depends on."""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}\n"
    return subprocess.run(
        [sys.executable, "-c", path + code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def forefill(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program where only the client was installed."""
    return run(f"{CLIENT_ALONE}\nfrom forefill_client.cli import main\nsys.exit(main(sys.argv[1:]))", *arguments)


@pytest.mark.parametrize("module", MODULES)
def test_no_file_of_the_client_imports_the_service_or_what_measures(module: str) -> None:
    path = CLIENT.parent.joinpath(*module.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in names} & {"forefill_service", "forefill_bench"}


def test_all_of_the_client_is_imported_with_only_the_packages_that_it_depends_on() -> None:
    result = run(f"{CLIENT_ALONE}\nimport {', '.join(MODULES)}\nprint(*sys.modules)")
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert set(MODULES) <= loaded
    assert not {name for name in loaded if name.startswith(("forefill_service", "forefill_bench"))}


def test_the_installed_commands_are_those_of_pyproject() -> None:
    found = {command.name: command.value for command in entry_points(group="forefill.commands")}
    assert found == PYPROJECT["project"]["entry-points"]["forefill.commands"]
    assert set(found) == set(COMMANDS)


def test_the_client_alone_lists_all_commands() -> None:
    result = forefill("--help")
    assert result.returncode == 0, result.stderr
    listed = {line.split()[0] for line in result.stdout.splitlines() if line.startswith("    ")}
    assert {"type", *COMMANDS} <= listed


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_extra_a_command_shows_its_help_and_one_line_says_what_to_install(command: str) -> None:
    assert f"forefill {command}" in forefill(command, "--help").stdout
    result = forefill(command)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    extra = COMMANDS[command]
    assert line == f"forefill: {', '.join(EXTRAS[extra])} not installed here: install forefill with its extra {extra!r}"
    assert not result.stdout


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_looked_for_are_the_extras_packages(extra: str) -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    asked_for = {Requirement(text).name for text in extras[extra]}
    assert asked_for - {"forefill"} <= set(EXTRAS[extra])
    if "forefill" in asked_for:  # it stands for the service
        [of_the_service] = set(EXTRAS[extra]) - asked_for
        assert of_the_service in {Requirement(text).name for text in extras["service"]}


def test_virtual_time_loads_the_standard_library_alone() -> None:
    client = str(Path(forefill_bench.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {client!r}); import forefill_bench.sim.virtual_time; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert "forefill_bench.sim.virtual_time" in loaded
    others = {name.partition(".")[0] for name in loaded} - {"__main__", "forefill_bench"}
    assert others <= sys.stdlib_module_names
