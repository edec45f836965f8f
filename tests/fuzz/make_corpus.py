"""Makes the fuzzer's corpus of valid messages: a few streams, each one input. They are small, and the same every time.

python -m tests.fuzz.make_corpus
"""

import sys
import zlib
from pathlib import Path
from typing import Any

from forefill.v1 import keystroke_pb2 as pb
from google.protobuf import json_format

from tests.fuzz.records import Record, joined

CORPUS = Path(__file__).parent / "corpus"
NOTHING, ANSWERED, FAILED = 0, 2, 3
"""What the service does before a message comes: see `FuzzedStream`."""
SYSTEM = pb.ChatMessage(role="system", content="You write SQL.")
TOOL = '{"type": "function", "function": {"name": "count", "parameters": {"type": "object"}, "strict": true}}'


class Script:
    """The messages of one stream, its events numbered from 1."""

    def __init__(self, **fields: Any) -> None:
        self.records = [_record(pb.ComposeRequest(open=pb.Open(**fields)))]
        self._seq = 0

    def event(self, before: int = NOTHING, *, seq: int | None = None, **kind: Any) -> "Script":
        self._seq = self._seq + 1 if seq is None else seq
        self.records.append(_record(pb.ComposeRequest(event=pb.KeystrokeEvent(seq=self._seq, **kind)), before))
        return self

    def types(self, text: str) -> "Script":
        return self.event(char_add=pb.CharAdd(text=text))

    def flush(self, draft: str, confirmed: int | None = None) -> "Script":
        crc = zlib.crc32(draft.encode())
        return self.event(
            flush=pb.Flush(draft_code_points=len(draft), draft_crc32=crc, confirmed_code_points=confirmed)
        )

    def submit(self, text: str | None = None) -> "Script":
        return self.event(submit=pb.Submit(text=text))

    def end(self, before: int = NOTHING) -> "Script":
        return self.event(before, end=pb.End())


def _record(request: pb.ComposeRequest, before: int = NOTHING) -> Record:
    return Record(before, request.SerializeToString(deterministic=True))


def _struct(value: dict[str, Any]) -> Any:
    return json_format.ParseDict(value, pb.Open().chat_template_kwargs)


def _edits() -> Script:
    script = Script(messages=[SYSTEM], draft="Show")
    script.types(" me all ").flush("Show me all ").event(char_delete=pb.CharDelete(count=4)).types("👩‍🚀 了 ")
    script.event(replace=pb.Replace(start=0, end=4, text="List")).flush("List me 👩‍🚀 了 ", 5)
    script.event(hint=pb.Hint(submit_likely=True)).event(char_delete=pb.CharDelete())
    return script.submit().end(ANSWERED)


def _turns() -> Script:
    script = Script(messages=[SYSTEM], session_key="user-1")
    script.types("One? ").submit().types("Two? ").event(FAILED, flush=pb.Flush(draft_code_points=5)).submit("Two?")
    script.event(cancel=pb.Cancel(keep_text=True)).event(ANSWERED, respond=pb.Respond()).event(ANSWERED)
    script.event(rewrite=pb.Rewrite(keep_messages=1, messages=[pb.ChatMessage(role="user", content="Why?")]))
    return script.submit("So?").end().event(cancel=pb.Cancel()).event(ANSWERED)


def _hand_offs() -> Script:
    script = Script(messages=[SYSTEM]).types("Hello ").event(hand_off=pb.HandOff()).types("and ")
    said = [pb.ChatMessage(role="user", content="Hello"), pb.ChatMessage(role="assistant", content="Hi")]
    script.event(hand_off_finished=pb.HandOffFinished(messages=said, prompt_tokens=9, cached_tokens=4))
    script.event(hand_off=pb.HandOff(text="again")).event(hand_off_finished=pb.HandOffFinished())
    return script.event(hand_off=pb.HandOff(text="more")).event(cancel=pb.Cancel()).end()


def _tools() -> Script:
    call = pb.ToolCall(id="call1", name="count", arguments='{"of": "beds"}')
    messages = [
        pb.ChatMessage(role="developer", content="Be kind."),
        pb.ChatMessage(role="user", content="How many?", name="Ann"),
        pb.ChatMessage(role="assistant", tool_calls=[call], reasoning="Hm."),
        pb.ChatMessage(role="tool", content="3", tool_call_id="call1"),
    ]
    return Script(
        messages=messages,
        tools=[TOOL],
        documents=['{"title": "a", "text": "b"}'],
        reasoning_effort="low",
        chat_template_kwargs=_struct({"enable_thinking": False, "n": [1, 2.5, None, {"a": "b"}]}),
        adapter="sql",
        cache_scope=pb.CACHE_SCOPE_SESSION,
        cache_secret=b"0123456789abcdef",
        warm_mode=pb.WARM_MODE_OFF,
        pregeneration_mode=pb.PREGENERATION_MODE_ON,
    ).event(respond=pb.Respond(answer_so_far="It "))


def _choices() -> Script:
    required, named = pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_REQUIRED), pb.ToolChoice(function="count")
    script = Script(messages=[SYSTEM], tools=[TOOL], tool_choice=required).types("One? ")
    script.event(submit=pb.Submit(tool_choice=pb.ToolChoice(function="sum")))
    script.event(submit=pb.Submit(tool_choice=pb.ToolChoice(mode=99)))  # type: ignore[arg-type]
    script.event(submit=pb.Submit(tool_choice=named)).event(ANSWERED)
    script.event(respond=pb.Respond(tool_choice=pb.ToolChoice())).event(ANSWERED)
    return script.event(hand_off=pb.HandOff(text="Two?", tool_choice=pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_NONE)))


def _sampling() -> Script:
    sampling = pb.Sampling(
        max_tokens=9,
        min_tokens=1,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        presence_penalty=1,
        frequency_penalty=-1,
        repetition_penalty=1.1,
        seed=-1,
        stop=["\n", "END"],
        stop_token_ids=[1, 2],
        logit_bias={1: 2.0, 3: -4.0},
        allowed_token_ids=[1, 2, 3],
        bad_words=["no"],
        skip_special_tokens=False,
        logprobs=3,
        json_schema='{"type": "object", "properties": {"a": {"type": "string"}}}',
    )
    return Script(sampling=sampling, continue_final_message=True, draft="SELECT").submit().event(ANSWERED)


def _structures(structure: pb.Sampling) -> Script:
    return Script(sampling=structure).submit("Yes?").end(ANSWERED)


def _mistakes() -> Script:
    script = Script(messages=[SYSTEM]).event(seq=0, char_add=pb.CharAdd(text="x")).event(seq=7)
    script.event(seq=8, replace=pb.Replace(start=3, end=1)).event(seq=9, submit=pb.Submit())
    script.types("x" * 61).event(flush=pb.Flush(draft_code_points=1)).event(cancel=pb.Cancel())
    script.event(hand_off_finished=pb.HandOffFinished()).event(rewrite=pb.Rewrite(keep_messages=9))
    script.submit("a").submit("b").event(hand_off=pb.HandOff(text="c")).event(ANSWERED, hand_off=pb.HandOff(text="c"))
    script.event(hand_off_finished=pb.HandOffFinished(messages=[pb.ChatMessage(content="no role")]))
    script.records.append(script.records[0])  # a second Open
    script.event(cancel=pb.Cancel()).submit("d").end().types("late")
    return script


def inputs() -> dict[str, bytes]:
    """Return the inputs by the names of their files."""
    first = Record(NOTHING, b"\x12\x02\x08\x01")
    scripts = {
        "edits": _edits().records,
        "turns": _turns().records,
        "hand-offs": _hand_offs().records,
        "tools": _tools().records,
        "choices": _choices().records,
        "sampling": _sampling().records,
        "regex": _structures(pb.Sampling(regex="[a-z]+")).records,
        "choice": _structures(pb.Sampling(choice=pb.Choice(texts=["yes", "no"]))).records,
        "grammar": _structures(pb.Sampling(grammar='root ::= "yes"')).records,
        "json-object": _structures(pb.Sampling(json_object=True)).records,
        "mistakes": _mistakes().records,
        "bad-tools": Script(tools=["[]"]).records,
        "bad-json": Script(tools=['{"type": "function", ']).records,
        "bad-documents": Script(documents=['{"title": NaN}']).records,
        "bad-sampling": Script(sampling=pb.Sampling(temperature=9)).records,
        "bad-open": Script(session_key="/").records,
        "long-draft": Script(draft="x" * 61).records,
        "long-open": Script(draft="x" * 1200).records,
        "much-to-hold": Script(chat_template_kwargs=_struct({"n": [[]] * 150})).records,
        "not-open": [first],
        "not-protobuf": [Record(NOTHING, b"\xff\xff")],
        "not-utf-8": [Record(NOTHING, b"\x0a\x03\x1a\x01\xff")],
        "nothing": [Record(NOTHING, b"")],
    }
    return {name: joined(records) for name, records in scripts.items()}


def main() -> int:
    """Write the corpus."""
    CORPUS.mkdir(exist_ok=True)
    for old in CORPUS.iterdir():
        old.unlink()
    for name, data in inputs().items():
        (CORPUS / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
