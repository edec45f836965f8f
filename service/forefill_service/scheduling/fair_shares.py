"""Recent use by each tenant or session, which decides the fair order of those who wait."""

import math

HALF_LIFE_SECONDS = 10.0
_FORGOTTEN_TOKENS = 1.0
_SWEEP_ABOVE = 1024


class FairShares:
    """The tokens given to each name, halved every `HALF_LIFE_SECONDS`; names with almost none left are forgotten."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[float, float]] = {}
        self._sweep_above = _SWEEP_ABOVE

    def lately(self, name: str, now: float) -> float:
        """Return the tokens recently given to a name; 0 for an unknown name."""
        tokens, at = self._given.get(name, (0.0, now))
        return tokens * math.pow(0.5, (now - at) / HALF_LIFE_SECONDS)

    def give(self, name: str, tokens: int, now: float) -> None:
        """Record tokens given to a name."""
        self._given[name] = (self.lately(name, now) + tokens, now)
        if len(self._given) > self._sweep_above:
            names = [name for name in self._given if self.lately(name, now) >= _FORGOTTEN_TOKENS]
            self._given = {name: self._given[name] for name in names}
            self._sweep_above = max(_SWEEP_ABOVE, 2 * len(self._given))
