"""The ledger of an answer in words: what was computed before Enter, what became of it, and what it cost."""

from collections.abc import Iterator

from forefill_client.outcomes import GenerationSource, PregenerationOutcome
from forefill_client.report import Ledger, Report

_BEGINNINGS = {
    GenerationSource.COLD: "Nothing of the prompt was cached when Enter was pressed.",
    GenerationSource.WARM: "The prompt was read before Enter, as far as it was cached.",
    GenerationSource.PREGENERATED: "The answer was begun before Enter.",
}
_LOST = (
    ("edited_away_tokens", "went to text that was edited away"),
    ("evicted_tokens", "were no longer cached, or not yet, when Enter was pressed"),
    ("abandoned_tokens", "were lost with a request that failed or a draft that was never sent"),
    ("kept_tokens", "were computed again in a pause, to keep the rest cached"),
)
_OUTCOMES = {
    PregenerationOutcome.ADOPTED: "became this answer",
    PregenerationOutcome.EDITED: "ended when the draft changed",
    PregenerationOutcome.SUBMITTED_OTHER: "ended because something else was sent",
    PregenerationOutcome.REVOKED: "made way for other work",
    PregenerationOutcome.FAILED: "failed in the engine",
    PregenerationOutcome.UNUSED: "came too late to be used",
}


def ledger_in_words(report: Report) -> list[str]:
    """Return sentences about one answer, the most important first; never empty."""
    return [*_prompt(report), *_computed(report.ledger), *_begun(report.ledger)]


def _prompt(report: Report) -> Iterator[str]:
    yield _BEGINNINGS.get(report.source, "The server does not say what the answer began on.")
    if report.prompt_tokens:
        yield f"{report.cached_tokens:,} of {_tokens(report.prompt_tokens)} of the prompt were cached."


def _computed(ledger: Ledger) -> Iterator[str]:
    if not ledger.computed_tokens:
        yield "Nothing was computed ahead for it."
        return
    warms = {0: "with begun answers alone", 1: "in 1 warm"}.get(ledger.warms, f"in {ledger.warms} warms")
    yield f"{_tokens(ledger.computed_tokens)} were computed ahead, {warms}; {ledger.used_tokens:,} of them were used."
    for field, fate in _LOST:
        if tokens := getattr(ledger, field):
            yield f"{_tokens(tokens)} {fate if tokens > 1 else fate.replace('were', 'was', 1)}."


def _begun(ledger: Ledger) -> Iterator[str]:
    for row in ledger.pregeneration_outcomes:
        answers = "1 begun answer" if row.count == 1 else f"{row.count} begun answers"
        fate = _OUTCOMES.get(row.outcome, "came to an end that this client does not know")
        yield f"{answers} {fate}, after {_tokens(row.tokens)} and {row.engine_ms:.0f} ms of the engine's time."
    if ledger.answer_engine_ms:
        share = ledger.wasted_engine_ms / ledger.answer_engine_ms
        yield (
            f"The engine worked {ledger.answer_engine_ms:.0f} ms on the answer,"
            f" and {ledger.wasted_engine_ms:.0f} ms on guesses that were not used ({share:.0%})."
        )


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"
