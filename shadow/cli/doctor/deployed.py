"""Business Unit: command line | Status: current.

Whether what runs is what was deployed, whether somebody is told, and whether the candidate can take invocations from the control.

Whether this checkout's template is the one that the stack was deployed from. CloudFormation gives back what the SAM CLI sent:
the same template with its short forms (`!Ref`) written long, and each path of code replaced by where the upload went.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import yaml

from shadow.aws import clients
from shadow.aws.versions import Versions
from shadow.cli.doctor import Account, Finding, bad, ok, warn

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


_SAME = ("CodeSha256", "Layers", "Environment", "Timeout", "MemorySize")
_BESIDE_THE_CONTROL = 36  # two functions that a Map calls ten times at once, the intake's ten, and the comparator's six
_REJUDGING = 40
_CANDIDATE_FUNCTIONS = 3
"""Of how many functions CandidateReservedConcurrency is kept for each: the intake, the breaker and the trades."""
_LEAST_FREE = 100
"""How many Lambda keeps for functions without a reservation, where the account may have as many."""
_INTERLOCKS = ("EXECUTION_MODE", "PRODUCTION_LANE", "CONTROL_ACCOUNT_FINGERPRINT", "BROKER_SECRET_ID", "BROKER_ENDPOINT")
_GONE = "gone"
_ON = frozenset({"ENABLED", "Enabled", "Enabling", "Creating", "Updating"})
_OFF_AFTER_CUT_OVER = frozenset({"ControlEventsRule"})


def stack(account: Account) -> Iterator[Finding]:
    """Look at the stack's state, and hold its parameters against samconfig.toml."""
    if account.unread:
        found = f"shadow-{account.stage} cannot be read ({account.unread}): whether anything is deployed is not known"
        yield bad("stack", found, "allow cloudformation:DescribeStacks to who runs the doctor, or check the network")
    if not account.deployed:
        if account.state:
            advice = f"sam delete --stack-name shadow-{account.stage}, then deploy again: docs/runbooks/deploy-again.md"
            yield bad("stack", f"shadow-{account.stage} is {account.state}: nothing of it runs", advice)
        return
    if account.state == "UPDATE_ROLLBACK_FAILED":
        advice = "read the stack's events, then aws cloudformation continue-update-rollback --stack-name shadow-" + account.stage
        yield bad("stack", f"shadow-{account.stage} is {account.state}: it takes no deployment until it is rolled back", advice)
    elif account.state.endswith("_IN_PROGRESS"):
        yield warn("stack", f"shadow-{account.stage} is {account.state}: what runs is changing", "look again when it has ended")
    elif account.state.endswith("_FAILED") or "ROLLBACK" in account.state:
        advice = "read the stack's events, mend what failed, and deploy again"
        yield warn("stack", f"shadow-{account.stage} is {account.state}: the deployment before it is what runs", advice)
    else:
        yield ok("stack", f"shadow-{account.stage} is {account.state}")
    differing = [
        f"{name} is {account.stack_parameters.get(name)!r}, not {value!r}"
        for name, value in account.configured.items()
        if account.stack_parameters.get(name) != value
    ]
    if differing:
        yield warn("samconfig", "; ".join(differing), f"make deploy-dev STAGE={account.stage} deploys what samconfig.toml says")


def functions(account: Account) -> Iterator[Finding]:
    """Hold each alias of the stack's functions against `$LATEST`, which is what the last deployment put there."""
    if not account.deployed:
        return
    client = _lambda()
    behind, seen = [], 0
    for page in client.get_paginator("list_functions").paginate():
        for latest in page["Functions"]:
            name = latest["FunctionName"]
            if not name.startswith(f"alchemiser-{account.stage}-"):
                continue
            seen += 1
            for alias in client.list_aliases(FunctionName=name)["Aliases"]:
                version = client.get_function_configuration(FunctionName=name, Qualifier=alias["Name"])
                parts = [part for part in _SAME if _part(version, part) != _part(latest, part)]
                behind += [f"{name}:{alias['Name']} differs from $LATEST in {', '.join(parts)}"] if parts else []
    if behind:
        advice = "publish a version and point the alias at it, or call the function without an alias"
        yield bad("running code", "; ".join(behind), advice)
    else:
        yield ok("running code", f"{seen} functions run what was deployed")


def promoted(account: Account) -> Iterator[Finding]:
    """Hold the interlocks of the version in production against the stack's: what is published keeps its variables."""
    if not account.deployed or not account.parameter("WorkflowAlias"):
        return
    versions, client = Versions(clients.stepfunctions(), account.outputs["StateMachineArn"]), _lambda()
    arn = versions.in_production()
    if arn is None:
        yield bad("version in production", f"there is no alias {versions.alias}: no plan starts", "shadow promote makes it")
        return
    old = []
    for name, number in versions.find(arn).functions.items():
        has, wanted = (
            _variables(client.get_function_configuration(FunctionName=name, Qualifier=each or "$LATEST"))
            for each in (number, None)
        )
        differing = [key for key in _INTERLOCKS if has.get(key) != wanted.get(key)]
        old += [f"{name}:{number} has its own {', '.join(differing)}"] if differing else []
    if old:
        advice = "publish what is deployed and promote that version, or empty WorkflowAlias: what runs is not what was deployed"
        yield bad("version in production", "; ".join(old), advice)
    else:
        yield ok("version in production", f"{arn.rpartition(':')[2]}, with the interlocks that are deployed")


def _variables(configuration: object) -> Mapping[str, str]:
    environment = _part(configuration, "Environment")
    variables = environment.get("Variables") if isinstance(environment, Mapping) else None
    return variables if isinstance(variables, Mapping) else {}


def subscriptions(account: Account) -> Iterator[Finding]:
    """Look for somebody who gets the alarms and the trading notifications."""
    if not account.deployed:
        return
    client = boto3.client("sns", config=clients.DEFAULT_LIMITS.config())
    for output, what in (("AlarmTopicArn", "alarms"), ("TradingNotificationsTopicArn", "trading notifications")):
        topic = account.outputs.get(output)
        if topic is None:
            continue
        found = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        pending = [each["Endpoint"] for each in found if each["SubscriptionArn"] == "PendingConfirmation"]
        told_to = sum(each["SubscriptionArn"].startswith("arn:") for each in found)  # one that was cancelled says "Deleted"
        if not told_to:
            told = f"nobody gets the {what}" + (f": {', '.join(pending)} did not confirm" if pending else "")
            yield bad("subscriptions", told, "confirm the mail from AWS, or set NotificationEmail and deploy")
        elif pending:
            yield warn("subscriptions", f"{', '.join(pending)} did not confirm and gets no {what}", "confirm the mail from AWS")
        else:
            yield ok("subscriptions", f"{told_to} get the {what}")


def switches(account: Account) -> Iterator[Finding]:
    """Look whether everything of the stack that calls a function, hears an event or tells somebody is there and switched on."""
    if not account.deployed or account.local:
        return
    off, seen = [], 0
    for logical, kind, physical in stack_resources(account.stage):
        if kind not in _SWITCHES or (logical in _OFF_AFTER_CUT_OVER and account.parameter("ProductionLane") == "workflow"):
            continue
        seen += 1
        state = _SWITCHES[kind](physical)
        off += [f"{logical} is {state}"] if state not in _ON else []
    if off:
        yield bad("switches", "; ".join(off), "switch it on again, or deploy again what is gone")
    else:
        yield ok("switches", f"{seen} queues' calls, schedules, rules and alarms are on")


def stack_resources(stage: str) -> list[tuple[str, str, str]]:
    """List the resources of the stack: logical id, type, physical id."""
    client = boto3.client("cloudformation", config=clients.DEFAULT_LIMITS.config())
    pages = client.get_paginator("list_stack_resources").paginate(StackName=f"shadow-{stage}")
    found = [each for page in pages for each in page["StackResourceSummaries"]]
    return [(each["LogicalResourceId"], each["ResourceType"], each.get("PhysicalResourceId", "")) for each in found]


def _mapping_state(uuid: str) -> str:
    client = _lambda()
    try:
        return client.get_event_source_mapping(UUID=uuid)["State"]
    except client.exceptions.ResourceNotFoundException:
        return _GONE


def _schedule_state(name: str) -> str:
    client = boto3.client("scheduler", config=clients.DEFAULT_LIMITS.config())
    try:
        return str(client.get_schedule(Name=name)["State"])
    except client.exceptions.ResourceNotFoundException:
        return _GONE


def _rule_state(physical: str) -> str:
    bus, _, name = physical.rpartition("|")
    client = clients.events()
    try:
        return str(client.describe_rule(Name=name, EventBusName=bus or "default")["State"])
    except client.exceptions.ResourceNotFoundException:
        return _GONE


def _alarm_state(name: str) -> str:
    answer = clients.cloudwatch().describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    actions = [each["ActionsEnabled"] for each in (*answer["MetricAlarms"], *answer["CompositeAlarms"])]
    return _GONE if not actions else "ENABLED" if all(actions) else "without its actions"


def concurrency(account: Account) -> Iterator[Finding]:
    """Read the account's limit and what is kept for the control, whose polls a throttle counts as receives."""
    total, free = account_limits()
    wanted = _reserved({**account.stack_parameters, **account.configured} if account.deployed else account.parameters)
    more = wanted - (_reserved(account.stack_parameters) if account.deployed else 0)
    least = min(_LEAST_FREE, total)
    if more > 0 and free - more < least:
        found = f"the deployment reserves {more} of {free} that are free, and Lambda wants {least} left: it would be rolled back"
        yield bad("reservations", found, "ask for a higher limit, or set CandidateReservedConcurrency and the others to 0")
    kept = 0
    for name, reserved, called in _controls_functions(account):
        kept += reserved
        if 0 < reserved < called:
            found = f"{name} may run {reserved} times at once, its queue calls it {called} times"
            yield warn(
                "control's share",
                found,
                "reserve as many: a call that is throttled counts as a receive, and ends as a dead letter",
            )
    told = f"{total} at a time in the account, {free} not reserved, the control keeps {kept or 'none'}"
    beside = _BESIDE_THE_CONTROL + (_REJUDGING if account.parameter("RejudgeInCloud") == "true" else 0)
    if kept or free > 2 * beside:
        yield ok("concurrency", told)
    else:
        advice = "reserve concurrency for the control's function, or ask for a higher limit: both lanes start at the same moment"
        yield warn("concurrency", told, advice)


def account_limits() -> tuple[int, int]:
    """Give how many invocations at a time the account may have, and how many of them are reserved for no function."""
    limits = _lambda().get_account_settings()["AccountLimit"]
    return limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]


def _controls_functions(account: Account) -> Iterator[tuple[str, int, int]]:
    """List the functions that the control's queue calls: what each has reserved, and how often it is called at once (0: any)."""
    queue = account.parameter("ExecutionQueueArn")
    client = _lambda()
    names = {account.of_stage("legacy-execution"): 0} if account.deployed and not account.existing_control else {}
    if queue:
        mapped = client.list_event_source_mappings(EventSourceArn=queue)["EventSourceMappings"]
        most = [each.get("ScalingConfig", {}).get("MaximumConcurrency", 0) for each in mapped]
        names = {_without_alias(each["FunctionArn"]): called for each, called in zip(mapped, most, strict=True)}
    for name, called in names.items():
        yield name, client.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions", 0), called


def _without_alias(arn: str) -> str:
    """Give the function's own ARN: what is reserved is the function's, and Lambda refuses the question for an alias."""
    return ":".join(arn.split(":")[:7])


def _reserved(parameters: Mapping[str, str]) -> int:
    """Give how many invocations a stack with `parameters` takes out of what the account shares."""
    kept = {name: int(parameters.get(f"{name}ReservedConcurrency") or 0) for name in ("Control", "Candidate", "Comparator")}
    candidates = 1 if parameters.get("ExistingStateMachineArn") else _CANDIDATE_FUNCTIONS
    reference = parameters.get("ControlLane") == "reference"
    return kept["Candidate"] * candidates + kept["Comparator"] + (kept["Control"] if reference else 0)


def _lambda() -> LambdaClient:
    return boto3.client("lambda", config=clients.DEFAULT_LIMITS.config())


def _part(configuration: object, name: str) -> object:
    value = configuration.get(name) if isinstance(configuration, Mapping) else None
    if name == "Layers" and isinstance(value, list):
        return [each.get("Arn") for each in value]
    return value or None


_SWITCHES = {
    "AWS::Lambda::EventSourceMapping": _mapping_state,
    "AWS::Scheduler::Schedule": _schedule_state,
    "AWS::Events::Rule": _rule_state,
    "AWS::CloudWatch::Alarm": _alarm_state,
    "AWS::CloudWatch::CompositeAlarm": _alarm_state,
}


try:
    from yaml import CSafeLoader as _Safe  # ten times as fast
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _Safe  # type: ignore[assignment]

TEMPLATE = Path("template.yaml")
_PLAIN = frozenset({"Ref", "Condition"})
_SECTIONS = ("Parameters", "Mappings", "Conditions", "Rules", "Globals", "Resources", "Outputs")
_UPLOADED = frozenset({"CodeUri", "ContentUri", "DefinitionUri"})
_NAMED = 5


class _Loader(_Safe):
    """A safe loader that knows CloudFormation's tags and leaves dates and such as they were written."""


def _construct_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, object]:
    key = suffix if suffix in _PLAIN else f"Fn::{suffix}"
    value: object
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
    return {key: value}


_Loader.add_multi_constructor("!", _construct_tag)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_template(text: str) -> object:
    """Read a CloudFormation template as plain data: short forms become their long ones. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader with CloudFormation's tags


def template(account: Account) -> Iterator[Finding]:
    """Hold the template of this checkout against the stack's, and name what differs; says nothing where there is no checkout."""
    if not account.deployed or account.local or not TEMPLATE.is_file():
        return
    client = boto3.client("cloudformation", config=clients.DEFAULT_LIMITS.config())
    answer = client.get_template(StackName=f"shadow-{account.stage}", TemplateStage="Original")
    here = parse_template(TEMPLATE.read_text(encoding="utf-8"))
    differing = differences(here, deployed_template(answer["TemplateBody"]))
    if not differing:
        yield ok("template", f"{TEMPLATE} is what the stack was deployed from")
        return
    more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    advice = f"make deploy-dev STAGE={account.stage} deploys this checkout; or look from the checkout that was deployed"
    yield warn("template", f"the stack's template differs in {', '.join(differing[:_NAMED])}{more}", advice)


def deployed_template(body: object) -> object:
    """Read the body of CloudFormation's answer: boto3 gives a template in JSON as data, and one in YAML as text."""
    return parse_template(body) if isinstance(body, str) else body


def differences(here: object, there: object) -> list[str]:
    """Name each entry that one of two templates has otherwise, as `Section.Name`, sorted; where uploads went does not count."""
    return sorted(
        f"{section}.{name}"
        for section in _SECTIONS
        for name in {*_section(here, section), *_section(there, section)}
        if _plain(_section(here, section).get(name)) != _plain(_section(there, section).get(name))
    )


def _section(template: object, name: str) -> Mapping[str, object]:
    section = template.get(name) if isinstance(template, Mapping) else None
    return section if isinstance(section, Mapping) else {}


def _plain(value: object) -> object:
    """Bring one entry to a form that survives being written anew: no paths of uploads, no metadata, every scalar as text."""
    if isinstance(value, Mapping):
        if set(value) == {"Fn::GetAtt"} and isinstance(value["Fn::GetAtt"], str):
            return {"Fn::GetAtt": value["Fn::GetAtt"].split(".", 1)}
        return {key: _plain(inner) for key, inner in value.items() if key not in _UPLOADED and key != "Metadata"}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None else str(value).strip().lower() if isinstance(value, bool) else str(value).strip()
