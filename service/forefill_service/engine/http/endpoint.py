"""HTTP to one server: every wait has a limit, and every failure is an EngineError."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from ...errors import EngineRefused, EngineSlow, EngineStartError, EngineUnavailable, EngineUnreachable
from .completions import Completion, failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
    from typing import TypeVar

    from ...chat.generation import Output
    from .logprobs import LogprobsReader

    T = TypeVar("T")

KEEP_SECONDS = 3
"""How long an idle connection is kept: vLLM closes it after 5 s, and no request may be sent just then."""


class Endpoint:
    """The connections to one server, on the running event loop. `url` is its root, such as "http://10.0.0.7:8000"."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "",
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        connect_seconds: float = 5.0,
    ) -> None:
        self.url = root_of(url)
        sent = dict(headers or {})
        if api_key:
            sent["Authorization"] = f"Bearer {api_key}"
        self._connect_seconds = connect_seconds
        self._session = aiohttp.ClientSession(
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_SECONDS, ssl=_trust(ca_file)),
            cookie_jar=aiohttp.DummyCookieJar(),  # a router's cookie would send all sessions to one server
        )
        self._waits: set[asyncio.Timeout] = set()
        self._given_up: set[asyncio.Timeout] = set()

    async def text(self, path: str, seconds: float, body: Any = None) -> str:
        """GET a path, or POST a body to it, and return the text of the response, within this many seconds.

        Raises EngineRefused, EngineUnavailable.
        """

        async def text() -> str:
            async with self._response(path, body, {}) as response:
                return await response.text()

        return await self._within(seconds, text())

    async def json(self, path: str, seconds: float, body: Any = None) -> Any:
        """Do the same as `text`, and parse the response as JSON."""
        try:
            return json.loads(await self.text(path, seconds, body))
        except ValueError:
            raise EngineRefused(f"{self.url}{path} does not answer with JSON") from None

    async def lines(
        self, path: str, body: Any, headers: Mapping[str, str], first_seconds: float, between_seconds: float
    ) -> AsyncGenerator[bytes, None]:
        """POST a body and yield the lines of the response as they come; closing the generator closes the connection.

        `first_seconds` is the limit for the head of the response, and again for the first of its body;
        `between_seconds` is the limit for each wait after that. Raises EngineRefused, EngineUnavailable.
        """
        asked = self._response(path, body, headers)
        response = await self._within(first_seconds, asked.__aenter__())
        try:
            # aiohttp's own reading of lines raises LineTooLong at twice its buffer (512 KiB; 128 KiB before 3.14), and
            # the first event of vLLM contains the ids of the whole prompt.
            seconds, rest = first_seconds, b""
            while chunk := await self._within(seconds, response.content.readany()):
                seconds = between_seconds
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
            if rest:
                yield rest
        finally:
            await asked.__aexit__(None, None, None)

    def hang_up(self) -> None:
        """End all waits for this server: they raise EngineUnavailable."""
        for wait in self._waits:
            if not wait.expired():
                self._given_up.add(wait)
                wait.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    @asynccontextmanager
    async def _response(
        self, path: str, body: Any, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        method = "GET" if body is None else "POST"
        try:
            async with self._session.request(
                method, self.url + path, json=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise failure(response.status, await _body(response))
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise EngineUnreachable(f"no connection to {self.url}: {error.__class__.__name__}") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise EngineUnavailable(f"the connection to {self.url} broke: {error.__class__.__name__}") from error

    async def _within(self, seconds: float, work: Awaitable[T]) -> T:
        wait = asyncio.timeout(seconds)
        self._waits.add(wait)
        try:
            async with wait:
                return await work
        except TimeoutError:
            if wait in self._given_up:
                raise EngineUnavailable(f"{self.url} does not answer") from None
            raise EngineSlow(f"{self.url} did not answer within {seconds:g} s") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise EngineUnavailable(f"the connection to {self.url} broke: {error.__class__.__name__}") from error
        finally:
            self._waits.discard(wait)
            self._given_up.discard(wait)


def root_of(url: str) -> str:
    """Return the address of a server, whose API is below /v1, however it is written."""
    return url.rstrip("/").removesuffix("/v1")


async def completed(
    endpoint: Endpoint,
    path: str,
    body: Any,
    headers: Mapping[str, str],
    first_seconds: float,
    between_seconds: float,
    *,
    cached_tokens_if_missing: int | None = None,
    logprobs: LogprobsReader | None = None,
) -> AsyncGenerator[Output, None]:
    """POST the body of a completion to its path and yield its parts, with the limits and errors of `Endpoint.lines`.

    `cached_tokens_if_missing` is the count to assume if the server does not report cached tokens; `logprobs` reads
    those that were asked for. Also raises EngineUnavailable if the stream ends before the answer is complete.
    """
    completion = Completion(cached_tokens_if_missing, logprobs)
    lines = endpoint.lines(path, body, headers, first_seconds, between_seconds)
    async with aclosing(lines):
        async for line in lines:
            if (output := completion.take(line)) is not None:
                yield output
    if not completion.complete:
        raise EngineUnavailable(f"{endpoint.url} ended an answer before it was complete")


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise EngineStartError(f"{ca_file} contains no certificates; check --engine-ca-file") from error


async def _body(response: aiohttp.ClientResponse) -> object:
    text = await response.text(errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
