"""The packages that come with the extra `bench`, which are imported only when a command starts."""

from collections.abc import Iterator
from contextlib import contextmanager

from forefill_client.errors import ForefillError


@contextmanager
def needs_extra() -> Iterator[None]:
    """Import within this what needs the extra `bench`.

    Raises ForefillError, which says what to install, if a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ForefillError(f"{error.name} is not installed here: pip install 'forefill[bench]'") from None
