"""What a browser may not have, and what it is told then."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from forefill_web import Bridge, BridgeLimits, SessionOptions
from forefill_web.kept import Kept
from forefill_web.line import Line
from starlette.websockets import WebSocket

from tests.support.browser import Browser, Site, site
from tests.support.puppet import puppet


@asynccontextmanager
async def somewhere(bridge: Any = None, **limits: Any) -> AsyncIterator[Site]:
    async with puppet() as (_, client), site(client, limits=BridgeLimits(**limits), bridge=bridge) as here:
        yield here


async def refused(browser: Browser) -> tuple[str, int | None]:
    error = await browser.hears("error")
    assert error["continues"] is False
    return error["reason"], await browser.closed()


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", None], ids=["other", "null", "scheme", "missing"]
)
async def test_a_page_of_another_origin_cannot_open_the_socket(origin: str | None) -> None:
    async with somewhere() as here:
        with pytest.raises(websockets.InvalidStatus) as status:
            async with here.browser(origin=origin):
                pass
        assert status.value.response.status_code == 403


async def test_an_allowed_origin_and_one_that_may_be_missing_can() -> None:
    allowed = {"allowed_origins": ["https://www.example.com"], "allow_missing_origin": True}
    async with somewhere(allowed) as here:
        for origin in ("https://www.example.com", None):
            async with here.browser(origin=origin) as browser:
                await browser.opens()
        with pytest.raises(websockets.InvalidStatus):
            async with here.browser(origin="https://www.example.com.evil.example"):
                pass


async def test_the_host_may_not_be_spoofed_along_with_the_origin() -> None:
    async with somewhere() as here:
        with pytest.raises(websockets.InvalidStatus) as status:
            async with here.browser_of("evil.example"):
                pass
        assert status.value.response.status_code == 403


async def test_a_client_that_does_not_offer_the_protocol_cannot() -> None:
    async with somewhere() as here:
        with pytest.raises(websockets.InvalidStatus):
            async with here.browser(subprotocols=None):
                pass


async def test_the_first_message_must_be_open_and_the_others_must_not() -> None:
    async with somewhere() as here:
        async with here.browser() as browser:
            await browser.says("hint", likely=True)
            assert await refused(browser) == ("NOT_OPEN", 1008)
        async with here.browser() as browser:
            await browser.opens()
            await browser.says("open", protocol=1, messages=[], draft="")
            assert await refused(browser) == ("ALREADY_OPEN", 1008)


@pytest.mark.parametrize("wrong", ["{", '{"type":"new"}', b"\x00", '{"type":"hint","likely":1}'])
async def test_what_is_malformed_closes_the_socket_and_leaves_the_conversation(wrong: str | bytes) -> None:
    async with somewhere() as here:
        async with here.browser() as browser:
            token = (await browser.opens())["token"]
            await browser.socket.send(wrong)
            assert await refused(browser) == ("MALFORMED_MESSAGE", 1008)
        async with here.browser() as browser:
            assert (await browser.opens("", token))["resumed"]


async def test_a_message_that_is_too_large_closes_the_socket() -> None:
    async with somewhere(message_bytes=1000) as here, here.browser() as browser:
        await browser.opens()
        text = json.dumps({"type": "draft", "text": "é" * 600, "composing": False}, ensure_ascii=False)
        assert len(text) < 1000 < len(text.encode())
        await browser.socket.send(text)
        assert await browser.closed() == 1009


async def test_a_browser_brings_a_limited_number_of_messages() -> None:
    async with somewhere(messages=2) as here:
        hi = {"role": "user", "content": "Hi"}
        async with here.browser() as browser:
            await browser.says("open", protocol=1, messages=[hi] * 3, draft="")
            assert await refused(browser) == ("INVALID_OPEN", 1008)
        async with here.browser() as browser:
            await browser.opens(messages=[hi])
            await browser.says("rewrite", keep=1, messages=[hi] * 2)
            assert (await browser.hears("error"))["reason"] == "INVALID_REWRITE"


async def test_a_socket_that_does_not_open_in_time_is_closed() -> None:
    async with somewhere(open_seconds=0.05) as here, here.browser() as browser:
        assert await browser.closed() == 1013


@pytest.mark.parametrize("limit", ["sockets", "sockets_per_address"])
async def test_there_are_as_many_sockets_as_the_limit(limit: str) -> None:
    async with somewhere(**{limit: 1}) as here:
        async with here.browser() as browser:
            await browser.opens()
            async with here.browser() as other:
                assert await refused(other) == ("TOO_MANY_SESSIONS", 1013)
            await browser.says("end")
            await browser.closed()
        async with here.browser() as browser:
            await browser.opens()


@pytest.mark.parametrize("limit", ["conversations", "conversations_per_address"])
async def test_the_oldest_conversation_without_a_socket_makes_way_for_a_new_one(limit: str) -> None:
    async with somewhere(**{limit: 2}) as here:
        tokens = []
        for _ in range(2):
            async with here.browser() as browser:
                tokens.append((await browser.opens())["token"])
                await browser.socket.close()
        async with here.browser() as third, here.browser() as second, here.browser() as first:
            assert (await third.opens())["resumed"] is False
            assert (await second.opens("", tokens[1]))["resumed"] is True
            await first.says("open", protocol=1, token=tokens[0], messages=[], draft="")
            assert await refused(first) == ("TOO_MANY_SESSIONS", 1013), "those that have a socket stay"


async def test_messages_beyond_the_pace_are_all_done_only_later() -> None:
    async with somewhere(messages_per_second=1000, burst=2) as here, here.browser() as browser:
        await browser.opens()
        for _ in range(20):
            await browser.types("x")
        await browser.says("edit", start=99, end=99, text="", length=0, composing=False)
        await browser.hears("resync")  # it came after all of them


class SlowSocket:
    """A socket whose browser reads nothing until it is let."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.code: int | None = None

    async def send_text(self, text: str) -> None:
        await self.reads.wait()
        self.sent.append(json.loads(text))

    async def close(self, code: int) -> None:
        self.code = code


def line_to(socket: SlowSocket, **limits: Any) -> Line:
    made: Any = socket
    return Line(made, "127.0.0.1", BridgeLimits(**limits))


def delta(turn: int, **said: str) -> dict[str, Any]:
    return {"type": "delta", "turn": turn, **said}


async def test_a_browser_that_reads_too_slowly_is_cut() -> None:
    socket = SlowSocket()
    line = line_to(socket, write_seconds=0.05)
    line.put({"type": "resync"})
    await line.write()
    assert (socket.code, line.closing) == (1013, True)


async def test_a_browser_for_which_too_much_waits_is_cut_and_pieces_of_an_answer_are_joined() -> None:
    socket = SlowSocket()
    line = line_to(socket, unsent_messages=3)
    for piece in ("a", "b", "c", "d", "e"):
        line.put(delta(1, text=piece))
    line.put({"type": "resync"})
    line.put(delta(2, reasoning="f"))
    assert not line.closing
    line.put({"type": "resync"})
    assert line.closing


async def test_a_slow_browser_gets_all_of_an_answer_in_its_order() -> None:
    socket = SlowSocket()
    line = line_to(socket)
    for part in ({"reasoning": "a"}, {"reasoning": "b"}, {"text": "c"}, {"text": "d"}, {"reasoning": "e"}):
        line.put(delta(1, **part))
    line.put(delta(2, text="f"))
    line.close(1000)
    socket.reads.set()
    await line.write()
    assert socket.sent == [
        delta(1, reasoning="ab", text="cd"),
        delta(1, reasoning="e"),
        delta(2, text="f"),
    ]
    assert socket.code == 1000


async def test_a_bridge_must_be_entered() -> None:
    async with puppet() as (_, client):
        bridge = Bridge(client)
        socket = WebSocket({"type": "websocket"}, None, None)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="enter the bridge first"):
            await bridge.endpoint(socket)


def test_an_option_that_is_no_origin_is_refused_when_the_bridge_is_made() -> None:
    with pytest.raises(ValueError, match="no origin"):
        Bridge(None, SessionOptions(), allowed_origins=["*"])  # type: ignore[arg-type]


def test_conversations_are_found_by_the_hash_of_their_token_alone() -> None:
    kept = Kept(BridgeLimits())
    assert kept.find("no token", "") is None
    assert not [value for value in vars(kept).values() if isinstance(value, dict) and "no token" in value]
