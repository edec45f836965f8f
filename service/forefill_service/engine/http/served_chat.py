"""The chat template and tokenizer of a model that is served elsewhere: the fast path, compared with that server.

Each turn is checked on its own, so what differs is only said at the start. A start is refused if the prompts made here
have nothing in common with the server's: then nothing that forefill warms would ever be found.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ...chat.template import HfChat, Template
from ...chat.template_input import ContentFormat
from ...chat.token_ids import common_length
from ...errors import EngineStartError, Refusal
from ..one_line import one_line
from ..probes import CONVERSATIONS, NO_CHAT_TEMPLATE
from .chat_ids import ChatIds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...chat.messages import Conversation
    from ...chat.prompt import Chat
    from .endpoint import Endpoint

log = logging.getLogger(__name__)

_FORMATS: tuple[ContentFormat, ...] = ("string", "openai")
_HARMONY_TOKENS = {"<|start|>", "<|channel|>", "<|message|>"}
_USEFUL_SHARE = 0.5
"""Which share of a prompt has to be common to both for warming to be of use."""


class ServedChat(NamedTuple):
    """A fast path to the chats of a server, and the names of the conversations (`CONVERSATIONS`) on which they agree.

    `harmony` says whether the server renders them in OpenAI's Harmony format, without the template. Ids of the model's
    tokens are below `vocabulary`, None if unknown. `reasons` are those that the template gives for a refusal.
    """

    chat: Chat
    harmony: bool = False
    agreed: frozenset[str] = frozenset(CONVERSATIONS)
    vocabulary: int | None = None
    reasons: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a fast path compares with a server, by the names of the conversations.

    `useful` says whether any of the server's prompts begins with enough of what the fast path makes.
    """

    agreed: tuple[str, ...]
    differing: tuple[str, ...]
    useful: bool


async def served_chat(endpoint: Endpoint, model: str, tokenizer_name: str, template_file: Path | None) -> ServedChat:
    """Load the tokenizer, from a local directory or by its name on the Hugging Face hub, and compare with the server.

    The content format, and whether tools are left out if none may be called, are those that agree on the most
    conversations. Raises EngineStartError with one line that says
    what to do; EngineUnavailable and EngineBusy if the server cannot be asked.
    """
    tokenizer = _tokenizer(tokenizer_name)
    config = _config(tokenizer_name)
    harmony = _is_harmony(config, tokenizer)
    ids = ChatIds(endpoint, model, harmony=harmony)
    theirs = await rendered_by(ids)
    sources = _template(tokenizer, template_file), _template(tokenizer, template_file, tools=[])
    chats = [_chat(tokenizer, *sources, form, excludes) for form in _FORMATS for excludes in (False, True)]
    compared = [(compare(chat, theirs), chat) for chat in chats]
    comparison, chat = max(compared, key=lambda found: len(found[0].agreed))  # the first of equals
    if not comparison.useful and comparison.differing and not harmony:
        raise EngineStartError(
            f"forefill does not render this model's chats as {endpoint.url} does, so answers would differ; set --model "
            "to the server's tokenizer and --chat-template to its template"
        )
    _log_costs(endpoint.url, ids, comparison)
    return ServedChat(chat, harmony, frozenset(comparison.agreed), _vocabulary(config, tokenizer), _reasons(sources))


async def rendered_by(ids: ChatIds) -> dict[str, list[int] | None]:
    """Return what a server makes of each conversation: no ids if it refuses, None if it does not say."""
    return dict(zip(CONVERSATIONS, await ids.checked(CONVERSATIONS.values()), strict=True))


def compare(chat: Chat, theirs: Mapping[str, list[int] | None]) -> Comparison:
    """Compare what a fast path and a server make of the conversations, as far as the server says."""
    ours = {name: _ids(chat, CONVERSATIONS[name]) for name in theirs}
    known = {name: ids for name, ids in theirs.items() if ids is not None}
    agreed = tuple(name for name, ids in known.items() if ours[name] == ids)
    differing = tuple(name for name, ids in known.items() if ours[name] != ids)
    useful = any(ids and common_length(ours[name], ids) >= _USEFUL_SHARE * len(ids) for name, ids in known.items())
    return Comparison(agreed, differing, useful)


def _log_costs(url: str, ids: ChatIds, comparison: Comparison) -> None:
    if not ids.says:
        log.warning(
            "%s does not say which token ids its chat endpoint makes, so each SUBMIT goes to that endpoint, and no "
            "answer is begun before; start the server with --enable-scale-out",
            url,
        )
    if differing := comparison.differing:
        log.warning(
            "%s makes other token ids than forefill of %d in %d kinds of conversation, such as %s: SUBMIT goes to its "
            "chat endpoint in such turns, only what both make is warmed, and no answer is begun before; check whether "
            "--model and --chat-template are the server's own, and see its --default-chat-template-kwargs",
            *(url, len(differing), len(differing) + len(comparison.agreed), differing[0]),
        )


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except Exception as error:  # transformers raises many types, from OSError to the tokenizers' own
        cause = one_line(error, type(error).__name__)
        raise EngineStartError(
            f"no tokenizer at {name!r} ({cause}); set --model to a local directory or a name on the hub"
        ) from error


def _chat(tokenizer: Any, source: str, with_tools: str, content_format: ContentFormat, excludes_tools: bool) -> HfChat:
    from ..template_variables import variables_of

    tool_template = Template(with_tools, content_format, variables_of(with_tools))
    variables = variables_of(source)
    return HfChat(tokenizer, source, content_format, variables, tool_template, excludes_tools=excludes_tools)


def _reasons(templates: tuple[str, ...]) -> frozenset[str]:
    from ..template_variables import reasons_of

    return frozenset().union(*map(reasons_of, templates))


def _template(tokenizer: Any, file: Path | None, tools: list[Any] | None = None) -> str:
    """Return the source of the template; a tokenizer may have another one for chats with tools."""
    if file is not None:
        return file.read_text()
    try:
        return str(tokenizer.get_chat_template(tools=tools))
    except ValueError as error:
        raise EngineStartError(NO_CHAT_TEMPLATE) from error


def _config(name: str) -> Mapping[str, Any]:
    """Return the model's config; empty if there is none beside the tokenizer, or not one of a model."""
    from transformers import PretrainedConfig

    try:
        config, _ = PretrainedConfig.get_config_dict(name)
    except Exception:
        return {}
    return dict(config)


def _vocabulary(config: Mapping[str, Any], tokenizer: Any) -> int:
    """Return the size of the model's vocabulary, as vLLM takes it: that of the tokenizer may be smaller."""
    text_config = config.get("text_config")
    sizes = [config.get("vocab_size"), text_config.get("vocab_size") if isinstance(text_config, dict) else None]
    return next((size for size in sizes if isinstance(size, int)), len(tokenizer))


def _is_harmony(config: Mapping[str, Any], tokenizer: Any) -> bool:
    """Return whether vLLM renders the chats of this model in the Harmony format: it goes by the type in its config."""
    if model_type := config.get("model_type"):
        return bool(model_type == "gpt_oss")
    return _HARMONY_TOKENS.issubset(tokenizer.get_added_vocab())


def _ids(chat: Chat, conversation: Conversation) -> list[int]:
    try:
        return chat.encode(chat.render(conversation))
    except Refusal:
        return []
