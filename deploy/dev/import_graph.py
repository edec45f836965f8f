#!/usr/bin/env python3
"""The order of the packages: finds imports that run against it, and draws it in CONTRIBUTING.md.

An import counts wherever it is written: at the top of a module, under TYPE_CHECKING, in a function, relative or
absolute, or as `import_module` with a literal name.
"""

# ruff: noqa: T201 - it talks to people
import argparse
import ast
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("service", "client", "proto")
DOCUMENT = "CONTRIBUTING.md"
BEGIN, END = "<!-- `make graph` draws this -->\n```text\n", "```\n<!-- end of the drawing -->\n"

Graph = Mapping[str, frozenset[str]]


class Order(NamedTuple):
    """Packages from top to bottom, and the function that finds the package of a module (None: not one of these).

    A package imports only packages of lower rows, so packages in one row do not import each other.
    """

    rows: tuple[tuple[str, ...], ...]
    package_of: Callable[[str], str | None]


def _program_of(module: str) -> str:
    return module.partition(".")[0]


def _service_package_of(module: str) -> str | None:
    program, _, inside = module.partition(".")
    return inside.partition(".")[0] or None if program == "forefill_service" else None


# `forefill` holds the modules that are generated from proto/.
PROGRAMS = Order(
    (
        ("forefill_web",),
        ("forefill_chat",),
        ("forefill_bench", "forefill_pytest"),
        ("forefill_client", "forefill_service"),
        ("forefill",),
    ),
    _program_of,
)
SERVICE = Order(
    (
        ("__main__",),
        ("cli", "testing"),
        ("server",),
        ("listeners",),
        ("wire",),
        ("serving",),
        ("fleet",),
        ("scheduling",),
        ("engine",),
        ("cache", "session", "access"),
        ("chat",),
        ("logs",),
        ("settings", "errors", "orphans"),
    ),
    _service_package_of,
)


def read_imports(root: Path = ROOT) -> Graph:
    """Return every module of the packages in service/, client/ and proto/, with those of them that it imports."""
    files = {
        _module_name(path.relative_to(root / source)): path
        for source in SOURCES
        for path in sorted((root / source).glob("forefill*/**/*.py"))
    }
    return {
        module: frozenset(_modules_among(imported_names(module, path), files.keys()) - {module})
        for module, path in files.items()
    }


def imported_names(module: str, path: Path) -> set[str]:
    """Return all that a module imports, as absolute dotted names: `from a import b` gives `a.b`, module or not."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return {name for node in ast.walk(tree) for name in _names_in(node, package)}


def imports_that_run_up(graph: Graph, order: Order) -> list[str]:
    """Return one line for each import of a package that is not below the importing one, or that has no place at all."""
    depth = {package: number for number, row in enumerate(order.rows) for package in row}
    complaints = []
    for module, imported in sorted(graph.items()):
        package = order.package_of(module)
        if package is None:
            continue
        if package not in depth:
            complaints.append(f"{module}: {package} has no place in the order of packages")
            continue
        for target in sorted(imported):
            below = order.package_of(target)
            if below in depth and below != package and depth[below] <= depth[package]:
                complaints.append(f"{module} imports {target}, but {below} is not below {package}")
    return complaints


def import_circle(graph: Graph) -> list[str]:
    """Return the modules of one import circle, each imported by the next, or an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def drawing(graph: Graph) -> str:
    """Return the text picture: a line for each package with what it imports, and a column for each imported package."""
    return f"{_drawn(graph, PROGRAMS)}\ninside forefill_service:\n\n{_drawn(graph, SERVICE)}"


def _drawn(graph: Graph, order: Order) -> str:
    names = [name for row in order.rows for name in row]
    width = max(map(len, names))
    imported = {name: _packages_imported_by(name, graph, order) for name in names}
    columns = [name for name in names if any(name in others for others in imported.values())]
    lines = []
    for name in names:
        cells = [column if column in imported[name] else " " * len(column) for column in columns]
        lines.append("  ".join([name.ljust(width), *cells]).rstrip() + "\n")
    return "".join(lines)


def _packages_imported_by(package: str, graph: Graph, order: Order) -> set[str | None]:
    targets = (imported for module, imported in graph.items() if order.package_of(module) == package)
    return {order.package_of(target) for imported in targets for target in imported} - {package}


def _module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _names_in(node: ast.AST, package: str) -> Iterator[str]:
    match node:
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
        case ast.ImportFrom(module=source, names=aliases, level=level):
            origin = resolve_name("." * level + (source or ""), package)
            yield from (f"{origin}.{alias.name}" for alias in aliases)
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            yield resolve_name(name, package)


def _modules_among(names: Collection[str], modules: Collection[str]) -> set[str]:
    return {module for name in names if (module := _longest_prefix(name, modules))}


def _longest_prefix(name: str, modules: Collection[str]) -> str | None:
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def complaints_about(root: Path) -> list[str]:
    """Return one line for each fault in the order of a tree, and one if its drawing is out of date."""
    graph = read_imports(root)
    complaints = [*imports_that_run_up(graph, PROGRAMS), *imports_that_run_up(graph, SERVICE)]
    if circle := import_circle(graph):
        complaints.append(f"a circle of imports: {' <- '.join(circle)}")
    if _drawn_in(root)[1] != drawing(graph):
        complaints.append(f"{DOCUMENT} shows other imports than the code has: run make graph")
    return complaints


def write(root: Path) -> None:
    """Draw the imports of a tree into its document, between the two marks."""
    before, _, after = _drawn_in(root)
    (root / DOCUMENT).write_text(before + drawing(read_imports(root)) + after, encoding="utf-8")


def _drawn_in(root: Path) -> tuple[str, str, str]:
    text = (root / DOCUMENT).read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    drawn, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"import_graph: {DOCUMENT} has lost the marks between which the drawing goes:\n{BEGIN}{END}")
    return before + begin, drawn, end + after


def main() -> int:
    """Print the drawing; with --write put it into CONTRIBUTING.md, with --check only report what is wrong.

    Returns 1 if --check finds something, else 0.
    """
    parser = argparse.ArgumentParser(description="Draw which package imports which.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help=f"put the drawing into {DOCUMENT} instead of printing it")
    mode.add_argument("--check", action="store_true", help="report imports that run up, circles, and an old drawing")
    arguments = parser.parse_args()
    if arguments.write:
        write(ROOT)
    elif arguments.check:
        complaints = complaints_about(ROOT)
        print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
        return 1 if complaints else 0
    else:
        print(drawing(read_imports()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
