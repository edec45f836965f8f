"""What the README shows is what a newcomer gets."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from forefill_client.keystrokes import SAMPLE_SCHEMA
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


async def test_the_sample_runs_and_prints_the_answer_and_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    [sample] = blocks("python")
    assert len(sample.split("async def main", 1)[1].strip().splitlines()) <= 16, "about ten lines of SDK"
    names: dict[str, object] = {}
    engine = FakeEngine()
    async with running_server([engine], Settings(port=0, metrics_port=-1)) as server:
        code = sample.replace("127.0.0.1:50051", server.address).replace("asyncio.run(main())", "")
        exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - our own README
        await names["main"]()  # type: ignore[operator]
    printed = capsys.readouterr().out
    answer = await _answer_of(engine)
    assert printed.startswith(answer)
    assert "tokens cached" in printed
    assert "warmed tokens used" in printed


async def _answer_of(engine: FakeEngine) -> str:
    chat, last = engine.chat_endpoint.chat, engine.requests[-1]
    asked = (ChatMessage("system", SAMPLE_SCHEMA), ChatMessage("user", "Show me all patients in cardiology"))
    whole = replace(last, prompt_ids=chat.encode(chat.render(Conversation(asked))), sampling=Sampling(max_tokens=24))
    return "".join([output.text async for output in engine.generate(whole)])


def test_every_make_target_it_names_exists() -> None:
    make_help = ["make", "help"]
    helped = subprocess.run(make_help, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout
    named = set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"it"}
    assert named
    for target in named:
        assert re.search(rf"^  {target}\b", helped, re.MULTILINE), target


@pytest.mark.parametrize("program", ["forefill type", "forefill-server"])
def test_every_flag_it_names_exists(program: str) -> None:
    lines = [line for block in blocks("console") for line in block.splitlines() if line.startswith(f"$ {program}")]
    flags = {flag for line in lines for flag in re.findall(r"--[a-z-]+", line)}
    assert flags
    module, *command = {
        "forefill type": ["forefill_client.cli", "type"],
        "forefill-server": ["forefill_service"],
    }[program]
    helped = subprocess.run(
        [sys.executable, "-m", module, *command, "--help"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert {flag for flag in flags if flag not in helped} == set()
