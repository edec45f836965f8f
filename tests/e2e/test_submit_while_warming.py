"""SUBMIT while a warm runs, on real vLLM: the answer is the one that nothing warmed would have had."""

import secrets

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.server import RunningServer

from tests.support.wire import typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    "submitted", [None, "What is the capital of France?"], ids=["what was typed", "something else"]
)
async def test_the_answer_is_the_one_that_nothing_warmed_would_have_had(
    embedded_server: RunningServer, submitted: str | None
) -> None:
    pasted = "".join(f"Car {i} costs {i * 17} dollars.\n" for i in range(150)) + "Which car is the cheapest? "
    messages = [("system", f"{secrets.token_hex(4)} You are a helpful assistant.")]
    answers = []
    for warm_mode in (pb.WARM_MODE_OFF, pb.WARM_MODE_AUTO):
        async with typing_at(
            embedded_server.address,
            messages,
            sampling=pb.Sampling(temperature=0, max_tokens=12),
            warm_mode=warm_mode,
            cache_scope=pb.CACHE_SCOPE_SESSION,
        ) as typist:
            await typist.type(pasted)
            await typist.send_flush()
            answers.append(await typist.submit(submitted))
            await typist.end()
    plain, forefilled = answers
    assert forefilled.text == plain.text != ""
    assert forefilled.finished.usage.prompt_tokens == plain.finished.usage.prompt_tokens
    assert plain.cached_tokens == 0
