"""The document of the metrics says what the code says."""

from pathlib import Path

import pytest

from deploy.dev import metrics_page
from deploy.dev.metrics_page import BEGIN, END

TEXT = (Path(__file__).parents[3] / metrics_page.DOCUMENT).read_text()


def test_the_table_of_metrics_is_up_to_date() -> None:
    assert metrics_page.document(TEXT) == TEXT, "run deploy/dev/metrics_page.py --write"


def test_an_old_table_is_made_new_without_touching_the_text_around_it() -> None:
    assert metrics_page.document(f"Before.\n{BEGIN}old\n{END}After.\n") == (
        f"Before.\n{BEGIN}{metrics_page.table()}{END}After.\n"
    )


def test_a_document_that_has_lost_its_marks_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="has lost the marks"):
        metrics_page.document("# Metrics\n")
