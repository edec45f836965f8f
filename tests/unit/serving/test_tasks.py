"""A generator that runs ahead of its reader."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from forefill_service.serving.tasks import Ahead


class Source:
    """Yields numbers, and says how far it came."""

    def __init__(self, count: int, fails_at: int = -1) -> None:
        self.count, self.fails_at = count, fails_at
        self.came_to = 0
        self.closed = False

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                if number == self.fails_at:
                    raise ValueError(number)
                self.came_to = number + 1
                yield number
        finally:
            self.closed = True


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_runs_to_its_first_item_before_anybody_asks() -> None:
    source = Source(3)
    ahead = Ahead(source.items())
    await settle()
    assert source.came_to == 1
    assert [number async for number in ahead] == [0, 1, 2]
    await ahead.close()
    assert source.closed


@pytest.mark.parametrize("count", [0, 1])
async def test_it_may_be_empty_or_short(count: int) -> None:
    ahead = Ahead(Source(count).items())
    assert [number async for number in ahead] == list(range(count))
    await ahead.close()


@pytest.mark.parametrize("fails_at", [0, 1])
async def test_what_it_raises_comes_to_the_reader(fails_at: int) -> None:
    ahead = Ahead(Source(3, fails_at).items())
    with pytest.raises(ValueError, match=str(fails_at)):
        [number async for number in ahead]
    await ahead.close()


@pytest.mark.parametrize("fails_at", [-1, 0])
@pytest.mark.parametrize("at_once", [True, False])
async def test_closed_unread_it_is_ended_and_what_it_raised_is_dropped(fails_at: int, at_once: bool) -> None:
    source = Source(3, fails_at)
    ahead = Ahead(source.items())
    if not at_once:
        await settle()
    await ahead.close()
    assert source.closed or source.came_to == 0
