"""The splitters of the fake engine."""

from dataclasses import dataclass, replace

from ...chat.generation import Output, ToolCallPart

REQUIRED_CALL_ID = "call-1"


@dataclass(slots=True)
class FakeSplitter:
    """An `AnswerSplitter` that takes the first `reasoning_tokens` of an answer for reasoning."""

    reasoning_tokens: int
    made_tokens: int = 0

    def split(self, output: Output) -> Output:
        """Return the next part, which is reasoning as a whole, or none of it."""
        thinks = self.made_tokens < self.reasoning_tokens
        self.made_tokens += len(output.token_ids)
        return replace(output, text="", reasoning=output.text) if thinks else output


@dataclass(slots=True)
class RequiredCallSplitter:
    """An `AnswerSplitter` that takes an answer for the arguments of one call of a tool.

    `named` says whether the client has named the tool: then the call is no reason for the answer to end.
    """

    name: str
    named: bool
    begun: bool = False

    def split(self, output: Output) -> Output:
        """Return the next part, which is of the call as a whole."""
        id_and_name = ("", "") if self.begun else (REQUIRED_CALL_ID, self.name)
        self.begun = True
        part = ToolCallPart(0, *id_and_name, output.text)
        reason = "tool_calls" if output.finish_reason == "stop" and not self.named else output.finish_reason
        return replace(output, text="", tool_calls=(part,), finish_reason=reason)
