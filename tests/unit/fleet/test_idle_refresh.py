"""Idle sessions are touched again and again, whatever the touch of one of them does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from forefill_service.fleet.idle_refresh import IdleRefresher

from tests.support.stage import Gate, settle

NOW = 7.0


class Kept:
    """A session that may fail when it is asked; `asked_at` is when it was."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked_at: list[float] = []
        self._error = error

    def touch_if_due(self, now: float) -> None:
        self.asked_at.append(now)
        if self._error is not None:
            raise self._error


@asynccontextmanager
async def refreshing(*kept: Kept) -> AsyncIterator[Gate]:
    """Refresh these; each step of the gate ends one wait."""
    gate = Gate()
    gate.held = True
    refresher = IdleRefresher(1.0, lambda: NOW, gate)
    for each in kept:
        refresher.add(each)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(refresher.run())
        await settle()
        yield gate
        assert not task.done()
        task.cancel()


async def looks(gate: Gate, times: int) -> None:
    for _ in range(times):
        gate.step()
        await settle()


async def test_every_session_is_asked_after_each_wait() -> None:
    one, two = Kept(), Kept()
    async with refreshing(one, two) as gate:
        assert one.asked_at == two.asked_at == []
        await looks(gate, 2)
    assert one.asked_at == two.asked_at == [NOW, NOW]


async def test_a_session_that_is_discarded_is_asked_no_more() -> None:
    refresher, kept = IdleRefresher(1.0, lambda: NOW, Gate()), Kept()
    refresher.add(kept)
    refresher.discard(kept)
    refresher.touch_due()
    assert kept.asked_at == []


async def test_a_touch_that_fails_is_logged_without_what_was_typed_and_the_others_are_touched(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, failing, after = Kept(), Kept(ValueError("Zyzzyva is my password")), Kept()
    async with refreshing(before, failing, after) as gate:
        await looks(gate, 2)
    assert before.asked_at == failing.asked_at == after.asked_at == [NOW, NOW]
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 2
    assert "in touch_if_due" in caplog.text
    assert "ValueError" in caplog.text
    assert "Zyzzyva" not in caplog.text
