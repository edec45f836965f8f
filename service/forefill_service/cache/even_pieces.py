"""The size of the next piece of a warm if it is free: no piece so small that it rounds otherwise than the whole prompt.

In bfloat16 an engine may multiply few rows by another routine than many, which adds in another order and rounds
otherwise. If two tokens are nearly equally likely, that decides which of them an answer gets. Measured on a Xeon with
AMX: pieces of 64 tokens and less change some answers, pieces of 128 and more change none
(tests/benchmarks/rounding.md). One small piece is enough to make the difference, so the last piece counts as much as
the others: what lacks is divided into pieces of the same size, as many as are needed, and no more than have `even`
blocks each.
"""


def even_piece(lacking: int, needed: int, room: int, even: int) -> int:
    """Return how many blocks the next piece computes, of those that lack.

    `needed` is the least that meets the deadlines, `room` the most that the budgets allow, and `even` the least that
    rounds as the whole prompt does; 0 for no preference, as while answers run, whose gaps grow with each piece. If less
    than `even` lacks, or there is no room for it, the piece has what is needed.
    """
    needed = min(lacking, needed, room)
    if needed < 1 or not 0 < even <= min(lacking, room):
        return needed
    count = min(lacking // even, max(lacking // needed, _divided(lacking, room)))
    return min(room, _divided(lacking, count))


def _divided(blocks: int, parts: int) -> int:
    """Return the quotient, rounded up."""
    return -(-blocks // parts)
