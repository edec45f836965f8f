"""Settings of the server, and of what it does for its sessions."""

from pydantic import Field

from .group import Group


class ServerSettings(Group):
    """The address of this server, the size of messages, and how it stops."""

    host: str = Field(
        "127.0.0.1",
        description="address to listen on; others than loopback need TLS and credentials, or --insecure",
    )
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    max_message_bytes: int = Field(
        1024 * 1024,
        ge=4096,
        description="largest message to accept from a client, in bytes; a model with a context of more than 100,000 "
        "tokens may need more",
    )
    max_connections: int = Field(
        0,
        ge=0,
        description="most connections of clients at once, from all addresses together; more are closed at once "
        "(default: half of the files that the process may open)",
    )
    silent_client_seconds: float = Field(
        40,
        ge=1,
        description="end the streams of a client that has been silent for this long, and has not answered a ping in "
        "the last quarter of it: it is frozen, or its network is gone",
    )
    go_away_seconds: float = Field(
        3,
        ge=0,
        description="when the server stops, tell sessions (GoAway) so long before they end, so that clients can move "
        "to another server while their users go on typing",
    )
    stop_grace_seconds: float = Field(10, ge=0, description="after that, give running answers this long to finish")


class WarmingSettings(Group):
    """Fill the prefix cache while users type."""

    piece_tokens: int = Field(
        2048,
        ge=1,
        alias="warm_piece_tokens",
        description="most new tokens in one warming request; a longer prompt is warmed in pieces",
    )
    even_piece_tokens: int = Field(
        128,
        ge=0,
        alias="warm_even_piece_tokens",
        description="while no answer runs, warm long prompts in pieces of at least this many tokens: in bfloat16 some "
        "engines round smaller pieces differently, which can change an answer; 0 for no preference",
    )
    in_flight: int = Field(
        4, ge=1, alias="warms_in_flight", description="most warming requests in an engine at once, over all sessions"
    )
    pause_ms: float = Field(
        600,
        gt=0,
        alias="warm_pause_ms",
        description="warm all of a draft after a typing pause of this length, in milliseconds",
    )
    wait_seconds: float = Field(
        5,
        gt=0,
        alias="warm_wait_seconds",
        description="give up on a warming request after it has waited this long for its turn",
    )
    busy_gap_ms: float = Field(
        50,
        gt=0,
        description="while answers run, how much longer warming may make the gaps between their tokens, in "
        "milliseconds; on average, if one cache block takes longer",
    )
    idle_gap_ms: float = Field(
        150,
        gt=0,
        description="while no answer runs, how long warming may make a new answer wait, in milliseconds; at least as "
        "long as one cache block takes",
    )
    shed_waiting_requests: int = Field(
        4,
        ge=1,
        description="stop warming while this many requests wait in the engine, and pre-generation at twice as many",
    )
    shed_cache_usage: float = Field(
        0.9,
        gt=0,
        le=1,
        description="stop warming while running requests hold this share of the cache, and pre-generation halfway from "
        "there to a full cache",
    )
    shed_after_preemption_seconds: float = Field(
        5,
        ge=0,
        description="stop warming and pre-generation for this long after a running answer has lost its cache blocks",
    )
    least_used_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="throttle warming for sessions and tenants that use less than this share of what was warmed for "
        "them; 0 disables",
    )
    assume_cached_seconds: float = Field(
        300,
        gt=0,
        description="if the engine does not report evictions, assume that a block stays cached this long after its "
        "last use",
    )
    touch_seconds: float = Field(
        120,
        ge=0,
        description="use a session's cached blocks again after it has been silent for this long, to keep them from "
        "being evicted; 0 disables",
    )
    touch_limit_seconds: float = Field(
        900, ge=0, description="stop keeping a session's blocks cached after it has been silent for this long"
    )


class PregenerationSettings(Group):
    """Begin the answer while the user is silent and hold it back until SUBMIT."""

    enabled: bool = Field(
        True,
        alias="pregeneration",
        description="begin answers when the user seems to be done, and hold them back until SUBMIT asks for exactly "
        "that draft",
    )
    waste: float = Field(
        0.25,
        ge=0,
        alias="pregeneration_waste",
        description="engine time that begun answers may waste, as a share of the engine time that answers take; for "
        "each session, each tenant and the server",
    )
    final_characters: str = Field(
        "",
        description="characters that often end a message (default: .?! and their like in other scripts); what users "
        "really do is learnt as they type",
    )
    tokens: int = Field(
        64, ge=1, alias="pregeneration_tokens", description="most tokens to generate of an answer before SUBMIT"
    )
    seconds: float = Field(
        10, gt=0, alias="pregeneration_seconds", description="longest time to generate an answer before SUBMIT"
    )
    in_flight: int = Field(
        4,
        ge=0,
        alias="pregenerations_in_flight",
        description="most answers that an engine generates at once before their SUBMIT, over all sessions; 0 disables",
    )


class SessionSettings(Group):
    """Limits of a session."""

    max_open: int = Field(1000, ge=1, alias="max_sessions", description="most sessions open at once; more are refused")
    max_draft_code_points: int = Field(65536, ge=1, description="longest draft, in Unicode code points")
    open_bytes_per_token: int = Field(
        16,
        ge=1,
        description="largest Open, in bytes for each token of the model's context, beside 128 KB; also the longest "
        "conversation that Rewrite may make, in code points",
    )
    open_timeout_seconds: float = Field(
        30, gt=0, description="end a new stream if it does not send Open within this time"
    )
    write_timeout_seconds: float = Field(
        10, gt=0, description="end a stream if its client leaves a message unread for this long"
    )
