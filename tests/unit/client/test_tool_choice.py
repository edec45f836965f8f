"""Choices of tools, of a session and of one turn, against a scripted server on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import ChatMessage, Client, InvalidRequest, Resume, Session, SessionState, SyncSession, ToolChoice

from tests.support.scripted_hand_off import tells
from tests.support.scripted_service import OPENED, Wire, connected, serving
from tests.support.session_events import drain

KNOWS = pb.Opened()
KNOWS.CopyFrom(OPENED)
KNOWS.accepts_respond = KNOWS.accepts_tool_choice = True
OLDER = pb.Opened()
OLDER.CopyFrom(KNOWS)
OLDER.accepts_tool_choice = False

ASKED = ChatMessage("user", "How many?")
SAID = ChatMessage("assistant", "Three.")
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "beds"}}
RESUME = Resume(seconds=30, first_delay_seconds=0.01)
CHOICES: dict[str, tuple[ToolChoice | None, pb.ToolChoice | None]] = {
    "left out": (None, None),
    "auto": ("auto", pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_AUTO)),
    "none": ("none", pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_NONE)),
    "required": ("required", pb.ToolChoice(mode=pb.TOOL_CHOICE_MODE_REQUIRED)),
    "named": (TOOL, pb.ToolChoice(function="beds")),
}
Call = Callable[[Session, ToolChoice | None], Awaitable[Any]]
CALLS: dict[str, tuple[str, Call]] = {
    "submit": ("submit", lambda session, choice: session.submit("And now?", tool_choice=choice)),
    "respond": ("respond", lambda session, choice: session.respond(tool_choice=choice)),
    "regenerate": ("submit", lambda session, choice: session.regenerate(tool_choice=choice)),
    "hand off": ("hand_off", lambda session, choice: session.hand_off("And now?", tool_choice=choice)),
}


def choice_of(event: pb.KeystrokeEvent) -> pb.ToolChoice | None:
    """Return the choice that a submit, a respond or a hand-off carries; None if it leaves it out."""
    asks = getattr(event, event.WhichOneof("kind") or "")
    return asks.tool_choice if asks.HasField("tool_choice") else None


async def called(call: Call, session: Session, choice: ToolChoice | None) -> None:
    """Call, and read the answer to the end if there is one."""
    if hasattr(asked := await call(session, choice), "text") and callable(asked.text):
        await asked.text()


@pytest.mark.parametrize(("kind", "call"), CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("choice", "sent"), CHOICES.values(), ids=CHOICES)
async def test_a_turn_carries_its_choice_and_no_other_does(
    kind: str, call: Call, choice: ToolChoice | None, sent: pb.ToolChoice | None
) -> None:
    heard: list[pb.ToolChoice | None] = []

    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        if kind == "hand_off":
            heard.append(choice_of(await answered_hand_off(wire)))
            return
        for wanted in (kind, "submit"):
            event = await wire.until(wanted)
            heard.append(choice_of(event))
            await wire.answer(event.seq, "Yes.")
        await drain(wire)

    async def answered_hand_off(wire: Wire) -> pb.KeystrokeEvent:
        event = await wire.until("hand_off")
        await wire.send(handed_off=pb.HandedOff(seq=event.seq))
        await drain(wire)
        return event

    async with connected(script) as client, client.session([ASKED, SAID], tools=[TOOL]) as session:
        await called(call, session, choice)
        if kind != "hand_off":
            await (await session.submit("next")).text()
    assert heard == ([sent] if kind == "hand_off" else [sent, None])


@pytest.mark.parametrize(
    ("own", "choice", "said"),
    [
        (None, None, {}),
        ("none", None, {"tool_choice": "none"}),
        (TOOL, None, {"tool_choice": TOOL}),
        ("none", "required", {"tool_choice": "required"}),
        (TOOL, "auto", {"tool_choice": "auto"}),
    ],
    ids=["left out", "none", "named", "required in its turn", "auto in its turn"],
)
async def test_the_request_of_a_hand_off_has_the_tools_the_choice_and_the_speaker(
    own: ToolChoice | None, choice: ToolChoice | None, said: dict[str, Any]
) -> None:
    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        await tells(wire)
        await drain(wire)

    async with (
        connected(script) as client,
        client.session(tools=[TOOL], tool_choice=own, draft_name="Ann") as session,
    ):
        asked = (await session.hand_off("How many?", tool_choice=choice)).for_openai()
    assert asked["tools"] == [TOOL]
    assert {name: value for name, value in asked.items() if name == "tool_choice"} == said
    assert asked["messages"] == [{"role": "user", "content": "How many?", "name": "Ann"}]


async def test_the_request_of_a_hand_off_says_that_one_tool_at_most_is_called() -> None:
    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        await tells(wire)
        await drain(wire)

    async with (
        connected(script) as client,
        client.session(tools=[TOOL], parallel_tool_calls=False) as session,
    ):
        asked = (await session.hand_off("How many?")).for_openai()
    assert asked["extra_body"]["parallel_tool_calls"] is False


async def test_without_await_a_turn_carries_its_choice_too() -> None:
    heard: list[pb.ToolChoice | None] = []

    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        for kind in ("submit", "submit", "respond"):
            event = await wire.until(kind)
            heard.append(choice_of(event))
            await wire.answer(event.seq, "Yes.")
        event = await wire.until("hand_off")
        heard.append(choice_of(event))
        await wire.send(handed_off=pb.HandedOff(seq=event.seq))
        await drain(wire)

    def types(address: str) -> str | Any:
        with Client.connect(address) as client, client.session([ASKED], tools=[TOOL]) as session:
            assert isinstance(session, SyncSession)
            session.submit("And now?", tool_choice="required").text()
            session.regenerate(tool_choice=TOOL).text()
            session.respond([("tool", "3")], tool_choice="auto").text()
            return session.hand_off("So?", tool_choice="none").tool_choice

    async with serving(script) as address:
        assert await asyncio.to_thread(types, address) == "none"
    assert heard == [CHOICES[name][1] for name in ("required", "named", "auto", "none")]


# --- servers that refuse


async def test_a_choice_that_the_server_refuses_leaves_the_session_and_gives_the_text_back() -> None:
    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        await wire.refuse((await wire.until("submit")).seq, pb.ERROR_REASON_INVALID_TOOLS)
        await wire.answer((await wire.until("submit")).seq, "Yes.")
        await drain(wire)

    async with connected(script) as client, client.session([ASKED]) as session:
        with pytest.raises(InvalidRequest) as refused:
            await (await session.submit("And now?", tool_choice="required")).text()
        assert (refused.value.reason, refused.value.session_continues) == ("INVALID_TOOLS", True)
        assert session.draft == "And now?"
        assert await (await session.submit()).text() == "Yes."


@pytest.mark.parametrize("choice", ["none", "required", TOOL], ids=["none", "required", "named"])
async def test_a_session_with_a_choice_does_not_open_at_a_server_that_would_pass_over_it(choice: ToolChoice) -> None:
    async def script(wire: Wire) -> None:
        await wire.open(OLDER)
        await drain(wire)

    async with connected(script) as client:
        with pytest.raises(InvalidRequest, match="does not know tool_choice: it is older") as refused:
            async with client.session(tools=[TOOL], tool_choice=choice):
                pass
        assert not refused.value.session_continues


@pytest.mark.parametrize(("_", "call"), CALLS.values(), ids=CALLS)
async def test_a_server_that_would_pass_over_a_turns_choice_is_not_asked(_: str, call: Call) -> None:
    async def script(wire: Wire) -> None:
        await wire.open(OLDER)
        assert [event.WhichOneof("kind") for event in await drain(wire)] == ["end"]

    async with (
        connected(script) as client,
        client.session([ASKED, SAID], draft="And", auto_flush=False) as session,
    ):
        with pytest.raises(InvalidRequest, match="older than this client") as refused:
            await call(session, "required")
        assert refused.value.session_continues
        assert (session.draft, session.messages) == ("And", (ASKED, SAID))


async def test_an_older_server_is_asked_for_what_it_does_anyway() -> None:
    async def script(wire: Wire) -> None:
        await wire.open(OLDER)
        await wire.answer((await wire.until("submit")).seq, "Yes.")
        await drain(wire)

    async with connected(script) as client, client.session([ASKED], tool_choice="auto") as session:
        assert not session.opened.accepts_tool_choice
        assert await (await session.submit("And now?", tool_choice="auto")).text() == "Yes."


# --- another stream


@pytest.mark.parametrize("kind", ["submit", "respond"])
async def test_an_answer_is_asked_for_again_on_another_stream_with_the_choice_of_its_turn(kind: str) -> None:
    heard: list[pb.ToolChoice | None] = []

    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        event = await wire.until(kind)
        heard.append(choice_of(event))
        if len(heard) == 1:
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        await wire.answer(event.seq, "Yes.")
        await drain(wire)

    async with connected(script, RESUME) as client, client.session([ASKED], tool_choice="required") as session:
        assert await (await CALLS[kind][1](session, "auto")).text() == "Yes."
    assert heard == [CHOICES["auto"][1]] * 2


async def test_a_hand_off_is_told_to_the_next_server_with_its_choice() -> None:
    heard: list[pb.ToolChoice | None] = []

    async def script(wire: Wire) -> None:
        await wire.open(KNOWS)
        event = await wire.until("hand_off")
        heard.append(choice_of(event))
        if len(heard) == 1:
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        await wire.send(handed_off=pb.HandedOff(seq=event.seq))
        await drain(wire)

    async with connected(script, RESUME) as client, client.session([ASKED]) as session:
        assert (await session.hand_off("And now?", tool_choice="none")).tool_choice == "none"
    assert heard == [CHOICES["none"][1]] * 2


@pytest.mark.parametrize(("kind", "draft"), [("submit", "And now?"), ("respond", "")])
async def test_an_older_server_on_the_other_stream_is_not_asked_and_the_session_goes_on(kind: str, draft: str) -> None:
    servers = iter([KNOWS, OLDER])

    async def script(wire: Wire) -> None:
        opened = next(servers)
        await wire.open(opened)
        if opened is KNOWS:
            await wire.until(kind)
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        event = await wire.until("submit")
        assert choice_of(event) is None
        await wire.answer(event.seq, "Yes.")
        await drain(wire)

    async with connected(script, RESUME) as client, client.session([ASKED]) as session:
        answer = await CALLS[kind][1](session, "required")
        with pytest.raises(InvalidRequest, match="older than this client"):
            await answer.text()
        assert session.draft == draft
        assert await (await session.submit("So?")).text() == "Yes."


async def test_a_session_with_a_choice_ends_if_only_an_older_server_is_left() -> None:
    servers = iter([KNOWS, OLDER])

    async def script(wire: Wire) -> None:
        opened = next(servers)
        await wire.open(opened)
        if opened is KNOWS:
            await wire.until("char_add")
            await wire.fail(grpc.StatusCode.UNAVAILABLE, "gone")
        await drain(wire)

    async with connected(script, RESUME) as client:
        session = client.session([ASKED], tool_choice="required", auto_flush=False)
        async with session:
            await session.type("And now?")
            ending = await session.wait_closed()
            assert isinstance(ending, InvalidRequest)
            assert "older than this client" in str(ending)
            assert session.state is SessionState.CLOSED
