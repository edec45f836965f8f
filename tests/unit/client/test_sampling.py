"""How the sampling of a session is said on the wire."""

import json

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    CacheScope,
    InvalidRequest,
    PregenerationMode,
    Sampling,
    WarmMode,
)
from forefill_client.options import open_request


def on_the_wire(sampling: Sampling | None) -> pb.Sampling:
    opening = open_request(
        [], sampling, "", WarmMode.AUTO, CacheScope.SHARED, "", None, PregenerationMode.AUTO, "", b""
    )
    return opening.sampling


@pytest.mark.parametrize("sampling", [None, Sampling()])
def test_what_is_left_open_is_not_said(sampling: Sampling | None) -> None:
    assert on_the_wire(sampling) == pb.Sampling()


def test_a_value_that_is_the_servers_default_is_said_if_it_is_given() -> None:
    assert on_the_wire(Sampling(temperature=0, min_tokens=0)) == pb.Sampling(temperature=0, min_tokens=0)


def test_its_repr_shows_what_was_given() -> None:
    assert repr(Sampling()) == "Sampling()"
    assert (
        repr(Sampling(max_tokens=3, stop="END", temperature=0)) == "Sampling(max_tokens=3, temperature=0, stop='END')"
    )


def test_everything_is_said() -> None:
    sampling = Sampling(
        max_tokens=9,
        min_tokens=2,
        ignore_eos=True,
        stop=["a", "b"],
        stop_token_ids=[7],
        include_stop_str_in_output=True,
        logit_bias={5: -1.5},
        allowed_token_ids=(5, 6),
        bad_words=["c"],
        skip_special_tokens=False,
    )
    assert on_the_wire(sampling) == pb.Sampling(
        max_tokens=9,
        min_tokens=2,
        ignore_eos=True,
        stop=["a", "b"],
        stop_token_ids=[7],
        include_stop_str_in_output=True,
        logit_bias={5: -1.5},
        allowed_token_ids=(5, 6),
        bad_words=["c"],
        skip_special_tokens=False,
    )


SCHEMA = {"type": "object", "properties": {"b": {"const": "é"}, "a": {}}, "required": ["b", "a"]}


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        (Sampling(regex=""), pb.Sampling(regex="")),
        (Sampling(regex="[0-9]+"), pb.Sampling(regex="[0-9]+")),
        (Sampling(choice=["yes", "no"]), pb.Sampling(choice=pb.Choice(texts=["yes", "no"]))),
        (Sampling(choice="yes"), pb.Sampling(choice=pb.Choice(texts=["yes"]))),
        (Sampling(choice=[]), pb.Sampling(choice=pb.Choice())),
        (Sampling(grammar="start: /a/"), pb.Sampling(grammar="start: /a/")),
        (Sampling(json_object=True), pb.Sampling(json_object=True)),
        (Sampling(json_schema="{}"), pb.Sampling(json_schema="{}")),
        (Sampling(logprobs=0), pb.Sampling(logprobs=0)),
        (Sampling(logprobs=5), pb.Sampling(logprobs=5)),
    ],
)
def test_a_structure_and_logprobs_are_said(sampling: Sampling, said: pb.Sampling) -> None:
    assert on_the_wire(sampling) == said


def test_a_schema_may_be_a_mapping_whose_keys_keep_their_order() -> None:
    said = on_the_wire(Sampling(json_schema=SCHEMA)).json_schema
    assert json.loads(said) == SCHEMA
    assert said.index('"b"') < said.index('"a"')
    assert "é" in said


@pytest.mark.parametrize(
    ("sampling", "named"),
    [
        (Sampling(regex="a", choice=["a"]), "not regex and choice"),
        (Sampling(json_schema={}, json_object=True), "not json_schema and json_object"),
        (Sampling(json_schema={"maximum": float("nan")}), "Sampling.json_schema"),
        (Sampling(json_schema={"x": object()}), "Sampling.json_schema"),
        (Sampling(json_schema=3), "Sampling.json_schema"),  # type: ignore[arg-type]
        (Sampling(choice=[3]), "the text must be a str"),  # type: ignore[list-item]
        (Sampling(choice=3), "Sampling.choice"),  # type: ignore[arg-type]
        (Sampling(regex=3), "Sampling.regex"),  # type: ignore[arg-type]
        (Sampling(json_object="yes"), "Sampling.json_object"),  # type: ignore[arg-type]
        (Sampling(logprobs=-1), "Sampling.logprobs"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(sampling: Sampling, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        on_the_wire(sampling)


def test_an_adapter_is_named_beside_the_sampling() -> None:
    opening = open_request(
        [], None, "", WarmMode.AUTO, CacheScope.SHARED, "", None, PregenerationMode.AUTO, "", b"", adapter="sql"
    )
    assert opening.adapter == "sql"


def test_a_single_text_is_one_text_and_not_its_letters() -> None:
    assert on_the_wire(Sampling(stop="END", bad_words="no")) == pb.Sampling(stop=["END"], bad_words=["no"])
