"""The chat on its screen, with keys pressed by Textual's pilot, against the fake server."""

from typing import Any

import pytest
from forefill_chat.terminal import stop_key
from forefill_chat.terminal.chat_state import Link
from forefill_chat.terminal.draft_spans import Part
from forefill_chat.terminal.help_screen import HelpScreen
from forefill_chat.terminal.replaying import Replay
from forefill_client import ChatMessage
from forefill_client.keystrokes import Trace, TraceRecorder
from forefill_client.testing import FakeServer
from textual import events

from tests.support.chat_screens import ScreenOfChat, on_screen

GREEN, AMBER, WHITE, PURPLE = "#56d364 bold", "#e3b341 underline", "#e6edf3", "#d2a8ff bold underline"


async def ask(screen: ScreenOfChat, text: str) -> None:
    """Type, press Enter and wait for the whole answer."""
    asked = len(screen.state.turns)
    await screen.type(text)
    await screen.press("enter")
    await screen.until(lambda: len(screen.state.turns) > asked and not screen.state.running)


async def paste(screen: ScreenOfChat, text: str) -> None:
    """Paste as a terminal with bracketed paste does."""
    screen.app.post_message(events.Paste(text))
    await screen.pilot.pause()


async def test_what_is_typed_and_sent_is_answered_on_the_screen() -> None:
    async with FakeServer(answer="Two beds are free.") as server, on_screen(server.address) as screen:
        await screen.shows("The model reads your message while you type it")
        await ask(screen, "Which beds?")
        await screen.shows("Two beds are free.")
        await screen.shows("first token after")
        assert "Which beds?" in screen.text()
        assert "The model reads your message" not in screen.text()
        assert screen.box.text == ""


async def test_an_edit_in_the_middle_reaches_the_server_as_it_is_in_the_box() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await screen.type("Show all beds ")
        await screen.press(*["left"] * len("all beds "))
        await screen.type("me ")
        await screen.press("ctrl+right", "ctrl+w")
        session = screen.chat.session
        assert session is not None
        await screen.until(lambda: session.draft == screen.box.text)
        assert screen.box.text == "Show me  beds "
        await screen.press("enter")
        await screen.until(lambda: screen.state.turns and not screen.state.running)
        assert session.messages[0] == ChatMessage("user", "Show me  beds ")
        assert session.repairs == 0


async def test_undo_and_redo_reach_the_server_too() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        session = screen.chat.session
        assert session is not None
        await screen.type("Go")
        await paste(screen, " away")
        await screen.until(lambda: session.draft == "Go away")
        await screen.press("ctrl+z")
        await screen.until(lambda: session.draft == "Go")
        await screen.press("ctrl+y")
        await screen.until(lambda: session.draft == "Go away")


async def test_a_paste_of_several_lines_is_one_edit_and_sends_nothing() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await paste(screen, "one\ntwo\nthree")
        await screen.until(lambda: screen.state.draft == "one\ntwo\nthree")
        assert screen.state.turns == []


@pytest.mark.parametrize("key", ["ctrl+j", "alt+enter", "shift+enter"])
async def test_a_key_begins_a_line_and_enter_sends_both(key: str) -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await screen.type("one")
        await screen.press(key)
        await screen.type("two")
        await screen.press("enter")
        await screen.until(lambda: screen.state.turns)
        assert screen.state.turns[0].question == "one\ntwo"


async def test_what_is_typed_right_after_enter_is_the_next_draft() -> None:
    async with FakeServer(answer="word " * 30, decode_speed=100) as server, on_screen(server.address) as screen:
        for key in ("a", "enter", "b", "c"):
            screen.app.post_message(events.Key(key, key if len(key) == 1 else None))  # as fast as a script types
        await screen.until(lambda: screen.state.turns and screen.box.text == "bc")
        assert screen.state.turns[0].question == "a"


async def test_the_draft_is_coloured_by_what_has_become_of_it() -> None:
    async with FakeServer(block_size=4) as server, on_screen(server.address) as screen:
        await screen.type("one two three four five six ")
        await screen.until(lambda: screen.state.marks.cached > 12 and screen.state.marks.confirmed == 28)
        await screen.type("sev")
        cached = screen.state.marks.cached
        await screen.shows(f"{cached} cached")
        runs = screen.draft_styles()
        assert [look for _, look in runs] == [GREEN, AMBER, WHITE][-len(runs) :]
        assert "".join(text for text, look in runs if look == GREEN) == "one two three four five six "[:cached]


async def test_an_answer_that_is_begun_colours_the_whole_draft_until_an_edit() -> None:
    async with FakeServer(pregeneration=True) as server, on_screen(server.address) as screen:
        await paste(screen, "How many?")
        await screen.until(lambda: screen.state.marks.begun)
        await screen.shows(Part.BEGUN.value)
        assert screen.draft_styles() == [("How many?", PURPLE)]
        await ask(screen, "")
        await screen.shows("begun before Enter")


async def test_escape_stops_an_answer_and_ctrl_c_twice_quits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_key, "AGAIN_SECONDS", 1e9)  # on a busy machine the second press may come late
    async with FakeServer(answer="word " * 500, decode_speed=50) as server, on_screen(server.address) as screen:
        await screen.type("Go")
        await screen.press("enter")
        await screen.until(lambda: screen.state.turns and screen.state.turns[0].text)
        await screen.press("escape")
        await screen.shows("· stopped")
        await screen.press("ctrl+c")
        await screen.shows("Press Ctrl+C again to quit.")
        await screen.press("ctrl+c")
        await screen.until(lambda: not screen.app.is_running)


async def test_ctrl_c_stops_a_running_answer_first() -> None:
    async with FakeServer(answer="word " * 500, decode_speed=50) as server, on_screen(server.address) as screen:
        await screen.type("Go")
        await screen.press("enter")
        await screen.until(lambda: screen.state.turns and screen.state.turns[0].text)
        await screen.press("ctrl+c")
        await screen.shows("· stopped")
        assert screen.app.is_running


async def test_the_last_answer_is_generated_again() -> None:
    async with FakeServer(answer="first") as server, on_screen(server.address) as screen:
        await ask(screen, "Go")
        server.answer = "second"
        await screen.press("ctrl+r")
        await screen.shows("second")
        assert "first\n" not in screen.text()


async def test_the_last_message_is_edited_and_escape_puts_it_back() -> None:
    async with FakeServer(answer="yes") as server, on_screen(server.address) as screen:
        await ask(screen, "One?")
        await screen.type("later")
        await screen.press("ctrl+p")
        await screen.shows("Edit of the last message")
        assert screen.box.text == "One?"
        await screen.press("escape")
        await screen.until(lambda: screen.box.text == "later")
        await screen.press("ctrl+p")
        await screen.press("backspace")
        await screen.type(" more?")
        await screen.press("enter")
        await screen.until(lambda: screen.state.turns and not screen.state.running)
        assert [turn.question for turn in screen.state.turns] == ["One more?"]
        assert screen.box.text == "later"


async def test_the_up_key_in_the_empty_box_takes_the_last_message() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await ask(screen, "One?")
        await screen.press("up")
        await screen.until(lambda: screen.box.text == "One?")


async def test_a_key_measures_the_wait_without_forefill_and_shows_bars() -> None:
    slow = FakeServer(prefill_speed=2000)
    async with slow as server, on_screen(server.address, system="word " * 400) as screen:
        await ask(screen, "How many?")
        await screen.press("ctrl+t")
        await screen.shows("nothing cached")
        [bar] = [line for line in screen.text().splitlines() if "nothing cached  " in line]
        assert "█" in bar
        assert " ms" in bar


async def test_copying_puts_the_last_answer_or_the_selection_on_the_clipboard() -> None:
    async with FakeServer(answer="Two beds.") as server, on_screen(server.address) as screen:
        await screen.press("ctrl+o")
        await screen.shows("There is nothing to copy yet.")
        await ask(screen, "Which beds?")
        await screen.press("ctrl+o")
        await screen.until(lambda: screen.app.clipboard == "Two beds.")
        await screen.type("mine")
        await screen.press("shift+left", "shift+left", "ctrl+o")
        await screen.until(lambda: screen.app.clipboard == "ne")


async def test_text_of_the_model_is_never_obeyed() -> None:
    answer = "\x1b[2J[bold red]x[/] [@click=app.quit]y[/] \u202eabc \x9b1m"
    async with FakeServer(answer=answer) as server, on_screen(server.address) as screen:
        await ask(screen, "Go")
        await screen.shows("␛[2J[bold red]x[/] [@click=app.quit]y[/] ⟨U+202E⟩abc ⟨U+009B⟩1m")
        assert "\x1b" not in screen.text()
        assert "\u202e" not in screen.text()


async def test_a_pasted_control_character_is_sent_and_not_obeyed() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await paste(screen, "a\x1b[31mb")
        await screen.shows("a␛[31mb")
        assert screen.state.draft == "a\x1b[31mb"
        assert "\x1b" not in screen.text()


async def test_the_side_bar_hides_when_the_screen_is_narrow_and_a_key_shows_it() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await screen.shows("GUESSES")
        await screen.press("f2")
        await screen.until(lambda: "GUESSES" not in screen.text())
        await screen.press("f2")
        await screen.shows("GUESSES")
        await screen.pilot.resize_terminal(40, 12)
        await screen.until(lambda: "GUESSES" not in screen.text() and "Message" in screen.text())
        await screen.press("f2")
        await screen.shows("PROMPT")
        await screen.type("still here")
        await screen.shows("still here")
        await screen.press("f2")
        await screen.pilot.resize_terminal(120, 32)
        await screen.shows("GUESSES")
        assert screen.box.text == "still here"


async def test_all_of_it_works_on_40_columns_and_12_rows() -> None:
    async with FakeServer(answer="Two beds are free.") as server, on_screen(server.address, size=(40, 12)) as screen:
        await ask(screen, "Which beds?")
        await screen.shows("Two beds are free.")
        lines = screen.text().splitlines()
        assert len(lines) == 12
        assert max(map(len, lines)) <= 40
        assert lines[0].startswith(" fake · ")


async def test_a_server_that_goes_and_comes_back_is_said() -> None:
    async with FakeServer(answer="yes") as server, on_screen(server.address) as screen:
        server.stop()
        await screen.shows("Reconnecting.")
        await screen.type("typed meanwhile ")
        server.start()
        await screen.until(lambda: screen.state.link is Link.OPEN)
        await ask(screen, "")
        await screen.shows("yes")
        assert "Reconnecting" not in screen.text()
        assert screen.state.turns[0].question == "typed meanwhile "


async def test_a_refused_answer_says_so_and_its_question_is_in_the_box() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        server.refuse_answers()
        await ask(screen, "Go")
        await screen.shows("The engine did not answer")
        await screen.until(lambda: screen.box.text == "Go")


async def test_the_help_names_the_keys_and_closes() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await screen.press("f1")
        await screen.shows("begin a new line")
        assert isinstance(screen.app.screen, HelpScreen)
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.app.chat_screen)


async def test_the_key_for_colours_goes_on_to_light() -> None:
    async with FakeServer() as server, on_screen(server.address) as screen:
        await screen.press("f3")
        await screen.until(lambda: screen.app.theme == "light")
        await screen.type("x")
        assert screen.draft_styles()[0][1] == "#1f2328"


def typed(*drafts: str) -> Trace:
    """The trace of these contents of the box, 10 ms apart, and Enter."""
    recorder = TraceRecorder()
    for number, draft in enumerate(drafts):
        recorder.change(draft, 10 * number)
    return recorder.submit(10 * len(drafts))


async def test_traces_are_typed_into_the_box_one_turn_after_the_other() -> None:
    replayed = Replay([typed("S", "Sh", "S", "Show ", "Show me", "Now me"), typed("More")], speed=2)
    options: dict[str, Any] = {"app_options": {"replayed": replayed}}
    async with FakeServer(answer="yes") as server, on_screen(server.address, **options) as screen:
        await screen.until(lambda: len(screen.state.turns) == 2 and not screen.state.running)
        assert [turn.question for turn in screen.state.turns] == ["Now me", "More"]


async def test_a_key_of_the_person_ends_a_replay() -> None:
    slow = Replay([typed("a", "ab", "abc")], speed=0.0001)
    async with FakeServer() as server, on_screen(server.address, app_options={"replayed": slow}) as screen:
        await screen.until(lambda: screen.box.text == "a")
        await screen.type("x")
        await screen.shows("The replay has stopped")
        assert screen.box.text == "ax"
