"""vLLM's own HTTP application without an engine (`vllm launch render`), asked as a remote engine asks a server."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from forefill_service.engine.http.chat_ids import RENDER, TOKENIZE
from forefill_service.engine.http.failures import failure
from forefill_service.engine.http.patience import Patience
from forefill_service.engine.vllm.log_levels import root_log_levels_kept
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.entrypoints.launchers.render import app_state
from vllm.utils.argparse_utils import FlexibleArgumentParser

from .vllm_rendering import ModelChats

MODEL = "model"
OFFERED: Mapping[str, tuple[str, ...]] = {"render": (RENDER, TOKENIZE), "tokenize": (TOKENIZE,)}
"""The paths that say ids, of a server with `--enable-scale-out` and of one without."""


class RenderServer:
    """Takes the place of an `Endpoint`.

    The application renders; nothing generates, so a chat completion is one token without a meaning, with the ids of its
    prompt.
    """

    url = "http://vllm"

    def __init__(self, client: httpx.AsyncClient, paths: tuple[str, ...]) -> None:
        self._client = client
        self._paths = paths

    async def text(self, path: str, seconds: float, body: Any = None, reasons: Collection[str] = ()) -> str:
        """POST a body; raises EngineError as `Endpoint.text` does."""
        if path not in self._paths:
            raise failure(404, {"detail": "Not Found"})
        return await self._post(path, body, reasons)

    async def lines(
        self, path: str, body: Any, headers: Mapping[str, str], patience: Patience, most_bytes: int = 0
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events of a chat completion."""
        choice = {"index": 0, "delta": {"content": "?"}, "token_ids": [0], "finish_reason": "length"}
        yield _event({"prompt_token_ids": await self.generated_from(body), "choices": [choice]})
        yield _event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        yield b"data: [DONE]"

    async def generated_from(self, body: Any) -> list[int]:
        """Return the ids that a chat completion with this body is generated from; raises EngineError."""
        ids: list[int] = json.loads(await self._post(RENDER, body))["token_ids"]
        return ids

    async def _post(self, path: str, body: Any, reasons: Collection[str] = ()) -> str:
        response = await self._client.post(path, json=body)
        if response.status_code != 200:
            raise failure(response.status_code, response.json(), reasons=reasons)
        return response.text


def _event(values: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(values).encode()


@asynccontextmanager
async def render_app(
    model: ModelChats, template: Path | None = None, default_kwargs: Mapping[str, Any] | None = None, **flags: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a model's chats within the block.

    `template` is `--chat-template`, and `default_kwargs` is `--default-chat-template-kwargs`, if they are given;
    `flags` are others, by the names of vLLM's arguments.
    """
    given = ["--model", str(model.config.model_config.model), "--served-model-name", MODEL]
    args = make_arg_parser(FlexibleArgumentParser()).parse_args(given)
    args.chat_template = None if template is None else str(template)
    args.default_chat_template_kwargs = default_kwargs
    for name, value in flags.items():
        setattr(args, name, value)
    with root_log_levels_kept():
        app = build_app(args, ("render",))
    with patch.object(app_state, "renderer_from_config", lambda _: model.renderer):  # loaded once, for all templates
        await app_state.init_render_app_state(model.config, app.state, args)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=RenderServer.url, timeout=60) as client:
        yield client
