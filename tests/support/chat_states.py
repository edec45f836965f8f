"""A chat in the middle of a conversation, made up: each of its numbers is on the screen somewhere."""

from forefill_chat.draft_marks import DraftMarks
from forefill_chat.terminal.chat_state import ChatState, Guesses, Link
from forefill_chat.terminal.turns import Stage, Turn
from forefill_chat.twin import Twin, Wait
from forefill_client import (
    FinishReason,
    FlushOutcome,
    FlushResult,
    GenerationSource,
    Ledger,
    PregenerationCount,
    PregenerationOutcome,
    Report,
    ShedReason,
)


def report(ttft_seconds: float, source: GenerationSource, ledger: Ledger) -> Report:
    return Report(
        ttft_seconds=ttft_seconds,
        server_ttft_seconds=ttft_seconds,
        total_seconds=2.5,
        prompt_tokens=1224,
        cached_tokens=1216,
        completion_tokens=24,
        source=source,
        finish_reason=FinishReason.STOP,
        ledger=ledger,
    )


def warmed(computed: int, cached: int, outcome: FlushOutcome = FlushOutcome.WARMED) -> FlushResult:
    return FlushResult(
        seq=1,
        confirmed_code_points=20,
        stable_tokens=1280,
        cached_tokens=cached,
        computed_tokens=computed,
        outcome=outcome,
        shed_reason=ShedReason.LOAD if outcome is FlushOutcome.SHED else ShedReason.NONE,
        cached_code_points=12,
    )


def in_the_middle() -> ChatState:
    """Two questions answered, the second with its twin measured, and a third half typed."""
    plain = Ledger(
        warms=2, computed_tokens=64, used_tokens=32, edited_away_tokens=32, evicted_tokens=0, abandoned_tokens=0
    )
    begun = Ledger(
        warms=1,
        computed_tokens=40,
        used_tokens=40,
        edited_away_tokens=0,
        evicted_tokens=0,
        abandoned_tokens=0,
        pregenerations=1,
        pregenerated_tokens=12,
        adopted_tokens=12,
        adopted_engine_ms=240,
        answer_engine_ms=480,
        pregeneration_outcomes=(PregenerationCount(PregenerationOutcome.ADOPTED, 1, 12, 240),),
    )
    first = Turn("Which beds are free?", Stage.DONE, "Beds 12 and 17 are free.", stays=True)
    first.report = report(0.118, GenerationSource.WARM, plain)
    second = Turn("And who works\ntonight?", Stage.DONE, "Dr. Okafor.\n\n\tShe is on call until 7.", stays=True)
    second.report = report(0.0021, GenerationSource.PREGENERATED, begun)
    second.twin = Twin(cold=Wait(3.397, 0), static=Wait(0.305, 1184))
    state = ChatState(
        model="SmolLM2-135M-Instruct",
        link=Link.OPEN,
        draft="Show unpaid invoices of cardiology",
        marks=DraftMarks(confirmed=20, cached=12),
        turns=[first, second],
        guesses=Guesses(begun=3, adopted=1, wasted=2),
        cached_tokens=1248,
        prompt_tokens=1280,
    )
    state.warms.extend(
        [
            warmed(32, 1216),
            warmed(0, 1216, FlushOutcome.NOTHING_NEW),
            warmed(0, 1216, FlushOutcome.NOTHING_NEW),
            warmed(32, 1248),
        ]
    )
    return state
