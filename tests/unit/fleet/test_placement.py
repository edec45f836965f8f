"""The choice of a replica for a session that opens: pure."""

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from forefill_service.fleet.placement import RULES, Load

SESSION, PROMPT = RULES["session"], RULES["prompt"]
CANDIDATES, FEW = SESSION.candidates, PROMPT.at_least


def loads(*sessions: int) -> list[Load]:
    return [Load(count) for count in sessions]


def test_a_session_goes_to_the_least_loaded_of_the_first_and_to_the_first_of_equals() -> None:
    assert SESSION.choose("abcd", loads(2, 1, 3, 1)) == "b"
    assert SESSION.choose("abcd", loads(1, 1, 1, 1)) == "a"


def test_those_after_the_candidates_are_not_looked_at() -> None:
    order = "abcdefgh"[: CANDIDATES + 1]
    assert SESSION.choose(order, loads(*[3] * CANDIDATES, 2)) == "a"


def test_requests_decide_between_equals_alone_and_one_or_two_do_not() -> None:
    assert SESSION.choose("ab", [Load(2, requests=6), Load(2, requests=3)]) == "b"
    assert SESSION.choose("ab", [Load(2, requests=2, others=3), Load(2, requests=3)]) == "b"
    assert SESSION.choose("ab", [Load(2, requests=1, others=2), Load(2)]) == "a"
    assert SESSION.choose("ab", [Load(2, requests=9, others=3), Load(3)]) == "a"


def test_an_unusual_number_of_others_requests_counts_as_sessions() -> None:
    assert SESSION.choose("ab", [Load(2, others=40), Load(30)]) == "b"
    assert SESSION.choose("ab", [Load(2, others=40), Load(39)]) == "a"
    assert PROMPT.choose("ab", [Load(2, others=40), Load(5)]) == "b", "it is full"


def test_what_all_replicas_have_of_others_requests_is_not_unusual() -> None:
    assert SESSION.choose("abc", [Load(2, others=14), Load(3, others=5), Load(3, others=9)]) == "a"


def test_if_all_candidates_are_full_the_next_one_that_is_not_takes_it() -> None:
    order = "abcdefghij"[: CANDIDATES + 3]
    assert SESSION.choose(order, loads(*[9] * CANDIDATES, 9, 1, 0)) == order[CANDIDATES + 1]


def test_sessions_with_one_prompt_stay_together_while_they_are_few() -> None:
    for there in range(FEW):
        assert PROMPT.choose("ab", loads(there, 0)) == "a"
    assert PROMPT.choose("ab", loads(FEW, 0)) == "b"


def test_sessions_with_one_prompt_stay_together_up_to_the_bound() -> None:
    assert PROMPT.choose("abcd", loads(11, 9, 10, 9)) == "a"
    assert PROMPT.choose("abcd", loads(13, 9, 9, 9)) == "b"
    assert PROMPT.choose("abcd", loads(13, 13, 7, 7)) == "c"


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("replicas", [1, 2, 3, 7, 40])
def test_no_replica_ever_gets_more_than_its_bound(name: str, replicas: int) -> None:
    rule, rng, counts = RULES[name], Random(replicas), [0] * replicas
    for total in range(6 * replicas):
        order = rng.sample(range(replicas), replicas)
        chosen = rule.choose(order, [Load(counts[number]) for number in order])
        counts[chosen] += 1
        assert counts[chosen] <= max(rule.at_least, rule.most_of_share * (total + 1) / replicas + 1)
    assert sum(counts) == 6 * replicas


def spread(counts: Sequence[int]) -> float:
    return max(counts) / min(counts)


def test_sessions_that_come_and_go_are_spread_far_more_evenly_than_by_hashing() -> None:
    replicas, sessions, rng = 50, 600, Random(3)
    placed: list[int] = []
    counts = Counter(dict.fromkeys(range(replicas), 0))
    for step in range(10 * sessions):
        if step >= sessions:
            counts[placed.pop(rng.randrange(len(placed)))] -= 1
        order = rng.sample(range(replicas), replicas)
        placed.append(SESSION.choose(order, [Load(counts[number]) for number in order]))
        counts[placed[-1]] += 1
    hashed = Counter(rng.randrange(replicas) for _ in range(sessions))
    assert max(counts.values()) <= 14 < max(hashed.values())
    assert spread(list(counts.values())) < 1.8 < spread(list(hashed.values()))
