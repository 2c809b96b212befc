"""Business Unit: AWS adapters | Status: current.

One text in SSM Parameter Store, read through Powertools Parameters with a short cache. Powertools measures the cache's age by
the wall clock, which can jump back and leave a kill switch unseen; here the monotonic clock has to agree that it is fresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SSMProvider

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

DEFAULT_MAX_AGE_SECONDS = 30


class TextParameter:
    """A parameter's value, at most `max_age_seconds` old."""

    def __init__(
        self,
        client: SSMClient,
        name: str,
        max_age_seconds: int = DEFAULT_MAX_AGE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the parameter `name` through `client`."""
        self._provider = SSMProvider(boto3_client=client)
        self._name = name
        self._max_age = max_age_seconds
        self._monotonic = monotonic
        self._fetched: float | None = None

    def read(self) -> str:
        """Give the value; raises Powertools' `GetParameterError` when it has to be fetched and cannot be."""
        now = self._monotonic()
        stale = self._fetched is None or not 0 <= now - self._fetched < self._max_age
        value: object = self._provider.get(self._name, max_age=self._max_age, force_fetch=stale)
        if stale:
            self._fetched = now
        return str(value)
