"""The ids of one turn's prompts: chat messages and a draft, by the model's own chat template.

Two facts shape this file. SUBMIT must send exactly what vLLM's chat endpoint would make of the same messages, so its
text is always rendered whole by the template. And the cost of a FLUSH must not grow with the base prompt, so everything
before the draft is tokenized once: fast tokenizers cut a text at its special tokens first and tokenize the parts on
their own, so the ids before the last special token ahead of the draft (the head) cannot depend on the draft.

Stable ids are what renderings with different continuations of the confirmed text have in common. A continuation unlike
all of `PROBES` can break them: that costs a miss of one block, never a wrong answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import Reason, Refusal
from .messages import ChatMessage
from .token_ids import TokenIds, common_length, common_prefix, compact

PROBES = ("a", " 7", ".)", "\nx", "的")
"""Continuations of a confirmed text. None ends in white space, which some templates trim."""


class Chat(Protocol):
    """What a prompt needs of a model."""

    @property
    def split_texts(self) -> tuple[str, ...]:
        """Special tokens at which tokenization restarts, whatever comes before them; may be empty."""

    @property
    def longest_token(self) -> int:
        """Code points of the longest token in the vocabulary."""

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        """Return the prompt's text; raises Refusal if the template refuses."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text."""


class TurnPrompt:
    """Renders the prompts of one turn: the conversation so far with any draft as the user's last message.

    Making one renders and tokenizes the whole base prompt. All methods take milliseconds or more: run them off the
    event loop. `context_tokens` is the model's context; a prompt must leave room for one token.
    """

    def __init__(
        self, chat: Chat, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any], context_tokens: int
    ) -> None:
        self._chat = chat
        self._messages = tuple(messages)
        self._kwargs = kwargs
        self._context_tokens = context_tokens
        texts = [self._render(probe) for probe in PROBES[:2]]
        before, self._after = _around(texts, PROBES[:2])
        self._head_text, self._head = self._split(texts[0], before)
        self.base = self.stable("")
        self._check_room(self.base)

    def final(self, text: str) -> TokenIds:
        """Return the ids of the prompt that asks for the answer to this text, exactly as vLLM's chat endpoint does.

        Raises Refusal: PROMPT_TOO_LONG, TEMPLATE_REFUSED.
        """
        ids = self._encode(self._render(text))
        self._check_room(ids)
        return ids

    def stable(self, confirmed: str) -> TokenIds:
        """Return the leading ids that all continuations of the confirmed text are expected to share."""
        first, *others = PROBES
        text = self._render(confirmed + first)
        if self._after is not None and text.endswith(first + self._after):
            head, rest = self._cut(text)
            body = rest[: len(rest) - len(first + self._after)]
            return common_prefix([TokenIds(head, tuple(self._chat.encode(body + probe))) for probe in PROBES])
        # The template does more with the user's text than to trim it: trust nothing but whole renderings.
        return common_prefix([self._encode(text), *(self._encode(self._render(confirmed + p)) for p in others)])

    def _render(self, text: str) -> str:
        rendered = self._chat.render((*self._messages, ChatMessage("user", text)), self._kwargs)
        most = self._context_tokens * self._chat.longest_token
        if len(rendered) > most:  # so it is too long, without a tokenizer: vLLM's rule, too
            raise Refusal(Reason.PROMPT_TOO_LONG, f"{len(rendered)} characters, and {most} have room at most")
        return rendered

    def _encode(self, text: str) -> TokenIds:
        head, rest = self._cut(text)
        return TokenIds(head, tuple(self._chat.encode(rest)))

    def _cut(self, text: str) -> tuple[Sequence[int], str]:
        """Return the ids of the head and the text after it; no ids and all of the text if it has another head."""
        if self._head and text.startswith(self._head_text):
            return self._head, text[len(self._head_text) :]
        return (), text

    def _split(self, text: str, before: str) -> tuple[str, Sequence[int]]:
        """Return the text and the ids of the head, or nothing if the text cannot be cut."""
        split_texts = self._chat.split_texts
        cut = max((before.rfind(special) for special in split_texts), default=-1)
        header = before[cut:]
        if cut <= 0 or any(longer.startswith(header) and longer != header for longer in split_texts):
            return "", ()
        head = self._chat.encode(text[:cut])
        if [*head, *self._chat.encode(text[cut:])] != self._chat.encode(text):
            return "", ()
        return text[:cut], compact(head)

    def _check_room(self, ids: TokenIds) -> None:
        if len(ids) >= self._context_tokens:
            raise Refusal(Reason.PROMPT_TOO_LONG, f"{len(ids)} tokens of {self._context_tokens}")


def _around(texts: Sequence[str], drafts: Sequence[str]) -> tuple[str, str | None]:
    """Return what two renderings have in common before and after their drafts.

    There is no common text after them (None) if the template uses the draft more than once.
    """
    a, b = texts
    start = common_length(a, b)
    after = a[start + len(drafts[0].strip()) :]
    return a[:start], after if b.endswith(after) else None
