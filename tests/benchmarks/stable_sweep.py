"""How often stable ids are wrong: questions in many scripts and code, typed key by key, on the tokenizers of families.

For every text and tokenizer, each confirmed text is given to `TurnPrompt.stable`, and its ids are compared with those
of the whole text. Confirmed texts are taken in two ways: where the server's default rule ends them as the keys come in
(`boundary`), and at every code point (`anywhere`). A flush is wrong if its ids do not lead the final ones; `lost` is
how many of them do not. `held` is how many tokens of the confirmed text are not among the stable ids: nothing is ever
wrong if everything is held back.

    python -m tests.benchmarks.stable_sweep --out after.json --before before.json

It runs on older code alike, so a table of before and after takes two runs: PYTHONPATH names the code to measure.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat
from transformers import AutoTokenizer

from tests.support.questions import QUESTIONS
from tests.support.templates import TEMPLATES
from tests.support.tokenizers import ALL_FAMILIES, NoTokenizer, model_directory

CONVERSATION = (ChatMessage("user", "Hello"), ChatMessage("assistant", "Hello! What can I do for you?"))
WAYS = ("boundary", "anywhere")

_RULES = (("forefill_service.session.boundary", "confirmable"), ("forefill_service.session.draft", "last_boundary"))
"""Where the default rule is: first now, then formerly."""


@dataclass(frozen=True, slots=True)
class Flushes:
    """What came of the flushes of one script on one tokenizer: counts, the most tokens lost, and the mean held."""

    flushes: int
    wrong: int
    most_lost: int
    held: float

    @property
    def share(self) -> float:
        """The share of wrong ones, in percent."""
        return 100 * self.wrong / max(1, self.flushes)


Table = dict[str, dict[str, dict[str, Flushes]]]
"""By way, script and tokenizer."""


def default_rule() -> Callable[[str], int]:
    """Return the function that says how many code points of a draft the server confirms by itself."""
    for module, name in _RULES:
        try:
            rule: Callable[[str], int] = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
        return rule
    raise SystemExit("this forefill has no default rule that is known here")


def chat_of(family: str) -> HfChat:
    """Return a family's tokenizer with its own template, or with ChatML if its package has none."""
    tokenizer = AutoTokenizer.from_pretrained(model_directory(family))
    return HfChat(tokenizer, tokenizer.chat_template or TEMPLATES["chatml"])


def ends(text: str, way: str, rule: Callable[[str], int]) -> Iterator[int]:
    """Yield where the confirmed text ends, one flush after the other, while the text is typed."""
    confirmed = 0
    for typed in range(1, len(text) + 1):
        end = typed if way == "anywhere" else rule(text[:typed])
        if end > confirmed:
            yield end
            confirmed = end


def flushes(turn: TurnPrompt, texts: Sequence[str], way: str, rule: Callable[[str], int]) -> Flushes:
    """Type texts key by key and count what became of their flushes."""
    after = len(turn.final("x")) - len(turn.base) - 1  # about as many tokens follow a draft
    lost, held = [], []
    for text in texts:
        final = turn.final(text)
        for end in ends(text, way, rule):
            stable = turn.stable(text[:end])
            lost.append(len(stable) - stable.common(final))
            held.append(max(0, len(turn.final(text[:end])) - after - len(stable)))
    return Flushes(len(lost), sum(tokens > 0 for tokens in lost), max(lost, default=0), fmean(held) if held else 0.0)


def measured(families: Sequence[str]) -> Table:
    """Measure all scripts on all these tokenizers."""
    table: Table = {way: {script: {} for script in QUESTIONS} for way in WAYS}
    rule = default_rule()
    for family in families:
        try:
            turn = TurnPrompt(chat_of(family), Conversation(CONVERSATION), 10**6)
        except NoTokenizer as reason:
            raise SystemExit(f"no tokenizer of {family}: {reason}") from None
        for script, texts in QUESTIONS.items():
            for way in WAYS:
                table[way][script][family] = flushes(turn, texts, way, rule)
        print(f"{family} done", file=sys.stderr, flush=True)
    return table


def printed(table: Table, way: str, before: Table | None) -> str:
    """Return a Markdown table: the share of wrong flushes in percent and the most tokens lost, before and after."""
    families = list(next(iter(table[way].values())))
    lines = ["| | " + " | ".join(families) + " | held |", "|---" * (len(families) + 2) + "|"]
    for script, row in table[way].items():
        old = before[way][script] if before else {}
        cells = [f"{_cell(old[family])} → {_cell(now)}" if old else _cell(now) for family, now in row.items()]
        held = [f"{fmean(found.held for found in found_by.values()):.1f}" for found_by in (old, row) if found_by]
        lines.append("| " + " | ".join([script, *cells, " → ".join(held)]) + " |")
    return "\n".join(lines)


def _cell(found: Flushes) -> str:
    return f"{found.share:.1f} ({found.most_lost})" if found.wrong else "0"


def summary(table: Table, way: str) -> str:
    """Return one line: how many were wrong of all, and the worst of a script on a tokenizer."""
    cells = {(script, family): found for script, row in table[way].items() for family, found in row.items()}
    flushed, wrong = (sum(counts) for counts in zip(*((c.flushes, c.wrong) for c in cells.values()), strict=True))
    worst = max(cells, key=lambda cell: cells[cell].share)
    over = sum(found.share > 2 for found in cells.values())
    return (
        f"{way}: {wrong:,} of {flushed:,} flushes wrong ({100 * wrong / flushed:.2f} %), "
        f"{cells[worst].share:.1f} % in {' on '.join(worst)}, over 2 % in {over} of {len(cells)} cells, "
        f"at most {max(found.most_lost for found in cells.values())} tokens lost"
    )


def saved(table: Table) -> str:
    """Return a table as JSON."""
    return json.dumps(table, default=lambda flushes: asdict(flushes), ensure_ascii=False, indent=1)


def loaded(text: str) -> Table:
    """Return a table that was saved."""
    read: Mapping[str, Any] = json.loads(text)
    return {
        way: {script: {family: Flushes(**found) for family, found in row.items()} for script, row in rows.items()}
        for way, rows in read.items()
    }


def main() -> None:
    """Measure, print the tables and save them."""
    parser = argparse.ArgumentParser(description="How often stable ids are wrong, by script and tokenizer.")
    parser.add_argument("--families", default=",".join(ALL_FAMILIES), help="tokenizers, separated by commas")
    parser.add_argument("--out", type=Path, help="save the figures to this file, as JSON")
    parser.add_argument("--before", type=Path, help="show the figures of this file, saved by --out, as the first ones")
    args = parser.parse_args()
    table = measured(args.families.split(","))
    before = loaded(args.before.read_text()) if args.before else None
    if args.out:
        args.out.write_text(saved(table))
    for way in WAYS:
        print(f"\n{way}: wrong flushes in percent (most tokens lost), and the mean of tokens held back\n")
        print(printed(table, way, before))
        print()
        for figures in (before, table):
            if figures:
                print(summary(figures, way))


if __name__ == "__main__":
    main()
