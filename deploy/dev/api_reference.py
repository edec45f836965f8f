#!/usr/bin/env python3
"""The reference of the Python client, client/API.md, made from the docstrings of its public names."""

# ruff: noqa: T201 - it talks to people
import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import griffe

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "client" / "API.md"
MODULES: Final = (
    "forefill_client",
    "forefill_client.positions",
    "forefill_client.testing",
    "forefill_client.keystrokes",
)
TITLES: Final = {
    "forefill_client.client": "The client",
    "forefill_client.session": "Sessions",
    "forefill_client.session_state": "The state of a session",
    "forefill_client.answer": "Answers",
    "forefill_client.answer_parts": "Parts of an answer",
    "forefill_client.options": "Options",
    "forefill_client.connection": "Connections",
    "forefill_client.report": "Reports",
    "forefill_client.outcomes": "Outcomes",
    "forefill_client.sync": "Without await",
    "forefill_client.sync_session": "Sessions without await",
    "forefill_client.sync_answer": "Answers without await",
    "forefill_client.errors": "Errors",
}
"""The order of the sections; what comes from another module follows, under the first sentence of its docstring."""
WIDTH: Final = 100
"""A signature that is longer is broken into lines."""


def reference() -> str:
    """Return the whole document."""
    parts = [_introduction(), *(part for name in MODULES for part in _module(_loaded(name)))]
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def undocumented() -> list[str]:
    """Return the public names, fields and methods without a docstring."""
    missing = []
    for module in MODULES:
        for thing in _public(_loaded(module)):
            members = [thing, *_members(thing)] if thing.is_class else [thing]
            missing += [member.path for member in members if not _text(member) and not _is_of_protocol(member)]
    return missing


_LOADED: dict[str, Any] = {}


def _loaded(module: str) -> Any:
    if not _LOADED:
        package = griffe.load("forefill_client", search_paths=[str(ROOT / "client")], docstring_parser="google")
        _LOADED["forefill_client"] = package
    return _LOADED["forefill_client"][module.partition(".")[2]] if "." in module else _LOADED[module]


def _introduction() -> str:
    lines = [f"- [{name}](#{_anchor(name)}): {_sentence(_loaded(name))}" for name in MODULES]
    return "\n".join(
        [
            "# The Python client",
            "",
            "<!-- made by deploy/dev/api_reference.py from the docstrings: run `make api` -->",
            "Every public name. Each is imported from the module that its part is named after.",
            "",
            *lines,
        ]
    )


# Sections


def _module(module: Any) -> Iterator[str]:
    yield f"## {module.path}"
    yield _text(module)
    things = _public(module)
    for origin, group in groupby(things, lambda thing: thing.module):
        if origin.path != module.path:
            yield f"### {TITLES.get(origin.path) or _sentence(origin).rstrip('.')}"
        if origin.path == "forefill_client.errors":
            yield _text(origin)
        yield from _things(list(group))


def _public(module: Any) -> list[Any]:
    """Return what a module exports, by the section that it belongs to, and there in the order of the source."""
    order = list(TITLES)
    things = [module[name].final_target if module[name].is_alias else module[name] for name in module.exports]

    def place(thing: Any) -> tuple[int, str, int]:
        origin = thing.module.path
        return (order.index(origin) if origin in order else len(order), origin, thing.lineno)

    return sorted(things, key=place)


def _things(things: Sequence[Any]) -> Iterator[str]:
    for short, group in groupby(things, lambda thing: thing.is_class and not _members(thing)):
        if short:
            yield "\n".join(
                f"- **`{_class_name(thing)}`** {_indented(_text(thing))}{_overrides(thing)}" for thing in group
            )
        else:
            for thing in group:
                yield from _class(thing) if thing.is_class else _function_or_value(thing)


def _class(cls: Any) -> Iterator[str]:
    yield f"#### {_class_name(cls)}"
    if _sections(cls, griffe.DocstringSectionKind.parameters):
        yield _code(_signature(cls["__init__"], cls.name))
    yield _text(cls) + _overrides(cls)
    yield from _entries(cls)
    fields = [member for member in _members(cls) if member.is_attribute]
    yield "\n".join(f"- {_field(member)} {_indented(_text(member))}".rstrip() for member in fields)
    for method in _members(cls):
        if method.is_function:
            yield _code(_signature(method))
            yield _text(method)
            yield from _entries(method)


def _function_or_value(thing: Any) -> Iterator[str]:
    yield f"#### {thing.name}"
    if thing.is_function:
        yield _code(_signature(thing))
    elif not thing.name.isupper():  # an alias of a type
        value = str(thing.value).replace("'", '"')  # as it is formatted, in documents, too
        yield _code(f"{thing.name} = {value}")
    yield _text(thing)
    yield from _entries(thing)


def _entries(thing: Any) -> Iterator[str]:
    """Yield the lists of a docstring: its arguments and its errors."""
    arguments = _sections(thing, griffe.DocstringSectionKind.parameters)
    yield "\n".join(f"- `{one.name}` {_indented(one.description)}" for one in arguments)
    raises = _sections(thing, griffe.DocstringSectionKind.raises)
    yield "\n".join(f"- raises `{one.annotation}`: {_indented(one.description)}" for one in raises)


# Parts of these


def _members(cls: Any) -> list[Any]:
    return [
        member
        for name, member in cls.members.items()
        if not name.startswith("_") and not member.is_alias and not member.is_class and _is_own(member)
    ]


def _is_own(member: Any) -> bool:
    """Tell whether a member is declared in the class, and more than another value of an inherited one."""
    if member.docstring:
        return True
    overrides = any(member.name in base.members for base in member.parent.mro())
    return not overrides and ("instance-attribute" not in member.labels or "class-attribute" in member.labels)


def _is_of_protocol(member: Any) -> bool:
    return member.parent.is_class and "Protocol" in str(member.parent.bases)


def _overrides(cls: Any) -> str:
    """Return the inherited values that the class overrides, in brackets."""
    values = [
        f"`{name} = {one.value}`"
        for name, one in cls.members.items()
        if one.is_attribute and "class-attribute" in one.labels and not _is_own(one)
    ]
    return f" ({', '.join(values)})" if values else ""


def _class_name(cls: Any) -> str:
    bases = [str(base) for base in cls.bases if not str(base).startswith(("Generic", "Protocol"))]
    return f"{cls.name}({', '.join(bases)})" if bases else str(cls.name)


def _field(member: Any) -> str:
    """Return a field as its class declares it; the value only if it is the same for all, or a default."""
    kind = "" if member.annotation is None else f": {member.annotation}"
    shows_value = "class-attribute" in member.labels and member.value is not None
    is_name_of_enum = not kind and str(member.value)[:1] not in "\"'"
    return f"**`{member.name}{kind}{f' = {member.value}' if shows_value and not is_name_of_enum else ''}`**"


def _signature(function: Any, name: str = "") -> str:
    call = "await " if "async" in function.labels else ""
    owner = f"{function.parent.name}." if function.parent.is_class and not name else ""
    line = call + owner + function.signature(return_type=not name, name=name or None)
    if len(line) <= WIDTH:
        return line
    return _broken(line)


def _broken(line: str) -> str:
    """Return a signature with one parameter a line."""
    begin, _, rest = line.partition("(")
    parameters, _, end = rest.rpartition(")")
    parts, depth, start = [], 0, 0
    for at, char in enumerate(parameters):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            parts.append(parameters[start:at].strip())
            start = at + 1
    parts.append(parameters[start:].strip())
    return f"{begin}(\n" + "".join(f"    {part},\n" for part in parts) + f"){end}"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def _text(thing: Any) -> str:
    """Return a docstring without its lists."""
    texts = _sections(thing, griffe.DocstringSectionKind.text)
    return texts if isinstance(texts, str) else ""


def _sentence(module: Any) -> str:
    return " ".join(_text(module).partition("\n\n")[0].split())


def _sections(thing: Any, kind: griffe.DocstringSectionKind) -> Any:
    if not thing.docstring:
        return []
    found = [section.value for section in thing.docstring.parsed if section.kind is kind]
    if kind is griffe.DocstringSectionKind.text:
        return "\n\n".join(found)
    return [entry for entries in found for entry in entries]


def _indented(text: str) -> str:
    return textwrap.indent(text, "  ").strip()


def _anchor(title: str) -> str:
    return title.replace(".", "").lower()


def main() -> int:
    """Print the reference; with --write put it into its document, with --check only say whether that is old.

    Returns 1 if --check finds something, else 0.
    """
    parser = argparse.ArgumentParser(description="Make the reference of the Python client.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write client/API.md instead of printing it")
    mode.add_argument("--check", action="store_true", help="report an old client/API.md, and names without docstrings")
    arguments = parser.parse_args()
    if arguments.write:
        DOCUMENT.write_text(reference(), encoding="utf-8")
        return 0
    if not arguments.check:
        print(reference(), end="")
        return 0
    complaints = [f"{path} has no docstring" for path in undocumented()]
    if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != reference():
        complaints.append("client/API.md is not what the docstrings say: run make api")
    print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
