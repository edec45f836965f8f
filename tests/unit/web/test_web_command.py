"""`forefill web` as a user runs it: flags, the address that it prints, signals, an exit status."""

import argparse
import asyncio
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from forefill_client import InvalidRequest
from forefill_client.testing import FakeServer
from forefill_web.commands import web
from forefill_web.web_command import LISTENING, WebCommand, command_from

from tests.support.browser import Site
from tests.support.certificates import Certificates

START_SECONDS = 60


def command(*arguments: str) -> WebCommand:
    parser = argparse.ArgumentParser()
    web(parser.add_subparsers())
    return command_from(parser.parse_args(["web", *arguments]))


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run the command on a free port; yields it and its address once it listens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forefill_client.cli", "web", "--port", "0", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode()
        if not line.startswith(LISTENING):
            raise AssertionError((await process.communicate())[1].decode())
        yield process, line.removeprefix(LISTENING).strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_beside_a_server_it_serves_the_socket_and_stops_in_good_order() -> None:
    async with (
        FakeServer(answer="There are two.") as server,
        running(server.address, "--system", "You count.") as (process, url),
    ):
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/health")).text == "ok"
        async with Site(url).browser() as browser:
            opened = await browser.opens()
            assert opened["base_prompt_tokens"] > 0
            assert opened["messages"] == []
            await browser.types("How many?")
            await browser.submits(1)
            told = await browser.hears_all("finished")
            assert "".join(one.get("text", "") for one in told if one["type"] == "delta") == "There are two."
            process.send_signal(signal.SIGTERM)
            assert await browser.closed() == 1012
        out, err = await process.communicate()
        assert (process.returncode, out, err) == (143, b"", b"")


async def test_without_a_server_it_starts_one_and_stops_it_again() -> None:
    async with running("--engine", "fake") as (process, url):
        async with Site(url).browser() as browser:
            assert (await browser.opens())["model"] == "fake"
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert process.returncode == 130
        assert b"starting forefill-server" in err


async def test_for_others_it_speaks_tls_and_asks_for_the_key(tmp_path: Path) -> None:
    certificates = Certificates.new(tmp_path)
    (tmp_path / "key.txt").write_text("a key that nobody guesses")
    flags = [
        *("--host", "0.0.0.0", "--listen-cert", str(certificates.cert), "--listen-key", str(certificates.key)),  # noqa: S104
        *("--access-key-file", str(tmp_path / "key.txt")),
    ]
    trusted = ssl.create_default_context(cadata=certificates.authority.cert_pem.bytes().decode())
    async with FakeServer() as server, running(server.address, *flags) as (_, url):
        url = url.replace("0.0.0.0", "localhost")  # noqa: S104
        assert url.startswith("https://")
        async with httpx.AsyncClient(base_url=url, verify=trusted) as client:
            assert (await client.get("/")).status_code == 303
            response = await client.get("/enter", params={"key": "a key that nobody guesses"})
            cookie = response.headers["set-cookie"].partition(";")[0]
        async with Site(url).browser(ssl=trusted, additional_headers={"cookie": cookie}) as browser:
            await browser.opens()


async def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(AssertionError, match=r"forefill: .*127\.0\.0\.1:9"):
        async with running("127.0.0.1:9"):
            pass


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["127.0.0.1:1", "--target", "127.0.0.1:2"], "address once: as TARGET or as --target"),
        (["127.0.0.1:1", "--engine", "fake"], "leave them out, or TARGET"),
        (["--host", "0.0.0.0"], "--listen-cert, --listen-key and --access-key-file, or --insecure"),  # noqa: S104
        (["--host", "chat.example.com"], "is reached from other machines"),
        (["--listen-cert", "x.pem"], "both --listen-cert and --listen-key"),
    ],
)
def test_flags_that_do_not_fit_or_are_not_safe_are_refused(flags: list[str], complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(complaint)):
        command(*flags)


def test_beyond_loopback_each_of_certificate_and_key_is_needed(tmp_path: Path) -> None:
    certificates = Certificates.new(tmp_path)
    (tmp_path / "key.txt").write_text("a key that nobody guesses")
    everywhere = ["--host", "::"]
    tls = ["--listen-cert", str(certificates.cert), "--listen-key", str(certificates.key)]
    key = ["--access-key-file", str(tmp_path / "key.txt")]
    for unsafe in (tls, key):
        with pytest.raises(InvalidRequest):
            command(*everywhere, *unsafe)
    assert command(*everywhere, *tls, *key).listening.scheme == "https"
    assert command(*everywhere, "--insecure").listening.scheme == "http"
    swapped = ["--listen-cert", str(certificates.key), "--listen-key", str(certificates.cert)]
    with pytest.raises(InvalidRequest, match="do not hold a certificate and its key"):
        command(*swapped)


def test_it_is_called_by_the_address_that_it_listens_on_but_not_by_every_one() -> None:
    assert command("--host", "127.0.0.2", "--host-name", "chat.example.com").host_names == (
        "127.0.0.2",
        "chat.example.com",
    )
    assert command("--host", "0.0.0.0", "--insecure").host_names == ()  # noqa: S104


def test_help_needs_none_of_the_packages_of_the_extra() -> None:
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['starlette', 'uvicorn', 'websockets'])); "
        "from forefill_web.commands import web; import argparse; "
        "parser = argparse.ArgumentParser(); web(parser.add_subparsers()); print(parser.parse_args(['web']).port)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("8080\n", "")


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from forefill_client import ForefillError
    from forefill_web import extra

    monkeypatch.setattr(extra, "PACKAGES", (*extra.PACKAGES, "no_such_package"))
    with pytest.raises(
        ForefillError, match="no_such_package not installed here: install forefill with its extra 'web'"
    ):
        extra.check_extra()


def test_the_public_names_are_there() -> None:
    import forefill_web

    assert sorted(forefill_web.__all__) == ["Bridge", "BridgeLimits", "SessionOptions"]
    assert all(getattr(forefill_web, name).__doc__ for name in forefill_web.__all__)
    with pytest.raises(AttributeError):
        _: Any = forefill_web.nothing
