"""`forefill chat` as a command: its flags, what it refuses, and what `forefill` loads for it."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from forefill_chat import chat_command, extra
from forefill_chat.chat_command import ChatCommand
from forefill_chat.chat_flags import THEMES
from forefill_chat.commands import chat
from forefill_chat.terminal import themes
from forefill_client import ForefillError, InvalidRequest, Sampling
from forefill_client.keystrokes import TraceRecorder, write_trace

from tests.support.client_program import forefill, output


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[ChatCommand]:
    """The commands that would have run."""
    asked: list[ChatCommand] = []

    async def run(command: ChatCommand) -> int:
        asked.append(command)
        return 0

    monkeypatch.setattr(chat_command, "run", run)
    return asked


async def start(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    chat(parser.add_subparsers())
    options = parser.parse_args(["chat", *arguments])
    await options.start(options)


async def test_without_a_target_it_starts_a_server_of_its_own(commands: list[ChatCommand]) -> None:
    await start()
    await start("--engine", "fake")
    assert [(command.server.access.target, command.server.flags) for command in commands] == [
        ("", ()),
        ("", ("--engine=fake",)),
    ]


@pytest.mark.parametrize("target", [("llm.example.com:443",), ("--target", "llm.example.com:443")])
async def test_a_target_can_be_named_in_two_ways(commands: list[ChatCommand], target: tuple[str, ...]) -> None:
    await start(*target, "--metadata", "tenant=a")
    [command] = commands
    access = command.server.access
    assert (access.target, access.metadata) == ("llm.example.com:443", (("tenant", "a"),))


@pytest.mark.parametrize(
    "arguments",
    [
        ("a:1", "--target", "b:1"),
        ("a:1", "--engine", "fake"),
        ("--tls",),
        ("--metadata", "tenant=a"),
        ("--api-key-file", "key.txt"),
    ],
)
async def test_what_does_not_fit_together_is_refused(commands: list[ChatCommand], arguments: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        await start(*arguments)
    assert commands == []


async def test_the_other_flags(commands: list[ChatCommand], tmp_path: Path) -> None:
    recorder = TraceRecorder()
    recorder.change("Hi", 0)
    trace = recorder.submit(10)
    write_trace(tmp_path / "chat.jsonl", trace)
    await start(
        *("a:1", "--system", "Be brief.", "--max-tokens", "7", "--temperature", "0", "--record", "new.jsonl"),
        *("--replay", str(tmp_path / "chat.jsonl"), "--replay", str(tmp_path / "chat.jsonl"), "--speed", "2"),
        *("--theme", "light"),
    )
    [command] = commands
    assert (command.system, command.sampling) == ("Be brief.", Sampling(max_tokens=7, temperature=0))
    assert (command.record, command.replay, command.speed) == (Path("new.jsonl"), (trace, trace), 2)
    assert command.theme == "light"


def test_the_flags_name_every_theme() -> None:
    assert ("auto", *themes.NAMES) == THEMES


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "PACKAGES", ("rich", "no_such_package"))
    with pytest.raises(ForefillError, match=r"no_such_package not installed here: .* extra 'chat'"):
        await start()


def test_the_program_loads_nothing_of_the_extra_to_show_its_help() -> None:
    code = "import sys, forefill_chat.commands; print([name for name in ('textual', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_it_needs_a_terminal() -> None:
    code, out, err = await output(await forefill("chat", "127.0.0.1:1"))
    assert (code, out) == (1, "")
    assert err == "forefill: a chat needs a terminal: use forefill type in scripts\n"


async def test_its_help_explains_records_and_keys() -> None:
    code, out, _ = await output(await forefill("chat", "--help"))
    assert code == 0
    for words in ("--record", "--replay", "Shift+Enter", '{"at_ms": 142.6, "kind": "type", "text": "S"}'):
        assert words in " ".join(out.split())
