"""Calls of the client as its users write them. Each wrong one is marked with the error that mypy finds in it.

`make lint` checks this file: an unmarked call that is refused is an error, and so is a marked one that is accepted.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

import asyncio

from forefill_client import (
    Answer,
    AsyncClient,
    CacheScope,
    ChatMessage,
    Client,
    FlushResult,
    ForefillError,
    Metadata,
    PregenerationMode,
    Resume,
    Sampling,
    Session,
    SessionState,
    SyncAnswer,
    SyncSession,
    WarmMode,
)
from forefill_client.keystrokes import InferenceConsumer, KeystrokeEvent, KeystrokeSimulator
from forefill_client.positions import Change, changed, clusters, from_line, from_utf16, to_utf16
from forefill_client.testing import FakeServer

OLDEST: list[tuple[str, str]] = [("system", "x")]
METADATA: Metadata = {"tenant": "a", "trace-bin": b"1"}


def flushed(result: FlushResult) -> None:
    print(result.outcome, result.cached_tokens + 1)


def told(state: SessionState, reason: ForefillError | None) -> None:
    print(state, reason and reason.retryable)


def right_options(client: AsyncClient) -> Session:
    AsyncClient.connect("a:1", tls=b"pem", api_key="key", metadata=METADATA, resume=Resume(seconds=3))
    client.session(OLDEST)
    client.session([ChatMessage("system", "x"), ("user", "y"), {"role": "assistant", "content": "z"}])
    sampling = Sampling(max_tokens=3, temperature=0, stop="END", logit_bias={3: 1.5}, stop_token_ids=[4])
    return client.session(
        sampling=sampling,
        cache_scope=CacheScope.SESSION,
        warm_mode=WarmMode.OFF,
        pregeneration=PregenerationMode.ON,
        chat_template_kwargs={"enable_thinking": False},
        metadata=[("tenant", "a")],
        on_flush=flushed,
        on_state=told,
    )


async def right_calls(session: Session) -> str:
    await session.type("x", composing=True)
    await session.replace(0, 1, "y")
    await session.edit_utf16([(0, 1, "👍")])
    result: FlushResult = await session.flushed(await session.flush())
    await session.hint(likely=bool(result.computed_tokens))
    answer: Answer = await session.submit()
    async for delta in answer:
        print(delta.upper())
    async for part in (await session.regenerate()).parts():
        print(part.text + part.reasoning, [call.name for call in part.tool_calls])
    await session.rewrite(len(session.messages) - 1, [("user", "x")])
    print(answer.report.ledger.used_tokens + answer.report.completion_tokens, answer.report.ttft_seconds)
    return await (await session.regenerate()).text()


def right_sync() -> str:
    server = FakeServer(answer="x", max_draft_code_points=9)
    with server, Client.connect(server.address) as client, client.session() as session:
        sync_session: SyncSession = session
        answer: SyncAnswer = sync_session.submit("x")
        return "".join(answer) + answer.report.finish_reason


async def right_typing(session: Session) -> None:
    queue: asyncio.Queue[KeystrokeEvent] = asyncio.Queue()
    consumer = InferenceConsumer(queue, session)
    await asyncio.gather(KeystrokeSimulator(queue).simulate_typing("x"), consumer.run())
    print(consumer.report and consumer.report.ttft_seconds)


def right_positions(text: str, change: Change) -> list[str]:
    return clusters(changed(text, [change])[to_utf16(text, 1) : from_utf16(text, from_line(text, 0, 1))])


def wrong_options(client: AsyncClient) -> None:
    AsyncClient.connect(50051)  # type: ignore[arg-type]
    AsyncClient.connect("a:1", 3)  # type: ignore[call-arg]
    AsyncClient.connect("a:1", credentials="token")  # type: ignore[arg-type]
    AsyncClient.connect("a:1", tls="pem")  # type: ignore[arg-type]
    AsyncClient.connect("a:1", metadata={"tenant": 3})  # type: ignore[dict-item]
    AsyncClient.connect("a:1", resume=3.0)  # type: ignore[arg-type]
    AsyncClient.connect("a:1", timeout=3)  # type: ignore[call-arg]
    client.session("system")  # type: ignore[arg-type]
    client.session([("system", 3)])  # type: ignore[list-item]
    client.session(warm_mode="off")  # type: ignore[arg-type]
    client.session(cache_scope=WarmMode.OFF)  # type: ignore[arg-type]
    client.session(pregeneration=False)  # type: ignore[arg-type]
    client.session(sampling={"max_tokens": 3})  # type: ignore[arg-type]
    client.session(cache_secret="secret")  # type: ignore[arg-type]
    client.session(draft=None)  # type: ignore[arg-type]
    client.session(on_flush=told)  # type: ignore[arg-type]
    client.session(on_state=flushed)  # type: ignore[arg-type]
    Sampling(3)  # type: ignore[call-arg]
    Sampling(max_tokens="3")  # type: ignore[arg-type]
    Sampling(stop=3)  # type: ignore[arg-type]
    Sampling(logit_bias=[1])  # type: ignore[arg-type]
    Sampling(tempreature=1)  # type: ignore[call-arg]
    Sampling().max_tokens = 3  # type: ignore[misc]
    ChatMessage()  # type: ignore[call-arg]


async def wrong_calls(session: Session) -> None:
    await session.type(3)  # type: ignore[arg-type]
    await session.type("x", True)  # type: ignore[call-arg]
    await session.delete("1")  # type: ignore[arg-type]
    await session.replace(0, "x")  # type: ignore[call-arg]
    await session.set_draft(None)  # type: ignore[arg-type]
    await session.edit_utf16([(0, "x")])  # type: ignore[list-item]
    await session.flush("all")  # type: ignore[arg-type]
    await session.submit(b"x")  # type: ignore[arg-type]
    await session.rewrite([("user", "x")])  # type: ignore[arg-type]
    session.draft = "x"  # type: ignore[misc]
    answer = await session.submit()
    list(answer)  # type: ignore[call-overload]
    async for part in answer.parts():
        print(part.upper())  # type: ignore[attr-defined]
    print(answer.report.tokens)  # type: ignore[attr-defined]
    print(session.opened.limits["context_tokens"])  # type: ignore[index]
    answer.text().upper()  # type: ignore[attr-defined]


def wrong_sync(session: SyncSession, server: FakeServer) -> None:
    print(session.submit(3))  # type: ignore[arg-type]
    server.answer = 3  # type: ignore[assignment]
    FakeServer("answer")  # type: ignore[call-arg]
