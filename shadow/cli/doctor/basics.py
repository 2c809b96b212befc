"""Business Unit: command line | Status: current.

Who we are, what time it is, and whether the stack's parameters make sense together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import boto3

from shadow.aws import clients
from shadow.broker.credentials import is_paper_endpoint
from shadow.cli.doctor.finding import Account, Finding, bad, ok, warn
from shadow.contracts.errors import ConfigurationError
from shadow.intake.mode import PublishMode

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
