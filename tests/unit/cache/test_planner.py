"""Which warm, if any, now."""

from forefill_service.cache.blocks import CacheChange, CachedBlocks
from forefill_service.cache.planner import Planner, Prefill, Wait
from forefill_service.chat.token_ids import TokenIds, common_prefix

BLOCK = 4


def ids(*values: int, head: tuple[int, ...] = ()) -> TokenIds:
    return TokenIds(head, values)


def counted(length: int, start: int = 0) -> TokenIds:
    return TokenIds((), tuple(range(start, start + length)))


def some_blocks() -> CachedBlocks:
    return CachedBlocks(keep_seconds=100)


def planner(
    blocks: CachedBlocks | None = None, *, context_tokens: int = 1000, cache_salt: str | None = None
) -> Planner:
    return Planner(
        block_size=BLOCK, context_tokens=context_tokens, blocks=blocks or some_blocks(), cache_salt=cache_salt
    )


def next_warm(plan: Planner, room: int = 1000, now: float = 0.0) -> Prefill | Wait | None:
    return plan.next_warm(lambda cached_tokens: room, now)


def warm_all(plan: Planner, wanted: TokenIds, room: int = 1000, now: float = 0.0) -> list[Prefill]:
    plan.want(wanted)
    sent = []
    while warm := next_warm(plan, room, now):
        assert isinstance(warm, Prefill)
        sent.append(warm)
        plan.warmed(now)
    return sent


def test_a_warm_is_whole_blocks_of_what_is_wanted() -> None:
    assert warm_all(planner(), counted(11)) == [Prefill(counted(8), 0)]


def test_what_completes_no_block_is_not_sent() -> None:
    plan = planner()
    assert warm_all(plan, counted(3)) == []
    warm_all(plan, counted(8))
    assert warm_all(plan, counted(11)) == []
    assert warm_all(plan, counted(12)) == [Prefill(counted(12), 8)]


def test_one_warm_is_in_flight_at_a_time() -> None:
    plan = planner()
    plan.want(counted(8))
    assert next_warm(plan) is not None
    plan.want(counted(40))
    assert next_warm(plan) is None


def test_the_latest_wins() -> None:
    plan = planner()
    plan.want(counted(8))
    next_warm(plan)
    plan.want(counted(16))
    plan.want(counted(24))
    plan.warmed(0.0)
    assert next_warm(plan) == Prefill(counted(24), 8)


def test_a_long_prompt_goes_out_in_pieces_of_whole_blocks() -> None:
    sent = warm_all(planner(), counted(22), room=10)
    assert [(len(warm.prefix), warm.new_tokens) for warm in sent] == [(8, 8), (16, 8), (20, 4)]


def test_where_there_is_no_room_for_a_block_it_waits() -> None:
    plan = planner()
    plan.want(counted(8))
    assert next_warm(plan, room=BLOCK - 1) is Wait.NO_ROOM
    assert plan.in_flight is None
    assert next_warm(plan, room=BLOCK) == Prefill(counted(4), 0)


def test_the_room_is_asked_for_behind_what_is_cached() -> None:
    plan = planner()
    warm_all(plan, counted(8))
    plan.want(counted(32))
    assert plan.next_warm({8: 12}.__getitem__, 0.0) == Prefill(counted(20), 8)


def test_a_warm_leaves_room_for_the_token_that_it_must_ask_for() -> None:
    assert warm_all(planner(context_tokens=8), counted(20)) == [Prefill(counted(4), 0)]


def test_after_an_edit_the_frontier_falls_back_to_the_common_ids() -> None:
    plan = planner()
    warm_all(plan, counted(16))
    edited = ids(*range(9), 90, 91, 92, 93)
    assert plan.frontier(edited, 0.0) == 8
    assert warm_all(plan, edited) == [Prefill(edited.prefix(12), 8)]


def test_a_text_that_comes_back_is_not_warmed_again() -> None:
    plan = planner()
    warm_all(plan, counted(16))
    warm_all(plan, ids(*range(9), 90, 91, 92, 93))
    assert warm_all(plan, counted(16)) == []


def test_a_failed_warm_is_not_tried_again_until_something_is_wanted() -> None:
    plan = planner()
    plan.want(counted(8))
    next_warm(plan)
    plan.failed()
    assert next_warm(plan) is None
    assert warm_all(plan, counted(8)) == [Prefill(counted(8), 0)]


def test_submit_lets_a_warm_go_on_that_is_a_prefix_of_its_prompt() -> None:
    plan = planner()
    plan.want(counted(8))
    next_warm(plan)
    assert not plan.submit(counted(30))


def test_submit_drops_a_warm_that_is_not() -> None:
    plan = planner()
    plan.want(counted(8))
    next_warm(plan)
    assert plan.submit(ids(0, 1, 2, 99, 4, 5, 6, 7, 8))


def test_after_submit_nothing_more_is_planned() -> None:
    plan = planner()
    plan.want(counted(40))
    next_warm(plan, room=BLOCK)
    plan.submit(counted(40))
    plan.warmed(0.0)
    assert next_warm(plan) is None


def test_what_a_generation_computed_is_held() -> None:
    plan = planner()
    plan.hold(counted(21), 0.0)
    assert plan.frontier(counted(40), 0.0) == 20


def test_two_sessions_that_want_the_same_blocks_compute_them_once() -> None:
    blocks = some_blocks()
    one, other = planner(blocks), planner(blocks)
    one.want(counted(12))
    other.want(counted(15))
    assert next_warm(one) == Prefill(counted(12), 0)
    assert next_warm(other) is Wait.COMPUTED_BY_ANOTHER
    one.warmed(0.0)
    assert next_warm(other) is None


def test_what_another_failed_to_compute_is_computed() -> None:
    blocks = some_blocks()
    one, other = planner(blocks), planner(blocks)
    one.want(counted(12))
    other.want(counted(12))
    next_warm(one)
    one.failed()
    assert next_warm(other) == Prefill(counted(12), 0)


def test_what_one_finds_evicted_another_does_not_believe_in() -> None:
    blocks = some_blocks()
    one, other = planner(blocks), planner(blocks)
    theirs, ours = counted(40, start=500), counted(40)
    warm_all(other, theirs, now=0.0)
    warm_all(one, ours, now=1.0)
    one.want(counted(44))
    assert next_warm(one, now=2.0) == Prefill(counted(44), 40)
    one.warmed(3.0, found_tokens=8)
    assert one.frontier(counted(44), 3.0) == 44
    assert other.frontier(theirs, 3.0) == 0
    other.want(theirs)
    assert next_warm(other, room=8, now=3.0) == Prefill(theirs.prefix(8), 0), "no more than it was admitted for"


def test_a_touch_that_finds_less_than_is_held_teaches_it_too() -> None:
    blocks = some_blocks()
    one, other = planner(blocks), planner(blocks)
    warm_all(other, counted(12, start=500), now=0.0)
    warm_all(one, counted(12), now=1.0)
    assert one.touch(lambda cached_tokens: 1000, 2.0) == Prefill(counted(12), 8)
    one.warmed(3.0, found_tokens=4)
    assert other.touch(lambda cached_tokens: 1000, 4.0) is None


def test_what_is_found_as_it_was_believed_teaches_nothing() -> None:
    blocks = some_blocks()
    one, other = planner(blocks), planner(blocks)
    warm_all(other, counted(12, start=500), now=0.0)
    warm_all(one, counted(12), now=1.0)
    one.want(counted(24))
    next_warm(one, now=2.0)
    one.warmed(3.0, found_tokens=12)
    assert other.frontier(counted(12, start=500), 3.0) == 12


def test_sessions_of_different_salts_share_nothing() -> None:
    blocks = some_blocks()
    warm_all(planner(blocks, cache_salt="one"), counted(12))
    assert warm_all(planner(blocks, cache_salt="other"), counted(12)) == [Prefill(counted(12), 0)]


def test_the_next_turn_finds_what_the_last_one_held_under_another_head() -> None:
    plan = planner()
    plan.hold(TokenIds(tuple(range(10)), tuple(range(10, 22))), 0.0)
    assert plan.frontier(TokenIds(tuple(range(18)), (18, 19, 20, 21, 22, 23)), 0.0) == 20


def test_a_touch_uses_what_is_held_once_more() -> None:
    plan = planner()
    warm_all(plan, counted(12))
    assert plan.touch(lambda cached_tokens: 1000, 50.0) == Prefill(counted(12), 8)
    plan.warmed(50.0)
    assert plan.frontier(counted(12), 149.0) == 12


def test_what_was_evicted_is_not_touched() -> None:
    plan = planner()
    warm_all(plan, counted(12))
    plan.blocks.change(CacheChange(cleared=True))
    assert plan.touch(lambda cached_tokens: 1000, 50.0) is None


def test_ids_compare_over_their_head_and_tail() -> None:
    head = tuple(range(5000))
    a, b = ids(1, 2, 3, head=head), ids(1, 2, 4, 5, head=head)
    assert a.common(b) == 5002
    assert a.common(TokenIds((), (*head, 1, 9))) == 5001
    assert a.prefix(5001).to_list() == [*head, 1]
    assert a.prefix(4000).to_list() == list(range(4000))
    assert a.extended([7]).to_list() == [*head, 1, 2, 3, 7]
    assert len(common_prefix([a, b, ids(1, head=head)])) == 5001
