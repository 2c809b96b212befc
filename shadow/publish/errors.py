"""Business Unit: publish | Status: current.

What can go wrong beside the control.

ShadowError
├── StartRefused     the candidate was certainly not started, and trying again will not help
├── Late             the harness came too late: the snapshot after the control began, or an effect after the expiry
└── MalformedAnswer  an adapter answered something that its port does not allow
"""

from __future__ import annotations

from shadow.contracts.errors import ShadowError


class StartRefused(ShadowError):
    """The candidate was certainly not started, and trying again will not help."""


class Late(ShadowError):
    """The harness came too late to have this effect."""


class MalformedAnswer(ShadowError):
    """An adapter answered something that its port does not allow."""
