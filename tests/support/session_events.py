"""What a scripted server hears from a session, as values."""

from forefill.v1 import keystroke_pb2 as pb
from forefill_client import Session

from .scripted_service import Wire


def said(event: pb.KeystrokeEvent) -> object:
    """What one event says, as a value that reads well in an assertion."""
    match event.WhichOneof("kind"):
        case "char_add":
            return event.char_add.text
        case "char_delete":
            return -event.char_delete.count
        case "replace":
            return event.replace.start, event.replace.end, event.replace.text
        case "flush":
            confirmed = event.flush.confirmed_code_points if event.flush.HasField("confirmed_code_points") else None
            return "flush", confirmed
        case kind:
            return kind


async def drain(wire: Wire) -> list[pb.KeystrokeEvent]:
    """Take in everything until END or the end of the stream."""
    events: list[pb.KeystrokeEvent] = []
    try:
        while not events or events[-1].WhichOneof("kind") != "end":
            events.append(await wire.event())
    except StopAsyncIteration:
        pass
    return events


async def drain_opened(wire: Wire) -> None:
    await wire.open()
    await drain(wire)


def conversation(session: Session) -> list[tuple[str, str]]:
    """The messages of a session, as roles and contents."""
    return [(message.role, message.content) for message in session.messages]
