"""The size of a warm's pieces, in blocks, if it is free."""

import pytest
from forefill_service.cache.even_pieces import even_piece

EVEN = 4
BASE_PROMPT = 38


def pieces(lacking: int, needed: int, room: int, even: int = EVEN) -> list[int]:
    """Return all pieces of a prompt, one after the other."""
    sizes: list[int] = []
    while lacking > 0:
        sizes.append(even_piece(lacking, needed, room, even))
        lacking -= sizes[-1]
    return sizes


@pytest.mark.parametrize(
    ("lacking", "needed", "room", "expected"),
    [
        pytest.param(BASE_PROMPT, 1, 10, [5, 5, 4, 4, 4, 4, 4, 4, 4], id="as small as is even"),
        pytest.param(BASE_PROMPT, 10, 10, [10, 10, 9, 9], id="as few as there is room for"),
        pytest.param(BASE_PROMPT, 9, 9, [8, 8, 8, 7, 7], id="not four of nine and a small rest"),
        pytest.param(BASE_PROMPT, 7, 10, [8, 8, 8, 7, 7], id="as large as is needed"),
        pytest.param(BASE_PROMPT, BASE_PROMPT, 64, [BASE_PROMPT], id="all at once"),
        pytest.param(5, 4, 4, [4, 1], id="no room for all, and not enough for two"),
        pytest.param(2, 1, 10, [1, 1], id="what was typed last: small in any case"),
        pytest.param(BASE_PROMPT, 1, 3, [1] * BASE_PROMPT, id="the budgets allow no even piece"),
    ],
)
def test_the_pieces_of_a_prompt(lacking: int, needed: int, room: int, expected: list[int]) -> None:
    assert pieces(lacking, needed, room) == expected


def test_beside_answers_pieces_are_as_small_as_is_needed() -> None:
    assert pieces(BASE_PROMPT, 1, 10, even=0) == [1] * BASE_PROMPT


@pytest.mark.parametrize("room", [0, 1, 3, 5, 64])
@pytest.mark.parametrize("even", [0, 1, 4, 8])
def test_no_budget_is_exceeded_and_something_is_done_if_there_is_room(room: int, even: int) -> None:
    for lacking in range(60):
        for needed in (1, 2, 10):
            piece = even_piece(lacking, needed, room, even)
            assert min(1, lacking, room) <= piece <= min(lacking, room)


def test_no_piece_is_small_if_there_is_room_for_two_even_ones() -> None:
    for lacking in range(EVEN, 200):
        for needed in range(1, 2 * EVEN):
            assert min(pieces(lacking, needed, 2 * EVEN)) >= EVEN
