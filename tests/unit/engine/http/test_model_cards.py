"""What a server lists at `/v1/models`, and what it may not list."""

from typing import Any

import pytest
from forefill_service.engine.http.model_cards import ModelCard, cards_in
from forefill_service.errors import EngineNonsense


def test_models_and_adapters_are_listed_with_what_is_known_of_them() -> None:
    base: dict[str, Any] = {
        "id": "m",
        "object": "model",
        "root": "/models/m",
        "parent": None,
        "max_model_len": 8192,
        "permission": [],
    }
    adapter = {"id": "sql", "root": "/models/sql", "parent": "m", "max_model_len": None}
    assert cards_in({"object": "list", "data": [base, adapter, {"id": "x"}]}) == (
        ModelCard("m", "/models/m", 8192),
        ModelCard("sql", "/models/sql"),
        ModelCard("x"),
    )
    assert cards_in({"data": None}) == cards_in({}) == ()


@pytest.mark.parametrize("answer", [None, 7, "m", [], [{"id": "m"}], {"data": 7}, {"data": {"id": "m"}}, {"data": [7]}])
def test_another_shape_is_nonsense(answer: object) -> None:
    with pytest.raises(EngineNonsense, match="/v1/models"):
        cards_in(answer)


@pytest.mark.parametrize(
    "card",
    [
        {},
        {"id": None},
        {"id": ""},
        {"id": 7},
        {"id": "\ud83d"},
        {"id": "two\nlines"},
        {"id": "x" * 1000},
        {"id": "m", "root": 7},
        {"id": "m", "root": "a\x00b"},
        {"id": "m", "max_model_len": "8192"},
        {"id": "m", "max_model_len": -1},
        {"id": "m", "max_model_len": 8192.0},
        {"id": "m", "max_model_len": True},
        {"id": "m", "max_model_len": 2**40},
    ],
)
def test_so_is_a_card_that_cannot_be(card: dict[str, object]) -> None:
    with pytest.raises(EngineNonsense, match="/v1/models"):
        cards_in({"data": [card]})
