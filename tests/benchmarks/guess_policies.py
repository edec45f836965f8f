"""Play rules for beginning an answer early on the public log, on paper: the engine is free, and its times are given.

    python -m tests.benchmarks.guess_policies [--log PATH] [--users training]

A draft's answer is begun at the least silence after which the odds of SUBMIT are the price of one token, and has as
many tokens as the odds hold prices, at most 64; it grows by a further request when that number has doubled. What is
begun for a draft that changes is wasted, from its start until the change or the end of its tokens. The price is

    base x 2^(steepness x (wasted / (budget x answers) - 1/2)), at least a quarter of the base

with the seconds wasted and those of answers of the sitting so far, faded by half in ten messages, and one answer as
credit. "worst" is the largest waste of a sitting of five messages and more.
"""

import argparse
import math
from dataclasses import dataclass

from forefill_service.session.likelihood import Chance, Typist

from .people_log import STYLES, Sitting, drafts, in_style, log_path, read_sittings

MOST_TOKENS = 64
FADE = 0.5 ** (1 / 10)
LEAST_FACTOR = 0.25
MANY_MESSAGES = 5


@dataclass(frozen=True, slots=True)
class Engine:
    """What the engine takes, in seconds: a start's prefill, a step, an answer; and the wait that a start saves."""

    prefill: float
    step: float
    answer: float
    saved: float


@dataclass(frozen=True, slots=True)
class Policy:
    """A price's base and steepness, and the share of the answers' time that may be wasted; steepness 0: one price."""

    base: float
    steepness: float
    budget: float = 0.25

    def price(self, wasted: float, answers: float) -> float:
        """Return the price after this much waste."""
        if not self.steepness:
            return self.base
        used = wasted / (self.budget * answers)
        return self.base * max(LEAST_FACTOR, 2 ** (self.steepness * (used - 0.5)))


@dataclass(frozen=True, slots=True)
class Draft:
    """One state of a draft: its chance, how long it stayed, and whether SUBMIT ended it."""

    chance: Chance
    seconds: float
    ended: bool


@dataclass(slots=True)
class Tally:
    """What came of the messages of some sittings."""

    messages: int = 0
    starts: int = 0
    begun: int = 0
    wasted_seconds: float = 0.0


def messages_of(sitting: Sitting) -> list[list[Draft]]:
    """Return the drafts of each message, as `Typist` judges them."""
    typist, messages = Typist(), []
    for message in sitting.messages:
        states = []
        for index, (at, draft, removed, seconds) in enumerate(drafts(message), start=1):
            typist.changed(draft, removed=removed, now=at)
            if draft:
                states.append(Draft(typist.chance, seconds, index == len(message.changes)))
        typist.submitted(message.text, message.enter_at)
        messages.append(states)
    return messages


def engine_seconds(draft: Draft, price: float, engine: Engine) -> float | None:
    """Return the engine's seconds that go into guesses for this draft; None if nothing is begun."""
    least_odds = price * (engine.prefill + engine.step) / engine.saved
    spent, tokens, free_at = 0.0, 0, 0.0
    while tokens < MOST_TOKENS:
        odds = 2 * tokens * price if tokens else least_odds
        silence = draft.chance.reaches(odds / (1 + odds))
        if silence is None or max(silence, free_at) >= draft.seconds:
            break
        at = max(silence, free_at)
        chance = draft.chance.after(at)
        worth = min(MOST_TOKENS, max(1, int(chance / (1 - chance) / price)))
        if worth <= tokens:
            break
        cost = engine.prefill + engine.step * (worth - tokens)
        spent += min(cost, draft.seconds - at)
        tokens, free_at = worth, at + cost
    return spent if tokens else None


def play(messages: list[list[Draft]], policy: Policy, engine: Engine) -> Tally:
    """Play one sitting."""
    tally, wasted, answers = Tally(), 0.0, engine.answer
    for drafts_of_message in messages:
        tally.messages += 1
        for draft in drafts_of_message:
            spent = engine_seconds(draft, policy.price(wasted, answers), engine)
            if spent is None:
                continue
            tally.starts += 1
            tally.begun += draft.ended
            if not draft.ended:
                wasted += spent
                tally.wasted_seconds += spent
        wasted, answers = wasted * FADE, answers * FADE + engine.answer
    return tally


def row(sittings: list[list[list[Draft]]], policy: Policy, engine: Engine) -> str:
    """Return the figures of these sittings as the cells of a table."""
    tallies = [play(messages, policy, engine) for messages in sittings]
    messages = sum(tally.messages for tally in tallies)
    starts, begun = (sum(getattr(tally, name) for tally in tallies) for name in ("starts", "begun"))
    waste = sum(tally.wasted_seconds for tally in tallies) / (messages * engine.answer)
    long_ones = [tally for tally in tallies if tally.messages >= MANY_MESSAGES]
    worst = max((tally.wasted_seconds / (tally.messages * engine.answer) for tally in long_ones), default=math.nan)
    cells = (f"{begun / messages:.1%}", f"{starts / messages:.1f}", f"{(starts - begun) / messages:.1f}")
    return " | ".join((*cells, f"{waste:.2f}", f"{worst:.2f}"))


HEADER = "SUBMITs begun | starts per SUBMIT | wasted | waste | worst"
FIXED_PRICES = (0.02, 0.03, 0.05, 0.08)
RULES = ((0.03, 8.0), (0.04, 6.0), (0.02, 4.0), (0.03, 4.0), (0.05, 4.0))


def main() -> None:
    """Print a table of price rules, and one of styles under the chosen rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", help="the log's CSV file; the installed package's by default")
    parser.add_argument("--users", choices=("training", "judging"), default="judging")
    parser.add_argument("--base", type=float, default=0.03, help="base price for the table of styles")
    parser.add_argument("--steepness", type=float, default=4.0, help="steepness for the table of styles")
    parser.add_argument("--prefill-ms", type=float, default=60, help="what a start takes before its first token")
    parser.add_argument("--step-ms", type=float, default=39, help="what a token takes")
    parser.add_argument("--answer-ms", type=float, default=5000, help="what an answer takes")
    parser.add_argument("--saved-ms", type=float, default=100, help="the wait that a start saves if SUBMIT comes")
    options = parser.parse_args()
    times = (options.prefill_ms, options.step_ms, options.answer_ms, options.saved_ms)
    engine = Engine(*(milliseconds / 1000 for milliseconds in times))
    sittings = [s for s in read_sittings(log_path(options.log)) if s.for_judging == (options.users == "judging")]
    print(
        f"{options.users}: {sum(len(s.messages) for s in sittings)} messages of {len({s.user for s in sittings})} users"
    )
    logged = [messages_of(sitting) for sitting in sittings]
    print(f"| price | {HEADER} |\n|---|---|---|---|---|---|")
    for price in FIXED_PRICES:
        print(f"| {price} | {row(logged, Policy(price, 0.0), engine)} |", flush=True)
    for base, steepness in RULES:
        print(
            f"| {base} x 2^({steepness:g} x (used - 1/2)) | {row(logged, Policy(base, steepness), engine)} |",
            flush=True,
        )
    print(f"\n| style | {HEADER} |\n|---|---|---|---|---|---|")
    for name, style in STYLES.items():
        typed = [messages_of(in_style(sitting, style)) for sitting in sittings]
        print(f"| {name} | {row(typed, Policy(options.base, options.steepness), engine)} |", flush=True)


if __name__ == "__main__":
    main()
