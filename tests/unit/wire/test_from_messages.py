"""Events and Opens out of the client's messages, and what of an Open is refused."""

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage
from forefill_service.errors import Reason, Refusal
from forefill_service.serving.content_limits import held_bytes
from forefill_service.session.events import (
    CacheScope,
    CharAdd,
    CharDelete,
    End,
    Flush,
    HandOff,
    HandOffFinished,
    Hint,
    KeystrokeEvent,
    Open,
    Replace,
    ReportedUsage,
    Respond,
    Submit,
    Unknown,
    WarmMode,
    fingerprint,
)
from forefill_service.wire.from_messages import event_from
from google.protobuf.struct_pb2 import ListValue, Struct, Value

EMPTY = Value(list_value=ListValue())


def in_list(value: Value, times: int) -> Value:
    return Value(list_value=ListValue(values=[value] * times))


def by_name(value: Value, times: int) -> dict[str, Value]:
    return {str(number): value for number in range(times)}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text="é")), CharAdd("é")),
        (pb.KeystrokeEvent(seq=1, char_delete=pb.CharDelete()), CharDelete(1)),
        (pb.KeystrokeEvent(seq=1, char_delete=pb.CharDelete(count=3)), CharDelete(3)),
        (pb.KeystrokeEvent(seq=1, replace=pb.Replace(start=1, end=2, text="x")), Replace(1, 2, "x")),
        (pb.KeystrokeEvent(seq=1, flush=pb.Flush(draft_code_points=2, draft_crc32=3)), Flush(2, 3, None)),
        (pb.KeystrokeEvent(seq=1, flush=pb.Flush(confirmed_code_points=0)), Flush(0, 0, 0)),
        (pb.KeystrokeEvent(seq=1, hint=pb.Hint(submit_likely=True)), Hint(True)),
        (pb.KeystrokeEvent(seq=1, hint=pb.Hint()), Hint(False)),
        (pb.KeystrokeEvent(seq=1, hand_off=pb.HandOff()), HandOff(None)),
        (pb.KeystrokeEvent(seq=1, hand_off=pb.HandOff(text="")), HandOff("")),
        (pb.KeystrokeEvent(seq=1, hand_off_finished=pb.HandOffFinished()), HandOffFinished()),
        (
            pb.KeystrokeEvent(
                seq=1,
                hand_off_finished=pb.HandOffFinished(
                    messages=[pb.ChatMessage(role="user", content="a")], prompt_tokens=9, cached_tokens=0
                ),
            ),
            HandOffFinished((ChatMessage("user", "a"),), ReportedUsage(9, 0, None)),
        ),
        (pb.KeystrokeEvent(seq=1, submit=pb.Submit()), Submit(None)),
        (pb.KeystrokeEvent(seq=1, submit=pb.Submit(text="")), Submit("")),
        (pb.KeystrokeEvent(seq=1, respond=pb.Respond(answer_so_far="a")), Respond("a")),
        (pb.KeystrokeEvent(seq=1, end=pb.End()), End()),
        (pb.KeystrokeEvent(seq=1), Unknown()),
    ],
)
def test_every_kind_of_event_is_read(message: pb.KeystrokeEvent, kind: object) -> None:
    assert event_from(pb.ComposeRequest(event=message)) == KeystrokeEvent(1, kind)  # type: ignore[arg-type]


def test_a_message_without_a_kind_is_unknown() -> None:
    assert event_from(pb.ComposeRequest()) == Unknown()


def test_open_is_read_with_its_defaults() -> None:
    assert event_from(pb.ComposeRequest(open=pb.Open())) == Open()


def test_open_is_read_whole() -> None:
    kwargs = Struct()
    kwargs.update({"enable_thinking": False, "budget": 3, "nested": {"share": 0.5, "list": [1.0]}})
    message = pb.Open(
        messages=[pb.ChatMessage(role="system", content="SQL")],
        sampling=pb.Sampling(max_tokens=5, temperature=0, stop=["\n"]),
        draft="Show",
        warm_mode=pb.WARM_MODE_OFF,
        session_key="a-1",
        resume_token="1.x",
        chat_template_kwargs=kwargs,
        cache_scope=pb.CACHE_SCOPE_SESSION,
        adapter="sql",
    )
    opening = event_from(pb.ComposeRequest(open=message))
    assert opening == Open(
        messages=(ChatMessage("system", "SQL"),),
        sampling=Sampling(max_tokens=5, temperature=0.0, stop=("\n",)),
        draft="Show",
        warm_mode=WarmMode.OFF,
        session_key="a-1",
        resume_token="1.x",
        chat_template_kwargs={"enable_thinking": False, "budget": 3, "nested": {"share": 0.5, "list": [1]}},
        cache_scope=CacheScope.SESSION,
        adapter="sql",
    )
    assert isinstance(opening, Open)
    assert isinstance(opening.chat_template_kwargs["budget"], int)


@pytest.mark.parametrize(
    ("opening", "named"),
    [
        (pb.Open(adapter="x" * 257), "adapter must have at most 256 code points"),
        (pb.Open(session_key="a b"), "session_key"),
        (pb.Open(session_key="x" * 129), "session_key"),
        (pb.Open(messages=[pb.ChatMessage(content="x")]), "role"),
        (pb.Open(cache_secret=b"x" * 15, cache_scope=pb.CACHE_SCOPE_SESSION), "cache_secret must have 16 to 64 bytes"),
        (pb.Open(cache_secret=b"x" * 65, cache_scope=pb.CACHE_SCOPE_SESSION), "cache_secret must have 16 to 64 bytes"),
        (pb.Open(cache_secret=b"x" * 16), "cache_secret needs CACHE_SCOPE_SESSION"),
        (pb.Open(warm_mode=99), "warm_mode"),  # type: ignore[arg-type]
        (pb.Open(cache_scope=99), "cache_scope"),  # type: ignore[arg-type]
        (
            pb.Open(chat_template_kwargs=Struct(fields={"x": Value(number_value=float("nan"))})),
            "chat_template_kwargs",
        ),
        (
            pb.Open(chat_template_kwargs=Struct(fields={"x": Value(string_value="x" * 65536)})),
            "chat_template_kwargs has 65551 bytes, and 65536 are allowed",
        ),
        (
            pb.Open(
                chat_template_kwargs=Struct(
                    fields={"x": Value(list_value=ListValue(values=[Value(list_value=ListValue())] * 100_000))}
                )
            ),
            "65536 are allowed",
        ),
        (pb.Open(chat_template_kwargs=Struct(fields={"x": in_list(EMPTY, 1023)})), "more than 1024 keys and values"),
        (pb.Open(chat_template_kwargs=Struct(fields=by_name(EMPTY, 513))), "more than 1024 keys and values"),
        (
            pb.Open(chat_template_kwargs=Struct(fields={"x": Value(struct_value=Struct(fields=by_name(EMPTY, 512)))})),
            "more than 1024 keys and values",
        ),
        (pb.Open(resume_token="x" * 257), "resume_token"),
        (pb.Open(messages=[pb.ChatMessage(role="u")] * 16_385), "more than 16384 messages"),
    ],
)
def test_an_invalid_open_is_refused_by_name(opening: pb.Open, named: str) -> None:
    with pytest.raises(Refusal, match=named) as refusal:
        event_from(pb.ComposeRequest(open=opening))
    assert refusal.value.reason is Reason.INVALID_OPEN


def test_as_many_variables_as_are_allowed_are_taken() -> None:
    kwargs = Struct(fields={"x": in_list(EMPTY, 1022)})
    opening = event_from(pb.ComposeRequest(open=pb.Open(chat_template_kwargs=kwargs)))
    assert isinstance(opening, Open)
    assert opening.chat_template_kwargs == {"x": [[]] * 1022}


def test_what_a_session_keeps_may_take_so_much_memory() -> None:
    request = pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role="u", content="x")], adapter="sql"))
    size = held_bytes(event_from(request))
    assert event_from(request, size) == event_from(request)
    with pytest.raises(Refusal, match=f"the session would hold {size} bytes of it, and {size - 1} are allowed"):
        event_from(request, size - 1)


def test_an_open_brings_the_digest_of_what_its_prompts_begin_with() -> None:
    one, same, other = (
        event_from(pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role="user", content=said)], draft=draft)))
        for said, draft in (("a", "x"), ("a", "y"), ("b", "x"))
    )
    assert isinstance(one, Open)
    assert isinstance(same, Open)
    assert isinstance(other, Open)
    assert one.fingerprint == same.fingerprint == fingerprint(one) != other.fingerprint


def test_variables_of_the_size_that_is_allowed_are_taken() -> None:
    kwargs = Struct(fields={"x": Value(string_value="x" * 65521)})
    assert kwargs.ByteSize() == 65536
    opening = event_from(pb.ComposeRequest(open=pb.Open(chat_template_kwargs=kwargs)))
    assert isinstance(opening, Open)
    assert opening.chat_template_kwargs == {"x": "x" * 65521}
