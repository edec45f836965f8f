"""What a key costs the browser with a draft of 20,000 characters: python -m tests.benchmarks.key_cost.

In Chromium: the milliseconds on the processor in script (median, mean, 95th percentile, largest), and in style and
layout (median), of the page of `forefill web`, and of forefill.js alone in a textarea and in a contenteditable.
key_cost.md has figures.
"""

import argparse
import asyncio
import json
import os
import sys

from tests.support.browser_stage import Scene, stage
from tests.support.node_tests import BROWSER, missing

ROW = "{:10} {:14} {:7} {:>5}   {:>6} {:>6} {:>6} {:>6}   {:>6}"


async def measure(keys: int) -> int:
    """Print a row for each box, text and place in it; return the exit status of what measures."""
    print(ROW.format("box", "text", "place", "keys", "p50", "mean", "p95", "max", "layout"))
    async with stage(Scene()) as there:
        environment = {"FOREFILL_PANEL": there.panel, "FOREFILL_PAGE": there.page, "FOREFILL_KEYS": str(keys)}
        process = await asyncio.create_subprocess_exec(
            *("node", str(BROWSER / "key_cost.js")),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async for line in process.stdout:
            row = json.loads(line)
            script, layout = row["ms"]["script"], row["ms"]["layout"]["p50"]
            names = (row["box"], row["text"], row["where"], row["keys"])
            print(ROW.format(*names, *script.values(), layout), flush=True)
        return await process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=60, help="keys measured in each row (default: %(default)s)")
    options = parser.parse_args()
    if reason := missing():
        sys.stderr.write(f"{reason}\n")
        return 1
    return asyncio.run(measure(options.keys))


if __name__ == "__main__":
    sys.exit(main())
