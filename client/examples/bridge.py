"""The text box of a web page, bridged to a forefill server in an application of Starlette; FastAPI does as well.

FOREFILL=127.0.0.1:50051 uvicorn --app-dir client/examples bridge:app

The page loads forefill.js, the npm package "forefill", and binds its text box to the socket:

    const conversation = new Conversation("/socket");
    bindTextBox(conversation, document.querySelector("textarea"));
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forefill_client import AsyncClient
from forefill_web import Bridge, SessionOptions
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

SYSTEM = "You write SQL for a clinic. Answer with one statement."
client = AsyncClient.connect(os.environ.get("FOREFILL", "127.0.0.1:50051"))


async def options_for(socket: WebSocket) -> SessionOptions:
    """Return how the session of one socket is opened: here, an application looks at who has logged in."""
    user = socket.query_params.get("user", "nobody")
    return SessionOptions(before=[("system", f"{SYSTEM} You speak with {user}.")], owner=user)


bridge = Bridge(client, options_for)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with client, bridge:
        yield


app = Starlette(
    routes=[WebSocketRoute("/socket", bridge.endpoint)],
    # A page that calls this host by a name of its own (DNS rebinding) is refused.
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])],
    lifespan=lifespan,
)
