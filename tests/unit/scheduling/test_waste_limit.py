"""Sessions and tenants that waste what is warmed are warmed less."""

from forefill_service.scheduling.waste_limit import START_CREDIT_TOKENS, WasteLimiter
from forefill_service.session.ledger import Balance

WASTED = Balance(abandoned=100_000)
USED = Balance(used=100_000)


def admitted(waste_limiter: WasteLimiter, *owners: str, requests: int = 100) -> int:
    return sum(waste_limiter.allows(*owners) for _ in range(requests))


def test_who_is_new_is_admitted() -> None:
    assert admitted(WasteLimiter(0.2), "session a", "tenant b") == 100


def test_one_wasted_turn_is_forgiven() -> None:
    waste_limiter = WasteLimiter(0.2)
    waste_limiter.settled(Balance(edited_away=int(START_CREDIT_TOKENS)), "session a")
    assert admitted(waste_limiter, "session a") == 100


def test_who_wastes_nearly_all_is_admitted_now_and_then() -> None:
    waste_limiter = WasteLimiter(0.2)
    waste_limiter.settled(Balance(abandoned=95_000, used=5_000), "session a")
    assert 0 < admitted(waste_limiter, "session a") < 60


def test_a_tenant_whose_sessions_are_abandoned_is_warmed_less_whatever_the_session() -> None:
    waste_limiter = WasteLimiter(0.2)
    waste_limiter.settled(WASTED, "session a", "tenant b")
    assert admitted(waste_limiter, "session new", "tenant b") < 60
    assert admitted(waste_limiter, "session other", "tenant other") == 100


def test_who_uses_what_is_warmed_again_is_admitted_again() -> None:
    waste_limiter = WasteLimiter(0.2)
    waste_limiter.settled(WASTED, "session a")
    waste_limiter.settled(USED, "session a")
    assert admitted(waste_limiter, "session a") == 100


def test_what_was_computed_to_keep_the_rest_is_no_waste() -> None:
    waste_limiter = WasteLimiter(0.2)
    waste_limiter.settled(Balance(kept=100_000), "session a")
    assert admitted(waste_limiter, "session a") == 100


def test_the_rule_can_be_turned_off() -> None:
    waste_limiter = WasteLimiter(0.0)
    waste_limiter.settled(WASTED, "session a")
    assert admitted(waste_limiter, "session a") == 100
