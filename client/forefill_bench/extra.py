"""The packages of the extra `bench`: no command of this package starts without them."""

from importlib.util import find_spec
from typing import Final

from forefill_client.errors import ForefillError

PACKAGES: Final = ("aiohttp", "matplotlib", "numpy", "rich", "scipy")
"""All of the extra's own, and one of the service's."""


def check_extra() -> None:
    """Raise ForefillError, which says what to install, if a package of the extra `bench` is missing."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ForefillError(f"{', '.join(missing)} not installed here: install forefill with its extra 'bench'")
