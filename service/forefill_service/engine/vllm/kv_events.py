"""vLLM's KV events: the blocks that its cache stores and evicts, reported over ZMQ, translated to our block names.

The events contain token ids, and so what users typed: they travel over a Unix socket in a directory that only this user
can open. A gap in their numbers means that some were dropped; only what is reported after the gap is believed then.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cache.blocks import BlockName, CacheChange, chained, root_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

log = logging.getLogger(__name__)


class CacheEvents:
    """The KV events of one vLLM: start it with `config`, then iterate over `changes`."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="forefill-")  # mode 0700
        self._endpoint = f"ipc://{Path(self._directory.name) / 'kv-events'}"

    def config(self) -> Any:
        """Return the KVEventsConfig that has vLLM publish them here."""
        from vllm.config import KVEventsConfig

        return KVEventsConfig(
            enable_kv_cache_events=True, publisher="zmq", endpoint=self._endpoint, buffer_steps=1, topic=""
        )

    async def changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield changes of the cache until the iterator is closed."""
        import msgspec
        import zmq.asyncio
        from vllm.distributed.kv_events import KVEventBatch

        decoder = msgspec.msgpack.Decoder(KVEventBatch)
        names, expected = BlockNameMap(), None
        with zmq.asyncio.Context() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.connect(self._endpoint)
            socket.subscribe(b"")
            while True:
                _, number, payload = await socket.recv_multipart()
                seq = int.from_bytes(number, "big")
                if expected is not None and seq != expected:
                    log.warning("%d KV events were lost; forefill forgets what it knew of the cache", seq - expected)
                    names.events_lost()
                    yield CacheChange(cleared=True)
                expected = seq + 1
                for change in names.changes(decoder.decode(payload).events):
                    yield change

    def close(self) -> None:
        """Remove the socket's directory."""
        self._directory.cleanup()


class BlockNameMap:
    """Maps vLLM's block hashes to our block names. A block whose parent was never reported stays unknown.

    vLLM may hold several copies of a block, and reports each that it stores or evicts: if a prompt is cached entirely,
    its last block is computed again, into a new copy. For us a block is gone when its last copy is.

    After events were lost, the names are still right, since a hash identifies the content of a block, but the number of
    copies is unknown. Only copies reported since are counted, and every eviction is counted against them. So the count
    is never too high: no block is believed cached for longer than vLLM holds it, though it may be given up too early.
    """

    def __init__(self) -> None:
        self._names: dict[Any, BlockName] = {}
        self._copies: Counter[Any] = Counter()
        self._names_before: dict[
            Any, BlockName
        ] = {}  # the last loss; the next loss drops them, so they do not accumulate

    def changes(self, events: Iterable[Any]) -> Iterable[CacheChange]:
        """Yield one change for each of vLLM's events, in our block names."""
        for event in events:
            match type(event).__name__:
                case "BlockStored":
                    yield CacheChange(stored=tuple(self._stored(event)))
                case "BlockRemoved":
                    yield CacheChange(removed=tuple(self._removed(event)))
                case "AllBlocksCleared":
                    self._names, self._copies, self._names_before = {}, Counter(), {}
                    yield CacheChange(cleared=True)

    def events_lost(self) -> None:
        """Record that events were lost: blocks named so far may or may not be cached still."""
        self._names_before, self._names = self._names, {}
        self._copies.clear()

    def _stored(self, event: Any) -> list[BlockName]:
        if event.group_idx:  # only the first group of a hybrid model holds whole prefixes
            return []
        parent = self._parent(event)
        if parent is None:
            return []
        names = chained(parent, event.token_ids, event.block_size)
        self._names.update(zip(event.block_hashes, names, strict=True))
        self._copies.update(event.block_hashes)
        return names

    def _removed(self, event: Any) -> Iterable[BlockName]:
        if event.group_idx:
            return
        for key in event.block_hashes:
            self._copies[key] -= 1
            if self._copies[key] < 1:
                del self._copies[key]
                if (name := self._names.pop(key, self._names_before.get(key))) is not None:
                    yield name

    def _parent(self, event: Any) -> BlockName | None:
        if (key := event.parent_block_hash) is not None:
            return self._names.get(key, self._names_before.get(key))
        extra = (event.extra_keys[0] if event.extra_keys else None) or ()
        adapter = event.lora_name or ""
        salt = extra[1:] if adapter else extra  # for a text model: the adapter, if any, and the cache salt, if any
        return hash(root_of(salt[0] if salt else None, adapter=adapter))
