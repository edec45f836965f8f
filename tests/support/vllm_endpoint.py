"""vLLM's own HTTP application in this process, on an engine that is already up."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from forefill_service.engine.vllm import EmbeddedEngine
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser

from .wire import Messages


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


@asynccontextmanager
async def chat_endpoint(engine: EmbeddedEngine, **flags: Any) -> AsyncIterator[ChatEndpoint]:
    """Serve the engine by vLLM's own application within the block; `flags` are by the names of its arguments."""
    model = engine.vllm.model_config.model
    args = make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", model])
    for name, value in flags.items():
        setattr(args, name, value)
    tasks = await engine.vllm.get_supported_tasks()
    app = build_app(args, tasks, engine.vllm.model_config)
    await init_app_state(engine.vllm, app.state, args, tasks)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://vllm", timeout=60) as client:
        yield ChatEndpoint(client, model)
