"""Business Unit: command line | Status: current.

Who we are, what time it is, and whether the stack's parameters make sense together.

The broker's credentials: present, complete, and of two different accounts. Keys, secrets and account numbers are never shown;
accounts are told apart by their fingerprints.

Whether people are reached: the sender of the daily report is verified, and in SES's sandbox its recipients too; a mail names its
runbook by an address that opens; the webhook's secret can be read and is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parseaddr, parsedate_to_datetime

import boto3

from shadow.aws import clients
from shadow.aws.broker import BrokerSecret, fingerprint_of, read_secret
from shadow.aws.notifier import read_webhook, refuse_unsafe_address
from shadow.broker.port import AlpacaCredentials, BrokerError, is_paper_endpoint
from shadow.cli.doctor import Account, Finding, bad, ok, warn
from shadow.contracts.errors import ConfigurationError
from shadow.intake.aws import PublishMode

CLOCK_WARN_SECONDS = 5.0
CLOCK_FAIL_SECONDS = 240.0
_NEEDED_WITH_EXISTING = (
    "ExecutionQueueUrl",
    "ExecutionQueueArn",
    "ExecutionRunsTableName",
    "RebalancePlanTableName",
    "TradeLedgerTableName",
    "EventBusName",
)
_SHAPES = {
    "Stage": (r"[a-z][a-z0-9]{1,11}", "2 to 12 lower-case letters and digits, starting with a letter"),
    "ControlLane": (r"existing|reference", "existing or reference"),
    "ProductionLane": (r"legacy|workflow", "legacy or workflow"),
    "LegacyShadowMode": (r"dry_run|paper", "dry_run or paper"),
    "ExecutionMode": (r"dry_run|paper|live", "dry_run, paper or live"),
    "DualPublishing": (r"true|false", "true or false"),
    "ShadowMode": (r"off|shadow(:([0-9]|[1-9][0-9]|100))?", "off, shadow or shadow:N with N from 0 to 100"),
    "ControlAccountFingerprint": (r"([0-9a-f]{64})?", "64 hexadecimal digits, or nothing"),
}


def identity(account: Account) -> Iterator[Finding]:
    """Ask who we are; raises what STS raises."""
    answer = boto3.client("sts", config=clients.DEFAULT_LIMITS.config()).get_caller_identity()
    region = boto3.session.Session().region_name or "no region"
    name = answer["Arn"].rsplit(":", 1)[-1]
    yield ok("identity", f"account {answer['Account']}, {name}, {region}{' (local cloud)' if account.local else ''}")
    if account.region and not account.local and region != account.region:
        advice = f"set AWS_REGION={account.region}, or correct samconfig.toml"
        yield bad("region", f"what is asked is {region}, samconfig.toml deploys to {account.region}", advice)
    header = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    yield clock(header, datetime.now(UTC))


def clock(header: str | None, now: datetime) -> Finding:
    """Hold this machine's clock against the service's `Date` header."""
    if header is None:
        return warn("clock", "the service did not say its time", "check the clock of this machine by hand")
    off = abs((now - parsedate_to_datetime(header)).total_seconds())
    found = f"{off:.0f} s from the service's"
    if off >= CLOCK_FAIL_SECONDS:
        return bad("clock", found, "set the clock: signed requests are refused from 300 s on")
    if off >= CLOCK_WARN_SECONDS:
        return warn("clock", found, "turn on time synchronisation: ages and deadlines are measured by it")
    return ok("clock", found)


def parameters(account: Account) -> Iterator[Finding]:
    """Check that the parameters have their shape and agree with each other, as the template's rules will."""
    wrong = [
        f"{name}: expected {expected}, was {account.parameter(name)!r}"
        for name, (pattern, expected) in _SHAPES.items()
        if name in account.parameters and not re.fullmatch(pattern, account.parameters[name])
    ]
    if account.existing_control:
        absent = [name for name in _NEEDED_WITH_EXISTING if not account.parameter(name)]
        wrong += [f"{name} is not set: an existing control needs it" for name in absent]
    mode = account.parameter("ExecutionMode", "dry_run")
    wrong += _roles(account, mode)
    if mode == "paper" and not account.parameter("ControlAccountFingerprint"):
        wrong.append("ControlAccountFingerprint is not set: ExecutionMode paper needs the control's")
    if mode == "paper" and not is_paper_endpoint(account.parameter("BrokerEndpoint")):
        wrong.append(
            f"BrokerEndpoint: expected a paper endpoint with ExecutionMode paper, was {account.parameter('BrokerEndpoint')}"
        )
    where = f"from {account.source}"
    if not wrong:
        yield ok("parameters", f"{len(account.parameters)} {where}; mode {mode}")
    for text in wrong:
        yield bad("parameters", text, f"set it in samconfig.toml or with --parameter ({where})")


def _roles(account: Account, mode: str) -> list[str]:
    """Name what does not go together with the lane in production."""
    if account.parameter("ProductionLane", "legacy") == "legacy":
        told = "ExecutionMode: expected dry_run or paper while ProductionLane is legacy, was live"
        return [told] if mode == "live" else []
    wrong = []
    if mode == "paper":
        wrong.append("ExecutionMode: expected live (or dry_run on the way) while ProductionLane is workflow, was paper")
    if not account.parameter("ControlAccountFingerprint"):
        wrong.append("ControlAccountFingerprint is not set: ProductionLane workflow needs production's")
    if account.existing_control and not account.parameter("ControlBrokerSecretId"):
        wrong.append("ControlBrokerSecretId is not set: ProductionLane workflow needs production's")
    return wrong


def mode_parameter(account: Account) -> Iterator[Finding]:
    """Read the publisher's switch."""
    name = f"/alchemiser/{account.stage}/shadow/mode"
    client = clients.ssm()
    try:
        value = client.get_parameter(Name=name)["Parameter"].get("Value", "")
    except client.exceptions.ParameterNotFound:
        if account.deployed:
            yield bad("publishing mode", f"{name} is missing", "deploy the stack again: without it the control publishes alone")
        else:
            yield ok("publishing mode", f"{name} will be made by the deployment: {account.parameter('ShadowMode', 'shadow')}")
        return
    try:
        PublishMode.parse(value)
    except ConfigurationError as error:
        yield bad("publishing mode", str(error), f"correct {name}: until then the control publishes alone")
        return
    if value == "off":
        yield warn("publishing mode", "off: nothing is published to the candidate", f"put shadow into {name} when you are ready")
    else:
        yield ok("publishing mode", value)


PLACEHOLDER = "to-be-filled"
_SHOWN = 12


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


def broker_accounts(account: Account) -> Iterator[Finding]:
    """Check both lanes' credentials and accounts."""
    prints: dict[str, str] = {}
    for side in (CANDIDATE, CONTROL) if _knows_production(account) else (CANDIDATE,):
        secret, finding = _secret(account, side)
        yield finding
        if secret is not None:
            number, finding = _number(account, side, secret)
            yield finding
            if number is not None:
                prints[side.lane] = fingerprint_of(number)
    yield from _apart(account, prints)


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


def _number(account: Account, side: Side, secret: BrokerSecret) -> tuple[str | None, Finding]:
    check = f"{side.lane} account"
    try:
        endpoint, data = account.parameter(side.endpoint_parameter), account.parameter("BrokerDataEndpoint")
        number = ask_alpaca(AlpacaCredentials(secret.key, secret.secret, endpoint, data))
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


SANDBOX_QUOTA = 200.0
MOST_RECIPIENTS = 50
"""How many recipients SES takes for one mail."""


def alarms(account: Account) -> Iterator[Finding]:
    """Check that a mail about an alarm leads to its runbook, and that the webhook's secret is one."""
    base = account.parameter("RunbookBaseUrl")
    if base.startswith("https://"):
        yield ok("runbook links", base)
    else:
        found = f"RunbookBaseUrl is {base}: a mail cannot link to a runbook"
        yield warn("runbook links", found, "give the https address where docs/runbooks can be read")
    secret_id = account.parameter("AlertWebhookSecretId")
    if not secret_id:
        return
    try:
        hook = read_webhook(clients.secretsmanager(), secret_id)
        refuse_unsafe_address(hook.url)
    except ConfigurationError as error:
        yield bad("webhook", str(error), 'store {"url": "https://…", "format": "slack"} (or "teams") in it')
    else:
        yield ok("webhook", f"{secret_id}, for {hook.format}")


def mail(account: Account) -> Iterator[Finding]:
    """Check sender and recipients."""
    sender = parseaddr(account.parameter("ReportSender"))[1]
    recipients = [address.strip() for address in account.parameter("ReportRecipients").split(",") if address.strip()]
    if not sender:
        yield warn("mail sender", "ReportSender is empty: the report is archived and not mailed", "name a verified SES identity")
        return
    if not recipients:
        yield warn("mail recipients", "ReportRecipients is empty: nobody gets the report", "name who is to read it")
    if len(recipients) > MOST_RECIPIENTS:
        found = f"{len(recipients)} in ReportRecipients, SES takes {MOST_RECIPIENTS} a mail"
        yield bad("mail recipients", found, "name a list's address in their place")
        return
    states = _states([sender, *recipients])
    if _verified(sender, states):
        yield ok("mail sender", sender)
    else:
        yield bad("mail sender", f"{sender} is not verified", "verify the address or its domain in SES, in this region")
    quota = clients.ses().get_send_quota().get("Max24HourSend", 0.0)
    unverified = [address for address in recipients if not _verified(address, states)]
    if quota > SANDBOX_QUOTA:
        yield ok("mail recipients", f"{len(recipients)}; {quota:.0f} mails a day")
    elif unverified:
        found = f"SES is in its sandbox ({quota:.0f} mails a day) and {', '.join(unverified)} not verified"
        yield bad("mail recipients", found, "verify them, or ask for production access")
    else:
        yield ok("mail recipients", f"{len(recipients)}, all verified (SES sandbox)")


def _states(addresses: list[str]) -> Mapping[str, str]:
    """Read the verification of addresses and of their domains."""
    names = list(dict.fromkeys([*addresses, *(address.rsplit("@", 1)[-1] for address in addresses)]))
    found = clients.ses().get_identity_verification_attributes(Identities=names)["VerificationAttributes"]
    return {name: str(entry["VerificationStatus"]) for name, entry in found.items()}


def _verified(address: str, states: Mapping[str, str]) -> bool:
    return "Success" in (states.get(address), states.get(address.rsplit("@", 1)[-1]))
