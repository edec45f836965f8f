"""The schedule of a run: pure, seeded, and the same for every arm, however a server answers."""

from dataclasses import dataclass
from math import ceil
from random import Random
from typing import Final

from forefill_client.keystrokes import FlushRule, TypingModel, as_typist_ends, typed_by
from forefill_client.keystrokes.human import PUBLISHED_MEAN_MS

from . import texts
from .arms import Arm
from .human import copying_at
from .script import Script, paused, typed
from .workloads import Workload

TYPO_RATE: Final = 0.02
STD_SHARE: Final = 100 / 239
"""Standard deviation of the time between keys, as a share of its mean: as people have it."""
OPEN_EARLY_MS: Final = 1000.0
"""A user's box is open this long before the first key."""
PAUSE_SHARE: Final = 0.2
"""Extra time before a word, as a share of the same mean."""


def typing_model(mean_delay_ms: float) -> TypingModel:
    """Return a typist of that pace."""
    return TypingModel(
        mean_delay_ms=mean_delay_ms,
        std_delay_ms=mean_delay_ms * STD_SHARE,
        typo_rate=TYPO_RATE,
        pause_after_boundary=mean_delay_ms * PAUSE_SHARE,
        flush_rule=FlushRule.WORD,
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """One session of one arm: a script for each of its turns. `index` is -1 if it only wakes the engine up."""

    workload: Workload
    arm: Arm
    index: int
    scripts: tuple[Script, ...]

    @property
    def counted(self) -> bool:
        """Whether it is measured."""
        return self.index >= 0

    @property
    def typing_seconds(self) -> float:
        """The seconds that the user types, without the answers."""
        return sum(script[-1].at_ms for script in self.scripts) / 1000


def plan_trials(
    workload: Workload, arms: list[Arm], queries: int, model: TypingModel, pause_ms: float, seed: int
) -> list[Trial]:
    """Plan a workload of one user: a round that wakes up, then every query in every arm, in an order drawn each time.

    All arms of one query have the same keys at the same times, but for the pause of those that pause: an engine that
    was busy a moment ago answers sooner than one that has waited for the user, whatever is cached.
    """
    trials = [wake_up(workload, arm, pause_ms) for arm in arms]
    for index in range(max(1, queries // workload.turns) * workload.repeats):
        scripts = workload.write(index, model, seeded(seed, workload.name, index))
        order = seeded(seed, workload.name, index, "order").sample(arms, len(arms))
        trials += [Trial(workload, arm, index, _paused(scripts, arm, pause_ms)) for arm in order]
    return trials


def wake_up(workload: Workload, arm: Arm, pause_ms: float = 0.0) -> Trial:
    """Return a trial that is not counted: a short text, typed quickly."""
    scripts = (typed(texts.READY, typing_model(5.0), Random(0)),)  # noqa: S311
    return Trial(workload, arm, -1, _paused(scripts, arm, pause_ms))


def _paused(scripts: tuple[Script, ...], arm: Arm, pause_ms: float) -> tuple[Script, ...]:
    return tuple(paused(script, pause_ms) for script in scripts) if arm.pauses else scripts


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of a load window."""

    #: Seconds for which SUBMITs and arrivals are counted.
    seconds: float = 60.0
    #: Seconds from one session of a typist to its next one.
    cycle_seconds: float = 30.0
    #: Background traffic: plain generations a second, at random (Poisson).
    background_rate: float = 0.7
    #: Milliseconds from key to key, on average over all typists; each has a pace of its own.
    mean_delay_ms: float = PUBLISHED_MEAN_MS


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """One session of one typist."""

    typist: int
    index: int
    #: Milliseconds from the window's beginning to the script's.
    begins_ms: float
    script: Script
    counted: bool

    @property
    def submits_ms(self) -> float:
        """When Enter is pressed."""
        return self.begins_ms + self.script[-1].at_ms


@dataclass(frozen=True, slots=True)
class Arrival:
    """One plain generation of the background traffic."""

    at_ms: float
    text: str
    counted: bool


@dataclass(frozen=True, slots=True)
class Window:
    """Everything that is done in one window of load, whatever the server does.

    It begins with a lead-in as long as the longest typing, after which the load is steady, and SUBMITs and arrivals are
    counted. Sessions that are still being typed at the window's end are there for their warming; they are cut off.
    """

    typists: int
    lead_ms: float
    ends_ms: float
    sessions: tuple[PlannedSession, ...]
    arrivals: tuple[Arrival, ...]

    def paused(self, pause_ms: float) -> "Window":
        """Return the window with a pause before every Enter; what is counted stays the same."""
        sessions = tuple(
            PlannedSession(one.typist, one.index, one.begins_ms, paused(one.script, pause_ms), one.counted)
            for one in self.sessions
        )
        return Window(self.typists, self.lead_ms, self.ends_ms, sessions, self.arrivals)


def plan_window(typists: int, pace: Pace, seed: int) -> Window:
    """Plan a window: each typist's Enters are one cycle apart, from an offset drawn within the first cycle.

    The typists are people, each with a pace of its own; a slow one may begin a message before the last one is sent.
    """
    people = copying_at(pace.mean_delay_ms)
    drafts = []
    for typist in range(typists):
        person = people.typist(seeded(seed, "typist", typist))
        offset = seeded(seed, "offset", typist).uniform(0, pace.cycle_seconds)
        for cycle in range(int((pace.seconds - offset) // pace.cycle_seconds) + 2):
            index = typist + cycle * typists
            rng = seeded(seed, "load", typist, cycle)
            script = typed_by(person, as_typist_ends(person, texts.question(index), rng), rng)
            drafts.append((typist, index, (offset + cycle * pace.cycle_seconds) * 1000, script))
    lead_ms = float(ceil(max((script[-1].at_ms for *_, script in drafts), default=0.0)))
    ends_ms = lead_ms + pace.seconds * 1000
    sessions = [
        PlannedSession(typist, index, lead_ms + enter_ms - script[-1].at_ms, script, lead_ms + enter_ms < ends_ms)
        for typist, index, enter_ms, script in drafts
    ]
    return Window(
        typists,
        lead_ms,
        ends_ms,
        tuple(sorted((one for one in sessions if one.begins_ms < ends_ms), key=lambda one: one.begins_ms)),
        tuple(_arrivals(pace.background_rate, lead_ms, ends_ms, seeded(seed, "background"))),
    )


def _arrivals(rate: float, lead_ms: float, ends_ms: float, rng: Random) -> list[Arrival]:
    arrivals: list[Arrival] = []
    at_ms = 0.0
    while rate > 0 and (at_ms := at_ms + rng.expovariate(rate) * 1000) < ends_ms:
        arrivals.append(Arrival(at_ms, texts.background_prompt(rng), at_ms >= lead_ms))
    return arrivals


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm's window with one number of typists."""

    round: int
    window: Window
    arm: Arm


def plan_load(arms: list[Arm], typists: list[int], rounds: int, pace: Pace, pause_ms: float, seed: int) -> list[Cell]:
    """Plan all windows: round by round, for each number of typists, every arm in an order drawn each time.

    The arms of one round and number of typists have the same keys and arrivals at the same times.
    """
    cells = []
    for turn in range(rounds):
        for number in typists:
            window = plan_window(number, pace, hash_free_seed(seed, turn, number))
            for arm in seeded(seed, "cells", turn, number).sample(arms, len(arms)):
                cells.append(Cell(turn, window.paused(pause_ms) if arm.pauses else window, arm))
    return cells


def hash_free_seed(*parts: object) -> int:
    """Return a seed made of several values, the same in every process."""
    return seeded(*parts).getrandbits(32)


def seeded(*parts: object) -> Random:
    """Return a source of randomness for these values, the same in every process."""
    return Random(" ".join(map(str, parts)))  # noqa: S311 (typing is no secret)
