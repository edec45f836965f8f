"""The options of a session, and the Open message made from them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from forefill.v1 import keystroke_pb2 as pb

from .checks import checked_iterable
from .errors import InvalidRequest, InvalidText

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation before the draft."""

    role: str
    """The speaker: "system", "user", "assistant", or any other role that the model's template knows."""
    content: str
    """The text."""


MessageLike = ChatMessage | tuple[str, str] | Mapping[str, str]
"""A message in any of three forms: a ChatMessage, (role, content), or {"role": ..., "content": ...}."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sampling:
    """How answers are sampled. A value left out is the model's default (its generation_config), or else vLLM's."""

    max_tokens: int | None = None
    """Longest answer, in tokens; at least 1; default: the rest of the model's context."""
    min_tokens: int | None = None
    """Shortest answer, in tokens: before that neither the model nor a text of `stop` ends it; at most `max_tokens`."""
    temperature: float | None = None
    """0 (greedy) to 2."""
    top_p: float | None = None
    """Probability mass of the nucleus; above 0, up to 1."""
    top_k: int | None = None
    """Number of most likely tokens to sample from; 0 means all."""
    min_p: float | None = None
    """Lowest probability, relative to that of the most likely token; 0 to 1."""
    presence_penalty: float | None = None
    """-2 to 2."""
    frequency_penalty: float | None = None
    """-2 to 2."""
    repetition_penalty: float | None = None
    """Above 0, up to 2."""
    seed: int | None = None
    """Makes sampling repeatable on one engine."""
    stop: str | Sequence[str] = ()
    """Texts at which the answer ends; at most 16, none empty. A single text is one of them."""
    ignore_eos: bool = False
    """Pass over the model's own end: only `max_tokens`, `stop` and `stop_token_ids` end the answer."""
    stop_token_ids: Sequence[int] = ()
    """Ids of tokens at which the answer ends, beside the model's own; at most 1024."""
    include_stop_str_in_output: bool = False
    """Whether the text of `stop` that ended the answer is part of it."""
    logit_bias: Mapping[int, float] | None = None
    """What is added to the logits of tokens, by their ids; at most 1024, each -100 to 100."""
    allowed_token_ids: Sequence[int] = ()
    """Ids of the only tokens that the answer may have; at most 1024; none means all."""
    bad_words: str | Sequence[str] = ()
    """Texts that the answer may not contain; at most 1024, none empty. A single text is one of them."""
    skip_special_tokens: bool = True
    """Whether special tokens are left out of the text."""

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name), field.default) for field in dataclasses.fields(self))
        return f"Sampling({', '.join(f'{name}={value!r}' for name, value, default in given if value != default)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """How a session goes on after its stream broke: on the next server that answers, with its draft and conversation.

    The delay before a try is drawn evenly from 0 to a limit that doubles with each, after what the server asks for.
    """

    seconds: float = 60.0
    """How long to try, from the break on; then the session ends with the last failure."""
    first_delay_seconds: float = 0.1
    """Limit of the first delay."""
    longest_delay_seconds: float = 2.0
    """Limit of any delay."""


class WarmMode(Enum):
    """What a session warms ahead of submit."""

    AUTO = pb.WARM_MODE_AUTO
    """The base prompt when the session opens, and the confirmed text at each flush."""
    OFF = pb.WARM_MODE_OFF
    """Nothing: answers come as from plain vLLM."""


class PregenerationMode(Enum):
    """Whether answers may be begun before submit, in a pause. They are sent only if they fit the prompt exactly."""

    AUTO = pb.PREGENERATION_MODE_AUTO
    """If that is worth more than it costs now: the wait that it saves if submit comes before another edit, against
    the engine time that it wastes otherwise."""
    OFF = pb.PREGENERATION_MODE_OFF
    """Never."""
    ON = pb.PREGENERATION_MODE_ON
    """The same, and in any case in every pause of 600 ms (or what the server sets), whatever it costs and whatever
    was wasted before."""


class CacheScope(Enum):
    """Which sessions share the cached blocks that a session computes."""

    SHARED = pb.CACHE_SCOPE_SHARED
    """All sessions of the server."""
    SESSION = pb.CACHE_SCOPE_SESSION
    """This session alone, or those that bring the same `cache_secret`."""


def checked_text(text: str, name: str = "the text") -> str:
    """Return `text`; raise InvalidText if it cannot be encoded as UTF-8, InvalidRequest if it is none."""
    if not isinstance(text, str):
        raise InvalidRequest(f"{name} must be a str, not {text!r:.80}", session_continues=True)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"{name} holds a lone surrogate at position {error.start}: join surrogate pairs, or replace it",
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
    cache_secret: bytes,
) -> pb.Open:
    """Return the wire's Open, or raise InvalidRequest if it cannot hold a value."""
    request = pb.Open(
        messages=[message_to_wire(message) for message in checked_iterable(messages, "messages")],
        sampling=_sampling(Sampling() if sampling is None else _checked(sampling, Sampling, "sampling")),
        draft=checked_text(draft, "draft"),
        warm_mode=_checked(warm_mode, WarmMode, "warm_mode").value,
        cache_scope=_checked(cache_scope, CacheScope, "cache_scope").value,
        session_key=checked_text(session_key, "session_key"),
        pregeneration_mode=_checked(pregeneration, PregenerationMode, "pregeneration").value,
        resume_token=checked_text(resume_token, "resume_token"),
        cache_secret=_checked(cache_secret, bytes, "cache_secret"),
    )
    if chat_template_kwargs is not None:
        try:
            request.chat_template_kwargs.update(dict(chat_template_kwargs))
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"chat_template_kwargs must be plain JSON values: {error}") from None
    return request


def _checked(value: T, kind: type[T], name: str) -> T:
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} must be of type {kind.__name__}, not {value!r:.80}")
    return value


def message_to_wire(message: MessageLike) -> pb.ChatMessage:
    """Return a message of the wire, or raise InvalidRequest if it cannot hold it."""
    if isinstance(message, Mapping):
        role, content = message.get("role"), message.get("content")
        if more := [key for key, value in message.items() if key not in ("role", "content") and value is not None]:
            raise InvalidRequest(f"a message cannot carry {', '.join(map(repr, more))}: only its role and its content")
    elif isinstance(message, ChatMessage):
        role, content = message.role, message.content
    else:
        try:
            role, content = (None, None) if isinstance(message, str) else message
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
                case _:
                    pass
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidRequest(f"Sampling.{name} cannot be {value!r:.80}: {error}") from None
    return wire
