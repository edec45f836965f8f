"""The sampling of an answer on vLLM: the session's own, the model's for what that leaves open, then vLLM's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...chat.generation import LEAST_LOGPROB, Sampling, TokenLogprob, TokenLogprobs

VLLM_DEFAULTS: Mapping[str, Any] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""The values of vLLM's chat endpoint if neither the caller nor the model sets any."""


@dataclass(frozen=True, slots=True)
class ModelSampling:
    """The defaults of one model: `values` by field, and the most tokens of an answer, None for no limit."""

    values: Mapping[str, Any]
    max_tokens: int | None = None

    @classmethod
    def of(cls, differing: Mapping[str, Any]) -> Self:
        """Return the defaults of a model that differs from vLLM's in these values."""
        values = {**VLLM_DEFAULTS, **differing}
        max_tokens = values.pop("max_tokens", None)
        return cls(values, max_tokens)

    @property
    def penalizes(self) -> bool:
        """Whether the model has a presence or frequency penalty of its own."""
        return bool(self.values["presence_penalty"] or self.values["frequency_penalty"])

    def arguments(self, sampling: Sampling) -> dict[str, Any]:
        """Return the arguments of vLLM's SamplingParams for a session's sampling, but for `max_tokens`."""
        given = {name: getattr(sampling, name) for name in VLLM_DEFAULTS}
        chosen = {name: value for name, value in given.items() if value is not None}
        arguments = {**self.values, **chosen, **sampling.extras, "seed": sampling.seed, "logprobs": sampling.logprobs}
        if ends := [*sampling.stop_token_ids, *self.values.get("stop_token_ids", ())]:
            arguments["stop_token_ids"] = list(dict.fromkeys(ends))
        return arguments


def logprobs_of(part: Any, likeliest: int | None) -> tuple[TokenLogprobs, ...]:
    """Return the logprobs of a part of an answer (vLLM's CompletionOutput); none if they were not asked for."""
    if likeliest is None or not part.logprobs:
        return ()
    return tuple(
        TokenLogprobs.of([_logprob(token, place[token]), *_others(token, place)], likeliest)
        for token, place in zip(part.token_ids, part.logprobs, strict=True)
    )


def _others(token: int, place: Mapping[int, Any]) -> list[TokenLogprob]:
    return [_logprob(other, found) for other, found in place.items() if other != token]


def _logprob(token: int, found: Any) -> TokenLogprob:
    return TokenLogprob(token, found.decoded_token or "", max(found.logprob, LEAST_LOGPROB))
