"""An answer begun before SUBMIT, as a value: what of it is released and kept, stage by stage."""

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.chat.token_ids import TokenIds
from forefill_service.engine import Output
from forefill_service.session.continuation import continuable
from forefill_service.session.pregeneration import (
    STAGES,
    UNSEEN_TOKENS,
    Happening,
    Pregeneration,
    Stage,
)

PROMPT = TokenIds((), tuple(range(10)))
SEEDED = Sampling(temperature=0.8, seed=1)


UNSEEDED = Sampling()


def begun(sampling: Sampling = UNSEEDED, answer_tokens: int = 8, cap: int = 4) -> Pregeneration:
    return Pregeneration("so", PROMPT, continuable(sampling), answer_tokens, cap)


def taken(texts: list[str], reason: str | None = None, **kwargs: object) -> Pregeneration:
    pregeneration = begun(**kwargs)  # type: ignore[arg-type]
    for position, text in enumerate(texts):
        last = position == len(texts) - 1
        pregeneration.take(Output(text, (100 + position,), 4, reason if last else None))
    return pregeneration


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), True),
        (Sampling(temperature=0.8, top_p=0.9, top_k=5, min_p=0.1, max_tokens=9), True),
        (Sampling(repetition_penalty=1.2), True),
        (Sampling(presence_penalty=0.0, frequency_penalty=0.0), True),
        (Sampling(temperature=0.0, seed=1), True),
        (Sampling(seed=1), False),
        (SEEDED, False),
        (Sampling(presence_penalty=0.1), False),
        (Sampling(frequency_penalty=-0.1), False),
        (Sampling(stop=("\n",)), False),
        (Sampling(bad_words=("two words",)), False),
        (Sampling(min_tokens=3, ignore_eos=True, stop_token_ids=(7,), skip_special_tokens=False), True),
        (Sampling(logit_bias=((5, 1.0),), allowed_token_ids=(5, 6)), True),
    ],
)
def test_a_second_request_can_go_on_where_the_rest_is_drawn_from_the_ids_alone(
    sampling: Sampling, expected: bool
) -> None:
    assert continuable(sampling) is expected


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), False),
        (Sampling(presence_penalty=0.0), False),
        (Sampling(frequency_penalty=0.0), False),
        (Sampling(presence_penalty=0.0, frequency_penalty=0.0), True),
        (Sampling(presence_penalty=0.0, frequency_penalty=0.1), False),
    ],
)
def test_a_penalty_of_the_models_own_counts_where_the_session_leaves_it_open(
    sampling: Sampling, expected: bool
) -> None:
    assert continuable(sampling, penalizes=True) is expected


@pytest.mark.parametrize(
    ("sampling", "answer_tokens", "asked"), [(Sampling(), 8, 4), (Sampling(), 3, 3), (SEEDED, 8, 8), (SEEDED, 3, 3)]
)
def test_no_more_than_the_cap_is_asked_for_where_a_second_request_can_go_on(
    sampling: Sampling, answer_tokens: int, asked: int
) -> None:
    assert begun(sampling, answer_tokens).asked_tokens == asked


def test_what_is_there_is_told_once_as_one_output() -> None:
    pregeneration = taken(["Show", " me"])
    assert pregeneration.release() == Output("Show me", (100, 101), 4)
    assert pregeneration.release() is None
    pregeneration.take(Output(" all", (102,), 4))
    assert pregeneration.release() == Output(" all", (102,), 4)


def test_nothing_is_told_behind_the_last_whole_character() -> None:
    pregeneration = taken(["Show", "", ""])
    assert pregeneration.release() == Output("Show", (100,), 4)
    assert pregeneration.rest_tokens == 7
    pregeneration.take(Output("🎉", (103,), 4))
    assert pregeneration.release() == Output("🎉", (101, 102, 103), 4)


def test_nothing_is_told_behind_an_output_of_several_tokens() -> None:
    pregeneration = begun()
    pregeneration.take(Output("Show m", (100, 101), 4))
    assert not pregeneration.has_releasable
    pregeneration.take(Output("e", (102,), 4))
    assert pregeneration.release() == Output("Show me", (100, 101, 102), 4)


@pytest.mark.parametrize(
    ("texts", "reason"), [(["a", "b", ""], "stop"), (["a", ""], "tool_calls"), (["a"] * 8, "length")]
)
def test_a_complete_answer_is_told_to_its_end(texts: list[str], reason: str) -> None:
    pregeneration = taken(texts, reason)
    assert pregeneration.complete
    output = pregeneration.release()
    assert output is not None
    assert (len(output.token_ids), output.finish_reason) == (len(texts), reason)


def test_the_end_at_the_cap_is_not_the_end_of_the_answer() -> None:
    pregeneration = taken(["a"] * 4, "length")
    pregeneration.stage = Stage.HELD
    assert not pregeneration.complete
    assert pregeneration.usable
    output = pregeneration.release()
    assert output is not None
    assert output.finish_reason is None
    assert pregeneration.rest_tokens == 4


def test_a_request_for_all_of_an_answer_ends_it_however_many_of_its_ids_were_told() -> None:
    pregeneration = taken(["a"] * 4, "length", sampling=SEEDED)
    assert pregeneration.complete


@pytest.mark.parametrize("reason", ["abort", "error", None])
def test_what_broke_off_is_kept_only_where_a_second_request_can_go_on(reason: str | None) -> None:
    for sampling in (Sampling(), SEEDED):
        pregeneration = taken(["a", "b"], reason, sampling=sampling)
        pregeneration.stage = Stage.HELD
        assert pregeneration.usable is continuable(sampling)


def test_only_what_cannot_be_gone_on_with_is_stopped_at_the_cap() -> None:
    assert not taken(["a"] * 4, "length").over_cap
    assert not taken(["a"] * 3, sampling=SEEDED).over_cap
    assert taken(["a"] * 4, sampling=SEEDED).over_cap
    assert not taken(["a"] * 4, "stop", sampling=SEEDED).over_cap


def test_tokens_made_before_submit_are_adopted_as_far_as_they_are_told() -> None:
    pregeneration = taken(["a", "b", ""])
    pregeneration.stage = Stage.RUNNING
    pregeneration.happens(Happening.SUBMIT_SAME)
    pregeneration.release()
    assert pregeneration.adopted_and_discarded(answered=True) == (2, 1)
    assert pregeneration.adopted_and_discarded(answered=False) == (0, 3)


def test_tokens_made_after_submit_are_no_speculation() -> None:
    pregeneration = taken(["a", "b"])
    pregeneration.stage = Stage.RUNNING
    pregeneration.happens(Happening.SUBMIT_SAME)
    pregeneration.take(Output("c", (102,), 4))
    pregeneration.release()
    assert pregeneration.adopted_and_discarded(answered=True) == (2, 0)


def test_of_what_was_stopped_more_is_discarded_than_was_seen() -> None:
    assert taken(["a"]).adopted_and_discarded(answered=False) == (0, 1 + UNSEEN_TOKENS)
    assert taken(["a"] * 3).adopted_and_discarded(answered=False) == (0, 4), "no more than was asked for"
    assert taken(["a"] * 4, "length").adopted_and_discarded(answered=False) == (0, 4)


# --- stages: one row a stage, one column a happening; "." leaves the stage as it is

COLUMNS = (
    Happening.PAUSE,
    Happening.PERMIT,
    Happening.SUPERSEDED,
    Happening.EDIT,
    Happening.SUBMIT_SAME,
    Happening.SUBMIT_SAME_BEHIND_OTHERS,
    Happening.SUBMIT_SAME_ENGINE_LOST,
    Happening.SUBMIT_OTHER,
    Happening.CAP,
    Happening.REVOKED,
    Happening.ENGINE_ENDED,
    Happening.ENGINE_FAILED,
    Happening.ANSWERED,
    Happening.STREAM_CUT,
)
BY_INITIAL = {stage.name[0]: stage for stage in Stage if stage is not Stage.NOTHING}
UNUSABLE = """
            pause permit superseded edit  same behind lost other  cap revoked ended failed  answered cut
ASKED       .     R      .          C     C    C      C    C      .   .       C     C       .        C
RUNNING     .     .      .          C     A    C      C    C      C   C       C     C       .        C
HELD        .     R      C          .     F    F      F    C      .   .       .     .       .        C
ADOPTED     .     .      .          .     .    .      .    .      .   .       F     F       C        C
FINISHING   .     .      .          .     .    .      .    .      .   .       .     .       C        C
CLOSED      .     .      .          .     .    .      .    .      .   .       .     .       .        .
"""
USABLE = """
            pause permit superseded edit  same behind lost other  cap revoked ended failed  answered cut
ASKED       .     R      .          C     C    C      C    C      .   .       C     C       .        C
RUNNING     .     .      .          C     A    A      C    C      H   H       H     H       .        C
HELD        .     R      C          .     F    F      F    C      .   .       .     .       .        C
ADOPTED     .     .      .          .     .    .      .    .      .   .       F     F       C        C
FINISHING   .     .      .          .     .    .      .    .      .   .       .     .       C        C
CLOSED      .     .      .          .     .    .      .    .      .   .       .     .       .        .
"""


def rows(table: str, usable: bool) -> list[tuple[Stage, Happening, bool, Stage]]:
    found = []
    for line in table.strip().splitlines()[1:]:
        name, *cells = line.split()
        for happening, cell in zip(COLUMNS, cells, strict=True):
            found.append((Stage[name], happening, usable, Stage[name] if cell == "." else BY_INITIAL[cell]))
    return found


STOPS = {
    (stage, happening)
    for stage in (Stage.ASKED, Stage.RUNNING, Stage.ADOPTED)
    for happening in Happening
    if happening not in (Happening.CAP, Happening.ENGINE_ENDED, Happening.ENGINE_FAILED, Happening.ANSWERED)
} | {(Stage.ADOPTED, Happening.ANSWERED)}


@pytest.mark.parametrize(("stage", "happening", "usable", "after"), rows(UNUSABLE, False) + rows(USABLE, True))
def test_what_follows_in_each_stage(stage: Stage, happening: Happening, usable: bool, after: Stage) -> None:
    pregeneration = taken(["a"]) if usable else begun()
    pregeneration.stage = stage
    stops = pregeneration.happens(happening)
    assert pregeneration.stage is after
    ends = after in (Stage.HELD, Stage.FINISHING, Stage.CLOSED)
    assert stops == (ends and (stage, happening) in STOPS), "its request is stopped if it did not end by itself"


def test_what_is_held_goes_on_after_what_can_be_released_and_asks_for_the_rest_of_its_new_cap() -> None:
    pregeneration = taken(["Show", " me", "", ""], "length", cap=4, answer_tokens=20)
    pregeneration.stage = Stage.HELD
    assert pregeneration.can_grow
    pregeneration.go_on(16)
    assert (pregeneration.held_tokens, pregeneration.lead_ids, pregeneration.asked_tokens) == (2, [100, 101], 14)
    pregeneration.happens(Happening.PERMIT)
    pregeneration.take(Output(" all", (104,), 4, "length"))
    assert not pregeneration.complete
    assert pregeneration.release() == Output("Show me all", (100, 101, 104), 4)
    assert pregeneration.rest_tokens == 17
    pregeneration.happens(Happening.ENGINE_ENDED)
    pregeneration.happens(Happening.SUBMIT_OTHER)
    assert pregeneration.adopted_and_discarded(answered=False) == (0, 5), "also what it had to drop"


@pytest.mark.parametrize(
    ("texts", "reason", "sampling", "happening"),
    [
        (["a", "b"], "stop", UNSEEDED, Happening.ENGINE_ENDED),
        (["a"] * 8, "length", UNSEEDED, Happening.ENGINE_ENDED),
        (["a", "b"], None, UNSEEDED, Happening.REVOKED),
        (["a", "b"], None, UNSEEDED, Happening.ENGINE_FAILED),
        (["a", "b"], "stop", SEEDED, Happening.ENGINE_ENDED),
    ],
)
def test_what_is_complete_or_had_to_make_way_does_not_go_on(
    texts: list[str], reason: str | None, sampling: Sampling, happening: Happening
) -> None:
    pregeneration = taken(texts, reason, sampling=sampling)
    pregeneration.stage = Stage.RUNNING
    pregeneration.happens(happening)
    assert pregeneration.stage is Stage.HELD
    assert not pregeneration.can_grow


def test_a_pause_asks_for_nothing_that_an_earlier_one_has_brought() -> None:
    assert [stage for stage in Stage if Happening.PAUSE in STAGES[stage]] == [Stage.NOTHING]
    assert set(STAGES) == set(Stage)
    assert set(COLUMNS) == set(Happening)


def test_what_is_adopted_counts_the_tokens_that_were_made_before() -> None:
    for stage in (Stage.RUNNING, Stage.HELD):
        pregeneration = taken(["a", "b"])
        pregeneration.stage = stage
        pregeneration.happens(Happening.SUBMIT_SAME)
        pregeneration.take(Output("c", (102,), 4))
        pregeneration.happens(Happening.ENGINE_ENDED)
        assert (pregeneration.stage, pregeneration.adopted_at_tokens) == (Stage.FINISHING, 2)
