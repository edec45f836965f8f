"""The fuzzer: that its corpus is what the script makes, that it can fail, and a short run of it."""

import asyncio
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.errors import Reason, Refusal
from forefill_service.session import draft

from tests.fuzz.make_corpus import CORPUS, inputs
from tests.fuzz.mutator import mutated
from tests.fuzz.records import Record, joined, records_of
from tests.fuzz.stream import FuzzedStream
from tests.fuzz.vocabulary import ENDS_A_STREAM, SESSION_GOES_ON, is_documented

INPUTS = inputs()
SECONDS = int(os.environ.get("FOREFILL_FUZZ_SECONDS", "30"))
START_SECONDS = 60
ROOT = Path(__file__).parents[2]


def played(name: str) -> FuzzedStream:
    stream = FuzzedStream()
    stream.play(records_of(INPUTS[name]))
    return stream


def test_the_corpus_is_what_the_script_makes() -> None:
    assert {path.name: path.read_bytes() for path in CORPUS.iterdir()} == INPUTS


@pytest.mark.parametrize("name", INPUTS)
def test_all_holds_for_each_input_of_the_corpus(name: str) -> None:
    played(name)


def test_the_corpus_has_every_kind_of_event_and_every_reason() -> None:
    streams = [played(name) for name in INPUTS]
    kinds = {field.name for field in pb.KeystrokeEvent.DESCRIPTOR.oneofs_by_name["kind"].fields}
    assert set().union(*(stream.kinds for stream in streams)) >= kinds
    assert set().union(*(stream.reasons for stream in streams)) == SESSION_GOES_ON
    assert {stream.ended_by.reason for stream in streams if stream.ended_by} == ENDS_A_STREAM


def test_records_are_read_as_they_were_written() -> None:
    records = [Record(3, b""), Record(0, b"abc"), Record(255, b"x" * 300)]
    assert records_of(joined(records)) == records
    assert records_of(joined(records)[:-1])[-1] == Record(255, b"x" * 299), "the last message is cut short"


@pytest.mark.parametrize("seed", range(40))
def test_mutations_are_streams_again(seed: int) -> None:
    changed = mutated(INPUTS["turns"], 2048, seed, lambda data, size: data[::-1][:size])
    assert len(changed) <= 2048
    FuzzedStream().play(records_of(changed))


# --- it can fail


def test_an_edit_that_goes_wrong_is_found() -> None:
    def loses_a_character(text: str, edit: object) -> tuple[str, int]:
        return text[:-1], 0

    with mock.patch.object(draft, "edited", loses_a_character), pytest.raises(AssertionError):
        played("edits")


def test_words_of_an_exception_are_found() -> None:
    assert is_documented(Refusal(Reason.INVALID_OPEN, "tools has 300000 bytes, and 262144 are allowed"))
    assert not is_documented(Refusal(Reason.INVALID_OPEN, "'NoneType' object has no attribute 'x'"))
    assert not is_documented(Refusal(Reason.INVALID_TOOLS, "tools[0] is not JSON: Zyzzyva (character 3)"))


# --- the fuzzer itself


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: it has no wheel for this machine")
async def test_fuzzing_for_a_while_finds_nothing() -> None:
    # Without a limit of memory: Linux counts the peak of the process that starts another as that one's own, too.
    limits = f"-max_total_time={SECONDS}", "-rss_limit_mb=0"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.fuzz.bytes_to_session", *limits, "-print_final_stats=1"),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS + START_SECONDS):
            output = (await process.communicate())[0].decode(errors="replace")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output[-5000:]
    executed = re.search(r"number_of_executed_units:\s*(\d+)", output)
    assert executed is not None, output[-5000:]
    assert int(executed[1]) > len(INPUTS), "it has played more than the corpus"
