"""Which prefill, if any, now; and what a view of one place believes."""

from forefill_service.cache.blocks import CacheChange, CachedBlocks
from forefill_service.cache.planner import next_prefill, refresh_prefill
from forefill_service.cache.prefill import Prefill, Wait
from forefill_service.cache.view import CacheView
from forefill_service.chat.token_ids import TokenIds, common_prefix

BLOCK = 4


def ids(*values: int, head: tuple[int, ...] = ()) -> TokenIds:
    return TokenIds(head, values)


def counted(length: int, start: int = 0) -> TokenIds:
    return TokenIds((), tuple(range(start, start + length)))


def some_blocks() -> CachedBlocks:
    return CachedBlocks(keep_seconds=100)


def view_of(
    blocks: CachedBlocks | None = None, *, context_tokens: int = 1000, cache_salt: str | None = None
) -> CacheView:
    return CacheView(blocks or some_blocks(), block_size=BLOCK, context_tokens=context_tokens, root=cache_salt)


def planned(view: CacheView, wanted: TokenIds, room: int = 1000, now: float = 0.0) -> Prefill | Wait | None:
    return next_prefill(view, wanted, lambda cached_tokens: room, now)


def begun(view: CacheView, wanted: TokenIds, room: int = 1000, now: float = 0.0) -> Prefill:
    """Plan a prefill and send it."""
    prefill = planned(view, wanted, room, now)
    assert isinstance(prefill, Prefill)
    view.begin(prefill)
    return prefill


def computed(view: CacheView, prefill: Prefill, now: float = 0.0, found_tokens: int | None = None) -> None:
    view.computed(prefill, prefill.frontier if found_tokens is None else found_tokens, now)


def warm_all(view: CacheView, wanted: TokenIds, room: int = 1000, now: float = 0.0) -> list[Prefill]:
    sent = []
    while planned(view, wanted, room, now) is not None:
        sent.append(begun(view, wanted, room, now))
        computed(view, sent[-1], now)
    return sent


def test_a_warm_is_whole_blocks_of_what_is_wanted() -> None:
    assert warm_all(view_of(), counted(11)) == [Prefill(counted(8), 0)]


def test_what_completes_no_block_is_not_sent() -> None:
    view = view_of()
    assert warm_all(view, counted(3)) == []
    warm_all(view, counted(8))
    assert warm_all(view, counted(11)) == []
    assert warm_all(view, counted(12)) == [Prefill(counted(12), 8)]


def test_what_is_in_flight_is_not_sent_again_until_it_has_ended() -> None:
    view = view_of()
    first = begun(view, counted(8))
    assert planned(view, counted(40)) is Wait.COMPUTED_BY_ANOTHER
    computed(view, first)
    assert planned(view, counted(24)) == Prefill(counted(24), 8)


def test_a_long_prompt_goes_out_in_pieces_of_whole_blocks() -> None:
    sent = warm_all(view_of(), counted(22), room=10)
    assert [(len(warm.prefix), warm.new_tokens) for warm in sent] == [(8, 8), (16, 8), (20, 4)]


def test_where_there_is_no_room_for_a_block_it_waits() -> None:
    view = view_of()
    assert planned(view, counted(8), room=BLOCK - 1) is Wait.NO_ROOM
    assert planned(view, counted(8), room=BLOCK) == Prefill(counted(4), 0)


def test_the_room_is_asked_for_behind_what_is_cached() -> None:
    view = view_of()
    warm_all(view, counted(8))
    assert next_prefill(view, counted(32), {8: 12}.__getitem__, 0.0) == Prefill(counted(20), 8)


def test_a_warm_leaves_room_for_the_token_that_it_must_ask_for() -> None:
    assert warm_all(view_of(context_tokens=8), counted(20)) == [Prefill(counted(4), 0)]


def test_after_an_edit_the_frontier_falls_back_to_the_common_ids() -> None:
    view = view_of()
    warm_all(view, counted(16))
    edited = ids(*range(9), 90, 91, 92, 93)
    assert view.frontier(edited, 0.0) == 8
    assert warm_all(view, edited) == [Prefill(edited.prefix(12), 8)]


def test_a_text_that_comes_back_is_not_warmed_again() -> None:
    view = view_of()
    warm_all(view, counted(16))
    warm_all(view, ids(*range(9), 90, 91, 92, 93))
    assert warm_all(view, counted(16)) == []


def test_what_failed_may_be_planned_again() -> None:
    view = view_of()
    view.failed(begun(view, counted(8)))
    assert warm_all(view, counted(8)) == [Prefill(counted(8), 0)]


def test_a_prefill_leads_the_prompts_that_begin_with_all_of_it() -> None:
    prefill = begun(view_of(), counted(8))
    assert prefill.leads(counted(30))
    assert not prefill.leads(ids(0, 1, 2, 99, 4, 5, 6, 7, 8))


def test_what_a_generation_computed_is_held() -> None:
    view = view_of()
    view.hold(counted(21), 0.0)
    assert view.frontier(counted(40), 0.0) == 20


def test_two_sessions_that_want_the_same_blocks_compute_them_once() -> None:
    blocks = some_blocks()
    one, other = view_of(blocks), view_of(blocks)
    prefill = begun(one, counted(12))
    assert prefill == Prefill(counted(12), 0)
    assert planned(other, counted(15)) is Wait.COMPUTED_BY_ANOTHER
    computed(one, prefill)
    assert planned(other, counted(15)) is None


def test_what_another_failed_to_compute_is_computed() -> None:
    blocks = some_blocks()
    one, other = view_of(blocks), view_of(blocks)
    one.failed(begun(one, counted(12)))
    assert planned(other, counted(12)) == Prefill(counted(12), 0)


def test_what_one_finds_evicted_another_does_not_believe_in() -> None:
    blocks = some_blocks()
    one, other = view_of(blocks), view_of(blocks)
    theirs, ours = counted(40, start=500), counted(40)
    warm_all(other, theirs, now=0.0)
    warm_all(one, ours, now=1.0)
    prefill = begun(one, counted(44), now=2.0)
    assert prefill == Prefill(counted(44), 40)
    computed(one, prefill, 3.0, found_tokens=8)
    assert one.frontier(counted(44), 3.0) == 44
    assert other.frontier(theirs, 3.0) == 0
    assert planned(other, theirs, room=8, now=3.0) == Prefill(theirs.prefix(8), 0), "no more than it was admitted for"


def test_a_touch_that_finds_less_than_is_held_teaches_it_too() -> None:
    blocks = some_blocks()
    one, other = view_of(blocks), view_of(blocks)
    warm_all(other, counted(12, start=500), now=0.0)
    warm_all(one, counted(12), now=1.0)
    touch = refresh_prefill(one, lambda cached_tokens: 1000, 2.0)
    assert touch == Prefill(counted(12), 8)
    computed(one, touch, 3.0, found_tokens=4)
    assert refresh_prefill(other, lambda cached_tokens: 1000, 4.0) is None


def test_what_is_found_as_it_was_believed_teaches_nothing() -> None:
    blocks = some_blocks()
    one, other = view_of(blocks), view_of(blocks)
    warm_all(other, counted(12, start=500), now=0.0)
    warm_all(one, counted(12), now=1.0)
    computed(one, begun(one, counted(24), now=2.0), 3.0, found_tokens=12)
    assert other.frontier(counted(12, start=500), 3.0) == 12


def test_sessions_of_different_salts_share_nothing() -> None:
    blocks = some_blocks()
    warm_all(view_of(blocks, cache_salt="one"), counted(12))
    assert warm_all(view_of(blocks, cache_salt="other"), counted(12)) == [Prefill(counted(12), 0)]


def test_the_next_turn_finds_what_the_last_one_held_under_another_head() -> None:
    view = view_of()
    view.hold(TokenIds(tuple(range(10)), tuple(range(10, 22))), 0.0)
    assert view.frontier(TokenIds(tuple(range(18)), (18, 19, 20, 21, 22, 23)), 0.0) == 20


def test_a_touch_uses_what_is_held_once_more() -> None:
    view = view_of()
    warm_all(view, counted(12))
    touch = refresh_prefill(view, lambda cached_tokens: 1000, 50.0)
    assert touch == Prefill(counted(12), 8)
    computed(view, touch, 50.0)
    assert view.frontier(counted(12), 149.0) == 12


def test_what_was_evicted_is_not_touched() -> None:
    view = view_of()
    warm_all(view, counted(12))
    view.blocks.change(CacheChange(cleared=True))
    assert refresh_prefill(view, lambda cached_tokens: 1000, 50.0) is None


def test_ids_compare_over_their_head_and_tail() -> None:
    head = tuple(range(5000))
    a, b = ids(1, 2, 3, head=head), ids(1, 2, 4, 5, head=head)
    assert a.common(b) == 5002
    assert a.common(TokenIds((), (*head, 1, 9))) == 5001
    assert a.prefix(5001).to_list() == [*head, 1]
    assert a.prefix(4000).to_list() == list(range(4000))
    assert a.extended([7]).to_list() == [*head, 1, 2, 3, 7]
    assert len(common_prefix([a, b, ids(1, head=head)])) == 5001
