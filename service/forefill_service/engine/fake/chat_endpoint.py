"""The chat endpoint of the fake engine."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ...chat.generation import Output, Sampling, Structure
from ...chat.messages import Conversation
from ...chat.parts import AnswerSplitter
from ...chat.prompt import Chat
from ...chat.tool_choice import NamedTool
from ...errors import EngineError, Reason, Refusal
from ..base import ChatRequest, Engine, Request
from ..causes import NO_PARSER_OF_CALLS
from .splitter import RequiredCallSplitter

_NO_ARGUMENTS = Structure("choice", ("{}",))


@dataclass(eq=False, slots=True)
class FakeChatEndpoint:
    """A `ChatEndpoint`; set its knobs at any time.

    It renders with `chat`, which is the engine's own unless another one is set, and then its ids differ from those of
    the fast path. `silent`: it does not say its ids, neither asked nor with an answer. `refuses` is what its template
    says of every conversation, "" to refuse none, and `fails` is raised to all who ask for ids. `wait` is awaited
    before it says any. `new_splitter` makes what splits an answer; None leaves it whole. An answer that has to call a
    tool calls the one that was named, else the first, without arguments; if `parses_calls` is false, that is refused.
    All that it was asked is kept in `asked` and `requests`, unless `keep` is false.
    """

    engine: Engine
    chat: Chat
    in_process: bool = True
    silent: bool = False
    refuses: str = ""
    fails: EngineError | None = None
    wait: Callable[[], Awaitable[None]] | None = None
    keep: bool = True
    parses_calls: bool = True
    new_splitter: Callable[[], AnswerSplitter] | None = None
    asked: list[Conversation] = field(default_factory=list)
    requests: list[ChatRequest] = field(default_factory=list)

    async def ids(self, conversation: Conversation) -> list[int] | None:
        """Return the ids of a conversation, unless a knob says otherwise."""
        if self.keep:
            self.asked.append(conversation)
        if self.wait is not None:
            await self.wait()
        if self.fails is not None:
            raise self.fails
        return None if self.silent else self._rendered(conversation)

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Output, None]:
        """Answer a conversation; what the engine is asked for that is among the engine's requests, too."""
        if self.keep:
            self.requests.append(request)
        ids = self._rendered(request.conversation)
        to = request.cache_salt, request.route, request.adapter, request.request_id
        sampling = self.adjusted(request.conversation, request.sampling)
        asked = Request(ids, sampling, request.priority, *to)
        said, splitter = None if self.silent else tuple(ids), self.splitter(request.conversation, ids)
        async with aclosing(self.engine.generate(asked)) as outputs:
            async for output in outputs:
                part = output if splitter is None else splitter.split(output)
                yield replace(part, prompt_ids=said)
                said = None

    def splitter(self, conversation: Conversation, prompt_ids: Sequence[int]) -> AnswerSplitter | None:
        """Return a new splitter, if answers are to be split."""
        match conversation.tool_choice:
            case NamedTool(name):
                return RequiredCallSplitter(name, named=True)
            case "required":
                return RequiredCallSplitter(conversation.tools[0]["function"]["name"], named=False)
        return None if self.new_splitter is None else self.new_splitter()

    def adjusted(self, conversation: Conversation, sampling: Sampling) -> Sampling:
        """Return the sampling as it is, unless the answer is a call."""
        return replace(sampling, structure=_NO_ARGUMENTS) if conversation.requires_a_call else sampling

    def splits(self, conversation: Conversation) -> bool:
        """Return whether answers come with their parts apart."""
        return self.new_splitter is not None or conversation.requires_a_call

    def answers_itself(self, conversation: Conversation) -> bool:
        """Return whether it has to answer because it takes the answer apart, as a server does."""
        return self.splits(conversation) and not self.in_process

    async def check(self, conversation: Conversation) -> None:
        """Refuse to require calls if it parses none."""
        if conversation.requires_a_call and not self.parses_calls:
            raise Refusal(Reason.INVALID_TOOLS, f"tool_choice requires a call: {NO_PARSER_OF_CALLS}")

    def _rendered(self, conversation: Conversation) -> list[int]:
        if self.refuses:
            raise Refusal(Reason.TEMPLATE_REFUSED, self.refuses)
        return self.chat.encode(self.chat.render(conversation))
