"""The log, kept for a test to read."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def log_text(formatter: logging.Formatter, level: str = "DEBUG") -> Iterator[io.StringIO]:
    """Collect all lines of the root logger in this form for the time of the block."""
    root, written = logging.getLogger(), io.StringIO()
    handler, before = logging.StreamHandler(written), root.level
    handler.setFormatter(formatter)
    root.addHandler(handler)
    root.setLevel(level)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
