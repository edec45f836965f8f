"""Imports run down: each package imports only packages below it, and no modules import each other in a circle."""

from pathlib import Path

import pytest

from deploy.dev import import_graph
from deploy.dev.import_graph import PROGRAMS, SERVICE

GRAPH = import_graph.read_imports()
PACKAGES = [name for row in SERVICE.rows for name in row]
DOCUMENT = f"# Contributing\n\n{import_graph.BEGIN}{import_graph.END}\nThe rest.\n"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_of_the_service_imports_only_packages_below_it(package: str) -> None:
    own = {module: imported for module, imported in GRAPH.items() if SERVICE.package_of(module) == package}
    assert own, "the order names a package that does not exist"
    assert import_graph.imports_that_run_up(own, SERVICE) == []


def test_every_package_of_the_service_has_a_place_in_the_order() -> None:
    assert {SERVICE.package_of(module) for module in GRAPH} - {None} == set(PACKAGES)


def test_measuring_imports_client_and_service_which_do_not_import_each_other() -> None:
    assert import_graph.imports_that_run_up(GRAPH, PROGRAMS) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert import_graph.import_circle(GRAPH) == []


def test_the_root_of_the_service_imports_nothing_since_every_package_imports_it() -> None:
    assert GRAPH["forefill_service"] == frozenset()


def test_inside_the_service_only_wire_imports_the_generated_modules() -> None:
    importers = {
        SERVICE.package_of(module)
        for module, imported in GRAPH.items()
        if any(target.startswith("forefill.") for target in imported)
    }
    assert importers - {None} == {"wire"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small source tree in which every import runs down."""
    _write(tmp_path, "service/forefill_service/__init__.py")
    for package in ("wire", "fleet", "cache", "session"):
        _write(tmp_path, f"service/forefill_service/{package}/__init__.py")
    _write(tmp_path, "service/forefill_service/wire/health.py", "from ..fleet.supervisor import EngineSupervisor")
    _write(tmp_path, "service/forefill_service/fleet/supervisor.py", "import asyncio\nfrom ..cache import blocks")
    _write(tmp_path, "service/forefill_service/cache/blocks.py")
    _write(tmp_path, "client/forefill_client/__init__.py")
    _write(tmp_path, "CONTRIBUTING.md", DOCUMENT)
    import_graph.write(tmp_path)
    return tmp_path


def _write(tree: Path, name: str, text: str = "") -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_is_wrong_with_a_tree_in_order(tree: Path) -> None:
    assert import_graph.complaints_about(tree) == []


@pytest.mark.parametrize(
    "source",
    [
        "import forefill_service.session.draft",
        "from forefill_service.session.draft import Draft",
        "from ..session.draft import Draft",
        "from ..session import draft",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..session.draft import Draft",
        "def late():\n    from ..session.draft import Draft",
        "class Inner:\n    from ..session.draft import Draft",
        'import importlib\nimportlib.import_module("forefill_service.session.draft")',
        'from importlib import import_module\nimport_module("..session.draft", __package__)',
    ],
)
def test_an_import_beside_is_found_however_it_is_written(tree: Path, source: str) -> None:
    _write(tree, "service/forefill_service/session/draft.py")
    _write(tree, "service/forefill_service/cache/blocks.py", source)
    assert (
        "forefill_service.cache.blocks imports forefill_service.session.draft, but session is not below cache"
        in import_graph.complaints_about(tree)
    )


def test_an_import_that_runs_up_is_found(tree: Path) -> None:
    _write(tree, "service/forefill_service/cache/__init__.py", "from .. import fleet")
    assert (
        "forefill_service.cache imports forefill_service.fleet, but fleet is not below cache"
        in import_graph.complaints_about(tree)
    )


def test_a_client_that_imports_the_service_is_found(tree: Path) -> None:
    _write(tree, "client/forefill_client/demo.py", "def start():\n    import forefill_service.wire.health")
    assert (
        "forefill_client.demo imports forefill_service.wire.health, but forefill_service is not below forefill_client"
        in import_graph.complaints_about(tree)
    )


def test_a_package_without_a_place_in_the_order_is_found(tree: Path) -> None:
    _write(tree, "service/forefill_service/utilities.py")
    assert (
        "forefill_service.utilities: utilities has no place in the order of packages"
        in import_graph.complaints_about(tree)
    )


def test_a_circle_inside_one_package_is_found(tree: Path) -> None:
    _write(tree, "service/forefill_service/cache/blocks.py", "from .view import View")
    _write(tree, "service/forefill_service/cache/view.py", "def late():\n    from .blocks import Blocks")
    [line] = import_graph.complaints_about(tree)
    assert line.startswith("a circle of imports: ")
    assert set(line.removeprefix("a circle of imports: ").split(" <- ")) == {
        "forefill_service.cache.blocks",
        "forefill_service.cache.view",
    }


def test_an_old_drawing_is_found_and_made_new_without_touching_the_text_around_it(tree: Path) -> None:
    _write(tree, "service/forefill_service/wire/health.py", "from ..cache.blocks import Blocks")
    assert import_graph.complaints_about(tree) == [
        "CONTRIBUTING.md shows other imports than the code has: run make graph"
    ]
    import_graph.write(tree)
    assert import_graph.complaints_about(tree) == []
    text = (tree / "CONTRIBUTING.md").read_text()
    assert text.startswith("# Contributing\n")
    assert text.endswith("The rest.\n")
    assert "\nwire " in text


def test_a_document_that_has_lost_its_marks_is_left_alone(tree: Path) -> None:
    _write(tree, "CONTRIBUTING.md", "# Contributing\n")
    with pytest.raises(SystemExit, match=r"CONTRIBUTING\.md has lost the marks"):
        import_graph.write(tree)
    assert (tree / "CONTRIBUTING.md").read_text() == "# Contributing\n"
