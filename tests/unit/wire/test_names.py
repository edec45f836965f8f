"""Reasons and outcomes have the names that the wire gives them, and a reason that ends a stream has a status."""

from forefill.v1 import keystroke_pb2 as pb
from forefill_service.errors import Reason
from forefill_service.session.ledger import PregenerationOutcome
from forefill_service.session.responses import FlushOutcome
from forefill_service.wire.statuses import STATUSES
from forefill_service.wire.to_messages import reason_to_message


def test_the_reasons_are_those_of_the_wire() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.keys()}  # noqa: SIM118 - no dict
    assert names - {"UNSPECIFIED"} == {reason.name for reason in Reason}
    assert {reason_to_message(reason) for reason in Reason} == set(pb.ErrorReason.values()) - {0}


def test_the_outcomes_are_those_of_the_wire() -> None:
    names = {name.removeprefix("FLUSH_OUTCOME_") for name in pb.FlushOutcome.keys()}  # noqa: SIM118 - no dict
    assert names - {"UNSPECIFIED"} == {outcome.name for outcome in FlushOutcome}


def test_what_became_of_a_begun_answer_is_named_as_on_the_wire() -> None:
    names = {name.removeprefix("PREGENERATION_OUTCOME_") for name in pb.PregenerationOutcome.keys()}  # noqa: SIM118
    assert names - {"UNSPECIFIED"} == {outcome.name for outcome in PregenerationOutcome}


def test_every_reason_says_what_to_do() -> None:
    assert all("; " in reason.value or reason in _NAMES_THE_FIELD for reason in Reason)


_NAMES_THE_FIELD = {
    Reason.PROMPT_TOO_LONG,
    Reason.INVALID_SAMPLING,
    Reason.TEMPLATE_REFUSED,
    Reason.INVALID_OPEN,
    Reason.ABORTED,
}


def test_only_what_can_end_a_stream_has_a_status() -> None:
    ends_streams = {line.name for line in pb.ErrorReason.DESCRIPTOR.values if line.number} - {
        f"ERROR_REASON_{reason.name}" for reason in STATUSES
    }
    assert ends_streams == {
        f"ERROR_REASON_{name}"
        for name in (
            "ALREADY_OPEN",
            "EVENT_MISSING",
            "SEQUENCE_REPEATED",
            "SEQUENCE_GAP",
            "POSITION_OUT_OF_RANGE",
            "DRAFT_DIVERGED",
            "EMPTY_SUBMIT",
            "GENERATION_RUNNING",
            "SESSION_ENDED",
            "GENERATION_FAILED",
            "GENERATION_INTERRUPTED",
            "NOTHING_TO_CANCEL",
            "INVALID_REWRITE",
            "HAND_OFF_NOT_OFFERED",
            "NOTHING_HANDED_OFF",
            "INVALID_HAND_OFF",
        )
    }
