"""A vLLM server without a model: vLLM's HTTP API on a fake engine, able to fail in every way that we know."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from aiohttp import web
from forefill_service.chat.generation import Sampling
from forefill_service.chat.prompt import Chat
from forefill_service.engine import FakeEngine, Priority, Request
from forefill_service.errors import Reason, Refusal

from .fake_vllm_bodies import conversation_of, first_event, part_event
from .fake_vllm_knobs import Faults, Knobs, Twist

WAIT_SECONDS = 20
METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0"}} {running}
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{{engine="0"}} {tokens}
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{{block_size="{block_size}",enable_prefix_caching="True",num_gpu_blocks="4096"}} 1.0
"""


class FakeVllm(Knobs):
    """The server; `headers` and `bodies` are those of the completions that were asked for, oldest first.

    `chats` and `chat_headers` are those of streamed chat completions, `questions` the bodies of others. `asked_for_ids`
    holds the paths and bodies of questions for ids.
    """

    def __init__(self, engine: FakeEngine) -> None:
        super().__init__(engine)
        self.faults = Faults()
        self.faults.flowing.set()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.chats: list[dict[str, Any]] = []
        self.chat_headers: list[dict[str, str]] = []
        self.questions: list[dict[str, Any]] = []
        self.asked_for_ids: list[tuple[str, dict[str, Any]]] = []
        self.cookies: list[dict[str, str]] = []
        self.url = ""
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        """Listen, after `stop` again on the same port if it is given."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/v1/models", self._models),
                web.get("/metrics", self._metrics),
                web.get("/moved", self._moved),
                web.post("/tokenize", self._tokenize),
                web.post("/v1/chat/completions/render", self._render),
                web.post("/v1/chat/completions", self._chat_completions),
                web.post("/v1/completions", self._completions),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        self.url = f"http{'s' if tls else ''}://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop: new connections are refused, and open ones break."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked when a completion arrives, falls silent or ends."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(condition)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, http: web.Request) -> web.Response:
        await self.faults.flowing.wait()
        if http.path in self.faults.says:
            return web.Response(body=self.faults.says[http.path])
        card = {"id": self.model, "max_model_len": self.context_tokens}
        adapters = [{"id": name, "root": path, "parent": self.model} for name, path in self.engine.adapters.items()]
        return web.json_response({"data": [card, *adapters]})

    async def _moved(self, http: web.Request) -> web.Response:
        self.cookies.append(dict(http.cookies))
        return web.Response(status=307, headers={"Location": "/v1/models", "Set-Cookie": "worker=1"})

    async def _metrics(self, http: web.Request) -> web.Response:
        await self.faults.flowing.wait()
        if http.path in self.faults.says:
            return web.Response(body=self.faults.says[http.path])
        if self.faults.metrics_hang:
            await asyncio.Event().wait()
        if not self.faults.tells_metrics:
            return web.Response(status=404)
        if self.moving is not None:
            setattr(self, self.moving, getattr(self, self.moving) + 1)
        return web.Response(text=METRICS.format(running=self.running, tokens=self.tokens, block_size=self.block_size))

    async def _render(self, http: web.Request) -> web.Response:
        return await self._say_ids(http, self.render_status, self.chat)

    async def _tokenize(self, http: web.Request) -> web.Response:
        return await self._say_ids(http, self.tokenize_status, self.tokenize_chat or self.chat)

    async def _say_ids(self, http: web.Request, status: int, chat: Chat) -> web.Response:
        asked = await http.json()
        self.asked_for_ids.append((http.path, asked))
        await self.faults.flowing.wait()
        status = self.faults.ids_status or status
        if status != 200:
            return self._refusal(status)
        if http.path in self.faults.says:
            return web.Response(body=self.faults.says[http.path])
        try:
            ids = self._ids(http.path, chat, asked)
        except Refusal as refusal:
            return _refusal(str(refusal), 400)
        if http.path == "/tokenize":
            return web.json_response({"tokens": ids, "count": len(ids)})
        if self.render_as_older_releases:
            return web.json_response([asked["messages"], [{"prompt_token_ids": ids}]])
        return web.json_response({"token_ids": ids})

    def _ids(self, path: str, chat: Chat, asked: dict[str, Any]) -> list[int]:
        if self.renders is not None:
            return self.renders
        conversation, choice = conversation_of(asked), asked.get("tool_choice", "auto")
        if conversation.tools and path != "/tokenize":
            if choice == "auto" and not self.parses_calls:
                raise Refusal(Reason.TEMPLATE_REFUSED, '"auto" tool choice requires --enable-auto-tool-choice')
            if choice not in ("auto", "none") and not self.parses_calls:
                raise Refusal(Reason.TEMPLATE_REFUSED, f"tool_choice={choice} requires --tool-call-parser to be set")
            if choice not in ("auto", "none") and self.refuses:
                raise Refusal(Reason.TEMPLATE_REFUSED, self.refuses)
            if choice == "none" and self.excludes_tools:
                conversation = replace(conversation, tools=())
        if path == "/tokenize" and not self.tokenizes_tools:
            conversation = replace(conversation, tools=())
        return chat.encode(chat.render(conversation))

    async def _chat_completions(self, http: web.Request) -> web.StreamResponse:
        asked = await http.json()
        if asked.get("stream"):
            self.chats.append(asked)
            self.chat_headers.append(dict(http.headers))
        else:
            self.questions.append(asked)
        await self.faults.flowing.wait()
        if self.faults.status is not None:
            return self._refusal(self.faults.status)
        try:
            ids = self._ids(http.path, self.chat, asked)
        except Refusal as refusal:
            return _refusal(str(refusal), 400)
        if not asked.get("stream"):
            if http.path in self.faults.says:
                return web.Response(body=self.faults.says[http.path])
            return web.json_response({"usage": {"prompt_tokens": len(ids)} | self._thought_tokens})
        return await self._streamed(http, asked, ids)

    @property
    def _thought_tokens(self) -> dict[str, Any]:
        return {"completion_tokens_details": {"reasoning_tokens": 0}} if self.parses_thoughts else {}

    async def _completions(self, http: web.Request) -> web.StreamResponse:
        asked = await http.json()
        self.bodies.append(asked)
        self.headers.append(dict(http.headers))
        await self._notify()
        await self.faults.flowing.wait()
        status = self.faults.status
        if asked.get("priority") and not self.faults.priorities:
            status = 400
        if status is not None:
            return self._refusal(status)
        if asked.get("model") in self.lacks:
            return _refusal(f"The model `{asked['model']}` does not exist.", 404)
        if asked.get("structured_outputs") == {} and "structured_outputs" not in self.ignores:
            return _refusal("You must use one kind of structured outputs constraint", 400)
        if self.refuses and {"structured_outputs", "logprobs"} & asked.keys():
            return _refusal(self.refuses, 400)
        return await self._streamed(http, asked, asked["prompt"])

    async def _streamed(self, http: web.Request, asked: dict[str, Any], ids: list[int]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(http)
        try:
            await self._stream(response, asked, ids)
        finally:
            await self._notify()
        return response

    async def _stream(self, response: web.StreamResponse, asked: dict[str, Any], ids: list[int]) -> None:
        likeliest = asked.get("top_logprobs") if "messages" in asked else asked.get("logprobs")
        sampling = Sampling(max_tokens=asked.get("max_tokens"), logprobs=likeliest)
        priority = Priority(asked.get("priority", 0))
        adapter = asked.get("model", "")
        adapter = adapter if adapter in self.engine.adapters else ""
        request = Request(ids, sampling, priority, asked.get("cache_salt"), adapter=adapter)
        cached, parts = None, 0
        straight = asked.get("max_tokens") == 1 and not self.faults.twists_all
        say = partial(_say, response, twist=None if straight else self.faults.twist)
        async with aclosing(self.engine.generate(request)) as outputs:
            async for output in outputs:
                if parts == self.faults.cut_after:
                    return
                if parts == self.faults.stall_after:
                    await self._notify()
                    await asyncio.Event().wait()
                if "messages" in asked and not parts:
                    await say(first_event(ids if asked.get("return_token_ids") and self.says_prompt_ids else None))
                parts, cached = parts + 1, output.cached_tokens
                await say(part_event(asked, output, first=parts == 1, reasoning=parts <= self.reasoning_tokens))
        told = self.faults.tells_cached and (cached or self.faults.tells_zero)
        details = {"cached_tokens": cached} if told else None
        counts = {"prompt_tokens": len(ids), "completion_tokens": parts, "total_tokens": len(ids) + parts}
        await say({"choices": [], "usage": {**counts, "prompt_tokens_details": details}})
        await response.write(b"data: [DONE]\n\n")

    def _refusal(self, status: int) -> web.Response:
        refusal = _refusal(self.faults.words, status)
        if self.faults.retry_after:
            refusal.headers["Retry-After"] = self.faults.retry_after
        return refusal

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _refusal(message: str, status: int) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


async def _say(response: web.StreamResponse, event: dict[str, Any], twist: Twist | None) -> None:
    said = event if twist is None else twist(event)
    await response.write(said if isinstance(said, bytes) else f"data: {json.dumps(said)}\n\n".encode())


@asynccontextmanager
async def fake_vllm(**engine: Any) -> AsyncIterator[FakeVllm]:
    """Serve on a free loopback port within the block."""
    server = FakeVllm(FakeEngine(**engine))
    await server.start()
    try:
        yield server
    finally:
        server.faults.flowing.set()
        await server.stop()
