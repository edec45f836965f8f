"""The logprobs in the responses of vLLM's completions and chat completions, which are of two shapes.

Both are asked for tokens as ids ("token_id:42"): alternatives may have the same text, and completions name them by it.
Completions report as many alternatives as are asked for, and the token beside them; chat completions report the token
as one of so many, likely or not. A server that cannot name tokens by their ids is none of vLLM's, and refused by name.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from ...chat.generation import LEAST_LOGPROB, TokenLogprob, TokenLogprobs
from ...errors import EngineRefused
from .fields import MOST

_ID = "token_id"
_ROUNDING = 0.01
"""How far above 0 a logarithm may come out."""

Place = list[tuple[str, float | None]]
"""Tokens with their logprobs: first that of the answer, then the likeliest."""


class LogprobsReader:
    """Reads those of one answer.

    `likeliest` is the number that was asked for; `text_of` returns the text of a token, and ids are below `vocabulary`,
    None if unknown.
    """

    def __init__(self, likeliest: int, text_of: Callable[[int], str], vocabulary: int | None = None) -> None:
        self._likeliest = likeliest
        self._text_of = text_of
        self._below = vocabulary or MOST

    def of(self, said: Any) -> tuple[TokenLogprobs, ...]:
        """Return the logprobs of one part of the answer. Raises EngineRefused if they cannot be read."""
        try:
            places = _of_chat(said["content"]) if "content" in said else _of_completion(said)
            return tuple(TokenLogprobs.of(self._tokens(place), self._likeliest) for place in places)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
            raise EngineRefused("its logprobs are not those of vLLM; leave Sampling.logprobs out") from None

    def _tokens(self, place: Place) -> list[TokenLogprob]:
        found: dict[int, float] = {}
        for token, logprob in place:
            found.setdefault(self._id(token), _checked(logprob))
        return [TokenLogprob(token, self._text_of(token), logprob) for token, logprob in found.items()]

    def _id(self, token: str) -> int:
        named, _, number = token.partition(":")
        if named != _ID or not (number.isascii() and number.isdecimal()) or int(number) >= self._below:
            raise ValueError
        return int(number)


def _checked(logprob: float | None) -> float:
    if logprob is None:
        return LEAST_LOGPROB
    if type(logprob) not in (int, float) or not -math.inf < logprob <= _ROUNDING:
        raise ValueError
    return min(0.0, max(LEAST_LOGPROB, logprob))


def asked_of_completions(likeliest: int) -> dict[str, Any]:
    """Return the fields of a completion that ask for logprobs."""
    return {"logprobs": likeliest, "return_tokens_as_token_ids": True}


def asked_of_chat(likeliest: int) -> dict[str, Any]:
    """Return the fields of a chat completion that ask for logprobs."""
    return {"logprobs": True, "top_logprobs": likeliest, "return_tokens_as_token_ids": True}


def _of_completion(said: Any) -> Iterator[Place]:
    for token, logprob, others in zip(said["tokens"], said["token_logprobs"], said["top_logprobs"], strict=True):
        yield [(token, logprob), *({} if others is None else others).items()]


def _of_chat(content: Any) -> Iterator[Place]:
    for place in () if content is None else content:
        others = place.get("top_logprobs")
        places = () if others is None else others
        yield [(place["token"], place["logprob"]), *((other["token"], other["logprob"]) for other in places)]
