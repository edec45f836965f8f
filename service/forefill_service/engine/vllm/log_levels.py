"""What vLLM's server does to the logs of the whole process, undone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def root_log_levels_kept() -> Iterator[None]:
    """Give the root logger and its handlers their levels back at the end of the block.

    A package that vLLM's server imports (model_hosting_container_standards 0.1) sets them to ERROR, or to what
    SageMaker's environment variables say, when it is imported.
    """
    root = logging.getLogger()
    level, of_handlers = root.level, [(handler, handler.level) for handler in root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        for handler, of_handler in of_handlers:
            handler.setLevel(of_handler)
