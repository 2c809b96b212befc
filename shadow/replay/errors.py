"""Business Unit: replay | Status: current.

ShadowError
├── ConfigurationError
│   └── ReplayRefused       the candidate could do more than record its orders
└── ReplayState             the state file of a replay cannot be read
"""

from __future__ import annotations

from shadow.contracts.errors import ConfigurationError, ShadowError


class ReplayRefused(ConfigurationError):
    """Nothing is replayed: the candidate could do more than record its orders."""


class ReplayState(ShadowError):
    """The state file of a replay cannot be read or written."""
