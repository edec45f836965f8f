"""The text box of a web page, bridged to a forefill server with FastAPI.

FOREFILL=127.0.0.1:50051 uvicorn --app-dir client/examples bridge:app

On the WebSocket /box the page sends JSON: {"draft": TEXT, "composing": BOOL} after each change of its box,
{"hint": BOOL} when the pointer reaches the send button or leaves it, {"submit": TEXT} and {"stop": true}. It gets
{"delta": TEXT} as the answer comes, {"done": REASON} at its end, and {"error": TEXT}.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from forefill_client import Answer, AsyncClient, ForefillError

SYSTEM = ("system", "You write SQL for a clinic. Answer with one statement.")
client = AsyncClient.connect(os.environ.get("FOREFILL", "127.0.0.1:50051"))


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with client:
        yield


app = FastAPI(lifespan=lifespan)


async def tell(socket: WebSocket, answer: Answer) -> None:
    try:
        async for delta in answer:
            await socket.send_json({"delta": delta})
        await socket.send_json({"done": answer.report.finish_reason})
    except ForefillError as error:
        await socket.send_json({"error": str(error)})


@app.websocket("/box")
async def box(socket: WebSocket) -> None:
    await socket.accept()
    answer, tellings = None, set[asyncio.Task[None]]()
    async with client.session([SYSTEM]) as session:
        while True:
            try:
                match await socket.receive_json():
                    case {"draft": str(draft), **more}:
                        await session.set_draft(draft, composing=bool(more.get("composing")))
                    case {"hint": likely}:
                        await session.hint(likely=bool(likely))
                    case {"submit": str(text)}:
                        answer = await session.submit(text)
                        tellings.add(asyncio.create_task(tell(socket, answer)))
                    case {"stop": _} if answer is not None:
                        await answer.cancel()
            except WebSocketDisconnect:
                return
            except ForefillError as error:
                await socket.send_json({"error": str(error)})
