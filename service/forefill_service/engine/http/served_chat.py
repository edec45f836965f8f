"""The chat template and tokenizer of a model that is served elsewhere, checked against that server.

The ids that are sent must be those that the server's own chat endpoint would make, so a few conversations are rendered
here and by the server's `/tokenize`. That also tells how the template takes the content of a message.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...chat.messages import ChatMessage
from ...chat.template import ContentFormat, HfChat
from ...errors import EngineBusy, EngineRefused, EngineStartError, Refusal, one_line
from ..probes import NO_CHAT_TEMPLATE, RENDERING_PROBE
from .completions import NotOffered

if TYPE_CHECKING:
    from pathlib import Path

    from ...chat.prompt import Chat
    from .endpoint import Endpoint

log = logging.getLogger(__name__)

SECONDS = 30.0
_CONVERSATIONS = (
    (RENDERING_PROBE,),
    (ChatMessage("user", " a"), ChatMessage("assistant", "b. "), ChatMessage("user", "c\u00e9 \u6f22 ")),
    (ChatMessage("system", "You are terse."), ChatMessage("user", "Why?")),
)
"""The last may be refused by a template that knows no system; then the server must refuse it, too."""


async def served_chat(endpoint: Endpoint, model: str, tokenizer_name: str, template_file: Path | None) -> HfChat:
    """Load the tokenizer, by a name of the Hugging Face hub or a local directory, and check it against the server.

    Raises EngineStartError with one line of what to do; EngineUnavailable and EngineBusy where the server cannot say.
    """
    tokenizer = _tokenizer(tokenizer_name)
    template = _template(tokenizer, template_file)
    formats: tuple[ContentFormat, ...] = ("string", "openai")
    chats = [HfChat(tokenizer, template, content_format) for content_format in formats]
    if all(_ids(chats[0], talk) == _ids(chats[1], talk) for talk in _CONVERSATIONS):
        chats = chats[:1]
    for chat in chats:
        if (same := await renders_as(endpoint, model, chat)) is None:
            log.warning(
                "%s has no /tokenize, so forefill cannot check that it renders chats as that server does; make sure "
                "that --model and --chat-template are the server's own",
                endpoint.url,
            )
            return chat
        if same:
            return chat
    raise EngineStartError(
        f"forefill does not render this model's chats as {endpoint.url} does, so answers would differ; give the "
        "server's tokenizer with --model and its template with --chat-template"
    )


def _tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except Exception as error:  # transformers raises anything, from OSError to tokenizers' own
        cause = one_line(error, type(error).__name__)
        raise EngineStartError(
            f"no tokenizer at {name!r} ({cause}); give a local directory or a name of the hub with --model"
        ) from error


def _template(tokenizer: Any, file: Path | None) -> str:
    if file is not None:
        return file.read_text()
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise EngineStartError(NO_CHAT_TEMPLATE) from error


async def renders_as(endpoint: Endpoint, model: str, chat: Chat) -> bool | None:
    """Tell whether the server makes the same ids of all conversations; None where it does not tell."""
    for talk in _CONVERSATIONS:
        messages = [{"role": message.role, "content": message.content} for message in talk]
        try:
            theirs = (await endpoint.json("/tokenize", SECONDS, {"model": model, "messages": messages})).get("tokens")
        except NotOffered:
            return None
        except EngineBusy:
            raise
        except EngineRefused:
            theirs = None
        if _ids(chat, talk) != theirs:
            return False
    return True


def _ids(chat: Chat, talk: tuple[ChatMessage, ...]) -> list[int] | None:
    try:
        return chat.encode(chat.render(talk, {}))
    except Refusal:
        return None
