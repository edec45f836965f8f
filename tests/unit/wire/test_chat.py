"""All that a chat template takes, from the wire: carried as it is, or refused by name."""

import json
from typing import Any

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall
from forefill_service.chat.tool_choice import NamedTool, ToolChoice, UnknownMode, WantedChoice
from forefill_service.errors import Reason, Refusal
from forefill_service.session.events import HandOff, KeystrokeEvent, Kind, Open, Respond, Rewrite, Submit
from forefill_service.wire.from_messages import event_from

TOOL = {"type": "function", "function": {"name": "beds", "parameters": {"z": 1.0, "a": [1, 10**20]}, "strict": True}}


def opened(**fields: Any) -> Open:
    opening = event_from(pb.ComposeRequest(open=pb.Open(**fields)))
    assert isinstance(opening, Open)
    return opening


def refused(**fields: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        opened(**fields)
    return refusal.value


def test_a_message_is_read_whole() -> None:
    message = pb.ChatMessage(
        role="assistant",
        content="One moment.",
        name="Bo",
        tool_calls=[pb.ToolCall(id="1", name="beds", arguments='{"ward": "B"}'), pb.ToolCall()],
        tool_call_id="0",
        reasoning="Beds, then.",
    )
    calls = (ToolCall("1", "beds", '{"ward": "B"}'), ToolCall("", "", ""))
    expected = ChatMessage("assistant", "One moment.", "Bo", calls, "0", "Beds, then.")
    assert opened(messages=[message]).messages == (expected,)
    rewrite = event_from(
        pb.ComposeRequest(event=pb.KeystrokeEvent(seq=1, rewrite=pb.Rewrite(messages=[message], keep_messages=2)))
    )
    assert rewrite == KeystrokeEvent(1, Rewrite(2, (expected,)))


def test_an_empty_text_that_is_set_is_not_one_that_is_left_out() -> None:
    message = pb.ChatMessage(role="user", name="", tool_call_id="", reasoning="")
    assert opened(messages=[message]).messages == (ChatMessage("user", "", name="", tool_call_id="", reasoning=""),)
    assert opened(messages=[pb.ChatMessage(role="user")]).messages == (ChatMessage("user", ""),)


def test_what_the_template_takes_beside_messages_belongs_to_every_conversation_of_the_session() -> None:
    opening = opened(
        tools=[json.dumps(TOOL)], documents=['{"b": "x", "a": ""}'], reasoning_effort="low", continue_final_message=True
    )
    messages = (ChatMessage("user", "x"),)
    assert opening.conversation(messages) == Conversation(messages, {}, (TOOL,), ({"b": "x", "a": ""},), "low", True)


def test_tools_keep_the_order_of_their_keys_and_the_form_of_their_numbers() -> None:
    text = json.dumps(TOOL)
    [tool] = opened(tools=[text]).tools
    assert json.dumps(tool) == text


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("", "is not JSON: Expecting value (character 0)"),
        ("{'a': 1}", "is not JSON"),
        ('{"x": NaN}', "contains NaN, which JSON does not allow"),
        ('{"x": -Infinity}', "contains -Infinity"),
        ("[]", "must be a JSON object"),
        ('"beds"', "must be a JSON object"),
        ("[" * 100_000, "has more than 64 levels"),
        ('{"x": ' + "[" * 64 + "]" * 64 + "}", "has more than 64 levels"),
        ('{"x": ' + "9" * 5000 + "}", "holds a number of too many digits"),
        ("{}", ".function must be an object"),
        ('{"type": "custom", "function": {"name": "x"}}', '.type must be "function"'),
        ('{"type": null, "function": {"name": "x"}}', '.type must be "function"'),
        ('{"function": "beds"}', ".function must be an object"),
        ('{"function": {}}', ".function.name must be a text"),
        ('{"function": {"name": 1}}', ".function.name must be a text"),
        ('{"function": {"name": "x", "description": 1}}', ".function.description must be a text"),
        ('{"function": {"name": "x", "parameters": []}}', ".function.parameters must be an object"),
        ('{"function": {"name": "x", "strict": 1}}', ".function.strict must be true or false"),
        ('{"function": {"name": "x"}, "defer_loading": "no"}', ".defer_loading must be true or false"),
    ],
)
def test_a_tool_that_vllm_would_not_take_is_refused_by_its_index(tool: str, words: str) -> None:
    refusal = refused(tools=[json.dumps(TOOL), tool])
    assert refusal.reason is Reason.INVALID_TOOLS
    assert f"tools[1]{words if words.startswith('.') else f' {words}'}" in str(refusal)


@pytest.mark.parametrize(
    "tool",
    [
        '{"function": {"name": ""}}',
        '{"function": {"name": "x", "description": null, "parameters": null, "strict": null, "defer_loading": true}}',
        '{"type": "function", "function": {"name": "x", "more": [1]}, "more": {}}',
        '{"function": {"name": "x", "parameters": {"x": ' + "[" * 61 + "]" * 61 + "}}}",
    ],
)
def test_a_tool_that_vllm_takes_is_taken(tool: str) -> None:
    assert opened(tools=[tool]).tools == (json.loads(tool),)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("x", "documents[0] is not JSON"),
        ("[]", "documents[0] must be a JSON object"),
        ('{"title": 1}', "documents[0] must have texts for values"),
        ('{"title": null}', "documents[0] must have texts for values"),
    ],
)
def test_a_document_that_vllm_would_not_take_is_refused_by_its_index(document: str, words: str) -> None:
    refusal = refused(documents=[document])
    assert refusal.reason is Reason.INVALID_OPEN
    assert words in str(refusal)


@pytest.mark.parametrize(("field", "reason"), [("tools", Reason.INVALID_TOOLS), ("documents", Reason.INVALID_OPEN)])
def test_their_size_is_limited_all_together(field: str, reason: Reason) -> None:
    entry = {"function": {"name": "é"}} if field == "tools" else {"text": "é"}
    text = json.dumps(entry, ensure_ascii=False)
    fits = 256 * 1024 // len(text.encode())
    assert len(getattr(opened(**{field: [text] * fits}), field)) == fits
    refusal = refused(**{field: [text] * (fits + 1)})
    assert refusal.reason is reason
    assert f"{field} has {len(text.encode()) * (fits + 1)} bytes, and 262144 are allowed" in str(refusal)


@pytest.mark.parametrize("effort", ["very high", "x" * 33, "hoch?", "é"])
def test_a_reasoning_effort_of_another_form_is_refused(effort: str) -> None:
    refusal = refused(reasoning_effort=effort)
    assert refusal.reason is Reason.INVALID_OPEN
    assert "reasoning_effort" in str(refusal)


MODES: dict[int, ToolChoice] = {
    pb.TOOL_CHOICE_MODE_UNSPECIFIED: "auto",
    pb.TOOL_CHOICE_MODE_AUTO: "auto",
    pb.TOOL_CHOICE_MODE_NONE: "none",
    pb.TOOL_CHOICE_MODE_REQUIRED: "required",
}


@pytest.mark.parametrize("mode", MODES)
def test_a_choice_of_tools_belongs_to_every_conversation_of_the_session(mode: Any) -> None:
    opening = opened(tools=[json.dumps(TOOL)], tool_choice=pb.ToolChoice(mode=mode))
    assert opening.conversation(()).tool_choice == MODES[mode]


def test_a_tool_is_named_by_its_function() -> None:
    opening = opened(tools=[json.dumps(TOOL)], tool_choice=pb.ToolChoice(function="beds"))
    assert opening.conversation(()).tool_choice == NamedTool("beds")


TURN_CHOICES: list[tuple[pb.ToolChoice | None, WantedChoice | None]] = [
    (None, None),
    (pb.ToolChoice(), "auto"),
    *[(pb.ToolChoice(mode=mode), choice) for mode, choice in MODES.items()],  # type: ignore[arg-type]
    (pb.ToolChoice(function="beds"), NamedTool("beds")),
    (pb.ToolChoice(function=""), NamedTool("")),
    (pb.ToolChoice(mode=99), UnknownMode(99)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("message", "choice"), TURN_CHOICES)
def test_a_turn_has_a_choice_of_its_own_or_none_and_what_the_tools_allow_is_not_asked_here(
    message: pb.ToolChoice | None, choice: WantedChoice | None
) -> None:
    said: dict[str, tuple[Any, Kind]] = {
        "submit": (pb.Submit(text="a", tool_choice=message), Submit("a", tool_choice=choice)),
        "respond": (pb.Respond(tool_choice=message), Respond(tool_choice=choice)),
        "hand_off": (pb.HandOff(text="a", tool_choice=message), HandOff("a", tool_choice=choice)),
    }
    for kind, (sent, read) in said.items():
        request = pb.ComposeRequest(event=pb.KeystrokeEvent(seq=1))
        getattr(request.event, kind).CopyFrom(sent)
        assert event_from(request) == KeystrokeEvent(1, read)


@pytest.mark.parametrize("mode", [pb.TOOL_CHOICE_MODE_AUTO, pb.TOOL_CHOICE_MODE_NONE])
def test_without_tools_a_session_may_say_that_none_has_to_be_called(mode: Any) -> None:
    assert opened(tool_choice=pb.ToolChoice(mode=mode)).tools == ()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (pb.ToolChoice(function="wards"), "tool_choice.function is the name of none of the tools"),
        (pb.ToolChoice(function=""), "tool_choice.function is the name of none of the tools"),
        (pb.ToolChoice(mode=99), "does not know tool_choice.mode 99"),  # type: ignore[arg-type]
    ],
)
def test_a_choice_that_the_tools_do_not_allow_is_refused(choice: pb.ToolChoice, words: str) -> None:
    refusal = refused(tools=[json.dumps(TOOL)], tool_choice=choice)
    assert (refusal.reason, words in str(refusal)) == (Reason.INVALID_TOOLS, True)


def test_a_call_is_not_required_of_no_tools() -> None:
    refusal = refused(tool_choice=pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_REQUIRED))
    assert (refusal.reason, "there are no tools" in str(refusal)) == (Reason.INVALID_TOOLS, True)


@pytest.mark.parametrize(
    "choice", [pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_REQUIRED), pb.ToolChoice(function="beds")], ids=["any", "named"]
)
def test_an_answer_that_has_to_call_a_tool_has_no_other_structure(choice: pb.ToolChoice) -> None:
    fields: dict[str, Any] = {"tools": [json.dumps(TOOL)], "sampling": pb.Sampling(json_object=True)}
    refusal = refused(tool_choice=choice, **fields)
    assert (refusal.reason, "json_object" in str(refusal)) == (Reason.INVALID_TOOLS, True)
    assert opened(**fields).sampling.structure is not None


@pytest.mark.parametrize(("said", "several"), [({}, True), (True, True), (False, False)])
def test_an_answer_may_call_several_tools_unless_the_session_forbids_it(said: Any, several: bool) -> None:
    fields = {"parallel_tool_calls": said} if isinstance(said, bool) else {}
    assert opened(**fields).conversation(()).parallel_tool_calls is several


def test_the_name_of_the_drafts_is_no_text_of_any_length() -> None:
    assert opened(draft_name="é" * 256).draft_name == "é" * 256
    refusal = refused(draft_name="é" * 257)
    assert (refusal.reason, "draft_name" in str(refusal)) == (Reason.INVALID_OPEN, True)


def test_a_draft_has_the_name_that_the_session_gives_it() -> None:
    talk = opened(draft_name="Ann").conversation(())
    assert talk.drafted("x").messages == (ChatMessage("user", "x", name="Ann"),)
    assert talk.answered("x", "y").messages == (ChatMessage("user", "x", name="Ann"), ChatMessage("assistant", "y"))
    assert opened().conversation(()).drafted("x").messages == (ChatMessage("user", "x"),)
    continued = opened(draft_name="Bo", continue_final_message=True).conversation(())
    assert continued.answered("x", "y").messages == (ChatMessage("assistant", "xy", name="Bo"),)
