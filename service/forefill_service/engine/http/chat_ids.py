"""The ids that a server's own chat endpoint makes of a conversation, as far as the server says.

    path                            says                                                             is offered by
    /v1/chat/completions/render     what the chat endpoint makes, by the same code                   --enable-scale-out
    /tokenize with messages         the same, except as below                                        all vLLM servers
    /v1/chat/completions            the ids of a prompt, with an answer to it                        all vLLM servers

`/tokenize` renders a Harmony model (gpt-oss) with its template, which the chat endpoint does not use, and in older
releases it ignores `--default-chat-template-kwargs`. So on servers without `render`, a few conversations are given to
the chat endpoint itself for one token each; `/tokenize` is believed only if it says the same ids of all. It knows
neither documents nor a reasoning effort, so it is not asked about conversations that have them.

What becomes of tools depends on `tool_choice`. To leave it out means "auto", which a server without a parser of calls
refuses; then "none" is sent, as any client of that server has to. It renders the same, unless the server excludes tools
then (`--exclude-tools-when-tool-choice-none`).

Sources: `vllm.entrypoints.scale_out.render`, `vllm.entrypoints.serve.tokenize` and `vllm.renderers.online_renderer`
(0.32).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...chat.messages import Conversation
from ...errors import EngineBusy, EngineNonsense, EngineRefused, Reason, Refusal
from ..base import ONE_TOKEN, ChatRequest, Priority
from ..probes import RENDERING_PROBE, TOOL
from .completions import CHAT_COMPLETIONS, chat_body, said
from .endpoint import completed
from .failures import NotOffered, NotServed, PromptTooLong
from .fields import MOST, Fields, parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from .endpoint import Endpoint

QUESTION_SECONDS = 30.0
"""The limit for each answer of a server that is asked what it serves or how it renders."""
RENDER = f"{CHAT_COMPLETIONS}/render"
TOKENIZE = "/tokenize"

_NO_CALLS: dict[str, str] = {"tool_choice": "none"}
_TOOL_PROBE = Conversation((RENDERING_PROBE,), tools=(TOOL,))
_IDS = ("token_ids", "tokens", "prompt_token_ids")
"""What the field is called: at `render`, at `/tokenize`, and in older releases."""


class ChatIds:
    """Asks one server for ids, on the paths that it was found to offer.

    `harmony` says that the model's chats are Harmony's. Ids are below `vocabulary`, None if unknown. `reasons` are
    those that the model's template gives for a refusal.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        *,
        harmony: bool = False,
        vocabulary: int | None = None,
        reasons: Collection[str] = (),
    ) -> None:
        self._endpoint = endpoint
        self._model = model
        self._below = vocabulary or MOST
        self._reasons = reasons
        self._paths = [RENDER] if harmony else [RENDER, TOKENIZE]
        self._tokenizes_tools = True
        self._tool_choice: dict[str, str] | None = None

    async def of(self, conversation: Conversation) -> list[int] | None:
        """Return the ids that the chat endpoint would generate from; None if the server does not say.

        Raises Refusal (TEMPLATE_REFUSED with the template's reason if it is known, PROMPT_TOO_LONG), NotServed,
        EngineBusy, EngineUnavailable.
        """
        choice = await self.tool_choice(conversation)
        for path in self._paths_for(conversation):
            if (ids := await self._asked(path, conversation, choice)) is not None:
                return ids
            self._no_longer(path)
        return None

    async def tool_choice(self, conversation: Conversation) -> dict[str, str]:
        """Return what to ask for beside a conversation so that its tools are rendered as for any client of the server.

        It is found out when it is first needed. Raises EngineUnavailable, EngineBusy.
        """
        if not conversation.tools or conversation.tool_choice != "auto":
            return {}  # it is a field of the conversation
        if self._tool_choice is None:
            refused = await self._made_of_tools() == []
            self._tool_choice = _NO_CALLS if refused else {}
        return self._tool_choice

    @property
    def says(self) -> bool:
        """Whether the server says ids, as far as is known."""
        return bool(self._paths)

    async def checked(self, conversations: Iterable[Conversation]) -> list[list[int] | None]:
        """Return the ids that the chat endpoint makes of each conversation, and see whether `/tokenize` says the same.

        No ids stand for a refusal, None for a server that does not say. Raises EngineUnavailable, EngineBusy.
        """
        return [await self._checked(conversation) for conversation in conversations]

    async def _checked(self, conversation: Conversation) -> list[int] | None:
        theirs = await self._said(conversation)
        if RENDER in self._paths:
            return theirs
        made = await self._generated_from(conversation, await self.tool_choice(conversation))
        if made is None:
            return theirs
        if theirs is not None and theirs != made:
            if conversation.tools:
                self._tokenizes_tools = False
            else:
                self._no_longer(TOKENIZE)
        return made

    async def _said(self, conversation: Conversation) -> list[int] | None:
        try:
            return await self.of(conversation)
        except Refusal:
            return []
        except NotServed:
            return None

    async def _made_of_tools(self) -> list[int] | None:
        """Return what the chat endpoint makes of tools; no ids if it refuses, None if it does not say."""
        try:
            if RENDER in self._paths and (ids := await self._asked(RENDER, _TOOL_PROBE, {})) is not None:
                return ids
        except Refusal:
            return []
        return await self._generated_from(_TOOL_PROBE, {})

    async def _asked(self, path: str, conversation: Conversation, choice: dict[str, str]) -> list[int] | None:
        """Return the ids that one path says; None if the server does not offer it."""
        question = _question(path, conversation, self._model) | choice
        try:
            return self._ids_in(await self._endpoint.text(path, QUESTION_SECONDS, question, self._reasons))
        except NotServed as refused:
            if path == TOKENIZE and not isinstance(refused, NotOffered):
                raise
            return None
        except EngineBusy:
            raise
        except EngineRefused as refused:
            raise refusal(refused) from refused

    async def _generated_from(self, conversation: Conversation, choice: dict[str, str]) -> list[int] | None:
        request = ChatRequest(conversation, ONE_TOKEN, Priority.GENERATION)
        asked = chat_body(request, self._model, priorities=False) | choice
        limits = (QUESTION_SECONDS, QUESTION_SECONDS)
        made: list[int] | None = None
        try:
            async for part in completed(self._endpoint, CHAT_COMPLETIONS, asked, {}, *limits):
                made = made or (None if part.prompt_ids is None else list(part.prompt_ids))
        except EngineBusy:
            raise
        except EngineRefused as refused:
            return None if isinstance(refused, NotServed) else []
        return made

    def _ids_in(self, text: str) -> list[int] | None:
        """Return the ids in a response of either path; None if it is none of theirs. Raises EngineNonsense."""
        try:
            response = parsed(text.encode(), "its ids")
        except EngineNonsense:
            return None
        if isinstance(response, list) and len(response) == 2:  # older releases: the conversation, and its one prompt
            response = response[1][0] if isinstance(response[1], list) and response[1] else None
        if not isinstance(response, dict):
            return None
        fields = Fields(response, "its prompt")
        ids = next((ids for name in _IDS if (ids := fields.ids(name, self._below)) is not None), ())
        return list(ids) or None

    def _paths_for(self, conversation: Conversation) -> list[str]:
        beyond_tokenize = conversation.documents or conversation.reasoning_effort
        if beyond_tokenize or (conversation.tools and not self._tokenizes_tools):
            return [path for path in self._paths if path != TOKENIZE]
        return list(self._paths)

    def _no_longer(self, path: str) -> None:
        if path in self._paths:
            self._paths.remove(path)


def refusal(refused: EngineRefused) -> Refusal:
    """Return what a session is told of a server's refusal to render its conversation."""
    too_long = isinstance(refused, PromptTooLong)
    return Refusal(Reason.PROMPT_TOO_LONG if too_long else Reason.TEMPLATE_REFUSED, str(refused))


def _question(path: str, conversation: Conversation, model: str) -> dict[str, Any]:
    asked = said(conversation, model)
    return {"add_generation_prompt": True} | asked if path == TOKENIZE else asked
