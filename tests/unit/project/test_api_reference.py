"""client/API.md: made from the docstrings of the client's public names, all of which have one."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "client" / "API.md").read_text(encoding="utf-8")


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_reference", ROOT / "deploy" / "dev" / "api_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _script()


def test_it_is_what_the_docstrings_say() -> None:
    assert REFERENCE.reference() == DOCUMENT, "run make api"


def test_every_public_name_field_and_method_has_a_docstring() -> None:
    assert REFERENCE.undocumented() == []


@pytest.mark.parametrize("module", REFERENCE.MODULES)
def test_every_public_name_is_in_it(module: str) -> None:
    part = DOCUMENT.partition(f"\n## {module}\n")[2].partition("\n## ")[0]
    described = set(re.findall(r"^(?:#### |- \*\*`)(\w+)", part, re.MULTILINE))
    assert set(importlib.import_module(module).__all__) <= described


def test_a_name_without_a_docstring_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "client" / "forefill_client"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('''
__all__ = ["A", "f"]

class A:
    """It has one."""

    documented: int = 0
    """It has one."""
    field: int = 0

    def method(self): ...

def f(): ...
''')
    script = _script()
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "MODULES", ("forefill_client",))
    assert script.undocumented() == [f"forefill_client.{name}" for name in ("A.field", "A.method", "f")]
