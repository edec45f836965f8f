"""A short soak: whatever way streams are cut, nothing of them is left. `tests/benchmarks/soak.md` has the long one."""

from tests.benchmarks import soak
from tests.benchmarks.cut_streams import AT_ONCE, WAYS
from tests.benchmarks.soak import After

STREAMS = 300


async def test_nothing_is_left_of_streams_that_are_cut_in_every_way() -> None:
    assert len(WAYS) * 10 < STREAMS, "each way more than once"
    before, after = await soak.soak_in_process(STREAMS)
    assert before.nothing
    assert after.nothing, after
    assert after.tasks <= before.tasks


async def test_a_process_has_no_session_and_no_file_more_after_them() -> None:
    first, last = await soak.soak_a_process(2 * AT_ONCE, AT_ONCE)
    assert (last.sessions, last.speculative) == (0, 0)
    assert last.files <= first.files + 2
    assert last.rss_mib > 0


def test_growth_of_more_than_a_tenth_is_no_good_end() -> None:
    first = After(1000, 1.0, 100.0, files=20, threads=9, sessions=0, speculative=0)
    assert soak.is_well([first, After(9000, 9.0, 110.0, files=20, threads=9, sessions=0, speculative=0)])
    assert not soak.is_well([first, After(9000, 9.0, 111.0, files=20, threads=9, sessions=0, speculative=0)])
    assert not soak.is_well([first, After(9000, 9.0, 100.0, files=90, threads=9, sessions=0, speculative=0)])
    assert not soak.is_well([first, After(9000, 9.0, 100.0, files=20, threads=9, sessions=1, speculative=0)])
