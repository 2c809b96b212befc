"""Business Unit: local cloud | Status: current.

`python -m local.deploying STAGE`: deploy what stands in samconfig.toml to AWS with the SAM CLI, and nothing else: every parameter
of the template is given, the template is the checkout's own (never an older one below .aws-sam), and a placeholder is refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from local.cloud.cfn_yaml import read_template
from local.cloud.errors import LocalCloudError

CONFIGURED = "samconfig.toml"
_PATTERN = "dev"
_TEMPLATE = "template.yaml"
_USAGE = 2


class NotDeployable(LocalCloudError):
    """The configuration of a stage is not complete; the message names what to change and where."""


def command(checkout: Path, stage: str, sam: str = "sam") -> list[str]:
    """Give the SAM CLI's command for `stage`; a stage without a table of its own gets that of dev, written to `build/`.

    Raises NotDeployable when a parameter is missing, unknown or a placeholder.
    """
    tables = tomllib.loads((checkout / CONFIGURED).read_text())
    config = checkout / CONFIGURED
    if stage not in tables:
        table = json.loads(re.sub(rf"\b{_PATTERN}\b", stage, json.dumps(tables[_PATTERN])))
        tables = {stage: table}
        config = checkout / "build" / f"samconfig-{stage}.toml"
        config.parent.mkdir(exist_ok=True)
        config.write_text("version = 0.1\n" + to_toml((stage,), table))
    wrong = incomplete(checkout, stage, tables[stage]["deploy"]["parameters"]["parameter_overrides"])
    if wrong:
        raise NotDeployable("\n".join(wrong))
    return [sam, "deploy", "--template-file", _TEMPLATE, "--config-file", str(config.absolute()), "--config-env", stage]


def stack_of(checkout: Path, stage: str) -> tuple[str, str]:
    """Give the name of the stack of `stage` and its region; a stage without a table of its own has those of dev, renamed."""
    tables = tomllib.loads((checkout / CONFIGURED).read_text())
    shared = tables[stage if stage in tables else _PATTERN]["global"]["parameters"]
    named = shared["stack_name"] if stage in tables else re.sub(rf"\b{_PATTERN}\b", stage, shared["stack_name"])
    return named, shared["region"]


def incomplete(checkout: Path, stage: str, given: Mapping[str, str]) -> list[str]:
    """Say which parameters `given` for `stage` lacks, has too many, or has with a placeholder."""
    declared = read_template(checkout / _TEMPLATE)["Parameters"]
    names = set(declared) if isinstance(declared, Mapping) else set()
    place = f"{CONFIGURED}, stage {stage}"
    return [
        *(
            f"{place}: {name} is missing; SAM would keep its value of the last deployment"
            for name in sorted(names - given.keys())
        ),
        *(f"{place}: {name} is no parameter of template.yaml" for name in sorted(given.keys() - names)),
        *(f"{place}: fill in {name}, which is {value}" for name, value in given.items() if re.fullmatch(r"<[^@]*>", value)),
    ]


def to_toml(path: tuple[str, ...], table: Mapping[str, object]) -> str:
    """Write a table of tables as TOML; the strings, lists and booleans of JSON are those of TOML too."""
    own = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items() if not isinstance(value, Mapping)
    )
    inner = "".join(to_toml((*path, key), value) for key, value in table.items() if isinstance(value, Mapping))
    head = f"\n[{'.'.join(path)}]\n" if path else ""
    return (f"{head}{own}" if own else "") + inner


def main(arguments: list[str]) -> int:
    """Deploy; give the SAM CLI's exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m local.deploying STAGE\n")
        return _USAGE
    checkout = Path(__file__).parents[1]
    try:
        asked = command(checkout, arguments[0])
    except NotDeployable as error:
        sys.stderr.write(f"deploy: {error}\n")
        return _USAGE
    return subprocess.run(asked, cwd=checkout, check=False, env=os.environ | {"SAM_CLI_TELEMETRY": "0"}).returncode  # noqa: S603 - the SAM CLI with our own arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
