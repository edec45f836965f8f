"""Whether SUBMIT sends the ids of vLLM's chat endpoint: many tokenizers and templates, conversations and drafts.

Each pair of a tokenizer and a template is tried in each way: vLLM in the process of forefill, and a server that says
its ids by `/v1/chat/completions/render`, or only by `/tokenize`. No engine runs and no weights are needed: vLLM's own
online renderer and its own HTTP application render. There must be no differences.

    python -m tests.benchmarks.id_sweep --out ids.json
"""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.support.families import family_of, template_files
from tests.support.id_check import WAYS, Found, embedded, references, remote
from tests.support.render_server import OFFERED
from tests.support.sweep_texts import CONVERSATIONS, DRAFTS
from tests.support.tokenizers import ALL_FAMILIES, HARMONY, model_directory
from tests.support.vllm_rendering import ModelChats

Pairs = dict[str, list[Path]]
"""The templates to try on each tokenizer."""


def pairs(least: int) -> Pairs:
    """Return at least so many pairs, if there are as many: each template on one tokenizer, then on a second one."""
    found: Pairs = {family: [] for family in ALL_FAMILIES}
    files = template_files()
    plain = [family for family in ALL_FAMILIES if family != HARMONY]
    for index, file in enumerate(files):
        found[family_of(file, index)].append(file)
    for index, file in enumerate(files):
        if sum(map(len, found.values())) >= least:
            break
        second = plain[index % len(plain)]
        if file not in found[second]:
            found[second].append(file)
    return found


def tried(model: ModelChats, template: Path) -> dict[str, Found]:
    """Try one pair in each way."""
    expected = references(model, template, CONVERSATIONS, DRAFTS)
    ways = [
        embedded(model, template, CONVERSATIONS, DRAFTS, expected),
        *(remote(model, template, CONVERSATIONS, DRAFTS, expected, offered) for offered in OFFERED),
    ]
    return {name: asyncio.run(way) for name, way in zip(WAYS, ways, strict=True)}


def swept(found: Pairs) -> dict[str, dict[str, Found]]:
    """Try all pairs; by the names of tokenizer and template, and by way."""
    results = {}
    for family, templates in found.items():
        model = ModelChats(model_directory(family))
        for template in templates:
            name = f"{family} + {template.stem}"
            started = time.monotonic()
            results[name] = tried(model, template)
            differing = sum(len(way.differing) for way in results[name].values())
            print(f"{name}: {differing} differ, {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
        model.close()
    return results


def printed(results: Mapping[str, Mapping[str, Found]]) -> str:
    """Return the Markdown table of all pairs together, by way."""
    lines = [
        "| way | pairs | not started | turns | fast path agrees | differs | not known | drafts | refused by both | "
        "fast path alone wrong | differences |",
        "|---" * 11 + "|",
    ]
    by_way = defaultdict(list)
    for ways in results.values():
        for way, found in ways.items():
            by_way[way].append(found)
    for way, found_in in by_way.items():
        turns = [sum(found.turns[verdict] for found in found_in) for verdict in ("AGREES", "DIFFERS", "UNKNOWN")]
        counts = [
            len(found_in),
            sum(bool(found.refused_start) for found in found_in),
            sum(turns),
            *turns,
            *(sum(getattr(found, name) for found in found_in) for name in ("drafts", "refused", "would_differ")),
            sum(len(found.differing) for found in found_in),
        ]
        lines.append("| " + " | ".join([way, *(f"{count:,}" for count in counts)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Try all pairs, print the table, save the figures; exit with 1 if ids differ."""
    parser = argparse.ArgumentParser(description="Whether SUBMIT sends the ids of vLLM's chat endpoint.")
    parser.add_argument("--families", default=",".join(ALL_FAMILIES), help="tokenizers, separated by commas")
    parser.add_argument("--pairs", type=int, default=100, help="try at least this many pairs, if there are as many")
    parser.add_argument("--only", default="", help="only templates with this in their names")
    parser.add_argument("--out", type=Path, help="save the figures to this file, as JSON")
    args = parser.parse_args()
    found = pairs(args.pairs)
    chosen = {
        family: [template for template in found[family] if args.only in template.stem]
        for family in args.families.split(",")
    }
    results = swept({family: templates for family, templates in chosen.items() if templates})
    if args.out:
        args.out.write_text(json.dumps(results, default=asdict, ensure_ascii=False, indent=1))
    print(printed(results))
    differing = [
        f"{pair}, {way}: {what}" for pair, ways in results.items() for way, f in ways.items() for what in f.differing
    ]
    print("\n".join(differing[:50]))
    raise SystemExit(bool(differing))


if __name__ == "__main__":
    main()
