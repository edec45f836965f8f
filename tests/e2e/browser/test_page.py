"""The page without a browser: its pure modules under Node, its types, and what its files may and may not hold."""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "client/forefill_web/page"
TESTS: Final = ROOT / "tests/browser/page"
COMPILER: Final = ROOT / "tests/browser/node_modules/typescript/bin/tsc"
SCRIPTS: Final = sorted(PAGE.glob("*.js"))

# require-trusted-types-for 'script' stops the first line's at run time; a model's words must never get that far.
UNSAFE: Final = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|createContextualFragment"
    r"|\beval\(|new Function\(|setAttribute\(\"(?:style|on\w+)\"|cssText|javascript:"
)


def run_node(*arguments: str) -> None:
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI") == "true":
            pytest.fail("node is missing: install Node 20 or later")
        pytest.skip("node is missing: install Node 20 or later")
    ran = subprocess.run([node, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


class Markup(HTMLParser):
    """What index.html holds: elements with their attributes, and text in scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._open = ""
        self.feed((PAGE / "index.html").read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in {"script", "style"}:
            self.inline += data

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]


@pytest.mark.parametrize("file", sorted(TESTS.glob("*.test.js")), ids=lambda file: file.name)
def test_pure_modules(file: Path) -> None:
    run_node("--test", str(file))


def test_types() -> None:
    if not COMPILER.exists() and os.environ.get("CI") != "true":
        pytest.skip("the Node packages of tests/browser are missing: run npm ci there")
    run_node(str(COMPILER), "-p", str(TESTS))


def test_index_has_no_inline_script_style_or_handler() -> None:
    markup = Markup()
    assert markup.inline.strip() == ""
    assert not [name for _, attributes in markup.elements for name in attributes if name == "style" or name[:2] == "on"]


def test_index_names_files_that_exist_on_its_own_server() -> None:
    markup = Markup()
    paths = [*markup.values("src"), *markup.values("href")]
    for path in (path for path in paths if not path.startswith("#")):
        assert path.startswith("/page/")
        assert (PAGE / path.removeprefix("/page/")).is_file()


def test_ids_are_unique_and_references_meet_one() -> None:
    markup = Markup()
    ids = markup.values("id")
    assert len(ids) == len(set(ids))
    for name in ("for", "aria-labelledby", "aria-describedby"):
        assert {one for value in markup.values(name) for one in value.split()} <= set(ids)
    assert {value.removeprefix("#") for value in markup.values("href") if value.startswith("#")} <= set(ids)


def test_scripts_look_for_elements_that_exist() -> None:
    ids = set(Markup().values("id"))
    for script in SCRIPTS:
        wanted = re.findall(r"(?:byId|fromTemplate|getElementById)\(\"([^\"]+)\"\)", script.read_text())
        assert set(wanted) <= ids, script.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_makes_no_html_of_text(script: Path) -> None:
    assert not UNSAFE.findall(script.read_text())


@pytest.mark.parametrize("file", sorted(PAGE.iterdir()), ids=lambda file: file.name)
def test_file_names_no_other_host(file: Path) -> None:
    hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text()))
    assert hosts <= {"http://www.w3.org"}  # a namespace, not an address
