"""What the comparison makes of a schedule: both lanes' records and both accounts, read and judged by the code that is deployed.

The simulator knows to the share and the dollar what each account holds; the money ledger of the comparison must come to the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.contracts.candidate_state import result_sk
from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.model import canonical, exact_sum
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Role, Side
from shadow.contracts.workflow import TradeResult
from shadow.execution.trade import compact
from shadow.lanes.brokers.orders import Neighbours
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.brokers.truth import BrokerTruthReader
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.workflow.reader import CandidateRecords, read_candidate

if TYPE_CHECKING:
    from tests.factories.two_lanes import Lanes

_POLICY = default_policy()


def books_of(lanes: Lanes) -> Mapping[str, object]:
    """Look at both accounts before anything happens."""
    return _document(BrokerTruthReader(*lanes.books).look(lanes.opened_at, lanes.opened_at))


def comparison_of(lanes: Lanes) -> Comparison:
    """Judge what both lanes have recorded of the plan, with the brokers' own word."""
    control, candidate = _control(lanes), _candidate(lanes)
    now = lanes.clock.now() + timedelta(hours=1)
    found = BrokerTruthReader(*lanes.books).read(control, candidate, Neighbours(), lanes.opened_at, now)
    document = _document(found)
    return judge(
        PairCase(
            plan=lanes.setting.plan,
            trading_day=lanes.opened_at.date(),
            published_at=lanes.opened_at,
            control=broker_corrected(control, document, lanes.opening),
            candidate=broker_corrected(candidate, document, lanes.opening),
            code_version="0",
        ),
        _POLICY,
    )


def _document(found: Mapping[str, object]) -> Mapping[str, object]:
    """Give evidence as it is when it was stored and read again."""
    read: Mapping[str, object] = json.loads(canonical(found))
    return read


def _control(lanes: Lanes) -> RunOutcome | None:
    """Read the plan's first run; one that was published again is another."""
    store = lanes.control.store
    if not store.runs:
        return None
    run = min(store.runs.values(), key=lambda each: (each.created_at, each.run_id))
    trades = [trade for (run_id, _), trade in store.trades.items() if run_id == run.run_id]
    items = [item.model_dump(exclude_none=True, mode="python") for item in (run, *trades)]
    return read_control(run.run_id, run.plan_id, [_plain(item) for item in items], effects=None)


def _plain(item: Mapping[str, object]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in item.items()}


def _candidate(lanes: Lanes) -> RunOutcome | None:
    """Read the run from its state table and an execution of which little more is known than that it has ended."""
    if not lanes.executions:
        return None
    began, ended = lanes.opened_at, lanes.clock.now()
    described = {"startDate": began, "stopDate": ended, "status": "SUCCEEDED"}
    events = [
        {"id": 1, "type": "ExecutionStarted", "timestamp": began, "executionStartedEventDetails": {"input": lanes.text}},
        {"id": 2, "type": "ExecutionSucceeded", "timestamp": ended, "executionSucceededEventDetails": {"output": "{}"}},
    ]
    intents = [_plain(intent.model_dump(exclude_none=True, mode="python")) for intent in lanes.log.intents.values()]
    results = [{"SK": result_sk(name), "result": _text(result)} for name, result in lanes.results.items()]
    return read_candidate(lanes.run_id, lanes.setting.plan.plan_id, CandidateRecords(described, events, [*intents, *results]))


def _text(result: TradeResult) -> str:
    return json.dumps(compact(result).to_wire())


# ---------------------------------------------------------------------- the rules


def check_money(lanes: Lanes) -> None:
    """Check that the ledger's rows are what the accounts differ by, and that each account is what was known of it."""
    comparison = comparison_of(lanes)
    money = comparison.money
    if comparison.control is None or comparison.candidate is None:
        assert comparison.verdict in (Verdict.MISSING_CONTROL, Verdict.MISSING_CANDIDATE, Verdict.INCOMPLETE)
        return
    assert money is not None
    assert money.is_proved
    marks = money.marks
    truth = _equity(lanes, Role.CANDIDATE, marks) - _equity(lanes, Role.CONTROL, marks)
    rounded = _rounded(lanes, Role.CANDIDATE) - _rounded(lanes, Role.CONTROL)
    assert money.equity == truth, f"{money.equity} USD apart by the ledger, {truth} by the accounts"
    assert exact_sum(row.dollars for row in money.rows) == truth
    assert money.unexplained == rounded, f"{money.unexplained} USD unexplained, {rounded} rounded: {money.rows}"
    for line in money.lines if lanes.account is Role.CANDIDATE else ():
        if _is_traded_by_hand(lanes, line.symbol):  # nobody should: what goes the trade's way is counted as the trade's
            continue
        filled = exact_sum(order.filled_quantity for order in lanes.orders(line.trade_id))
        shares = filled if line.side is Side.BUY else -filled
        assert line.candidate.shares == shares, f"{line.symbol}: {line.candidate} by the ledger, {shares} shares by the account"
    told = [difference for difference in comparison.differences if difference.kind == "UNEXPLAINED_MONEY"]
    assert not told, f"{told[0].explanation} gaps: {comparison.gaps}"


def _is_traded_by_hand(lanes: Lanes, symbol: str) -> bool:
    ours = {order.order_id for trade in lanes.trades for order in lanes.orders(trade.trade_id)}
    return any(order.symbol == symbol and order.order_id not in ours for order in lanes.simulator.orders(Role.CANDIDATE))


def _equity(lanes: Lanes, role: Role, marks: Mapping[str, Decimal]) -> Decimal:
    """Add up what the simulator says an account holds, USD at the ledger's marks."""
    account = lanes.simulator.account(lanes.account if role is Role.CANDIDATE else role)
    return account.cash + exact_sum(held * marks[symbol] for symbol, held in account.positions.items())


def _rounded(lanes: Lanes, role: Role) -> Decimal:
    """Give what an account's cash moved beyond what its orders say, USD: the broker gives their average prices to nine decimals.

    Nothing where each order filled at one price.
    """
    account = lanes.simulator._exchange.accounts[lanes.account if role is Role.CANDIDATE else role]
    filled = [order for order in account.orders.values() if order.average_price is not None]
    off = [order.filled_value - order.filled_quantity * order.average_price for order in filled]  # type: ignore[operator]
    return exact_sum(-each if order.side == "buy" else each for order, each in zip(filled, off, strict=True))
