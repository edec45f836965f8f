"""The fake engine's answers of a given text, and its faults that are about answers alone."""

from collections.abc import Sequence

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.engine.base import ONE_TOKEN, Priority, Request
from forefill_service.engine.fake.chat import rest_of
from forefill_service.errors import EngineRefused, EngineUnavailable
from forefill_service.settings import Settings
from hypothesis import given
from hypothesis import strategies as st

PROMPT = FakeChat().encode("<|start|>assistant\n")
ANY_LENGTH = Sampling()
TEXT = st.text(alphabet="ab é字👍.\n", min_size=1, max_size=20)


async def answered(engine: FakeEngine, sampling: Sampling = ANY_LENGTH, said: str = "") -> str:
    request = Request([*PROMPT, *FakeChat().encode(said)], sampling, Priority.GENERATION)
    return "".join([output.text async for output in engine.generate(request)])


@given(text=TEXT, cut=st.integers(0, 20))
def test_a_prompt_with_the_beginning_of_the_text_gets_the_rest(text: str, cut: int) -> None:
    words = FakeChat().words_of(text)
    assert "".join(words) == text
    said = "".join(words[:cut])
    rest, reason = rest_of(text, [*PROMPT, *FakeChat().encode(said)], 1000)
    assert reason == "stop"
    assert said + "".join(rest) == text


@pytest.mark.parametrize(
    ("max_tokens", "expected"),
    [(1, (["one"], "length")), (2, (["one", " two"], "stop")), (9, (["one", " two"], "stop"))],
)
def test_a_text_ends_at_the_most_tokens(max_tokens: int, expected: tuple[Sequence[str], str]) -> None:
    assert rest_of("one two", PROMPT, max_tokens) == expected


async def test_the_settings_make_the_engine() -> None:
    flags = Settings(
        engine="fake", fake_answer="one two three", fake_refuse_every=2, fake_break_every=3, fake_decode_speed=1e9
    )
    engine = FakeEngine.of(flags)
    assert await answered(engine) == "one two three"
    with pytest.raises(EngineRefused):
        await answered(engine)
    with pytest.raises(EngineUnavailable):
        await answered(engine)


async def test_faults_of_answers_are_not_those_of_warms_and_tests() -> None:
    engine = FakeEngine()
    engine.faults.refuse_answers = engine.faults.break_answers = 1
    assert await answered(engine, ONE_TOKEN)
    async for _ in engine.generate(Request(PROMPT, Sampling(max_tokens=1), Priority.WARM)):
        pass
    with pytest.raises(EngineRefused):
        await answered(engine)
    with pytest.raises(EngineUnavailable):
        await answered(engine)
    assert await answered(engine)
