"""The table of vLLM's chat-completions fields names all that vLLM has, and only what the wire and the SDK have."""

import inspect
from dataclasses import fields
from pathlib import Path

import forefill_client
import pytest
from forefill.v1 import keystroke_pb2 as pb

from deploy.dev import chat_fields
from deploy.dev.chat_fields import FIELDS, How

ROOT = Path(__file__).parents[3]
NAMED = sorted({name for field in FIELDS.values() for name in field.wire})
NAMED_IN_THE_SDK = sorted({name for field in FIELDS.values() for name in field.sdk})


@pytest.mark.vllm
def test_every_field_of_the_installed_vllm_has_a_row_and_every_row_a_field() -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    assert chat_fields.complaints_about(ChatCompletionRequest.model_fields) == []


def test_a_field_that_vllm_adds_removes_or_moves_is_found() -> None:
    names = list(FIELDS)
    assert chat_fields.complaints_about(names) == []
    [new] = chat_fields.complaints_about([*names, "telepathy"])
    assert "telepathy" in new
    [gone] = chat_fields.complaints_about(names[1:])
    assert "no field messages" in gone
    assert chat_fields.complaints_about(names[::-1]) == ["the rows of FIELDS are in another order than vLLM's fields"]


def test_the_document_is_up_to_date() -> None:
    assert (ROOT / chat_fields.DOCUMENT).read_text() == chat_fields.document(), "run make chat-fields"


@pytest.mark.parametrize("name", NAMED)
def test_the_wire_has_what_the_table_names(name: str) -> None:
    message, field = name.split(".")
    assert field in pb.DESCRIPTOR.message_types_by_name[message].fields_by_name


@pytest.mark.parametrize("name", NAMED_IN_THE_SDK)
def test_the_sdk_has_what_the_table_names(name: str) -> None:
    parameters = inspect.signature(forefill_client.AsyncClient.session).parameters
    names = {*parameters, *(f"Sampling.{field.name}" for field in fields(forefill_client.Sampling))}
    assert name in names


def test_all_that_sampling_has_is_named() -> None:
    of_the_wire = {f"Sampling.{field.name}" for field in pb.Sampling.DESCRIPTOR.fields}
    assert of_the_wire <= set(NAMED)
    assert {f"Sampling.{field.name}" for field in fields(forefill_client.Sampling)} <= set(NAMED_IN_THE_SDK)


@pytest.mark.parametrize(("name", "field"), FIELDS.items(), ids=FIELDS.keys())
def test_what_has_no_field_says_why(name: str, field: chat_fields.Field) -> None:
    assert field.wire if field.how is How.FIELD else field.note
