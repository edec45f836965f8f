"""The lines of a response, from chunks that begin and end anywhere: in linear time, and none longer than a limit."""

from collections.abc import Iterator

from .fields import nonsense

MOST_LINE_BYTES = 2**20
"""The limit for a line without the ids of a prompt."""


class LineReader:
    """Collects chunks until their line ends. `most_bytes` is the limit for a line."""

    def __init__(self, most_bytes: int = MOST_LINE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._begun: list[bytes] = []
        self._begun_bytes = 0

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that a chunk completes, without their ends. Raises EngineNonsense if one is too long."""
        first, *others = chunk.split(b"\n")
        self._begin(first)
        for following in others:
            yield self._ended()
            self._begin(following)

    def rest(self) -> bytes:
        """Return what came after the end of the last line."""
        return self._ended()

    def _begin(self, piece: bytes) -> None:
        self._begun.append(piece)
        self._begun_bytes += len(piece)
        if self._begun_bytes > self._most_bytes:
            nonsense(f"a line of more than {self._most_bytes} bytes")

    def _ended(self) -> bytes:
        line = b"".join(self._begun)
        self._begun, self._begun_bytes = [], 0
        return line
