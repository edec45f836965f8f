"""The edge between the wire and the service's values."""

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Sampling, Structure, TokenLogprob, TokenLogprobs
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
from forefill_service.session.ledger import Balance, PregenerationCount, PregenerationOutcome
from forefill_service.session.responses import (
    HANDED_OFF,
    FlushOutcome,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    HandedOff,
    Opened,
    SessionError,
    SessionLimits,
    Source,
)
from forefill_service.wire.from_messages import event_from
from forefill_service.wire.statuses import STATUSES
from forefill_service.wire.to_messages import reason_to_message, response_to_message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

EMPTY = Value(list_value=ListValue())


def in_list(value: Value, times: int) -> Value:
    return Value(list_value=ListValue(values=[value] * times))


def by_name(value: Value, times: int) -> dict[str, Value]:
    return {str(number): value for number in range(times)}


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
    ("sampling", "named"),
    [
        (pb.Sampling(max_tokens=0), "max_tokens"),
        (pb.Sampling(temperature=-0.1), "temperature"),
        (pb.Sampling(temperature=2.1), "temperature"),
        (pb.Sampling(temperature=float("nan")), "temperature"),
        (pb.Sampling(temperature=float("inf")), "temperature"),
        (pb.Sampling(top_p=0), "top_p"),
        (pb.Sampling(top_p=1.1), "top_p"),
        (pb.Sampling(min_p=-1), "min_p"),
        (pb.Sampling(presence_penalty=3), "presence_penalty"),
        (pb.Sampling(frequency_penalty=-3), "frequency_penalty"),
        (pb.Sampling(repetition_penalty=0), "repetition_penalty"),
        (pb.Sampling(min_tokens=3, max_tokens=2), "min_tokens"),
        (pb.Sampling(stop_token_ids=range(1025)), "stop_token_ids"),
        (pb.Sampling(allowed_token_ids=range(1025)), "allowed_token_ids"),
        (pb.Sampling(logit_bias=dict.fromkeys(range(1025), 1.0)), "logit_bias"),
        (pb.Sampling(logit_bias={5: 101}), "logit_bias"),
        (pb.Sampling(logit_bias={5: float("nan")}), "logit_bias"),
        (pb.Sampling(bad_words=["x"] * 1025), "bad_words"),
        (pb.Sampling(bad_words=["x", ""]), "bad_words"),
        (pb.Sampling(bad_words=["é" * 32_768, "x"]), "bad_words have 65537 bytes, and 65536 are allowed"),
        (pb.Sampling(stop=["x", "é" * 513]), "a text of stop has 1026 bytes, and 1024 are allowed"),
        (pb.Sampling(stop=[""]), "stop"),
        (pb.Sampling(stop=["x"] * 17), "stop"),
        (pb.Sampling(logprobs=21), "logprobs"),
        (pb.Sampling(json_schema=""), "json_schema is not JSON"),
        (pb.Sampling(json_schema='{"type": "object"'), "json_schema is not JSON"),
        (pb.Sampling(json_schema='{"maximum": NaN}'), "json_schema is not JSON"),
        (pb.Sampling(json_schema="[" * 30_000), "json_schema is not JSON"),
        (pb.Sampling(json_schema="true"), "json_schema must be a JSON object"),
        (pb.Sampling(json_schema='"a text"'), "json_schema must be a JSON object"),
        (pb.Sampling(json_schema='{"description": "' + "é" * 32_768 + '"}'), "json_schema has 65555 bytes"),
        (pb.Sampling(regex="x" * 4097), "regex has 4097 bytes, and 4096 are allowed"),
        (pb.Sampling(choice=pb.Choice()), "choice takes 1 to 1024 texts"),
        (pb.Sampling(choice=pb.Choice(texts=["a", ""])), "choice"),
        (pb.Sampling(choice=pb.Choice(texts=["a"] * 1025)), "choice"),
        (pb.Sampling(choice=pb.Choice(texts=["x" * 65_536, "y"])), "choice has 65537 bytes"),
        (pb.Sampling(grammar=" \n"), "grammar"),
        (pb.Sampling(grammar="x" * 65_537), "grammar has 65537 bytes"),
        (pb.Sampling(json_object=False), "json_object"),
    ],
)
def test_invalid_sampling_is_refused_by_name(sampling: pb.Sampling, named: str) -> None:
    with pytest.raises(Refusal, match=named) as refusal:
        event_from(pb.ComposeRequest(open=pb.Open(sampling=sampling)))
    assert refusal.value.reason is Reason.INVALID_SAMPLING


SCHEMA = '{"type": "object", "properties": {"b": {}, "a": {}}, "required": ["b", "a"]}'


@pytest.mark.parametrize(
    ("sampling", "structure"),
    [
        (pb.Sampling(), None),
        (pb.Sampling(json_schema=SCHEMA), Structure("json", SCHEMA)),
        (pb.Sampling(regex=""), Structure("regex", "")),
        (pb.Sampling(regex="[0-9]+"), Structure("regex", "[0-9]+")),
        (pb.Sampling(choice=pb.Choice(texts=["yes", "no"])), Structure("choice", ("yes", "no"))),
        (pb.Sampling(grammar='root ::= "a"'), Structure("grammar", 'root ::= "a"')),
        (pb.Sampling(json_object=True), Structure("json_object", True)),
    ],
)
def test_a_structure_is_read_as_it_was_written(sampling: pb.Sampling, structure: Structure | None) -> None:
    opening = event_from(pb.ComposeRequest(open=pb.Open(sampling=sampling)))
    assert opening == Open(sampling=Sampling(structure=structure))


@pytest.mark.parametrize("logprobs", [None, 0, 20])
def test_no_logprobs_are_not_the_same_as_those_of_the_tokens_alone(logprobs: int | None) -> None:
    opening = event_from(pb.ComposeRequest(open=pb.Open(sampling=pb.Sampling(logprobs=logprobs))))
    assert opening == Open(sampling=Sampling(logprobs=logprobs))


def test_the_bounds_of_a_value_are_said_in_full() -> None:
    with pytest.raises(Refusal, match="max_tokens is 0 but must be at least 1 and at most 2,147,483,647"):
        event_from(pb.ComposeRequest(open=pb.Open(sampling=pb.Sampling(max_tokens=0))))


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


def test_opened_says_what_is_served_and_within_which_limits() -> None:
    limits = SessionLimits(max_draft_code_points=200, context_tokens=400, max_message_bytes=1000)
    response = Opened("anna", "qwen", 16, limits, base_prompt_tokens=7, warming_inert_reason="off", resume_token="1.x")
    assert response_to_message(response).opened == pb.Opened(
        session_id="anna",
        model="qwen",
        block_size=16,
        limits=pb.Limits(max_draft_code_points=200, context_tokens=400, max_message_bytes=1000),
        base_prompt_tokens=7,
        warming_inert_reason="off",
        accepts_hints=True,
        accepts_respond=True,
        accepts_tool_choice=True,
        resume_token="1.x",
    )


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.0, 0), (7.0, 7000), (0.0305, 30), (3600.0, 3_600_000)])
def test_an_error_says_when_to_send_the_event_again(seconds: float, milliseconds: int) -> None:
    response = SessionError(Reason.GENERATION_FAILED, "no room", 7, 3, "", seconds)
    assert response_to_message(response).session_error == pb.SessionError(
        reason=pb.ERROR_REASON_GENERATION_FAILED,
        message="no room",
        seq=7,
        draft_code_points=3,
        retry_after_ms=milliseconds,
    )


@pytest.mark.parametrize("by_engine", [True, False])
def test_the_client_is_told_whether_the_engine_made_the_prompt(by_engine: bool) -> None:
    started = GenerationStarted(7, 0.5, 100, 64, Source.WARM, prompt_by_engine=by_engine)
    assert response_to_message(started).generation_started.prompt_by_engine is by_engine


def test_logprobs_come_with_the_part_of_the_answer_that_they_are_of() -> None:
    a, b = TokenLogprob(5, " a", -0.5), TokenLogprob(6, "", -2.0)
    delta = response_to_message(GenerationDelta(7, "", logprobs=(TokenLogprobs(b, (a, b)),))).generation_delta
    assert delta == pb.GenerationDelta(
        seq=7,
        logprobs=[
            pb.TokenLogprobs(
                token=pb.TokenLogprob(id=6, logprob=-2.0),
                likeliest=[pb.TokenLogprob(id=5, text=" a", logprob=-0.5), pb.TokenLogprob(id=6, logprob=-2.0)],
            )
        ],
    )


def test_the_books_of_begun_answers_are_told_whole_and_in_milliseconds() -> None:
    outcomes = (
        PregenerationCount(PregenerationOutcome.ADOPTED, count=1, tokens=4, engine_seconds=0.5),
        PregenerationCount(PregenerationOutcome.EDITED, count=2, tokens=3, engine_seconds=0.25),
        PregenerationCount(PregenerationOutcome.FAILED, count=1, tokens=0, engine_seconds=0.125),
    )
    balance = Balance(pregenerations=4, adopted=3, discarded=4, outcomes=outcomes, answer_engine_seconds=4)
    ledger = response_to_message(GenerationFinished(7, "stop", 9, 8, 16, 0, 0, 0, balance)).generation_finished.ledger
    assert (ledger.adopted_engine_ms, ledger.wasted_engine_ms, ledger.answer_engine_ms) == (500, 375, 4000)
    assert list(ledger.pregeneration_outcomes) == [
        pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_ADOPTED, count=1, tokens=4, engine_ms=500),
        pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_EDITED, count=2, tokens=3, engine_ms=250),
        pb.PregenerationCount(outcome=pb.PREGENERATION_OUTCOME_FAILED, count=1, tokens=0, engine_ms=125),
    ]


def test_what_a_hand_off_is_told_is_carried_whole() -> None:
    told = HandedOff(3, "http://vllm:8000/v1", {"X-Session-ID": "a"}, "salt", "model", 40, 32)
    assert response_to_message(told).handed_off == pb.HandedOff(
        seq=3,
        base_url="http://vllm:8000/v1",
        headers={"X-Session-ID": "a"},
        cache_salt="salt",
        model="model",
        prompt_tokens=40,
        cached_tokens=32,
    )


def test_an_answer_that_was_handed_off_is_finished_as_that() -> None:
    finished = GenerationFinished(3, HANDED_OFF, 40, 32, 7, 0.1, 0, 2, Balance())
    assert response_to_message(finished).generation_finished.reason == pb.FINISH_REASON_HANDED_OFF
