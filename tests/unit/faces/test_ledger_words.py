"""The ledger of an answer in words."""

from dataclasses import replace

from forefill_chat.ledger_words import ledger_in_words
from forefill_client import FinishReason, GenerationSource, Ledger, PregenerationCount, PregenerationOutcome, Report

NOTHING = Ledger(0, 0, 0, 0, 0, 0)
COLD = Report(0.5, 0.5, 1.0, 90, 0, 20, GenerationSource.COLD, FinishReason.STOP, NOTHING)
GUESSED = Ledger(
    warms=1,
    computed_tokens=1070,
    used_tokens=1020,
    edited_away_tokens=48,
    evicted_tokens=1,
    abandoned_tokens=0,
    kept_tokens=1,
    pregenerations=3,
    pregenerated_tokens=9,
    adopted_tokens=4,
    discarded_tokens=5,
    adopted_engine_ms=80,
    wasted_engine_ms=50,
    answer_engine_ms=400,
    pregeneration_outcomes=(
        PregenerationCount(PregenerationOutcome.ADOPTED, 1, 4, 80),
        PregenerationCount(PregenerationOutcome.EDITED, 2, 5, 50),
    ),
)


def test_of_a_cold_answer() -> None:
    assert ledger_in_words(COLD) == [
        "Nothing of the prompt was cached when Enter was pressed.",
        "0 of 90 tokens of the prompt were cached.",
        "Nothing was computed ahead for it.",
    ]


def test_of_an_answer_that_was_begun() -> None:
    report = replace(COLD, source=GenerationSource.PREGENERATED, prompt_tokens=1024, cached_tokens=1020, ledger=GUESSED)
    assert ledger_in_words(report) == [
        "The answer was begun before Enter.",
        "1,020 of 1,024 tokens of the prompt were cached.",
        "1,070 tokens were computed ahead, in 1 warm; 1,020 of them were used.",
        "48 tokens went to text that was edited away.",
        "1 token was no longer cached, or not yet, when Enter was pressed.",
        "1 token was computed again in a pause, to keep the rest cached.",
        "1 begun answer became this answer, after 4 tokens and 80 ms of the engine's time.",
        "2 begun answers ended when the draft changed, after 5 tokens and 50 ms of the engine's time.",
        "The engine worked 400 ms on the answer, and 50 ms on guesses that were not used (12%).",
    ]


def test_without_a_warm_the_prompt_was_computed_for_answers_that_were_begun() -> None:
    ledger = replace(NOTHING, computed_tokens=16, used_tokens=16)
    words = ledger_in_words(replace(COLD, ledger=ledger))
    assert words[2] == "16 tokens were computed ahead, with begun answers alone; 16 of them were used."


def test_every_outcome_and_every_source_has_words() -> None:
    for outcome in PregenerationOutcome:
        ledger = replace(NOTHING, pregeneration_outcomes=(PregenerationCount(outcome, 1, 1, 1.0),))
        assert ledger_in_words(replace(COLD, ledger=ledger))[3].startswith("1 begun answer ")
    for source in GenerationSource:
        assert ledger_in_words(replace(COLD, source=source))[0].endswith(".")
