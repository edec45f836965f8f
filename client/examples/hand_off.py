"""Type a question at a forefill server, and ask vLLM for the answer with openai-python: it finds what was warmed.

python client/examples/hand_off.py 127.0.0.1:50051 "Show me all patients" [--tool | --schema] [--image URL]

The server has to know where vLLM is: forefill-server --openai-port 8000, or --engine remote with --hand-off-url. For
--tool, vLLM needs a parser: forefill-server --openai-port 8000 --tool-call-parser hermes
"""

import argparse
import asyncio
import os
import sys
from typing import Any

from forefill_client import AsyncClient, ForefillError
from openai import AsyncOpenAI, OpenAIError

SYSTEM = ("system", "You write SQL for a clinic. Answer with one statement.")
SCHEMA = {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]}
FUNCTION = {"name": "run_sql", "description": "Run a statement.", "parameters": SCHEMA, "strict": True}
TOOLS = [{"type": "function", "function": FUNCTION}]
CALL = {"tool_choice": {"type": "function", "function": {"name": "run_sql"}}}
JSON_ANSWER = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}}


async def ask(address: str, question: str, image: str, **more: Any) -> None:
    tools = TOOLS if "tool_choice" in more else []  # they are part of the prompt, so they are warmed, too
    async with AsyncClient.connect(address) as client, client.session([SYSTEM], tools=tools) as session:
        for char in question:  # a text box does this at each key
            await session.type(char)
        handed = await session.hand_off()
        request = handed.for_openai() | more
        if image:  # what stands before it was warmed
            parts = [{"type": "text", "text": question}, {"type": "image_url", "image_url": {"url": image}}]
            request["messages"][-1]["content"] = parts
        answer, calls, usage = "", dict[int, dict[str, Any]](), None
        async with AsyncOpenAI(base_url=handed.base_url, api_key=os.environ.get("OPENAI_API_KEY", "none")) as openai:
            stream = await openai.chat.completions.create(
                **request, stream=True, stream_options={"include_usage": True}, temperature=0, max_tokens=64
            )
            async for chunk in stream:
                usage = chunk.usage or usage
                for delta in (choice.delta for choice in chunk.choices):
                    answer += delta.content or ""
                    print(delta.content or "", end="", flush=True)
                    for part in delta.tool_calls or ():
                        begun = {"id": part.id, "type": "function", "function": {"name": "", "arguments": ""}}
                        function = calls.setdefault(part.index, begun)["function"]
                        function["name"] += (part.function and part.function.name) or ""
                        function["arguments"] += (part.function and part.function.arguments) or ""
                        print((part.function and part.function.arguments) or "", end="", flush=True)
        print()
        said = {"role": "assistant", "content": answer, "tool_calls": list(calls.values())}
        await handed.finished(messages=[handed.messages[-1], said], usage=usage)  # then comes the next question
        found = usage and usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens
        print(f"{handed.cached_tokens} of {handed.prompt_tokens} tokens were warm, {found} were found", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("address")
    parser.add_argument("question")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tool", dest="more", action="store_const", const=CALL, default={})
    how.add_argument("--schema", dest="more", action="store_const", const=JSON_ANSWER)
    parser.add_argument("--image", default="")
    given = parser.parse_args()
    try:
        asyncio.run(ask(given.address, given.question, given.image, **given.more))
    except (ForefillError, OpenAIError) as error:
        sys.exit(f"error: {error}")
