"""A prefill as a value, and the words that the planner and admission speak of it in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from ..chat.token_ids import TokenIds
from .blocks import BlockName

Room = Callable[[int], int]
"""How many new tokens one warm may compute now after this many cached ones; less than a block is nothing."""


class Wait(Enum):
    """Why there is nothing to send now, though something is wanted."""

    NO_ROOM = auto()
    COMPUTED_BY_ANOTHER = auto()


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prompt to compute; its first `frontier` tokens are believed cached when it is planned.

    A warm's is whole blocks, with their `names`; a pre-generation's is a whole prompt, without names.
    """

    prefix: TokenIds
    frontier: int
    names: tuple[BlockName, ...] = field(default=(), compare=False)
    new_names: Sequence[BlockName] = field(default=(), compare=False)
    planned_at: float = field(default=0.0, compare=False)

    @property
    def new_tokens(self) -> int:
        """Tokens that the engine is expected to compute."""
        return len(self.prefix) - self.frontier

    def leads(self, prompt: TokenIds) -> bool:
        """Tell whether a prompt begins with all of it."""
        return self.prefix.common(prompt) == len(self.prefix)
