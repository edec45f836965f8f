"""A defect of the bridge: the log says where it is, and not what its exception says, since that may quote a user."""

import logging
import traceback

from forefill_client import ForefillError, InternalError

_LOG = logging.getLogger("forefill_web")


def defect(error: Exception) -> ForefillError:
    """Log where an exception was raised, and return the error that the browser gets."""
    where = "".join(traceback.format_tb(error.__traceback__))
    _LOG.error("a defect of the bridge ended a conversation: %s\n%s", type(error).__name__, where)
    return InternalError("the bridge has a defect: open a new conversation")
