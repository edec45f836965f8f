"""Questions, contexts and background prompts, made from the packaged samples, so that a run needs no data."""

import re
from random import Random, SystemRandom
from typing import Final

from forefill_client.keystrokes import SAMPLE_QUERIES, SAMPLE_SCHEMA

INSTRUCTIONS: Final = "You write one SQL query that answers the user's question, and nothing else."
SCHEMA_SYSTEM: Final = f"{INSTRUCTIONS} The schema:\n\n{SAMPLE_SCHEMA}"
"""About 1,200 tokens."""
PLAIN_SYSTEM: Final = "You are a helpful assistant. You answer in one sentence."
PASTED: Final = "\n\n".join(SAMPLE_SCHEMA.split("\n\n")[:9]) + "\n\n"
"""About 800 tokens, and nothing typed yet."""
HOSPITALS: Final = ("north", "south", "east", "west", "lake")


def _of_hospital(name: str, schema: str) -> str:
    """Return a part of the sample schema with its tables named after a hospital."""
    tables = "|".join(re.findall(r"CREATE TABLE (\w+)", SAMPLE_SCHEMA))
    return re.sub(rf"\b({tables})\b", rf"{name}_\1", schema)


_SCHEMAS: Final = (*(_of_hospital(name, SAMPLE_SCHEMA) for name in HOSPITALS), _of_hospital("hill", PASTED))
LONG_SYSTEM: Final = "\n".join((f"{INSTRUCTIONS} The schemas of the hospitals:\n", *_SCHEMAS))
"""About 7,000 tokens."""
BACKGROUND_SYSTEM: Final = "You are a storyteller."
"""The system message of the background traffic."""
READY: Final = "Are you ready? "
"""Asked to prepare a prompt and to wake an engine up; never measured."""
WORDS: Final = tuple(sorted({word for query in SAMPLE_QUERIES for word in query.split() if word.isalpha()}))
_TOPICS: Final = (
    "a lighthouse",
    "the first railway",
    "a market",
    "bees",
    "an old clock",
    "the deep sea",
    "bread",
    "maps",
)
NONCE_DIGITS: Final = 8
ENDING_WORDS: Final = 32
ENDING_STEP: Final = 13
"""Without a common divisor with a block size: a few contexts already end everywhere in a block."""


def question(index: int) -> str:
    """Return the question of that number, each another one."""
    rounds, place = divmod(index, len(SAMPLE_QUERIES))
    query = SAMPLE_QUERIES[place]
    return f"{query} (at most {rounds * 10} rows)" if rounds else query


def ending(index: int) -> str:
    """Return an ending for the context of that number, of 0 to 31 words.

    Engines cache in blocks (32 tokens on a CPU), so how much of a question completes a block depends on where the
    context happens to end in one: here it ends everywhere equally often.
    """
    return "\nNote:" + " one" * place_in_block(index, ENDING_WORDS)


def place_in_block(index: int, block_size: int) -> int:
    """Return how many tokens the context of that number has beyond a whole block, 0 to `block_size` - 1."""
    return index * ENDING_STEP % block_size


def background_prompt(rng: Random) -> str:
    """Return a short prompt that calls for a long answer: with template and nonce about 60 to 100 tokens."""
    topic, words = rng.choice(_TOPICS), " ".join(rng.choices(WORDS, k=rng.randint(4, 30)))
    return f"Write a long story about {topic}, in many sentences. Use these words in it: {words}."


class Nonces:
    """Texts of equal length that were not used before, to put in front of prompts that must share no cached block.

    Digits are one token each for most tokenizers. They come from the system's randomness, not from the run's seed: a
    second run against the same server must not hit what the first one cached.
    """

    def __init__(self, rng: Random | None = None) -> None:
        self._rng = rng or SystemRandom()
        self._used: set[str] = set()
        self._kept: dict[object, str] = {}

    def fresh(self) -> str:
        """Return one that was never used."""
        while (nonce := str(self._rng.randrange(10 ** (NONCE_DIGITS - 1), 10**NONCE_DIGITS))) in self._used:
            pass
        self._used.add(nonce)
        return nonce

    def kept(self, owner: object) -> str:
        """Return an owner's nonce, always the same."""
        if owner not in self._kept:
            self._kept[owner] = self.fresh()
        return self._kept[owner]
