"""The client of one server: sessions are made here."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import grpc

from .checks import checked_callback, checked_seconds, checked_type
from .connection import Connection, Metadata, checked_metadata
from .errors import InvalidRequest
from .messages import MessageLike
from .options import CacheScope, PregenerationMode, Resume, Sampling, WarmMode, open_request
from .report import FlushResult, PregenerationUpdate
from .session import Session
from .session_key import new_session_key
from .session_state import OnState
from .tool_choice import ToolChoice

DEFAULT_RESUME: Final = Resume()


class AsyncClient:
    """A connection to one forefill server, for any number of sessions. It can be made before any event loop runs."""

    def __init__(self, connection: Connection, resume: Resume | None) -> None:
        self._connection = connection
        self._resume = resume

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
        """Connect to `target`, such as "127.0.0.1:50051": `async with` the result, or await it and close() it later.

        Both wait for the server. Without either, the first session does. The connection belongs to the event loop in
        which it is first used.

        Args:
            target: HOST:PORT, or a name of gRPC's, such as "unix:///run/forefill.sock".
            connect_timeout_seconds: How long to wait for the server; NotReachable is raised then, and says why.
            resume: How sessions go on after their stream broke; None: they end.
            tls: True for TLS with the system's certificates, or the PEM of those to trust. Default: plain text.
            api_key: An API key or a token, sent with each session as "authorization: Bearer ..."; or a function that
                returns one, called whenever a stream opens. If a token expires, its sessions go on with the next.
            metadata: Sent with each session, for example the tenant that a proxy names.
            interceptors: gRPC interceptors, for example those of OpenTelemetry.
            credentials: gRPC credentials of your own, in place of `tls`.
            options: gRPC channel options; they override the SDK's own.
            channel: A channel of your own, in place of all the above but `metadata` and `api_key`. It is not closed.
                Give it the option ("grpc.enable_retries", 0): sessions go on by themselves.

        Raises:
            InvalidRequest: The address or a value cannot be used.
        """
        checked_seconds(connect_timeout_seconds, "connect_timeout_seconds")
        checked_type(resume, (Resume, type(None)), "resume")
        checked_type(tls, (bool, bytes), "tls")
        if not callable(api_key):
            checked_type(api_key, str, "api_key")
        checked_type(credentials, (grpc.ChannelCredentials, type(None)), "credentials")
        if tls and credentials is not None:
            raise InvalidRequest("give either tls or credentials")
        if tls:
            credentials = grpc.ssl_channel_credentials(tls if isinstance(tls, bytes) else None)
        return cls(
            Connection(
                target,
                timeout_seconds=connect_timeout_seconds,
                credentials=credentials,
                options=options,
                interceptors=interceptors,
                metadata=metadata,
                api_key=api_key,
                channel=channel,
            ),
            resume,
        )

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._connection.target}>"

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
    ) -> Session:
        """Make a session; `async with` opens it.

        Args:
            messages: The conversation before the draft, oldest first. Dicts may have what those of OpenAI's chat
                completions have: `name`, `tool_calls`, `tool_call_id`, and vLLM's `reasoning`.
            sampling: How answers are sampled; default: the model's own defaults.
            draft: Text that is already in the user's box.
            warm_mode: WarmMode.OFF answers as plain vLLM would.
            cache_scope: Which sessions share cached blocks with this one; CacheScope.SESSION: none.
            cache_secret: 16 to 64 random bytes that tie CacheScope.SESSION to their holder: a later session that brings
                them, after a broken stream or tomorrow, finds what this one has cached.
            session_key: Name of the session for routers and logs: 1 to 128 of A-Z a-z 0-9 . _ -; default: a random one,
                which is then `Session.opened.session_id`. Each of its streams brings a hash of it as the metadata
                x-forefill-session, by which a gateway can send them all to the same server; a value of your own in
                `metadata` wins.
            resume_token: `Session.opened.resume_token` of the session that this one continues, after a broken stream or
                at another copy of the server. With it, and with the same session_key and messages, the session finds
                what it has cached.
            tools: Functions that the model may call, as in OpenAI's chat completions: {"type": "function", "function":
                {"name": ..., "parameters": {...}}}. To call them is for you: see `Answer.tool_calls`.
            tool_choice: Whether answers call tools, as in OpenAI's chat completions: "auto" (the default, the model
                decides), "none", "required", or the function to call, {"type": "function", "function": {"name": ...}}.
                `submit`, `respond` and `hand_off` may have another one for their own turn. Entering a session raises
                InvalidRequest if the engine cannot require the call, or if the server is too old to know.
            parallel_tool_calls: Whether an answer may call several tools. If not, calls after the first are left out,
                unless the server does not split calls off (`Opened.splits_answers`).
            documents: Texts for templates that read documents, such as {"title": ..., "text": ...}.
            reasoning_effort: How much the model should reason, such as "none" or "high"; default: the template's.
            continue_final_message: Drafts are the beginning of the assistant's message, and the answer continues them;
                the two are then one message of the conversation. Default: drafts are messages of the user.
            draft_name: Name of who speaks in the drafts, the `name` of the message that each becomes; at most 256 code
                points.
            chat_template_kwargs: Extra variables for the chat template, such as {"enable_thinking": False}.
            pregeneration: Whether answers may be generated before submit. The server holds them back, and uses one only
                if submit asks for exactly that prompt.
            adapter: Name of the LoRA adapter that answers, as the engine knows it; default: none. Entering the session
                raises AdapterNotFound if the engine does not have it.
            metadata: Sent with this session, beside the client's.
            auto_flush: Flush after each call that ends a word: with white space, with punctuation other than
                apostrophes and underscores, or with a character of a script without spaces, as Chinese and Thai. Within
                a long word, hex or base64 too, flush after every few characters. A call that ends several words, such
                as a paste, flushes once. False: flush only when `flush` is called.
            on_flush: Called with the result of each flush, in the event loop: it must be quick. What it raises ends the
                session.
            on_pregeneration: Called when an answer is begun before submit, and with what became of it, as `on_flush`:
                for a program that shows it. Of the answer itself it tells nothing.
            on_state: Called with each new SessionState, and with the reason if it is not OPEN: what broke the stream,
                or why the session has ended. Also in the event loop.

        Raises:
            InvalidRequest: A value cannot be sent. Values that only the server can check are raised when the session is
                entered.
        """
        checked_callback(on_flush, "on_flush")
        checked_callback(on_pregeneration, "on_pregeneration")
        checked_callback(on_state, "on_state")
        opening = open_request(
            messages,
            sampling,
            draft,
            warm_mode,
            cache_scope,
            new_session_key() if session_key == "" else session_key,
            chat_template_kwargs,
            pregeneration,
            resume_token,
            cache_secret,
            tools,
            documents,
            reasoning_effort,
            continue_final_message,
            adapter,
            tool_choice,
            draft_name,
            parallel_tool_calls,
        )
        opening.report_pregenerations = on_pregeneration is not None
        return Session(
            partial(self._connection.compose, session_key=opening.session_key, metadata=checked_metadata(metadata)),
            opening,
            ready=self._connection.ready,
            resume=self._resume,
            auto_flush=auto_flush,
            on_flush=on_flush,
            on_pregeneration=on_pregeneration,
            on_state=on_state,
        )

    async def close(self) -> None:
        """Close the connection and cancel sessions that are still open."""
        await self._connection.close()

    async def _ready(self) -> Self:
        try:
            await self._connection.ready()
        except BaseException:
            await self.close()
            raise
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        return self._ready().__await__()

    async def __aenter__(self) -> Self:
        return await self._ready()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
