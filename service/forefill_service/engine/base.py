"""The seam between forefill and the engine that runs the model: ids in, ids and text out."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ..cache.blocks import CacheChange
from ..chat.generation import Output, Sampling
from ..chat.messages import Conversation
from ..chat.parts import AnswerSplitter
from ..chat.prompt import Chat
from ..errors import EngineRefused, Reason, Refusal


class Priority(IntEnum):
    """The order in the engine's queue: the lowest number goes first, as in vLLM."""

    GENERATION = 0
    PREGENERATION = 5
    WARM = 10


RANK_HEADER = "X-data-parallel-rank"
"""The HTTP header by which vLLM is told which of the engines inside a server takes a request."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The model that an engine serves, by name, with its cache's block size and its context in tokens.

    `cache_blocks` is the number of blocks in its cache, None if unknown. `default_answer_tokens` is the most tokens of
    an answer if the caller sets no limit, None for as many as the context has room for. `penalizes` says whether the
    model's own defaults have a presence or frequency penalty. `caches` is the number of caches behind the engine; the
    route of a request selects one. `continues_messages` says whether the chat endpoint can have the last message
    continued. Ids of tokens are below `vocabulary`, None if unknown.
    """

    model: str
    block_size: int
    context_tokens: int
    cache_blocks: int | None = None
    default_answer_tokens: int | None = None
    penalizes: bool = False
    caches: int = 1
    continues_messages: bool = True
    vocabulary: int | None = None

    def check_ids(self, sampling: Sampling) -> None:
        """Raise Refusal (INVALID_SAMPLING) if the sampling names a token that the model does not have."""
        for name, ids in sampling.token_ids.items():
            if self.vocabulary is not None and ids and max(ids) >= self.vocabulary:
                raise Refusal(
                    Reason.INVALID_SAMPLING,
                    f"{name} has {max(ids)}, and this model's tokens are 0 to {self.vocabulary - 1}",
                )

    def answer_tokens(self, prompt_tokens: int, max_tokens: int | None) -> int:
        """Return the most tokens that an answer may have: `max_tokens`, as far as the context has room for them.

        `max_tokens` is None if the caller sets no limit. Raises EngineRefused if the prompt leaves no room for any.
        """
        room = self.context_tokens - prompt_tokens
        if room < 1:
            raise EngineRefused("the prompt leaves no room for an answer")
        return min(max_tokens or self.default_answer_tokens or room, room)


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """The load that an engine reports.

    `running` and `waiting` count requests, `cache_usage` is the share of the cache that running requests hold (0 to 1),
    and `preemptions` counts how often one of them has lost its blocks to others since the engine started. `others` is
    the number of running requests that are not forefill's, None if unknown.
    """

    running: int = 0
    waiting: int = 0
    cache_usage: float = 0.0
    preemptions: int = 0
    others: int | None = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request. The fields of `sampling` that are None take the engine's defaults; `max_tokens` is at least 1.

    Only requests with the same `cache_salt` and the same `adapter`, "" for none, share blocks. If there are several
    caches behind the engine, requests with the same `route` use the same one. `request_id` is what the engine's own log
    and traces call it, and no other has it; "" for one that the engine chooses.
    """

    prompt_ids: list[int]
    sampling: Sampling
    priority: Priority
    cache_salt: str | None = None
    route: str = ""
    adapter: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to an engine's own chat endpoint; the fields are those of `Request`."""

    conversation: Conversation
    sampling: Sampling
    priority: Priority
    cache_salt: str | None = None
    route: str = ""
    adapter: str = ""
    request_id: str = ""


class ChatEndpoint(Protocol):
    """An engine's own chat endpoint: the authority for the ids of a conversation."""

    @property
    def in_process(self) -> bool:
        """Whether it renders in this process, so that a prompt may be made of its ids; else it has to be asked."""

    async def ids(self, conversation: Conversation) -> list[int] | None:
        """Return the ids that it would generate from; None if it does not say.

        Raises Refusal(TEMPLATE_REFUSED) with the template's own reason, EngineError if it cannot be asked.
        """

    def generate(self, request: ChatRequest) -> AsyncGenerator[Output, None]:
        """Have the endpoint itself answer a conversation. It ends and fails as `Engine.generate` does.

        Raises also Refusal(TEMPLATE_REFUSED) with the template's own reason.
        """

    def splitter(self, conversation: Conversation, prompt_ids: Sequence[int]) -> AnswerSplitter | None:
        """Return what splits the answer that the engine gives to these ids; None if it stays as the model writes it.

        The ids are those of the conversation. What `generate` yields is split already.
        """

    def adjusted(self, conversation: Conversation, sampling: Sampling) -> Sampling:
        """Return a sampling as the splitter of an answer in this conversation needs it."""

    def splits(self, conversation: Conversation) -> bool:
        """Return whether answers in this conversation come with their parts apart, whichever way they are asked for."""

    def answers_itself(self, conversation: Conversation) -> bool:
        """Return whether only the endpoint can answer a conversation as it would: it does more than its ids say."""

    async def check(self, conversation: Conversation) -> None:
        """Find out whether answers in this conversation can call tools as they have to, whatever its messages say.

        Raises Refusal (INVALID_TOOLS), EngineError if it cannot be asked now.
        """


class Engine(Protocol):
    """An engine that runs the model.

    Its public implementations are `EmbeddedEngine`, `RemoteEngine`, and `FakeEngine` for tests and trials.
    """

    @property
    def name(self) -> str:
        """A name that no other engine of this service has."""

    @property
    def info(self) -> EngineInfo:
        """The model that it serves."""

    @property
    def chat(self) -> Chat:
        """The model's chat template and tokenizer: the fast path to the ids of a conversation."""

    @property
    def chat_endpoint(self) -> ChatEndpoint:
        """The authority for these ids."""

    @property
    def load(self) -> EngineLoad:
        """The load that it reported last."""

    @property
    def up(self) -> bool:
        """Whether requests may be sent to it now; True if it has died for good, which its errors say."""

    async def check(self, sampling: Sampling, adapter: str) -> str:
        """Find out whether it can answer like this, as far as that is known before a prompt is.

        Return the version of the adapter, "" if there is none, or none is known. Raises Refusal: INVALID_SAMPLING with
        what the engine's refusal is about (`causes`), ADAPTER_NOT_FOUND; EngineError if it cannot be asked now.
        """

    def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        """Run one request. Closing the generator, or cancelling its reader, aborts it.

        Raises EngineRefused if only this request failed (EngineBusy if there was no room for it), EngineUnavailable if
        the engine cannot be reached, was lost or makes no sense, EngineDied if it will never come back. What they say
        is for clients, too: words of forefill, never of the engine.
        """

    def openai_headers(self, route: str) -> dict[str, str]:
        """Return the HTTP headers with which a request to its OpenAI API finds what requests of a route have cached."""

    def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield what its cache stores and evicts, if it reports that, and each restart with an empty cache."""

    async def watch(self) -> None:
        """Keep `up` and `load` up to date until cancelled.

        Raises EngineDied if it will never come back.
        """

    async def close(self) -> None:
        """Stop the engine and free what it holds; a second call does nothing."""


ONE_TOKEN = Sampling(max_tokens=1, temperature=0.0)
"""The shortest answer that an engine can give: it refuses a request for 0 tokens."""


async def warm(
    engine: Engine,
    prefix: list[int],
    cache_salt: str | None = None,
    route: str = "",
    adapter: str = "",
    request_id: str = "",
) -> int | None:
    """Have the engine compute and cache these ids; return how many of them it found cached, None if unknown.

    Raises EngineRefused, EngineUnavailable.
    """
    cached_tokens = None
    request = Request(prefix, ONE_TOKEN, Priority.WARM, cache_salt, route, adapter, request_id)
    async for output in engine.generate(request):
        cached_tokens = output.cached_tokens
    return cached_tokens
