"""How `forefill type` reaches a server that asks for TLS and credentials, and what it says if it cannot."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from forefill_client import InvalidRequest
from forefill_client.access_flags import Access, access_from, add
from forefill_client.cli import main

from tests.support.client_program import forefill, output
from tests.support.keyed import KEY, Files, complaint
from tests.support.scripted_service import Wire, serving
from tests.support.served import Served
from tests.support.session_events import drain_opened

TYPE = ("type", "Show me all", "--speed", "100", "--seed", "1", "--max-tokens", "4", "--target")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.new(tmp_path)


@pytest.fixture
async def keyed(files: Files) -> AsyncIterator[Served]:
    """A server with TLS that asks for a key."""
    async with files.served(callers=files.callers) as server:
        yield server


def access(*arguments: str, **environment: str) -> Access:
    parser = argparse.ArgumentParser()
    add(parser)
    return access_from(parser.parse_args(arguments), environment)


async def answered(*arguments: str, **environment: str) -> None:
    code, out, err = await output(await forefill(*TYPE, *arguments, **environment))
    assert (code, err.startswith("fake: ")) == (0, True), err
    assert out.strip()


async def refused(*arguments: str, **environment: str) -> str:
    return await complaint(*TYPE, *arguments, **environment)


async def test_with_the_authority_and_the_key_it_gets_its_answer(keyed: Served, files: Files) -> None:
    tls = (keyed.address, *files.with_authority)
    await answered(*tls, "--api-key-file", files / "key.txt")
    await answered(*tls, FOREFILL_API_KEY=KEY)
    await answered(*tls, "--tls-server-name", "localhost", FOREFILL_API_KEY=KEY)


async def test_a_client_certificate_lets_it_in(files: Files) -> None:
    async with files.served(tls_client_ca=files.certificates.client_ca) as server:
        tls = (server.address, *files.with_authority)
        await answered(*tls, "--tls-cert", files / "mine.pem", "--tls-key", files / "mine.key")
        assert "expects TLS or a client certificate" in await refused(*tls)


async def test_who_is_not_known_reads_which_key_was_wrong_or_how_to_give_one(keyed: Served, files: Files) -> None:
    tls = (keyed.address, *files.with_authority)
    (files.folder / "old.txt").write_text("an-old-key")
    told = await asyncio.gather(
        refused(*tls, FOREFILL_API_KEY=""),
        refused(*tls, FOREFILL_API_KEY="an-old-key"),
        refused(*tls, "--api-key-file", files / "old.txt", FOREFILL_API_KEY=KEY),
    )
    assert all(line.startswith(f"forefill: {keyed.address}: no credentials came") for line in told)
    assert "--api-key-file or FOREFILL_API_KEY gives a token" in told[0]
    assert "the key that was sent is that of FOREFILL_API_KEY" in told[1]
    assert f"the key that was sent is that of {files / 'old.txt'}" in told[2]


async def test_tls_that_does_not_fit_says_what_would(keyed: Served, files: Files) -> None:
    async with serving(drain_opened) as plain:
        told = await asyncio.gather(
            refused(plain, "--tls"),
            refused(keyed.address),
            refused(keyed.address, "--tls"),
            refused(keyed.address, "--tls-ca", files / "other-ca.pem"),
            refused(keyed.address, *files.with_authority, "--tls-server-name", "else.where"),
        )
    assert "the server does not speak TLS: connect without TLS" in told[0]
    assert "or it expects TLS" in told[1]
    for line in told[2:4]:
        assert "its certificate is not trusted: name the authority that has signed it (tls= or --tls-ca)" in line
    assert "its certificate is for another name" in told[4]
    assert "--tls-server-name" in told[4]


async def test_metadata_arrives_and_the_key_as_authorization() -> None:
    got: dict[str, Any] = {}

    async def script(wire: Wire) -> None:
        got.update(dict(wire.metadata))
        await drain_opened(wire)

    async with serving(script) as address:
        flags = ("--target", address, "--metadata", "tenant=acme", "--metadata", "x-note=a=b")
        async with access(*flags, FOREFILL_API_KEY=f" {KEY}\n").connect() as client, client.session():
            pass
    assert (got["tenant"], got["x-note"], got["authorization"]) == ("acme", "a=b", f"Bearer {KEY}")


def test_without_flags_it_is_plain_text_to_this_machine() -> None:
    assert access() == Access(target="127.0.0.1:50051")


@pytest.mark.parametrize("flags", [("--tls",), ("--tls-server-name", "a.example")])
def test_any_flag_of_tls_turns_tls_on(flags: tuple[str, ...]) -> None:
    assert access(*flags).credentials is not None


def test_the_key_is_not_in_what_is_shown_of_it() -> None:
    assert KEY not in repr(access("--metadata", f"x-key={KEY}", FOREFILL_API_KEY=KEY))


def refusal(*arguments: str, **environment: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        access(*arguments, **environment)
    [line] = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("flag", ["--tls-ca", "--api-key-file"])
def test_a_file_that_is_not_there_is_named_with_its_flag(flag: str) -> None:
    assert (
        refusal(flag, "/no/file") == f"cannot read /no/file: No such file or directory: give {flag} a file that can"
        " be read"
    )


@pytest.mark.parametrize(("name", "flag"), [("mine.pem", "--tls-cert"), ("mine.key", "--tls-key")])
def test_a_certificate_needs_its_key_and_a_key_its_certificate(files: Files, name: str, flag: str) -> None:
    assert refusal(flag, files / name) == "give both --tls-cert and --tls-key, or neither"


def test_files_that_hold_something_else_are_refused_before_anything_is_sent(files: Files) -> None:
    own, key_file = ("--tls-cert", files / "mine.pem", "--tls-key"), files / "key.txt"
    assert refusal("--tls-ca", key_file).startswith(f"{key_file} holds no certificates: give --tls-ca a PEM file")
    assert "are not a certificate and its key" in refusal(*own, files / "key.pem")
    assert "are not a certificate and its key" in refusal(*own, key_file)
    assert "cannot read" in refusal(*own, files / "none.key")


def test_a_key_with_a_password_is_refused_without_asking_for_it(files: Files) -> None:
    key = load_pem_private_key((files.folder / "mine.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (files.folder / "locked.key").write_bytes(locked)
    told = refusal("--tls-cert", files / "mine.pem", "--tls-key", files / "locked.key")
    assert told.endswith("locked.key is encrypted: give --tls-key a key without a password")


@pytest.mark.parametrize("content", ["", "\n", "two\nlines", "schl\u00fcssel"])
def test_a_file_without_a_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "key.txt").write_text(content, encoding="utf-8")
    told = refusal("--api-key-file", str(tmp_path / "key.txt"))
    assert told == f"{tmp_path}/key.txt holds no API key: it must be one line of printable ASCII text"


def test_a_variable_that_holds_no_key_is_refused_and_not_shown() -> None:
    told = refusal(FOREFILL_API_KEY="two\nlines")
    assert told == "FOREFILL_API_KEY holds no API key: it must be one line of printable ASCII text"


@pytest.mark.parametrize(
    ("pair", "told"),
    [("tenant", "give KEY=VALUE, not 'tenant'"), ("authorization=Bearer x", "others can read a command line")],
)
def test_metadata_that_is_none_or_that_others_could_read_is_refused(
    pair: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["type", "x", "--metadata", pair])
    assert caught.value.code == 2
    assert told in capsys.readouterr().err
