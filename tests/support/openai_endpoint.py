"""A tiny HTTP server that answers like vLLM's chat endpoint, with canned events."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

ANSWER = ("SELECT", " 1")


def chat_events(prompt_tokens: int = 40, cached_tokens: int = 32) -> list[dict[str, Any]]:
    """Return the events of one whole answer."""
    pieces = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
    pieces += [{"choices": [{"delta": {"content": piece}}]} for piece in ANSWER]
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": len(ANSWER),
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }
    ending: list[dict[str, Any]] = [
        {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    return [*pieces, *ending]


@dataclass
class Endpoint:
    """The server: `events` are what it answers to those who have its key, `asked` are the bodies that it was sent."""

    key: str = ""
    url: str = ""
    status: int = 200
    events: list[dict[str, Any]] = field(default_factory=chat_events)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        status = self.status
        if self.key and f"authorization: bearer {self.key}\r\n" not in head.lower():
            status, told = 401, json.dumps({"error": "Unauthorized"})
        elif head.startswith("GET"):
            told = json.dumps({"data": [{"id": "canned"}]})
        else:
            self.asked.append(json.loads(body))
            told = "".join(f"data: {json.dumps(event)}\n\n" for event in self.events) + "data: [DONE]\n\n"
        writer.write(f"HTTP/1.1 {status} OK\r\nconnection: close\r\ncontent-length: {len(told)}\r\n\r\n{told}".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def openai_endpoint(key: str = "", tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """Serve on a free loopback port within the block; all paths ask for the key, if there is one."""
    endpoint = Endpoint(key)
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        endpoint.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield endpoint
