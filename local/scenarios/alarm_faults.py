"""Business Unit: local cloud | Status: current.

What is done to a running stack so that each alarm goes off, and how it is mended. `alarms.toml` says which alarms each fault must
set off; the names here are its.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from importlib.resources import files
from typing import TypeAlias

from local.cloud.emf import EmittedMetric
from local.market import ClosingPrices
from local.operator import FunctionFailed, Operator
from local.scenarios.alarm_bench import Bench
from local.scenarios.corpus import CorpusCase, case_of
from local.scenarios.corpus_run import DECIDES_AT_ONCE, play, set_up
from local.scenarios.planting import Place, Plant
from local.stack import FAST, STAGE
from shadow.aws.pair_ledger import pair_to_item
from shadow.aws.table import item_of
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, candidate_pk, intent_sk
from shadow.contracts.comparison import Verdict
from shadow.contracts.control_records import DetailType
from shadow.contracts.pair import Pair, PairState
from shadow.contracts.vocabulary import ExecutionMode, Role, Side, SizingBasis
from shadow.contracts.words import MARKET_ZONE
from shadow.settlement.sweeper import is_exchange_open

Mend: TypeAlias = Callable[[], None]
_COMPARATOR, _REPORT, _PUBLISHER, _INTAKE = "compare-outcomes", "daily-report", "publish-plan", "shadow-intake"
_NOON = time_of_day(12)
_ENOUGH_TO_DILUTE = 10
_READ_WITHIN = 5.0
_KNOWN = """
[[known]]
id = "twice-told"
owner = "the desk"
reason = "the end of a run is announced twice"
kind = "COMPLETION_TWICE"
expires = 2099-12-31
budget_a_day = 1
"""


@dataclass
class Mishaps:
    """Does things to one stack. Every one gives the way back."""

    operator: Operator
    bench: Bench
    prices: ClosingPrices = field(default_factory=ClosingPrices.bundled)
    count: int = 0

    def begin(self) -> None:
        """Compare a clean plan of the last trading day, so that none is missing, and let the report's mail be taken."""
        access = self.operator.stack.access
        mail = access.session.client("ses", endpoint_url=access.endpoint, config=access.config)
        for parameter in ("ReportSender", "ReportRecipients"):
            mail.verify_email_identity(EmailAddress=FAST[parameter])
        self._run(self._case(on=_last_trading_day()))

    def do(self, name: str) -> Mend:
        """Do what `name` says."""
        act: Callable[[], Mend] = getattr(self, name)
        return act()

    # ------------------------------------------------------------------ what a lane does

    def critical_difference(self) -> Mend:
        """Let the candidate size a trade by its target value."""
        return self._planted("candidate", "sized_by_target", Place.SMALLEST_BUY)

    def double_order(self) -> Mend:
        """Let the candidate have two filled orders for one trade."""
        return self._planted("candidate", "ordered_twice", Place.LARGEST_BUY)

    def divergence(self) -> Mend:
        """Let today's only plan diverge; mended by ten that match."""
        today = datetime.now(UTC).astimezone(MARKET_ZONE).date()
        plant = Plant(
            role=Role.CONTROL,
            fault="event_twice",
            event=DetailType.ALL_TRADES_COMPLETED,
            at=Place.RUN,
            expects=("COMPLETION_TWICE",),
            words="announces the end of the run twice",
        )
        self._run(self._case(plant, on=today))

        def mend() -> None:
            self._run(*(self._case(on=today) for _ in range(_ENOUGH_TO_DILUTE)))

        return mend

    def unsaid_reservation(self) -> Mend:
        """Let the candidate's breaker not say what it counted."""
        return self._planted("candidate", "equity_unsaid", Place.LARGEST_BUY)

    def blocked_run(self) -> Mend:
        """Let a large sell fail in both lanes, so that both guards block."""
        case = self._case()
        sold = max(case.plan.tradable_items, key=lambda item: (item.is_full_exit, item.symbol)).symbol
        self._run(replace(case, untradable=(sold,)))
        return _nothing

    def slow_candidate(self) -> Mend:
        """Let every trade of the candidate take half a minute longer."""
        case = self._case()
        set_up(self.operator, (case,))
        fault = {"fault": "slow", "plan_id": case.plan.plan_id, "amount": "31"}
        self.operator.stack.plant_in_candidate([fault])
        play(self.operator, case)
        return lambda: self._run(self._case())

    def control_not_published(self) -> Mend:
        """Let the control publish nothing, and its deadline pass."""
        case = self._case()
        set_up(self.operator, (case,))
        self.operator.stack.plant([{"fault": "run_not_published", "plan_id": case.plan.plan_id}])
        with suppress(FunctionFailed):
            self.operator.publish(case.plan)
        self.operator.await_candidate(case.plan.plan_id)
        self._decide(case)
        return _nothing

    def candidate_refused(self) -> Mend:
        """Let the candidate's start be refused, because there is no such state machine."""
        case = self._case()
        set_up(self.operator, (case,))
        machine = self.operator.stack.output("StateMachineArn")
        self.operator.set_variable(_INTAKE, "STATE_MACHINE_ARN", f"{machine}-gone")
        self.operator.publish(case.plan)
        self._decide(case)
        return lambda: self.operator.set_variable(_INTAKE, "STATE_MACHINE_ARN", machine)

    def queue_gone(self) -> Mend:
        """Let the publisher send to a queue that does not exist."""
        case = self._case()
        set_up(self.operator, (case,))
        url = self.operator.stack.output("IntakeQueueUrl")
        self.operator.set_variable(_PUBLISHER, "SHADOW_INTAKE_QUEUE_URL", f"{url}-gone")
        self.operator.publish(case.plan)
        return lambda: self.operator.set_variable(_PUBLISHER, "SHADOW_INTAKE_QUEUE_URL", url)

    def harness_too_slow(self) -> Mend:
        """Allow the harness a millisecond."""
        case = self._case()
        set_up(self.operator, (case,))
        self.operator.set_variable(_PUBLISHER, "PUBLISH_BOUND_MS", "1")
        self.operator.publish(case.plan)
        return lambda: self.operator.set_variable(_PUBLISHER, "PUBLISH_BOUND_MS", "1000")

    # ------------------------------------------------------------------ what waits

    def pair_waits(self) -> Mend:
        """Let the control lose a trade, two hours ago."""
        case = self._stuck(missing_after=100_000.0, late_after=100_000.0)
        pair = self._pair(case)
        self._put(pair.model_copy(update={"published_at": pair.published_at - timedelta(hours=2)}))
        return lambda: self._decide(case)

    def run_stuck(self) -> Mend:
        """Let the control lose a trade, and stand still for longer than it may."""
        case = self._stuck(stuck_after=0.1, missing_after=100_000.0, late_after=100_000.0)
        return lambda: self._decide(case)

    def order_left_working(self) -> Mend:
        """Let a run that is over have recorded an order and not what became of it."""
        pair = self._copy()
        table = self.operator.stack.output("CandidateStateTableName")
        key = {"PK": {"S": candidate_pk(pair.run_id)}, "SK": {"S": intent_sk("left-working", 0)}}
        now = datetime.now(UTC)
        intent = IntentRecord(
            PK=key["PK"]["S"],
            SK=key["SK"]["S"],
            run_id=pair.run_id,
            trade_id="left-working",
            symbol="AAPL",
            side=Side.BUY,
            step=0,
            attempt=0,
            client_order_id="left-working-0",
            order_type="limit",
            quantity=Decimal(1),
            asked_quantity=Decimal(1),
            sizing_basis=SizingBasis.TRADE_AMOUNT,
            bid=Decimal(99),
            ask=Decimal(101),
            decision_price=Decimal(100),
            execution_mode=ExecutionMode.PAPER,
            status=IntentStatus.OPEN,
            intended_at=now,
        )
        self.operator.stack.tables().put_item(TableName=table, Item=item_of(intent))
        return lambda: self.operator.stack.tables().delete_item(TableName=table, Key=key) and None

    # ------------------------------------------------------------------ what the ledger says

    def unreadable_pair(self) -> Mend:
        """Let a pair of the last trading day not be readable."""
        pair = self._copy(plan_id="unreadable")
        self._put(pair, state={"S": "NONSENSE"})
        return lambda: self._remove(pair)

    def costly_month(self) -> Mend:
        """Let a run of this month have made half a million state transitions."""
        first = datetime.now(UTC).astimezone(MARKET_ZONE).date().replace(day=1)
        judged = {"state": PairState.JUDGED, "verdict": Verdict.MATCHED, "state_transitions": 500_000}
        pair = self._copy(plan_id="costly", trading_day=first, **judged)
        self._put(pair)
        return lambda: self._remove(pair)

    def uncompared_day(self) -> Mend:
        """Let the last trading day have no comparison."""
        pairs = [pair for pair in self.operator.ledger.pairs_of(_last_trading_day()) if isinstance(pair, Pair)]
        for pair in pairs:
            self._remove(pair)

        def mend() -> None:
            for pair in pairs:
                self._put(pair)

        return mend

    def known_over_budget(self) -> Mend:
        """Let a registered divergence happen twice a day where once is allowed, and the day be reported."""
        policy = self.operator.stack.folder / "policy.toml"
        default = files("shadow.compare").joinpath("default_policy.toml").read_text(encoding="utf-8")
        policy.write_text(default + _KNOWN, encoding="utf-8")
        for function in (_COMPARATOR, _REPORT):
            self.operator.set_variable(function, "POLICY_PATH", str(policy))
        cases = [self._case(), self._case()]
        day = {"day": cases[0].day.isoformat()}
        for case in cases:
            plant = {"fault": "event_twice", "event": "AllTradesCompleted"}
            set_up(self.operator, (case,))
            self.operator.stack.plant([{**plant, "plan_id": case.plan.plan_id}])
            play(self.operator, case)
        self.operator.call("DailyReportFunctionName", day)

        def mend() -> None:
            self.operator.await_quiet()
            for function in (_COMPARATOR, _REPORT):
                self.operator.set_variable(function, "POLICY_PATH", "")
            self.operator.call("DailyReportFunctionName", day)

        return mend

    # ------------------------------------------------------------------ what functions and services do

    def poisoned_hint(self) -> Mend:
        """Put a hint on the comparator's queue that nobody can read."""
        url = self.operator.stack.output("ComparatorQueueUrl")
        sqs = self.operator.stack.access.sqs()
        sqs.send_message(QueueUrl=url, MessageBody="{")
        time.sleep(_READ_WITHIN)
        sqs.purge_queue(QueueUrl=url)
        return _nothing

    def comparator_crashes(self) -> Mend:
        """Call the comparator with deadlines that it cannot read."""
        self.operator.set_variable(_COMPARATOR, "SETTLEMENT_DEADLINES", "nonsense")
        with suppress(FunctionFailed):
            self.operator.sweep()
        self.operator.set_deadlines(DECIDES_AT_ONCE)
        return _nothing

    def report_fails(self) -> Mend:
        """Call the daily report with a policy that is not there."""
        self.operator.set_variable(_REPORT, "POLICY_PATH", "/nowhere/policy.toml")
        with suppress(FunctionFailed):
            self.operator.call("DailyReportFunctionName", {"day": self.prices.days[-1].isoformat()})
        self.operator.set_variable(_REPORT, "POLICY_PATH", "")
        return _nothing

    def dead_hint(self) -> Mend:
        """Leave a message in the comparator's dead-letter queue."""
        return self._dead_letter("shadow-comparator-dlq")

    def plan_waits(self) -> Mend:
        """Report a plan that waits for the intake as the service would: the emulator does not tell a message's age."""
        queue = self.operator.stack.output("IntakeQueueUrl").rsplit("/", 1)[-1]
        return self._service_says("AWS/SQS", "ApproximateAgeOfOldestMessage", ("QueueName", queue), 360, "Seconds")

    def dead_publication(self) -> Mend:
        """Leave a message in the intake's dead-letter queue."""
        return self._dead_letter("shadow-intake-dlq")

    def dead_trade(self) -> Mend:
        """Leave a message in the execution queue's dead-letter queue."""
        return self._dead_letter("execution-dlq.fifo")

    def dead_plan(self) -> Mend:
        """Leave a message in the publisher's dead-letter queue."""
        return self._dead_letter("publish-plan-dlq")

    def execution_timed_out(self) -> Mend:
        """Report a timed-out execution as the service would: the emulator ends none for its time."""
        return self._execution_says("ExecutionsTimedOut")

    def execution_throttled(self) -> Mend:
        """Report a throttled execution as the service would: the emulator throttles none."""
        return self._execution_says("ExecutionThrottled")

    # ------------------------------------------------------------------ helpers

    def _planted(self, role: str, fault: str, at: Place) -> Mend:
        plant = Plant(role=Role(role), fault=fault, at=at, expects=("COUNTERS",), words=fault)
        self._run(self._case(plant))
        return _nothing

    def _case(self, plant: Plant | None = None, on: date | None = None) -> CorpusCase:
        """Make the next case; `on` is the New York date that its plan is of."""
        self.count += 1
        case = case_of(self.prices, 500 + self.count, 0, plant)
        if on is None:
            return case
        at = datetime.combine(on, _NOON, tzinfo=MARKET_ZONE)
        return replace(case, plan=case.plan.model_copy(update={"timestamp": at}))

    def _run(self, *cases: CorpusCase) -> None:
        set_up(self.operator, cases)
        for case in cases:
            play(self.operator, case)
        self._decide(*cases)

    def _decide(self, *cases: CorpusCase) -> None:
        """Let the pairs be judged by what is there now."""
        self.operator.await_quiet()
        self.operator.set_deadlines(DECIDES_AT_ONCE)
        for case in cases:
            self.operator.await_verdict(case.plan.plan_id, sweeping=True)

    def _stuck(self, **deadlines: float) -> CorpusCase:
        case = self._case()
        set_up(self.operator, (case,))
        bought = case.plan.tradable_items[-1].symbol
        self.operator.stack.plant([{"fault": "trade_lost", "plan_id": case.plan.plan_id, "symbol": bought}])
        self.operator.set_deadlines(deadlines)
        play(self.operator, case)
        return case

    def _pair(self, case: CorpusCase) -> Pair:
        pair = self.operator.ledger.get(case.plan.plan_id)
        if pair is None:
            raise LookupError(case.plan.plan_id)
        return pair

    def _copy(self, **changes: object) -> Pair:
        pairs = [pair for pair in self.operator.ledger.pairs_of(_last_trading_day()) if isinstance(pair, Pair)]
        return pairs[0].model_copy(update=changes)

    def _put(self, pair: Pair, **attributes: dict[str, str]) -> None:
        item = {**pair_to_item(pair), **attributes}
        self.operator.stack.tables().put_item(TableName=self.operator.stack.output("PairLedgerTableName"), Item=item)

    def _remove(self, pair: Pair) -> None:
        key = {name: pair_to_item(pair)[name] for name in ("PK", "SK")}
        self.operator.stack.tables().delete_item(TableName=self.operator.stack.output("PairLedgerTableName"), Key=key)

    def _dead_letter(self, queue: str) -> Mend:
        sqs = self.operator.stack.access.sqs()
        url = sqs.get_queue_url(QueueName=f"alchemiser-{STAGE}-{queue}")["QueueUrl"]
        group = {"MessageGroupId": "dead", "MessageDeduplicationId": "dead"} if queue.endswith(".fifo") else {}
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"dead": True}), **group)  # type: ignore[arg-type]  # two texts
        return lambda: sqs.purge_queue(QueueUrl=url) and None

    def _execution_says(self, metric: str) -> Mend:
        machine = self.operator.stack.output("StateMachineArn")
        return self._service_says("AWS/States", metric, ("StateMachineArn", machine), 1, "Count")

    def _service_says(self, namespace: str, metric: str, dimension: tuple[str, str], value: int, unit: str) -> Mend:
        emitted = EmittedMetric(namespace, metric, (dimension,), Decimal(value), unit, datetime.now(UTC))
        self.bench.planted.append(emitted)
        return _nothing


def _nothing() -> None:
    """Mend nothing: it is over by itself."""


def _last_trading_day() -> date:
    day = datetime.now(UTC).astimezone(MARKET_ZONE).date() - timedelta(days=1)
    while not is_exchange_open(day):
        day -= timedelta(days=1)
    return day
