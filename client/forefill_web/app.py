"""The application of `forefill web`: the page, the module, the socket, and the door."""

from collections.abc import Collection
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from .access_key import AccessKey
from .bridge import Bridge
from .files import Files
from .guard import Guard

LARGEST_FORM: Final = 4096
_NO_STORE: Final = {"cache-control": "no-store"}
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}<title>forefill</title></head>
<body><main>{body}</main></body>
</html>
"""
_FORM: Final = _PAGE.format(
    head="",
    body='<form method="post" action="/enter"><h1>forefill</h1><p><label>Access key '
    '<input type="password" name="key" required autofocus autocomplete="current-password"></label> '
    "<button>Enter</button></p></form>{note}",
)
_ENTERED: Final = _PAGE.format(
    head='<meta http-equiv="refresh" content="0;url=/">', body='<p><a href="/">Go on to the page</a></p>'
)
"""No redirect: after a link on another site, a browser would follow one without the new cookie."""


def application(
    bridge: Bridge,
    *,
    host_names: Collection[str] = (),
    key: AccessKey | None = None,
    page: Traversable | None = None,
    module: Traversable | None = None,
) -> ASGIApp:
    """Return the application.

    Args:
        bridge: An entered bridge.
        host_names: Names by which this host is called, beside those of loopback.
        key: What a browser has to know to get in; None: nothing.
        page: The folder of the page; default: the package's own.
        module: The folder of the module; default: the package's own.
    """
    ours = files("forefill_web")
    page_files, module_files = Files(page or ours / "page"), Files(module or ours / "npm")

    async def index(request: Request) -> Response:
        return page_files.response(request, "index.html")

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok", headers=_NO_STORE)

    async def enter(request: Request) -> Response:
        return await _enter(request, key)

    routes = [
        Route("/", index),
        Route("/page/{path:path}", page_files.serve),
        Route("/forefill/{path:path}", module_files.serve),
        Route("/health", health),
        Route("/enter", enter, methods=["GET", "POST"]),
        WebSocketRoute("/socket", bridge.endpoint),
    ]
    return Guard(Starlette(routes=routes), host_names, key)


async def _enter(request: Request, key: AccessKey | None) -> Response:
    """Exchange the key, in the address or in the form, for the cookie."""
    if key is None:
        return RedirectResponse("/", 303)
    given = await _form(request) if request.method == "POST" else request.query_params.getlist("key")
    if not given:
        return HTMLResponse(_FORM.format(note=""), headers=_NO_STORE)
    if len(given) > 1 or not key.is_key(given[0]):
        note = '<p role="alert">That is not the key.</p>'
        return HTMLResponse(_FORM.format(note=note), 403, headers=_NO_STORE)
    cookie = key.cookie(secure=request.url.scheme == "https")
    return HTMLResponse(_ENTERED, headers=_NO_STORE | {"set-cookie": cookie})


async def _form(request: Request) -> list[str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            raise HTTPException(413)
    return parse_qs(body.decode("utf-8", errors="replace"), max_num_fields=8).get("key", [])
