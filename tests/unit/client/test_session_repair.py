"""How a session brings a diverged draft back into step, unseen by its caller."""

import zlib

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import DraftDiverged, FlushOutcome

from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain

# Repairing


class Mirror:
    """The server's draft, by the rules of the wire."""

    def __init__(self) -> None:
        self.text = ""

    def take(self, event: pb.KeystrokeEvent) -> None:
        match event.WhichOneof("kind"):
            case "char_add":
                self.text += event.char_add.text
            case "char_delete":
                self.text = self.text[: max(0, len(self.text) - event.char_delete.count)]
            case "replace":
                edit = event.replace
                self.text = self.text[: edit.start] + edit.text + self.text[edit.end :]

    def agrees(self, flush: pb.Flush) -> bool:
        return flush.draft_code_points == len(self.text) and flush.draft_crc32 == zlib.crc32(self.text.encode())


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_an_edit_lost_on_the_way_is_repaired_unseen(lost: int) -> None:
    mirror = Mirror()

    async def script(wire: Wire) -> None:
        await wire.open()
        while (event := await wire.event()).WhichOneof("kind") != "end":
            if event.seq == lost:
                continue
            mirror.take(event)
            if event.WhichOneof("kind") == "flush":
                if mirror.agrees(event.flush):
                    await wire.warmed(event)
                else:
                    await wire.refuse(event.seq, pb.ERROR_REASON_DRAFT_DIVERGED, draft_code_points=len(mirror.text))

    async with connected(script) as client, client.session(auto_flush=False) as session:
        await session.type("Show ")
        await session.type("me ")
        await session.replace(0, 4, "Give")
        await session.delete(1)
        await session.type("\U0001f600 ")
        seq = await session.flush()
        await session.type("and in flight ")
        result = await session.flushed(seq)
        assert result.seq == seq
        assert result.outcome is FlushOutcome.WARMED
        assert session.repairs == 1
        assert mirror.text == session.draft == "Give me\U0001f600 and in flight "


async def test_one_repair_serves_all_flushes_that_failed_before_it() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        first, second = await wire.until("flush"), await wire.until("flush")
        await wire.refuse(first.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.refuse(second.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.warmed(await wire.until("flush"))
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        await session.type("me ")
        results = [await session.flushed(seq) for seq in (2, 4)]
        assert [result.outcome for result in results] == [FlushOutcome.WARMED] * 2
        assert session.repairs == 1


async def test_a_gap_is_repaired_and_its_flush_still_answered() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        flush = await wire.until("flush")
        await wire.refuse(flush.seq, pb.ERROR_REASON_SEQUENCE_GAP)
        await wire.warmed(flush)
        assert await wire.events(3) == ["char_delete", "char_add", "flush"]
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        assert (await session.flushed(2)).outcome is FlushOutcome.WARMED
        assert session.repairs == 1


async def test_a_draft_that_stays_different_is_given_up_and_submit_works() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        while (event := await wire.event()).WhichOneof("kind") != "submit":
            if event.WhichOneof("kind") == "flush":
                await wire.refuse(event.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.answer(event.seq, event.submit.text)
        await drain(wire)

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        with pytest.raises(DraftDiverged) as caught:
            await session.flushed(2)
        assert caught.value.session_continues
        assert session.repairs == 3
        assert await (await session.submit()).text() == "Show "


async def test_a_divergence_found_after_submit_is_not_repaired() -> None:
    async def script(wire: Wire) -> None:
        await wire.open()
        flush, submit = await wire.until("flush"), await wire.until("submit")
        await wire.refuse(flush.seq, pb.ERROR_REASON_DRAFT_DIVERGED)
        await wire.answer(submit.seq, "ok")
        assert await wire.events(1) == ["end"]

    async with connected(script) as client, client.session() as session:
        await session.type("Show ")
        assert await (await session.submit("Show me")).text() == "ok"
        assert (await session.flushed(2)).outcome is FlushOutcome.DEFERRED
        assert session.repairs == 0
