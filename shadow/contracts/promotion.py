"""Business Unit: shared contracts | Status: current.

The record of a version that was published, and of one move of the production alias, which is written before the alias moves.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from shadow.contracts.model import Frozen, Moment

Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]
"""What a person wrote: a name or a sentence, and not nothing."""
PUBLISH, PROMOTE, ROLLBACK = "publish", "promote", "rollback"
PROMOTIONS = "promotions/"


class Promotion(Frozen):
    """Who published a version, or moved production from which version to which, when and why.

    `kind` is publish, promote or rollback. `readiness` is the statement's word at the time, `override` says that it was not READY
    and a named person promoted all the same. `alarm` was there and quiet. `before` None: there was no alias.
    """

    kind: str
    at: Moment
    machine: str
    before: str | None
    after: str
    by: Said
    reason: Said
    readiness: str
    override: bool = False
    alarm: str | None = None

    @property
    def moves(self) -> bool:
        """Whether it records a move of the alias."""
        return self.kind != PUBLISH
