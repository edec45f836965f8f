"""One greedy caller against all others: what it costs them, with every limit at its default.

A server process on the fake engine asks for API keys. Eight typists of one caller type, flush after each word and press
Enter, in a process of their own. Meanwhile another caller does one thing as hard as a process can, or all of them. The
same attack on another server on this machine shows what is the machine's share: two cores serve all these processes.

    python -m tests.benchmarks.greedy_caller [--seconds 10] [--rounds 3] [--only keys,stalls] [flags of the servers]
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_bench.report.spread import percentile
from forefill_service.access.callers_file import hash_of

from tests.support.server_process import server_process
from tests.support.wire import Typist

TYPISTS = 8
WORDS = 12
WORD_SECONDS = 0.15
MOST_CODE_POINTS = 65_536
ODD = "".join(chr(0x4E00 + number % 2000) for number in range(MOST_CODE_POINTS - 100))
SYSTEM = pb.ChatMessage(role="system", content="You write SQL for a clinic. " * 20)


def _call(channel: grpc.aio.Channel, key: str) -> Any:
    return KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(("authorization", f"Bearer {key}")))


async def _opened(channel: grpc.aio.Channel, key: str) -> Typist:
    typist = Typist(_call(channel, key))
    await typist.call.write(pb.ComposeRequest(open=pb.Open(messages=[SYSTEM])))
    await typist.read()
    return typist


# --- the typists


async def typing(address: str, seconds: float) -> tuple[list[float], list[float]]:
    """Have the typists type; return how long FLUSHes took, and first tokens, in seconds."""
    flushes: list[float] = []
    tokens: list[float] = []
    until = time.monotonic() + seconds

    async def one(channel: grpc.aio.Channel, seed: int) -> None:
        pick = random.Random(seed)
        while time.monotonic() < until:
            typist = await _opened(channel, "typist")
            for _ in range(WORDS):
                await asyncio.sleep(WORD_SECONDS * pick.uniform(0.5, 1.5))
                await typist.type(f"word{pick.randrange(1000)} ")
                began = time.monotonic()
                await typist.flush()
                flushes.append(time.monotonic() - began)
            began = time.monotonic()
            await typist.send_submit()
            while not (await typist.read()).HasField("generation_started"):
                pass
            tokens.append(time.monotonic() - began)
            await typist.answer()
            await typist.end()

    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as group:
        for seed in range(TYPISTS):
            group.create_task(one(channel, seed))
    return flushes, tokens


# --- the attacks: each is one task, of which several run; what ends it, it begins again


async def opens(channel: grpc.aio.Channel, key: str) -> None:
    """Open sessions and cut them at once."""
    call = _call(channel, key)
    await call.write(pb.ComposeRequest(open=pb.Open(messages=[SYSTEM])))
    await call.read()
    call.cancel()


async def holds(channel: grpc.aio.Channel, key: str) -> None:
    """Open sessions and keep them, saying nothing more."""
    await _opened(channel, key)
    await asyncio.sleep(60)


async def silent(channel: grpc.aio.Channel, key: str) -> None:
    """Open streams and send nothing."""
    await _call(channel, key).read()


async def keys(channel: grpc.aio.Channel, key: str) -> None:
    """Type as fast as the server takes it."""
    typist = await _opened(channel, key)
    while True:
        await typist.type("a")
        await typist.delete(1)


async def words(channel: grpc.aio.Channel, key: str) -> None:
    """Flush a short draft after each word, as fast as it goes."""
    typist = await _opened(channel, key)
    while True:
        for _ in range(20):
            await typist.type("word ")
            await typist.flush()
        await typist.delete(100)


async def flushes(channel: grpc.aio.Channel, key: str) -> None:
    """Flush the longest draft of letters that no boundary parts, as fast as it goes."""
    typist = await _opened(channel, key)
    await typist.type(ODD)
    while True:
        await typist.type("b")
        await typist.send_flush()
        await typist.delete(1)


async def pastes(channel: grpc.aio.Channel, key: str) -> None:
    """Replace the whole draft by another of the greatest length, and flush it."""
    typist = await _opened(channel, key)
    while True:
        await typist.replace(0, len(typist.draft), str(random.random()) + ODD)
        await typist.flush()


async def stalls(channel: grpc.aio.Channel, key: str) -> None:
    """Press Enter again and again, and read nothing."""
    typist = await _opened(channel, key)
    while True:
        await typist.send_submit("a")
        await typist.event(cancel=pb.Cancel())


ATTACKS: dict[str, Callable[[grpc.aio.Channel, str], Awaitable[None]]] = {
    attack.__name__: attack for attack in (opens, holds, silent, keys, words, flushes, pastes, stalls)
}
TASKS = 12


async def attack(address: str, names: list[str]) -> None:
    """Attack until the process is ended."""

    async def again(channel: grpc.aio.Channel, name: str) -> None:
        while True:
            with contextlib.suppress(
                grpc.aio.AioRpcError, grpc.aio.UsageError, AssertionError, asyncio.InvalidStateError
            ):
                await ATTACKS[name](channel, "greedy")
            await asyncio.sleep(0.001)

    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as group:
        for name in names:
            for _ in range(TASKS if name != "holds" else 600):
                group.create_task(again(channel, name))


@asynccontextmanager
async def attacked(address: str, names: str) -> AsyncIterator[None]:
    """Have another process attack a server within the block, at a lower priority than all others."""
    command = ("nice", "-n", "10", sys.executable, "-m", __spec__.name, "--attack", names, "--at", address)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await asyncio.sleep(2)
        yield
    finally:
        process.kill()
        await process.wait()


async def measure(seconds: float, rounds: int, attacks: list[str], flags: list[str]) -> None:
    """Print a table: each attack, and how long the typists waited, beside it and under it."""
    with tempfile.TemporaryDirectory() as folder:
        callers = Path(folder) / "callers.toml"
        entries = (f'[[caller]]\nname = "{key}"\nkey_sha256 = "{hash_of(key)}"\n' for key in ("typist", "greedy"))
        callers.write_text("".join(entries))
        flags = ["--engine", "fake", "--log-level", "error", "--callers", str(callers), *flags]
        async with AsyncExitStack() as stack:
            server, other = [await stack.enter_async_context(server_process(*flags)) for _ in range(2)]
            for each in (server, other):
                await each.listening()
            await typing(server.address, 2)
            print("attack | on | FLUSH p50, p95, worst ms | first token p50, p95, worst ms")
            _report("none", "-", *await typing(server.address, seconds))
            for names in attacks:
                waits: dict[str, tuple[list[float], list[float]]] = {}
                for _ in range(rounds):  # in turn, because the machine has other work, too
                    for on, address in (("another server", other.address), ("this server", server.address)):
                        async with attacked(address, names):
                            measured = await typing(server.address, seconds)
                        for all_of_them, new in zip(waits.setdefault(on, ([], [])), measured, strict=True):
                            all_of_them += new
                for on, (flush_waits, token_waits) in waits.items():
                    _report("all" if "," in names else names, on, flush_waits, token_waits)


def _report(name: str, on: str, flushes: list[float], tokens: list[float]) -> None:
    def told(waits: list[float]) -> str:
        return ", ".join(f"{1000 * percentile(waits, share):.1f}" for share in (0.5, 0.95, 1))

    print(f"{name} | {on} | {told(flushes)} | {told(tokens)}", flush=True)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long each row is measured in a round")
    parser.add_argument("--rounds", type=int, default=3, help="how often each row is measured, in turn with its pair")
    parser.add_argument("--only", default="", help="the attacks to measure (default: each, and all at once)")
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("--at", help=argparse.SUPPRESS)
    given, flags = parser.parse_known_args()
    if given.attack:
        asyncio.run(attack(given.at, given.attack.split(",")))
    else:
        every = ",".join(ATTACKS)
        attacks = [every if name == "all" else name for name in (given.only or f"{every},all").split(",")]
        asyncio.run(measure(given.seconds, given.rounds, attacks, flags))


if __name__ == "__main__":
    main()
