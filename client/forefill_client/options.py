"""The options of a session, and the Open message made from them."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from forefill.v1 import keystroke_pb2 as pb

from .checks import checked_iterable, checked_type
from .errors import InvalidRequest
from .messages import MessageLike, json_texts, message_to_wire
from .texts import checked_text
from .tool_choice import ToolChoice, tool_choice_to_wire


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
    json_schema: str | Mapping[str, Any] | None = None
    """A JSON Schema that the answer keeps to: a mapping, such as `Model.model_json_schema()` of Pydantic, or its text.
    The answer has the keys in this order. At most 65,536 bytes. Of `json_schema`, `regex`, `choice`, `grammar` and
    `json_object`, only one can be given. What the engine refuses raises InvalidSampling when the session is entered."""
    regex: str | None = None
    """A regular expression that the whole answer matches; at most 4,096 bytes."""
    choice: str | Sequence[str] | None = None
    """Texts, one of which is the answer; at most 1024, none empty. A single text is one of them."""
    grammar: str | None = None
    """A grammar of the whole answer, in EBNF or Lark, as the engine takes it; at most 65,536 bytes."""
    json_object: bool = False
    """Whether the answer is a JSON object, whatever its keys."""
    logprobs: int | None = None
    """Number of the likeliest tokens that `Answer.logprobs` reports beside each token; 0 to 20, and at most what the
    engine allows; 0 reports the tokens alone; None: no logprobs."""

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

    DEFAULT = pb.CACHE_SCOPE_UNSPECIFIED
    """Those that the server's operator has chosen: `SHARED`, unless `--cache-scope` says otherwise."""
    SHARED = pb.CACHE_SCOPE_SHARED
    """All sessions of the same tenant. Counts and times of a session tell whether the text of another begins like its
    own."""
    SESSION = pb.CACHE_SCOPE_SESSION
    """This session alone, or those that bring the same `cache_secret`."""


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
    tools: Iterable[Mapping[str, Any]] | None = None,
    documents: Iterable[Mapping[str, str]] | None = None,
    reasoning_effort: str | None = None,
    continue_final_message: bool = False,
    adapter: str = "",
    tool_choice: ToolChoice | None = None,
    draft_name: str = "",
    parallel_tool_calls: bool = True,
) -> pb.Open:
    """Return the wire's Open, or raise InvalidRequest if it cannot hold a value."""
    request = pb.Open(
        messages=[message_to_wire(message) for message in checked_iterable(messages, "messages")],
        sampling=_sampling(Sampling() if sampling is None else checked_type(sampling, Sampling, "sampling")),
        draft=checked_text(draft, "draft"),
        warm_mode=checked_type(warm_mode, WarmMode, "warm_mode").value,
        cache_scope=checked_type(cache_scope, CacheScope, "cache_scope").value,
        session_key=checked_text(session_key, "session_key"),
        pregeneration_mode=checked_type(pregeneration, PregenerationMode, "pregeneration").value,
        resume_token=checked_text(resume_token, "resume_token"),
        cache_secret=checked_type(cache_secret, bytes, "cache_secret"),
        tools=json_texts("tools", tools),
        documents=json_texts("documents", documents),
        reasoning_effort=checked_text(reasoning_effort or "", "reasoning_effort"),
        continue_final_message=checked_type(continue_final_message, bool, "continue_final_message"),
        adapter=checked_text(adapter, "adapter"),
        tool_choice=tool_choice_to_wire(tool_choice),
        draft_name=checked_text(draft_name, "draft_name"),
        parallel_tool_calls=None if checked_type(parallel_tool_calls, bool, "parallel_tool_calls") else False,
    )
    if chat_template_kwargs is not None:
        try:
            request.chat_template_kwargs.update(dict(chat_template_kwargs))
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"chat_template_kwargs must be plain JSON values: {error}") from None
    return request


_STRUCTURES = ("json_schema", "regex", "choice", "grammar", "json_object")


def _sampling(sampling: Sampling) -> pb.Sampling:
    wire = pb.Sampling()
    if len(given := [name for name in _STRUCTURES if getattr(sampling, name) not in (None, False)]) > 1:
        raise InvalidRequest(f"Sampling takes one of {', '.join(_STRUCTURES)}, not {' and '.join(given)}")
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
                case "choice" if value is not None:
                    texts = [value] if isinstance(value, str) else value
                    wire.choice.CopyFrom(pb.Choice(texts=map(checked_text, texts)))
                case "json_schema" if value is not None:
                    wire.json_schema = value if isinstance(value, str) else _json(value)
                case _ if value is not None and value != field.default:
                    setattr(wire, name, value)
                case _:
                    pass
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidRequest(f"Sampling.{name} cannot be {value!r:.80}: {error}") from None
    return wire


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
