"""The cost of a FLUSH to the service itself, with a short and a long base prompt, in the first turn and in the next.

Renders and tokenizes with the packaged model's own template and tokenizer; no engine runs. Prints the median of each
step in microseconds, and the ratio long / short, from which the machine's speed drops out.

    python tests/benchmarks/flush_cost.py
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

from forefill_service.cache.blocks import CachedBlocks
from forefill_service.cache.view import CacheView
from forefill_service.chat.messages import ChatMessage
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat
from forefill_service.engine.packaged_model import packaged_model_path
from transformers import AutoTokenizer

BASE_TOKENS = (1_000, 30_000)
DRAFT = "Show me all the patients that were seen by a doctor "
ROUNDS, RUNS = 5, 200


def turns_of(chat: HfChat, tokens: int) -> list[TurnPrompt]:
    """Return two turns of a conversation whose base prompt has about that many tokens."""
    line = "Table visits (visit_id INTEGER, patient_id INTEGER, seen_at DATE);\n"
    first = [ChatMessage("system", line * (tokens // len(chat.encode(line))))]
    second = [*first, ChatMessage("user", "Who came in May?"), ChatMessage("assistant", "SELECT 1;")]
    return [TurnPrompt(chat, messages, {}, context_tokens=10**6) for messages in (first, second)]


def median_us(work: Callable[[], object]) -> float:
    """Return the median time of one call, in microseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def main() -> None:
    """Measure both base prompts in turn, several rounds, and print the table."""
    tokenizer = AutoTokenizer.from_pretrained(packaged_model_path())
    chat = HfChat(tokenizer, tokenizer.chat_template)
    turns = [turns_of(chat, tokens) for tokens in BASE_TOKENS]
    views = [CacheView(CachedBlocks(keep_seconds=3600), block_size=32, context_tokens=10**6) for _ in turns]
    for view, (first, _) in zip(views, turns, strict=True):
        view.hold(first.base, time.monotonic())
    steps: dict[str, Callable[[int], object]] = {
        "flush: stable ids": lambda i: turns[i][0].stable(DRAFT),
        "flush: frontier": lambda i: views[i].frontier(turns[i][0].base, time.monotonic()),
        "flush: next turn's": lambda i: views[i].frontier(turns[i][1].base, time.monotonic()),
        "submit: final ids": lambda i: turns[i][0].final(DRAFT + "yesterday"),
    }
    sizes = [len(first.base) for first, _ in turns]
    print(f"{'':20}{sizes[0]:>12} tokens{sizes[1]:>12} tokens{'ratio':>10}")
    for name, step in steps.items():
        rounds = [[median_us(partial(step, i)) for i in range(2)] for _ in range(ROUNDS)]
        short, long = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = sorted(b / a for a, b in rounds)
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        print(f"{name:20}{short:>16.1f} us{long:>16.1f} us{spread:>20}")


if __name__ == "__main__":
    main()
