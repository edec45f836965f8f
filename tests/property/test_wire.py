"""Whatever bytes come over a real connection, in whatever order, and wherever they break off: the server goes on.

Streams of valid messages are mutated, truncated, reordered and cancelled, several at a time, and the engine may have a
defect. Each stream ends with OK after END, by its client's own cancelling, or with a status of the table in
`wire.statuses` with its reason in an ErrorInfo; what is said is of a fixed vocabulary. After them nothing is left.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client.portal import Portal
from forefill_service.engine import FakeEngine, Output, Request
from forefill_service.errors import Reason, Refusal
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from forefill_service.wire.statuses import DOMAIN, STATUSES
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.fuzz.make_corpus import inputs
from tests.fuzz.records import records_of
from tests.fuzz.vocabulary import is_documented
from tests.support.raw_streams import Ended, streamed
from tests.support.served import until

EXAMPLES = int(os.environ.get("FOREFILL_WIRE_EXAMPLES", "200"))
SECONDS_TO_GIVE_UP = 30
REST_SECONDS = 0.2
SECRET = "Zyzzyva is what was typed"
FLAGS: dict[str, Any] = {"port": 0, "metrics_port": -1, "go_away_seconds": 0, "stop_grace_seconds": 0}
CORPUS = [[record.data for record in records_of(data)] for data in inputs().values()]
RETRIABLE = {"ENGINE_UNAVAILABLE", "SERVER_STOPPING", "TOO_MANY_SESSIONS", "RATE_LIMITED"}
OPEN = pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role="system", content="You write SQL.")]))


class DefectiveEngine(FakeEngine):
    """Counts what runs, and fails as no engine should, with words that nobody may see, while it is `broken`."""

    def __init__(self) -> None:
        super().__init__(context_tokens=400, answer_tokens=6, keep_requests=False)
        self.running = 0
        self.broken = False

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        self.running += 1
        try:
            if self.broken:
                raise ValueError(SECRET)
            async with aclosing(super().generate(request)) as outputs:
                async for output in outputs:
                    yield output
        finally:
            self.running -= 1


@dataclass(frozen=True)
class Server:
    """A server on an event loop of its own thread, and a connection to it."""

    portal: Portal
    running: RunningServer
    engine: DefectiveEngine
    channel: grpc.Channel
    tasks: int

    async def quiet(self) -> None:
        """Wait until nothing is left of any stream."""
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            await until(lambda: not self.running.servicer.streams and not self.engine.running)
            await until(lambda: len(asyncio.all_tasks()) <= self.tasks)

    def check(self) -> None:
        """Nothing is left, and the server takes a whole turn."""
        self.portal.run(self.quiet())
        backend = self.running.backend
        assert backend.metrics.registry.get_sample_value("forefill_sessions") == 0
        assert [admission.waiting for admission in (replica.admission for replica in backend.replicas.all)] == [0]
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        check = stub.Check
        assert check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        whole = streamed(self.channel, WHOLE)
        assert whole.code is grpc.StatusCode.OK
        assert whole.responses[-1].generation_finished.usage.completion_tokens == 6


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    portal, stack, engine = (
        Portal("server", lambda: RuntimeError("it has stopped")),
        AsyncExitStack(),
        DefectiveEngine(),
    )

    async def tasks_at_rest() -> int:
        await asyncio.sleep(REST_SECONDS)
        return len(asyncio.all_tasks())

    running = portal.run(stack.enter_async_context(running_server([engine], Settings(**FLAGS))))
    with grpc.insecure_channel(running.address) as channel:
        streamed(channel, WHOLE)  # gRPC has some tasks from its first stream on
        yield Server(portal, running, engine, channel, portal.run(tasks_at_rest()))
    portal.run(stack.aclose())
    portal.stop()


END: dict[str, Any] = {"end": pb.End()}
TEXTS = st.sampled_from(["Show ", "me ", "all", "了", "", "x" * 3000, "👩‍🚀 "])
CHOICES = st.none() | st.builds(pb.ToolChoice, mode=st.integers(0, 4)) | st.builds(pb.ToolChoice, function=TEXTS)
KINDS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda text: {"char_add": pb.CharAdd(text=text)}, TEXTS),
    st.builds(lambda count: {"char_delete": pb.CharDelete(count=count)}, st.integers(0, 2**32 - 1)),
    st.builds(
        lambda start, end, text: {"replace": pb.Replace(start=start, end=end, text=text)},
        st.integers(0, 12),
        st.integers(0, 12),
        TEXTS,
    ),
    st.just({"flush": pb.Flush()}),
    st.builds(lambda text: {"submit": pb.Submit(text=text)}, st.none() | TEXTS),
    st.builds(lambda so_far: {"submit": pb.Submit(text="So?", answer_so_far=so_far)}, TEXTS),
    st.builds(lambda choice: {"submit": pb.Submit(text="So?", tool_choice=choice)}, CHOICES),
    st.builds(lambda choice: {"respond": pb.Respond(tool_choice=choice)}, CHOICES),
    st.builds(lambda keep: {"cancel": pb.Cancel(keep_text=keep)}, st.booleans()),
    st.builds(lambda keep: {"rewrite": pb.Rewrite(keep_messages=keep)}, st.integers(0, 3)),
    st.builds(lambda choice: {"hand_off": pb.HandOff(text="So?", tool_choice=choice)}, CHOICES),
    st.just({"hand_off_finished": pb.HandOffFinished()}),
    st.just({"hint": pb.Hint(submit_likely=True)}),
    st.just(END),
)


def written(kinds: Sequence[dict[str, Any]]) -> list[bytes]:
    """Return events numbered 1, 2, 3, ..."""
    return [
        pb.ComposeRequest(event=pb.KeystrokeEvent(seq=seq, **kind)).SerializeToString()
        for seq, kind in enumerate(kinds, 1)
    ]


WHOLE = [OPEN.SerializeToString(), *written([{"submit": pb.Submit(text="So?")}, END])]
"""A stream without a mistake."""
VALID = st.one_of(
    st.sampled_from(CORPUS),
    st.lists(KINDS, max_size=12).map(lambda kinds: [OPEN.SerializeToString(), *written([*kinds, END])]),
)
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "repeat", "swap", "truncate", "flip", "insert"]),
        st.integers(0, 20),
        st.integers(0, 400),
        st.binary(max_size=8),
    ),
    max_size=4,
)


@dataclass(frozen=True)
class Script:
    """The messages of one stream; it is cancelled when so many were sent, if it is."""

    messages: tuple[bytes, ...]
    cancel_before: int | None


def mutated(messages: list[bytes], mutations: list[tuple[str, int, int, bytes]]) -> tuple[bytes, ...]:
    changed = list(messages)
    for what, index, place, data in mutations:
        if not changed:
            break
        at = index % len(changed)
        message = changed[at]
        match what:
            case "drop":
                del changed[at]
            case "repeat":
                changed.insert(place % len(changed), message)
            case "swap":
                other = place % len(changed)
                changed[at], changed[other] = changed[other], message
            case "truncate":
                changed[at] = message[:place]
            case "flip" if message:
                where = place % len(message)
                changed[at] = message[:where] + bytes([message[where] ^ (1 + len(data))]) + message[where + 1 :]
            case "insert":
                changed[at] = message[:place] + data + message[place:]
    return tuple(changed)


SCRIPTS = st.builds(Script, st.builds(mutated, VALID, MUTATIONS), st.none() | st.none() | st.integers(0, 12))


def check_end(ended: Ended, script: Script, *, broken: bool) -> None:
    """The stream ended as the documents say."""
    for response in ended.responses:
        check_response(response)
    if ended.cancelled and ended.code is grpc.StatusCode.CANCELLED:
        return
    if ended.code is grpc.StatusCode.OK:
        assert any(map(has_end, script.messages))
        return
    assert ended.domain == DOMAIN, ended
    reason = Reason[ended.reason]
    assert STATUSES[reason] is ended.code
    assert reason is not Reason.INTERNAL or broken, ended
    assert is_documented(Refusal(reason, ended.message.removeprefix(f"{reason.value}: ").removeprefix(reason.value)))
    assert ended.message.startswith(reason.value)
    assert ended.plain["forefill-error-reason"] == reason.name
    assert ended.retry is (reason.name in RETRIABLE)
    assert ("forefill-error-id" in ended.plain) is (reason is Reason.INTERNAL)


def has_end(message: bytes) -> bool:
    try:
        return pb.ComposeRequest.FromString(message).event.HasField("end")
    except DecodeError:
        return False


def check_response(response: pb.ComposeResponse) -> None:
    assert SECRET.encode() not in response.SerializeToString()
    if response.HasField("session_error"):
        error = response.session_error
        reason = Reason[pb.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")]
        detail = error.message.removeprefix(reason.value).removeprefix(": ")
        assert is_documented(Refusal(reason, detail)), error


@settings(max_examples=EXAMPLES, deadline=None)
@given(scripts=st.lists(SCRIPTS, min_size=1, max_size=4), broken=st.sampled_from([False, False, False, True]))
def test_every_stream_ends_as_documented_and_leaves_nothing_behind(
    server: Server, scripts: list[Script], broken: bool
) -> None:
    server.engine.broken = broken
    try:
        with ThreadPoolExecutor(len(scripts)) as pool:
            ends = list(
                pool.map(lambda script: streamed(server.channel, script.messages, script.cancel_before), scripts)
            )
        server.portal.run(server.quiet())
    finally:
        server.engine.broken = False
    for ended, script in zip(ends, scripts, strict=True):
        event(f"{ended.code.name} {ended.reason}" + (" (cancelled)" if ended.cancelled else ""))
        check_end(ended, script, broken=broken)
    server.check()


def test_nothing_of_an_exception_is_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.engine.broken = True
    try:
        ended = streamed(server.channel, WHOLE)
    finally:
        server.engine.broken = False
    check_end(ended, Script((), None), broken=True)
    assert ended.reason == "INTERNAL"
    assert ended.plain["forefill-error-id"] in caplog.text
    assert SECRET not in caplog.text
    server.check()
