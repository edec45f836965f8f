"""What nobody caught on the event loop is logged by type and place."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
from forefill_service.logs import report_failures_of_the_loop

from tests.support.served import until

TYPED = "Zyzzyva"


@pytest.fixture(autouse=True)
async def _reported() -> AsyncIterator[None]:
    report_failures_of_the_loop()
    yield
    asyncio.get_running_loop().set_exception_handler(None)


def fail(text: str) -> None:
    raise ValueError(text)


async def test_a_callback_that_fails_is_logged_without_its_arguments_and_the_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asyncio.get_running_loop().call_soon(fail, TYPED)
    await until(lambda: caplog.records)
    [record] = caplog.records
    assert "a callback failed" in record.getMessage()
    assert "ValueError" in record.getMessage()
    assert "in fail" in record.getMessage()
    assert TYPED not in caplog.text


async def test_a_task_whose_failure_nobody_asked_for_is_logged_without_it(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> None:
        fail(TYPED)

    task = asyncio.create_task(failing(), name="reader")
    await asyncio.wait({task})
    del task
    gc.collect()
    await until(lambda: caplog.records)
    assert "never retrieved" in caplog.text
    assert "ValueError" in caplog.text
    assert TYPED not in caplog.text
