"""Business Unit: intake | Status: current.

The kill switch and the ramp: `off`, `shadow` (every plan), or `shadow:PERCENT` (a sticky sample by plan id).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Self

from shadow.contracts.errors import ConfigurationError

_SLOTS = 10_000
_SALT = b"shadow-ramp:"


@dataclass(frozen=True, slots=True)
class PublishMode:
    """How many of the plans go to the candidate as well, in hundredths of a percent."""

    slots: int

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read the parameter's value; raises `ConfigurationError` that says what was expected."""
        if isinstance(text, str):
            word, colon, share = text.strip().partition(":")
            if word == "off" and not colon:
                return cls(0)
            if word == "shadow":
                slots = _slots_of(share) if colon else _SLOTS
                if slots is not None:
                    return cls(slots)
        raise ConfigurationError(f"publishing mode: expected off, shadow or shadow:PERCENT (0 to 100), was {text!r:.80}")

    @property
    def is_off(self) -> bool:
        """Whether no plan at all goes to the candidate."""
        return self.slots == 0

    def covers(self, plan_id: str) -> bool:
        """Whether this plan is in the sample: always the same answer for the same plan, and a larger share keeps it in."""
        return slot_of(plan_id) < self.slots

    def __str__(self) -> str:
        """Write as the parameter's value is written."""
        if self.is_off:
            return "off"
        return "shadow" if self.slots == _SLOTS else f"shadow:{Decimal(self.slots) / 100}"


def slot_of(plan_id: str) -> int:
    """Give the plan its place from 0 to 9,999, evenly spread over plan ids."""
    return int.from_bytes(sha256(_SALT + plan_id.encode()).digest()[:8]) % _SLOTS


def _slots_of(share: str) -> int | None:
    try:
        slots = Decimal(share) * 100
    except InvalidOperation:
        return None
    return int(slots) if slots.is_finite() and 0 <= slots <= _SLOTS else None
