"""The streamed answer of vLLM's completions and chat completions, as values: no clock, no await.

Text and ids come as server-sent events. A chat completion's first event carries the ids of the prompt that the endpoint
made. Only the last event carries the usage, which includes the number of cached tokens if the server runs with
`--enable-prompt-tokens-details`; older releases leave out a count of 0. A stream that ends without a finish reason is a
failure even if it was closed properly: if a worker behind a router dies, the router ends the stream like that.

What vLLM never sends is EngineNonsense (`fields` says what each field may be): a second choice, ids outside the
vocabulary, more tokens than the context has, an event that is no JSON. Of the finish reasons,

    stop, length, tool_calls, repetition    end a whole answer
    abort, error                            the engine stopped: as if it had been lost
    content_filter                          a filter before the engine withholds the rest: a refusal
    any other                               is nonsense: nobody knows whether the answer is whole

With its finish reason the text is whole. What comes then can only add the count of cached tokens. If that cannot be
true (`usage_is_odd`), or does not come, the count is unknown, as on a server that does not report it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...chat.generation import Output, ToolCallPart
from ...errors import EngineNonsense, EngineRefused, EngineUnavailable
from .failures import failure
from .fields import MOST, Fields, nonsense, parsed
from .lines import MOST_LINE_BYTES

if TYPE_CHECKING:
    from .logprobs import LogprobsReader

_WHOLE = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "repetition": "stop"}
_STOPPED = frozenset({"abort", "error"})
_MOST_CALLS = 4096
_SPARE_TOKENS = 16
_BYTES_OF_AN_ID = 16
"""The most bytes that an id takes in JSON, with its comma."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an answer has to stay within: ids are below `vocabulary`, and prompt and answer within `context_tokens`.

    None is for what is not known. `prompt_tokens` is the length of the prompt, if it is ours.
    """

    vocabulary: int | None = None
    context_tokens: int | None = None
    prompt_tokens: int | None = None

    @property
    def most_line_bytes(self) -> int:
        """The limit for a line: the first may have the ids of a whole prompt."""
        return MOST_LINE_BYTES + _BYTES_OF_AN_ID * (self.context_tokens or 0)


ANY = Bounds()


class Completion:
    """One streamed completion or chat completion, read line by line; `complete` once it has ended properly.

    `cached_tokens_if_missing` is the count to assume if the usage does not report cached tokens. `logprobs` reads
    those, if they were asked for.
    """

    def __init__(
        self,
        cached_tokens_if_missing: int | None = None,
        logprobs: LogprobsReader | None = None,
        bounds: Bounds = ANY,
    ) -> None:
        self._cached_tokens_if_missing = cached_tokens_if_missing
        self._logprobs = logprobs
        self._below = bounds.vocabulary or MOST
        self._most_tokens = bounds.context_tokens or MOST
        self._prompt_tokens = bounds.prompt_tokens
        self._prompt_is_ours = bounds.prompt_tokens is not None
        self._made_tokens = 0
        self._last_part: Output | None = None
        self._cached_tokens: int | None = None
        #: The server's own counts of tokens, of prompt and answer; 0 until they arrive.
        self.usage = Usage()
        self.usage_is_odd = False
        self.complete = False

    @property
    def has_last_part(self) -> bool:
        """Whether the last part has arrived, though it may still be held back: the text is whole."""
        return self._last_part is not None

    def take(self, line: bytes) -> Output | None:
        """Take one line of the stream; return the part of the answer that it completes, or None.

        The last part is held back until the usage has arrived. Raises EngineError if the line reports a failure, or
        makes no sense.
        """
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or not data:
            return None
        if self.has_last_part:
            return self._take_the_end(data)
        if data == b"[DONE]":
            return None
        event = Fields(parsed(data, "an event"), "event")
        _raise_failure(event)
        self._take_usage(event)
        part = self._part(event)
        if part is None or part.finish_reason is None:
            return part
        self._last_part = part
        return None

    def last_part(self) -> Output | None:
        """Return the last part with what is known of the usage; None if it has not arrived."""
        return self._last_part and replace(self._last_part, cached_tokens=self._cached_tokens)

    def _take_the_end(self, data: bytes) -> Output | None:
        if data == b"[DONE]":
            self.complete = True
            return self.last_part()
        try:
            self._take_usage(Fields(parsed(data, "an event"), "event"))
        except EngineNonsense:
            self.usage_is_odd = True
        return None

    def _take_usage(self, event: Fields) -> None:
        try:
            if (fields := event.object("usage")) is not None:
                self.usage = self._usage(fields)
        except EngineNonsense:
            self._cached_tokens, self.usage_is_odd = None, True

    def _usage(self, fields: Fields) -> Usage:
        details = fields.object("prompt_tokens_details")
        cached = None if details is None else details.count("cached_tokens")
        prompt_tokens, completion_tokens = fields.count("prompt_tokens"), fields.count("completion_tokens")
        most = prompt_tokens if self._prompt_tokens is None else self._prompt_tokens
        if cached is not None and most is not None and cached > most:
            nonsense("event.usage.prompt_tokens_details.cached_tokens")
        self._cached_tokens = self._cached_tokens_if_missing if cached is None else cached
        return Usage(prompt_tokens or 0, completion_tokens or 0)

    def _part(self, event: Fields) -> Output | None:
        """Return the part of an answer that an event brings; None if it brings nothing."""
        choices = event.objects("choices")
        if len(choices) > 1:
            nonsense("event.choices")
        prompt_ids = self._prompt_ids(event)
        if not choices:
            return None
        choices[0].count("index", 1)
        part = self._output(choices[0], prompt_ids)
        if not (_brings_something(part) or (_says_a_role(choices[0]) and not self._made_tokens)):
            return None
        self._made_tokens += max(len(part.token_ids), 1)
        if self._made_tokens > self._most_tokens + _SPARE_TOKENS:
            nonsense("more tokens than the context has")
        return part

    def _prompt_ids(self, event: Fields) -> tuple[int, ...] | None:
        if self._made_tokens or self._prompt_is_ours:  # they come with the first part of a chat completion
            return None
        if ids := event.ids("prompt_token_ids", self._below):
            if len(ids) > self._most_tokens:
                nonsense("event.prompt_token_ids")
            self._prompt_tokens = len(ids)
        return ids or None

    def _output(self, choice: Fields, prompt_ids: tuple[int, ...] | None) -> Output:
        delta = choice.object("delta") or _NOTHING
        told = choice.raw("logprobs")
        return Output(
            choice.text("text") or delta.text("content"),
            choice.ids("token_ids", self._below) or (),
            None,
            _finish_reason(choice),
            prompt_ids,
            reasoning=delta.text("reasoning") or delta.text("reasoning_content"),
            tool_calls=tuple(map(_call_part, delta.objects("tool_calls"))),
            logprobs=self._logprobs.of(told) if self._logprobs is not None and told is not None else (),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """A server's own count of tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


_NOTHING = Fields({}, "event.choices.delta")


def _raise_failure(event: Fields) -> None:
    if (error := event.raw("error")) is None:
        return
    code = error.get("code") if isinstance(error, dict) else None
    raise failure(code if type(code) is int and 400 <= code < 600 else 500, {"error": error})


def _finish_reason(choice: Fields) -> str | None:
    reason = choice.text("finish_reason")
    if not reason:
        return None
    if reason in _STOPPED:
        raise EngineUnavailable("the engine stopped before the answer was complete")
    if reason == "content_filter":
        raise EngineRefused("a content filter before the engine ended the answer")
    if (known := _WHOLE.get(reason)) is None:
        nonsense("event.choices.finish_reason")
    return known


def _call_part(call: Fields) -> ToolCallPart:
    function = call.object("function") or _NOTHING
    index = call.count("index", _MOST_CALLS) or 0
    return ToolCallPart(index, call.text("id"), function.text("name"), function.text("arguments"))


def _says_a_role(choice: Fields) -> bool:
    """Whether it is how a chat completion begins: vLLM sends that with the first token."""
    return bool((choice.object("delta") or _NOTHING).text("role"))


def _brings_something(part: Output) -> bool:
    said = part.text or part.reasoning or part.tool_calls or part.logprobs
    return bool(said or part.token_ids or part.finish_reason or part.prompt_ids)
