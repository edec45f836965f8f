"""Templates that fail: each is refused in its own words, as far as a header has room for them."""

from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat
from forefill_service.engine.template_variables import variables_of
from forefill_service.errors import Reason, Refusal

from tests.support.small_tokenizer import small_tokenizer

TOKENIZER = small_tokenizer()
USER = (ChatMessage("user", "x"),)
CONTEXT_TOKENS = 64


def chat(template: str) -> HfChat:
    return HfChat(TOKENIZER, template, variables=variables_of(template))


def refused(template: str, **kwargs: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        chat(template).render(Conversation(USER, kwargs))
    return refusal.value


RECURSION = "{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('Only user and assistant roles are supported!') }}", "Only user and assistant roles"),
        ("{{ raise_exception('one line\nand another') }}", "one line\nand another"),
        ("{{ nothing.at.all }}", "'nothing' is undefined"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages + 1 }}", "can only concatenate list"),
        ("{{ messages[0]['text']['x'] }}", "has no attribute 'text'"),
        ("{{ {} | length + [] }}", "unsupported operand"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% for i in range(10 ** 9) %}{% endfor %}", "Range too big"),
        ("{{ messages | sort(attribute='x') | first | tojson(indent=messages) }}", "can't multiply sequence"),
        (RECURSION, "maximum recursion depth exceeded"),
        ("{{ 'x' * 10 ** 14 }}", "MemoryError"),
        ("{{ messages.append(1) }}", "unsafe"),
    ],
)
def test_a_template_that_fails_is_refused_in_its_own_words(template: str, words: str) -> None:
    refusal = refused(template)
    assert refusal.reason is Reason.TEMPLATE_REFUSED
    assert words in str(refusal)


@pytest.mark.parametrize("text", ["a", "é", "見", "👩", "\ud800"])
@pytest.mark.parametrize("length", [499, 100_000])
def test_the_words_of_a_refusal_have_room_in_a_header_and_can_be_sent(text: str, length: int) -> None:
    refusal = refused("{{ raise_exception(words) }}", words=text * length)
    said = str(refusal)
    assert len(said.encode()) < 600
    assert len(said) > 150


class Raising:
    """A tokenizer whose rendering raises, or returns, what it is told to."""

    backend_tokenizer = None

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome

    def get_vocab(self) -> dict[str, int]:
        return {"a": 1}

    def apply_chat_template(self, conversation: object, **kwargs: Any) -> object:
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        raise TypeError


@pytest.mark.parametrize(
    "error", [Exception(), MemoryError(), RecursionError("deep"), StopIteration(1), OSError(2, "x"), KeyError("k")]
)
def test_whatever_rendering_raises_is_a_refusal(error: Exception) -> None:
    with pytest.raises(Refusal) as refusal:
        HfChat(Raising(error), "").render(Conversation(USER))
    assert refusal.value.reason is Reason.TEMPLATE_REFUSED
    assert (str(error) or type(error).__name__) in str(refusal.value)


@pytest.mark.parametrize("outcome", [None, 1, b"text", ["text"], [1, 2]])
def test_what_is_no_text_is_refused(outcome: object) -> None:
    with pytest.raises(Refusal, match=f"a {type(outcome).__name__}, not a text") as refusal:
        HfChat(Raising(outcome), "").render(Conversation(USER))
    assert refusal.value.reason is Reason.TEMPLATE_REFUSED


@pytest.mark.parametrize("template", ["{{ '\\ud800' }}", "{{ messages[0]['content'] }}\udfff"])
def test_half_a_surrogate_pair_is_refused(template: str) -> None:
    with pytest.raises(Refusal, match="cannot be tokenized") as refusal:
        TurnPrompt(chat(template), Conversation(), CONTEXT_TOKENS).final("x")
    assert refusal.value.reason is Reason.TEMPLATE_REFUSED
