"""Whether a session can be answered as its Open asks: the engine is asked at once, not by its first SUBMIT.

the engine says                                 the session
it can                                          opens
it has no such adapter, or refuses the sampling is refused, in words of ours
it cannot require the calls of tools            is refused, in words of ours
nothing: it is down, busy, or does not answer   opens; SUBMIT finds out
"""

import logging

from ..chat.messages import Conversation
from ..errors import EngineError
from .owner import Owner

log = logging.getLogger(__name__)


async def check_acceptance(owner: Owner, conversation: Conversation) -> None:
    """Have the engine that serves a session check its tools, sampling and adapter; note the adapter's version.

    The messages of the conversation do not matter. Raises Refusal: INVALID_TOOLS, INVALID_SAMPLING, ADAPTER_NOT_FOUND.
    """
    engine = owner.route.now.replica.engine
    engine.info.check_ids(owner.sampling)
    try:
        await engine.chat_endpoint.check(conversation)
        owner.adapter_version = await engine.check(owner.sampling, owner.adapter)
    except EngineError as error:
        log.info("the engine could not be asked whether it can answer as a session wants: %s", type(error).__name__)
