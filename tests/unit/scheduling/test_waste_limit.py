"""Who is warmed less."""

from forefill_service.scheduling.waste_limit import START_CREDIT_TOKENS, Payback
from forefill_service.session.ledger import Balance

WASTED = Balance(abandoned=100_000)
USED = Balance(used=100_000)


def admitted(payback: Payback, *owners: str, requests: int = 100) -> int:
    return sum(payback.admits(*owners) for _ in range(requests))


def test_who_is_new_is_admitted() -> None:
    assert admitted(Payback(0.2), "session a", "tenant b") == 100


def test_one_wasted_turn_is_forgiven() -> None:
    payback = Payback(0.2)
    payback.settled(Balance(edited_away=int(START_CREDIT_TOKENS)), "session a")
    assert admitted(payback, "session a") == 100


def test_who_wastes_nearly_all_is_admitted_now_and_then() -> None:
    payback = Payback(0.2)
    payback.settled(Balance(abandoned=95_000, used=5_000), "session a")
    assert 0 < admitted(payback, "session a") < 60


def test_a_tenant_whose_sessions_are_abandoned_is_warmed_less_whatever_the_session() -> None:
    payback = Payback(0.2)
    payback.settled(WASTED, "session a", "tenant b")
    assert admitted(payback, "session new", "tenant b") < 60
    assert admitted(payback, "session other", "tenant other") == 100


def test_who_uses_what_is_warmed_again_is_admitted_again() -> None:
    payback = Payback(0.2)
    payback.settled(WASTED, "session a")
    payback.settled(USED, "session a")
    assert admitted(payback, "session a") == 100


def test_what_was_computed_to_keep_the_rest_is_no_waste() -> None:
    payback = Payback(0.2)
    payback.settled(Balance(kept=100_000), "session a")
    assert admitted(payback, "session a") == 100


def test_the_rule_can_be_turned_off() -> None:
    payback = Payback(0.0)
    payback.settled(WASTED, "session a")
    assert admitted(payback, "session a") == 100
