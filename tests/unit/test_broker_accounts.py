"""Which accounts the comparator asks, and which orders of them may be another run's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from functions.compare_outcomes import lambda_handler as compare
from shadow.broker.pacing import RequestGate, RequestLimits
from shadow.broker.port import (
    Account,
    Activity,
    AlpacaCredentials,
    BrokerProtocolError,
    BrokerRefused,
    BrokerUnavailable,
    Holding,
    OrderList,
    Quote,
)
from shadow.broker.recording import AccountBook
from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.pair import Pair, PairLedger, UnreadablePair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import ExecutionMode, Lane, Origin, Role, RunStatus, Side, TradeStatus
from shadow.lanes.brokers.orders import Neighbours
from shadow.lanes.brokers.truth import BrokerTruthEnvironment, BrokerTruthReader, broker_truth_from, neighbours_of
from tests.factories.cloud_tables import fresh_aws
from tests.factories.pairs import pair_of
from tests.factories.two_lanes import Windows
from tests.fakes.plans import plan_of

NOW = datetime(2026, 11, 24, 21, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
ON = {"broker_truth": True, "control_broker_secret_id": "control", "broker_secret_id": "candidate"}
PLAN = plan_of(AAPL="-600", MSFT="1000")
OTHER = plan_of(name="other", AAPL="500", GOOG="700")


class Nothing:
    """An account without orders or positions that remembers how it was reached."""

    def __init__(self) -> None:
        self.reached: list[AlpacaCredentials] = []

    def connect(self, credentials: AlpacaCredentials, gate: RequestGate) -> AccountBook:
        assert (gate.limits.per_minute, gate.limits.window, gate.limits.patience) == (30, 12, 15)
        self.reached.append(credentials)
        return self

    def orders_between(self, after: object, until: object) -> OrderList:
        del after, until
        return OrderList()

    def order_by_client_id(self, client_order_id: str) -> None:
        del client_order_id

    def order_by_id(self, order_id: str) -> None:
        del order_id

    def holdings(self) -> list[Holding]:
        return []

    def account(self) -> Account:
        return Account("secret", Decimal(0), Decimal(0))

    def activities(self, after: object) -> list[Activity]:
        del after
        return []

    def quotes(self, symbols: object) -> list[Quote]:
        del symbols
        return []


@pytest.fixture
def secrets() -> Iterator[Any]:
    with fresh_aws():
        client = boto3.client("secretsmanager")
        for name in ("control", "candidate"):
            text = json.dumps({"key": f"{name}-key", "secret": f"{name}-secret"})
            client.create_secret(Name=name, SecretString=text)
        yield client


def run_of(role: Role, plan: RebalancePlan = PLAN) -> RunOutcome:
    pair = pair_of(plan)
    trade = TradeOutcome(trade_id="t", symbol="AAPL", action=Side.SELL, status=TradeStatus.COMPLETED)
    return RunOutcome(
        role=role,
        lane=Lane.LEGACY if role is Role.CONTROL else Lane.WORKFLOW,
        run_id=pair.run_id,
        plan_id=plan.plan_id,
        status=RunStatus.COMPLETED,
        trades=(trade,),
        started_at=pair.published_at,
        completed_at=pair.published_at + timedelta(minutes=1),
    )


def test_without_broker_truth_nobody_is_asked() -> None:
    assert broker_truth_from(BrokerTruthEnvironment(), Nothing().connect) is None


def test_nothing_is_connected_before_the_first_question() -> None:
    account = Nothing()
    broker_truth_from(BrokerTruthEnvironment.model_validate(ON), account.connect)
    assert account.reached == []


@pytest.mark.parametrize("mode", ExecutionMode)
def test_the_candidate_s_account_is_asked_unless_it_runs_dry(mode: ExecutionMode, secrets: object) -> None:
    assert secrets
    account = Nothing()
    values = {**ON, "execution_mode": mode, "control_broker_endpoint": "https://control.test"}
    reader = broker_truth_from(BrokerTruthEnvironment.model_validate(values), account.connect)
    assert reader is not None
    document = reader.read(run_of(Role.CONTROL), run_of(Role.CANDIDATE), Neighbours(), NOW, NOW)
    lanes = ["control"] if mode is ExecutionMode.DRY_RUN else ["control", "candidate"]

    assert list(document) == [*lanes, "market"]
    assert [credentials.key for credentials in account.reached] == [f"{role}-key" for role in lanes]
    assert account.reached[0].endpoint == "https://control.test"


def test_a_secret_that_is_not_named_is_told_at_once_and_one_that_is_not_there_is_no_evidence_yet(secrets: object) -> None:
    assert secrets
    with pytest.raises(ConfigurationError, match="CONTROL_BROKER_SECRET_ID"):
        broker_truth_from(BrokerTruthEnvironment(broker_truth=True), Nothing().connect)
    paper = {**ON, "execution_mode": "paper", "broker_secret_id": ""}
    with pytest.raises(ConfigurationError, match="BROKER_SECRET_ID"):
        broker_truth_from(BrokerTruthEnvironment.model_validate(paper), Nothing().connect)
    absent = BrokerTruthEnvironment.model_validate({**ON, "control_broker_secret_id": "absent"})
    reader = broker_truth_from(absent, Nothing().connect)
    assert reader is not None
    with pytest.raises(EvidenceUnavailable, match="control broker"):
        reader.read(run_of(Role.CONTROL), None, Neighbours(), NOW, NOW)


def test_the_comparator_starts_without_the_broker_s_library() -> None:
    program = "import lambda_handler, sys; print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", program],
        cwd=ROOT / "functions" / "compare_outcomes",
        env={"PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "'shadow'" in done.stdout
    assert "'alpaca'" not in done.stdout
    gate = RequestGate(Windows(), RequestLimits(), now=lambda: NOW, sleep=lambda _: None)
    account = compare._connect(AlpacaCredentials("key", "secret"), gate)
    assert type(account).__name__ == "AlpacaBroker"


class Day:
    """The ledger of one day."""

    def __init__(self, *pairs: Pair | UnreadablePair) -> None:
        self.pairs = pairs

    def pairs_of(self, trading_day: date) -> list[Pair | UnreadablePair]:
        del trading_day
        return list(self.pairs)


class Plans:
    """The plans of the day's other pairs."""

    def plan_of(self, pair: Pair) -> RebalancePlan:
        return {OTHER.plan_id: OTHER}[pair.plan_id]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"AAPL"}),
        ({"settled_at": pair_of(PLAN).published_at + timedelta(seconds=1)}, {"AAPL"}),
        ({"published_at": pair_of(PLAN).published_at + timedelta(minutes=2)}, {"AAPL"}),
        ({"published_at": pair_of(PLAN).published_at + timedelta(minutes=5)}, set()),
        ({"settled_at": pair_of(PLAN).published_at - timedelta(minutes=1)}, set()),
        ({"origin": Origin.REPLAY}, set()),
    ],
)
def test_a_symbol_is_shared_with_a_run_that_traded_it_at_the_same_time(changes: dict[str, object], expected: set[str]) -> None:
    begun = {"at": pair_of(PLAN).published_at - timedelta(minutes=2)} if "settled_at" in changes else {}
    other = pair_of(OTHER, **begun).model_copy(update=changes)
    day = cast("PairLedger", Day(pair_of(PLAN), other))

    assert neighbours_of(pair_of(PLAN), run_of(Role.CONTROL), day, Plans()).symbols == expected


def test_a_symbol_is_shared_whichever_notation_the_other_plan_has_for_it() -> None:
    items = tuple(item.model_copy(update={"symbol": f"EQUITIES::{item.symbol}//USD"}) for item in OTHER.items)

    class Extended(Plans):
        def plan_of(self, pair: Pair) -> RebalancePlan:
            return super().plan_of(pair).model_copy(update={"items": items})

    day = cast("PairLedger", Day(pair_of(PLAN), pair_of(OTHER)))
    found = neighbours_of(pair_of(PLAN), run_of(Role.CONTROL), day, Extended())
    assert found.symbols == {"AAPL"}
    assert [found.traded(name) for name in ("AAPL", "EQUITIES::AAPL//USD", "MSFT", None)] == [True, True, False, False]


def test_a_pair_that_cannot_be_read_shares_everything_and_no_run_shares_nothing() -> None:
    day = cast("PairLedger", Day(pair_of(PLAN), UnreadablePair("PLAN#x", "torn")))
    assert neighbours_of(pair_of(PLAN), run_of(Role.CONTROL), day, Plans()).symbols == {"AAPL"}
    assert neighbours_of(pair_of(PLAN), None, day, Plans()).symbols == set()


def test_of_the_day_s_other_runs_the_ids_are_known_whenever_they_ran_and_whatever_was_shared() -> None:
    theirs = {trade_id_of(run_id_of(OTHER.plan_id), item.symbol, item.action) for item in OTHER.tradable_items}
    late = pair_of(OTHER).model_copy(update={"published_at": pair_of(PLAN).published_at + timedelta(hours=1)})
    replayed = pair_of(OTHER).model_copy(update={"origin": Origin.REPLAY})
    for other in (pair_of(OTHER), late, replayed):
        day = cast("PairLedger", Day(pair_of(PLAN), other, pair_of(PLAN)))
        for control in (run_of(Role.CONTROL), None):
            assert neighbours_of(pair_of(PLAN), control, day, Plans()).trade_ids == theirs
    torn = cast("PairLedger", Day(UnreadablePair("PLAN#x", "torn"), late))
    found = neighbours_of(pair_of(PLAN), run_of(Role.CONTROL), torn, Plans())
    assert (found.symbols, found.trade_ids) == ({"AAPL"}, theirs)


ASKED = [
    (("legacy", "dry_run", "dry_run"), {"control": "control-key"}),
    (("legacy", "dry_run", "paper"), {"control": "control-key"}),
    (("legacy", "paper", "dry_run"), {"control": "control-key", "candidate": "candidate-key"}),
    (("legacy", "live", "live"), {"control": "control-key", "candidate": "candidate-key"}),
    (("workflow", "live", "dry_run"), {"control": "candidate-key"}),
    (("workflow", "live", "paper"), {"control": "candidate-key", "candidate": "control-key"}),
    (("workflow", "dry_run", "paper"), {"candidate": "control-key"}),
    (("workflow", "dry_run", "dry_run"), {}),
]
"""The lane in production, and the modes of the workflow and of the legacy lane; then the key that opens the account of a role."""


def test_each_role_is_asked_in_the_account_of_the_lane_that_has_it_unless_that_lane_sends_no_orders(secrets: object) -> None:
    """The secret that is called the control's opens the account of the legacy lane, whatever its role."""
    assert secrets
    for modes, keys in ASKED:
        account = Nothing()
        lanes = dict(zip(("production_lane", "execution_mode", "legacy_shadow_mode"), modes, strict=True))
        reader = broker_truth_from(BrokerTruthEnvironment.model_validate(ON | lanes), account.connect)
        assert reader is not None
        document = reader.read(run_of(Role.CONTROL), run_of(Role.CANDIDATE), Neighbours(), NOW, NOW)
        assert list(document) == [*keys, *(["market"] if keys else [])], modes
        assert [credentials.key for credentials in account.reached] == list(keys.values()), modes
        assert list(reader.look(NOW, NOW)) == list(keys), modes


def test_the_comparator_has_a_fifth_of_an_account_s_requests() -> None:
    with fresh_aws():
        for workflow, share in ((150, 30), (149, 29), (34, 6), (30, 6), (29, 6), (11, 6)):
            gate = BrokerTruthEnvironment(broker_requests_per_minute=workflow).gate("secret")
            assert gate.limits == RequestLimits(share, window=12, patience=15)


class Remembering(Nothing):
    """An account that remembers since when it was asked and for which symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.since: set[object] = set()
        self.quoted: list[set[str]] = []

    def orders_between(self, after: object, until: object) -> OrderList:
        assert until is None
        self.since.add(after)
        return OrderList()

    def activities(self, after: object) -> list[Activity]:
        self.since.add(after)
        return []

    def quotes(self, symbols: Any) -> list[Quote]:
        self.quoted.append(set(symbols))
        return []


@pytest.mark.parametrize(
    ("control", "candidate", "since"),
    [
        (None, None, -300),
        (-295, None, -300),
        (-296, None, -301),
        (-400, -600, -605),
        (-600, -400, -605),
        (60, 90, -300),
    ],
)
def test_orders_are_looked_for_from_five_minutes_before_the_plan_or_from_the_first_run_s_start(
    control: int | None, candidate: int | None, since: int
) -> None:
    runs = [
        run_of(role).model_copy(update={"started_at": None if at is None else NOW + timedelta(seconds=at)})
        for role, at in ((Role.CONTROL, control), (Role.CANDIDATE, candidate))
    ]
    book = Remembering()
    document = BrokerTruthReader(book, book).read(runs[0], runs[1], Neighbours(), NOW, NOW)
    assert book.since == {NOW + timedelta(seconds=since)}
    assert book.quoted == [{"AAPL"}]
    found: Any = document["candidate"]
    assert (found["since"], found["at"], found["is_steady"], found["looked_up"]) == (min(book.since), NOW, True, [])


def test_a_lane_without_a_run_or_an_account_is_not_asked_and_the_market_is_asked_where_any_was() -> None:
    run, books = run_of(Role.CONTROL), (Remembering(), Remembering())
    near = Neighbours(frozenset({"B", "A"}), frozenset({"z", "y"}))
    document: Any = BrokerTruthReader(*books).read(run, None, near, NOW, NOW)
    assert list(document) == ["control", "market"]
    assert document["control"]["neighbours"] == {"symbols": ["A", "B"], "trade_ids": ["y", "z"]}
    assert [book.quoted for book in books] == [[], [{"AAPL"}]]
    assert BrokerTruthReader(None, books[1]).read(run, None, near, NOW, NOW) == {}
    assert BrokerTruthReader(*books).read(None, None, near, NOW, NOW) == {}
    assert list(BrokerTruthReader(books[0], None).read(run, run_of(Role.CANDIDATE), near, NOW, NOW)) == ["control", "market"]
    assert books[0].quoted == [{"AAPL"}]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BrokerProtocolError("order.type: expected limit"), "BrokerProtocolError: order.type: expected limit"),
        (BrokerUnavailable("503 of the host"), "BrokerUnavailable"),
        (BrokerRefused("403 of the key"), "BrokerRefused"),
        (ConfigurationError("secret: expected"), "ConfigurationError"),
    ],
)
def test_an_account_that_does_not_answer_is_told_by_its_kind_and_an_answer_not_understood_by_its_field(
    error: Exception, told: str
) -> None:
    class Failing(Nothing):
        def orders_between(self, after: object, until: object) -> OrderList:
            del after, until
            raise error

    with pytest.raises(EvidenceUnavailable) as refused:
        BrokerTruthReader(None, Failing()).look(NOW, NOW)
    assert str(refused.value) == f"candidate broker: {told}"
