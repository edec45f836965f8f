"""vLLM's own rendering of chats for a model directory, without an engine: the code behind its chat endpoint."""

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from forefill_service.chat.template import HfChat
from forefill_service.engine.vllm.chat import vllm_chat
from forefill_service.engine.vllm.rendering import VllmRendering
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.exceptions import VLLMValidationError
from vllm.renderers.chat_utils import load_chat_template
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.renderers.registry import renderer_from_config

from .wire import Messages

_ANY_TOOL_PARSER = "pythonic"
"""It is not asked to parse anything; without one, vLLM refuses tools, but for Harmony, which has its own."""


class TemplateRaised(Exception):
    """Raised when vLLM answers 400 with the template's own words."""


class ModelChats:
    """The two renderers of one model's chats: vLLM's and ours."""

    def __init__(self, model: Path) -> None:
        self.config = AsyncEngineArgs(model=str(model), kv_cache_memory_bytes=2**20).create_engine_config()
        self.renderer = renderer_from_config(self.config)
        self._loop = asyncio.new_event_loop()

    def theirs(
        self,
        chat_template: Path | None = None,
        default_kwargs: Mapping[str, Any] | None = None,
        *,
        excludes_tools: bool = False,
    ) -> "VllmChat":
        """Return vLLM's side, started with `--chat-template` and `--default-chat-template-kwargs` if they are given.

        `excludes_tools` is `--exclude-tools-when-tool-choice-none`.
        """
        return VllmChat(self, chat_template, self._loop, default_kwargs, excludes_tools=excludes_tools)

    def ours(self, chat_template: Path | None = None, *, excludes_tools: bool = False) -> HfChat:
        """Return forefill's fast path, made as at the start of the engine."""
        return vllm_chat(self._engine, chat_template, excludes_tools=excludes_tools)

    def authority(
        self, chat_template: Path | None = None, tool_call_parser: str = "", *, excludes_tools: bool = False
    ) -> VllmRendering:
        """Return what forefill asks if the fast path is not enough, made as at the start of the engine."""
        return VllmRendering(self._engine, chat_template, tool_call_parser, excludes_tools=excludes_tools)

    @property
    def _engine(self) -> Any:
        return SimpleNamespace(renderer=self.renderer, vllm_config=self.config)

    def close(self) -> None:
        self.renderer.shutdown()
        self._loop.close()


class VllmChat:
    """Makes ids of messages with the code of vLLM's chat endpoint."""

    def __init__(
        self,
        model: ModelChats,
        chat_template: Path | None,
        loop: asyncio.AbstractEventLoop,
        default_kwargs: Mapping[str, Any] | None,
        *,
        excludes_tools: bool,
    ) -> None:
        self._loop = loop
        self._online = OnlineRenderer(
            model_config=model.config.model_config,
            renderer=model.renderer,
            request_logger=None,
            chat_template=load_chat_template(chat_template),
            chat_template_content_format="auto",
            default_chat_template_kwargs=dict(default_kwargs or {}),
            reasoning_parser=model.config.structured_outputs_config.reasoning_parser,
            enable_auto_tools=True,
            exclude_tools_when_tool_choice_none=excludes_tools,
            tool_parser=None if model.config.model_config.hf_config.model_type == "gpt_oss" else _ANY_TOOL_PARSER,
        )

    def ids(self, messages: Messages, kwargs: Mapping[str, Any] | None = None) -> list[int]:
        """Return the ids that the endpoint would generate from; raises TemplateRaised."""
        said = [{"role": role, "content": content} for role, content in messages]
        return self.ids_of({"messages": said, "chat_template_kwargs": dict(kwargs or {})})

    def ids_of(self, request: Mapping[str, Any]) -> list[int]:
        """Return the ids that a chat completion with these fields is generated from; raises TemplateRaised.

        Without `tool_choice` that is what a server makes of tools that can parse their calls.
        """
        asked = ChatCompletionRequest(**deepcopy(dict(request)))
        try:
            rendered = self._loop.run_until_complete(self._online.render_chat(asked))
        except VLLMValidationError as error:
            raise TemplateRaised(str(error)) from error
        assert isinstance(rendered, tuple), rendered
        [engine_input] = rendered[1]
        return list(engine_input["prompt_token_ids"])
