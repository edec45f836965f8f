"""The chat template and tokenizer of the model that vLLM serves in this process's charge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...chat.template import HfChat
from ...errors import EngineStartError
from ..probes import NO_CHAT_TEMPLATE, RENDERING_PROBE

if TYPE_CHECKING:
    from pathlib import Path

    from vllm.v1.engine.async_llm import AsyncLLM


def vllm_chat(vllm: AsyncLLM, template_file: Path | None) -> HfChat:
    """Return the template and tokenizer of vLLM's own chat endpoint, checked against it.

    `template_file` replaces the model's own template. Raises EngineStartError.
    """
    from vllm.renderers.chat_utils import load_chat_template
    from vllm.renderers.hf import HfRenderer, resolve_chat_template, resolve_chat_template_content_format
    from vllm.renderers.params import ChatParams

    from ..template_variables import variables_of

    renderer, config = vllm.renderer, vllm.vllm_config.model_config
    if not isinstance(renderer, HfRenderer):
        raise EngineStartError(
            f"vLLM renders this model's chats with {type(renderer).__name__}, and forefill supports only Hugging Face "
            'templates; if the model has one, set --engine-args \'{"tokenizer_mode": "hf"}\''
        )
    tokenizer = renderer.get_tokenizer()
    given = load_chat_template(template_file) if template_file else None
    template = resolve_chat_template(tokenizer, given, None, model_config=config)
    if template is None:
        raise EngineStartError(NO_CHAT_TEMPLATE)
    content_format = resolve_chat_template_content_format(given, None, "auto", tokenizer, model_config=config)
    chat = HfChat(tokenizer, template, content_format, variables_of(template))

    ours = chat.encode(chat.render([RENDERING_PROBE], {}))
    flags = {"add_generation_prompt": True, "continue_final_message": False, "tokenize": False}
    params = ChatParams(chat_template=given, chat_template_kwargs=flags)
    _, [theirs] = renderer.render_chat([[{"role": RENDERING_PROBE.role, "content": RENDERING_PROBE.content}]], params)
    if ours != list(theirs["prompt_token_ids"]):
        raise EngineStartError("forefill does not render this model's chat as vLLM does, so answers would differ")
    return chat
