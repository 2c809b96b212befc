"""Business Unit: AWS adapters | Status: current.

Which broker a mode may have, and the interlocks that stand before it. A lane knows one secret, its own; dry run uses it for
quotes and the clock only. How to connect is given by the handler, so that nobody else imports alpaca-py.

The account in production is known by its fingerprint. Live means that account and no other, and only for the workflow while it
is in production; paper means any account but that one. So two lanes never trade one account, whatever they are configured with.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shadow.aws.clients import transient_as
from shadow.broker.port import AlpacaCredentials, Broker, is_paper_endpoint
from shadow.contracts.errors import ConfigurationError
from shadow.contracts.model import Frozen
from shadow.contracts.vocabulary import ExecutionMode, Lane
from shadow.execution.ports import InterlockViolation

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

Connect = Callable[[AlpacaCredentials], Broker]


class BrokerSecret(Frozen):
    """The secret's JSON. The account number is not needed: an account is asked for it."""

    key: str
    secret: str
    account_number: str | None = None


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """What decides which broker there is.

    `control_account_fingerprint` is the hexadecimal SHA-256 of the number of the account in production: the control's, which
    the workflow takes over.
    """

    mode: ExecutionMode
    dual_publishing: bool
    secret_id: str
    endpoint: str
    data_endpoint: str
    control_account_fingerprint: str
    production_lane: Lane = Lane.LEGACY


def fingerprint_of(account_number: str) -> str:
    """Make an account comparable without telling its number."""
    return hashlib.sha256(account_number.encode()).hexdigest()


def refuse_unsafe(settings: BrokerSettings) -> None:
    """Check what can be known without the broker; raises InterlockViolation."""
    if settings.mode is ExecutionMode.LIVE and settings.production_lane is not Lane.WORKFLOW:
        both = " and DUAL_PUBLISHING is true" if settings.dual_publishing else ""
        raise InterlockViolation(f"EXECUTION_MODE: expected dry_run or paper while PRODUCTION_LANE is legacy{both}, was live")
    if settings.mode is ExecutionMode.PAPER:
        if not is_paper_endpoint(settings.endpoint):
            raise InterlockViolation(f"BROKER_ENDPOINT: expected a paper endpoint in paper mode, was {settings.endpoint}")
        if not settings.control_account_fingerprint:
            raise InterlockViolation("CONTROL_ACCOUNT_FINGERPRINT: expected the control's in paper mode, was nothing")


def connect_broker(settings: BrokerSettings, secrets: SecretsManagerClient, connect: Connect) -> Broker:
    """Give the broker that `settings` allow; raises InterlockViolation before anything could be ordered.

    In dry run this is the candidate's own account, to look at only: the caller puts a `RecordingBroker` before it.
    """
    refuse_unsafe(settings)
    if settings.mode is ExecutionMode.LIVE and not settings.control_account_fingerprint:
        raise InterlockViolation("CONTROL_ACCOUNT_FINGERPRINT: expected that of the account in production, was nothing")
    secret = read_secret(secrets, settings.secret_id)
    broker = connect(AlpacaCredentials(secret.key, secret.secret, settings.endpoint, settings.data_endpoint))
    if settings.mode is not ExecutionMode.DRY_RUN:
        _refuse_wrong_account(settings, broker.account().account_number)
    return broker


def _refuse_wrong_account(settings: BrokerSettings, account_number: str) -> None:
    """Hold the account that answers against the one in production: live needs it, paper must not have it."""
    found = fingerprint_of(account_number)
    in_production = hmac.compare_digest(found, settings.control_account_fingerprint.lower())
    if settings.mode is ExecutionMode.PAPER and in_production:
        raise InterlockViolation("account: expected one of the lane's own in paper mode, was the account in production")
    if settings.mode is ExecutionMode.LIVE and not in_production:
        raise InterlockViolation("account: expected the account in production in live mode, was another one")


def read_secret(client: SecretsManagerClient, secret_id: str) -> BrokerSecret:
    """Read the broker's credentials; raises ConfigurationError that never shows them."""
    with transient_as():
        text = client.get_secret_value(SecretId=secret_id).get("SecretString", "")
    try:
        return BrokerSecret.model_validate_json(text)
    except ValueError:
        raise ConfigurationError(f'secret {secret_id}: expected JSON {{"key": …, "secret": …}}, was something else') from None
