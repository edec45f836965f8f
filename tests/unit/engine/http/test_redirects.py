"""A server that points elsewhere is not followed: what was typed, the API key and cookies go to no other server."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.patience import Patience
from forefill_service.errors import EngineError, EngineRefused

from tests.support.fake_vllm import FakeVllm

WAIT_SECONDS = 20


class Redirecting:
    """Two servers: one answers every request with a status that points to the other, which remembers its own."""

    def __init__(self) -> None:
        self.url = self.elsewhere = ""
        self.status = 307
        self.keys: list[str] = []
        self.reached: list[str] = []

    async def points_away(self, http: web.Request) -> web.Response:
        self.keys.append(http.headers.get("Authorization", ""))
        return web.Response(status=self.status, headers={"Location": self.elsewhere + http.path})

    async def is_reached(self, http: web.Request) -> web.Response:
        self.reached.append(http.path)
        return web.json_response({"data": []})


@pytest.fixture
async def redirecting() -> AsyncIterator[Redirecting]:
    servers, runners = Redirecting(), []
    for handler in (servers.is_reached, servers.points_away):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runners.append(runner := web.AppRunner(app))
        await runner.setup()
        await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
        servers.elsewhere, servers.url = servers.url, site.name
    yield servers
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(redirecting: Redirecting, status: int) -> None:
    redirecting.status = status
    endpoint = Endpoint(redirecting.url, api_key="s3cret")
    try:
        with pytest.raises(EngineError):
            await endpoint.text("/v1/models", WAIT_SECONDS)
        with pytest.raises(EngineError):
            await endpoint.text("/v1/completions", WAIT_SECONDS, {"prompt": "what was typed"})
        with pytest.raises(EngineError):
            async for _ in endpoint.lines("/v1/completions", {}, {}, Patience(WAIT_SECONDS, WAIT_SECONDS)):
                pass
    finally:
        await endpoint.close()
    assert redirecting.keys == ["Bearer s3cret"] * 3
    assert redirecting.reached == []


async def test_neither_cookies_nor_other_places_are_followed(server: FakeVllm) -> None:
    endpoint = Endpoint(server.url)
    for _ in range(2):
        with pytest.raises(EngineRefused):
            await endpoint.text("/moved", WAIT_SECONDS)
    assert server.cookies == [{}, {}]
    await endpoint.close()
