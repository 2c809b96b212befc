"""A comparison's document is canonical JSON, though it is written piece by piece."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shadow.compare.document import canonical_bytes
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from tests.strategies.outcomes import random_case


@pytest.mark.parametrize("absent", [(), ("control",), ("candidate",), ("control", "candidate")])
@pytest.mark.parametrize("seed", range(8))
def test_the_document_is_the_canonical_json_of_the_whole_comparison(seed: int, absent: tuple[str, ...]) -> None:
    case = random_case(seed)
    for lane in absent:
        case = replace(case, control=None) if lane == "control" else replace(case, candidate=None)
    comparison = judge(case, default_policy())
    whole = json.dumps(comparison.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_bytes(comparison) == whole.encode()
