"""Business Unit: intake | Status: current.

What a publisher sends: a plan or why there is none, and notes on how production's call ended.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.model import Exact, Frozen, Identifier, Moment, Symbol, load_json
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Origin

SCHEMA: Literal["shadow.publication.1"] = "shadow.publication.1"
MAX_BYTES = 50_000_000
"""A compressed message larger than this when unpacked is not a plan."""


class ControlEnd(Frozen):
    """How production's call ended: the class that it raised, or the id of the run that its answer named."""

    model_config = ConfigDict(extra="ignore")

    error: Annotated[str, Field(max_length=200)] | None = None
    run_id: Identifier | None = None


class _Message(Frozen):
    model_config = ConfigDict(extra="ignore")

    schema_name: Annotated[Literal["shadow.publication.1"], Field(alias="schema")]
    published_at: Moment
    control: ControlEnd | None = None


class PlanMessage(_Message):
    """A publication. `plan` is the plan as copied, or JSON text of one; without it `refused` says why there is none.

    `held` is what the control's account held of the symbols, in shares. `shadowed` says whether the publisher feeds a shadow.
    """

    kind: Literal["plan"]
    production_lane: Lane = Lane.LEGACY
    shadowed: bool = True
    origin: Origin = Origin.LIVE
    plan: object = None
    plan_id: str | None = None
    refused: str | None = None
    held: Mapping[Symbol, Exact] = Field(default_factory=dict)

    def read_plan(self) -> RebalancePlan:
        """Validate the plan; raises `InvalidPlan` that names every faulty field."""
        return RebalancePlan.read_json(self.plan) if isinstance(self.plan, str) else RebalancePlan.read(self.plan)


class Note(_Message):
    """What became known after the plan was sent. `shadow` is `published` once the legacy lane was fed as the shadow."""

    kind: Literal["note"]
    plan_id: Identifier | None = None
    shadow: Literal["published"] | None = None


def read_message(body: str) -> PlanMessage | Note:
    """Read one message of the intake queue; raises `InvalidPayload` that names every faulty field."""
    value = _json(body)
    if isinstance(value, Mapping) and isinstance(value.get("zlib"), str):
        value = _json(_unpacked(str(value["zlib"])))
    kind = value.get("kind") if isinstance(value, Mapping) else None
    return Note.parse(value) if kind == "note" else PlanMessage.parse(value)


def _unpacked(text: str) -> str:
    try:
        unpacker = zlib.decompressobj()
        body = unpacker.decompress(b64decode(text, validate=True), MAX_BYTES)
    except (ValueError, zlib.error) as error:
        raise InvalidPayload("message", [FieldFault("zlib", "compressed JSON, base64", str(error))]) from None
    if not unpacker.eof:
        raise InvalidPayload("message", [FieldFault("zlib", f"at most {MAX_BYTES:,} bytes, whole", "more, or a part")])
    return body.decode("utf-8", errors="replace")


def _json(text: str) -> object:
    try:
        return load_json(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("message", [FieldFault("(whole)", "a JSON object", str(error))]) from None


def message_of(plan: RebalancePlan, published_at: datetime, **parts: JsonValue) -> str:
    """Write the message that publishes `plan`, as the publishers' one file writes it."""
    head = {"schema": SCHEMA, "kind": "plan", "published_at": published_at.isoformat(), "plan": plan.to_wire()}
    return json.dumps(head | parts, separators=(",", ":"))
