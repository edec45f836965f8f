"""The messages of the bridge, as JSON objects: SOCKET.md's second half, made of the SDK's values."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

from forefill_client import (
    AnswerPart,
    ChatMessage,
    FlushResult,
    ForefillError,
    Opened,
    PregenerationUpdate,
    Report,
    SessionState,
)

Reply = dict[str, Any]


def opened(
    token: str,
    session: Opened,
    messages: Iterable[ChatMessage],
    *,
    resumed: bool,
    draft: str,
    turn: int,
    answer: Reply | None,
) -> Reply:
    reply = {
        "type": "opened",
        "token": token,
        "resumed": resumed,
        "model": session.model,
        "block_size": session.block_size,
        "base_prompt_tokens": session.base_prompt_tokens,
        "max_draft_code_points": session.limits.max_draft_code_points,
        "warming_inert_reason": session.warming_inert_reason,
        "accepts_hints": session.accepts_hints,
        "offers_twin": True,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "draft": draft,
        "turn": turn,
    }
    return reply if answer is None else reply | {"answer": answer}


def flush(result: FlushResult) -> Reply:
    fields = plain(result)
    del fields["seq"]
    return {"type": "flush", **fields}


def guess(update: PregenerationUpdate) -> Reply:
    fields = plain(update)
    if update.outcome is None:
        del fields["outcome"]
    return {"type": "guess", "begun": update.outcome is None, **fields}


def delta(turn: int, part: AnswerPart) -> Reply:
    said = {name: text for name in ("text", "reasoning") if (text := getattr(part, name))}
    return {"type": "delta", "turn": turn, **said}


def finished(turn: int, report: Report, ledger: Sequence[str]) -> Reply:
    return {
        "type": "finished",
        "turn": turn,
        "reason": plain(report.finish_reason),
        "report": plain(report),
        "ledger": list(ledger),
    }


def error(problem: ForefillError, turn: int | None = None) -> Reply:
    return error_of(
        problem.reason or type(problem).__name__,
        str(problem),
        turn,
        retry_after_ms=round(problem.retry_after_seconds * 1000),
        continues=problem.session_continues,
    )


def error_of(
    reason: str, message: str, turn: int | None = None, *, retry_after_ms: int = 0, continues: bool = False
) -> Reply:
    reply: Reply = {"type": "error", "reason": reason, "message": message}
    if turn is not None:
        reply["turn"] = turn
    return reply | {"retry_after_ms": retry_after_ms, "continues": continues}


def state(now: SessionState, reason: ForefillError | None) -> Reply:
    reply = {"type": "state", "state": plain(now)}
    return reply if reason is None else reply | {"message": str(reason)}


def plain(value: Any) -> Any:
    """Return a value of the SDK as JSON has it: enums by their names in lower case, dataclasses as objects."""
    if isinstance(value, Enum):
        return value.name.lower()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return value
