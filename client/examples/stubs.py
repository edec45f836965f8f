"""Type a question at a forefill server with the generated stubs of forefill.v1, without the SDK.

    python client/examples/stubs.py 127.0.0.1:50051 "Show me all patients"

A session is one stream: Open, then events numbered 1, 2, 3, ... up to END. The server keeps a copy of the draft. Every
FLUSH carries the length of the client's draft in code points and the CRC-32 of its UTF-8, so that the server notices if
the two differ. SUBMIT carries the whole text, so that the right question is answered even then.
"""

import sys
import zlib
from collections.abc import Iterator

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub

OPEN = pb.Open(
    messages=[pb.ChatMessage(role="system", content="You write SQL for a clinic. Answer with one statement.")],
    sampling=pb.Sampling(temperature=0, max_tokens=64),
)


def typed(question: str) -> Iterator[pb.KeystrokeEvent]:
    """Yield what a user causes who types `question`, presses Enter and leaves.

    A FLUSH follows each word and every fourth code point, since not all scripts put spaces between words.
    """
    draft = ""
    for char in question:
        draft += char
        yield pb.KeystrokeEvent(char_add=pb.CharAdd(text=char))
        if char.isspace() or len(draft) % 4 == 0:
            yield pb.KeystrokeEvent(
                flush=pb.Flush(draft_code_points=len(draft), draft_crc32=zlib.crc32(draft.encode()))
            )
    yield pb.KeystrokeEvent(submit=pb.Submit(text=question))
    yield pb.KeystrokeEvent(end=pb.End())  # the answer still comes; leave END out to ask another question after it


def requests(question: str) -> Iterator[pb.ComposeRequest]:
    yield pb.ComposeRequest(open=OPEN)
    for seq, event in enumerate(typed(question), start=1):
        event.seq = seq
        yield pb.ComposeRequest(event=event)


def ask(address: str, question: str) -> bool:
    """Print the answer and return whether there was one."""
    answered = False
    with grpc.insecure_channel(address) as channel:
        for response in KeystrokeServiceStub(channel).Compose(requests(question)):
            match response.WhichOneof("response"):
                case "flush_result":
                    flushed = response.flush_result
                    outcome = pb.FlushOutcome.Name(flushed.outcome)
                    print(f"{outcome}, {flushed.confirmed_code_points} code points confirmed", file=sys.stderr)
                case "generation_delta":
                    print(response.generation_delta.text, end="", flush=True)
                case "generation_finished":
                    usage = response.generation_finished.usage
                    answered = True
                    print()
                    print(f"{usage.cached_tokens} of {usage.prompt_tokens} tokens were cached", file=sys.stderr)
                case "session_error":  # one event was refused; the session goes on
                    print(f"error: {response.session_error.message}", file=sys.stderr)
    return answered


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        sys.exit(0 if ask(*sys.argv[1:]) else 1)
    except grpc.RpcError as error:  # the stream has ended with it
        sys.exit(f"error: {error.details()}")
