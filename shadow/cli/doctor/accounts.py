"""Business Unit: command line | Status: current.

The broker's credentials: present, complete, and of two different accounts. Keys, secrets and account numbers are never shown;
accounts are told apart by their fingerprints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import boto3

from shadow.aws import clients
from shadow.aws.broker import BrokerSecret, fingerprint_of, read_secret
from shadow.broker.credentials import AlpacaCredentials
from shadow.broker.errors import BrokerError
from shadow.cli.doctor.finding import Account, Finding, bad, ok, warn
from shadow.contracts.errors import ConfigurationError

PLACEHOLDER = "to-be-filled"
_SHOWN = 12
AccountNumber = Callable[[AlpacaCredentials], str]
"""Asks a broker for the number of the account that credentials belong to."""


@dataclass(frozen=True, slots=True)
class Side:
    """One lane's account: where its secret and its endpoint are named."""

    lane: str
    secret_parameter: str
    endpoint_parameter: str
    default_name: str


CANDIDATE = Side("candidate", "BrokerSecretId", "BrokerEndpoint", "candidate-broker")
CONTROL = Side("control", "ControlBrokerSecretId", "ControlBrokerEndpoint", "control-broker")


def ask_alpaca(credentials: AlpacaCredentials) -> str:
    """Ask Alpaca for the account number; raises `BrokerError`."""
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - alpaca-py is slow to load, and only this check needs it

    return AlpacaBroker.connect(credentials).account().account_number


def broker_accounts(ask: AccountNumber = ask_alpaca) -> Callable[[Account], Iterator[Finding]]:
    """Make the check of both lanes' credentials and accounts."""

    def check(account: Account) -> Iterator[Finding]:
        prints: dict[str, str] = {}
        for side in (CANDIDATE, CONTROL) if _knows_production(account) else (CANDIDATE,):
            secret, finding = _secret(account, side)
            yield finding
            if secret is not None:
                number, finding = _number(account, side, secret, ask)
                yield finding
                if number is not None:
                    prints[side.lane] = fingerprint_of(number)
        yield from _apart(account, prints)

    return check


def _knows_production(account: Account) -> bool:
    """Tell whether the stack reads the credentials of the account in production."""
    asked = account.parameter("BrokerTruth") == "true" or account.parameter("ProductionLane") == "workflow"
    return not account.existing_control or asked or bool(account.parameter(CONTROL.secret_parameter))


def _secret(account: Account, side: Side) -> tuple[BrokerSecret | None, Finding]:
    made = f"alchemiser/{account.stage}/{side.default_name}{account.parameter('KeptNamesSuffix')}"
    name = account.parameter(side.secret_parameter, made)
    check = f"{side.lane} secret"
    client = clients.secretsmanager()
    here = f":{client.meta.region_name}:{_own_number()}:" if name.startswith("arn:") else ""
    if here not in name:
        advice = f"name a secret of this account and region in {side.secret_parameter}: the stack's roles can read no other"
        return None, bad(check, f"{name} is of another account or region", advice)
    fill = f'put {{"key": "…", "secret": "…"}} into {name}'
    try:
        secret = read_secret(client, name)
    except client.exceptions.ResourceNotFoundException:
        if not account.deployed and not account.parameter(side.secret_parameter):
            return None, warn(check, f"{name} will be made empty by the deployment", f"after it, {fill}")
        return None, bad(check, f"{name} does not exist", f"correct {side.secret_parameter}, or make it")
    except ConfigurationError as error:
        return None, bad(check, str(error), fill)
    if secret.key == PLACEHOLDER or not secret.key.strip() or not secret.secret.strip():
        return None, bad(check, f"{name} is not filled in", fill)
    return secret, ok(check, f"{name} is complete")


def _own_number() -> str:
    return boto3.client("sts", config=clients.DEFAULT_LIMITS.config()).get_caller_identity()["Account"]


def _number(account: Account, side: Side, secret: BrokerSecret, ask: AccountNumber) -> tuple[str | None, Finding]:
    check = f"{side.lane} account"
    try:
        endpoint, data = account.parameter(side.endpoint_parameter), account.parameter("BrokerDataEndpoint")
        number = ask(AlpacaCredentials(secret.key, secret.secret, endpoint, data))
    except BrokerError as error:
        return None, bad(check, f"the broker did not say: {type(error).__name__}", "check its key, secret and endpoint")
    except ConfigurationError as error:
        return None, bad(check, str(error), f"correct {side.endpoint_parameter} or the secret")
    return number, ok(check, f"answers; fingerprint {fingerprint_of(number)[:_SHOWN]}…")


def _apart(account: Account, prints: dict[str, str]) -> Iterator[Finding]:
    """Hold the candidate's account against the control's: by its own answer, or the fingerprint in the parameters."""
    known = account.parameter("ControlAccountFingerprint").lower()
    control = prints.get("control") or known
    candidate = prints.get("candidate")
    if known and prints.get("control") and known != prints["control"]:
        yield bad("fingerprint", "ControlAccountFingerprint is not of the control's account", f"set it to {prints['control']}")
    if candidate is None:
        return
    if not control:
        advice = "set ControlAccountFingerprint to the SHA-256 of the control's account number: mode paper will not start without"
        yield warn("two accounts", "the control's account is not known", advice)
    elif control == candidate:
        yield bad("two accounts", "both lanes are pointed at one account", "give the candidate a paper account of its own")
    else:
        yield ok("two accounts", "the lanes have different accounts")
