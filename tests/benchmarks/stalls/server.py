"""The server that is attacked: on the fake engine, with the tokenizer and template of the packaged model.

It prints its address. Then it answers each line of standard input with the longest stall since the last one, in
milliseconds.
"""

import asyncio
import sys
from typing import Any

from forefill_service.chat.template import HfChat
from forefill_service.engine import FakeEngine
from forefill_service.engine.fake.chat_endpoint import FakeChatEndpoint
from forefill_service.engine.packaged_model import packaged_model_path
from forefill_service.engine.template_variables import variables_of
from forefill_service.fleet.interpreter import shorten_pauses
from forefill_service.server import running_server
from forefill_service.settings import Settings
from transformers import AutoTokenizer

CONTEXT_TOKENS = 8192
BEAT_SECONDS = 0.001


class OnAThread(FakeChatEndpoint):
    """Renders on a thread, as the endpoint of an embedded engine does."""

    async def ids(self, conversation: Any) -> list[int] | None:
        return await asyncio.to_thread(self._rendered, conversation)


class Heart:
    """Beats as often as the event loop lets it; `longest_stall` is the longest time for which that stood still."""

    def __init__(self) -> None:
        self.longest_stall = 0.0

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            slept_from = loop.time()
            await asyncio.sleep(BEAT_SECONDS)
            self.longest_stall = max(self.longest_stall, loop.time() - slept_from - BEAT_SECONDS)


def an_engine() -> FakeEngine:
    """Return an engine with the packaged model's chats."""
    tokenizer = AutoTokenizer.from_pretrained(packaged_model_path())
    template = tokenizer.get_chat_template()
    chat = HfChat(tokenizer, template, "string", variables_of(template))
    engine = FakeEngine(context_tokens=CONTEXT_TOKENS, keep_requests=False)
    engine.chat = chat  # type: ignore[assignment]
    engine.chat_endpoint = OnAThread(engine, chat, keep=False)
    return engine


async def serve() -> None:
    """Serve until standard input ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    settings = Settings(port=0, metrics_port=-1, health_port=-1, go_away_seconds=0)
    async with running_server([an_engine()], settings) as server:
        shorten_pauses()  # as `serve` does
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        print(server.address, flush=True)
        while await reader.readline():
            print(round(1000 * heart.longest_stall, 1), flush=True)
            heart.longest_stall = 0.0
        beating.cancel()


if __name__ == "__main__":
    asyncio.run(serve())
