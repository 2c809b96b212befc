"""Two runs of one small plan, each field of them as a test wants it: what a check of runs as a whole is asked about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from shadow.compare.case import Finding, PairCase, PairView
from shadow.compare.checks.duties import Duties
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import (
    OrderRecord,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.vocabulary import Lane, Reason, Role, RunStatus, Side, TradeStatus
from tests.factories.one_trade import AT, CANDIDATE, CONTROL, POLICY, D
from tests.fakes.plans import AT as PUBLISHED
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="-300", GOOG="1000", TSLA="250")
RUN_ID = run_id_of(PLAN.plan_id)
SELLS, BUYS = ("AAPL", "MSFT"), ("GOOG", "TSLA")
FAILED: dict[str, Any] = {"status": TradeStatus.FAILED}
UNSENT: dict[str, Any] = {"status": TradeStatus.NOT_SENT}
OPEN: dict[str, Any] = {"status": TradeStatus.UNFINISHED}
GUARDED: dict[str, Any] = {"status": TradeStatus.BLOCKED, "reason": Reason.SELL_GUARD}
LIMITED: dict[str, Any] = {"status": TradeStatus.BLOCKED, "reason": Reason.EQUITY_LIMIT}
CLOSED: dict[str, Any] = {"status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED}
BLOCKED_RUN: dict[str, Any] = {"status": RunStatus.BLOCKED_BY_GUARD, "raw_status": "FAILED"}


def at(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def ran(role: Role, trades: dict[str, dict[str, Any]] | None = None, **changes: Any) -> RunOutcome:
    """A lane's run of the plan, all of it executed, its SELLs in the first ten seconds and then its BUYs; `trades` by symbol."""
    made = []
    for item in PLAN.tradable_items:
        side = Side(item.action.value)
        begun = 0 if side is Side.SELL else 20
        own: dict[str, Any] = {
            "trade_id": trade_id_of(RUN_ID, item.symbol, side),
            "symbol": item.symbol,
            "action": side,
            "status": TradeStatus.COMPLETED,
            "planned_amount": item.trade_amount,
            "started_at": at(begun),
            "completed_at": at(begun + 10),
        }
        made.append(TradeOutcome(**(own | (trades or {}).get(item.symbol, {}))))
    run: dict[str, Any] = {
        "role": role,
        "lane": Lane.WORKFLOW if role is CANDIDATE else Lane.LEGACY,
        "run_id": RUN_ID,
        "plan_id": PLAN.plan_id,
        "correlation_id": PLAN.correlation_id,
        "status": RunStatus.COMPLETED,
        "raw_status": "COMPLETED",
        "trades": tuple(made),
        "started_at": at(0),
        "completed_at": at(60),
    }
    return RunOutcome(**(run | changes))


def view(control: RunOutcome | None = None, candidate: RunOutcome | None = None) -> PairView:
    case = PairCase(PLAN, PUBLISHED.date(), PUBLISHED, control, candidate, "0")
    return PairView(case)


def beside(candidate: RunOutcome) -> PairView:
    """A candidate's run beside one of the control in which nothing is wrong."""
    return view(ran(CONTROL), candidate)


def duties(seen: PairView) -> Duties:
    return Duties(seen, POLICY)


def some(found: Iterable[Finding], *kinds: str) -> list[Role | None]:
    return [each.role for each in found if each.kind in kinds]


def filled(name: str, side: Side = Side.BUY, **changes: Any) -> OrderRecord:
    own: dict[str, Any] = {"order_id": name, "symbol": "AAPL", "side": side, "filled_quantity": D(2), "average_price": D(10)}
    return OrderRecord(**({"status": "filled"} | own | changes))
