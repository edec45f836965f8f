"""Compares the ids that SUBMIT sends with those of vLLM's chat endpoint, for one tokenizer and template.

Each conversation goes through the code of a turn (`Prompts`): the fast path and the authority are compared on their
probe drafts, and the verdict decides whose ids a draft gets. The reference is vLLM's online renderer.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import Chat
from forefill_service.engine import ChatEndpoint, ChatRequest, Priority
from forefill_service.engine.http.chat_endpoint import RemoteChatEndpoint
from forefill_service.engine.http.chat_ids import ChatIds
from forefill_service.engine.http.client import ServerClient
from forefill_service.engine.http.completions import chat_body
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.engine.http.monitor import ServerMonitor
from forefill_service.engine.http.parsers import Parsers
from forefill_service.engine.http.served_chat import ServedChat, served_chat
from forefill_service.engine.vllm.chat_endpoint import VllmChatEndpoint
from forefill_service.errors import EngineError, EngineStartError, Reason, Refusal
from forefill_service.fleet.backend import Backend
from forefill_service.serving.prompts import Prompts
from forefill_service.serving.rendering import Asks, Verdict
from transformers import AutoTokenizer

from .chat_bodies import Body, conversation_of, with_draft
from .render_server import MODEL, OFFERED, RenderServer, render_app
from .vllm_rendering import ModelChats
from .wire import Messages

CONTEXT_TOKENS = 8192
WAYS = ("embedded", *(f"remote, {offered}" for offered in OFFERED))
"""Where vLLM is, and what a server offers."""

Kwargs = Mapping[str, Any] | None
"""`chat_template_kwargs`, of a session or as the defaults of a server."""
Ids = tuple[int, ...] | None
"""What a prompt is made of; None if it is refused."""
Said = Messages | Body
"""What comes before the draft: messages of roles and contents alone, or the body of a request with all there is."""
References = Mapping[str, Sequence[Ids]]
"""By conversation, and for each draft."""


@dataclass
class Found:
    """The counts of one way: turns by verdict, and drafts by whether SUBMIT's ids are the reference's.

    `differing` names the conversation and the draft of each difference. `would_differ` counts the drafts for which the
    fast path alone makes other ids.
    """

    turns: dict[str, int] = field(default_factory=lambda: {verdict.name: 0 for verdict in Verdict})
    drafts: int = 0
    refused: int = 0
    would_differ: int = 0
    differing: list[str] = field(default_factory=list)
    refused_start: str = ""


def references(
    model: ModelChats,
    template: Path | None,
    conversations: Mapping[str, Said],
    drafts: Sequence[str],
    kwargs: Kwargs = None,
    defaults: Kwargs = None,
    *,
    excludes_tools: bool = False,
) -> References:
    """Return what vLLM's online renderer makes of each conversation with each draft."""
    theirs = model.theirs(template, defaults, excludes_tools=excludes_tools)

    def ids(said: Said, draft: str) -> Ids:
        try:
            if isinstance(said, Mapping):
                return tuple(theirs.ids_of(with_draft(said, draft)))
            return tuple(theirs.ids([*said, ("user", draft)], kwargs))
        except Exception:  # a template may raise anything, and the endpoint then refuses the request
            return None

    return {name: [ids(said, draft) for draft in drafts] for name, said in conversations.items()}


async def embedded(
    model: ModelChats,
    template: Path | None,
    conversations: Mapping[str, Said],
    drafts: Sequence[str],
    expected: References,
    kwargs: Kwargs = None,
    *,
    tool_call_parser: str = "",
    excludes_tools: bool = False,
) -> Found:
    """Check forefill with vLLM in its own process."""
    authority = model.authority(template, tool_call_parser, excludes_tools=excludes_tools)
    endpoint = VllmChatEndpoint(authority, *cast("Any", (None, 60.0, None)))
    chat, found = model.ours(template, excludes_tools=excludes_tools), Found()
    for name, said in conversations.items():
        await _check(found, _Turn(chat, endpoint, said, kwargs), name, drafts, expected[name])
    return found


async def remote(
    model: ModelChats,
    template: Path | None,
    conversations: Mapping[str, Said],
    drafts: Sequence[str],
    expected: References,
    offered: str,
    kwargs: Kwargs = None,
    defaults: Kwargs = None,
    **flags: Any,
) -> Found:
    """Check forefill with a server that offers these paths (OFFERED); `flags` are further ones of vLLM's."""
    found = Found()
    async with render_app(model, template, defaults, **flags) as client:
        server = RenderServer(client, OFFERED[offered])
        endpoint = cast("Endpoint", server)
        try:
            with _tokenizers_are_loaded_once():
                chat = await served_chat(endpoint, MODEL, str(model.config.model_config.model), template)
        except EngineStartError as error:
            found.refused_start = str(error)
            return found
        chat_ids = _ids_of(endpoint, chat)
        client_of_server = cast("ServerClient", SimpleNamespace(name=server.url, chat_ids=chat_ids, parsers=Parsers()))
        monitor = cast("ServerMonitor", SimpleNamespace(pulse=SimpleNamespace(up=True)))
        asked = RemoteChatEndpoint(client_of_server, monitor, 60.0)
        for name, said in conversations.items():
            turn = _Turn(chat.chat, asked, said, kwargs, server, client_of_server.chat_ids)
            await _check(found, turn, name, drafts, expected[name])
    return found


class _Turn:
    """The prompts of one turn, on a backend that has nothing but a chat."""

    def __init__(
        self,
        chat: Chat,
        endpoint: ChatEndpoint,
        said: Said,
        kwargs: Kwargs,
        server: RenderServer | None = None,
        chat_ids: ChatIds | None = None,
    ) -> None:
        backend = SimpleNamespace(
            info=SimpleNamespace(context_tokens=CONTEXT_TOKENS),
            replicas=SimpleNamespace(chat=chat),
            render=_at_once,
            rendered=lambda verdict, meaning, agrees: None,
            sleep=asyncio.sleep,
            clock=time.monotonic,
        )
        owned: list[asyncio.Future[Any]] = []
        self.prompts = Prompts(cast("Backend", backend), endpoint, _before_the_draft(said, kwargs), owned.append)
        self._made, self.compared = owned
        self._server = server
        self._chat_ids = chat_ids

    async def sent(self, draft: str) -> Ids:
        """Return the ids of the prompt that SUBMIT has answered."""
        try:
            ids = await self.prompts.submitted(draft)
            if ids is not None:
                return tuple(ids.to_list())
            return await self._answered(draft)
        except Refusal as refusal:
            if refusal.reason is not Reason.TEMPLATE_REFUSED:
                raise
            return None

    async def by_the_fast_path(self, draft: str) -> Ids:
        """Return the ids that the fast path alone makes."""
        try:
            return tuple((await self._made).final(draft).to_list())
        except Refusal:
            return None

    async def _answered(self, draft: str) -> Ids:
        """Return the ids that the server's own chat endpoint makes of the body that it gets."""
        assert self._server is not None
        assert self._chat_ids is not None
        request = ChatRequest(self.prompts.conversation(draft), Sampling(max_tokens=32), Priority.GENERATION)
        body = chat_body(request, MODEL, priorities=False) | await self._chat_ids.tool_choice(request.conversation)
        try:
            return tuple(await self._server.generated_from(body))
        except EngineError:
            return None


async def _check(found: Found, turn: _Turn, name: str, drafts: Sequence[str], expected: Sequence[Ids]) -> None:
    await turn.compared
    found.turns[turn.prompts.verdict.name] += 1
    for draft, ids in zip(drafts, expected, strict=True):
        found.drafts += 1
        found.refused += ids is None
        sent = await turn.sent(draft)
        alone = sent if turn.prompts.rule.asks is Asks.FAST_PATH else await turn.by_the_fast_path(draft)
        found.would_differ += alone != ids
        if sent != ids:
            found.differing.append(f"{name}: {draft[:40]!r}")


def _before_the_draft(said: Said, kwargs: Kwargs) -> Conversation:
    if isinstance(said, Mapping):
        return conversation_of(said)
    return Conversation(tuple(ChatMessage(role, content) for role, content in said), dict(kwargs or {}))


async def _at_once(work: Callable[..., Any], *args: Any) -> Any:
    return work(*args)


def _ids_of(endpoint: Endpoint, chat: ServedChat) -> ChatIds:
    return ChatIds(endpoint, MODEL, harmony=chat.harmony)


@contextmanager
def _tokenizers_are_loaded_once() -> Iterator[None]:
    with patch.object(AutoTokenizer, "from_pretrained", _loaded):
        yield


_load = AutoTokenizer.from_pretrained


@cache
def _loaded(name: str) -> Any:
    return _load(name)
