"""Business Unit: local cloud | Status: current.

How long and how large AWS takes what the template declares. Lengths are the longest that parameters make possible: a text that
depends on a condition counts with its longer side, a parameter without a limit of its own with `_FREE` characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.cloud.cfn_yaml import read_template

_FREE = 128
_PSEUDO = {"AWS::AccountId": 12, "AWS::Region": 14, "AWS::Partition": 10, "AWS::StackName": 32, "AWS::URLSuffix": 16}
_STATED = {"Stage": 12, "KeptNamesSuffix": 9, "StartAnew": 64, "ControlAccountFingerprint": 64, "EvidenceFrom": 161}
_VARIABLE = re.compile(r"\$\{([^}!]+)\}")
_NAMES = {
    "AWS::Serverless::Function": {"FunctionName": 64, "Description": 256},
    "AWS::Serverless::LayerVersion": {"LayerName": 140, "Description": 256},
    "AWS::Serverless::StateMachine": {"Name": 80},
    "AWS::IAM::Role": {"RoleName": 64, "Description": 1000},
    "AWS::IAM::ManagedPolicy": {"ManagedPolicyName": 128, "Description": 1000},
    "AWS::SQS::Queue": {"QueueName": 80},
    "AWS::SNS::Topic": {"TopicName": 256},
    "AWS::S3::Bucket": {"BucketName": 63},
    "AWS::DynamoDB::Table": {"TableName": 255},
    "AWS::Events::EventBus": {"Name": 256},
    "AWS::Events::Rule": {"Name": 64, "Description": 512},
    "AWS::CloudWatch::Alarm": {"AlarmName": 255, "AlarmDescription": 1024},
    "AWS::CloudWatch::CompositeAlarm": {"AlarmName": 255, "AlarmDescription": 1024, "AlarmRule": 10240},
    "AWS::CloudWatch::Dashboard": {"DashboardName": 255},
    "AWS::Logs::LogGroup": {"LogGroupName": 512},
    "AWS::SSM::Parameter": {"Name": 1011, "Description": 1024},
    "AWS::SecretsManager::Secret": {"Name": 512, "Description": 2048},
    "AWS::KMS::Key": {"Description": 8192},
    "AWS::Glue::Database": {"DatabaseInput.Name": 255},
}
_SCHEDULE = {"Name": 64, "Description": 512}
_ENVIRONMENT_BYTES, _INLINE_CHARACTERS, _MANAGED_CHARACTERS, _MANAGED_COUNT = 4096, 10_240, 6_144, 10
_TEMPLATE_BYTES, _RESOURCES, _DECLARED, _DESCRIPTION_BYTES = 1_048_576, 500, 200, 1024
_DEFINITION_BYTES = 1_048_576
_MADE_PER_FUNCTION = 4  # a version, an alias, a permission and a mapping or schedule at the most


def template_limits(checkout: Path) -> list[str]:
    """Say what of the template is larger or longer than CloudFormation takes."""
    path = checkout / "template.yaml"
    template = read_template(path)
    resources, outputs, parameters = (as_mapping(template.get(part)) for part in ("Resources", "Outputs", "Parameters"))
    functions = sum(as_mapping(each).get("Type") == "AWS::Serverless::Function" for each in resources.values())
    size = len(path.read_bytes())
    counted = {
        "bytes of template.yaml": (size, _TEMPLATE_BYTES),
        "resources after the transform, at the most": (len(resources) + functions * _MADE_PER_FUNCTION, _RESOURCES),
        "parameters": (len(parameters), _DECLARED),
        "outputs": (len(outputs), _DECLARED),
        "bytes of the template's description": (len(str(template.get("Description", "")).encode()), _DESCRIPTION_BYTES),
    }
    for definition in sorted((checkout / "statemachines").glob("*.asl.json")):
        counted[f"bytes of {definition.name}"] = (len(definition.read_bytes()), _DEFINITION_BYTES)
    for name, each in outputs.items():
        described = len(str(as_mapping(each).get("Description", "")).encode())
        counted[f"bytes of the description of output {name}"] = (described, _DESCRIPTION_BYTES)
    return [f"{was} {what}, at most {most}" for what, (was, most) in counted.items() if was > most]


def name_limits(checkout: Path) -> list[str]:
    """Say which names and descriptions of resources can become longer than their service takes."""
    longest = _Longest(read_template(checkout / "template.yaml"))
    wrong = []
    for logical, kind, properties in longest.resources():
        for path, most in _NAMES.get(kind, {}).items():
            was = longest.of(at(properties, path.split(".")))
            wrong += [f"{logical}.{path}: up to {was} characters, at most {most}"] if was > most else []
        for event, given in as_mapping(properties.get("Events")).items():
            schedule = as_mapping(as_mapping(given).get("Properties")) if "Schedule" in str(as_mapping(given).get("Type")) else {}
            for path, most in _SCHEDULE.items():
                was = longest.of(schedule.get(path))
                wrong += [f"{logical}.{event}.{path}: up to {was} characters, at most {most}"] if was > most else []
    return wrong


def environment_limits(checkout: Path) -> list[str]:
    """Say which functions' variables can become larger than Lambda takes, names and values together."""
    template = read_template(checkout / "template.yaml")
    longest = _Longest(template)
    shared = as_mapping(at(template, ["Globals", "Function", "Environment", "Variables"]))
    wrong = []
    for logical, kind, properties in longest.resources():
        if kind == "AWS::Serverless::Function":
            variables = {**shared, **as_mapping(at(properties, ["Environment", "Variables"]))}
            was = sum(len(name) + longest.of(value) for name, value in variables.items())
            wrong += (
                [f"{logical}: up to {was} bytes of variables, at most {_ENVIRONMENT_BYTES}"] if was > _ENVIRONMENT_BYTES else []
            )
    return wrong


def policy_limits(checkout: Path) -> list[str]:
    """Say which policies can become larger than IAM takes, whitespace left out, and which roles attach too many."""
    longest = _Longest(read_template(checkout / "template.yaml"))
    wrong = []
    for logical, kind, properties in longest.resources():
        if kind == "AWS::IAM::ManagedPolicy":
            sizes = {"characters of its document": (longest.of(properties["PolicyDocument"]), _MANAGED_CHARACTERS)}
        elif kind == "AWS::IAM::Role":
            inline = sum(longest.of(as_mapping(each)["PolicyDocument"]) for each in as_list(properties.get("Policies")))
            attached = len(as_list(properties.get("ManagedPolicyArns")))
            sizes = {
                "characters of inline policies": (inline, _INLINE_CHARACTERS),
                "managed policies": (attached, _MANAGED_COUNT),
            }
        else:
            continue
        wrong += [f"{logical}: up to {was} {what}, at most {most}" for what, (was, most) in sizes.items() if was > most]
    return wrong


class _Longest:
    """Tells how many characters a value of the template has at the most."""

    def __init__(self, template: Mapping[str, object]) -> None:
        self._resources = as_mapping(template["Resources"])
        self._parameters = as_mapping(template.get("Parameters"))

    def resources(self) -> Iterator[tuple[str, str, Mapping[str, object]]]:
        """List the resources: logical id, type, properties."""
        for logical, resource in self._resources.items():
            yield logical, str(as_mapping(resource).get("Type")), as_mapping(as_mapping(resource).get("Properties"))

    def of(self, value: object) -> int:
        """Give the most characters of a text, or of a structure as JSON without whitespace."""
        if value is None:
            return 0
        if isinstance(value, list):
            return 1 + len(value) + sum(self._quoted(each) for each in value)
        if not isinstance(value, Mapping):
            return len(value if isinstance(value, str) else json.dumps(value))
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, argument)
        return 1 + sum(len(json.dumps(name)) + 2 + self._quoted(each) for name, each in value.items())

    def _quoted(self, value: object) -> int:
        text = isinstance(value, str) or (isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _TEXTS)
        return self.of(value) + (2 if text else 0)

    def _function(self, name: str, argument: object) -> int:
        if name == "Ref":
            return self._named(str(argument))
        if name == "Fn::If":
            return max(self.of(each) for each in as_list(argument)[1:])
        if name == "Fn::Sub":
            text, given = as_list(argument) if isinstance(argument, list) else (argument, {})
            known = as_mapping(given)
            parts = _VARIABLE.findall(str(text))
            return len(_VARIABLE.sub("", str(text))) + sum(
                self.of(known[each]) if each in known else self._named(each) for each in parts
            )
        return _FREE  # the ARN, or a part of a text, that a resource or parameter gives

    def _named(self, name: str) -> int:
        if name in _PSEUDO or name in _STATED:
            return _PSEUDO.get(name, _STATED.get(name, 0))
        if name in self._parameters:
            allowed = as_list(as_mapping(self._parameters[name]).get("AllowedValues"))
            return max((len(str(each)) for each in allowed), default=_FREE)
        kind = str(as_mapping(self._resources.get(name)).get("Type"))
        properties = as_mapping(as_mapping(self._resources.get(name)).get("Properties"))
        own = [properties[key] for key in _NAMES.get(kind, {}) if key.endswith("Name") and key in properties]
        return self.of(own[0]) if own and kind not in _REF_IS_ARN else _FREE


_REF_IS_ARN = frozenset({"AWS::SNS::Topic", "AWS::SecretsManager::Secret", "AWS::Serverless::StateMachine"})
_TEXTS = frozenset({"Ref", "Fn::Sub", "Fn::GetAtt", "Fn::Select", "Fn::Join"})


def at(value: object, path: list[str]) -> object:
    """Give what stands at `path` below `value`, or None."""
    for part in path:
        value = as_mapping(value).get(part)
    return value


def as_mapping(value: object) -> Mapping[str, object]:
    """Give `value` if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[object]:
    """Give `value` if it is a list, else an empty one."""
    return list(value) if isinstance(value, list) else []
