"""Business Unit: execution | Status: current.

What it takes to reach one brokerage account, apart from the adapter, so that a safety check can look at an endpoint
without importing an HTTP client.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from shadow.contracts.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class AlpacaCredentials:
    """One account's key, secret and endpoints. Neither key nor secret is ever shown.

    `endpoint` is the trading API's address, the paper account's when empty (the contract's `ALPACA__ENDPOINT`);
    `data_endpoint` is the market data API's, the broker's own when empty. Raises ConfigurationError when a key is
    missing or would travel unencrypted to another machine.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    endpoint: str = ""
    data_endpoint: str = ""

    def __post_init__(self) -> None:
        """Refuse what could never work, or would give the secret away."""
        for name, value in (("key", self.key), ("secret", self.secret)):
            if not value.strip():
                raise ConfigurationError(f"alpaca {name}: expected a value, was empty")
            if not value.isascii() or not value.isprintable():
                raise ConfigurationError(f"alpaca {name}: expected printable ASCII, was something else")
        for name, url in (("endpoint", self.endpoint), ("data_endpoint", self.data_endpoint)):
            if url and not _is_safe(url):
                raise ConfigurationError(f"alpaca {name}: expected an https address (http on loopback only), was {url!r}")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one call may wait, in seconds: for a connection, and for the answer's next byte."""

    connect: float = 3.0
    read: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a wait that is not bounded."""
        for name, value in (("connect", self.connect), ("read", self.read)):
            if not 0 < value < float("inf"):
                raise ConfigurationError(f"alpaca timeout {name}: expected seconds above 0, was {value}")


def is_paper_endpoint(url: str) -> bool:
    """Tell whether `url` is a paper endpoint: empty or containing "paper" (the legacy contract's rule, section 6)."""
    return not url.strip() or "paper" in url.lower()


def _is_safe(url: str) -> bool:
    """Allow https anywhere and http on this machine only."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
