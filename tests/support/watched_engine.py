"""A fake engine as one session sees it: what it was asked, and what the session may believe that it has cached."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.errors import EngineRefused

from .engine_around import EngineAround
from .stage import BLOCK


@dataclass
class Asked:
    """One request of the session, as its engine saw it."""

    request: Request
    known: int
    """Leading tokens of it, in whole blocks, that the session has to believe cached: requests of its own have computed
    them, and no later one has found less."""
    believed: int
    """Those that it may believe cached: its own requests, or the application's, have computed them."""
    cached_tokens: int | None = None
    refused: bool = False
    running: bool = True


class WatchedEngine(EngineAround):
    """Remembers what the engine was asked, and what came of it; to close it is left to the test.

    `known` and `believed` are blocks, each as the whole prompt that ends with it: see Asked.
    """

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.asked: list[Asked] = []
        self.known: set[tuple[int, ...]] = set()
        self.believed: set[tuple[int, ...]] = set()

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        ids = request.prompt_ids
        asked = Asked(request, _leading(ids, self.known), _leading(ids, self.believed))
        self.asked.append(asked)
        answer: list[int] = []
        computed = blocks_of(ids)
        try:
            async with aclosing(super().generate(request)) as outputs:
                async for output in outputs:
                    answer.extend(output.token_ids)
                    if answer:  # what is broken off has read its prompt, and all of its answer but the last token
                        if request.priority is Priority.GENERATION:
                            computed = blocks_of([*ids, *answer[:-1]])
                        self.believed |= computed
                    if output.finish_reason:
                        asked.cached_tokens = output.cached_tokens
                        self._forget(ids, output.cached_tokens or 0)
                    yield output
            self.known |= computed
            self.believed |= computed
        except EngineRefused:
            asked.refused = True
            raise
        finally:
            asked.running = False

    def _forget(self, ids: list[int], cached_tokens: int) -> None:
        """Drop the block that was not found in a prompt, and all that follow on it, in whichever prompt."""
        missing = ids[: cached_tokens + BLOCK]
        self.known = {block for block in self.known if list(block[: len(missing)]) != missing}

    async def close(self) -> None:
        pass

    @property
    def warms(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.request.priority is Priority.WARM]

    @property
    def generations(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.request.priority is Priority.GENERATION]


def blocks_of(ids: list[int]) -> set[tuple[int, ...]]:
    """Return the whole blocks of a prompt, each as all that ends with it."""
    return {tuple(ids[:end]) for end in range(BLOCK, len(ids) + 1, BLOCK)}


def _leading(ids: list[int], blocks: set[tuple[int, ...]]) -> int:
    """Return how many tokens the prompt begins with, in whole blocks, that are among these."""
    end = 0
    while end + BLOCK <= len(ids) and tuple(ids[: end + BLOCK]) in blocks:
        end += BLOCK
    return end
