"""Business Unit: local cloud | Status: current.

The steps of the rehearsal, in the order in which a project lives: each leaves the cloud as the next one finds it, and fails when
what it is about does not hold.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local import deleting
from local.cloud.cfn_yaml import read_template
from local.deleting import NotDeletable
from local.deploying import NotDeployable, command
from local.rehearse.project import Project, StepFailed
from shadow.cli.doctor.deployed import deployed_template, differences, parse_template

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef

STAGE, OTHER = "dev", "qa"
STACK = f"shadow-{STAGE}"
MARK = "REHEARSED = True"
FINGERPRINT = "ab" * 32
CHANGED = {
    "ShadowMode": "shadow:40",
    "PublishBoundMs": "61",
    "SellFailureThresholdUsd": "501",
    "EquityDeploymentPct": "0.9",
    "WalkStepSeconds": "11",
    "WalkMarketSeconds": "31",
    "WalkPollSeconds": "2",
    "SellAttemptPauseSeconds": "6",
    "QuoteMaxAgeSeconds": "901",
    "QuoteMaxWidthBps": "1001",
    "BrokerRequestsPerMinute": "151",
    "BrokerEndpoint": "https://broker.example.com",
    "BrokerDataEndpoint": "https://data.example.com",
    "BrokerTruth": "true",
    "ControlAccountFingerprint": "cd" * 32,
    "ReportSender": "Shadow report of the dev stage <report@example.com>",
    "ReportRecipients": "desk@example.com, risk@example.com",
    "MonthlyTransitionCostLimitUsd": "12",
    "SettlementDeadlines": '{"late_after": 1800, "missing_after": 14400}',
    "EvidenceFrom": "2026-11-24 the sizing fault is fixed",
    "StartAnew": "28 November - key rotated",
    "CandidateReservedConcurrency": "12",
    "ComparatorReservedConcurrency": "7",
    "RunbookBaseUrl": "https://docs.example.com/run books",
    "LegacyShadowMode": "paper",
    "ControlBrokerEndpoint": "https://production.example.com",
    "ControlReservedConcurrency": "13",
    "CustomerKeyArns": "arn:aws:kms:us-east-1:000000000000:key/one,arn:aws:kms:us-east-1:000000000000:key/two",
    "NotificationEmail": "desk@example.com",
    "PolicyFile": "policy.toml",
    "ReadinessFile": "readiness.toml",
    "RejudgeInCloud": "true",
}
_EXISTING = "names a control that exists already; this stage deploys the reference control"
NOT_CHANGED = {
    "Stage": "another stage is deployed in the last step",
    "ControlLane": "another control is another stack",
    "ProductionLane": "changed by the cut-over",
    "ExecutionMode": "changed by the cut-over",
    "KeptNamesSuffix": "changed when the stack is deployed again beside what was kept",
    "DualPublishing": "the cut-over needs it on, for the legacy lane to shadow",
    "BrokerSecretId": "the stack makes the secret; a name in its place is read from the template by test_template.py",
    "ControlBrokerSecretId": "as BrokerSecretId",
    "WorkflowAlias": "names an alias that the first promotion makes",
    "AlertWebhookSecretId": "as BrokerSecretId",
    "FilesLayerArn": "a layer of somebody else, which is not there to be named",
    **dict.fromkeys(("ExistingStateMachineArn", "LaneFile"), "another workflow is shadowed by another stack"),
    **dict.fromkeys(("ExecutionQueueUrl", "ExecutionQueueArn", "ExecutionRunsTableName"), _EXISTING),
    **dict.fromkeys(("RebalancePlanTableName", "TradeLedgerTableName", "EventBusName"), _EXISTING),
}
"""Which parameters `each_parameter_is_in_force` leaves as they are, and why."""


def placeholders_are_refused(project: Project) -> str:
    """Staging and prod name a control that is not filled in: nothing is deployed."""
    for stage in ("staging", "prod"):
        try:
            command(project.folder, stage)
        except NotDeployable:
            continue
        raise StepFailed(f"stage {stage}: expected the placeholders to be refused")
    return "staging and prod are refused while a placeholder stands"


def the_first_deployment(project: Project) -> str:
    """Everything is there, with the parameters as samconfig has them."""
    _deployed(project, STAGE)
    _parameters_are_configured(project, STAGE)
    return f"{len(_functions(project))} functions"


def nothing_changed(project: Project) -> str:
    """Deploy the same again: nothing is deployed."""
    before = {name: each["LastModified"] for name, each in _functions(project).items()}
    said = _deployed(project, STAGE)
    if "No changes to deploy" not in said:
        raise StepFailed(f"expected no changes to deploy, the SAM CLI said: {said[-400:]}")
    if before != {name: each["LastModified"] for name, each in _functions(project).items()}:
        raise StepFailed("expected every function as it was")
    here, cloud = parse_template((project.folder / "template.yaml").read_text()), project.access.cloudformation()
    there = cloud.get_template(StackName=STACK, TemplateStage="Original")["TemplateBody"]
    differing = differences(here, deployed_template(there))
    if differing:
        raise StepFailed(f"expected doctor to take the stack's template for this one, it names {', '.join(differing[:6])}")
    return "no change, nothing deployed, and the stack's template is this one"


def a_changed_line_runs_everywhere(project: Project) -> str:
    """One line of the library: every function and every alias has it, and what outside functions named is still there."""
    old = _layer(_functions(project), "shared")
    project.replace("shadow/__init__.py", '"""Business', f'"""{MARK}\n\nBusiness')
    project.build()
    _deployed(project, STAGE)
    running = _running(project)
    stale = [name for name, each in running.items() if not _in_layers(project, each, MARK)]
    if stale:
        raise StepFailed(f"expected the changed line in every function, it is not in {', '.join(stale)}")
    try:
        project.access.lambda_().get_layer_version_by_arn(Arn=old)
    except ClientError as error:
        raise StepFailed(f"a function outside of the stack names {old}, which is gone: {error}") from error
    return f"{len(running)} functions and aliases run it; {old.rsplit(':', 2)[1]} version {old.rsplit(':', 1)[1]} is still there"


def each_parameter_is_in_force(project: Project) -> str:
    """Every parameter is changed; whatever reads it has the new value as it was written, blanks and JSON included."""
    project.configure(STAGE, CHANGED)
    _deployed(project, STAGE)
    _parameters_are_configured(project, STAGE)
    wrong = []
    for name, each in _running(project).items():
        wanted = _environment(project, name.split(":")[0], project.configured(STAGE))
        has = each.get("Environment", {}).get("Variables", {})
        wrong += [f"{name}: {key} is {has.get(key)!r}, not {value!r}" for key, value in wanted.items() if has.get(key) != value]
    machine = project.access.stepfunctions().describe_state_machine(stateMachineArn=_output(project, "StateMachineArn"))
    wrong += [] if '"501"' in machine["definition"] else ["the state machine has its old sell failure threshold"]
    if wrong:
        raise StepFailed("; ".join(wrong[:6]))
    return f"{len(CHANGED)} parameters in force in {len(_running(project))} functions and aliases"


def a_stale_build_is_not_used(project: Project) -> str:
    """Leave an earlier `sam build` behind: it is not what is deployed."""
    stale = project.folder / ".aws-sam" / "build" / "template.yaml"
    stale.parent.mkdir(parents=True)
    stale.write_text("Resources:\n  Stale:\n    Type: AWS::SNS::Topic\n")
    before = set(_functions(project))
    _deployed(project, STAGE)
    if set(_functions(project)) != before:
        raise StepFailed("expected the checkout's template to be deployed, the one below .aws-sam was")
    return "the template below .aws-sam was left alone"


def a_cut_over_stays(project: Project) -> str:
    """Production moves to the workflow in two deployments, and a routine deployment leaves it there."""
    project.configure(STAGE, {"ProductionLane": "workflow", "ControlAccountFingerprint": FINGERPRINT, "BrokerTruth": "false"})
    _deployed(project, STAGE)
    project.configure(STAGE, {"ExecutionMode": "live"})
    _deployed(project, STAGE)
    project.replace("shadow/__init__.py", MARK, f"{MARK}, again")
    project.build()
    _deployed(project, STAGE)
    wanted = {"PRODUCTION_LANE": "workflow", "EXECUTION_MODE": "live", "CONTROL_ACCOUNT_FINGERPRINT": FINGERPRINT}
    for name, each in _running(project).items():
        has = each.get("Environment", {}).get("Variables", {})
        if any(has.get(key) != value for key, value in wanted.items()):
            raise StepFailed(f"{name}: expected {wanted} after a routine deployment, has {has}")
    return "workflow and live in every function after a routine deployment"


def deleted_and_deployed_again(project: Project) -> str:
    """Delete the stack: what must be kept outlives it, and the stack can be made again beside that."""
    kept = [_output(project, key) for key in ("PairLedgerTableName", "CandidateStateTableName")]
    with _named_outside(project):
        try:
            _deleting(project)
        except NotDeletable as refusal:
            if "alchemiser-outside" not in str(refusal):
                raise StepFailed(f"expected the refusal to name what is in the way, was {refusal}") from refusal
        else:
            raise StepFailed("expected the deletion to be refused while a role outside of the stack has its policy")
    done, said = project.run(_deleting(project))
    if not done:
        raise StepFailed(f"sam delete: {said[-600:]}")
    _tables_exist(project, kept)
    project.configure(STAGE, {"KeptNamesSuffix": "-2"})
    _deployed(project, STAGE)
    _tables_exist(project, [*kept, *(f"{name}-2" for name in kept)])
    return f"refused while named; {', '.join(kept)} kept, and new ones beside them"


def a_failed_first_create(project: Project) -> str:
    """Fail a first create, in a stage without a table of its own: it leaves nothing in the way of the second try."""
    broken = "  BrokenOnPurpose:\n    Type: AWS::Rehearsal::NotThere\n    DependsOn: [PairLedgerTable]\n    Properties:\n"
    broken += "      {Fails: true}\n"
    project.replace("template.yaml", "\nResources:\n", f"\nResources:\n{broken}")
    done, _ = project.deploy(OTHER)
    if done:
        raise StepFailed("expected the first create to fail")
    project.replace("template.yaml", broken, "")
    left = [str(project.sam), "delete", "--no-prompts", "--stack-name", f"shadow-{OTHER}", "--region", "us-east-1"]
    done, said = project.run(left)
    if not done:
        raise StepFailed(f"sam delete after the failed create: {said[-600:]}")
    _deployed(project, OTHER)
    return f"stage {OTHER}: the second try went through"


STEPS = (
    placeholders_are_refused,
    the_first_deployment,
    nothing_changed,
    a_changed_line_runs_everywhere,
    each_parameter_is_in_force,
    a_stale_build_is_not_used,
    a_cut_over_stays,
    deleted_and_deployed_again,
    a_failed_first_create,
)


def _deployed(project: Project, stage: str) -> str:
    done, said = project.deploy(stage)
    if not done:
        raise StepFailed(f"sam deploy, stage {stage}: {said.strip()[-1200:]}")
    return said


def _parameters_are_configured(project: Project, stage: str) -> None:
    stack = project.access.cloudformation().describe_stacks(StackName=f"shadow-{stage}")["Stacks"][0]
    has = {str(each.get("ParameterKey")): str(each.get("ParameterValue")) for each in stack.get("Parameters", [])}
    wrong = [
        f"{key} is {has.get(key)!r}, not {value!r}" for key, value in project.configured(stage).items() if has.get(key) != value
    ]
    if wrong:
        raise StepFailed(f"stack shadow-{stage}: {'; '.join(wrong)}")


def _functions(project: Project) -> dict[str, FunctionConfigurationTypeDef]:
    pages = project.access.lambda_().get_paginator("list_functions").paginate()
    prefix = f"alchemiser-{STAGE}-"
    return {each["FunctionName"]: each for page in pages for each in page["Functions"] if each["FunctionName"].startswith(prefix)}


def _running(project: Project) -> dict[str, FunctionConfigurationTypeDef]:
    """Give the configuration of each function and of each of its aliases, by NAME or NAME:ALIAS."""
    client = project.access.lambda_()
    found = dict(_functions(project))
    for name in list(found):
        for alias in client.list_aliases(FunctionName=name)["Aliases"]:
            key = f"{name}:{alias['Name']}"
            found[key] = client.get_function_configuration(FunctionName=name, Qualifier=alias["Name"])  # type: ignore[assignment]
    return found


def _layer(functions: Mapping[str, FunctionConfigurationTypeDef], name: str) -> str:
    arns = {each.get("Arn", "") for function in functions.values() for each in function.get("Layers", [])}
    return next(arn for arn in sorted(arns) if f"-shadow-{name}:" in arn)


def _in_layers(project: Project, function: FunctionConfigurationTypeDef, mark: str) -> bool:
    return any(mark in _library(project, each.get("Arn", "")) for each in function.get("Layers", []))


def _library(project: Project, layer: str) -> str:
    """Give the text of the library's first module in a layer, or nothing."""
    place = project.access.lambda_().get_layer_version_by_arn(Arn=layer)["Content"]["Location"]
    with project.access.open(place) as answer, zipfile.ZipFile(io.BytesIO(answer.read())) as archive:
        names = set(archive.namelist())
        return archive.read("python/shadow/__init__.py").decode() if "python/shadow/__init__.py" in names else ""


def _environment(project: Project, function: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Give the variables of a function that are a parameter's value and nothing else."""
    template = read_template(project.folder / "template.yaml")
    resources, shared = template["Resources"], template["Globals"]
    wanted: dict[str, str] = {}
    for properties in _properties(resources, shared, function.removeprefix(f"alchemiser-{STAGE}-")):
        environment = properties.get("Environment")
        variables = environment.get("Variables") if isinstance(environment, Mapping) else {}
        for key, value in variables.items() if isinstance(variables, Mapping) else ():
            name = value.get("Ref") if isinstance(value, Mapping) else None
            wanted.pop(str(key), None)
            if isinstance(name, str) and name in parameters:
                wanted[str(key)] = parameters[name]
    return wanted


def _properties(resources: object, shared: object, short: str) -> Iterator[Mapping[str, object]]:
    if isinstance(shared, Mapping):
        yield shared["Function"]
    for each in resources.values() if isinstance(resources, Mapping) else ():
        if each.get("Type") == "AWS::Serverless::Function" and str(each["Properties"]["CodeUri"]).strip("/").endswith(
            f"/{short.replace('-', '_')}"
        ):
            yield each["Properties"]


def _output(project: Project, key: str) -> str:
    stack = project.access.cloudformation().describe_stacks(StackName=STACK)["Stacks"][0]
    return next(str(each.get("OutputValue")) for each in stack.get("Outputs", []) if each.get("OutputKey") == key)


def _deleting(project: Project) -> list[str]:
    access = project.access
    iam = access.session.client("iam", endpoint_url=access.endpoint, config=access.config)
    return deleting.command(project.folder, STAGE, access.cloudformation(), access.lambda_(), iam, str(project.sam))


@contextmanager
def _named_outside(project: Project) -> Iterator[None]:
    """Attach the stack's policy to a role outside of the stack, as the portfolio function's is."""
    access = project.access
    iam = access.session.client("iam", endpoint_url=access.endpoint, config=access.config)
    role, policy = "alchemiser-outside", _output(project, "DualPublishPolicyArn")
    iam.create_role(RoleName=role, AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    yield
    iam.detach_role_policy(RoleName=role, PolicyArn=policy)
    iam.delete_role(RoleName=role)


def _tables_exist(project: Project, names: list[str]) -> None:
    access = project.access
    client = access.session.client("dynamodb", endpoint_url=access.endpoint, config=access.config)
    there = {name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]}
    if not there >= set(names):
        raise StepFailed(f"expected the tables {', '.join(names)}, found {', '.join(sorted(there))}")
