"""The faults of the fake engine."""

from dataclasses import dataclass

from ...errors import EngineBusy, EngineDied, EngineRefused, EngineUnavailable
from ..base import ONE_TOKEN, Priority, Request


@dataclass(slots=True)
class FakeFaults:
    """The faults of a fake engine; set and reset them at any time.

    `refuse` counts down the requests of a priority that are refused, `busy` those that it has no room for; `down` loses
    every request, including those that run, and `dead` does so for good.

    The others are about answers alone, not about the requests for one token by which the service tests an engine.
    `refuse_answers` and `break_answers` count down those that are refused, and those that are lost in the middle; if
    `refuse_every` or `break_every` is N, every Nth is, and none if it is 0.
    """

    refuse: dict[Priority, int] | None = None
    busy: int = 0
    down: bool = False
    dead: bool = False
    refuse_answers: int = 0
    break_answers: int = 0
    refuse_every: int = 0
    break_every: int = 0
    _answers: int = 0

    def meet(self, request: Request) -> bool:
        """Return whether a new request is to be lost in the middle, and count that down.

        Raises the EngineError that it meets at once, if any, and counts that down.
        """
        self.raise_if_lost()
        if self.busy > 0:
            self.busy -= 1
            raise EngineBusy("the engine has no room")
        if self.refuse and self.refuse.get(request.priority, 0) > 0:
            self.refuse[request.priority] -= 1
            raise EngineRefused("the queue is full")
        return request.priority is Priority.GENERATION and request.sampling is not ONE_TOKEN and self._meet_answer()

    def raise_if_lost(self) -> None:
        """Raise EngineDied or EngineUnavailable if the engine is dead or down."""
        if self.dead:
            raise EngineDied("the engine is dead")
        if self.down:
            raise EngineUnavailable("the engine is down")

    def _meet_answer(self) -> bool:
        self._answers += 1
        if self.refuse_answers > 0:
            self.refuse_answers -= 1
            raise EngineRefused("the queue is full")
        if self._is_nth(self.refuse_every):
            raise EngineRefused("the queue is full")
        if self.break_answers > 0:
            self.break_answers -= 1
            return True
        return self._is_nth(self.break_every)

    def _is_nth(self, every: int) -> bool:
        return bool(every) and self._answers % every == 0
