"""The workload `people`: sittings of people who type, several turns each, some typists at a time. Pure and seeded.

The messages come from the public log (users kept for judging, at their own times) or are made up: parts of the sample
questions, typed by the human typing model. Between two messages of a sitting and in the midst of one, a user is never
away for long; each next message begins after the answer to the one before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from random import Random
from typing import Final

from forefill_client.errors import ForefillError
from forefill_client.keystrokes import TraceRecorder, typed_by

from .arms import Arm
from .people_log import PACKAGE, LoggedMessage, find_log, is_for_judging, read_log
from .schedule import Trial, seeded, wake_up
from .script import Script, delayed
from .styles import AS_LOGGED, Style
from .texts import question
from .workloads import Workload

MOST_TURNS: Final = 6
"""Turns of a sitting."""
LONGEST_IDLE_MS: Final = 3000.0
"""From one answer to the first key of the next message, at most, and from the opening of the box to the first key."""
LONGEST_GAP_MS: Final = 10_000.0
"""From one key to the next, at most: one gap in a hundred is longer."""
WORDS_OF_A_MESSAGE: Final = (3, 8)
"""Fewest and most words of a made-up message: about as long as the log's."""

Sitting = tuple[Script, ...]


@dataclass(frozen=True, slots=True)
class People:
    """The people of a run."""

    #: Messages in each arm, at least.
    messages: int = 24
    #: How many type at the same time.
    typists: int = 2
    #: The public log's data file; None if the installed one is to be used.
    log: Path | None = None

    @property
    def turns(self) -> int:
        """Turns of each sitting."""
        return min(MOST_TURNS, -(-self.messages // self.typists))

    @property
    def sittings(self) -> int:
        """How many sittings there are, so that as many as type at a time are always full."""
        return -(-self.messages // (self.turns * self.typists)) * self.typists


def plan_people(
    workload: Workload, arms: Sequence[Arm], sittings: Sequence[Sitting], typists: int, seed: int
) -> list[tuple[Trial, ...]]:
    """Plan rounds of trials that are played at the same time; every arm plays a round's sittings, in a drawn order."""
    rounds: list[tuple[Trial, ...]] = [(wake_up(workload, arm),) for arm in arms]
    for first in range(0, len(sittings), typists):
        together = list(enumerate(sittings[first : first + typists], first))
        for arm in seeded(seed, workload.name, first, "order").sample(list(arms), len(arms)):
            rounds.append(tuple(Trial(workload, arm, index, scripts) for index, scripts in together))
    return rounds


def sittings_of(workload: Workload, people: People, seed: int) -> tuple[list[Sitting], str]:
    """Return a workload's sittings and where they come from; raises ForefillError if the log cannot be read."""
    style = workload.style or AS_LOGGED
    log = people.log or find_log()
    if style is not AS_LOGGED or log is None:
        return made_up_sittings(style, people, seed), "made-up messages"
    sittings = logged_sittings(read_log(log), people, seed)
    if len(sittings) < people.sittings:
        raise ForefillError(f"the log has only {len(sittings) * people.turns} messages to judge by: ask for fewer")
    return sittings, f"messages of users kept for judging, of {PACKAGE}"


def logged_sittings(messages: Sequence[LoggedMessage], people: People, seed: int) -> list[Sitting]:
    """Return sittings of the log's users kept for judging: one of each user, then another one of each, and so on.

    There are fewer than asked for if the log has no more.
    """
    by_user: dict[str, list[Sitting]] = {}
    judged = (message for message in messages if is_for_judging(message.user))
    for (user, _), sitting in groupby(judged, key=lambda message: (message.user, message.sitting)):
        by_user.setdefault(user, []).extend(_parts(list(sitting), people.turns))
    rng = seeded(seed, "people")
    users = rng.sample(sorted(by_user), len(by_user))
    for user in users:
        rng.shuffle(by_user[user])
    most = max(map(len, by_user.values()), default=0)
    in_turn = [by_user[user][place] for place in range(most) for user in users if place < len(by_user[user])]
    return in_turn[: people.sittings]


def _parts(messages: Sequence[LoggedMessage], turns: int) -> Iterator[Sitting]:
    """Yield parts of as many turns each; what is left over is left out."""
    idle = [LONGEST_IDLE_MS, *(later.begins_ms - earlier.sent_ms for earlier, later in pairwise(messages))]
    scripts = [logged_script(message, idle_ms) for message, idle_ms in zip(messages, idle, strict=True)]
    for first in range(0, len(scripts) - turns + 1, turns):
        yield tuple(scripts[first : first + turns])


def logged_script(message: LoggedMessage, idle_ms: float) -> Script:
    """Return the script of a logged message, `idle_ms` before its first key and no gap longer than the longest."""
    recorder, now_ms, last_ms = TraceRecorder(), min(max(0.0, idle_ms), LONGEST_IDLE_MS), message.begins_ms
    for at_ms, draft in message.changes:
        now_ms += min(max(0.0, at_ms - last_ms), LONGEST_GAP_MS)
        last_ms = at_ms
        recorder.change(draft, now_ms)
    return recorder.submit(now_ms + min(message.sent_ms - last_ms, LONGEST_GAP_MS))


def made_up_sittings(style: Style, people: People, seed: int) -> list[Sitting]:
    """Return sittings of simulated users who type in a style, each at a pace of their own."""
    return [_made_up(style, index, people.turns, seeded(seed, "made up", index)) for index in range(people.sittings)]


def _made_up(style: Style, index: int, turns: int, rng: Random) -> Sitting:
    typist = style.typing.typist(rng)
    scripts = []
    for turn in range(turns):
        words = question(index * turns + turn).split(" ")
        text = style.end(typist, " ".join(words[: rng.randint(*WORDS_OF_A_MESSAGE)]), rng)
        scripts.append(delayed(typed_by(typist, text, rng), rng.uniform(0.0, LONGEST_IDLE_MS)))
    return tuple(scripts)
