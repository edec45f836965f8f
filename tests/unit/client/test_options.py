"""What a session refuses to be opened with, before anything is sent."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import AsyncClient, InvalidRequest, InvalidText

from tests.support.scripted_service import connected
from tests.support.session_events import drain_opened


@pytest_asyncio.fixture
async def client() -> AsyncIterator[AsyncClient]:
    async with connected(drain_opened) as client:
        yield client


@pytest.mark.parametrize(
    "options",
    [
        {"draft": None},
        {"session_key": 3},
        {"resume_token": b"x"},
        {"cache_secret": "x" * 16},
        {"warm_mode": "off"},
        {"cache_scope": None},
        {"pregeneration": False},
        {"sampling": {"temperature": 0}},
        {"messages": None},
        {"metadata": 3},
        {"metadata": ["x"]},
        {"on_flush": 3},
        {"on_flush": drain_opened},
        {"on_state": "x"},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_a_value_of_another_type_is_refused_by_name(client: AsyncClient, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"{next(iter(options))} must be"):
        client.session(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"connect_timeout_seconds": "1"},
        {"connect_timeout_seconds": -1},
        {"resume": {"seconds": 1}},
        {"tls": "pem"},
        {"api_key": None},
        {"credentials": "token"},
        {"metadata": None},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_connection_refuses_a_value_of_another_type_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"{next(iter(options))} must be"):
        AsyncClient.connect("127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"role": "assistant", "content": "x", "tool_calls": [{}]}, "tool_calls"),
        ({"role": "user", "content": "x", "name": "anna"}, "name"),
        ({"role": "user", "content": [{"type": "text", "text": "x"}]}, "a message is"),
        ({"role": "user"}, "a message is"),
        ("user", "a message is"),
        ("ab", "a message is"),
    ],
)
async def test_what_a_message_cannot_carry_is_not_dropped_in_silence(
    client: AsyncClient, message: Any, named: str
) -> None:
    with pytest.raises(InvalidRequest, match=named):
        client.session([message])


async def test_a_text_of_another_type_leaves_the_draft_as_it_was(client: AsyncClient) -> None:
    wrong: Any = 3
    wrong_number: Any = "x"
    async with client.session(draft="Show") as session:
        for call in (
            session.type(wrong),
            session.set_draft(wrong),
            session.replace(0, 1, wrong),
            session.submit(wrong),
        ):
            with pytest.raises(InvalidRequest, match="must be a str"):
                await call
        for position in (
            session.delete(wrong_number),
            session.replace(wrong_number, 1, ""),
            session.replace(0, wrong_number, ""),
            session.flush(wrong_number),
            session.rewrite(wrong_number),
        ):
            with pytest.raises(InvalidRequest, match="must be an int, not 'x'") as caught:
                await position
            assert caught.value.session_continues
        with pytest.raises(InvalidRequest, match="messages must be a list"):
            await session.rewrite(0, wrong)
        with pytest.raises(InvalidText):
            await session.type("\ud83d")
        with pytest.raises(InvalidRequest, match="cannot confirm 99"):
            await session.flush(99)
        with pytest.raises(InvalidRequest, match="no flush of this turn"):
            await session.flushed(99)
        assert session.draft == "Show"
