"""What requests hold stays in the cache; the rest goes, least recently used first."""

from forefill_service.engine.fake.block_pool import BlockPool, Hold


def reserved(pool: BlockPool, found: list[int], unfilled: int) -> Hold:
    hold = pool.reserve(found, unfilled)
    assert hold is not None
    return hold


def cached(pool: BlockPool, *names: int) -> list[int]:
    return [name for name in names if name in pool]


def test_only_leading_blocks_count() -> None:
    pool = BlockPool(8)
    pool.store([1, 2, 4])
    assert pool.leading([1, 2, 3, 4]) == 2
    assert pool.leading([3, 1]) == 0


def test_the_least_recently_stored_goes_first_and_the_end_of_a_prompt_before_its_beginning() -> None:
    pool = BlockPool(4)
    pool.store([1, 2])
    pool.store([3, 4])
    pool.store([1, 2])
    pool.store([5])
    assert cached(pool, 1, 2, 3, 4, 5) == [1, 2, 3, 5]


def test_what_is_held_is_not_evicted() -> None:
    pool = BlockPool(4)
    pool.store([1, 2])
    reserved(pool, [1, 2], 0)
    pool.store([3, 4])
    pool.store([5, 6])
    assert cached(pool, 1, 2, 3, 4, 5, 6) == [1, 2, 5, 6]


def test_what_is_to_be_filled_takes_room_at_once() -> None:
    pool = BlockPool(4)
    pool.store([1, 2, 3])
    reserved(pool, [1], 3)
    assert cached(pool, 1, 2, 3) == [1]
    assert (pool.held, pool.usage) == (4, 1.0)


def test_where_there_is_no_room_nothing_changes() -> None:
    pool = BlockPool(4)
    reserved(pool, [], 2)
    pool.store([1])
    assert pool.reserve([1], 2) is None
    assert pool.held == 2
    assert reserved(pool, [1], 1).unfilled == 1


def test_a_filled_block_is_cached_and_stays_when_it_is_released() -> None:
    pool = BlockPool(4)
    hold = reserved(pool, [], 3)
    pool.fill(hold, [1, 2])
    assert cached(pool, 1, 2) == [1, 2]
    pool.release(hold)
    assert (pool.held, cached(pool, 1, 2)) == (0, [1, 2])
    pool.store([3, 4, 5])
    assert cached(pool, 1, 2) == [1], "the end goes first"


def test_a_block_that_two_hold_is_one_block_and_stays_until_both_release_it() -> None:
    pool = BlockPool(3)
    pool.store([1])
    one, two = reserved(pool, [1], 0), reserved(pool, [1], 0)
    assert pool.held == 1
    pool.release(one)
    pool.store([2, 3, 4])
    assert cached(pool, 1) == [1]
    pool.release(two)
    pool.store([2, 3, 4])
    assert cached(pool, 1) == []


def test_a_block_that_two_fill_at_once_is_two_blocks_of_one_name() -> None:
    pool = BlockPool(4)
    one, two = reserved(pool, [], 1), reserved(pool, [], 1)
    pool.fill(one, [1])
    pool.fill(two, [1])
    assert pool.held == 2
    pool.release(two)
    assert (pool.held, cached(pool, 1)) == (1, [1])


def test_a_second_release_does_nothing() -> None:
    pool = BlockPool(2)
    hold = reserved(pool, [], 2)
    pool.release(hold)
    pool.release(hold)
    assert pool.held == 0
