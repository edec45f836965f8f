"""vLLM's words on its cache, in our names."""

import stat
import sys
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from forefill_service.cache.blocks import BlockNames, CacheChange, root_of
from forefill_service.chat.token_ids import TokenIds
from forefill_service.engine.vllm.kv_events import BlockNameMap, CacheEvents

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
    lora_name: str | None = None


@dataclass
class BlockRemoved:
    """As vLLM's, with what is read of it."""

    block_hashes: list[bytes]
    group_idx: int | None = None


@dataclass
class AllBlocksCleared:
    """As vLLM's."""

    nothing: list[int] = field(default_factory=list)


def names(root: Hashable = None) -> tuple[int, ...]:
    return tuple(BlockNames(BLOCK, root).of(TokenIds((), IDS)))


def test_events_travel_over_a_socket_that_only_this_user_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    vllm_config = ModuleType("vllm.config")
    monkeypatch.setattr(vllm_config, "KVEventsConfig", SimpleNamespace, raising=False)
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.config", vllm_config)
    events = CacheEvents()
    endpoint = events.config().endpoint
    directory = Path(endpoint.removeprefix("ipc://")).parent
    assert endpoint.startswith("ipc://")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    events.close()
    assert not directory.exists()


def test_stored_blocks_have_the_names_that_planners_use() -> None:
    events = [BlockStored([b"a", b"b"], None, list(IDS[:8])), BlockStored([b"c"], b"b", list(IDS[8:]))]
    first, second = BlockNameMap().changes(events)
    assert first.stored + second.stored == names()


def test_a_salt_gives_the_names_of_that_salt() -> None:
    [change] = BlockNameMap().changes(
        [BlockStored([b"a", b"b", b"c"], None, list(IDS), extra_keys=[("s",), None, None])]
    )
    assert change.stored == names("s")


@pytest.mark.parametrize(("salt", "keys"), [(None, ("sql",)), ("s", ("sql", "s"))])
def test_an_adapter_gives_the_names_of_that_adapter(salt: str | None, keys: tuple[str, ...]) -> None:
    stored = BlockStored([b"a", b"b", b"c"], None, list(IDS), extra_keys=[keys, ("sql",), ("sql",)], lora_name="sql")
    [change] = BlockNameMap().changes([stored])
    assert change.stored == names(root_of(salt, adapter="sql"))
    assert change.stored != names(root_of(salt, adapter="poems"))
    assert change.stored != names(salt)


def test_removed_blocks_are_named_as_they_were_stored() -> None:
    block_names = BlockNameMap()
    list(block_names.changes([BlockStored([b"a", b"b", b"c"], None, list(IDS))]))
    assert list(block_names.changes([BlockRemoved([b"c", b"unknown"])])) == [CacheChange(removed=names()[2:])]


def test_what_stands_on_an_unknown_block_stays_unknown() -> None:
    [change] = BlockNameMap().changes([BlockStored([b"c"], b"never heard of", list(IDS[8:]))])
    assert change == CacheChange()


def test_of_a_hybrid_model_the_first_group_counts() -> None:
    whole = list(IDS[:4])
    events = [BlockStored([b"a"], None, whole, group_idx=group) for group in (0, 1)]
    removed = [BlockRemoved([b"a"], group_idx=group) for group in (1, 0)]
    assert list(BlockNameMap().changes([*events, *removed])) == [
        CacheChange(stored=names()[:1]),
        CacheChange(),
        CacheChange(),
        CacheChange(removed=names()[:1]),
    ]


def test_a_block_is_removed_with_its_last_copy() -> None:
    """A touch computes the last block again; when one of the two goes, vLLM goes on from the other."""
    block_names = BlockNameMap()
    list(
        block_names.changes([BlockStored([b"a", b"b"], None, list(IDS[:8])), BlockStored([b"b"], b"a", list(IDS[4:8]))])
    )
    one_copy, behind, last_copy, end = block_names.changes(
        [
            BlockRemoved([b"b"]),
            BlockStored([b"c"], b"b", list(IDS[8:])),
            BlockRemoved([b"b"]),
            BlockRemoved([b"c"]),
        ]
    )
    assert one_copy == CacheChange()
    assert behind == CacheChange(stored=names()[2:])
    assert last_copy == CacheChange(removed=names()[1:2])
    assert end == CacheChange(removed=names()[2:])


def test_after_a_loss_what_is_stored_on_a_block_known_before_is_named() -> None:
    block_names = BlockNameMap()
    list(block_names.changes([BlockStored([b"a", b"b"], None, list(IDS[:8]))]))
    block_names.events_lost()
    changes = list(block_names.changes([BlockStored([b"c"], b"b", list(IDS[8:])), BlockRemoved([b"c"])]))
    assert changes == [CacheChange(stored=names()[2:]), CacheChange(removed=names()[2:])]


def test_after_a_loss_only_copies_heard_of_since_are_counted() -> None:
    """Of three copies the loss may have hidden the end: one more comes and goes, and none may be left."""
    block_names = BlockNameMap()
    copy = BlockStored([b"a"], None, list(IDS[:4]))
    list(block_names.changes([copy, copy, copy]))
    block_names.events_lost()
    assert list(block_names.changes([copy, BlockRemoved([b"a"])]))[1] == CacheChange(removed=names()[:1])


def test_after_a_loss_a_block_is_given_up_with_each_copy_that_may_be_the_last() -> None:
    block_names = BlockNameMap()
    copy, gone = BlockStored([b"a"], None, list(IDS[:4])), BlockRemoved([b"a"])
    list(block_names.changes([copy, copy]))
    block_names.events_lost()
    assert list(block_names.changes([gone, gone])) == [CacheChange(removed=names()[:1])] * 2
    [stored, *_] = block_names.changes([copy])
    assert stored == CacheChange(stored=names()[:1])
    assert list(block_names.changes([copy, gone, gone]))[1:] == [CacheChange(), CacheChange(removed=names()[:1])]


def test_names_that_were_not_heard_of_between_two_losses_are_forgotten() -> None:
    block_names = BlockNameMap()
    list(block_names.changes([BlockStored([b"a"], None, list(IDS[:4]))]))
    block_names.events_lost()
    block_names.events_lost()
    assert list(block_names.changes([BlockStored([b"b"], b"a", list(IDS[4:8]))])) == [CacheChange()]


def test_a_cleared_cache_forgets_all() -> None:
    block_names = BlockNameMap()
    list(block_names.changes([BlockStored([b"a"], None, list(IDS[:4]))]))
    assert list(block_names.changes([AllBlocksCleared(), BlockRemoved([b"a"])])) == [
        CacheChange(cleared=True),
        CacheChange(),
    ]
