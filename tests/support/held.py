"""What the interpreter still holds."""

import gc
from typing import TypeVar

Kind = TypeVar("Kind")


def held(*kinds: type[Kind]) -> list[Kind]:
    """Return all objects of exactly these kinds that the garbage collector knows of.

    Their type is asked, not their `__class__`, for which a weak proxy whose object is gone raises ReferenceError.
    """
    return [it for it in gc.get_objects() if type(it) in kinds]
