"""Business Unit: local cloud | Status: current.

Read a CloudFormation template as plain data: the short forms (`!Ref`, `!GetAtt`, `!Sub` …) become their long ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from local.cloud.errors import TemplateFailed

_PLAIN = frozenset({"Ref", "Condition"})


class _TemplateLoader(yaml.SafeLoader):
    """A safe loader that knows CloudFormation's tags and leaves dates and such as they were written."""


def _construct_tag(loader: _TemplateLoader, suffix: str, node: yaml.Node) -> dict[str, object]:
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


_TemplateLoader.add_multi_constructor("!", _construct_tag)
_TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_template(path: Path) -> dict[str, object]:
    """Read the template at `path`. Raises TemplateFailed when it is missing, is no YAML, or is no mapping."""
    try:
        loaded = yaml.load(path.read_text(), Loader=_TemplateLoader)  # noqa: S506 - a safe loader with CloudFormation's tags
    except OSError as error:
        raise TemplateFailed(f"expected a template at {path.name}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TemplateFailed(f"{path.name} is no valid YAML: {error}") from error
    if not isinstance(loaded, Mapping) or not isinstance(loaded.get("Resources"), Mapping):
        raise TemplateFailed(f"{path.name}: expected a mapping with Resources, was {type(loaded).__name__}")
    return dict(loaded)
