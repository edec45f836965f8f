"""Fuzzes the whole path from bytes to the session and back (`FuzzedStream`), guided by the coverage of the service.

    python -m tests.fuzz.bytes_to_session -max_total_time=600

All options of libFuzzer are taken. Inputs that reach something new are kept in build/fuzz/found, and one that fails in
build/fuzz: give its name to play it alone. It needs atheris, which has wheels for Linux on x86_64, Python 3.11 to 3.13.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["forefill_service"]):
    from tests.fuzz.stream import FuzzedStream

from tests.fuzz.make_corpus import CORPUS
from tests.fuzz.mutator import mutated
from tests.fuzz.records import records_of

BUILD = Path(__file__).parents[2] / "build" / "fuzz"
MOST_BYTES = 2048


def one_input(data: bytes) -> None:
    """Play one input; an exception ends the fuzzer with it."""
    FuzzedStream().play(records_of(data))


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    options = sys.argv[1:]
    if all(option.startswith("-") for option in options):  # no input and no corpus is named
        found = BUILD / "found"
        found.mkdir(parents=True, exist_ok=True)
        options = [f"-artifact_prefix={BUILD}/", f"-max_len={MOST_BYTES}", *options, str(found), str(CORPUS)]
    arguments = [sys.argv[0], *options]
    atheris.Setup(
        arguments,
        one_input,
        custom_mutator=lambda data, max_size, seed: mutated(data, max_size, seed, atheris.Mutate),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
