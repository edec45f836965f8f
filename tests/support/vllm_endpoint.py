"""vLLM's own HTTP application in this process, on an engine that is already up."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.log_levels import root_log_levels_kept
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser

from .wire import Messages


@dataclass(frozen=True, slots=True)
class Split:
    """A whole answer, its parts joined: calls are names and arguments, `ids` those of its tokens."""

    text: str
    reasoning: str
    calls: tuple[tuple[str, str], ...]
    finish_reason: str
    ids: tuple[int, ...]
    prompt_tokens: int


class ChatEndpoint:
    """An HTTP client of vLLM's chat endpoint."""

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model

    async def complete(self, messages: Messages, **fields: Any) -> dict[str, Any]:
        """Return the body of a chat completion, greedy and of one token unless `fields` say otherwise."""
        said = [{"role": role, "content": content} for role, content in messages]
        return await self.complete_request({"messages": said, **fields})

    async def complete_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a chat completion, greedy and of one token unless the request says otherwise."""
        body = {"model": self._model, "temperature": 0, "max_tokens": 1, "return_token_ids": True, **request}
        response = await self._client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        completion: dict[str, Any] = response.json()
        return completion

    async def streamed(self, request: Mapping[str, Any]) -> Split:
        """Return what a streamed chat completion sends, greedy unless the request says otherwise."""
        options = {"stream": True, "stream_options": {"include_usage": True}, "return_token_ids": True}
        body = {"model": self._model, "temperature": 0, **options, **request}
        response = await self._client.post("/v1/chat/completions", json=body)
        assert response.status_code == 200, response.text
        lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
        return _joined([json.loads(line) for line in lines])

    async def prompt_ids(self, messages: Messages, **fields: Any) -> list[int]:
        """Return the ids that the endpoint made of the messages and generated from."""
        ids: list[int] = (await self.complete(messages, **fields))["prompt_token_ids"]
        return ids

    async def tokenized(self, messages: Messages) -> list[int]:
        """Return the ids that `/tokenize` makes of the messages."""
        said = [{"role": role, "content": content} for role, content in messages]
        response = await self._client.post("/tokenize", json={"model": self._model, "messages": said})
        assert response.status_code == 200, response.text
        ids: list[int] = response.json()["tokens"]
        return ids


def _joined(events: list[dict[str, Any]]) -> Split:
    choices = [choice for event in events for choice in event["choices"]]
    deltas = [choice["delta"] for choice in choices]
    calls: dict[int, list[str]] = {}
    for call in (call for delta in deltas for call in delta.get("tool_calls") or ()):
        said = calls.setdefault(call["index"], ["", ""])
        said[0] += call["function"].get("name") or ""
        said[1] += call["function"].get("arguments") or ""
    [reason] = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    return Split(
        "".join(delta.get("content") or "" for delta in deltas),
        "".join(delta.get("reasoning") or "" for delta in deltas),
        tuple((name, arguments) for name, arguments in (calls[index] for index in sorted(calls))),
        reason,
        tuple(token for choice in choices for token in choice.get("token_ids") or ()),
        events[-1]["usage"]["prompt_tokens"],
    )


@asynccontextmanager
async def chat_endpoint(engine: EmbeddedEngine, *arguments: str) -> AsyncIterator[ChatEndpoint]:
    """Serve the engine by vLLM's own application within the block; `arguments` are those of its server."""
    transport = httpx.ASGITransport(app=await _application(engine, *arguments))
    async with httpx.AsyncClient(transport=transport, base_url="http://vllm", timeout=60) as client:
        yield ChatEndpoint(client, engine.vllm.model_config.model)


@asynccontextmanager
async def over_http(engine: EmbeddedEngine, *arguments: str) -> AsyncIterator[str]:
    """Serve the same on a free loopback port within the block; yield its URL."""
    app = await _application(engine, "--enable-prompt-tokens-details", *arguments)
    server = _Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not task.done()
            await asyncio.sleep(0.01)
        [listening] = server.servers
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def _application(engine: EmbeddedEngine, *arguments: str) -> Any:
    args = make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", engine.vllm.model_config.model, *arguments])
    if args.reasoning_parser:  # as its server does
        args.structured_outputs_config.reasoning_parser = args.reasoning_parser
    tasks = await engine.vllm.get_supported_tasks()
    with root_log_levels_kept():
        app = build_app(args, tasks, engine.vllm.model_config)
    await init_app_state(engine.vllm, app.state, args, tasks)
    return app


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the tests."""
        yield
