"""Another user of the same server, who goes on typing while somebody misbehaves."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from .wire import SECONDS_TO_GIVE_UP, Typist, typing_at

PAUSE_SECONDS = 0.02
LONGEST_DRAFT = 400


class Neighbour:
    """Types a word and waits for the result of its FLUSH, again and again; `waits` are in seconds."""

    def __init__(
        self, typist: Typist, pause_seconds: float = PAUSE_SECONDS, longest_draft: int = LONGEST_DRAFT
    ) -> None:
        self.waits: list[float] = []
        self._served = asyncio.Event()
        self._typist = typist
        self._pause_seconds = pause_seconds
        self._longest_draft = longest_draft
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
            self._served.set()
            if len(self._typist.draft) > self._longest_draft:
                await self._typist.delete(self._longest_draft)
            await asyncio.sleep(self._pause_seconds)

    async def is_served(self) -> None:
        """Wait for the result of one more FLUSH. Raises what went wrong."""
        self._served.clear()
        served = asyncio.create_task(self._served.wait())
        await asyncio.wait({served, self._types}, timeout=SECONDS_TO_GIVE_UP, return_when=asyncio.FIRST_COMPLETED)
        served.cancel()
        if self._types.done():
            self._types.result()
        assert self._served.is_set()

    async def leaves(self) -> None:
        """Stop typing."""
        self._types.cancel()
        await asyncio.gather(self._types, return_exceptions=True)


@asynccontextmanager
async def neighbour_at(address: str) -> AsyncIterator[Neighbour]:
    """Type there for the time of the block, after which all must still be well; a newcomer must be served, too."""
    async with typing_at(address, [("system", "Be brief.")]) as typist:
        neighbour = Neighbour(typist)
        try:
            await neighbour.is_served()
            yield neighbour
            await neighbour.is_served()
        finally:
            await neighbour.leaves()
    async with typing_at(address) as newcomer:
        assert (await newcomer.submit("Is it so?")).finished.usage.completion_tokens == 1
        await newcomer.end()


def _at(waits: Sequence[float], share: float) -> float:
    return waits[min(len(waits) - 1, int(share * len(waits)))]
