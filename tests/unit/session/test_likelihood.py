"""How likely SUBMIT is to come before another change."""

import math
import random

import pytest
from forefill_service.session.endings import Ending
from forefill_service.session.habits import Habits
from forefill_service.session.likelihood import ENDING_WEIGHTS, HINT_FACTOR, RISE_OF, RISES, Typist

TEXTS = ("What is this?", "and then", "and then ", "select 1;", "(yes)", "one,", "12", "a\n", "well-")
CHARACTERS = "abc  .?!;),:\n1-字。"


class Typing:
    """A typist with a clock; each message begins a second after the one before."""

    def __init__(self, gap: float = 0.3, **options: object) -> None:
        self.typist = Typist(**options)  # type: ignore[arg-type]
        self.gap = gap
        self.now = 0.0

    def type(self, text: str, after: str = "") -> Typist:
        for index in range(len(text)):
            self.typist.changed(after + text[: index + 1], removed=False, now=self.now)
            self.now += self.gap
        return self.typist

    def send(self, *texts: str) -> None:
        for text in texts:
            self.type(text)
            self.typist.submitted(text, self.now)
            self.now += 1.0


def odds(chance: float) -> float:
    return chance / (1 - chance)


@pytest.mark.parametrize("text", TEXTS)
def test_the_chance_never_falls_as_the_silence_grows(text: str) -> None:
    typist = Typing().type(text)
    chances = [typist.p_end(hundredths / 100) for hundredths in range(6000)]
    assert chances == sorted(chances)
    assert all(0 < chance < 1 for chance in chances)


@pytest.mark.parametrize("seed", range(20))
def test_the_chance_never_falls_in_silence_whatever_was_typed_before(seed: int) -> None:
    rng, typist, text, now = random.Random(seed), Typist(), "", 0.0
    for _ in range(300):
        happening, now = rng.random(), now + rng.lognormvariate(-1.2, 1.0)
        if happening < 0.05:
            typist.submitted(text, now)
            text = ""
        elif happening < 0.1:
            typist.hinted(rng.random() < 0.7)
        elif happening < 0.25:
            text = text[: -rng.randint(1, 4)]
            typist.changed(text, removed=True, now=now)
        else:
            text += rng.choice(CHARACTERS)
            typist.changed(text, removed=False, now=now)
        chances = [typist.p_end(silence / 8) for silence in range(80)]
        assert chances == sorted(chances)
        assert (chances[-1] > 0) == bool(text)
        assert typist.seconds_to_enter() > 0


def test_no_slope_falls_and_each_ending_has_its_weights() -> None:
    assert all(slope >= 0 for slopes in RISES.values() for slope in slopes)
    assert set(ENDING_WEIGHTS) == set(RISE_OF) == set(Ending)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_silence_until_is_the_least_silence_that_reaches_a_chance(text: str, share: float) -> None:
    typist = Typing().type(text)
    least, most = typist.p_end(0.0), typist.p_end(60.0)
    wanted = least + share * (most - least)
    silence = typist.silence_until(wanted)
    assert silence is not None
    assert typist.p_end(silence) == pytest.approx(wanted)
    assert typist.p_end(silence * 0.99) < wanted


def test_a_chance_that_is_there_needs_no_silence_and_one_out_of_reach_has_none() -> None:
    typist = Typing().type("and then")
    assert typist.silence_until(0.0) == 0.0
    assert typist.silence_until(typist.p_end(0.0) / 2) == 0.0
    assert typist.silence_until(0.999) is None
    assert typist.silence_until(1.0) is None


def test_an_empty_draft_never_ends() -> None:
    typist = Typist()
    assert (typist.p_end(30.0), typist.silence_until(0.001)) == (0.0, None)
    typist.changed("", removed=True, now=1.0)
    assert typist.p_end(30.0) == 0.0


def test_a_full_sentence_is_likelier_to_be_the_end_than_half_of_one() -> None:
    assert Typing().type("Where is it?").p_end(0.0) > 3 * Typing().type("Where is it").p_end(0.0)


def test_a_draft_that_was_just_shortened_is_less_likely_to_be_the_end() -> None:
    typing = Typing()
    before = typing.type("Where is it").p_end(0.0)
    typing.type("x", after="Where is it")
    typing.typist.changed("Where is it", removed=True, now=typing.now)
    assert typing.typist.p_end(0.0) < before / 2


def test_silence_counts_in_the_sessions_own_gaps() -> None:
    fast, slow = Typing(gap=0.08), Typing(gap=0.9)
    fast.send(*["What is the time"] * 3)
    slow.send(*["What is the time"] * 3)
    assert fast.type("What is the ti").p_end(0.4) > 1.5 * slow.type("What is the ti").p_end(0.4)


def test_one_long_pause_hardly_moves_the_median_gap() -> None:
    typing = Typing(gap=0.2)
    typing.type("What is the time in Ghent")
    before = typing.typist.median_gap_seconds
    typing.now += 30.0
    typing.type("?", after="What is the time in Ghent")
    assert typing.typist.median_gap_seconds == pytest.approx(before, rel=0.05)
    assert before == pytest.approx(0.2, rel=0.1)


def test_statements_that_end_in_a_semicolon_are_learnt_in_a_few_messages() -> None:
    typing = Typing()
    before = typing.type("select 1;").p_end(0.0)
    typing.typist.submitted("select 1;", typing.now)
    typing.send(*["select name from users;"] * 5)
    assert typing.type("select name from pets;").p_end(0.0) > max(0.6, 2 * before)


def test_a_chat_without_punctuation_is_learnt() -> None:
    before = Typing().type("are you coming").p_end(0.6)
    typing = Typing()
    typing.send(*["see you later then", "are you at home now", "what about tomorrow"] * 3)
    assert odds(typing.type("are you coming home").p_end(0.6)) > 1.5 * odds(before)


def test_sentences_that_go_on_are_learnt() -> None:
    typing = Typing()
    before = typing.type("It is so.").p_end(0.0)
    typing.send(*["It is so. Or not. Who knows. Let us see. I will ask. And then we go"] * 4)
    assert odds(typing.type("It is so.").p_end(0.0)) < odds(before) / 3


def test_a_new_session_knows_its_tenants_habits() -> None:
    tenant = Habits(half_life_messages=200)
    Typing(habits=[tenant]).send(*["select name from users;"] * 8)
    known = Typing(habits=[tenant]).type("select 1;").p_end(0.0)
    assert odds(known) > 4 * odds(Typing().type("select 1;").p_end(0.0))


def test_a_hint_raises_the_odds_until_the_next_change() -> None:
    typing = Typing()
    plain = typing.type("are you coming").p_end(0.3)
    typing.typist.hinted(True)
    assert odds(typing.typist.p_end(0.3)) == pytest.approx(HINT_FACTOR * odds(plain))
    typing.typist.hinted(False)
    assert typing.typist.p_end(0.3) == pytest.approx(plain)
    typing.typist.hinted(True)
    typing.type("s", after="are you coming")
    unhinted = Typing()
    assert typing.typist.p_end(0.3) < odds(plain) * HINT_FACTOR / 2
    assert unhinted.type("are you comings").p_end(0.3) == pytest.approx(typing.typist.p_end(0.3), rel=0.2)


def test_hints_that_come_to_nothing_lose_their_weight() -> None:
    typing = Typing()
    for letter in "this client says that Enter is likely at each key":
        typing.typist.changed("so " + letter, removed=False, now=typing.now)
        typing.typist.hinted(True)
        typing.now += 0.3
    typing.typist.changed("so x", removed=False, now=typing.now)
    plain = typing.typist.p_end(0.0)
    typing.typist.hinted(True)
    assert odds(typing.typist.p_end(0.0)) < HINT_FACTOR / 2 * odds(plain)


def test_a_hint_teaches_its_own_habit_and_no_endings() -> None:
    tenant = Habits()
    typing = Typing(habits=[tenant])
    typing.type("go")
    typing.typist.hinted(True)
    typing.typist.submitted("go", typing.now)
    assert tenant.counts["hinted"].came > 0.9
    assert tenant.counts[Ending.LETTER].came == 0


def test_text_that_was_sent_but_never_seen_as_a_draft_is_no_end_of_the_draft() -> None:
    tenant = Habits()
    typing = Typing(habits=[tenant])
    typing.type("go")
    typing.typist.submitted("something else", typing.now)
    assert tenant.counts[Ending.LETTER].came == 0


def test_the_final_characters_are_a_setting() -> None:
    assert Typing(final_characters="~").type("over~").p_end(0.0) > 3 * Typing().type("over~").p_end(0.0)


def test_enter_is_expected_sooner_the_nearer_the_draft_is_to_the_usual_length() -> None:
    typing = Typing()
    typing.send(*["What is the time in Ghent?"] * 5)
    far = typing.type("What").seconds_to_enter()
    near = typing.type(" is the time in", after="What").seconds_to_enter()
    end = typing.type(" Ghent?", after="What is the time in").seconds_to_enter()
    assert far > near > end > 0.3


def test_no_text_is_kept() -> None:
    typing = Typing()
    typing.send("A secret of mine.", "Another secret.")
    typing.type("a third one")
    kept = repr(vars(typing.typist)) + repr([vars_of(habits) for habits in typing.typist._habits])
    assert not any(word in kept for word in ("secret", "third", "Another"))
    assert sum(isinstance(value, str) for value in vars(typing.typist).values()) == 1


def vars_of(habits: Habits) -> tuple[object, ...]:
    return tuple(habits.counts.values())


def test_a_draft_of_any_length_has_a_chance() -> None:
    short, long = Typing(), Typing()
    short.type("word")
    long.typist.changed("word " * 100_000 + "word", removed=False, now=0.0)
    assert 0 < long.typist.p_end(1.0) < short.typist.p_end(1.0)
    assert math.isfinite(long.typist.seconds_to_enter())
