"""Business Unit: execution | Status: current.

What can go wrong with a broker. Class names are public API: the state machine's `ErrorEquals` matches on them.

BrokerError
├── BrokerTransientError        worth another try, nothing was accepted
│   ├── BrokerThrottled         429
│   └── BrokerUnavailable       connection, timeout on a read, 5xx on a read
├── BrokerRefused               the broker said no; the same call again gives the same answer
│   ├── BrokerUnauthorized      401, 403 about credentials
│   ├── AssetUnknown            404 on an asset
│   ├── QuoteUnavailable        no quote with both sides
│   ├── OrderRejected           the broker's own coded word: not accepted
│   └── DuplicateClientOrderId  the client order id was used before: the order exists
├── SubmitAmbiguous             the order may or may not exist: look it up, never repeat it
└── BrokerProtocolError         the answer could not be understood
    └── OrderUnreadable         the answer is an order, and little but its id could be understood
"""

from __future__ import annotations

from shadow.contracts.errors import ShadowError


class BrokerError(ShadowError):
    """Anything a broker adapter raises."""


class BrokerTransientError(BrokerError):
    """Worth another try: nothing was accepted."""


class BrokerThrottled(BrokerTransientError):
    """The account's request limit was hit (HTTP 429). `retry_after` is the broker's own word in seconds, None without one."""

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        """Remember how long the broker asks to wait, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class BrokerUnavailable(BrokerTransientError):
    """A read could not be answered: connection refused, timed out, or a 5xx."""


class BrokerRefused(BrokerError):
    """The broker said no, and would again."""


class BrokerUnauthorized(BrokerRefused):
    """The credentials are wrong or lack a permission."""


class AssetUnknown(BrokerRefused):
    """The broker does not know the symbol."""


class QuoteUnavailable(BrokerRefused):
    """There is no quote with both sides."""


class OrderRejected(BrokerRefused):
    """The broker said with an error code of its own that it did not accept the order; or it was never sent."""


class DuplicateClientOrderId(BrokerRefused):
    """The client order id was used before, so the order exists: fetch it by that id."""


class SubmitAmbiguous(BrokerError):
    """The order's fate is unknown: look it up by its client id, never send it again."""


class BrokerProtocolError(BrokerError):
    """The broker's answer could not be understood."""


class OrderUnreadable(BrokerProtocolError):
    """The broker shows an order of which little but its own id could be understood: it can be cancelled, and no more."""

    def __init__(self, message: str, order_id: str, client_order_id: str | None) -> None:
        """Remember the broker's id of the order, and ours, where that could be read."""
        super().__init__(message)
        self.order_id = order_id
        self.client_order_id = client_order_id
