"""A generation as values: how it is sampled, and the parts that come of it."""

from dataclasses import dataclass, replace
from typing import Any


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
        }
        special = {} if self.skip_special_tokens else {"skip_special_tokens": False}
        return {name: value for name, value in given.items() if value} | special

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
    prompt and says which ids it made.
    """

    text: str
    token_ids: tuple[int, ...]
    cached_tokens: int | None
    finish_reason: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()
