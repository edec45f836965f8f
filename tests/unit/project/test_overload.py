"""The measurement of overload: that its crowd is refused with a reason, and that its typists are not."""

from tests.benchmarks import overload


async def test_the_crowd_is_refused_with_a_reason_while_those_admitted_go_on() -> None:
    alone, beside, refused = await overload.measure(3, admitted=2, crowd=20)
    assert refused.streams >= 20
    assert refused.reasons == {"RESOURCE_EXHAUSTED TOO_MANY_SESSIONS": refused.streams}
    for admitted in (alone, beside):
        assert admitted.flushes > 0
        assert admitted.flush_ms["p50"] > 0
