"""vLLM's own rendering of a conversation: the code behind its chat endpoint, Harmony for gpt-oss included.

`OnlineRenderer` is what vLLM's server runs for `/v1/chat/completions`. It is made here as the server makes it, so
content formats, roles and models that need no template are vLLM's decision. Only how it waits is ours: template and
tokenizer run on the caller's thread, not in vLLM's pool of one, where a template that sticks would hold up all others.

Sources: `vllm.renderers.online_renderer`, `vllm.entrypoints.launchers.api_server.app_state` (0.32).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from ...chat.generation import Kind, Sampling, Structure
from ...chat.messages import ChatMessage, Conversation
from ...chat.openai_form import chat_fields
from ...chat.template import without_the_chat
from ...errors import EngineRefused, EngineStartError, Reason, Refusal
from ..causes import NO_PARSER_OF_CALLS, cause_of_error
from ..one_line import one_line
from .log_levels import leave_out_what_templates_say
from .splitter import VllmSplitter

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from pydantic import ValidationError
    from vllm.v1.engine.async_llm import AsyncLLM

_TOO_LONG = ("input_text", "input_tokens")
"""The parameters that vLLM blames if a prompt does not fit into the model's context."""

_ANY_TOOL = {"type": "function", "function": {"name": "a", "parameters": {"type": "object", "properties": {}}}}

_MOST_CHARACTERS = 500
"""A template may say anything, of any length."""


class VllmRendering:
    """Makes the ids that vLLM's chat endpoint would make of a conversation.

    `template_file` replaces the model's own template; `tool_call_parser` names what splits calls of tools off, "" for
    nothing. `excludes_tools` says whether tools are left out of the prompt if none may be called. Raises
    EngineStartError.
    """

    def __init__(
        self, vllm: AsyncLLM, template_file: Path | None, tool_call_parser: str = "", *, excludes_tools: bool = False
    ) -> None:
        from vllm.renderers.chat_utils import load_chat_template
        from vllm.renderers.online_renderer import OnlineRenderer

        leave_out_what_templates_say()
        self._splits_calls, self._excludes_tools = bool(tool_call_parser), excludes_tools
        config, renderer = vllm.vllm_config, _OnThisThread(vllm.renderer)
        template = load_chat_template(template_file) if template_file else None
        try:
            self._online = OnlineRenderer(
                model_config=config.model_config,
                renderer=renderer,
                request_logger=None,
                chat_template=template,
                chat_template_content_format="auto",
                reasoning_parser=config.structured_outputs_config.reasoning_parser,
                tool_parser=tool_call_parser or None,
                enable_auto_tools=bool(tool_call_parser),
            )
            if self.harmony:
                _load_harmony()
            if self.splits:  # each answer gets a new parser, whose constructor checks the vocabulary
                self._parser(self._request(Conversation((ChatMessage("user", "a"),), tools=(_ANY_TOOL,))))
        except EngineStartError:
            raise
        except Exception as error:  # parsers raise anything
            raise EngineStartError(
                f"the chats of this model cannot be parsed: {one_line(error, type(error).__name__)}; check "
                "--reasoning-parser and --tool-call-parser"
            ) from error

    @property
    def harmony(self) -> bool:
        """Whether the model speaks Harmony: vLLM renders and parses its chats without a template."""
        return bool(self._online.use_harmony)

    @property
    def splits(self) -> bool:
        """Whether vLLM sends the parts of an answer apart."""
        return self._online.parser is not None

    def splitter(self, conversation: Conversation, prompt_ids: Sequence[int]) -> VllmSplitter | None:
        """Return a new splitter for the answer to a conversation; None if vLLM sends answers as they are."""
        if not self.splits:
            return None
        try:
            request = self._request(conversation)
            return VllmSplitter(self._parser(request), request, prompt_ids, flushes=not self.harmony)
        except Exception as error:  # parsers raise anything
            raise EngineRefused(f"the answer cannot be parsed ({type(error).__name__})") from error

    def adjusted(self, conversation: Conversation, sampling: Sampling) -> Sampling:
        """Return a sampling as vLLM's parsers change it for their chats.

        Some look for the text of special tokens; some make one structure of the session's own and of the tools whose
        calls are strict, or of its own and of how the model marks its final answer.
        """
        from vllm.sampling_params import StructuredOutputsParams

        if not self.splits:
            return sampling
        try:
            request = self._request(conversation)
            if not self._adjusts(request):
                return sampling
            request.skip_special_tokens = sampling.skip_special_tokens
            if sampling.structure is not None:
                request.structured_outputs = StructuredOutputsParams(**sampling.structure.as_vllm_takes_it)
            request = self._parser(request).adjust_request(request)
            found = _structure_of(request.extract_structured_outputs())
            structure = found and replace(
                found,
                template_variables=self._variables(request),
                from_the_start=request._grammar_from_parser,
            )
        except Exception:  # what vLLM does not accept is refused where it renders, or checks tools and sampling
            return sampling
        return replace(sampling, skip_special_tokens=request.skip_special_tokens, structure=structure)

    def requiring(self, conversation: Conversation) -> Sampling:
        """Return what makes an answer call a tool as it has to; raises Refusal (INVALID_TOOLS) if nothing can."""
        if not self._splits_calls:
            raise Refusal(Reason.INVALID_TOOLS, f"tool_choice requires a call: {NO_PARSER_OF_CALLS}")
        try:
            request = self._request(conversation)
            self._parser(request).adjust_request(request)
        except Exception as error:  # parsers raise anything
            raise Refusal(Reason.INVALID_TOOLS, f"tool_choice requires a call: {cause_of_error(error)}") from error
        return self.adjusted(conversation, Sampling())

    def _adjusts(self, request: Any) -> bool:
        """Whether vLLM has its parser change a request, which may call no tool and have no thoughts to split off."""
        from vllm.utils.mistral import is_mistral_tokenizer, is_mistral_tool_parser

        parser, tokenizer = self._online.parser, self._online.renderer.get_tokenizer()
        if self.harmony or parser.always_adjust_request or parser.reasoning_parser_cls is not None:
            return True
        with_grammar = (
            parser.tool_parser_cls is not None
            and is_mistral_tool_parser(parser.tool_parser_cls)
            and is_mistral_tokenizer(tokenizer)
            and tokenizer.supports_grammar
        )
        return bool(request.tool_choice != "none" or with_grammar)

    def _parser(self, request: Any) -> Any:
        return self._online.parser(
            self._online.renderer.get_tokenizer(),
            request.tools,
            chat_template_kwargs=self._variables(request),
            model_config=self._online.model_config,
        )

    def _variables(self, request: Any) -> dict[str, Any]:
        return {} if self.harmony else dict(self._online.effective_chat_template_kwargs(request))

    def ids(self, conversation: Conversation) -> list[int]:
        """Return the ids of a conversation; it takes milliseconds or more.

        Raises Refusal: TEMPLATE_REFUSED in the template's own words, PROMPT_TOO_LONG.
        """
        from pydantic import ValidationError
        from vllm.exceptions import VLLMValidationError

        try:
            prompting = conversation.prompting(excludes_tools=self._excludes_tools)
            rendered = _at_once(self._online.render_chat(self._request(prompting)))
        except VLLMValidationError as error:
            reason = Reason.PROMPT_TOO_LONG if error.parameter in _TOO_LONG else Reason.TEMPLATE_REFUSED
            raise Refusal(reason, without_the_chat(str(error))[:_MOST_CHARACTERS]) from error
        except ValidationError as error:  # a field of the request
            raise Refusal(Reason.TEMPLATE_REFUSED, _words_of(error)) from error
        except Exception as error:  # a template may raise anything, on anything, and so may Harmony
            raise Refusal(Reason.TEMPLATE_REFUSED, one_line(error, type(error).__name__)) from error
        if not isinstance(rendered, tuple):
            raise Refusal(Reason.TEMPLATE_REFUSED, rendered.error.message[:_MOST_CHARACTERS])
        [engine_input] = rendered[1]
        return list(engine_input["prompt_token_ids"])

    def _request(self, conversation: Conversation) -> Any:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        # Tools are rendered with "none" as with "auto", which vLLM refuses if no parser of calls is set.
        default = {"tool_choice": "auto" if self._splits_calls and conversation.tools else "none"}
        return ChatCompletionRequest(**default | chat_fields(conversation))


def _structure_of(params: Any) -> Structure | None:
    """Return vLLM's parameters for structured outputs as a structure; None if there are none."""
    for kind in get_args(Kind):
        value = None if params is None else getattr(params, kind)
        if isinstance(value, Mapping):
            value = json.dumps(value)
        if value is not None:
            return Structure(kind, tuple(value) if isinstance(value, list) else value)
    return None


def _words_of(error: ValidationError) -> str:
    """Return what vLLM does not accept, by the name of the field, and without its value."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:_MOST_CHARACTERS]


class _OnThisThread:
    """A renderer of vLLM's that does its work where it is called."""

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renderer, name)

    async def render_chat_async(self, *args: Any, **kwargs: Any) -> Any:
        return self._renderer.render_chat(*args, **kwargs)


def _at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as ended:
        return ended.value
    work.close()
    raise RuntimeError("vLLM's rendering waits for something")


def _load_harmony() -> None:
    from vllm.entrypoints.openai.parser.harmony_utils import get_encoding

    try:
        get_encoding()
    except Exception as error:
        raise EngineStartError(
            f"the vocabulary of Harmony, which this model speaks, cannot be loaded ({one_line(error, '')}); set "
            "TIKTOKEN_ENCODINGS_BASE to a directory with o200k_base.tiktoken, or name a vLLM server with --engine-url"
        ) from error
