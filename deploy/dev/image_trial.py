"""Try images: image_trial.py TARGET=IMAGE ... prints a table, and fails if anything is not as it should be."""

# ruff: noqa: T201, S108 - it talks to people; its /tmp is that of the container
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from image_pod import PATIENCE_SECONDS, USER, Pod, inspected, pod, said_by, tell

TESTS = Path(__file__).resolve().parents[2] / "tests"
SENTENCE = "Show me all patients in cardiology"
FAKE = ("--engine", "fake", "--insecure")
MODELS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "forefill" / "models"
Seen = dict[str, float]
"""Seconds, by the columns of the table."""
EMBEDDED = ("--model", "/mnt", "--insecure")
ENGINES = ("torch", "triton", "vllm")
TOOLS = ("pip", "cc", "gcc", "g++", "make")

PROBE = """
import socket, sys, time
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

def serves():
    try:
        socket.create_connection(("127.0.0.1", 9465)).close()
    except OSError:
        return False
    with grpc.insecure_channel("127.0.0.1:9465") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service="startup"), timeout=10)
    return answer.status == health_pb2.HealthCheckResponse.SERVING

print("ready", flush=True)
sys.stdin.readline()
while not serves():
    time.sleep(0.01)
print(time.monotonic(), flush=True)
"""
"""Runs in the image, with its Python. It imports everything before the server starts, so as not to slow it."""

CONTENTS = """
import json, os, shutil, sys
from importlib.util import find_spec
engines, tools = json.loads(sys.argv[1])
print(json.dumps({
    "engines": [name for name in engines if find_spec(name)],
    "tools": [name for name in tools if shutil.which(name)],
    "user": os.getuid(),
    "read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
}))
"""

FAKE_VLLM = """
import asyncio, sys
sys.path.insert(0, "/mnt")
from forefill_service.chat.template import HfChat
from forefill_service.engine import FakeEngine
from support.fake_vllm import FakeVllm
from support.small_tokenizer import small_tokenizer
from support.templates import CHATML

async def main():
    tokenizer = small_tokenizer()
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained("/tmp/tokenizer")
    engine = FakeEngine()
    engine.chat = HfChat(tokenizer, CHATML)
    await FakeVllm(engine).start(8000)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
"""The server of our own tests that speaks vLLM's HTTP API without a model, in the image, with the image's packages."""

REMOTE = ("--engine", "remote", "--engine-url", "http://127.0.0.1:8000", "--model", "/tmp/tokenizer", "--insecure")

ROUTER = """
import sys, time, urllib.error, urllib.request
print("ready", flush=True)
sys.stdin.readline()
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:30000/liveness").close()
        break
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.01)
print(time.monotonic(), flush=True)
"""


def must(true: bool, otherwise: str) -> None:
    """Fail if it is not true."""
    if not true:
        raise RuntimeError(otherwise)


def seconds_to_serve(container: Pod, probe: str) -> float:
    """Let the container begin; return how long it takes until the probe, a script, succeeds inside."""
    waiting = container.start("python", "-c", probe)
    must(said_by(waiting) == "ready", "the probe does not run in the image")
    began = time.monotonic()
    container.go()
    tell(waiting)
    try:
        must(waiting.wait(PATIENCE_SECONDS) == 0, "the server has ended, or does not answer as it should")
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"it does not serve after {PATIENCE_SECONDS} s") from error
    return float(said_by(waiting)) - began


def type_a_sentence(container: Pod) -> None:
    """Type it at the server with the image's own client, and look at the answer."""
    said = json.loads(container.output_of("forefill", "type", SENTENCE, "--speed", "10", "--seed", "1", "--json"))
    must(said["text"] == SENTENCE and bool(said["answer"].strip()), f"no answer: {said}")


def look_inside(container: Pod, engines: tuple[str, ...]) -> None:
    """Check that of torch and vLLM the image has what it should, and nothing that builds packages."""
    found = json.loads(container.output_of("python", "-c", CONTENTS, json.dumps([ENGINES, TOOLS])))
    wanted = {"engines": list(engines), "tools": [], "user": USER, "read_only": True}
    must(found == wanted, f"the image has {found} instead of {wanted}")


@contextmanager
def copied(directory: Path) -> Iterator[str]:
    """Copy a directory to where the user of the images can read it, for the duration of the block."""
    with tempfile.TemporaryDirectory() as parent:
        copy = shutil.copytree(directory, Path(parent) / "copy")
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)
        yield str(copy)


def stop(container: Pod, status: int = 0) -> float:
    """End it with SIGTERM; return how long that took."""
    began = time.monotonic()
    ended = container.stop()
    must(ended == status, f"SIGTERM ended it with {ended} instead of {status}")
    return time.monotonic() - began


def try_fake(image: str, engines: tuple[str, ...]) -> Seen:
    """Serve the fake engine."""
    with pod(image, *FAKE) as container:
        started = seconds_to_serve(container, PROBE)
        look_inside(container, engines)
        type_a_sentence(container)
        return {"start": started, "stop": stop(container)}


def try_service(image: str) -> Seen:
    """Serve the fake engine, then stand in front of a server that speaks vLLM's API."""
    seen = try_fake(image, ())
    with pod(image, *REMOTE, shown={"/mnt": str(TESTS)}) as container:
        server = container.start("python", "-c", FAKE_VLLM)
        must(said_by(server) == "ready", "the fake vLLM server does not start")
        seen["with engine"] = seconds_to_serve(container, PROBE)
        type_a_sentence(container)
        stop(container)
    return seen


def try_cpu(image: str) -> Seen:
    """Serve the fake engine, then the packaged model, if `make setup` has unpacked it here."""
    seen = try_fake(image, ("torch", "vllm"))
    for config in MODELS.glob("*/config.json"):
        with copied(config.parent) as model, pod(image, *EMBEDDED, shown={"/mnt": model}) as container:
            seen["with engine"] = seconds_to_serve(container, PROBE)
            type_a_sentence(container)
            stop(container)
    return seen


def try_router(image: str) -> Seen:
    """Start without workers, and wait until it answers."""
    with pod(image, "--host", "127.0.0.1", "--port", "30000", "--worker-urls") as container:
        started = seconds_to_serve(container, ROUTER)
        look_inside(container, ())
        return {"start": started, "stop": stop(container)}


TRIALS: dict[str, Callable[[str], Seen]] = {"service": try_service, "cpu": try_cpu, "router": try_router}
COLUMNS = ("start", "with engine", "stop")


def row(target: str, image: str) -> str:
    """Try an image; return its row of the table."""
    seen = TRIALS[target](image)
    base, *added = (layer["size"] / 1e6 for layer in inspected(image)["layers"])
    times = "".join(f"{seen[name]:13.2f}" if name in seen else f"{'-':>13}" for name in COLUMNS)
    return f"{image:32}{sum(added):9.0f}{base:9.0f}{times}"


def main() -> None:
    """Try each image, and print the table."""
    rows = [row(*argument.split("=", 1)) for argument in sys.argv[1:]]
    print(f"{'':32}{'size, MB, and its base':>18}{'seconds to start':>18}{'with engine':>13}{'to stop':>13}")
    print(*rows, sep="\n")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        print(f"image_trial: {error}; the log is build/images.log")
        sys.exit(1)
