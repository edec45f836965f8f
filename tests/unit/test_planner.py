"""Which warm, if any, now."""

from forefill_service.planner import MOST_PATHS, Planner, Warm
from forefill_service.token_ids import TokenIds, common_prefix

BLOCK = 4


def ids(*values: int, head: tuple[int, ...] = ()) -> TokenIds:
    return TokenIds(head, values)


def counted(length: int, start: int = 0) -> TokenIds:
    return TokenIds((), tuple(range(start, start + length)))


def planner(piece_tokens: int = 1000, context_tokens: int = 1000) -> Planner:
    return Planner(block_size=BLOCK, piece_tokens=piece_tokens, context_tokens=context_tokens)


def warm_all(plan: Planner, wanted: TokenIds) -> list[Warm]:
    plan.want(wanted)
    sent = []
    while warm := plan.next_warm():
        sent.append(warm)
        plan.warmed()
    return sent


def test_a_warm_is_whole_blocks_of_what_is_wanted() -> None:
    assert warm_all(planner(), counted(11)) == [Warm(counted(8), 0)]


def test_what_completes_no_block_is_not_sent() -> None:
    plan = planner()
    assert warm_all(plan, counted(3)) == []
    warm_all(plan, counted(8))
    assert warm_all(plan, counted(11)) == []
    assert warm_all(plan, counted(12)) == [Warm(counted(12), 8)]


def test_one_warm_is_in_flight_at_a_time() -> None:
    plan = planner()
    plan.want(counted(8))
    assert plan.next_warm() is not None
    plan.want(counted(40))
    assert plan.next_warm() is None


def test_the_latest_wins() -> None:
    plan = planner()
    plan.want(counted(8))
    plan.next_warm()
    plan.want(counted(16))
    plan.want(counted(24))
    plan.warmed()
    assert plan.next_warm() == Warm(counted(24), 8)


def test_a_long_prompt_goes_out_in_pieces_of_whole_blocks() -> None:
    sent = warm_all(planner(piece_tokens=10), counted(22))
    assert [(len(warm.prefix), warm.new_tokens) for warm in sent] == [(8, 8), (16, 8), (20, 4)]


def test_a_piece_is_at_least_one_block() -> None:
    assert len(warm_all(planner(piece_tokens=1), counted(8))) == 2


def test_a_warm_leaves_room_for_the_token_that_it_must_ask_for() -> None:
    assert warm_all(planner(context_tokens=8), counted(20)) == [Warm(counted(4), 0)]


def test_after_an_edit_the_frontier_falls_back_to_the_common_ids() -> None:
    plan = planner()
    warm_all(plan, counted(16))
    edited = ids(*range(9), 90, 91, 92, 93)
    assert plan.frontier(edited) == 8
    assert warm_all(plan, edited) == [Warm(edited.prefix(12), 8)]


def test_a_text_that_comes_back_is_not_warmed_again() -> None:
    plan = planner()
    warm_all(plan, counted(16))
    warm_all(plan, ids(*range(9), 90, 91, 92, 93))
    assert warm_all(plan, counted(16)) == []


def test_a_failed_warm_is_not_tried_again_until_something_is_wanted() -> None:
    plan = planner()
    plan.want(counted(8))
    plan.next_warm()
    plan.failed()
    assert plan.next_warm() is None
    assert warm_all(plan, counted(8)) == [Warm(counted(8), 0)]


def test_submit_lets_a_warm_go_on_that_is_a_prefix_of_its_prompt() -> None:
    plan = planner()
    plan.want(counted(8))
    plan.next_warm()
    assert not plan.submit(counted(30))


def test_submit_drops_a_warm_that_is_not() -> None:
    plan = planner()
    plan.want(counted(8))
    plan.next_warm()
    assert plan.submit(ids(0, 1, 2, 99, 4, 5, 6, 7, 8))


def test_after_submit_nothing_more_is_planned() -> None:
    plan = planner(piece_tokens=BLOCK)
    plan.want(counted(40))
    plan.next_warm()
    plan.submit(counted(40))
    plan.warmed()
    assert plan.next_warm() is None


def test_what_a_generation_computed_is_held() -> None:
    plan = planner()
    plan.hold(counted(21))
    assert plan.frontier(counted(40)) == 20


def test_only_so_many_paths_are_remembered() -> None:
    plan = planner()
    for start in range(0, 100 * MOST_PATHS, 100):
        plan.hold(counted(8, start))
    plan.hold(counted(12, 100))
    assert len(plan.held) == MOST_PATHS
    plan.hold(counted(8, 9000))
    assert plan.frontier(counted(8, 0)) == 0
    assert plan.frontier(counted(8, 9000)) == 8


def test_ids_compare_over_their_head_and_tail() -> None:
    head = tuple(range(5000))
    a, b = ids(1, 2, 3, head=head), ids(1, 2, 4, 5, head=head)
    assert a.common(b) == 5002
    assert a.common(TokenIds((), (*head, 1, 9))) == 5001
    assert a.prefix(5001).to_list() == [*head, 1]
    assert a.prefix(4000).to_list() == list(range(4000))
    assert a.extended([7]).to_list() == [*head, 1, 2, 3, 7]
    assert len(common_prefix([a, b, ids(1, head=head)])) == 5001
