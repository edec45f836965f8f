#!/usr/bin/env python3
"""The fields of vLLM's chat-completions request, and how forefill carries each: a document made from vLLM's own class.

`FIELDS` has a row for each field, in vLLM's order. A field that vLLM adds or removes is a complaint until its row says
what becomes of it.
"""

# ruff: noqa: T201 - it talks to people
import argparse
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "deploy/chat-completions.md"


class How(Enum):
    """How forefill carries a field."""

    FIELD = "by a field"
    """It has a field of its own, or shares one."""
    SET = "set by forefill"
    """Sessions do not choose it: forefill or the operator of the server does."""
    HAND_OFF = "by hand-off"
    """Only in the application's own request, which finds the warmed blocks."""
    NOT = "not at all"
    """It means nothing here, or nothing that is warmed would be found."""


class Field(NamedTuple):
    """One row. `wire` names fields as Message.field, `sdk` parameters of `AsyncClient.session`, or of `Sampling`."""

    how: How
    wire: tuple[str, ...] = ()
    sdk: tuple[str, ...] = ()
    note: str = ""


def _sampling(*names: str, note: str = "") -> Field:
    return Field(How.FIELD, tuple(f"Sampling.{name}" for name in names), tuple(f"Sampling.{n}" for n in names), note)


def _opening(*names: str, sdk: Sequence[str] | None = None, note: str = "") -> Field:
    return Field(How.FIELD, tuple(f"Open.{name}" for name in names), tuple(names if sdk is None else sdk), note)


def _set(note: str, *wire: str) -> Field:
    return Field(How.SET, wire, note=note)


def _hand_off(note: str) -> Field:
    return Field(How.HAND_OFF, note=note)


def _not(note: str) -> Field:
    return Field(How.NOT, note=note)


FIELDS: dict[str, Field] = {
    "messages": _opening(
        "messages",
        "draft_name",
        note="The draft is one more, at SUBMIT, named by `draft_name`; Respond asks without it. Text only: images, "
        "audio and video by hand-off, which finds what is before the first of them.",
    ),
    "model": _opening("adapter", note="A server of forefill serves one model; a LoRA adapter of it is named."),
    "frequency_penalty": _sampling("frequency_penalty"),
    "logit_bias": _sampling("logit_bias"),
    "logprobs": _sampling("logprobs", note="One field for both: setting it asks for logprobs."),
    "top_logprobs": _sampling("logprobs", note="The number of alternatives, 0 to 20; -1 (all) by hand-off."),
    "max_tokens": _sampling("max_tokens"),
    "max_completion_tokens": _sampling("max_tokens"),
    "n": _hand_off("A session has one answer to each SUBMIT."),
    "presence_penalty": _sampling("presence_penalty"),
    "response_format": _sampling(
        "json_schema",
        "json_object",
        note="The same structures; `structural_tag` by hand-off. For Kimi K3 and Cohere's models this field is also "
        "part of the prompt: by hand-off.",
    ),
    "seed": _sampling("seed"),
    "stop": _sampling("stop"),
    "stream": _set("Answers are always streamed."),
    "stream_options": _set("The usage comes with GenerationFinished."),
    "temperature": _sampling("temperature"),
    "top_p": _sampling("top_p"),
    "tools": _opening("tools"),
    "tool_choice": Field(
        How.FIELD,
        ("Open.tool_choice", "Submit.tool_choice", "Respond.tool_choice", "HandOff.tool_choice"),
        ("tool_choice",),
        "That of a turn, or else of the session: first a required call, then `auto` after its result. Only an answer "
        "with the session's own is begun before SUBMIT. A call that is required is refused beside a structure. Behind "
        "vLLM servers the chat endpoint itself answers if they parse calls, or if a turn has another choice.",
    ),
    "reasoning_effort": _opening("reasoning_effort"),
    "thinking_token_budget": _hand_off("It would start counting again if an answer is continued."),
    "include_reasoning": _hand_off("An application leaves reasoning out by itself."),
    "parallel_tool_calls": _opening(
        "parallel_tool_calls",
        note="False: one call at most. As in vLLM, calls after the first are dropped, and formats that vLLM knows as a "
        "structure have no place for a second one.",
    ),
    "user": _not("vLLM ignores it."),
    "use_beam_search": _hand_off("Beams cannot be streamed."),
    "top_k": _sampling("top_k"),
    "min_p": _sampling("min_p"),
    "repetition_penalty": _sampling("repetition_penalty"),
    "watermarking": _hand_off("It only opts out: answers are watermarked as the engine is set up."),
    "length_penalty": _hand_off("Of beam search alone."),
    "stop_token_ids": _sampling("stop_token_ids"),
    "include_stop_str_in_output": _sampling("include_stop_str_in_output"),
    "ignore_eos": _sampling("ignore_eos"),
    "min_tokens": _sampling("min_tokens"),
    "skip_special_tokens": _sampling("skip_special_tokens"),
    "spaces_between_special_tokens": _hand_off("Without effect unless `skip_special_tokens` is false."),
    "truncate_prompt_tokens": _not(
        "A prompt that is too long is refused, not cut: after a cut at its beginning no block would be found."
    ),
    "truncation_side": _not("As `truncate_prompt_tokens`."),
    "prompt_logprobs": _hand_off("vLLM then reads nothing from its cache, so what was warmed saves nothing."),
    "logprob_token_ids": _hand_off("For scoring: `logprobs` reports the likeliest tokens, not chosen ones."),
    "allowed_token_ids": _sampling("allowed_token_ids"),
    "bad_words": _sampling("bad_words"),
    "echo": _hand_off("The answer is streamed alone."),
    "add_generation_prompt": _set("True, but with `continue_final_message`."),
    "continue_final_message": _opening("continue_final_message"),
    "add_special_tokens": _not("Templates add them; a second set makes other ids, and no block would be found."),
    "documents": _opening("documents"),
    "chat_template": _set("`--chat-template` of forefill's server, or of vLLM's: one for all sessions."),
    "chat_template_kwargs": _opening("chat_template_kwargs"),
    "media_io_kwargs": _hand_off("Of images, audio and video."),
    "mm_processor_kwargs": _hand_off("Of images, audio and video."),
    "structured_outputs": _sampling(
        "json_schema",
        "regex",
        "choice",
        "grammar",
        "json_object",
        note="Its options (`whitespace_pattern`, `disable_any_whitespace`, ...) and `structural_tag` by hand-off.",
    ),
    "priority": _set("0 for an answer, 5 for one that is begun before SUBMIT, 10 for a warm."),
    "request_id": _set("Made by forefill, or by the engine."),
    "session_id": _set("A digest of the session's key, in the header X-Session-ID.", "Open.session_key"),
    "return_tokens_as_token_ids": _set("Tokens of logprobs come with their ids and their texts."),
    "return_token_ids": _set("forefill reads them: it continues and books answers by their ids."),
    "routed_experts_prompt_start": _hand_off("Of data for training."),
    "return_token_offsets": _not("vLLM ignores it at the chat endpoint."),
    "return_prompt_text": _hand_off("Sessions are not shown their prompt's text."),
    "mm_payload": _not("vLLM ignores it at the chat endpoint."),
    "return_mm_kwargs": _not("vLLM ignores it at the chat endpoint."),
    "cache_salt": _set(
        "Made by forefill from the tenant, or from `cache_secret`; a client cannot choose it.",
        "Open.cache_scope",
        "Open.cache_secret",
    ),
    "kv_transfer_params": _not("Servers that pass blocks on to each other choose it, not clients."),
    "ec_transfer_params": _not("As `kv_transfer_params`."),
    "vllm_xargs": _hand_off("Of extensions of vLLM that forefill does not know."),
    "repetition_detection": _hand_off("It would start counting again if an answer is continued."),
    "stream_interval": _set("Left out, so that each token comes by itself: answers are continued by tokens."),
}


def complaints_about(fields: Iterable[str]) -> list[str]:
    """Return one line for each field that vLLM has and `FIELDS` does not, or the other way round, or out of order."""
    theirs = list(fields)
    new = [f"vLLM has a new field, {name}: say in FIELDS how it is carried" for name in theirs if name not in FIELDS]
    gone = [f"vLLM has no field {name} any more: remove its row" for name in FIELDS if name not in theirs]
    if not new and not gone and theirs != list(FIELDS):
        return ["the rows of FIELDS are in another order than vLLM's fields"]
    return new + gone


HEAD = """\
# vLLM's chat completions, field by field

How forefill carries each field of a request to vLLM's `/v1/chat/completions`. By hand-off, an application sends its
own request and may set all of them; it still finds the blocks that were warmed. `make chat-fields` makes this document
from the rows in `deploy/dev/chat_fields.py`, and a test compares them with the class of the installed vLLM.

{count} fields: {counts}.

| field | how | on the wire | in the SDK | |
|---|---|---|---|---|
"""


def document() -> str:
    """Return the document, a row for each field."""
    counts = ", ".join(f"{sum(field.how is how for field in FIELDS.values())} {how.value}" for how in How)
    return HEAD.format(count=len(FIELDS), counts=counts) + "".join(
        f"| `{name}` | {field.how.value} | {_code(field.wire)} | {_code(field.sdk)} | {field.note} |\n"
        for name, field in FIELDS.items()
    )


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main() -> int:
    """Print the document; with --write put it where it belongs. Return 1 if vLLM's fields are not those of `FIELDS`."""
    parser = argparse.ArgumentParser(description="Write how each field of vLLM's chat completions is carried.")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT} instead of printing it")
    arguments = parser.parse_args()
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    if complaints := complaints_about(ChatCompletionRequest.model_fields):
        print(*complaints, sep="\n", file=sys.stderr)
        return 1
    if arguments.write:
        (ROOT / DOCUMENT).write_text(document(), encoding="utf-8")
    else:
        print(document(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
