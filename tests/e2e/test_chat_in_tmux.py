"""`forefill chat` in a real terminal: tmux types into it, and reads the screen."""

import sys
from pathlib import Path

import pytest
from forefill_client.keystrokes import StrokeKind, read_trace
from forefill_service.server import RunningServer

from tests.support.server_process import server_process
from tests.support.tmux import terminal

FAKE = ("--engine", "fake", "--fake-answer", "Two beds are free.")
CHAT = (sys.executable, "-m", "forefill_client.cli", "chat")

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_person_types_edits_pastes_and_reads_the_answer(tmp_path: Path) -> None:
    record = tmp_path / "chat.jsonl"
    async with server_process(*FAKE) as server:
        await server.listening()
        async with terminal(*CHAT, server.address, "--record", str(record)) as window:
            await window.shows("Type a message")
            await window.type("Which bds")
            await window.press("Left", "Left")
            await window.type("e")
            await window.press("End")
            await window.paste(" are free\nin cardiology?")
            await window.shows("in cardiology?")
            await window.press("Enter")
            screen = await window.answers()
            assert "Two beds are free." in screen
            await window.press("C-q")
            await window.shows("EXIT 0")
    trace = read_trace(record)
    assert trace[-1].kind is StrokeKind.SUBMIT
    assert trace[-1].draft == "Which beds are free\nin cardiology?"
    assert [stroke.text for stroke in trace if stroke.kind is StrokeKind.REPLACE] == ["e"]


async def test_alt_enter_begins_a_line_and_ctrl_c_twice_quits() -> None:
    async with server_process(*FAKE) as server:
        await server.listening()
        async with terminal(*CHAT, server.address) as window:
            await window.shows("Type a message")
            await window.type("one")
            await window.press("M-Enter")
            await window.type("two")
            await window.press("C-j")
            await window.type("three")
            screen = await window.shows("three")
            assert "│ one " in screen
            assert "│ two " in screen
            await window.press("C-c", "C-c")
            await window.shows("EXIT 0")


async def test_it_works_with_sixteen_colours_with_none_and_on_a_small_screen() -> None:
    async with server_process(*FAKE) as server:
        await server.listening()
        for variables in ({"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}):
            async with terminal(*CHAT, server.address, columns=40, rows=12, **variables) as window:
                await window.shows("Type a message")
                await window.type("Which beds are ")
                await window.shows("confirmed")
                coloured = await window.run("capture-pane", "-p", "-e")
                assert "\x1b[38;" not in coloured  # no colour beyond the sixteen
                assert ("\x1b[4m" in coloured) or ("\x1b[4;" in coloured)  # what is confirmed is underlined
                assert ("\x1b[33m" in coloured) is ("NO_COLOR" not in variables)
                await window.resize(110, 32)
                await window.shows("GUESSES")
                await window.press("C-q")


async def test_it_starts_a_server_of_its_own_and_stops_it() -> None:
    async with terminal(*CHAT, "--engine", "fake", FOREFILL_HEALTH_PORT="-1") as window:
        await window.shows("Type a message")
        await window.type("Hello")
        await window.press("Enter")
        await window.answers()
        await window.press("C-d")
        await window.shows("EXIT 0")


async def test_a_server_that_does_not_answer_is_said_before_the_screen_is_taken() -> None:
    async with terminal(*CHAT, "127.0.0.1:1") as window:
        screen = await window.shows("EXIT 1")
        assert screen.startswith("forefill: no server answered at 127.0.0.1:1")


async def test_a_signal_gives_the_terminal_back() -> None:
    async with server_process(*FAKE) as server:
        await server.listening()
        async with terminal("sh", "-c", 'echo "PID $$"; exec "$0" "$@"', *CHAT, server.address) as window:
            await window.shows("Type a message")
            await window.run("run-shell", "kill -TERM $(ps -o pid= --ppid '#{pane_pid}')")
            screen = await window.shows("EXIT 143")
            assert "Type a message" not in screen


@pytest.mark.vllm
async def test_a_person_types_at_real_vllm(embedded_server: RunningServer) -> None:
    async with terminal(
        *CHAT, embedded_server.address, "--system", "You answer briefly.", "--max-tokens", "24"
    ) as window:
        await window.shows("Type a message")
        await window.type("Which planets have rings, and what are they made of? ")
        await window.shows("cached")
        await window.until(lambda screen: "confirmed" in screen or "answer begun" in screen, "marks of the draft")
        await window.press("Enter")
        await window.answers()
        await window.press("C-t")
        await window.shows("nothing cached")
        await window.press("C-q")
        await window.shows("EXIT 0")
