"""The turn: one draft, from its first key to the end of its answer."""

import asyncio
from dataclasses import dataclass, field

from ..chat.prompt import TurnPrompt
from ..chat.token_ids import TokenIds
from ..fleet.backend import Render
from ..session.guesses import Guesses
from ..session.ledger import Ledger


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """What belongs to one turn of a session: its prompts, which may still be in the making, its books, its guesses.

    A turn is replaced, not reset. Work that goes on over its end keeps the turn that it was begun for.
    """

    prompts: asyncio.Future[TurnPrompt]
    render: Render
    guesses: Guesses
    ledger: Ledger = field(default_factory=Ledger)

    async def stable(self, confirmed: str) -> TokenIds:
        """Return the leading ids that all continuations of the confirmed text are expected to share.

        Raises what making the prompts or the template raises.
        """
        ids: TokenIds = await self.render((await self._made()).stable, confirmed)
        return ids

    async def final(self, text: str) -> TokenIds:
        """Return the ids of the prompt that asks for the answer to this text.

        Raises what making the prompts or the template raises.
        """
        ids: TokenIds = await self.render((await self._made()).final, text)
        return ids

    async def _made(self) -> TurnPrompt:
        return await asyncio.shield(self.prompts)  # to stop waiting must not cancel them for others
