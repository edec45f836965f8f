"""The sampling of an Open out of its message, and what of it is refused."""

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.errors import Reason, Refusal
from forefill_service.session.events import Open
from forefill_service.wire.from_messages import event_from


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
