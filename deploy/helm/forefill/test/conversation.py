"""Type a question as a user would, submit it and read the answer. `helm test` runs this in the image of forefill."""

# ruff: noqa: T201 - it talks to people
import asyncio
import os
import sys
from pathlib import Path

import grpc
from forefill_client import AsyncClient, ForefillError, Sampling

PAUSE_SECONDS = 0.05
ADVICE = "Set test.apiKey, test.ca, test.clientCertificate or test.serverName to what access asks of clients."


def credentials() -> grpc.ChannelCredentials | None:
    """Return the credentials of the files that are mounted; None for plain text."""
    if os.environ.get("TLS") != "true":
        return None
    ca, certificate = os.environ.get("CA_FILE"), Path(os.environ.get("CLIENT_CERTIFICATE", ""))
    key, chain = certificate / "tls.key", certificate / "tls.crt"
    return grpc.ssl_channel_credentials(
        Path(ca).read_bytes() if ca else None,
        key.read_bytes() if key.exists() else None,
        chain.read_bytes() if chain.exists() else None,
    )


async def converse(target: str, text: str) -> None:
    """Type a text at the server, and print what it answers; raises ForefillError if that fails."""
    name = os.environ.get("SERVER_NAME")
    options = [("grpc.ssl_target_name_override", name)] if name else []
    key = os.environ.get("API_KEY", "").strip()
    async with (
        AsyncClient.connect(target, credentials=credentials(), api_key=key, options=options) as client,
        client.session(sampling=Sampling(max_tokens=16)) as session,
    ):
        print(f"{session.opened.model} at {target}")
        for character in text:
            await session.type(character)
            await asyncio.sleep(PAUSE_SECONDS)
        answer = await session.submit()
        print("".join([delta async for delta in answer]))
        report = answer.report
        print(f"{report.ttft_seconds:.3f} s, {report.cached_tokens} of {report.prompt_tokens} tokens cached")


def main() -> int:
    """Return 0 after an answer, otherwise 1."""
    try:
        asyncio.run(converse(os.environ["TARGET"], os.environ["TEXT"]))
    except (ForefillError, OSError) as error:
        print(f"{error}\n{ADVICE}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
