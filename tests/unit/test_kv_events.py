"""vLLM's words on its cache, in our names."""

from dataclasses import dataclass, field
from typing import Any

from forefill_service.cached_blocks import BlockNames, CacheChange
from forefill_service.engine.kv_events import Translation
from forefill_service.token_ids import TokenIds

BLOCK = 4
IDS = tuple(range(12))


@dataclass
class BlockStored:
    """As vLLM's, with what is read of it."""

    block_hashes: list[bytes]
    parent_block_hash: bytes | None
    token_ids: list[int]
    block_size: int = BLOCK
    extra_keys: list[Any] | None = None
    group_idx: int | None = None


@dataclass
class BlockRemoved:
    """As vLLM's."""

    block_hashes: list[bytes]


@dataclass
class AllBlocksCleared:
    """As vLLM's."""

    nothing: list[int] = field(default_factory=list)


def names(salt: str | None = None) -> tuple[int, ...]:
    return tuple(BlockNames(BLOCK, salt).of(TokenIds((), IDS)))


def test_stored_blocks_have_the_names_that_planners_use() -> None:
    events = [BlockStored([b"a", b"b"], None, list(IDS[:8])), BlockStored([b"c"], b"b", list(IDS[8:]))]
    first, second = Translation().of(events)
    assert first.stored + second.stored == names()


def test_a_salt_gives_the_names_of_that_salt() -> None:
    [change] = Translation().of([BlockStored([b"a", b"b", b"c"], None, list(IDS), extra_keys=[("s",), None, None])])
    assert change.stored == names("s")


def test_removed_blocks_are_named_as_they_were_stored() -> None:
    translation = Translation()
    list(translation.of([BlockStored([b"a", b"b", b"c"], None, list(IDS))]))
    assert list(translation.of([BlockRemoved([b"c", b"unknown"])])) == [CacheChange(removed=names()[2:])]


def test_what_stands_on_an_unknown_block_stays_unknown() -> None:
    [change] = Translation().of([BlockStored([b"c"], b"never heard of", list(IDS[8:]))])
    assert change == CacheChange()


def test_of_a_hybrid_model_the_first_group_counts() -> None:
    [change] = Translation().of([BlockStored([b"a"], None, list(IDS[:4]), group_idx=1)])
    assert change == CacheChange()


def test_a_cleared_cache_forgets_all() -> None:
    translation = Translation()
    list(translation.of([BlockStored([b"a"], None, list(IDS[:4]))]))
    assert list(translation.of([AllBlocksCleared(), BlockRemoved([b"a"])])) == [
        CacheChange(cleared=True),
        CacheChange(),
    ]
