"""What vLLM in our charge is asked for, where the model has sampling of its own; no vLLM is needed."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.engine.vllm.embedded import EmbeddedEngine

CONTEXT_TOKENS = 100


@pytest.fixture(autouse=True)
def _vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have vLLM's own class of what is asked for replaced by one that takes anything once."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    kinds = SimpleNamespace(DELTA="delta")
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", SimpleNamespace(RequestOutputKind=kinds))


def engine(**model_defaults: Any) -> EmbeddedEngine:
    """Return the engine of a model whose defaults differ from vLLM's in these, as vLLM tells them."""
    model = SimpleNamespace(max_model_len=CONTEXT_TOKENS, get_diff_sampling_param=lambda: model_defaults)
    config = SimpleNamespace(
        model_config=model,
        cache_config=SimpleNamespace(block_size=16, num_gpu_blocks=64),
        parallel_config=SimpleNamespace(data_parallel_size=1),
    )
    vllm: Any = SimpleNamespace(vllm_config=config)
    started: Any = SimpleNamespace(vllm=vllm, model_name="a model", load=None, cache_events=None)
    chat: Any = None
    return EmbeddedEngine(started, chat)


def test_the_limit_of_the_model_is_told() -> None:
    assert engine().info.default_answer_tokens is None
    assert engine(max_tokens=7).info.default_answer_tokens == 7


def test_what_the_session_leaves_open_is_the_models() -> None:
    params = engine(temperature=0.6, top_k=20)._sampling_params(Sampling(temperature=0.0), 10)
    assert (params.temperature, params.top_k, params.top_p) == (0.0, 20, 1.0)


@pytest.mark.parametrize(
    ("defaults", "penalizes"),
    [
        ({}, False),
        ({"repetition_penalty": 1.1}, False),
        ({"presence_penalty": 1.5}, True),
        ({"frequency_penalty": 0.1}, True),
    ],
)
def test_it_says_whether_the_model_penalizes_what_the_answer_has_said(
    defaults: dict[str, float], penalizes: bool
) -> None:
    assert engine(**defaults).info.penalizes is penalizes
