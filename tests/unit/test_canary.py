"""Nothing typed, and no secret, comes out by the log, the metrics or the traces: over whole runs, crashes included.

Each text here is found nowhere else, and each id of a token is a checksum of ten digits.
"""

import asyncio
import gc
import json
import re
import signal
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.chat.generation import Output
from forefill_service.engine import FakeEngine, Priority, Request, warm
from forefill_service.engine.causes import cause_of
from forefill_service.errors import EngineRefused
from forefill_service.logs import report_failures_of_the_loop
from forefill_service.logs.lines import Format, LineFormatter

from tests.support.callers import callers_file, with_key
from tests.support.collector import collector
from tests.support.log_text import log_text
from tests.support.served import SETTINGS, Served, changed, ended_by, served, until
from tests.support.server_process import server_process
from tests.support.wire import SubmitRefused, Typist

TYPED = "Zyzzyva quokka"
CANARIES = {
    "typed": "zyzzyva",
    "deleted": "xylographer",
    "system prompt": "quetzal",
    "stop text": "jabberwock",
    "template variable": "mxyzptlk",
    "session key": "borogove",
    "cache secret": "vorpal",
    "bearer token": "bandersnatch",
    "engine's key": "frumious",
    "salt's secret": "tulgey",
    "rewritten": "slithy",
    "answered by the application": "gyre-and-gimble",
    "answer so far": "mimsy",
    "malformed": "outgrabe",
    "message of a crash": "galumphing",
}
SERVER = {
    "engine_api_key": CANARIES["engine's key"],
    "cache_salt_secret": CANARIES["salt's secret"],
    "hand_off_url": ["http://127.0.0.1:9"],
    "metrics_port": 0,
    "health_port": 0,
    "warm_pause_ms": 1,
    "max_draft_code_points": 400,
}
METADATA = (("authorization", f"Bearer {CANARIES['bearer token']}"),)
CALLER = with_key(CANARIES["bearer token"], "web", 'tenant = "clinic"')


class Outspoken(FakeEngine):
    """An engine that repeats what it was asked in its refusals, for as long as `refuses` says so.

    As those that we have, it passes on what such words are about, and not the words.
    """

    def __init__(self) -> None:
        super().__init__(answer_tokens=12)
        self.refuses: Priority | None = None

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        if request.priority is self.refuses:
            words = f"{CANARIES['message of a crash']}: cannot take {request.prompt_ids} of {TYPED}"
            raise EngineRefused(cause_of(words)) from ValueError(words)
        async for output in super().generate(request):
            yield output


def opening(**more: Any) -> pb.Open:
    request = pb.Open(
        messages=[pb.ChatMessage(role="system", content=f"Speak of the {CANARIES['system prompt']}. " * 8)],
        sampling=pb.Sampling(temperature=0, max_tokens=12, stop=[CANARIES["stop text"]]),
        session_key=CANARIES["session key"],
        cache_scope=pb.CACHE_SCOPE_SESSION,
        cache_secret=CANARIES["cache secret"].encode() * 4,
        **more,
    )
    request.chat_template_kwargs.update({"topic": CANARIES["template variable"]})
    return request


async def opened(channel: grpc.aio.Channel, **more: Any) -> Typist:
    typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=METADATA))
    await typist.call.write(pb.ComposeRequest(open=opening(**more)))
    typist.opened = (await typist.read()).opened
    return typist


async def refused(typist: Typist) -> pb.SessionError:
    while True:
        response = await typist.read()
        if response.HasField("session_error"):
            return response.session_error


async def a_whole_session(server: Served, typist: Typist, engine: Outspoken) -> None:
    """Type, edit, flush, make mistakes, submit, cancel, rewrite, hand off, and meet an engine that fails."""
    await typist.type(f"{TYPED} and {CANARIES['deleted']} ")
    await typist.flush()
    await typist.delete(12)
    await typist.replace(0, 7, "Zyzzyva")
    await typist.flush()
    await until(lambda: any(request.priority is Priority.PREGENERATION for request in engine.requests))
    assert (await typist.submit()).text

    await typist.event(replace=pb.Replace(start=900, end=901, text=TYPED))
    await refused(typist)
    await typist.event(flush=pb.Flush(draft_code_points=77, draft_crc32=1))
    await refused(typist)
    await typist.event(char_add=pb.CharAdd(text=TYPED * 100))
    await refused(typist)
    await typist.event(cancel=pb.Cancel(keep_text=True))
    await refused(typist)

    server.gate.held = True
    await typist.send_submit(f"{TYPED}, to be stopped")
    await until(lambda: server.gate.waiting)
    await typist.event(cancel=pb.Cancel(keep_text=True))
    await typist.answer()
    server.gate.open()

    rewritten = [pb.ChatMessage(role="user", content=CANARIES["rewritten"])]
    await typist.event(rewrite=pb.Rewrite(keep_messages=1, messages=rewritten))
    await typist.event(hand_off=pb.HandOff(text=f"{TYPED} elsewhere"))
    while not (await typist.read()).HasField("handed_off"):
        pass
    said = [pb.ChatMessage(role="assistant", content=CANARIES["answered by the application"])]
    await typist.event(hand_off_finished=pb.HandOffFinished(messages=said))
    while not (await typist.read()).HasField("generation_finished"):
        pass

    for priority in Priority:
        engine.refuses = priority
        await typist.type(f"{TYPED} is refused as {priority.name} " * 2)
        await typist.flush()
        try:
            await typist.submit()
        except SubmitRefused:
            await typist.event(replace=pb.Replace(start=0, end=len(typist.draft), text=""))
            typist.draft = ""
    engine.refuses = None
    engine.faults.break_answers = 1
    with pytest.raises(SubmitRefused):
        await typist.submit(f"{TYPED} is interrupted")
    await typist.event(submit=pb.Submit(text=TYPED, answer_so_far=CANARIES["answer so far"]))
    await typist.answer()
    await typist.end()


async def a_warm_that_is_refused(channel: grpc.aio.Channel, engine: Outspoken) -> None:
    typist = await opened(channel, pregeneration_mode=pb.PREGENERATION_MODE_OFF)
    engine.refuses = Priority.WARM
    await typist.type(f"{TYPED} " * 20)
    assert (await typist.flush()).outcome == pb.FLUSH_OUTCOME_SHED
    engine.refuses = None
    await typist.end()


async def crashes(channel: grpc.aio.Channel, engine: Outspoken) -> None:
    """End sessions as nobody should: malformed, unknown, gone in the middle, and by a defect of the server's."""
    raw: Any = channel.stream_stream("/forefill.v1.KeystrokeService/Compose")
    malformed = raw(metadata=METADATA)
    await malformed.write(b"\xff" + CANARIES["malformed"].encode())
    assert await malformed.code() is grpc.StatusCode.INVALID_ARGUMENT

    gone = await opened(channel)
    await gone.type(TYPED)
    gone.call.cancel()

    twice = await opened(channel)
    await twice.call.write(pb.ComposeRequest(open=opening()))
    await refused(twice)
    await twice.type(TYPED)
    await twice.call.done_writing()
    assert (await ended_by(twice)).code() is grpc.StatusCode.CANCELLED

    def broken(text: str) -> list[int]:
        raise ValueError(f"{CANARIES['message of a crash']}: {text}")

    encode = engine.chat.encode
    engine.chat.encode = broken  # type: ignore[method-assign]
    try:
        defect = Typist(KeystrokeServiceStub(channel).Compose(metadata=METADATA))
        await defect.call.write(pb.ComposeRequest(open=opening()))
        assert (await ended_by(defect)).code() is grpc.StatusCode.INTERNAL
    finally:
        engine.chat.encode = encode  # type: ignore[method-assign]


async def failures_that_nobody_catches() -> None:
    def fail(text: str) -> None:
        raise ValueError(f"{CANARIES['message of a crash']}: {text}")

    async def failing() -> None:
        fail(TYPED)

    asyncio.get_running_loop().call_soon(fail, TYPED)
    task = asyncio.create_task(failing())
    await asyncio.wait({task})
    del task
    gc.collect()


def found(text: str, engine: FakeEngine) -> Iterator[str]:
    """Yield what of the above is in a text, in any case and also as JSON or bytes would write it."""
    lower = text.lower()
    yield from (name for name, canary in CANARIES.items() if canary in lower)
    numbers = set(re.findall(r"\d{6,}", text))
    ids = {str(token) for request in engine.requests for token in request.prompt_ids if token > 99_999}
    assert len(ids) > 20
    yield from (f"token {token}" for token in numbers & ids)


@pytest.mark.parametrize("form", ["human", "json"])
async def test_nothing_typed_and_no_secret_comes_out_whatever_happens(form: Format, tmp_path: Path) -> None:
    engine = Outspoken()
    with log_text(LineFormatter(form)) as log:
        async with collector() as collected:
            callers = callers_file(tmp_path, CALLER)
            settings = changed(SETTINGS, **SERVER, callers=callers, otlp_endpoint=collected.url)
            async with served(engine, settings) as server:
                report_failures_of_the_loop()
                async with grpc.aio.insecure_channel(server.address) as channel:
                    typist = await opened(channel, pregeneration_mode=pb.PREGENERATION_MODE_ON)
                    await a_whole_session(server, typist, engine)
                    await a_warm_that_is_refused(channel, engine)
                    await crashes(channel, engine)
                    await failures_that_nobody_catches()
                    await until(lambda: not server.running.servicer.streams)
                async with aiohttp.request("GET", f"http://{server.running.metrics_address}/metrics") as response:
                    page = await response.text()
                await server.begins_to_stop()
        asyncio.get_running_loop().set_exception_handler(None)
    written = log.getvalue()
    assert "a session has ended" in written
    assert "a session failed; error id" in written
    assert "never retrieved" in written
    assert "a warm failed" in written
    assert 'forefill_errors_total{reason="internal"} 1.0' in page
    assert len(collected.named("forefill.turn")) >= 8
    assert [*found(written, engine)] == []
    assert [*found(page, engine)] == []
    assert [*found(collected.raw.decode(errors="replace"), engine)] == []
    assert [*found(str(collected.spans), engine)] == []
    if form == "json":
        ends = [line for line in map(json.loads, written.splitlines()) if line["event"] == "a session has ended"]
        assert {line["end"] for line in ends} == {"ended", "aborted", "cancelled", "internal"}
        assert {line["tenant"] for line in ends} == {"clinic"}
        _check_the_books(ends)


def _check_the_books(ends: list[Mapping[str, Any]]) -> None:
    [whole] = [line for line in ends if line["end"] == "ended" and line["answers"]]
    assert whole["answers"] >= 4
    assert whole["refusals"] >= 5
    assert whole["used"] > 0


async def test_a_canary_that_is_let_out_is_found() -> None:
    engine = FakeEngine()
    await warm(engine, engine.chat.encode(" ".join(map(str, range(30)))))
    token = engine.requests[0].prompt_ids[0]
    assert [*found(f"he typed ZYZZYVA, that is [{token}, 7]", engine)] == ["typed", f"token {token}"]


async def test_the_program_writes_json_alone_and_nothing_typed(tmp_path: Path) -> None:
    flags = ("--log-level", "debug", "--log-format", "json", "--health-port", "0", "--callers")
    faults = ("--fake-refuse-every", "2", "--fake-break-every", "3")
    async with server_process("--engine", "fake", *flags, str(callers_file(tmp_path, CALLER)), *faults) as server:
        await server.listening()
        async with grpc.aio.insecure_channel(server.address) as channel:
            typist = await opened(channel)
            for _ in range(4):
                await typist.type(f"{TYPED} ")
                await typist.flush()
                try:
                    await typist.submit()
                except SubmitRefused:
                    typist.draft = ""
                    await typist.event(replace=pb.Replace(start=0, end=len(typist.submitted), text=""))
            await typist.end()
        async with aiohttp.request("GET", f"http://{await server.metrics_address()}/metrics") as response:
            page = await response.text()
        server.send(signal.SIGTERM)
        status, lines = await server.ended()
    assert status == 0
    events = [json.loads(line) for line in lines]
    assert {"timestamp", "level", "logger", "event"} <= set.intersection(*(set(event) for event in events))
    assert [event["end"] for event in events if event["event"] == "a session has ended"] == ["ended"]
    written = ("".join(lines) + page).lower()
    assert [name for name, canary in CANARIES.items() if canary in written] == []
