"""The figures of answers that were begun before Enter: pure."""

from collections.abc import Sequence
from typing import Any

from .results import Served
from .spread import percentile


def guesses(answered: Sequence[Served]) -> dict[str, Any]:
    """Return how many answers were adopted, what the others cost, and how evenly adopted ones went on.

    Times are milliseconds; what has no value is None. `waste` is the engine's time for guesses that were thrown away as
    a share of its time for answers, of all SUBMITs together. After an adopted first piece of text, the largest gap
    between two pieces is to be compared with the 99th percentile of the gaps of answers that were not adopted.
    """
    adopted = [one for one in answered if one.is_adopted]
    others = [one for one in answered if not one.is_adopted]
    wasted_ms, answers_ms = (
        sum(getattr(one, f"{what}_engine_ms") for one in answered) for what in ("wasted", "answer")
    )
    return {
        "adopted": len(adopted),
        "adopted_share": round(len(adopted) / len(answered), 4) if answered else None,
        "begun": sum(one.begun for one in answered),
        "wasted_engine_ms": round(wasted_ms, 1),
        "adopted_engine_ms": round(sum(one.adopted_engine_ms for one in answered), 1),
        "answer_engine_ms": round(answers_ms, 1),
        "waste": round(wasted_ms / answers_ms, 4) if answers_ms else None,
        "ttft_p50_ms": {"adopted": _p50(adopted), "others": _p50(others)},
        "largest_gap_after_adoption_ms": max((gap for one in adopted for gap in one.gaps_ms), default=None),
        "gap_p99_of_others_ms": _percentile([gap for one in others for gap in one.gaps_ms], 0.99),
    }


def _p50(answered: Sequence[Served]) -> float | None:
    return _percentile([one.ttft_ms for one in answered if one.ttft_ms is not None], 0.5)


def _percentile(values: Sequence[float], share: float) -> float | None:
    return round(percentile(values, share), 3) if values else None
