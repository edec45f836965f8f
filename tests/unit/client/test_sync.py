"""The client without await: the same surface as the asynchronous one, and the same behaviour."""

import asyncio
import gc
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    Answer,
    AsyncClient,
    Client,
    FinishReason,
    FlushResult,
    HandedOff,
    InvalidRequest,
    NotReachable,
    PromptTooLong,
    Session,
    SessionEnded,
    SessionState,
    SyncAnswer,
    SyncHandedOff,
    SyncSession,
)

from tests.support.scripted_service import Wire, serving

PAIRS = [(AsyncClient, Client), (Session, SyncSession), (Answer, SyncAnswer), (HandedOff, SyncHandedOff)]
ATTRIBUTES: dict[type, set[str]] = {Answer: {"seq", "submitted_text", "resumed"}}
"""Of instances, which a class does not show."""


def public(cls: type) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if not name.startswith("_")}


@pytest.mark.parametrize(("asynchronous", "synchronous"), PAIRS)
def test_both_have_the_same_names(asynchronous: type, synchronous: type) -> None:
    assert public(synchronous).keys() == public(asynchronous).keys() | ATTRIBUTES.get(asynchronous, set())


@pytest.mark.parametrize(("asynchronous", "synchronous"), PAIRS)
def test_both_have_the_same_parameters(asynchronous: type, synchronous: type) -> None:
    for name, member in public(asynchronous).items():
        if not isinstance(member, property):
            one, other = (inspect.signature(getattr(cls, name)) for cls in (asynchronous, synchronous))
            assert one.parameters == other.parameters, name
        assert inspect.getdoc(getattr(synchronous, name)), name


async def answers(wire: Wire) -> None:
    """Warm and answer whatever comes; "too long" is refused, and "long" goes on until it is cancelled."""
    await wire.open()
    long = 0
    try:
        while (event := await wire.event()).WhichOneof("kind") != "end":
            match event.WhichOneof("kind"):
                case "flush":
                    await wire.warmed(event)
                case "submit" if event.submit.text == "too long":
                    await wire.refuse(event.seq, pb.ERROR_REASON_PROMPT_TOO_LONG)
                case "submit" if event.submit.text == "long":
                    long = event.seq
                    await wire.send(generation_delta=pb.GenerationDelta(seq=long, text="SEL"))
                case "submit":
                    token = pb.TokenLogprob(id=1, text=f"{event.submit.text}!", logprob=-1)
                    logprobs = [pb.TokenLogprobs(token=token)]
                    await wire.send(generation_delta=pb.GenerationDelta(seq=event.seq, logprobs=logprobs))
                    await wire.answer(event.seq, event.submit.text, "!")
                case "hand_off":
                    long = event.seq
                    await wire.send(handed_off=pb.HandedOff(seq=long, base_url="http://vllm/v1", cached_tokens=32))
                case "hand_off_finished":
                    ledger = pb.Ledger(used_tokens=event.hand_off_finished.cached_tokens)
                    await wire.send(generation_finished=pb.GenerationFinished(seq=long, ledger=ledger))
                case "cancel":
                    await wire.send(
                        generation_finished=pb.GenerationFinished(seq=long, reason=pb.FINISH_REASON_CANCELLED)
                    )
    except StopAsyncIteration:
        return


@pytest.fixture
def address() -> Iterator[str]:
    """Serve in a thread of its own, so that the test's can wait."""
    ready: list[str] = []
    is_ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving(answers) as served:
            ready.append(served)
            is_ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    is_ready.wait(10)
    yield ready[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_a_conversation_without_await(address: str) -> None:
    with Client.connect(address) as client, client.session([("system", "SQL")]) as session:
        session.type("Show ")
        session.set_draft("Show me ")
        assert session.flushed(session.flush()).cached_tokens == 48
        session.hint()
        answer = session.submit()
        assert list(answer) == ["Show me ", "!"]
        assert answer.report.finish_reason is FinishReason.STOP
        assert [place.token.text for place in answer.logprobs] == ["Show me !"]
        assert session.regenerate().text() == "Show me !"
        assert [message.content for message in session.messages] == ["SQL", "Show me ", "Show me !"]
        session.rewrite(1)
        session.replace(0, 0, "abc")
        session.delete()
        assert (session.draft, session.state) == ("ab", SessionState.OPEN)
        assert repr(session).startswith("<SyncSession s1, open")
    assert session.state is SessionState.CLOSED
    assert isinstance(client, Client)


def test_who_leaves_the_iteration_stops_the_answer(address: str) -> None:
    with Client.connect(address) as client, client.session() as session:
        answer = session.submit("long")
        for delta in answer:
            assert delta == "SEL"
            break
        answer.cancel()
        assert answer.report.finish_reason is FinishReason.CANCELLED
        assert session.submit("next").text() == "next!"
        assert [message.content for message in session.messages] == ["long", "SEL", "next", "next!"]


def test_an_iteration_that_never_starts_stops_nothing(address: str) -> None:
    with Client.connect(address) as client, client.session() as session:
        answer = session.submit("x")
        iter(answer)
        answer.parts()
        gc.collect()
        assert not answer.cancelled
        assert answer.text() == "x!"


def test_a_callback_that_calls_the_client_is_told_to_do_so_elsewhere(address: str) -> None:
    told: list[Exception] = []

    def called(result: FlushResult) -> None:
        try:
            session.type(f"{result.cached_tokens}")
        except RuntimeError as error:
            told.append(error)

    with Client.connect(address) as client, client.session(on_flush=called, auto_flush=False) as session:
        session.type("x ")
        session.flushed(session.flush())
        assert session.submit().text() == "x !"
    [error] = told
    assert "call from another" in str(error)


def test_calls_that_race_with_close_end(address: str) -> None:
    for _ in range(20):
        client = Client.connect(address)
        session = client.session().__enter__()
        ended: list[Exception] = []

        def types(session: SyncSession = session, ended: list[Exception] = ended) -> None:
            try:
                while True:
                    session.type("x")
                    session.delete()
            except (NotReachable, SessionEnded) as error:
                ended.append(error)

        typists = [threading.Thread(target=types, daemon=True) for _ in range(2)]
        for typist in typists:
            typist.start()
        closers = [threading.Thread(target=client.close, daemon=True) for _ in range(2)]
        for closer in closers:
            closer.start()
        for thread in (*typists, *closers):
            thread.join(10)
            assert not thread.is_alive()
        assert len(ended) == 2


def test_a_hand_off_without_await(address: str) -> None:
    with Client.connect(address) as client, client.session() as session:
        session.type("Show me")
        handed = session.hand_off()
        assert (handed.base_url, handed.cached_tokens, handed.text) == ("http://vllm/v1", 32, "Show me")
        ledger = handed.finished("SELECT", usage={"prompt_tokens_details": {"cached_tokens": 32}})
        assert ledger is not None
        assert ledger.used_tokens == 32
        assert [message.content for message in session.messages] == ["Show me", "SELECT"]
        session.hand_off("more").cancel()
        assert session.submit("x").text() == "x!"


def test_errors_are_those_of_the_asynchronous_client(address: str) -> None:
    with Client.connect(address) as client, client.session() as session:
        with pytest.raises(PromptTooLong):
            session.submit("too long").text()
        with pytest.raises(InvalidRequest):
            session.type(None)  # type: ignore[arg-type]
        assert session.draft == "too long"
        session.end()
        assert isinstance(session.wait_closed(), SessionEnded)
    with pytest.raises(NotReachable), Client.connect("127.0.0.1:1", connect_timeout_seconds=0.05):
        pass


async def test_a_loop_that_runs_already_is_not_in_the_way() -> None:
    async with serving(answers) as served:

        def work() -> str:
            with Client.connect(served) as client, client.session() as session:
                return session.submit("x").text()

        assert await asyncio.to_thread(work) == "x!"


def test_without_with_it_connects_at_the_first_session_and_is_closed_by_hand(address: str) -> None:
    client = Client.connect(address)
    assert repr(client) == f"<Client of {address}>"
    with client.session() as session:
        assert session.submit("x").text() == "x!"
    client.close()
    assert "forefill-client" not in {thread.name for thread in threading.enumerate()}


def test_threads_can_share_a_client(address: str) -> None:
    got: list[str] = []

    def work(client: Client, text: str) -> None:
        with client.session() as session:
            got.append(session.submit(text).text())

    with Client.connect(address, options=[("grpc.max_reconnect_backoff_ms", 500)], credentials=None) as client:
        threads = [threading.Thread(target=work, args=(client, f"t{number}")) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert sorted(got) == ["t0!", "t1!", "t2!", "t3!"]


def test_what_comes_after_close_says_so(address: str) -> None:
    client = Client.connect(address)
    session = client.session()
    with session:
        deltas = iter(session.submit("long"))
        assert next(deltas) == "SEL"
        client.close()
        deltas.close()  # type: ignore[attr-defined]
        for late in (lambda: session.type("x"), lambda: client.session().__enter__(), client.__enter__):
            with pytest.raises(NotReachable, match=r"the client is closed: make a new one with Client\.connect"):
                late()
        client.close()


def test_close_wakes_a_thread_that_waits(address: str) -> None:
    client = Client.connect(address)
    ended: list[object] = []
    with client.session() as session:
        waits = threading.Thread(target=lambda: ended.append(session.wait_closed()))
        waits.start()
        client.close()
        waits.join(10)
        [why] = ended
        assert isinstance(why, SessionEnded | NotReachable)
