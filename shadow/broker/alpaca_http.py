"""Business Unit: execution | Status: current.

One HTTP call to Alpaca, made exactly once and within a time bound, its failures told apart.

This is alpaca-py's own transport (`RESTClient`, which its trading and data clients derive from) with the one method that
sends a request replaced. Stock alpaca-py has no timeout, repeats whatever was answered 429 or 504 (a POST answered 504
goes out four times), and reads numbers as binary floats. Here a call goes out once, has a timeout, and its numbers are
`Decimal`. The derived clients would only add a list of paths, and cost more to import than boto3, because they import
pandas and websockets; a test holds our requests against theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from email.utils import parsedate_to_datetime
from time import time
from typing import NoReturn

from alpaca.common.rest import RESTClient
from requests import Response
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import MaxRetryError, NewConnectionError

from shadow.broker.pacing import RequestGate
from shadow.broker.port import (
    BrokerError,
    BrokerProtocolError,
    BrokerThrottled,
    BrokerUnauthorized,
    BrokerUnavailable,
    SubmitAmbiguous,
    Timeouts,
)

_SHOWN = 200
_UNAUTHORIZED, _REQUEST_TIMEOUT, _THROTTLED = 401, 408, 429
_FIRST_REDIRECT, _FIRST_REFUSAL, _FIRST_FAILURE = 300, 400, 500
_CODES = range(40_000_000, 60_000_000)  # Alpaca's own: 40010001. A gateway's body may repeat the status as a code


class Refusal(Exception):
    """A 4xx answer whose meaning depends on what was asked. `code` is Alpaca's own, None when the body has none."""

    def __init__(self, status: int, code: int | None, message: str) -> None:
        """Remember the HTTP `status`, Alpaca's `code` and its `message`."""
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"HTTP {status}, code {'absent' if code is None else code}: {message or '(no message)'}")


class AlpacaHttp(RESTClient):
    """One API of Alpaca (trading or market data) for one account.

    `get`, `post` and `delete` return the decoded answer (None when it is empty). They raise BrokerThrottled on 429,
    BrokerUnauthorized on 401, BrokerUnavailable when nothing was reached or answered, BrokerProtocolError when the
    answer cannot be read, Refusal on any other 4xx; a POST whose effect is unknown raises SubmitAmbiguous.
    """

    def __init__(self, base_url: str, key: str, secret: str, timeouts: Timeouts, gate: RequestGate | None = None) -> None:
        """Prepare a session against `base_url`, given without the API version; nothing is sent yet.

        Where there is a `gate`, each single request goes through it.
        """
        super().__init__(base_url=base_url, api_key=key, secret_key=secret, api_version="v2", raw_data=True)
        self._concealed = {key, secret}
        self._timeouts = (timeouts.connect, timeouts.read)
        self._gate = gate

    def conceal(self, secret: str) -> None:
        """Never show `secret` in an error from now on."""
        if secret:
            self._concealed.add(secret)

    def close(self) -> None:
        """Give the pooled connections back."""
        self._session.close()

    def _one_request(self, method: str, url: str, opts: dict[str, object], retry: int) -> object:  # type: ignore[override] # alpaca-py says dict, and answers lists and None too
        """Send one request once; `retry`, alpaca-py's count of repetitions left, is not used: there are none."""
        del retry
        if self._gate is not None:
            self._gate.enter()
        try:
            response = self._session.request(method, url, timeout=self._timeouts, **opts)  # type: ignore[arg-type] # alpaca-py's own options
        except (RequestException, Urllib3Error, OSError) as error:
            self._raise_unanswered(method, error)
        if response.status_code >= _FIRST_REDIRECT:
            self._raise_refused(method, response)
        try:
            return decode(response.content)
        except ValueError as error:
            raise _lost(method, f"unreadable answer, HTTP {response.status_code}: {error}") from None

    def _raise_unanswered(self, method: str, error: Exception) -> NoReturn:
        """Tell a broker that was never reached from one that may have heard."""
        if _never_reached(error):
            raise BrokerUnavailable(f"{method}: no connection ({type(error).__name__})") from error
        if method == "POST":
            raise SubmitAmbiguous(f"{method}: no answer ({type(error).__name__})") from error
        raise BrokerUnavailable(f"{method}: no answer ({type(error).__name__})") from error

    def _raise_refused(self, method: str, response: Response) -> NoReturn:
        """Classify an answer other than 2xx."""
        status = response.status_code
        code, message = self._explanation(response.content)
        told = f"{method}: HTTP {status}: {message or '(no message)'}"
        if status == _THROTTLED:
            throttled = BrokerThrottled(told, _retry_after(response.headers))
            if self._gate is not None:
                self._gate.refused(throttled)
            raise throttled
        if status == _UNAUTHORIZED and method != "POST":
            raise BrokerUnauthorized(told)
        if status >= _FIRST_FAILURE or status == _REQUEST_TIMEOUT:
            raise SubmitAmbiguous(told) if method == "POST" else BrokerUnavailable(told)
        if status < _FIRST_REFUSAL:
            raise _lost(method, f"expected 2xx, was a redirect ({status})")
        raise Refusal(status, code, message)

    def _explanation(self, body: bytes) -> tuple[int | None, str]:
        """Read Alpaca's error code and message, as far as there are any."""
        try:
            found = decode(body)
        except ValueError:
            return None, ""
        if not isinstance(found, dict):
            return None, ""
        code = found.get("code")
        message = found.get("message")
        return (
            code if isinstance(code, int) and code in _CODES else None,
            self._presentable(message) if isinstance(message, str) else "",
        )

    def _presentable(self, message: str) -> str:
        """Make the broker's words fit for a log: no secrets, one line, not endless."""
        for secret in self._concealed:
            message = message.replace(secret, "***")
        return " ".join(message.split())[:_SHOWN]


def decode(body: bytes) -> object:
    """Read JSON with exact numbers; None for an empty body. Raises ValueError for anything that is not JSON."""
    if not body.strip():
        return None
    try:
        return json.loads(
            body.decode(), parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_a_doubled_name
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON at character {error.pos}") from None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read how many seconds the broker asks to wait: `Retry-After`, else when its window resets (epoch seconds).

    `Retry-After` is a number of seconds or a date, as HTTP has it; a date that has passed says nothing.
    """
    for name, since in (("Retry-After", 0.0), ("X-RateLimit-Reset", time())):
        text = headers.get(name, "").strip()
        if text.isdecimal():
            return max(float(text) - since, 0.0)
        with suppress(ValueError):
            if (seconds := parsedate_to_datetime(text).timestamp() - time()) > 0:
                return seconds
    return None


def _without_a_doubled_name(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object that says one thing twice: which of both is meant is not known."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _never_reached(error: Exception) -> bool:
    """Whether no connection was made, so that the request cannot have been heard."""
    if isinstance(error, ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, RequestsConnectionError) and error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _lost(method: str, told: str) -> BrokerError:
    """Name an answer that came and says nothing: after a POST the order may exist all the same."""
    return SubmitAmbiguous(f"{method}: {told}") if method == "POST" else BrokerProtocolError(f"{method}: {told}")
