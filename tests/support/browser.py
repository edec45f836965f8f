"""A browser of the bridge: one socket and one text box; and the bridge itself, served as `forefill web` serves it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets
from forefill_client import AsyncClient
from forefill_web import Bridge, BridgeLimits, SessionOptions
from forefill_web.app import application
from forefill_web.listening import Listening, serve

SECONDS_TO_GIVE_UP = 30
SUBPROTOCOL = websockets.Subprotocol("forefill.v1")


class Browser:
    """Says and hears messages; what it types goes to the end of its box."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.box = ""

    async def opens(self, draft: str = "", token: str | None = None, messages: Any = ()) -> dict[str, Any]:
        """Say `open`, and return `opened`."""
        self.box = draft
        with_token = {} if token is None else {"token": token}
        await self.says("open", protocol=1, messages=list(messages), draft=draft, **with_token)
        return await self.hears("opened")

    async def says(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def types(self, text: str, *, composing: bool = False) -> None:
        await self.edits(len(self.box), len(self.box), text, composing=composing)

    async def edits(self, start: int, end: int, text: str, *, composing: bool = False) -> None:
        self.box = self.box[:start] + text + self.box[end:]
        await self.says("edit", start=start, end=end, text=text, length=len(self.box), composing=composing)

    async def submits(self, turn: int) -> None:
        text, self.box = self.box, ""
        await self.says("submit", turn=turn, text=text)

    async def hears_any(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            message: dict[str, Any] = json.loads(await self.socket.recv())
            return message

    async def hears(self, kind: str) -> dict[str, Any]:
        """Return the next message of a kind; those before are passed over."""
        while (message := await self.hears_any())["type"] != kind:
            pass
        return message

    async def hears_all(self, kind: str) -> list[dict[str, Any]]:
        """Return all messages up to the next of a kind, which is the last."""
        messages = [await self.hears_any()]
        while messages[-1]["type"] != kind:
            messages.append(await self.hears_any())
        return messages

    async def closed(self) -> int | None:
        """Wait until the bridge closes the socket, and return its code."""
        with suppress(websockets.ConnectionClosed):
            while True:
                await self.hears_any()
        return self.socket.close_code


class Site:
    """A bridge that is served."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.socket_url = f"ws{url.removeprefix('http')}/socket"

    @asynccontextmanager
    async def browser_of(self, name: str) -> AsyncIterator[Browser]:
        """Open a socket as a page does that reached this host by another name, which now resolves to it."""
        port = int(self.url.rpartition(":")[2])
        origin = websockets.Origin(f"http://{name}:{port}")
        asked: Any = {"host": "127.0.0.1", "port": port, "origin": origin, "subprotocols": [SUBPROTOCOL]}
        async with websockets.connect(f"ws://{name}:{port}/socket", **asked) as socket:
            yield Browser(socket)

    @asynccontextmanager
    async def browser(self, **more: Any) -> AsyncIterator[Browser]:
        """Open a socket as a page of the site does; `more` is for `websockets.connect`."""
        asked = {"origin": self.url, "subprotocols": [SUBPROTOCOL], "compression": None} | more
        async with websockets.connect(self.socket_url, **asked) as socket:
            yield Browser(socket)


@asynccontextmanager
async def site(
    client: AsyncClient,
    options: Any = SessionOptions(),  # noqa: B008 - it is frozen
    *,
    limits: BridgeLimits = BridgeLimits(),  # noqa: B008
    bridge: Any = None,
    **more: Any,
) -> AsyncIterator[Site]:
    """Serve a bridge of this client on a free port of loopback, until the block ends; `more` is for `application`."""
    made = Bridge(client, options, limits=limits, **(bridge or {}))
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(application(made, **more), Listening("127.0.0.1", 0), made, url.set_result))
        try:
            yield Site(await url)
        finally:
            serving.cancel()
