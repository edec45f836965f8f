"""What the programs draw, and where."""

import io
import os

import pytest
from forefill_client.terminal import ERASE_LINE, Terminal, columns, fit_end, one_line, printable


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _forty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 10)))


def test_where_nobody_sees_it_move_nothing_is_drawn() -> None:
    out = io.StringIO()
    terminal = Terminal(out, {})
    terminal.draw("moving")
    terminal.say("stays")
    terminal.clear()
    assert out.getvalue() == "stays\n"


def test_a_line_is_redrawn_in_place_and_gives_way_to_one_that_stays() -> None:
    out = Screen()
    with Terminal(out, {}) as terminal:
        terminal.draw("one")
        terminal.say("stays")
        terminal.draw("two")
    assert out.getvalue() == f"{ERASE_LINE}one{ERASE_LINE}stays\n{ERASE_LINE}two{ERASE_LINE}"


def test_a_long_text_shows_its_end_and_leaves_room_for_the_status() -> None:
    out = Screen()
    Terminal(out, {"NO_COLOR": "1"}).draw("x" * 50 + "end", "[12 tokens]")
    line = out.getvalue().removeprefix(ERASE_LINE)
    assert line.endswith("xend  [12 tokens]")
    assert columns(line) == 39


def test_confirmed_text_is_bold_even_where_its_start_is_cut_off() -> None:
    out = Screen()
    Terminal(out, {}).draw("a" * 39 + "bc", bold=40)
    assert out.getvalue() == f"{ERASE_LINE}\x1b[1m{'a' * 37}b\x1b[0mc"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(environment: dict[str, str]) -> None:
    out = Screen()
    Terminal(out, environment).draw("abc", bold=2)
    assert "\x1b[1m" not in out.getvalue()


def test_what_would_steer_the_terminal_is_left_out() -> None:
    assert printable("a\x1b[2Jb\x07\n\tc\x9b") == "a[2Jb\n\tc"
    assert one_line("a\nb\tc") == "a b c"


def test_the_end_of_a_text_is_cut_by_columns() -> None:
    assert fit_end("abcdef", 3) == "def"
    assert fit_end("ab\u6f22\u5b57", 3) == "\u5b57"
    assert fit_end("e\u0301", 1) == "e\u0301"
