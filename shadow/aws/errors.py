"""Business Unit: AWS adapters | Status: current.

From AWS's errors to ours. What may work a moment later becomes `StateUnavailable`, which the state machine retries by name;
everything else (denied, missing table, malformed call) is left as it is, because a retry would hide it. A source of evidence that
does not answer is `EvidenceUnavailable`; one that refuses the role is `MissingPermission`, of which no verdict is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from shadow.contracts.errors import EvidenceUnavailable, MissingPermission
from shadow.execution.errors import ExecutionTransientError, StateUnavailable

TRANSIENT_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_SERVER_ERROR = 500


def is_transient(error: ClientError) -> bool:
    """Tell whether AWS may answer the same call a moment later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code_of(error) in TRANSIENT_CODES or status >= _SERVER_ERROR


def code_of(error: ClientError) -> str:
    """Give AWS's error code."""
    return error.response.get("Error", {}).get("Code", "")


def is_denied(error: ClientError) -> bool:
    """Tell whether AWS refuses the role, for the call itself or for the key that its data is encrypted with."""
    code = code_of(error)
    return "AccessDenied" in code or "Unauthorized" in code


def unavailable(what: str, error: Exception) -> EvidenceUnavailable | MissingPermission:
    """Say that `what` did not answer, or refuses the role, by the error's class and code alone."""
    if isinstance(error, ClientError) and is_denied(error):
        return MissingPermission(f"{what}: {error.operation_name} is refused ({code_of(error)}): allow it to this role")
    detail = code_of(error) if isinstance(error, ClientError) else ""
    return EvidenceUnavailable(f"{what}: {type(error).__name__} {detail}".rstrip())


@contextmanager
def transient_as(raised: type[ExecutionTransientError] = StateUnavailable) -> Iterator[None]:
    """Raise `raised` instead of an AWS error that is worth another try."""
    try:
        yield
    except ClientError as error:
        if not is_transient(error):
            raise
        raise raised(f"{error.operation_name}: {code_of(error)}") from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise raised(f"{type(error).__name__}: {error}") from error
