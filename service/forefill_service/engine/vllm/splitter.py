"""The parts of an answer, apart as vLLM's chat endpoint sends them: its own parsers split what the model wrote.

A model may think before it answers (`--reasoning-parser`), call tools (`--tool-call-parser`), or speak Harmony
(gpt-oss): it thinks in its channel `analysis`, and its text is that of `final`, and of `commentary` that addresses no
tool. The tokens before decide what the endpoint would do with a token, so one splitter follows an answer from its first
token to its last, whichever requests they come from.

An answer in Harmony that ends early, within a header, has no text for it: vLLM's endpoint would give the header itself
as text.

Source: `vllm.entrypoints.openai.chat_completion.serving`, `vllm.parser` (0.32).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...chat.generation import ToolCallPart
from ...errors import EngineRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...chat.generation import Output


class VllmSplitter:
    """The `AnswerSplitter` of one answer.

    `parser` is a new parser of vLLM's, and `request` the chat completion that would have had this answer. `flushes`
    says whether what the parser has held back belongs to the answer when it ends.
    """

    def __init__(self, parser: Any, request: Any, prompt_ids: Sequence[int], *, flushes: bool) -> None:
        self._parser = parser
        self._request = request
        self._prompt_ids = list(prompt_ids)
        self._flushes = flushes
        self._calls_by_choice = False
        # As at the endpoint, which takes the call of a named tool for what was asked for, and not for a reason to end.
        self._names_the_tool = not isinstance(request.tool_choice, str | None)

    def split(self, output: Output) -> Output:
        """Return the next part of the answer with its text, its reasoning and its tool calls apart.

        Raises EngineRefused if the parser fails.
        """
        finished = self._flushes and output.finish_reason is not None
        try:
            delta = self._parser.parse_delta(
                output.text,
                list(output.token_ids),
                self._request,
                prompt_token_ids=self._prompt_ids,
                finished=finished,
            )
        except Exception as error:  # parsers raise anything, on what a model writes
            # Its words may be those of the answer.
            raise EngineRefused(f"the answer could not be parsed ({type(error).__name__})") from error
        calls = () if delta is None else tuple(_call_part(call) for call in delta.tool_calls or ())
        self._calls_by_choice |= bool(calls) and not self._names_the_tool
        if self._request.parallel_tool_calls is False:
            calls = tuple(call for call in calls if call.index == 0)
        reason = "tool_calls" if self._calls_by_choice and output.finish_reason == "stop" else output.finish_reason
        return replace(
            output,
            text=(delta and delta.content) or "",
            reasoning=(delta and delta.reasoning) or "",
            tool_calls=calls,
            finish_reason=reason,
        )


def _call_part(call: Any) -> ToolCallPart:
    function = call.function
    name, arguments = (function.name, function.arguments) if function is not None else (None, None)
    return ToolCallPart(call.index, call.id or "", name or "", arguments or "")
