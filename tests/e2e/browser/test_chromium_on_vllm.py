"""Chromium, with real keys, on `forefill web` before real vLLM: the model is asked exactly what the page shows."""

import os

import pytest
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.browser_stage import SYSTEM, Scene, stage_before
from tests.support.node_tests import BROWSER, missing, names_in, ran
from tests.support.recording import RecordingEngine
from tests.support.submit_witness import Submit
from tests.support.vllm_endpoint import chat_endpoint
from tests.support.wire import Messages

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(bool(missing()) and os.environ.get("CI") != "true", reason=missing()),
]

FILE = BROWSER / "real_model.js"
GREEDY = Scene(bridge_flags=("--temperature", "0", "--max-tokens", "16"))


async def test_two_turns_ask_vllm_what_its_own_chat_endpoint_would_of_what_the_page_shows(
    embedded_engine: EmbeddedEngine,
) -> None:
    assert not missing()
    engine = RecordingEngine(embedded_engine)
    async with (
        running_server([engine], Settings(port=0, metrics_port=-1)) as server,
        stage_before(server.address, GREEDY) as there,
        chat_endpoint(embedded_engine) as endpoint,
    ):
        outcome = await ran(FILE, names_in(FILE), FOREFILL_PANEL=there.panel, FOREFILL_PAGE=there.page)
        first, second = [submit for stream in there.witness.streams for submit in stream.submits]
        asked = [request.prompt_ids for request in engine.requests]
        expected = [await endpoint.prompt_ids(conversation(*turns)) for turns in ([first], [first, second])]
    assert set(outcome.failures.values()) == {""}, f"{outcome.failures} {outcome.output}"
    assert all(ids in asked for ids in expected)


def conversation(*turns: Submit) -> Messages:
    """Return the messages up to the last turn's question."""
    *answered, last = turns
    said: Messages = [("system", SYSTEM)]
    for turn in answered:
        said = [*said, ("user", turn.draft), ("assistant", turn.answer)]
    return [*said, ("user", last.draft)]
