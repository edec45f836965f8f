"""One chat: what its user does goes to the server, in that order, and what happens goes into its `ChatState`.

The user's calls return at once: what they ask for goes to the `Connection`, which carries it out. Only to stop an
answer is sent past that. If the session has ended, `reopen`, or the next `submit`, opens another one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from forefill_client import (
    Answer,
    AsyncClient,
    ChatMessage,
    ForefillError,
    Sampling,
    Session,
)

from . import orders
from .asked import Asked, measure_twin
from .chat_state import ChatState, Link
from .connection import Connection
from .error_words import in_words
from .turn_traces import TurnTraces
from .turns import Stage, Turn


class Chat:
    """A chat with one server. `changed` is called after each change of `state`, `say` with what the user should read.

    `restore` is called with a text that belongs into the box again, since it was not answered.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        system: str | None = None,
        sampling: Sampling | None = None,
        record: TurnTraces | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = ChatState()
        self.changed: Callable[[], None] = lambda: None
        self.say: Callable[[str], None] = lambda words: None
        self.restore: Callable[[str], None] = lambda text: None
        self._client = client
        self._sampling = sampling
        self._connection = Connection(self, client, [] if system is None else [ChatMessage("system", system)], sampling)
        self._record = record
        self._clock = clock
        self._answer: Answer | None = None
        self._stops = False
        self._asked: Asked | None = None
        self._edited: Asked | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def session(self) -> Session | None:
        """The session that is open, if one is."""
        return self._connection.session

    # The user.

    def edit(self, draft: str) -> None:
        """The box holds this now."""
        if draft == self.state.draft:
            return
        self.state.typed(draft)
        self._recorded(lambda record, now_ms: record.change(draft, now_ms))
        if self.state.link is not Link.CLOSED:  # else the next session opens with it
            self._connection.order(partial(orders.set_draft, draft))
        self.changed()

    def submit(self, text: str) -> bool:
        """Ask for the answer to this text; return whether it is taken, so that the box can be emptied."""
        if self.state.running:
            self.say("The answer is still coming: Esc stops it.")
            return False
        if not text.strip():
            self._submit_nothing()
            return False
        self._recorded(lambda record, now_ms: record.submit(text, now_ms))
        self._edited = None
        turn, self._stops = self.state.submitted(text), False
        self._connection.order(partial(self._submit, turn))
        self.reopen()
        self.changed()
        return True

    def _submit_nothing(self) -> None:
        if self.state.link is Link.CLOSED:
            self.reopen()
        else:
            self.say("Type something first.")

    def stop(self) -> bool:
        """Stop the running answer, and keep what has come of it; return whether there is one to stop."""
        if not self.state.running:
            return False
        self._stops = True
        if self._answer is not None:  # else it is stopped when it is asked for
            self._start(self._cancel(self._answer))
        return True

    def regenerate(self) -> None:
        """Ask once more for the last answer."""
        turn = self.state.last_turn
        if turn is None or turn.running or not turn.stays or self.state.edits:
            self.say("There is no answer yet to ask for again." if turn is None else "Press Enter to ask again.")
            return
        again, self._stops = Turn(turn.question), False
        self.state.turns[-1] = again
        self._connection.order(partial(self._regenerate, again))
        self.changed()

    def edit_last(self) -> str | None:
        """Take the last question and its answer out of the conversation; return the question, for the box."""
        if self.state.running or self.state.edits or self._asked is None or not self._asked.turn.stays:
            self.say("There is no answered message to edit.")
            return None
        self._edited, self._asked = self._asked, None
        self.state.turns.pop()
        self.state.edits = True
        self._connection.order(partial(orders.rewrite, len(self._edited.before), ()))
        self.changed()
        return self._edited.turn.question

    def put_back(self) -> bool:
        """End the edit of the last question, and have it and its answer in the conversation again."""
        if self._edited is None:
            return False
        self._asked, self._edited = self._edited, None
        self.state.turns.append(self._asked.turn)
        self.state.edits = False
        self._connection.order(partial(orders.rewrite, len(self._asked.before), self._asked.added))
        self.changed()
        return True

    def measure_twin(self) -> None:
        """Measure what the last answer would have waited without forefill, on the same engine."""
        if self._asked is None or self._asked.turn.report is None:
            self.say("There is no whole answer to measure yet.")
            return
        if not self._asked.turn.twin_note.endswith("…"):
            self._start(measure_twin(self._asked, self._client, self._sampling, self.changed))

    def reopen(self) -> None:
        """Open another session if the last one has ended."""
        self._connection.reopen()

    # The connection.

    async def run(self, opened: Callable[[], None] = lambda: None) -> None:
        """Keep a session open until this is cancelled; `opened` is called when the first one is.

        Raises ForefillError if even that cannot be opened.
        """
        try:
            await self._connection.run(opened)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._record is not None:
                self._record.close()

    def lost(self, error: ForefillError) -> None:
        """Fail what was asked of the session that has ended."""
        turn = self.state.last_turn
        if turn is not None and turn.running and self._answer is None:
            self._fail(turn, error)

    # Orders.

    async def _submit(self, turn: Turn, session: Session) -> None:
        self._asked = Asked(turn, session.messages)
        try:
            answer = await session.submit(turn.question)
        except ForefillError as error:
            self._fail(turn, error)
            raise
        self._listen(turn, answer)

    async def _regenerate(self, turn: Turn, session: Session) -> None:
        before = self._asked.before if self._asked is not None else ()
        try:
            answer = await session.regenerate()
        except ForefillError as error:
            self._fail(turn, error)
            raise
        self._asked = Asked(turn, before)
        self._listen(turn, answer)

    # Answers.

    def _listen(self, turn: Turn, answer: Answer) -> None:
        self._answer = answer
        self._start(self._read(turn, answer))
        if self._stops:
            self._start(self._cancel(answer))

    async def _read(self, turn: Turn, answer: Answer) -> None:
        try:
            async for part in answer.parts():
                turn.stage, turn.started = Stage.ANSWERING, answer.started
                turn.text, turn.reasoning = turn.text + part.text, turn.reasoning + part.reasoning
                self._drawn_again(turn)
        except ForefillError as error:
            self._fail(turn, error)
        else:
            self._finish(turn, answer)
        finally:
            self._answer = None

    def _finish(self, turn: Turn, answer: Answer) -> None:
        turn.report, turn.stays = answer.report, answer.stays
        turn.stage = Stage.STOPPED if answer.cancelled else Stage.DONE
        self.state.answered(turn)
        if self._asked is not None and self.session is not None and answer.stays:
            added = self.session.messages[len(self._asked.before) :]
            self._asked = Asked(turn, self._asked.before, added)
        if not turn.stays:
            self.restore(turn.question)
        self._drawn_again(turn)

    def _fail(self, turn: Turn, error: ForefillError) -> None:
        turn.stage, turn.problem = Stage.FAILED, in_words(error)
        self.restore(turn.question)
        self._drawn_again(turn)

    async def _cancel(self, answer: Answer) -> None:
        with suppress(ForefillError):  # the reader of the answer gets it, too
            await answer.cancel()

    def _drawn_again(self, turn: Turn) -> None:
        turn.changed()
        self.changed()

    def _recorded(self, write: Callable[[TurnTraces, float], None]) -> None:
        """Have a change recorded; a file that cannot be written ends the recording, and not the chat."""
        if self._record is None:
            return
        try:
            write(self._record, self._clock() * 1000)
        except OSError as error:
            self.say(f"The recording has ended: {self._record.path}: {error.strerror}.")
            self._record = None

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
