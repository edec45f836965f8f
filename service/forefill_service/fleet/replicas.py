"""The engines that serve one model, and the way of each session to one of them.

What a session has warmed lies in the cache of one replica, so all its requests go there: its key falls to a replica by
rendezvous hashing, the same one for every copy of forefill in front of the same servers. While that replica is down the
key falls to the next. A router decides for itself: it is told the key, and counts as one replica for each of its
workers, with what is believed cached kept apart by key.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..cache.blocks import CachedBlocks
from ..chat.prompt import Chat
from ..engine import Engine, EngineInfo
from ..engine.rendezvous import ranked
from ..errors import EngineError, EngineUnavailable, EngineUnreachable
from ..scheduling.admission import Admission
from ..scheduling.retry_budget import RetryBudget

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Replica:
    """One engine: who may use it now, and what it is believed to hold.

    `inert_reason` says why warming does nothing there, "" where it works; `ready`, that this was found out.
    """

    name: str
    engine: Engine
    admission: Admission
    blocks: CachedBlocks
    inert_reason: str = ""
    ready: bool = True

    @property
    def server(self) -> str:
        """What it runs in: engines of one server are mostly lost together."""
        return self.name.partition("#")[0]

    @property
    def inert(self) -> bool:
        """Whether warming does nothing there."""
        return bool(self.inert_reason)

    @property
    def up(self) -> bool:
        """Whether it is worth asking now."""
        return self.ready and self.engine.up


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session's requests go now: `route` is what a router is told, `cache_partition` sets its caches apart."""

    replica: Replica
    route: str
    cache_partition: str = ""


@dataclass(slots=True)
class Replicas:
    """All replicas of one model. `routed` says that a router decides which engine a key falls to."""

    all: Sequence[Replica]
    retries: RetryBudget
    routed: bool = False
    _order: dict[str, list[Replica]] = field(default_factory=dict)
    """By key: sorting anew for each request would cost more than the request. Bounded: see `order`."""

    @property
    def info(self) -> EngineInfo:
        """What they serve, the same for all."""
        return self.all[0].engine.info

    @property
    def chat(self) -> Chat:
        """The model's chat template and tokenizer."""
        return self.all[0].engine.chat

    @property
    def up(self) -> bool:
        """Whether any of them is worth asking now."""
        return any(replica.up for replica in self.all)

    def for_key(self, key: str) -> Replica | None:
        """Return the replica that a key falls to now; None where none is up."""
        return next((replica for replica in self.order(key) if replica.up), None)

    def fallback_for(self, key: str, failed: Replica) -> Replica | None:
        """Return the one that the key falls to without this one, on another server where one is up; None: none is."""
        others = [replica for replica in self.order(key) if replica.up and replica is not failed]
        return min(others, key=lambda other: other.server == failed.server, default=None)

    def order(self, key: str) -> list[Replica]:
        """Return all of them in the order in which a key falls to them."""
        if (known := self._order.get(key)) is not None:
            return known
        if len(self._order) >= 4096:
            self._order.clear()
        by_name = {replica.name: replica for replica in self.all}
        self._order[key] = order = [by_name[name] for name in ranked(key, list(by_name))]
        return order


class Route:
    """One session's way: `key` is the same for a session resumed, and for all its turns."""

    def __init__(self, replicas: Replicas, key: str) -> None:
        self._replicas = replicas
        self._key = key
        self._moves = 0

    @property
    def now(self) -> Place:
        """Where requests go now: while all replicas are down, where they would go if they were up."""
        key = self._moved_key
        return self._place(self._replicas.for_key(key) or self._replicas.order(key)[0], key)

    def elsewhere(self, failed: Place, error: EngineError) -> Place | None:
        """Return where a generation that failed there may be sent once more; None: nowhere, or not now."""
        if self._replicas.routed:
            self.leave(failed, error)
            away = isinstance(error, EngineUnreachable)
            key = self._key_after(self._moves + 1) if failed.route == self._moved_key else self._moved_key
            other = None if away else self._replicas.for_key(key)
        else:
            key, other = self._moved_key, self._replicas.fallback_for(self._moved_key, failed.replica)
        if other is None or not self._replicas.retries.take():
            return None
        return self._place(other, key)

    def leave(self, failed: Place, error: EngineError) -> None:
        """Take it that a request on this way failed: where a worker behind a router was lost, go another way for good.

        Not where the router is away, which says nothing of the worker, nor where the worker has no room.
        """
        lost = isinstance(error, EngineUnavailable) and not isinstance(error, EngineUnreachable)
        if self._replicas.routed and lost and failed.route == self._moved_key:
            self._moves += 1

    def _place(self, replica: Replica, key: str) -> Place:
        return Place(replica, key, cache_partition=key if self._replicas.info.caches > 1 else "")

    @property
    def _moved_key(self) -> str:
        return self._key_after(self._moves)

    def _key_after(self, moves: int) -> str:
        return f"{self._key}~{moves}" if moves else self._key
