"""Tests of an application, text_to_sql.py, on a server without a model that comes with the SDK.

pytest client/examples/test_text_to_sql.py
"""

import sqlite3
from pathlib import Path

import pytest
import text_to_sql
from forefill_client import GenerationInterrupted
from forefill_client.testing import FakeServer


@pytest.fixture
def clinic(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "clinic.db") as database:
        database.execute("CREATE TABLE patients (name TEXT)")
        database.executemany("INSERT INTO patients VALUES (?)", [("Ann",), ("Bob",)])
    return str(tmp_path / "clinic.db")


def test_the_rows_are_printed(forefill_server: FakeServer, clinic: str, capsys: pytest.CaptureFixture[str]) -> None:
    forefill_server.answer = "```sql\nSELECT name FROM patients\n```"
    text_to_sql.main(forefill_server.address, clinic, "Who is here?")
    assert capsys.readouterr().out == "name\nAnn\nBob\n"


@pytest.mark.forefill_server(answer="DELETE FROM patients")
def test_an_answer_that_would_write_is_not_run(forefill_server: FakeServer, clinic: str) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        text_to_sql.main(forefill_server.address, clinic, "Forget them")


def test_half_an_answer_is_not_run(forefill_server: FakeServer, clinic: str) -> None:
    forefill_server.answer = "SELECT name FROM patients LIMIT 1"
    forefill_server.break_answers()
    with pytest.raises(GenerationInterrupted):
        text_to_sql.main(forefill_server.address, clinic, "Who is here?")
