"""What a stream brings to prove who opens it."""

import pytest
from forefill_service.access.caller import Caller, Credentials

IDENTITY = {"x509_common_name": [b"web"], "x509_subject_alternative_name": [b"web.internal", b"spiffe://a/web"]}


def test_a_bearer_token_is_read_from_the_metadata() -> None:
    for sent in ("Bearer abc", "bearer abc", "BEARER  abc "):
        assert Credentials.of([("authorization", sent)], {}, "").token == "abc"


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "Basic YTpi")],
        [("authorization", "abc")],
        [("authorization", "")],
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
    ],
    ids=["another kind", "no kind", "empty", "two"],
)
def test_what_is_no_bearer_token_is_a_token_that_nobody_knows(metadata: list[tuple[str, str | bytes]]) -> None:
    assert Credentials.of(metadata, {}, "").token == ""


def test_without_any_there_is_none() -> None:
    assert Credentials.of([("x", "y")], {}, "") == Credentials()


def test_the_names_of_a_certificate_come_with_the_common_name_first() -> None:
    assert Credentials.of([], IDENTITY, "").certificate_names == ("web", "web.internal", "spiffe://a/web")


def test_tenants_are_read_only_if_a_proxy_is_expected_to_name_them() -> None:
    named = [("x-tenant", "a"), ("x-tenant", "b")]
    assert Credentials.of(named, {}, "x-tenant").tenants == ("a", "b")
    assert Credentials.of(named, {}, "").tenants == ()


def test_the_same_name_in_two_tenants_is_two_callers() -> None:
    assert Caller("web", "a").key != Caller("web", "b").key
