"""The options of a session, and the Open message made from them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from forefill.v1 import keystroke_pb2 as pb

from .errors import InvalidRequest, InvalidText


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation before the draft."""

    #: The speaker: "system", "user", "assistant", or any other role that the model's template knows.
    role: str
    #: The text.
    content: str


#: A message in any of three forms: a ChatMessage, (role, content), or {"role": ..., "content": ...}.
MessageLike = ChatMessage | tuple[str, str] | Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are sampled. A value left out is the model's default (its generation_config), or else vLLM's."""

    #: Longest answer, in tokens; at least 1; default: the rest of the model's context.
    max_tokens: int | None = None
    #: Shortest answer, in tokens: before that neither the model nor a text of `stop` ends it; at most `max_tokens`.
    min_tokens: int | None = None
    #: 0 (greedy) to 2.
    temperature: float | None = None
    #: Probability mass of the nucleus; above 0, up to 1.
    top_p: float | None = None
    #: Number of most likely tokens to sample from; 0 means all.
    top_k: int | None = None
    #: Lowest probability, relative to that of the most likely token; 0 to 1.
    min_p: float | None = None
    #: -2 to 2.
    presence_penalty: float | None = None
    #: -2 to 2.
    frequency_penalty: float | None = None
    #: Above 0, up to 2.
    repetition_penalty: float | None = None
    #: Makes sampling repeatable on one engine.
    seed: int | None = None
    #: Texts at which the answer ends; at most 16, none empty. A single text is one of them.
    stop: str | Sequence[str] = ()
    #: Pass over the model's own end: only `max_tokens`, `stop` and `stop_token_ids` end the answer.
    ignore_eos: bool = False
    #: Ids of tokens at which the answer ends, beside the model's own; at most 1024.
    stop_token_ids: Sequence[int] = ()
    #: Whether the text of `stop` that ended the answer is part of it.
    include_stop_str_in_output: bool = False
    #: What is added to the logits of tokens, by their ids; at most 1024, each -100 to 100.
    logit_bias: Mapping[int, float] | None = None
    #: Ids of the only tokens that the answer may have; at most 1024; none means all.
    allowed_token_ids: Sequence[int] = ()
    #: Texts that the answer may not contain; at most 1024, none empty. A single text is one of them.
    bad_words: str | Sequence[str] = ()
    #: Whether special tokens are left out of the text.
    skip_special_tokens: bool = True


class WarmMode(Enum):
    """What a session warms ahead of submit."""

    #: The base prompt when the session opens, and the confirmed text at each flush.
    AUTO = pb.WARM_MODE_AUTO
    #: Nothing: answers come as from plain vLLM.
    OFF = pb.WARM_MODE_OFF


class PregenerationMode(Enum):
    """Whether answers may be begun before submit, in a pause. They are sent only if they fit the prompt exactly."""

    #: If that is worth more than it costs now: the wait that it saves if submit comes before another edit, against the
    #: engine time that it wastes otherwise.
    AUTO = pb.PREGENERATION_MODE_AUTO
    #: Never.
    OFF = pb.PREGENERATION_MODE_OFF
    #: The same, and in any case in every pause of 600 ms (or what the server sets), whatever it costs and whatever was
    #: wasted before.
    ON = pb.PREGENERATION_MODE_ON


class CacheScope(Enum):
    """Which sessions share the cached blocks that a session computes."""

    #: All sessions of the server.
    SHARED = pb.CACHE_SCOPE_SHARED
    #: This session alone.
    SESSION = pb.CACHE_SCOPE_SESSION


def checked_text(text: str) -> str:
    """Return `text`, or raise InvalidText if it cannot be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"the text holds a lone surrogate at position {error.start}: join surrogate pairs, or replace it",
            session_continues=True,
        ) from None
    return text


def open_request(
    messages: Iterable[MessageLike],
    sampling: Sampling | None,
    draft: str,
    warm_mode: WarmMode,
    cache_scope: CacheScope,
    session_key: str,
    chat_template_kwargs: Mapping[str, Any] | None,
    pregeneration: PregenerationMode,
    resume_token: str,
) -> pb.Open:
    """Return the wire's Open, or raise InvalidRequest if it cannot hold a value."""
    request = pb.Open(
        messages=[message_to_wire(message) for message in messages],
        sampling=_sampling(sampling or Sampling()),
        draft=checked_text(draft),
        warm_mode=warm_mode.value,
        cache_scope=cache_scope.value,
        session_key=checked_text(session_key),
        pregeneration_mode=pregeneration.value,
        resume_token=checked_text(resume_token),
    )
    if chat_template_kwargs is not None:
        try:
            request.chat_template_kwargs.update(dict(chat_template_kwargs))
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"chat_template_kwargs must be plain JSON values: {error}") from None
    return request


def message_to_wire(message: MessageLike) -> pb.ChatMessage:
    """Return a message of the wire, or raise InvalidRequest if it cannot hold it."""
    if isinstance(message, Mapping):
        role, content = message.get("role"), message.get("content")
    elif isinstance(message, ChatMessage):
        role, content = message.role, message.content
    else:
        try:
            role, content = message
        except (TypeError, ValueError):
            role = content = None
    if not isinstance(role, str) or not isinstance(content, str):
        raise InvalidRequest(f'a message is (role, content), ChatMessage or {{"role", "content"}}, not {message!r:.80}')
    return pb.ChatMessage(role=checked_text(role), content=checked_text(content))


def _sampling(sampling: Sampling) -> pb.Sampling:
    wire = pb.Sampling()
    for field in dataclasses.fields(sampling):
        name, value = field.name, getattr(sampling, field.name)
        try:
            match name:
                case "stop" | "bad_words":
                    texts = [value] if isinstance(value, str) else value or ()
                    getattr(wire, name).extend(checked_text(text) for text in texts)
                case "stop_token_ids" | "allowed_token_ids":
                    getattr(wire, name).extend(value or ())
                case "logit_bias":
                    wire.logit_bias.update(value or {})
                case _ if value is not None and value != field.default:
                    setattr(wire, name, value)
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidRequest(f"Sampling.{name} cannot be {value!r:.80}: {error}") from None
    return wire
