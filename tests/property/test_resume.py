"""Whatever a user does and a network breaks: nothing typed is lost or doubled, and answers come once or say that not.

Real servers, the SDK, and a proxy between them that stalls, cuts, and goes over to another server. Servers are replaced
by others, as in a rolling update, and say so before (GoAway). What the engine answers depends on the prompt alone, so
an answer shows which conversation the server had.
"""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Any

from forefill_client import AsyncClient, ChatMessage, FinishReason, GenerationInterrupted, Resume, Sampling, Session
from forefill_client.portal import Portal
from forefill_service.chat.messages import ChatMessage as EngineMessage
from forefill_service.chat.messages import Conversation
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.engine.fake.chat import answer_to
from forefill_service.engine.fake.scheduler import FakeSpeed
from forefill_service.server import running_server
from forefill_service.settings import Settings
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.bad_network import BadNetwork, bad_network

EXAMPLES = int(os.environ.get("FOREFILL_RESUME_EXAMPLES", "40"))
ANSWER_TOKENS = 6
SECONDS_TO_GIVE_UP = 60
SYSTEM = ChatMessage("system", "one two three")
SERVED: dict[str, Any] = {
    "port": 0,
    "metrics_port": -1,
    "stop_grace_seconds": 0.1,
    "hand_off_url": ["http://vllm"],
}
RESUME = Resume(seconds=30, first_delay_seconds=0.001, longest_delay_seconds=0.05)
WORDS = st.lists(st.sampled_from(["Show ", "me ", "all", "了", "é", " "]), min_size=1, max_size=4).map("".join)
Step = tuple[str, Any]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("types"), WORDS),
        st.tuples(st.just("deletes"), st.integers(1, 4)),
        st.tuples(st.just("replaces"), st.tuples(st.floats(0, 1), st.floats(0, 1), WORDS)),
        st.tuples(st.just("flushes"), st.none()),
        st.tuples(st.just("waits"), st.sampled_from([0.0, 0.002, 0.02])),
        st.tuples(st.just("cuts"), st.none()),
        st.tuples(st.just("stalls"), st.none()),
        st.tuples(st.just("flows"), st.none()),
        st.tuples(st.just("moves"), st.none()),
        st.tuples(st.just("updates"), st.none()),
        st.tuples(st.just("submits"), st.sampled_from(["whole", "cut at once", "cut in the middle", "cancelled"])),
        st.tuples(st.just("regenerates"), st.none()),
        st.tuples(
            st.just("hands_off"),
            st.sampled_from(["whole", "cut at once", "cut in the middle", "moved", "nothing came", "cancelled"]),
        ),
    ),
    max_size=14,
)


def answer_of(messages: tuple[ChatMessage, ...]) -> str:
    """What the fake engine answers to a conversation that ends with a question."""
    chat = FakeChat()
    ids = chat.encode(
        chat.render(Conversation(tuple(EngineMessage(message.role, message.content) for message in messages)))
    )
    return "".join(answer_to(ids, ANSWER_TOKENS, 100)[0])


class Servers:
    """Servers that run in their own thread. The first is in use, and `close` stops them all.

    If the client's event loop is blocked, theirs goes on, as if they ran in other processes.
    """

    def __init__(self) -> None:
        self._portal = Portal("servers", lambda: RuntimeError("the servers have stopped"))
        self._running: dict[str, AsyncExitStack] = {}
        self._stopping: list[asyncio.Task[None]] = []
        self.addresses: list[str] = []

    async def start(self) -> str:
        """Start a server, and have it used from now on."""
        stack = AsyncExitStack()
        address = await asyncio.to_thread(self._portal.run, self._serve(stack))
        self._running[address] = stack
        self.addresses.insert(0, address)
        return address

    def stop(self, address: str) -> None:
        """Have a server begin to stop."""
        self.addresses.remove(address)
        stopping = asyncio.to_thread(self._portal.run, self._running.pop(address).aclose())
        self._stopping.append(asyncio.create_task(stopping))

    async def close(self) -> None:
        """Stop all that still run, and wait for their end."""
        for address in list(self.addresses):
            self.stop(address)
        await asyncio.wait_for(asyncio.gather(*self._stopping), SECONDS_TO_GIVE_UP)
        await asyncio.to_thread(self._portal.stop)

    async def _serve(self, stack: AsyncExitStack) -> str:
        engine = FakeEngine(answer_tokens=ANSWER_TOKENS, speed=FakeSpeed(decode=300))
        settings = Settings(**SERVED, go_away_seconds=0.05)
        server = await stack.enter_async_context(running_server([engine], settings))
        return server.address


class User:
    """Does the steps, and knows what has to be there."""

    def __init__(self, session: Session, network: BadNetwork, servers: Servers, *, continuable: bool) -> None:
        self.session = session
        self.continuable = continuable
        self.network = network
        self.servers = servers
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

    async def cuts(self, _: None) -> None:
        self.network.cuts()

    async def stalls(self, _: None) -> None:
        self.network.stalls()

    async def flows(self, _: None) -> None:
        self.network.flows()

    async def moves(self, _: None) -> None:
        """Go over to the other server, as when one is replaced."""
        self.servers.addresses.reverse()
        self.network.upstream = self.servers.addresses[0]
        self.network.cuts()

    async def updates(self, _: None) -> None:
        """Replace the server in use by a new one, as in a rolling update."""
        old = self.servers.addresses[0]
        self.network.upstream = await self.servers.start()
        self.servers.stop(old)

    async def submits(self, how: str) -> None:
        if not self.draft:
            await self.types("So ")
        asked, self.draft = self.draft, ""
        self.network.flows()
        answer = await self.session.submit()
        if how == "cut at once":
            self.network.cuts()
        told, interrupted = "", None
        try:
            async for delta in answer:
                told += delta
                if how == "cut in the middle":
                    self.network.cuts()
                elif how == "cancelled":
                    await answer.cancel(keep_text=True)
        except GenerationInterrupted as error:
            interrupted = error
        if interrupted is not None:
            assert not self.continuable
            assert (interrupted.session_continues, interrupted.text) == (True, told)
            self.draft = asked
            return
        whole = answer_of((*self.messages, ChatMessage("user", asked)))
        if answer.report.finish_reason is FinishReason.CANCELLED:
            assert whole.startswith(told)
        else:
            assert told == whole, "it answers exactly what the user sees"
        if told:
            self.messages += (ChatMessage("user", asked), ChatMessage("assistant", told))

    async def regenerates(self, _: None) -> None:
        if len(self.messages) < 3:
            return
        self.network.flows()
        question = self.messages[-2]
        self.messages = self.messages[:-2]
        told = await (await self.session.regenerate()).text()
        assert told == answer_of((*self.messages, question))
        self.messages += (question, ChatMessage("assistant", told))

    async def hands_off(self, how: str) -> None:
        if not self.draft:
            await self.types("So ")
        asked, self.draft = self.draft, ""
        self.network.flows()
        handing = asyncio.create_task(self.session.hand_off())
        if how == "cut at once":
            await asyncio.sleep(0)
            self.network.cuts()
        handed = await handing
        assert handed.messages == (*self.messages, ChatMessage("user", asked))
        if how == "cut in the middle":
            self.network.cuts()
        elif how == "moved":
            await self.moves(None)
        await self.types("And ")
        if how == "cancelled":
            await handed.cancel()
        elif how == "nothing came":
            await handed.finished()
        else:
            answer = answer_of(handed.messages)
            await handed.finished(answer)
            self.messages = (*handed.messages, ChatMessage("assistant", answer))


async def lives_through(steps: list[Step], *, continuable: bool) -> None:
    async with AsyncExitStack() as stack:
        sampling = Sampling() if continuable else Sampling(stop="nowhere")
        servers = Servers()
        stack.push_async_callback(servers.close)
        for _ in range(2):
            await servers.start()
        network = await stack.enter_async_context(bad_network(servers.addresses[0]))
        client = await stack.enter_async_context(AsyncClient.connect(network.address, resume=RESUME))
        session = await stack.enter_async_context(client.session([SYSTEM], sampling=sampling))
        user = User(session, network, servers, continuable=continuable)
        for step in steps:
            await user.does(step)
        network.flows()
        if user.draft:
            await session.flushed(await session.flush())
        assert session.repairs == 0, "the server's draft never differed"
        await user.does(("types", "So? "))
        await user.does(("submits", "whole"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, continuable=st.booleans())
@example(steps=[("types", "Show "), ("stalls", None), ("types", "me "), ("cuts", None)], continuable=True)
@example(steps=[("types", "Show "), ("submits", "cut at once"), ("types", "me "), ("moves", None)], continuable=True)
@example(steps=[("types", "Show "), ("updates", None), ("waits", 0.1), ("types", "me ")], continuable=True)
@example(steps=[("types", "Show "), ("stalls", None), ("updates", None), ("updates", None)], continuable=False)
@example(steps=[("submits", "whole"), ("types", "b"), ("submits", "cut in the middle")], continuable=True)
@example(steps=[("submits", "whole"), ("types", "b"), ("submits", "cut in the middle")], continuable=False)
@example(steps=[("hands_off", "cut at once"), ("hands_off", "moved"), ("hands_off", "whole")], continuable=True)
@example(steps=[("hands_off", "cut in the middle"), ("hands_off", "cancelled"), ("cuts", None)], continuable=True)
@example(steps=[("hands_off", "nothing came"), ("hands_off", "whole"), ("regenerates", None)], continuable=True)
def test_nothing_typed_is_lost_or_doubled_and_answers_come_once_or_say_that_not(
    steps: list[Step], continuable: bool
) -> None:
    asyncio.run(asyncio.wait_for(lives_through(steps, continuable=continuable), SECONDS_TO_GIVE_UP))
