"""The client without await: for scripts, notebooks and threads. It shares all with the asynchronous one.

An event loop of the client's own runs in a thread of its own, so a loop that runs already, as in a notebook, is not in
the way. Each call waits for what the asynchronous one awaits, and raises the same. The methods have the same names,
parameters and meaning as those of `AsyncClient`, `Session` and `Answer`.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from .client import DEFAULT_RESUME, AsyncClient
from .client_portal import ClientClosed, client_portal
from .connection import Metadata
from .messages import MessageLike
from .options import CacheScope, PregenerationMode, Resume, Sampling, WarmMode
from .report import FlushResult, PregenerationUpdate
from .session_state import OnState
from .sync_session import SyncSession
from .tool_choice import ToolChoice


class Client:
    """A connection to one forefill server, as `AsyncClient`, without await."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._portal = client_portal()

    @classmethod
    def connect(
        cls,
        target: str,
        *,
        connect_timeout_seconds: float = 10.0,
        resume: Resume | None = DEFAULT_RESUME,
        tls: bool | bytes = False,
        api_key: str | Callable[[], str] = "",
        metadata: Metadata = (),
        interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
        channel: grpc.aio.Channel | None = None,
    ) -> Self:
        """Connect to `target`: `with` the result, or close() it later. See `AsyncClient.connect`.

        A `channel` of your own must belong to no event loop yet.
        """
        return cls(
            AsyncClient.connect(
                target,
                connect_timeout_seconds=connect_timeout_seconds,
                resume=resume,
                tls=tls,
                api_key=api_key,
                metadata=metadata,
                interceptors=interceptors,
                credentials=credentials,
                options=options,
                channel=channel,
            )
        )

    def session(
        self,
        messages: Iterable[MessageLike] = (),
        *,
        sampling: Sampling | None = None,
        draft: str = "",
        warm_mode: WarmMode = WarmMode.AUTO,
        cache_scope: CacheScope = CacheScope.DEFAULT,
        cache_secret: bytes = b"",
        session_key: str = "",
        resume_token: str = "",
        tools: Iterable[Mapping[str, Any]] | None = None,
        tool_choice: ToolChoice | None = None,
        parallel_tool_calls: bool = True,
        documents: Iterable[Mapping[str, str]] | None = None,
        reasoning_effort: str | None = None,
        continue_final_message: bool = False,
        draft_name: str = "",
        chat_template_kwargs: Mapping[str, Any] | None = None,
        pregeneration: PregenerationMode = PregenerationMode.AUTO,
        adapter: str = "",
        metadata: Metadata = (),
        auto_flush: bool = True,
        on_flush: Callable[[FlushResult], None] | None = None,
        on_pregeneration: Callable[[PregenerationUpdate], None] | None = None,
        on_state: OnState | None = None,
    ) -> SyncSession:
        """Make a session; `with` opens it. See `AsyncClient.session`.

        Callbacks are called in the client's own thread, from which no call of the client or its sessions may be made.
        """
        session = self._client.session(
            messages,
            sampling=sampling,
            draft=draft,
            warm_mode=warm_mode,
            cache_scope=cache_scope,
            cache_secret=cache_secret,
            session_key=session_key,
            resume_token=resume_token,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            documents=documents,
            reasoning_effort=reasoning_effort,
            continue_final_message=continue_final_message,
            draft_name=draft_name,
            chat_template_kwargs=chat_template_kwargs,
            pregeneration=pregeneration,
            adapter=adapter,
            metadata=metadata,
            auto_flush=auto_flush,
            on_flush=on_flush,
            on_pregeneration=on_pregeneration,
            on_state=on_state,
        )
        return SyncSession(self._portal, session)

    def close(self) -> None:
        """Close the connection and cancel sessions that are still open; a second call does nothing."""
        with contextlib.suppress(ClientClosed):
            self._portal.run(self._client.close())
        self._portal.stop()

    def __repr__(self) -> str:
        return repr(self._client).replace("AsyncClient", "Client")

    def __enter__(self) -> Self:
        try:
            self._portal.run(self._client.__aenter__())
        except BaseException:
            self._portal.stop()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
