"""Input methods at a real server in this process: what is confirmed while text is composed, and what is answered."""

import pytest
from forefill_client import AsyncClient, Session

from tests.support.composing import COMPOSITIONS, PINYIN
from tests.support.served import SYSTEM, served
from tests.support.texts import HEX, MYANMAR, THAI


class Confirmed:
    """What the flushes confirm that a session sends by itself."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.ours: set[int] = set()

    async def lengths(self) -> list[int]:
        """Return all of them, after the last is answered."""
        self.ours.add(last := await self.session.flush(confirmed=0))
        await self.session.flushed(last)
        return [result.confirmed_code_points for result in self.session.flush_results if result.seq not in self.ours]


async def test_text_under_composition_is_in_the_draft_and_confirmed_when_it_is_composed() -> None:
    async with served() as server, AsyncClient.connect(server.address) as client, client.session([SYSTEM]) as session:
        confirmed = Confirmed(session)
        await session.type("先週")
        for shown in ("に", "にゅ", "にゅう"):
            await session.set_draft(f"先週{shown}", composing=True)
        await session.set_draft("先週入院", composing=True)
        assert session.draft == "先週入院"
        assert await confirmed.lengths() == [2]
        await session.set_draft("先週入院")  # compositionend
        assert (await confirmed.lengths())[-1] == 4
        assert session.repairs == 0


async def test_kana_are_final_after_their_composition() -> None:
    async with served() as server, AsyncClient.connect(server.address) as client, client.session([SYSTEM]) as session:
        confirmed = Confirmed(session)
        await session.set_draft("せんしゅう", composing=True)
        assert await confirmed.lengths() == []
        await session.set_draft("せんしゅう")
        assert await confirmed.lengths() == [5]


async def test_a_flush_by_hand_confirms_up_to_where_the_composition_begins() -> None:
    async with (
        served() as server,
        AsyncClient.connect(server.address) as client,
        client.session([SYSTEM], auto_flush=False) as session,
    ):
        await session.type("show me 上周")
        await session.type("zhu", composing=True)
        await session.type("jin", composing=True)
        assert (await session.flushed(await session.flush())).confirmed_code_points == 10
        assert (await session.flushed(await session.flush(12))).confirmed_code_points == 12
        await session.delete(6)
        await session.type("住进")
        assert (await session.flushed(await session.flush())).confirmed_code_points == 12


async def test_submit_in_mid_composition_asks_for_all_that_is_shown() -> None:
    async with served() as server, AsyncClient.connect(server.address) as client, client.session([SYSTEM]) as session:
        await session.type("show me ")
        await session.type("zhu", composing=True)
        answer = await session.submit()
        assert answer.submitted_text == "show me zhu"
        await answer.text()
        prompt_tokens = answer.report.prompt_tokens
        again = await session.submit("and")
        await again.text()
        assert again.report.prompt_tokens > prompt_tokens


@pytest.mark.parametrize("name", COMPOSITIONS)
@pytest.mark.parametrize("told", [False, True])
async def test_what_is_confirmed_while_text_is_composed_is_hardly_ever_taken_back(name: str, told: bool) -> None:
    states = list(COMPOSITIONS[name]())
    (final, _), taken_back, seen = states[-1], list[str](), 0
    async with served() as server, AsyncClient.connect(server.address) as client, client.session([SYSTEM]) as session:
        confirmed = Confirmed(session)
        for state, composing in states:
            await session.set_draft(state, composing=told and composing)
            lengths = await confirmed.lengths()
            taken_back += [state[:length] for length in lengths[seen:] if not final.startswith(state[:length])]
            seen = len(lengths)
    if told or not name.startswith("pinyin"):
        assert taken_back == []
    else:  # nothing has shown yet that Latin letters are composed
        assert all(PINYIN[0][0].startswith(text.replace(" ", "'")) for text in taken_back)
    assert lengths[-1] >= len(final) - 4


@pytest.mark.parametrize("text", [*THAI, MYANMAR, HEX])
async def test_text_without_a_space_is_confirmed_while_it_is_typed(text: str) -> None:
    async with served() as server, AsyncClient.connect(server.address) as client, client.session([SYSTEM]) as session:
        for char in text:
            await session.type(char)
        lengths = await Confirmed(session).lengths()
    assert lengths[-1] > len(text) - 8
    assert all(0 < after - before <= 8 for before, after in zip([0, *lengths], lengths, strict=False))
