"""Conversion of responses to the messages that carry them."""

from forefill.v1 import keystroke_pb2 as pb

from ..chat.generation import TokenLogprob, TokenLogprobs
from ..errors import Reason
from ..session.responses import (
    CANCELLED,
    HANDED_OFF,
    FlushResult,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    GoAway,
    HandedOff,
    Opened,
    PregenerationUpdate,
    Response,
    SessionError,
)

_FINISH_REASONS = {
    "length": pb.FINISH_REASON_LENGTH,
    "tool_calls": pb.FINISH_REASON_TOOL_CALLS,
    CANCELLED: pb.FINISH_REASON_CANCELLED,
    HANDED_OFF: pb.FINISH_REASON_HANDED_OFF,
}


def reason_to_message(reason: Reason) -> pb.ErrorReason.ValueType:
    """Convert a reason to its value on the wire."""
    return pb.ErrorReason.Value(f"ERROR_REASON_{reason.name}")


def response_to_message(response: Response) -> pb.ComposeResponse:
    """Convert a response to the message that carries it."""
    match response:
        case Opened():
            limits = pb.Limits(
                max_draft_code_points=response.limits.max_draft_code_points,
                context_tokens=response.limits.context_tokens,
                max_message_bytes=response.limits.max_message_bytes,
            )
            return pb.ComposeResponse(
                opened=pb.Opened(
                    session_id=response.session_id,
                    model=response.model,
                    block_size=response.block_size,
                    limits=limits,
                    base_prompt_tokens=response.base_prompt_tokens,
                    warming_inert_reason=response.warming_inert_reason,
                    accepts_hints=True,
                    accepts_respond=True,
                    accepts_tool_choice=True,
                    resume_token=response.resume_token,
                    splits_answers=response.splits_answers,
                )
            )
        case FlushResult():
            return pb.ComposeResponse(
                flush_result=pb.FlushResult(
                    seq=response.seq,
                    confirmed_code_points=response.confirmed_code_points,
                    stable_tokens=response.stable_tokens,
                    cached_tokens=response.cached_tokens,
                    computed_tokens=response.computed_tokens,
                    outcome=pb.FlushOutcome.Value(f"FLUSH_OUTCOME_{response.outcome.name}"),
                    shed_reason=pb.ShedReason.Value(f"SHED_REASON_{response.shed_reason.name}"),
                    cached_code_points=response.cached_code_points,
                )
            )
        case GenerationStarted():
            return pb.ComposeResponse(
                generation_started=pb.GenerationStarted(
                    seq=response.seq,
                    ttft_ms=response.ttft_seconds * 1000,
                    prompt_tokens=response.prompt_tokens,
                    cached_tokens=response.cached_tokens,
                    source=pb.GenerationSource.Value(f"GENERATION_SOURCE_{response.source.name}"),
                    prompt_by_engine=response.prompt_by_engine,
                )
            )
        case GenerationDelta():
            return pb.ComposeResponse(generation_delta=_delta(response))
        case GenerationFinished():
            return pb.ComposeResponse(generation_finished=_finished(response))
        case GoAway():
            go_away = pb.GoAway(within_ms=response.within_seconds * 1000, resume_token=response.resume_token)
            return pb.ComposeResponse(go_away=go_away)
        case HandedOff():
            return pb.ComposeResponse(
                handed_off=pb.HandedOff(
                    seq=response.seq,
                    base_url=response.base_url,
                    headers=response.headers,
                    cache_salt=response.cache_salt,
                    model=response.model,
                    prompt_tokens=response.prompt_tokens,
                    cached_tokens=response.cached_tokens,
                )
            )
        case PregenerationUpdate():
            return pb.ComposeResponse(pregeneration_update=_update(response))
        case SessionError():
            return pb.ComposeResponse(
                session_error=pb.SessionError(
                    reason=reason_to_message(response.reason),
                    message=response.message,
                    seq=response.seq,
                    draft_code_points=response.draft_code_points,
                    sent_text=response.sent_text,
                    retry_after_ms=round(1000 * response.retry_after_seconds),
                )
            )


def _logprobs(logprobs: TokenLogprobs) -> pb.TokenLogprobs:
    return pb.TokenLogprobs(token=_logprob(logprobs.token), likeliest=map(_logprob, logprobs.likeliest))


def _logprob(logprob: TokenLogprob) -> pb.TokenLogprob:
    return pb.TokenLogprob(id=logprob.id, text=logprob.text, logprob=logprob.logprob)


def _finished(response: GenerationFinished) -> pb.GenerationFinished:
    return pb.GenerationFinished(
        seq=response.seq,
        reason=_FINISH_REASONS.get(response.reason, pb.FINISH_REASON_STOP),
        usage=pb.Usage(
            prompt_tokens=response.prompt_tokens,
            cached_tokens=response.cached_tokens,
            completion_tokens=response.completion_tokens,
        ),
        timings=pb.Timings(
            render_ms=response.render_seconds * 1000,
            ttft_ms=response.ttft_seconds * 1000,
            total_ms=response.total_seconds * 1000,
        ),
        ledger=pb.Ledger(
            warms=response.ledger.warms,
            computed_tokens=response.ledger.computed,
            used_tokens=response.ledger.used,
            edited_away_tokens=response.ledger.edited_away,
            evicted_tokens=response.ledger.evicted,
            abandoned_tokens=response.ledger.abandoned,
            kept_tokens=response.ledger.kept,
            pregenerations=response.ledger.pregenerations,
            pregenerated_tokens=response.ledger.pregenerated,
            adopted_tokens=response.ledger.adopted,
            discarded_tokens=response.ledger.discarded,
            adopted_engine_ms=response.ledger.adopted_engine_seconds * 1000,
            wasted_engine_ms=response.ledger.wasted_engine_seconds * 1000,
            answer_engine_ms=response.ledger.answer_engine_seconds * 1000,
            pregeneration_outcomes=[
                pb.PregenerationCount(
                    outcome=pb.PregenerationOutcome.Value(f"PREGENERATION_OUTCOME_{row.outcome.name}"),
                    count=row.count,
                    tokens=row.tokens,
                    engine_ms=row.engine_seconds * 1000,
                )
                for row in response.ledger.outcomes
            ],
        ),
    )


def _update(update: PregenerationUpdate) -> pb.PregenerationUpdate:
    if update.outcome is None:
        return pb.PregenerationUpdate()
    outcome = pb.PregenerationOutcome.Value(f"PREGENERATION_OUTCOME_{update.outcome.name}")
    return pb.PregenerationUpdate(outcome=outcome, tokens=update.tokens, engine_ms=update.engine_seconds * 1000)


def _delta(delta: GenerationDelta) -> pb.GenerationDelta:
    calls = [
        pb.ToolCallDelta(index=part.index, id=part.id, name=part.name, arguments=part.arguments)
        for part in delta.tool_calls
    ]
    logprobs = map(_logprobs, delta.logprobs)
    return pb.GenerationDelta(
        seq=delta.seq, text=delta.text, reasoning=delta.reasoning, tool_calls=calls, logprobs=logprobs
    )
