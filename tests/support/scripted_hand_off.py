"""The server's half of hand-offs, for scripted servers."""

from forefill.v1 import keystroke_pb2 as pb
from forefill_client import ChatMessage

from .scripted_service import LEDGER, Wire

SYSTEM = ChatMessage("system", "You write SQL.")
ANSWERED = [("system", SYSTEM.content), ("user", "Show me"), ("assistant", "SELECT")]


async def tells(wire: Wire, base_url: str = "http://vllm/v1") -> int:
    """Take in a hand-off, and answer it."""
    seq = (await wire.until("hand_off")).seq
    told = pb.HandedOff(
        seq=seq,
        base_url=base_url,
        headers={"X-Session-ID": "a"},
        cache_salt="secret salt",
        model="small",
        prompt_tokens=60,
        cached_tokens=48,
    )
    await wire.send(handed_off=told)
    return seq


async def settles(wire: Wire, seq: int, reason: "pb.FinishReason.ValueType" = pb.FINISH_REASON_HANDED_OFF) -> None:
    await wire.send(generation_finished=pb.GenerationFinished(seq=seq, reason=reason, ledger=LEDGER))
