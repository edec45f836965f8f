"""Ids in a head, chunks and a tail are one sequence."""

from forefill_service.chat.token_ids import CHUNK, TokenIds, compact
from hypothesis import given
from hypothesis import strategies as st

HEAD = compact(range(1000, 1010))
CHUNKS = tuple(compact(range(start, start + CHUNK)) for start in (0, 500, 0))
WHOLE = TokenIds(HEAD, (1, 2, 3), chunks=CHUNKS)
IDS = [*HEAD, *(i for chunk in CHUNKS for i in chunk), 1, 2, 3]
POSITION = st.integers(0, len(IDS))


def test_the_length_is_that_of_all_parts() -> None:
    assert len(WHOLE) == len(IDS) == len(WHOLE.to_list())
    assert WHOLE.to_list() == IDS


@given(length=POSITION, start=POSITION)
def test_a_prefix_is_a_prefix(length: int, start: int) -> None:
    prefix = WHOLE.prefix(length)
    assert prefix.to_list() == IDS[:length]
    assert prefix.head is HEAD
    assert prefix.since(min(start, length)) == tuple(IDS[min(start, length) : length])
    assert prefix.extended([7, 8]).to_list() == [*IDS[:length], 7, 8]


@given(one=POSITION, other=POSITION, flat=st.booleans())
def test_two_share_the_shorter_of_two_prefixes(one: int, other: int, flat: bool) -> None:
    a, b = WHOLE.prefix(one), WHOLE.prefix(other)
    if flat:
        b = TokenIds((), tuple(b.to_list()))
    assert a.common(b) == b.common(a) == min(one, other)


@given(position=st.integers(0, len(IDS) - 1))
def test_two_share_nothing_from_the_first_difference_on(position: int) -> None:
    changed = [*IDS[:position], 9999, *IDS[position + 1 :]]
    assert WHOLE.common(TokenIds((), tuple(changed))) == position
    if position >= len(HEAD):
        assert WHOLE.common(TokenIds(HEAD, tuple(changed[len(HEAD) :]))) == position
