"""The workloads: for each, the prompt before the draft, and the way in which the draft is typed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from forefill_client.keystrokes import TypingModel, typed_by
from forefill_client.options import PregenerationMode, WarmMode

from . import texts
from .arms import ARMS, Arm, Prepared
from .human import COPYING
from .script import Script, delayed, edited, pasted, typed
from .styles import AS_LOGGED, STYLES, Style

TURNS: Final = 3
EDITING_TYPO_RATE: Final = 0.1
EDITING_WRONG_WORDS: Final = 0.2
CACHED_DIRECT: Final = replace(
    ARMS["direct"], about="vLLM's own HTTP endpoint without forefill, the same prompt cached", prepared=Prepared.WHOLE
)

CACHED_REMOTE: Final = replace(
    ARMS["remote"],
    about="forefill in front of vLLM's own HTTP endpoint, the same prompt cached",
    prepared=Prepared.WHOLE,
    warm_mode=WarmMode.OFF,
)

BY_DEFAULT: Final = replace(
    ARMS["pregen"],
    about="forefill as it is by default, with no pause but the typist's own",
    pregeneration=PregenerationMode.AUTO,
    pauses=False,
)
PEOPLE_ARMS: Final = (ARMS["cold"], ARMS["static"], ARMS["typed"], BY_DEFAULT, ARMS["oracle"])
LONG_ARMS: Final = tuple(ARMS[name] for name in ("cold", "static", "typed", "oracle"))
READING_MS: Final = 20_000.0
"""A user of a long context reads for this long before typing."""

Write = Callable[[int, TypingModel, Random], tuple[Script, ...]]


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of use. `write` returns the scripts of a trial, one for each of its turns."""

    name: str
    about: str
    write: Write
    system: str = texts.SCHEMA_SYSTEM
    #: All trials of an arm have the same system prompt, so that one hits blocks that another one cached.
    shared: bool = False
    #: The only arms that it compares.
    arms: tuple[Arm, ...] = tuple(ARMS.values())
    turns: int = 1
    #: Times that each query is asked.
    repeats: int = 1
    #: How its users type, if it is played as `people` is: sittings of several users at the same time.
    style: Style | None = None
    #: It is one of those that a run without --workloads has.
    is_default: bool = True

    @property
    def has_long_answers(self) -> bool:
        """Whether its answers have all the tokens that they may have: a share of their time is told."""
        return self.style is not None

    def arms_among(self, names: Iterable[str]) -> list[Arm]:
        """Return its arms of these names, in the order of tables."""
        return [arm for arm in self.arms if arm.name in set(names)]


def _one_question(index: int, model: TypingModel, rng: Random) -> tuple[Script, ...]:
    return (typed(texts.question(index), model, rng),)


def _same_question(index: int, model: TypingModel, rng: Random) -> tuple[Script, ...]:
    return _one_question(0, model, rng)


def _paste(index: int, model: TypingModel, rng: Random) -> tuple[Script, ...]:
    return (pasted(texts.PASTED, texts.question(index), model, rng),)


def _editing(index: int, model: TypingModel, rng: Random) -> tuple[Script, ...]:
    model = replace(model, typo_rate=EDITING_TYPO_RATE)
    return (edited(texts.question(index), texts.WORDS, EDITING_WRONG_WORDS, model, rng),)


def _turns(index: int, model: TypingModel, rng: Random) -> tuple[Script, ...]:
    return tuple(typed(texts.question(index * TURNS + turn), model, rng) for turn in range(TURNS))


def _long(index: int, model: TypingModel, rng: Random) -> tuple[Script, ...]:
    return (delayed(typed_by(COPYING.typist(rng), texts.question(index), rng), READING_MS),)


def _people(name: str, about: str, style: Style, *, is_default: bool = False) -> Workload:
    """Return a workload of people who chat with one application: its system prompt is the same for all of them."""
    return Workload(name, about, _one_question, shared=True, arms=PEOPLE_ARMS, style=style, is_default=is_default)


_ALL = (
    Workload("short", "a short question on a system prompt that all sessions share", _one_question, shared=True),
    Workload("context", "a context of about 1,200 tokens of its own for every session", _one_question),
    Workload("paste", "about 800 tokens pasted, then a question typed behind them", _paste, system=texts.PLAIN_SYSTEM),
    Workload("editing", "heavy editing: typos, words deleted as a whole, a late edit in the middle", _editing),
    Workload("turns", f"{TURNS} turns in one session", _turns, turns=TURNS),
    Workload(
        "overhead",
        "one stream, the same cached prompt with forefill, embedded and remote, and without",
        _same_question,
        shared=True,
        arms=(ARMS["oracle"], CACHED_REMOTE, CACHED_DIRECT),
        repeats=4,
    ),
    Workload(
        "long",
        "a context of about 7,000 tokens of its own for every session, read before a person types",
        _long,
        system=texts.LONG_SYSTEM,
        arms=LONG_ARMS,
    ),
    _people("people", "messages of real people (made-up ones if no log is installed)", AS_LOGGED, is_default=True),
    *(_people(name, f"people, made up: {style.about}", style) for name, style in STYLES.items()),
    Workload("load", "contexts of their own, beside plain generations that are not ours", _one_question),
)
WORKLOADS: Final = {workload.name: workload for workload in _ALL}
"""Every workload by its name."""
LOAD: Final = "load"


def is_of_people(workload: str) -> bool:
    """Return whether a workload is played as `people` is."""
    return WORKLOADS[workload].style is not None
