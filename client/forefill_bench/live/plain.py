"""Plain generations, by two clients: through forefill with warming off, and from vLLM's own HTTP endpoint."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from forefill_client.client import AsyncClient
from forefill_client.errors import ForefillError
from forefill_client.options import PregenerationMode, Sampling, WarmMode
from forefill_service.engine.http.answers import Completion
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.failures import NotOffered, NotServed
from forefill_service.engine.http.patience import Patience
from forefill_service.errors import EngineError

from ..bench_options import DIRECT_KEY_VARIABLE
from ..report.results import Reply
from .clock import Clock

if TYPE_CHECKING:
    from forefill_service.chat.generation import Output

Message = tuple[str, str]
"""One message of a conversation, as (role, content)."""
REQUEST_TIMEOUT_SECONDS: Final = 120.0


class EndpointError(ForefillError):
    """Raised when vLLM's HTTP endpoint does not answer as it should."""


class PlainClient(Protocol):
    """Asks for plain generations: greedy, of at most `max_tokens`."""

    async def ask(self, talk: Sequence[Message], text: str, max_tokens: int) -> Reply:
        """Ask for the answer to `text` after the conversation `talk`; raises ForefillError."""
        ...


class ForefillPlainClient:
    """Asks through forefill, on a stream for each generation, with warming off."""

    def __init__(self, client: AsyncClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def ask(self, talk: Sequence[Message], text: str, max_tokens: int) -> Reply:
        """Ask; the time that it takes to open the stream counts."""
        asked_at = self._clock.now()
        async with self._client.session(
            talk,
            sampling=Sampling(temperature=0.0, max_tokens=max_tokens),
            warm_mode=WarmMode.OFF,
            pregeneration=PregenerationMode.OFF,
            auto_flush=False,
        ) as session:
            submitted_at = self._clock.now()
            answer = await session.submit(text)
            texts, times = [], []
            async for piece in answer:
                texts.append(piece)
                times.append(self._clock.now())
            report = answer.report
        return Reply(
            text="".join(texts),
            asked_at=asked_at,
            first_token_at=submitted_at + report.ttft_seconds,
            ended_at=submitted_at + report.total_seconds,
            pieces_at=tuple(times),
            prompt_tokens=report.prompt_tokens,
            cached_tokens=report.cached_tokens,
            completion_tokens=report.completion_tokens,
            source=str(report.source),
        )


class OpenAIClient:
    """Asks vLLM's own `/v1/chat/completions`, streamed, and reads the stream as the service does."""

    def __init__(self, endpoint: Endpoint, model: str, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self.model = model

    async def ask(self, talk: Sequence[Message], text: str, max_tokens: int) -> Reply:
        """Ask; vLLM sends the first event of the stream with the first token."""
        completion = Completion(0)
        parts: list[tuple[float, Output]] = []
        last_at: float | None = None
        asked_at = ended_at = self._clock.now()
        body = _chat_body(self.model, [*talk, ("user", text)], max_tokens)
        patience = Patience(REQUEST_TIMEOUT_SECONDS, REQUEST_TIMEOUT_SECONDS)
        lines = self._endpoint.lines("/v1/chat/completions", body, {}, patience)
        try:
            async with aclosing(lines):
                async for line in lines:
                    now = self._clock.now()
                    output = completion.take(line)
                    if completion.has_last_part:  # it is given out with the usage, but came before it
                        last_at = last_at or now
                    if output is not None:
                        patience.heard()
                        parts.append((last_at or now, output))
                        ended_at = now
        except EngineError as error:
            reason = _how_to_get_in(self._endpoint, error)
            raise EndpointError(reason or f"vLLM's endpoint failed: {error}") from error
        if not completion.complete:
            raise EndpointError("vLLM's endpoint ended an answer before it was complete")
        cached_tokens = parts[-1][1].cached_tokens or 0
        return Reply(
            text="".join(output.text for _, output in parts),
            asked_at=asked_at,
            first_token_at=parts[0][0],
            ended_at=ended_at,
            pieces_at=tuple(at for at, output in parts if output.text),
            prompt_tokens=completion.usage.prompt_tokens,
            cached_tokens=cached_tokens,
            completion_tokens=completion.usage.completion_tokens,
            source="warm" if cached_tokens else "cold",
        )


def _chat_body(model: str, messages: Sequence[Message], max_tokens: int) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": role, "content": content} for role, content in messages],
        "temperature": 0,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@asynccontextmanager
async def openai_client(url: str, model: str | None, clock: Clock, *, api_key: str = "") -> AsyncIterator[OpenAIClient]:
    """Connect to a vLLM server, such as "http://127.0.0.1:8000"; default model: the first one that it serves."""
    async with http_endpoint(url, api_key=api_key) as endpoint:
        yield OpenAIClient(endpoint, model or await _first_model(endpoint), clock)


@asynccontextmanager
async def http_endpoint(url: str, *, api_key: str = "") -> AsyncIterator[Endpoint]:
    """Yield the connections to an HTTP server for the time of the block."""
    endpoint = Endpoint(url, api_key=api_key, connect_seconds=REQUEST_TIMEOUT_SECONDS)
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def _first_model(endpoint: Endpoint) -> str:
    try:
        return str((await endpoint.json("/v1/models", REQUEST_TIMEOUT_SECONDS))["data"][0]["id"])
    except (EngineError, KeyError, IndexError, TypeError) as error:
        reason = _how_to_get_in(endpoint, error)
        raise EndpointError(reason or f"no vLLM answers at {endpoint.url}: {error}; check --direct") from error


def _how_to_get_in(endpoint: Endpoint, error: Exception) -> str:
    """Return what to do if the server does not know us, or we do not trust it; "" if that is not the reason."""
    if isinstance(error, NotServed) and not isinstance(error, NotOffered):
        return f"{endpoint.url} refused the API key; set {DIRECT_KEY_VARIABLE}"
    if isinstance(error.__cause__, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {endpoint.url} is not trusted, or for another name; set SSL_CERT_FILE"
    return ""
