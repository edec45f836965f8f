"""help() shows what stands below the fields of the client's classes."""

import dataclasses
import inspect
import pydoc
from enum import Enum

import forefill_client
import pytest
from forefill_client import Answer, ForefillError, Report, Resume, Sampling, WarmMode, keystrokes
from forefill_client.field_docs import show_field_docs


@pytest.mark.parametrize(
    ("cls", "line"),
    [
        (Sampling, "max_tokens: Longest answer, in tokens"),
        (Report, "prompt_tokens: Tokens of the prompt"),
        (WarmMode, "OFF: Nothing: answers come as from plain vLLM."),
        (Answer, "seq: Number of the event that asked for it."),
        (ForefillError, "session_continues: Whether the session can still be used."),
        (keystrokes.TypingModel, "typo_rate: Probability that a letter"),
    ],
)
def test_help_shows_the_fields(cls: type, line: str) -> None:
    assert line in pydoc.render_doc(cls, renderer=pydoc.plaintext)  # type: ignore[attr-defined]


def test_every_field_of_every_public_class_is_shown() -> None:
    for module in (forefill_client, keystrokes):
        for name in module.__all__:
            thing = getattr(module, name)
            fields: list[str] = []
            if isinstance(thing, type) and issubclass(thing, Enum):
                fields = [*thing.__members__]
            elif isinstance(thing, type) and dataclasses.is_dataclass(thing):
                fields = [field.name for field in dataclasses.fields(thing) if not field.name.startswith("_")]
            shown = [line.strip().partition(":")[0] for line in (inspect.getdoc(thing) or "").splitlines()]
            assert set(fields) <= set(shown), name


def test_a_docstring_begins_as_it_is_written_and_long_ones_stay_in_line() -> None:
    lines = (inspect.getdoc(Resume) or "").splitlines()
    assert lines[0].startswith("How a session goes on after its stream broke")
    assert (
        lines[lines.index("Fields:") + 1]
        == "    seconds: How long to try, from the break on; then the session ends with the last failure."
    )
    on = (inspect.getdoc(forefill_client.PregenerationMode) or "").splitlines()
    assert all(line.startswith("    ") for line in on[on.index("Fields:") + 1 :])


def test_without_its_source_a_class_keeps_its_docstring() -> None:
    made = type("Made", (), {"__doc__": "Made here."})
    show_field_docs([made, 3, None])
    assert made.__doc__ == "Made here."
