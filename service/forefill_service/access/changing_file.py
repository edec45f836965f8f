"""A file that the operator may replace while the server runs."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from ..errors import SettingsFileError

log = logging.getLogger(__name__)

T = TypeVar("T")


class ChangingFiles(Generic[T]):
    """What is read from some files, read anew when one of them has changed.

    New files that cannot be used are reported once, and the old ones stay in force: a typo locks nobody out, and a
    certificate whose key has not been written yet is tried again. Raises SettingsFileError if the first cannot be used.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths = paths
        self._read = read
        self._stamp = self._stamps()
        self.current = read()

    def refresh(self) -> bool:
        """Read the files again if one has changed since they were last tried; return whether `current` is new."""
        stamp = self._stamps()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.current = self._read()
        except SettingsFileError as error:
            log.error("%s; what was read before stays in force", error)
            return False
        log.info("read again: %s", ", ".join(map(str, self._paths)))
        return True

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
