"""What vLLM does to the logs of the whole process, undone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_TEMPLATES = "vllm.renderers.hf"


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


def leave_out_what_templates_say() -> None:
    """Keep vLLM from logging why a template refuses messages: the text of such an error may repeat what was typed."""
    logger = logging.getLogger(_TEMPLATES)
    if _says_nothing_of_a_refusal not in logger.filters:
        logger.addFilter(_says_nothing_of_a_refusal)


def _says_nothing_of_a_refusal(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Chat template rejected")
