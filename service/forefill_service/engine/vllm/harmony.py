"""The text of an answer in Harmony, the format of gpt-oss: what vLLM's own parser takes for its content.

An answer has channels: the model thinks in `analysis`, and answers in `final`. As in vLLM's chat endpoint, the text is
that of `final`, and of `commentary` that addresses no tool. What the model thinks is not shown, since the wire has no
field for it, but its tokens count, and the first of them is the answer's first token. An answer that ends early,
within a header, has no text for it: vLLM's endpoint would then give the header itself as text.

Source: `vllm.parser.harmony` (0.32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWER_BEGINS = "<|start|>assistant"


class HarmonyText:
    """Splits one answer. `parser` is a new parser of vLLM's; the prompt may end within the answer."""

    def __init__(self, parser: Any, prompt_ids: Sequence[int]) -> None:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        self._parser = parser
        self._request = ChatCompletionRequest(messages=[])
        self.of(_answered(prompt_ids))

    def of(self, token_ids: Sequence[int]) -> str:
        """Return the text that comes with the next tokens of the answer."""
        delta = self._parser.parse_delta("", list(token_ids), self._request, finished=False)
        return (delta.content or "") if delta is not None else ""


def _answered(prompt_ids: Sequence[int]) -> Sequence[int]:
    """Return what a prompt has of its answer's last message; a prompt that ends where an answer begins has nothing."""
    from vllm.entrypoints.openai.parser.harmony_utils import get_encoding

    begins = get_encoding().encode(_ANSWER_BEGINS, allowed_special="all")
    for at in range(len(prompt_ids) - len(begins), -1, -1):
        if list(prompt_ids[at : at + len(begins)]) == begins:
            return prompt_ids[at + len(begins) :]
    return ()
