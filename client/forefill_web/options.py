"""How the bridge opens a session for a browser: what the product decides, and the browser cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forefill_client import CacheScope, MessageLike, PregenerationMode, Sampling, WarmMode
from forefill_client.connection import Metadata


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SessionOptions:
    """The options of a browser's session; those that name one of `AsyncClient.session` are passed on to it."""

    before: Sequence[MessageLike] = ()
    """Messages before the conversation, such as the system prompt. The browser never sees them."""
    owner: str = ""
    """Who has the conversation, such as the name of the user who has logged in: no other owner can go on with it, even
    with its token."""
    sampling: Sampling | None = None
    warm_mode: WarmMode = WarmMode.AUTO
    cache_scope: CacheScope = CacheScope.DEFAULT
    documents: Sequence[Mapping[str, str]] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: Mapping[str, Any] | None = None
    pregeneration: PregenerationMode = PregenerationMode.AUTO
    adapter: str = ""
    metadata: Metadata = ()

    def __repr__(self) -> str:
        return f"<SessionOptions, {len(self.before)} messages before the conversation>"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `AsyncClient.session`, but for the messages."""
        ours = ("before", "owner")
        return {name: getattr(self, name) for name in self.__slots__ if name not in ours}
