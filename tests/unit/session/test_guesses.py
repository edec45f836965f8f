"""The one rule of when an answer is begun, and how much of it."""

import math

import pytest
from forefill_service.session.guesses import GROWTH, next_tokens, p_end_for, tokens_worth


@pytest.mark.parametrize(
    ("p_end", "price", "tokens"),
    [
        (0.0, 0.05, 0),
        (0.04, 0.05, 0),  # odds of 1 to 24
        (0.05, 0.05, 1),  # 1 to 19
        (0.5, 0.05, 20),
        (0.5, 0.5, 2),
        (0.99, 0.05, 64),
        (1.0, 0.05, 64),
        (0.99, math.inf, 0),
        (1.0, math.inf, 0),
    ],
)
def test_a_guess_is_worth_its_odds_over_the_price(p_end: float, price: float, tokens: int) -> None:
    assert tokens_worth(p_end, price, 64) == tokens


@pytest.mark.parametrize("price", [0.01, 0.04, 0.3, 4.0])
@pytest.mark.parametrize("tokens", [1, 4, 64])
def test_the_chance_that_is_waited_for_is_the_one_at_which_they_are_worth_it(price: float, tokens: int) -> None:
    needed = p_end_for(tokens, price)
    assert tokens_worth(needed + 1e-9, price, 1000) == tokens
    assert tokens_worth(needed - 1e-6, price, 1000) == tokens - 1


def test_no_chance_pays_an_infinite_price() -> None:
    assert p_end_for(1, math.inf) == 1.0


def test_a_guess_goes_on_in_few_and_growing_steps() -> None:
    sizes = [0]
    while sizes[-1] < 64:
        sizes.append(next_tokens(sizes[-1]))
    assert sizes == [0, 1, GROWTH, GROWTH**2, GROWTH**3]
