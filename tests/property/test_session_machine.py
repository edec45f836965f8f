"""Whatever a typist, an engine and a client's reading do, in whatever order: what a session owes to each.

Every wait of a session stands at a gate (the engine's, the renderer's, the client's), and Hypothesis decides which one
moves next. A second session types at the same engine and must not notice.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage
from forefill_service.chat.prompt import Chat
from forefill_service.engine import (
    ChatEndpoint,
    EngineInfo,
    EngineLoad,
    FakeChat,
    FakeEngine,
    Output,
    Priority,
    Request,
)
from forefill_service.errors import EngineRefused, Reason
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
    Rewrite,
    Submit,
)
from forefill_service.session.responses import (
    CANCELLED,
    HANDED_OFF,
    FlushOutcome,
    FlushResult,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    HandedOff,
    Opened,
    SessionError,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.other_chat import OtherChat
from tests.support.stage import BLOCK, SYSTEM, Stage, assistant, settle, user

T = TypeVar("T")
CONTEXT_TOKENS = 160
GATES = ("engine_gate", "render_gate", "client_gate")
WORDS = st.lists(
    st.sampled_from(["Show ", "me ", "all ", "cars", ", ", "by", "\n", "了", "ばん", "ไทย"]), max_size=8
).map("".join)


@dataclass
class Asked:
    """One request of the session, as its engine saw it."""

    request: Request
    known: int
    """Leading tokens of it, in whole blocks, that the session has to believe cached: requests of its own have computed
    them, and no later one has found less."""
    believed: int
    """Those that it may believe cached: its own requests, or the application's, have computed them."""
    cached_tokens: int | None = None
    refused: bool = False
    running: bool = True


@dataclass
class Watched:
    """The engine as one session sees it; remembers what it was asked, and what came of it."""

    engine: FakeEngine
    asked: list[Asked] = field(default_factory=list)
    known: set[tuple[int, ...]] = field(default_factory=set)
    believed: set[tuple[int, ...]] = field(default_factory=set)

    name: str = "watched"

    @property
    def up(self) -> bool:
        return self.engine.up

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    @property
    def chat(self) -> Chat:
        return self.engine.chat

    @property
    def chat_endpoint(self) -> ChatEndpoint:
        return self.engine.chat_endpoint

    @property
    def load(self) -> EngineLoad:
        return self.engine.load

    def openai_headers(self, route: str) -> dict[str, str]:
        return self.engine.openai_headers(route)

    def cache_changes(self) -> AsyncGenerator[CacheChange, None]:
        return self.engine.cache_changes()

    async def check(self, sampling: Sampling, adapter: str) -> str:
        return await self.engine.check(sampling, adapter)

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        ids = request.prompt_ids
        asked = Asked(request, _leading(ids, self.known), _leading(ids, self.believed))
        self.asked.append(asked)
        answer: list[int] = []
        try:
            async with aclosing(self.engine.generate(request)) as outputs:
                async for output in outputs:
                    answer.extend(output.token_ids)
                    if answer:  # an answer that is broken off has read its prompt
                        self.believed |= _blocks(ids)
                    if output.finish_reason:
                        asked.cached_tokens = output.cached_tokens
                        self._forget(ids, output.cached_tokens)
                    yield output
            computed = _blocks([*ids, *(answer[:-1] if request.priority is Priority.GENERATION else [])])
            self.known |= computed
            self.believed |= computed
        except EngineRefused:
            asked.refused = True
            raise
        finally:
            asked.running = False

    def _forget(self, ids: list[int], cached_tokens: int) -> None:
        """Drop the block that was not found in a prompt, and all that follow on it, in whichever prompt."""
        missing = ids[: cached_tokens + BLOCK]
        self.known = {block for block in self.known if list(block[: len(missing)]) != missing}

    async def watch(self) -> None:
        await self.engine.watch()

    async def close(self) -> None:
        """Leave the engine to the test."""

    @property
    def warms(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.request.priority is Priority.WARM]

    @property
    def generations(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.request.priority is Priority.GENERATION]


def _blocks(ids: list[int]) -> set[tuple[int, ...]]:
    return {tuple(ids[:end]) for end in range(BLOCK, len(ids) + 1, BLOCK)}


def _leading(ids: list[int], blocks: set[tuple[int, ...]]) -> int:
    """Return how many tokens the prompt begins with, in whole blocks, that are among these."""
    end = 0
    while end + BLOCK <= len(ids) and tuple(ids[: end + BLOCK]) in blocks:
        end += BLOCK
    return end


class SessionMachine(RuleBasedStateMachine):
    """One session on its gates, a bystander beside it, and what a careful client knows."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.read = 0  # responses that the client has taken in
        self.turn: tuple[ChatMessage, ...] = ()
        self.flushes: list[int] = []
        self.submits: dict[int, str] = {}
        self.cancels: set[int] = set()
        self.running: int | None = None  # the SUBMIT or HandOff that is not answered yet
        self.handed_off = False  # whether it is a HandOff
        self.gets: tuple[ChatMessage, ...] | None = None  # what came of that, by the first word about it
        self.finishes: set[int] = set()
        self.answers: Counter[int] = Counter()
        self.unaware: set[int] = set()  # FLUSHes that were sent before it was known that a SUBMIT had failed
        self.ended = False

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
        self.watched = Watched(self.engine)
        opening = Open((SYSTEM,), draft=draft, cache_scope=scope)
        self.stage = Stage(
            opening,
            engine=self.engine,
            seam=lambda _: self.watched,
            piece_tokens=piece_tokens,
            hand_off_url=["http://vllm"],
        )
        for name in held:
            getattr(self.stage, name).held = True
        await settle()

    # --- what the typist does

    @precondition(lambda self: not self.ended)
    @rule(text=WORDS)
    def types(self, text: str) -> None:
        self.do(self.stage.types(text))

    @precondition(lambda self: not self.ended)
    @rule(count=st.integers(1, 12))
    def deletes(self, count: int) -> None:
        self.do(self.stage.does(CharDelete(count)))

    @precondition(lambda self: not self.ended)
    @rule(data=st.data(), text=WORDS)
    def replaces(self, data: st.DataObject, text: str) -> None:
        start = data.draw(st.integers(0, len(self.stage.draft)))
        end = data.draw(st.integers(start, len(self.stage.draft)))
        self.do(self.stage.does(Replace(start, end, text)))

    @precondition(lambda self: not self.ended)
    @rule(likely=st.booleans())
    def hints(self, likely: bool) -> None:
        self.do(self.stage.does(Hint(likely)))

    @rule(share=st.sampled_from([0.5, 1.0]))
    def pauses(self, share: float) -> None:
        self.do(self.stage.pauses(share))

    @precondition(lambda self: not self.ended)
    @rule()
    def flushes_(self) -> None:
        self.flushes.append(self.do(self.stage.flushes()))

    @precondition(lambda self: not self.ended)
    @rule(count=st.integers(2, 3))
    def types_and_flushes_at_once(self, count: int) -> None:
        for _ in range(count):
            self.stage.put(CharAdd("so "))
            draft = self.stage.draft
            self.flushes.append(self.stage.put(Flush(len(draft), checksum(draft))))
        self.do(settle())

    @precondition(lambda self: not self.ended and self.running is None)
    @rule(text=WORDS | st.none())
    def submits_(self, text: str | None) -> None:
        asked = self.stage.draft if text is None else text
        seq = self.stage.put(Submit(text))
        self.submits[seq] = asked
        if asked:
            self.running = seq
            self.stage.draft = ""
        self.do(settle())

    @precondition(lambda self: not self.ended and self.running is None)
    @rule(text=WORDS | st.none())
    def hands_off(self, text: str | None) -> None:
        asked = self.stage.draft if text is None else text
        seq = self.stage.put(HandOff(text))
        self.submits[seq] = asked
        if asked:
            self.running, self.handed_off, self.gets = seq, True, None
            self.stage.draft = ""
        self.do(settle())

    @precondition(lambda self: not self.ended and self.handed_off)
    @rule(said=st.lists(WORDS, max_size=2), cached_tokens=st.none() | st.integers(0, 200))
    def finishes_a_hand_off(self, said: list[str], cached_tokens: int | None) -> None:
        messages = tuple(assistant(text) for text in said)
        if self.gets is None:
            self.gets = messages
            if not messages and not self.stage.draft:
                self.stage.draft = self.submits[self.running or 0]
        if messages:  # then what was told, if anything was, has been computed
            asked = self.stage.prompt_ids(*self.turn, user(self.submits[self.running or 0]))
            self.watched.believed |= _blocks(asked)
        usage = ReportedUsage(None, cached_tokens, 3)
        self.finishes.add(self.stage.put(HandOffFinished(messages, usage)))
        self.do(settle())

    @precondition(lambda self: not self.ended)
    @rule()
    def cancels_(self) -> None:
        self.gets = () if self.gets is None else self.gets
        self.cancels.add(self.do(self.stage.does(Cancel(self._keeps_text(self.running)))))

    def _keeps_text(self, seq: int | None) -> bool:
        """Whether an answer is kept that is cancelled: the same for all Cancels of one answer."""
        return bool((seq or 0) % 2)

    @precondition(lambda self: not self.ended and self.running is None)
    @rule(data=st.data(), said=st.lists(WORDS, max_size=2))
    def rewrites(self, data: st.DataObject, said: list[str]) -> None:
        kept = data.draw(st.integers(0, len(self.turn)))
        messages = tuple(user(text) for text in said)
        self.turn = self.turn[:kept] + messages
        self.do(self.stage.does(Rewrite(1 + kept, messages)))

    @precondition(lambda self: not self.ended)
    @rule()
    def ends(self) -> None:
        self.ended = True
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
        """Take in what was said since the last look, as a client would that believes all of it."""
        for response in self.stage.said[self.read :]:
            match response:
                case Opened():
                    assert self.read == 0
                case FlushResult(seq):
                    assert seq in self.flushes, "a pause is answered by nothing"
                    assert response.outcome is not FlushOutcome.INERT
                    assert response.cached_tokens <= response.stable_tokens
                    assert response.outcome is not FlushOutcome.NOTHING_NEW or response.computed_tokens == 0
                    self.answers[seq] += 1
                case GenerationStarted(seq) | GenerationDelta(seq):
                    assert seq == self.running
                    assert not self.handed_off
                case HandedOff(seq):
                    assert seq == self.running
                    assert self.handed_off
                    assert response.cached_tokens % BLOCK == 0
                    assert response.cached_tokens < len(self.stage.prompt_ids(*self.turn, user(self.submits[seq])))
                case GenerationFinished(seq) if self.handed_off:
                    assert seq == self.running
                    self.answers[seq] += 1
                    self._check_books(response)
                    self.running, self.handed_off = None, False
                    if response.reason == CANCELLED:
                        assert self.cancels or self.ended
                    else:
                        self.turn += self.gets or ()
                case GenerationFinished(seq):
                    assert seq == self.running
                    self.answers[seq] += 1
                    self._check_books(response)
                    deltas = [d.text for d in self.stage.said if isinstance(d, GenerationDelta) and d.seq == seq]
                    if response.reason == CANCELLED:
                        assert self.cancels
                    if response.reason != CANCELLED or (deltas and self._keeps_text(seq)):
                        self.turn += (user(self.submits[seq]), assistant("".join(deltas)))
                    self.running = None
                case SessionError(Reason.NOTHING_TO_CANCEL, _, seq):
                    assert seq in self.cancels
                case SessionError(Reason.NOTHING_HANDED_OFF, _, seq):
                    assert seq in self.finishes
                case SessionError(Reason.DRAFT_DIVERGED, _, seq):
                    assert seq in self.unaware, "the server's draft is the client's"
                    self.answers[seq] += 1
                case SessionError(reason, _, seq):
                    assert seq in self.submits
                    empty = not self.submits[seq]
                    expected = {Reason.EMPTY_SUBMIT} if empty else {Reason.GENERATION_FAILED, Reason.PROMPT_TOO_LONG}
                    assert reason in expected, "a client that waits for its answer is never told to wait"
                    self.answers[seq] += 1
                    if not empty:
                        self.running = None
                        self.unaware |= {flush for flush in self.flushes if flush > seq}
                        self._gets_back(self.submits[seq])
            self.read += 1
        assert all(count == 1 for count in self.answers.values())

    def _gets_back(self, text: str) -> None:
        """Do as a client whose box has the text of a failed SUBMIT again, unless something was typed since."""
        if self.ended:
            return
        draft = self.stage.draft or text
        self.stage.put(CharDelete(10_000))
        self.stage.put(CharAdd(draft))

    def _check_books(self, finished: GenerationFinished) -> None:
        books = finished.ledger
        rows = (books.used, books.edited_away, books.evicted, books.abandoned)
        assert min(rows) >= 0
        assert sum(rows) == books.computed
        assert books.used <= finished.cached_tokens
        if finished.reason in (CANCELLED, HANDED_OFF):  # the engine has not said what it found, or not to us
            return
        generation = self.watched.generations[-1]
        assert finished.cached_tokens == generation.cached_tokens
        assert finished.prompt_tokens == len(generation.request.prompt_ids)

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
        if self.running is not None and not self.handed_off and self.read == len(self.stage.said):
            asked = self.stage.prompt_ids(*self.turn, user(self.submits[self.running]))
            running = [generation for generation in self.watched.generations if generation.running]
            assert len(running) <= 1
            assert all(generation.request.prompt_ids == asked for generation in running)

    @invariant()
    def the_session_lives_until_its_end(self) -> None:
        if self.stage.task.done():
            assert self.ended
            assert self.stage.task.exception() is None

    # --- in the end

    def teardown(self) -> None:
        try:
            if hasattr(self, "stage"):
                self.do(self._come_to_rest())
                self.every_response_is_owed()
                if self.handed_off and not self.ended:
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
        assert self.running is None, "every SUBMIT is answered"
        assert all(self.answers[seq] == 1 for seq in self.submits)
        if not self.ended:
            assert all(self.answers[seq] == 1 for seq in self.flushes), "every FLUSH is answered"
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
        assert samples.get("forefill_warms_total", 0) >= len(self.watched.warms)
        assert samples.get("forefill_sessions", 0) == 0

    async def _stop(self) -> None:
        for stage in (getattr(self, name) for name in ("stage", "other") if hasattr(self, name)):
            stage.task.cancel()
            await asyncio.gather(stage.task, return_exceptions=True)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a session leaves no task behind"


SessionMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
test_whatever_happens_a_session_gives_what_it_owes = SessionMachine.TestCase
