"""One thing of a caller begins in every few passes of the event loop, in the order in which they came."""

import asyncio
from contextlib import suppress
from itertools import pairwise

from forefill_service.fleet.turns import PASSES, Turns


class Passes:
    """Counts the passes of the event loop while the block runs."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> "Passes":
        self._task = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _count(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def begun(turns: Turns, passes: Passes, names: str) -> list[tuple[str, int]]:
    """Have things begin in turn; return their names in the order in which they begin, each with its pass."""
    order: list[tuple[str, int]] = []

    async def one(name: str) -> None:
        await turns.mine()
        order.append((name, passes.count))

    await asyncio.gather(*map(one, names))
    return order


async def test_each_has_a_pass_of_its_own_in_the_order_in_which_they_came() -> None:
    async with Passes() as passes:
        order = await begun(Turns(), passes, "abcdef")
    assert [name for name, _ in order] == list("abcdef")
    assert len({number for _, number in order}) == 6


async def test_the_passes_between_belong_to_others_unless_nobody_else_is_there() -> None:
    for alone, apart in ((lambda: False, PASSES), (lambda: True, 1)):
        async with Passes() as passes:
            order = await begun(Turns(alone), passes, "abcdef")
        numbers = [number for _, number in order][1:]  # the first does not wait
        assert [later - earlier for earlier, later in pairwise(numbers)] == [apart] * 4


async def test_two_callers_do_not_wait_for_each_other() -> None:
    async with Passes() as passes:
        many, few = await asyncio.gather(begun(Turns(), passes, "abcdefghij"), begun(Turns(), passes, "xy"))
    assert few[-1][1] < many[3][1]


async def test_who_comes_alone_does_not_wait() -> None:
    turns = Turns()
    for _ in range(3):
        mine = turns.mine()
        with suppress(StopIteration):
            mine.send(None)
            raise AssertionError("it waited")
        await asyncio.sleep(0)


async def test_who_is_gone_takes_no_turn() -> None:
    turns = Turns()
    first, *waiting, last = [asyncio.create_task(turns.mine()) for _ in range(4)]
    await asyncio.sleep(0)
    for gone in waiting:
        gone.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(first, last)
    assert all(gone.cancelled() for gone in waiting)
