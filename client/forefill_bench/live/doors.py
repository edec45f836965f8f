"""Two ways to a plain generation: through forefill with warming off, and by vLLM's own HTTP endpoint."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from forefill_client.client import AsyncClient
from forefill_client.errors import ForefillError
from forefill_client.options import PregenerationMode, Sampling, WarmMode

if TYPE_CHECKING:
    import httpx

Talk = Sequence[tuple[str, str]]
"""The conversation before a text, as (role, content)."""
REQUEST_TIMEOUT_SECONDS: Final = 120.0


class EndpointError(ForefillError):
    """Raised when vLLM's HTTP endpoint does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; times in seconds of `time.perf_counter`."""

    text: str
    asked_at: float
    first_token_at: float
    ended_at: float
    #: When each piece of text came.
    pieces_at: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    source: str

    @property
    def gaps_ms(self) -> list[float]:
        """Milliseconds from each piece of text to the next."""
        return [(later - earlier) * 1000 for earlier, later in zip(self.pieces_at, self.pieces_at[1:], strict=False)]


class Door(Protocol):
    """Where plain generations are asked for: greedy, of at most `max_tokens`."""

    async def ask(self, talk: Talk, text: str, max_tokens: int) -> Reply: ...


class ForefillDoor:
    """Plain generations through forefill: a stream each, warming off."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def ask(self, talk: Talk, text: str, max_tokens: int) -> Reply:
        """Ask; what it takes to open the stream counts."""
        asked_at = time.perf_counter()
        async with self._client.session(
            talk,
            sampling=Sampling(temperature=0.0, max_tokens=max_tokens),
            warm_mode=WarmMode.OFF,
            pregeneration=PregenerationMode.OFF,
            auto_flush=False,
        ) as session:
            submitted_at = time.perf_counter()
            answer = await session.submit(text)
            texts, times = [], []
            async for piece in answer:
                texts.append(piece)
                times.append(time.perf_counter())
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


class HttpDoor:
    """Plain generations by `/v1/chat/completions`, streamed."""

    def __init__(self, client: "httpx.AsyncClient", model: str) -> None:
        self._client = client
        self.model = model

    async def ask(self, talk: Talk, text: str, max_tokens: int) -> Reply:
        """Ask; the first event of the stream comes with the first token."""
        import httpx

        body = {
            "model": self.model,
            "messages": [{"role": role, "content": content} for role, content in (*talk, ("user", text))],
            "temperature": 0,
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        reading = _Reading()
        try:
            async with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
                if response.status_code != 200:
                    said = (await response.aread()).decode(errors="replace")
                    raise EndpointError(f"vLLM's endpoint answered {response.status_code}: {said:.200}")
                async for line in response.aiter_lines():
                    reading.take(line, time.perf_counter())
        except httpx.HTTPError as error:
            raise EndpointError(f"vLLM's endpoint failed: {error!r}") from error
        return reading.reply()


class _Reading:
    """One streamed chat completion, line by line."""

    def __init__(self) -> None:
        self._asked_at = time.perf_counter()
        self._events_at: list[float] = []
        self._pieces: list[str] = []
        self._pieces_at: list[float] = []
        self._usage: dict[str, Any] = {}
        self._finished = False

    def take(self, line: str, now: float) -> None:
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            return
        event = json.loads(data)
        if error := event.get("error"):
            raise EndpointError(f"vLLM's endpoint failed: {error}")
        self._events_at.append(now)
        self._usage = event.get("usage") or self._usage
        for choice in event.get("choices", []):
            self._finished |= choice.get("finish_reason") is not None
            if piece := choice["delta"].get("content"):
                self._pieces.append(piece)
                self._pieces_at.append(now)

    def reply(self) -> Reply:
        if not self._finished:  # behind a router, a worker that died looks like an end
            raise EndpointError("vLLM's endpoint ended an answer before it was complete")
        cached = (self._usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Reply(
            text="".join(self._pieces),
            asked_at=self._asked_at,
            first_token_at=self._events_at[0],
            ended_at=self._events_at[-1],
            pieces_at=tuple(self._pieces_at),
            prompt_tokens=self._usage.get("prompt_tokens", 0),
            cached_tokens=cached,
            completion_tokens=self._usage.get("completion_tokens", 0),
            source="warm" if cached else "cold",
        )


def check_httpx() -> None:
    """Raise where the package is missing that speaks HTTP."""
    try:
        import httpx  # noqa: F401
    except ImportError:
        raise EndpointError(
            "the arm `direct` and the workload `overhead` speak HTTP: pip install 'forefill[bench]', or leave them out"
            " with --arms and --workloads"
        ) from None


@asynccontextmanager
async def http_door(url: str, model: str | None) -> AsyncIterator[HttpDoor]:
    """Connect to a vLLM server, such as "http://127.0.0.1:8000"; default model: the first one that it serves."""
    check_httpx()
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    base = url.rstrip("/").removesuffix("/v1")
    async with httpx.AsyncClient(
        base_url=base, timeout=REQUEST_TIMEOUT_SECONDS, limits=limits, trust_env=False
    ) as client:
        try:
            name = model or (await client.get("/v1/models")).raise_for_status().json()["data"][0]["id"]
        except (httpx.HTTPError, httpx.InvalidURL, KeyError, IndexError, ValueError) as error:
            raise EndpointError(f"no vLLM answers at {base}: {error!r}; check --direct") from error
        yield HttpDoor(client, name)
