"""Whatever a user does and a network breaks: nothing typed is lost or doubled, and answers come once or say that not.

Server processes, the SDK, and a proxy between them that delays, stalls, cuts, and goes over to another server. Servers
are replaced by others, as in a rolling update, and say so before (GoAway); or they are killed, and started again at the
same address. SUBMIT brings no text, so the server goes by the draft that it has. What the engine answers depends on
the prompt alone, so an answer shows which draft and which conversation the server had.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, cast

import grpc
import pytest
from forefill_client import (
    Answer,
    AsyncClient,
    ChatMessage,
    FinishReason,
    GenerationInterrupted,
    HandedOff,
    Resume,
    Sampling,
    Session,
)
from forefill_client.connection import CHANNEL_OPTIONS
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from tests.support.bad_network import BadNetwork, bad_network
from tests.support.fake_answers import answer_of, ids_of
from tests.support.own_draft import OwnDraftChannel
from tests.support.rolling_servers import RollingServers

EXAMPLES = int(os.environ.get("FOREFILL_RESUME_EXAMPLES", "40"))
ANSWER_TOKENS = 6
SECONDS_TO_GIVE_UP = 60
SYSTEM = ChatMessage("system", "one two three")
SERVER = (
    *("--engine", "fake", "--fake-answer-tokens", str(ANSWER_TOKENS), "--fake-decode-speed", "300"),
    *("--go-away-seconds", "0.05", "--stop-grace-seconds", "0.1"),
    *("--hand-off-url", "http://vllm", "--metrics-port", "-1", "--log-level", "error"),
)
RESUME = Resume(seconds=30, first_delay_seconds=0.001, longest_delay_seconds=0.05)
RECONNECTS_SOON = ("grpc.initial_reconnect_backoff_ms", 100)
WORDS = st.lists(st.sampled_from(["Show ", "me ", "all", "了", "é", " "]), min_size=1, max_size=4).map("".join)
MISHAPS = st.lists(
    st.sampled_from(["nothing", "types_on", "cuts", "moves", "replaces_server", "kills_server"]), max_size=4
)
"""What befalls an answer: the first as soon as it is asked for, each other one after one more part of it."""
Step = tuple[str, Any]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("types"), WORDS),
        st.tuples(st.just("deletes"), st.integers(1, 4)),
        st.tuples(st.just("replaces"), st.tuples(st.floats(0, 1), st.floats(0, 1), WORDS)),
        st.tuples(st.just("waits"), st.sampled_from([0.0, 0.002, 0.02])),
        st.tuples(st.just("delays"), st.sampled_from([0.0, 0.002, 0.02])),
        st.tuples(st.sampled_from(["flushes", "cuts", "stalls", "flows", "moves"]), st.none()),
        st.tuples(st.sampled_from(["replaces_server", "kills_server"]), st.none()),
        st.tuples(st.sampled_from(["submits", "submits_and_stops", "regenerates"]), MISHAPS),
        st.tuples(st.sampled_from(["hands_off", "hands_off_for_nothing", "takes_back"]), MISHAPS),
    ),
    max_size=14,
)


class User:
    """Does the steps, and knows what has to be there."""

    def __init__(
        self,
        session: Session,
        channel: OwnDraftChannel,
        network: BadNetwork,
        servers: RollingServers,
        *,
        continuable: bool,
    ) -> None:
        self.session = session
        self.channel = channel
        self.network = network
        self.servers = servers
        self.continuable = continuable
        self.draft = ""
        self.messages: tuple[ChatMessage, ...] = (SYSTEM,)

    async def does(self, step: Step) -> None:
        await getattr(self, step[0])(step[1])
        assert self.session.draft == self.draft
        assert self.session.messages == self.messages

    async def types(self, text: str) -> None:
        self.draft += text
        await self.session.type(text)

    async def deletes(self, count: int) -> None:
        self.draft = self.draft[:-count]
        await self.session.delete(count)

    async def replaces(self, place: tuple[float, float, str]) -> None:
        start, end = sorted(int(share * len(self.draft)) for share in place[:2])
        self.draft = self.draft[:start] + place[2] + self.draft[end:]
        await self.session.replace(start, end, place[2])

    async def flushes(self, _: None) -> None:
        await self.session.flush()

    async def waits(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def delays(self, seconds: float) -> None:
        self.network.delay_seconds = seconds

    async def stalls(self, _: None) -> None:
        self.network.stalls()

    async def flows(self, _: None) -> None:
        self.network.flows()

    async def nothing(self, _: None) -> None:
        pass

    async def types_on(self, _: None) -> None:
        await self.types("And ")

    async def cuts(self, _: None) -> None:
        self.network.cuts()

    async def moves(self, _: None) -> None:
        self.servers.go_over()
        self.network.upstream = self.servers.address
        self.network.cuts()

    async def replaces_server(self, _: None) -> None:
        await self.servers.replace()
        self.network.upstream = self.servers.address

    async def kills_server(self, _: None) -> None:
        self.servers.kill()

    async def submits(self, mishaps: list[str], *, stops: bool = False) -> None:
        asked = await self.enters()
        await self.hears(await self.session.submit(), asked, mishaps, stops=stops)

    async def submits_and_stops(self, mishaps: list[str]) -> None:
        await self.submits(mishaps, stops=True)

    async def regenerates(self, mishaps: list[str]) -> None:
        if len(self.messages) < 3:
            return
        self.network.flows()
        asked, self.messages = self.messages[-2].content, self.messages[:-2]
        await self.hears(await self.session.regenerate(), asked, mishaps)

    async def hands_off(self, mishaps: list[str]) -> None:
        handed = await self.is_handed_off(mishaps)
        answer = answer_of(handed.messages, ANSWER_TOKENS)
        await handed.finished(answer)
        self.messages = (*handed.messages, ChatMessage("assistant", answer))

    async def hands_off_for_nothing(self, mishaps: list[str]) -> None:
        handed = await self.is_handed_off(mishaps)
        self.draft = self.draft or handed.text
        await handed.finished()

    async def takes_back(self, mishaps: list[str]) -> None:
        await (await self.is_handed_off(mishaps)).cancel()

    async def enters(self) -> str:
        """Press Enter, and return what was the draft."""
        if not self.draft:
            await self.types("So ")
        asked, self.draft = self.draft, ""
        self.network.flows()
        self.channel.enters()
        return asked

    async def hears(self, answer: Answer, asked: str, mishaps: list[str], *, stops: bool = False) -> None:
        """Read an answer to its end, and see that it is the one to all that the user sees."""
        coming = iter(mishaps)
        await self.meets(next(coming, "nothing"))
        told, whole = "", answer_of((*self.messages, ChatMessage("user", asked)), ANSWER_TOKENS)
        interrupted: GenerationInterrupted | None = None
        try:
            async for delta in answer:
                told += delta
                await self.meets(next(coming, "nothing"))
                if stops:
                    await answer.cancel(keep_text=True)
        except GenerationInterrupted as error:
            interrupted = error
        event(f"an answer came on {answer.resumed + 1} streams, {'as a whole' if told == whole else 'in part'}")
        if interrupted is not None:
            assert not self.continuable
            assert (interrupted.session_continues, interrupted.text) == (True, told)
            self.draft = self.draft or asked
        elif told:
            self.messages += (ChatMessage("user", asked), ChatMessage("assistant", told))
        if interrupted is None and answer.report.finish_reason is not FinishReason.CANCELLED:
            assert told == whole, "it answers exactly what the user sees"
        else:
            assert whole.startswith(told)

    async def is_handed_off(self, mishaps: list[str]) -> HandedOff:
        """Have the session handed off, and see that the application is told to ask what the user sees."""
        coming = iter(mishaps)
        asked = await self.enters()
        handing = asyncio.create_task(self.session.hand_off())
        await asyncio.sleep(0)
        await self.meets(next(coming, "nothing"))
        handed = await handing
        assert handed.messages == (*self.messages, ChatMessage("user", asked))
        assert handed.prompt_tokens == len(ids_of(handed.messages)), "the server knows them, too"
        for mishap in coming:
            await self.meets(mishap)
        return handed

    async def meets(self, mishap: str) -> None:
        await getattr(self, mishap)(None)


async def lives_through(steps: list[Step], servers: RollingServers, *, continuable: bool) -> None:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(servers.settled)
        await servers.started()
        network = await stack.enter_async_context(bad_network(servers.address))
        options = (*CHANNEL_OPTIONS, RECONNECTS_SOON)
        real = await stack.enter_async_context(grpc.aio.insecure_channel(network.address, options))
        channel = OwnDraftChannel(real)
        client = AsyncClient.connect(network.address, resume=RESUME, channel=cast("grpc.aio.Channel", channel))
        sampling = Sampling() if continuable else Sampling(stop="nowhere")
        session = await stack.enter_async_context(client.session([SYSTEM], sampling=sampling))
        user = User(session, channel, network, servers, continuable=continuable)
        for step in steps:
            await user.does(step)
        network.flows()
        if user.draft:
            await session.flushed(await session.flush())
        assert session.repairs == 0, "the server's draft never differed"
        await user.does(("types", "So? "))
        await user.does(("submits", []))


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples, as a program has."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def servers(runner: asyncio.Runner) -> Iterator[RollingServers]:
    """Servers that each example finds as the one before has left them."""
    rolling = RollingServers(*SERVER)
    yield rolling
    runner.run(asyncio.wait_for(rolling.close(), SECONDS_TO_GIVE_UP))


@pytest.mark.timeout(300 + 2 * EXAMPLES)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, continuable=st.booleans())
@example(steps=[("types", "Show "), ("stalls", None), ("types", "me "), ("cuts", None)], continuable=True)
@example(steps=[("types", "Show "), ("submits", ["cuts"]), ("types", "me "), ("moves", None)], continuable=True)
@example(steps=[("types", "Show "), ("replaces_server", None), ("waits", 0.1), ("types", "me ")], continuable=True)
@example(steps=[("types", "Show "), ("stalls", None), *[("replaces_server", None)] * 2], continuable=False)
@example(steps=[("types", "Show "), ("kills_server", None), ("types", "me "), ("flushes", None)], continuable=True)
@example(steps=[("submits", []), ("types", "b"), ("submits", ["nothing", *["cuts"] * 6])], continuable=True)
@example(steps=[("submits", []), ("types", "b"), ("submits", ["nothing", "cuts"])], continuable=False)
@example(steps=[("submits", ["kills_server"]), ("submits", ["nothing", "kills_server"])], continuable=True)
@example(steps=[("submits", ["replaces_server"]), ("regenerates", ["nothing", "kills_server"])], continuable=False)
@example(steps=[("hands_off", ["cuts"]), ("hands_off", ["nothing", "moves"]), ("hands_off", [])], continuable=True)
@example(steps=[("hands_off", ["nothing", "cuts"]), ("takes_back", []), ("cuts", None)], continuable=True)
@example(steps=[("hands_off_for_nothing", []), ("hands_off", []), ("regenerates", [])], continuable=True)
@example(steps=[("hands_off", ["kills_server"]), ("takes_back", ["nothing", "kills_server"])], continuable=True)
def test_nothing_typed_is_lost_or_doubled_and_answers_come_once_or_say_that_not(
    runner: asyncio.Runner, servers: RollingServers, steps: list[Step], continuable: bool
) -> None:
    runner.run(asyncio.wait_for(lives_through(steps, servers, continuable=continuable), SECONDS_TO_GIVE_UP))
