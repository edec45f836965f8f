"""Every locked package has a licence that forefill may be used with, and the table says what the packages say."""

from email.message import Message
from pathlib import Path

import pytest

from deploy.dev import licences
from deploy.dev.licences import CASES, PERMISSIVE, REVIEWED, Review, Row, refused, row_of, rows, rows_in
from deploy.dev.locked import all_releases, names_of

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / licences.DOCUMENT).read_text()
ROWS = rows_in(DOCUMENT)
LOCKED = names_of(all_releases())
INSTALLED = licences.installed()


def metadata(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


def test_every_locked_package_has_a_row_and_every_row_a_package() -> None:
    assert list(ROWS) == LOCKED, "run make licences"
    assert "torch" in LOCKED


@pytest.mark.parametrize("name", LOCKED)
def test_its_licence_is_allowed(name: str) -> None:
    assert refused(ROWS[name]) == [], "if you accept it, say why in CASES"


@pytest.mark.parametrize("name", LOCKED)
def test_its_row_says_what_the_installed_package_says(name: str) -> None:
    if name not in INSTALLED:
        pytest.skip("not installed here: the lock has packages for other processors and other Pythons")
    assert row_of(name, INSTALLED[name]) == ROWS[name], "run make licences"


def test_the_rest_of_the_document_is_up_to_date() -> None:
    assert licences.document(list(ROWS.values())) == DOCUMENT, "run make licences"


def test_no_case_and_no_review_is_left_from_a_package_that_is_gone() -> None:
    assert CASES.keys() | REVIEWED.keys() <= set(LOCKED)
    for name, case in CASES.items():
        assert case.licence in ROWS[name].licence
        assert case.licence not in PERMISSIVE
        assert case.reason


@pytest.mark.parametrize("name", REVIEWED)
def test_a_review_is_for_a_package_that_says_nothing_or_something_else(name: str) -> None:
    if name not in INSTALLED:
        pytest.skip("not installed here: its metadata cannot be read")
    said = row_of(name, INSTALLED[name], reviewed={})
    assert said is None or said.licence != REVIEWED[name].licence


@pytest.mark.parametrize(
    ("said", "licence", "source"),
    [
        ({"License_Expression": "MIT AND ISC", "License": "BSD-3-Clause"}, "MIT AND ISC", "License-Expression"),
        ({"Classifier": "License :: OSI Approved :: MIT License", "License": "ISC"}, "MIT", "classifier"),
        (
            {"Classifier": "License :: OSI Approved :: BSD License", "License": "BSD-3-Clause"},
            "BSD-3-Clause",
            "License",
        ),
        (
            {
                "Classifier": [
                    "License :: OSI Approved :: MIT License",
                    "License :: OSI Approved :: Apache Software License",
                ],
                "License": "MIT OR Apache-2.0",
            },
            "MIT OR Apache-2.0",
            "License",
        ),
        ({"License": "BSD 3-Clause License\n\nCopyright (c) 2021"}, "BSD-3-Clause", "License"),
    ],
)
def test_the_first_place_that_names_one_licence_counts(
    said: dict[str, str | list[str]], licence: str, source: str
) -> None:
    assert row_of("a", metadata(**said), reviewed={}) == Row("a", licence, source)


def test_a_review_counts_before_the_metadata() -> None:
    reviewed = {"a": Review("ISC", "its file")}
    assert row_of("a", metadata(License_Expression="MIT"), reviewed) == Row("a", "ISC", "reviewed")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"License": "see the file"},
        {"Classifier": "License :: OSI Approved :: BSD License"},
        {"Classifier": "Programming Language :: Rust"},
    ],
)
def test_a_package_that_names_no_licence_is_a_complaint(said: dict[str, str]) -> None:
    made, [complaint] = rows(["a"], {"a": metadata(**said)}, before={"a": Row("a", "MIT", "License")})
    assert made == []
    assert "REVIEWED" in complaint


def test_a_package_that_is_not_installed_here_keeps_its_row() -> None:
    row = Row("a", "MIT", "classifier")
    assert rows(["a"], {}, before={"a": row}) == ([row], [])
    assert rows(["a"], {}, before={})[1] == [
        "a is not installed here: make the table where it is, or add it to REVIEWED"
    ]


@pytest.mark.parametrize(
    ("name", "licence", "bad"),
    [
        ("a", "MIT", []),
        ("a", "Apache-2.0 WITH LLVM-exception AND (MIT OR ISC)", []),
        ("a", "GPL-3.0-or-later", ["GPL-3.0-or-later"]),
        ("a", "MIT AND (GPL-2.0-only OR AGPL-3.0-only)", ["GPL-2.0-only", "AGPL-3.0-only"]),
        ("a", "MPL-2.0", ["MPL-2.0"]),
        ("certifi", "MPL-2.0", []),
        ("certifi", "LGPL-2.1-only", ["LGPL-2.1-only"]),
    ],
)
def test_a_licence_must_be_permissive_or_accepted_for_this_package(name: str, licence: str, bad: list[str]) -> None:
    assert refused(Row(name, licence, "License-Expression")) == bad
