"""Fits the human typing model on the public log, and draws simulated beside measured intervals.

It needs the package `keylogging-analysis`, or its data file by --people-log. Only users for tuning are fitted; the
figure shows the simulation beside the users kept for judging, of whom nothing was fitted.

    python -m tests.benchmarks.human_typing [--people-log FILE] [--plot tests/benchmarks/figures/human-typing]

Prints the figures of `forefill_client/keystrokes/human.py`, then simulated and measured shares and percentiles.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from forefill_bench.report.plots import label_axes, new_figure
from forefill_bench.typing.human import COPYING, LOGGED
from forefill_bench.typing.people_log import LoggedMessage, find_log, is_for_judging, read_log
from forefill_bench.typing.texts import WORDS
from forefill_client.keystrokes import (
    COMPOSING,
    TRANSCRIBING,
    HumanTypingModel,
    InterKeyInterval,
    KeyRole,
    as_typist_ends,
)
from forefill_client.keystrokes.hands import drafts_by, role_of
from forefill_client.keystrokes.human import LONGEST_INTERVAL, PUBLISHED_MEAN_MS

SHORTEST = 0.05
"""A multiple of the pace: shorter gaps, of overlapping keys, count as this."""
PAUSE_MS = 600.0
COPIED_PAUSES = 3.3 / 47
"""The share of gaps of PAUSE_MS and more in copied sentences; gaps above LONGEST_COPIED_MS are left out."""
LONGEST_COPIED_MS = 5000.0
MESSAGES_OF_A_TYPIST = 20
SHARES = (5, 25, 50, 75, 90)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its user, its message, its use, and the milliseconds before it."""

    user: str
    message: int
    role: KeyRole
    gap_ms: float


def keys_of(messages: Sequence[LoggedMessage]) -> Iterator[Key]:
    """Yield every key of messages but the first ones, Enter included."""
    for index, message in enumerate(messages):
        last = KeyRole.LETTER
        for (before_ms, before), (at_ms, draft) in pairwise(message.changes):
            role = role_of(before, draft, last)
            if draft.startswith(before) or before.startswith(draft):  # at the end, as the model types
                yield Key(message.user, index, role, at_ms - before_ms)
            last = role
        yield Key(message.user, index, KeyRole.ENTER, message.sent_ms - message.changes[-1][0])


def paces_of(keys: Sequence[Key]) -> dict[str, float]:
    """Return the median gap between letters of every user."""
    letters = defaultdict(list)
    for key in keys:
        if key.role is KeyRole.LETTER:
            letters[key.user].append(key.gap_ms)
    return {user: float(np.median(gaps)) for user, gaps in letters.items()}


def mixture(values: "np.ndarray[Any, Any]", rounds: int = 400) -> tuple[Any, Any, Any]:
    """Fit two normal distributions by expectation and maximisation; return shares, means and deviations."""
    share, mean, spread = np.array([0.9, 0.1]), np.percentile(values, [45, 97]), np.array([0.5, 0.8])
    for _ in range(rounds):
        density = share * np.exp(-0.5 * ((values[:, None] - mean) / spread) ** 2) / spread
        part = density / density.sum(axis=1, keepdims=True)
        weight = part.sum(axis=0)
        share, mean = weight / len(values), (part * values[:, None]).sum(axis=0) / weight
        spread = np.sqrt((part * (values[:, None] - mean) ** 2).sum(axis=0) / weight).clip(0.05)
    order = np.argsort(-share)  # the first one is that of most keys
    return share[order], mean[order], spread[order]


def fitted(messages: Sequence[LoggedMessage]) -> HumanTypingModel:
    """Fit the model on messages."""
    keys = list(keys_of(messages))
    paces = paces_of(keys)
    keys = [key for key in keys if key.user in paces]
    ratio = {key: max(SHORTEST, key.gap_ms / paces[key.user]) for key in keys}
    keys = [key for key in keys if ratio[key] <= LONGEST_INTERVAL]
    gaps = {}
    for role in set(KeyRole) - {KeyRole.PASTE}:  # the log has none
        values = np.log([ratio[key] for key in keys if key.role is role])
        share, mean, spread = mixture(values)
        gaps[role] = InterKeyInterval(
            *(round(float(value), 3) for value in (np.exp(mean[0]), spread[0], share[1], np.exp(mean[1]), spread[1]))
        )
    marks = _mark_shares(messages)
    alpha, beta = _beta(list(marks.values()))
    runs, characters = _corrections(messages)
    deleted = np.array(runs)
    logs = np.log(list(paces.values()))
    return replace(
        COMPOSING,
        intervals={**COMPOSING.intervals, **gaps},
        pace_ms=round(float(np.exp(logs.mean())), 0),
        pace_spread=round(float(logs.std()), 2),
        burst_spread=round(_burst_spread(keys, ratio, gaps), 2),
        correction_rate=round(len(runs) / characters, 3),
        deleted_median=1.0,
        deleted_spread=round(_deleted_spread(deleted), 2),
        mark_alpha=round(alpha, 1),
        mark_beta=round(beta, 1),
    )


def _burst_spread(keys: Sequence[Key], ratio: dict[Key, float], gaps: dict[KeyRole, InterKeyInterval]) -> float:
    """Return the deviation that neighbouring keys have in common: the root of their residuals' covariance."""
    products = []
    for one, two in pairwise(keys):
        if one.message != two.message:
            continue
        left, right = (
            (np.log(ratio[key]) - np.log(gaps[key.role].median)) / gaps[key.role].spread for key in (one, two)
        )
        if abs(left) < 2 and abs(right) < 2:  # neither is a thinking pause
            products.append(left * right * gaps[one.role].spread * gaps[two.role].spread)
    return float(np.sqrt(max(0.0, np.mean(products))))


def _mark_shares(messages: Sequence[LoggedMessage]) -> dict[str, float]:
    ends = defaultdict(list)
    for message in messages:
        ends[message.user].append(message.text.rstrip()[-1:] in tuple(".?!"))
    return {user: float(np.mean(marks)) for user, marks in ends.items() if len(marks) >= 10}


def _beta(shares: Sequence[float]) -> tuple[float, float]:
    mean, variance = float(np.mean(shares)), float(np.var(shares))
    total = mean * (1 - mean) / variance - 1
    return mean * total, (1 - mean) * total


def _corrections(messages: Sequence[LoggedMessage]) -> tuple[list[int], int]:
    """Return how many characters each correction deleted, and how many characters were sent."""
    runs = []
    for message in messages:
        run = 0
        for (_, before), (_, draft) in pairwise((*message.changes, (0.0, message.text + "."))):
            if len(draft) < len(before):
                run += len(before) - len(draft)
            elif run:
                runs.append(run)
                run = 0
    return runs, sum(len(message.text) for message in messages)


def _deleted_spread(deleted: "np.ndarray[Any, Any]") -> float:
    """Return the deviation of a log-normal with a median of 1 that is rounded up, from how many exceed 2 to 6."""
    from scipy.stats import norm

    return float(np.mean([np.log(most) / norm.isf((deleted > most).mean()) for most in range(2, 7)]))


def simulated(people: HumanTypingModel, messages: int, seed: int = 1) -> list[LoggedMessage]:
    """Type made-up texts of the sample questions' words, as long as the log's, in the form of logged messages."""
    rng, made = Random(seed), []
    for index in range(messages):
        if index % MESSAGES_OF_A_TYPIST == 0:
            typist = people.typist(rng)
        text = as_typist_ends(typist, " ".join(rng.choices(WORDS, k=rng.randint(2, 7))), rng)
        drafts, enter_ms = drafts_by(typist, text, rng)
        made.append(LoggedMessage(f"typist {index // MESSAGES_OF_A_TYPIST}", "", tuple(drafts), enter_ms))
    return made


def copying(people: HumanTypingModel) -> tuple[float, float]:
    """Find the pace and the hesitation with which copied sentences have their published mean and pauses."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        pace_ms = _pace_for_mean(replace(people, hesitation=middle))
        gaps = _inner_gaps(replace(people, hesitation=middle, pace_ms=pace_ms))
        low, high = (middle, high) if (gaps >= PAUSE_MS).mean() < COPIED_PAUSES else (low, middle)
    return round(pace_ms, 0), round(middle, 2)


def _pace_for_mean(people: HumanTypingModel) -> float:
    pace_ms = people.pace_ms
    for _ in range(6):
        pace_ms *= PUBLISHED_MEAN_MS / _inner_gaps(replace(people, pace_ms=pace_ms)).mean()
    return float(pace_ms)


def _inner_gaps(people: HumanTypingModel) -> "np.ndarray[Any, Any]":
    gaps = np.array([key.gap_ms for key in keys_of(simulated(people, 3000)) if key.role is not KeyRole.ENTER])
    return gaps[gaps <= LONGEST_COPIED_MS]


def rollover(people: HumanTypingModel, typists: int = 1000, seed: int = 1) -> tuple[float, float, float]:
    """Return the share of keys that overlap: its mean, its deviation between typists, and that of fast ones (p90)."""
    rng, shares = Random(seed), []
    for _ in range(typists):
        typist = people.typist(rng)
        drafts, _ = drafts_by(typist, " ".join(rng.choices(WORDS, k=15)), rng)
        shares.append(np.mean([later - earlier < typist.hold_ms for (earlier, _), (later, _) in pairwise(drafts)]))
    return float(np.mean(shares)), float(np.std(shares)), float(np.percentile(shares, 90))


def compare(name: str, messages: Sequence[LoggedMessage]) -> None:
    """Print the shares and percentiles of messages."""
    keys = list(keys_of(messages))
    inner = np.array([key.gap_ms for key in keys if key.role is not KeyRole.ENTER])
    enter = np.array([key.gap_ms for key in keys if key.role is KeyRole.ENTER])
    runs, characters = _corrections(messages)
    marks = np.mean([message.text.rstrip()[-1:] in tuple(".?!") for message in messages])
    print(f"\n{name}: {len(messages)} messages, {np.mean([len(one.text) for one in messages]):.0f} characters each")
    print(f"  gaps of keys, ms, p5/25/50/75/90: {_percentiles(inner)}; mean without the longest {_mean(inner):.0f}")
    print(f"  last key to Enter, the same: {_percentiles(enter)}")
    print(f"  pauses of 600 ms and more: {(inner >= PAUSE_MS).sum() / len(messages):.1f} a message,", end="")
    print(f" {(inner >= PAUSE_MS).mean():.1%} of gaps; a correction every {characters / len(runs):.0f} characters,")
    print(f"  of {np.mean(runs):.1f} characters; {marks:.0%} end in a mark")


def _mean(gaps: "np.ndarray[Any, Any]") -> float:
    return float(gaps[gaps <= LONGEST_COPIED_MS].mean())


def _percentiles(values: "np.ndarray[Any, Any]") -> str:
    return " / ".join(f"{value:.0f}" for value in np.percentile(values, SHARES))


def draw(groups: Mapping[str, Sequence[LoggedMessage]], prefix: Path) -> None:
    """Draw the distributions of gaps by the use of the key, as PREFIX.png and PREFIX.svg."""
    panels = {
        "within words": [KeyRole.LETTER],
        "first letter of a word": [KeyRole.WORD],
        "last key to Enter": [KeyRole.ENTER],
    }
    panels |= {"first deletion": [KeyRole.FIRST_DELETE]}
    figure, axes = new_figure(15.0, 4.2, len(panels))
    styles = {
        "log": ("#000000", "-"),
        "simulated, composing": ("#D55E00", "--"),
        "simulated, transcribing": ("#0072B2", ":"),
    }
    for panel, (title, roles) in zip(axes, panels.items(), strict=True):
        for name, messages in groups.items():
            gaps = np.sort([key.gap_ms for key in keys_of(messages) if key.role in roles])
            colour, line = next(style for start, style in reversed(styles.items()) if name.startswith(start))
            panel.plot(gaps, np.arange(1, len(gaps) + 1) / len(gaps), line, color=colour, label=name)
        panel.set_xscale("log")
        panel.set_xlim(30, 20_000)
        label_axes(panel, title, "ms (log scale)", "share of gaps below" if panel is axes[0] else "")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(groups), frameon=False)
    for kind in ("png", "svg"):
        figure.savefig(prefix.with_name(f"{prefix.name}.{kind}"), dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people-log", type=Path, default=find_log(), help="the log's data file")
    parser.add_argument("--plot", type=Path, metavar="PREFIX", help="draw PREFIX.png and PREFIX.svg")
    options = parser.parse_args()
    if options.people_log is None:
        parser.error("the log is not installed: pass --people-log FILE")
    messages = read_log(options.people_log)
    tuning = [message for message in messages if not is_for_judging(message.user)]
    judging = [message for message in messages if is_for_judging(message.user)]
    found = fitted(tuning)
    for role, interval in found.intervals.items():
        print(f"{role}: {interval},")
    print(replace(found, intervals={}))
    print("transcribing: pace and hesitation", copying(replace(COPYING, intervals=found.intervals)))
    compare("log, users for tuning", tuning)
    compare("log, users for judging", judging)
    simulations = {"composing": COMPOSING, "transcribing": TRANSCRIBING}
    for name, people in (simulations | {"the benchmarks' logged": LOGGED, "their copying": COPYING}).items():
        compare(f"simulated, {name}", simulated(people, 8000))
    mean, deviation, fast = rollover(TRANSCRIBING)
    print(f"\nkeys that overlap, transcribing: {mean:.0%}, between people {deviation:.0%}, at p90 {fast:.0%}")
    if options.plot:
        drawn = {f"simulated, {name}": simulated(people, 8000) for name, people in simulations.items()}
        draw({"log, users for judging": judging} | drawn, options.plot)


if __name__ == "__main__":
    main()
