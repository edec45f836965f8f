"""Shows help() and notebooks the strings below the fields of a class, as editors show them."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterable
from functools import cache
from itertools import pairwise


def show_field_docs(things: Iterable[object]) -> None:
    """Add the strings below their fields to the docstrings of the classes among `things`, if their source is there."""
    for thing in things:
        if isinstance(thing, type) and thing.__doc__ and (fields := _field_docs(thing)):
            lines = [f"{name}: {doc}".replace("\n", "\n    ") for name, doc in fields.items()]
            listed = textwrap.indent("\n".join(lines), "    ")
            thing.__doc__ = f"{inspect.cleandoc(thing.__doc__)}\n\nFields:\n{listed}"


def _field_docs(cls: type) -> dict[str, str]:
    """Return what is said of each field, of those that the class has from others of ours as well."""
    ours = [base for base in reversed(cls.__mro__) if base.__module__.partition(".")[0] == __package__]
    return {
        name: inspect.cleandoc(below.value.value)
        for base in ours or [cls]
        for field, below in pairwise(_body(base))
        if (name := _name(field))
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def _body(cls: type) -> list[ast.stmt]:
    """Return the statements of a class up to its first method: to parse whole modules would slow the import."""
    first_lines = rf"^class {cls.__name__}\b.*?(?=^\S|^    (?:@|def |async def )|\Z)"
    found = re.search(first_lines, _source(cls.__module__), re.MULTILINE | re.DOTALL)
    try:
        parsed = ast.parse(found[0]).body[0] if found else None
    except SyntaxError:
        return []
    return parsed.body if isinstance(parsed, ast.ClassDef) else []


@cache
def _source(module: str) -> str:
    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, TypeError):
        return ""


def _name(statement: ast.stmt) -> str:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return ""
