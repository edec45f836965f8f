"""What a chat asks of its session, one after the other."""

from collections.abc import Awaitable, Callable, Sequence

from forefill_client import ChatMessage, ForefillError, Session, SessionState

Order = Callable[[Session], Awaitable[None]]


async def set_draft(draft: str, session: Session) -> None:
    """Have the session hold this draft."""
    await session.set_draft(draft)


async def rewrite(keep: int, messages: Sequence[ChatMessage], session: Session) -> None:
    """Replace the conversation's end."""
    await session.rewrite(keep, messages)


async def end(reason: ForefillError, session: Session) -> None:
    """Raise why the session has ended, so that who carries out the orders does not wait for more in vain."""
    if session.state is SessionState.CLOSED:
        raise reason
