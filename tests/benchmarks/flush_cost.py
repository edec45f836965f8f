"""The cost of a FLUSH to the service itself: by base prompt, by draft, and before and after the template's date changes.

Renders and tokenizes with the packaged model's own template and tokenizer, behind a line with the date; no engine runs.
Each FLUSH confirms one word more than the one before. Prints medians in microseconds, of the rounds' medians, and how
many times the cheapest row of a column each row costs; the rounds take turns, so the machine's speed drops out.

    python tests/benchmarks/flush_cost.py
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from forefill_service.cache.blocks import CachedBlocks
from forefill_service.cache.view import CacheView
from forefill_service.chat.messages import ChatMessage
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat
from forefill_service.engine.packaged_model import packaged_model_path
from transformers import AutoTokenizer

BASE_TOKENS = (1_000, 30_000)
DRAFT_CHARACTERS = (20, 40_000)
DATED = "{{ '<|im_start|>system\\nToday is ' + today + '.<|im_end|>\\n' }}"
LINE = "Table visits (visit_id INTEGER, patient_id INTEGER, seen_at DATE);\n"
WORDS = ("show", "all", "patients", "that", "were", "seen", "by", "a", "doctor", "in", "May,", "and", "why")
ROUNDS, RUNS = 5, 60
FLUSH, SUBMIT = "flush", "submit's ids"


@dataclass
class Typist:
    """A turn on a base prompt, and the text that is typed in it, flushed word by word."""

    chat: HfChat
    base_tokens: int
    draft: str
    today: dict[str, str] = field(default_factory=lambda: {"today": "2026-03-01"})

    def __post_init__(self) -> None:
        system = ChatMessage("system", LINE * (self.base_tokens // len(self.chat.encode(LINE))))
        self.turn = TurnPrompt(self.chat, [system], self.today, context_tokens=10**6)
        self.view = CacheView(CachedBlocks(keep_seconds=3600), block_size=32, context_tokens=10**6)
        self.texts = self._typed()
        self.flush()

    def flush(self) -> None:
        """Do what a FLUSH costs besides the engine's work: its stable ids, and what of them is not cached."""
        stable = self.turn.stable(next(self.texts))
        self.view.lacking(stable, time.monotonic())
        self.view.hold(stable.prefix(self.view.goal(stable)), time.monotonic())

    def submit(self) -> None:
        """Make the ids that SUBMIT sends."""
        self.turn.final(next(self.texts))

    def midnight(self) -> None:
        """Let the template's date change."""
        self.today["today"] = "2026-03-02"

    def _typed(self) -> Iterator[str]:
        words = itertools.cycle(WORDS)
        while True:
            text = self.draft
            for _ in range(40):  # then the text is cut back, so that it stays about as long as it was
                text += f"{next(words)} "
                yield text


def median_us(work: Callable[[], object]) -> float:
    """Return the median time of one call, in microseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def draft_of(characters: int) -> str:
    """Return a text of about that many characters."""
    words = itertools.cycle(WORDS)
    text = ""
    while len(text) < characters:
        text += f"{next(words)} "
    return text


def main() -> None:
    """Measure all rows in turn, several rounds, before and after the date changes, and print the table."""
    tokenizer = AutoTokenizer.from_pretrained(packaged_model_path())
    chat = HfChat(tokenizer, DATED + tokenizer.chat_template)
    sizes = list(itertools.product(BASE_TOKENS, DRAFT_CHARACTERS))
    typists = {(base, draft): Typist(chat, base, draft_of(draft)) for base, draft in sizes}
    rows: dict[tuple[int, int, str], dict[str, float]] = {}
    for when in ("before", "after"):
        if when == "after":
            for typist in typists.values():
                typist.midnight()
                typist.flush()  # this one makes the head anew
        rounds = [{size: (median_us(t.flush), median_us(t.submit)) for size, t in typists.items()} for _ in range(ROUNDS)]
        for size in sizes:
            flushes, submits = zip(*(one[size] for one in rounds), strict=True)
            rows[*size, when] = {FLUSH: statistics.median(flushes), SUBMIT: statistics.median(submits)}
    print(f"{'base, tokens':>12}{'draft, chars':>14}{'midnight':>10}{FLUSH + ', us':>14}{'ratio':>7}{SUBMIT + ', us':>20}")
    least = min(row[FLUSH] for row in rows.values())
    for (base, draft, when), row in rows.items():
        print(f"{base:>12,}{draft:>14,}{when:>10}{row[FLUSH]:>14.0f}{row[FLUSH] / least:>7.2f}{row[SUBMIT]:>20.0f}")


if __name__ == "__main__":
    main()
