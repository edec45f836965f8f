"""A generation as values: how it is sampled, and the parts that come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["json", "regex", "choice", "grammar", "json_object", "structural_tag"]


@dataclass(frozen=True, slots=True)
class Structure:
    """What an answer has to look like; `kind` is vLLM's name for it, and `value` a text, texts, or True.

    A structural tag is what vLLM's parsers make of the others, and of the tools that may be called. Where the model
    thinks first, the structure begins after that, which the engine finds by the `template_variables`; or it holds
    `from_the_start`, thoughts included.
    """

    kind: Kind
    value: str | tuple[str, ...] | bool
    template_variables: Mapping[str, Any] = field(default_factory=dict, compare=False)
    from_the_start: bool = field(default=False, compare=False)

    @property
    def name(self) -> str:
        """Its name on the wire."""
        return "json_schema" if self.kind == "json" else self.kind

    @property
    def as_vllm_takes_it(self) -> dict[str, Any]:
        """The fields of vLLM's `structured_outputs`, as JSON data."""
        return {self.kind: list(self.value) if isinstance(self.value, tuple) else self.value}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is sampled; None takes the model's default, then vLLM's."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    min_tokens: int | None = None
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    include_stop_str_in_output: bool = False
    logit_bias: tuple[tuple[int, float], ...] = ()
    allowed_token_ids: tuple[int, ...] = ()
    bad_words: tuple[str, ...] = ()
    skip_special_tokens: bool = True
    structure: Structure | None = None
    logprobs: int | None = None

    @property
    def extras(self) -> dict[str, Any]:
        """What it says beyond vLLM's defaults of the fields that no model has a default of its own for, by name."""
        given = {
            "stop": list(self.stop),
            "min_tokens": self.min_tokens,
            "ignore_eos": self.ignore_eos,
            "stop_token_ids": list(self.stop_token_ids),
            "include_stop_str_in_output": self.include_stop_str_in_output,
            "logit_bias": dict(self.logit_bias),
            "allowed_token_ids": list(self.allowed_token_ids),
            "bad_words": list(self.bad_words),
            "structured_outputs": self.structure and self.structure.as_vllm_takes_it,
        }
        special = {} if self.skip_special_tokens else {"skip_special_tokens": False}
        return {name: value for name, value in given.items() if value} | special

    @property
    def only_the_engine_knows(self) -> bool:
        """Whether only the engine can say if it can be used: that depends on the model, or on how it was started."""
        named = any(self.token_ids.values()) or self.bad_words
        return bool(named or self.structure is not None or self.logprobs is not None)

    @property
    def token_ids(self) -> dict[str, tuple[int, ...]]:
        """All ids of tokens that it names, by its fields."""
        return {
            "stop_token_ids": self.stop_token_ids,
            "logit_bias": tuple(token for token, _ in self.logit_bias),
            "allowed_token_ids": self.allowed_token_ids,
        }

    def after(self, made_tokens: int) -> "Sampling":
        """Return it for what is left of an answer, of which so many tokens are there."""
        if not made_tokens:
            return self
        max_tokens = None if self.max_tokens is None else max(1, self.max_tokens - made_tokens)
        min_tokens = None if self.min_tokens is None else max(0, self.min_tokens - made_tokens)
        return replace(self, max_tokens=max_tokens, min_tokens=min_tokens)

    def limited(self, max_tokens: int, made_tokens: int = 0) -> "Sampling":
        """Return it for a request of at most `max_tokens`, which goes on after `made_tokens` of the answer."""
        least = self.after(made_tokens).min_tokens
        return replace(self, max_tokens=max_tokens, min_tokens=None if least is None else min(least, max_tokens))


LEAST_LOGPROB = -9999.0
"""Stands for all that is less: vLLM's own stand-in for minus infinity, which JSON does not have."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token, as id and as text, and the logarithm of its probability."""

    id: int
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """One token of an answer, and the likeliest ones in its place, likeliest first."""

    token: TokenLogprob
    likeliest: tuple[TokenLogprob, ...]

    @classmethod
    def of(cls, found: list[TokenLogprob], likeliest: int) -> "TokenLogprobs":
        """Make them of what vLLM reports of one place: the token first, then the likeliest, it among them or not."""
        ranked = sorted(found, key=lambda one: -one.logprob)
        return cls(found[0], tuple(ranked[:likeliest]))


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """The next part of a call of a tool, number `index`; `id` and `name` come once, `arguments` piece by piece."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """The next part of an answer; `finish_reason` ("stop", "length", "tool_calls") is set on the last.

    `text` is all that the model wrote, or, if the answer is split, what it says: then what it thinks is in `reasoning`,
    and the tools that it calls in `tool_calls`.

    `cached_tokens` is the engine's own count of prompt tokens that it found cached; None if it does not report it, or
    reports it with the last part only. `prompt_ids` is set on the first part if the engine's own chat endpoint made the
    prompt and says which ids it made. `logprobs` are those of `token_ids`, if they were asked for.
    """

    text: str
    token_ids: tuple[int, ...]
    cached_tokens: int | None
    finish_reason: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()
