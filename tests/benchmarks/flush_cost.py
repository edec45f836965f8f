"""The cost of a FLUSH to the service itself: by base prompt, by draft, before and after the template's date changes.

Renders and tokenizes with the packaged model's own template and tokenizer, behind a line with the date; no engine runs.
Each FLUSH confirms one word more than the one before. All rows take turns, call by call, so that the machine's speed
drops out of their ratios. Prints medians and lower quartiles in microseconds, and the ratio of the latter to the least.

    python tests/benchmarks/flush_cost.py
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from forefill_service.cache.blocks import CachedBlocks
from forefill_service.cache.view import CacheView
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat
from forefill_service.engine.packaged_model import packaged_model_path
from transformers import AutoTokenizer

BASE_TOKENS = (1_000, 30_000)
DRAFT_CHARACTERS = (20, 40_000)
DATED = "{{ '<|im_start|>system\\nToday is ' + today + '.<|im_end|>\\n' }}"
LINE = "Table visits (visit_id INTEGER, patient_id INTEGER, seen_at DATE);\n"
WORDS = ("show", "all", "patients", "that", "were", "seen", "by", "a", "doctor", "in", "May,", "and", "why")
FLUSHES, SUBMITS = 600, 40


@dataclass
class Typist:
    """A turn on a base prompt, and the text that is typed in it, flushed word by word."""

    chat: HfChat
    base_tokens: int
    draft: str
    today: dict[str, str] = field(default_factory=lambda: {"today": "2026-03-01"})

    def __post_init__(self) -> None:
        system = ChatMessage("system", LINE * (self.base_tokens // len(self.chat.encode(LINE))))
        self.turn = TurnPrompt(self.chat, Conversation((system,), self.today), context_tokens=10**6)
        self.view = CacheView(CachedBlocks(keep_seconds=3600), block_size=32, context_tokens=10**6)
        self.texts = self._typed()
        self.warmed()

    def flush(self) -> None:
        """Do what a FLUSH costs besides the engine's work: its stable ids, and what of them is not cached."""
        stable = self.turn.stable(next(self.texts))
        self.view.lacking(stable, time.monotonic())

    def submit(self) -> None:
        """Make the ids that SUBMIT sends."""
        self.turn.final(next(self.texts))

    def warmed(self) -> None:
        """Count what is stable as cached."""
        self.view.hold(self.turn.stable(self.draft), time.monotonic())

    def midnight(self) -> None:
        """Let the template's date change."""
        self.today["today"] = "2026-03-02"

    def _typed(self) -> Iterator[str]:
        words = itertools.cycle(WORDS)
        while True:
            text = self.draft
            for _ in range(20):  # then the text is cut back, so that it stays about as long as it was
                text += f"{next(words)} "
                yield text


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def draft_of(characters: int) -> str:
    """Return a text of about that many characters."""
    words = itertools.cycle(WORDS)
    text = ""
    while len(text) < characters:
        text += f"{next(words)} "
    return text


def typists(chat: HfChat) -> dict[tuple[int, int, str], Typist]:
    """Return a typist for each row; those of the second half have renewed their turns' heads."""
    made = {}
    for when, base, draft in itertools.product(("before", "after"), BASE_TOKENS, DRAFT_CHARACTERS):
        typist = made[base, draft, when] = Typist(chat, base, draft_of(draft))
        if when == "after":
            typist.midnight()
            typist.warmed()
    return made


def quartiles_us(times: list[float]) -> tuple[float, float]:
    """Return the lower quartile and the median, in microseconds."""
    low, middle, _ = statistics.quantiles(times, n=4)
    return low * 1e6, middle * 1e6


def main() -> None:
    """Measure all rows in turn and print the table."""
    tokenizer = AutoTokenizer.from_pretrained(packaged_model_path())
    rows = typists(HfChat(tokenizer, DATED + tokenizer.chat_template))
    flushes: dict[tuple[int, int, str], list[float]] = {row: [] for row in rows}
    submits: dict[tuple[int, int, str], list[float]] = {row: [] for row in rows}
    for _, (row, typist) in itertools.product(range(FLUSHES), rows.items()):
        flushes[row].append(seconds(typist.flush))
    for _, (row, typist) in itertools.product(range(SUBMITS), rows.items()):
        submits[row].append(seconds(typist.submit))
    print("base, tokens  draft, chars  midnight   flush, us (quartile)  ratio   submit's ids, us (quartile)")
    least = min(quartiles_us(times)[0] for times in flushes.values())
    for row, typed in flushes.items():
        (low, middle), (submit_low, submit) = quartiles_us(typed), quartiles_us(submits[row])
        print(
            f"{row[0]:>12,}{row[1]:>14,}{row[2]:>10}{middle:>12.0f} ({low:.0f}){low / least:>13.2f}"
            f"{submit:>15.0f} ({submit_low:.0f})"
        )


if __name__ == "__main__":
    main()
