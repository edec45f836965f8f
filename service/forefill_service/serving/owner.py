"""For whom a session works: who pays for it, how it is answered, its way to an engine, and what it believes cached."""

import hashlib
import hmac
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

from ..access.caller import Caller
from ..cache.blocks import root_of
from ..cache.view import CacheView
from ..chat.generation import Output, Sampling
from ..chat.messages import Conversation
from ..chat.token_ids import TokenIds
from ..engine import ChatRequest, Priority, Request
from ..fleet.backend import Backend
from ..fleet.fair_queue import Line
from ..fleet.replicas import Place, Route
from ..fleet.shares import Share
from ..fleet.streams import StreamRecord
from ..session.continuation import continuable
from ..session.events import CacheScope, Open, fingerprint
from ..session.ledger import Balance


@dataclass(eq=False, slots=True)
class Owner:
    """One session, to all that works for it.

    `adapter` is the LoRA adapter that answers, "" for none; `adapter_version` is known once it was asked for, before
    the first of `view`. `sampling` is how answers are sampled: as Open says, and then as the engine's parsers need it.
    """

    backend: Backend
    session: str
    caller: Caller
    cache_salt: str | None
    route: Route
    stream: StreamRecord
    sampling: Sampling = field(default_factory=Sampling)
    adapter: str = ""
    adapter_version: str = ""
    _view: tuple[Place, CacheView] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, backend: Backend, opening: Open, caller: Caller, stream: StreamRecord) -> "Owner":
        """Return the owner of the session that a caller begins with this Open, on this stream."""
        tenant = caller.tenant
        session = opening.session_key or secrets.token_hex(8)
        route = Route(backend.replicas, _route_key(backend, opening, session, tenant), opening.resume_token)
        salt = _cache_salt(backend, opening, tenant)
        owner = cls(backend, session, caller, salt, route, stream, opening.sampling, opening.adapter)
        backend.guess_budget.opened(*owner.accounts)
        return owner

    @property
    def tenant(self) -> str:
        """Whose cached blocks it shares; "" if all sessions are of one tenant."""
        return self.caller.tenant

    @property
    def share(self) -> Share:
        """What its caller may have."""
        return self.backend.shares.share(self.caller)

    @property
    def accounts(self) -> tuple[str, str]:
        """The accounts that its work is booked to."""
        return f"session {self.key}", f"tenant {self.tenant}"

    @property
    def key(self) -> str:
        """The session's name among those of all tenants, which choose the names of their own as they like."""
        return f"{self.tenant}/{self.session}"

    async def render(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run a function of `prompt` for this session, as `Backend.render` does: never two at once."""
        return await self.backend.render(function, *args, line=Line(self.caller.key, self.session))

    def generate(
        self,
        place: Place,
        prompt: TokenIds,
        conversation: Conversation | None,
        sampling: Sampling,
        priority: Priority,
    ) -> AsyncGenerator[Output, None]:
        """Ask an engine for what follows a prompt or, with a conversation, its chat endpoint for the answer to that."""
        engine = place.replica.engine
        asked = sampling, priority, self.cache_salt, place.route, self.adapter, self.stream.request_id()
        if conversation is not None:
            return engine.chat_endpoint.generate(ChatRequest(conversation, *asked))
        return engine.generate(Request(prompt.to_list(), *asked))

    def can_go_on(self, *, by_endpoint: bool) -> bool:
        """Return whether a second request can continue an answer that a first one began.

        It cannot if the engine's chat endpoint answers (`by_endpoint`), which takes no ids.
        """
        return not by_endpoint and continuable(self.sampling, penalizes=self.backend.info.penalizes)

    def view(self, place: Place) -> CacheView:
        """Return what a place is believed to hold of the session's prompts.

        The last place's view is kept, since a session seldom moves, and a view names a long base prompt only once.
        """
        if self._view is not None:
            at, view = self._view
            if at.replica.blocks is place.replica.blocks and at.cache_partition == place.cache_partition:
                return view
        info, partition = self.backend.info, place.cache_partition
        view = CacheView(
            place.replica.blocks,
            block_size=info.block_size,
            context_tokens=info.context_tokens,
            even_tokens=self.backend.settings.warming.even_piece_tokens,
            root=root_of(self.cache_salt, adapter=self.adapter, version=self.adapter_version, partition=partition),
        )
        self._view = place, view
        return view

    def book(self, balance: Balance) -> Balance:
        """Book a turn's closed ledger to the session and its tenant, and for the operator; return it."""
        self.backend.waste_limiter.settled(balance, *self.accounts)
        self.stream.settled(balance)
        self.share.used(balance.computed + balance.discarded)
        return balance


def _route_key(backend: Backend, opening: Open, session: str, tenant: str) -> str:
    """Return what decides where the session's requests go."""
    if backend.settings.remote.affinity == "session":
        return f"{tenant}/{session}"
    said = (tenant, opening.adapter, opening.fingerprint or fingerprint(opening))
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _cache_salt(backend: Backend, opening: Open, tenant: str) -> str | None:
    """Return what sets the session's blocks apart from those of others: from other tenants' always.

    The secrets of a client and of the server are keys here, so that neither the engine nor who sees its requests learns
    them, and who knows the name of a tenant cannot guess its salt.
    """
    if opening.cache_secret:
        return hmac.new(opening.cache_secret, f"forefill cache of tenant {tenant}".encode(), "sha256").hexdigest()
    default = CacheScope[backend.settings.access.cache_scope.upper()]
    if (opening.cache_scope or default) is CacheScope.SESSION:
        return secrets.token_hex(16)
    if not tenant:
        return None
    return hmac.new(backend.salt_key, f"forefill tenant {tenant}".encode(), "sha256").hexdigest()
