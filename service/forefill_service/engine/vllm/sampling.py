"""The sampling of an answer on vLLM: the session's own, the model's for what that leaves open, then vLLM's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...chat.generation import Sampling

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
        arguments = {**self.values, **chosen, **sampling.extras, "seed": sampling.seed}
        if ends := [*sampling.stop_token_ids, *self.values.get("stop_token_ids", ())]:
            arguments["stop_token_ids"] = list(dict.fromkeys(ends))
        return arguments
