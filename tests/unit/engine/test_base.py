"""The rules that hold for every engine."""

import pytest
from forefill_service.engine import EngineInfo
from forefill_service.errors import EngineRefused

CONTEXT_TOKENS = 100


@pytest.mark.parametrize(
    ("asked", "of_the_model", "expected"),
    [(None, None, 90), (5, None, 5), (None, 7, 7), (5, 7, 5), (9, 7, 9), (None, 200, 90), (200, 7, 90)],
)
def test_an_answer_is_as_long_as_the_session_the_model_or_the_context_says(
    asked: int | None, of_the_model: int | None, expected: int
) -> None:
    info = EngineInfo("a model", 16, CONTEXT_TOKENS, default_answer_tokens=of_the_model)
    assert info.answer_tokens(10, asked) == expected


@pytest.mark.parametrize("prompt_tokens", [CONTEXT_TOKENS, CONTEXT_TOKENS + 1])
def test_a_prompt_that_fills_the_context_is_refused(prompt_tokens: int) -> None:
    info = EngineInfo("a model", 16, CONTEXT_TOKENS)
    assert info.answer_tokens(CONTEXT_TOKENS - 1, None) == 1
    with pytest.raises(EngineRefused, match="leaves no room"):
        info.answer_tokens(prompt_tokens, 1)
