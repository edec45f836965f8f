"""Lines out of chunks: wherever a chunk ends, in linear time, and within a limit."""

import pytest
from forefill_service.engine.http.lines import LineReader
from forefill_service.errors import EngineNonsense
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.binary(max_size=20) | st.sampled_from([b"\n", b"\n\n", b"data: {}\n\nda", b"a\r\nb"])))
def test_the_lines_are_those_of_the_whole_wherever_it_is_cut(chunks: list[bytes]) -> None:
    reader = LineReader()
    lines = [line for chunk in chunks for line in reader.take(chunk)]
    assert [*lines, reader.rest()] == b"".join(chunks).split(b"\n")


def test_a_line_without_an_end_is_given_up_at_its_limit() -> None:
    reader = LineReader(most_bytes=10)
    assert list(reader.take(b"0123456789\n01234")) == [b"0123456789"]
    assert list(reader.take(b"56789")) == []
    with pytest.raises(EngineNonsense, match="more than 10 bytes"):
        list(reader.take(b"x"))


def test_a_line_that_comes_byte_by_byte_is_not_copied_with_each() -> None:
    reader = LineReader(most_bytes=2**20)
    for _ in range(2**20):  # copied with each, this would be half a terabyte
        assert not list(reader.take(b"x"))
    assert len(reader.rest()) == 2**20
