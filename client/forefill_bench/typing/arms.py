"""The ways of serving one and the same SUBMIT, as one table.

All send the same prompt, but for a nonce at its very beginning: no trial hits blocks that another one cached.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from forefill_client.options import PregenerationMode, WarmMode


class Prepared(Enum):
    """The part of the prompt that is cached before the user types; this costs the arm nothing."""

    NOTHING = auto()
    #: All before the draft, as another user's question leaves it.
    BASE = auto()
    #: The final prompt.
    WHOLE = auto()


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of serving."""

    name: str
    about: str
    warm_mode: WarmMode = WarmMode.OFF
    pregeneration: PregenerationMode = PregenerationMode.OFF
    prepared: Prepared = Prepared.NOTHING
    #: At every word a plain generation of one token of the whole text so far, at once, however many run already.
    warms_naively: bool = False
    #: Straight to vLLM's own endpoint.
    over_http: bool = False
    #: To a forefill in front of that endpoint.
    over_remote: bool = False
    #: Stays still before Enter for as long as a pre-generation wants.
    pauses: bool = False

    @property
    def warms(self) -> bool:
        """Whether anything is computed ahead while the user types."""
        return self.warms_naively or self.warm_mode is WarmMode.AUTO

    @property
    def stays_uncached(self) -> bool:
        """Whether every SUBMIT is to find nothing cached at all."""
        return not self.warms and self.prepared is Prepared.NOTHING


_ALL = (
    Arm("cold", "nothing cached"),
    Arm("static", "all before the draft cached, as plain prefix caching gives a second user", prepared=Prepared.BASE),
    Arm("naive", "a plain request of one token of the text so far at every word", warms_naively=True),
    Arm("typed", "forefill", warm_mode=WarmMode.AUTO),
    Arm(
        "pregen",
        "forefill with pre-generation, and a pause before Enter",
        warm_mode=WarmMode.AUTO,
        pregeneration=PregenerationMode.ON,
        pauses=True,
    ),
    Arm("oracle", "the whole prompt cached beforehand", prepared=Prepared.WHOLE),
    Arm("remote", "forefill in front of vLLM's own HTTP endpoint", warm_mode=WarmMode.AUTO, over_remote=True),
    Arm("direct", "vLLM's own HTTP endpoint without forefill, nothing cached", over_http=True),
)
ARMS: Final = {arm.name: arm for arm in _ALL}
"""Every arm by its name, in the order in which tables show them."""
