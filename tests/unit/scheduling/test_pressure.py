"""The signals of an engine, and the pressure that each means."""

import pytest
from forefill_service.engine import EngineLoad
from forefill_service.scheduling.pressure import Pressure, PressureGauge


def gauge() -> PressureGauge:
    return PressureGauge(waiting_requests=4, cache_usage=0.9, after_preemption_seconds=5)


@pytest.mark.parametrize(
    ("load", "speculative", "pressure"),
    [
        (EngineLoad(), 0, Pressure.NONE),
        (EngineLoad(running=100, waiting=3, cache_usage=0.89), 0, Pressure.NONE),
        (EngineLoad(waiting=4), 0, Pressure.WARMS),
        (EngineLoad(waiting=4), 1, Pressure.NONE),
        (EngineLoad(waiting=8), 0, Pressure.PREGENERATIONS),
        (EngineLoad(cache_usage=0.9), 0, Pressure.WARMS),
        (EngineLoad(cache_usage=0.95), 0, Pressure.PREGENERATIONS),
    ],
)
def test_the_signals_shed_warms_first(load: EngineLoad, speculative: int, pressure: Pressure) -> None:
    assert gauge().read(load, speculative, now=100.0) is pressure


def test_after_a_preemption_all_speculation_rests_for_a_while() -> None:
    reader = gauge()
    assert reader.read(EngineLoad(preemptions=1), 0, now=100.0) is Pressure.PREGENERATIONS
    assert reader.read(EngineLoad(preemptions=1), 0, now=104.9) is Pressure.PREGENERATIONS
    assert reader.read(EngineLoad(preemptions=1), 0, now=105.0) is Pressure.NONE
