"""The chat template and tokenizer of the model that vLLM serves in this process's charge."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...chat.template import HfChat, Template
from ...errors import EngineStartError, Refusal
from ..probes import CONVERSATIONS, NO_CHAT_TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vllm.v1.engine.async_llm import AsyncLLM

    from ...chat.messages import Conversation
    from .rendering import VllmRendering

log = logging.getLogger(__name__)


def vllm_chat(vllm: AsyncLLM, template_file: Path | None, *, excludes_tools: bool = False) -> HfChat:
    """Return the template and tokenizer of vLLM's own chat endpoint.

    `template_file` replaces the model's own template; `excludes_tools` says whether tools are left out of the prompt if
    none may be called. Raises EngineStartError.
    """
    from vllm.renderers.chat_utils import load_chat_template
    from vllm.renderers.hf import HfRenderer, resolve_chat_template, resolve_chat_template_content_format

    from ..template_variables import variables_of

    renderer, config = vllm.renderer, vllm.vllm_config.model_config
    if not isinstance(renderer, HfRenderer):
        raise EngineStartError(
            f"vLLM renders this model's chats with {type(renderer).__name__}, and forefill supports only Hugging Face "
            'templates; if the model has one, set --engine-args \'{"tokenizer_mode": "hf"}\''
        )
    tokenizer = renderer.get_tokenizer()
    given = load_chat_template(template_file) if template_file else None

    def template_for(tools: list[dict[str, Any]] | None) -> Template | None:
        if (source := resolve_chat_template(tokenizer, given, tools, model_config=config)) is None:
            return None
        found = resolve_chat_template_content_format(given, tools, "auto", tokenizer, model_config=config)
        return Template(source, found, variables_of(source))

    if (template := template_for(None)) is None:
        raise EngineStartError(NO_CHAT_TEMPLATE)
    return HfChat(
        tokenizer,
        template.source,
        template.content_format,
        template.variables,
        template_for([]),
        excludes_tools=excludes_tools,
    )


def check_chat(chat: HfChat, rendering: VllmRendering) -> None:
    """Compare the two on a few conversations, and warn of the first that differs: vLLM then renders such turns itself.

    Raises Refusal if vLLM cannot render a chat of one question.
    """
    rendering.ids(CONVERSATIONS["a question"])
    differing = [name for name, conversation in CONVERSATIONS.items() if not _same(chat, rendering, conversation)]
    if differing:
        log.warning(
            "forefill's fast path renders %d of %d kinds of conversation unlike vLLM, the first with %s; vLLM itself "
            "renders such turns, so their answers are right, and each FLUSH of them costs more time",
            len(differing),
            len(CONVERSATIONS),
            differing[0],
        )


def _same(chat: HfChat, rendering: VllmRendering, conversation: Conversation) -> bool:
    return _ids_or_none(lambda: chat.encode(chat.render(conversation))) == _ids_or_none(
        lambda: rendering.ids(conversation)
    )


def _ids_or_none(render: Callable[[], list[int]]) -> list[int] | None:
    try:
        return render()
    except Refusal:
        return None
