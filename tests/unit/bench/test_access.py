"""How `forefill demo` and `forefill bench` reach a server that asks for TLS and a key."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from forefill_bench import bench_command, commands, demo_command
from forefill_bench.bench_options import NOT_NAMED
from forefill_bench.demo_arms import DEMO_ARMS
from forefill_bench.live import servers
from forefill_bench.live.player import NaiveFlush
from forefill_client import InvalidRequest
from forefill_client.cli import main
from forefill_client.local_server import ServerNotStarted
from forefill_client.server_flags import ServerChoice
from forefill_service.engine import FakeEngine

from tests.support.keyed import KEY, Files, complaint
from tests.support.openai_endpoint import openai_endpoint
from tests.support.served import Served
from tests.support.still_clock import StillClock

QUICK = {
    "demo": ("--queries", "1"),
    "bench": ("--workloads", "context", "--queries", "1", "--arms", "typed,direct", "--direct", "http://127.0.0.1:1"),
}
"""A run of each command. No vLLM is at that address, which is known as soon as it is asked for its models."""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files.new(tmp_path)


@pytest.fixture
async def keyed(files: Files) -> AsyncIterator[Served]:
    """A server with TLS that asks for a key."""
    async with files.served(FakeEngine(context_tokens=16_384), callers=files.callers) as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for the typing."""
    for module in (demo_command, bench_command):
        monkeypatch.setattr(module, "Clock", lambda: StillClock(NaiveFlush.TASK_NAME))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commands that would have run."""
    kept: list[Any] = []

    async def run(command: Any) -> int:
        kept.append(command)
        return 0

    for module in (demo_command, bench_command):
        monkeypatch.setattr(module, "run", run)
    return kept


async def start(name: str, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    getattr(commands, name)(parser.add_subparsers())
    options = parser.parse_args([name, *arguments])
    status: int = await options.start(options)
    return status


@pytest.mark.usefixtures("at_once")
async def test_the_demo_gets_in_with_the_authority_and_the_key(
    keyed: Served, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    out = files.folder / "out.json"
    flags = (*files.with_authority, "--api-key-file", files / "key.txt", "--json", str(out))
    assert await start("demo", "--target", keyed.address, *flags, *QUICK["demo"]) == 0
    assert [entry["arm"] for entry in json.loads(out.read_text())["queries"]] == [*DEMO_ARMS]
    printed = capsys.readouterr()
    assert "forefill answers" in printed.out
    assert KEY not in out.read_text() + printed.out + printed.err


@pytest.mark.usefixtures("at_once")
async def test_the_benchmark_gets_in_at_both_of_its_servers(
    keyed: Served, files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREFILL_API_KEY", KEY)
    out = files.folder / "out.json"
    what = ("--arms", "typed,remote", "--workloads", "overhead,context", "--json", str(out))
    async with openai_endpoint() as direct:
        servers = ("--target", keyed.address, "--remote", keyed.address, "--direct", direct.url)
        reached = (*servers, *files.with_authority, "--metadata", f"x-note={KEY}")
        assert await start("bench", *QUICK["bench"], *what, *reached) == 0
    results, printed = json.loads(out.read_text()), capsys.readouterr()
    assert {row["arm"] for row in results["requests"]} == {"typed", "remote"}
    assert not [row["error"] for row in results["requests"] if row["error"]]
    assert KEY not in out.read_text() + printed.out + printed.err


@pytest.mark.parametrize("command", QUICK)
async def test_who_does_not_get_in_reads_what_forefill_type_says(command: str, keyed: Served, files: Files) -> None:
    cases: list[tuple[tuple[str, ...], str, str]] = [
        ((), KEY, "or it expects TLS"),
        (("--tls-ca", files / "other-ca.pem"), KEY, "its certificate is not trusted"),
        (files.with_authority, "", "--api-key-file or FOREFILL_API_KEY gives a token"),
        (files.with_authority, "an-old-key", "the key that was sent is that of FOREFILL_API_KEY"),
    ]

    async def lines(*arguments: str) -> list[str]:
        said = (complaint(*arguments, keyed.address, *tls, FOREFILL_API_KEY=key) for tls, key, _ in cases)
        return await asyncio.gather(*said)

    told = await lines(command, *QUICK[command], "--target")
    assert [expected for line, (_, _, expected) in zip(told, cases, strict=True) if expected not in line] == []
    for line, said_by_type in zip(told, await lines("type", "Hi", "--target"), strict=True):
        assert line.partition(" (")[0] == said_by_type.partition(" (")[0], "then come the words of gRPC, or advice"


async def test_a_refusal_of_the_server_in_front_of_vllm_is_known_before_anything_is_measured(
    keyed: Served, files: Files
) -> None:
    async with files.served() as target, openai_endpoint() as direct:
        line = await complaint(
            *("bench", *QUICK["bench"], "--workloads", "load", "--arms", "remote"),
            *("--target", target.address, "--remote", keyed.address, "--direct", direct.url, *files.with_authority),
            FOREFILL_API_KEY="an-old-key",
        )
        assert direct.asked == []
    assert line.startswith(f"forefill: {keyed.address}: no credentials came")


@pytest.mark.parametrize(("command", "name"), [("demo", "TARGET"), ("bench", "--target or --remote")])
@pytest.mark.parametrize(
    "flags", [("--tls",), ("--tls-ca", "ca.pem"), ("--api-key-file", "key.txt"), ("--metadata", "tenant=a")]
)
async def test_without_a_server_to_reach_there_is_nothing_to_say_how(
    command: str, name: str, flags: tuple[str, ...], asked: list[Any]
) -> None:
    with pytest.raises(InvalidRequest, match=f"are for a server that is named: give {name}, too"):
        await start(command, *flags)
    assert asked == []


async def test_a_server_that_the_benchmark_starts_gets_no_credentials(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREFILL_API_KEY", KEY)
    await start("bench")
    await start("bench", "--target", "a:1", "--tls", "--metadata", "tenant=a")
    await start("bench", "--remote", "b:1", "--tls", "--server-args", "--engine fake --served-model 'a b'")
    alone, target, remote = asked
    assert (alone.server, alone.remote) == (ServerChoice(NOT_NAMED), NOT_NAMED)
    assert target.remote is remote.server.access is NOT_NAMED
    assert remote.server.flags == ("--engine", "fake", "--served-model", "a b")
    assert remote.flags["server_args"] == "--engine fake --served-model 'a b'"
    for access, address in ((target.server.access, "a:1"), (remote.remote, "b:1")):
        assert (access.target, access.api_key) == (address, KEY)
        assert access.credentials is not None
    assert target.server.access.metadata == (("tenant", "a"),)
    assert KEY not in repr(asked)


async def test_the_demo_can_start_a_server_with_another_engine(asked: list[Any]) -> None:
    await start("demo", "--engine", "fake")
    [command] = asked
    assert (command.server.access.target, command.server.flags) == ("", ("--engine=fake",))
    with pytest.raises(InvalidRequest, match="leave them out, or TARGET"):
        await start("demo", "a:1", "--engine", "fake")


@pytest.mark.parametrize(("flag", "named_by"), [("--server-args", "--target"), ("--vllm-args", "--direct")])
async def test_arguments_of_a_server_that_is_not_started_are_refused(
    flag: str, named_by: str, asked: list[Any]
) -> None:
    with pytest.raises(InvalidRequest, match=f"{flag} is for a server that is started: leave it out, or {named_by}"):
        await start("bench", flag, "--seed 1", named_by, "http://a:1")
    await start("bench", flag, "--seed 1")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("flag", "words", "variable"),
    [
        ("--vllm-args", f"--dtype float32 --api-key {KEY}", "VLLM_API_KEY"),
        ("--vllm-args", f"--api_key={KEY}", "VLLM_API_KEY"),
        ("--server-args", f"--engine-api-key={KEY}", "FOREFILL_ENGINE_API_KEY"),
    ],
)
def test_a_credential_among_the_arguments_of_a_server_is_refused_since_results_hold_them(
    flag: str, words: str, variable: str, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", f"{flag}={words}"])
    err = capsys.readouterr().err
    assert caught.value.code == 2
    assert f"others can read a command line: set {variable} instead of" in err
    assert KEY not in err
    assert asked == []


@pytest.mark.usefixtures("at_once")
async def test_vllms_own_endpoint_may_ask_for_a_key(
    keyed: Served, files: Files, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREFILL_API_KEY", KEY)
    monkeypatch.setenv("VLLM_API_KEY", "a-key-of-vllm")
    started: list[dict[str, Any]] = []

    def local_server(_: Any, **how: Any) -> Any:
        started.append(how)
        raise ServerNotStarted("enough was seen")

    monkeypatch.setattr(servers, "local_server", local_server)
    out = files.folder / "out.json"
    async with openai_endpoint(key="a-key-of-vllm") as direct:
        reached = ("--target", keyed.address, *files.with_authority, "--direct", direct.url)
        run = ("bench", *QUICK["bench"], *reached, "--json", str(out))
        assert await start(*run, "--arms", "typed,direct") == 0
        with pytest.raises(ServerNotStarted):
            await start(*run, "--arms", "remote")
    rows, printed = json.loads(out.read_text())["requests"], capsys.readouterr()
    assert [row["error"] for row in rows if row["arm"] == "direct"] == [""]
    [how] = started
    assert how["environment"] == {"FOREFILL_ENGINE_API_KEY": "a-key-of-vllm"}
    assert "a-key-of-vllm" not in repr(how["command"]) + out.read_text() + printed.out + printed.err


async def test_the_key_of_vllm_is_not_in_what_is_shown_of_the_command(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", f" {KEY}\n")
    await start("bench")
    [command] = asked
    assert command.direct_key == KEY
    assert KEY not in repr(command) + repr(command.flags)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("a.example:8000", "give http://HOST:PORT or https://HOST:PORT, not 'a.example:8000'"),
        (f"http://me:{KEY}@a:1", "VLLM_API_KEY takes the API key"),
        (f"me:{KEY}@a:1", "VLLM_API_KEY takes the API key"),
    ],
)
def test_an_address_of_vllm_that_is_none_or_has_a_password_is_refused(
    url: str, told: str, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bench", "--direct", url])
    err = capsys.readouterr().err
    assert caught.value.code == 2
    assert told in err
    assert KEY not in err
    assert asked == []
