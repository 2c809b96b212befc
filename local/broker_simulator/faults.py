"""Business Unit: local cloud | Status: current.

Which fault strikes a request. Faults are taken in the order in which they were added, each as often as it says.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from local.broker_simulator.values import Fault, FaultKind
from shadow.contracts.vocabulary import Role

BEFORE = frozenset({FaultKind.THROTTLE, FaultKind.SERVER_ERROR, FaultKind.DOWN, FaultKind.HANG, FaultKind.SLOW})
AFTER = frozenset(
    {
        FaultKind.GATEWAY_TIMEOUT,
        FaultKind.DROP_ANSWER,
        FaultKind.HANG_ANSWER,
        FaultKind.MALFORMED,
        FaultKind.EMPTY,
        FaultKind.REFUSED_IN_CODE,
        FaultKind.REFUSED_BY_GATEWAY,
        FaultKind.REFUSED_BY_PROXY,
        FaultKind.REFUSED_BARELY,
        FaultKind.REFUSED_EMPTY,
        FaultKind.OTHER_QUANTITY,
        FaultKind.UNKNOWN_STATUS,
        FaultKind.MISSING_FIELD,
    }
)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is known of a request when a fault might strike."""

    account: Role | None
    method: str
    path: str
    symbol: str | None


@dataclass(slots=True)
class _Pending:
    fault: Fault
    left: int | None


class FaultBook:
    """The faults that are still to come."""

    def __init__(self) -> None:
        """Start without any."""
        self._pending: list[_Pending] = []

    def add(self, fault: Fault) -> None:
        """Expect `fault` from now on."""
        self._pending.append(_Pending(fault, fault.count))

    def clear(self) -> None:
        """Expect nothing any more."""
        self._pending.clear()

    def take(self, kinds: Container[FaultKind], occasion: Occasion) -> Fault | None:
        """Give the first fault of `kinds` that matches, and count it; None when nothing goes wrong."""
        for pending in self._pending:
            if pending.fault.kind in kinds and _matches(pending.fault, occasion):
                if pending.left is not None:
                    pending.left -= 1
                    if pending.left == 0:
                        self._pending.remove(pending)
                return pending.fault
        return None


def _matches(fault: Fault, occasion: Occasion) -> bool:
    return (
        fault.account in (None, occasion.account)
        and fault.method in (None, occasion.method)
        and (fault.path is None or occasion.path.startswith(fault.path))
        and fault.symbol in (None, occasion.symbol)
    )
