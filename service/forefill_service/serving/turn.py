"""The turn: one draft, from its first key to the end of its answer."""

from dataclasses import dataclass, field

from ..chat.token_ids import TokenIds
from ..chat.tool_choice import ToolChoice
from ..session.ledger import Ledger
from .prompts import Prompts


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """What belongs to one turn of a session: its prompts, which may still be in the making, and its books.

    A turn is replaced, not reset. Work that goes on over its end keeps the turn that it was begun for.
    """

    prompts: Prompts
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def tool_choice(self) -> ToolChoice:
        """Whether its answer calls tools."""
        return self.prompts.tool_choice

    def choosing(self, choice: ToolChoice | None) -> "Turn":
        """Return the same turn with a choice of tools of its own, None for none: the books are the same."""
        prompts = self.prompts.choosing(choice)
        return self if prompts is self.prompts else Turn(prompts, self.ledger)

    async def stable(self, confirmed: str) -> TokenIds:
        """Return the leading ids that all continuations of the confirmed text are expected to share.

        Raises what making the prompts, the template or the endpoint raises.
        """
        return await self.prompts.stable(confirmed)

    async def final(self, text: str) -> TokenIds:
        """Return the ids of the prompt that asks for the answer to this text, to begin it before SUBMIT.

        Raises NotExact if they are not known here, and what making the prompts, the template or the endpoint raises.
        """
        return await self.prompts.final(text)
