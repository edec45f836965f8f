"""The chat endpoint of vLLM in this process's charge: its own code renders, on a thread, and its engine answers."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import threading
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import EngineSlow, Reason, Refusal
from ..base import Request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from typing import TypeVar

    from ...chat.generation import Output, Sampling
    from ...chat.messages import Conversation
    from ..base import ChatRequest
    from .rendering import VllmRendering
    from .splitter import VllmSplitter

    T = TypeVar("T")

RENDER_SECONDS = 5.0
"""After this long a rendering is given up: it mostly takes milliseconds, and a tenth of a second for a long prompt."""


class VllmChatEndpoint:
    """The `ChatEndpoint` of an embedded engine.

    `generate` and `validate` are the engine's; the latter refuses a sampling that vLLM does not accept. After `seconds`
    a rendering is given up.
    """

    in_process = True

    def __init__(
        self,
        rendering: VllmRendering,
        generate: Callable[[Request], AsyncGenerator[Output, None]],
        seconds: float,
        validate: Callable[[Sampling], Awaitable[object]],
    ) -> None:
        self._rendering = rendering
        self._validate = validate
        self._generate = generate
        self.seconds = seconds
        self._at_work = asyncio.Semaphore(os.cpu_count() or 1)

    async def ids(self, conversation: Conversation) -> list[int]:
        """Return the ids that vLLM's chat endpoint would generate from.

        Raises Refusal (TEMPLATE_REFUSED, PROMPT_TOO_LONG), EngineSlow if the template takes too long.
        """
        async with self._at_work:
            return await on_a_new_thread(lambda: self._rendering.ids(conversation), self.seconds, "rendered a chat")

    def splits(self, conversation: Conversation) -> bool:
        """Return whether vLLM's parsers split answers."""
        return self._rendering.splits

    def answers_itself(self, conversation: Conversation) -> bool:
        """Return False: the sampling and the splitter carry all that the endpoint does."""
        return False

    async def check(self, conversation: Conversation) -> None:
        """Have vLLM's parser require the calls of a conversation, and vLLM accept what comes of that.

        Raises Refusal (INVALID_TOOLS), EngineSlow if it takes too long.
        """
        if not conversation.requires_a_call:
            return
        async with self._at_work:
            checking = "checked the tools of a chat"
            sampling = await on_a_new_thread(lambda: self._rendering.requiring(conversation), self.seconds, checking)
        try:
            await self._validate(sampling)
        except Refusal as refusal:
            if refusal.reason is not Reason.INVALID_SAMPLING:
                raise
            raise Refusal(Reason.INVALID_TOOLS, f"tool_choice requires a call: {refusal.detail}") from refusal

    def splitter(self, conversation: Conversation, prompt_ids: Sequence[int]) -> VllmSplitter | None:
        """Return what splits the answer that the engine gives to these ids; None if vLLM would send it as it is."""
        return self._rendering.splitter(conversation, prompt_ids)

    def adjusted(self, conversation: Conversation, sampling: Sampling) -> Sampling:
        """Return a sampling as vLLM's parsers need it."""
        return self._rendering.adjusted(conversation, sampling)

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Output, None]:
        """Answer a conversation; errors are those of `ids` and of the engine."""
        ids = await self.ids(request.conversation)
        splitter = await on_a_new_thread(
            lambda: self.splitter(request.conversation, ids), self.seconds, "made a parser for a chat"
        )
        to = request.cache_salt, request.route, request.adapter, request.request_id
        asked = Request(ids, request.sampling, request.priority, *to)
        said: tuple[int, ...] | None = tuple(ids)
        async with aclosing(self._generate(asked)) as outputs:
            async for output in outputs:
                part = output if splitter is None else splitter.split(output)
                yield replace(part, prompt_ids=said)
                said = None


LOOK_SECONDS = 0.01
"""How often it is looked whether a thread has ended."""


class _Stop(BaseException):
    """Raised in a thread that is given up; no template and no `except Exception` catches it."""


async def on_a_new_thread(
    work: Callable[[], T], seconds: float, what: str, at_end: Callable[[], None] = lambda: None
) -> T:
    """Return what `work` returns; after `seconds` it is given up, whether anybody still waits for it or not.

    Its thread is asked to stop then, which ends any loop of Python code. It blocks no exit. `at_end` is called when the
    thread has really ended, which native code may delay. Raises EngineSlow, which says `what` vLLM has not done.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    given_up = False

    def tell(outcome: T | Exception) -> None:
        if done.done():
            return
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)

    def run() -> None:
        outcome: T | Exception
        with contextlib.suppress(_Stop):
            try:
                outcome = work()
            except Exception as error:
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, outcome)

    def finish(outcome: T | Exception) -> None:
        if not given_up:
            timer.cancel()
            tell(outcome)
            watch()

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        tell(EngineSlow(f"vLLM has not {what} within {seconds:g} s"))
        if thread.is_alive():
            ident, stop = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, stop)
        watch()

    def watch() -> None:
        if thread.is_alive():
            loop.call_later(LOOK_SECONDS, watch)
        else:
            at_end()

    thread = threading.Thread(target=run, name="forefill-vllm-chat", daemon=True)
    timer = loop.call_later(seconds, give_up)
    try:
        thread.start()
    except RuntimeError as error:  # there are too many threads
        timer.cancel()
        at_end()
        raise EngineSlow(f"vLLM has not {what}: {error}") from error
    return await done
