"""Business Unit: benchmarks | Status: current.

The evidence of a pair of any size, as both lanes leave it: the control's items, events and ledger rows, and the candidate's
execution with its history (AWS's own kinds of events) and state items. Both lanes did the same, but for every `odd`-th trade,
of which the control asked for one share more.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from benchmarks.candidate_documents import CandidateRun
from benchmarks.plans import AT, plan_of
from shadow.aws.table import to_item
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.model import canonical, decimal_text
from shadow.contracts.pair import Pair, StartState, trading_day_of
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Side
from shadow.lanes.redaction import Redactor
from shadow.settlement.documents import EVENT, ITEM, LEDGER_ROW, WATCHED, EvidenceStore, Record

_ODD = 10


class Objects:
    """Stored objects, in memory."""

    def __init__(self) -> None:
        """Begin empty."""
        self.bodies: dict[str, bytes] = {}

    def put_if_absent(self, key: str, body: bytes, content_type: str) -> bool:
        """See the port."""
        del content_type
        new = key not in self.bodies
        self.bodies.setdefault(key, body)
        return new

    def get(self, key: str) -> bytes | None:
        """See the port."""
        return self.bodies.get(key)


@dataclass(frozen=True, slots=True)
class Documents:
    """The documents of one pair, as they are stored."""

    pair: Pair
    plan: bytes
    control: EvidenceRef
    effects: EvidenceRef
    candidate: EvidenceRef
    store: EvidenceStore
    objects: Objects = field(default_factory=Objects)

    def lines(self) -> list[bytes]:
        """Give every text that is JSON: the plan, and each record of each document."""
        refs = (self.control, self.effects, self.candidate)
        return [self.plan, *(line for ref in refs for line in gzip.decompress(self.objects.bodies[ref.key]).splitlines())]


def documents_of(trades: int, *, odd: int = _ODD) -> Documents:
    """Make the documents of a pair of `trades` trades, of which the lanes differ in every `odd`-th (0: in none)."""
    plan = plan_of(trades)
    candidate = CandidateRun(plan, trades)
    control = _Control(candidate, odd)
    pair = Pair(
        plan_id=plan.plan_id,
        run_id=candidate.run_id,
        correlation_id=plan.correlation_id,
        trading_day=trading_day_of(plan.timestamp),
        published_at=AT,
        trade_count=trades,
        start_state=StartState.STARTED,
    )
    objects = Objects()
    store = EvidenceStore(objects, Redactor())

    def kept(name: str, records: Iterable[Record]) -> EvidenceRef:
        writer = store.writer()
        for what, value in records:
            writer.add(what, value)
        return store.keep(pair.trading_day, pair.run_id, name, writer)

    return Documents(
        pair=pair,
        plan=plan.model_dump_json().encode(),
        control=kept("legacy", ((ITEM, item) for item in control.items())),
        effects=kept("legacy-effects", control.effects()),
        candidate=kept("workflow-00", candidate.records()),
        store=store,
        objects=objects,
    )


class _Control:
    """The control's records of the plan that the candidate's run is of."""

    def __init__(self, run: CandidateRun, odd: int) -> None:
        self.run, self.odd = run, odd
        self.run_id, self.plan, self.messages, self.prices = run.run_id, run.plan, run.messages, run.prices
        self.moment = run.moment
        self.sells = [message for message in self.messages if message.action is Side.SELL]
        self.buys = [message for message in self.messages if message.action is Side.BUY]

    def executed(self, message: TradeMessage) -> Decimal:
        """Give what the control executed: one share more of every odd trade."""
        number = int(message.symbol[1:])
        return self.run.quantity(message) + (1 if self.odd and number % self.odd == 1 else 0)

    def items(self) -> list[Mapping[str, object]]:
        planned = {side: sum((abs(m.trade_amount) for m in self.messages if m.action is side), Decimal(0)) for side in Side}
        run = {
            "PK": f"RUN#{self.run_id}", "SK": "METADATA", "TTL": int(AT.timestamp()) + 86_400, "run_id": self.run_id,
            "plan_id": self.plan.plan_id, "correlation_id": self.plan.correlation_id, "total_trades": self.run.trades,
            "completed_trades": self.run.trades, "succeeded_trades": self.run.trades, "failed_trades": 0, "skipped_trades": 0,
            "sell_total": len(self.sells), "sell_completed": len(self.sells), "buy_total": len(self.buys),
            "buy_completed": len(self.buys), "sell_failed_amount": Decimal(0), "sell_succeeded_amount": planned[Side.SELL],
            "cumulative_buy_succeeded_value": planned[Side.BUY], "max_equity_limit_usd": self.run.limit, "current_phase": "BUY",
            "status": "COMPLETED", "trade_ids": [message.trade_id for message in self.messages],
            "run_timestamp": AT.isoformat(), "created_at": AT.isoformat(),
            "buy_phase_started_at": (AT + timedelta(seconds=50)).isoformat(),
            "aggregation_started_at": (AT + timedelta(seconds=100)).isoformat(),
            "completed_at": (AT + timedelta(seconds=101)).isoformat(),
        }  # fmt: skip
        return [to_item(run), *(to_item(self._control_trade(message)) for message in self.messages)]

    def _control_trade(self, message: TradeMessage) -> dict[str, object]:
        price, shares = self.prices[message.symbol], self.executed(message)
        data = {
            "shares": decimal_text(shares), "price": decimal_text(price), "trade_amount": decimal_text(shares * price),
            "order_type": "limit",
            "filled_at": self.moment(message, 3).isoformat(),
        }  # fmt: skip
        return {
            "PK": f"RUN#{self.run_id}", "SK": f"TRADE#{message.trade_id}", "TTL": int(AT.timestamp()) + 86_400,
            "trade_id": message.trade_id, "symbol": message.symbol, "action": message.action.value,
            "phase": message.action.value, "sequence_number": message.sequence_number, "trade_amount": message.trade_amount,
            "status": "COMPLETED", "message_body": message.model_dump_json(), "order_id": f"order-{message.symbol}",
            "started_at": self.moment(message, 0).isoformat(), "completed_at": self.moment(message, 4).isoformat(),
            "execution_data": json.dumps(data, separators=(",", ":")),
        }  # fmt: skip

    def effects(self) -> Iterator[Record]:
        yield WATCHED, {"ledger_rows": True}
        yield from ((EVENT, event) for event in self.events())
        yield from ((LEDGER_ROW, row) for row in self.ledger_rows())

    def events(self) -> list[Mapping[str, object]]:
        found = [
            self._event(
                "TradeExecuted",
                message.trade_id,
                self.run.trade_detail(message, self.executed(message), f"order-{message.symbol}"),
            )
            for message in self.messages
        ]
        return [self._event("AllTradesCompleted", None, self.run.run_detail(self.plan.causation_id)), *found]

    def _event(self, kind: str, trade_id: str | None, detail: Mapping[str, object]) -> Mapping[str, object]:
        name = trade_id or "-"
        return to_item(
            {
                "PK": f"RUN#{self.run_id}",
                "SK": f"EVENT#{kind}#{name}#event-{name}",
                "detail": canonical(detail),
                "detail_type": kind,
            }
        )

    def ledger_rows(self) -> list[Mapping[str, object]]:
        return [to_item(self._ledger_row(message)) for message in self.messages]

    def _ledger_row(self, message: TradeMessage) -> dict[str, object]:
        key = f"TRADE#order-{message.symbol}"
        return {
            "PK": key, "SK": "METADATA", "GSI1PK": f"CORR#{self.plan.correlation_id}", "GSI1SK": key,
            "correlation_id": self.plan.correlation_id, "direction": message.action.value,
            "fill_price": self.prices[message.symbol], "filled_qty": self.executed(message),
            "order_id": f"order-{message.symbol}", "symbol": message.symbol, "timestamp": self.moment(message, 3).isoformat(),
        }  # fmt: skip
