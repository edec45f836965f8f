"""Whether an engine can answer as a session asks: it is asked at once, not by the first SUBMIT.

    the engine says                                  at Open                   at a turn with another choice of tools
    it can                                           the session opens         it is generated
    it has no such adapter                           the session is refused    its generation finds out
    it refuses the sampling                          the session is refused    it is refused, for the choice
    it cannot require the calls of tools             the session is refused    it is refused
    nothing: it is down, busy, or does not answer    the session opens         its generation finds out

Refusals are in words of ours.
"""

import logging
from dataclasses import replace

from ..chat.generation import Sampling
from ..chat.messages import Conversation
from ..chat.tool_choice import ToolChoice
from ..engine import ChatEndpoint
from ..errors import EngineError, Reason, Refusal
from ..session.events import Open
from .owner import Owner

log = logging.getLogger(__name__)


class Acceptance:
    """How the answers of one session are sampled, once the engine has accepted that.

    The messages of a conversation do not matter for it. Parsers of the engine may make another sampling of the
    session's own for each choice of tools.
    """

    def __init__(self, owner: Owner, opening: Open) -> None:
        self._owner = owner
        self._sampling = opening.sampling
        self._conversation = opening.conversation(())
        self._latest: tuple[ToolChoice, Sampling] | None = None

    @property
    def splits_answers(self) -> bool:
        """Whether answers come with their parts apart, if their turns have no choice of their own."""
        return self._endpoint.splits(self._conversation)

    async def open(self) -> None:
        """Have the engine check tools, sampling and adapter; the owner gets the sampling and the adapter's version.

        Raises Refusal: INVALID_TOOLS, INVALID_SAMPLING, ADAPTER_NOT_FOUND.
        """
        owner, engine = self._owner, self._owner.route.now.replica.engine
        owner.sampling = await self._adjusted(self._conversation)
        engine.info.check_ids(owner.sampling)
        try:
            await engine.chat_endpoint.check(self._conversation)
            owner.adapter_version = await engine.check(owner.sampling, owner.adapter)
        except EngineError as error:
            _log_unasked(error)

    async def sampling(self, choice: ToolChoice) -> Sampling:
        """Return how an answer under this choice of tools is sampled; the engine is asked about one that is new.

        Raises Refusal (INVALID_TOOLS).
        """
        if choice == self._conversation.tool_choice:
            return self._owner.sampling
        if self._latest is not None and self._latest[0] == choice:
            return self._latest[1]
        conversation = replace(self._conversation, tool_choice=choice)
        sampling = await self._adjusted(conversation)
        try:
            await self._endpoint.check(conversation)
            await self._check(sampling)
        except EngineError as error:
            _log_unasked(error)
        else:
            self._latest = choice, sampling
        return sampling

    async def _check(self, sampling: Sampling) -> None:
        try:
            await self._owner.route.now.replica.engine.check(sampling, self._owner.adapter)
        except Refusal as refusal:
            if refusal.reason is Reason.INVALID_SAMPLING:  # Open's was accepted
                raise Refusal(Reason.INVALID_TOOLS, f"tool_choice: {refusal.detail}") from refusal

    async def _adjusted(self, conversation: Conversation) -> Sampling:
        if not self._endpoint.splits(conversation):
            return self._sampling
        sampling: Sampling = await self._owner.render(self._endpoint.adjusted, conversation, self._sampling)
        return sampling

    @property
    def _endpoint(self) -> ChatEndpoint:
        return self._owner.route.now.replica.engine.chat_endpoint


def _log_unasked(error: EngineError) -> None:
    log.info("the engine could not be asked whether it can answer as a session wants: %s", type(error).__name__)
