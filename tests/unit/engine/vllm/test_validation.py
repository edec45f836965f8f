"""What vLLM says of a sampling before there is a prompt, without vLLM: in words of ours, and in a short time."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from forefill_service.engine.vllm import validation
from forefill_service.engine.vllm.validation import Validation
from forefill_service.errors import Reason, Refusal

CONFIG = SimpleNamespace(model_config="model", speculative_config="drafts", structured_outputs_config="structures")
VLLM: Any = SimpleNamespace(vllm_config=CONFIG, renderer=SimpleNamespace(get_tokenizer=lambda: "tokenizer"))


class Params:
    """vLLM's parameters; `says` is done when they are verified, and `of_words` when words are looked up."""

    def __init__(
        self, says: Callable[[], object] = lambda: None, of_words: Callable[[], object] = lambda: None
    ) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self._says, self._of_words = says, of_words

    def verify(self, *arguments: Any) -> None:
        self.seen.append(arguments)
        self._says()

    def update_from_tokenizer(self, tokenizer: Any) -> None:
        self.seen.append((tokenizer,))
        self._of_words()


def raising(error: Exception) -> Callable[[], None]:
    def says() -> None:
        raise error

    return says


def slowly(seconds: list[float]) -> Callable[[], None]:
    """Take another time at each call."""
    return lambda: time.sleep(seconds.pop(0))


async def test_it_is_asked_with_all_that_it_needs_to_know() -> None:
    params: Any = Params()
    await Validation(VLLM).validate(lambda: params)
    assert params.seen == [("model", "drafts", "structures", "tokenizer"), ("tokenizer",)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Params(says=raising(ValueError("no such zyzzyva in the\ngrammar"))),
        lambda: Params(of_words=raising(RuntimeError("no such zyzzyva in the\ngrammar"))),
        raising(ValueError("no such zyzzyva in the\ngrammar")),
    ],
)
async def test_what_it_does_not_take_is_refused_with_what_that_is_about(make: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        await Validation(VLLM).validate(make)
    assert (refusal.value.reason, refusal.value.detail) == (
        Reason.INVALID_SAMPLING,
        "the engine cannot use the grammar",
    )


async def test_what_takes_it_long_is_refused_and_the_next_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "SECONDS", 0.02)
    stuck, checker = threading.Event(), Validation(VLLM)
    slow: Any = Params(says=lambda: stuck.wait(20))
    with pytest.raises(Refusal, match="make the structure simpler") as refusal:
        await checker.validate(lambda: slow)
    assert refusal.value.reason is Reason.INVALID_SAMPLING
    stuck.set()
    monkeypatch.setattr(validation, "SECONDS", 20)
    quick: Any = Params()
    await checker.validate(lambda: quick)
    assert quick.seen


async def test_the_first_time_may_take_longer_than_each_request_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "EVERY_TIME_SECONDS", 0.2)
    monkeypatch.setattr(validation, "SECONDS", 20)
    once: Any = Params(says=slowly([0.3, 0.0]))
    await Validation(VLLM).validate(lambda: once)
    ever: Any = Params(says=slowly([0.3, 0.3]))
    with pytest.raises(Refusal, match="make the structure simpler"):
        await Validation(VLLM).validate(lambda: ever)


async def test_who_waits_too_long_behind_what_was_given_up_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "SECONDS", 0.02)
    monkeypatch.setattr(validation, "WAIT_SECONDS", 0.05)
    stuck, checker = threading.Event(), Validation(VLLM)
    slow: Any = Params(says=lambda: stuck.wait(20))
    with pytest.raises(Refusal):
        await checker.validate(lambda: slow)
    quick: Any = Params()
    with pytest.raises(Refusal) as refusal:
        await checker.validate(lambda: quick)
    assert refusal.value.reason is Reason.TOO_MANY_SESSIONS
    assert not quick.seen
    stuck.set()
    monkeypatch.setattr(validation, "SECONDS", 20)
    monkeypatch.setattr(validation, "WAIT_SECONDS", 20)
    await checker.validate(lambda: quick)
