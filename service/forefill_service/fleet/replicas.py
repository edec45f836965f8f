"""The engines that serve one model, and the route of each session to one of them.

The blocks that a session has warmed are in the cache of one replica, its home, so all its requests go there. Rendezvous
hashing puts the replicas in an order for each key, the same one in every copy of forefill in front of the same servers.
When a session opens, the first of them that are up are its candidates, and the less loaded one becomes its home
(`placement`). A session that resumes names its home (`resume_token`), so another copy finds it. While the home is down,
the key's next replica serves the session.

A router decides for itself: it is sent the key, and counts as one replica for each of its workers, with separate
beliefs about the cache for each key.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..cache.blocks import CachedBlocks
from ..chat.prompt import Chat
from ..engine import Engine, EngineInfo
from ..engine.rendezvous import ranked
from ..errors import EngineError, EngineUnavailable, EngineUnreachable
from ..scheduling.admission import Admission
from ..scheduling.retry_budget import RetryBudget
from .placement import RULES, Load, Rule
from .resume_token import name_for, token_of

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Replica:
    """One engine, its admission, and the blocks that it is believed to hold.

    `inert_reason` says why warming does nothing there, "" if it works; `ready` says that this has been tested.
    `sessions` is the number of open sessions that it serves for this copy of forefill.
    """

    name: str
    engine: Engine
    admission: Admission
    blocks: CachedBlocks
    inert_reason: str = ""
    ready: bool = True
    sessions: int = 0

    @property
    def load(self) -> Load:
        """Its load; the requests of others as far as the engine reports them."""
        requests, reported = self.admission.generations + self.admission.speculative, self.engine.load
        others = (reported.others or 0) + max(0, reported.waiting - requests)
        return Load(self.sessions, requests, others)

    @property
    def server(self) -> str:
        """The server that it runs in: engines of one server mostly fail together."""
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
    """The target of a session's requests: `route` is the key for a router, `cache_partition` separates its caches."""

    replica: Replica
    route: str
    cache_partition: str = ""


@dataclass(slots=True)
class Replicas:
    """All replicas of one model, and the rule by which sessions are placed on them.

    `routed` says that a router decides which engine serves a key.
    """

    all: Sequence[Replica]
    retries: RetryBudget
    routed: bool = False
    rule: Rule = RULES["session"]
    _order: dict[str, list[Replica]] = field(default_factory=dict)
    """By key, because sorting for each request would cost more than the request. Bounded in `order`."""

    @property
    def info(self) -> EngineInfo:
        """The model that they all serve."""
        return self.all[0].engine.info

    @property
    def chat(self) -> Chat:
        """The model's chat template and tokenizer."""
        return self.all[0].engine.chat

    @property
    def up(self) -> bool:
        """Whether any of them is worth asking now."""
        return any(replica.up for replica in self.all)

    def home_for(self, key: str, resume_token: str = "") -> Replica:
        """Return the replica for a session that opens; the token names its last one, if it had one and that is up."""
        order = self.order(key)
        candidates = [replica for replica in order if replica.up]
        if self.routed or not candidates:
            return order[0]
        by_name = {replica.name: replica for replica in candidates}
        if (last := name_for(resume_token, by_name)) is not None:
            return by_name[last]
        return self.rule.choose(candidates, [replica.load for replica in candidates])

    def for_key(self, key: str) -> Replica | None:
        """Return the replica that serves a key now; None if none is up."""
        return next((replica for replica in self.order(key) if replica.up), None)

    def fallback_for(self, key: str, failed: Replica) -> Replica | None:
        """Return the replica that serves a key without this one, preferably on another server; None if none is up."""
        others = [replica for replica in self.order(key) if replica.up and replica is not failed]
        return min(others, key=lambda other: other.server == failed.server, default=None)

    def order(self, key: str) -> list[Replica]:
        """Return all replicas in the order in which a key prefers them."""
        if (known := self._order.get(key)) is not None:
            return known
        if len(self._order) >= 4096:
            self._order.clear()
        by_name = {replica.name: replica for replica in self.all}
        self._order[key] = order = [by_name[name] for name in ranked(key, list(by_name))]
        return order


class Route:
    """The route of one session. `key` is the same for all its turns, and after it resumes.

    Its home is chosen at once. While it is `open`, it counts as a session of the replica that serves it.
    """

    def __init__(self, replicas: Replicas, key: str, resume_token: str = "") -> None:
        self._replicas = replicas
        self._key = key
        self._moves = 0
        self._home = self._place(replicas.home_for(key, resume_token), key)
        self._served_by = self._home.replica
        self._counted = 0

    @property
    def now(self) -> Place:
        """The place that requests go to now: while all replicas are down, the one they would go to if all were up."""
        place = self._home if self._home.replica.up else self._refuge()  # asked several times at every FLUSH
        if place.replica is not self._served_by:
            self._count_at(place.replica)
        return place

    @property
    def resume_token(self) -> str:
        """The token that names its home; "" if there is nothing to name: one replica, or a router that decides."""
        alone = self._replicas.routed or len(self._replicas.all) == 1
        return "" if alone else token_of(self._home.replica.name)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Count the session as open for the duration of the block."""
        self._counted = 1
        self._served_by.sessions += 1
        try:
            yield
        finally:
            self._served_by.sessions -= 1
            self._counted = 0

    def elsewhere(self, failed: Place, error: EngineError) -> Place | None:
        """Return a place to send a failed generation to once more; None if there is none, or no retry is left."""
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
        """Record that a request failed there: after the loss of a worker behind a router, take another route for good.

        Keep the route if the router itself is away, which says nothing about the worker, or if the worker has no room.
        """
        lost = isinstance(error, EngineUnavailable) and not isinstance(error, EngineUnreachable)
        if self._replicas.routed and lost and failed.route == self._moved_key:
            self._moves += 1
            self._home = self._place(self._replicas.order(self._moved_key)[0], self._moved_key)

    def _refuge(self) -> Place:
        """Return the place for the time that the home is down."""
        other = self._replicas.for_key(self._moved_key)
        return self._home if other is None else self._place(other, self._moved_key)

    def _count_at(self, replica: Replica) -> None:
        self._served_by.sessions -= self._counted
        replica.sessions += self._counted
        self._served_by = replica

    def _place(self, replica: Replica, key: str) -> Place:
        return Place(replica, key, cache_partition=key if self._replicas.info.caches > 1 else "")

    @property
    def _moved_key(self) -> str:
        return self._key_after(self._moves)

    def _key_after(self, moves: int) -> str:
        return f"{self._key}~{moves}" if moves else self._key
