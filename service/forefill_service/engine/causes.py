"""Why an engine refuses a request, in words of ours.

An engine's own words may repeat what was typed (vLLM's validation errors do), and a proxy's name hosts and files. So
they are read for what they are about, and neither passed on nor logged: a client gets one sentence of this file.
"""

import re

PROMPT_TOO_LONG = "the prompt is longer than the model's context"
NO_MODEL = "the engine does not have this model or adapter"
TOO_LARGE = "the request is larger than the engine, or a proxy in front of it, accepts"
NO_PARSER_OF_CALLS = "the engine was started without a parser for calls of tools"
NO_REASON = "the engine does not accept it; to see why, send the same to the engine's own API"

_READ_CHARACTERS = 1000
_TOO_LONG = ("maximum context length", "maximum model length", "input_tokens", "input_text")
_PARAMETERS = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty"),
    *("seed", "stop", "stop_token_ids", "min_tokens", "max_tokens", "logit_bias", "allowed_token_ids", "bad_words"),
    *("prompt", "messages", "tools", "tool_choice", "documents", "reasoning_effort", "chat_template_kwargs"),
    *("priority", "cache_salt", "stream_options"),
)
_OF_PARAMETERS = {name: f"the engine does not take this value of {name}" for name in _PARAMETERS}
_OF_WORDS = (
    ("does not exist", NO_MODEL),
    ("no adapter found", NO_MODEL),
    ("--enable-auto-tool-choice", NO_PARSER_OF_CALLS),
    ("--tool-call-parser", NO_PARSER_OF_CALLS),
    ("logprobs", "it asks for more logprobs than the engine gives"),
    ("speculative decoding", "the engine drafts tokens, and cannot do that with this sampling"),
    ("nested too deeply", "the structure is nested too deeply"),
    ("one kind of structured", "the engine cannot use the structure"),
    ("json schema", "the engine cannot use the JSON Schema"),
    ("json grammar", "the engine cannot use the JSON Schema"),
    ("jsonschema", "the engine cannot use the JSON Schema"),
    ("regex", "the engine cannot use the regular expression"),
    ("grammar", "the engine cannot use the grammar"),
    ("choice", "the engine cannot use the choice"),
    ("structur", "the engine cannot use the structure"),
)
"""What vLLM's words hold, in lower case; the first row that fits counts. Source: `vllm.sampling_params` (0.32)."""
_BLAMED = re.compile(r"^(\w+)|parameter=(\w+)|\bin (logit_bias|stop_token_ids|allowed_token_ids)\b")

CAUSES = frozenset(
    {PROMPT_TOO_LONG, NO_MODEL, TOO_LARGE, NO_REASON, *_OF_PARAMETERS.values(), *(cause for _, cause in _OF_WORDS)}
)
"""All that is ever said."""


def cause_of(words: str, parameter: str = "") -> str:
    """Return what an engine's refusal is about; `parameter` is the field that it blames, if it says that apart."""
    words = words[:_READ_CHARACTERS]
    lower = words.lower()
    if any(mark in lower or mark == parameter for mark in _TOO_LONG):
        return PROMPT_TOO_LONG
    blamed = [*parameter.split("."), *(name for found in _BLAMED.findall(words) for name in found)]
    named = next((_OF_PARAMETERS[name] for name in blamed if name in _OF_PARAMETERS), None)
    return named or next((cause for mark, cause in _OF_WORDS if mark in lower), NO_REASON)


def cause_of_error(error: Exception) -> str:
    """Return what an exception of vLLM's is about."""
    parameter = getattr(error, "parameter", None)
    return cause_of(str(error), parameter if isinstance(parameter, str) else "")
