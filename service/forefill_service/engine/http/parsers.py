"""The parsers with which a server takes its answers apart: one of the model's thoughts, one of its calls of tools.

They are the chat endpoint's: an answer to ids comes as the model wrote it. So a conversation whose answer they would
take apart is given to the chat endpoint. vLLM does not say which parsers it was started with, but they show: with one
of thoughts the usage of a chat completion counts the tokens of these, and without one of calls it refuses tools.

Releases of vLLM that do not count such tokens are taken to have no parser of thoughts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...chat.messages import Conversation
from ...errors import EngineBusy, EngineRefused
from ..probes import RENDERING_PROBE, TOOL
from .chat_ids import QUESTION_SECONDS, ChatIds
from .completions import CHAT_COMPLETIONS, said
from .fields import Fields

if TYPE_CHECKING:
    from .endpoint import Endpoint

_PROBE = Conversation((RENDERING_PROBE,))


@dataclass(frozen=True, slots=True)
class Parsers:
    """Which parsers a server has."""

    thoughts: bool = False
    calls: bool = False

    def __str__(self) -> str:
        parts = {"what the model thinks": self.thoughts, "calls of tools": self.calls}
        return " and ".join(part for part, is_split in parts.items() if is_split) or "nothing"

    def split(self, conversation: Conversation) -> bool:
        """Return whether the answer in a conversation may come apart; without tools, calls are not looked for."""
        return self.thoughts or (self.calls and bool(conversation.tools))


async def parsers_of(endpoint: Endpoint, model: str, ids: ChatIds) -> Parsers:
    """Ask a server for one token, and whether it takes tools. Raises EngineUnavailable, EngineBusy, EngineNonsense."""
    takes_tools = not await ids.tool_choice(Conversation((RENDERING_PROBE,), tools=(TOOL,)))
    return Parsers(await _counts_thoughts(endpoint, model), takes_tools)


async def _counts_thoughts(endpoint: Endpoint, model: str) -> bool:
    asked = said(_PROBE, model) | {"max_tokens": 1, "temperature": 0.0}
    try:
        answer = await endpoint.json(CHAT_COMPLETIONS, QUESTION_SECONDS, asked)
    except EngineBusy:
        raise
    except EngineRefused:  # a template that takes no question alone, or no chat endpoint
        return False
    usage = Fields(answer, "answer").object("usage")
    details = None if usage is None else usage.object("completion_tokens_details")
    return details is not None and details.count("reasoning_tokens") is not None
