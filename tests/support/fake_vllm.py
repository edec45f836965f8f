"""A vLLM server without a model: vLLM's HTTP API on a fake engine, able to fail in every way that we know."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from aiohttp import web
from forefill_service.chat.generation import Output, Sampling, TokenLogprob
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall
from forefill_service.chat.prompt import Chat
from forefill_service.engine import FakeChat, FakeEngine, Priority, Request
from forefill_service.engine.http import RemoteEngine
from forefill_service.engine.http.discovery import ServedModel
from forefill_service.engine.http.endpoint import Endpoint
from forefill_service.errors import Reason, Refusal
from forefill_service.settings import Settings

WAIT_SECONDS = 20
REASONS = frozenset({"Roles must alternate"})
"""The reasons that stand in the template of its model."""
METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0"}} {running}
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{{engine="0"}} {tokens}
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{{block_size="{block_size}",enable_prefix_caching="True",num_gpu_blocks="4096"}} 1.0
"""


Twist = Callable[[dict[str, Any]], dict[str, Any] | bytes]


@dataclass
class Faults:
    """The faults of the server; set and reset them at any time.

    Every completion is answered with `status`, if set, and every question for ids with `ids_status`. Streams end after
    `cut_after` parts, and fall silent after `stall_after`. Nothing at all is answered while `flowing` is not set.
    `tells_cached` is `--enable-prompt-tokens-details`; older releases leave out a count of 0 (`tells_zero`).

    What it refuses it refuses with `words`, and with a Retry-After header if one is set. Each event of an answer is
    what `twist` makes of it: an event, or bytes that are sent as they are. Answers of one token are probes and warms,
    which are only twisted if it `twists_all`. `says` has the bodies that it answers with at other paths in place of its
    own.
    """

    status: int | None = None
    ids_status: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    priorities: bool = True
    tells_cached: bool = True
    tells_zero: bool = True
    tells_metrics: bool = True
    metrics_hang: bool = False
    words: str = "no"
    retry_after: str = ""
    twist: Twist | None = None
    twists_all: bool = False
    says: dict[str, bytes] = field(default_factory=dict)
    flowing: asyncio.Event = field(default_factory=asyncio.Event)


class FakeVllm:
    """The server; `headers` and `bodies` are those of the completions that were asked for, oldest first.

    It reports `model`, `context_tokens` and `block_size`. Its chat endpoint renders with `chat`, or every conversation
    as the ids `renders`. It says its ids at `/v1/chat/completions/render` if `render_status` is 200, else that is the
    answer there; `/tokenize` has `tokenize_status`, and may render with another `tokenize_chat`. `asked_for_ids` holds
    the paths and bodies of such questions, `chats` and `chat_headers` are those of streamed chat
    completions, `questions` the bodies of others. The first `reasoning_tokens` of their answers are reasoning.
    `parses_calls` is `--enable-auto-tool-choice`, `parses_thoughts` is `--reasoning-parser`, and `excludes_tools` is
    `--exclude-tools-when-tool-choice-none`; old releases drop tools at `/tokenize` (`tokenizes_tools`). Its metrics are
    `running` and `tokens`; the one named by `moving` is one higher each time that they are read. It has the adapters of
    its engine, each at the path of its version. `lacks` are models that it does not have, `ignores` fields that it does
    not know, and `refuses` is what it says of structures, of logprobs and of calls that have to be.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.faults = Faults()
        self.faults.flowing.set()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.cookies: list[dict[str, str]] = []
        self.model = engine.info.model
        self.context_tokens = engine.info.context_tokens
        self.block_size = engine.info.block_size
        self.chat: Chat = engine.chat
        self.renders: list[int] | None = None
        self.render_status = 200
        self.render_as_older_releases = False
        self.tokenize_status = 200
        self.tokenize_chat: Chat | None = None
        self.says_prompt_ids = True
        self.parses_calls = True
        self.parses_thoughts = False
        self.excludes_tools = False
        self.tokenizes_tools = True
        self.reasoning_tokens = 0
        self.asked_for_ids: list[tuple[str, dict[str, Any]]] = []
        self.chats: list[dict[str, Any]] = []
        self.questions: list[dict[str, Any]] = []
        self.chat_headers: list[dict[str, str]] = []
        self.running = 0
        self.tokens = 0
        self.moving: str | None = None
        self.ignores: set[str] = set()
        self.lacks: set[str] = set()
        self.refuses = ""
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
                    await say(self._first_event(asked, ids))
                parts, cached = parts + 1, output.cached_tokens
                choice = {"index": 0, "finish_reason": output.finish_reason, **self._said(asked, output, parts)}
                if asked.get("return_token_ids"):
                    choice["token_ids"] = list(output.token_ids)
                if output.logprobs:
                    choice["logprobs"] = _logprobs(asked, output)
                await say({"choices": [choice]})
        told = self.faults.tells_cached and (cached or self.faults.tells_zero)
        details = {"cached_tokens": cached} if told else None
        counts = {"prompt_tokens": len(ids), "completion_tokens": parts, "total_tokens": len(ids) + parts}
        await say({"choices": [], "usage": {**counts, "prompt_tokens_details": details}})
        await response.write(b"data: [DONE]\n\n")

    def _first_event(self, asked: dict[str, Any], ids: list[int]) -> dict[str, Any]:
        event: dict[str, Any] = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
        if asked.get("return_token_ids") and self.says_prompt_ids:
            event["prompt_token_ids"] = ids
        return event

    def _said(self, asked: dict[str, Any], output: Output, parts: int) -> dict[str, Any]:
        if "prompt" in asked:
            return {"text": output.text}
        if asked.get("tool_choice", "auto") not in ("auto", "none"):
            return {"delta": {"tool_calls": [_required_call(asked, output.text, first=parts == 1)]}}
        return {"delta": {"reasoning" if parts <= self.reasoning_tokens else "content": output.text}}

    def _refusal(self, status: int) -> web.Response:
        refusal = _refusal(self.faults.words, status)
        if self.faults.retry_after:
            refusal.headers["Retry-After"] = self.faults.retry_after
        return refusal

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class RefusingChat(FakeChat):
    """A template that refuses every conversation; the words of `REASONS` are its own."""

    def __init__(self, words: str) -> None:
        self._words = words

    def render(self, conversation: Conversation) -> str:
        """Raise Refusal."""
        raise Refusal(Reason.TEMPLATE_REFUSED, self._words)


def _required_call(asked: dict[str, Any], arguments: str, *, first: bool) -> dict[str, Any]:
    """Return the next part of a call of the tool that was named, or else of the first."""
    if not first:
        return {"index": 0, "function": {"arguments": arguments}}
    choice = asked["tool_choice"]
    tool = asked["tools"][0] if choice == "required" else choice
    return {"index": 0, "id": "call-1", "function": {"name": tool["function"]["name"], "arguments": arguments}}


def conversation_of(asked: Mapping[str, Any]) -> Conversation:
    """Return the conversation that the body of a chat completion holds."""
    return Conversation(
        tuple(_message(message) for message in asked["messages"]),
        asked.get("chat_template_kwargs") or {},
        tuple(asked.get("tools", ())),
        tuple(asked.get("documents", ())),
        asked.get("reasoning_effort", ""),
        asked.get("continue_final_message", False),
    )


def _message(message: Mapping[str, Any]) -> ChatMessage:
    calls = [(call["id"], call["function"]) for call in message.get("tool_calls", ())]
    return ChatMessage(
        message["role"],
        _text_of(message["content"] or ""),
        name=message.get("name"),
        tool_calls=tuple(ToolCall(id_, function["name"], function["arguments"]) for id_, function in calls),
        tool_call_id=message.get("tool_call_id"),
        reasoning=message.get("reasoning"),
    )


def _text_of(content: str | list[dict[str, Any]]) -> str:
    """Return a message's content with a placeholder for what is no text."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] if part["type"] == "text" else "<|image|>" for part in content)


def _refusal(message: str, status: int) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


def _logprobs(asked: dict[str, Any], output: Output) -> dict[str, Any]:
    """Return those of one part as vLLM reports them, with tokens as ids."""

    def named(token: TokenLogprob) -> tuple[str, float]:
        return f"token_id:{token.id}", token.logprob

    places = [(named(place.token), dict(map(named, place.likeliest))) for place in output.logprobs]
    if "messages" in asked:
        return {
            "content": [
                {
                    "token": token,
                    "logprob": logprob,
                    "top_logprobs": [{"token": other, "logprob": found} for other, found in others.items()],
                }
                for (token, logprob), others in places
            ]
        }
    return {
        "tokens": [token for (token, _), _ in places],
        "token_logprobs": [logprob for (_, logprob), _ in places],
        "top_logprobs": [{token: logprob} | others for (token, logprob), others in places],
    }


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


def remote_settings(*urls: str, **settings: Any) -> Settings:
    """Return settings for remote engines that are probed often; a probe has the time that a loaded machine may need."""
    return Settings(
        **{
            "engine": "remote",
            "engine_url": list(urls),
            "port": 0,
            "metrics_port": -1,
            "connect_timeout_seconds": 10,
            "probe_seconds": 0.2,
            "probe_timeout_seconds": 30,
            **settings,
        }
    )


@asynccontextmanager
async def remote_engine(
    server: FakeVllm, clock: Callable[[], float] | None = None, **settings: Any
) -> AsyncIterator[RemoteEngine]:
    """Connect to a fake server as if it had been discovered, and probe it once."""
    asked = remote_settings(server.url, **settings)
    endpoint = Endpoint(server.url, connect_seconds=asked.remote.connect_timeout_seconds)
    served = ServedModel(
        server.engine.info, FakeChat(), server.faults.priorities, server.faults.tells_cached, reasons=REASONS
    )
    engine = RemoteEngine(endpoint, served, asked, clock=clock)
    try:
        await engine.monitor.probe()
        yield engine
    finally:
        await engine.close()
