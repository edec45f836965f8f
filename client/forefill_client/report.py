"""The server's reports on a session, as plain values."""

from dataclasses import dataclass
from enum import StrEnum

from forefill.v1 import keystroke_pb2 as pb


class FlushOutcome(StrEnum):
    """The outcome of a flush."""

    #: Every whole block of the stable tokens is cached, and work was done for it.
    WARMED = "warmed"
    #: It completed no block that was not cached already.
    NOTHING_NEW = "nothing new"
    #: A later event came first; what is still needed is warmed with that.
    DEFERRED = "deferred"
    #: It was not done, or not completely: see FlushResult.shed_reason.
    SHED = "shed"
    #: Warming has no effect here: see Opened.warming_inert_reason.
    INERT = "inert"
    #: The server is newer than this client.
    UNKNOWN = "unknown"


class ShedReason(StrEnum):
    """Why a flush was not warmed."""

    #: It was not shed.
    NONE = "none"
    #: The engine is too busy with other requests.
    LOAD = "load"
    #: Most of what was warmed for this session, or its tenant, was not used.
    PAYBACK = "payback"
    #: The engine refused, or the text could not be rendered.
    FAILED = "failed"
    #: The server is newer than this client.
    UNKNOWN = "unknown"


class GenerationSource(StrEnum):
    """Where the first token of an answer came from."""

    #: An engine that had no block of the prompt cached.
    COLD = "cold"
    #: An engine that had at least one block of the prompt cached.
    WARM = "warm"
    #: An answer that was begun before submit.
    PREGENERATED = "pre-generated"
    #: The server is newer than this client.
    UNKNOWN = "unknown"


class PregenerationOutcome(StrEnum):
    """What became of an answer that was begun before submit."""

    #: Submit asked for exactly this, and the answer began with it.
    ADOPTED = "adopted"
    #: The draft changed.
    EDITED = "edited"
    #: Submit asked for something else.
    SUBMITTED_OTHER = "submitted other"
    #: It had to make way for other work, or ran for as long as it may, and nothing of it could be kept.
    REVOKED = "revoked"
    #: The engine failed.
    FAILED = "failed"
    #: It was not used for another reason: too little was there when submit asked for it.
    UNUSED = "unused"
    #: The server is newer than this client.
    UNKNOWN = "unknown"


class FinishReason(StrEnum):
    """Why an answer ended."""

    #: The model ended it, or a stop text was reached.
    STOP = "stop"
    #: Sampling.max_tokens or the model's context was reached.
    LENGTH = "length"
    #: It was stopped.
    CANCELLED = "cancelled"
    #: The server is newer than this client.
    UNKNOWN = "unknown"


_OUTCOMES = {
    pb.FLUSH_OUTCOME_WARMED: FlushOutcome.WARMED,
    pb.FLUSH_OUTCOME_NOTHING_NEW: FlushOutcome.NOTHING_NEW,
    pb.FLUSH_OUTCOME_DEFERRED: FlushOutcome.DEFERRED,
    pb.FLUSH_OUTCOME_SHED: FlushOutcome.SHED,
    pb.FLUSH_OUTCOME_INERT: FlushOutcome.INERT,
}
_SHED_REASONS = {
    pb.SHED_REASON_UNSPECIFIED: ShedReason.NONE,
    pb.SHED_REASON_LOAD: ShedReason.LOAD,
    pb.SHED_REASON_PAYBACK: ShedReason.PAYBACK,
    pb.SHED_REASON_FAILED: ShedReason.FAILED,
}
_SOURCES = {
    pb.GENERATION_SOURCE_COLD: GenerationSource.COLD,
    pb.GENERATION_SOURCE_WARM: GenerationSource.WARM,
    pb.GENERATION_SOURCE_PREGENERATED: GenerationSource.PREGENERATED,
}
_PREGENERATION_OUTCOMES = {
    pb.PREGENERATION_OUTCOME_ADOPTED: PregenerationOutcome.ADOPTED,
    pb.PREGENERATION_OUTCOME_EDITED: PregenerationOutcome.EDITED,
    pb.PREGENERATION_OUTCOME_SUBMITTED_OTHER: PregenerationOutcome.SUBMITTED_OTHER,
    pb.PREGENERATION_OUTCOME_REVOKED: PregenerationOutcome.REVOKED,
    pb.PREGENERATION_OUTCOME_FAILED: PregenerationOutcome.FAILED,
    pb.PREGENERATION_OUTCOME_UNUSED: PregenerationOutcome.UNUSED,
}
_FINISH_REASONS = {
    pb.FINISH_REASON_STOP: FinishReason.STOP,
    pb.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    pb.FINISH_REASON_CANCELLED: FinishReason.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits."""

    #: Longest draft, in code points.
    max_draft_code_points: int
    #: Longest prompt and answer together, in tokens.
    context_tokens: int
    #: Largest message on the wire, in bytes.
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The server's side of a session that has opened."""

    #: The session's name in the server's log.
    session_id: str
    #: The served model's name.
    model: str
    #: Length of a cached block, vLLM's unit of caching, in tokens.
    block_size: int
    limits: Limits
    #: Tokens of everything before the draft.
    base_prompt_tokens: int
    #: Why warming has no effect here; empty if it works.
    warming_inert_reason: str
    #: Whether the server knows hints; `Session.hint` sends nothing to one that does not.
    accepts_hints: bool = False
    #: Names the engine that has this session's cache, for `AsyncClient.session` after a broken stream; "" if there is
    #: only one, or if the server is older.
    resume_token: str = ""


@dataclass(frozen=True, slots=True)
class FlushResult:
    """The result of one flush."""

    #: Number of the flush, as `Session.flush` returned it.
    seq: int
    #: Code points of the draft that count as confirmed.
    confirmed_code_points: int
    #: Leading tokens of the prompt that typing after the confirmed text cannot change.
    stable_tokens: int
    #: Leading stable tokens that are now believed to be cached, in whole blocks.
    cached_tokens: int
    #: Tokens that the engine computed for this flush.
    computed_tokens: int
    outcome: FlushOutcome
    #: Why it was shed.
    shed_reason: ShedReason = ShedReason.NONE


@dataclass(frozen=True, slots=True)
class PregenerationCount:
    """The answers that were begun before submit and had one outcome."""

    outcome: PregenerationOutcome
    #: How many.
    count: int
    #: Tokens generated for them before submit.
    tokens: int
    #: Engine time for them before submit, in milliseconds.
    engine_ms: float


@dataclass(frozen=True, slots=True)
class Ledger:
    """The use that was made of the tokens computed ahead for a turn, and of the engine's time.

    computed = used + edited_away + evicted + abandoned + kept; pregenerated = adopted + discarded. A server that is
    older than this client reports no engine times and no outcomes.
    """

    #: Warming requests sent to the engine.
    warms: int
    computed_tokens: int
    #: Found in the cache by the answer's prompt.
    used_tokens: int
    #: Not part of the submitted prompt.
    edited_away_tokens: int
    #: Part of the submitted prompt, but no longer cached, or not yet.
    evicted_tokens: int
    #: Lost: the warming request failed, or the draft was never submitted.
    abandoned_tokens: int
    #: Computed a second time in a pause, to keep cached blocks from being evicted.
    kept_tokens: int = 0
    #: Answers begun before submit; the prompt tokens computed for them are counted above.
    pregenerations: int = 0
    #: Tokens generated for them.
    pregenerated_tokens: int = 0
    #: Pre-generated tokens that became part of the answer.
    adopted_tokens: int = 0
    #: Pre-generated tokens that did not.
    discarded_tokens: int = 0
    #: Engine time before submit of the begun answer that was adopted, in milliseconds.
    adopted_engine_ms: float = 0
    #: Engine time of the begun answers that were not adopted, in milliseconds.
    wasted_engine_ms: float = 0
    #: Engine time of the whole answer, before submit and after, in milliseconds.
    answer_engine_ms: float = 0
    #: The begun answers by what became of them: one entry for each outcome that occurred.
    pregeneration_outcomes: tuple[PregenerationCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The cost of one answer."""

    #: From the call of `submit` to the arrival of the first token, by the client's clock; to the end of an answer that
    #: was stopped before.
    ttft_seconds: float
    #: From the server's receipt of SUBMIT to the first token, by the server's clock.
    server_ttft_seconds: float
    #: From the call of `submit` to the end of the answer, by the client's clock.
    total_seconds: float
    #: 0 if the engine's own chat endpoint made the prompt and does not say of which tokens.
    prompt_tokens: int
    #: Tokens of the prompt that the engine found in its cache.
    cached_tokens: int
    completion_tokens: int
    source: GenerationSource
    finish_reason: FinishReason
    ledger: Ledger
    #: Whether the engine's own chat endpoint made the prompt, since the server's faster way to its tokens gives others
    #: in this conversation, or was not compared yet. Behind an engine that is reached over HTTP, no answer is begun
    #: before submit then, and less may be warmed.
    prompt_by_engine: bool = False


def opened_from_wire(opened: pb.Opened) -> Opened:
    return Opened(
        session_id=opened.session_id,
        model=opened.model,
        block_size=opened.block_size,
        limits=Limits(
            max_draft_code_points=opened.limits.max_draft_code_points,
            context_tokens=opened.limits.context_tokens,
            max_message_bytes=opened.limits.max_message_bytes,
        ),
        base_prompt_tokens=opened.base_prompt_tokens,
        warming_inert_reason=opened.warming_inert_reason,
        accepts_hints=opened.accepts_hints,
        resume_token=opened.resume_token,
    )


def flush_result_from_wire(result: pb.FlushResult, seq: int) -> FlushResult:
    return FlushResult(
        seq=seq,
        confirmed_code_points=result.confirmed_code_points,
        stable_tokens=result.stable_tokens,
        cached_tokens=result.cached_tokens,
        computed_tokens=result.computed_tokens,
        outcome=_OUTCOMES.get(result.outcome, FlushOutcome.UNKNOWN),
        shed_reason=_SHED_REASONS.get(result.shed_reason, ShedReason.UNKNOWN),
    )


def report_from_wire(
    started: pb.GenerationStarted, finished: pb.GenerationFinished, *, ttft_seconds: float, total_seconds: float
) -> Report:
    ledger = finished.ledger
    return Report(
        ttft_seconds=ttft_seconds,
        server_ttft_seconds=finished.timings.ttft_ms / 1000,
        total_seconds=total_seconds,
        prompt_tokens=finished.usage.prompt_tokens,
        cached_tokens=finished.usage.cached_tokens,
        completion_tokens=finished.usage.completion_tokens,
        source=_SOURCES.get(started.source, GenerationSource.UNKNOWN),
        finish_reason=_FINISH_REASONS.get(finished.reason, FinishReason.UNKNOWN),
        ledger=Ledger(
            warms=ledger.warms,
            computed_tokens=ledger.computed_tokens,
            used_tokens=ledger.used_tokens,
            edited_away_tokens=ledger.edited_away_tokens,
            evicted_tokens=ledger.evicted_tokens,
            abandoned_tokens=ledger.abandoned_tokens,
            kept_tokens=ledger.kept_tokens,
            pregenerations=ledger.pregenerations,
            pregenerated_tokens=ledger.pregenerated_tokens,
            adopted_tokens=ledger.adopted_tokens,
            discarded_tokens=ledger.discarded_tokens,
            adopted_engine_ms=ledger.adopted_engine_ms,
            wasted_engine_ms=ledger.wasted_engine_ms,
            answer_engine_ms=ledger.answer_engine_ms,
            pregeneration_outcomes=tuple(
                PregenerationCount(
                    outcome=_PREGENERATION_OUTCOMES.get(row.outcome, PregenerationOutcome.UNKNOWN),
                    count=row.count,
                    tokens=row.tokens,
                    engine_ms=row.engine_ms,
                )
                for row in ledger.pregeneration_outcomes
            ),
        ),
        prompt_by_engine=started.prompt_by_engine,
    )
