"""Business Unit: command line | Status: current.

Whether this checkout's template is the one that the stack was deployed from. CloudFormation gives back what the SAM CLI sent:
the same template with its short forms (`!Ref`) written long, and each path of code replaced by where the upload went.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import yaml

from shadow.aws import clients
from shadow.cli.doctor.finding import Account, Finding, ok, warn

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
