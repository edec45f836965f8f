"""Pace, places, origins, the access key: the pure parts of the bridge."""

from pathlib import Path

import pytest
from forefill_web.access_key import AccessKey
from forefill_web.origins import is_loopback, may_open, name_in, origins
from forefill_web.pace import Pace
from forefill_web.places import Places


def test_a_burst_is_read_at_once_and_what_follows_at_its_pace() -> None:
    pace = Pace(per_second=10, burst=2, now=0.0)
    assert [pace.wait_seconds(0.0) for _ in range(4)] == pytest.approx([0, 0, 0.1, 0.2])
    assert pace.wait_seconds(0.3) == pytest.approx(0)
    assert [pace.wait_seconds(100.0) for _ in range(3)] == pytest.approx([0, 0, 0.1])


def test_places_are_limited_in_all_and_for_each_address() -> None:
    places = Places(most=3, most_per_address=2)
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]
    assert [places.take("b"), places.take("c")] == [True, False]
    places.leave("a")
    assert places.take("c")


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "may"),
    [
        ("http://127.0.0.1:8080", "ws", "127.0.0.1:8080", True),
        ("http://localhost", "ws", "localhost:80", True),
        ("https://chat.example.com", "wss", "Chat.Example.com", True),
        ("http://[::1]:8080", "ws", "[::1]:8080", True),
        ("https://www.example.com", "ws", "127.0.0.1:8080", True),  # it is allowed
        ("http://www.example.com", "ws", "127.0.0.1:8080", False),
        ("https://127.0.0.1:8080", "ws", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8081", "ws", "127.0.0.1:8080", False),
        ("http://127.0.0.1", "ws", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080.evil.example", "ws", "127.0.0.1:8080", False),
        ("http://evil.example/127.0.0.1:8080", "ws", "127.0.0.1:8080", False),
        ("http://127.0.0.1:8080@evil.example", "ws", "127.0.0.1:8080", False),
        ("null", "ws", "null", False),
        ("", "ws", "", False),
        ("file://", "ws", "", False),
    ],
)
def test_a_page_of_the_same_scheme_host_and_port_may_open_a_socket(
    origin: str, scheme: str, host: str, may: bool
) -> None:
    allowed = origins(["https://WWW.example.com:443"])
    assert may_open([origin], scheme, [host], allowed, missing_is_allowed=True) is may


def test_an_origin_that_is_missing_or_given_twice_is_none() -> None:
    ours = "http://localhost"
    assert not may_open([], "ws", ["localhost"], (), missing_is_allowed=False)
    assert may_open([], "ws", ["localhost"], (), missing_is_allowed=True)
    assert not may_open([ours, ours], "ws", ["localhost"], (), missing_is_allowed=True)
    assert not may_open([ours], "ws", ["localhost", "localhost"], (), missing_is_allowed=True)


@pytest.mark.parametrize("wrong", ["*", "www.example.com", "https://www.example.com/", "https://", "null"])
def test_an_allowed_origin_must_be_one(wrong: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        origins([wrong])


@pytest.mark.parametrize(
    ("host", "name", "loopback"),
    [
        ("localhost:8080", "localhost", True),
        ("127.1.2.3", "127.1.2.3", True),
        ("[::1]:1", "::1", True),
        ("LOCALHOST", "localhost", True),
        ("localhost.evil.example", "localhost.evil.example", False),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example", False),
        ("10.0.0.1", "10.0.0.1", False),
        ("localhost.", "localhost.", False),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str, loopback: bool) -> None:
    assert name_in(host) == name
    assert is_loopback(name) is loopback


@pytest.mark.parametrize("wrong", ["", "a b", "a/b", "localhost:", "localhost:x", "user@localhost", "a;b", "é"])
def test_what_is_no_host_header_has_no_name(wrong: str) -> None:
    assert name_in(wrong) is None


KEY = "a key that nobody guesses"


def test_the_cookie_is_that_of_the_key() -> None:
    key = AccessKey(KEY)
    cookie = key.cookie(secure=False)
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert KEY not in cookie
    pair = cookie.partition(";")[0]
    assert key.is_in(f"other=1; {pair}", secure=False)
    assert not key.is_in(pair, secure=True), "over TLS it has another name"
    assert not key.is_in(pair[:-1], secure=False)
    assert not key.is_in("", secure=False)
    assert not key.is_in('forefill="', secure=False)
    assert not AccessKey(KEY + "s").is_in(pair, secure=False)


def test_the_cookie_of_https_goes_over_https_alone_and_no_other_host_can_set_it() -> None:
    cookie = AccessKey(KEY).cookie(secure=True)
    assert cookie.startswith("__Host-forefill=")
    assert cookie.endswith("; Secure")


def test_a_key_is_read_from_a_file_and_must_not_be_short(tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    file.write_text(f"{KEY}\n")
    key = AccessKey.from_file(file)
    assert key.is_key(KEY)
    assert not key.is_key(KEY + "\n")
    assert not key.is_key("\ud800")
    assert KEY not in repr(key)
    file.write_text("short\n")
    with pytest.raises(ValueError, match=r"key\.txt: the access key must have 16 characters"):
        AccessKey.from_file(file)
