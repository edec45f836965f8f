"""The command that this package adds to `forefill`, as an entry point of the group `forefill.commands`.

`forefill --help` calls it, so it imports flags alone. The modules that do the work, and with them the packages of the
extra `chat`, are imported when the command starts (`check_extra`).
"""

from .chat_flags import add_chat as chat

__all__ = ["chat"]
