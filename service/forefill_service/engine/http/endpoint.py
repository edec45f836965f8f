"""HTTP to one server: every wait and every length has a limit, and every failure is an EngineError."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.http import HttpProcessingError

from ...errors import EngineError, EngineSlow, EngineStartError, EngineUnavailable, EngineUnreachable
from .answers import ANY, Bounds, Completion
from .failures import failure, retry_after_seconds
from .fields import nonsense, parsed
from .lines import MOST_LINE_BYTES, LineReader
from .patience import Patience

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Collection, Mapping
    from typing import TypeVar

    from ...chat.generation import Output
    from .logprobs import LogprobsReader

    T = TypeVar("T")

log = logging.getLogger(__name__)

KEEP_SECONDS = 3
"""How long an idle connection is kept: vLLM closes it after 5 s, and no request may be sent just then."""
MOST_ANSWER_BYTES = 2**24
"""The limit for an answer that is not streamed: the ids of a prompt of a million tokens, or the metrics of a server."""
MOST_ERROR_BYTES = 2**13
"""How much of an error's text is read; it is enough to tell what it is about."""
END_SECONDS = 5.0
"""The longest wait for what follows a whole text: the usage, and the end of the stream."""

_BROKEN = (aiohttp.ClientError, ConnectionError, HttpProcessingError)


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
        sent = {"Accept-Encoding": "identity", **(headers or {})}  # what is packed small has no limit when unpacked
        if api_key:
            sent["Authorization"] = f"Bearer {api_key}"
        self._connect_seconds = connect_seconds
        self._session = aiohttp.ClientSession(
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_SECONDS, ssl=_trust(ca_file)),
            cookie_jar=aiohttp.DummyCookieJar(),  # a router's cookie would send all sessions to one server
            auto_decompress=False,
        )
        self._doubted_usage = False
        self._waits: set[asyncio.Timeout] = set()
        self._given_up: set[asyncio.Timeout] = set()

    async def text(self, path: str, seconds: float, body: Any = None, reasons: Collection[str] = ()) -> str:
        """GET a path, or POST a body to it, and return the text of the response, within this many seconds.

        `reasons` are those of `failure`. Raises EngineRefused, EngineUnavailable.
        """
        return (await self._within(seconds, self._answer(path, body, reasons))).decode(errors="replace")

    async def json(self, path: str, seconds: float, body: Any = None) -> Any:
        """Do the same as `text`, and parse the response as JSON."""
        return parsed(await self._within(seconds, self._answer(path, body)), f"{self.url}{path}")

    async def lines(
        self,
        path: str,
        body: Any,
        headers: Mapping[str, str],
        patience: Patience,
        most_bytes: int = MOST_LINE_BYTES,
    ) -> AsyncGenerator[bytes, None]:
        """POST a body and yield the lines of the response as they come; closing the generator closes the connection.

        It goes on for as long as the reader lets its `patience` hear something. `most_bytes` is the limit for a line.
        Raises EngineRefused, EngineUnavailable.
        """
        asked = self._response(path, body, headers)
        response = await self._within(patience.left, asked.__aenter__(), patience.seconds)
        reader = LineReader(most_bytes)
        try:
            while chunk := await self._next_chunk(response, patience):
                for line in reader.take(chunk):
                    yield line
            if rest := reader.rest():
                yield rest
        finally:
            await asked.__aexit__(None, None, None)

    def doubt_usage(self) -> None:
        """Log once that the server reports a usage that cannot be true."""
        if not self._doubted_usage:
            self._doubted_usage = True
            log.warning(
                "%s reports counts of tokens that cannot be true; results and ledgers contain estimates instead",
                self.url,
            )

    def hang_up(self) -> None:
        """End all waits for this server: they raise EngineUnavailable."""
        for wait in self._waits:
            if not wait.expired():
                self._given_up.add(wait)
                wait.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _answer(self, path: str, body: Any, reasons: Collection[str] = ()) -> bytes:
        async with self._response(path, body, {}, reasons) as response:
            answer = await _beginning(response, MOST_ANSWER_BYTES + 1)
        if len(answer) > MOST_ANSWER_BYTES:
            nonsense(f"{self.url}{path} has more than {MOST_ANSWER_BYTES} bytes")
        return answer

    @asynccontextmanager
    async def _response(
        self, path: str, body: Any, headers: Mapping[str, str], reasons: Collection[str] = ()
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        method = "GET" if body is None else "POST"
        try:
            async with self._session.request(
                method, self.url + path, json=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    wait = retry_after_seconds(response.headers.get("Retry-After"))
                    said = _said(await _beginning(response, MOST_ERROR_BYTES))
                    raise failure(response.status, said, retry_after_seconds=wait, reasons=reasons)
                yield response
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise EngineUnreachable(f"no connection to {self.url}: {error.__class__.__name__}") from error
        except _BROKEN as error:
            raise EngineUnavailable(f"the connection to {self.url} broke: {error.__class__.__name__}") from error

    async def _next_chunk(self, response: aiohttp.ClientResponse, patience: Patience) -> bytes:
        if not patience.left:  # bytes that are there already would be read without a wait, for ever
            raise EngineSlow(f"{self.url} did not answer within {patience.seconds:g} s")
        return await self._within(patience.left, response.content.readany(), patience.seconds)

    async def _within(self, seconds: float, work: Awaitable[T], of_seconds: float | None = None) -> T:
        """Wait for work; `of_seconds` is the limit that an error names, if these seconds are what is left of it."""
        wait = asyncio.timeout(seconds)
        self._waits.add(wait)
        try:
            async with wait:
                return await work
        except TimeoutError:
            if wait in self._given_up:
                raise EngineUnavailable(f"{self.url} does not answer") from None
            limit = seconds if of_seconds is None else of_seconds
            raise EngineSlow(f"{self.url} did not answer within {limit:g} s") from None
        except _BROKEN as error:
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
    bounds: Bounds = ANY,
) -> AsyncGenerator[Output, None]:
    """POST the body of a completion to its path and yield its parts.

    `first_seconds` is the limit for the first part, `between_seconds` for each part after another.
    `cached_tokens_if_missing` is the count to assume if the server does not report cached tokens; `logprobs` reads
    those that were asked for. Raises what `Endpoint.lines` raises, and EngineUnavailable if the stream ends before the
    text is whole. Once it is, nothing that goes wrong takes it back.
    """
    completion = Completion(cached_tokens_if_missing, logprobs, bounds)
    patience = Patience(first_seconds, between_seconds)
    try:
        async with aclosing(endpoint.lines(path, body, headers, patience, bounds.most_line_bytes)) as lines:
            async for line in lines:
                was_whole = completion.has_last_part
                output = completion.take(line)
                if output is not None:
                    yield output
                if output is not None or completion.has_last_part > was_whole:
                    patience.heard(END_SECONDS if completion.has_last_part else None)
    except EngineError:
        if not completion.has_last_part:
            raise
    if completion.usage_is_odd:
        endpoint.doubt_usage()
    if completion.complete:
        return
    if (last := completion.last_part()) is None:
        raise EngineUnavailable(f"{endpoint.url} ended an answer before it was complete")
    yield last


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise EngineStartError(f"{ca_file} contains no certificates; check --engine-ca-file") from error


async def _beginning(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Read the body of a response, or as much of it; the connection is closed then."""
    chunks, size = [], 0
    while size < most_bytes and (chunk := await response.content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)[:most_bytes]


def _said(body: bytes) -> object:
    text = body.decode(errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
