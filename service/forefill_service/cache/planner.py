"""The next prefill of one session, if any: functions of what it wants and what the engine is believed to hold.

A warm is worth sending only if it completes a block that is not cached, so everything here counts in whole blocks. What
the engine holds is a belief shared by all sessions: a prompt that two users open at once is computed once, after an
edit the frontier falls back to what the new prompt shares with anything cached, and a text that comes back finds its
blocks again.
"""

from ..chat.token_ids import TokenIds
from .even_pieces import even_piece
from .prefill import Prefill, Room, Wait
from .view import CacheView


def next_prefill(view: CacheView, wanted: TokenIds, room: Room, now: float) -> Prefill | Wait | None:
    """Return the warm to send now for what is wanted; None if all of it is believed cached."""
    size = view.block_size
    names = view.names(wanted)[: view.goal(wanted) // size]
    cached = view.blocks.leading(names, now)
    if cached == len(names):
        return None
    if view.blocks.is_computing(names[cached]):
        return Wait.COMPUTED_BY_ANOTHER
    most = room(cached * size) // size
    end = cached + even_piece(len(names) - cached, most, most, view.even_blocks)
    if end == cached:
        return Wait.NO_ROOM
    return Prefill(wanted.prefix(end * size), cached * size, tuple(names[:end]), names[cached:end], now)


def refresh_prefill(view: CacheView, room: Room, now: float) -> Prefill | Wait | None:
    """Return the warm that uses all that the session holds once more; None if it is not all held any more.

    What was evicted meanwhile is not brought back: the engine had no room for it.
    """
    if view.held is None:
        return None
    size, names = view.block_size, view.names(view.held)
    if not names or view.blocks.leading(names, now) < len(names):
        return None
    frontier = len(view.held) - size  # the last token is always computed, and with it its block
    if room(frontier) < size:
        return Wait.NO_ROOM
    return Prefill(view.held, frontier, tuple(names), names[-1:], now)
