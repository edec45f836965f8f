"""A client that does not take its answers: how far the server reads on, and what becomes of the session."""

import asyncio
from itertools import count, cycle
from typing import Any
from zlib import crc32

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb

from tests.support.served import SETTINGS, Aborted, Context, changed, served, until

MOST_UNANSWERED = 4
"""As `wire/pacing.py` says."""
DRAFT = "Show me all the patients "
FLUSH = pb.KeystrokeEvent(flush=pb.Flush(draft_code_points=len(DRAFT), draft_crc32=crc32(DRAFT.encode())))
SUBMIT = pb.KeystrokeEvent(submit=pb.Submit(text="a"))
CANCEL = pb.KeystrokeEvent(cancel=pb.Cancel())
REPEATED = pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text="a"))


class Deaf(Context):
    """The server's end of a stream whose client sends these events again and again, and takes only Opened."""

    def __init__(self, *events: pb.KeystrokeEvent) -> None:
        super().__init__()
        self.opening = pb.ComposeRequest(open=pb.Open(draft=DRAFT)).SerializeToString()
        self.written = 0
        self._events, self._numbers = cycle(events), count(1)

    async def read(self) -> bytes:
        self.reads += 1
        if self.reads == 1:
            return self.opening
        await asyncio.sleep(0)
        event = pb.KeystrokeEvent(seq=next(self._numbers))
        event.MergeFrom(next(self._events))
        return pb.ComposeRequest(event=event).SerializeToString()

    async def write(self, message: object) -> None:
        self.written += 1
        if self.written > 1:
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    "events",
    [[FLUSH], [SUBMIT], [SUBMIT, CANCEL], [CANCEL], [REPEATED], [FLUSH, SUBMIT, FLUSH, CANCEL]],
    ids=["FLUSH", "SUBMIT", "SUBMIT and Cancel", "Cancel", "refused", "all"],
)
async def test_who_takes_no_answers_has_few_events_unanswered_and_is_ended_in_time(
    events: list[pb.KeystrokeEvent],
) -> None:
    async with served(settings=changed(SETTINGS, write_timeout_seconds=0.2)) as server:
        context: Any = Deaf(*events)
        with pytest.raises(Aborted):
            await server.running.servicer.Compose(context, context)
        assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 1 <= context.reads - 1 <= MOST_UNANSWERED, context.reads
        await until(lambda: not server.running.servicer.streams)
