"""Business Unit: local cloud | Status: current.

What the template allows each role, with every reference resolved for one deployment: a statement names actions and ARNs and
nothing else. This reads the template itself and asks no emulator, so that the proof does not rest on what is to be proven.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

from local.cloud.access import ACCOUNT, REGION
from local.cloud.cfn_yaml import read_template
from local.cloud.errors import TemplateFailed

_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "shadow-dev",
    "AWS::URLSuffix": "amazonaws.com",
}
_NAMED = {
    "AWS::DynamoDB::Table": ("TableName", "arn:aws:dynamodb:{region}:{account}:table/{name}"),
    "AWS::SQS::Queue": ("QueueName", "arn:aws:sqs:{region}:{account}:{name}"),
    "AWS::S3::Bucket": ("BucketName", "arn:aws:s3:::{name}"),
    "AWS::SNS::Topic": ("TopicName", "arn:aws:sns:{region}:{account}:{name}"),
    "AWS::Events::EventBus": ("Name", "arn:aws:events:{region}:{account}:event-bus/{name}"),
    "AWS::SecretsManager::Secret": ("Name", "arn:aws:secretsmanager:{region}:{account}:secret:{name}-??????"),
    "AWS::Serverless::Function": ("FunctionName", "arn:aws:lambda:{region}:{account}:function:{name}"),
    "AWS::Serverless::StateMachine": ("Name", "arn:aws:states:{region}:{account}:stateMachine:{name}"),
    "AWS::SSM::Parameter": ("Name", "arn:aws:ssm:{region}:{account}:parameter{name}"),
    "AWS::KMS::Key": ("", "arn:aws:kms:{region}:{account}:key/*"),
    "AWS::IAM::ManagedPolicy": ("", "arn:aws:iam::{account}:policy/{name}"),
}
_REF_IS_ARN = frozenset({"AWS::SNS::Topic", "AWS::SecretsManager::Secret", "AWS::Serverless::StateMachine"})
_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{([^}!]+)\}")


@dataclass(frozen=True, slots=True)
class Statement:
    """What one statement allows a role. `resources` may hold wildcards; `conditions` are operator, key, value."""

    role: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, str], ...] = ()

    def allows(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Tell whether the statement allows a call; a condition on a key that the call lacks does not hold."""
        return (
            action in self.actions
            and any(fnmatchcase(resource, pattern) for pattern in self.resources)
            and all(_holds(condition, context) for condition in self.conditions)
        )


def _holds(condition: tuple[str, str, str], context: Mapping[str, str]) -> bool:
    operator, key, value = condition
    if operator != "StringEquals":
        raise TemplateFailed(f"a role's policy: expected the condition StringEquals, was {operator}")
    return value in context.get(key.lower(), "")


def statements_of(template: Path, parameters: Mapping[str, str]) -> tuple[Statement, ...]:
    """Give what every role of the template is allowed with these parameters. Raises TemplateFailed for what it cannot resolve."""
    return _Resolver(read_template(template), parameters).statements()


def resolved_policy(template: Mapping[str, object], parameters: Mapping[str, str], resource: str) -> Mapping[str, object]:
    """Give the policy document of a resource (a bucket's, say), every reference resolved. Raises TemplateFailed."""
    declared = _mapping(_mapping(_mapping(template["Resources"])[resource])["Properties"])
    return _mapping(_Resolver(template, parameters).resolve(declared["PolicyDocument"]))


class _Resolver:
    """Resolves a template's intrinsic functions for one deployment."""

    def __init__(self, template: Mapping[str, object], parameters: Mapping[str, str]) -> None:
        declared = _mapping(template.get("Parameters"))
        self._parameters = {name: str(_mapping(entry).get("Default", "")) for name, entry in declared.items()} | dict(parameters)
        self._conditions = _mapping(template.get("Conditions"))
        self._resources = _mapping(template["Resources"])

    def statements(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        for role, resource in self._resources.items():
            entry = _mapping(resource)
            if entry.get("Type") == "AWS::IAM::Role" and self._exists(entry):
                properties = _mapping(entry["Properties"])
                documents = [_mapping(_mapping(policy)["PolicyDocument"]) for policy in _list(properties.get("Policies", []))]
                documents += self._managed(properties.get("ManagedPolicyArns", []))
                kept = (self.resolve(each) for document in documents for each in _list(document["Statement"]))
                found += [self._statement(role, _mapping(each)) for each in kept if each is not _NO_VALUE]
        return tuple(found)

    def _managed(self, attached: object) -> list[Mapping[str, object]]:
        """Give the documents of the managed policies that a role attaches; each is one of the template's own."""
        found = []
        for logical in _list(self.resolve(attached)):
            policy = _mapping(self._resources.get(str(logical)))
            if policy.get("Type") != "AWS::IAM::ManagedPolicy" or not self._exists(policy):
                raise TemplateFailed(f"{logical}: expected a managed policy that is deployed with these parameters")
            found.append(_mapping(_mapping(policy["Properties"])["PolicyDocument"]))
        return found

    @staticmethod
    def _statement(role: str, statement: Mapping[str, object]) -> Statement:
        conditions = tuple(
            (operator, key, str(value))
            for operator, keys in _mapping(statement.get("Condition")).items()
            for key, value in _mapping(keys).items()
        )
        actions, resources = (tuple(str(each) for each in _list(statement[name])) for name in ("Action", "Resource"))
        return Statement(role, str(statement["Sid"]), actions, resources, conditions)

    def resolve(self, value: object) -> object:
        """Resolve whatever is below `value`."""
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not _NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in self._functions:
                return self._functions[name](self, argument)
        return {name: self.resolve(each) for name, each in value.items()}

    def _ref(self, name: object) -> object:
        key = str(name)
        if key == "AWS::NoValue":
            return _NO_VALUE
        if key in _PSEUDO or key in self._parameters:
            return _PSEUDO.get(key, self._parameters.get(key, ""))
        logical, _, attribute = key.partition(".")
        if attribute:
            return self._get_att([logical, attribute])
        kind, physical, arn = self._named(logical)
        return arn if kind in _REF_IS_ARN else physical

    def _get_att(self, argument: object) -> object:
        logical, attribute = (str(part) for part in _list(argument))
        _, _, arn = self._named(logical)
        if attribute not in ("Arn", "Id"):
            raise TemplateFailed(f"{logical}.{attribute}: expected Arn or Id in a role's policy")
        return arn

    def _named(self, logical: str) -> tuple[str, str, str]:
        """Give a resource's type, name and ARN."""
        resource = _mapping(self._resources.get(logical))
        kind = str(resource.get("Type"))
        if kind not in _NAMED:
            raise TemplateFailed(f"{logical}: expected a resource that a role's policy can name, was {kind}")
        attribute, pattern = _NAMED[kind]
        name = str(self.resolve(_mapping(resource["Properties"])[attribute])) if attribute else logical
        return kind, name, pattern.format(region=REGION, account=ACCOUNT, name=name)

    def _sub(self, argument: object) -> object:
        text, given = _list(argument) if isinstance(argument, list) else (argument, {})
        named = {name: str(self.resolve(value)) for name, value in _mapping(given).items()}
        return _VARIABLE.sub(lambda found: named.get(found[1]) or str(self._ref(found[1])), str(text))

    def _if(self, argument: object) -> object:
        condition, then, otherwise = _list(argument)
        return self.resolve(then if self._holds(str(condition)) else otherwise)

    def _holds(self, condition: str) -> bool:
        return bool(self.resolve(self._conditions[condition]))

    def _exists(self, resource: Mapping[str, object]) -> bool:
        return "Condition" not in resource or self._holds(str(resource["Condition"]))

    def _select(self, argument: object) -> object:
        index, values = _list(argument)
        return _list(self.resolve(values))[int(str(index))]

    def _split(self, argument: object) -> object:
        separator, text = _list(argument)
        return str(self.resolve(text)).split(str(separator))

    def _join(self, argument: object) -> object:
        separator, parts = _list(argument)
        return str(separator).join(str(part) for part in _list(self.resolve(parts)))

    def _equals(self, argument: object) -> object:
        left, right = map(self.resolve, _list(argument))
        return left == right

    _functions: ClassVar[Mapping[str, Callable[[_Resolver, object], object]]] = {
        "Ref": _ref,
        "Fn::GetAtt": _get_att,
        "Fn::Sub": _sub,
        "Fn::If": _if,
        "Fn::Select": _select,
        "Fn::Split": _split,
        "Fn::Join": _join,
        "Fn::Equals": _equals,
        "Fn::Not": lambda self, argument: not self.resolve(_list(argument)[0]),
        "Fn::And": lambda self, argument: all(map(self.resolve, _list(argument))),
        "Fn::Or": lambda self, argument: any(map(self.resolve, _list(argument))),
        "Condition": lambda self, argument: self._holds(str(argument)),
    }


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else [value]
