"""What vLLM's cache stores and evicts, as it tells over ZMQ, in our names of blocks.

The events carry token ids, that is what was typed: they go over a Unix socket in a directory that only this user can
open. A gap in their numbers means that some were dropped; then nothing is believed any more, and told again.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cached_blocks import BlockName, CacheChange, chained

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
                    translation = Translation()
                    yield CacheChange(cleared=True)
                expected = seq + 1
                for change in translation.of(decoder.decode(payload).events):
                    yield change

    def close(self) -> None:
        """Remove the socket's directory."""
        self._directory.cleanup()


class Translation:
    """vLLM's hashes of blocks to our names. What stands on a block that was never heard of stays unknown."""

    def __init__(self) -> None:
        self._names: dict[Any, BlockName] = {}

    def of(self, events: Iterable[Any]) -> Iterable[CacheChange]:
        """Yield vLLM's events as changes."""
        for event in events:
            match type(event).__name__:
                case "BlockStored":
                    yield CacheChange(stored=tuple(self._stored(event)))
                case "BlockRemoved":
                    names = (self._names.pop(key, None) for key in event.block_hashes)
                    yield CacheChange(removed=tuple(name for name in names if name is not None))
                case "AllBlocksCleared":
                    self._names.clear()
                    yield CacheChange(cleared=True)

    def _stored(self, event: Any) -> list[BlockName]:
        if event.group_idx:  # of a hybrid model the first group alone holds whole prefixes
            return []
        parent = self._parent(event)
        if parent is None:
            return []
        names = chained(parent, event.token_ids, event.block_size)
        self._names.update(zip(event.block_hashes, names, strict=True))
        return names

    def _parent(self, event: Any) -> BlockName | None:
        if event.parent_block_hash is not None:
            return self._names.get(event.parent_block_hash)
        extra = event.extra_keys[0] if event.extra_keys else None
        return hash(extra[0] if extra else None)  # of a text model: its cache salt
