"""Which of several names a key falls to."""

from collections import Counter

import pytest
from forefill_service.engine.rendezvous import ranked

NAMES = [f"http://10.0.0.{number}:8000" for number in range(1, 11)]
KEYS = [f"session-{number}" for number in range(2000)]


def test_everyone_agrees_whatever_the_order_in_which_the_names_are_known() -> None:
    assert all(ranked(key, NAMES) == ranked(key, NAMES[::-1]) for key in KEYS[:50])


def test_keys_spread_evenly() -> None:
    share = Counter(ranked(key, NAMES)[0] for key in KEYS)
    assert set(share) == set(NAMES)
    assert max(share.values()) < 1.3 * len(KEYS) / len(NAMES)


def test_where_a_name_goes_away_only_its_own_keys_move() -> None:
    gone, *rest = NAMES
    moved = [key for key in KEYS if ranked(key, NAMES)[0] != ranked(key, rest)[0]]
    assert moved == [key for key in KEYS if ranked(key, NAMES)[0] == gone]
    assert Counter(ranked(key, rest)[0] for key in moved).most_common(1)[0][1] < len(moved) / 4


@pytest.mark.parametrize("key", ["", "x" * 1000, "\u6f22\u5b57"])
def test_any_text_is_a_key(key: str) -> None:
    assert sorted(ranked(key, NAMES)) == sorted(NAMES)
