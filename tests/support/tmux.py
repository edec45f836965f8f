"""A real terminal: tmux with a server of its own, which is gone after the test."""

import asyncio
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

WAIT_SECONDS = 60
POLL_SECONDS = 0.05


class Terminal:
    """One window of a tmux server that listens on a socket of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def run(self, *arguments: str) -> str:
        """Run a command of tmux, and return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *("tmux", "-S", str(self._socket), "-f", os.devnull, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise AssertionError(f"tmux {arguments[0]}: {err.decode()}")
        return out.decode()

    async def type(self, text: str) -> None:
        """Type characters, one after the other."""
        for char in text:
            await self.run("send-keys", "-l", char)

    async def press(self, *keys: str) -> None:
        """Press keys by tmux's names, such as Enter, C-c and M-Enter."""
        for key in keys:
            await self.run("send-keys", key)

    async def paste(self, text: str) -> None:
        """Paste, with brackets around it if the program asked for them."""
        await self.run("set-buffer", text)
        await self.run("paste-buffer", "-p")

    async def resize(self, columns: int, rows: int) -> None:
        await self.run("resize-window", "-x", str(columns), "-y", str(rows))

    async def screen(self) -> str:
        """Return what is on the screen, as text."""
        return await self.run("capture-pane", "-p")

    async def shows(self, text: str) -> str:
        """Wait until the screen has a text, and return the screen."""
        return await self.until(lambda screen: text in screen, text)

    async def answers(self) -> str:
        """Wait for the end of an answer of `forefill chat`, and return the screen."""
        return await self.until(re.compile(r"first token after .*· \d+ tokens").search, "the end of the answer")

    async def until(self, holds: Callable[[str], object], wanted: str) -> str:
        """Wait until something holds of the screen, and return it."""
        screen = ""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not holds(screen := await self.screen()):  # noqa: ASYNC110 (tmux tells nobody)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{wanted!r} did not come; on the screen:\n{screen}") from None
        return screen


@asynccontextmanager
async def terminal(*command: str, columns: int = 110, rows: int = 32, **environment: str) -> AsyncIterator[Terminal]:
    """Run a command in a new terminal for the time of the block; after it has ended, the screen says EXIT and its code.

    Skips the test without tmux; with CI=true, fails.
    """
    if shutil.which("tmux") is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("tmux is not installed")
    with tempfile.TemporaryDirectory(prefix="tmux-") as folder:
        window = Terminal(Path(folder) / "socket")
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8", **environment}
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        # A run of tests exports the size of its own terminal, which a program believes more than the terminal it is in.
        unset = "-u NO_COLOR -u COLUMNS -u LINES"
        line = f"env {unset} {settings} {shlex.join(command)}; echo EXIT $?; exec sleep {10 * WAIT_SECONDS}"
        await window.run("-u", "new-session", "-d", "-x", str(columns), "-y", str(rows), line)
        try:
            yield window
        finally:
            await window.run("kill-server")
