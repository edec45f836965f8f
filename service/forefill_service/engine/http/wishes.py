"""Whether a server can answer as a session wishes, asked when the session opens.

vLLM validates a request before it runs it, so the sampling is sent with a request for one token: a server that refuses
it says why, which is passed on in words of ours (`causes`), and one that accepts it has compiled a grammar by the first
SUBMIT. Servers ignore fields that they do not know, so a structure might be ignored in silence: each is first sent an
empty one, which vLLM refuses. What a server has accepted it is not asked again, until it has started again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from ...errors import EngineBusy, EngineRefused, EngineSlow, Reason, Refusal
from ..accepted import Accepted
from ..base import Priority, Request

if TYPE_CHECKING:
    from ...chat.generation import Sampling
    from .client import ServerClient
    from .monitor import ServerMonitor


class Wishes:
    """Asks one server; `seconds` is the limit for all of its answers to one session."""

    def __init__(self, client: ServerClient, monitor: ServerMonitor, seconds: float) -> None:
        self._client = client
        self._monitor = monitor
        self._seconds = seconds
        self._knows_structures = False
        self._accepted = Accepted()

    def forget(self) -> None:
        """Forget what the server has said: it has started again, and may be another release."""
        self._knows_structures = False
        self._accepted.clear()

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Return the version of the adapter, "" if there is none.

        Raises Refusal (INVALID_SAMPLING, ADAPTER_NOT_FOUND), EngineError if the server does not say.
        """
        try:
            async with asyncio.timeout(self._seconds):
                version = await self._version(adapter) if adapter else ""
                if sampling.structure is not None and not self._knows_structures:
                    await self._check_structures()
                if sampling.only_the_engine_knows and not self._accepted.has(sampling, adapter):
                    await self._try(sampling, adapter)
                    self._accepted.add(sampling, adapter)
                return version
        except TimeoutError:
            raise EngineSlow(f"{self._client.name} did not answer within {self._seconds:g} s") from None

    async def _version(self, adapter: str) -> str:
        with self._monitor.doubting():
            cards = await self._client.cards()
        versions = {card.id: card.root for card in cards if card.id != self._client.served.info.model}
        if adapter not in versions:
            raise Refusal(Reason.ADAPTER_NOT_FOUND)  # which it has is for those who may see the server's own list
        return versions[adapter]

    async def _check_structures(self) -> None:
        with self._monitor.doubting():
            self._knows_structures = await self._client.knows_structures()
        if not self._knows_structures:
            raise Refusal(
                Reason.INVALID_SAMPLING, "this vLLM server does not know structured outputs; it needs a later release"
            )

    async def _try(self, sampling: Sampling, adapter: str) -> None:
        prompt = self._client.served.chat.encode("a")
        request = Request(prompt, sampling.limited(1), Priority.GENERATION, adapter=adapter)
        try:
            async with aclosing(self._monitor.watched(self._client.outputs(request, 1))) as outputs:
                async for _ in outputs:
                    pass
        except EngineBusy:
            raise
        except EngineRefused as refused:
            raise Refusal(Reason.INVALID_SAMPLING, str(refused)) from refused
