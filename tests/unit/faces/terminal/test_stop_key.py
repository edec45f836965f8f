"""Ctrl-C: stops an answer, twice quits."""

from forefill_chat.terminal.stop_key import AGAIN_SECONDS, Meaning, StopKey


def test_it_stops_a_running_answer_and_the_second_press_quits() -> None:
    key = StopKey()
    assert key.press(10.0, answering=True) is Meaning.STOP
    assert key.press(10.5, answering=True) is Meaning.QUIT


def test_without_an_answer_the_first_press_asks() -> None:
    key = StopKey()
    assert key.press(10.0, answering=False) is Meaning.ASK
    assert key.press(10.0 + AGAIN_SECONDS, answering=False) is Meaning.QUIT


def test_a_press_much_later_is_a_first_one_again() -> None:
    key = StopKey()
    assert key.press(10.0, answering=True) is Meaning.STOP
    assert key.press(10.1 + AGAIN_SECONDS, answering=False) is Meaning.ASK
    assert key.press(10.2 + 2 * AGAIN_SECONDS, answering=True) is Meaning.STOP
