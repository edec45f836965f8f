"""The chat template and tokenizer of a model that is served elsewhere, checked against that server.

forefill must send the ids that the server's own chat endpoint would make, so a few conversations are rendered both here
and by the server's `/tokenize`. This also shows which content format the template takes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ...chat.messages import ChatMessage
from ...chat.template import ContentFormat, HfChat
from ...errors import EngineBusy, EngineRefused, EngineStartError, Refusal
from ..one_line import one_line
from ..probes import NO_CHAT_TEMPLATE, RENDERING_PROBE
from .completions import NotOffered

if TYPE_CHECKING:
    from pathlib import Path

    from ...chat.prompt import Chat
    from .endpoint import Endpoint

log = logging.getLogger(__name__)

QUESTION_SECONDS = 30.0
"""The limit for each answer of a server that is asked what it serves."""
_CONVERSATIONS = (
    (RENDERING_PROBE,),
    (ChatMessage("user", " a"), ChatMessage("assistant", "b. "), ChatMessage("user", "c\u00e9 \u6f22 ")),
    (ChatMessage("system", "You are terse."), ChatMessage("user", "Why?")),
)
"""A template without a system role may refuse the last; then the server must refuse it, too."""


async def served_chat(endpoint: Endpoint, model: str, tokenizer_name: str, template_file: Path | None) -> HfChat:
    """Load the tokenizer, from a local directory or by its name on the Hugging Face hub, and check it with the server.

    Raises EngineStartError with one line that says what to do; EngineUnavailable and EngineBusy if the server cannot
    check it.
    """
    from ..template_variables import variables_of

    tokenizer = _tokenizer(tokenizer_name)
    template = _template(tokenizer, template_file)
    formats: tuple[ContentFormat, ...] = ("string", "openai")
    chats = [HfChat(tokenizer, template, content_format, variables_of(template)) for content_format in formats]
    if all(_ids(chats[0], talk) == _ids(chats[1], talk) for talk in _CONVERSATIONS):
        chats = chats[:1]
    for chat in chats:
        if (same := await renders_as(endpoint, model, chat)) is None:
            log.warning(
                "%s has no /tokenize, so forefill cannot check that it renders chats the same way; make sure that "
                "--model and --chat-template are the server's own",
                endpoint.url,
            )
            return chat
        if same:
            return chat
    raise EngineStartError(
        f"forefill does not render this model's chats as {endpoint.url} does, so answers would differ; set --model to "
        "the server's tokenizer and --chat-template to its template"
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


def _template(tokenizer: Any, file: Path | None) -> str:
    if file is not None:
        return file.read_text()
    try:
        return str(tokenizer.get_chat_template())
    except ValueError as error:
        raise EngineStartError(NO_CHAT_TEMPLATE) from error


async def renders_as(endpoint: Endpoint, model: str, chat: Chat) -> bool | None:
    """Return whether the server makes the same ids of all conversations; None if it does not say."""
    for talk in _CONVERSATIONS:
        messages = [{"role": message.role, "content": message.content} for message in talk]
        try:
            theirs = (await endpoint.json("/tokenize", QUESTION_SECONDS, {"model": model, "messages": messages})).get(
                "tokens"
            )
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
