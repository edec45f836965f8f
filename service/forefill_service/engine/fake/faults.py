"""The faults of the fake engine."""

from dataclasses import dataclass

from ...errors import EngineBusy, EngineDied, EngineRefused, EngineUnavailable
from ..base import Priority


@dataclass(slots=True)
class FakeFaults:
    """The faults of a fake engine; set and reset them at any time.

    `refuse` counts down the requests of a priority that are refused, `busy` those that it has no room for; `down` loses
    every request, including those that run, and `dead` does so for good.
    """

    refuse: dict[Priority, int] | None = None
    busy: int = 0
    down: bool = False
    dead: bool = False

    def meet(self, priority: Priority) -> None:
        """Raise the EngineError that a new request of this priority meets, if any, and count it down."""
        self.raise_if_lost()
        if self.busy > 0:
            self.busy -= 1
            raise EngineBusy("the engine has no room")
        if self.refuse and self.refuse.get(priority, 0) > 0:
            self.refuse[priority] -= 1
            raise EngineRefused("the queue is full")

    def raise_if_lost(self) -> None:
        """Raise EngineDied or EngineUnavailable if the engine is dead or down."""
        if self.dead:
            raise EngineDied("the engine is dead")
        if self.down:
            raise EngineUnavailable("the engine is down")
