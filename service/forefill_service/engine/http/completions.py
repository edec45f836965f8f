"""The bodies of vLLM's `/v1/completions`, there and back, as values: no clock, no await.

Ids go in; text and ids come out as server-sent events. The usage comes with the last event alone, and with it, where
the server runs with `--enable-prompt-tokens-details`, how many tokens it found cached; older releases leave out a count
of 0. A stream that ends without a finish reason is a failure, however well it closed: behind a router a worker that
died looks like an end.
"""

import json
from collections.abc import Mapping
from typing import Any

from ...chat.generation import Output
from ...errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable, one_line
from ..base import Priority, Request

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
_NOT_OFFERED = frozenset({404, 405})


class NotServed(EngineRefused):
    """Raised when the server serves us nothing at all: it does not take our API key."""


class NotOffered(NotServed):
    """Raised when the server has nothing at this path, or not this model."""


def body(request: Request, model: str, max_tokens: int, *, priorities: bool) -> dict[str, Any]:
    """Return the JSON that asks for a request; what sampling leaves open is left to the server's own defaults."""
    sampling = request.sampling
    asked: dict[str, Any] = {
        "model": model,
        "prompt": request.prompt_ids,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.priority is not Priority.WARM:  # whose token is thrown away; the whole prompt would come back with it
        asked["return_token_ids"] = True
    for name in _SAMPLING_FIELDS:
        if (value := getattr(sampling, name)) is not None:
            asked[name] = value
    if sampling.stop:
        asked["stop"] = list(sampling.stop)
    if request.cache_salt is not None:
        asked["cache_salt"] = request.cache_salt
    if priorities and request.priority:
        asked["priority"] = int(request.priority)
    return asked


class Completion:
    """One streamed completion, line by line; `untold` is what it means that its usage tells of no cached tokens."""

    def __init__(self, untold: int | None = None) -> None:
        self._held: Output | None = None
        self._untold = untold
        self._cached_tokens: int | None = None
        self.complete = False

    def take(self, line: bytes) -> Output | None:
        """Take one line of the stream; return what it adds to the answer, if it does.

        The last part is kept back until the usage is there. Raises EngineError where the line tells of a failure.
        """
        data = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or not data:
            return None
        if data == b"[DONE]":
            return self._last()
        event = _parsed(data)
        if error := event.get("error"):
            code = error.get("code") if isinstance(error, Mapping) else None
            raise failure(code if isinstance(code, int) else 500, event)
        if usage := event.get("usage"):
            told = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
            self._cached_tokens = self._untold if told is None else told
        outputs = [self._output(choice) for choice in event.get("choices") or []]
        return outputs[0] if outputs else None

    def _output(self, choice: Mapping[str, Any]) -> Output | None:
        output = Output(
            choice.get("text") or "", tuple(choice.get("token_ids") or ()), None, choice.get("finish_reason")
        )
        if output.finish_reason is None:
            return output
        self._held = output
        return None

    def _last(self) -> Output | None:
        if self._held is None:
            return None
        self.complete = True
        held = self._held
        return Output(held.text, held.token_ids, self._cached_tokens, held.finish_reason)


def failure(status: int, said: object) -> EngineError:
    """Return the error that an HTTP status stands for; `said` is the answer's body, as JSON or text."""
    words = _words(said)
    if status in _BUSY:
        return EngineBusy(f"the engine has no room: {words}")
    if status >= 500 or status == 408:
        return EngineUnavailable(f"the engine failed with HTTP status {status}: {words}")
    if status in (401, 403):
        return NotServed("the engine refused the API key; set FOREFILL_ENGINE_API_KEY")
    if status in _NOT_OFFERED:
        return NotOffered(words)
    return EngineRefused(words)


def _words(said: object) -> str:
    if isinstance(said, Mapping):
        error = said.get("error", said)
        said = error.get("message", error) if isinstance(error, Mapping) else error
    return one_line(said)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        raise EngineUnavailable("the engine's answer is not JSON; is there a proxy in between?") from None
    return event if isinstance(event, dict) else {}
