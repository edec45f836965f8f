"""The share of replicas by their number of typists, against the service's own placement."""

from collections import Counter
from itertools import pairwise
from random import Random

import numpy
import pytest
from forefill_bench.capacity.placing import Shares, shares_of_copies, shares_of_one
from forefill_service.fleet.placement import RULES, Load, Rule

RULE = RULES["session"]


def simulated(mean: float, copies: int, busy: float, replicas: int = 60, rounds: int = 8) -> Shares:
    """Return the shares while sessions come and go at copies that place them on their own count.

    Servers report the requests of other copies once in a while: each session has one for the share `busy` of its time.
    """
    rng, each = Random(7), round(mean * replicas / copies)
    counts = [[0] * replicas for _ in range(copies)]
    placed: list[list[int]] = [[] for _ in range(copies)]
    found: Counter[int] = Counter()
    for turn in range(rounds):
        for own, sessions in zip(counts, placed, strict=True):
            for event in range(each):
                if event % 30 == 0:
                    typing = [sum(theirs) - ours for *theirs, ours in zip(*counts, own, strict=True)]
                    others = [sum(rng.random() < busy for _ in range(count)) for count in typing]
                if turn:
                    own[sessions.pop(rng.randrange(each))] -= 1
                order = rng.sample(range(replicas), replicas)
                sessions.append(RULE.choose(order, [Load(own[number], others=others[number]) for number in order]))
                own[sessions[-1]] += 1
        if turn:
            found.update(map(sum, zip(*counts, strict=True)))
    return numpy.array([found[count] for count in range(max(found) + 1)]) / found.total()


@pytest.mark.parametrize("mean", [0.02, 0.8, 1.0, 3.3, 5.0, 12.8, 60.0, 700.0])
@pytest.mark.parametrize("rule", [RULE, Rule(2, most_of_share=1.2)])
def test_all_replicas_are_counted_and_all_sessions_are_there(rule: Rule, mean: float) -> None:
    shares = shares_of_one(rule, mean)
    assert min(shares) >= 0
    assert sum(shares) == pytest.approx(1)
    assert sum(count * share for count, share in enumerate(shares)) == pytest.approx(mean)
    assert len(shares) - 1 <= rule.most_sessions(mean)


@pytest.mark.parametrize("rule", [RULE, Rule(2, most_of_share=1.2)])
@pytest.mark.parametrize("mean", [0.8, 3.3, 12.8])
def test_replicas_go_up_as_often_as_down(rule: Rule, mean: float) -> None:
    shares, full = shares_of_one(rule, mean), rule.most_sessions(mean)
    at_least = [*numpy.cumsum(shares[::-1])[::-1].tolist(), 0.0, 0.0]
    all_full = at_least[full] ** rule.candidates if len(shares) > full else 0.0
    for count, (share, more) in enumerate(pairwise(shares)):
        least = at_least[count] ** rule.candidates - at_least[count + 1] ** rule.candidates
        up = mean * (least + all_full * share / (1 - at_least[full] if len(shares) > full else 1))
        assert up == pytest.approx((count + 1) * more, abs=1e-9)


@pytest.mark.parametrize("busy", [0.0, 0.1, 0.9])
@pytest.mark.parametrize(("mean", "copies"), [(6.0, 1), (12.8, 4), (14.5, 2)])
def test_the_services_own_placement_spreads_sessions_so(mean: float, copies: int, busy: float) -> None:
    real, expected = simulated(mean, copies, busy), shares_of_copies(RULE, mean, copies)
    assert len(real) <= len(expected)
    real = numpy.pad(real, (0, len(expected) - len(real)))
    assert numpy.abs(numpy.cumsum(real) - numpy.cumsum(expected)).max() < 0.08


def test_more_candidates_leave_fewer_replicas_full() -> None:
    fullest = [shares_of_one(Rule(candidates, most_of_share=1.2), 12.8)[16] for candidates in (2, 3, 4)]
    assert fullest == sorted(fullest, reverse=True)
