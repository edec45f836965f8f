"""Every word that a refusal may say beside its reason: a fixed vocabulary, in which nothing typed and no exception is.

A refusal that says something new is a finding until it stands here.
"""

import re

from forefill_service.errors import Reason, Refusal

ENDS_A_STREAM = {
    Reason.MALFORMED_MESSAGE,
    Reason.MESSAGE_TOO_LARGE,
    Reason.NOT_OPEN,
    Reason.DRAFT_TOO_LONG,
    Reason.INVALID_OPEN,
    Reason.INVALID_SAMPLING,
    Reason.INVALID_TOOLS,
}
"""Reasons that the way from bytes to the session may end a stream for."""
SESSION_GOES_ON = {
    Reason.ALREADY_OPEN,
    Reason.EVENT_MISSING,
    Reason.SEQUENCE_REPEATED,
    Reason.SEQUENCE_GAP,
    Reason.POSITION_OUT_OF_RANGE,
    Reason.DRAFT_DIVERGED,
    Reason.DRAFT_TOO_LONG,
    Reason.EMPTY_SUBMIT,
    Reason.GENERATION_RUNNING,
    Reason.SESSION_ENDED,
    Reason.NOTHING_TO_CANCEL,
    Reason.INVALID_REWRITE,
    Reason.INVALID_TOOLS,
    Reason.NOTHING_HANDED_OFF,
    Reason.INVALID_HAND_OFF,
}
"""Reasons of SessionErrors that the state machine may give."""

_NUMBER = r"[-+]?(nan|inf|\d[\d.,e+-]*)"
_RANGED = (
    "max_tokens|min_tokens|temperature|top_p|top_k|min_p|presence_penalty|frequency_penalty|repetition_penalty|seed"
    "|logprobs"
)
_JSON_SAYS = "|".join(
    [
        "Expecting value",
        "Expecting property name enclosed in double quotes",
        "Expecting '[:,]' delimiter",
        "Extra data",
        "Illegal trailing comma before end of (object|array)",
        "Invalid control character at",
        r"Invalid \\escape(: )?",
        r"Invalid \\uXXXX escape",
        "Unexpected UTF-8 BOM .decode using utf-8-sig.",
        "Unterminated string starting at",
    ]
)
_OF_AN_OBJECT = "|".join(
    [
        rf" is not JSON: ({_JSON_SAYS}) \(character \d+\)",
        r" has more than \d+ levels",
        " must be a JSON object",
        " contains (NaN|-?Infinity), which JSON does not allow",
        " holds a number of too many digits",
        r'\.type must be "function"',
        r"\.function must be an object",
        r"\.function\.name must be a text",
        r"\.function\.(description must be a text|parameters must be an object)",
        r"(\.function\.strict|\.function\.defer_loading|\.defer_loading) must be true or false",
        " must have texts for values",
    ]
)
_DETAILS = [
    "",
    r"(it|Open) has \d+ bytes, and \d+ are allowed",
    # Open
    r"the session would hold \d+ bytes of it, and \d+ are allowed",
    r"(session_key|reasoning_effort) must be [\da-z ]+ characters of \[A-Za-z0-9(\._|_)-\]",
    r"(chat_template_kwargs|tools|documents) has \d+ bytes, and \d+ are allowed",
    r"(adapter|draft_name) must have at most \d+ code points",
    "chat_template_kwargs contains NaN or infinity, which JSON does not allow",
    r"it has more than \d+ messages and calls of tools",
    'every message needs a role, for example "system"',
    r"this server does not know (warm_mode|cache_scope|pregeneration_mode) -?\d+",
    r"cache_secret (must have \d+ to \d+ bytes|needs CACHE_SCOPE_SESSION)",
    rf"(tools|documents)\[\d+\]({_OF_AN_OBJECT})",
    r"this server does not know tool_choice\.mode -?\d+",
    r"tool_choice\.function is the name of none of the tools",
    "tool_choice requires a call, and there are no tools",
    "tool_choice requires a call, so the answer has no (json_schema|regex|choice|grammar|json_object)",
    # Sampling
    rf"({_RANGED}) is {_NUMBER} but must be (at least|above) {_NUMBER} and at most {_NUMBER}",
    "min_tokens must be at most max_tokens",
    r"stop takes at most \d+ texts, and none may be empty",
    r"(stop_token_ids|logit_bias|allowed_token_ids|bad_words) takes at most \d+ entries",
    "bad_words may not be empty",
    r"each logit_bias must be at least -\d+ and at most \d+",
    r"(json_schema|regex|choice|grammar) has \d+ bytes, and \d+ are allowed",
    "json_schema is not JSON|json_schema must be a JSON object",
    r"choice takes 1 to \d+ texts, and none may be empty",
    "grammar may not be empty",
    "json_object must be true, or left out",
    # The conversation
    r"keep_messages is \d+, of \d+ messages",
    "every message needs a role",
    r"\d+ messages and calls of tools, and \d+ are allowed",
    r"\d+ of \d+ code points",
    # The service on the fake engine
    r"nothing arrived within [\d.]+ s|others wait for its place",
    r"\d+ tokens of \d+|\d+ characters, and \d+ have room at most",
    "the prompt leaves no room for an answer",
    "an answer with a structure cannot go on after a part of it; SUBMIT without that part",
    "the fake engine obeys no structure but choice, so no (json_schema|json_object|regex|grammar)",
    r"(stop_token_ids|logit_bias|allowed_token_ids) has \d+, and this model's tokens are 0 to \d+",
    "it has none",
]
_DETAIL = re.compile("|".join(f"(?:{detail})" for detail in _DETAILS))


def is_documented(refusal: Refusal) -> bool:
    """Whether the words of a refusal are its reason's and of the vocabulary, and nothing else."""
    reason, _, detail = str(refusal).partition(f"{refusal.reason.value}: ")
    if not detail:
        return str(refusal) == refusal.reason.value
    return not reason and _DETAIL.fullmatch(detail) is not None
