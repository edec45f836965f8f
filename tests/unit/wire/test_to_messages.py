"""Responses as the messages that carry them."""

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import TokenLogprob, TokenLogprobs
from forefill_service.errors import Reason
from forefill_service.session.ledger import Balance, PregenerationCount, PregenerationOutcome
from forefill_service.session.responses import (
    HANDED_OFF,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    HandedOff,
    Opened,
    SessionError,
    SessionLimits,
    Source,
)
from forefill_service.wire.to_messages import response_to_message


def test_opened_says_what_is_served_and_within_which_limits() -> None:
    limits = SessionLimits(max_draft_code_points=200, context_tokens=400, max_message_bytes=1000)
    response = Opened("anna", "qwen", 16, limits, base_prompt_tokens=7, warming_inert_reason="off", resume_token="1.x")
    assert response_to_message(response).opened == pb.Opened(
        session_id="anna",
        model="qwen",
        block_size=16,
        limits=pb.Limits(max_draft_code_points=200, context_tokens=400, max_message_bytes=1000),
        base_prompt_tokens=7,
        warming_inert_reason="off",
        accepts_hints=True,
        accepts_respond=True,
        accepts_tool_choice=True,
        resume_token="1.x",
    )


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.0, 0), (7.0, 7000), (0.0305, 30), (3600.0, 3_600_000)])
def test_an_error_says_when_to_send_the_event_again(seconds: float, milliseconds: int) -> None:
    response = SessionError(Reason.GENERATION_FAILED, "no room", 7, 3, "", seconds)
    assert response_to_message(response).session_error == pb.SessionError(
        reason=pb.ERROR_REASON_GENERATION_FAILED,
        message="no room",
        seq=7,
        draft_code_points=3,
        retry_after_ms=milliseconds,
    )


@pytest.mark.parametrize("by_engine", [True, False])
def test_the_client_is_told_whether_the_engine_made_the_prompt(by_engine: bool) -> None:
    started = GenerationStarted(7, 0.5, 100, 64, Source.WARM, prompt_by_engine=by_engine)
    assert response_to_message(started).generation_started.prompt_by_engine is by_engine


def test_logprobs_come_with_the_part_of_the_answer_that_they_are_of() -> None:
    a, b = TokenLogprob(5, " a", -0.5), TokenLogprob(6, "", -2.0)
    delta = response_to_message(GenerationDelta(7, "", logprobs=(TokenLogprobs(b, (a, b)),))).generation_delta
    assert delta == pb.GenerationDelta(
        seq=7,
        logprobs=[
            pb.TokenLogprobs(
                token=pb.TokenLogprob(id=6, logprob=-2.0),
                likeliest=[pb.TokenLogprob(id=5, text=" a", logprob=-0.5), pb.TokenLogprob(id=6, logprob=-2.0)],
            )
        ],
    )


def test_the_books_of_begun_answers_are_told_whole_and_in_milliseconds() -> None:
    outcomes = (
        PregenerationCount(PregenerationOutcome.ADOPTED, count=1, tokens=4, engine_seconds=0.5),
        PregenerationCount(PregenerationOutcome.EDITED, count=2, tokens=3, engine_seconds=0.25),
        PregenerationCount(PregenerationOutcome.FAILED, count=1, tokens=0, engine_seconds=0.125),
    )
    balance = Balance(pregenerations=4, adopted=3, discarded=4, outcomes=outcomes, answer_engine_seconds=4)
    ledger = response_to_message(GenerationFinished(7, "stop", 9, 8, 16, 0, 0, 0, balance)).generation_finished.ledger
    assert (ledger.adopted_engine_ms, ledger.wasted_engine_ms, ledger.answer_engine_ms) == (500, 375, 4000)
    assert list(ledger.pregeneration_outcomes) == [
        pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_ADOPTED, count=1, tokens=4, engine_ms=500),
        pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_EDITED, count=2, tokens=3, engine_ms=250),
        pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_FAILED, count=1, tokens=0, engine_ms=125),
    ]


def test_what_a_hand_off_is_told_is_carried_whole() -> None:
    told = HandedOff(3, "http://vllm:8000/v1", {"X-Session-ID": "a"}, "salt", "model", 40, 32)
    assert response_to_message(told).handed_off == pb.HandedOff(
        seq=3,
        base_url="http://vllm:8000/v1",
        headers={"X-Session-ID": "a"},
        cache_salt="salt",
        model="model",
        prompt_tokens=40,
        cached_tokens=32,
    )


def test_an_answer_that_was_handed_off_is_finished_as_that() -> None:
    finished = GenerationFinished(3, HANDED_OFF, 40, 32, 7, 0.1, 0, 2, Balance())
    assert response_to_message(finished).generation_finished.reason == pb.FINISH_REASON_HANDED_OFF
