"""Scripts, stroke by stroke."""

from dataclasses import replace
from random import Random

import pytest
from forefill_bench.typing.schedule import typing_model
from forefill_bench.typing.script import Script, edited, pasted, paused, typed, typed_to_enter
from forefill_bench.typing.texts import PASTED, WORDS
from forefill_client.keystrokes import StrokeKind

from tests.support.replaying import replayed

TEXT = "How many beds are free on each ward right now?"
MODEL = typing_model(100.0)


def scripts(seed: int) -> dict[str, Script]:
    return {
        "typed": typed(TEXT, MODEL, Random(seed)),
        "pasted": pasted(PASTED, TEXT, MODEL, Random(seed)),
        "edited": edited(TEXT, WORDS, 0.6, MODEL, Random(seed)),
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["typed", "pasted", "edited"])
def test_the_strokes_lead_to_the_text_whatever_is_mistyped_on_the_way(name: str, seed: int) -> None:
    script = scripts(seed)[name]
    assert replayed(script) == (PASTED if name == "pasted" else "") + TEXT
    assert [stroke.kind for stroke in script].count(StrokeKind.SUBMIT) == 1
    assert script[-1].kind is StrokeKind.SUBMIT


@pytest.mark.parametrize("name", ["typed", "pasted", "edited"])
def test_time_never_goes_back_and_a_seed_repeats_it(name: str) -> None:
    script = scripts(1)[name]
    times = [stroke.at_ms for stroke in script]
    assert times == sorted(times)
    assert script == scripts(1)[name]
    assert script != scripts(2)[name]


def test_every_word_end_is_flushed_and_confirms_up_to_it() -> None:
    flushes = [stroke for stroke in scripts(1)["typed"] if stroke.kind is StrokeKind.FLUSH]
    assert [stroke.draft[: stroke.confirmed] for stroke in flushes][:3] == ["How ", "How many ", "How many beds "]
    assert all(stroke.confirmed == len(stroke.draft) for stroke in flushes)


def test_a_paste_is_one_stroke_and_is_flushed_at_once() -> None:
    first, second, *_ = scripts(1)["pasted"]
    assert (first.kind, first.text) == (StrokeKind.TYPE, PASTED)
    assert (second.kind, second.at_ms) == (StrokeKind.FLUSH, first.at_ms)


def test_heavy_editing_deletes_words_and_edits_in_the_middle() -> None:
    script = scripts(1)["edited"]
    kinds = [stroke.kind for stroke in script]
    assert kinds.count(StrokeKind.REPLACE) == 1
    assert kinds.count(StrokeKind.DELETE) > 5
    edit = script[kinds.index(StrokeKind.REPLACE)]
    assert 0 < edit.start < edit.end < len(TEXT) + 20
    assert edit.text in TEXT.split()


def test_a_text_of_one_word_can_be_edited_too() -> None:
    assert replayed(edited("ward", WORDS, 0.5, MODEL, Random(1))) == "ward"


def test_enter_may_be_one_more_key_after_the_models_pause() -> None:
    model = replace(typing_model(100.0), std_delay_ms=0.0, pause_after_boundary=40.0)
    script = typed_to_enter(TEXT, model, Random(1))
    assert replayed(script) == TEXT
    assert script[-1].kind is StrokeKind.SUBMIT
    assert script[-1].at_ms - script[-2].at_ms == pytest.approx(140.0)
    assert [replace(stroke, at_ms=0) for stroke in script] == [
        replace(stroke, at_ms=0) for stroke in typed(TEXT, model, Random(1))
    ]


def test_a_pause_comes_before_enter_and_changes_nothing_else() -> None:
    script = scripts(1)["typed"]
    waiting = paused(script, 5000)
    assert waiting[:-1] == script[:-1]
    assert waiting[-1].at_ms == script[-2].at_ms + 5000
    assert paused(script, 0) == script
