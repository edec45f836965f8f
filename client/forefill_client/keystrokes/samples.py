"""A made-up hospital to ask about: what demo, examples and benchmarks type, and the schema they type it over."""

from pathlib import Path
from typing import Final

_DATA: Final = Path(__file__).parent / "data"


def sample_queries_path() -> Path:
    """Return the text file of SAMPLE_QUERIES: one a line; lines that start with `#` are comments."""
    return _DATA / "sample_queries.txt"


def _read_queries() -> tuple[str, ...]:
    lines = sample_queries_path().read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


SAMPLE_QUERIES: Final = _read_queries()
"""Questions that SAMPLE_SCHEMA can answer."""

SAMPLE_SCHEMA: Final = (_DATA / "sample_schema.sql").read_text(encoding="utf-8")
"""The CREATE TABLE statements of a small hospital, about 1,200 tokens."""
