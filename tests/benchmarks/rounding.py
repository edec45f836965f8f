"""How often a greedy answer depends on how its prompt was computed: real vLLM, the packaged model.

Each question is asked behind the schema of a database, greedily, in several ways, and compared with the first:

    cold              the whole prompt in one go (in steps of the engine's own budget, 512 tokens on a CPU)
    cold again        the same once more
    2 at once         the same, together with another question in one batch
    static            the base prompt beforehand in one go, the rest with the answer
    pieces of N       the base prompt beforehand in pieces of N tokens, then the question in pieces of at most N
    base whole, N     the base prompt beforehand in one go, then the question in pieces of N

With `--at-once N`, N questions are asked in one batch in all ways but the first, which is faster; a way then differs
from cold in its batch, too. All warms are whole cache blocks, as forefill sends them. Questions come in groups that
share a base prompt, which each way computes once for the group.

Two answers differ at the first token that is another one; until there both have the same ids before it. The tie is the
distance between the log-probabilities of these two tokens, in nats, as the cold run computed them. The last two columns
compare the log-probabilities of the five likeliest first tokens with those of the cold run: in how many cases they are
the same bit by bit, and the largest difference.

    python -m tests.benchmarks.rounding [--dtype float32] [--questions 200] [--data FILE ...] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from itertools import count, cycle, islice
from pathlib import Path
from random import Random
from typing import Any, Final

from forefill_bench.typing.texts import INSTRUCTIONS, question
from forefill_client.keystrokes import SAMPLE_SCHEMA
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.token_ids import common_length
from forefill_service.engine import warm
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.settings import Settings

GROUP: Final = 8
"""Questions that share a base prompt."""
LIKELIEST: Final = 5
"""Tokens whose log-probabilities are kept at each position."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of computing a prompt; None for a piece: in one go, for `rest` with the answer.

    `beforehand` says whether anything is computed before the question is asked, and `at_once` how many questions are
    asked at the same time.
    """

    beforehand: bool = False
    base: int | None = None
    rest: int | None = None
    at_once: int = 1


def ways(pieces: Sequence[int], at_once: int) -> dict[str, Way]:
    """Return the ways to compare, by name; the first is what the others are compared with."""
    least, many = min(pieces), max(2, at_once)
    again = {"cold again": Way()} if at_once == 1 else {}
    cold = {"cold": Way(), **again, f"{many} at once": Way(at_once=many)}
    static = {"static": Way(beforehand=True, at_once=at_once)}
    typed = {f"pieces of {size}": Way(beforehand=True, base=size, rest=size, at_once=at_once) for size in pieces}
    return cold | static | typed | {f"base whole, {least}": Way(beforehand=True, rest=least, at_once=at_once)}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as ids. The base prompt, and what no further typing can change, are counted in whole blocks."""

    text: str
    ids: list[int]
    base_tokens: int
    stable_tokens: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A greedy answer, and the log-probabilities of the likeliest tokens at each of its positions."""

    ids: tuple[int, ...]
    likely: tuple[dict[int, float], ...]

    def tie(self, at: int, other: int) -> float | None:
        """Return by how much its own token at a position is likelier than another; None if that is not a likely one."""
        there = self.likely[at]
        return there[self.ids[at]] - there[other] if other in there else None


@dataclass(frozen=True, slots=True)
class Compared:
    """An answer against the cold one: the first token that is another (None: all are the same), and how near it was."""

    differs_at: int | None
    tie_by_cold: float | None
    tie_by_this: float | None
    first_token_same_bits: bool
    first_token_largest_difference: float


def compared(cold: Answer, other: Answer) -> Compared:
    """Compare an answer with the cold one."""
    same = common_length(cold.ids, other.ids)
    differs = same < max(len(cold.ids), len(other.ids))
    first, again = cold.likely[0], other.likely[0]
    off = [abs(value - again[token]) for token, value in first.items() if token in again]
    return Compared(
        differs_at=same if differs else None,
        tie_by_cold=cold.tie(same, other.ids[same]) if differs else None,
        tie_by_this=other.tie(same, cold.ids[same]) if differs else None,
        first_token_same_bits=first == again,
        first_token_largest_difference=max(off, default=float("inf")),
    )


class Bench:
    """One engine, and cache salts that it has not seen before."""

    def __init__(self, engine: EmbeddedEngine, answer_tokens: int) -> None:
        self._engine = engine
        self._answer_tokens = answer_tokens
        self._block = engine.info.block_size
        self._asked = 0

    def asked(self, schema: str, text: str) -> Asked:
        """Render a question and find where its base prompt and its stable ids end, in whole blocks."""
        ids, other, longer = (self._ids(schema, draft) for draft in (text, "", f"{text} so"))
        base, stable = common_length(ids, other), common_length(ids, longer)
        return Asked(text, ids, base - base % self._block, stable - stable % self._block)

    async def answers(self, group: Sequence[Asked], way: Way) -> list[Answer]:
        """Ask the questions of a group in one way."""
        salts = [self._salt() for _ in group]
        if way.beforehand:
            salts = [salts[0]] * len(group)
            await self._warm(group[0].ids, 0, group[0].base_tokens, way.base, salts[0])
        if way.rest is not None:
            for one in group:
                await self._warm(one.ids, one.base_tokens, one.stable_tokens, way.rest, salts[0])
        asked, answers = [self._answer(one, salt) for one, salt in zip(group, salts, strict=True)], list[Answer]()
        for start in range(0, len(asked), way.at_once):
            answers += await asyncio.gather(*asked[start : start + way.at_once])
        return answers

    async def _warm(self, ids: list[int], start: int, end: int, piece: int | None, salt: str) -> None:
        for reached in range(start, end, piece or max(1, end - start)):
            await warm(self._engine, ids[: min(end, reached + (piece or end))], salt)

    async def _answer(self, one: Asked, salt: str) -> Answer:
        from vllm import SamplingParams
        from vllm.inputs.engine import tokens_input

        sampling = SamplingParams(temperature=0.0, max_tokens=self._answer_tokens, logprobs=LIKELIEST)
        prompt, name = tokens_input(one.ids, cache_salt=salt), f"rounding-{self._next()}"
        outputs = self._engine.vllm.generate(prompt, sampling, name)
        async with aclosing(outputs):
            parts = [output.outputs[0] async for output in outputs]
        part = parts[-1]  # it has all that came before it
        likely = tuple({token: entry.logprob for token, entry in there.items()} for there in part.logprobs)
        return Answer(tuple(part.token_ids), likely)

    def _ids(self, schema: str, draft: str) -> list[int]:
        messages = (ChatMessage("system", f"{INSTRUCTIONS} The schema:\n\n{schema}"), ChatMessage("user", draft))
        return self._engine.chat.encode(self._engine.chat.render(Conversation(messages)))

    def _salt(self) -> str:
        return f"{time.time_ns()}-{self._next()}"

    def _next(self) -> int:
        self._asked += 1
        return self._asked


def groups(tables: int, files: Sequence[Path]) -> Iterator[list[tuple[str, str]]]:
    """Yield groups of (schema, question) without end: the packaged hospital's, and each file's, in turn."""
    random = Random(1)
    sources = [_hospital(tables, random), *(_from_file(path) for path in files)]
    for source in cycle(sources):
        yield next(source)


def _hospital(tables: int, random: Random) -> Iterator[list[tuple[str, str]]]:
    head, *all_tables = SAMPLE_SCHEMA.strip().split("\n\n")
    index = 0
    while True:
        chosen = random.sample(all_tables, tables or len(all_tables))
        schema = "\n\n".join([head, *chosen])
        yield [(schema, question(index + place)) for place in range(GROUP)]
        index += GROUP


def _from_file(path: Path) -> Iterator[list[tuple[str, str]]]:
    """Yield groups of a JSON file's questions behind its schema, which a number makes another one for each group."""
    data = json.loads(path.read_text(encoding="utf-8"))
    texts = cycle(data["questions"])
    for number in count():
        yield [(f"-- Copy {number}\n{data['schema']}", text) for text in islice(texts, GROUP)]


@dataclass(slots=True)
class Row:
    """All comparisons of one way with the cold one."""

    way: str
    compared: list[Compared]

    def cells(self) -> tuple[str, ...]:
        """Return what the table shows."""
        differ = [one for one in self.compared if one.differs_at is not None]
        at = sorted(one.differs_at for one in differ if one.differs_at is not None)
        ties = sorted(abs(one.tie_by_cold) for one in differ if one.tie_by_cold is not None)
        same_bits = sum(one.first_token_same_bits for one in self.compared)
        largest = max((one.first_token_largest_difference for one in self.compared), default=0.0)
        return (
            self.way,
            f"{len(differ)} of {len(self.compared)}",
            f"{at[0]}-{at[-1]}" if at else "",
            f"{ties[0]:.3f}-{ties[-1]:.3f}" if ties else "",
            f"{same_bits} of {len(self.compared)}",
            f"{largest:.2g}",
        )


def table(rows: Sequence[Row]) -> str:
    """Return the rows for people."""
    head = ("way", "answers differ", "at token", "tie, nats", "first token same", "largest off")
    lines = [head, *(row.cells() for row in rows)]
    return "\n".join("".join(f"{cell:<18}" for cell in line).rstrip() for line in lines)


async def measure(bench: Bench, arguments: argparse.Namespace, save: Any) -> None:
    """Ask group after group in every way, until there are enough or the time is up."""
    began_at, compare = time.monotonic(), ways(arguments.pieces, arguments.at_once)
    rows, prompt_tokens = [Row(name, []) for name in compare if name != "cold"], list[int]()
    for group in islice(groups(arguments.tables, arguments.data), -(-arguments.questions // GROUP)):
        if time.monotonic() - began_at > arguments.seconds:
            break
        asked = [bench.asked(schema, text) for schema, text in group]
        by_way = {name: await bench.answers(asked, way) for name, way in compare.items()}
        prompt_tokens += [len(one.ids) for one in asked]
        for row in rows:
            row.compared += [compared(*pair) for pair in zip(by_way["cold"], by_way[row.way], strict=True)]
        save(rows, prompt_tokens)
        print(f"{len(prompt_tokens)} questions, {time.monotonic() - began_at:.0f} s", file=sys.stderr, flush=True)
    print(f"prompts of {min(prompt_tokens)} to {max(prompt_tokens)} tokens\n{table(rows)}")


def main() -> None:
    """Start the engine and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dtype", default="float32", help="the type that the engine computes in")
    parser.add_argument("--questions", type=int, default=200, help=f"how many, in groups of {GROUP}")
    parser.add_argument("--answer-tokens", type=int, default=24, help="length of an answer")
    parser.add_argument("--tables", type=int, default=0, help="tables of the packaged schema in a prompt; 0 for all 11")
    parser.add_argument("--pieces", type=int, nargs="+", default=[32, 64, 128, 256], help="sizes of pieces, in tokens")
    parser.add_argument("--at-once", type=int, default=1, help=f"questions in one batch, at most {GROUP}")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="JSON files with a schema and questions")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no group after this time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every comparison there")
    arguments = parser.parse_args()
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    engine = EmbeddedEngine.start(Settings(engine_args={"dtype": arguments.dtype}))

    def save(rows: Sequence[Row], prompt_tokens: list[int]) -> None:
        if arguments.json:
            meta = {"dtype": arguments.dtype, "answer_tokens": arguments.answer_tokens, "prompt_tokens": prompt_tokens}
            result = meta | {"ways": {row.way: [asdict(one) for one in row.compared] for row in rows}}
            arguments.json.write_text(json.dumps(result, indent=1) + "\n")

    async def run() -> None:
        try:
            await measure(Bench(engine, arguments.answer_tokens), arguments, save)
        finally:
            await engine.close()

    asyncio.run(run())


if __name__ == "__main__":
    main()
