"""Traces of text boxes, for tests: any contents, one after the other."""

from forefill_client.keystrokes import Trace, TraceRecorder
from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["Show me ", "Show us ", "👨‍👩‍👧", "e\u0301", "\n"]
)
CONTENTS = st.lists(st.tuples(TEXTS, st.floats(0, 1e6)), max_size=20)
"""What a box holds, one content after the other, and the milliseconds since the one before."""


def recorded(contents: list[tuple[str, float]], *, submit: bool = True) -> Trace:
    """Return the trace of contents; SUBMIT follows after a millisecond."""
    recorder, now_ms = TraceRecorder(), 0.0
    for draft, gap_ms in contents:
        now_ms += gap_ms
        recorder.change(draft, now_ms)
    return recorder.submit(now_ms + 1) if submit else recorder.trace
