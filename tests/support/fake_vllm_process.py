"""The vLLM server without a model as a process that takes the command line of vLLM's own, and drains as that does."""

import argparse
import asyncio
import logging
import signal
from typing import Any

from aiohttp import web
from forefill_service.chat.template import HfChat
from forefill_service.engine import FakeEngine
from forefill_service.engine.fake import FakeSpeed
from transformers import AutoTokenizer

from tests.support.fake_vllm import FakeVllm

SPEED = FakeSpeed(decode=20)
ANSWER_TOKENS = 20
BLOCK_SIZE = 16


class DrainingVllm(FakeVllm):
    """Knows when no answer is running."""

    async def _streamed(self, http: web.Request, asked: dict[str, Any], ids: list[int]) -> web.StreamResponse:
        self.running += 1
        try:
            return await super()._streamed(http, asked, ids)
        finally:
            self.running -= 1
            await self._notify()

    async def drained(self) -> None:
        """Wait until no answer is running."""
        await self.until(lambda: not self.running)


async def serve(host: str, port: int, model: str) -> None:
    """Serve this model's chats until SIGTERM, and then finish what runs."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    tokenizer = AutoTokenizer.from_pretrained(model)
    engine = FakeEngine(block_size=BLOCK_SIZE, answer_tokens=ANSWER_TOKENS, speed=SPEED)
    engine.chat = HfChat(tokenizer, tokenizer.chat_template)  # type: ignore[assignment]
    server = DrainingVllm(engine)
    server.model = model
    await server.start(port, host=host)
    await stopping.wait()
    await server.drained()
    await server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # a line for each request
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-m", dest="module", required=True, choices=["vllm.entrypoints.openai.api_server"])
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    known, _ = parser.parse_known_args()
    asyncio.run(serve(known.host, known.port, known.model))
