"""Business Unit: shared contracts | Status: current.

The record of one move of the production alias, written before the alias moves and never changed.
"""

from __future__ import annotations

from shadow.contracts.model import Frozen, Moment

PROMOTIONS = "promotions/"


class Promotion(Frozen):
    """Who moved production from which version to which, when and why.

    `kind` is promote or rollback. `readiness` is the statement's word at the time, `override` says that it was not READY and a
    named person promoted all the same. `alarm` was there and quiet. `before` None: there was no alias.
    """

    kind: str
    at: Moment
    machine: str
    before: str | None
    after: str
    by: str
    reason: str
    readiness: str
    override: bool = False
    alarm: str | None = None
