"""vLLM's own OpenAI API on an engine that is up already: the application that `vllm serve` runs, without its engine.

Sources: `vllm.entrypoints.launchers.api_server.entry`, `vllm.entrypoints.launchers.cli_args` (0.32).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ...errors import EngineStartError
from ..one_line import one_line
from .log_levels import root_log_levels_kept

if TYPE_CHECKING:
    from argparse import Namespace

    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM

    from ...settings import Settings


_OURS = {
    *("model", "served_model_name", "chat_template", "chat_template_content_format", "default_chat_template_kwargs"),
    "exclude_tools_when_tool_choice_none",
}
"""What prompts depend on: if these were others here, a request would not find what was warmed for it."""


class ForeignRequests:
    """The requests that run on an engine and are not forefill's; `running` is their number."""

    def __init__(self) -> None:
        self.running = 0

    def counted(self, app: Any) -> Any:
        """Return an ASGI application that counts the requests to another."""

        async def counting(scope: Any, receive: Any, send: Any) -> None:
            asks = scope["type"] == "http" and scope["method"] == "POST"
            self.running += asks
            try:
                await app(scope, receive, send)
            finally:
                self.running -= asks

        return counting


async def openai_app(vllm: AsyncLLM, model_name: str, adapters: dict[str, LoRARequest], settings: Settings) -> Any:
    """Return vLLM's application on this engine, with the model, the template and the parsers that it runs with.

    It answers with the `adapters` that are there when it is asked, which are those that sessions had loaded. Raises
    EngineStartError with one line of cause.
    """
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state
    from vllm.entrypoints.launchers.app import build_app

    try:
        args = _arguments(vllm, model_name, settings)
        tasks = await vllm.get_supported_tasks()
        with root_log_levels_kept():
            app = build_app(args, tasks, vllm.model_config)
        await init_app_state(vllm, app.state, args, tasks)
        app.state.openai_serving_models.lora_requests = adapters
        app.state.server = SimpleNamespace()  # vLLM stops it if the engine dies, which forefill sees to
    except EngineStartError:
        raise
    except Exception as error:  # parsers and plugins may raise anything
        cause = one_line(error, type(error).__name__)
        raise EngineStartError(f"vLLM's OpenAI API does not start: {cause}; check --openai-args") from error
    return app


def _arguments(vllm: AsyncLLM, model_name: str, settings: Settings) -> Namespace:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    config = vllm.vllm_config
    args: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args([])
    args.model, args.served_model_name = config.model_config.model, [model_name]
    args.structured_outputs_config = config.structured_outputs_config
    args.tool_call_parser = settings.engine.tool_call_parser or None
    args.enable_auto_tool_choice = bool(settings.engine.tool_call_parser)
    args.exclude_tools_when_tool_choice_none = settings.engine.exclude_forbidden_tools
    args.disable_log_stats = True
    args.enable_prompt_tokens_details = True  # so that an application learns what its request found cached
    if settings.engine.chat_template is not None:
        args.chat_template = str(settings.engine.chat_template)
    for name, value in settings.hand_off.openai_args.items():
        if name in _OURS or not hasattr(args, name):
            why = (
                "sets prompts apart from those that are warmed" if name in _OURS else "is no argument of vLLM's server"
            )
            raise EngineStartError(f"{name} {why}; take it out of --openai-args")
        setattr(args, name, value)
    validate_parsed_serve_args(args)
    return args
