"""What the start says of a template that the fast path and vLLM's own code render differently."""

import logging
from pathlib import Path

import pytest
from forefill_service.engine.vllm.chat import check_chat

from tests.support.templates import TEMPLATES
from tests.support.vllm_rendering import ModelChats

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore:max_tokens is deprecated")]


def test_the_start_says_which_conversation_a_template_renders_otherwise(
    packaged_model: ModelChats, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    said = TEMPLATES["chatml"]
    ours, theirs = tmp_path / "ours.jinja", tmp_path / "theirs.jinja"
    ours.write_text(said)
    theirs.write_text(said.replace("m['content']", "(m['content'].split('</think>') | last)"))
    assert theirs.read_text() != said
    with caplog.at_level(logging.WARNING, logger="forefill_service"):
        check_chat(packaged_model.ours(ours), packaged_model.authority(ours))
        assert not [record for record in caplog.records if record.name.startswith("forefill_service")]
        check_chat(packaged_model.ours(ours), packaged_model.authority(theirs))
    [record] = [record for record in caplog.records if record.name.startswith("forefill_service")]
    assert "2 of 16 kinds of conversation" in record.getMessage()
    assert "the first with reasoning in the history" in record.getMessage()
