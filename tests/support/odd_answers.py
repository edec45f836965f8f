"""What a vLLM server may answer and never should, by hypothesis: one field of an event at a time, and whole bodies.

The fields are those of vLLM 0.32: `vllm.entrypoints.openai.completion.protocol`, `chat_completion.protocol`. For each
there is a verdict on values. `CANARY` is in the texts, and must come out nowhere.
"""

import copy
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from .fake_vllm_knobs import Twist

CANARY = "zyzzyva"
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**32, 2**64, -(2**63), 10**400, 0.5, 1e308, float("nan"), float("inf"), -0.0]),
    st.sampled_from(
        ["", CANARY, f"{CANARY}\n\x00", "\ud83d", "stop", "length", "abort", "content_filter", "token_id:1"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([CANARY, "index", "text", "content", "code", "message"]), inner, max_size=3)
    ),
    max_leaves=5,
)
ODD_LINES = {
    "a page": b"data: <html>" + CANARY.encode() + b"</html>\n\n",
    "no UTF-8": b'data: {"choices": [{"text": "\xff"}]}\n\n',
    "no end of brackets": b"data: " + b"[" * 50_000 + b"\n\n",
    "half a brace": b"data: {\n\n",
    "an early end": b"data: [DONE]\n\n",
    "a line too long": b"data: " + CANARY.encode() * 200_000 + b"\n\n",
}
Path = tuple[str | int, ...]
Verdict = Callable[[object], bool]
"""Whether a value is one that vLLM never sends there, however it is taken."""


def no_text(value: object) -> bool:
    return value is not None and not (isinstance(value, str) and "\ud83d" not in value)


def no_ids(value: object) -> bool:
    if value is None:
        return False
    return not isinstance(value, list) or any(type(one) is not int or not 0 <= one < 2**31 for one in value)


def no_object(value: object) -> bool:
    return value is not None and not isinstance(value, dict)


def no_objects(value: object) -> bool:
    return value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def not_one_choice(value: object) -> bool:
    return no_objects(value) or (isinstance(value, list) and len(value) > 1)


def no_finish_reason(value: object) -> bool:
    return value not in (None, "", "stop", "length", "tool_calls", "repetition")


def not_zero(value: object) -> bool:
    return value is not None and (type(value) is not int or value != 0)


def anything_goes(_: object) -> bool:
    return False


OF_EVERY_EVENT: dict[Path, Verdict] = {
    (): lambda value: not isinstance(value, dict),
    **{(name,): anything_goes for name in ("id", "object", "created", "model", "system_fingerprint", CANARY)},
    ("choices",): not_one_choice,
    ("choices", 0): lambda value: not isinstance(value, dict),
    ("choices", 0, "index"): not_zero,
    ("choices", 0, "finish_reason"): no_finish_reason,
    ("choices", 0, "stop_reason"): anything_goes,
    ("choices", 0, "token_ids"): no_ids,
    ("choices", 0, "logprobs"): no_object,
    ("error",): lambda value: value is not None,
}
OF_COMPLETIONS: dict[Path, Verdict] = {
    **OF_EVERY_EVENT,
    ("choices", 0, "text"): no_text,
    ("choices", 0, "prompt_token_ids"): anything_goes,
    ("choices", 0, "logprobs", "tokens"): lambda value: not isinstance(value, list),
    ("choices", 0, "logprobs", "tokens", 0): lambda value: not isinstance(value, str) or value == CANARY,
    ("choices", 0, "logprobs", "token_logprobs", 0): lambda value: isinstance(value, str | bool | list | dict),
    ("choices", 0, "logprobs", "top_logprobs", 0): no_object,
    ("choices", 0, "logprobs", "text_offset"): anything_goes,
}
OF_CHATS: dict[Path, Verdict] = {
    **OF_EVERY_EVENT,
    ("choices", 0, "delta"): no_object,
    ("choices", 0, "delta", "role"): anything_goes,
    ("choices", 0, "delta", "content"): no_text,
    ("choices", 0, "delta", "reasoning"): no_text,
    ("choices", 0, "delta", "tool_calls"): no_objects,
    ("prompt_token_ids",): anything_goes,  # it counts only if the first event has it
    ("choices", 0, "logprobs", "content", 0): anything_goes,
    ("choices", 0, "logprobs", "content", 0, "token"): lambda value: not isinstance(value, str) or value == CANARY,
    ("choices", 0, "logprobs", "content", 0, "top_logprobs"): anything_goes,
}
OF_USAGE: tuple[Path, ...] = (
    ("usage",),
    ("usage", "prompt_tokens"),
    ("usage", "completion_tokens"),
    ("usage", "total_tokens"),
    ("usage", "prompt_tokens_details"),
    ("usage", "prompt_tokens_details", "cached_tokens"),
)


@dataclass(frozen=True)
class Oddity:
    """One field of the event of a number has another value; without a path, all of the event."""

    event: int
    path: Path
    value: object

    def __call__(self, event: dict[str, Any]) -> dict[str, Any] | bytes:
        if not self.path:
            return f"data: {json.dumps(self.value)}\n\n".encode()
        event = copy.deepcopy(event)
        place: Any = event
        for step, following in itertools.pairwise(self.path):
            if isinstance(place, list) and not place:
                place.append({})
            elif isinstance(place, dict) and place.get(step) is None:
                place[step] = [] if isinstance(following, int) else {}
            place = place[step]
        if isinstance(place, list) and not place:
            place.append(self.value)
        else:
            place[self.path[-1]] = self.value
        return event


def at_event(number: int, change: Twist) -> Twist:
    """Return what changes the event of this number alone."""
    numbers = iter(range(10**6))
    return lambda event: change(event) if next(numbers) == number else event


def oddities(fields: Mapping[Path, Verdict], events: int) -> st.SearchStrategy[Oddity]:
    """Return one of these fields with any value, at one of so many events."""
    return st.builds(Oddity, st.integers(0, events - 1), st.sampled_from(sorted(fields, key=str)), VALUES)


ODD_BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda name, value: json.dumps({name: value}).encode(), st.sampled_from(["data", "token_ids"]), VALUES),
    st.builds(
        lambda name, value: json.dumps({"data": [{"id": "fake", name: value}]}).encode(),
        st.sampled_from(["id", "root", "max_model_len"]),
        VALUES,
    ),
    st.builds(
        lambda name, value: f"vllm:{name} {json.dumps(value)}\n".encode(),
        st.sampled_from(["num_requests_running", "kv_cache_usage_perc", 'cache_config_info{block_size="x"}']),
        VALUES,
    ),
)
