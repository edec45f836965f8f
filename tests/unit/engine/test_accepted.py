"""What an engine has accepted is not asked again, as far as it is the same."""

from dataclasses import replace

from forefill_service.chat.generation import Sampling, Structure
from forefill_service.engine.accepted import MOST, Accepted

SCHEMA = Sampling(structure=Structure("json", "{}"), seed=1, max_tokens=9)


def test_what_no_engine_minds_makes_no_difference() -> None:
    accepted = Accepted()
    accepted.add(SCHEMA)
    assert accepted.has(replace(SCHEMA, seed=2, max_tokens=None, min_tokens=3))
    assert accepted.has(replace(SCHEMA, structure=Structure("json", "{}", {"thinking": True})))
    assert not accepted.has(replace(SCHEMA, structure=Structure("regex", "{}")))
    assert not accepted.has(replace(SCHEMA, logprobs=1))
    assert not accepted.has(SCHEMA, "sql")


def test_the_oldest_are_forgotten_and_all_if_the_engine_may_be_another() -> None:
    accepted = Accepted()
    samplings = [Sampling(logprobs=1, top_k=k) for k in range(MOST + 1)]
    for sampling in samplings:
        accepted.add(sampling)
    assert [sampling for sampling in samplings if not accepted.has(sampling)] == samplings[:1]
    accepted.clear()
    assert not any(map(accepted.has, samplings))
