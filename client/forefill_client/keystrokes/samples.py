"""Questions about a made-up hospital, and the schema of its database, for the demo and the benchmarks."""

from pathlib import Path
from typing import Final

_DATA: Final = Path(__file__).parent / "data"


def sample_queries_path() -> Path:
    """Return the path of the text file of SAMPLE_QUERIES: one query a line; lines that start with `#` are comments."""
    return _DATA / "sample_queries.txt"


def _read_queries() -> tuple[str, ...]:
    lines = sample_queries_path().read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


SAMPLE_QUERIES: Final = _read_queries()
"""Questions that SAMPLE_SCHEMA can answer."""

SAMPLE_SCHEMA: Final = (_DATA / "sample_schema.sql").read_text(encoding="utf-8")
"""The CREATE TABLE statements of a small hospital, about 1,200 tokens."""
