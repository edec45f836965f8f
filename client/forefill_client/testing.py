"""A forefill server in the process of a test, without a model: for the tests of an application.

With pytest, a test asks for `forefill_server`, a FakeServer of its own:

    def test_the_answer_is_shown(forefill_server):
        forefill_server.answer = "There are two."
        assert my_application.ask(forefill_server.address, "How many?") == "There are two."

    @pytest.mark.forefill_server(decode_speed=20, answer="one two three")  # what FakeServer takes
    async def test_the_stop_button(forefill_server): ...

The fixture comes with the package, and loads nothing until a test asks for it. Without pytest, or for a server that
many tests share:

    with FakeServer() as server, Client.connect(server.address) as client: ...
    async with FakeServer() as server, AsyncClient.connect(server.address) as client: ...

The server is the real one, on a free port of loopback, with an engine that makes up its answers. It needs the extra
`service`, but no vLLM. It runs in a thread of its own, so it serves tests with an event loop and without one.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, Protocol, Self, cast

from .portal import Portal

__all__ = ["FakeServer", "ServiceNotInstalled"]

ENTRY_POINTS = "forefill.testing"
"""The group of entry points in which the service is found, since the client imports nothing of it by name."""


class ServiceNotInstalled(ImportError):
    """Raised when a FakeServer is started where only the client is installed; the message says what to install."""


class _Service(Protocol):
    @property
    def address(self) -> str: ...

    def answer_with(self, text: str) -> None: ...
    def refuse_answers(self, count: int) -> None: ...
    def break_answers(self, count: int) -> None: ...
    def take_down(self, down: bool) -> None: ...


class FakeServer:
    """A forefill server without a model, in a thread of this process. A context manager, with and without async.

    Answers come as from a real server: word by word, stopped by `max_tokens` and `stop`, cancelled, resumed. Nothing is
    begun before submit unless you pass `pregeneration=True`, so that every run reports the same.

    Args:
        answer: Text of every answer; default: made-up words, the same for the same prompt.
        answer_tokens: Number of the made-up words.
        decode_speed: Words of an answer a second; 0 takes no time.
        prefill_speed: Tokens of a prompt a second; 0 takes no time.
        refuse_every: Refuse every Nth answer; 0 refuses none.
        break_every: Lose the engine in the middle of every Nth answer; 0 never does.
        flags: Other flags of forefill-server with their values, such as `max_draft_code_points=100`. What is not given
            has the server's default, whatever the environment says, but for `pregeneration`, and for `go_away_seconds`
            and `stop_grace_seconds`, which are 0.

    Raises:
        ServiceNotInstalled: When it is started without the extra `service`.
        TypeError: For a flag that has an argument of its own here; when it is started, for a name that is no flag.
        ValueError: When it is started with a bad value.
    """

    def __init__(
        self,
        *,
        answer: str = "",
        answer_tokens: int = 8,
        decode_speed: float = 0,
        prefill_speed: float = 0,
        refuse_every: int = 0,
        break_every: int = 0,
        **flags: Any,
    ) -> None:
        self._answer = answer
        ours = {
            "fake_answer_tokens": answer_tokens,
            "fake_decode_speed": decode_speed,
            "fake_prefill_speed": prefill_speed,
            "fake_refuse_every": refuse_every,
            "fake_break_every": break_every,
        }
        for name in sorted(flags.keys() & {"fake_answer", *ours}):
            raise TypeError(f"{name} is FakeServer's own: give it as {name.removeprefix('fake_')}")
        self._flags: dict[str, Any] = {"pregeneration": False, "go_away_seconds": 0, "stop_grace_seconds": 0}
        self._flags |= flags | ours
        self._portal: Portal | None = None
        self._stack = AsyncExitStack()
        self._running: _Service | None = None

    def __repr__(self) -> str:
        return f"<FakeServer at {self._running.address}>" if self._running else "<FakeServer, not running>"

    @property
    def address(self) -> str:
        """HOST:PORT, for `connect`. It stays the same after `stop` and `start`."""
        return self._service.address

    @property
    def answer(self) -> str:
        """Text of every answer that is begun from now on; "" for made-up words."""
        return self._answer

    @answer.setter
    def answer(self, text: str) -> None:
        self._answer = text
        if self._running:
            self._running.answer_with(text)

    def refuse_answers(self, count: int = 1) -> None:
        """Have the engine refuse the next `count` answers: GenerationFailed, and the session goes on."""
        self._service.refuse_answers(count)

    def break_answers(self, count: int = 1) -> None:
        """Have the engine be lost in the middle of the next `count` answers: GenerationInterrupted, then it is back."""
        self._service.break_answers(count)

    def take_engine_down(self) -> None:
        """Lose the engine: running answers break off, and new ones fail, until `bring_engine_up`."""
        self._service.take_down(True)

    def bring_engine_up(self) -> None:
        """Have the engine answer again."""
        self._service.take_down(False)

    def start(self) -> None:
        """Start the server; after `stop`, at the same address."""
        if self._running:
            raise RuntimeError("the server runs already")
        serve = _find_service()
        self._portal = Portal("forefill-server", lambda: RuntimeError("the server does not run"))
        try:
            self._running = self._portal.run(self._stack.enter_async_context(serve(self._flags)))
        except BaseException:
            self._portal.stop()
            raise
        self._running.answer_with(self._answer)
        self._flags["port"] = int(self.address.rpartition(":")[2])

    def stop(self) -> None:
        """Stop the server, and with it every session: ServerStopping, on which sessions go on at the next server."""
        if not self._running or not self._portal:
            return
        try:
            self._portal.run(self._stack.aclose())
        finally:
            self._running = None
            self._portal.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def _service(self) -> _Service:
        if self._running is None:
            raise RuntimeError("the server does not run: enter it with `with` or `async with`, or call start()")
        return self._running


class _Serve(Protocol):
    def __call__(self, flags: dict[str, Any], /) -> AbstractAsyncContextManager[_Service]: ...


def _find_service() -> _Serve:
    for found in entry_points(group=ENTRY_POINTS, name="fake_service"):
        try:
            return cast("_Serve", found.load())
        except ModuleNotFoundError as error:
            raise ServiceNotInstalled(
                f"FakeServer is a server, and {error.name} is not installed here: install forefill with its extra "
                "'service'"
            ) from error
    raise ServiceNotInstalled("FakeServer is not installed: install forefill with its extra 'service'")
