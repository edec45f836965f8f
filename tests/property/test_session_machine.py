"""Whatever a typist, an engine and a client's reading do, in whatever order: what a session owes to each.

Every wait of a session stands at a gate (the engine's, the renderer's, the client's), and Hypothesis decides which one
moves next. A second session types at the same engine and must not notice.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from forefill_service.chat.messages import ChatMessage
from forefill_service.engine import FakeChat, FakeEngine, Priority
from forefill_service.session.draft import checksum
from forefill_service.session.events import (
    CacheScope,
    Cancel,
    CharAdd,
    CharDelete,
    End,
    Flush,
    HandOff,
    HandOffFinished,
    Hint,
    Open,
    Replace,
    ReportedUsage,
    Respond,
    Rewrite,
    Submit,
)
from forefill_service.session.responses import FlushOutcome
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.careful_client import CarefulClient
from tests.support.other_chat import OtherChat
from tests.support.stage import BLOCK, SYSTEM, Stage, assistant, settle, user
from tests.support.watched_engine import WatchedEngine, blocks_of

T = TypeVar("T")
CONTEXT_TOKENS = 160
GATES = ("engine_gate", "render_gate", "client_gate")
WORDS = st.lists(
    st.sampled_from(["Show ", "me ", "all ", "cars", ", ", "by", "\n", "了", "ばん", "ไทย"]), max_size=8
).map("".join)


class SessionMachine(RuleBasedStateMachine):
    """One session on its gates, a bystander beside it, and a careful client."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    @initialize(
        draft=WORDS,
        piece_tokens=st.sampled_from([1, 9, 1000]),
        held=st.sets(st.sampled_from(GATES)),
        scope=st.booleans(),
        endpoint=st.sampled_from([FakeChat(), OtherChat()]),
    )
    def opens(self, draft: str, piece_tokens: int, held: set[str], scope: bool, endpoint: FakeChat) -> None:
        self.piece_tokens = piece_tokens
        self.do(self._open(draft, piece_tokens, held, CacheScope.SESSION if scope else CacheScope.SHARED, endpoint))

    async def _open(self, draft: str, piece_tokens: int, held: set[str], scope: CacheScope, endpoint: FakeChat) -> None:
        self.engine = FakeEngine(block_size=BLOCK, context_tokens=CONTEXT_TOKENS, answer_tokens=3)
        self.engine.chat_endpoint.chat = endpoint
        self.other = Stage(Open((ChatMessage("system", "another"),)), engine=self.engine)
        self.watched = WatchedEngine(self.engine)
        opening = Open((SYSTEM,), draft=draft, cache_scope=scope)
        self.stage = Stage(
            opening,
            engine=self.engine,
            seam=lambda _: self.watched,
            piece_tokens=piece_tokens,
            hand_off_url=["http://vllm"],
        )
        self.client = CarefulClient(self.stage, self.watched)
        for name in held:
            getattr(self.stage, name).held = True
        await settle()

    # --- what the typist does

    @precondition(lambda self: not self.client.ended)
    @rule(text=WORDS)
    def types(self, text: str) -> None:
        self.do(self.stage.types(text))

    @precondition(lambda self: not self.client.ended)
    @rule(count=st.integers(1, 12))
    def deletes(self, count: int) -> None:
        self.do(self.stage.does(CharDelete(count)))

    @precondition(lambda self: not self.client.ended)
    @rule(data=st.data(), text=WORDS)
    def replaces(self, data: st.DataObject, text: str) -> None:
        start = data.draw(st.integers(0, len(self.stage.draft)))
        end = data.draw(st.integers(start, len(self.stage.draft)))
        self.do(self.stage.does(Replace(start, end, text)))

    @precondition(lambda self: not self.client.ended)
    @rule(likely=st.booleans())
    def hints(self, likely: bool) -> None:
        self.do(self.stage.does(Hint(likely)))

    @rule(share=st.sampled_from([0.5, 1.0]))
    def pauses(self, share: float) -> None:
        self.do(self.stage.pauses(share))

    @precondition(lambda self: not self.client.ended)
    @rule()
    def flushes_(self) -> None:
        self.client.flushes.append(self.do(self.stage.flushes()))

    @precondition(lambda self: not self.client.ended)
    @rule(count=st.integers(2, 3))
    def types_and_flushes_at_once(self, count: int) -> None:
        for _ in range(count):
            self.stage.put(CharAdd("so "))
            draft = self.stage.draft
            self.client.flushes.append(self.stage.put(Flush(len(draft), checksum(draft))))
        self.do(settle())

    @precondition(lambda self: not self.client.ended and self.client.running is None)
    @rule(text=WORDS | st.none())
    def submits_(self, text: str | None) -> None:
        asked = self.stage.draft if text is None else text
        self.client.asks(self.stage.put(Submit(text)), asked)
        self.do(settle())

    @precondition(lambda self: not self.client.ended and self.client.running is None)
    @rule()
    def asks_without_the_draft(self) -> None:
        self.client.asks(self.stage.put(Respond()), None)
        self.do(settle())

    @precondition(lambda self: not self.client.ended and self.client.running is None)
    @rule(text=WORDS | st.none())
    def hands_off(self, text: str | None) -> None:
        asked = self.stage.draft if text is None else text
        self.client.asks(self.stage.put(HandOff(text)), asked, handed_off=True)
        self.do(settle())

    @precondition(lambda self: not self.client.ended and self.client.handed_off)
    @rule(said=st.lists(WORDS, max_size=2), cached_tokens=st.none() | st.integers(0, 200))
    def finishes_a_hand_off(self, said: list[str], cached_tokens: int | None) -> None:
        messages, seq = tuple(assistant(text) for text in said), self.client.running or 0
        if self.client.gets is None:
            self.client.gets = messages
            if not messages and not self.stage.draft:
                self.stage.draft = self.client.submits[seq] or ""
        if messages:  # then what was told, if anything was, has been computed
            self.watched.believed |= blocks_of(self.client.prompt_ids(seq))
        usage = ReportedUsage(None, cached_tokens, 3)
        self.client.finishes.add(self.stage.put(HandOffFinished(messages, usage)))
        self.do(settle())

    @precondition(lambda self: not self.client.ended)
    @rule()
    def cancels_(self) -> None:
        self.client.gets = () if self.client.gets is None else self.client.gets
        self.client.cancels.add(self.do(self.stage.does(Cancel(self.client.keeps_text(self.client.running)))))

    @precondition(lambda self: not self.client.ended and self.client.running is None)
    @rule(data=st.data(), said=st.lists(WORDS, max_size=2))
    def rewrites(self, data: st.DataObject, said: list[str]) -> None:
        kept = data.draw(st.integers(0, len(self.client.turn)))
        messages = tuple(user(text) for text in said)
        self.client.turn = self.client.turn[:kept] + messages
        self.do(self.stage.does(Rewrite(1 + kept, messages)))

    @precondition(lambda self: not self.client.ended)
    @rule()
    def ends(self) -> None:
        self.client.ended = True
        self.do(self.stage.does(End()))

    # --- what the world does

    @rule(gate=st.sampled_from(GATES), index=st.integers(0, 3), times=st.integers(1, 4))
    def moves_on(self, gate: str, index: int, times: int) -> None:
        for _ in range(times):
            getattr(self.stage, gate).step(index)
            self.do(settle())

    @rule(gate=st.sampled_from(GATES))
    def holds(self, gate: str) -> None:
        getattr(self.stage, gate).held = True

    @rule(gate=st.sampled_from(GATES))
    def lets_go(self, gate: str) -> None:
        getattr(self.stage, gate).open()
        self.do(settle())

    @rule(priority=st.sampled_from(Priority))
    def refuses(self, priority: Priority) -> None:
        self.engine.faults.refuse = {priority: 1}

    @rule()
    def evicts(self) -> None:
        self.engine.evict()

    # --- what the client sees

    @invariant()
    def every_response_is_owed(self) -> None:
        self.client.takes_in()

    # --- what the engine sees

    @invariant()
    def one_warm_is_in_flight(self) -> None:
        assert sum(asked.running for asked in self.watched.warms) <= 1

    @invariant()
    def every_warm_completes_blocks_that_are_not_known_to_be_cached_and_no_more_than_a_piece(self) -> None:
        for asked in self.watched.warms:
            assert len(asked.request.prompt_ids) % BLOCK == 0
            assert asked.known < len(asked.request.prompt_ids) <= asked.believed + max(self.piece_tokens, BLOCK)

    @invariant()
    def every_submit_asks_for_exactly_the_conversation(self) -> None:
        if self.client.running is not None and not self.client.handed_off and self.client.read == len(self.stage.said):
            asked = self.client.prompt_ids(self.client.running)
            running = [generation for generation in self.watched.generations if generation.running]
            assert len(running) <= 1
            assert all(generation.request.prompt_ids == asked for generation in running)

    @invariant()
    def the_session_lives_until_its_end(self) -> None:
        if self.stage.task.done():
            assert self.client.ended
            assert self.stage.task.exception() is None

    # --- in the end

    def teardown(self) -> None:
        try:
            if hasattr(self, "stage"):
                self.do(self._come_to_rest())
                self.every_response_is_owed()
                if self.client.handed_off and not self.client.ended:
                    self.finishes_a_hand_off([], None)
                    self.do(self._come_to_rest())
                self.every_response_is_owed()
                self._check_the_end()
        finally:
            self.do(self._stop())
            self.loop.close()

    async def _come_to_rest(self) -> None:
        for name in GATES:
            getattr(self.stage, name).open()
        for _ in range(10):
            await settle()

    def _check_the_end(self) -> None:
        assert self.client.running is None, "every SUBMIT is answered"
        assert all(self.client.answers[seq] == 1 for seq in self.client.submits)
        if not self.client.ended:
            assert all(self.client.answers[seq] == 1 for seq in self.client.flushes), "every FLUSH is answered"
            self._check_that_it_still_warms()
            self._check_that_a_pause_leaves_nothing_to_warm()
            self.do(self.stage.does(End()))
        assert self.stage.task.done()
        self._check_all_books()
        self.engine.faults.refuse = None
        seq = self.do(self.other.submits("Is it so?"))
        assert self.other.finished(seq).prompt_tokens == len(self.other.prompt_ids(user("Is it so?")))

    def _check_that_it_still_warms(self) -> None:
        self.engine.faults.refuse = None
        flush = self.do(self.stage.flushes())
        self.do(self._come_to_rest())
        last = self.stage.flush_result(flush)
        if last.outcome is not FlushOutcome.SHED:  # the conversation has outgrown the context
            assert last.outcome in (FlushOutcome.WARMED, FlushOutcome.NOTHING_NEW)
            assert last.cached_tokens == min(last.stable_tokens, CONTEXT_TOKENS - 1) // BLOCK * BLOCK

    def _check_that_a_pause_leaves_nothing_to_warm(self) -> None:
        self.do(self.stage.types("and so on. "))
        self.do(self.stage.pauses())
        self.do(self._come_to_rest())
        flush = self.do(self.stage.flushes())
        self.do(self._come_to_rest())
        result = self.stage.flush_result(flush)
        assert result.confirmed_code_points == len(self.stage.draft)
        if result.outcome is not FlushOutcome.SHED:  # the conversation has outgrown the context
            assert result.outcome is FlushOutcome.NOTHING_NEW

    def _check_all_books(self) -> None:
        """Every token that a warm computed stands in some book, and little else does."""
        assert not any(asked.running for asked in self.watched.asked)
        samples = self.stage.samples()
        booked = sum(value for name, value in samples.items() if name.startswith("forefill_warm_tokens_total"))
        done = [asked for asked in self.watched.warms if asked.cached_tokens is not None]
        computed = sum(len(asked.request.prompt_ids) - (asked.cached_tokens or 0) for asked in done)
        at_most = computed + sum(len(a.request.prompt_ids) for a in self.watched.warms if a.cached_tokens is None)
        assert computed <= booked <= at_most
        assert _warms(samples) >= len(self.watched.warms)
        assert samples.get("forefill_sessions", 0) == 0

    async def _stop(self) -> None:
        for stage in (getattr(self, name) for name in ("stage", "other") if hasattr(self, name)):
            stage.task.cancel()
            await asyncio.gather(stage.task, return_exceptions=True)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a session leaves no task behind"


def _warms(samples: dict[str, float]) -> float:
    return sum(value for name, value in samples.items() if name.startswith("forefill_warms_total"))


SessionMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
test_whatever_happens_a_session_gives_what_it_owes = SessionMachine.TestCase
