"""What applications are told of where the engine is: nothing that the operator has not written for them."""

from typing import Any

import pytest
from forefill_service.fleet.hand_off_urls import HandOffUrls
from forefill_service.settings import Settings

SERVERS = ["http://10.0.0.7:8000", "http://10.0.0.8:8000/v1/"]
REMOTE: dict[str, Any] = {"engine": "remote", "engine_url": SERVERS}


@pytest.mark.parametrize("flags", [{}, REMOTE, {"engine": "fake"}])
def test_without_a_word_of_the_operator_nothing_is_told(flags: dict[str, Any]) -> None:
    urls = HandOffUrls.of(Settings(**flags))
    assert not urls.offered
    assert urls.base_url("http://10.0.0.7:8000") == ""


def test_each_server_has_its_own_whatever_way_they_are_written() -> None:
    public = ["https://a.example/", "https://b.example/team/v1"]
    urls = HandOffUrls.of(Settings(**REMOTE, hand_off_url=public))
    assert urls.base_url("http://10.0.0.7:8000") == "https://a.example/v1"
    assert urls.base_url("http://10.0.0.8:8000") == "https://b.example/team/v1"
    assert urls.offered


@pytest.mark.parametrize(
    ("host", "address", "told"),
    [
        ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("::1", "[::1]:8000", "http://[::1]:8000/v1"),
        ("0.0.0.0", "0.0.0.0:8000", ""),  # noqa: S104
        ("::", "[::]:8000", ""),
    ],
)
def test_the_port_of_an_embedded_engine_is_told_if_it_is_one_address(host: str, address: str, told: str) -> None:
    urls = HandOffUrls.of(Settings(host=host, insecure=True, openai_port=8000), address)
    assert (urls.base_url("embedded"), urls.offered) == (told, bool(told))


def test_the_port_is_told_as_https_if_it_speaks_tls() -> None:
    settings = Settings(host="10.0.0.7", insecure=True, openai_port=8000, tls_cert=__file__, tls_key=__file__)
    assert HandOffUrls.of(settings, "10.0.0.7:8000").base_url("embedded") == "https://10.0.0.7:8000/v1"


def test_what_the_operator_wrote_wins_over_the_port() -> None:
    settings = Settings(host="0.0.0.0", insecure=True, openai_port=8000, hand_off_url=["https://llm.example"])  # noqa: S104
    assert HandOffUrls.of(settings, "0.0.0.0:8000").base_url("embedded") == "https://llm.example/v1"
