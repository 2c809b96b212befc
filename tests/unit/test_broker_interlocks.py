"""Business Unit: execution | Status: current.

What stands between a mode and an order: interlocks, refusing before anything could be sent.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from shadow.aws.broker_factory import BrokerSettings, connect_broker, fingerprint_of
from shadow.aws.candidate import ExecuteEnvironment, PrepareEnvironment, StateEnvironment, TradeDesk
from shadow.aws.effects import RecordedEffects
from shadow.broker.credentials import AlpacaCredentials
from shadow.broker.recording import RecordingBroker
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.vocabulary import ExecutionMode
from shadow.execution.errors import InterlockViolation
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
    with pytest.raises(InterlockViolation, match="was the control's account"):
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


def test_live_refuses_while_both_lanes_are_published_to() -> None:
    with pytest.raises(InterlockViolation, match="DUAL_PUBLISHING"):
        connect(settings("live"))
    assert connect(settings("live", dual_publishing=False, endpoint="https://api.alpaca.markets"))


def test_a_malformed_secret_is_an_error_that_does_not_show_it() -> None:
    with pytest.raises(ConfigurationError) as raised:
        connect(settings("dry_run"), Secrets(f'{{"key": "{SECRET}"}}'))

    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def environment(mode: str, **values: str) -> dict[str, Any]:
    return {"execution_mode": mode, "candidate_state_table_name": "t", "broker_secret_id": "s", **values}


def test_dry_run_cannot_reach_an_order_endpoint() -> None:
    desk = TradeDesk(ExecuteEnvironment(**environment("dry_run")), FakeBroker(), SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]

    executor = desk.executor()

    assert isinstance(executor._broker, RecordingBroker)
    assert not hasattr(executor._broker, "_market")
    assert executor._settings.holding(trade("A", "-10", held="7")) == 7
    assert executor._settings.holding(trade("A", "-10")) is None


def test_paper_asks_its_own_account_what_is_held() -> None:
    broker = FakeBroker(held={"A": trade().trade_amount})
    desk = TradeDesk(ExecuteEnvironment(**environment("paper")), broker, SimpleNamespace(), SimpleNamespace())  # type: ignore[arg-type]

    assert desk.executor()._settings.holding(trade("A", "-10", held="7")) == 1000


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
        StateEnvironment(**environment("live", **places)).effects()
    with pytest.raises(ConfigurationError, match="EVENT_BUS_NAME"):
        StateEnvironment(**environment("live"), dual_publishing=False).effects()
    assert StateEnvironment(**environment("live", **places), dual_publishing=False).effects()._emitter is not None


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

    assert run_settings.equity(SimpleNamespace(rebalance_plan=SimpleNamespace(total_portfolio_value=5))) == 5  # type: ignore[arg-type]
