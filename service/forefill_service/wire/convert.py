"""Conversion of protobuf messages to events, and of responses to messages: the edge that checks everything once."""

import math
import re
from collections.abc import Callable, Container, Iterable
from typing import Any

from forefill.v1 import keystroke_pb2 as pb
from google.protobuf import json_format

from ..chat.generation import Sampling
from ..chat.messages import ChatMessage
from ..errors import Reason, Refusal
from ..session.events import (
    CacheScope,
    Cancel,
    CharAdd,
    CharDelete,
    Edit,
    End,
    Flush,
    Hint,
    KeystrokeEvent,
    Open,
    PregenerationMode,
    Replace,
    Rewrite,
    Submit,
    Unknown,
    WarmMode,
)
from ..session.responses import (
    CANCELLED,
    FlushResult,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    Opened,
    Response,
    SessionError,
)

_SESSION_KEY = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MOST_STOPS = 16
_MOST_ENTRIES = 1024
_MOST_BIAS = 100
_MOST_KWARGS_BYTES = 64 * 1024
"""An idle session keeps the variables of its template, and a million empty lists have room in one message."""

# name: lowest, highest, and whether the lowest itself is allowed
_SAMPLING_RANGES: dict[str, tuple[float, float, bool]] = {
    "max_tokens": (1, 2**31 - 1, True),
    "min_tokens": (0, 2**31 - 1, True),
    "temperature": (0, 2, True),
    "top_p": (0, 1, False),
    "top_k": (0, 2**31 - 1, True),
    "min_p": (0, 1, True),
    "presence_penalty": (-2, 2, True),
    "frequency_penalty": (-2, 2, True),
    "repetition_penalty": (0, 2, False),
    "seed": (-(2**63), 2**63 - 1, True),
}

_WARM_MODES = {
    pb.WARM_MODE_UNSPECIFIED: WarmMode.AUTO,
    pb.WARM_MODE_AUTO: WarmMode.AUTO,
    pb.WARM_MODE_OFF: WarmMode.OFF,
}
_PREGENERATION_MODES = {
    pb.PREGENERATION_MODE_UNSPECIFIED: PregenerationMode.AUTO,
    pb.PREGENERATION_MODE_AUTO: PregenerationMode.AUTO,
    pb.PREGENERATION_MODE_OFF: PregenerationMode.OFF,
    pb.PREGENERATION_MODE_ON: PregenerationMode.ON,
}
_CACHE_SCOPES = {
    pb.CACHE_SCOPE_UNSPECIFIED: CacheScope.SHARED,
    pb.CACHE_SCOPE_SHARED: CacheScope.SHARED,
    pb.CACHE_SCOPE_SESSION: CacheScope.SESSION,
}
_FINISH_REASONS = {"length": pb.FINISH_REASON_LENGTH, CANCELLED: pb.FINISH_REASON_CANCELLED}
_MODES: dict[str, Container[int]] = {
    "warm_mode": _WARM_MODES,
    "cache_scope": _CACHE_SCOPES,
    "pregeneration_mode": _PREGENERATION_MODES,
}


def event_from(request: pb.ComposeRequest) -> Open | KeystrokeEvent | Unknown:
    """Convert a message to an event.

    Raises Refusal (INVALID_OPEN or INVALID_SAMPLING), which ends the stream.
    """
    match request.WhichOneof("request"):
        case "open":
            return _open(request.open)
        case "event":
            kind = request.event.WhichOneof("kind")
            read = _KINDS.get(kind) if kind else None
            return KeystrokeEvent(request.event.seq, read(getattr(request.event, kind)) if kind and read else Unknown())
        case _:
            return Unknown()


_KINDS: dict[str, Callable[[Any], Edit | Flush | Hint | Submit | Cancel | Rewrite | End]] = {
    "char_add": lambda m: CharAdd(m.text),
    "char_delete": lambda m: CharDelete(m.count or 1),
    "replace": lambda m: Replace(m.start, m.end, m.text),
    "flush": lambda m: Flush(m.draft_code_points, m.draft_crc32, _optional(m, "confirmed_code_points")),
    "hint": lambda m: Hint(m.submit_likely),
    "submit": lambda m: Submit(_optional(m, "text")),
    "cancel": lambda m: Cancel(m.keep_text),
    "rewrite": lambda m: Rewrite(m.keep_messages, _messages(m.messages)),
    "end": lambda m: End(),
}


def _optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _open(message: pb.Open) -> Open:
    if message.session_key and not _SESSION_KEY.fullmatch(message.session_key):
        raise Refusal(Reason.INVALID_OPEN, "session_key must be 1 to 128 characters of [A-Za-z0-9._-]")
    if (size := message.chat_template_kwargs.ByteSize()) > _MOST_KWARGS_BYTES:
        raise Refusal(
            Reason.INVALID_OPEN, f"chat_template_kwargs has {size} bytes, and {_MOST_KWARGS_BYTES} are allowed"
        )
    try:
        chat_template_kwargs = _with_integers(json_format.MessageToDict(message.chat_template_kwargs))
    except ValueError as error:
        raise Refusal(
            Reason.INVALID_OPEN, "chat_template_kwargs contains NaN or infinity, which JSON does not allow"
        ) from error
    for chat_message in message.messages:
        if not chat_message.role:
            raise Refusal(Reason.INVALID_OPEN, 'every message needs a role, for example "system"')
    for name, known in _MODES.items():
        if (value := getattr(message, name)) not in known:
            raise Refusal(Reason.INVALID_OPEN, f"this server does not know {name} {value}")
    return Open(
        messages=_messages(message.messages),
        sampling=_sampling(message.sampling),
        draft=message.draft,
        warm_mode=_WARM_MODES[message.warm_mode],
        session_key=message.session_key,
        chat_template_kwargs=chat_template_kwargs,
        cache_scope=_CACHE_SCOPES[message.cache_scope],
        pregeneration_mode=_PREGENERATION_MODES[message.pregeneration_mode],
        resume_token=message.resume_token,
    )


def _messages(messages: Iterable[pb.ChatMessage]) -> tuple[ChatMessage, ...]:
    return tuple(ChatMessage(message.role, message.content) for message in messages)


def _sampling(message: pb.Sampling) -> Sampling:
    values = {name: _optional(message, name) for name in _SAMPLING_RANGES}
    for name, (lowest, highest, inclusive) in _SAMPLING_RANGES.items():
        value = values[name]
        if value is not None and not (lowest <= value <= highest and (inclusive or value > lowest)):
            bounds = f"{'at least' if inclusive else 'above'} {lowest:g} and at most {highest:g}"
            raise Refusal(Reason.INVALID_SAMPLING, f"{name} is {value:g} but must be {bounds}")
    if (values["min_tokens"] or 0) > (values["max_tokens"] or math.inf):
        raise Refusal(Reason.INVALID_SAMPLING, "min_tokens must be at most max_tokens")
    if len(message.stop) > _MOST_STOPS or not all(message.stop):
        raise Refusal(Reason.INVALID_SAMPLING, f"stop takes at most {_MOST_STOPS} texts, and none may be empty")
    for name in ("stop_token_ids", "logit_bias", "allowed_token_ids", "bad_words"):
        if len(getattr(message, name)) > _MOST_ENTRIES:
            raise Refusal(Reason.INVALID_SAMPLING, f"{name} takes at most {_MOST_ENTRIES} entries")
    if not all(message.bad_words):
        raise Refusal(Reason.INVALID_SAMPLING, "bad_words may not be empty")
    if not all(-_MOST_BIAS <= bias <= _MOST_BIAS for bias in message.logit_bias.values()):
        raise Refusal(
            Reason.INVALID_SAMPLING, f"each logit_bias must be at least -{_MOST_BIAS} and at most {_MOST_BIAS}"
        )
    return Sampling(
        **values,
        stop=tuple(message.stop),
        ignore_eos=message.ignore_eos,
        stop_token_ids=tuple(message.stop_token_ids),
        include_stop_str_in_output=message.include_stop_str_in_output,
        logit_bias=tuple(sorted(message.logit_bias.items())),
        allowed_token_ids=tuple(message.allowed_token_ids),
        bad_words=tuple(message.bad_words),
        skip_special_tokens=_optional(message, "skip_special_tokens") is not False,
    )


def _with_integers(value: Any) -> Any:
    """Return JSON data with whole numbers as int: a Struct has only floats, and templates print them."""
    match value:
        case dict():
            return {key: _with_integers(item) for key, item in value.items()}
        case list():
            return [_with_integers(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


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
                    resume_token=response.resume_token,
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
            return pb.ComposeResponse(generation_delta=pb.GenerationDelta(seq=response.seq, text=response.text))
        case GenerationFinished():
            return pb.ComposeResponse(generation_finished=_finished(response))
        case SessionError():
            return pb.ComposeResponse(
                session_error=pb.SessionError(
                    reason=reason_to_message(response.reason),
                    message=response.message,
                    seq=response.seq,
                    draft_code_points=response.draft_code_points,
                    sent_text=response.sent_text,
                )
            )


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
