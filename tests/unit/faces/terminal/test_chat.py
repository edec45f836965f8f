"""A chat without a screen, against the fake server."""

from pathlib import Path

import pytest
from forefill_chat.terminal.chat_state import Link
from forefill_chat.terminal.turn_traces import TurnTraces
from forefill_chat.terminal.turns import Stage
from forefill_client import ChatMessage, NotReachable, Resume, Sampling
from forefill_client.keystrokes import StrokeKind, read_trace
from forefill_client.testing import FakeServer

from tests.support.chats import chatting


def said(*texts: str) -> list[ChatMessage]:
    """The conversation: question, answer, question, answer."""
    return [ChatMessage("assistant" if index % 2 else "user", text) for index, text in enumerate(texts)]


async def test_an_answer_comes_and_stays_with_its_report() -> None:
    async with FakeServer(answer="Two are free.") as server, chatting(server.address) as chat:
        chat.type("Which beds?")
        await chat.ask("Which beds?")
        [turn] = chat.state.turns
        assert (turn.stage, turn.text, turn.stays) == (Stage.DONE, "Two are free.", True)
        assert turn.footnote.endswith("· 4 tokens")
        assert turn.ledger
        assert chat.chat.session is not None
        assert list(chat.chat.session.messages) == said("Which beds?", "Two are free.")


async def test_every_edit_arrives_in_order_and_the_servers_draft_is_the_box() -> None:
    async with FakeServer() as server, chatting(server.address) as chat:
        for draft in ("Show ", "Show me ", "me ", "Give me ", "Give me 👍 all ", "Give me all "):
            chat.chat.edit(draft)
        await chat.until(lambda state: state.marks.confirmed == len("Give me all "))
        assert chat.chat.session is not None
        assert chat.chat.session.draft == "Give me all "
        assert chat.chat.session.repairs == 0  # the server compares a checksum at each flush


async def test_the_marks_follow_the_warms() -> None:
    async with FakeServer(block_size=4) as server, chatting(server.address) as chat:
        chat.type("one two three four five six ")
        await chat.until(lambda state: state.marks.cached > 12)
        assert chat.state.marks.confirmed >= chat.state.marks.cached
        assert chat.state.cached_tokens > 0
        chat.chat.edit("one twice")
        assert chat.state.marks.cached <= len("one tw")


async def test_guesses_are_counted() -> None:
    async with FakeServer(pregeneration=True) as server, chatting(server.address) as chat:
        chat.chat.edit("How many?")  # at once, as a paste: what is begun is begun for this
        await chat.until(lambda state: state.marks.begun)
        await chat.ask("How many?")
        await chat.until(lambda state: state.guesses.adopted)
        guesses = chat.state.guesses
        assert guesses.begun == guesses.adopted + guesses.wasted
        assert chat.state.turns[0].source == "begun before Enter"


async def test_a_stop_keeps_what_has_come() -> None:
    async with FakeServer(answer="a long answer " * 100, decode_speed=50) as server, chatting(server.address) as chat:
        chat.chat.submit("Tell me")
        await chat.until(lambda state: state.turns[0].text)
        assert chat.state.turns[0].footnote.startswith("first token after ")  # the wait is known from here on
        assert chat.chat.stop()
        await chat.until(lambda state: not state.running)
        [turn] = chat.state.turns
        assert (turn.stage, turn.stays) == (Stage.STOPPED, True)
        assert "a long answer ".startswith(turn.text[:14])
        assert "stopped" in turn.footnote
        assert not chat.chat.stop()


async def test_a_question_that_was_stopped_before_its_answer_began_is_in_the_box_again() -> None:
    async with FakeServer(prefill_speed=5) as server, chatting(server.address) as chat:
        chat.chat.submit("Tell me at once")
        assert chat.chat.stop()
        await chat.until(lambda state: not state.running)
        assert chat.restored == ["Tell me at once"]
        assert not chat.state.turns[0].stays


async def test_one_answer_at_a_time_and_none_to_nothing() -> None:
    async with FakeServer(answer="slow " * 50, decode_speed=20) as server, chatting(server.address) as chat:
        assert not chat.chat.submit("  \n")
        assert chat.chat.submit("Go")
        assert not chat.chat.submit("And again")
    assert chat.said == ["Type something first.", "The answer is still coming: Esc stops it."]


async def test_what_is_typed_during_an_answer_is_the_next_draft() -> None:
    async with FakeServer(answer="word " * 20, decode_speed=100) as server, chatting(server.address) as chat:
        chat.chat.submit("Go")
        chat.type("And then ")
        await chat.until(lambda state: not state.running)
        await chat.until(lambda state: state.marks.confirmed)
        assert chat.chat.session is not None
        assert chat.chat.session.draft == chat.state.draft == "And then "


async def test_the_last_answer_is_asked_for_again_and_takes_its_place() -> None:
    async with FakeServer(answer="first") as server, chatting(server.address) as chat:
        await chat.ask("Go")
        server.answer = "second"
        chat.type("next draft")
        chat.chat.regenerate()
        await chat.until(lambda state: not state.running)
        assert [turn.text for turn in chat.state.turns] == ["second"]
        assert chat.chat.session is not None
        assert list(chat.chat.session.messages) == said("Go", "second")
        assert chat.state.draft == "next draft"


async def test_the_last_message_is_edited() -> None:
    async with FakeServer(answer="yes") as server, chatting(server.address) as chat:
        await chat.ask("One?")
        await chat.ask("Two?")
        assert chat.chat.edit_last() == "Two?"
        assert chat.state.edits
        await chat.ask("Three?")
        assert [turn.question for turn in chat.state.turns] == ["One?", "Three?"]
        assert not chat.state.edits
        assert chat.chat.session is not None
        assert list(chat.chat.session.messages) == said("One?", "yes", "Three?", "yes")


async def test_an_edit_that_is_given_up_leaves_the_conversation_as_it_was() -> None:
    async with FakeServer(answer="yes") as server, chatting(server.address, system="Be brief.") as chat:
        await chat.ask("One?")
        chat.chat.edit_last()
        assert chat.state.turns == []
        assert chat.chat.put_back()
        await chat.ask("Two?")
        assert [turn.question for turn in chat.state.turns] == ["One?", "Two?"]
        assert chat.chat.session is not None
        assert list(chat.chat.session.messages) == [
            ChatMessage("system", "Be brief."),
            *said("One?", "yes", "Two?", "yes"),
        ]


async def test_there_is_nothing_to_edit_to_repeat_or_to_measure_at_first() -> None:
    async with FakeServer() as server, chatting(server.address) as chat:
        assert chat.chat.edit_last() is None
        assert not chat.chat.put_back()
        chat.chat.regenerate()
        chat.chat.measure_twin()
    assert len(chat.said) == 3


async def test_the_twin_is_measured_on_the_same_engine() -> None:
    async with FakeServer(prefill_speed=2000) as server, chatting(server.address, system="word " * 300) as chat:
        await chat.ask("How many?")
        [turn] = chat.state.turns
        chat.chat.measure_twin()
        await chat.until(lambda state: turn.twin)
        assert turn.twin is not None
        assert turn.twin.cold.seconds > turn.twin.static.seconds
        assert [wait.name for wait in turn.waits] == ["nothing cached", "conversation cached", "with forefill"]
        assert chat.state.turns == [turn]  # it leaves no trace in the conversation


async def test_a_twin_that_cannot_be_measured_says_why() -> None:
    async with FakeServer() as server, chatting(server.address) as chat:
        await chat.ask("How many?")
        server.take_engine_down()
        chat.chat.measure_twin()
        await chat.until(lambda state: state.turns[0].twin_note.startswith("not measured: "))


async def test_a_refused_answer_gives_the_question_back() -> None:
    async with FakeServer() as server, chatting(server.address) as chat:
        server.refuse_answers()
        await chat.ask("How many?")
        [turn] = chat.state.turns
        assert (turn.stage, turn.stays) == (Stage.FAILED, False)
        assert turn.problem == "The engine did not answer: press Enter to ask again."
        assert chat.restored == ["How many?"]
        await chat.ask("How many?")
        assert chat.state.turns[-1].stage is Stage.DONE


async def test_a_draft_that_is_too_long_is_said_and_the_chat_goes_on() -> None:
    async with FakeServer(max_draft_code_points=10) as server, chatting(server.address) as chat:
        chat.type("far too long")
        await chat.until(lambda state: chat.said)
        assert chat.said[0] == "This is longer than the server accepts: shorten it."
        chat.chat.edit("short")
        await chat.ask("short")
        assert chat.state.turns[-1].stage is Stage.DONE


async def test_a_server_that_comes_back_finds_the_chat_as_it_was() -> None:
    async with FakeServer(answer="yes") as server, chatting(server.address) as chat:
        await chat.ask("One?")
        server.stop()
        await chat.until(lambda state: state.link is Link.RECONNECTING)
        chat.type("Two ")
        server.start()
        await chat.until(lambda state: state.link is Link.OPEN)
        await chat.ask("Two ")
        assert chat.chat.session is not None
        assert list(chat.chat.session.messages) == said("One?", "yes", "Two ", "yes")


async def test_after_a_session_has_ended_enter_opens_another_with_all_that_was_said() -> None:
    none = Resume(seconds=0)
    async with FakeServer(answer="yes") as server, chatting(server.address, resume=none) as chat:
        await chat.ask("One?")
        server.stop()
        await chat.until(lambda state: state.link is Link.CLOSED)
        chat.type("Two?")
        server.start()
        await chat.ask("Two?")
        assert chat.state.link is Link.OPEN
        assert chat.chat.session is not None
        assert list(chat.chat.session.messages) == said("One?", "yes", "Two?", "yes")


async def test_a_question_that_finds_no_server_is_in_the_box_again() -> None:
    none = Resume(seconds=0)
    async with FakeServer() as server, chatting(server.address, resume=none, connect_seconds=1) as chat:
        server.stop()
        await chat.until(lambda state: state.link is Link.CLOSED)
        await chat.ask("One?")
        await chat.until(lambda state: state.link is Link.CLOSED)
        assert chat.state.turns[0].stage is Stage.FAILED
        assert chat.restored == ["One?"]


async def test_a_first_session_that_cannot_be_opened_is_an_error() -> None:
    with FakeServer() as server:
        address = server.address
    with pytest.raises(NotReachable):
        async with chatting(address, connect_seconds=1):
            pass


async def test_what_is_typed_is_recorded(tmp_path: Path) -> None:
    record = TurnTraces(tmp_path / "chat.jsonl")
    times = iter(range(0, 10_000, 100))
    async with FakeServer() as server, chatting(server.address, record=record, clock=lambda: next(times)) as chat:
        chat.type("Hi")
        await chat.ask("Hi")
    trace = read_trace(tmp_path / "chat.jsonl")
    assert [(stroke.kind, stroke.draft) for stroke in trace] == [
        (StrokeKind.TYPE, "H"),
        (StrokeKind.TYPE, "Hi"),
        (StrokeKind.SUBMIT, "Hi"),
    ]


async def test_a_recording_that_fails_ends_and_the_chat_goes_on(tmp_path: Path) -> None:
    record = TurnTraces(tmp_path / "no such folder" / "chat.jsonl")
    async with FakeServer() as server, chatting(server.address, record=record) as chat:
        chat.type("Hi")
        await chat.ask("Hi")
        assert chat.state.turns[0].stage is Stage.DONE
    [words] = chat.said
    assert words.startswith("The recording has ended: ")


async def test_sampling_is_passed_on() -> None:
    two = Sampling(max_tokens=2)
    async with FakeServer(answer="one two three") as server, chatting(server.address, sampling=two) as chat:
        await chat.ask("Go")
        assert chat.state.turns[0].text == "one two"
        assert "cut off" in chat.state.turns[0].footnote
