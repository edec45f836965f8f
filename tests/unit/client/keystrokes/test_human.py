"""People who type: what is drawn has the shares and percentiles of what it was fitted to."""

import math
from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import fmean, median, pstdev, quantiles
from typing import Any

import pytest
from forefill_bench.typing.human import COPYING, LOGGED, copying_at
from forefill_bench.typing.texts import WORDS, question
from forefill_client.keystrokes import (
    COMPOSING,
    QWERTY,
    TRANSCRIBING,
    HumanTypingModel,
    KeyRole,
    StrokeKind,
    as_typist_ends,
    transcribing_at,
    typed_by,
)
from forefill_client.keystrokes.hands import drafts_by, role_of
from forefill_client.keystrokes.human import PUBLISHED_MEAN_MS
from forefill_client.keystrokes.keyboard import PUBLISHED_PAIR_MS, HandPair

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


# With a keyboard under the fingers


def letters_of(people: HumanTypingModel, typists: int, seed: int = 1) -> list[tuple[str, float, float]]:
    """Return each pair of letters that is typed, with its interval and that person's hold, without corrections."""
    rng, made = Random(seed), []
    for _ in range(typists):
        typist = replace(people, correction_rate=0.0, correction_spread=0.0).typist(rng)
        drafts, _ = drafts_by(typist, " ".join(rng.choices(WORDS, k=12)), rng)
        for (earlier, _), (later, draft) in pairwise(drafts):
            if draft[-2:].isalpha() and len(draft) > 1:
                made.append((draft[-2:].lower(), later - earlier, typist.hold_ms))
    return made


def overlap_share(people: HumanTypingModel, typists: int = 400) -> list[float]:
    """Return for each typist the share of keys that go down while the last one is held."""
    rng, shares = Random(2), []
    for _ in range(typists):
        typist = people.typist(rng)
        drafts, _ = drafts_by(typist, " ".join(rng.choices(WORDS, k=15)), rng)
        shares.append(fmean(later - earlier < typist.hold_ms for (earlier, _), (later, _) in pairwise(drafts)))
    return shares


def test_people_who_copy_have_the_published_mean_pauses_and_corrections() -> None:
    made = messages_of(TRANSCRIBING, 4000)
    gaps = [gap for gap in inner_gaps(made) if gap <= 5000]
    assert fmean(gaps) == pytest.approx(PUBLISHED_MEAN_MS, rel=0.1)
    assert sum(gap >= 600 for gap in gaps) / len(gaps) == pytest.approx(3.3 / 47, rel=0.2)
    characters = sum(len(drafts[-1][1]) for drafts, _ in made)
    assert sum(len(corrections(drafts)) for drafts, _ in made) / characters == pytest.approx(0.063, rel=0.15)


def test_with_a_keyboard_the_people_of_the_log_pause_and_type_as_without() -> None:
    made = messages_of(COMPOSING)
    assert sum(gap >= 600 for gap in inner_gaps(made)) / len(made) == pytest.approx(7.4, rel=0.2)
    assert median(inner_gaps(made)) == pytest.approx(293, rel=0.1)


def test_a_quarter_of_the_keys_overlap_and_more_of_fast_people() -> None:
    shares = overlap_share(TRANSCRIBING)
    assert fmean(shares) == pytest.approx(0.25, abs=0.04)
    assert quantiles(shares, n=10)[-1] > 0.4
    assert fmean(overlap_share(transcribing_at(120.0), 50)) > 2 * fmean(overlap_share(transcribing_at(400.0), 50))


def test_keys_of_one_finger_never_overlap() -> None:
    made = letters_of(TRANSCRIBING, 300)
    one_finger = [(gap, hold) for pair, gap, hold in made if not QWERTY.can_overlap(*pair)]
    others = [(gap, hold) for pair, gap, hold in made if QWERTY.can_overlap(*pair)]
    assert len(one_finger) > 500
    assert all(gap >= hold for gap, hold in one_finger)
    assert fmean(gap < hold for gap, hold in others) > 0.15


def test_pairs_of_letters_take_longer_or_shorter_by_the_hands_that_type_them() -> None:
    by_hands: dict[HandPair, list[float]] = {}
    for pair, gap, hold in letters_of(replace(COMPOSING, pace_spread=0.0), 3000):
        hands = QWERTY.hands(*pair)
        if hands and gap >= hold:
            by_hands.setdefault(hands, []).append(gap)
    medians = {hands: median(gaps) for hands, gaps in by_hands.items()}
    assert sorted(medians, key=medians.__getitem__) == sorted(PUBLISHED_PAIR_MS, key=PUBLISHED_PAIR_MS.__getitem__)


def test_the_factor_of_a_pair_is_the_published_one() -> None:
    for seed in range(20):
        by_one_finger, twice = (
            replace(COMPOSING.typist(Random(1)), hold_ms=1.0).interval_ms(KeyRole.LETTER, Random(seed), pair)
            for pair in ("ed", "ee")
        )
        assert by_one_finger / twice == pytest.approx(215.23 / 176.36)


def test_people_differ_in_pace_corrections_and_rollover() -> None:
    rng = Random(1)
    people = [TRANSCRIBING.typist(rng) for _ in range(2000)]
    rates = [typist.correction_rate for typist in people]
    assert fmean(rates) == pytest.approx(0.0631, rel=0.05)
    assert pstdev(rates) == pytest.approx(0.0448, rel=0.2)
    holds = [typist.hold_ms for typist in people]
    assert median(holds) == pytest.approx(116.25, rel=0.03)
    assert pstdev(holds) == pytest.approx(23.88, rel=0.15)
    assert max(typist.rollover_share for typist in people) <= 0.9


@pytest.mark.parametrize("mean_ms", [100.0, 150.0, 300.0, 450.0])
def test_people_of_another_mean_keep_it_roughly(mean_ms: float) -> None:
    gaps = inner_gaps(messages_of(replace(transcribing_at(mean_ms), pace_spread=0.0), 300))
    assert fmean(gap for gap in gaps if gap <= 5000) == pytest.approx(mean_ms, rel=0.2)


def test_a_word_too_long_to_type_is_pasted_at_once_after_a_while() -> None:
    url = "https://example.org/reports/2026/11/27?ward=north"
    text = f"Sum up {url} in a line"
    for seed in range(10):
        typist = replace(TRANSCRIBING, correction_rate=0.0).typist(Random(seed))
        drafts, _ = drafts_by(typist, text, Random(seed))
        [(before_ms, pasted_ms)] = [
            (earlier, later)
            for (earlier, before), (later, draft) in pairwise(drafts)
            if draft.removeprefix(before) == url
        ]
        assert pasted_ms - before_ms > 4 * typist.pace_ms
        assert drafts[-1][1] == text


def test_what_is_named_is_pasted_wherever_it_occurs() -> None:
    trace = typed_by(TRANSCRIBING.typist(Random(1)), "ab SELECT 1 cd SELECT 1", Random(1), pasted=["SELECT 1"])
    assert [stroke.text for stroke in trace if len(stroke.text) > 1] == ["SELECT 1", "SELECT 1"]
    assert replayed(trace) == "ab SELECT 1 cd SELECT 1"


@pytest.mark.parametrize("text", ["漢字を入力してください" * 5, "Ünïcödé wörds", "x", "👨‍👩‍👧 ok", "a\nb\tc", " "])
def test_any_text_is_typed_key_by_key_and_comes_out_right(text: str) -> None:
    for seed in range(10):
        people = replace(TRANSCRIBING, correction_rate=0.3)
        trace = typed_by(people.typist(Random(seed)), text, Random(seed))
        assert replayed(trace) == text
        assert max(len(stroke.text) for stroke in trace) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pace_ms", 0.0),
        ("pace_ms", float("nan")),
        ("pace_ms", float("inf")),
        ("correction_rate", 1.1),
        ("hesitation", -1),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=f"{field} is {value}: give"):
        replace(TRANSCRIBING, **changed)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan])
def test_a_pace_that_nobody_has_is_refused_by_name(wrong: float) -> None:
    with pytest.raises(ValueError, match="mean_ms is"):
        transcribing_at(wrong)
    with pytest.raises(ValueError, match="factor is"):
        LOGGED.at_pace(wrong)
