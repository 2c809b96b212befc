"""Business Unit: evidence | Status: current.

The candidate's execution, read into the canonical outcome: from DescribeExecution, GetExecutionHistory and the candidate's state
table. A run is classified by the states it went through, not by the execution's status: a blocked one ends FAILED too.

A trade's result comes from the last output of its phase's Map; where there is none (the run broke, was aborted or timed out)
from the outputs of the tasks inside it, then from the state table, where each trade's function writes it too: there alone for
a large plan, whose trades run in child executions. A trade without any is NOT_SENT when its phase was never entered, FAILED or
UNKNOWN (if it intended an order) when it was a large one and is over, else UNFINISHED.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from shadow.contracts.control_records import ExecutionStatus, FailureStep
from shadow.contracts.outcome import Gap, GuardDecision, RunCounters, RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Reason, Role, RunStatus, Side, TradeStatus
from shadow.lanes.records import Fields, as_json, as_moment, own_of
from shadow.lanes.workflow.history import (
    HistoryFacts,
    Payload,
    Results,
    answer_in,
    collect_one,
    collect_results,
    function_versions,
    gaps_in,
    list_in,
    mapping_in,
    read_history,
    status_of,
    version_of,
)
from shadow.lanes.workflow.trades import (
    PlannedTrade,
    planned_trades,
    read_state_items,
    trade_of_result,
    trade_without_result,
    trades_of_plan,
)

PREPARE = "PrepareTrades"
GUARD = "EvaluateSellPhaseGuard"
GUARD_BLOCKED = "BuyPhaseBlocked"
AGGREGATE = "AggregateResults"
LARGE_PHASE = {Side.SELL: "ExecuteLargeSellPhase", Side.BUY: "ExecuteLargeBuyPhase"}
PHASES = {
    Side.SELL: ("ExecuteSellPhase", LARGE_PHASE[Side.SELL]),
    Side.BUY: ("ExecuteBuyPhase", LARGE_PHASE[Side.BUY]),
}
RESULTS = {Side.SELL: "sellResults", Side.BUY: "buyResults"}
CHILD_TRANSITIONS = {Side.SELL: 1, Side.BUY: 3}
_STEPS = (PREPARE, *PHASES[Side.SELL], GUARD, *PHASES[Side.BUY], AGGREGATE, "SendNotification")
_TERMINAL_STATES = {
    GUARD_BLOCKED: RunStatus.BLOCKED_BY_GUARD,
    "EquityLimitReached": RunStatus.BLOCKED_BY_EQUITY_LIMIT,
    "WorkflowFailed": RunStatus.FAILED,
}
_LEADING = {
    "CloseOrdersOfBlockedRun": RunStatus.BLOCKED_BY_GUARD,
    "NotifyBuyPhaseBlocked": RunStatus.BLOCKED_BY_GUARD,
    "NotifyEquityLimit": RunStatus.BLOCKED_BY_EQUITY_LIMIT,
    "CloseOrders": RunStatus.FAILED,
    "NotifyWorkflowFailed": RunStatus.FAILED,
}
"""States that lead to such an end and to no other: a run that came to one and is said to have succeeded has not."""
_SUCCESS = "WorkflowCompleted"
_CARRYING = (*PHASES[Side.BUY], GUARD, *PHASES[Side.SELL], PREPARE)
_TRADE_ID = re.compile(r'"tradeId"\s*:\s*"([^"]*)"')
_STATUS = {
    ExecutionStatus.ABORTED: RunStatus.ABORTED,
    ExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class CandidateRecords:
    """What was read of one execution.

    `describe` is DescribeExecution's answer, `state_items` the run's items as plain values (None: could not be read),
    `map_runs` summaries of its map runs, and what of them could not be read. Each is gone through once, in this order.
    """

    describe: Mapping[str, object]
    history: Iterable[Mapping[str, object]]
    state_items: Iterable[Mapping[str, object]] | None
    map_runs: Iterable[Mapping[str, object] | Gap] = ()


def read_candidate(
    run_id: str, plan_id: str, records: CandidateRecords, plan: RebalancePlan | None = None, own: Collection[str] = ()
) -> RunOutcome:
    """Read `records` into an outcome. `plan` names the trades where the execution carries none (a large plan).

    `own` names fields of the user's own, of a trade's result or of the workflow's state.
    """
    reader = _Reader(records, plan, own)
    return reader.outcome(run_id, plan_id)


class _Reader:
    """One reading: the facts, and what was found wrong with them on the way."""

    def __init__(self, records: CandidateRecords, plan: RebalancePlan | None, own: Collection[str]) -> None:
        self.own = own
        self.describe = records.describe
        self.facts = read_history(records.history)
        self.state = read_state_items(records.state_items or ())
        self.has_state = records.state_items is not None
        self.faults: list[str] = self.state.faults
        self.gaps: list[Gap] = []
        self.parsed: dict[str, Mapping[str, object]] = {}
        self.unread: set[str] = set()
        self.unclear: set[Side] = set()
        self.child_transitions = self._follow(records.map_runs)
        self.plan = plan
        self.status = self._status()

    def outcome(self, run_id: str, plan_id: str) -> RunOutcome:
        self._note_gaps()
        planned = self._planned()
        trades = self._trades(planned)
        status = self._run_status()
        started = as_moment(self.describe.get("startDate")) or as_moment(self.facts.started_at)
        ended = as_moment(self.describe.get("stopDate")) or as_moment(self.facts.ended_at)
        carried = Fields("state", self._carried(), self.faults, own=self.own)
        described = Fields("execution", self.describe, self.faults)
        for date in ("startDate", "stopDate", "redriveDate"):
            described.moment(date)
        described.count("redriveCount")
        identity = carried if carried.values else Fields("input", self._input(), self.faults)
        redrives = self.describe.get("redriveCount")
        return RunOutcome(
            role=Role.CANDIDATE,
            lane=Lane.WORKFLOW,
            run_id=identity.identifier("runId") or run_id,
            plan_id=identity.identifier("planId") or plan_id,
            correlation_id=identity.identifier("correlationId"),
            status=status,
            raw_status=self.status.value if self.status else str(self.describe.get("status") or ""),
            terminal_state=self.facts.terminal_state or self.facts.last_state,
            failure_step=self._failure_step(status),
            failure_reason=self._failure_reason(),
            guard=self._guard(trades),
            equity_limit=carried.amount_total("equityLimit"),
            counters=self._counters(),
            trades=trades,
            effects=tuple(self.state.effects) if self.has_state else None,
            started_at=started,
            completed_at=ended if self.status and self.status.is_terminal else None,
            buy_phase_started_at=self._phase_started(Side.BUY),
            notifications=mails_of(self.facts) if self.status and self.status.is_terminal else None,
            state_transitions=self.facts.transitions + self.child_transitions,
            version=version_of(self.describe),
            functions=function_versions(self.facts),
            redrive_count=max(self.facts.redrives, redrives if isinstance(redrives, int) else 0),
            own=own_of(carried),
            violations=tuple(sorted(set(self.faults))),
            gaps=tuple(self.gaps),
        )

    def _follow(self, map_runs: Iterable[Mapping[str, object] | Gap]) -> int:
        """Count the state transitions of child executions: at the least, retries in a child are not in its parent's history."""
        transitions = 0
        for run in map_runs:
            if isinstance(run, Gap):
                self.gaps.append(run)
                continue
            children = run.get("children")
            total = children.get("total") if isinstance(children, Mapping) else None
            each = CHILD_TRANSITIONS[Side.SELL if "Sell" in str(run.get("mapRunArn")) else Side.BUY]
            transitions += each * total if isinstance(total, int) else 0
        return transitions

    def _status(self) -> ExecutionStatus | None:
        return status_of(self.describe)

    def _note_gaps(self) -> None:
        self.gaps += gaps_in(self.facts, self.describe)
        ended_in = self.facts.terminal_state
        if self.status is ExecutionStatus.SUCCEEDED and ended_in not in (None, _SUCCESS, *_TERMINAL_STATES):
            self.gaps.append(Gap(what="execution history", reason=f"ends in {ended_in}, which is none of the workflow's ends"))
        if not self.has_state:
            self.gaps.append(Gap(what="candidate state items", reason="could not be read"))

    def _output(self, state: str) -> Mapping[str, object]:
        """Parse the last output of a state, once; empty where there is none, it was left out or cannot be read."""
        if state not in self.parsed:
            payload = self.facts.outputs.get(state)
            value = as_json(payload.text) if payload and payload.text else None
            if payload and payload.text and not isinstance(value, Mapping):
                self.faults.append(f"output of {state}: expected a JSON object, was {payload.text[:40]!r}")
                self.unclear.update(side for side in Side if state in PHASES[side])
            self.parsed[state] = value if isinstance(value, Mapping) else {}
        return self.parsed[state]

    def _input(self) -> Mapping[str, object]:
        payload = self.facts.input
        described = self.describe.get("input")
        text = payload.text if payload and payload.text else described
        value = as_json(text) if isinstance(text, str) else None
        return value if isinstance(value, Mapping) else {}

    def _carried(self) -> Mapping[str, object]:
        """Give the workflow's state as far as it is known: each state's output carries all that was added before it."""
        return next((output for state in _CARRYING if (output := self._output(state))), {})

    def _planned(self) -> dict[str, PlannedTrade]:
        """Tell which trades the workflow set out to do: its own preparation, else its input, else the plan."""
        prepared = self._carried()
        values = [*list_in(prepared, "sellTrades"), *list_in(prepared, "buyTrades")]
        if not values:
            values = list_in(mapping_in(self._input(), "rebalancePlan"), "tradeMessages")
        trades = planned_trades(values, self.faults)
        if trades or (PREPARE in self.facts.outputs and not self._is_large()):
            return trades
        return trades_of_plan(self.plan) if self.plan is not None else {}

    def _is_large(self) -> bool:
        """Tell whether the trades do not travel in the state."""
        return self._carried().get("isLarge") is True or self._input().get("claimCheck") is not None

    def _trades(self, planned: dict[str, PlannedTrade]) -> tuple[TradeOutcome, ...]:
        trades: dict[str, list[TradeOutcome]] = {}
        results = ((trade_id, result) for trade_id, copies in self._results(planned).items() for result in copies)
        for trade_id, result in chain(results, self._recorded(planned, trades)):
            intents = self.state.intents.get(trade_id, ())
            fields = Fields("tradeResult", result, self.faults, own=self.own)
            trade = trade_of_result(fields, planned.get(trade_id), intents)
            if trade is not None:
                trades.setdefault(trade_id, []).append(trade)
            elif trade_id in planned:
                self.unread.add(trade_id)
            else:
                self.unclear.update(Side)
        for trade_id, plan in planned.items():
            if trade_id in trades:
                continue
            if trade_id in self.unread or plan.side in self.unclear:
                self.gaps.append(Gap(what=f"candidate trade {trade_id}", reason="its result cannot be read"))
                continue
            status, reason = self._without_result(plan)
            trades[trade_id] = [trade_without_result(plan, status, reason, self.state.intents.get(trade_id, ()))]
        for trade_id in sorted(self.state.intents.keys() - trades.keys() - planned.keys() - {""}):
            trades[trade_id] = self._stranger(trade_id)
        return tuple(trade for trade_id in sorted(trades) for trade in trades[trade_id])

    def _stranger(self, trade_id: str) -> list[TradeOutcome]:
        """Give a trade that has orders, and that neither the workflow's own list nor any result names."""
        intents = self.state.intents[trade_id]
        order = intents[0].order
        if order.symbol is None or order.side is None:
            self.gaps.append(Gap(what=f"candidate trade {trade_id}", reason="symbol or side of its order absent or unreadable"))
            return []
        named = PlannedTrade(trade_id, order.symbol, order.side, None, None)
        return [trade_without_result(named, TradeStatus.UNKNOWN, Reason.OTHER, intents)]

    def _note_strangers(self, side: Side, results: object) -> None:
        """Note what lies among a phase's results and names no trade or status: it cannot be told whose result it is."""
        for result in results if isinstance(results, list) else ():
            fields = Fields("tradeResult", result if isinstance(result, Mapping) else {}, self.faults)
            if fields.text("tradeId") is None or fields.text("status") is None:
                fields.require("tradeId", "status")
                self.unclear.add(side)

    def _results(self, planned: dict[str, PlannedTrade]) -> Results:
        """Collect the trades' results by trade id: all that one phase says of a trade, of the last phase that says anything."""
        found: Results = {}
        for side in (Side.BUY, Side.SELL):
            for state in PHASES[side]:
                expected = {trade_id for trade_id, trade in planned.items() if trade.side is side}
                if not expected or expected - found.keys():
                    collect_results(self._output(state), found)
                self._note_strangers(side, self._output(state).get(RESULTS[side]))
        missing = planned.keys() - found.keys()
        if missing:
            inner: dict[str, Mapping[str, object]] = {}
            read = [collect_one(payload, inner) for payload in self.facts.results]
            if not all(read):
                self.faults.append("output of a task: expected a trade's result as a JSON object, was none")
                self.unclear.update(Side)
            found = {**{trade_id: [result] for trade_id, result in inner.items()}, **found}
        else:
            strangers: dict[str, Mapping[str, object]] = {}
            for payload in self.facts.results:
                if any(name not in found for name in _TRADE_ID.findall(payload.text or "")):
                    collect_one(payload, strangers)
            found |= {trade_id: [result] for trade_id, result in strangers.items() if trade_id not in found}
        return found

    def _recorded(
        self, planned: dict[str, PlannedTrade], trades: Mapping[str, list[TradeOutcome]]
    ) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Give the state table's results of trades that are still without one, parsing each as it is asked for."""
        for trade_id in (*planned, *sorted(self.state.results.keys() - planned.keys())):
            text = self.state.results.pop(trade_id, None)
            if text is not None and trade_id not in trades:
                found: dict[str, Mapping[str, object]] = {}
                collect_one(Payload(text), found)
                if not found:
                    self.faults.append(f"result of {trade_id}: expected a JSON object with tradeId and status, was {text[:40]!r}")
                    self.unread.add(trade_id)
                yield from found.items()

    def _without_result(self, trade: PlannedTrade) -> tuple[TradeStatus, Reason | None]:
        if trade.side is Side.BUY and GUARD_BLOCKED in self.facts.entered:
            return TradeStatus.BLOCKED, Reason.SELL_GUARD
        if self._is_left_out(trade.side):
            self.gaps.append(Gap(what=f"candidate trade {trade.trade_id}", reason="result left out of the history"))
            return TradeStatus.UNFINISHED, None
        if self.facts.is_truncated or not (self.status and self.status.is_terminal):
            return TradeStatus.UNFINISHED, None
        if self._phase_started(trade.side) is None:
            return TradeStatus.NOT_SENT, Reason.RUN_FAILED if self.status is not ExecutionStatus.SUCCEEDED else None
        if LARGE_PHASE[trade.side] in self.facts.outputs:
            may_live = bool(self.state.intents.get(trade.trade_id))
            return (TradeStatus.UNKNOWN if may_live else TradeStatus.FAILED), Reason.OTHER
        done = any(state in self.facts.outputs for state in PHASES[trade.side])
        return (TradeStatus.NOT_SENT, None) if done else (TradeStatus.UNFINISHED, None)

    def _is_left_out(self, side: Side) -> bool:
        """Tell whether the service left the phase's results out of the history."""
        payload = self.facts.outputs.get(PHASES[side][0])
        return payload is not None and payload.text is None

    def _phase_started(self, side: Side) -> datetime | None:
        return next((as_moment(self.facts.entered[state]) for state in PHASES[side] if state in self.facts.entered), None)

    def _run_status(self) -> RunStatus:
        if self.status is ExecutionStatus.SUCCEEDED:
            ends = (status for state, status in (_TERMINAL_STATES | _LEADING).items() if state in self.facts.reached)
            return next(ends, RunStatus.COMPLETED)
        if self.status is not ExecutionStatus.FAILED:
            return _STATUS.get(self.status, RunStatus.UNFINISHED) if self.status else RunStatus.UNFINISHED
        ended_in = self.facts.terminal_state or self.facts.error or self.describe.get("error")
        return _TERMINAL_STATES.get(str(ended_in), RunStatus.FAILED)

    def _failure_step(self, status: RunStatus) -> str | None:
        match status:
            case RunStatus.COMPLETED | RunStatus.UNFINISHED:
                return None
            case RunStatus.BLOCKED_BY_GUARD:
                return FailureStep.SELL_PHASE_GUARD.value
            case RunStatus.BLOCKED_BY_EQUITY_LIMIT:
                return FailureStep.EQUITY_CIRCUIT_BREAKER.value
            case _:
                return next((step for step in reversed(_STEPS) if step in self.facts.entered), self.facts.last_state)

    def _failure_reason(self) -> str | None:
        described = self.describe.get("cause")
        return self.facts.cause or self.facts.error or (described if isinstance(described, str) else None)

    def _guard(self, trades: tuple[TradeOutcome, ...]) -> GuardDecision | None:
        """Read the guard's answer; None where the run has no SELL (there is nothing to guard) or it was never asked."""
        fields = Fields(GUARD, answer_in(self._carried(), "buyPhaseAllowed"), self.faults)
        allowed = fields.flag("buyPhaseAllowed")
        if allowed is None or not any(trade.action is Side.SELL for trade in trades):
            return None
        return GuardDecision(
            buy_phase_allowed=allowed,
            sell_failed_amount=fields.amount_total("sellFailedAmount"),
            sell_succeeded_amount=fields.amount_total("sellSucceededAmount"),
            threshold=fields.amount("failureThresholdUsd"),
        )

    def _counters(self) -> RunCounters | None:
        if AGGREGATE not in self.facts.outputs:
            return None
        fields = Fields(AGGREGATE, answer_in(self._output(AGGREGATE), "totalTrades"), self.faults)
        return RunCounters(
            total=fields.count("totalTrades"),
            succeeded=fields.count("succeededTrades"),
            failed=fields.count("failedTrades"),
            skipped=fields.count("skippedTrades"),
        )


STATES = ("SendNotification", "NotifyBuyPhaseBlocked", "NotifyEquityLimit", "NotifyWorkflowFailed")
_MARK = "messageId"


def mails_of(facts: HistoryFacts) -> int | None:
    """Count the mails of a run that has ended; None where the history was cut off or left an output out."""
    outputs = [facts.outputs[state] for state in STATES if state in facts.outputs]
    if facts.is_truncated or any(payload.text is None for payload in outputs):
        return None
    answers, held = ([_read(payload) for payload in payloads] for payloads in (facts.results, outputs))
    if None in answers or None in held:
        return None
    told = sum(_is_receipt(answer_in(output or {}, _MARK)) for output in held)
    return max(sum(_is_receipt(answer or {}) for answer in answers), told)


def _read(payload: Payload) -> Mapping[str, object] | None:
    """Read an answer, or what the Lambda integration wrapped it in: empty without a receipt, None where one cannot be read."""
    if payload.text is None or f'"{_MARK}"' not in payload.text:
        return {}
    value = as_json(payload.text)
    if value is None:
        return None
    answer = value.get("Payload", value) if isinstance(value, Mapping) else value
    return answer if isinstance(answer, Mapping) else {}


def _is_receipt(answer: Mapping[str, object]) -> bool:
    return isinstance(answer.get(_MARK), str) and answer.get("status") == "SENT"
