"""The request and the response bodies of vLLM's completions and chat completions, as values: no clock, no await.

Ids or messages go in; text and ids come out as server-sent events. A chat completion's first event carries the ids of
the prompt that the endpoint made. Only the last event carries the usage, which includes the number of cached tokens if
the server runs with `--enable-prompt-tokens-details`; older releases leave out a count of 0. A stream that ends without
a finish reason is a failure even if it was closed properly: if a worker behind a router dies, the router ends the
stream like that.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...chat.generation import Output, ToolCallPart
from ...chat.messages import Conversation
from ...chat.openai_form import chat_fields
from ...errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable
from ..base import ChatRequest, Priority, Request
from ..one_line import one_line
from .logprobs import LogprobsReader, asked_of_chat, asked_of_completions

COMPLETIONS = "/v1/completions"
CHAT_COMPLETIONS = "/v1/chat/completions"

_SAMPLING_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
)
_BUSY = frozenset({429, 503})
_NOT_OFFERED = frozenset({404, 405, 501})


class NotServed(EngineRefused):
    """Raised when the server refuses all our requests, for example because it does not accept the API key."""


class NotOffered(NotServed):
    """Raised when the server has no such path or no such model."""


def body(request: Request, model: str, max_tokens: int, *, priorities: bool) -> dict[str, Any]:
    """Return the JSON body of a request; sampling fields that are None are left to the server's defaults."""
    prompt = {"model": request.adapter or model, "prompt": request.prompt_ids, "max_tokens": max_tokens}
    asked = _asked(replace(request, sampling=request.sampling.limited(max_tokens)), priorities=priorities)
    likeliest = request.sampling.logprobs
    return prompt | asked | ({} if likeliest is None else asked_of_completions(likeliest))


def chat_body(request: ChatRequest, model: str, *, priorities: bool) -> dict[str, Any]:
    """Return the JSON body of a request to the chat endpoint, which sets the limit of an answer if the caller does not.

    What an OpenAI client may leave out is left out, so the endpoint fills it in as for any client.
    """
    limit = {} if request.sampling.max_tokens is None else {"max_tokens": request.sampling.max_tokens}
    asked = limit | _asked(request, priorities=priorities)
    if (likeliest := request.sampling.logprobs) is not None:
        asked |= asked_of_chat(likeliest)
    return said(request.conversation, request.adapter or model) | asked


def said(conversation: Conversation, model: str) -> dict[str, Any]:
    """Return the fields by which a conversation is given to a server that renders it."""
    return {"model": model} | chat_fields(conversation)


def _asked(request: Request | ChatRequest, *, priorities: bool) -> dict[str, Any]:
    sampling = request.sampling
    asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    if request.priority is not Priority.WARM:
        # A warm's token is discarded, and the ids of its whole prompt would come back with it.
        asked["return_token_ids"] = True
    for name in _SAMPLING_FIELDS:
        if (value := getattr(sampling, name)) is not None:
            asked[name] = value
    asked |= sampling.extras
    if request.cache_salt is not None:
        asked["cache_salt"] = request.cache_salt
    if priorities and request.priority:
        asked["priority"] = int(request.priority)
    return asked


class Completion:
    """One streamed completion or chat completion, read line by line; `complete` once it has ended properly.

    `cached_tokens_if_missing` is the count to assume if the usage does not report cached tokens. `logprobs` reads
    those, if they were asked for.
    """

    def __init__(self, cached_tokens_if_missing: int | None = None, logprobs: LogprobsReader | None = None) -> None:
        self._last_part: Output | None = None
        self._logprobs = logprobs
        self._cached_tokens_if_missing = cached_tokens_if_missing
        self._cached_tokens: int | None = None
        #: The server's own count of tokens; empty until it arrives.
        self.usage: Mapping[str, Any] = {}
        self.complete = False

    @property
    def has_last_part(self) -> bool:
        """Whether the last part has arrived, though it may still be held back."""
        return self._last_part is not None

    def take(self, line: bytes) -> Output | None:
        """Take one line of the stream; return the part of the answer that it completes, or None.

        The last part is held back until the usage has arrived. Raises EngineError if the line reports a failure.
        """
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or not data:
            return None
        if data == b"[DONE]":
            return self._finished()
        event = _parsed(data)
        if error := event.get("error"):
            code = error.get("code") if isinstance(error, Mapping) else None
            raise failure(code if isinstance(code, int) else 500, event)
        if usage := event.get("usage"):
            reported = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
            self._cached_tokens = self._cached_tokens_if_missing if reported is None else reported
            self.usage = usage
        ids = event.get("prompt_token_ids")
        prompt_ids = None if ids is None else tuple(ids)
        outputs = [self._output(choice, prompt_ids) for choice in event.get("choices") or []]
        return outputs[0] if outputs else None

    def _output(self, choice: Mapping[str, Any], prompt_ids: tuple[int, ...] | None) -> Output | None:
        delta, told = choice.get("delta") or {}, choice.get("logprobs")
        output = Output(
            choice.get("text") or delta.get("content") or "",
            tuple(choice.get("token_ids") or ()),
            None,
            choice.get("finish_reason"),
            prompt_ids,
            reasoning=delta.get("reasoning") or delta.get("reasoning_content") or "",
            tool_calls=tuple(map(_call_part, delta.get("tool_calls") or ())),
            logprobs=self._logprobs.of(told) if self._logprobs is not None and told else (),
        )
        if output.finish_reason is None:
            return output
        self._last_part = output
        return None

    def _finished(self) -> Output | None:
        if self._last_part is None:
            return None
        self.complete = True
        return replace(self._last_part, cached_tokens=self._cached_tokens)


def _call_part(call: Mapping[str, Any]) -> ToolCallPart:
    function = call.get("function") or {}
    return ToolCallPart(
        call.get("index") or 0, call.get("id") or "", function.get("name") or "", function.get("arguments") or ""
    )


def failure(status: int, said: object) -> EngineError:
    """Return the error for an HTTP status; `said` is the body of the response, parsed as JSON or as text."""
    cause = _cause(said)
    if status in _BUSY:
        return EngineBusy(f"the engine has no room: {cause}")
    if status in _NOT_OFFERED:
        return NotOffered(cause)
    if status >= 500 or status == 408:
        return EngineUnavailable(f"the engine failed with HTTP status {status}: {cause}")
    if status in (401, 403):
        return NotServed("the engine refused the API key; set FOREFILL_ENGINE_API_KEY")
    return EngineRefused(cause)


def _cause(said: object) -> str:
    if isinstance(said, Mapping):
        error = said.get("error", said)
        said = error.get("message", error) if isinstance(error, Mapping) else error
    return one_line(said)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        raise EngineUnavailable(
            "the engine's answer is not JSON; check whether --engine-url leads to a vLLM server"
        ) from None
    return event if isinstance(event, dict) else {}
