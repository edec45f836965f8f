"""`forefill chat`: a server if none is named, a client, a chat, and the app that shows it."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forefill_client import AsyncClient, ForefillError, Resume, Sampling
from forefill_client.keystrokes import Trace
from forefill_client.server_flags import ServerChoice
from forefill_client.terminal import Terminal
from rich.console import Console

from .terminal.app import ChatApp
from .terminal.chat import Chat
from .terminal.replaying import Replay
from .terminal.themes import theme_for
from .terminal.turn_traces import TurnTraces

RESUME: Final = Resume(seconds=300.0)
"""A person who waits for a server to come back is told so meanwhile, and has time."""


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """The options of the chat."""

    server: ServerChoice
    system: str | None
    sampling: Sampling
    record: Path | None
    replay: tuple[Trace, ...]
    speed: float
    theme: str


async def run(command: ChatCommand) -> int:
    """Chat until the user quits, and return the exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ForefillError("a chat needs a terminal: use forefill type in scripts")
    if command.record is not None:
        command.record.parent.stat()  # a folder that is not there is better known now than at the first key
    with Terminal() as terminal:
        async with command.server.running(terminal) as access:
            with access.explaining():
                async with access.connect(RESUME) as client:
                    await _chat(client, command, terminal)
    return 0


async def _chat(client: AsyncClient, command: ChatCommand, terminal: Terminal) -> None:
    terminal.draw("opening the chat")
    chat = Chat(
        client,
        system=command.system,
        sampling=command.sampling,
        record=TurnTraces(command.record) if command.record is not None else None,
    )
    opened = asyncio.Event()
    running = asyncio.create_task(chat.run(opened.set))
    try:
        await _opened(opened, running)
        terminal.clear()
        await ChatApp(chat, theme=_theme(command.theme), replayed=Replay(command.replay, command.speed)).run_async()
        _go_on_unless_stopped()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _opened(opened: asyncio.Event, running: "asyncio.Task[None]") -> None:
    """Wait until the first session is open, or raise why it cannot be."""
    waiting = asyncio.create_task(opened.wait())
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()


def _go_on_unless_stopped() -> None:
    """Raise the cancellation that a signal asked for, since Textual takes it as the app's end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _theme(name: str) -> str:
    return theme_for(Console()._color_system, os.environ) if name == "auto" else name
