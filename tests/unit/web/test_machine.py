"""What a conversation does with each message of a browser in each of its stages."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from forefill_client import (
    AnswerPart,
    FinishReason,
    ForefillError,
    GenerationFailed,
    GenerationSource,
    Ledger,
    NotReachable,
    Report,
    SessionState,
    Started,
)
from forefill_web import messages as said
from forefill_web.actions import Action, Ask, CloseSocket, Measure, Rewrite, Send, SetDraft, SetHint, Stop
from forefill_web.machine import RULES, Machine, Stage

LIMIT = 20
STARTED = Started(GenerationSource.WARM, prompt_tokens=60, cached_tokens=48, ttft_seconds=0.002)
REPORT = Report(
    ttft_seconds=0.002,
    server_ttft_seconds=0.001,
    total_seconds=0.1,
    prompt_tokens=60,
    cached_tokens=48,
    completion_tokens=2,
    source=GenerationSource.WARM,
    finish_reason=FinishReason.STOP,
    ledger=Ledger(
        warms=0, computed_tokens=0, used_tokens=0, edited_away_tokens=0, evicted_tokens=0, abandoned_tokens=0
    ),
)


def idle(draft: str = "") -> Machine:
    machine = Machine(LIMIT)
    machine.attached(draft)
    return machine


def answering() -> Machine:
    machine = idle("Show me")
    machine.receive(said.Submit(1, "Show me"), now=10.0)
    return machine


def answered() -> Machine:
    machine = answering()
    machine.finished(1, REPORT, ["It was read."])
    return machine


def over() -> Machine:
    machine = answered()
    machine.receive(said.End(), now=11.0)
    return machine


def state_of(machine: Machine) -> dict[str, Any]:
    return deepcopy(vars(machine))


def sent(actions: list[Action]) -> list[dict[str, Any]]:
    return [action.reply for action in actions if isinstance(action, Send)]


def test_each_message_has_a_rule_in_each_stage() -> None:
    assert set(RULES) == set(said.Message.__args__)
    assert all(set(row) == set(Stage) for row in RULES.values())


EXAMPLES: dict[type, said.Message] = {
    said.Open: said.Open(1, "", (), ""),
    said.Edit: said.Edit(0, 0, "a", 1, composing=False),
    said.Draft: said.Draft("a", composing=False),
    said.Hint: said.Hint(likely=True),
    said.Submit: said.Submit(2, "And?"),
    said.Regenerate: said.Regenerate(2),
    said.Rewrite: said.Rewrite(0, ()),
    said.Cancel: said.Cancel(1, keep_text=True),
    said.Twin: said.Twin(1),
    said.End: said.End(),
}
REFUSED: dict[Stage, dict[type, str]] = {
    Stage.IDLE: {said.Open: "ALREADY_OPEN"},
    Stage.ANSWERING: {
        said.Open: "ALREADY_OPEN",
        said.Submit: "GENERATION_RUNNING",
        said.Regenerate: "GENERATION_RUNNING",
        said.Rewrite: "GENERATION_RUNNING",
    },
}
IN_STAGE: dict[Stage, Callable[[], Machine]] = {Stage.IDLE: answered, Stage.ANSWERING: answering, Stage.OVER: over}


@pytest.mark.parametrize(
    ("stage", "kind", "reason"), [(stage, kind, why) for stage, row in REFUSED.items() for kind, why in row.items()]
)
def test_what_is_refused_says_why_and_changes_nothing(stage: Stage, kind: type, reason: str) -> None:
    machine = IN_STAGE[stage]()
    before = state_of(machine)
    [error] = sent(machine.receive(EXAMPLES[kind], now=12.0))
    assert (error["type"], error["reason"]) == ("error", reason)
    assert state_of(machine) == before


@pytest.mark.parametrize("kind", EXAMPLES)
def test_after_the_end_nothing_is_done(kind: type) -> None:
    machine = over()
    before = state_of(machine)
    assert machine.receive(EXAMPLES[kind], now=12.0) == []
    assert state_of(machine) == before


def test_a_cancel_without_an_answer_and_one_of_another_turn_do_nothing() -> None:
    for machine, turn in ((answered(), 1), (answering(), 2)):
        before = state_of(machine)
        assert machine.receive(said.Cancel(turn, keep_text=True), now=12.0) == []
        assert state_of(machine) == before


@pytest.mark.parametrize("machine", [idle("Show"), answering()], ids=["idle", "answering"])
def test_edits_change_the_draft_also_while_an_answer_runs(machine: Machine) -> None:
    before = machine.box.draft
    edit = said.Edit(0, 0, "ab", len(before) + 2, composing=True)
    assert machine.receive(edit, 0) == [SetDraft("ab" + before, composing=True)]
    assert machine.receive(said.Draft("whole", composing=False), 0) == [SetDraft("whole", composing=False)]
    assert machine.receive(said.Hint(likely=True), 0) == [SetHint(likely=True)]


@pytest.mark.parametrize(
    ("start", "end", "length"), [(0, 0, 6), (0, 5, 1), (5, 5, 6), (3, 2, 6)], ids=["length", "end", "start", "order"]
)
def test_an_edit_that_does_not_fit_is_not_carried_out_and_the_draft_is_asked_for_once(
    start: int, end: int, length: int
) -> None:
    machine = idle("Show")
    assert sent(machine.receive(said.Edit(start, end, "x", length, composing=False), 0)) == [{"type": "resync"}]
    assert machine.box.draft == "Show"
    assert machine.receive(said.Edit(0, 0, "x", 5, composing=False), 0) == [], "it was on its way"
    machine.receive(said.Draft("Show them", composing=False), 0)
    edit = said.Edit(4, 5, "n ", 10, composing=False)
    assert machine.receive(edit, 0) == [SetDraft("Shown them", composing=False)]


def test_a_draft_that_is_too_long_is_refused_and_the_session_keeps_the_last_one() -> None:
    machine = idle("Show")
    [error] = sent(machine.receive(said.Draft("x" * (LIMIT + 1), composing=False), 0))
    assert (error["reason"], error["continues"]) == ("DRAFT_TOO_LONG", True)
    assert machine.box.draft == "Show"
    [error] = sent(machine.receive(said.Edit(0, 4, "x" * (LIMIT + 1), LIMIT + 1, composing=False), 0))
    assert error["reason"] == "DRAFT_TOO_LONG"


def test_submit_asks_with_its_own_text_and_the_next_draft_begins_empty() -> None:
    machine = idle("Show m")
    assert machine.receive(said.Submit(3, "Show me"), now=10.0) == [Ask(3, "Show me")]
    assert (machine.stage, machine.turn, machine.box.draft) == (Stage.ANSWERING, 3, "")


def test_regenerate_asks_once_more_and_keeps_the_draft() -> None:
    machine = answered()
    machine.receive(said.Draft("And", composing=False), 0)
    assert machine.receive(said.Regenerate(2), now=12.0) == [Ask(2, None)]
    assert machine.box.draft == "And"


def test_a_turn_that_was_asked_is_not_asked_again() -> None:
    machine = answering()
    assert machine.receive(said.Submit(1, "Show me"), now=11.0) == []
    machine.finished(1, REPORT, ["It was read."])
    [again] = sent(machine.receive(said.Submit(1, "Show me"), now=12.0))
    assert (again["type"], again["turn"], again["ledger"]) == ("finished", 1, ["It was read."])
    assert machine.receive(said.Submit(2, "And?"), now=13.0) == [Ask(2, "And?")]
    assert machine.receive(said.Submit(1, "Show me"), now=14.0) == []


def test_the_first_part_of_an_answer_says_how_it_began_and_how_long_it_took() -> None:
    machine = answering()
    assert sent(machine.came(1, AnswerPart(reasoning="Hm"), STARTED, now=10.25)) == [
        {
            "type": "started",
            "turn": 1,
            "source": "warm",
            "cached_tokens": 48,
            "prompt_tokens": 60,
            "ttft_ms": 250.0,
        },
        {"type": "delta", "turn": 1, "reasoning": "Hm"},
    ]
    assert sent(machine.came(1, AnswerPart(text="Two"), STARTED, now=11.0)) == [
        {"type": "delta", "turn": 1, "text": "Two"}
    ]
    assert machine.answer is not None
    snapshot = machine.answer.snapshot()
    assert (snapshot["text"], snapshot["reasoning"], snapshot["submitted_text"]) == ("Two", "Hm", "Show me")
    assert snapshot["started"]["ttft_ms"] == 250.0


def test_what_comes_late_of_an_earlier_turn_is_passed_over() -> None:
    machine = answered()
    machine.receive(said.Submit(2, "And?"), now=12.0)
    assert machine.came(1, AnswerPart(text="late"), STARTED, now=13.0) == []
    assert machine.finished(1, REPORT, []) == []
    assert machine.stage is Stage.ANSWERING


def test_a_refused_answer_leaves_the_conversation_and_one_whose_session_is_lost_ends_it() -> None:
    machine = answering()
    refused = GenerationFailed("ask again", reason="GENERATION_FAILED", session_continues=True)
    refused.retry_after_seconds = 1.5
    [error] = sent(machine.failed(1, refused))
    assert (error["turn"], error["retry_after_ms"], error["continues"]) == (1, 1500, True)
    assert machine.stage is Stage.IDLE

    machine = answering()
    *_, last = machine.failed(1, NotReachable("nobody answers"))
    assert last == CloseSocket(1013)
    assert machine.stage is Stage.OVER


@pytest.mark.parametrize(
    ("error", "code"), [(NotReachable("nobody answers"), 1013), (ForefillError("no"), 1008)], ids=["later", "never"]
)
def test_the_end_of_the_session_closes_the_socket(error: ForefillError, code: int) -> None:
    machine = answered()
    actions = machine.broken(error)
    assert sent(actions)[0]["continues"] is False
    assert actions[-1] == CloseSocket(code)
    assert machine.broken(error) == [], "it is said once"


def test_another_socket_is_told_how_the_last_answer_ended_and_its_box_wins() -> None:
    machine = answered()
    actions = machine.attached("And then")
    assert sent(actions)[0]["type"] == "finished"
    assert actions[-1] == SetDraft("And then", composing=False)


def test_another_socket_is_told_that_the_server_is_being_looked_for() -> None:
    machine = idle()
    machine.moved(SessionState.RECONNECTING, NotReachable("nobody answers"))
    assert sent(machine.attached(""))[0] == {"type": "state", "state": "reconnecting"}
    assert sent(machine.moved(SessionState.OPEN, None)) == [{"type": "state", "state": "open"}]
    assert machine.moved(SessionState.OPEN, None) == []


def test_the_rest_is_passed_on() -> None:
    messages = (said.Said("user", "Hello"),)
    assert answered().receive(said.Rewrite(1, messages), 0) == [Rewrite(1, messages)]
    assert answering().receive(said.Cancel(1, keep_text=False), 0) == [Stop(keep_text=False)]
    assert answering().receive(said.Twin(1), 0) == [Measure(1)]
    assert answered().receive(said.End(), 0) == [CloseSocket(1000)]
