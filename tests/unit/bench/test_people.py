"""The workload of people: whose messages are played, when, and by whom at the same time."""

from itertools import pairwise
from pathlib import Path

import pytest
from forefill_bench.typing.people import (
    LONGEST_GAP_MS,
    LONGEST_IDLE_MS,
    People,
    logged_script,
    logged_sittings,
    made_up_sittings,
    plan_people,
    sittings_of,
)
from forefill_bench.typing.people_log import LoggedMessage
from forefill_bench.typing.script import Script
from forefill_bench.typing.styles import AS_LOGGED, STYLES
from forefill_bench.typing.workloads import WORKLOADS
from forefill_client import ForefillError
from forefill_client.keystrokes import StrokeKind
from forefill_client.options import PregenerationMode

from tests.support.logged import log_of, user
from tests.support.replaying import replayed

PEOPLE = People(messages=24, typists=2)


def message(name: str, text: str, begins_ms: float = 0.0, key_ms: float = 100.0, sitting: str = "s") -> LoggedMessage:
    changes = tuple((begins_ms + key_ms * end, text[: end + 1]) for end in range(len(text)))
    return LoggedMessage(name, sitting, changes, changes[-1][0] + 500.0)


def test_as_many_type_at_a_time_as_were_asked_for_and_all_have_equally_many_turns() -> None:
    assert (PEOPLE.turns, PEOPLE.sittings) == (6, 4)
    assert (People(messages=150).turns, People(messages=150).sittings) == (6, 26)
    assert (People(messages=2).turns, People(messages=2).sittings) == (1, 2)
    assert (People(messages=5, typists=3).turns, People(messages=5, typists=3).sittings) == (2, 3)


def test_every_arm_plays_the_same_sittings_at_the_same_time() -> None:
    people = WORKLOADS["people"]
    sittings = made_up_sittings(AS_LOGGED, PEOPLE, seed=1)
    rounds = plan_people(people, people.arms, sittings, PEOPLE.typists, seed=1)
    wakes, counted = rounds[: len(people.arms)], rounds[len(people.arms) :]
    assert all(len(trials) == 1 and not trials[0].counted for trials in wakes)
    for arm in people.arms:
        own = [trials for trials in counted if trials[0].arm is arm]
        assert [[trial.index for trial in trials] for trials in own] == [[0, 1], [2, 3]]
        assert [trial.scripts for trials in own for trial in trials] == sittings
    orders = [[trials[0].arm.name for trials in counted[first : first + 5]] for first in (0, 5)]
    assert sorted(orders[0]) == sorted(orders[1])


def test_pregen_is_the_product_as_it_is_and_typed_begins_nothing() -> None:
    arms = {arm.name: arm for arm in WORKLOADS["people"].arms}
    assert list(arms) == ["cold", "static", "typed", "pregen", "oracle"]
    assert (arms["pregen"].pregeneration, arms["pregen"].pauses) == (PregenerationMode.AUTO, False)
    assert arms["typed"].pregeneration is PregenerationMode.OFF


def test_a_logged_message_keeps_its_own_times() -> None:
    script = logged_script(message("u", "hi you", begins_ms=7000), idle_ms=1200)
    assert replayed(script) == "hi you"
    assert [stroke.at_ms for stroke in script if stroke.kind is StrokeKind.TYPE] == [
        1200 + 100 * key for key in range(6)
    ]
    assert script[-1].at_ms == 1200 + 500 + 500


def test_nobody_is_away_for_long() -> None:
    logged = LoggedMessage("u", "s", ((0.0, "h"), (60_000.0, "hi")), 120_000.0)
    script = logged_script(logged, idle_ms=60_000)
    assert [stroke.at_ms for stroke in script] == [
        LONGEST_IDLE_MS,
        LONGEST_IDLE_MS + LONGEST_GAP_MS,
        LONGEST_IDLE_MS + 2 * LONGEST_GAP_MS,
    ]


def test_only_users_kept_for_judging_are_played_each_once_before_any_twice() -> None:
    tuned, judged = user(False), [user(True, number) for number in range(4)]
    messages = [
        message(name, f"{name} says {index}", begins_ms=index * 10_000.0)
        for name in (tuned, *judged)
        for index in range(13)
    ]
    sittings = logged_sittings(messages, People(messages=48), seed=1)
    assert [len(sitting) for sitting in sittings] == [6] * 8
    first_words = [sitting[0][-1].draft.split()[0] for sitting in sittings]
    assert sorted(first_words[:4]) == sorted(first_words[4:]) == sorted(judged)
    for sitting in sittings:
        numbers = [int(script[-1].draft.split()[-1]) for script in sitting]
        assert all(later == earlier + 1 for earlier, later in pairwise(numbers))


def test_messages_of_two_sittings_are_never_of_one_session() -> None:
    messages = [message(user(True), "hello there", sitting=str(sitting)) for sitting in range(6)]
    assert logged_sittings(messages, People(messages=4), seed=1) == []


@pytest.mark.parametrize("name", ["people", *STYLES])
def test_made_up_messages_are_repeatable_and_every_typist_is_another(name: str) -> None:
    workload = WORKLOADS[name]
    assert workload.style is not None
    made = made_up_sittings(workload.style, PEOPLE, seed=1)
    assert made == made_up_sittings(workload.style, PEOPLE, seed=1)
    assert made != made_up_sittings(workload.style, PEOPLE, seed=2)
    assert [len(sitting) for sitting in made] == [6] * 4
    assert len({script for sitting in made for script in sitting}) == 24
    assert all(replayed(script) for sitting in made for script in sitting)


def drafts(name: str) -> list[str]:
    return [script[-1].draft for script in made_scripts(name)]


def made_scripts(name: str) -> list[Script]:
    style = STYLES.get(name, AS_LOGGED)
    return [script for sitting in made_up_sittings(style, People(messages=240), 1) for script in sitting]


def test_the_styles_are_what_they_are_called() -> None:
    assert all(draft.endswith(";") for draft in drafts("people-semicolon"))
    assert all(char.isalnum() or char == " " for draft in drafts("people-bare") for char in draft)
    assert 0.25 < sum(draft[-1] in ".?!" for draft in drafts("people")) / 240 < 0.65
    usual = typing_ms("people")
    assert typing_ms("people-fast") == pytest.approx(usual / 4, rel=0.2)
    assert typing_ms("people-slow") == pytest.approx(usual * 3, rel=0.2)
    assert deletions("people-rewriting") > 6 * deletions("people")


def typing_ms(name: str) -> float:
    return sum(script[-1].at_ms - script[0].at_ms for script in made_scripts(name))


def deletions(name: str) -> int:
    return sum(stroke.kind is StrokeKind.DELETE for script in made_scripts(name) for stroke in script)


def test_a_log_is_played_if_there_is_one_and_only_in_its_own_style(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(log_of({user(True, number): ["hello", "there"] for number in range(2)}))
    people = People(messages=4, log=log)
    sittings, source = sittings_of(WORKLOADS["people"], people, seed=1)
    assert {script[-1].draft for sitting in sittings for script in sitting} == {"hello", "there"}
    assert "kept for judging" in source
    assert sittings_of(WORKLOADS["people-fast"], people, seed=1)[1] == "made-up messages"


def test_more_messages_than_the_log_has_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(log_of({user(True): ["hello", "there"]}))
    with pytest.raises(ForefillError, match="the log has only 2 messages to judge by: ask for fewer"):
        sittings_of(WORKLOADS["people"], People(messages=4, log=log), seed=1)


def test_without_a_log_messages_are_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forefill_bench.typing.people.find_log", lambda: None)
    sittings, source = sittings_of(WORKLOADS["people"], PEOPLE, seed=1)
    assert (len(sittings), source) == (4, "made-up messages")
