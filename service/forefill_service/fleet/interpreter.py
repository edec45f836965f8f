"""What in the interpreter itself makes all sessions wait, and how that is kept short.

what                        by default                            here
the garbage collector       looks at all objects, those of the    leaves out those that are there at the start, and
                            engine's libraries too, each time     looks at all others ten times less often: sessions
                            there are a quarter more of them      make hardly any cycles
a thread that makes a       is asked to let the event loop run    after half a millisecond
prompt, in Python           after 5 ms, each time the loop waits
"""

import gc
import sys

SWITCH_SECONDS = 0.0005
FULL_COLLECTION_EVERY = 100
"""Collections of the middle generation."""


def shorten_pauses() -> None:
    """Tune the interpreter for a server. Call it after all libraries are loaded."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION_EVERY)
