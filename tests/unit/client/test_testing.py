"""A server in the process of a test, for those who test an application."""

import asyncio
import subprocess
import sys
import threading
from typing import Any

import forefill_client.testing
import pytest
from forefill_client import (
    AsyncClient,
    Client,
    DraftTooLong,
    FinishReason,
    GenerationFailed,
    GenerationInterrupted,
    Sampling,
    SessionState,
)
from forefill_client.testing import FakeServer, ServiceNotInstalled

# Answers


def test_it_answers_with_the_text_that_the_test_wants() -> None:
    with FakeServer(answer="SELECT 1;\n-- “é” 👍") as server, Client.connect(server.address) as client:
        with client.session() as session:
            assert session.submit("How many?").text() == "SELECT 1;\n-- “é” 👍"
            server.answer = "other"
            assert session.submit("How many?").text() == "other"
        assert server.answer == "other"


def test_its_text_ends_where_sampling_says() -> None:
    with FakeServer(answer="one two three") as server, Client.connect(server.address) as client:
        with client.session(sampling=Sampling(max_tokens=2)) as session:
            answer = session.submit("x")
            assert (answer.text(), answer.report.finish_reason) == ("one two", FinishReason.LENGTH)
        with client.session(sampling=Sampling(stop="thr")) as session:
            answer = session.submit("x")
            assert (answer.text(), answer.report.finish_reason) == ("one two ", FinishReason.STOP)


def test_without_a_text_it_makes_up_words_that_depend_on_the_prompt() -> None:
    with FakeServer(answer_tokens=3) as server, Client.connect(server.address) as client:

        def answer(text: str) -> str:
            with client.session() as session:
                return session.submit(text).text()

        one, again, other = answer("one"), answer("one"), answer("other")
        assert one == again != other
        assert len(one.split()) == 3


async def test_a_slow_answer_can_be_stopped_while_it_runs() -> None:
    async with (
        FakeServer(answer="one two three four five", decode_speed=1) as server,
        AsyncClient.connect(server.address) as client,
        client.session() as session,
    ):
        answer = await session.submit("x")
        async for delta in answer:
            assert delta == "one"
            break
        await answer.cancel()
        assert answer.report.finish_reason is FinishReason.CANCELLED


def test_nothing_is_begun_before_submit_unless_that_is_wanted() -> None:
    with FakeServer() as server, Client.connect(server.address) as client, client.session() as session:
        session.type("Show me all. ")
        answer = session.submit()
        answer.text()
        assert answer.report.ledger.pregenerations == 0


# Faults


def test_the_engine_refuses_so_many_answers() -> None:
    with FakeServer() as server, Client.connect(server.address) as client, client.session() as session:
        server.refuse_answers(2)
        for _ in range(2):
            with pytest.raises(GenerationFailed):
                session.submit("x").text()
        assert session.submit().text()


def test_the_engine_is_lost_in_the_middle_of_an_answer() -> None:
    with FakeServer(answer="one two three four") as server, Client.connect(server.address) as client:
        server.break_answers()
        with client.session() as session:
            with pytest.raises(GenerationInterrupted) as caught:
                session.submit("x").text()
            assert caught.value.text == "one two"
            assert session.submit().text() == "one two three four"


def test_the_engine_is_down_and_comes_back() -> None:
    with FakeServer() as server, Client.connect(server.address) as client, client.session() as session:
        server.take_engine_down()
        with pytest.raises(GenerationFailed):
            session.submit("x").text()
        server.bring_engine_up()
        assert session.submit().text()


def test_every_nth_answer_is_refused_or_lost() -> None:
    with FakeServer(refuse_every=2, break_every=3) as server, Client.connect(server.address) as client:
        with client.session() as session:
            outcomes: list[object] = []
            for _ in range(6):
                try:
                    outcomes.append(bool(session.submit("x").text()))
                except (GenerationFailed, GenerationInterrupted) as error:
                    outcomes.append(type(error))
        assert outcomes == [True, GenerationFailed, GenerationInterrupted, GenerationFailed, True, GenerationFailed]


async def test_a_session_goes_on_after_a_restart_at_the_same_address() -> None:
    states: list[SessionState] = []
    server = FakeServer()
    async with (
        server,
        AsyncClient.connect(server.address) as client,
        client.session(on_state=lambda state, _: states.append(state)) as session,
    ):
        await session.type("Show ")
        address = server.address
        await asyncio.to_thread(server.stop)
        await session.type("me")
        server.start()
        assert server.address == address
        answer = await session.submit()
        assert await answer.text()
        assert answer.submitted_text == "Show me"
    assert states == [SessionState.OPEN, SessionState.RECONNECTING, SessionState.OPEN, SessionState.CLOSED]


# Settings and life


def test_it_takes_the_flags_of_the_server() -> None:
    settings = FakeServer(max_draft_code_points=3)
    with settings as server, Client.connect(server.address) as client, client.session() as session:
        assert session.opened.limits.max_draft_code_points == 3
        with pytest.raises(DraftTooLong):
            session.type("four")


def test_the_environment_does_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREFILL_MAX_DRAFT_CODE_POINTS", "3")
    monkeypatch.setenv("FOREFILL_FAKE_ANSWER", "from outside")
    with FakeServer(answer_tokens=1) as server, Client.connect(server.address) as client, client.session() as session:
        session.type("four")
        assert session.submit().text().startswith("w")


@pytest.mark.parametrize(
    ("flags", "error", "says"),
    [
        ({"speed": 3}, TypeError, "no flag speed"),
        ({"max_draft_code_points": 0}, ValueError, "max_draft_code_points"),
        ({"answer_tokens": 0}, ValueError, "answer_tokens"),
        ({"engine": "embedded"}, TypeError, "no flag engine"),
    ],
)
def test_a_bad_flag_is_named_and_leaves_no_thread(flags: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says), FakeServer(**flags):
        pass
    assert "forefill-server" not in {thread.name for thread in threading.enumerate()}


def test_it_says_whether_it_runs_and_leaves_no_thread() -> None:
    server = FakeServer()
    assert repr(server) == "<FakeServer, not running>"
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.address
    with server:
        assert repr(server) == f"<FakeServer at {server.address}>"
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
    server.stop()
    assert "forefill-server" not in {thread.name for thread in threading.enumerate()}


# Installation


def test_without_the_service_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forefill_client.testing, "entry_points", lambda **_: ())
    with pytest.raises(ServiceNotInstalled, match="with its extra 'service'"), FakeServer():
        pass


def test_without_the_services_packages_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["pydantic_settings"] = None
from forefill_client.testing import FakeServer
FakeServer().start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.splitlines()[-1] == (
        "forefill_client.testing.ServiceNotInstalled: FakeServer is a server, and pydantic_settings is not installed "
        "here: install forefill with its extra 'service'"
    )


@pytest.mark.parametrize("flag", ["fake_answer", "fake_answer_tokens", "fake_refuse_every"])
def test_a_flag_with_an_argument_of_its_own_says_so(flag: str) -> None:
    flags: dict[str, Any] = {flag: 3}
    with pytest.raises(TypeError, match=flag.removeprefix("fake_")):
        FakeServer(**flags)
