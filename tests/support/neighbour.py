"""Another user of the same server, who goes on typing while somebody misbehaves."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from .wire import Typist, typing_at

PAUSE_SECONDS = 0.02
LONGEST_DRAFT = 400


class Neighbour:
    """Types a word and waits for the result of its FLUSH, again and again; `waits` are in seconds."""

    def __init__(self, typist: Typist) -> None:
        self.waits: list[float] = []
        self._typist = typist
        self._types = asyncio.create_task(self._keep_typing())

    @property
    def figure(self) -> str:
        """How long the waits were: the median, the 95th percentile, the longest."""
        waits = sorted(self.waits)
        return "p50 {:.0f}, p95 {:.0f}, worst {:.0f} ms".format(*(1000 * _at(waits, share) for share in (0.5, 0.95, 1)))

    async def _keep_typing(self) -> None:
        while True:
            await self._typist.type("word ")
            began = time.monotonic()
            await self._typist.flush()
            self.waits.append(time.monotonic() - began)
            if len(self._typist.draft) > LONGEST_DRAFT:
                await self._typist.delete(LONGEST_DRAFT)
            await asyncio.sleep(PAUSE_SECONDS)

    async def still_works(self) -> None:
        """Stop typing; check that nothing went wrong, and that an answer comes."""
        self._types.cancel()
        [failure] = await asyncio.gather(self._types, return_exceptions=True)
        assert isinstance(failure, asyncio.CancelledError), failure
        assert self.waits


@asynccontextmanager
async def neighbour_at(address: str) -> AsyncIterator[Neighbour]:
    """Type there for the time of the block, after which all must still be well; a newcomer must be served, too."""
    async with typing_at(address, [("system", "Be brief.")]) as typist:
        neighbour = Neighbour(typist)
        try:
            yield neighbour
        finally:
            await neighbour.still_works()
    async with typing_at(address) as newcomer:
        assert (await newcomer.submit("Is it so?")).finished.usage.completion_tokens == 1
        await newcomer.end()


def _at(waits: Sequence[float], share: float) -> float:
    return waits[min(len(waits) - 1, int(share * len(waits)))]
