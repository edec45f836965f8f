"""What became of a flush, of a begun answer and of an answer: the names of the wire, for Python."""

from enum import StrEnum

from forefill.v1 import keystroke_pb2 as pb


class FlushOutcome(StrEnum):
    """The outcome of a flush."""

    WARMED = "warmed"
    """Every whole block of the stable tokens is cached, and work was done for it."""
    NOTHING_NEW = "nothing new"
    """It completed no block that was not cached already."""
    DEFERRED = "deferred"
    """A later event came first; what is still needed is warmed with that."""
    SHED = "shed"
    """It was not done, or not completely: see FlushResult.shed_reason."""
    INERT = "inert"
    """Warming has no effect here: see Opened.warming_inert_reason."""
    UNKNOWN = "unknown"
    """The server is newer than this client."""


class ShedReason(StrEnum):
    """Why a flush was not warmed."""

    NONE = "none"
    """It was not shed."""
    LOAD = "load"
    """The engine is too busy with other requests."""
    PAYBACK = "payback"
    """Most of what was warmed for this session, or its tenant, was not used."""
    FAILED = "failed"
    """The engine refused, or the text could not be rendered."""
    QUOTA = "quota"
    """The caller's tokens of this minute are used up."""
    UNKNOWN = "unknown"
    """The server is newer than this client."""


class GenerationSource(StrEnum):
    """Where the first token of an answer came from."""

    COLD = "cold"
    """An engine that had no block of the prompt cached."""
    WARM = "warm"
    """An engine that had at least one block of the prompt cached."""
    PREGENERATED = "pre-generated"
    """An answer that was begun before submit."""
    UNKNOWN = "unknown"
    """The server is newer than this client."""


class PregenerationOutcome(StrEnum):
    """What became of an answer that was begun before submit."""

    ADOPTED = "adopted"
    """Submit asked for exactly this, and the answer began with it."""
    EDITED = "edited"
    """The draft changed."""
    SUBMITTED_OTHER = "submitted other"
    """Submit asked for something else."""
    REVOKED = "revoked"
    """It had to make way for other work, or ran for as long as it may, and nothing of it could be kept."""
    FAILED = "failed"
    """The engine failed."""
    UNUSED = "unused"
    """It was not used for another reason: too little was there when submit asked for it."""
    UNKNOWN = "unknown"
    """The server is newer than this client."""


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    """The model ended it, or a stop text was reached."""
    LENGTH = "length"
    """Sampling.max_tokens or the model's context was reached."""
    CANCELLED = "cancelled"
    """It was stopped."""
    TOOL_CALLS = "tool_calls"
    """The model ended it with calls of tools."""
    UNKNOWN = "unknown"
    """The server is newer than this client."""


FLUSH_OUTCOMES = {
    pb.FLUSH_OUTCOME_WARMED: FlushOutcome.WARMED,
    pb.FLUSH_OUTCOME_NOTHING_NEW: FlushOutcome.NOTHING_NEW,
    pb.FLUSH_OUTCOME_DEFERRED: FlushOutcome.DEFERRED,
    pb.FLUSH_OUTCOME_SHED: FlushOutcome.SHED,
    pb.FLUSH_OUTCOME_INERT: FlushOutcome.INERT,
}
SHED_REASONS = {
    pb.SHED_REASON_UNSPECIFIED: ShedReason.NONE,
    pb.SHED_REASON_LOAD: ShedReason.LOAD,
    pb.SHED_REASON_PAYBACK: ShedReason.PAYBACK,
    pb.SHED_REASON_FAILED: ShedReason.FAILED,
    pb.SHED_REASON_QUOTA: ShedReason.QUOTA,
}
SOURCES = {
    pb.GENERATION_SOURCE_COLD: GenerationSource.COLD,
    pb.GENERATION_SOURCE_WARM: GenerationSource.WARM,
    pb.GENERATION_SOURCE_PREGENERATED: GenerationSource.PREGENERATED,
}
PREGENERATION_OUTCOMES = {
    pb.PREGENERATION_OUTCOME_ADOPTED: PregenerationOutcome.ADOPTED,
    pb.PREGENERATION_OUTCOME_EDITED: PregenerationOutcome.EDITED,
    pb.PREGENERATION_OUTCOME_SUBMITTED_OTHER: PregenerationOutcome.SUBMITTED_OTHER,
    pb.PREGENERATION_OUTCOME_REVOKED: PregenerationOutcome.REVOKED,
    pb.PREGENERATION_OUTCOME_FAILED: PregenerationOutcome.FAILED,
    pb.PREGENERATION_OUTCOME_UNUSED: PregenerationOutcome.UNUSED,
}
FINISH_REASONS = {
    pb.FINISH_REASON_STOP: FinishReason.STOP,
    pb.FINISH_REASON_LENGTH: FinishReason.LENGTH,
    pb.FINISH_REASON_CANCELLED: FinishReason.CANCELLED,
    pb.FINISH_REASON_TOOL_CALLS: FinishReason.TOOL_CALLS,
}
