"""Business Unit: local cloud | Status: current.

Read a CloudFormation template from a file: the short forms (`!Ref`, `!GetAtt`, `!Sub` …) become their long ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from local.cloud.errors import TemplateFailed
from shadow.cli.doctor.deployed import parse_template


def read_template(path: Path) -> dict[str, object]:
    """Read the template at `path`. Raises TemplateFailed when it is missing, is no YAML, or is no mapping."""
    try:
        loaded = parse_template(path.read_text())
    except OSError as error:
        raise TemplateFailed(f"expected a template at {path.name}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TemplateFailed(f"{path.name} is no valid YAML: {error}") from error
    if not isinstance(loaded, Mapping) or not isinstance(loaded.get("Resources"), Mapping):
        raise TemplateFailed(f"{path.name}: expected a mapping with Resources, was {type(loaded).__name__}")
    return dict(loaded)
