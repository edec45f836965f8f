"""The splitter of the fake engine: the first tokens of an answer are what it thought."""

from dataclasses import dataclass, replace

from ...chat.generation import Output


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
