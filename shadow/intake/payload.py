"""Business Unit: intake | Status: current.

What a publisher sends: a plan or why there is none, and notes on how production's call ended.

The documents that the pair and the candidate get. The candidate's input is a function of plan and positions alone, to the byte:
that makes starting twice the same start.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.identity import trade_id_of
from shadow.contracts.model import Frozen, Identifier, Moment, canonical, decimal_text, load_json, parse_decimal
from shadow.contracts.plan import SEQUENCE_BASE, PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Lane, Origin, Side
from shadow.contracts.workflow import MAX_INLINE_BYTES, MAX_INLINE_TRADES, ClaimCheck, WorkflowInput, WorkflowPlan, WorkflowTrade

SCHEMA: Literal["shadow.publication.1"] = "shadow.publication.1"
MAX_BYTES = 50_000_000
"""A compressed message larger than this when unpacked is not a plan."""


class ControlEnd(Frozen):
    """How production's call ended: the class that it raised, or the id of the run that its answer named."""

    model_config = ConfigDict(extra="ignore")

    error: Annotated[str, BeforeValidator(lambda name: name[:200] if isinstance(name, str) else name)] | None = None
    run_id: Identifier | None = None


class _Message(Frozen):
    model_config = ConfigDict(extra="ignore")

    schema_name: Annotated[Literal["shadow.publication.1"], Field(alias="schema")]
    published_at: Moment
    control: ControlEnd | None = None


class PlanMessage(_Message):
    """A publication. `plan` is the plan as copied, or JSON text of one; without it `refused` says why there is none.

    `held` is what the adopter says that the control's account held, in shares by symbol, not yet read. `shadowed` says whether
    the publisher feeds a shadow.
    """

    kind: Literal["plan"]
    production_lane: Lane = Lane.LEGACY
    shadowed: bool = True
    origin: Origin = Origin.LIVE
    plan: object = None
    plan_id: str | None = None
    refused: str | None = None
    held: object = None

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


MAX_RECORD_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where bytes were put."""

    bucket: str
    key: str


class PlanStore(Protocol):
    """Where plans go that are too large for a ledger record or a state payload."""

    def put(self, key: str, body: bytes) -> StoredObject:
        """Store `body`; putting the same again changes nothing."""

    def get(self, key: str) -> bytes:
        """Read what is stored under `key`."""


@dataclass(frozen=True, slots=True)
class StartContext:
    """Why a run is started: the pair's `origin`, and which lane was in production when the plan was published."""

    origin: Origin = Origin.LIVE
    production_lane: Lane = Lane.LEGACY


def plan_document(plan: RebalancePlan) -> str:
    """Write the plan as canonical JSON."""
    return canonical(plan.to_wire())


def held_document(held: Mapping[str, Decimal]) -> str | None:
    """Write positions as canonical JSON; None where none are known."""
    return canonical({symbol: decimal_text(quantity) for symbol, quantity in held.items()}) if held else None


def read_held(document: str | None) -> dict[str, Decimal]:
    """Read positions back. Raises `InvalidPayload` for a text that is none."""
    if document is None:
        return {}
    try:
        return {symbol: parse_decimal(text) for symbol, text in json.loads(document).items()}
    except (ValueError, RecursionError, AttributeError) as error:
        fault = FieldFault("held_json", "shares by symbol, as decimal strings", str(error))
        raise InvalidPayload("held positions", [fault]) from None


def digest(document: str | bytes) -> str:
    """Give the SHA-256 of a document, in hexadecimal."""
    return sha256(document.encode() if isinstance(document, str) else document).hexdigest()


def stored_key(run_id: str, what: str, body: bytes) -> str:
    """Name a stored document of a run by its content: what something refers to is never overwritten."""
    return f"plans/{run_id}-{what}-{digest(body)[:16]}.json"


def candidate_input(
    plan: RebalancePlan, run_id: str, held: Mapping[str, Decimal], store: PlanStore, context: StartContext = StartContext()
) -> str:
    """Write the workflow's input, SELLs first, in the plan's order within a phase; what is too large for it is stored first."""
    trades = tuple(_trade(plan, item, run_id, held) for side in (Side.SELL, Side.BUY) for item in plan.items if item.side is side)
    whole = WorkflowPlan(trade_messages=trades, total_portfolio_value=plan.total_portfolio_value)
    if len(trades) <= MAX_INLINE_TRADES:
        document = _input(plan, run_id, whole, None, context)
        if len(document.encode()) <= MAX_INLINE_BYTES:
            return document
    body = canonical(whole.to_wire()).encode()
    stored = store.put(stored_key(run_id, "trades", body), body)
    claim = ClaimCheck(bucket=stored.bucket, key=stored.key, sha256=digest(body), trade_count=len(trades))
    return _input(plan, run_id, whole.model_copy(update={"trade_messages": ()}), claim, context)


def _input(plan: RebalancePlan, run_id: str, workflow_plan: WorkflowPlan, claim: ClaimCheck | None, context: StartContext) -> str:
    return canonical(
        WorkflowInput(
            rebalance_plan=workflow_plan,
            correlation_id=plan.correlation_id,
            run_id=run_id,
            plan_id=plan.plan_id,
            claim_check=claim,
            origin=context.origin.value,
            production_lane=context.production_lane,
        ).to_wire()
    )


def _trade(plan: RebalancePlan, item: PlanItem, run_id: str, held: Mapping[str, Decimal]) -> WorkflowTrade:
    side = Side(item.action.value)
    return WorkflowTrade(
        run_id=run_id,
        trade_id=trade_id_of(run_id, item.symbol, side),
        plan_id=plan.plan_id,
        correlation_id=plan.correlation_id,
        causation_id=plan.causation_id,
        symbol=item.symbol,
        action=side,
        trade_amount=item.trade_amount,
        target_value=item.target_value,
        current_value=item.current_value,
        target_weight=item.target_weight,
        priority=item.priority,
        sequence_number=SEQUENCE_BASE[side] + item.priority,
        is_complete_exit=item.is_full_exit,
        strategy_id=item.strategy_id or plan.strategy_id,
        current_position=held.get(item.symbol) if item.is_full_exit else None,
    )
