"""The pages of `forefill web`: their files, their headers, the names by which they are called, and the key."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from forefill_client import AsyncClient
from forefill_web import Bridge
from forefill_web.access_key import AccessKey
from forefill_web.app import application

from tests.support.browser import site
from tests.support.puppet import puppet

KEY = "a key that nobody guesses"
FILES = {
    "page/index.html": "<!doctype html>",
    "page/style.css": "body {}",
    "page/parts/box.js": "export {};",
    "page/secret.txt": "not ours to give",
    "page/.hidden.js": "hidden",
    "npm/forefill.js": "export {};",
    "npm/package.json": "{}",
    "npm/forefill.d.ts": "export {};",
    "outside.js": "outside",
}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Any]:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return {"page": tmp_path / "page", "module": tmp_path / "npm"}


@asynccontextmanager
async def visitor(url: str = "http://localhost:8080", **more: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Visit the application without a server: no request here reaches the socket."""
    bridge = Bridge(AsyncClient.connect("127.0.0.1:9"))
    transport = httpx.ASGITransport(application(bridge, **more))
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "page/index.html", "text/html; charset=utf-8"),
        ("/page/style.css", "page/style.css", "text/css; charset=utf-8"),
        ("/page/parts/box.js", "page/parts/box.js", "text/javascript; charset=utf-8"),
        ("/forefill/forefill.js", "npm/forefill.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_files_have_their_types_and_are_sent_once(
    path: str, name: str, kind: str, folders: dict[str, Any]
) -> None:
    async with visitor(**folders) as client:
        response = await client.get(path)
        assert (response.status_code, response.text) == (200, FILES[name])
        assert response.headers["content-type"] == kind
        assert response.headers["cache-control"] == "no-cache"
        again = await client.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.text) == (304, "")
        assert again.headers["content-security-policy"]
        (folders["page"].parent / name).write_text("changed")
        again = await client.get(path, headers={"if-none-match": response.headers["etag"]})
        assert (again.status_code, again.text) == (200, "changed")


@pytest.mark.parametrize(
    "path",
    [
        "/page/", "/page/none.js", "/page/secret.txt", "/page/.hidden.js", "/page/%2e%2e/outside.js",
        "/page/..%2foutside.js", "/page//etc/passwd.js", "/page/parts", "/page/%00.js", "/forefill/package.json",
        "/forefill/forefill.d.ts", "/none",
        "/page/parts%5c..%5c..%5coutside.js",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(path: str, folders: dict[str, Any]) -> None:
    async with visitor(**folders) as client:
        response = await client.get(httpx.URL("http://localhost:8080").copy_with(raw_path=path.encode()))
        assert response.status_code == 404
        assert response.headers["content-security-policy"]


@pytest.mark.parametrize(("url", "socket"), [("http://localhost:8080", "ws"), ("https://localhost:8080", "wss")])
async def test_a_page_may_use_nothing_but_its_own_origin(url: str, socket: str, folders: dict[str, Any]) -> None:
    async with visitor(url, **folders) as client:
        headers = (await client.get("/")).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {socket}://localhost:8080",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("chat.example.com", 200),
        ("CHAT.example.com:8080", 200),
        ("evil.example", 421),
        ("chat.example.com.evil.example", 421),
        ("localhost; script-src *", 421),
        ("", 421),
    ],
)
async def test_only_names_of_this_host_are_answered(host: str, status: int) -> None:
    async with visitor(host_names=["Chat.example.com"]) as client:
        response = await client.get("/health", headers={"host": host})
        assert response.status_code == status
        assert "script-src *" not in response.headers["content-security-policy"]


async def test_health_is_told_to_all_and_the_rest_to_who_has_the_key(folders: dict[str, Any]) -> None:
    async with visitor(key=AccessKey(KEY), **folders) as client:
        assert (await client.get("/health")).text == "ok"
        assert (await client.get("/page/style.css")).status_code == 403
        response = await client.get("/")
        assert (response.status_code, response.headers["location"]) == (303, "/enter")


@pytest.mark.parametrize("way", ["address", "form"])
async def test_the_key_is_exchanged_for_a_cookie(way: str, folders: dict[str, Any]) -> None:
    async with visitor("https://localhost:8080", key=AccessKey(KEY), **folders) as client:
        form = await client.get("/enter")
        assert '<form method="post" action="/enter">' in form.text
        for wrong in ("", KEY + "s", "é"):
            response = await client.get("/enter", params={"key": wrong})
            assert response.status_code == 403
            assert "set-cookie" not in response.headers
        if way == "address":
            response = await client.get("/enter", params={"key": KEY})
        else:
            response = await client.post("/enter", data={"key": KEY})
        assert response.status_code == 200, "no redirect: a browser would follow it without the cookie"
        assert re.fullmatch(
            r"__Host-forefill=[0-9a-f]{64}; Path=/; HttpOnly; SameSite=Strict; Secure", response.headers["set-cookie"]
        )
        assert KEY not in response.text + str(response.headers)
        assert response.headers["cache-control"] == "no-store"
        assert (await client.get("/")).text == FILES["page/index.html"]


async def test_what_is_no_form_is_refused() -> None:
    async with visitor(key=AccessKey(KEY)) as client:
        assert (await client.post("/enter", content=b"key=" + b"x" * 5000)).status_code == 413
        assert (await client.post("/enter", content=b"\xff" * 10)).status_code == 200
        assert (await client.get("/enter", params=[("key", KEY), ("key", KEY)])).status_code == 403


async def test_the_socket_needs_the_cookie() -> None:
    key = AccessKey(KEY)
    async with puppet() as (_, client), site(client, key=key) as here:
        with pytest.raises(websockets.InvalidStatus) as status:
            async with here.browser():
                pass
        assert status.value.response.status_code == 403
        cookie = key.cookie(secure=False).partition(";")[0]
        async with here.browser(additional_headers={"cookie": cookie}) as browser:
            await browser.opens()
