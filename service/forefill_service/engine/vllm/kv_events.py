"""What vLLM's cache stores and evicts, as it tells over ZMQ, in our names of blocks.

The events carry token ids, that is what was typed: they go over a Unix socket in a directory that only this user can
open. A gap in their numbers means that some were dropped; then nothing is believed any more but what is told from there
on.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cache.blocks import BlockName, CacheChange, chained

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

log = logging.getLogger(__name__)


class CacheEvents:
    """The events of one vLLM: `config` goes into its arguments, then iterate `changes`."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="forefill-")  # mode 0700
        self._endpoint = f"ipc://{Path(self._directory.name) / 'kv-events'}"

    def config(self) -> Any:
        """Return vLLM's KVEventsConfig for them."""
        from vllm.config import KVEventsConfig

        return KVEventsConfig(
            enable_kv_cache_events=True, publisher="zmq", endpoint=self._endpoint, buffer_steps=1, topic=""
        )

    async def changes(self) -> AsyncGenerator[CacheChange, None]:
        """Yield what changes, until the iterator is closed."""
        import msgspec
        import zmq.asyncio
        from vllm.distributed.kv_events import KVEventBatch

        decoder = msgspec.msgpack.Decoder(KVEventBatch)
        translation, expected = Translation(), None
        with zmq.asyncio.Context() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.connect(self._endpoint)
            socket.subscribe(b"")
            while True:
                _, number, payload = await socket.recv_multipart()
                seq = int.from_bytes(number, "big")
                if expected is not None and seq != expected:
                    log.warning("%d messages on the cache were lost; what it holds is learnt anew", seq - expected)
                    translation.lost()
                    yield CacheChange(cleared=True)
                expected = seq + 1
                for change in translation.of(decoder.decode(payload).events):
                    yield change

    def close(self) -> None:
        """Remove the socket's directory."""
        self._directory.cleanup()


class Translation:
    """vLLM's hashes of blocks to our names. What stands on a block that was never heard of stays unknown.

    vLLM may hold several copies of a block, and tells of each that comes and goes: of a prompt that is all cached the
    last block is computed again, into a new one. For us a block is gone with its last copy.

    Where events were `lost`, names still hold, since a hash is of what a block holds, but nobody knows how many copies
    there are. Those heard of from then on are counted, and all that go are taken to be of these: never more are counted
    than there are, so no block is believed for longer than vLLM holds it, though it may be given up too early.
    """

    def __init__(self) -> None:
        self._names: dict[Any, BlockName] = {}
        self._copies: Counter[Any] = Counter()
        self._names_before: dict[Any, BlockName] = {}  # a loss; the next one ends them, so they do not pile up

    def of(self, events: Iterable[Any]) -> Iterable[CacheChange]:
        """Yield vLLM's events as changes."""
        for event in events:
            match type(event).__name__:
                case "BlockStored":
                    yield CacheChange(stored=tuple(self._stored(event)))
                case "BlockRemoved":
                    yield CacheChange(removed=tuple(self._removed(event)))
                case "AllBlocksCleared":
                    self._names, self._copies, self._names_before = {}, Counter(), {}
                    yield CacheChange(cleared=True)

    def lost(self) -> None:
        """Take it that events were lost: of what is named so far, nobody knows what is still held."""
        self._names_before, self._names = self._names, {}
        self._copies.clear()

    def _stored(self, event: Any) -> list[BlockName]:
        if event.group_idx:  # of a hybrid model the first group alone holds whole prefixes
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
        extra = event.extra_keys[0] if event.extra_keys else None
        return hash(extra[0] if extra else None)  # of a text model: its cache salt
