"""What Step Functions does around the trades of one execution: phases, retries, catches. Which errors are retried, and how often,
is read from the state machine's definition.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from shadow.contracts.vocabulary import ExecutionMode, Side, TradeStatus
from shadow.contracts.workflow import EquityCheck, GuardInput, TradeResult, WorkflowTrade
from shadow.execution.phases import RunSettings, evaluate_guard, prepare
from tests.factories.interleaving import Job, Killed
from tests.factories.pausing_ports import PausingLedger
from tests.fakes.workflow_cloud import DEFINITION

if TYPE_CHECKING:
    from tests.factories.two_lanes import Lanes


@dataclass(frozen=True, slots=True)
class Retrier:
    """One group of errors, and how it is tried again. Seconds."""

    errors: frozenset[str]
    most: int
    first: float
    growth: float
    longest: float


@cache
def retries_of(state: str, phase: str | None = None) -> tuple[Retrier, ...]:
    """Read from the definition which errors a state retries, how often each group of them, and after how many seconds.

    `phase` has the trade's states.
    """
    states = json.loads(DEFINITION.read_text())["States"]
    found = (states[phase]["ItemProcessor"]["States"] if phase else states)[state]["Retry"]
    return tuple(
        Retrier(
            frozenset(retry["ErrorEquals"]),
            int(retry["MaxAttempts"]),
            retry["IntervalSeconds"],
            retry["BackoffRate"],
            retry.get("MaxDelaySeconds", 10**6),
        )
        for retry in found
    )


Work = Callable[[], object]
Done = Callable[[object], None]
Caught = Callable[[str], None]


class Execution:
    """One execution of the workflow, as far as trades go."""

    def __init__(self, lanes: Lanes, name: str) -> None:
        self.lanes = lanes
        self.name = name
        self.waiting: set[str] = set()
        self.answers: dict[str, TradeResult] = {}
        self.after: Side | None = None

    def start(self) -> None:
        """Prepare the run; what cannot be prepared trades nothing."""

        def ended(_: object, error: BaseException | None) -> None:
            if error is None:
                self._phase(Side.SELL)

        self.lanes.play.add(Job(f"{self.name} prepare", self._prepare, ended))

    def _prepare(self) -> None:
        lanes = self.lanes
        settings = RunSettings(ExecutionMode.PAPER, Decimal(1 if lanes.setting.limit else 0), lambda _: lanes.setting.limit)
        ledger = PausingLedger(lanes.ledger, lanes.play)
        prepare(lanes.input, lanes.trades, settings=settings, ledger=ledger, clock=lanes.clock)

    def _phase(self, side: Side) -> None:
        self.after = side
        trades = [trade for trade in self.lanes.trades if trade.action is side]
        self.waiting = {trade.trade_id for trade in trades}
        for trade in trades:
            TradeDrive(self, trade).begin()
        if not trades:
            self._phase_ended()

    def answered(self, trade: WorkflowTrade, result: TradeResult) -> None:
        """Take a trade's answer."""
        self.lanes.results[trade.trade_id] = self.answers[trade.trade_id] = result
        self.waiting.discard(trade.trade_id)
        if not self.waiting and self.after is not None:
            self._phase_ended()

    def _phase_ended(self) -> None:
        if self.after is not Side.SELL:
            self.after = None
            self._close()
            return
        request = GuardInput(
            sell_results=tuple(self.answers.values()),
            default_failure_threshold_usd=Decimal(500),
            run_id=self.lanes.run_id,
            plan_id=self.lanes.setting.plan.plan_id,
            correlation_id="workflow-one",
        )
        if evaluate_guard(request).buy_phase_allowed:
            self._phase(Side.BUY)
        else:
            self.after = None
            self.lanes.blocked = True
            self._close()

    def _close(self) -> None:
        """Close the run where a trade has an unknown fate, as the workflow does before it ends."""
        if any(result.status is TradeStatus.UNKNOWN for result in self.answers.values()):
            self.lanes.close()


class TradeDrive:
    """One trade's way through the states of its phase: check, execute, retry, reconcile, or give up as unknown."""

    def __init__(self, execution: Execution, trade: WorkflowTrade) -> None:
        self.execution = execution
        self.lanes = execution.lanes
        self.trade = trade
        word = "Sell" if trade.action is Side.SELL else "Buy"
        self.phase, self.word = f"Execute{word}Phase", word
        self.error = ""

    def begin(self) -> None:
        """Enter the phase: a BUY by way of the breaker."""
        if self.trade.action is Side.BUY:
            self._task("CheckEquityLimit", self._reserve, self._checked, self._unchecked)
        else:
            self.execute()

    def execute(self) -> None:
        """Execute the trade."""
        self._task(f"Execute{self.word}Trade", self._execute, self._end, self._failed)

    def _reserve(self) -> EquityCheck:
        ledger = PausingLedger(self.lanes.ledger, self.lanes.play)
        return ledger.reserve(self.trade.run_id, self.trade.trade_id, abs(self.trade.trade_amount))

    def _checked(self, check: object) -> None:
        assert isinstance(check, EquityCheck)
        if check.allowed:
            self.execute()
        else:
            self._end(self._answer(TradeStatus.BLOCKED))

    def _unchecked(self, error: str) -> None:
        self.error = error
        self._end(self._answer(TradeStatus.FAILED))

    def _execute(self) -> TradeResult:
        return self.lanes.executor().execute(self.trade)

    def _failed(self, error: str) -> None:
        self.error = error
        self._task(f"Reconcile{self.word}Trade", self._reconcile, self._end, self._unknown)

    def _reconcile(self) -> TradeResult:
        return self.lanes.executor().reconcile(self.trade, self.error)

    def _unknown(self, error: str) -> None:
        self.error = error
        self._end(self._answer(TradeStatus.UNKNOWN))

    def _end(self, result: object) -> None:
        assert isinstance(result, TradeResult)
        self.execution.answered(self.trade, result)

    def _answer(self, status: TradeStatus) -> TradeResult:
        trade = self.trade
        return TradeResult(
            run_id=trade.run_id,
            trade_id=trade.trade_id,
            symbol=trade.symbol,
            action=trade.action,
            status=status,
            planned_amount=trade.trade_amount,
            error_message=self.error or None,
        )

    def _task(self, state: str, work: Work, done: Done, caught: Caught, used: tuple[int, ...] = ()) -> None:
        retriers = retries_of(state, self.phase)

        def failed(error: str) -> None:
            match = next((at for at, retrier in enumerate(retriers) if error in retrier.errors), None)
            if match is not None and used.count(match) < retriers[match].most:
                retrier = retriers[match]
                self.lanes.let_pass(min(retrier.first * retrier.growth ** used.count(match), retrier.longest))
                self._task(state, work, done, caught, (*used, match))
            else:
                caught(error)

        def ended(result: object, error: BaseException | None) -> None:
            if error is None:
                done(result)
            else:
                failed(error.error if isinstance(error, Killed) else type(error).__name__)

        def lost(error: str) -> None:
            self.lanes.overlapped = True
            failed(error)

        name = f"{self.execution.name} {self.trade.symbol} {state} {len(used)}"
        self.lanes.play.add(Job(name, work, ended, lost))
