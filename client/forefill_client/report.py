"""The server's reports on a session, as plain values."""

from dataclasses import dataclass

from forefill.v1 import keystroke_pb2 as pb

from .outcomes import (
    FINISH_REASONS,
    FLUSH_OUTCOMES,
    PREGENERATION_OUTCOMES,
    SHED_REASONS,
    SOURCES,
    FinishReason,
    FlushOutcome,
    GenerationSource,
    PregenerationOutcome,
    ShedReason,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits."""

    max_draft_code_points: int
    """Longest draft, in code points."""
    context_tokens: int
    """Longest prompt and answer together, in tokens."""
    max_message_bytes: int
    """Largest message on the wire, in bytes."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The server's side of a session that has opened."""

    session_id: str
    """The session's name in the server's log."""
    model: str
    """The served model's name."""
    block_size: int
    """Length of a cached block, vLLM's unit of caching, in tokens."""
    limits: Limits
    """The server's limits."""
    base_prompt_tokens: int
    """Tokens of everything before the draft."""
    warming_inert_reason: str
    """Why warming has no effect here; empty if it works."""
    accepts_hints: bool = False
    """Whether the server knows hints; `Session.hint` sends nothing to one that does not."""
    resume_token: str = ""
    """Names the engine that has this session's cache, for `AsyncClient.session` after a broken stream; "" if there
    is only one, or if the server is older."""
    splits_answers: bool = False
    """Whether what the model thinks, and its calls of tools, come apart from the text of answers with the session's own
    `tool_choice`."""
    accepts_respond: bool = False
    """Whether the server knows `Session.respond`."""
    accepts_tool_choice: bool = False
    """Whether the server knows `tool_choice`; what it would pass over raises InvalidRequest."""


@dataclass(frozen=True, slots=True)
class FlushResult:
    """The result of one flush."""

    seq: int
    """Number of the flush, as `Session.flush` returned it."""
    confirmed_code_points: int
    """Code points of the draft that count as confirmed."""
    stable_tokens: int
    """Leading tokens of the prompt that typing after the confirmed text cannot change."""
    cached_tokens: int
    """Leading stable tokens that are now believed to be cached, in whole blocks."""
    computed_tokens: int
    """Tokens that the engine computed for this flush."""
    outcome: FlushOutcome
    """What became of it."""
    shed_reason: ShedReason = ShedReason.NONE
    """Why it was shed."""
    cached_code_points: int | None = None
    """Leading code points of the draft that the cached tokens cover; None if the server cannot tell."""


@dataclass(frozen=True, slots=True)
class PregenerationUpdate:
    """An answer to the draft was begun before submit, or came to an end as such. It tells nothing of the text."""

    outcome: PregenerationOutcome | None = None
    """What became of it; None: it was begun. If it is adopted, this comes after the answer."""
    tokens: int = 0
    """Tokens generated for it before submit; 0 if it was begun."""
    engine_ms: float = 0
    """Engine time for it before submit, in milliseconds; 0 if it was begun."""


@dataclass(frozen=True, slots=True)
class Started:
    """How an answer began."""

    source: GenerationSource
    """Where its first token came from."""
    prompt_tokens: int
    """Tokens of the prompt. See `Report.prompt_tokens`."""
    cached_tokens: int
    """Tokens of the prompt that were cached; an engine that counts only at the end may report another number then."""
    ttft_seconds: float
    """From the call of `submit` to the arrival of the first token, by the client's clock."""


@dataclass(frozen=True, slots=True)
class PregenerationCount:
    """The answers that were begun before submit and had one outcome."""

    outcome: PregenerationOutcome
    """What became of them."""
    count: int
    """How many."""
    tokens: int
    """Tokens generated for them before submit."""
    engine_ms: float
    """Engine time for them before submit, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The use that was made of the tokens computed ahead for a turn, and of the engine's time.

    computed = used + edited_away + evicted + abandoned + kept; pregenerated = adopted + discarded. A server that is
    older than this client reports no engine times and no outcomes.
    """

    warms: int
    """Warming requests sent to the engine."""
    computed_tokens: int
    """Computed by warms, and for the prompts of answers begun before submit."""
    used_tokens: int
    """Found in the cache by the answer's prompt."""
    edited_away_tokens: int
    """Not part of the submitted prompt."""
    evicted_tokens: int
    """Part of the submitted prompt, but no longer cached, or not yet."""
    abandoned_tokens: int
    """Lost: the warming request failed, or the draft was never submitted."""
    kept_tokens: int = 0
    """Computed a second time in a pause, to keep cached blocks from being evicted."""
    pregenerations: int = 0
    """Answers begun before submit; the prompt tokens computed for them are counted above."""
    pregenerated_tokens: int = 0
    """Tokens generated for them."""
    adopted_tokens: int = 0
    """Pre-generated tokens that became part of the answer."""
    discarded_tokens: int = 0
    """Pre-generated tokens that did not."""
    adopted_engine_ms: float = 0
    """Engine time before submit of the begun answer that was adopted, in milliseconds."""
    wasted_engine_ms: float = 0
    """Engine time of the begun answers that were not adopted, in milliseconds."""
    answer_engine_ms: float = 0
    """Engine time of the whole answer, before submit and after, in milliseconds."""
    pregeneration_outcomes: tuple[PregenerationCount, ...] = ()
    """The begun answers by what became of them: one entry for each outcome that occurred."""


@dataclass(frozen=True, slots=True)
class Report:
    """The cost of one answer."""

    ttft_seconds: float
    """From the call of `submit` to the arrival of the first token, by the client's clock; to the end of an answer
    that was stopped before."""
    server_ttft_seconds: float
    """From the server's receipt of SUBMIT to the first token, by the server's clock."""
    total_seconds: float
    """From the call of `submit` to the end of the answer, by the client's clock."""
    prompt_tokens: int
    """Tokens of the prompt; 0 if the engine's own chat endpoint made the prompt and does not say of which tokens."""
    cached_tokens: int
    """Tokens of the prompt that the engine found in its cache."""
    completion_tokens: int
    """Tokens of the answer."""
    source: GenerationSource
    """Where its first token came from."""
    finish_reason: FinishReason
    """Why it ended."""
    ledger: Ledger
    """What was computed ahead for this turn, and what use was made of it."""
    prompt_by_engine: bool = False
    """Whether the engine's own chat endpoint made the prompt, since the server's faster way to its tokens gives
    others in this conversation, or was not compared yet; or since an engine that is reached over HTTP takes only its
    own answers apart. Behind such an engine no answer is begun before submit then, and less may be warmed."""


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
        splits_answers=opened.splits_answers,
        accepts_respond=opened.accepts_respond,
        accepts_tool_choice=opened.accepts_tool_choice,
    )


def flush_result_from_wire(result: pb.FlushResult, seq: int) -> FlushResult:
    return FlushResult(
        seq=seq,
        confirmed_code_points=result.confirmed_code_points,
        stable_tokens=result.stable_tokens,
        cached_tokens=result.cached_tokens,
        computed_tokens=result.computed_tokens,
        outcome=FLUSH_OUTCOMES.get(result.outcome, FlushOutcome.UNKNOWN),
        shed_reason=SHED_REASONS.get(result.shed_reason, ShedReason.UNKNOWN),
        cached_code_points=result.cached_code_points if result.HasField("cached_code_points") else None,
    )


def pregeneration_update_from_wire(update: pb.PregenerationUpdate) -> PregenerationUpdate:
    if update.outcome == pb.PREGENERATION_OUTCOME_UNSPECIFIED:
        return PregenerationUpdate()
    outcome = PREGENERATION_OUTCOMES.get(update.outcome, PregenerationOutcome.UNKNOWN)
    return PregenerationUpdate(outcome, update.tokens, update.engine_ms)


def started_from_wire(started: pb.GenerationStarted, ttft_seconds: float) -> Started:
    return Started(
        source=SOURCES.get(started.source, GenerationSource.UNKNOWN),
        prompt_tokens=started.prompt_tokens,
        cached_tokens=started.cached_tokens,
        ttft_seconds=ttft_seconds,
    )


def report_from_wire(
    started: pb.GenerationStarted, finished: pb.GenerationFinished, *, ttft_seconds: float, total_seconds: float
) -> Report:
    return Report(
        ttft_seconds=ttft_seconds,
        server_ttft_seconds=finished.timings.ttft_ms / 1000,
        total_seconds=total_seconds,
        prompt_tokens=finished.usage.prompt_tokens,
        cached_tokens=finished.usage.cached_tokens,
        completion_tokens=finished.usage.completion_tokens,
        source=SOURCES.get(started.source, GenerationSource.UNKNOWN),
        finish_reason=FINISH_REASONS.get(finished.reason, FinishReason.UNKNOWN),
        ledger=ledger_from_wire(finished.ledger),
        prompt_by_engine=started.prompt_by_engine,
    )


def ledger_from_wire(ledger: pb.Ledger) -> Ledger:
    return Ledger(
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
                outcome=PREGENERATION_OUTCOMES.get(row.outcome, PregenerationOutcome.UNKNOWN),
                count=row.count,
                tokens=row.tokens,
                engine_ms=row.engine_ms,
            )
            for row in ledger.pregeneration_outcomes
        ),
    )
