"""Business Unit: publish | Status: current.

The dual-publish shim: it calls the control's own publishing exactly as it was given and starts the candidate beside it,
and whatever becomes of the candidate, the caller gets the control's result or exception.

Importing this package imports the standard library alone. Everything heavier is imported by
`dual_publisher_from_environment`, behind a guard, so that a broken layer cannot break the portfolio function that wraps
its enqueue call.
"""

from __future__ import annotations

from shadow.publish.publisher import DualPublisher, dual_publisher_from_environment

__all__ = ["DualPublisher", "dual_publisher_from_environment"]
