"""The command that this package adds to `forefill`, as an entry point of the group `forefill.commands`.

`forefill --help` calls it, so it imports flags alone. The modules that do the work, and with them the packages of the
extra `web`, are imported when the command starts (`check_extra`).
"""

from .web_flags import add_web as web

__all__ = ["web"]
