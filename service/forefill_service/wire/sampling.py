"""The sampling of a session's answers, from its message: every value is checked here, once."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from forefill.v1 import keystroke_pb2 as pb

from ..chat.generation import Sampling, Structure
from ..errors import Reason, Refusal

_MOST_STOPS: Final = 16
_MOST_STOP_BYTES: Final = 1024
"""Of each: the end of an answer is held back for as long as it may become the longest of them."""
_MOST_BAD_WORDS_BYTES: Final = 64 * 1024
_MOST_ENTRIES: Final = 1024
_MOST_BIAS: Final = 100

# name: lowest, highest, and whether the lowest itself is allowed
_SAMPLING_RANGES: dict[str, tuple[float, float, bool]] = {
    "max_tokens": (1, 2**31 - 1, True),
    "min_tokens": (0, 2**31 - 1, True),
    "temperature": (0, 2, True),
    "top_p": (0, 1, False),
    "top_k": (0, 2**31 - 1, True),
    "min_p": (0, 1, True),
    "presence_penalty": (-2, 2, True),
    "frequency_penalty": (-2, 2, True),
    "repetition_penalty": (0, 2, False),
    "seed": (-(2**63), 2**63 - 1, True),
    "logprobs": (0, 20, True),
}

_MOST_STRUCTURE_BYTES: Final = {"json_schema": 64 * 1024, "regex": 4 * 1024, "choice": 64 * 1024, "grammar": 64 * 1024}
"""An idle session keeps them, and vLLM checks them in the process that serves all sessions."""


def optional(message: Any, name: str) -> Any:
    """Return a field that a client may leave out; None if it did."""
    return getattr(message, name) if message.HasField(name) else None


def sampling_from(message: pb.Sampling) -> Sampling:
    """Convert a message to the sampling of a session; raises Refusal (INVALID_SAMPLING), which names the value."""
    values = {name: optional(message, name) for name in _SAMPLING_RANGES}
    for name, (lowest, highest, inclusive) in _SAMPLING_RANGES.items():
        value = values[name]
        if value is not None and not (lowest <= value <= highest and (inclusive or value > lowest)):
            bounds = f"{'at least' if inclusive else 'above'} {lowest:g} and at most {highest:,}"
            raise Refusal(Reason.INVALID_SAMPLING, f"{name} is {value:g} but must be {bounds}")
    if (values["min_tokens"] or 0) > (values["max_tokens"] or math.inf):
        raise Refusal(Reason.INVALID_SAMPLING, "min_tokens must be at most max_tokens")
    if len(message.stop) > _MOST_STOPS or not all(message.stop):
        raise Refusal(Reason.INVALID_SAMPLING, f"stop takes at most {_MOST_STOPS} texts, and none may be empty")
    if (size := max((len(text.encode()) for text in message.stop), default=0)) > _MOST_STOP_BYTES:
        raise Refusal(Reason.INVALID_SAMPLING, f"a text of stop has {size} bytes, and {_MOST_STOP_BYTES} are allowed")
    for name in ("stop_token_ids", "logit_bias", "allowed_token_ids", "bad_words"):
        if len(getattr(message, name)) > _MOST_ENTRIES:
            raise Refusal(Reason.INVALID_SAMPLING, f"{name} takes at most {_MOST_ENTRIES} entries")
    if not all(message.bad_words):
        raise Refusal(Reason.INVALID_SAMPLING, "bad_words may not be empty")
    if (size := sum(len(word.encode()) for word in message.bad_words)) > _MOST_BAD_WORDS_BYTES:
        raise Refusal(Reason.INVALID_SAMPLING, f"bad_words have {size} bytes, and {_MOST_BAD_WORDS_BYTES} are allowed")
    if not all(-_MOST_BIAS <= bias <= _MOST_BIAS for bias in message.logit_bias.values()):
        raise Refusal(
            Reason.INVALID_SAMPLING, f"each logit_bias must be at least -{_MOST_BIAS} and at most {_MOST_BIAS}"
        )
    return Sampling(
        **values,
        stop=tuple(message.stop),
        ignore_eos=message.ignore_eos,
        stop_token_ids=tuple(message.stop_token_ids),
        include_stop_str_in_output=message.include_stop_str_in_output,
        logit_bias=tuple(sorted(message.logit_bias.items())),
        allowed_token_ids=tuple(message.allowed_token_ids),
        bad_words=tuple(message.bad_words),
        skip_special_tokens=optional(message, "skip_special_tokens") is not False,
        structure=_structure(message),
    )


def _structure(message: pb.Sampling) -> Structure | None:
    name = message.WhichOneof("structure")
    return None if name is None else _STRUCTURES[name](getattr(message, name))


def _json_schema(text: str) -> Structure:
    _check_size("json_schema", [text])
    try:
        schema = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise Refusal(Reason.INVALID_SAMPLING, "json_schema is not JSON") from None
    if not isinstance(schema, dict):
        raise Refusal(Reason.INVALID_SAMPLING, "json_schema must be a JSON object")
    return Structure("json", text)


def _regex(text: str) -> Structure:
    _check_size("regex", [text])
    return Structure("regex", text)


def _choice(choice: pb.Choice) -> Structure:
    _check_size("choice", choice.texts)
    if not 0 < len(choice.texts) <= _MOST_ENTRIES or not all(choice.texts):
        raise Refusal(Reason.INVALID_SAMPLING, f"choice takes 1 to {_MOST_ENTRIES} texts, and none may be empty")
    return Structure("choice", tuple(choice.texts))


def _grammar(text: str) -> Structure:
    _check_size("grammar", [text])
    if not text.strip():
        raise Refusal(Reason.INVALID_SAMPLING, "grammar may not be empty")
    return Structure("grammar", text)


def _json_object(asked: bool) -> Structure:
    if not asked:
        raise Refusal(Reason.INVALID_SAMPLING, "json_object must be true, or left out")
    return Structure("json_object", True)


_STRUCTURES: dict[str, Callable[[Any], Structure]] = {
    "json_schema": _json_schema,
    "regex": _regex,
    "choice": _choice,
    "grammar": _grammar,
    "json_object": _json_object,
}


def _check_size(name: str, texts: Sequence[str]) -> None:
    size, most = sum(len(text.encode()) for text in texts), _MOST_STRUCTURE_BYTES[name]
    if size > most:
        raise Refusal(Reason.INVALID_SAMPLING, f"{name} has {size} bytes, and {most} are allowed")


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}")
