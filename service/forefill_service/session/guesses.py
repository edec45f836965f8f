"""When the answer to a draft is begun before SUBMIT, and how much of it is made: the one rule.

To begin it costs the engine about what it saves the user: the prompt's rest, and a step. It is for nothing unless
SUBMIT is the next thing that happens, which has the chance p. So a guess is worth what it costs if its odds p / (1 - p)
are at least the price: how many seconds of a wait a second of the engine must save. Another token costs a step and
saves one, but the n-th is worth an n-th of the first, since it is read later:

    odds of                    are worth
    less than the price        nothing
    n times the price          n tokens

The odds rise while the user is silent, and the guess with them, but in few steps: to go on is a request of its own.
"""

import math

GROWTH = 4
"""How many times its tokens a guess must be worth to go on."""


def tokens_worth(p_end: float, price: float, most: int) -> int:
    """Return how many tokens of the answer are worth their price now, up to `most`."""
    if p_end >= 1.0:
        return most if price < math.inf else 0
    return int(min(most, p_end / (1.0 - p_end) / price))


def p_end_for(tokens: int, price: float) -> float:
    """Return the chance of SUBMIT at which this many tokens are worth their price."""
    odds = tokens * price
    return odds / (1.0 + odds) if odds < math.inf else 1.0


def next_tokens(held: int) -> int:
    """Return how many tokens a guess must be worth to be begun, or to go on if it has some."""
    return GROWTH * held or 1
