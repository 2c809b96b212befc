"""Business Unit: evidence | Status: current.

Which accounts the comparator may ask, and how it reaches them: to read only, and not before the first question. Off unless
`BROKER_TRUTH` is true. A lane in dry run sends no orders, so its account is not asked.

The comparator asks no account more often than its own share allows, which all its processes have together: the lane that trades
there needs the account's requests more.
"""

from __future__ import annotations

from collections.abc import Callable

from shadow.aws import clients
from shadow.aws.broker import read_secret
from shadow.aws.candidate_state import DynamoRequestBudget
from shadow.aws.environment import Environment
from shadow.broker.credentials import AlpacaCredentials
from shadow.broker.pacing import RequestGate, RequestLimits
from shadow.broker.read_only import AccountBook, ReadOnlyAccount
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.vocabulary import ExecutionMode, Lane
from shadow.execution.ports import SystemClock
from shadow.lanes.brokers.truth import BrokerTruthReader

Connect = Callable[[AlpacaCredentials, RequestGate], AccountBook]
PART, LEAST = 5, 3
"""The comparator's share of an account is a fifth of the workflow's, and at least three requests a minute."""
WINDOW, PATIENCE = 12, 15
"""Seconds of one window of its budget, and for how long it waits for a place: a sweep that waits still ends within its minute."""


class BrokerTruthEnvironment(Environment):
    """Where the lanes' accounts are. An empty endpoint is the paper account's."""

    broker_truth: bool = False
    execution_mode: ExecutionMode = ExecutionMode.DRY_RUN
    production_lane: Lane = Lane.LEGACY
    legacy_shadow_mode: ExecutionMode = ExecutionMode.DRY_RUN
    control_broker_secret_id: str = ""
    control_broker_endpoint: str = ""
    broker_secret_id: str = ""
    broker_endpoint: str = ""
    broker_data_endpoint: str = ""
    broker_requests_per_minute: int = 150
    pair_ledger_table_name: str = ""

    def gate(self, secret_id: str) -> RequestGate:
        """Give what lets the comparator's requests out, to the account that `secret_id` opens."""
        limits = RequestLimits(max(self.broker_requests_per_minute // PART, LEAST), window=WINDOW, patience=PATIENCE)
        budget = DynamoRequestBudget(clients.dynamodb(), self.pair_ledger_table_name, secret_id)
        clock = SystemClock()
        return RequestGate(budget, limits, now=clock.now, sleep=clock.sleep)


def broker_truth_from(environment: BrokerTruthEnvironment, connect: Connect) -> BrokerTruthReader | None:
    """Give the reader of both accounts; None where the brokers are not to be asked. Raises `ConfigurationError`."""
    if not environment.broker_truth:
        return None
    legacy_trades = environment.production_lane is Lane.LEGACY
    sends = {
        "control_broker": legacy_trades or environment.legacy_shadow_mode is not ExecutionMode.DRY_RUN,
        "broker": environment.execution_mode is not ExecutionMode.DRY_RUN,
    }
    legacy, workflow = (_account(environment, whose, connect) if orders else None for whose, orders in sends.items())
    return BrokerTruthReader(legacy, workflow) if legacy_trades else BrokerTruthReader(workflow, legacy)


def _account(environment: BrokerTruthEnvironment, whose: str, connect: Connect) -> ReadOnlyAccount:
    """Give the account that the variables beginning with `whose` describe."""
    values = environment.model_dump(include={f"{whose}_secret_id", f"{whose}_endpoint"})
    secret_id, endpoint = str(values[f"{whose}_secret_id"]), str(values[f"{whose}_endpoint"])
    if not secret_id:
        variable = f"{whose}_secret_id".upper()
        raise ConfigurationError(f"{variable}: expected a secret's name while BROKER_TRUTH is true, was nothing")

    def opened() -> AccountBook:
        secret = read_secret(clients.secretsmanager(), secret_id)
        credentials = AlpacaCredentials(secret.key, secret.secret, endpoint, environment.broker_data_endpoint)
        return connect(credentials, environment.gate(secret_id))

    return ReadOnlyAccount(opened)
