"""The SDK's errors, in words for a person who chats."""

import forefill_client
import pytest
from forefill_chat.terminal.error_words import in_words
from forefill_client import ForefillError, InternalError, NotReachable, PermissionDenied, SessionEnded
from forefill_client.reasons import REASONS


def test_the_nearest_class_of_the_family_decides() -> None:
    assert in_words(NotReachable("127.0.0.1:1: connection refused")) == "No server answers at the address."
    assert in_words(forefill_client.Aborted("the stream was cancelled")) == in_words(SessionEnded("x"))


def test_what_an_operator_needs_is_kept() -> None:
    assert in_words(PermissionDenied("adapters")).endswith("(adapters)")
    assert in_words(InternalError("a defect", error_id="e7")) == (
        "The server has a defect. Its log has the details under e7."
    )


def test_an_error_without_words_says_what_it_says() -> None:
    assert in_words(ForefillError("quite new")) == "quite new"


@pytest.mark.parametrize("reason", ["GENERATION_FAILED", "DRAFT_TOO_LONG", "PROMPT_TOO_LONG", "SERVER_STOPPING"])
def test_no_call_of_the_sdk_is_named_to_a_person(reason: str) -> None:
    words = in_words(REASONS[reason].error("call submit() with another text", reason=reason))
    assert "()" not in words
