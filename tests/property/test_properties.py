"""What holds for every script of edits, every plan and every book."""

from dataclasses import dataclass, field
from typing import Any, cast

from forefill_service.cache.blocks import CachedBlocks
from forefill_service.cache.prefill import Prefill
from forefill_service.cache.view import CacheView
from forefill_service.chat.token_ids import TokenIds
from forefill_service.serving.warmer import Wish
from forefill_service.session.actions import Confirm
from forefill_service.session.draft import checksum
from forefill_service.session.events import CharAdd, CharDelete, Edit, Flush, KeystrokeEvent, Open, Replace
from forefill_service.session.ledger import Ledger
from forefill_service.session.machine import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [" ", "Show me ", "👨‍👩‍👧", "e\u0301", "\n", "見せて", "x" * 3000]
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["add", "delete", "replace", "flush"]), TEXTS, st.integers(0, 50), st.integers(0, 50)),
    max_size=40,
)


@given(EDITS)
def test_the_draft_is_what_a_plain_string_would_be(script: list[tuple[str, str, int, int]]) -> None:
    session, text = Session(10**6), ""
    session.receive(Open())
    for seq, (what, added, a, b) in enumerate(script, 1):
        start, end = sorted((min(a, len(text)), min(b, len(text))))
        kind: Edit | Flush
        match what:
            case "add":
                kind, text = CharAdd(added), text + added
            case "delete":
                kind, text = CharDelete(a), "".join(list(text)[: max(0, len(text) - a)])
            case "replace":
                chars = list(text)
                chars[start:end] = list(added)
                kind, text = Replace(start, end, added), "".join(chars)
            case _:
                kind = Flush(len(text), checksum(text))
        actions = session.receive(KeystrokeEvent(seq, kind))
        assert session.draft == text
        assert text.startswith(session.confirmed)
        if what == "flush":
            assert actions == [Confirm(seq, session.confirmed)]


@dataclass
class World:
    """An engine that keeps every block it ever computed, and counts what it was asked for."""

    block_size: int
    blocks: set[tuple[int, ...]] = field(default_factory=set)

    def cached(self, ids: TokenIds) -> int:
        whole = ids.to_list()
        end = 0
        while end + self.block_size <= len(whole) and tuple(whole[: end + self.block_size]) in self.blocks:
            end += self.block_size
        return end

    def compute(self, ids: TokenIds) -> None:
        whole = ids.to_list()
        for end in range(self.block_size, len(whole) + 1, self.block_size):
            self.blocks.add(tuple(whole[:end]))


PROMPTS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 3))


def prompt(common: int, more: int, branch: int) -> TokenIds:
    """Return ids that leave a common trunk at `common`; few branches, so that scripts come back to old ones."""
    return TokenIds(tuple(range(common)), tuple(1000 * (branch + 1) + i for i in range(more)))


@given(
    block_size=st.integers(1, 8),
    piece_tokens=st.integers(1, 40),
    script=st.lists(st.tuples(st.sampled_from(["want", "next", "warmed", "failed", "submit"]), PROMPTS), max_size=60),
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_planner_warms_no_block_twice_and_nothing_for_nothing(
    block_size: int,
    piece_tokens: int,
    script: list[tuple[str, tuple[int, int, int]]],
) -> None:
    room = max(piece_tokens, block_size)
    view = CacheView(CachedBlocks(keep_seconds=1.0), block_size=block_size, context_tokens=60)
    world = World(block_size)
    wish: Wish | None = None
    in_flight: Prefill | None = None
    for what, shape in script:
        match what:
            case "want":
                wish = Wish(cast("Any", None), "", stable=prompt(*shape))
            case "next":
                warm = None if wish is None else wish.planning(view, lambda cached_tokens: room, 0.0)
                if not isinstance(warm, Prefill) or in_flight is not None:
                    continue
                assert wish is not None
                assert wish.stable is not None
                assert warm.prefix.common(wish.stable) == len(warm.prefix), "a warm is a prefix of what is wanted"
                assert len(warm.prefix) % block_size == 0
                assert len(warm.prefix) < 60
                assert len(warm.prefix) > warm.frontier, "every warm completes a block"
                assert world.cached(warm.prefix) == warm.frontier, "never twice what it holds"
                assert warm.new_tokens <= room
                view.begin(warm)
                in_flight = warm
            case "warmed" if in_flight is not None:
                world.compute(in_flight.prefix)
                view.computed(in_flight, in_flight.frontier, 0.0)
                in_flight = None
            case "failed" if in_flight is not None:
                view.failed(in_flight)
                in_flight = None
            case "submit":
                submitted = prompt(*shape)
                if in_flight is not None:
                    common = in_flight.prefix.common(submitted)
                    assert in_flight.leads(submitted) == (common == len(in_flight.prefix))
                if wish is not None:
                    wish.withdrawn = True
                    assert wish.planning(view, lambda cached_tokens: room, 0.0) is None


WARMS = st.lists(st.tuples(PROMPTS, st.integers(0, 80), st.sampled_from(["here", "there", "fails"])), max_size=12)


@given(warms=WARMS, submitted=PROMPTS, cached=st.integers(0, 80), submits=st.booleans())
@settings(max_examples=500)
def test_the_books_always_add_up(
    warms: list[tuple[tuple[int, int, int], int, str]], submitted: tuple[int, int, int], cached: int, submits: bool
) -> None:
    ledger, computed, final = Ledger(), 0, prompt(*submitted)
    cached = min(cached, len(final))
    hits = set[int]()
    for shape, found, becomes in warms:
        prefix = prompt(*shape)
        if becomes == "fails":
            ledger.failed(found)
            computed += found
        else:
            booked = ledger.warmed(prefix, found, becomes)
            assert booked == max(0, len(prefix) - found)
            computed += booked
        if becomes == "here":
            hits |= set(range(found, min(prefix.common(final), cached)))
    balance = ledger.settle(final, cached, "here") if submits else ledger.abandon()
    rows = (balance.used, balance.edited_away, balance.evicted, balance.abandoned)
    assert min(rows) >= 0
    assert sum(rows) == balance.computed == computed
    assert balance.used == (len(hits) if submits else 0), "each token that was found counts once"
    assert balance.warms == len(warms)
    assert submits or balance.abandoned == computed


IDS = st.lists(st.integers(0, 2), max_size=8).map(tuple)


@given(head=IDS, a=IDS, b=IDS, other=IDS, cut=st.integers(0, 16), more=IDS)
def test_ids_behave_as_the_lists_they_stand_for(
    head: tuple[int, ...],
    a: tuple[int, ...],
    b: tuple[int, ...],
    other: tuple[int, ...],
    cut: int,
    more: tuple[int, ...],
) -> None:
    one = TokenIds(head, a).prefix(cut)
    assert one.to_list() == [*head, *a][:cut]
    assert len(one) == len(one.to_list())
    assert one.extended(more).to_list() == [*one.to_list(), *more]
    for two in (TokenIds(head, b), TokenIds(head, b).prefix(cut), TokenIds(other, b), TokenIds((), (*head, *b))):
        pairs = zip(one.to_list(), two.to_list(), strict=False)
        common = next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(one), len(two)))
        assert one.common(two) == two.common(one) == common
