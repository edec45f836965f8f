"""Type a question at a forefill server with the SDK, and print the answer as it comes.

python client/examples/sdk.py 127.0.0.1:50051 "Show me all patients"
"""

import asyncio
import sys

from forefill_client import AsyncClient, ForefillError, Sampling

SYSTEM = ("system", "You write SQL for a clinic. Answer with one statement.")


async def ask(address: str, question: str) -> None:
    async with (
        AsyncClient.connect(address) as client,
        client.session([SYSTEM], sampling=Sampling(temperature=0, max_tokens=64)) as session,
    ):
        for char in question:  # a text box does this at each key; the session flushes by itself
            await session.type(char)
        await session.hint()  # a window does this when the pointer reaches the send button
        answer = await session.submit()
        async for delta in answer:
            print(delta, end="", flush=True)
        print()
        print(f"{answer.report.cached_tokens} of {answer.report.prompt_tokens} tokens were cached", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        asyncio.run(ask(*sys.argv[1:]))
    except ForefillError as error:
        sys.exit(f"error: {error}")
