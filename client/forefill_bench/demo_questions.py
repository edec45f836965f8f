"""The questions of the demo, and the people who type them: another person for each, drawn by the seed.

The questions are about as long as the messages of the public log (median 24 characters). Their typists end them with a
mark of punctuation or with none. See `typing/human.py` for who they are.
"""

from typing import Final

from forefill_client.keystrokes import as_typist_ends, typed_by

from .typing.human import copying_at
from .typing.schedule import seeded
from .typing.script import Script

MEAN_GAP_MS: Final = 130.0
"""A mean gap between keys of fast typists: people who copy sentences need 239 ms."""
PEOPLE: Final = copying_at(MEAN_GAP_MS)
REST_MS: Final = 500.0
"""From the time when the prompt should be cached to Enter, at least: all arms meet an engine that has rested."""
READING_FACTOR: Final = 1.25
"""A prompt whose draft is typed meanwhile takes longer to be cached than one that is warmed alone."""
QUESTIONS: Final = (
    "Which beds are free?",
    "Who works tonight?",
    "Show unpaid invoices",
    "Find all diabetics",
    "How full is each ward?",
    "Who has a nut allergy?",
    "List today's visits",
    "Which tests are late?",
    "Count the patients",
    "Who left yesterday?",
)


def typed_question(index: int, seed: int) -> Script:
    """Return the script of the question of that number, typed by the person whom the seed gives to it."""
    rng = seeded(seed, "demo", index)
    typist = PEOPLE.typist(rng)
    return typed_by(typist, as_typist_ends(typist, QUESTIONS[index], rng), rng)


def head_start_ms(script: Script, reading_ms: float) -> float:
    """Return how long before its first key a box is opened whose prompt takes `reading_ms` to be cached.

    A user opens the box some time before the last key of a short question; a simulated one may be done too soon.
    """
    return max(0.0, READING_FACTOR * reading_ms + REST_MS - script[-1].at_ms)
