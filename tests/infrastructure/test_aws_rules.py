"""What AWS refuses and the emulators accept: each rule finds its breach, and the project has none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.aws_rules import machine
from local.cloud.build import LAYERS, UNZIPPED_LIMIT, Artefact, Artefacts, beyond_limits

ROOT = Path(__file__).parents[2]
TEXT = machine.read_machine(ROOT)


def test_w1_every_state_name_is_unique_in_the_whole_machine() -> None:
    assert machine.repeated_names(TEXT) == []


@pytest.mark.parametrize("phase", ["Sell", "Buy"])
def test_w1_a_name_that_a_large_phase_shares_with_the_small_one_is_found(phase: str) -> None:
    clash = TEXT.replace(f'"ExecuteLargePlan{phase}Trade"', f'"Execute{phase}Trade"')

    assert machine.repeated_names(clash) == [f"state Execute{phase}Trade: the name stands more than once in the machine"]


def test_w1_names_in_parallels_maps_and_one_list_are_counted_too() -> None:
    leaf = {"Type": "Pass", "End": True}
    branch = {"StartAt": "Inside", "States": {"Inside": leaf}}
    mapped = {"Type": "Map", "ItemProcessor": {"States": {"Top": leaf}}}
    states = {"Top": {"Type": "Parallel", "Branches": [branch, branch]}, "Each": mapped}

    assert [line.split(":")[0] for line in machine.repeated_names(json.dumps({"States": states}))] == [
        "state Inside",
        "state Top",
    ]
    assert len(machine.repeated_names('{"States": {"A": {"Type": "Succeed"}, "A": {"Type": "Succeed"}}}')) == 1


def test_the_other_rules_of_the_definition_find_their_breach() -> None:
    long, last = "N" * 81, [{"ErrorEquals": ["States.ALL", "Other"]}]
    broken = json.dumps({"States": {long: {"Type": "Task", "Catch": last}}})

    assert len(machine.long_names(broken)) == len(machine.unreachable_catchers(broken)) == 1
    assert machine.long_names(TEXT) == machine.unreachable_catchers(TEXT) == []


def test_w13_a_function_beyond_lambdas_limit_fails_the_build() -> None:
    folders = [path.name for path in (ROOT / "functions").iterdir() if (path / "lambda_handler.py").exists()]

    def built(reports: int) -> Artefacts:
        sizes = {"shared": 40, "reports": reports}
        layers = {each.name: Artefact(each.name, ROOT, sizes.get(each.name, 5)) for each in LAYERS}
        return Artefacts(layers, {name: Artefact(name, ROOT, 1) for name in folders})

    assert beyond_limits(ROOT / "template.yaml", built(UNZIPPED_LIMIT - 41)) == []
    (told,) = beyond_limits(ROOT / "template.yaml", built(UNZIPPED_LIMIT - 40))
    assert told.startswith("daily_report: ")
