"""A simulated user, who puts the events of a typing person on a queue, at the pace of a person."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from .events import EventType, KeystrokeEvent, StreamingSession
from .plan import can_flush, plan_typing, press
from .typing_model import FlushRule, TypingModel

OnEvent = Callable[[KeystrokeEvent], Awaitable[None]]
Sleep = Callable[[float], Awaitable[object]]


class KeystrokeSimulator:
    """Type texts into `queue` as a user would: with uneven gaps, pauses, typos and their correction.

    `simulate_typing` types a whole text. Its `timestamp_ms` are planned: each is the sum of the delays so far. A real
    clock runs a little ahead of them, by the time that the event loop and a full queue take. With a `seed`, every run
    of a text has the same events, delays and timestamps. One key is one code point.

    `type_char`, `delete_char` and `submit` type single keys by hand. Their `timestamp_ms` are real time since the
    session began, and FlushRule.DEBOUNCE runs a real timer, which the next key, `submit` or `stop` cancels.

    Args:
        queue: The queue for the events; a bounded one slows the typist down.
        mean_delay_ms: As in TypingModel; so are the next four.
        seed: Makes every run the same; None makes each one different.
        flush_rule: When FLUSH is sent.
        sleep: Replaces asyncio.sleep; takes seconds.

    Raises:
        ValueError: A value is out of range; see TypingModel.
    """

    def __init__(
        self,
        queue: asyncio.Queue[KeystrokeEvent],
        mean_delay_ms: float = 150.0,
        std_delay_ms: float = 50.0,
        debounce_ms: float = 300.0,
        typo_rate: float = 0.02,
        pause_after_boundary: float = 50.0,
        *,
        seed: int | None = None,
        flush_rule: FlushRule = FlushRule.DEBOUNCE,
        sleep: Sleep | None = None,
    ) -> None:
        self.queue = queue
        self.model = TypingModel(mean_delay_ms, std_delay_ms, debounce_ms, typo_rate, pause_after_boundary, flush_rule)
        self.seed = seed
        self.session = StreamingSession()
        self._sleep = sleep or asyncio.sleep
        self._running = False
        # asyncio.Queue lets a late put overtake one that waits for room: a key could overtake the debounce's FLUSH.
        self._in_order = asyncio.Lock()
        self._debounce: asyncio.Task[None] | None = None

    async def simulate_typing(self, text: str, submit_at_end: bool = True, on_event: OnEvent | None = None) -> None:
        """Type `text` into an empty draft, submit it if `submit_at_end`, and put END on the queue.

        `on_event` is awaited for every event after it has been put on the queue.
        """
        self._cancel_debounce()
        self.session = StreamingSession()
        self._running = True
        now_ms = 0.0
        rng = Random(self.seed)  # noqa: S311 (typing is no secret)
        for delay_ms, event in plan_typing(text, self.model, rng, submit_at_end=submit_at_end):
            await self._sleep(delay_ms / 1000)
            if not self._running:
                break
            now_ms = event.timestamp_ms
            await self._emit(event.event_type, now_ms, event.char, on_event)
        await self._emit(EventType.END, now_ms, on_event=on_event)
        self._running = False

    async def type_char(self, char: str) -> None:
        """Type one character at the end of the draft."""
        await self._emit(EventType.CHAR_ADD, self.session.elapsed_ms(), char)
        await self._flush_by_rule()

    async def delete_char(self) -> None:
        """Delete the draft's last character, if it has one."""
        if self.session.current_text:
            await self._emit(EventType.CHAR_DELETE, self.session.elapsed_ms())
            await self._flush_by_rule()

    async def submit(self) -> None:
        """Press Enter: the whole draft is confirmed."""
        self._cancel_debounce()
        await self._emit(EventType.SUBMIT, self.session.elapsed_ms())

    def stop(self) -> None:
        """End the run before its next event: only END follows, so that consumers end too."""
        self._running = False
        self._cancel_debounce()

    async def _emit(
        self, event_type: EventType, timestamp_ms: float, char: str | None = None, on_event: OnEvent | None = None
    ) -> None:
        async with self._in_order:
            event = press(self.session, self.model.flush_rule, event_type, timestamp_ms, char)
            await self.queue.put(event)
        if on_event:
            await on_event(event)

    async def _flush_by_rule(self) -> None:
        self._cancel_debounce()
        if self.model.flush_rule is FlushRule.DEBOUNCE:
            self._debounce = asyncio.create_task(self._flush_after(self.model.debounce_ms))
        else:
            await self._flush_after(0)

    async def _flush_after(self, delay_ms: float) -> None:
        if delay_ms:
            await self._sleep(delay_ms / 1000)
        if can_flush(self.session, self.model.flush_rule):
            await self._emit(EventType.FLUSH, self.session.elapsed_ms())

    def _cancel_debounce(self) -> None:
        if self._debounce:
            self._debounce.cancel()
            self._debounce = None


async def simulate_typing(text: str, queue: asyncio.Queue[KeystrokeEvent], **kwargs: Any) -> StreamingSession:
    """Type `text` into `queue` and submit it; return the finished session. `kwargs` go to KeystrokeSimulator."""
    simulator = KeystrokeSimulator(queue, **kwargs)
    await simulator.simulate_typing(text)
    return simulator.session


async def simulate_from_file(
    file_path: str | Path, queue: asyncio.Queue[KeystrokeEvent], **kwargs: Any
) -> StreamingSession:
    """Type the content of a UTF-8 file as one text, without surrounding space and without lines that start with `#`.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    return await simulate_typing(_text_without_comments(Path(file_path)), queue, **kwargs)


def _text_without_comments(path: Path) -> str:
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return "\n".join(line for line in lines if not line.startswith("#")).strip()
