"""The table of error reasons in the documents is made from the code, and leaves nothing open."""

from pathlib import Path

import pytest
from forefill_client.reasons import REASONS
from forefill_service.errors import Reason
from forefill_service.settings import GROUPS
from forefill_service.wire.statuses import STATUSES

from deploy.dev import error_reasons
from deploy.dev.error_reasons import ADVICE, BEGIN, END, OPERATOR, again, table

ROOT = Path(__file__).parents[3]
FLAGS = {f"--{name.replace('_', '-')}" for group in GROUPS.values() for name in group.by_flag()}


def row_of(reason: Reason) -> list[str]:
    [row] = [line for line in table().splitlines() if line.startswith(f"| `{reason.name}` |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_document_is_up_to_date() -> None:
    document = (ROOT / error_reasons.DOCUMENT).read_text()
    assert error_reasons.written_into(document) == document, "run make errors"


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_says_how_it_comes_what_happened_and_what_to_do(reason: Reason) -> None:
    _, status, retry, error, happened, advice, _ = row_of(reason)
    assert status == (STATUSES[reason].name if reason in STATUSES else "")
    assert error == f"`{REASONS[reason.name].error.__name__}`"
    assert retry
    assert happened
    assert advice
    assert reason.value in (f"{happened}; {advice}", happened)


def test_a_reason_that_comes_with_retry_info_is_one_to_try_again_in_the_sdk() -> None:
    with_a_time = [reason for reason in Reason if "RetryInfo" in again(reason)]
    assert Reason.SERVER_STOPPING in with_a_time
    assert all(REASONS[reason.name].error.retryable for reason in with_a_time)


def test_advice_is_added_only_where_the_reason_has_none() -> None:
    assert ADVICE.keys() == {reason for reason in Reason if ";" not in reason.value}


@pytest.mark.parametrize(("reason", "advice"), OPERATOR.items(), ids=[reason.name for reason in OPERATOR])
def test_flags_that_the_operator_is_told_of_exist(reason: Reason, advice: str) -> None:
    named = {word.strip("`,") for word in advice.split() if word.startswith("`--")}
    assert named <= FLAGS, reason


def test_a_document_that_has_lost_its_marks_is_left_alone() -> None:
    with pytest.raises(SystemExit, match="lost the marks"):
        error_reasons.written_into("no table here")
    assert error_reasons.written_into(f"a\n{BEGIN}old\n{END}b\n") == f"a\n{BEGIN}{table()}{END}b\n"
