"""The chat and the answers of the fake engine: no model, but text and ids that depend on each other as a model's do."""

import json
import re
import zlib
from array import array
from collections.abc import Sequence
from functools import cache

from ...chat.holdback import Holdback
from ...chat.messages import ChatMessage, Conversation

_END = "<|end|>\n"

VOCABULARY = 2**31
"""Ids of tokens are below it."""


class FakeChat:
    """A ChatML-like template and a tokenizer by words: " word", one space, or one other character is a token.

    The template shows all of a conversation but its `template_kwargs`.
    """

    split_texts = ("<|start|>", "<|end|>")
    longest_token = 256

    _TOKEN = re.compile(r"<\|start\|>|<\|end\|>| ?\w+|\s|[^\w\s]")

    def render(self, conversation: Conversation) -> str:
        """Return the prompt's text."""
        begun = self._before(conversation) + "".join(_turn(message) for message in conversation.messages)
        if conversation.continue_final_message:
            return begun.removesuffix(_END)
        return f"{begun}<|start|>assistant\n"

    def words_of(self, text: str) -> list[str]:
        """Return the texts of its tokens."""
        return self._TOKEN.findall(text)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""
        return [zlib.crc32(token.encode()) >> 1 for token in self.words_of(text)]

    def text_of(self, token: int) -> str:
        """Return a mark: an id is a checksum, which does not say of what."""
        return "?"

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]]:
        """Return the ids of a text and the code points before the end of each."""
        return self.encode(text), [token.end() for token in self._TOKEN.finditer(text)]

    def _before(self, conversation: Conversation) -> str:
        given = {
            "tools": "\n".join(map(json.dumps, conversation.tools)),
            "documents": "\n".join(map(json.dumps, conversation.documents)),
            "effort": conversation.reasoning_effort,
        }
        return "".join(f"<|start|>{name}\n{text}{_END}" for name, text in given.items() if text)

    @property
    def holdback(self) -> Holdback:
        """How much of a text's end the tokenizer may still change."""
        return _holdback()


def _turn(message: ChatMessage) -> str:
    speaker = " ".join(part for part in (message.role, message.name, message.tool_call_id) if part)
    thought = f"<think>{message.reasoning}</think>" if message.reasoning else ""
    calls = "".join(f"\n{call.id} {call.name} {call.arguments}" for call in message.tool_calls)
    return f"<|start|>{speaker}\n{thought}{message.content}{calls}{_END}"


@cache
def _holdback() -> Holdback:
    return Holdback.measured(FakeChat().encode)


[_NEWLINE] = FakeChat().encode("\n")
_BEFORE_ANSWER = FakeChat().encode("<|start|>assistant\n")


def answer_to(
    prompt_ids: Sequence[int],
    answer_tokens: int,
    max_tokens: int,
    min_tokens: int | None = None,
    adapter: str = "",
) -> tuple[list[str], str]:
    """Return the words of an answer, one token each, and its finish reason.

    The whole answer has `answer_tokens`; a prompt that ends with some of its words gets the rest, of `min_tokens` at
    least: after the last word its end, which has no text.
    """
    rest = max(min_tokens or 0, answer_tokens - _already_answered(prompt_ids))
    if rest <= 0:
        return [""], "stop"
    state, words = _hash(prompt_ids, zlib.crc32(adapter.encode())), list[str]()
    after_newline = prompt_ids[-1] == _NEWLINE
    for _ in range(min(max_tokens, rest)):
        words.append(f"{'' if after_newline else ' '}w{state % 1000}")
        state, after_newline = _hash(FakeChat().encode(words[-1]), state), False
    return words, "stop" if rest <= max_tokens else "length"


def choose(prompt_ids: Sequence[int], texts: Sequence[str], max_tokens: int) -> tuple[list[str], str]:
    """Return the words of one of these texts, and its finish reason."""
    words = FakeChat().words_of(texts[_hash(prompt_ids) % len(texts)])
    return words[:max_tokens], "stop" if len(words) <= max_tokens else "length"


def rest_of(text: str, prompt_ids: Sequence[int], max_tokens: int) -> tuple[list[str], str]:
    """Return the tokens of an answer with this text, and its finish reason.

    A prompt that ends with the beginning of the text gets the rest: after all of it its end, which has no text.
    """
    words, ids = FakeChat().words_of(text), FakeChat().encode(text)
    begun = (count for count in range(len(ids), 0, -1) if _ends_with(prompt_ids, [*_BEFORE_ANSWER, *ids[:count]]))
    rest = words[next(begun, 0) :]
    return rest[:max_tokens] or [""], "stop" if len(rest) <= max_tokens else "length"


def cut_at(words: list[str], reason: str, stops: Sequence[str]) -> tuple[list[str], str]:
    """Return the words of an answer up to the first of these texts, and its finish reason."""
    text = "".join(words)
    end = min((at for at in map(text.find, stops) if at >= 0), default=None)
    if end is None:
        return words, reason
    kept: list[str] = []
    while words and end > 0:
        kept.append(words[len(kept)][:end])
        end -= len(kept[-1])
    return kept or [""], "stop"


def _ends_with(ids: Sequence[int], end: Sequence[int]) -> bool:
    return list(ids[-len(end) :]) == list(end)


def _hash(ids: Sequence[int], before: int = 0) -> int:
    return zlib.crc32(array("Q", ids).tobytes(), before)


def _already_answered(ids: Sequence[int]) -> int:
    return ids[::-1].index(_NEWLINE) if _NEWLINE in ids else 0  # the template's last line ends before the answer
