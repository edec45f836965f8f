"""Nothing typed, and no key or token, comes out by the log: over a whole run, with everything that can go wrong."""

import json
import logging

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_web import SessionOptions
from forefill_web.access_key import AccessKey
from forefill_web.conversation import Conversation
from forefill_web.defects import defect

from tests.support.browser import Browser, site
from tests.support.puppet import puppet

TYPED = "zyzzyva"
SYSTEM = "quetzal prompt"
ANSWERED = "jabberwock"
KEY = "vorpal-vorpal-vorpal"
COOKIE = AccessKey(KEY).cookie(secure=False).partition(";")[0]


async def uses_everything(browser: Browser) -> str:
    """Say everything once, right and wrong; return the token."""
    token: str = (await browser.opens(TYPED, messages=[{"role": "user", "content": TYPED}]))["token"]
    await browser.types(f" {TYPED} ")
    await browser.says("edit", start=99, end=99, text=TYPED, length=3, composing=False)
    await browser.hears("resync")
    await browser.says("draft", text=TYPED * 500, composing=False)
    await browser.says("rewrite", keep=9, messages=[{"role": "user", "content": TYPED}])
    await browser.hears("error")
    return token


async def test_nothing_typed_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    # The libraries log frames at DEBUG, if somebody asks for it; `forefill web` leaves them at their WARNING.
    caplog.set_level(logging.INFO)
    headers = {"additional_headers": {"cookie": COOKIE}}
    async with (
        puppet() as (server, client),
        site(client, SessionOptions(before=[("system", SYSTEM)]), key=AccessKey(KEY)) as here,
    ):
        async with here.browser(**headers) as browser:
            token = await uses_everything(browser)
            await browser.says("submit", turn=1, text=TYPED)
            asked = await server.asked()
            await asked.begins(ANSWERED)
            await browser.hears("delta")
            await asked.wire.refuse(asked.event.seq, pb.ERROR_REASON_GENERATION_FAILED)
            await browser.hears("error")
            await browser.socket.send(json.dumps({"type": TYPED}))
            assert await browser.closed() == 1008
        async with here.browser(**headers) as browser:
            await browser.opens("", token)
            browser.socket.transport.abort()
    out, err = capfd.readouterr()
    logged = (caplog.text + out + err).lower()
    for secret in (TYPED, SYSTEM, ANSWERED, KEY, COOKIE.partition("=")[2], token.lower()):
        assert secret not in logged


async def test_a_defect_ends_its_own_conversation_and_its_place_is_logged_without_its_words(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Conversation, turn: int, text: str | None) -> None:
        raise KeyError(text)

    async with (
        puppet() as (server, client),
        site(client) as here,
        here.browser() as browser,
        here.browser() as other,
    ):
        await other.opens()
        await browser.opens()
        with monkeypatch.context() as patched:
            patched.setattr(Conversation, "_ask", broken)
            await browser.says("submit", turn=1, text=TYPED)
            error = await browser.hears("error")
        assert (error["reason"], error["continues"]) == ("INTERNAL", False)
        assert await browser.closed() == 1013
        await other.says("submit", turn=1, text="Count")
        await (await server.asked()).is_answered("One")
        await other.hears("finished")
    assert "KeyError" in caplog.text
    assert "in broken" in caplog.text
    assert TYPED not in caplog.text + json.dumps(error)


def test_a_defect_is_told_without_its_words() -> None:
    assert TYPED not in str(defect(ValueError(TYPED)))
