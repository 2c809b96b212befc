"""What is deployed is what stands in samconfig.toml: every parameter, no placeholder, the checkout's own template."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from local.cloud.cfn_yaml import read_template
from local.deploying import NotDeployable, command, incomplete, to_toml
from local.rehearse.steps import CHANGED, NOT_CHANGED

ROOT = Path(__file__).parents[2]
TABLES = tomllib.loads((ROOT / "samconfig.toml").read_text())
STAGES = ("dev", "staging", "prod")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("samconfig.toml", "template.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("stage", STAGES)
def test_w7_every_parameter_of_the_template_stands_in_every_stage(stage: str) -> None:
    given = TABLES[stage]["deploy"]["parameters"]["parameter_overrides"]

    assert set(given) == set(read_template(ROOT / "template.yaml")["Parameters"])  # type: ignore[call-overload]
    assert all(isinstance(value, str) for value in given.values())
    assert given["Stage"] == stage


@pytest.mark.parametrize("stage", STAGES)
def test_w7_region_and_stack_are_those_of_the_stage(stage: str) -> None:
    assert TABLES[stage]["global"]["parameters"] == {"stack_name": f"shadow-{stage}", "region": "us-east-1"}


def test_w7_the_template_is_named_so_that_a_stale_build_is_not_deployed(project: Path) -> None:
    asked = command(project, "dev")

    assert asked[asked.index("--template-file") + 1] == "template.yaml"


@pytest.mark.parametrize("stage", ["staging", "prod"])
def test_w7_a_placeholder_is_refused(project: Path, stage: str) -> None:
    with pytest.raises(NotDeployable, match=f"stage {stage}: fill in ExecutionQueueUrl"):
        command(project, stage)


def test_w7_a_parameter_that_is_missing_or_unknown_is_refused(project: Path) -> None:
    given = dict(TABLES["dev"]["deploy"]["parameters"]["parameter_overrides"])
    del given["ExecutionMode"]

    told = incomplete(project, "dev", given | {"ExecutionMod": "live"})

    assert len(told) == 2
    assert "ExecutionMode is missing" in told[0]
    assert "ExecutionMod is no parameter" in told[1]


def test_w13_a_stage_without_a_table_is_deployed_like_dev(project: Path) -> None:
    asked = command(project, "qa")
    written = tomllib.loads(Path(asked[asked.index("--config-file") + 1]).read_text())

    assert written["qa"]["global"]["parameters"]["stack_name"] == "shadow-qa"
    assert written["qa"]["deploy"]["parameters"]["parameter_overrides"]["Stage"] == "qa"
    assert "dev" not in str(written)


def test_w7_what_is_written_is_read_back_with_blanks_and_json() -> None:
    tables = {"dev": {"deploy": {"parameters": {"names": {"A": '{"late_after": 1800}', "B": "two words, ü"}, "flag": True}}}}

    assert tomllib.loads(to_toml((), tables)) == tables


def test_the_rehearsal_changes_every_parameter_or_says_why_not() -> None:
    declared = read_template(ROOT / "template.yaml")["Parameters"]

    assert isinstance(declared, dict)
    assert CHANGED.keys() | NOT_CHANGED.keys() == declared.keys()
    assert not CHANGED.keys() & NOT_CHANGED.keys()
    configured = TABLES["dev"]["deploy"]["parameters"]["parameter_overrides"]
    assert {name for name, value in CHANGED.items() if configured[name] == value} == set()
