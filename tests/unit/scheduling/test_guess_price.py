"""The price of the engine's time for guesses: by the engine's state, and by what was wasted lately."""

import math

import pytest
from forefill_service.scheduling.guess_price import BASE_PRICE, CREDIT_SECONDS, FADING_SECONDS, GuessBudget, price
from forefill_service.scheduling.pressure import Pressure


@pytest.mark.parametrize(
    ("pressure", "answers", "factor", "expected"),
    [
        (Pressure.NONE, 0, 1.0, BASE_PRICE),
        (Pressure.NONE, 2, 1.0, 3 * BASE_PRICE),
        (Pressure.NONE, 0, 8.0, 8 * BASE_PRICE),
        (Pressure.WARMS, 0, 0.5, math.inf),
        (Pressure.PREGENERATIONS, 0, 0.5, math.inf),
    ],
)
def test_the_price_follows_the_state_of_the_engine(
    pressure: Pressure, answers: int, factor: float, expected: float
) -> None:
    assert price(pressure, answers, factor) == expected


def test_the_price_rises_with_the_share_of_the_budget_that_is_wasted() -> None:
    factors = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 1e9):
        budget = GuessBudget(0.2)
        budget.opened("session a")
        budget.wasted(share * 0.2 * CREDIT_SECONDS, "session a")
        factors.append(budget.factor("session a"))
    assert factors == sorted(factors)
    assert factors[2] == pytest.approx(1.0)
    assert factors[4] == pytest.approx(4.0)
    assert factors[0] < 1 < factors[3]
    assert factors[-1] < math.inf


def test_the_worst_of_session_tenant_and_server_decides() -> None:
    budget = GuessBudget(0.2)
    budget.opened("session a", "tenant t")
    budget.opened("session b", "tenant t")
    budget.opened("session c", "tenant u")
    budget.wasted(1.0, "session a", "tenant t")
    shares = [budget.wasted_share("session a"), budget.wasted_share("tenant t"), budget.wasted_share("session c")]
    assert shares == pytest.approx([1 / CREDIT_SECONDS, 1 / (2 * CREDIT_SECONDS), 1 / (3 * CREDIT_SECONDS)])
    assert budget.wasted_share("session b", "tenant t") == shares[1]


def test_answers_pay_for_guesses_and_old_waste_fades() -> None:
    budget = GuessBudget(0.2)
    budget.opened("session a")
    budget.wasted(1.0, "session a")
    before = budget.wasted_share("session a")
    budget.answered(FADING_SECONDS, "session a")
    assert budget.wasted_share("session a") == pytest.approx(0.5 / (0.5 * CREDIT_SECONDS + FADING_SECONDS))
    assert budget.wasted_share("session a") < before


def test_waste_without_credit_or_answers_stops_all_guesses() -> None:
    budget = GuessBudget(0.2)
    assert budget.wasted_share("session a") == 0
    budget.wasted(1.0, "session a")
    assert budget.wasted_share("session a") == math.inf
    assert budget.factor("session a") > 1e6


def test_without_a_budget_nothing_is_ever_worth_it() -> None:
    assert GuessBudget(0.0).factor("session a") == math.inf
