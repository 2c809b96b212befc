"""The workflow runs `.ci/run` once, with the chosen Python, with rights that can change nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
(JOB,) = WORKFLOW["jobs"].values()


def test_w13_a_push_and_a_pull_request_of_it_run_the_job_once() -> None:
    triggers = WORKFLOW[True]  # YAML reads `on` as true

    assert triggers == {"push": {"branches": ["main"]}, "pull_request": None}


def test_w13_the_chosen_python_is_the_one_that_runs() -> None:
    (run,) = (step for step in JOB["steps"] if step.get("run") == "bash .ci/run")

    assert JOB["strategy"]["matrix"] == {"python": ["3.11", "3.14"]}
    assert run["env"] == {"PYTHON": "python"}
    assert not re.search(r"\bsudo\b", (ROOT / ".ci" / "run").read_text())


def test_w13_an_action_is_named_by_its_commit_and_the_job_may_only_read() -> None:
    actions = [step["uses"] for step in JOB["steps"] if "uses" in step]

    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in actions)
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in JOB
    assert [step["with"]["persist-credentials"] for step in JOB["steps"] if "checkout@" in step.get("uses", "")] == [False]
