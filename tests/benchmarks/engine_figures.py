"""The figures of an engine that `forefill plan` wants, measured on the packaged model: real vLLM, nothing else running.

Two kinds of times are measured, each for several shapes, and the model of `forefill_bench.sim.steps` is fitted to their
medians by least squares of relative errors:

    the wait for one token     after a number of new tokens, behind a number of cached ones
    the gap between tokens     of a number of answers at the same time, each behind a number of cached tokens

    python tests/benchmarks/engine_figures.py [--rounds 3]

Prints every shape as measured and as fitted, and the flags.
"""

import argparse
import asyncio
import random
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

import numpy
from forefill_service.chat.generation import Sampling
from forefill_service.engine import Priority, Request
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.settings import Settings

WAITS: Final = ((32, 0), (128, 0), (512, 0), (1250, 0), (32, 512), (32, 1184), (256, 1024))
"""New tokens, behind cached ones."""
GAPS: Final = tuple((answers, behind) for behind in (64, 1216) for answers in (1, 2, 4, 8))
"""Answers at the same time, behind cached tokens each."""
ANSWER_TOKENS: Final = 48
BATCH_TOKENS: Final = 512
"""Most new tokens of a step, as forefill sets vLLM up on a CPU."""
NAMES: Final = ("overhead", "step", "token", "thousand pairs", "request", "thousand read")


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of measurement, and how often each term of the model is in it."""

    name: str
    terms: tuple[float, ...]


def wait_shape(new: int, behind: int) -> Shape:
    """Return the shape of a prompt, which is computed in chunks."""
    chunks = [(min(BATCH_TOKENS, new - done), behind + done) for done in range(0, new, BATCH_TOKENS)]
    pairs = sum(tokens * (before + tokens / 2) for tokens, before in chunks) / 1000
    read = sum(before for _, before in chunks) / 1000
    return Shape(f"wait, {new} new behind {behind}", (1, len(chunks), new, pairs, len(chunks), read))


def gap_shape(answers: int, behind: int) -> Shape:
    """Return the shape of a step in which each answer is half done."""
    before = (behind + ANSWER_TOKENS / 2) / 1000
    terms = (0, 1, answers, answers * before, answers, answers * before)
    return Shape(f"gap, {answers} behind {behind}", terms)


class Bench:
    """One engine, and prompts that it has not seen before."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        self.engine = engine
        self.random = random.Random(1)

    def prompt(self, tokens: int) -> list[int]:
        return [self.random.randrange(1000, 20000) for _ in range(tokens)]

    async def times(self, ids: list[int], tokens: int = 1) -> list[float]:
        """Return the instants of an answer's tokens, in milliseconds."""
        request = Request(ids, Sampling(max_tokens=tokens, temperature=1.0), Priority.GENERATION)
        return [time.perf_counter() * 1000 async for _ in self.engine.generate(request)]

    async def wait(self, new: int, behind: int) -> float:
        cached = self.prompt(behind)
        if cached:
            await self.times(cached)
        ids = [*cached, *self.prompt(new)]
        began_at = time.perf_counter() * 1000
        return (await self.times(ids))[0] - began_at

    async def gaps(self, answers: int, behind: int) -> list[float]:
        """Return the gaps while all of them run."""
        prompts = [self.prompt(behind) for _ in range(answers)]
        for prompt in prompts:
            await self.times(prompt)
        times = await asyncio.gather(*(self.times(prompt, ANSWER_TOKENS) for prompt in prompts))
        began_at, ended_at = max(one[0] for one in times), min(one[-1] for one in times)
        return [later - earlier for earlier, later in pairwise(times[0]) if began_at <= earlier and later <= ended_at]


async def measure(rounds: int) -> dict[Shape, float]:
    """Return each shape's median, in milliseconds; the shapes take turns."""
    engine = EmbeddedEngine.start(Settings())
    measured: dict[Shape, list[float]] = defaultdict(list)
    try:
        bench = Bench(engine)
        await bench.wait(BATCH_TOKENS, 0)  # the first is slow on any engine
        for _ in range(rounds):
            for new, behind in WAITS:
                measured[wait_shape(new, behind)].append(await bench.wait(new, behind))
            for answers, behind in GAPS:
                measured[gap_shape(answers, behind)] += await bench.gaps(answers, behind)
    finally:
        await engine.close()
    return {shape: median(values) for shape, values in measured.items()}


def report(measured: dict[Shape, float]) -> None:
    """Fit and print."""
    terms = numpy.array([shape.terms for shape in measured])
    values = numpy.array(list(measured.values()))
    fitted, *_ = numpy.linalg.lstsq(terms / values[:, None], numpy.ones(len(values)), rcond=None)
    print(f"{'':28}{'measured, ms':>14}{'fitted':>9}{'off':>7}")
    for shape, value, expected in zip(measured, values, terms @ fitted, strict=True):
        print(f"{shape.name:28}{value:14.1f}{expected:9.1f}{expected / value - 1:+7.0%}")
    print(", ".join(f"{name} {value:.3f} ms" for name, value in zip(NAMES, fitted, strict=True)))
    overhead, step, token, pairs, request, read = fitted
    print(
        f"--decode-ms {step + token + request:.1f} --prefill-tokens-per-second {1000 / token:.0f}"
        f" --attention-ms {pairs:.2f} --request-ms {request:.2f} --read-ms {read:.2f} --overhead-ms {overhead:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: %(default)s)")
    report(asyncio.run(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
