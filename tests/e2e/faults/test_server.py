"""A server that stops, or is killed, under users of the SDK: what they lose of what they typed and were answered."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trustme
from forefill_client import AsyncClient, Sampling, Session, SessionState

from tests.support.bad_network import BadNetwork, bad_network
from tests.support.certificates import Certificates
from tests.support.metrics_page import metrics
from tests.support.server_process import server_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from .conftest import Figure

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS = 60
ANSWER = " ".join(f"word{n}" for n in range(WORDS))
SECONDS_OF_AN_ANSWER = 3
FAKE = ("--engine", "fake", "--fake-answer", ANSWER, "--fake-decode-speed", str(WORDS / SECONDS_OF_AN_ANSWER))
TYPED = "Show me the name of each patient that was here."
KEY_SECONDS = 0.06
QUESTION = "How many patients are there?"


class Users:
    """Sessions behind one network, those that type and those that read an answer; `opened_at` is when one was open."""

    def __init__(self, sessions: Sequence[Session], opened_at: list[float]) -> None:
        self.typing, self.reading = sessions[::2], sessions[1::2]
        self._opened_at = opened_at

    def opened_after(self, moment: float) -> list[float]:
        """Return after how many seconds each stream since a moment was open."""
        return sorted(at - moment for at in self._opened_at if at > moment)

    @classmethod
    @asynccontextmanager
    async def behind(
        cls, network: BadNetwork, count: int, *, clients: int, tls: bool | bytes = False
    ) -> AsyncIterator[Users]:
        opened_at: list[float] = []

        def on_state(state: SessionState, _: object) -> None:
            if state is SessionState.OPEN:
                opened_at.append(time.monotonic())

        async with AsyncExitStack() as stack:
            connected = [
                await stack.enter_async_context(AsyncClient.connect(network.address, tls=tls)) for _ in range(clients)
            ]
            sessions = [
                await stack.enter_async_context(
                    connected[n % clients].session(
                        [("system", "Be brief.")], sampling=Sampling(temperature=0), on_state=on_state
                    )
                )
                for n in range(count)
            ]
            yield cls(sessions, opened_at)

    async def type_and_read(self, struck: asyncio.Event) -> tuple[list[str], list[int]]:
        """Have all of them at work, and say when they are; return the answers, and how often each went on elsewhere."""
        answers = [await session.submit(QUESTION) for session in self.reading]
        started = [aiter(answer) for answer in answers]
        for parts in started:
            await anext(parts)
        struck.set()
        await asyncio.gather(*map(self._types, self.typing))
        for answer in answers:
            await answer.text()
        return [answer.text_so_far for answer in answers], [answer.resumed for answer in answers]

    async def _types(self, session: Session) -> None:
        for key in TYPED:
            await session.type(key)
            await asyncio.sleep(KEY_SECONDS)

    async def nothing_typed_is_lost(self) -> None:
        """Check that the server's drafts are whole without having been sent again, and that all is answered."""
        for session in self.typing:
            assert session.draft == TYPED
            result = await session.flushed(await session.flush(len(TYPED)))
            assert result.confirmed_code_points == len(TYPED)
            assert session.repairs == 0
        answers = await asyncio.gather(*[_answer_to(session) for session in (*self.typing, *self.reading)])
        assert set(answers) == {ANSWER}


async def _answer_to(session: Session) -> str:
    return await (await session.submit(session.draft or QUESTION)).text()


async def test_a_drain_under_200_streams_loses_no_answer_and_no_key(figure: Figure) -> None:
    async with server_process(*FAKE) as first, server_process(*FAKE) as second:
        await asyncio.gather(first.listening(), second.listening())
        async with bad_network(first.address) as network, Users.behind(network, 200, clients=10) as users:
            at_work = asyncio.Event()
            work = asyncio.create_task(users.type_and_read(at_work))
            await at_work.wait()
            network.upstream = second.address
            first.send(signal.SIGTERM)
            struck = time.monotonic()
            status, stderr = await first.ended()
            ended = time.monotonic() - struck
            answers, resumed = await work
            await users.nothing_typed_is_lost()
            moved = users.opened_after(struck)
            errors = {
                name: count
                for name, count in (await metrics(await second.metrics_address())).items()
                if name.startswith("forefill_errors_total") and count
            }
    figure("sessions open elsewhere, median and last; exit", f"{moved[100]:.1f}, {moved[-1]:.1f}; {ended:.1f} s")
    assert len(moved) == 200
    # A server that ends resets connections with bytes that the network has not read yet, so a last word may have to be
    # said again elsewhere on a busy machine.
    assert set(answers) == {ANSWER}
    assert sum(resumed) <= len(resumed) // 20, "answers come from where they were begun"
    assert status == 0
    assert "Traceback" not in "".join(stderr)
    assert not errors


async def test_a_server_that_is_killed_loses_no_answer_and_no_key(figure: Figure) -> None:
    async with server_process(*FAKE) as first, server_process(*FAKE) as second:
        await asyncio.gather(first.listening(), second.listening())
        async with bad_network(first.address) as network, Users.behind(network, 40, clients=4) as users:
            at_work = asyncio.Event()
            work = asyncio.create_task(users.type_and_read(at_work))
            await at_work.wait()
            network.upstream = second.address
            first.send(signal.SIGKILL)
            struck = time.monotonic()
            answers, resumed = await work
            back = users.opened_after(struck)
            await users.nothing_typed_is_lost()
    figure("sessions open elsewhere, median and last", f"{back[20]:.2f}, {back[-1]:.2f} s")
    assert len(back) == 40
    assert (set(answers), set(resumed)) == ({ANSWER}, {1}), "every answer went on where it had broken off"


ROTATIONS = 20


async def test_certificates_that_are_rotated_under_load_end_no_stream_and_count_at_once(
    tmp_path: Path, figure: Figure
) -> None:
    files = Certificates.new(tmp_path)
    root = files.authority.cert_pem.bytes()
    flags = ("--tls-cert", str(files.cert), "--tls-key", str(files.key))
    async with server_process(*FAKE, *flags) as server:
        await server.listening()
        async with (
            bad_network(server.address) as network,
            Users.behind(network, 40, clients=4, tls=root) as users,
        ):
            at_work = asyncio.Event()
            work = asyncio.create_task(users.type_and_read(at_work))
            await at_work.wait()
            struck = time.monotonic()
            waits = [await _rotated(files, server.address) for _ in range(ROTATIONS)]
            still_at_work = not work.done()
            answers, resumed = await work
            await users.nothing_typed_is_lost()
            again = users.opened_after(struck)
    figure("a new certificate counts after, longest", f"{max(waits):.2f} s")
    assert still_at_work
    assert (set(answers), sum(resumed), again) == ({ANSWER}, 0, [])


async def _rotated(files: Certificates, address: str) -> float:
    """Renew the certificate under a new authority; return how long a session takes that trusts no other."""
    authority = trustme.CA()
    files.renew(authority)
    began = time.monotonic()
    async with AsyncClient.connect(address, tls=authority.cert_pem.bytes()) as client, client.session() as session:
        await session.type("Show ")
    return time.monotonic() - began
