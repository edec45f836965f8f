"""Inputs that once failed, from ../shared/cases: what is confirmed, warmed and begun, and what a session withstands.

Those that are about the ids of SUBMIT are in test_cases_of_ids.py.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
import transformers.utils.chat_template_utils
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_client import AsyncClient, InvalidText
from forefill_client.draft import Draft, smallest_replace
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat
from forefill_service.engine import FakeEngine
from forefill_service.engine.packaged_model import packaged_model_path
from forefill_service.listeners import compose_port
from forefill_service.session.events import Open, Replace
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import GenerationStarted, Source
from transformers import AutoTokenizer

from tests.benchmarks.stable_sweep import CONVERSATION, chat_of, default_rule, flushes
from tests.support.cases import FOLDER, Case, case_names, cases
from tests.support.families import NoTemplates, template_file
from tests.support.pausing import pausing
from tests.support.served import SYSTEM, ended_by, served
from tests.support.small_tokenizer import small_tokenizer
from tests.support.stage import Stage, on_stage, settle, user
from tests.support.templates import CHATML
from tests.support.tokenizers import FAMILIES, NoTokenizer, model_directory
from tests.support.wire import Typist

BLOCK = 16


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no ../shared/cases")
def test_every_case_has_a_test() -> None:
    files = [Path(__file__), Path(__file__).with_name("test_cases_of_ids.py")]
    calls = [call for file in files for call in re.findall(r'parametrize\("case", cases\((.*?)\)', file.read_text())]
    tested = {name for call in calls for name in re.findall(r'"(\w+)"', call)}
    assert set(case_names()) <= tested


# --- stable ids

MOST_WRONG = 2.0
"""In percent of the flushes."""


@pytest.fixture(scope="module", params=[*FAMILIES, "packaged model"])
def turn(request: pytest.FixtureRequest) -> TurnPrompt:
    """A turn on a tokenizer."""
    return TurnPrompt(_chat(request.param), Conversation(CONVERSATION), 10**6)


def _chat(name: str) -> HfChat:
    if name == "packaged model":
        tokenizer = AutoTokenizer.from_pretrained(packaged_model_path())
        return HfChat(tokenizer, tokenizer.chat_template)
    try:
        return chat_of(name)
    except NoTokenizer as reason:
        pytest.skip(f"no tokenizer of {name}: {reason}")


@pytest.mark.parametrize("case", cases("cjk_boundaries", "code_gemma", "code_gemma_more"))
def test_what_is_flushed_key_by_key_is_seldom_wrong_and_costs_a_block_at_most(turn: TurnPrompt, case: Case) -> None:
    found = flushes(turn, case["drafts"], "boundary", default_rule())
    assert found.flushes > len(case["drafts"])
    assert found.share <= MOST_WRONG
    assert found.most_lost <= BLOCK


# --- text without spaces

PIECE = 2 * BLOCK


def by_bytes() -> FakeEngine:
    """Return an engine with a token for each byte, as tokenizers have in scripts unknown to them."""
    engine = FakeEngine(block_size=BLOCK)
    engine.chat = engine.chat_endpoint.chat = HfChat(small_tokenizer(), CHATML)  # type: ignore[assignment]
    return engine


async def shows(stage: Stage, draft: Draft, text: str) -> None:
    """Bring the draft to this text, as a client does that knows nothing of input methods, and flush where it would."""
    edit = smallest_replace(draft.text, text)
    draft.replace(*edit)
    stage.put(Replace(*edit))
    if draft.flush_is_due():
        draft.confirm(None)
        await stage.flushes()
    else:
        await settle()


async def is_answered_after_a_pause(stage: Stage, text: str) -> None:
    """Pause and see that the answer is begun, and that SUBMIT takes it."""
    await stage.pauses()
    for _ in range(10):
        await settle()
    assert [asked.prompt_ids for asked in stage.pregenerations] == [stage.prompt_ids(user(text))]
    finished = stage.finished(await stage.submits())
    assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
    assert finished.ledger.adopted > 0


@pytest.mark.parametrize("case", cases("nospace_th", "nospace_my", "unbroken_hex"))
async def test_text_without_spaces_is_warmed_while_it_is_typed_and_answered_in_a_pause(case: Case) -> None:
    for text in case["drafts"]:
        async with pausing(engine=by_bytes(), piece_tokens=PIECE) as stage:
            base, draft = len(stage.warms[-1].prompt_ids), Draft()
            for end in range(1, len(text) + 1):
                await shows(stage, draft, text[:end])
            whole = stage.prompt_ids(user(text))
            warmed = max(len(warm.prompt_ids) for warm in stage.warms)
            assert stage.warms[-1].prompt_ids == whole[:warmed]
            assert warmed - base > 0.8 * (len(whole) - base) - 2 * BLOCK
            assert stage.pregenerations == []
            await is_answered_after_a_pause(stage, text)


@pytest.mark.parametrize("case", cases("nospace_th", "nospace_my", "unbroken_hex"))
async def test_text_without_spaces_that_nobody_flushed_is_answered_in_a_pause(case: Case) -> None:
    for text in case["drafts"]:
        async with pausing(engine=by_bytes(), piece_tokens=PIECE) as stage:
            await stage.types(text)
            await is_answered_after_a_pause(stage, text)


# --- what a box shows


@pytest.mark.parametrize("case", cases("ime_japanese"))
async def test_hardly_a_block_is_warmed_for_nothing_while_kana_are_composed(case: Case) -> None:
    books = [await composed(case["segments"], offset) for offset in range(BLOCK)]
    for_nothing = sum(balance.edited_away for balance in books)
    assert for_nothing == 0
    assert all(balance.computed > 2 * BLOCK for balance in books)


async def composed(segments: Sequence[tuple[str, str]], offset: int) -> Balance:
    """Compose a sentence in a session whose blocks begin so many tokens later; return what came of what was warmed."""
    opening = Open((ChatMessage("system", "x" * offset),))
    async with on_stage(opening, engine=by_bytes()) as stage:
        box, draft = "", Draft()
        for kana, word in segments:
            for end in range(1, len(kana) + 1):
                await shows(stage, draft, box + kana[:end])
            box += word
            await shows(stage, draft, box)
        return stage.finished(await stage.submits()).ledger


@pytest.mark.parametrize("case", cases("dictation"))
async def test_every_state_of_a_dictation_reaches_the_server(case: Case) -> None:
    async with served() as running, AsyncClient.connect(running.address) as client, client.session([SYSTEM]) as session:
        for state in case["states"]:
            await session.set_draft(state)
            result = await session.flushed(await session.flush(len(state)))  # the server checks length and checksum
            assert (session.draft, result.confirmed_code_points) == (state, len(state))
        assert session.repairs == 0
        await (await session.submit()).text()
        chat = running.engine.chat
        said = (ChatMessage(*SYSTEM), user(case["states"][-1]))
        assert chat.encode(chat.render(Conversation(said))) in [
            request.prompt_ids for request in running.engine.requests
        ]


# --- a date in the template

LLAMA_32 = "meta-llama-Llama-3.2-3B-Instruct"
LINE = "table t(a,b,c) -- note\n"


class Counting(HfChat):
    """Counts the renderings, and the characters that the tokenizer is given."""

    work = (0, 0)

    def render(self, conversation: Conversation) -> str:
        self.work = (self.work[0] + 1, self.work[1])
        return super().render(conversation)

    def encode(self, text: str) -> list[int]:
        self.work = (self.work[0], self.work[1] + len(text))
        return super().encode(text)

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]] | None:
        self.work = (self.work[0], self.work[1] + len(text))
        return super().encode_with_ends(text)


class Stopped(datetime):
    """A clock that shows what it is set to."""

    at = datetime.min

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return cls.at


def work_of_flush(turn: TurnPrompt, chat: Counting, text: str) -> tuple[int, int]:
    """Flush; return how often it rendered and how many characters it tokenized."""
    renderings, characters = chat.work
    ids = turn.stable(text)
    work = (chat.work[0] - renderings, chat.work[1] - characters)
    assert len(turn.base) < len(ids) == ids.common(turn.final(text))
    return work


@pytest.fixture(params=["llama3_1", "packaged model"])
def llama_32(request: pytest.FixtureRequest) -> Counting:
    """Llama 3.2's template on a tokenizer that has its special tokens, and on one for which they are plain text."""
    try:
        model = packaged_model_path() if request.param == "packaged model" else model_directory(request.param)
        template = template_file(LLAMA_32).read_text()
    except (NoTokenizer, NoTemplates) as reason:
        pytest.skip(f"no tokenizer {request.param}, or no template {LLAMA_32}: {reason}")
    return Counting(AutoTokenizer.from_pretrained(model), template)


@pytest.mark.timeout(900)  # the templates are fetched once
@pytest.mark.parametrize("case", cases("midnight_llama32"))
def test_after_midnight_a_flush_renders_and_tokenizes_as_much_as_before(
    case: Case, llama_32: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers.utils.chat_template_utils, "datetime", Stopped)
    monkeypatch.setattr(Stopped, "at", datetime.fromisoformat(case["before"]))
    turn = TurnPrompt(llama_32, Conversation((ChatMessage("system", 4000 * LINE),)), 10**6)
    texts = [case["draft"] + more for more in ("are ", "are free ", "are free on ", "are free on each ")]
    work_of_flush(turn, llama_32, case["draft"])
    before = [work_of_flush(turn, llama_32, text) for text in texts]
    monkeypatch.setattr(Stopped, "at", datetime.fromisoformat(case["after"]))
    assert "02 Mar 2026" in llama_32.render(Conversation((user("x"),)))
    _, renewal = work_of_flush(turn, llama_32, case["draft"])
    assert renewal > 4000 * len(LINE)
    assert [work_of_flush(turn, llama_32, text) for text in texts] == before
    assert max(characters for _, characters in before) < 100 * len(LINE)


# --- what is not text, and pings


@pytest.mark.parametrize("case", cases("surrogates"))
async def test_half_a_surrogate_pair_is_refused_at_once_and_nothing_is_lost(case: Case) -> None:
    async with served() as running, AsyncClient.connect(running.address) as client, client.session([SYSTEM]) as session:
        await session.type("Show ")
        for units in case["texts_utf16"]:
            text = "".join(chr(int(unit, 16)) for unit in units.split())
            for refused in (session.type, session.set_draft, session.submit):
                with pytest.raises(InvalidText):
                    await refused(text)
                assert session.draft == "Show "
        await session.type("me")
        assert (await session.flushed(await session.flush(7))).confirmed_code_points == 7
        assert session.repairs == 0
        await (await session.submit()).text()


FASTER = 10
"""So many times faster than the case: client, server and idle time."""


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("case", cases("pings"))
async def test_a_client_that_pings_as_often_as_it_may_keeps_its_idle_stream(
    case: Case, monkeypatch: pytest.MonkeyPatch, *, allowed: bool
) -> None:
    if allowed:
        monkeypatch.setattr(compose_port, "PING_SECONDS", compose_port.PING_SECONDS // FASTER)
    faster = {"grpc.keepalive_time_ms": case["channel"]["grpc.keepalive_time_ms"] // FASTER}
    options = case["channel"] | faster | {"grpc.http2.max_pings_without_data": 0}  # else it falls silent after two
    async with served() as running, grpc.aio.insecure_channel(running.address, list(options.items())) as channel:
        typist = Typist(KeystrokeServiceStub(channel).Compose())
        await typist.call.write(pb.ComposeRequest(open=pb.Open()))
        await typist.read()
        await asyncio.sleep(case["idle_s"] / FASTER)
        if not allowed:
            assert (await ended_by(typist)).code() is grpc.StatusCode.UNAVAILABLE, "it does ping"
            return
        await typist.type("Show me")
        assert (await typist.flush(7)).confirmed_code_points == 7
        assert (await typist.submit()).finished.usage.completion_tokens > 0
