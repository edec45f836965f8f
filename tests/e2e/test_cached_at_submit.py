"""The main job on real vLLM: when Enter is pressed, every whole block of the confirmed text is in the cache."""

import secrets

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client.keystrokes import SAMPLE_QUERIES, SAMPLE_SCHEMA
from forefill_service.server import RunningServer
from forefill_service.session.boundary import last_boundary

from tests.support.texts import AWKWARD_TEXTS
from tests.support.wire import Answer, Typist, typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

QUESTION = "Show the names of all makers, with more than 3 models, and order them by name. "
DONE = (pb.FLUSH_OUTCOME_WARMED, pb.FLUSH_OUTCOME_NOTHING_NEW)


def new_system_prompt(words: int = 60) -> list[tuple[str, str]]:
    """Return a system prompt that no other test has put into the cache."""
    return [("system", f"{secrets.token_hex(8)} " + "You translate questions into SQL. " * (words // 6))]


async def type_and_flush_at_boundaries(typist: Typist, text: str) -> pb.FlushResult:
    """Type a text word by word, waiting for each FLUSH; return the last result."""
    result, start = await typist.flush(), 0
    for end in range(1, len(text) + 1):
        if last_boundary(text[:end]) == end:
            await typist.type(text[start:end])
            result, start = await typist.flush(), end
            assert result.outcome in DONE
    await typist.type(text[start:])
    return result


def whole_blocks(typist: Typist, tokens: int) -> int:
    return tokens - tokens % typist.opened.block_size


def assert_covers(typist: Typist, confirmed: pb.FlushResult, answer: Answer) -> None:
    """Every whole block that the last FLUSH confirmed was found by SUBMIT, and the books agree."""
    assert confirmed.cached_tokens == whole_blocks(typist, confirmed.stable_tokens)
    assert answer.cached_tokens >= confirmed.cached_tokens
    ledger = answer.finished.ledger
    spent = ledger.used_tokens + ledger.edited_away_tokens + ledger.evicted_tokens + ledger.abandoned_tokens
    assert ledger.computed_tokens == spent


async def test_every_whole_block_of_the_confirmed_text_is_cached(embedded_server: RunningServer) -> None:
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        confirmed = await type_and_flush_at_boundaries(typist, QUESTION)
        answer = await typist.submit()
        await typist.end()
    assert confirmed.confirmed_code_points == len(QUESTION)
    assert confirmed.stable_tokens > typist.opened.base_prompt_tokens + 10
    assert_covers(typist, confirmed, answer)
    assert answer.started.source == pb.GENERATION_SOURCE_WARM
    assert answer.finished.ledger.used_tokens == answer.cached_tokens
    assert answer.finished.ledger.evicted_tokens == 0


@pytest.mark.parametrize("query", SAMPLE_QUERIES[:4])
async def test_sample_queries_over_the_sample_schema_are_cached(embedded_server: RunningServer, query: str) -> None:
    async with typing_at(
        embedded_server.address, [("system", SAMPLE_SCHEMA)], cache_scope=pb.CACHE_SCOPE_SESSION
    ) as typist:
        confirmed = await type_and_flush_at_boundaries(typist, query)
        answer = await typist.submit()
    assert_covers(typist, confirmed, answer)
    assert answer.cached_tokens >= whole_blocks(typist, typist.opened.base_prompt_tokens) > 1000


async def test_nothing_is_cached_where_nothing_is_warmed(embedded_server: RunningServer) -> None:
    async with typing_at(embedded_server.address, new_system_prompt(), warm_mode=pb.WARM_MODE_OFF) as typist:
        assert typist.opened.warming_inert_reason
        await typist.type(QUESTION)
        result = await typist.flush()
        answer = await typist.submit()
    assert result.outcome == pb.FLUSH_OUTCOME_INERT
    assert answer.cached_tokens == 0
    assert answer.started.source == pb.GENERATION_SOURCE_COLD
    ledger = answer.finished.ledger
    assert ledger.answer_engine_ms > 0
    ledger.ClearField("answer_engine_ms")
    assert ledger == pb.Ledger()


async def test_after_deletes(embedded_server: RunningServer) -> None:
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        await type_and_flush_at_boundaries(typist, QUESTION * 4)
        await typist.delete(len(QUESTION) * 3 + 20)
        await typist.flush()
        confirmed = await type_and_flush_at_boundaries(typist, "something that is quite different, with many words. ")
        answer = await typist.submit()
    assert_covers(typist, confirmed, answer)
    assert answer.finished.ledger.edited_away_tokens > 0


async def test_after_everything_was_deleted(embedded_server: RunningServer) -> None:
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        await type_and_flush_at_boundaries(typist, QUESTION)
        await typist.delete(len(QUESTION))
        confirmed = await type_and_flush_at_boundaries(
            typist, "Which 🚗 cars were built before 1980 in Japan or Germany? "
        )
        answer = await typist.submit()
    assert_covers(typist, confirmed, answer)


async def test_after_an_edit_in_the_middle(embedded_server: RunningServer) -> None:
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        text = QUESTION * 3
        before = await type_and_flush_at_boundaries(typist, text)
        await typist.replace(len(QUESTION), len(QUESTION) + 4, "List")
        confirmed = await typist.flush()
        answer = await typist.submit()
    assert confirmed.outcome == pb.FLUSH_OUTCOME_WARMED
    # What stands before the edit was kept, what stands behind it was computed again.
    assert 0 < confirmed.computed_tokens < before.stable_tokens
    assert_covers(typist, confirmed, answer)


async def test_text_that_comes_back_is_found_again(embedded_server: RunningServer) -> None:
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        before = await type_and_flush_at_boundaries(typist, QUESTION * 2)
        await typist.delete(len(QUESTION))
        await typist.type("Something else entirely, which takes up a block of its own or more than that. ")
        await typist.flush()
        await typist.replace(len(QUESTION), len(typist.draft), QUESTION)
        confirmed = await typist.flush()
        answer = await typist.submit()
    assert confirmed.outcome == pb.FLUSH_OUTCOME_NOTHING_NEW
    assert confirmed.cached_tokens == before.cached_tokens
    assert_covers(typist, confirmed, answer)


async def test_a_paste_of_thousands_of_characters(embedded_server: RunningServer) -> None:
    paste = "".join(f"Row {i}: the car number {i * 7} has {i % 5} doors.\n" for i in range(200))
    assert len(paste) > 8000
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        await typist.type("Summarise this:\n")
        await typist.type(paste)
        confirmed = await typist.flush()
        await typist.type("Briefly")
        answer = await typist.submit()
    assert confirmed.outcome == pb.FLUSH_OUTCOME_WARMED
    assert confirmed.stable_tokens > 2000
    assert answer.finished.ledger.warms > 1, "a long text is warmed in pieces"
    assert_covers(typist, confirmed, answer)


@pytest.mark.parametrize(
    "name", ["emoji with joiners and skin tones", "combining marks", "Chinese", "right to left", "code"]
)
async def test_awkward_text(embedded_server: RunningServer, name: str) -> None:
    text = f"{AWKWARD_TEXTS[name]} and {AWKWARD_TEXTS[name]} "
    async with typing_at(embedded_server.address, new_system_prompt()) as typist:
        confirmed = await type_and_flush_at_boundaries(typist, text)
        await typist.type("so?")
        answer = await typist.submit()
    assert_covers(typist, confirmed, answer)


async def test_the_second_turn_finds_the_first_with_its_answer(embedded_server: RunningServer) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=48)
    async with typing_at(embedded_server.address, new_system_prompt(), sampling=sampling) as typist:
        await type_and_flush_at_boundaries(typist, QUESTION)
        first = await typist.submit()
        base = await typist.flush()
        confirmed = await type_and_flush_at_boundaries(typist, "Explain that, please, in a few words. ")
        second = await typist.submit()
    assert first.finished.usage.completion_tokens > 1  # how long it is, is the model's affair
    assert base.stable_tokens > first.finished.usage.prompt_tokens + first.finished.usage.completion_tokens
    assert_covers(typist, confirmed, second)


async def test_what_was_typed_while_the_answer_ran_is_warmed_with_the_next_turn(embedded_server: RunningServer) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=32)
    async with typing_at(embedded_server.address, new_system_prompt(), sampling=sampling) as typist:
        await typist.type(QUESTION)
        await typist.send_submit()
        await typist.type("And how many models does each of them have, please? ")
        await typist.send_flush()
        await typist.answer()
        confirmed = await typist.flush()
        answer = await typist.submit()
    assert_covers(typist, confirmed, answer)


async def test_a_session_resumed_from_its_draft_finds_its_blocks(embedded_server: RunningServer) -> None:
    messages = new_system_prompt()
    async with typing_at(embedded_server.address, messages) as typist:
        before = await type_and_flush_at_boundaries(typist, QUESTION)
    async with typing_at(embedded_server.address, messages, draft=QUESTION) as typist:
        confirmed = await typist.flush()
        answer = await typist.submit()
    assert confirmed.stable_tokens == before.stable_tokens
    assert confirmed.cached_tokens == before.cached_tokens
    assert_covers(typist, confirmed, answer)


async def test_streams_of_scope_session_share_nothing(embedded_server: RunningServer) -> None:
    messages = new_system_prompt()
    for _ in range(2):
        async with typing_at(embedded_server.address, messages, cache_scope=pb.CACHE_SCOPE_SESSION) as typist:
            await typist.type(QUESTION)
            confirmed = await typist.flush()
            answer = await typist.submit()
        assert confirmed.outcome == pb.FLUSH_OUTCOME_WARMED
        assert_covers(typist, confirmed, answer)
        # Whatever SUBMIT found was computed by this stream itself.
        assert answer.finished.ledger.computed_tokens >= answer.cached_tokens > 0


async def test_a_shared_stream_finds_nothing_of_a_session_scoped_one(embedded_server: RunningServer) -> None:
    messages = new_system_prompt()
    async with typing_at(embedded_server.address, messages, cache_scope=pb.CACHE_SCOPE_SESSION) as typist:
        await typist.submit(QUESTION)
    async with typing_at(embedded_server.address, messages, warm_mode=pb.WARM_MODE_OFF) as typist:
        assert (await typist.submit(QUESTION)).cached_tokens == 0


async def test_streams_of_scope_shared_share_the_system_prompt(embedded_server: RunningServer) -> None:
    messages = new_system_prompt()
    async with typing_at(embedded_server.address, messages) as typist:
        await typist.flush()
        base = whole_blocks(typist, typist.opened.base_prompt_tokens)
    async with typing_at(embedded_server.address, messages, warm_mode=pb.WARM_MODE_OFF) as typist:
        answer = await typist.submit(QUESTION)
    assert answer.cached_tokens == base > 0
