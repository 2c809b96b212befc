"""Business Unit: command line | Status: current.

`shadow doctor`: look at an AWS account before (or after) a deployment, and say what to do about what is wrong.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from shadow.aws.clients import code_of
from shadow.cli import target as targets
from shadow.cli.doctor import Account, Check, Finding, Level, basics, control, deployed, findings
from shadow.cli.output import BadInput, ExitCode, escape, fail, print_json, progress, say

SAM_CONFIG = Path("samconfig.toml")
_NOTHING_RUNS = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"})
_NO_SUCH_STACK = "ValidationError"
_STYLE = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def checks() -> Sequence[tuple[str, Check]]:
    """Give the checks in the order they are made, after the identity's."""
    return (
        ("parameters", basics.parameters),
        ("tables", control.tables),
        ("queue", control.queue),
        ("event bus", control.bus),
        ("customer keys", control.customer_keys),
        ("existing workflow", control.workflow),
        ("files", control.files),
        ("broker accounts", basics.broker_accounts),
        ("mail", basics.mail),
        ("alarms", basics.alarms),
        ("publishing mode", basics.mode_parameter),
        ("plan sizes", control.payload_sizes),
        ("stack", deployed.stack),
        ("template", deployed.template),
        ("running code", deployed.functions),
        ("version in production", deployed.promoted),
        ("subscriptions", deployed.subscriptions),
        ("switches", deployed.switches),
        ("concurrency", deployed.concurrency),
    )


def examine_account(stage: str, parameters: Sequence[str], *, local: bool, as_json: bool) -> ExitCode:
    """Make every check and show what was found; `parameters`, as NAME=VALUE, win over what is deployed. Raises `BadInput`."""
    account = _account(stage, _given(parameters), local=local)
    with progress("looking at the account", quiet=as_json):
        found = _examine(account, as_json=as_json)
    if as_json:
        print_json({"stage": stage, "parameters_from": account.source, "findings": [entry.to_wire() for entry in found]})
    else:
        _print(found)
    return ExitCode.DIVERGED if any(entry.level is Level.FAIL for entry in found) else ExitCode.FINE


def _examine(account: Account, *, as_json: bool) -> list[Finding]:
    try:
        found = list(basics.identity(account))
    except (ClientError, BotoCoreError) as error:
        hint = "set AWS credentials and a region (`aws configure`, AWS_PROFILE), or start a local cloud with `shadow up`"
        fail(
            ExitCode.UNAVAILABLE,
            f"No AWS credentials that work were found ({error}): {hint}",
            as_json=as_json,
            details={"kind": type(error).__name__},
        )
    for name, check in checks():
        found += findings(name, check, account)
    return found


def _account(stage: str, given: Mapping[str, str], *, local: bool) -> Account:
    """Take the parameters of the deployed stack, else those that samconfig.toml would deploy; `given` ones win."""
    configured, region = _configured(stage)
    try:
        stack = targets.describe_stack(stage)
    except (ClientError, BotoCoreError) as error:
        code = code_of(error) if isinstance(error, ClientError) else type(error).__name__
        unread = "" if code == _NO_SUCH_STACK else code
        return Account(stage, configured | dict(given), str(SAM_CONFIG), local=local, region=region, unread=unread)
    state = str(stack.get("StackStatus", ""))
    if state in _NOTHING_RUNS:
        return Account(stage, configured | dict(given), str(SAM_CONFIG), local=local, state=state, region=region)
    values = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])}
    return Account(
        stage,
        values | dict(given),
        f"stack shadow-{stage}",
        deployed=True,
        local=local,
        state=state,
        stack_parameters=values,
        configured={} if local else configured,
        outputs={entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])},
        region=region,
    )


def _configured(stage: str) -> tuple[dict[str, str], str]:
    """Read the parameters and the region that a deployment of `stage` would use; a stage without a table has those of dev."""
    try:
        config = tomllib.loads(SAM_CONFIG.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"Stage": stage}, ""
    except (OSError, ValueError) as error:
        raise BadInput(f"{SAM_CONFIG}: expected TOML, was {error}") from None
    table = config.get(stage) or json.loads(re.sub(r"\bdev\b", stage, json.dumps(config.get("dev", {}))))
    given = table.get("deploy", {}).get("parameters", {}).get("parameter_overrides", {})
    if not isinstance(given, dict):
        raise BadInput(f"{SAM_CONFIG}: expected a table of parameters for stage {stage}, was {type(given).__name__}")
    region = str(table.get("global", {}).get("parameters", {}).get("region", ""))
    return {"Stage": stage} | {name: str(value) for name, value in given.items()}, region


def _given(pairs: Sequence[str]) -> dict[str, str]:
    values = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise BadInput(f"parameter: expected NAME=VALUE, was {pair!r}")
        values[name] = value
    return values


def _print(found: Sequence[Finding]) -> None:
    for entry in found:
        say(f"[{_STYLE[entry.level]}]{entry.level.value:<5}[/] {entry.check:<22} {escape(entry.found)}")
        if entry.advice and entry.level is not Level.OK:
            say(f"{'':<28} → {escape(entry.advice)}")
    counted = ", ".join(f"{sum(entry.level is level for entry in found)} {level.value}" for level in Level)
    say(f"\n{counted}")
