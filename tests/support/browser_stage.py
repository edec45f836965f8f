"""All that a browser test needs but the browser: a server, a witness, a bridge, a bad network, and a control panel.

    browser -> bad network -> forefill web -> witness -> forefill-server

The control panel is a small HTTP server, by which a test in Node sees what reached the server, breaks the network, and
kills the bridge. It also serves tests/browser/fixtures, pages of another origin that the bridge allows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web
from forefill_client import ChatMessage

from .bad_network import BadNetwork, bad_network
from .bridge_process import BridgeProcess, bridge_process, free_port
from .fake_answers import answer_of
from .server_process import server_process
from .submit_witness import SubmitWitness, submit_witness

REPOSITORY = Path(__file__).parents[2]
FIXTURES = REPOSITORY / "tests" / "browser" / "fixtures"
MODULE = REPOSITORY / "client" / "forefill_web" / "npm"
SYSTEM = "You write SQL for a clinic."
NOWHERE = "127.0.0.1:1"
"""Connections to it are refused."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How the server answers in the tests of one file."""

    answer_tokens: int = 8
    tokens_a_second: float = 0
    prompt_tokens_a_second: float = 0
    answer: str = ""
    system: str = SYSTEM
    bridge_flags: tuple[str, ...] = ()

    @property
    def server_flags(self) -> tuple[str, ...]:
        return (
            *("--engine", "fake", "--log-level", "error"),
            *("--fake-answer-tokens", str(self.answer_tokens), "--fake-decode-speed", str(self.tokens_a_second)),
            *("--fake-prefill-speed", str(self.prompt_tokens_a_second)),
            *(("--fake-answer", self.answer) if self.answer else ()),
        )


@dataclass(slots=True)
class Stage:
    """What is between the browser and the server; `panel` is the control panel's address."""

    scene: Scene
    witness: SubmitWitness
    bridge: BridgeProcess
    network: BadNetwork
    panel: str

    @property
    def page(self) -> str:
        return f"http://{self.network.address}"

    async def record(self, _: web.Request) -> web.Response:
        """What each stream to the server has done, and what the bridge has logged."""
        return web.json_response({"streams": [asdict(s) for s in self.witness.streams], "log": self.bridge.log})

    async def expected(self, request: web.Request) -> web.Response:
        """The answer to the messages of the body, after the bridge's system prompt."""
        messages = [
            ChatMessage("system", self.scene.system),
            *(ChatMessage(**message) for message in await request.json()),
        ]
        return web.json_response(self.scene.answer or answer_of(messages, self.scene.answer_tokens))

    async def order(self, request: web.Request) -> web.Response:
        """Do something to the network or to the bridge."""
        orders: dict[str, Callable[[], Awaitable[None]]] = {
            "cut": self._cut,
            "down": self._down,
            "up": self._up,
            "kill-bridge": self.bridge.kill,
            "stop-bridge": self.bridge.stop,
            "start-bridge": self.bridge.start,
        }
        await orders[request.match_info["what"]]()
        return web.json_response(None)

    async def _cut(self) -> None:
        self.network.cuts()

    async def _down(self) -> None:
        self.network.upstream = NOWHERE
        self.network.cuts()

    async def _up(self) -> None:
        self.network.upstream = self.bridge.address


@asynccontextmanager
async def stage(scene: Scene) -> AsyncIterator[Stage]:
    """Set everything up within the block."""
    async with server_process(*scene.server_flags) as server:
        await server.listening()
        async with stage_before(server.address, scene) as ready:
            yield ready


@asynccontextmanager
async def stage_before(server: str, scene: Scene) -> AsyncIterator[Stage]:
    """Set up what is between a browser and the server at HOST:PORT, which answers as it likes."""
    port = free_port()
    panel = f"http://127.0.0.1:{port}"
    flags = ("--system", scene.system, "--allow-origin", panel, *scene.bridge_flags)
    async with AsyncExitStack() as stack:
        witness = await stack.enter_async_context(submit_witness(server))
        bridge = await stack.enter_async_context(bridge_process("--target", witness.address, *flags))
        network = await stack.enter_async_context(bad_network(bridge.address))
        ready = Stage(scene, witness, bridge, network, panel)
        runner = web.AppRunner(application_of(ready))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield ready


def application_of(stage: Stage) -> web.Application:
    """Make the control panel."""
    application = web.Application()
    application.add_routes(
        [
            web.get("/record", stage.record),
            web.post("/expected", stage.expected),
            web.post("/order/{what}", stage.order),
            web.static("/forefill", MODULE),
            web.static("/fixtures", FIXTURES),
        ]
    )
    return application
