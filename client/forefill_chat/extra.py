"""The packages of the extra `chat`: the chat in the terminal does not start without them."""

from importlib.util import find_spec
from typing import Final

from forefill_client.errors import ForefillError

PACKAGES: Final = ("rich", "textual")


def check_extra() -> None:
    """Raise ForefillError, which says what to install, if a package of the extra `chat` is missing."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ForefillError(f"{', '.join(missing)} not installed here: install forefill with its extra 'chat'")
