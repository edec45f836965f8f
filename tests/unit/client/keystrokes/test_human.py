"""People who type: what is drawn has the shares and percentiles of what it was fitted to."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import fmean, median, quantiles

import pytest
from forefill_bench.typing.human import COPYING, LOGGED, copying_at
from forefill_bench.typing.texts import WORDS, question
from forefill_client.keystrokes import (
    HumanTypingModel,
    KeyRole,
    StrokeKind,
    as_typist_ends,
    typed_by,
)
from forefill_client.keystrokes.hands import drafts_by, role_of
from forefill_client.keystrokes.human import PUBLISHED_MEAN_MS

from tests.support.replaying import replayed

MESSAGES = 2000
Typed = tuple[list[tuple[float, str]], float]
"""Every draft of a message with its time, and the time of Enter."""


def messages_of(people: HumanTypingModel, messages: int = MESSAGES, seed: int = 1) -> list[Typed]:
    """Type messages as long as the log's, 10 of each typist."""
    rng, made = Random(seed), []
    for index in range(messages):
        if index % 10 == 0:
            typist = people.typist(rng)
        text = as_typist_ends(typist, " ".join(rng.choices(WORDS, k=rng.randint(2, 7))), rng)
        made.append(drafts_by(typist, text, rng))
    return made


def inner_gaps(made: list[Typed]) -> list[float]:
    return [later - earlier for drafts, _ in made for (earlier, _), (later, _) in pairwise(drafts)]


def corrections(drafts: list[tuple[float, str]]) -> list[int]:
    """Return how many characters each correction deleted."""
    runs, deleting = [0], False
    for (_, before), (_, draft) in pairwise(drafts):
        if len(draft) < len(before):
            runs[-1:] = [runs[-1] + 1] if deleting else [*runs[-1:], 1]
        deleting = len(draft) < len(before)
    return runs[1:]


def test_the_strokes_lead_to_the_text_whatever_is_mistyped_on_the_way() -> None:
    for index in range(20):
        rng = Random(index)
        script = typed_by(replace(LOGGED, correction_rate=0.2).typist(rng), question(index), rng)
        assert replayed(script) == question(index)
        assert [stroke.at_ms for stroke in script] == sorted(stroke.at_ms for stroke in script)
        assert (script[0].at_ms, script[-1].kind) == (0.0, StrokeKind.SUBMIT)


def test_a_seed_repeats_all() -> None:
    assert messages_of(LOGGED, 20, seed=1) == messages_of(LOGGED, 20, seed=1)
    assert messages_of(LOGGED, 20, seed=1) != messages_of(LOGGED, 20, seed=2)


def test_the_pause_before_enter_is_the_logs() -> None:
    cuts = quantiles([enter_ms - drafts[-1][0] for drafts, enter_ms in messages_of(LOGGED)], n=20)
    p5, p25, p50, p75, p90 = (cuts[place] for place in (0, 4, 9, 14, 17))
    assert p5 == pytest.approx(190, rel=0.25)
    assert p25 == pytest.approx(383, rel=0.15)
    assert p50 == pytest.approx(648, rel=0.15)
    assert p75 == pytest.approx(1205, rel=0.2)
    assert p90 == pytest.approx(2253, rel=0.25)


def test_people_pause_in_the_midst_of_a_message_as_often_as_in_the_log() -> None:
    made = messages_of(LOGGED)
    assert sum(gap >= 600 for gap in inner_gaps(made)) / len(made) == pytest.approx(7.4, rel=0.2)
    assert median(inner_gaps(made)) == pytest.approx(293, rel=0.1)


def test_copying_has_the_published_mean_pauses_and_corrections() -> None:
    made = messages_of(COPYING)
    gaps = [gap for gap in inner_gaps(made) if gap <= 5000]
    assert fmean(gaps) == pytest.approx(PUBLISHED_MEAN_MS, rel=0.1)
    assert sum(gap >= 600 for gap in gaps) / len(gaps) == pytest.approx(3.3 / 47, rel=0.2)
    characters = sum(len(drafts[-1][1]) for drafts, _ in made)
    assert characters / sum(len(corrections(drafts)) for drafts, _ in made) == pytest.approx(16, rel=0.1)


def test_a_typo_is_noticed_late_and_all_after_it_is_deleted() -> None:
    runs = [run for drafts, _ in messages_of(LOGGED) for run in corrections(drafts)]
    assert sum(run == 1 for run in runs) / len(runs) == pytest.approx(0.52, abs=0.08)
    assert max(runs) > 6


def test_some_messages_end_in_a_mark_and_typists_differ_in_how_many() -> None:
    rng = Random(1)
    typists = [LOGGED.typist(rng) for _ in range(400)]
    assert fmean(typist.mark_share for typist in typists) == pytest.approx(0.47, abs=0.05)
    assert min(typist.mark_share for typist in typists) < 0.15
    assert max(typist.mark_share for typist in typists) > 0.85
    ends = [as_typist_ends(typists[0], "Is it so?", rng) for _ in range(400)]
    assert {end.rstrip(".?!") for end in ends} == {"Is it so"}
    assert sum(end != "Is it so" for end in ends) / 400 == pytest.approx(typists[0].mark_share, abs=0.08)


def test_each_typist_has_a_pace_and_all_gaps_follow_it() -> None:
    rng = Random(1)
    paces = [COPYING.typist(rng).pace_ms for _ in range(1000)]
    assert median(paces) == pytest.approx(COPYING.pace_ms, rel=0.05)
    assert quantiles(paces, n=20)[-1] / quantiles(paces, n=20)[0] == pytest.approx(3.7, rel=0.2)
    fast, slow = (LOGGED.at_pace(factor).typist(Random(1)) for factor in (4.0, 1.0))
    for role in KeyRole:
        assert slow.interval_ms(role, Random(2)) == pytest.approx(4 * fast.interval_ms(role, Random(2)))


def test_keys_come_in_bursts() -> None:
    typist = replace(LOGGED, burst_spread=0.4).typist(Random(1))
    rng = Random(3)
    bursts = []
    for _ in range(2000):
        typist.interval_ms(KeyRole.LETTER, rng)
        bursts.append(typist.burst)
    lengths = len(bursts) / len(set(bursts))
    assert lengths == pytest.approx(1 / LOGGED.intervals[KeyRole.LETTER].wide_share, rel=0.15)


def test_a_mean_gap_can_be_asked_for() -> None:
    assert copying_at(PUBLISHED_MEAN_MS) == COPYING
    assert copying_at(PUBLISHED_MEAN_MS / 2).pace_ms == pytest.approx(COPYING.pace_ms / 2)


@pytest.mark.parametrize(
    ("before", "draft", "last", "role"),
    [
        ("wo", "wor", KeyRole.LETTER, KeyRole.LETTER),
        ("wo", "wo ", KeyRole.LETTER, KeyRole.SPACE),
        ("wo ", "wo w", KeyRole.SPACE, KeyRole.WORD),
        ("", "w", KeyRole.LETTER, KeyRole.WORD),
        ("wo", "wo?", KeyRole.LETTER, KeyRole.MARK),
        ("wo", "w", KeyRole.LETTER, KeyRole.FIRST_DELETE),
        ("w", "", KeyRole.FIRST_DELETE, KeyRole.NEXT_DELETE),
        ("w", "wo", KeyRole.NEXT_DELETE, KeyRole.RETYPE),
    ],
)
def test_a_key_is_for_what_it_does(before: str, draft: str, last: KeyRole, role: KeyRole) -> None:
    assert role_of(before, draft, last) is role
