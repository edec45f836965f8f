"""What the engine is believed to hold."""

from array import array

from forefill_service.cache.blocks import BlockNames, CacheChange, CachedBlocks
from forefill_service.chat.token_ids import CHUNK, TokenIds, compact

BLOCK = 4


def names_of(*ids: int, salt: str | None = None) -> list[int]:
    return BlockNames(BLOCK, salt).of(TokenIds((), ids))


def test_a_block_is_named_by_its_ids_and_all_before_it() -> None:
    one, other = names_of(*range(12)), names_of(99, *range(1, 12))
    assert len(one) == 3
    assert not set(one) & set(other)
    assert names_of(*range(15)) == one, "only whole blocks have names"


def test_names_do_not_depend_on_where_the_head_ends() -> None:
    ids = tuple(range(23))
    names = BlockNames(BLOCK, None)
    whole = names.of(TokenIds((), ids))
    for cut in range(24):
        assert names.of(TokenIds(ids[:cut], ids[cut:])) == whole
    assert names.of(TokenIds(ids, (), head_tokens=13)) == whole[:3]


def test_names_do_not_depend_on_what_was_named_before_nor_on_chunks() -> None:
    names = BlockNames(BLOCK, None)
    head, chunk, other = array("I", range(9)), compact(range(CHUNK)), compact(range(7, CHUNK + 7))
    prompts = [
        TokenIds(head, (1, 2, 3), chunks=(chunk, chunk)),
        TokenIds(head, (1, 2, 3, 4), chunks=(chunk,)),
        TokenIds(head, (5, 6), chunks=(chunk, other, chunk)),
        TokenIds(head, (), head_tokens=5),
        TokenIds(head, (), chunks=(compact(chunk), chunk)),
        TokenIds((), (1, 2), chunks=(chunk,)),
        TokenIds(head, tuple(range(300))),
    ]
    for ids in [*prompts, *reversed(prompts)]:
        assert names.of(ids) == names_of(*ids.to_list())


def test_another_salt_gives_other_names() -> None:
    assert not set(names_of(*range(8))) & set(names_of(*range(8), salt="tenant"))


def test_what_was_used_counts_as_cached() -> None:
    blocks, names = CachedBlocks(keep_seconds=10), names_of(*range(12))
    blocks.used(names[:2], now=0.0)
    assert blocks.leading(names, now=1.0) == 2


def test_what_was_not_used_for_long_counts_as_gone() -> None:
    blocks, names = CachedBlocks(keep_seconds=10), names_of(*range(12))
    blocks.used(names, now=0.0)
    assert blocks.leading(names, now=10.0) == 0


def test_what_as_many_others_were_used_after_as_there_is_room_for_counts_as_gone() -> None:
    blocks = CachedBlocks(keep_seconds=10, room=10)
    first = names_of(*range(12))
    blocks.used(first, now=0.0)
    for start in range(100, 400, 100):
        blocks.used(names_of(*range(start, start + 8)), now=1.0)
    assert blocks.leading(first, now=1.0) == 3
    blocks.used(names_of(*range(900, 904)), now=1.0)
    assert blocks.leading(first, now=1.0) == 2, "the end of a prompt goes first"


def test_the_engine_knows_better() -> None:
    blocks, names = CachedBlocks(keep_seconds=10), names_of(*range(12))
    blocks.change(CacheChange(stored=tuple(names)))
    assert blocks.leading(names, now=1e6) == 3
    blocks.change(CacheChange(removed=(names[2],)))
    assert blocks.leading(names, now=0.0) == 2
    blocks.change(CacheChange(cleared=True))
    assert blocks.leading(names, now=0.0) == 0


def test_what_was_used_and_the_engine_never_told_of_is_not_believed_for_ever() -> None:
    blocks, names, others = CachedBlocks(keep_seconds=10), names_of(*range(12)), names_of(*range(100, 108))
    blocks.change(CacheChange(stored=(names[0], *others)))
    blocks.used(names, now=0.0)
    assert blocks.leading(names, now=9.0) == 3
    assert blocks.leading(names, now=10.0) == 1, "it will tell of the end of what it has told of"
    blocks.change(CacheChange(cleared=True))
    blocks.used(names, now=20.0)
    assert (blocks.leading(names, now=29.0), blocks.leading(names, now=30.0)) == (3, 0), "the same after a loss"
    assert blocks.leading(others, now=20.0) == 0


def test_what_is_told_of_takes_no_room_from_what_is_guessed() -> None:
    blocks, names = CachedBlocks(keep_seconds=10, room=2), names_of(*range(12))
    blocks.change(CacheChange(stored=tuple(names)))
    blocks.used(names_of(*range(100, 104)), now=0.0)
    assert blocks.leading(names, now=1e6) == 3


def test_where_the_engine_tells_no_more_it_is_guessed_again() -> None:
    blocks, names, others = CachedBlocks(keep_seconds=10), names_of(*range(12)), names_of(*range(100, 108))
    blocks.change(CacheChange(stored=(*names, *others)))
    blocks.used(names, now=0.0)
    blocks.stop_trusting_events()
    assert (blocks.leading(names, now=9.0), blocks.leading(names, now=10.0)) == (3, 0)
    assert blocks.leading(others, now=0.0) == 0


def test_what_was_used_no_later_than_a_block_that_was_missed_counts_as_gone() -> None:
    blocks = CachedBlocks(keep_seconds=100)
    old, missed, young = (names_of(*range(start, start + 12)) for start in (100, 200, 300))
    for now, names in enumerate((old, missed, young)):
        blocks.used(names, float(now))
    blocks.missed(missed[1:], since=3.0)
    assert [blocks.leading(names, now=4.0) for names in (old, missed, young)] == [0, 1, 3]


def test_a_block_that_was_missed_and_is_computed_again_teaches_nothing() -> None:
    blocks, old, missed = CachedBlocks(keep_seconds=100), names_of(*range(12)), names_of(*range(100, 112))
    blocks.used(old, now=0.0)
    blocks.used(missed, now=2.0)
    blocks.missed(missed, since=1.0)
    blocks.missed(names_of(*range(200, 212)), since=1.0)
    assert [blocks.leading(names, now=3.0) for names in (old, missed)] == [3, 3]


def test_where_the_engine_tells_what_it_evicts_a_miss_teaches_nothing() -> None:
    blocks, names = CachedBlocks(keep_seconds=100), names_of(*range(12))
    blocks.change(CacheChange(stored=tuple(names[:2])))
    blocks.used(names, now=0.0)
    blocks.missed(names, since=1.0)
    assert blocks.leading(names, now=2.0) == 3


def test_a_block_is_being_computed_until_all_who_compute_it_have_ended() -> None:
    blocks, [name] = CachedBlocks(keep_seconds=10), names_of(*range(4))
    blocks.begin([name])
    blocks.begin([name])
    blocks.end([name])
    assert blocks.is_computing(name)
    blocks.end([name])
    assert not blocks.is_computing(name)
