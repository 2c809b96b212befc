"""Business Unit: execution | Status: current.

Credentials never show, never travel unencrypted, and an endpoint tells whether it is paper.
"""

from __future__ import annotations

import pytest

from shadow.broker.port import AlpacaCredentials, Timeouts, is_paper_endpoint
from shadow.contracts.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "paper"),
    [
        ("", True),
        ("  ", True),
        ("https://paper-api.alpaca.markets", True),
        ("https://PAPER-api.alpaca.markets/v2", True),
        ("http://127.0.0.1:8080/paper", True),
        ("https://api.alpaca.markets", False),
        ("http://127.0.0.1:8080", False),
    ],
)
def test_an_endpoint_is_paper_when_empty_or_naming_paper(url: str, paper: bool) -> None:  # noqa: FBT001 - a table
    assert is_paper_endpoint(url) is paper


def test_neither_key_nor_secret_is_shown() -> None:
    credentials = AlpacaCredentials("CANARY-KEY", "CANARY-SECRET", "https://api.alpaca.markets")
    assert "CANARY" not in f"{credentials!r} {credentials}"
    assert "api.alpaca.markets" in repr(credentials)


@pytest.mark.parametrize(
    "url", ["http://api.alpaca.markets", "http://10.0.0.1:80", "ftp://127.0.0.1", "api.alpaca.markets", "https://", "x"]
)
@pytest.mark.parametrize("name", ["endpoint", "data_endpoint"])
def test_the_secret_does_not_travel_unencrypted(name: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"alpaca {name}: expected an https address"):
        AlpacaCredentials("k", "s", **{name: url})


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1/paper", "http://[::1]:9", "https://a.b"])
def test_loopback_and_https_are_fine(url: str) -> None:
    assert AlpacaCredentials("k", "s", url, url).data_endpoint == url


@pytest.mark.parametrize(("key", "secret", "field"), [("", "s", "key"), (" ", "s", "key"), ("k", "", "secret")])
def test_a_missing_key_is_named(key: str, secret: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"alpaca {field}: expected a value, was empty"):
        AlpacaCredentials(key, secret)


def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        AlpacaCredentials("CANARY\r\nX: 1", "s")
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_wait_is_bounded(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout read"):
        Timeouts(read=seconds)
