#!/usr/bin/env python3
"""The table of all error reasons in service/OPERATIONS.md, made from the tables of the service and of its client."""

# ruff: noqa: T201 - it talks to people
import argparse
from pathlib import Path

from forefill_client.reasons import REASONS
from forefill_service.errors import Reason
from forefill_service.wire import statuses

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "service/OPERATIONS.md"
BEGIN, END = "<!-- `make errors` writes this table -->\n", "<!-- end of the table -->\n"

HEAD = """\
| reason | status | again? | in the SDK | what happened | what to do | and the operator |
|---|---|---|---|---|---|---|
"""
ADVICE = {
    Reason.ABORTED: "send END to finish a session",
    Reason.INVALID_OPEN: "correct what the message names",
    Reason.TEMPLATE_REFUSED: "correct what the message says",
}
"""What to do, for reasons whose own text does not say it."""

OPERATOR = {
    Reason.CLIENT_TOO_SLOW: "`--write-timeout-seconds` is how long a message may stay unread",
    Reason.DRAFT_TOO_LONG: "`--max-draft-code-points`",
    Reason.ENGINE_UNAVAILABLE: "the server ends with 1: have it started again, and look into its log",
    Reason.GENERATION_FAILED: "if they are many, the engine's queue is full, or no engine is up: look at the metrics",
    Reason.HAND_OFF_NOT_OFFERED: "`--hand-off-url` or `--openai-port` offers it",
    Reason.INTERNAL: "a defect: report what the log has under the id",
    Reason.INVALID_TOOLS: "`--tool-call-parser`, of the server or of its vLLM servers, if calls are to be required",
    Reason.MESSAGE_TOO_LARGE: "`--max-message-bytes`",
    Reason.NOT_OPEN: "`--open-timeout-seconds` is how long the server waits for Open",
    Reason.PERMISSION_DENIED: "`permissions` in the file of `--callers`",
    Reason.RATE_LIMITED: "`--sessions-per-caller`, `--opens-per-second`, `--tokens-per-minute`",
    Reason.SESSION_IDLE: "`--session-idle-seconds`",
    Reason.SESSION_TOO_OLD: "`--session-age-seconds`",
    Reason.TENANT_UNKNOWN: "the proxy must replace the header that `--tenant-metadata-key` names, not append to it",
    Reason.TOO_MANY_SESSIONS: "one more copy of the server, or `--max-sessions`",
    Reason.UNAUTHENTICATED: "an entry in the file of `--callers`, or the issuer of the tokens",
}
"""What the operator of the server can do about it, for reasons that are not about the client alone."""


def table() -> str:
    """Return the table, a row for each reason: first those that can end a stream."""
    ending = [reason for reason in Reason if reason in statuses.STATUSES]
    return HEAD + "".join(map(_row, [*ending, *(reason for reason in Reason if reason not in statuses.STATUSES)]))


def _row(reason: Reason) -> str:
    status = statuses.STATUSES.get(reason)
    happened, _, advice = reason.value.partition("; ")
    raised = REASONS[reason.name].error
    cells = [
        f"`{reason.name}`",
        status.name if status else "",
        again(reason),
        f"`{raised.__name__}`",
        happened,
        advice or ADVICE[reason],
        OPERATOR.get(reason, ""),
    ]
    return f"| {' | '.join(cells)} |\n"


def again(reason: Reason) -> str:
    """Return whether the same call may succeed later, and whether the server says when."""
    if REASONS[reason.name].repairable:
        return "the SDK repairs it"
    if reason in statuses._RETRIABLE:
        return "yes, RetryInfo says when"
    return "yes" if REASONS[reason.name].error.retryable else "no"


def written_into(document: str) -> str:
    """Return a document with the table between its two marks."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"error_reasons: {DOCUMENT} has lost the marks between which the table goes:\n{BEGIN}{END}")
    return f"{before}{begin}{table()}{end}{after}"


def main() -> None:
    """Print the table; with --write put it where it belongs."""
    parser = argparse.ArgumentParser(description="Write the table of all error reasons.")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT} instead of printing it")
    if parser.parse_args().write:
        path = ROOT / DOCUMENT
        path.write_text(written_into(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
