"""Business Unit: execution | Status: current.

What stands between a mode and an order: interlocks, refusing before anything could be sent.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from shadow.aws.broker import BrokerSettings, connect_broker, fingerprint_of
from shadow.aws.candidate import ExecuteEnvironment, PrepareEnvironment, RecordedEffects, StateEnvironment, TradeDesk
from shadow.aws.candidate_state import RunModes
from shadow.broker.port import AlpacaCredentials
from shadow.broker.recording import RecordingBroker
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.vocabulary import ExecutionMode, Lane
from shadow.execution.ports import InterlockViolation, RunNotPrepared
from tests.fakes.candidate import FakeBroker, trade

SECRET = "canary-secret"
OWN = fingerprint_of("candidate-account")
OTHER = fingerprint_of("control-account")


class Secrets:
    def __init__(self, text: str = json.dumps({"key": "key", "secret": SECRET, "account_number": "1"})) -> None:
        self.text = text

    def get_secret_value(self, **_: str) -> dict[str, str]:
        return {"SecretString": self.text}


def settings(mode: str, **changes: Any) -> BrokerSettings:
    values = {
        "mode": ExecutionMode(mode),
        "dual_publishing": True,
        "secret_id": "candidate",
        "endpoint": "https://paper-api.alpaca.markets",
        "data_endpoint": "",
        "control_account_fingerprint": OTHER,
    }
    return BrokerSettings(**(values | changes))


def connect(given: BrokerSettings, secrets: Any = None, seen: list[AlpacaCredentials] | None = None) -> FakeBroker:
    def open_account(credentials: AlpacaCredentials) -> FakeBroker:
        (seen if seen is not None else []).append(credentials)
        return FakeBroker()

    return connect_broker(given, secrets or Secrets(), open_account)  # type: ignore[return-value]


def test_paper_trades_with_an_account_of_its_own() -> None:
    seen: list[AlpacaCredentials] = []

    assert connect(settings("paper"), seen=seen)
    assert (seen[0].key, seen[0].endpoint) == ("key", "https://paper-api.alpaca.markets")


def test_paper_refuses_the_controls_account() -> None:
    with pytest.raises(InterlockViolation, match="was the account in production"):
        connect(settings("paper", control_account_fingerprint=OWN.upper()))


@pytest.mark.parametrize(
    "changes",
    [{"endpoint": "https://api.alpaca.markets"}, {"control_account_fingerprint": ""}],
    ids=["live endpoint", "no fingerprint"],
)
def test_paper_refuses_what_it_cannot_be_sure_of_before_it_connects(changes: dict[str, str]) -> None:
    seen: list[AlpacaCredentials] = []

    with pytest.raises(InterlockViolation):
        connect(settings("paper", **changes), seen=seen)
    assert seen == []


LIVE = {"endpoint": "https://api.alpaca.markets", "control_account_fingerprint": OWN}


@pytest.mark.parametrize("dual_publishing", [True, False])
def test_live_refuses_while_the_legacy_lane_is_in_production(*, dual_publishing: bool) -> None:
    seen: list[AlpacaCredentials] = []
    with pytest.raises(InterlockViolation, match="while PRODUCTION_LANE is legacy") as refused:
        connect(settings("live", dual_publishing=dual_publishing, **LIVE), seen=seen)
    assert ("DUAL_PUBLISHING" in str(refused.value)) is dual_publishing
    assert seen == []


@pytest.mark.parametrize("dual_publishing", [True, False])
def test_a_workflow_in_production_trades_the_account_in_production(*, dual_publishing: bool) -> None:
    in_production = {**LIVE, "production_lane": Lane.WORKFLOW, "dual_publishing": dual_publishing}
    assert connect(settings("live", **in_production))
    with pytest.raises(InterlockViolation, match="expected the account in production in live mode"):
        connect(settings("live", **in_production | {"control_account_fingerprint": OTHER}))
    with pytest.raises(InterlockViolation, match="CONTROL_ACCOUNT_FINGERPRINT"):
        connect(settings("live", **in_production | {"control_account_fingerprint": ""}))


def test_a_malformed_secret_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(ConfigurationError) as raised:
        connect(settings("dry_run"), Secrets(f'{{"key": "{SECRET}"}}'))

    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def environment(mode: str, **values: str) -> dict[str, Any]:
    return {"execution_mode": mode, "candidate_state_table_name": "t", "broker_secret_id": "s", **values}


class Runs(RunModes):
    def __init__(self, opened: str | None) -> None:
        self.opened = opened

    def _get(self, pk: str, sk: str) -> dict[str, object] | None:
        names = dict.fromkeys(("run_id", "plan_id", "correlation_id"), "run")
        amounts = dict.fromkeys(("equity_limit", "reserved", "headroom"), 0)
        at = "2026-11-24T20:45:00+00:00"
        run = {"PK": pk, "SK": sk, **names, **amounts, "reservations": {}, "opened_at": at, "execution_mode": self.opened}
        return None if self.opened is None else run


def desk(mode: str, broker: FakeBroker, opened: str | None = "") -> TradeDesk:
    runs = Runs(mode if opened == "" else opened)
    nothing: Any = SimpleNamespace()
    return TradeDesk(ExecuteEnvironment(**environment(mode)), broker, nothing, runs, nothing)


def test_dry_run_cannot_reach_an_order_endpoint() -> None:
    executor = desk("dry_run", FakeBroker()).executor("run")

    assert isinstance(executor._broker, RecordingBroker)
    assert not hasattr(executor._broker, "_market")
    assert executor._settings.holding(trade("A", "-10", held="7")) == 7
    assert executor._settings.holding(trade("A", "-10")) is None


def test_paper_asks_its_own_account_what_is_held() -> None:
    broker = FakeBroker(held={"A": trade().trade_amount})
    assert desk("paper", broker).executor("run")._settings.holding(trade("A", "-10", held="7")) == 1000


@pytest.mark.parametrize(("opened", "mode"), [("dry_run", "live"), ("live", "dry_run"), ("paper", "dry_run")])
def test_a_run_that_was_opened_in_another_mode_is_not_executed(opened: str, mode: str) -> None:
    with pytest.raises(InterlockViolation, match=f"expected mode {opened}, in which it was opened, was {mode}"):
        desk(mode, FakeBroker(), opened=opened).executor("run")
    with pytest.raises(RunNotPrepared):
        desk(mode, FakeBroker(), opened=None).executor("run")


@pytest.mark.parametrize("mode", ["dry_run", "paper"])
def test_c14_a_candidate_emits_nothing(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    effects = StateEnvironment(**environment(mode), event_bus_name="bus", trade_ledger_table_name="ledger").effects()

    assert isinstance(effects, RecordedEffects)
    assert effects._emitter is None


def test_live_effects_need_the_switch_and_somewhere_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    places = {"event_bus_name": "bus", "trade_ledger_table_name": "ledger"}

    with pytest.raises(InterlockViolation):
        StateEnvironment(**environment("live", **places), dual_publishing=False).effects()
    with pytest.raises(ConfigurationError, match="EVENT_BUS_NAME"):
        StateEnvironment(**environment("live"), production_lane=Lane.WORKFLOW).effects()
    effects = StateEnvironment(**environment("live", **places), production_lane=Lane.WORKFLOW).effects()
    assert effects._emitter is not None


def test_the_walk_is_configured_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment("paper").items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("WALK_FRACTIONS", "0.5,0.9")
    monkeypatch.setenv("WALK_STEP_SECONDS", "0.5")

    policy = ExecuteEnvironment.load().policy()

    assert [str(fraction) for fraction in policy.fractions] == ["0.5", "0.9"]
    assert (policy.limit_seconds, policy.market_seconds) == (0.5, 30)
    monkeypatch.setenv("WALK_POLL_SECONDS", "0")
    with pytest.raises(ConfigurationError, match="WALK_POLL_SECONDS"):
        ExecuteEnvironment.load().policy()


def test_dry_run_takes_the_plans_value_for_equity_without_asking_a_broker() -> None:
    given = PrepareEnvironment(**environment("dry_run"))

    run_settings = given.run_settings(lambda: pytest.fail("a broker was asked"))

    plan = SimpleNamespace(total_portfolio_value=5)
    assert run_settings.equity(SimpleNamespace(plan_id="plan", origin="live", rebalance_plan=plan)) == 5  # type: ignore[arg-type]
